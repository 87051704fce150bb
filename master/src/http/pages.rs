//! The pages' handlers.
