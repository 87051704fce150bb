//! Lines of a log by their numbers, however long it is: an index of how many line feeds there are up to each block of
//! the file, kept beside it.
//!
//! The index only ever says of bytes that are there what can be counted again: it is grown by whoever writes or reads,
//! one block after the other, and what a crash left of it in disorder is counted anew. Whatever is asked, few blocks are
//! read: logs of ten million empty lines and of one line of a gigabyte cost the same.

use super::Logs;
use super::content::Content;
use protocol::BuildId;
use protocol::wire::StepFile;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes of a block.
const BLOCK: u64 = 64 << 10;
/// Bytes of an entry: how many line feeds the log has up to the end of that block, under a mark.
const ENTRY: u64 = 8;
/// The mark of an entry: what was never written reads as zeros.
const MARK: u64 = 1 << 63;
/// Bytes read at once while counting.
const READ: usize = 1 << 20;

/// A line, cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// What it begins with, or what a carriage return left of it; without its line feed.
    pub bytes: Vec<u8>,
    /// Bytes left out behind those.
    pub cut: u64,
}

/// A log's lines, as of when it was opened.
#[derive(Debug)]
pub struct Lines {
    log: Option<Content>,
    index: Option<File>,
    /// The log's length.
    len: u64,
    /// Line feeds in all of it.
    feeds: u64,
}

impl Logs {
    /// The lines of a step's log.
    ///
    /// # Errors
    /// When the log or its index can't be read.
    pub fn lines(&self, build: BuildId, step: u32) -> io::Result<Lines> {
        let path = self.path(build, StepFile::Log(step));
        let Some(log) = Content::open(&path)? else { return Ok(Lines { log: None, index: None, len: 0, feeds: 0 }) };
        let len = log.len();
        // An index that can't be kept, as on a full disk, is only a slower one.
        let index = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.with_extension("lines"))
            .ok();
        // The index of a build that was begun anew meanwhile is another log's.
        let index = index.filter(|_| log.is_at(&path));
        let mut lines = Lines { log: Some(log), index, len, feeds: 0 };
        lines.feeds = lines.grow()?;
        Ok(lines)
    }
}

impl Lines {
    /// How many lines there are; a last one without its line feed counts, too.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn count(&self) -> io::Result<u64> {
        let open = self.len > 0 && self.byte(self.len - 1)? != Some(b'\n');
        Ok(self.feeds + u64::from(open))
    }

    /// How many line feeds there are.
    pub const fn feeds(&self) -> u64 {
        self.feeds
    }

    /// How many bytes there are.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Where a line begins; the log's end for one that there is not.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn start_of(&self, line: u64) -> io::Result<u64> {
        match line.checked_sub(2) {
            None => Ok(0),
            Some(feed) => Ok(self.feed(feed)?.map_or(self.len, |at| at + 1)),
        }
    }

    /// The number of the line that has the byte at `at`.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn line_at(&self, at: u64) -> io::Result<u64> {
        Ok(self.feeds_before(at.min(self.len))? + 1)
    }

    /// At most `most` lines from number `first` on, each cut to `cut` bytes, and no more of them than have `bytes` bytes
    /// together.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn window(&self, first: u64, most: usize, cut: usize, bytes: usize) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut number = first.max(1);
        let mut at = self.start_of(number)?;
        let (mut buffer, mut from) = (Vec::new(), at);
        let mut left = bytes;
        while at < self.len && lines.len() < most && left > 0 {
            let offset = usize::try_from(at - from).unwrap_or(usize::MAX);
            let rest = buffer.get(offset..).unwrap_or_default();
            let end = match memchr::memchr(b'\n', rest) {
                Some(end) => at + end as u64,
                None if from + (buffer.len() as u64) < self.len && rest.len() < BLOCK as usize => {
                    // Begin anew at the line: it may be whole then.
                    buffer = self.read(at, BLOCK as usize * 4)?;
                    from = at;
                    if buffer.is_empty() {
                        break;
                    }
                    continue;
                }
                None => self.feed(number - 1)?.unwrap_or(self.len),
            };
            let line = self.shown(number, at, end, rest, cut)?;
            left = left.saturating_sub(line.bytes.len() + 1);
            lines.push(line);
            number += 1;
            at = end + 1;
        }
        Ok(lines)
    }

    /// A line from `at` to its line feed at `end`, of which `have` are the first bytes.
    fn shown(&self, number: u64, at: u64, end: u64, have: &[u8], cut: usize) -> io::Result<Line> {
        let len = end - at;
        let whole = usize::try_from(len).ok().and_then(|len| have.get(..len));
        let (text, beyond) = match whole {
            Some(text) => (drawn_last(text).to_vec(), 0),
            None => {
                // What is drawn anew by carriage returns is shown as it was last, which stands at its end.
                let tail =
                    self.read(end.saturating_sub(BLOCK).max(at), usize::try_from(BLOCK.min(len)).unwrap_or(0))?;
                let last = drawn_last(&tail);
                if last.len() < tail.len() && tail.contains(&b'\r') {
                    (last.to_vec(), 0)
                } else {
                    (have.to_vec(), len - (have.len() as u64).min(len))
                }
            }
        };
        let keep = text.len().min(cut);
        let beyond = beyond + (text.len() - keep) as u64;
        Ok(Line { number, bytes: text[..keep].to_vec(), cut: beyond })
    }

    pub(super) fn read(&self, at: u64, limit: usize) -> io::Result<Vec<u8>> {
        self.log.as_ref().map_or_else(|| Ok(Vec::new()), |log| log.read(at, limit))
    }

    fn byte(&self, at: u64) -> io::Result<Option<u8>> {
        Ok(self.read(at, 1)?.first().copied())
    }

    /// How many line feeds there are before a byte.
    fn feeds_before(&self, at: u64) -> io::Result<u64> {
        let block = at / BLOCK;
        let before = self.up_to(block)?;
        let rest = self.read(block * BLOCK, usize::try_from(at % BLOCK).unwrap_or(0))?;
        Ok(before + count(&rest))
    }

    /// Where the line feed number `n` is, counted from 0.
    fn feed(&self, n: u64) -> io::Result<Option<u64>> {
        if n >= self.feeds {
            return Ok(None);
        }
        // The first block with more than `n` line feeds up to its end.
        let (mut low, mut high) = (0, self.len.div_ceil(BLOCK));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.up_to(middle + 1)? > n { high = middle } else { low = middle + 1 }
        }
        let before = self.up_to(low)?;
        let bytes = self.read(low * BLOCK, usize::try_from(BLOCK).unwrap_or(usize::MAX))?;
        let wanted = usize::try_from(n - before).unwrap_or(usize::MAX);
        Ok(memchr::memchr_iter(b'\n', &bytes).nth(wanted).map(|at| low * BLOCK + at as u64))
    }

    /// How many line feeds the first `blocks` blocks have.
    fn up_to(&self, blocks: u64) -> io::Result<u64> {
        if blocks == 0 {
            return Ok(0);
        }
        if blocks * BLOCK > self.len {
            return Ok(self.feeds);
        }
        match self.entry(blocks - 1) {
            Some(feeds) => Ok(feeds),
            // There is no index: count as far as it goes.
            None => self.counted(0, 0, blocks, |_, _| {}),
        }
    }

    fn entry(&self, block: u64) -> Option<u64> {
        let mut bytes = [0; ENTRY as usize];
        self.index.as_ref()?.read_exact_at(&mut bytes, block * ENTRY).ok()?;
        let value = u64::from_le_bytes(bytes);
        (value & MARK != 0).then_some(value & !MARK)
    }

    /// Counts blocks from `from` up to `to`, of which `feeds` line feeds are before; tells each block's end.
    fn counted(&self, from: u64, feeds: u64, to: u64, mut tell: impl FnMut(u64, u64)) -> io::Result<u64> {
        let mut feeds = feeds;
        let (mut block, at_once) = (from, READ as u64 / BLOCK);
        while block < to {
            let blocks = at_once.min(to - block);
            let bytes = self.read(block * BLOCK, usize::try_from(blocks * BLOCK).unwrap_or(READ))?;
            for piece in bytes.chunks(usize::try_from(BLOCK).unwrap_or(READ)) {
                feeds += count(piece);
                tell(block, feeds);
                block += 1;
            }
            if bytes.is_empty() {
                break;
            }
        }
        Ok(feeds)
    }

    /// Brings the index up to the log's whole blocks; gives how many line feeds all of it has.
    fn grow(&self) -> io::Result<u64> {
        let whole = self.len / BLOCK;
        let indexed = self.index.as_ref().and_then(|index| index.metadata().ok()).map_or(0, |m| m.len() / ENTRY);
        let mut have = indexed.min(whole);
        // Entries are written in order, but a crash keeps any of them.
        while have > 0 && self.entry(have - 1).is_none() {
            have -= 1;
        }
        let before = if have == 0 { 0 } else { self.entry(have - 1).unwrap_or(0) };
        let feeds = self.counted(have, before, whole, |block, feeds| {
            if let Some(index) = &self.index {
                let _ = index.write_all_at(&(feeds | MARK).to_le_bytes(), block * ENTRY);
            }
        })?;
        let rest = self.read(whole * BLOCK, usize::try_from(self.len % BLOCK).unwrap_or(0))?;
        Ok(feeds + count(&rest))
    }
}

fn count(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// What is to be seen of a line: what follows its last carriage return but for those at its end.
fn drawn_last(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| *b != b'\r').map_or(0, |at| at + 1);
    let line = &line[..end];
    line.iter().rposition(|b| *b == b'\r').map_or(line, |at| &line[at + 1..])
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
