//! Store, reconcilers, slaves' connections, landing, pages, API.
