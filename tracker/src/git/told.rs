//! What git's words mean to whoever runs bb, in one line. What git adds for a person at a terminal (advice, paragraphs) is no part of it:
//! that stands in the log alone.

use crate::text::shortened;
use protocol::Hint;

/// The longest line of git's own that is said.
const LONGEST: usize = 300;

/// What stands in git's way on the machine that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    RefLocked,
    Locked,
    DiskFull,
    Quota,
    ReadOnly,
    NoRight,
    TooManyFiles,
    NoMemory,
    BadDisk,
}

/// An obstacle, and words of git and the system for it: English, as `LC_ALL` is ours.
const OBSTACLES: [(Obstacle, &[&str]); 8] = [
    (Obstacle::Locked, &[".lock': File exists"]),
    (Obstacle::DiskFull, &["No space left on device"]),
    (Obstacle::Quota, &["Disk quota exceeded"]),
    (Obstacle::ReadOnly, &["Read-only file system"]),
    (Obstacle::NoRight, &["Permission denied", "Operation not permitted", "insufficient permission"]),
    (Obstacle::TooManyFiles, &["Too many open files"]),
    (
        Obstacle::NoMemory,
        &["Cannot allocate memory", "ut of memory", "Resource temporarily unavailable", "unable to create thread"],
    ),
    (Obstacle::BadDisk, &["Input/output error", "Structure needs cleaning"]),
];

impl Obstacle {
    /// Found in a line, if it tells of one.
    fn in_line(line: &str) -> Option<Self> {
        let (found, _) = OBSTACLES.iter().find(|(_, words)| words.iter().any(|word| line.contains(word)))?;
        let of_ref = ["/refs/", "packed-refs.lock", "HEAD.lock"].iter().any(|part| line.contains(part));
        Some(if *found == Self::Locked && of_ref { Self::RefLocked } else { *found })
    }

    fn words(self) -> &'static str {
        match self {
            Self::RefLocked | Self::Locked => "a file is locked, by another git or by one that was killed",
            Self::DiskFull => "the disk is full",
            Self::Quota => "the disk quota is used up",
            Self::ReadOnly => "the disk is mounted read-only",
            Self::NoRight => "reading or writing there is not allowed",
            Self::TooManyFiles => "too many files are open",
            Self::NoMemory => "the machine has no memory or no process left for it",
            Self::BadDisk => "the disk can't be read or written",
        }
    }

    fn hint(self) -> Hint {
        match self {
            Self::RefLocked => Hint::by_bb(
                "removes a lock that nobody holds, and tries again; if it goes on, an admin removes the file that is named",
            ),
            Self::Locked => Hint::by_admin("removes the file that is named if no git runs there; bb tries again"),
            Self::DiskFull | Self::Quota => Hint::by_admin("makes room on the disk; bb tries again"),
            Self::ReadOnly => Hint::by_admin("mounts the disk so that it can be written; bb tries again"),
            Self::NoRight => Hint::by_admin("gives bb's user the rights to what is named; bb tries again"),
            Self::TooManyFiles => Hint::by_admin("lets bb's user open more files (`ulimit -n`); bb tries again"),
            Self::NoMemory => Hint::by_bb("tries again; if it goes on, an admin gives the machine more memory"),
            Self::BadDisk => Hint::by_admin("looks at the disk; bb tries again"),
        }
    }
}

/// What git said, in one line: what it means, if that is known, and the line that tells it.
pub(crate) fn in_one_line(stderr: &str) -> String {
    let line = telling_line(stderr).trim_end_matches('.');
    match Obstacle::in_line(line) {
        Some(obstacle) => format!("{} ({})", obstacle.words(), shortened(line, LONGEST)),
        None => shortened(line, LONGEST),
    }
}

/// Who does what about it, if it is known what stands in the way.
pub(super) fn hint(stderr: &str) -> Option<Hint> {
    Obstacle::in_line(telling_line(stderr)).map(Obstacle::hint)
}

/// The line of what git said that tells what was wrong, without git's mark before it.
fn telling_line(stderr: &str) -> &str {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    // What the other side says of itself is no proof of anything.
    let own = || lines().filter(|line| !line.starts_with("remote: ") && !line.contains("remote error: "));
    let marked = |mark: &'static str| own().find(move |line| line.starts_with(mark));
    let plain = |line: &&str| !["hint: ", "warning: "].iter().any(|mark| line.starts_with(mark));
    let found = own().find(|line| Obstacle::in_line(line).is_some());
    // The first says what happened, the last only that nothing came of it.
    let found = found.or_else(|| marked("error: ")).or_else(|| marked("fatal: "));
    let found = found.or_else(|| own().find(plain)).or_else(|| lines().next()).unwrap_or_default();
    bare(found)
}

/// A line without git's marks before it.
pub(crate) fn bare(line: &str) -> &str {
    let mut line = line.trim();
    while let Some(rest) = ["remote: ", "fatal: ", "error: "].iter().find_map(|mark| line.strip_prefix(mark)) {
        line = rest.trim_start();
    }
    line
}

/// The same words where the other side of a talk is bb's own git: its lines are as good as those of this one.
pub(crate) fn of_both_sides(stderr: &str) -> String {
    stderr.lines().map(|line| line.strip_prefix("remote: ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use protocol::Acts;

    const LOCKED: &str = "error: cannot lock ref 'refs/branches/a/r1': Unable to create '…/heron.git/refs/branches/a/r1.lock': File exists.\n\nAnother git process seems to be running in this repository, e.g.\nan editor opened by 'git commit'. Please make sure all processes\nare terminated then try again. If it still fails, a git process\nmay have crashed in this repository earlier:\nremove the file manually to continue.\nfatal: the ref could not be written\n";

    #[test]
    fn words_of_several_lines_become_one_with_what_it_means_and_who_does_what() {
        let cases = [
            (LOCKED, "a file is locked, by another git or by one that was killed (cannot lock ref", Acts::Bb),
            (
                "fatal: Unable to create '…/heron.git/config.lock': File exists.\n\nAnother git process seems to be running\n",
                "a file is locked, by another git or by one that was killed (Unable to create '…/heron.git/config.lock'",
                Acts::Admin,
            ),
            (
                "error: unable to write file …/objects/ab/cd: No space left on device\nfatal: unable to write loose object file\n",
                "the disk is full (unable to write file …/objects/ab/cd: No space left on device)",
                Acts::Admin,
            ),
            (
                "error: insufficient permission for adding an object to repository database …/objects\n\nfatal: failed to write object\n",
                "reading or writing there is not allowed (insufficient permission",
                Acts::Admin,
            ),
            (
                "warning: x\nfatal: cannot create directory at 'a': Read-only file system\nhint: y\n",
                "the disk is mounted read-only (cannot create directory",
                Acts::Admin,
            ),
            (
                "fatal: unable to create thread: Resource temporarily unavailable\n",
                "the machine has no memory or no process left for it",
                Acts::Bb,
            ),
        ];
        for (said, told, acts) in cases {
            let line = in_one_line(said);
            assert!(line.starts_with(told) && !line.contains('\n') && !line.contains("Another git"), "{line}");
            assert_eq!(hint(said).unwrap().acts(), acts, "{said}");
        }
    }

    #[test]
    fn of_other_words_the_line_that_tells_is_taken() {
        let cases = [
            ("hint: try it\n\nfatal: bad revision 'x'\n", "bad revision 'x'"),
            ("warning: a\nerror: b\nerror: c\nfatal: d\n", "b"),
            ("remote: nothing\nplain words\nand more\n", "plain words"),
            ("remote: error: no pushes today\n", "no pushes today"),
            ("hint: only this\n", "hint: only this"),
            ("", ""),
        ];
        for (said, line) in cases {
            assert_eq!(in_one_line(said), line, "{said}");
            assert_eq!(hint(said), None);
        }
        assert!(in_one_line(&"x".repeat(4000)).chars().count() <= LONGEST + 1);
    }

    #[test]
    fn what_another_side_says_of_itself_is_no_obstacle_here() {
        let said = "remote: fatal: write error: No space left on device\nfatal: the remote end hung up unexpectedly\n";
        assert_eq!(in_one_line(said), "the remote end hung up unexpectedly");
        assert_eq!(hint(said), None);
        let own = of_both_sides(said);
        assert_eq!(in_one_line(&own), "the disk is full (write error: No space left on device)");
    }
}
