//! The first line of a log that tells of an error, as compilers, test programs, shells and make write it. A guess, only
//! used to open a log where reading it begins.

use super::{Lines, Logs};
use memchr::memmem;
use protocol::BuildId;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Bytes searched of a log: so many from its beginning, and if nothing is there, so many at its end.
const BEGINNING: u64 = 8 << 20;
const END: u64 = 1 << 20;
/// Bytes read at once, and of a line looked at around a sign.
const READ: usize = 1 << 20;
const AROUND: usize = 500;
/// Answers kept.
const KEPT: usize = 500;

/// Signs of an error. They are looked for as they stand here.
const SIGNS: &[&str] = &[
    "error:",
    "error[",
    "error\x1b",
    "Error:",
    "ERROR",
    "ERR!",
    "fatal:",
    "FATAL",
    "FAIL",
    "FAILED",
    "FAILURE:",
    "panicked at",
    "panic:",
    "not ok ",
    "Traceback (most recent call last)",
    "Exception:",
    "Exception in thread",
    "Segmentation fault",
    "core dumped",
    "undefined reference to",
    "No rule to make target",
    "not found",
    "ssertion",
    "E   ",
    "✗",
    "✕",
    "✖",
];

/// Signs that count when there is no other: they also stand in what went well.
const WEAK: &[&str] = &["*** [", "No such file or directory", "Permission denied", "Killed", "Terminated", "Error "];

/// What was found lately, by build, step and length of the log.
#[derive(Debug, Default)]
pub(super) struct Found(Mutex<VecDeque<(Key, Option<u64>)>>);

type Key = (BuildId, u32, u64);

impl Logs {
    /// The number of the first line of a step's log that tells of an error, as far as it is looked for.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn first_error(&self, build: BuildId, step: u32, lines: &Lines) -> io::Result<Option<u64>> {
        let key = (build, step, lines.len());
        let kept = || self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = kept().iter().find(|(k, _)| *k == key) {
            return Ok(*found);
        }
        let found = search(lines)?;
        let mut kept = kept();
        kept.push_back((key, found));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(found)
    }
}

fn search(lines: &Lines) -> io::Result<Option<u64>> {
    let len = lines.len();
    let mut weak = None;
    let tail = len.saturating_sub(END).max(BEGINNING);
    for (from, to) in [(0, len.min(BEGINNING)), (tail, len)] {
        let mut at = from;
        while at < to {
            let mut piece = lines.read(at, READ.min(usize::try_from(to - at).unwrap_or(READ)))?;
            // Up to the last line that is whole, unless the piece is within one.
            if at + (piece.len() as u64) < to
                && let Some(end) = memchr::memrchr(b'\n', &piece)
            {
                piece.truncate(end + 1);
            }
            if piece.is_empty() {
                break;
            }
            if let Some(found) = first(&piece, SIGNS) {
                return lines.line_at(at + found as u64).map(Some);
            }
            weak = weak.or_else(|| first(&piece, WEAK).map(|found| at + found as u64));
            at += piece.len() as u64;
        }
    }
    weak.map(|at| lines.line_at(at)).transpose()
}

/// Where the first of these signs is that tells of an error.
fn first(text: &[u8], signs: &[&str]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for sign in signs {
        let found = memmem::find_iter(text, sign.as_bytes())
            .take_while(|at| best.is_none_or(|best| *at < best))
            .find(|at| tells(text, *at, sign));
        best = found.or(best);
    }
    best
}

/// Whether a sign where it stands tells of an error.
fn tells(text: &[u8], at: usize, sign: &str) -> bool {
    let after_sign = at + sign.len();
    let begin = text[at.saturating_sub(AROUND)..at]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(at.saturating_sub(AROUND), |n| at.saturating_sub(AROUND) + n + 1);
    let end =
        text[after_sign..].iter().take(AROUND).position(|b| *b == b'\n').unwrap_or(AROUND.min(text.len() - after_sign));
    // A code that colours may be all that a sign's last character begins.
    let (sign, after_sign) = match sign.strip_suffix('\x1b') {
        Some(bare) => (bare, after_sign - 1),
        None => (sign, after_sign),
    };
    let end = after_sign.max(after_sign + end).min(text.len());
    let (before, after) = (plain(&text[begin..at]), plain(&text[after_sign..end]));
    let line = format!("{before}{sign}{after}");
    let line = line.trim();
    // A shell's trace, and what passed: their words tell of no error.
    let well = line.starts_with("+ ") || line.starts_with("PASS") || line.starts_with("ok ") || line.ends_with(" ok");
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let of_name = matches!(sign, "Error:" | "Exception:" | "ssertion" | "E   " | "not found" | "*** [");
    let none =
        |text: &str| text.strip_prefix('0').is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let counted = after.trim_start_matches([':', ' ', '\t', '=']);
    let ahead = before.trim_end();
    let zero_before = ahead.ends_with('0') && !ahead.trim_end_matches('0').ends_with(|c: char| c.is_ascii_digit());
    if well || none(counted) || zero_before || (!of_name && word(before.chars().last())) {
        return false;
    }
    match sign {
        "FAIL" | "FAILED" | "ERROR" | "FATAL" | "Killed" | "Terminated" => !word(after.chars().next()),
        "error" => after.starts_with(':') || after.starts_with('['),
        "error:" => !after.starts_with(':'),
        "Error " => after.starts_with(|c: char| c.is_ascii_digit()),
        "not ok " | "E   " => before.trim().is_empty() && !after.trim().is_empty(),
        "not found" => before.ends_with(": ") || before.ends_with("command "),
        "ssertion" => before.ends_with(['a', 'A']) && (after.contains("fail") || after.starts_with("Error")),
        _ => true,
    }
}

/// Text without the codes that colour it.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            // Up to the letter that ends it.
            let _ = chars.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tells_of_an_error(line: &str) -> bool {
        let text = format!("first\n{line}\nlast\n");
        [SIGNS, WEAK].iter().any(|signs| first(text.as_bytes(), signs).is_some())
    }

    #[test]
    fn errors_are_known_as_programs_write_them() {
        for line in [
            "src/spool.c:118:9: error: 'left' undeclared",
            "error[E0308]: mismatched types",
            "\x1b[1m\x1b[31merror\x1b[0m: could not compile",
            "TypeError: x is not a function",
            "E       assert 1 == 2",
            "FAILED tests/test_a.py::test_one",
            "--- FAIL: TestSpool (0.00s)",
            "FAIL\tgithub.example/x\t0.1s",
            "FAIL: spool.sh",
            "\x1b[31mFAIL\x1b[0m spool/one",
            "not ok 3 - spools",
            "thread 'main' panicked at src/main.rs:3:5:",
            "Traceback (most recent call last):",
            "Exception in thread \"main\" java.lang.Error",
            "sh: 1: cmake: not found",
            "bash: cmake: command not found",
            "make: *** [Makefile:3: check] Error 1",
            "make: *** No rule to make target 'x'.  Stop.",
            "fatal: not a git repository",
            "Segmentation fault (core dumped)",
            "a.c:3: main: Assertion `0' failed.",
            "npm ERR! code ELIFECYCLE",
            "[ERROR] Failed to execute goal",
            "cat: x: No such file or directory",
        ] {
            assert!(tells_of_an_error(line), "{line}");
        }
    }

    #[test]
    fn what_goes_well_is_no_error() {
        for line in [
            "gcc -Wall -Werror -c error.c",
            "test error::handles ... ok",
            "PASS error: is told",
            "ok 3 - error: is told",
            "# FAIL:  0",
            "# ERROR: 0",
            "12 passed, 0 FAILED",
            "0 errors, 0 warnings",
            "errors: 0",
            "XFAIL: spool.sh",
            "+ grep error: log",
            "warning: unused variable",
            "FAILURES_ALLOWED=3",
            "nothing is not found here",
        ] {
            assert!(!tells_of_an_error(line), "{line}");
        }
    }
}
