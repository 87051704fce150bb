//! `bb master create | run`

use crate::error::CliError;
use crate::print;
use crate::process;
use clap::Subcommand;
use protocol::ProjectName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Make and run a master
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb master create /srv/bb --project heron --repository https://git.example.org/heron.git
  bb master run /srv/bb")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a master's basedir, and print the first maintainer's token, this once
    Create {
        /// The folder, made if it is not there
        basedir: PathBuf,
        /// The name of the project it guards; more are added in master.toml
        #[arg(long = "name", value_name = "NAME", requires = "repository")]
        name: Option<ProjectName>,
        /// The official repository: a URL or a path
        #[arg(long, value_name = "URL")]
        repository: Option<String>,
        /// Its mainline branch
        #[arg(long, default_value = "main")]
        mainline: String,
        /// Where it will listen
        #[arg(long, default_value = "127.0.0.1:8010", value_name = "ADDRESS")]
        listen: SocketAddr,
        /// The store, a postgres:// URL, instead of the embedded one
        #[arg(long, value_name = "URL")]
        store: Option<String>,
        /// Allow repositories below this folder to be published by path; may be given again
        #[arg(long, value_name = "DIR")]
        allow_local: Vec<PathBuf>,
        /// Allow this private network to be reached, such as 10.0.0.0/8; may be given again
        #[arg(long, value_name = "NETWORK")]
        allow_private: Vec<String>,
    },
    /// Run a master until it is told to end (Ctrl-C or TERM)
    Run {
        /// Its basedir
        basedir: PathBuf,
        /// Listen here instead; port 0 takes any that is free
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
    },
    /// Read a master's settings and say what is wrong with them
    Check {
        /// Its basedir
        basedir: PathBuf,
    },
}

pub(crate) async fn run(args: Args, project: Option<ProjectName>) -> Result<ExitCode, CliError> {
    match args.what {
        What::Create { basedir, name, repository, mainline, listen, store, allow_local, allow_private } => {
            let settings = Settings {
                listen,
                store,
                project: repository.map(|repository| (name.or(project), repository, mainline)),
                allow_local,
                allow_private,
                poll_s: None,
            };
            let token = master::create(&basedir, &settings.to_toml()?, &process::user()).await.map_err(start_error)?;
            print::out(&format!("{token}\n"))?;
            eprintln!(
                "This is your maintainer's token; it stands in {} too.\nSettings: {}\nRun it with `bb master run {}`.",
                basedir.join("secrets/maintainer.token").display(),
                basedir.join(master::config::FILE_NAME).display(),
                print::word(&basedir.to_string_lossy())
            );
        }
        What::Run { basedir, listen } => {
            process::log("info");
            let shutdown = process::shutdown_on_signal();
            let running = master::start(&basedir, listen, shutdown).await.map_err(start_error)?;
            eprintln!("bb master: {} (end it with Ctrl-C)", running.url());
            running.wait().await;
        }
        What::Check { basedir } => {
            let config = master::config::Config::read(&basedir).map_err(|e| start_error(e.into()))?;
            let projects = match config.projects.len() {
                1 => "1 project".to_owned(),
                many => format!("{many} projects"),
            };
            print::out(&format!("{}: good, {projects}\n", basedir.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A master's error for the user.
pub(crate) fn start_error(error: master::StartError) -> CliError {
    let hint = error.hint();
    CliError::from(error).hint(hint)
}

/// What goes into a new master.toml.
pub(crate) struct Settings {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// A PostgreSQL store.
    pub(crate) store: Option<String>,
    /// The project: its name if one was given, the repository, mainline.
    pub(crate) project: Option<(Option<ProjectName>, String, String)>,
    /// Folders below which repositories may be published by path.
    pub(crate) allow_local: Vec<PathBuf>,
    /// Private networks that may be reached.
    pub(crate) allow_private: Vec<String>,
    /// Seconds between two looks, when not the usual.
    pub(crate) poll_s: Option<u64>,
}

impl Settings {
    /// The file's text.
    pub(crate) fn to_toml(&self) -> Result<String, CliError> {
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let list = |values: Vec<String>| format!("[{}]", values.join(", "));
        let mut out = format!(
            "# The settings of a bb master; docs/admin-guide.md explains them.\nlisten = {}\n",
            text(&self.listen.to_string())
        );
        match &self.store {
            Some(store) => out += &format!("store = {}\n", text(store)),
            None => out += "# store = \"postgres://bb@localhost/bb\"   # instead of the embedded SQLite\n",
        }
        out += "# url = \"https://bb.example.org\"          # as others reach it, if not as it listens\n";
        if let Some((name, repository, mainline)) = &self.project {
            let name = name.clone().map_or_else(|| project_name(repository), Ok)?;
            let repository = absolute(repository);
            out += &format!(
                "\n[[project]]\nname = {}\nrepository = {}\nmainline = {}\n",
                text(name.as_str()),
                text(&repository),
                text(mainline)
            );
            out += "# publish = \"open\"                         # anybody may publish; else only who has a token\n";
        }
        let local = self.allow_local.iter().map(|p| text(&absolute(&p.to_string_lossy()))).collect();
        let private = self.allow_private.iter().map(|n| text(n)).collect();
        out += &format!("\n[sources]\nallow_local = {}\nallow_private = {}\n", list(local), list(private));
        if let Some(poll_s) = self.poll_s {
            out += &format!("\n[times]\npoll_s = {poll_s}\n");
        }
        Ok(out)
    }
}

/// The name of a project from the last part of its repository's URL or path.
pub(crate) fn project_name(repository: &str) -> Result<ProjectName, CliError> {
    let last = repository.trim_end_matches('/').trim_end_matches("/.git");
    let last = last.rsplit(['/', ':']).next().unwrap_or_default().trim_end_matches(".git");
    let name = protocol::BranchName::suggest(last, 1).to_string();
    Ok(name.parse::<ProjectName>()?)
}

/// A path as seen from anywhere; a URL as it is.
pub(crate) fn absolute(repository: &str) -> String {
    match std::fs::canonicalize(repository) {
        Ok(path) if !repository.contains("://") => path.to_string_lossy().into_owned(),
        _ => repository.to_owned(),
    }
}
