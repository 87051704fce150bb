//! Master and slave in one process, as `bb up` and `bb demo` run them.

use crate::client::Client;
use crate::commands::master::{Settings, start_error};
use crate::error::CliError;
use crate::{print, process};
use master::store::{Interest, TokenKind, Topic};
use slave::{GitSource, Launcher, Slave};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracker::git::Git;

/// The hidden subcommand that supervises a step.
pub(crate) const LAUNCH: &str = "slave-launch";

/// How a slave's supervisors are started: as this very program.
pub(crate) fn launcher() -> Launcher {
    Launcher::this_program([LAUNCH])
}

/// Where a slave has its candidates from: git, by the master.
pub(crate) fn source(git: Git, basedir: &Path) -> Arc<dyn slave::Source> {
    Arc::new(GitSource::new(git, basedir))
}

/// A master and a slave that run.
pub(crate) struct Local {
    master: master::Running,
    /// None once it has ended by itself, and that was said.
    slave: Option<JoinHandle<Result<(), slave::RunError>>>,
    /// What ends both.
    pub(crate) shutdown: CancellationToken,
    /// The maintainer's token.
    pub(crate) token: String,
    /// Whether the basedir, and the token with it, was made now.
    pub(crate) new: bool,
}

impl Local {
    /// Makes what is missing in the basedir, then starts both. `listen` and `slots` go before the settings.
    pub(crate) async fn start(
        basedir: &Path,
        settings: &Settings,
        listen: Option<SocketAddr>,
        slots: Option<u32>,
        shutdown: CancellationToken,
    ) -> Result<Self, CliError> {
        let new = !basedir.join(master::config::FILE_NAME).exists();
        if new {
            master::create(basedir, &settings.to_toml()?, &process::user()).await.map_err(start_error)?;
        }
        let master = master::start(basedir, listen, shutdown.clone()).await.map_err(start_error)?;
        let secret = basedir.join("secrets/maintainer.token");
        let token = std::fs::read_to_string(&secret).map_err(|e| {
            CliError::new(format!("the maintainer's token can't be read from {}: {e}", secret.display()))
        })?;
        let slave = own_slave(basedir, &master, slots).await?;
        let stop = shutdown.clone();
        let slave = Some(tokio::spawn(async move { slave.run(stop).await }));
        Ok(Self { master, slave, shutdown, token: token.trim().to_owned(), new })
    }

    /// The master's URL.
    pub(crate) fn url(&self) -> &str {
        self.master.url()
    }

    /// A client with the maintainer's token.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        Client::of(self.url().parse()?, Some(self.token.clone()), None)
    }

    /// The `.bb.toml` that would make a guessed recipe explicit, if it was guessed; waits until mainline was read. That it can't be
    /// known now ends nothing: it is only said.
    pub(crate) async fn guessed_recipe(&self) -> Option<(String, String)> {
        match self.master.guessed_recipe().await {
            Ok(guessed) => guessed,
            Err(error) => {
                eprintln!(
                    "warning: whether the recipe was guessed can't be told now: {}",
                    print::safe(&error.to_string())
                );
                None
            }
        }
    }

    /// Says what is wrong with mainline, and what of its recipe deserves a look, whenever that becomes another thing, until the
    /// end is asked for.
    /// A look that fails is taken again, and so is what can't be printed: watching never ends what is watched.
    pub(crate) async fn say_troubles(&mut self) {
        let changes = self.master.store().listen(Interest::all([Topic::Mainline]));
        let (mut said, mut warned) = (Vec::new(), Vec::new());
        loop {
            match self.master.troubles().await {
                Ok(troubles) if troubles != said => {
                    for trouble in &troubles {
                        print::tell(&format!("\nMainline needs care: {}\n", print::safe(trouble)));
                    }
                    if troubles.is_empty() {
                        print::tell("\nMainline is as it should be again.\n");
                    }
                    said = troubles;
                }
                // A store that fails is in the master's own log.
                Ok(_) | Err(_) => {}
            }
            if let Ok(warnings) = self.master.recipe_warnings().await
                && warnings != warned
            {
                for warning in &warnings {
                    print::tell(&format!("\nThe recipe deserves a look: {}\n", print::safe(warning)));
                }
                warned = warnings;
            }
            tokio::select! {
                () = changes.changed() => drop(changes.heard()),
                ended = ended(&mut self.slave) => {
                    self.slave = None;
                    if self.shutdown.is_cancelled() {
                        return;
                    }
                    let why = match ended {
                        Ok(Ok(())) => String::new(),
                        Ok(Err(error)) => format!(": {error}"),
                        Err(error) => format!(": {error}"),
                    };
                    print::tell(&format!("\nThe slave of this process has ended, and builds wait for another{}\n", print::safe(&why)));
                }
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    /// Ends both, the slave first.
    pub(crate) async fn stop(self) -> Result<(), CliError> {
        self.shutdown.cancel();
        let slave = match self.slave {
            Some(slave) => slave_error(slave.await),
            None => Ok(()),
        };
        self.master.stop().await;
        slave
    }
}

/// How the slave's task ended.
type Ended = Result<Result<(), slave::RunError>, tokio::task::JoinError>;

/// Waits until the slave has ended; for ever, where that is known.
async fn ended(slave: &mut Option<JoinHandle<Result<(), slave::RunError>>>) -> Ended {
    match slave {
        Some(slave) => slave.await,
        None => std::future::pending().await,
    }
}

fn slave_error(ended: Ended) -> Result<(), CliError> {
    match ended {
        Ok(done) => Ok(done?),
        Err(error) => Err(CliError::new(format!("the slave ended unexpectedly: {error}"))),
    }
}

/// The slave of this process; its token is made once and kept beside the master's.
async fn own_slave(basedir: &Path, master: &master::Running, slots: Option<u32>) -> Result<Slave, CliError> {
    let folder: PathBuf = basedir.join("slave");
    let name: protocol::SlaveName = "local".parse()?;
    let url = format!("http://{}", master.address());
    let mut config = slave::Config::new(url.parse()?, name.clone());
    config.slots = slots.unwrap_or(2).try_into()?;
    // Written last: without it, somebody was killed while the folder was made.
    if !folder.join(slave::config::FILE_NAME).exists() {
        let token = master.make_token(TokenKind::Slave, name.as_str()).await.map_err(start_error)?;
        slave::create(&folder, &config, &token.parse()?)?;
    }
    let kept = Slave::load(&folder, launcher(), source(master.git().clone(), &folder))?;
    // The port may be another each time, and a change of slave.toml by its owner counts.
    let slots = if slots.is_some() { config.slots } else { kept.config.slots };
    Ok(Slave { config: slave::Config { master: config.master, slots, ..kept.config }, ..kept })
}
