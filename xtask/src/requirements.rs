//! What the tests need of the machine, and how each is got.
//!
//! As root the system's package manager installs what is missing; as anybody else the reader is told what to install.
//! Nothing is ever taken from anywhere but that package manager.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest git that can make candidates: it has `merge-tree --write-tree`.
const GIT_AT_LEAST: (u32, u32) = (2, 38);

/// The oldest git that is told by `--attr-source` whose attributes count; those before are asked in another way.
const GIT_ATTR_SOURCE: (u32, u32) = (2, 41);

/// The oldest git that is promised to do for whoever never merges: slaves and the ChangeLog tools.
const GIT_WITHOUT_MERGING: (u32, u32) = (2, 30);

/// The versions of git from which an older one is taken, for the tests that are run again with it.
#[derive(Clone, Copy)]
pub(crate) enum Older {
    /// Of those that make candidates, and are asked for it in the older way.
    ToMerge,
    /// Of those that do for slaves and the ChangeLog tools.
    WithoutMerging,
}

/// A program that the tests use.
struct Requirement {
    name: &'static str,
    why: &'static str,
    present: fn() -> bool,
    /// The packages that bring it, in the order of [`Manager`]'s variants; empty where that manager has none.
    packages: [&'static str; 4],
}

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        name: "git",
        why: "repositories, everywhere",
        present: || on_path("git").is_some(),
        packages: ["git", "git", "git", "git git-daemon"],
    },
    Requirement {
        name: "make",
        why: "the builds of the test projects",
        present: || on_path("make").is_some(),
        packages: ["make", "make", "make", "make"],
    },
    Requirement {
        name: "bwrap",
        why: "the sandbox that builds run in",
        present: || on_path("bwrap").is_some(),
        packages: ["bubblewrap", "bubblewrap", "bubblewrap", "bubblewrap"],
    },
    Requirement {
        name: "perl",
        why: "system calls that the sandbox must refuse",
        present: || on_path("perl").is_some(),
        packages: ["perl", "perl", "perl", "perl"],
    },
    Requirement {
        name: "setpriv and prlimit",
        why: "to end test servers with their tests, and to bound git",
        present: || on_path("setpriv").is_some() && on_path("prlimit").is_some(),
        packages: ["util-linux", "util-linux", "util-linux", "setpriv util-linux-misc"],
    },
    Requirement {
        name: "postgres and initdb",
        why: "the store's tests on PostgreSQL",
        present: || testkit::postgres::find_binaries().is_some(),
        packages: ["postgresql", "postgresql-server", "postgresql", "postgresql"],
    },
    Requirement {
        name: "chromium and chromedriver",
        why: "the tests of the pages",
        present: || testkit::browser::find_binaries().is_some(),
        packages: ["chromium chromium-driver", "chromium chromedriver", "chromium", "chromium chromium-chromedriver"],
    },
    Requirement {
        name: "git-merge-changelog",
        why: "the peer that the merge driver is compared with",
        present: || on_path("git-merge-changelog").is_some(),
        packages: ["git-merge-changelog", "", "", ""],
    },
];

/// A package manager.
#[derive(Clone, Copy)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
    Apk,
}

impl Manager {
    const ALL: [(Manager, &'static str); 4] =
        [(Manager::Apt, "apt-get"), (Manager::Dnf, "dnf"), (Manager::Pacman, "pacman"), (Manager::Apk, "apk")];

    fn of_this_machine() -> Option<Manager> {
        Manager::ALL.into_iter().find(|(_, program)| on_path(program).is_some()).map(|(manager, _)| manager)
    }

    fn install_command(self, packages: &[&str]) -> Vec<String> {
        let words: &[&str] = match self {
            Manager::Apt => &["apt-get", "install", "--yes", "--no-install-recommends"],
            Manager::Dnf => &["dnf", "install", "-y"],
            Manager::Pacman => &["pacman", "-S", "--noconfirm", "--needed"],
            Manager::Apk => &["apk", "add"],
        };
        words.iter().chain(packages).map(ToString::to_string).collect()
    }
}

/// Why the tests can't be run here.
pub(crate) struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sees to it that everything is there that the tests need.
pub(crate) fn meet() -> Result<(), Missing> {
    // Whether git is new enough is seen before the rest is installed, which is a browser and a database among other things; where
    // there is no git at all, the one that this system packages decides.
    let (git, rest): (Vec<_>, Vec<_>) = missing().into_iter().partition(|requirement| requirement.name == "git");
    if !git.is_empty() {
        install(&git)?;
    }
    git_is_new_enough()?;
    if !rest.is_empty() {
        install(&rest)?;
    }
    Ok(())
}

fn missing() -> Vec<&'static Requirement> {
    REQUIREMENTS.iter().filter(|requirement| !(requirement.present)()).collect()
}

fn install(missing: &[&'static Requirement]) -> Result<(), Missing> {
    let manager = Manager::of_this_machine();
    let mut wanted: Vec<&Requirement> = missing.to_vec();
    if let Some(manager) = manager {
        // A peer that this system does not package can't be asked for; what uses it says so.
        wanted.retain(|requirement| {
            let packaged = !requirement.packages[manager as usize].is_empty();
            if !packaged {
                println!("   {} has no package here ({})", requirement.name, requirement.why);
            }
            packaged
        });
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let Some(manager) = manager else {
        return Err(Missing(format!("{}install these by your system's means, then run this again", list(&wanted))));
    };
    let packages: Vec<&str> =
        wanted.iter().flat_map(|requirement| requirement.packages[manager as usize].split(' ')).collect();
    let command = manager.install_command(&packages);
    if !is_root() {
        return Err(Missing(format!("{}hint: sudo {}", list(&wanted), command.join(" "))));
    }
    println!("   {}", command.join(" "));
    if matches!(manager, Manager::Apt) {
        // The lists may never have been fetched; a failure shows itself at the install.
        succeeds(Command::new("apt-get").args(["update", "--quiet=2"]));
    }
    let installed = succeeds(
        Command::new(&command[0]).args(&command[1..]).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()),
    );
    let still: Vec<&Requirement> = wanted.into_iter().filter(|requirement| !(requirement.present)()).collect();
    match (installed, still.is_empty()) {
        (_, true) => Ok(()),
        (true, false) => Err(Missing(format!("{}`{}` did not bring them", list(&still), command.join(" ")))),
        (false, false) => Err(Missing(format!("{}`{}` failed", list(&still), command.join(" ")))),
    }
}

fn list(requirements: &[&Requirement]) -> String {
    let lines: String =
        requirements.iter().map(|requirement| format!("   {} ({})\n", requirement.name, requirement.why)).collect();
    format!("the tests need what is not here:\n{lines}")
}

/// bb takes the first git along PATH that is new enough; one such must be there.
fn git_is_new_enough() -> Result<(), Missing> {
    let mut too_old = Vec::new();
    for git in all_on_path("git") {
        let said = says(&git);
        if git_version(&said).is_some_and(|version| version >= GIT_AT_LEAST) {
            return Ok(());
        }
        too_old.push(format!("   {} says `{}`\n", git.display(), said.trim()));
    }
    Err(Missing(format!(
        "every git on PATH is too old, and candidates need git {}.{} (merge-tree with --write-tree):\n{}\
         hint: install a newer git, in a folder of PATH",
        GIT_AT_LEAST.0,
        GIT_AT_LEAST.1,
        too_old.concat()
    )))
}

/// The oldest git of this machine that is promised to do, and not of the newer ones, with its version.
pub(crate) fn older_git(older: Older) -> Option<(PathBuf, String)> {
    let gits = all_on_path("git").into_iter().chain([PathBuf::from("/usr/bin/git")]);
    let known = gits.filter(|git| git.is_file()).filter_map(|git| Some((git_version(&says(&git))?, git)));
    let from = match older {
        Older::ToMerge => GIT_AT_LEAST,
        Older::WithoutMerging => GIT_WITHOUT_MERGING,
    };
    let older = known.filter(|(version, _)| (from..GIT_ATTR_SOURCE).contains(version)).min()?;
    Some((older.1, format!("{}.{}", older.0.0, older.0.1)))
}

/// What `git --version` says.
fn says(git: &Path) -> String {
    let said = Command::new(git).arg("--version").output().map(|out| out.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).into_owned()
}

/// The major and minor version in what `git --version` says.
fn git_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Where `program` is on PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    all_on_path(program).into_iter().next()
}

/// Everywhere that `program` is on PATH.
fn all_on_path(program: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).filter(|file| Path::is_file(file)).collect()
}

fn is_root() -> bool {
    testkit::process::is_root()
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::git_version;

    #[test]
    fn versions_of_git_are_read() {
        assert_eq!(git_version("git version 2.47.3\n"), Some((2, 47)));
        assert_eq!(git_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(git_version("command not found"), None);
    }
}
