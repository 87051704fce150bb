//! Runs builds for a master.
//!
//! A [`Slave`] dials its master, takes assignments, gets each candidate's files, runs the recipe's steps in a sandbox and
//! reports. It goes on without a connection and keeps reports and logs on disk until the master has them ([`spool`]).
//! Nothing but [`sandbox`] starts a build's process; each step runs under a supervisor of its own ([`launch`]), which ends
//! whatever the step leaves behind.
//!
//! This crate never decides what is built or what a result means, and holds no secret but the slave's own token.
//!
//! ```no_run
//! # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! let git = tracker::git::Git::find_to_fetch(None)?;
//! let source = std::sync::Arc::new(slave::GitSource::new(git, "/srv/bb-slave".as_ref()));
//! let launcher = slave::Launcher::this_program(["slave-launch"]); // there, `slave::launch::main` is called
//! let slave = slave::Slave::load("/srv/bb-slave".as_ref(), launcher, source)?;
//! slave.run(tokio_util::sync::CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```

pub mod availability;
mod basedir;
mod build;
pub mod config;
mod connection;
mod descriptors;
pub mod launch;
mod page;
pub mod reproduce;
mod sandbox;
mod seccomp;
mod slave;
mod source;
mod spool;
mod user;
mod work;

pub use basedir::{CreateError, create};
pub use config::{Config, Token};
pub use descriptors::close_on_exec;
pub use page::{BadPageAddress, PageAddress};
pub use sandbox::{Launcher, NoUsers};
pub use slave::{RunError, Slave};
pub use source::{Boxed, GitSource, NoSource, Source};
pub use tracker::checkout::Place;
pub use user::{BadBuildUser, BuildUser};
