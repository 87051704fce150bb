#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const BUILD: BuildId = BuildId(1);

struct Log {
    folder: tempfile::TempDir,
    logs: Logs,
}

impl Log {
    fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        let log = Self { folder, logs };
        log.appends(bytes);
        log
    }

    fn appends(&self, bytes: &[u8]) {
        let at = self.logs.len(BUILD, StepFile::Log(1)).unwrap();
        self.logs.writer().append(BUILD, StepFile::Log(1), at, bytes).unwrap();
    }

    fn lines(&self) -> Lines {
        self.logs.lines(BUILD, 1).unwrap()
    }

    fn index(&self) -> std::path::PathBuf {
        self.folder.path().join("0/1/1.lines")
    }
}

/// What a plain reading gives.
fn told(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(|line| drawn_last(line).to_vec()).collect();
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        lines.pop();
    }
    lines
}

fn texts(lines: &Lines, first: u64, most: usize) -> Vec<(u64, String)> {
    let window = lines.window(first, most, 4000, usize::MAX).unwrap();
    window.into_iter().map(|l| (l.number, String::from_utf8_lossy(&l.bytes).into_owned())).collect()
}

#[test]
fn lines_have_their_true_numbers_wherever_reading_begins() {
    let text: String = (1..=95_002).map(|n| format!("line {n}\n")).collect();
    let log = Log::new(text.as_bytes());
    let lines = log.lines();
    assert_eq!(lines.count().unwrap(), 95_002);
    for first in [1, 500, 2282, 47_000, 95_000] {
        let expected: Vec<_> = (first..first + 3).map(|n| (n, format!("line {n}"))).collect();
        assert_eq!(texts(&lines, first, 3), expected);
        assert_eq!(lines.line_at(lines.start_of(first).unwrap()).unwrap(), first);
    }
    assert_eq!(texts(&lines, 95_003, 3), []);
    assert_eq!(lines.start_of(200_000).unwrap(), text.len() as u64);
}

#[test]
fn an_index_grows_with_its_log_and_is_mended_after_a_crash() {
    let piece = "four\n".repeat(40_000);
    let log = Log::new(piece.as_bytes());
    assert_eq!(log.lines().count().unwrap(), 40_000);
    log.appends(piece.as_bytes());
    log.appends(b"last");
    assert_eq!(log.lines().count().unwrap(), 80_001);
    let whole = std::fs::read(log.index()).unwrap();
    assert_eq!(whole.len() as u64, 400_004 / BLOCK * ENTRY);
    for wrong in [whole[..13].to_vec(), vec![0; whole.len()], [&whole[..8], &[0; 40]].concat(), whole.repeat(3)] {
        std::fs::write(log.index(), wrong).unwrap();
        let lines = log.lines();
        assert_eq!(lines.count().unwrap(), 80_001);
        assert_eq!(texts(&lines, 80_000, 9), [(80_000, "four".to_owned()), (80_001, "last".to_owned())]);
    }
}

#[test]
fn an_index_that_can_not_be_kept_is_done_without() {
    let log = Log::new("x\n".repeat(100_000).as_bytes());
    std::fs::create_dir(log.index()).unwrap();
    let lines = log.lines();
    assert_eq!(lines.count().unwrap(), 100_000);
    assert_eq!(texts(&lines, 77_777, 1), [(77_777, "x".to_owned())]);
}

#[test]
fn what_no_step_printed_has_no_lines() {
    let log = Log::new(b"");
    assert_eq!(log.lines().count().unwrap(), 0);
    let other = log.logs.lines(BUILD, 7).unwrap();
    assert_eq!((other.count().unwrap(), other.line_at(9).unwrap(), texts(&other, 1, 9)), (0, 1, vec![]));
}

#[test]
fn a_line_of_many_blocks_is_cut_and_passed_over() {
    let long = "y".repeat(5_000_000);
    let progress: String = (0..200_000).map(|n| format!("{n} %\r")).collect();
    let log = Log::new(format!("a\n{long}\nb\n{progress}\nc").as_bytes());
    let lines = log.lines();
    assert_eq!(lines.count().unwrap(), 5);
    let window = lines.window(1, 9, 4000, usize::MAX).unwrap();
    let told: Vec<_> = window.iter().map(|l| (l.number, l.bytes.len(), l.cut)).collect();
    assert_eq!(told, [(1, 1, 0), (2, 4000, 4_996_000), (3, 1, 0), (4, 8, 0), (5, 1, 0)]);
    assert_eq!(window[3].bytes, b"199999 %", "progress is shown as it was last");
}

#[test]
fn a_window_has_no_more_than_its_bytes() {
    let log = Log::new("0123456789\n".repeat(1000).as_bytes());
    assert_eq!(log.lines().window(1, 1000, 4000, 110).unwrap().len(), 10);
}

proptest! {
    #[test]
    fn any_log_is_read_as_it_stands(parts in prop::collection::vec((prop::sample::select(vec![
        "", "\n", "one\n", "two\r\n", "1 %\r2 %\r", "\r", "three",
    ]), 1usize..9000), 0..12), first in 1u64..40, most in 1usize..30) {
        let bytes: Vec<u8> = parts.iter().flat_map(|(text, times)| text.repeat(*times).into_bytes()).collect();
        let told = told(&bytes);
        let log = Log::new(&bytes);
        let lines = log.lines();
        prop_assert_eq!(lines.count().unwrap(), told.len() as u64);
        for first in [first, (told.len() as u64).saturating_sub(first).max(1)] {
            let window = lines.window(first, most, usize::MAX, usize::MAX).unwrap();
            let expected = told.iter().skip(usize::try_from(first).unwrap() - 1).take(most);
            for (line, expected) in window.iter().zip(expected.clone()) {
                // Of a line of many blocks only what is sure is shown.
                if expected.len() < 60_000 && line.cut == 0 {
                    prop_assert_eq!(&line.bytes, expected);
                }
            }
            prop_assert_eq!(window.len(), expected.count());
            prop_assert!(window.iter().zip(first..).all(|(line, number)| line.number == number));
        }
    }
}
