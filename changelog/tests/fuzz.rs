//! Files as people have them, broken at random in all the ways that files break: whatever comes of it is survived, and parsed and printed it is the same.
//!
//! The same rounds each time; `FUZZ_ROUNDS=1000000` runs as many more of them as one has patience for, `FUZZ_SEED` others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use changelog::{
    BranchChangeLog, ChangeLog, DatePolicy, Encoding, FoldOptions, Format, Fragment, MergeOptions, Place,
    check_changelog, check_fragment, fold, fold_branch, merge, merge_as_text, not_in_diff,
};
use jiff::civil::{Date, date};

const DAY: Date = date(2024, 3, 5);
const SEEDS: [&str; 7] = [
    "2024-02-01  Bob Beh  <bob@example.org>\n\n\t* src/a.c (f, g): Change it.\n\t(h) [X]: Likewise.\n\n\t* b.{c,h}: New.\n\n2024-01-30  Ann  <ann@example.org>\n\t    Co A  <co@example.org>\n\n\t* c.c: Old.\n\n\x0c\nLocal Variables:\nmode: change-log\nEnd:\n",
    "Sun Jul 29 20:02:41 2007  A B  <a@b>\r\n\r\n\t* x.el (y): Z.\r\n\r\nThu Mar  1 02:00:00 CET 2007  C D (c at d)\r\n\r\n\t* q: R.\r\n",
    "-*- mode -*-\n\n2009-18-02  X\n\n        * a: \u{1b}$B%F\u{1b}(B b.\n\n2012-08-??  Y  <y@>\n* flush: left\n\nVersion 1 released\n=====\n",
    "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One.\n  More.\n\n## [1.0.0] - 2024-01-01\n\n### Fixed\n\n- Two.\n\n[Unreleased]: https://x/\n",
    "heron (1.2-1) UNRELEASED; urgency=medium\n\n  [ Ann ]\n  * One.\n\n -- Ann <ann@x>  Tue, 05 Mar 2024 10:00:00 +0100\n",
    "News\n====\n\n.. towncrier release notes start\n\n1.0 (2024-01-01)\n----------------\n\n- Three.\n",
    "* Noteworthy changes in release ?.? (????-??-??) [?]\n\n** Bug fixes\n\n  cp no longer eats.\n\n* Noteworthy changes in release 1.0 (2020-01-01) [stable]\n",
];
const SHARDS: [&[u8]; 18] = [
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\0",
    b"\xff\xfe",
    b"2024-02-30  ",
    b"<<<<<<< ours\n",
    b"=======\n",
    b">>>>>>> theirs\n",
    b"(((((((",
    b"\x1b$B",
    b"\t* ",
    b"## [Unreleased]\n",
    b" -- ",
    b"Copyright (C) 1999\n",
    b"<a@b",
    b"\x0c\n",
];

/// A xorshift: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (below.max(1) as u64)).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.next(from.len())]
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.next(len + 1);
        let longest = (len - start).min(1 + self.next(80));
        start..start + self.next(longest + 1)
    }

    /// A file, broken up to `times` times.
    fn broken(&mut self, file: &[u8], times: usize) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..self.next(times + 1) {
            let at = self.next(file.len() + 1);
            match self.next(7) {
                0 => _ = file.splice(at..at, self.pick(&SHARDS).iter().copied()),
                1 => {
                    let gone = self.range(file.len());
                    file.drain(gone);
                }
                2 => {
                    let again = self.range(file.len());
                    let again = file[again].to_vec();
                    file.splice(at..at, again);
                }
                3 => file.truncate(at),
                4 if at < file.len() => file[at] ^= 1 << self.next(8),
                5 => {
                    let other = self.pick(&SEEDS).as_bytes();
                    let part = self.range(other.len());
                    file.splice(at..at, other[part].iter().copied());
                }
                _ => {
                    let lines: Vec<&[u8]> = file.split_inclusive(|&b| b == b'\n').collect();
                    let (a, b) = (self.next(lines.len()), self.next(lines.len()));
                    let mut lines: Vec<Vec<u8>> = lines.into_iter().map(<[u8]>::to_vec).collect();
                    if !lines.is_empty() {
                        lines.swap(a, b);
                    }
                    file = lines.concat();
                }
            }
        }
        file
    }
}

fn survive(dice: &mut Dice) {
    let base = dice.pick(&SEEDS).as_bytes();
    let base = dice.broken(base, 4);
    let (ours, theirs) = (dice.broken(&base, 6), dice.broken(&base, 6));

    let log = ChangeLog::parse(&ours);
    assert_eq!(log.print(), ours, "{:?}", String::from_utf8_lossy(&ours));
    let mut at = log.preamble().len();
    for entry in log.entries() {
        assert_eq!(entry.offset(), at);
        at += entry.bytes().len();
        let (header, items) = (entry.header(), entry.items());
        assert!(header.authors.len() <= ours.len() && items.count() <= ours.len());
    }
    assert_eq!(at + log.trailer().len(), ours.len());
    assert!(check_changelog(b"ChangeLog", &ours, &FoldOptions::default()).len() <= ours.len());

    let options = MergeOptions::default();
    let merged = merge(&base, &ours, &theirs, &options);
    assert_eq!(merged, merge(&base, &ours, &theirs, &options));
    assert_eq!(merge(&base, &ours, &base, &options).bytes, ours);
    assert_eq!(merge(&base, &ours, &ours, &options).bytes, ours);
    let size = base.len() + ours.len() + theirs.len();
    assert!(merged.bytes.len() <= 4 * size + 1000, "{} of {size}", merged.bytes.len());
    merge_as_text(&base, &ours, &theirs, &options.markers);

    let place = Place::new("ChangeLog");
    let fragments: Vec<Fragment<'_>> = ["repo.ChangeLog", "changelog-fragments/1.bugfix.md"]
        .into_iter()
        .filter_map(|path| place.fragment(path.as_bytes(), &theirs))
        .collect();
    for fragment in &fragments {
        check_fragment(fragment, Encoding::Utf8, DatePolicy::Author);
        not_in_diff(fragment, &[b"src/a.c"]);
    }
    for format in [
        None,
        Some(Format::Gnu),
        Some(Format::KeepAChangelog),
        Some(Format::Debian),
        Some(Format::Towncrier),
        Some(Format::News),
    ] {
        let options = FoldOptions { format, ..FoldOptions::default() };
        let file =
            BranchChangeLog { path: b"ChangeLog", base: Some(&base), mainline: Some(&ours), branch: Some(&theirs) };
        if let Ok(folded) = fold_branch(&file, &fragments, DAY, &options) {
            assert!(folded.added.end <= folded.changelog.len());
        }
        let Ok(folded) = fold(b"ChangeLog", Some(&ours), &fragments[..1], DAY, &options) else { continue };
        assert!(folded.changelog.get(folded.added.clone()).is_some());
        if format == Some(Format::Gnu) {
            // Nothing of what was there is lost or moved; only blank lines are set.
            let (above, below) = (&folded.changelog[..folded.added.start], &folded.changelog[folded.added.end..]);
            assert_eq!(bare(&[above, below].concat()), bare(&ours), "{:?}", String::from_utf8_lossy(&ours));
        }
    }
}

/// The text without anything that is blank.
fn bare(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)).collect()
}

#[test]
fn broken_files_are_survived() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let (rounds, seed) = (number("FUZZ_ROUNDS", 4000), number("FUZZ_SEED", 1));
    for round in 0..rounds {
        let mut dice = Dice((seed << 32) + round + 0x9e37_79b9);
        let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| survive(&mut dice)));
        assert!(shown.is_ok(), "FUZZ_SEED={seed}, round {round}: the reason stands above");
    }
}
