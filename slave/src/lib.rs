//! Runs builds for a master: connection, work folders, steps, sandbox.
