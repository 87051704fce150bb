//! A master's settings: `master.toml` in its basedir. Read once, at start.

mod check;

use gate::schedule::Scope;
use ipnet::IpNet;
use protocol::wire::Limits;
use protocol::{ProjectName, UnixMs};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings' file, in the basedir.
pub const FILE_NAME: &str = "master.toml";

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not as expected; the text points at line and column.
    #[error("{}: {text}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What was found, where, and what was expected.
        text: String,
    },
    /// A value is of the right form and still can't be.
    #[error("{}: {text}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        text: String,
    },
}

/// A master's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The URL under which others reach it, for links; made from `listen` when not given.
    pub url: Option<String>,
    /// More names under which others reach it, besides `url`'s.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The store: a `postgres://` URL, or the embedded SQLite file of the basedir when not given.
    pub store: Option<String>,
    /// The git program; found along PATH when not given.
    pub git: Option<PathBuf>,
    /// A folder whose templates go before the embedded ones.
    pub templates: Option<PathBuf>,
    /// The projects guarded.
    #[serde(default, rename = "project")]
    pub projects: Vec<Project>,
    /// Where branches may be published.
    #[serde(default)]
    pub sources: Sources,
    /// Locks that builders may hold shares of.
    #[serde(default, rename = "lock")]
    pub locks: Vec<Lock>,
    /// Limits of every build.
    #[serde(default)]
    pub limits: BuildLimits,
    /// How long what builds leave is kept.
    #[serde(default)]
    pub keep: Keep,
    /// Who bb's own commits are by.
    #[serde(default)]
    pub committer: Committer,
    /// How long things may take.
    #[serde(default)]
    pub times: Times,
    /// How much clients may have at once.
    #[serde(default)]
    pub clients: Clients,
    /// How many branches may be published, by whoever is no maintainer.
    #[serde(default)]
    pub registrations: Registrations,
}

/// A project guarded.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name, in URLs.
    pub name: ProjectName,
    /// The official repository: a URL or a path.
    pub repository: String,
    /// Its mainline branch.
    #[serde(default = "default_mainline")]
    pub mainline: String,
    /// Who may publish.
    #[serde(default)]
    pub publish: PublishPolicy,
    /// A recipe for a project that has none of its own: a file, from the basedir.
    pub recipe: Option<PathBuf>,
    /// When nothing lands, beside what mainline's recipe says of that.
    #[serde(default, rename = "freeze")]
    pub freezes: Vec<recipe::Freeze>,
}

/// Who may publish branches.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum PublishPolicy {
    /// Whoever has a publisher's or maintainer's token.
    #[default]
    Users,
    /// Anybody.
    Open,
}

/// Where branches may be published.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sources {
    /// URL schemes.
    pub schemes: Vec<String>,
    /// Folders on the master's machine below which repositories may be published by path.
    pub allow_local: Vec<PathBuf>,
    /// Private networks that may be reached all the same.
    pub allow_private: Vec<IpNet>,
    /// The longest look at a branch, its fetch included, in seconds.
    pub fetch_s: u64,
    /// The most that a branch may add to the mirror, in bytes.
    pub fetch_bytes: u64,
    /// Looks at branches of one project, at once.
    pub looks: usize,
    /// Those of one publisher.
    pub looks_each: usize,
    /// Those at one host; fewer than one publisher's, whatever is said here.
    pub looks_host: usize,
    /// How often the head of one branch may move at once.
    pub revisions_at_once: u32,
    /// Seconds in which it may move once more, after that.
    pub revisions_s: u64,
}

impl Sources {
    /// How many looks there may be.
    pub fn size(&self) -> gate::looks::Size {
        gate::looks::Size { all: self.looks, publisher: self.looks_each, host: self.looks_host }
    }

    /// How often a branch may move.
    pub fn pace(&self) -> gate::looks::Pace {
        let interval_ms = i64::try_from(self.revisions_s.saturating_mul(1000)).unwrap_or(i64::MAX / 2);
        gate::looks::Pace { burst: self.revisions_at_once, interval_ms }
    }
}

impl Default for Sources {
    fn default() -> Self {
        // Not ssh: there are no host keys to know a stranger's server by yet.
        let schemes = ["https", "http", "git"].map(str::to_owned).to_vec();
        Self {
            schemes,
            allow_local: Vec::new(),
            allow_private: Vec::new(),
            fetch_s: 600,
            fetch_bytes: 1 << 30,
            looks: 16,
            looks_each: 4,
            looks_host: 3,
            revisions_at_once: 12,
            revisions_s: 120,
        }
    }
}

/// A lock.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Its name, in recipes.
    pub name: String,
    /// Shares there are.
    #[serde(default = "one")]
    pub shares: u32,
    /// Where they are counted.
    #[serde(default)]
    pub scope: LockScope,
}

/// Where a lock's shares are counted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LockScope {
    /// Once, for all slaves together.
    #[default]
    Master,
    /// On each slave.
    Slave,
}

/// Limits of every build; a slave's own may be stricter.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuildLimits {
    /// Longest run of the whole build, in seconds.
    pub build_s: u64,
    /// Longest time without output, in seconds.
    pub silence_s: u64,
    /// Longest log of a step, in bytes.
    pub log_bytes: u64,
    /// Time between TERM and KILL, in seconds.
    pub grace_s: u64,
    /// Most bytes of files that a build keeps (`artifacts` of its steps).
    pub artifact_bytes: u64,
}

impl Default for BuildLimits {
    fn default() -> Self {
        let Limits { build_s, silence_s, log_bytes, grace_s, artifact_bytes } = Limits::default();
        Self { build_s, silence_s, log_bytes, grace_s, artifact_bytes }
    }
}

impl From<BuildLimits> for Limits {
    fn from(limits: BuildLimits) -> Self {
        Self {
            build_s: limits.build_s,
            silence_s: limits.silence_s,
            log_bytes: limits.log_bytes,
            grace_s: limits.grace_s,
            artifact_bytes: limits.artifact_bytes,
        }
    }
}

/// How long what builds leave is kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Files that steps keep, in days from the end of their build; for ever when 0.
    pub artifacts_days: u32,
    /// Bytes of all of them; when there are more, those of the oldest builds go.
    pub artifacts_bytes: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { artifacts_days: 30, artifacts_bytes: 20 << 30 }
    }
}

impl Keep {
    /// Until when, in milliseconds since 1970, files are kept of a build that ended at `ended_ms`; none when for ever.
    pub fn artifacts_until(&self, ended_ms: i64) -> Option<i64> {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        (self.artifacts_days > 0).then(|| ended_ms.saturating_add(i64::from(self.artifacts_days) * DAY_MS))
    }
}

/// Who bb's own commits are by.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Committer {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Default for Committer {
    fn default() -> Self {
        Self { name: "bb".to_owned(), email: "bb@localhost".to_owned() }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// Seconds between two looks at mainline, and at a branch that changed lately.
    pub poll_s: u64,
    /// The most seconds between two looks at a branch that is quiet or can't be reached.
    pub poll_quiet_s: u64,
    /// Seconds that a slave may be away before its builds are given to others.
    pub lease_s: u64,
    /// Seconds that a build waits for an eager slave before a reluctant one may take it.
    pub reluctant_after_s: u64,
    /// Seconds without a word after which a slave's connection counts as lost.
    pub silence_s: u64,
    /// Seconds that a client may take for a request's head, and for each next piece of its body.
    pub request_s: u64,
    /// Seconds that a client may take for a request's whole body.
    pub body_s: u64,
    /// Seconds that a client may take for each next piece of an answer that it does not read as fast as it comes.
    pub answer_s: u64,
    /// Seconds that an event stream or a followed log of a client without a token stays open.
    pub stream_s: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            poll_s: 60,
            poll_quiet_s: 3600,
            lease_s: 60,
            reluctant_after_s: 600,
            silence_s: 45,
            request_s: 10,
            body_s: 60,
            answer_s: 30,
            stream_s: 3600,
        }
    }
}

impl Times {
    /// How long a slave may be away.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }

    /// How long a slave may be silent; never nothing.
    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_s.max(1))
    }

    /// How long a client may keep the master waiting for the next piece of a request; never nothing.
    pub fn request(&self) -> Duration {
        Duration::from_secs(self.request_s.max(1))
    }

    /// How long a client may take for a request's whole body; never nothing.
    pub fn body(&self) -> Duration {
        Duration::from_secs(self.body_s.max(1))
    }

    /// How long a client may keep the master from writing the next piece of an answer; never nothing.
    pub fn answer(&self) -> Duration {
        Duration::from_secs(self.answer_s.max(1))
    }

    /// How long a stream without a token stays open; never nothing.
    pub fn stream(&self) -> Duration {
        Duration::from_secs(self.stream_s.max(1))
    }
}

/// How much clients may have at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clients {
    /// Connections, all together.
    pub connections: usize,
    /// Connections from one address; not counted for this machine's own and for `trusted_proxies`.
    pub connections_each: usize,
    /// Addresses of reverse proxies, which speak for many, and are believed when they say for whom.
    pub trusted_proxies: Vec<IpNet>,
    /// Fetches by git of clients that show no token.
    pub git_anonymous: usize,
    /// Those of one address.
    pub git_anonymous_each: usize,
    /// Event streams, and logs that are followed, of clients that show no token.
    pub streams_anonymous: usize,
    /// Those of one address.
    pub streams_anonymous_each: usize,
    /// Requests that bring something, forms above all, of clients that show no token.
    pub forms_anonymous: usize,
    /// Those of one address.
    pub forms_anonymous_each: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_each: 256,
            trusted_proxies: Vec::new(),
            git_anonymous: 32,
            git_anonymous_each: 8,
            streams_anonymous: 1024,
            streams_anonymous_each: 32,
            forms_anonymous: 64,
            forms_anonymous_each: 8,
        }
    }
}

/// How many branches may be published, by whoever is no maintainer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registrations {
    /// In an hour, from one address without a token.
    pub hour_anonymous: u32,
    /// In an hour, with one publisher's token.
    pub hour_publisher: u32,
    /// In an hour, of one host's repositories without a token.
    pub hour_host: u32,
    /// Live at once, from one address without a token.
    pub live_anonymous: u32,
    /// Live at once, with one publisher's token.
    pub live_publisher: u32,
    /// Live at once, of one host's repositories without a token.
    pub live_host: u32,
    /// Builds that wait at once, of one publisher who is not trusted.
    pub pending_publisher: u32,
    /// Builds that wait at once, of one host's repositories and publishers who are not trusted.
    pub pending_host: u32,
}

impl Registrations {
    /// How many builds of strangers may wait.
    pub fn pending(&self) -> gate::pending::Most {
        gate::pending::Most { publisher: self.pending_publisher, host: self.pending_host }
    }
}

impl Default for Registrations {
    fn default() -> Self {
        Self {
            hour_anonymous: 10,
            hour_publisher: 100,
            hour_host: 100,
            live_anonymous: 30,
            live_publisher: 1000,
            live_host: 300,
            pending_publisher: 5,
            pending_host: 20,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8010))
}

fn default_mainline() -> String {
    "main".to_owned()
}

const fn one() -> u32 {
    1
}

impl Config {
    /// Reads `master.toml` of a basedir.
    ///
    /// # Errors
    /// When it is not there, not as expected, or contradicts itself.
    pub fn read(basedir: &Path) -> Result<Self, ConfigError> {
        let file = basedir.join(FILE_NAME);
        let text = std::fs::read_to_string(&file).map_err(|source| ConfigError::Read { file: file.clone(), source })?;
        if text.trim().is_empty() {
            let text = "the file is empty: write [[project]] with `name` and `repository` into it".to_owned();
            return Err(ConfigError::Value { file, text });
        }
        Self::parse(&text, &file)
    }

    /// Reads settings from a text; `file` is for messages.
    ///
    /// # Errors
    /// When the text is not as expected or contradicts itself.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|e| ConfigError::Syntax { file: file.to_owned(), text: e.to_string().trim_end().to_owned() })?;
        config.check().map_err(|text| ConfigError::Value { file: file.to_owned(), text })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        check::all(self)
    }

    /// What is allowed and can't be meant so, a line each.
    pub fn warnings(&self, now: UnixMs) -> Vec<String> {
        let of = |project: &Project| {
            let troubles = gate::queue::troubles(&project.freezes, now);
            troubles.into_iter().map(|it| format!("project {}: {it}", project.name)).collect::<Vec<_>>()
        };
        self.projects.iter().flat_map(of).collect()
    }

    /// The locks that the admin defined, as builds are given out by them.
    pub(crate) fn counted_locks(&self) -> Vec<gate::schedule::Lock> {
        let scope = |scope| match scope {
            LockScope::Master => Scope::Master,
            LockScope::Slave => Scope::Slave,
        };
        let counted = |lock: &Lock| gate::schedule::Lock {
            name: lock.name.clone(),
            shares: lock.shares,
            scope: scope(lock.scope),
        };
        self.locks.iter().map(counted).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("master.toml")).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_a_master_without_projects() {
        let config = Config::parse("", Path::new("master.toml")).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8010");
        assert!(config.projects.is_empty() && config.sources.allow_local.is_empty());
    }

    #[test]
    fn errors_point_at_the_place() {
        insta::assert_snapshot!(error("listen = \"127.0.0.1:8010\"\n[[project]]\nname = \"Heron\"\nrepository = \"x\"\n"), @r#"
        master.toml: TOML parse error at line 3, column 8
          |
        3 | name = "Heron"
          |        ^^^^^^^
        `Heron` can't be the name of a project: use 1 to 64 of a-z, 0-9, `.`, `_` and `-`, a letter or digit first and last, no `..`, not ending in `.lock`
        "#);
        insta::assert_snapshot!(error("[times]\npole_s = 5\n"), @r"
        master.toml: TOML parse error at line 2, column 1
          |
        2 | pole_s = 5
          | ^^^^^^
        unknown field `pole_s`, expected one of `poll_s`, `poll_quiet_s`, `lease_s`, `reluctant_after_s`, `silence_s`, `request_s`, `body_s`, `answer_s`, `stream_s`
        ");
        insta::assert_snapshot!(error("[[lock]]\nname = \"vm\"\nshares = 0\n"), @"master.toml: lock `vm` has no shares: give it at least 1");
    }
}
