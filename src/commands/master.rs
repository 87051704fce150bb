//! `bb master create | run | check | backup | restore`

use crate::error::CliError;
use crate::print;
use crate::process;
use clap::Subcommand;
use master::inspect::State;
use protocol::ProjectName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Make and run a master
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb master create /srv/bb --project heron --repository https://git.example.org/heron.git
  bb master run /srv/bb
  bb master backup /mnt/backup/monday /srv/bb
  bb master restore /mnt/backup/monday /srv/bb
  bb master check /srv/bb --deep")]
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
    /// Read a master's settings and say what is wrong with them; with --deep, compare all that it keeps
    Check {
        /// Its basedir
        basedir: PathBuf,
        /// Compare rows, refs, objects and logs, and mend what can be mended, unless a master runs
        #[arg(long)]
        deep: bool,
        /// With --deep, change nothing
        #[arg(long, requires = "deep", conflicts_with = "repair")]
        dry_run: bool,
        /// What --deep does anyway
        #[arg(long, requires = "deep", hide = true)]
        repair: bool,
        /// Print JSON
        #[arg(long, requires = "deep")]
        json: bool,
    },
    /// Copy all that a master keeps into an empty folder, also while it runs
    Backup {
        /// The folder of the backup, made if it is not there
        dir: PathBuf,
        /// The master's basedir
        #[arg(default_value = ".")]
        basedir: PathBuf,
    },
    /// Make a basedir of a backup
    Restore {
        /// The folder of the backup
        dir: PathBuf,
        /// The new basedir: not there yet, or empty
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
            crate::print::note(&format!("bb master: {} (end it with Ctrl-C)", running.url()));
            running.wait().await;
        }
        What::Check { basedir, deep, dry_run, json, .. } => {
            let config = master::config::Config::read(&basedir).map_err(|e| start_error(e.into()))?;
            if deep {
                return check_deep(&basedir, !dry_run, json).await;
            }
            let projects = counted(config.projects.len(), "project");
            print::out(&format!("{}: good, {projects}\n", basedir.display()))?;
            for warning in config.warnings(master::store::now()) {
                eprintln!("warning: {warning}");
            }
        }
        What::Backup { dir, basedir } => {
            // One is a basedir and the other is empty, so that the order can't be mistaken.
            let (dir, basedir) =
                if is_basedir(&dir) && !is_basedir(&basedir) { (basedir, dir) } else { (dir, basedir) };
            let made = master::backup::backup(&basedir, &dir).await.map_err(backup_error)?;
            print::out(&format!(
                "{}: whole, as of {}: {}, {}, {} bytes of objects\n",
                dir.display(),
                made.begun,
                counted(made.projects.len(), "project"),
                counted(usize::try_from(made.refs).unwrap_or(usize::MAX), "ref"),
                made.bytes
            ))?;
            if !made.holds_store {
                eprintln!(
                    "The store is a PostgreSQL and is not in it: dump it with `pg_dump` before each `bb master backup`, so that \
                     all that its rows name is in the backup, and keep both together."
                );
            }
        }
        What::Restore { dir, basedir } => {
            let of = master::backup::restore(&dir, &basedir).await.map_err(backup_error)?;
            print::out(&format!("{}: restored as of {}\n", basedir.display(), of.begun))?;
            let basedir = print::word(&basedir.to_string_lossy());
            if !of.holds_store {
                eprintln!("Load the dump of its PostgreSQL with `pg_restore` before you start it.");
            }
            eprintln!(
                "See whether all is there with `bb master check {basedir} --deep`; run it with `bb master run {basedir}`."
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code of a check that found nothing lost, and something that a running master has still to bring back.
const PENDING: u8 = 3;

async fn check_deep(basedir: &std::path::Path, mend: bool, json: bool) -> Result<ExitCode, CliError> {
    let found = master::inspect::inspect(basedir, mend).await.map_err(start_error)?;
    if json {
        let mut value = serde_json::to_value(&found)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("good".to_owned(), (found.state() == State::Mended).into());
        }
        print::out(&format!("{value:#}\n"))?;
    } else {
        let mut lines = String::new();
        for it in &found.findings {
            let of = it.project.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            let (how, next) = match it.state {
                State::Mended => ("mended", String::new()),
                State::Pending => ("pending", format!("; next: {}", it.next)),
                State::Lost => ("lost", format!("; next: {}", it.next)),
            };
            lines += &format!("{how}: {of}{}: {}{next}\n", it.kind, it.what);
        }
        let count = |state| found.findings.iter().filter(|it| it.state == state).count();
        let (commits, logs) = (counted(found.commits, "commit"), counted(found.logs, "log"));
        let end = match (count(State::Pending), count(State::Lost)) {
            (0, 0) => "good".to_owned(),
            (pending, 0) => format!("{pending} pending"),
            (0, lost) => format!("{lost} lost"),
            (pending, lost) => format!("{pending} pending, {lost} lost"),
        };
        print::out(&format!("{lines}{}: {end}; {commits} and {logs} that rows name\n", basedir.display()))?;
        if found.state() != State::Mended && mend && found.running {
            eprintln!(
                "A master runs on it, so nothing was mended here; it brings back by itself what it finds missing."
            );
        }
    }
    Ok(match found.state() {
        State::Mended => ExitCode::SUCCESS,
        State::Pending => ExitCode::from(PENDING),
        State::Lost => ExitCode::FAILURE,
    })
}

fn is_basedir(path: &std::path::Path) -> bool {
    path.join(master::config::FILE_NAME).exists()
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn backup_error(error: master::backup::BackupError) -> CliError {
    let hint = error.hint();
    CliError::from(error).hint(hint)
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
