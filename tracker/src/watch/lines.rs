//! What servers say of their refs, in git's packet lines and in plain text.

use super::Head;
use gix_packetline::PacketLineRef;
use gix_packetline::decode::{Stream, streaming};
use protocol::CommitId;
use std::collections::HashMap;

/// The question of protocol v2: which refs begin with these names.
pub(super) fn ls_refs(names: &[String]) -> Vec<u8> {
    let mut question = Vec::new();
    let mut line = |text: &str| question.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
    line("command=ls-refs\n");
    line("agent=bb\n");
    question.extend_from_slice(b"0001");
    let mut line = |text: &str| question.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
    for name in names {
        line(&format!("ref-prefix {name}\n"));
    }
    question.extend_from_slice(b"0000");
    question
}

/// What has been found of the refs so far.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// More must be read.
    NotYet,
    /// The answer is complete as far as these refs go: where each of them is, in the order in which they were named.
    Surely(Vec<Head>),
}

/// Refs that are looked for, and where those are that were met.
struct Wanted {
    /// The place of each in the order in which they were named.
    names: HashMap<Vec<u8>, usize>,
    found: Vec<Head>,
    left: usize,
}

impl Wanted {
    fn of(names: &[String]) -> Self {
        let places: HashMap<_, _> = names.iter().enumerate().map(|(at, name)| (name.as_bytes().to_vec(), at)).collect();
        Self { left: places.len(), found: vec![Head::Absent; names.len()], names: places }
    }

    /// Takes a ref in, if it is wanted. Of one that is named twice the first word counts, as it does for git.
    fn meet(&mut self, id: &[u8], name: &[u8]) -> Result<(), &'static str> {
        if let Some(at) = self.names.get(name)
            && self.found[*at] == Head::Absent
        {
            self.found[*at] = Head::At(commit(id)?);
            self.left -= 1;
        }
        Ok(())
    }

    fn all(&mut self) -> Found {
        Found::Surely(std::mem::take(&mut self.found))
    }
}

/// Reads the packet lines of an answer piece by piece and looks for refs in them.
pub(super) struct Lines {
    wanted: Wanted,
    rest: Vec<u8>,
    form: Form,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    /// An answer to `ls-refs`: refs, then a flush.
    LsRefs,
    /// An advertisement, before `# service=…` was seen or not.
    Start,
    /// Within the refs of an advertisement.
    Refs,
}

impl Lines {
    pub(super) fn of_ls_refs(names: &[String]) -> Self {
        Self { wanted: Wanted::of(names), rest: Vec::new(), form: Form::LsRefs }
    }

    pub(super) fn of_advertisement(names: &[String]) -> Self {
        Self { wanted: Wanted::of(names), rest: Vec::new(), form: Form::Start }
    }

    /// Takes the next piece of the answer.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Found, &'static str> {
        self.rest.extend_from_slice(piece);
        let rest = std::mem::take(&mut self.rest);
        let mut at = 0;
        let found = loop {
            match streaming(&rest[at..]) {
                Err(_) => return Err("it is not in git's packet lines"),
                Ok(Stream::Incomplete { .. }) => break Found::NotYet,
                Ok(Stream::Complete { line, bytes_consumed }) => {
                    at += bytes_consumed;
                    if let found @ Found::Surely(_) = self.line(line)? {
                        break found;
                    }
                }
            }
        };
        self.rest.extend_from_slice(&rest[at..]);
        Ok(found)
    }

    fn line(&mut self, line: PacketLineRef<'_>) -> Result<Found, &'static str> {
        let data = match line {
            PacketLineRef::Data(data) => data,
            PacketLineRef::Flush if self.form == Form::Start => {
                self.form = Form::Refs;
                return Ok(Found::NotYet);
            }
            PacketLineRef::Flush => return Ok(self.wanted.all()),
            PacketLineRef::Delimiter | PacketLineRef::ResponseEnd => {
                return Err("a packet of a kind that has no place here");
            }
        };
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        if data.starts_with(b"ERR ") {
            return Err("it refuses with a message");
        }
        if self.form == Form::Start && (data.starts_with(b"# service=") || data == b"version 1") {
            return Ok(Found::NotYet);
        }
        if self.form != Form::LsRefs {
            self.form = Form::Refs;
            if data.starts_with(b"version ") {
                return Ok(Found::NotYet);
            }
        }
        // `ID NAME`, followed by a NUL and capabilities, or a blank and attributes.
        let split = data.iter().position(|&b| b == b' ').ok_or("a line without a ref")?;
        let (id, name) = (&data[..split], &data[split + 1..]);
        let name = name.split(|&b| b == 0 || b == b' ').next().unwrap_or_default();
        if id != b"unborn" {
            self.wanted.meet(id, name)?;
        }
        Ok(if self.wanted.left == 0 { self.wanted.all() } else { Found::NotYet })
    }
}

/// The longest line that has a ref in it, in bytes; nothing longer is a name that git takes.
const MAX_LINE: usize = 4096;

/// Looks for refs in lines of `ID<tab>NAME`, as `info/refs` and `git ls-remote` have them, piece by piece.
pub(super) struct Text {
    wanted: Wanted,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

impl Text {
    pub(super) fn looking_for(names: &[String]) -> Self {
        Self { wanted: Wanted::of(names), rest: Vec::new() }
    }

    /// Takes the next piece.
    pub(super) fn take(&mut self, mut piece: &[u8]) -> Result<(), &'static str> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            if self.rest.is_empty() {
                self.line(&piece[..end])?;
            } else {
                self.keep(&piece[..end])?;
                let line = std::mem::take(&mut self.rest);
                self.line(&line)?;
            }
            piece = &piece[end + 1..];
        }
        self.keep(piece)
    }

    /// Where the refs are, when all was taken.
    pub(super) fn end(mut self) -> Result<Vec<Head>, &'static str> {
        let line = std::mem::take(&mut self.rest);
        self.line(&line)?;
        Ok(self.wanted.found)
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), &'static str> {
        if self.rest.len() + part.len() > MAX_LINE {
            return Err("a line that is longer than a ref can be");
        }
        self.rest.extend_from_slice(part);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if line.is_empty() {
            return Ok(());
        }
        let tab = memchr::memchr(b'\t', line).ok_or("a line that is not an id, a tab and a name")?;
        // Also of those that nobody looks for: a page of HTML is no list.
        commit(&line[..tab])?;
        self.wanted.meet(&line[..tab], &line[tab + 1..])
    }
}

/// The same in a text that is there whole.
pub(super) fn find_in_text(text: &[u8], names: &[String]) -> Result<Vec<Head>, &'static str> {
    let mut lines = Text::looking_for(names);
    lines.take(text)?;
    lines.end()
}

fn commit(id: &[u8]) -> Result<CommitId, &'static str> {
    std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()).ok_or("a ref whose id is not one")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn at(id: &str) -> Found {
        Found::Surely(vec![Head::At(id.parse().unwrap())])
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("refs/heads/{name}")).collect()
    }

    #[test]
    fn many_refs_are_found_in_one_answer() {
        let asked = String::from_utf8(ls_refs(&names(&["x", "y"]))).unwrap();
        assert!(asked.ends_with("001cref-prefix refs/heads/x\n001cref-prefix refs/heads/y\n0000"), "{asked}");
        let (y, x) = (format!("{A} refs/heads/y\n"), format!("{B} refs/heads/x\n"));
        let (v2, text) = (packets(&[&y, &x, ""]), format!("{A}\trefs/heads/y\n{B}\trefs/heads/x\n"));
        let wanted = names(&["x", "gone", "y"]);
        let found = vec![Head::At(B.parse().unwrap()), Head::Absent, Head::At(A.parse().unwrap())];
        for piece in [1, 7, 1000] {
            assert_eq!(find(Lines::of_ls_refs(&wanted), &v2, piece), Ok(Found::Surely(found.clone())));
        }
        assert_eq!(find_in_text(text.as_bytes(), &wanted), Ok(found));
        // Nobody waits for the rest of an answer that has all already.
        let cut = &v2[..v2.len() - 4];
        assert_eq!(find(Lines::of_ls_refs(&wanted), cut, 5), Ok(Found::NotYet));
        assert!(matches!(find(Lines::of_ls_refs(&names(&["x", "y"])), cut, 5), Ok(Found::Surely(_))));
    }

    fn packets(lines: &[&str]) -> Vec<u8> {
        let one = |line: &&str| match *line {
            "" => "0000".to_owned(),
            line => format!("{:04x}{line}", line.len() + 4),
        };
        lines.iter().map(one).collect::<String>().into_bytes()
    }

    fn find(mut lines: Lines, answer: &[u8], piece: usize) -> Result<Found, &'static str> {
        for piece in answer.chunks(piece.max(1)) {
            if let found @ Found::Surely(_) = lines.take(piece)? {
                return Ok(found);
            }
        }
        Ok(Found::NotYet)
    }

    #[test]
    fn the_question_is_git_s() {
        let asked = String::from_utf8(ls_refs(&names(&["x"]))).unwrap();
        assert_eq!(asked, "0014command=ls-refs\n000dagent=bb\n0001001cref-prefix refs/heads/x\n0000");
    }

    #[test]
    fn answers_of_every_form_are_read() {
        let (xy, x) = (format!("{A} refs/heads/xy\n"), format!("{B} refs/heads/x symref-target:y\n"));
        let v2 = packets(&[&xy, &x, ""]);
        let first = format!("{A} HEAD\0multi_ack agent=x\n");
        let v0 = packets(&["# service=git-upload-pack\n", "", &first, &xy, &format!("{B} refs/heads/x\n"), ""]);
        for piece in [1, 3, 1000] {
            assert_eq!(find(Lines::of_ls_refs(&names(&["x"])), &v2, piece), Ok(at(B)));
            assert_eq!(find(Lines::of_advertisement(&names(&["x"])), &v0, piece), Ok(at(B)));
            assert_eq!(
                find(Lines::of_advertisement(&names(&["z"])), &v0, piece),
                Ok(Found::Surely(vec![Head::Absent]))
            );
        }
        let none = packets(&[""]);
        assert_eq!(find(Lines::of_ls_refs(&names(&["x"])), &none, 9), Ok(Found::Surely(vec![Head::Absent])));
        assert!(find(Lines::of_ls_refs(&names(&["x"])), b"<html>", 9).is_err());
        assert!(find(Lines::of_ls_refs(&names(&["x"])), &packets(&["ERR go away"]), 9).is_err());
        let text = format!("{A}\trefs/heads/xy\n{B}\trefs/heads/x\n{A}\trefs/tags/v^{{}}\n");
        assert_eq!(find_in_text(text.as_bytes(), &names(&["x"])), Ok(vec![Head::At(B.parse().unwrap())]));
        assert_eq!(find_in_text(b"", &names(&["x"])), Ok(vec![Head::Absent]));
        assert!(find_in_text(b"<html>\n", &names(&["x"])).is_err());
        for piece in [1, 7, 60] {
            let mut lines = Text::looking_for(&names(&["x"]));
            text.as_bytes().chunks(piece).for_each(|piece| lines.take(piece).unwrap());
            assert_eq!(lines.end(), Ok(vec![Head::At(B.parse().unwrap())]));
        }
        // A line without an end is not kept.
        let mut lines = Text::looking_for(&names(&["x"]));
        let taken = (0..100).take_while(|_| lines.take(&[b'a'; 1000]).is_ok()).count();
        assert!(taken <= 4 && lines.rest.len() <= MAX_LINE, "{taken}");
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes: Vec<u8>, piece in 1usize..50) {
            let _ = find(Lines::of_ls_refs(&names(&["x"])), &bytes, piece);
            let _ = find(Lines::of_advertisement(&names(&["x"])), &bytes, piece);
            let _ = find_in_text(&bytes, &names(&["x"]));
        }
    }
}
