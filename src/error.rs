//! What a user reads when something went wrong: what happened, what it was about, and what to do next.

use crate::screen::Screen;
use std::fmt::Write as _;
use std::process::ExitCode;

/// An error for the user, with the exit code that it ends the program with.
#[derive(Debug)]
pub(crate) struct CliError {
    message: String,
    hint: Option<String>,
    exit: u8,
    /// Whether the master may answer when it is asked again.
    passing: bool,
}

impl CliError {
    /// An error with exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit: 1, passing: false }
    }

    /// The same, with what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.hint = (!hint.is_empty()).then_some(hint);
        self
    }

    /// The same, with another exit code.
    #[must_use]
    pub(crate) fn exit(mut self, code: u8) -> Self {
        self.exit = code;
        self
    }

    /// The same, which may be over when the master is asked again.
    #[must_use]
    pub(crate) fn passing(mut self, passing: bool) -> Self {
        self.passing = passing;
        self
    }

    /// Whether the master may answer when it is asked again.
    pub(crate) const fn may_pass(&self) -> bool {
        self.passing
    }

    /// What the master said no with.
    pub(crate) fn of_problem(problem: protocol::api::Problem) -> Self {
        Self { message: problem.detail, hint: problem.hint, exit: 1, passing: false }
    }

    /// The tracker's error, which brings its hint along.
    pub(crate) fn explained(error: impl tracker::Explain) -> Self {
        let hint = error.hint();
        Self::from(error).hint(hint)
    }

    /// Prints it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        let mut text = format!("error: {}", self.message);
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\nhint: {hint}");
        }
        // It may repeat what a stranger named. What points at a place in a file stays as it is.
        let screen = Screen::of_errors();
        for line in crate::text::safe(&text).lines() {
            let is_said = line.starts_with("error: ") || line.starts_with("hint: ");
            eprintln!("{}", if is_said { screen.sentences(line, 2) } else { line.to_owned() });
        }
        ExitCode::from(self.exit)
    }
}

impl CliError {
    /// What went wrong, and what to do next, in one line.
    pub(crate) fn line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Any other error: its own words, and those of its causes that it does not say itself.
impl<E: std::error::Error> From<E> for CliError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                let _ = write!(message, ": {text}");
            }
            cause = error.source();
        }
        Self::new(message)
    }
}
