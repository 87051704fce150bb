//! `bb up`

use super::master::{Settings, absolute, project_name, start_error};
use crate::error::CliError;
use crate::local::Local;
use crate::{folders, print, process};
use master::basedir::Basedir;
use master::config::{self, Config};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracker::git::Git;
use tracker::mirror::OfficialUrl;

/// Guard a project from here: a master, a slave and its pages in one process
///
/// In a git work tree it guards that repository; what is accepted lands on its mainline, and the work tree follows when it
/// is clean. The first time it writes master.toml into the folder where state is kept, and from then on that counts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb up
  bb up --repository https://git.example.org/heron.git --listen 127.0.0.1:0")]
pub(crate) struct Args {
    /// The official repository: a path or a URL
    #[arg(long, default_value = ".", value_name = "PATH_OR_URL")]
    repository: String,
    /// Its mainline branch, the first time [default: main or master, else what its HEAD names]
    #[arg(long, value_name = "BRANCH")]
    mainline: Option<String>,
    /// Where state is kept [default: below the XDG data folder]
    #[arg(long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Builds at once, this time [default: what slave/slave.toml says, at first 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    slots: Option<u32>,
    /// Allow this private network to be reached, such as 127.0.0.0/8; may be given again
    #[arg(long, value_name = "NETWORK")]
    allow_private: Vec<String>,
    /// Allow repositories below this folder to be published by path, beside this one and those that stand next to it
    #[arg(long, value_name = "DIR")]
    allow_local: Vec<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    process::log("warn");
    let git = Git::find(None).map_err(CliError::explained)?;
    let place = place(&args)?;
    let url = OfficialUrl::new(&place)?;
    let name = project_name(&place)?;
    let basedir = basedir(&args, &place)?;
    let mainline = match kept(&basedir)? {
        Some(config) => same_as_kept(&args, &place, &config, &basedir)?,
        None => {
            let named = args.mainline.as_deref();
            tracker::official::mainline(&git, &url, named).await.map_err(CliError::explained)?
        }
    };
    let mut allow_local = args.allow_local;
    for folder in &allow_local {
        folder.canonicalize().map_err(|e| CliError::new(format!("--allow-local {}: {e}", folder.display())))?;
    }
    if let Some(path) = url.local_path() {
        // It and the repositories beside it: nothing that is deeper down, there or in it, such as all of a home that is one.
        allow_local.extend(path.parent().map(|parent| parent.join("*")));
        // Those whose names begin with a dot are not among them.
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        allow_local.extend(is_hidden.then_some(path));
    }
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 8010)),
        store: None,
        project: Some((Some(name.clone()), place.clone(), mainline.clone())),
        allow_local,
        allow_private: args.allow_private,
        poll_s: Some(5),
    };
    let mut local = Local::start(&basedir, &settings, args.listen, args.slots, process::shutdown_on_signal()).await?;
    // From here on it runs, whatever becomes of what is said of it.
    print::tell(&greeting(&local, &basedir, &place, &mainline));
    if local.new {
        print::tell(&format!("\nYour maintainer's token, shown this once: {}\n", local.token));
    }
    if let Some((why, toml)) = local.guessed_recipe().await {
        print::tell(&format!(
            "\nThe project has no .bb.toml. bb guessed how to build it from {why}.\nThis .bb.toml would make it explicit:\n\n{}\n",
            print::safe(&indented(&toml))
        ));
    }
    local.say_troubles().await;
    print::note("\nEnding; builds that run are run again next time.");
    local.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Where the official repository is. One that is guarded already may be away: what is kept of it counts, and its pages say so.
fn place(args: &Args) -> Result<String, CliError> {
    let error = match tracker::official::locate(&args.repository) {
        Ok(place) => return Ok(place),
        Err(error) => CliError::explained(error),
    };
    let named = Path::new(&args.repository);
    let place = named
        .canonicalize()
        .or_else(|_| std::path::absolute(named))
        .unwrap_or_else(|_| named.to_owned())
        .components()
        .collect::<PathBuf>();
    let place = place.to_string_lossy().into_owned();
    let guards = |config: &Config| config.projects.iter().any(|project| project.repository == place);
    match kept(&basedir(args, &place)?)? {
        Some(config) if guards(&config) => Ok(place),
        Some(_) | None => Err(error),
    }
}

/// Where its state is.
fn basedir(args: &Args, place: &str) -> Result<PathBuf, CliError> {
    let basedir = match &args.basedir {
        Some(basedir) => basedir.clone(),
        None => folders::data()?.join("up").join(format!("{}-{}", project_name(place)?, short_hash(place))),
    };
    Ok(Basedir::new(basedir).root().to_owned())
}

/// The settings that a basedir has already.
fn kept(basedir: &Path) -> Result<Option<Config>, CliError> {
    if !basedir.join(config::FILE_NAME).exists() {
        return Ok(None);
    }
    Config::read(basedir).map(Some).map_err(|error| start_error(error.into()))
}

/// Refuses flags that say something else than the settings of an earlier time, which count. Gives the mainline.
fn same_as_kept(args: &Args, place: &str, config: &Config, basedir: &Path) -> Result<String, CliError> {
    let file = basedir.join(config::FILE_NAME);
    let place = absolute(place);
    let Some(project) = config.projects.iter().find(|project| project.repository == place) else {
        let guarded: Vec<&str> = config.projects.iter().map(|project| project.repository.as_str()).collect();
        return Err(CliError::new(format!("{} guards {}, not {place}", basedir.display(), guarded.join(" and ")))
            .hint("take another folder with --basedir, or name that repository with --repository"));
    };
    let mut differs = Vec::new();
    if let Some(wanted) = args.mainline.as_ref().filter(|wanted| **wanted != project.mainline) {
        differs.push(format!("mainline is `{}`, not `{wanted}`", project.mainline));
    }
    for network in &args.allow_private {
        if !config.sources.allow_private.contains(&network.parse()?) {
            differs.push(format!("allow_private of [sources] has no `{network}`"));
        }
    }
    for folder in &args.allow_local {
        let whole = absolute(&folder.to_string_lossy());
        if !config.sources.allow_local.contains(&PathBuf::from(&whole)) {
            differs.push(format!("allow_local of [sources] has no `{whole}`"));
        }
    }
    if differs.is_empty() {
        return Ok(project.mainline.clone());
    }
    Err(CliError::new(format!("these flags differ from {}, which counts: {}", file.display(), differs.join("; ")))
        .hint("leave them out, or change that file; or begin anew in another folder with --basedir"))
}

fn greeting(local: &Local, basedir: &Path, place: &str, mainline: &str) -> String {
    format!(
        "bb guards {mainline} of {place}\nPages: {url}\nState: {basedir}\n\nIn another terminal:\n  export BB_MASTER={url} BB_TOKEN_FILE={token}\n  bb publish URL BRANCH\n  bb branches\n  bb accept NAME\n\nEnd it with Ctrl-C.\n",
        url = local.url(),
        basedir = basedir.display(),
        token = print::word(&basedir.join("secrets/maintainer.token").to_string_lossy()),
    )
}

/// A path that means the same in another terminal.
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
