//! `bb demo`

mod repositories;
mod story;

use super::master::Settings;
use crate::error::CliError;
use crate::local::Local;
use crate::{print, process};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tracker::git::Git;

/// See it work: a small project, three authors, and their branches on the way to mainline
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb demo
  bb demo --exit --listen 127.0.0.1:0")]
pub(crate) struct Args {
    /// End after the story; the exit code is 0 only if every step of it came true
    #[arg(long)]
    exit: bool,
    /// Where everything is made; must not be there yet [default: a fresh folder among the temporary ones]
    #[arg(long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:8010", value_name = "ADDRESS")]
    listen: SocketAddr,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    process::log("error");
    // What would stop it is said before anything is made.
    Git::find(None).map_err(CliError::explained)?;
    let passing = args.basedir.is_none() && args.exit;
    let folder = match args.basedir {
        Some(folder) => {
            std::fs::create_dir(&folder).map_err(|e| {
                CliError::new(format!("{} can't be made: {e}", folder.display()))
                    .hint("name a folder that is not there yet")
            })?;
            folder.canonicalize()?
        }
        None => tempfile::Builder::new().prefix("bb-demo-").tempdir()?.keep(),
    };
    let repositories = repositories::make(&folder)?;
    print::out(&format!("Made in {}:\n{}\n", folder.display(), repositories.listing()))?;
    let settings = Settings {
        listen: args.listen,
        store: None,
        project: Some((Some("heron".parse()?), repositories.official.clone(), "main".to_owned())),
        allow_local: vec![folder.clone()],
        allow_private: Vec::new(),
        poll_s: Some(2),
    };
    let shutdown = process::shutdown_on_signal();
    let local = match Local::start(&folder.join("bb"), &settings, Some(args.listen), Some(2), shutdown.clone()).await {
        Ok(local) => local,
        Err(error) => {
            // Nothing happened that could be looked at; and the same command is to work again.
            std::fs::remove_dir_all(&folder)?;
            return Err(error);
        }
    };
    print::out(&format!("Master, slave and pages run at {}\n\n", local.url()))?;
    let told = tokio::select! {
        told = story::tell(&local, &repositories) => told,
        () = shutdown.cancelled() => Err(CliError::new("the demo was ended before its story was").exit(130)),
    };
    if let (Ok(()), false) = (&told, args.exit) {
        print::out(&format!(
            "\nThe pages: {url}\nTo take part, in another terminal:\n  export BB_MASTER={url} BB_TOKEN_FILE={token}\n  bb branches\nEnd it with Ctrl-C; the folder stays.\n",
            url = local.url(),
            token = print::word(&folder.join("bb/secrets/maintainer.token").to_string_lossy()),
        ))?;
        shutdown.cancelled().await;
    }
    let stopped = local.stop().await;
    told.and(stopped)?;
    if passing {
        // Nobody was told of the folder; after a failure it stays to be looked at.
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(ExitCode::SUCCESS)
}
