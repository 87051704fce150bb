//! Runs one phase's command, passes on what it prints, times it, and counts the tests that it reports.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Tests as a runner counted them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    /// Those that passed.
    pub passed: u64,
    /// Those that failed, timed out or could not be started.
    pub failed: u64,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What came of a phase.
pub(crate) struct Outcome {
    /// Its name.
    pub name: String,
    /// Whether its command succeeded.
    pub ok: bool,
    /// What it counted.
    pub count: Count,
    /// How long it took.
    pub took: Duration,
}

/// Runs `command` as the phase `name`.
pub(crate) fn phase(name: &str, mut command: Command) -> Outcome {
    println!("\n== {name}: {}", words(&command));
    let start = Instant::now();
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let (ok, count) = match spawned {
        Ok(mut child) => {
            let out = child.stdout.take().map(|pipe| thread::spawn(|| pass_on(pipe, std::io::stdout())));
            let err = child.stderr.take().map(|pipe| thread::spawn(|| pass_on(pipe, std::io::stderr())));
            let mut count = Count::default();
            for reader in [out, err].into_iter().flatten() {
                count += reader.join().unwrap_or_default();
            }
            (child.wait().is_ok_and(|status| status.success()), count)
        }
        Err(error) => {
            println!("can't start {}: {error}", command.get_program().display());
            (false, Count::default())
        }
    };
    let took = start.elapsed();
    println!("== {name}: {} in {:.1} s", if ok { "ok" } else { "FAILED" }, took.as_secs_f64());
    Outcome { name: name.to_owned(), ok, count, took }
}

fn words(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn pass_on(from: impl Read, mut to: impl Write) -> Count {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let mut count = Count::default();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A closed terminal is no reason to stop counting.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        if let Some(counted) = summary(&without_colours(&String::from_utf8_lossy(&line))) {
            count += counted;
        }
        line.clear();
    }
    count
}

/// The counts in a line, if it is a runner's summary: libtest's `test result: …` or nextest's `Summary […] …`.
fn summary(line: &str) -> Option<Count> {
    let counts = if let Some(rest) = line.strip_prefix("test result: ") {
        rest.split_once(". ")?.1
    } else {
        let line = line.trim();
        // `Summary [   0.1s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`
        line.strip_prefix("Summary [")?.split_once("run: ")?.1
    };
    let mut count = Count::default();
    for part in counts.split([';', ',']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next().and_then(|word| word.parse::<u64>().ok()), words.next()) else {
            continue;
        };
        match what {
            "passed" => count.passed += number,
            "failed" | "timed" | "exec" => count.failed += number,
            _ => {}
        }
    }
    Some(count)
}

/// `line` without its colour sequences.
fn without_colours(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = rest.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::{Count, summary, without_colours};

    #[test]
    fn libtest_is_read() {
        let line = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s";
        assert_eq!(summary(line), Some(Count { passed: 3, failed: 2 }));
    }

    #[test]
    fn nextest_is_read() {
        let line = "     Summary [   0.009s] 9 tests run: 5 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 1 exec failed, 3 skipped";
        assert_eq!(summary(line), Some(Count { passed: 5, failed: 4 }));
        let cut_short = "     Summary [   0.009s] 2/9 tests run: 2 passed, 0 skipped";
        assert_eq!(summary(cut_short), Some(Count { passed: 2, failed: 0 }));
    }

    #[test]
    fn other_lines_are_not() {
        assert_eq!(summary("test tests::passed ... ok"), None);
        assert_eq!(summary("3 passed, 1 failed"), None);
        // Nextest shows so, indented, what a test that failed printed; its own summary counts that test.
        assert_eq!(summary("    test result: FAILED. 0 passed; 1 failed; 0 ignored"), None);
    }

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(without_colours("\u{1b}[32;1m     Summary\u{1b}[0m [ 1s]"), "     Summary [ 1s]");
    }
}
