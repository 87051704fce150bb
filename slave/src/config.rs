//! `slave.toml`: what a slave's admin says of it. Read once, at start.

use crate::availability::Settings;
use crate::user::BuildUser;
use protocol::SlaveName;
use protocol::wire::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use url::Url;

/// The configuration's file name, at the root of a basedir.
pub const FILE_NAME: &str = "slave.toml";

/// A slave's configuration, checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The master, as `http://HOST:PORT` or `https://HOST`.
    pub master: MasterUrl,
    /// This slave's name; its token is for this name.
    pub name: SlaveName,
    /// What it can do, as builders ask for it.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Builds it runs at once.
    #[serde(default)]
    pub slots: SlotCount,
    /// How builds are kept apart from the machine.
    #[serde(default)]
    pub isolation: WantedIsolation,
    /// Where builds work; none is a folder that every build's user can reach.
    pub work_folder: Option<PathBuf>,
    /// The file that holds the token, from the basedir.
    #[serde(default = "default_token_file")]
    pub token_file: PathBuf,
    /// Files and folders outside `/usr` that builds in bubblewrap may read, such as a toolchain.
    #[serde(default)]
    pub read_only: Vec<PathBuf>,
    /// Variables for every step, such as a `PATH` with a toolchain. Recipes can set others.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The first of the users that builds run under when the slave runs as root; none takes unused ones.
    pub build_user: Option<BuildUser>,
    /// The git program; none is the newest on PATH.
    pub git: Option<PathBuf>,
    /// This machine's limits; the stricter of these and the master's hold.
    #[serde(default)]
    pub limits: OwnLimits,
    /// When it takes builds.
    #[serde(default)]
    pub availability: Settings,
}

fn default_token_file() -> PathBuf {
    PathBuf::from("secrets/slave.token")
}

/// A limit that an admin sets on the machine. Seconds and bytes, as the names say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnLimits {
    /// Longest run of a build, in seconds.
    pub build_s: u64,
    /// Longest time without output, in seconds.
    pub silence_s: u64,
    /// Longest log of a step, in bytes.
    pub log_bytes: u64,
    /// Most bytes of files that a build keeps.
    pub artifact_bytes: u64,
    /// Time between TERM and KILL, in seconds.
    pub grace_s: u64,
    /// Greatest length of a file that a build writes, in bytes.
    pub file_bytes: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// Processes and threads of one build; holds only when the slave runs as root.
    pub processes: u64,
    /// Greatest size of `/tmp` in bubblewrap, in bytes of memory.
    pub tmp_bytes: u64,
}

impl Default for OwnLimits {
    fn default() -> Self {
        Self {
            build_s: 6 * 60 * 60,
            silence_s: 60 * 60,
            log_bytes: 1 << 30,
            artifact_bytes: 4 << 30,
            grace_s: 10,
            file_bytes: 20 << 30,
            open_files: 4096,
            processes: 4096,
            tmp_bytes: 1 << 30,
        }
    }
}

impl OwnLimits {
    /// The stricter of these and the master's, each for itself.
    pub fn stricter(&self, master: Limits) -> Limits {
        Limits {
            build_s: self.build_s.min(master.build_s),
            silence_s: self.silence_s.min(master.silence_s),
            log_bytes: self.log_bytes.min(master.log_bytes),
            grace_s: self.grace_s.min(master.grace_s),
            artifact_bytes: self.artifact_bytes.min(master.artifact_bytes),
        }
    }
}

/// What the admin wants builds to be kept apart by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WantedIsolation {
    /// bubblewrap when its self-test passes; else none, and the master is told so.
    #[default]
    Auto,
    /// bubblewrap, or the slave does not start.
    Bubblewrap,
    /// None, though bubblewrap may be there.
    None,
}

/// How many builds a slave runs at once: 1 to 64.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SlotCount(u32);

/// A number of slots that can't be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a slave has 1 to 64 slots, not {0}")]
pub struct BadSlotCount(pub u32);

impl SlotCount {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for SlotCount {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for SlotCount {
    type Error = BadSlotCount;
    fn try_from(n: u32) -> Result<Self, BadSlotCount> {
        if (1..=64).contains(&n) { Ok(Self(n)) } else { Err(BadSlotCount(n)) }
    }
}

impl From<SlotCount> for u32 {
    fn from(count: SlotCount) -> Self {
        count.0
    }
}

/// A master's address: `http` or `https`, a host, no user, password, query or fragment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MasterUrl(Url);

/// A text that is no master's address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a master's address ({why}); write it as http://HOST:PORT or https://HOST")]
pub struct BadMasterUrl {
    /// The text, shortened and without control characters.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl MasterUrl {
    /// The address of something on the master; `path` begins with `/`.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }

    /// Where slaves connect to.
    pub(crate) fn socket(&self) -> Url {
        let mut url = self.join("/api/v1/slave");
        // Both are "special" schemes, between which changing is allowed.
        let _ = url.set_scheme(if url.scheme() == "https" { "wss" } else { "ws" });
        url
    }
}

impl std::fmt::Display for MasterUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl TryFrom<String> for MasterUrl {
    type Error = BadMasterUrl;
    fn try_from(text: String) -> Result<Self, BadMasterUrl> {
        let bad = |why: &str| BadMasterUrl { text: printable(&text), why: why.to_owned() };
        let url = Url::parse(&text).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("its scheme is neither http nor https"));
        }
        if url.username() != "" || url.password().is_some() {
            // The text may hold a password, so it is not shown.
            let why = "it holds a user or password; the token stands in a file of its own".to_owned();
            return Err(BadMasterUrl { text: format!("{}://…", url.scheme()), why });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it has a query or fragment"));
        }
        Ok(Self(url))
    }
}

impl std::str::FromStr for MasterUrl {
    type Err = BadMasterUrl;
    fn from_str(text: &str) -> Result<Self, BadMasterUrl> {
        Self::try_from(text.to_owned())
    }
}

impl From<MasterUrl> for String {
    fn from(url: MasterUrl) -> Self {
        url.to_string()
    }
}

fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A slave's token. It is never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A text that is no slave's token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadToken {
    /// It is no token at all.
    #[error(
        "that is no token: it must be one line of visible ASCII characters, at most 1024; `bb token new slave NAME` makes one"
    )]
    Text,
    /// It is a person's, with which everybody on this machine's disk could do what that person may.
    #[error("that is a {0}'s token, and a slave needs one of its own: `bb token new slave NAME > NAME.token` makes it")]
    Kind(&'static str),
}

impl Token {
    /// The token's text, for the header that it goes into.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Token {
    type Err = BadToken;
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        if !(1..=1024).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadToken::Text);
        }
        // A token says what it is for: `bb_KIND_…`.
        match ["maintainer", "publisher"].into_iter().find(|kind| text.starts_with(&format!("bb_{kind}_"))) {
            Some(kind) => Err(BadToken::Kind(kind)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// A basedir's configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file can't be read.
    #[error("{path} can't be read: {error}; `bb slave create` makes a basedir")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The configuration is wrong.
    #[error("{path}:{line}:{column}: {message}")]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong and what was expected.
        message: String,
    },
    /// The token's file holds none.
    #[error("{path}: {error}")]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: BadToken,
    },
    /// The token's file can be read by others.
    #[error("{path} can be read by other users (mode {mode:o}): run `chmod 600 {path}`")]
    TokenOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl Config {
    /// A configuration with every choice left at its default.
    pub fn new(master: MasterUrl, name: SlaveName) -> Self {
        Self {
            master,
            name,
            labels: Vec::new(),
            slots: SlotCount::default(),
            isolation: WantedIsolation::default(),
            work_folder: None,
            token_file: default_token_file(),
            read_only: Vec::new(),
            env: BTreeMap::new(),
            build_user: None,
            git: None,
            limits: OwnLimits::default(),
            availability: Settings::default(),
        }
    }

    /// Reads BASEDIR/slave.toml.
    ///
    /// # Errors
    /// When it can't be read, or is wrong: with file, line and column.
    pub fn load(basedir: &Path) -> Result<Self, ConfigError> {
        let path = basedir.join(FILE_NAME);
        let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::Read { path: path.clone(), error })?;
        Self::parse(&text, &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |at: usize, message: String| {
            let before = text.get(..at).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            ConfigError::Wrong { path: path.to_owned(), line, column, message }
        };
        let config: Self = toml::from_str(text)
            .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        for (key, paths) in [("read_only", &config.read_only)] {
            if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
                let message = format!("`{}` in {key} must be a path from the root, beginning with `/`", path.display());
                return Err(wrong(text.find(key).unwrap_or(0), message));
            }
        }
        if let Some(name) = config.env.keys().find(|name| !is_variable(name)) {
            let message = format!("`{}` can't be the name of a variable", printable(name));
            return Err(wrong(text.find("[env]").unwrap_or(0), message));
        }
        config.availability.rules().map_err(|bad| wrong(bad.at, bad.why))?;
        Ok(config)
    }

    /// Reads the token.
    ///
    /// # Errors
    /// When the file can't be read, can be read by other users, or holds no token.
    pub fn load_token(&self, basedir: &Path) -> Result<Token, ConfigError> {
        use std::os::unix::fs::PermissionsExt;
        let path = basedir.join(&self.token_file);
        let io = |error| ConfigError::Read { path: path.clone(), error };
        let mode = std::fs::metadata(&path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(ConfigError::TokenOpen { path, mode });
        }
        let text = std::fs::read_to_string(&path).map_err(io)?;
        text.parse().map_err(|error| ConfigError::Token { path, error })
    }

    /// The text of a new slave.toml.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::from("# A slave of a bb master; `bb slave run BASEDIR` runs it.\n");
        let labels: Vec<_> = self.labels.iter().map(|label| quoted(label)).collect();
        let isolation = match self.isolation {
            WantedIsolation::Auto => "auto",
            WantedIsolation::Bubblewrap => "bubblewrap",
            WantedIsolation::None => "none",
        };
        let _ = writeln!(text, "master = {}", quoted(&self.master.to_string()));
        let _ = writeln!(text, "name = {}", quoted(self.name.as_str()));
        let _ = writeln!(text, "labels = [{}]", labels.join(", "));
        let _ = writeln!(text, "slots = {}", self.slots.get());
        let _ = writeln!(
            text,
            "# auto: bubblewrap when its self-test passes at start, else none, which the master is told."
        );
        let _ = writeln!(text, "isolation = \"{isolation}\"");
        if let Some(folder) = self.work_folder.as_deref().and_then(Path::to_str) {
            let _ = writeln!(text, "work_folder = {}", quoted(folder));
        }
        text.push_str("# Toolchains outside /usr that builds may read:\n# read_only = [\"/path/of/a/toolchain\"]\n");
        text
    }
}

fn is_variable(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests;
