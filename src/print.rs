//! Printing: text for people, JSON for programs.

use crate::error::CliError;
use crate::screen::Screen;
pub(crate) use crate::text::{safe, word};
use protocol::UnixMs;
use serde::Serialize;
use std::io::{self, Write as _};
use tracker::text::is_hidden;

/// How a listing is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Format {
    /// Print JSON, as the API has it
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Format {
    /// Prints a value: as JSON, or as people read it.
    pub(crate) fn print<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), CliError> {
        self.show(value, |value, _| human(value))
    }

    /// The same where how it reads depends on the screen.
    pub(crate) fn show<T: Serialize>(
        self,
        value: &T,
        human: impl FnOnce(&T, Screen) -> String,
    ) -> Result<(), CliError> {
        if self.json { json(value) } else { out(&human(value, Screen::of_output())) }
    }
}

/// Prints a value as JSON. What could steer a terminal is written as JSON's own escapes, which mean the same.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<(), CliError> {
    let mut text = String::new();
    for c in serde_json::to_string_pretty(value)?.chars() {
        if c != '\n' && is_hidden(c) {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    out(&format!("{text}\n"))
}

/// Writes to standard output. A reader that went away, as `head` does, is no error.
pub(crate) fn out(text: &str) -> Result<(), CliError> {
    out_bytes(text.as_bytes())
}

/// The same for bytes.
pub(crate) fn out_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}

/// Writes to standard output what nobody asked for: that it can't be written, or that nobody reads it any more, is no reason to
/// end what runs.
pub(crate) fn tell(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// The same for bytes.
pub(crate) fn tell_bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// The same on standard error, as a line.
pub(crate) fn note(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(format!("{line}\n").as_bytes());
}

/// How long ago, roughly.
pub(crate) fn ago(at: UnixMs) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis());
    let seconds = (i64::try_from(now).unwrap_or(i64::MAX) - at.0).max(0) / 1000;
    match seconds {
        0..=59 => format!("{seconds} s ago"),
        60..=3599 => format!("{} min ago", seconds / 60),
        3600..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
