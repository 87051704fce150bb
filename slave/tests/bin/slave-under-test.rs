//! What the `bb` command does with `slave-launch` and `slave run`, for this crate's tests alone.
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|arg| arg.to_str()) {
        Some("slave-launch") => slave::launch::main(&args[1..]),
        _ => ExitCode::from(2),
    }
}
