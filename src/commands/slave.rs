//! `bb slave create | run`, also `bb worker`

use crate::error::CliError;
use crate::local;
use crate::process;
use clap::Subcommand;
use protocol::SlaveName;
use slave::config::MasterUrl;
use std::path::PathBuf;
use std::process::ExitCode;

/// Make and run a slave
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb token new slave oak > oak.token
  bb slave create /srv/bb-slave --master http://127.0.0.1:8010 --name oak --token-file oak.token --label linux
  bb slave run /srv/bb-slave")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a slave's basedir; needs the master (--master) and the slave's token (--token-file)
    Create {
        /// The folder, made if it is not there
        basedir: PathBuf,
        /// Its name, the one that its token was made for [default: this machine's name]
        #[arg(long)]
        name: Option<SlaveName>,
        /// Something it can do, as recipes ask for it; may be given again
        #[arg(long = "label", value_name = "LABEL")]
        labels: Vec<String>,
        /// Builds it runs at once
        #[arg(long, default_value_t = 1, value_name = "N")]
        slots: u32,
    },
    /// Run a slave until it is told to end (Ctrl-C or TERM)
    Run {
        /// Its basedir
        basedir: PathBuf,
    },
}

pub(crate) async fn run(args: Args, master: &crate::client::MasterArgs) -> Result<ExitCode, CliError> {
    match args.what {
        What::Create { basedir, name, labels, slots } => {
            let url = master
                .master
                .as_ref()
                .ok_or_else(|| CliError::new("the slave needs a master").hint("name it with --master URL"))?;
            let url: MasterUrl = url.as_str().parse()?;
            let name = match name {
                Some(name) => name,
                None => machine_name()?,
            };
            let file = master.token_file.as_ref().ok_or_else(|| {
                CliError::new("the slave needs a token").hint(format!(
                    "make one with `bb token new slave {name} > {name}.token`, then give --token-file {name}.token"
                ))
            })?;
            let text = std::fs::read_to_string(file)
                .map_err(|e| CliError::new(format!("the token can't be read from {}: {e}", file.display())))?;
            let mut config = slave::Config::new(url, name);
            config.labels = labels;
            config.slots = slots.try_into()?;
            slave::create(&basedir, &config, &text.parse()?)?;
            eprintln!(
                "Settings: {}\nRun it with `bb slave run {}`.",
                basedir.join(slave::config::FILE_NAME).display(),
                crate::print::word(&basedir.to_string_lossy())
            );
        }
        What::Run { basedir } => {
            process::log("info");
            let config = slave::Config::load(&basedir)?;
            let git = tracker::git::Git::find_to_fetch(config.git.as_deref()).map_err(CliError::explained)?;
            let slave = slave::Slave::load(&basedir, local::launcher(), local::source(git, &basedir))?;
            slave.run(process::shutdown_on_signal()).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// This machine's name, as far as it can be a slave's.
fn machine_name() -> Result<SlaveName, CliError> {
    let node = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = protocol::BranchName::suggest(node.trim(), 1).to_string();
    Ok(name.parse::<SlaveName>()?)
}
