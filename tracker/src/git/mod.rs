//! The git program: finding one that is new enough, and the only place that starts it.

mod run;

pub(crate) use run::{Run, Running};
pub use run::{RunError, RunLimits};

use crate::Explain;
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

/// The oldest git that has `merge-tree --write-tree` and `--attr-source`.
pub const OLDEST: Version = Version { major: 2, minor: 41 };

/// No git can be used.
#[derive(Debug, thiserror::Error)]
pub enum GitNotUsable {
    /// There is none.
    #[error("no git program was found on PATH; bb needs git {OLDEST} or newer")]
    Missing,
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
    #[error("git {OLDEST} or newer is needed, and found was only {}", list(found))]
    TooOld {
        /// Each with its version.
        found: Vec<(PathBuf, Version)>,
    },
}

fn list(found: &[(PathBuf, Version)]) -> String {
    let each: Vec<String> = found.iter().map(|(path, version)| format!("{version} at {}", path.display())).collect();
    each.join(", ")
}

impl Explain for GitNotUsable {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "git-missing",
            Self::NotStarted { .. } => "git-not-started",
            Self::NotGit { .. } => "git-not-git",
            Self::TooOld { .. } => "git-too-old",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Missing | Self::TooOld { .. } => format!(
                "install git {OLDEST} or newer (from your system's backports, or from source), or name one that stands elsewhere by `git = \"/path/to/git\"` in master.toml or slave.toml"
            ),
            Self::NotStarted { .. } | Self::NotGit { .. } => {
                "mend `git` in the configuration, or leave it out to use the newest on PATH".to_owned()
            }
        }
    }
}

impl Git {
    /// Finds a git that is new enough: the configured one, else the first on PATH that is; older ones before it are
    /// passed over. Its helpers are found on the same PATH.
    ///
    /// # Errors
    /// When there is none, or the configured one is no git or too old.
    pub fn find(configured: Option<&Path>) -> Result<Self, GitNotUsable> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(configured, std::env::split_paths(&path))
    }

    /// As [`Git::find`], along the given folders.
    ///
    /// # Errors
    /// As there.
    pub fn find_in(
        configured: Option<&Path>,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Result<Self, GitNotUsable> {
        let folders: Vec<PathBuf> = folders.into_iter().filter(|folder| folder.is_absolute()).collect();
        if let Some(program) = configured {
            let version = ask_version(program)?;
            if version < OLDEST {
                return Err(GitNotUsable::TooOld { found: vec![(program.to_owned(), version)] });
            }
            return Ok(Self::with(program.to_owned(), version, &folders));
        }
        let mut old = Vec::new();
        let mut odd = None;
        for program in folders.iter().map(|folder| folder.join("git")).filter(|program| program.is_file()) {
            match ask_version(&program) {
                Ok(version) if version >= OLDEST => return Ok(Self::with(program, version, &folders)),
                Ok(version) => old.push((program, version)),
                Err(error) => odd = Some(error),
            }
        }
        match (old.is_empty(), odd) {
            (false, _) => Err(GitNotUsable::TooOld { found: old }),
            (true, Some(error)) => Err(error),
            (true, None) => Err(GitNotUsable::Missing),
        }
    }

    fn with(program: PathBuf, version: Version, folders: &[PathBuf]) -> Self {
        let prlimit = folders.iter().map(|folder| folder.join("prlimit")).find(|program| program.is_file());
        let path = std::env::join_paths(folders).ok().filter(|path| !path.is_empty());
        let path = path.unwrap_or_else(|| "/usr/bin:/bin".into());
        Self { inner: Arc::new(Inner { program, version, prlimit, path, ssh: SshSettings::default() }) }
    }

    /// The same git, with these settings of ssh towards strangers' repositories.
    #[must_use]
    pub fn with_ssh(self, ssh: SshSettings) -> Self {
        let Inner { program, version, prlimit, path, .. } = &*self.inner;
        let (program, version, prlimit, path) = (program.clone(), *version, prlimit.clone(), path.clone());
        Self { inner: Arc::new(Inner { program, version, prlimit, path, ssh }) }
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
        assert_eq!(read_version("git version 2.41.0.windows.1"), Some(OLDEST));
        assert_eq!(read_version("git version 2.39.5 (Apple Git-154)"), Some(Version { major: 2, minor: 39 }));
        assert_eq!(read_version("hg 6.1"), None);
    }

    #[test]
    fn an_older_git_is_passed_over_and_refused_alone_by_name() {
        let temp = tempfile::tempdir().unwrap();
        let (old, new) = (temp.path().join("old"), temp.path().join("new"));
        let old_git = fake(&old, "git version 2.39.5");
        let new_git = fake(&new, "git version 2.50.1");
        assert_eq!(Git::find_in(None, [old.clone(), new]).unwrap().program(), new_git);

        let refused = Git::find_in(None, [old]).unwrap_err();
        assert_eq!(refused.code(), "git-too-old");
        let words = refused.to_string();
        assert!(words.contains("2.39") && words.contains(&*old_git.to_string_lossy()), "{words}");
        assert!(refused.hint().contains("master.toml"));
        assert_eq!(Git::find_in(Some(&old_git), []).unwrap_err().code(), "git-too-old");
        assert_eq!(Git::find_in(None, [temp.path().to_owned()]).unwrap_err().code(), "git-missing");
        let odd = fake(&temp.path().join("odd"), "not git");
        assert_eq!(Git::find_in(Some(&odd), []).unwrap_err().code(), "git-not-git");
        assert_eq!(Git::find_in(Some(&temp.path().join("x")), []).unwrap_err().code(), "git-not-started");
    }

    #[test]
    fn ssh_asks_nobody_trusts_nobody_and_calls_the_vetted_address() {
        let temp = tempfile::tempdir().unwrap();
        fake(temp.path(), "git version 2.50.1");
        let git = Git::find_in(None, [temp.path().to_owned()]).unwrap();
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
