//! `debian/changelog`: only a stanza that is UNRELEASED takes news; else a new one is made.

use std::collections::HashSet;
use std::rc::Rc;

use jiff::civil::Date;

use super::{Links, News, Placed, VersionSection, push_bullet, words};
use crate::date::{DateStyle, HeaderDate, write};
use crate::folded::FoldError;
use crate::fragment::FragmentAuthor;
use crate::lines::{LineEnd, blank_tail, is_blank, lines, lossy, trim, trim_end};
use crate::marks::is_debian_head;

/// Puts news into the topmost stanza, if its distribution is UNRELEASED, or into a new one above.
pub(super) fn insert(
    before: &[u8],
    news: &[News],
    end: LineEnd,
    on: Date,
    links: &Links<'_>,
) -> Result<Placed, FoldError> {
    let Some(stanza) = Stanza::top(before) else {
        return Err(FoldError::NoStanza);
    };
    let open = stanza.is_unreleased;
    let known: HashSet<Vec<u8>> =
        if open { bullets_of(stanza.body(before)).into_iter().collect() } else { HashSet::new() };
    let is_new = |n: &&News| !known.contains(&words(links.text(n).iter().map(Vec::as_slice)));
    let (new, old): (Vec<&News>, Vec<&News>) = news.iter().partition(is_new);
    let left_out = old.iter().map(|n| n.left_out()).collect();
    if new.is_empty() {
        return Ok(Placed { bytes: before.to_vec(), added: 0..0, left_out, entries: 0 });
    }
    let mut out = Vec::with_capacity(before.len() + 1024);
    let eol = end.as_bytes();
    let mut rest = 0;
    let start;
    let mut current: Vec<u8> = Vec::new();
    if open {
        let body_end = stanza.head_end + blank_tail(stanza.body(before));
        out.extend_from_slice(&before[..body_end]);
        rest = body_end;
        current = stanza.last_name(before);
        start = out.len();
        if blank_tail(stanza.body(before)) == 0 {
            out.extend_from_slice(eol);
        }
    } else {
        start = 0;
        out.extend_from_slice(
            format!("{} ({}) UNRELEASED; urgency=medium", stanza.name, next_version(&stanza.version)).as_bytes(),
        );
        out.extend_from_slice(eol);
        out.extend_from_slice(eol);
    }
    let maintainer: Option<Rc<FragmentAuthor>> = new.iter().find_map(|n| n.author.clone());
    let signer = stanza.maintainer(before);
    let own = if open { &signer } else { maintainer.as_ref().map_or(&b""[..], |m| &m.name) };
    let mut last: Option<&Rc<FragmentAuthor>> = None;
    for one in &new {
        let name = one.author.as_ref().map_or(&b""[..], |a| &a.name);
        let owner = if current.is_empty() { own } else { &current };
        // Whose the last was, is not read again for each piece of the same author's.
        let is_same = one.author.as_ref().zip(last).is_some_and(|(own, last)| Rc::ptr_eq(own, last));
        last = one.author.as_ref().or(last);
        if !is_same && !name.is_empty() && name != owner {
            out.extend_from_slice(eol);
            out.extend_from_slice(&[b"  [ ", name, b" ]", eol].concat());
            current = name.to_vec();
        }
        push_bullet(&mut out, b"  * ", &links.text(one), false, end);
    }
    let added = start..out.len();
    if !open {
        let (name, mail) =
            maintainer.map_or_else(|| (b"bb".to_vec(), b"bb@localhost".to_vec()), |m| (m.name.clone(), m.mail.clone()));
        let signed = [b" -- ", &name[..], b" <", &mail, b">  ", write(on, None, DateStyle::Mail).as_bytes()].concat();
        out.extend_from_slice(&[eol, &signed, eol, eol].concat());
    }
    out.extend_from_slice(&before[rest..]);
    Ok(Placed { bytes: out, added, left_out, entries: new.len() })
}

/// The file with its topmost stanza released as this version, if it is not yet: for whom the one below was.
pub(super) fn released(text: &[u8], version: &str, on: Date) -> Option<Vec<u8>> {
    let stanza = Stanza::top(text).filter(|s| s.is_unreleased)?;
    let end = LineEnd::of(text);
    let signature = &text[stanza.signature..];
    let line = lines(signature).next().unwrap_or_default();
    let below = signature[line.len()..].to_vec();
    let whom = Stanza::top(&below).map_or_else(|| "unstable".to_owned(), |s| s.distribution);
    let start = crate::lines::blank_head(text);
    let head = lossy(trim_end(lines(&text[start..]).next()?));
    let options = head.split_once(';').map_or("urgency=medium", |(_, rest)| rest.trim());
    let signed = trim_end(line);
    let who = &signed[..memchr::memrchr(b'>', signed).map_or(signed.len(), |n| n + 1)];
    let day = write(on, None, DateStyle::Mail);
    let new = format!("{} ({version}) {whom}; {options}", stanza.name);
    let eol = end.as_bytes();
    Some([&text[..start], new.as_bytes(), eol, stanza.body(text), who, b"  ", day.as_bytes(), eol, &below].concat())
}

/// Whether the topmost stanza has an item.
pub(super) fn says_something(text: &[u8]) -> bool {
    Stanza::top(text).is_some_and(|stanza| !bullets_of(stanza.body(text)).is_empty())
}

/// All stanzas, the newest first as the file has them.
pub(super) fn stanzas(text: &[u8]) -> Vec<VersionSection> {
    let mut all = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(stanza) = Stanza::top(&text[at..]) {
        let below = &text[at..];
        let start = crate::lines::blank_head(below);
        let signature = lines(&below[stanza.signature..]).next().unwrap_or_default();
        let end = stanza.signature + signature.len();
        let head = lines(&below[start..]).next().unwrap_or_default();
        let count = |text: &[u8]| memchr::memchr_iter(b'\n', text).count();
        let day = memchr::memmem::find(signature, b">  ").map(|n| lossy(trim_end(&signature[n + 3..])));
        all.push(VersionSection {
            line: line + count(&below[..start]),
            start: at + start,
            end: at + end,
            heading: lossy(trim_end(head)),
            version: Some(stanza.version.clone()),
            date: day.and_then(|day| HeaderDate::at_start_of(day.as_bytes()).and_then(|d| d.day)),
            released: !stanza.is_unreleased,
            body: at + stanza.head_end..at + stanza.signature,
        });
        line += count(&below[..end]);
        at += end;
    }
    all
}

/// The topmost stanza.
struct Stanza {
    name: String,
    version: String,
    distribution: String,
    is_unreleased: bool,
    head_end: usize,
    signature: usize,
}

impl Stanza {
    fn top(text: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut all = lines(text);
        let head = loop {
            let line = all.next()?;
            at += line.len();
            if !is_blank(line) {
                break line;
            }
        };
        if !is_debian_head(head) {
            return None;
        }
        let head_end = at;
        for line in all {
            if line.starts_with(b" -- ") {
                break;
            }
            at += line.len();
        }
        let head = lossy(trim_end(head));
        let (name, rest) = head.split_once(" (")?;
        let (version, rest) = rest.split_once(')')?;
        let is_unreleased = rest.split(';').next()?.split_whitespace().any(|d| d == "UNRELEASED");
        let distribution = rest.split(';').next()?.trim().to_owned();
        Some(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            distribution,
            is_unreleased,
            head_end,
            signature: at,
        })
    }

    fn body<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.head_end..self.signature]
    }

    /// Whose bullets stand last: `[ Name ]`; empty if there is no such line.
    fn last_name(&self, text: &[u8]) -> Vec<u8> {
        let names = lines(self.body(text)).filter_map(|l| trim(trim_end(l)).strip_prefix(b"[ ")?.strip_suffix(b" ]"));
        names.last().unwrap_or_default().to_vec()
    }

    /// Who signs the stanza.
    fn maintainer(&self, text: &[u8]) -> Vec<u8> {
        let line = lines(&text[self.signature..]).next().unwrap_or_default();
        let name = line.strip_prefix(b" -- ").unwrap_or_default();
        trim(&name[..memchr::memchr(b'<', name).unwrap_or(name.len())]).to_vec()
    }
}

fn bullets_of(body: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<&[u8]>> = Vec::new();
    for line in lines(body).map(|l| trim(trim_end(l))) {
        if let Some(rest) = line.strip_prefix(b"* ") {
            all.push(vec![rest]);
        } else if let Some(last) = all.last_mut() {
            last.push(line);
        }
    }
    all.into_iter().map(words).collect()
}

/// The version after this one: its last number, one higher.
fn next_version(version: &str) -> String {
    let Some(end) = version.rfind(|c: char| c.is_ascii_digit()).map(|n| n + 1) else { return format!("{version}.1") };
    let start = version[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |n| n + 1);
    match version[start..end].parse::<u64>().ok().and_then(|n| n.checked_add(1)) {
        Some(next) => format!("{}{next}{}", &version[..start], &version[end..]),
        None => format!("{version}.1"),
    }
}
