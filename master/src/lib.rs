//! Store, reconcilers, slaves' connections, landing, pages, API.

pub mod auth;
pub mod basedir;
pub mod config;
pub mod logs;
mod slaves;
pub mod store;
