//! `bb up`

use super::master::{Settings, project_name};
use crate::error::CliError;
use crate::local::Local;
use crate::{folders, print, process};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracker::git::Git;
use tracker::mirror::OfficialUrl;

/// Guard a project from here: a master, a slave and its pages in one process
///
/// In a git work tree it guards that repository; what is accepted lands on its mainline, and the work tree follows when it
/// is clean.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb up
  bb up --repository https://git.example.org/heron.git --listen 127.0.0.1:0")]
pub(crate) struct Args {
    /// The official repository: a path or a URL
    #[arg(long, default_value = ".", value_name = "PATH_OR_URL")]
    repository: String,
    /// Its mainline branch [default: main or master, else what its HEAD names]
    #[arg(long, value_name = "BRANCH")]
    mainline: Option<String>,
    /// Where state is kept [default: below the XDG data folder]
    #[arg(long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Builds at once
    #[arg(long, default_value_t = 2, value_name = "N")]
    slots: u32,
    /// Allow this private network to be reached, such as 127.0.0.0/8; may be given again
    #[arg(long, value_name = "NETWORK")]
    allow_private: Vec<String>,
    /// Allow repositories below this folder to be published by path, beside this one's own folder and its siblings
    #[arg(long, value_name = "DIR")]
    allow_local: Vec<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    process::log("warn");
    let git = Git::find(None).map_err(CliError::explained)?;
    let place = tracker::official::locate(&args.repository).map_err(CliError::explained)?;
    let url = OfficialUrl::new(&place)?;
    let mainline = match args.mainline {
        Some(mainline) => mainline,
        None => tracker::official::default_branch(&git, &url).await.map_err(CliError::explained)?,
    };
    let name = project_name(&place)?;
    let basedir = match args.basedir {
        Some(basedir) => basedir,
        None => folders::data()?.join("up").join(format!("{name}-{}", short_hash(&place))),
    };
    let mut allow_local = args.allow_local;
    if let Some(path) = url.local_path() {
        allow_local.extend(path.parent().map(Path::to_owned));
        allow_local.push(path);
    }
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 8010)),
        store: None,
        project: Some((Some(name.clone()), place.clone(), mainline.clone())),
        allow_local,
        allow_private: args.allow_private,
        poll_s: Some(5),
    };
    let local = Local::start(&basedir, &settings, args.listen, args.slots, process::shutdown_on_signal()).await?;
    print::out(&greeting(&local, &basedir, &place, &mainline))?;
    if local.new {
        print::out(&format!("\nYour maintainer's token, shown this once: {}\n", local.token))?;
    }
    if let Some((why, toml)) = local.guessed_recipe().await? {
        print::out(&format!(
            "\nThe project has no .bb.toml. bb guessed how to build it from {why}.\nThis .bb.toml would make it explicit:\n\n{}\n",
            print::safe(&indented(&toml))
        ))?;
    }
    local.shutdown.cancelled().await;
    eprintln!("\nEnding; builds that run are run again next time.");
    local.stop().await?;
    Ok(ExitCode::SUCCESS)
}

fn greeting(local: &Local, basedir: &Path, place: &str, mainline: &str) -> String {
    format!(
        "bb guards {mainline} of {place}\nPages: {url}\nState: {basedir}\n\nIn another terminal:\n  export BB_MASTER={url} BB_TOKEN_FILE={basedir}/secrets/maintainer.token\n  bb publish URL BRANCH\n  bb branches\n  bb accept NAME\n\nEnd it with Ctrl-C.\n",
        url = local.url(),
        basedir = basedir.display(),
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}

/// A few digits that tell repositories of one name apart, the same each time: FNV-1a, 64 bits.
fn short_hash(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:08x}", hash >> 32)
}
