//! The URL of a published repository.

use super::refused::MAX_LEN;
use super::secrets::parameters;
use super::{SourcePolicy, UrlRefused, local, url_without_secrets};
use crate::git::View;
use crate::text::{is_hidden, shortened};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// A URL as somebody typed it, or as the store kept it.
#[derive(Clone, Debug)]
pub struct UncheckedUrl(String);

impl UncheckedUrl {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it is a path that means something only from where it was typed.
    pub fn is_relative_path(&self) -> bool {
        let is_path = !self.0.is_empty() && !self.0.starts_with('-') && matches!(split_scheme(&self.0), Split::Path);
        is_path && !Path::new(&self.0).is_absolute()
    }
}

/// A way to reach a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Scheme {
    /// git over HTTP with TLS.
    Https,
    /// git over HTTP.
    Http,
    /// git's own protocol.
    Git,
    /// git over ssh.
    Ssh,
    /// A folder on this machine; only below folders that the admin lists, whatever the policy's schemes are.
    File,
}

impl Scheme {
    /// The word before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Git => "git",
            Self::Ssh => "ssh",
            Self::File => "file",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            Self::Git => 9418,
            Self::Ssh => 22,
            Self::File => 0,
        }
    }
}

impl std::str::FromStr for Scheme {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Https, Self::Http, Self::Git, Self::Ssh, Self::File]
            .into_iter()
            .find(|scheme| scheme.as_str() == word)
            .ok_or_else(|| format!("`{}` is none of https, http, git, ssh, file", shortened(word, 20)))
    }
}

/// The URL of a repository that may be asked and fetched from, as far as that can be said without looking anything up.
/// It holds no password. [`fmt::Display`] and [`SourceUrl::as_str`] give the text for the store and for pages;
/// checked again it gives the same.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct SourceUrl {
    scheme: Scheme,
    text: String,
    place: Place,
}

#[derive(Clone, Debug, Eq, PartialEq, Hash)]
enum Place {
    Remote { host: Host<String>, port: u16 },
    Local(PathBuf),
}

impl SourceUrl {
    /// Checks a URL. For a path on this machine that looks at the disk.
    ///
    /// # Errors
    /// See [`UrlRefused`]; no message repeats a password.
    pub fn check(unchecked: &UncheckedUrl, policy: &SourcePolicy) -> Result<Self, UrlRefused> {
        let text = unchecked.0.as_str();
        if text.is_empty() {
            return Err(UrlRefused::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(UrlRefused::TooLong { text: safe(text), len: text.len() });
        }
        if has_hidden(text) {
            return Err(UrlRefused::ControlCharacters { text: safe(text) });
        }
        if text.starts_with('-') {
            return Err(UrlRefused::Option { text: safe(text), part: "beginning" });
        }
        match split_scheme(text) {
            Split::Url(word) if word.eq_ignore_ascii_case("file") => local_url(text, policy),
            Split::Url(word) => {
                let allowed = word.to_ascii_lowercase().parse().ok().filter(|scheme| policy.schemes.contains(scheme));
                let scheme = allowed.ok_or_else(|| refused_scheme(text, word, policy))?;
                remote_url(text, scheme, policy)
            }
            Split::Helper(word) => Err(refused_scheme(text, word, policy)),
            // `NAME:PASSWORD@HOST:PATH`
            Split::ShortSsh { path, .. } if path.contains('@') => {
                let host = path.rsplit('@').next().unwrap_or_default().split([':', '/']).next().unwrap_or_default();
                Err(UrlRefused::Credentials { host: shortened(host, 80) })
            }
            Split::ShortSsh { who, path } => Err(UrlRefused::ShortSsh {
                text: safe(text),
                long: safe(&format!("ssh://{who}/{}", path.trim_start_matches('/'))),
            }),
            Split::Path => local_path(text, text, policy),
        }
    }

    /// The text for the store and for pages. It has no password, and no hidden characters.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host's name or address, for limits by host; none for a place on this machine.
    pub fn host(&self) -> Option<String> {
        match &self.place {
            Place::Remote { host, .. } => Some(host.to_string()),
            Place::Local(_) => None,
        }
    }

    pub(crate) fn host_and_port(&self) -> Option<(&Host<String>, u16)> {
        match &self.place {
            Place::Remote { host, port } => Some((host, *port)),
            Place::Local(_) => None,
        }
    }

    /// What a git may see that reads this repository of this machine, checked and opened now.
    pub(crate) fn view(&self, policy: &SourcePolicy) -> Result<View, UrlRefused> {
        match &self.place {
            Place::Local(path) => local::view(&self.text, path, policy),
            Place::Remote { .. } => Ok(View::default()),
        }
    }

    pub(crate) fn local_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(path) => Some(path),
            Place::Remote { .. } => None,
        }
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

enum Split<'a> {
    Url(&'a str),
    Helper(&'a str),
    ShortSsh { who: &'a str, path: &'a str },
    Path,
}

/// Takes a text for what git would take it for.
fn split_scheme(text: &str) -> Split<'_> {
    let is_word = |word: &str| {
        word.len() > 1 && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    if let Some((word, _)) = text.split_once("::").filter(|(word, _)| !word.contains(['/', '@'])) {
        return Split::Helper(word);
    }
    if let Some((word, _)) = text.split_once("://").filter(|(word, _)| is_word(word)) {
        return Split::Url(word);
    }
    match text.split_once(':') {
        // `C:\x` is a path of another system.
        Some((who, path)) if who.len() > 1 && !who.contains(['/', '\\']) => Split::ShortSsh { who, path },
        _ => Split::Path,
    }
}

fn refused_scheme(text: &str, word: &str, policy: &SourcePolicy) -> UrlRefused {
    let allowed: Vec<&str> = policy.schemes.iter().map(|scheme| scheme.as_str()).collect();
    UrlRefused::Scheme { text: safe(text), scheme: shortened(word, 20), allowed: allowed.join(", ") }
}

/// The text as it may be shown.
fn safe(text: &str) -> String {
    shortened(&url_without_secrets(text), 80)
}

/// Whether there are characters that can't be seen, as they are or behind `%`.
fn has_hidden(text: &str) -> bool {
    let encoded = text.as_bytes().windows(3).any(|w| {
        let byte =
            w.get(1..).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        w[0] == b'%' && byte.is_some_and(|b| b < 0x20 || b == 0x7f)
    });
    encoded || text.chars().any(is_hidden)
}

fn remote_url(text: &str, scheme: Scheme, policy: &SourcePolicy) -> Result<SourceUrl, UrlRefused> {
    let malformed = |why: String| UrlRefused::Malformed { text: safe(text), why };
    // Options hidden in what other programs are given; said before anything else that may be wrong with them.
    let (_, after) = text.split_once("://").unwrap_or_default();
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    for (part, named) in [(user, "user name"), (host, "host"), (host.split_once(':').map_or("", |(_, p)| p), "port")] {
        if part.starts_with('-') {
            return Err(UrlRefused::Option { text: safe(text), part: named });
        }
    }
    if host.is_empty() || host.starts_with(':') {
        return Err(malformed("it names no host".into()));
    }
    let url = Url::parse(text).map_err(|error| malformed(error.to_string()))?;
    let raw_host =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| malformed("it names no host".into()))?;
    // Only http URLs have their hosts read so by `Url` itself: names as punycode, numbers as addresses.
    let host = Host::parse(raw_host).map_err(|error| malformed(format!("its host: {error}")))?;
    if host.to_string().starts_with('-') {
        return Err(UrlRefused::Option { text: safe(text), part: "host" });
    }
    let may_have_user = scheme == Scheme::Ssh;
    if url.password().is_some() || (!url.username().is_empty() && !may_have_user) {
        return Err(UrlRefused::Credentials { host: host.to_string() });
    }
    let good_user = |user: &str| user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !good_user(url.username()) {
        return Err(malformed("its user name has characters other than letters, digits, `.`, `_` and `-`".into()));
    }
    if let Some((_, mark)) = parameters(after) {
        return Err(malformed(format!("`{mark}` and what follows it can't be in the URL of a repository")));
    }
    if text.contains(char::is_whitespace) || text.contains(['\\', '"', '<', '>', '`', '{', '}', '|', '^']) {
        return Err(malformed("blanks and the characters \\\"<>`{}|^ must be written with `%`".into()));
    }
    let port = url.port().unwrap_or_else(|| scheme.port());
    if port == 0 {
        return Err(malformed("port 0 can't be called".into()));
    }
    vet_host(text, &host, policy)?;
    let at_user = if url.username().is_empty() { String::new() } else { format!("{}@", url.username()) };
    let at_port = if port == scheme.port() { String::new() } else { format!(":{port}") };
    let path = url.path().trim_end_matches('/');
    let text = format!("{}://{at_user}{host}{at_port}{path}", scheme.as_str());
    Ok(SourceUrl { scheme, text, place: Place::Remote { host, port } })
}

/// What can be said of a host by its name alone.
fn vet_host(text: &str, host: &Host<String>, policy: &SourcePolicy) -> Result<(), UrlRefused> {
    let (address, names) = match host {
        Host::Ipv4(v4) => (Some(IpAddr::V4(*v4)), v4.to_string()),
        Host::Ipv6(v6) => (Some(IpAddr::V6(*v6)), v6.to_string()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let is_here = name == "localhost" || name.ends_with(".localhost");
            (is_here.then_some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), name.to_owned())
        }
    };
    match address {
        Some(address) if !policy.allows_address(address) => {
            Err(UrlRefused::PrivateAddress { text: safe(text), address: names })
        }
        _ => Ok(()),
    }
}

fn local_url(text: &str, policy: &SourcePolicy) -> Result<SourceUrl, UrlRefused> {
    let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
    match path.as_deref().and_then(Path::to_str) {
        Some(path) => local_path(text, path, policy),
        None => Err(UrlRefused::LocalNotAllowed { text: safe(text) }),
    }
}

fn local_path(text: &str, path: &str, policy: &SourcePolicy) -> Result<SourceUrl, UrlRefused> {
    if !Path::new(path).is_absolute() {
        return Err(UrlRefused::LocalRelative { text: safe(text) });
    }
    let path = local::allowed_repository(text, Path::new(path), policy)?;
    match path.to_str() {
        Some(utf8) if !has_hidden(utf8) => {
            Ok(SourceUrl { scheme: Scheme::File, text: utf8.to_owned(), place: Place::Local(path) })
        }
        _ => Err(UrlRefused::ControlCharacters { text: safe(text) }),
    }
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
