//! What a long-running command needs of its process: logs, signals, a name for its user.

use std::io::IsTerminal as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Begins logging to standard error: what `BB_LOG` says, else `level`.
pub(crate) fn log(level: &str) {
    let filter = EnvFilter::try_from_env("BB_LOG").unwrap_or_else(|_| EnvFilter::new(format!("{level},sqlx=warn")));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    // That a line could not be written must not be printed where it could not: that would be a panic of whoever wrote it.
    let log = tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter);
    let _ = log.with_writer(std::io::stderr).with_ansi(colour).try_init();
}

/// A token that is cancelled by Ctrl-C or TERM; the second Ctrl-C ends the process at once.
pub(crate) fn shutdown_on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
        interrupt.recv().await;
        std::process::exit(130);
    });
    token
}

/// The name of whoever runs this, for records.
pub(crate) fn user() -> String {
    let named = ["LOGNAME", "USER"].into_iter().find_map(|v| std::env::var(v).ok().filter(|n| !n.trim().is_empty()));
    named.unwrap_or_else(|| "maintainer".to_owned())
}
