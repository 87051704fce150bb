//! What a git may see that reads a repository of this machine: that repository, its own programs, and nothing else.
//!
//! The repository is another user's data. Whatever in it names another place (a link, an alternate store, a `.git` file, an
//! include of its configuration) leads nowhere, also when it was put there after the repository was looked at: what may be read is
//! given as open folders, and the kernel (Landlock) holds git and all that it starts to them.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError,
};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use tokio::process::{Child, Command};

/// The folders and files of a repository, open.
#[derive(Debug, Default)]
pub(crate) struct View(Vec<OwnedFd>);

/// Keeps the thread alive that a confined program was started by; the kernel takes its end for the parent's.
pub(crate) struct Parent(#[expect(dead_code, reason = "held")] Sender<()>);

/// What else a program needs: where its own files are, and what of ours it works on.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Programs that are started, wherever they are installed.
    pub(crate) programs: Vec<PathBuf>,
    /// Folders of ours that are read.
    pub(crate) reads: Vec<PathBuf>,
    /// Folders of ours that are written.
    pub(crate) writes: Vec<PathBuf>,
}

/// Where systems have programs and their libraries.
const PREFIXES: [&str; 3] = ["/", "/usr", "/usr/local"];
const OF_PREFIX: [&str; 8] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec", "share/git-core"];
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];
/// What the loader, the shell and git read of a system.
const FILES: [&str; 6] =
    ["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/passwd", "/etc/nsswitch.conf", "/dev/urandom"];

impl View {
    pub(crate) fn of(places: Vec<OwnedFd>) -> Self {
        Self(places)
    }

    /// Whether this kernel can hold a program to a view: Linux 5.13 or newer, with Landlock on.
    pub(crate) fn can_be_held() -> bool {
        static CAN: OnceLock<bool> = OnceLock::new();
        *CAN.get_or_init(|| ruleset().is_ok())
    }

    /// Starts a program that sees no more than this and what it needs. Must be called within a runtime.
    pub(crate) fn spawn(&self, mut command: Command, needs: &Needs) -> io::Result<(Child, Parent)> {
        let rules = self.rules(needs).map_err(io::Error::other)?;
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let (hold, held) = channel::<()>();
        let (answer, answered) = channel();
        // A thread of its own, because it can never see more again.
        std::thread::Builder::new().name("git-view".to_owned()).spawn(move || {
            let _inside = runtime.enter();
            let started = rules.restrict_self().map_err(io::Error::other).and_then(|_| command.spawn());
            if answer.send(started).is_ok() {
                let _ = held.recv();
            }
        })?;
        let child = answered.recv().map_err(io::Error::other)??;
        Ok((child, Parent(hold)))
    }

    fn rules(&self, needs: &Needs) -> Result<RulesetCreated, RulesetError> {
        let all = AccessFs::from_all(LATEST);
        let run = AccessFs::from_read(LATEST);
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let mut rules = ruleset()?;
        for place in &self.0 {
            rules = rules.add_rule(PathBeneath::new(place, read))?;
        }
        let add = |rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>| match PathFd::new(path) {
            // What is not there needs no rule.
            Err(_) => Ok(rules),
            Ok(fd) if path.is_dir() => rules.add_rule(PathBeneath::new(fd, access)),
            Ok(fd) => rules.add_rule(PathBeneath::new(fd, access & AccessFs::from_file(LATEST))),
        };
        for folder in PREFIXES.iter().flat_map(|prefix| OF_PREFIX.map(|part| Path::new(prefix).join(part))) {
            rules = add(rules, &folder, run)?;
        }
        for path in STORES.iter().chain(&FILES) {
            rules = add(rules, Path::new(path), run)?;
        }
        rules = add(rules, Path::new("/dev/null"), all)?;
        for program in &needs.programs {
            let real = program.canonicalize().unwrap_or_else(|_| program.clone());
            rules = add(rules, &real, run)?;
            if let Some(prefix) = real.parent().and_then(Path::parent).filter(|prefix| prefix.parent().is_some()) {
                for part in OF_PREFIX {
                    rules = add(rules, &prefix.join(part), run)?;
                }
            }
        }
        for path in &needs.reads {
            rules = add(rules, path, read)?;
        }
        for path in &needs.writes {
            rules = add(rules, path, all)?;
        }
        Ok(rules)
    }
}

/// The newest rights that are known here; of these a kernel holds what it knows.
const LATEST: ABI = ABI::V5;

/// Rules that allow nothing yet. Reading, writing and starting must be held; the newer rights are, where they can be.
fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LATEST))?
        .handle_access(AccessNet::from_all(LATEST))?
        .create()
}
