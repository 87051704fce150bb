//! The build master: store, reconcilers, slaves' connections, review, landing, pages, API.
//!
//! A master guards projects: it watches published branches, has each built as it would land, and lands those that a
//! maintainer accepts. It runs on a basedir ([`create`] makes one, [`start`] runs on it) and knows slaves only through
//! `protocol`. It never runs git itself (`tracker` does), never decides what `gate` decides, and never starts a process
//! that a branch names (`slave` does, elsewhere).

mod actions;
mod assemble;
pub mod auth;
pub mod backup;
pub mod basedir;
pub mod config;
mod door;
mod error;
mod http;
pub mod inspect;
pub mod logs;
mod names;
pub mod pages;
mod points;
mod project;
mod read;
mod reconcile;
mod refused;
mod running;
mod slaves;
mod sole;
mod state;
pub mod stepping;
pub mod store;
mod terms;

pub use error::StartError;
pub use running::{Running, create, start};
