//! Store, reconcilers, slaves' connections, landing, pages, API.

pub mod store;
mod words;
