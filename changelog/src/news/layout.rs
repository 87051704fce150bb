//! A file that is written by version: its sections, and the one that news goes into. There is one such section or none; where
//! that is not clear, nothing is guessed.

use std::ops::Range;

use jiff::civil::Date;

use super::days::Day;
use super::headings::{Form, Heading, Markup, Scanned, bullet, scan};
use super::outline::Outline;
use super::title::{Kind, Sure, Title, is_before_release, is_series};
use crate::folded::{FoldError, Unclear};
use crate::lines::{LineCounter, blank_head, is_blank, lines, lossy, trim, trim_end};

/// A longer line below a heading is none that says when it was released.
const LONGEST_STATUS: usize = 100;

/// So many headings below one are looked at to see whether it only stands above those of versions.
const NEAR: usize = 20;

/// A section of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Its heading.
    pub(crate) heading: Heading,
    pub(crate) title: Title,
    /// All of it, heading and all, without what belongs to the heading that follows.
    pub(crate) range: Range<usize>,
    /// The line below the heading that says when it was released, or that it was not, where the heading does not.
    pub(crate) status: Option<Status>,
}

/// A line such as `Unreleased` or `Released 2024-01-02` below the heading of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Its text in the file, without the line end.
    pub(crate) text: Range<usize>,
    /// The day that it names; its range is within the text.
    pub(crate) day: Option<Day>,
}

impl Version {
    /// The day of its release, as far as it is said.
    pub(crate) fn day(&self) -> Option<Date> {
        let below = self.status.as_ref().and_then(|status| status.day.as_ref());
        self.title.day.as_ref().or(below).map(|day| day.date)
    }
}

/// A file's sections.
#[derive(Clone, Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) markup: Markup,
    pub(crate) headings: Outline,
    scanned: Scanned,
    pub(crate) versions: Vec<Version>,
    /// The level that versions have; patch releases may stand below it.
    pub(crate) level: Option<usize>,
    /// Where news may stand at the earliest: below the line that towncrier writes, if there is one.
    pub(crate) top: usize,
    /// Where the link references at the file's end start.
    pub(crate) trailer: usize,
}

impl<'a> Layout<'a> {
    /// Reads a file, of which only what stands below `top` counts.
    pub(crate) fn of(path: &[u8], text: &'a [u8], top: usize) -> Self {
        Self::with_markup(Markup::of(path, text), text, top)
    }

    pub(crate) fn with_markup(markup: Markup, text: &'a [u8], top: usize) -> Self {
        let mut scanned = scan(text, markup);
        // Nothing may stand in the sample or comment that the mark is part of.
        let top = scanned.below(top);
        let trailer = links_start(text).max(top);
        let mut headings = std::mem::take(&mut scanned.headings);
        headings.retain(|h| h.lines.start < trailer);
        let read = |h: &Heading| Title::read(&text[h.title.clone()]);
        let mut titles: Vec<Title> = headings.iter().map(read).collect();
        for n in 0..headings.len() {
            if is_group(text, &headings, &titles, n) {
                titles[n] = Title::default();
            }
        }
        let level = level_of(&headings, &titles, top);
        let counts = counted(&headings, &titles, top, level);
        let mut versions: Vec<Version> = Vec::new();
        for (n, (heading, title)) in headings.iter().zip(titles).enumerate() {
            if !counts[n] {
                continue;
            }
            let ends = (n + 1..headings.len()).find(|&m| counts[m] || headings[m].level <= heading.level);
            // The heading right above may be one within this section: what marks it is its own.
            let end = ends
                .map_or(trailer, |m| with_anchors(text, &scanned, headings[m].lines.start, headings[m - 1].lines.end));
            versions.push(Version { heading: heading.clone(), title, range: heading.lines.start..end, status: None });
        }
        let mut layout =
            Self { text, markup, headings: Outline::new(headings), scanned, versions, level, top, trailer };
        layout.read_statuses();
        layout
    }

    /// Reads what stands below headings that name a version and neither its day nor that it is open.
    fn read_statuses(&mut self) {
        let mut found = Vec::new();
        for (n, version) in self.versions.iter().enumerate() {
            let says = version.title.day.is_some() || version.title.is_open() || version.title.version.is_none();
            if let Some((status, is_open)) = self.status_of(version).filter(|_| !says) {
                found.push((n, status, is_open));
            }
        }
        for (n, status, is_open) in found {
            let version = &mut self.versions[n];
            version.status = Some(status);
            if is_open {
                version.title.kind = Kind::Open(Sure::Plainly);
            }
        }
    }

    /// The line below a version's heading, if it says no more than when it was released, and whether it says that it was not.
    fn status_of(&self, version: &Version) -> Option<(Status, bool)> {
        let below = version.heading.lines.end;
        let start = below + blank_head(self.text.get(below..version.range.end)?);
        let line = lines(&self.text[start..version.range.end]).next()?;
        if bullet(line).is_some() || self.hides(start) || self.headings.has_line(start) || line.len() > LONGEST_STATUS {
            return None;
        }
        let shown = trim_end(line);
        let title = Title::read(shown);
        let text = start..start + shown.len();
        match title.kind {
            Kind::Open(Sure::Plainly) if title.version.is_none() => Some((Status { text, day: None }, true)),
            Kind::Version(Sure::Plainly) if title.version.is_none() => Some((Status { text, day: title.day }, false)),
            _ => None,
        }
    }

    /// The section that news goes into, if there is one.
    ///
    /// # Errors
    /// When there are several, or it is not clear whether one is released.
    pub(crate) fn open(&self, path: &[u8]) -> Result<Option<&Version>, FoldError> {
        let is_open = |v: &&Version| v.title.is_open();
        let first_released = self.versions.iter().position(|v| !v.title.is_open()).unwrap_or(self.versions.len());
        let (above, below) = self.versions.split_at(first_released);
        let named = |v: &&Version| v.title.version.is_none();
        let lower: Vec<&Version> = below.iter().filter(is_open).collect();
        let oldest_first = self.is_oldest_first();
        if above.len() > 1 || (!above.is_empty() && lower.iter().copied().any(|v| named(&v))) {
            let all: Vec<&Version> = above.iter().chain(lower.iter().copied().filter(named)).collect();
            return Err(self.unclear(path, &all, Unclear::Several));
        }
        if let [one] = above {
            return Ok(Some(one));
        }
        if oldest_first {
            return match (self.versions.last(), lower.as_slice()) {
                (Some(last), [one]) if *one == last => Ok(Some(last)),
                (Some(last), _) => Err(self.unclear(path, &[last], Unclear::OldestFirst)),
                (None, _) => Ok(None),
            };
        }
        let lower: Vec<&Version> = lower.into_iter().filter(named).collect();
        if !lower.is_empty() {
            return Err(self.unclear(path, &lower, Unclear::BelowReleases));
        }
        // The newest without a day where all others have one: nobody knows whether it is out.
        if let [first, others @ ..] = self.versions.as_slice()
            && first.day().is_none()
            && !others.is_empty()
            && others.iter().all(|v| v.day().is_some() || v.title.is_open())
        {
            return Err(self.unclear(path, &[first], Unclear::NoDay));
        }
        // In words that no other has: it may be those that say that it is not out.
        if let [first, others @ ..] = self.versions.as_slice()
            && first.title.has_words
            && first.day().is_none()
            && !others.is_empty()
            && others.iter().all(|v| !v.title.has_words || v.title.is_open())
        {
            return Err(self.unclear(path, &[first], Unclear::OtherWords));
        }
        // In a name that versions have before they are released, and no word of it: some projects mean that nothing is, others keep
        // all of a line below one heading, or release what is called so.
        if let [first, others @ ..] = self.versions.as_slice()
            && first.day().is_none()
            && (self.is_named(first, is_series)
                || self.is_named(first, is_before_release)
                    && !others.iter().any(|v| self.is_named(v, is_before_release)))
        {
            return Err(self.unclear(path, &[first], Unclear::InTheMaking));
        }
        Ok(None)
    }

    fn is_named(&self, version: &Version, how: fn(&[u8]) -> bool) -> bool {
        let title = &self.text[version.heading.title.clone()];
        version.title.version.clone().is_some_and(|at| how(&title[at]))
    }

    /// The released versions, the newest first as the file has them.
    pub(crate) fn released(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(|v| !v.title.is_open())
    }

    /// Where a new section goes: above the first version.
    ///
    /// # Errors
    /// When nothing says where versions are, though there is something that could be one.
    pub(crate) fn place_of_new(&self, path: &[u8]) -> Result<usize, FoldError> {
        let above = self.versions.first().map(|v| v.heading.lines.start);
        let limit = above.unwrap_or(self.trailer);
        let level = self.versions.first().map_or(usize::MAX, |v| v.heading.level);
        // A section of another name with news in it may be the newest release.
        let mut others = self.headings.within(self.top..limit.max(self.top)).iter();
        let may_be = |h: &&Heading| h.level == level || above.is_none();
        let strange =
            others.find(|h| may_be(h) && !self.is_known(h) && (h.form == Form::Line || self.has_news(h, limit)));
        if let Some(strange) = strange {
            return Err(self.unclear_heading(path, strange));
        }
        self.see_that_none_looks_like_one(path, self.top..limit, above.is_none())?;
        match above {
            Some(above) => Ok(with_anchors(self.text, &self.scanned, above, self.floor(above))),
            None => Ok(self.trailer),
        }
    }

    /// A line that names a version as headings do, and is none by the file's markup: bold, in HTML, `##` without a blank; where
    /// nothing else names a version, also one that stands alone.
    fn see_that_none_looks_like_one(&self, path: &[u8], part: Range<usize>, alone: bool) -> Result<(), FoldError> {
        let mut at = part.start;
        let (mut below_blank, mut all) = (true, lines(&self.text[part.clone()]).peekable());
        while let Some(line) = all.next() {
            let start = at;
            at += line.len();
            let is_alone =
                std::mem::replace(&mut below_blank, is_blank(line)) && all.peek().is_none_or(|l| is_blank(l));
            let shown = trim(line);
            let is_other = line.len() > LONGEST_STATUS
                || bullet(line).is_some()
                || self.hides(start)
                || self.headings.has_line(start);
            if is_other || !(is_marked(shown) || alone && is_alone && !shown.is_empty()) {
                continue;
            }
            let title = Title::read(without_marks(shown));
            let is_version = match title.kind {
                Kind::Open(sure) => sure == Sure::Plainly,
                Kind::Version(sure) => sure == Sure::Plainly && title.version.is_some(),
                Kind::Other => false,
            };
            if is_version {
                let headings = vec![(LineCounter::new(self.text).line(start), lossy(shown))];
                return Err(FoldError::Unclear { path: lossy(path), headings, more: 0, why: Unclear::LooksLikeOne });
            }
        }
        Ok(())
    }

    /// The first bullet that no heading stands above of.
    pub(crate) fn loose_bullet(&self) -> Option<usize> {
        let end = self.headings.first().map_or(self.trailer, |h| h.lines.start);
        let mut at = 0;
        lines(&self.text[..end]).find_map(|line| {
            let start = at;
            at += line.len();
            (bullet(line).is_some() && !self.hides(start)).then_some(start)
        })
    }

    /// That nothing says which version a bullet belongs to.
    pub(crate) fn loose(&self, path: &[u8], bullet: usize) -> FoldError {
        let line = lossy(trim(lines(&self.text[bullet..]).next().unwrap_or_default()));
        let shown: String = line.chars().take(LONGEST_STATUS).collect();
        let headings = vec![(LineCounter::new(self.text).line(bullet), shown)];
        FoldError::Unclear { path: lossy(path), headings, more: 0, why: Unclear::NoHeading }
    }

    /// What no new section may be put above of: the mark, or the heading before.
    fn floor(&self, at: usize) -> usize {
        self.headings.before(at).map_or(0, |h| h.lines.end).max(self.top)
    }

    /// Whether the list below a heading could be news.
    fn has_news(&self, heading: &Heading, limit: usize) -> bool {
        let next = self.headings.from(heading.lines.end).map_or(limit, |h| h.lines.start);
        let mut at = heading.lines.end;
        let below = &self.text[at..next.clamp(at, limit.max(at))];
        lines(below).any(|line| {
            at += line.len();
            bullet(line).is_some() && !self.hides(at - line.len())
        })
    }

    /// Whether anything but headings, blank lines and comments stands in a section.
    pub(crate) fn says_something(&self, version: &Version) -> bool {
        let mut at = version.heading.lines.end;
        lines(&self.text[at..version.range.end.max(at)]).any(|line| {
            at += line.len();
            let start = at - line.len();
            let is_status = version.status.as_ref().is_some_and(|status| status.text.start == start);
            !is_blank(line)
                && !is_status
                && !self.headings.has_line(start)
                && !self.hides(start)
                && !self.scanned.is_rule(start)
        })
    }

    /// Whether the line that starts here is part of a sample.
    pub(crate) fn hides(&self, start: usize) -> bool {
        self.scanned.hides(start)
    }

    /// Headings of what ChangeLogs have above their versions.
    fn is_known(&self, heading: &Heading) -> bool {
        const KNOWN: [&str; 12] = [
            "contents",
            "toc",
            "legend",
            "about",
            "guid",
            "notes",
            "format",
            "types of",
            "categor",
            "convention",
            "versioning",
            "how to",
        ];
        let title = lossy(&self.text[heading.title.clone()]).to_lowercase();
        KNOWN.iter().any(|known| title.contains(known))
    }

    /// Whether the versions' days go up.
    fn is_oldest_first(&self) -> bool {
        let days: Vec<_> = self.versions.iter().filter_map(Version::day).collect();
        if let [first, .., last] = days.as_slice() {
            return first < last;
        }
        let numbers: Vec<Vec<u64>> = self.versions.iter().filter_map(|v| self.numbers_of(v)).collect();
        matches!(numbers.as_slice(), [first, .., last] if first < last)
    }

    /// The numbers of a version, to tell which is newer.
    fn numbers_of(&self, version: &Version) -> Option<Vec<u64>> {
        let text = &self.text[version.heading.title.clone()][version.title.version.clone()?];
        let digits = text.iter().position(u8::is_ascii_digit)?;
        let whole = text[digits..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.');
        let whole: Vec<u8> = whole.copied().collect();
        let parts = whole.split(|b| *b == b'.').map(|part| std::str::from_utf8(part).ok()?.parse().ok());
        Some(parts.map_while(|part| part).collect())
    }

    /// Whether a heading stands within the section of a version, below its own.
    pub(crate) fn is_within_version(&self, heading: &Heading) -> bool {
        let at = heading.lines.start;
        let above = self.versions.partition_point(|v| v.heading.lines.end <= at);
        self.versions[..above].last().is_some_and(|v| at < v.range.end)
    }

    pub(crate) fn shown(&self, heading: &Heading) -> String {
        lossy(&self.text[heading.title.clone()])
    }

    fn unclear(&self, path: &[u8], versions: &[&Version], why: Unclear) -> FoldError {
        let headings: Vec<&Heading> = versions.iter().map(|v| &v.heading).collect();
        self.unclear_headings(path, &headings, why)
    }

    fn unclear_heading(&self, path: &[u8], heading: &Heading) -> FoldError {
        self.unclear_headings(path, &[heading], Unclear::NoVersion)
    }

    fn unclear_headings(&self, path: &[u8], headings: &[&Heading], why: Unclear) -> FoldError {
        let mut counter = LineCounter::new(self.text);
        let named = |heading: &&Heading| {
            let form_over = matches!(heading.form, Form::Lined { over: true, .. });
            (counter.line(heading.lines.start) + usize::from(form_over), self.shown(heading))
        };
        let first = headings.iter().take(Unclear::NAMED).map(named).collect();
        FoldError::Unclear {
            path: lossy(path),
            headings: first,
            more: headings.len().saturating_sub(Unclear::NAMED),
            why,
        }
    }
}

/// Whether a line begins as headings of one kind of markup or another do.
fn is_marked(shown: &[u8]) -> bool {
    let is_html =
        shown.len() > 3 && shown[0] == b'<' && shown[1].eq_ignore_ascii_case(&b'h') && shown[2].is_ascii_digit();
    is_html
        || shown.starts_with(b"#")
        || shown.starts_with(b"**")
        || shown.starts_with(b"__")
        || shown.starts_with(b"==")
}

fn without_marks(shown: &[u8]) -> &[u8] {
    let start = shown.iter().position(|b| !b"#*_= ".contains(b)).unwrap_or(shown.len());
    let end = shown.iter().rposition(|b| !b"#*_=: ".contains(b)).map_or(start, |n| n + 1);
    &shown[start..end.max(start)]
}

/// Whether a text has headings of versions.
pub(crate) fn has_versions(path: &[u8], text: &[u8]) -> bool {
    !Layout::of(path, text, 0).versions.is_empty()
}

/// How plainly a heading names a version, if it does.
fn sure_of(title: &Title) -> Option<Sure> {
    match title.kind {
        Kind::Other => None,
        Kind::Open(sure) | Kind::Version(sure) => Some(sure),
    }
}

/// Whether a heading such as `2.x` only stands above those of its versions.
fn is_group(text: &[u8], headings: &[Heading], titles: &[Title], n: usize) -> bool {
    let version = |n: usize| Some(&text[headings[n].title.clone()][titles[n].version.clone()?]);
    let Some(line) = version(n).filter(|version| is_series(version) && titles[n].day.is_none()) else { return false };
    let digits = |version: &[u8]| -> Vec<u8> {
        let from = version.iter().position(u8::is_ascii_digit).unwrap_or(version.len());
        version[from..].iter().copied().take_while(u8::is_ascii_digit).collect()
    };
    let below = (n + 1..headings.len()).take_while(|&m| headings[m].level > headings[n].level);
    below.take(NEAR).filter_map(version).any(|version| !is_series(version) && digits(version) == digits(line))
}

/// The level of versions: that of the highest that is plainly one.
fn level_of(headings: &[Heading], titles: &[Title], top: usize) -> Option<usize> {
    let sure = |n: usize| sure_of(&titles[n]);
    let below = |n: usize| headings[n].lines.start >= top;
    let plain: Vec<usize> = (0..headings.len()).filter(|&n| below(n) && sure(n) == Some(Sure::Plainly)).collect();
    let released = |n: &&usize| matches!(titles[**n].kind, Kind::Version(_));
    let level = plain.iter().filter(released).map(|&n| headings[n].level).min();
    let level = level.or_else(|| plain.iter().map(|&n| headings[n].level).min());
    level.or_else(|| {
        let weak = (0..headings.len()).filter(|&n| below(n) && sure(n).is_some());
        weak.map(|n| headings[n].level).min()
    })
}

/// Which headings are those of versions: the plain ones, and others on the same levels.
fn counted(headings: &[Heading], titles: &[Title], top: usize, level: Option<usize>) -> Vec<bool> {
    let Some(level) = level else { return vec![false; headings.len()] };
    let counts = |n: usize| {
        let Some(sure) = sure_of(&titles[n]).filter(|_| headings[n].lines.start >= top) else { return false };
        let (own, title) = (headings[n].level, &titles[n]);
        match sure {
            // A patch release may stand a level below.
            Sure::Plainly => own <= level + usize::from(title.version.is_some()) * 2,
            Sure::WithWords => own <= level || title.day.is_some() && own == level + 1,
            Sure::Perhaps => own == level,
        }
    };
    (0..headings.len()).map(counts).collect()
}

/// Where a heading starts with the lines above that belong to it: link targets, and a rule that parts it from what is above.
fn with_anchors(text: &[u8], scanned: &Scanned, heading: usize, floor: usize) -> usize {
    let mut start = heading;
    let mut at = heading;
    while at > floor {
        let line_start = memchr::memrchr(b'\n', &text[..at - 1]).map_or(0, |n| n + 1);
        if line_start < floor {
            break;
        }
        let shown = trim(&text[line_start..at]);
        let is_anchor = shown.starts_with(b".. _") && shown.ends_with(b":")
            || shown.starts_with(b"<a ")
                && (shown.ends_with(b"</a>") || shown.ends_with(b"/>") || shown.ends_with(b">"))
            || scanned.is_rule(line_start);
        if is_anchor {
            start = line_start;
        } else if !is_blank(&text[line_start..at]) {
            break;
        }
        at = line_start;
    }
    start
}

/// Where the link references at the file's end start: they are its trailer.
pub(super) fn links_start(text: &[u8]) -> usize {
    let mut start = text.len();
    let mut end = text.len();
    while end > 0 {
        let body = if text[end - 1] == b'\n' { end - 1 } else { end };
        let line_start = memchr::memrchr(b'\n', &text[..body]).map_or(0, |n| n + 1);
        let line = &text[line_start..end];
        if is_link(line) {
            start = line_start;
        } else if !is_blank(line) {
            break;
        }
        end = line_start;
    }
    start
}

/// `[1.0]: https://…`, `.. _1.0: https://…`, or a comment of one line.
fn is_link(line: &[u8]) -> bool {
    let shown = trim_end(line);
    let of_markdown = shown.starts_with(b"[") && memchr::memmem::find(shown, b"]: ").is_some();
    let of_rst = shown.starts_with(b".. _") && memchr::memmem::find(shown, b": ").is_some();
    let comment =
        shown.starts_with(b"<!--") && memchr::memmem::find(shown, b"-->") == Some(shown.len().saturating_sub(3));
    of_markdown || of_rst || comment
}
