//! The git program: finding one that is new enough, and the only place that starts it; and libgit2, which reads no
//! settings but a repository's own.

mod environment;
mod library;
mod ref_writers;
mod run;
pub(crate) mod told;
mod unsaid;
mod view;

pub(crate) use library::ignore_user_settings;

pub(crate) use ref_writers::{RefWriters, remove_if_older};
pub(crate) use run::{Run, Running, bytes_below};
pub use run::{RunError, RunLimits};
pub(crate) use unsaid::without_places;
pub(crate) use view::View;

use crate::Explain;
use protocol::Hint;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A git program of a version that bb can work with.
#[derive(Clone, Debug)]
pub struct Git {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    version: Version,
    /// `prlimit` of util-linux, which sets limits before git starts.
    prlimit: Option<PathBuf>,
    /// `flock` of util-linux, which holds a lock for as long as git and what it started live.
    flock: Option<PathBuf>,
    /// Where git finds its own helpers, such as ssh.
    path: OsString,
    ssh: SshSettings,
}

/// What ssh may use towards repositories of strangers. Nothing by default: then only servers that let anybody in could
/// answer, and only if their key is known.
#[derive(Clone, Debug, Default)]
pub struct SshSettings {
    /// The file with the keys of the servers that are known; a server that is not in it is refused.
    pub known_hosts: Option<PathBuf>,
    /// The private key to show; never one that opens the official repository.
    pub identity: Option<PathBuf>,
}

/// A version of git.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Version {
    /// 2 in 2.41.
    pub major: u32,
    /// 41 in 2.41.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The oldest git that can make candidates: the first with `merge-tree --write-tree`. A master needs it, and whoever merges.
pub const OLDEST_TO_MERGE: Version = Version { major: 2, minor: 38 };

/// The oldest git that is promised to do all the rest: to fetch and check out on a slave, and to serve the ChangeLog tools.
pub const OLDEST: Version = Version { major: 2, minor: 30 };

/// From this version on `merge-tree` is told by `--attr-source` whose attributes count.
pub(crate) const ATTR_SOURCE: Version = Version { major: 2, minor: 41 };

/// From this version on settings can be given by `GIT_CONFIG_COUNT`.
pub(crate) const CONFIG_COUNT: Version = Version { major: 2, minor: 31 };

/// No git can be used.
#[derive(Debug, thiserror::Error)]
pub enum GitNotUsable {
    /// There is none.
    #[error("no git program was found on PATH; git {needed} or newer is needed")]
    Missing {
        /// The oldest that would do.
        needed: Version,
    },
    /// The configured one can't be started.
    #[error("the configured git `{}` can't be started: {source}", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program does not say a version as git does.
    #[error("`{} --version` says `{said}`, which is not git's answer", program.display())]
    NotGit {
        /// The program.
        program: PathBuf,
        /// What it said, shortened.
        said: String,
    },
    /// Those there are, are too old.
    #[error("git {needed} or newer is needed{}, and found was only {}", purpose(*needed), list(found))]
    TooOld {
        /// The oldest that would do.
        needed: Version,
        /// Each with its version.
        found: Vec<(PathBuf, Version)>,
    },
}

/// What the older ones, which do for a slave, can't do.
fn purpose(needed: Version) -> &'static str {
    if needed == OLDEST_TO_MERGE { " to merge without a work tree" } else { "" }
}

fn list(found: &[(PathBuf, Version)]) -> String {
    let each: Vec<String> = found.iter().map(|(path, version)| format!("{version} at {}", path.display())).collect();
    each.join(", ")
}

impl Explain for GitNotUsable {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "git-missing",
            Self::NotStarted { .. } => "git-not-started",
            Self::NotGit { .. } => "git-not-git",
            Self::TooOld { .. } => "git-too-old",
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Missing { needed } | Self::TooOld { needed, .. } => Hint::new(format!(
                "install git {needed} or newer (from your system's backports, or from source), or name one that stands elsewhere by `git = \"/path/to/git\"` in master.toml or slave.toml"
            )),
            Self::NotStarted { .. } | Self::NotGit { .. } => {
                Hint::new("mend `git` in the configuration, or leave it out to use the newest on PATH")
            }
        }
    }
}

impl Git {
    /// Finds a git that can make candidates, [`OLDEST_TO_MERGE`] or newer: the configured one, else the first on PATH that
    /// is; older ones before it are passed over. Its helpers are found on the same PATH.
    ///
    /// # Errors
    /// When there is none, or the configured one is no git or too old.
    pub fn find(configured: Option<&Path>) -> Result<Self, GitNotUsable> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(configured, OLDEST_TO_MERGE, std::env::split_paths(&path))
    }

    /// As [`Git::find`], for whoever never merges, such as a slave: [`OLDEST`] will do.
    ///
    /// # Errors
    /// As there.
    pub fn find_to_fetch(configured: Option<&Path>) -> Result<Self, GitNotUsable> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(configured, OLDEST, std::env::split_paths(&path))
    }

    /// As [`Git::find`], for the version `needed`, along the given folders.
    ///
    /// # Errors
    /// As there.
    pub fn find_in(
        configured: Option<&Path>,
        needed: Version,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Result<Self, GitNotUsable> {
        let folders: Vec<PathBuf> = folders.into_iter().filter(|folder| folder.is_absolute()).collect();
        if let Some(program) = configured {
            let version = ask_version(program)?;
            if version < needed {
                return Err(GitNotUsable::TooOld { needed, found: vec![(program.to_owned(), version)] });
            }
            return Ok(Self::with(program.to_owned(), version, &folders));
        }
        let mut old = Vec::new();
        let mut odd = None;
        for program in folders.iter().map(|folder| folder.join("git")).filter(|program| program.is_file()) {
            match ask_version(&program) {
                Ok(version) if version >= needed => return Ok(Self::with(program, version, &folders)),
                Ok(version) => old.push((program, version)),
                Err(error) => odd = Some(error),
            }
        }
        match (old.is_empty(), odd) {
            (false, _) => Err(GitNotUsable::TooOld { needed, found: old }),
            (true, Some(error)) => Err(error),
            (true, None) => Err(GitNotUsable::Missing { needed }),
        }
    }

    fn with(program: PathBuf, version: Version, folders: &[PathBuf]) -> Self {
        let beside = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file());
        let (prlimit, flock) = (beside("prlimit"), beside("flock"));
        let path = std::env::join_paths(folders).ok().filter(|path| !path.is_empty());
        let path = path.unwrap_or_else(|| "/usr/bin:/bin".into());
        Self { inner: Arc::new(Inner { program, version, prlimit, flock, path, ssh: SshSettings::default() }) }
    }

    /// The same git, with these settings of ssh towards strangers' repositories.
    #[must_use]
    pub fn with_ssh(self, ssh: SshSettings) -> Self {
        let Inner { program, version, prlimit, flock, path, .. } = &*self.inner;
        let (program, version, path) = (program.clone(), *version, path.clone());
        let (prlimit, flock) = (prlimit.clone(), flock.clone());
        Self { inner: Arc::new(Inner { program, version, prlimit, flock, path, ssh }) }
    }

    /// The same program, taken for one of an older version: so tests compare how older ones are asked with how newer ones are.
    #[must_use]
    pub fn taken_for(self, version: Version) -> Self {
        let Inner { program, prlimit, flock, path, ssh, .. } = &*self.inner;
        let (program, path, ssh) = (program.clone(), path.clone(), ssh.clone());
        let (prlimit, flock) = (prlimit.clone(), flock.clone());
        Self { inner: Arc::new(Inner { program, version, prlimit, flock, path, ssh }) }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.inner.program
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.inner.version
    }

    /// A run with an environment of its own, for whatever a stranger has a hand in.
    pub(crate) fn bounded(&self) -> Run {
        Run::bounded(self)
    }

    /// A run with the admin's environment and configuration, for the official repository alone.
    pub(crate) fn as_admin(&self) -> Run {
        Run::as_admin(self)
    }

    pub(crate) fn path(&self) -> &std::ffi::OsStr {
        &self.inner.path
    }

    pub(crate) fn prlimit(&self) -> Option<&Path> {
        self.inner.prlimit.as_deref()
    }

    pub(crate) fn flock(&self) -> Option<&Path> {
        self.inner.flock.as_deref()
    }

    /// The ssh command for strangers' servers. `pinned` is the vetted address to call, and the name whose key it must show.
    pub(crate) fn ssh_command(&self, pinned: Option<(&str, &str)>) -> OsString {
        let SshSettings { known_hosts, identity } = &self.inner.ssh;
        let none = Path::new("/dev/null");
        let mut command = OsString::from("ssh -F /dev/null");
        let mut option = |name: &str, value: &std::ffi::OsStr| {
            let mut word = OsString::from(name);
            word.push("=");
            word.push(value);
            command.push(" -o ");
            command.push(quoted(&word));
        };
        for (name, value) in [
            ("BatchMode", "yes"),
            ("StrictHostKeyChecking", "yes"),
            ("GlobalKnownHostsFile", "/dev/null"),
            ("IdentitiesOnly", "yes"),
            ("IdentityAgent", "none"),
            ("ProxyCommand", "none"),
            ("PermitLocalCommand", "no"),
            ("ClearAllForwardings", "yes"),
            ("ConnectTimeout", "15"),
            ("ServerAliveInterval", "15"),
        ] {
            option(name, value.as_ref());
        }
        option("UserKnownHostsFile", known_hosts.as_deref().unwrap_or(none).as_os_str());
        option("IdentityFile", identity.as_deref().unwrap_or(none).as_os_str());
        if let Some((address, name)) = pinned {
            option("HostName", address.as_ref());
            option("HostKeyAlias", name.as_ref());
        }
        command
    }
}

/// A word as a POSIX shell takes it back whole.
pub(crate) fn quoted(word: &std::ffi::OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut out = vec![b'\''];
    for &byte in word.as_bytes() {
        if byte == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(byte);
        }
    }
    out.push(b'\'');
    OsString::from_vec(out)
}

fn ask_version(program: &Path) -> Result<Version, GitNotUsable> {
    let said = std::process::Command::new(program)
        .arg("--version")
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|source| GitNotUsable::NotStarted { program: program.to_owned(), source })?;
    let text = String::from_utf8_lossy(&said.stdout);
    read_version(&text).ok_or_else(|| GitNotUsable::NotGit {
        program: program.to_owned(),
        said: crate::text::shortened(text.trim(), 80),
    })
}

fn read_version(text: &str) -> Option<Version> {
    let mut numbers = text.trim().strip_prefix("git version ")?.split(['.', ' ', '-']);
    Some(Version { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn fake(folder: &Path, says: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let program = folder.join("git");
        std::fs::write(&program, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(read_version("git version 2.47.3\n"), Some(Version { major: 2, minor: 47 }));
        assert_eq!(read_version("git version 2.41.0.windows.1"), Some(ATTR_SOURCE));
        assert_eq!(read_version("git version 2.39.5 (Apple Git-154)"), Some(Version { major: 2, minor: 39 }));
        assert_eq!(read_version("hg 6.1"), None);
    }

    #[test]
    fn an_older_git_is_passed_over_and_refused_alone_by_name() {
        let temp = tempfile::tempdir().unwrap();
        let (old, new) = (temp.path().join("old"), temp.path().join("new"));
        let old_git = fake(&old, "git version 2.37.9");
        let new_git = fake(&new, "git version 2.38.0");
        let to_merge = |configured: Option<&Path>, folders: &[&PathBuf]| {
            Git::find_in(configured, OLDEST_TO_MERGE, folders.iter().map(|folder| (*folder).clone()))
        };
        assert_eq!(to_merge(None, &[&old, &new]).unwrap().program(), new_git);

        let refused = to_merge(None, &[&old]).unwrap_err();
        assert_eq!(refused.code(), "git-too-old");
        let words = refused.to_string();
        assert!(words.contains("2.38 or newer") && words.contains("2.37"), "{words}");
        assert!(words.contains(&*old_git.to_string_lossy()), "{words}");
        assert!(refused.hint().contains("master.toml") && refused.hint().contains("2.38"));
        assert_eq!(to_merge(Some(&old_git), &[]).unwrap_err().code(), "git-too-old");
        assert_eq!(to_merge(None, &[&temp.path().to_owned()]).unwrap_err().code(), "git-missing");
        let odd = fake(&temp.path().join("odd"), "not git");
        assert_eq!(to_merge(Some(&odd), &[]).unwrap_err().code(), "git-not-git");
        assert_eq!(to_merge(Some(&temp.path().join("x")), &[]).unwrap_err().code(), "git-not-started");
    }

    #[test]
    fn whoever_never_merges_takes_an_older_git() {
        let temp = tempfile::tempdir().unwrap();
        for (version, is_taken) in [("2.29.3", false), ("2.30.2", true), ("2.37.1", true), ("2.50.1", true)] {
            let folder = temp.path().join(version);
            fake(&folder, &format!("git version {version}"));
            let found = Git::find_in(None, OLDEST, [folder]);
            assert_eq!(found.is_ok(), is_taken, "{version}: {found:?}");
            if let Err(refused) = found {
                let words = refused.to_string();
                assert!(words.contains("git 2.30 or newer is needed, and"), "{words}");
            }
        }
    }

    #[test]
    fn ssh_asks_nobody_trusts_nobody_and_calls_the_vetted_address() {
        let temp = tempfile::tempdir().unwrap();
        fake(temp.path(), "git version 2.50.1");
        let git = Git::find_in(None, OLDEST, [temp.path().to_owned()]).unwrap();
        let known_hosts = Some(PathBuf::from("/etc/bb/it's known"));
        let git = git.with_ssh(SshSettings { known_hosts, identity: None });
        let command = git.ssh_command(Some(("192.0.2.1", "git.example.org"))).into_string().unwrap();
        assert!(command.starts_with("ssh -F /dev/null -o 'BatchMode=yes' -o 'StrictHostKeyChecking=yes'"), "{command}");
        for option in [
            "'ProxyCommand=none'",
            "'IdentityAgent=none'",
            "'IdentityFile=/dev/null'",
            "'UserKnownHostsFile=/etc/bb/it'\\''s known'",
            "'HostName=192.0.2.1'",
            "'HostKeyAlias=git.example.org'",
        ] {
            assert!(command.contains(&format!(" -o {option}")), "{command}");
        }
    }

    #[test]
    fn a_quoted_word_stays_one_word() {
        assert_eq!(quoted("a'b $x".as_ref()), "'a'\\''b $x'");
    }
}
