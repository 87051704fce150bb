//! What the `bb` command does with `slave-launch` and `slave run`, for this crate's tests alone.
#[path = "../support/files.rs"]
#[allow(unreachable_pub)]
mod files;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|arg| arg.to_str()) {
        Some("slave-launch") => slave::launch::main(&args[1..]),
        Some("run") => run(Path::new(&args[1])),
        _ => ExitCode::from(2),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(basedir: &Path) -> ExitCode {
    let launcher = slave::Launcher::this_program(["slave-launch"]);
    let slave = match slave::Slave::load(basedir, launcher, Arc::new(files::Files)) {
        Ok(slave) => slave,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match slave.run(CancellationToken::new()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
