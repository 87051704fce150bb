//! `cargo xtask test`: the requirements, the lints, and every test, in named and timed phases.

use crate::cargo::cargo;
use crate::requirements::{self, Older};
use crate::runner::{Count, Outcome, phase};
use clap::ValueEnum;
use std::process::{Command, ExitCode};

/// The test target of the root package that plays whole stories with the built program.
const E2E: &str = "e2e";

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this part
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// A part of the tests.
#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Formatting, clippy, and cargo-deny where it is installed
    Lint,
    /// Unit, property, integration and doc tests of every crate
    Unit,
    /// Whole stories with the built program
    E2e,
    /// Short crash histories on both databases
    Crash,
}

/// Runs the parts that `args` asks for; fails if any phase did.
pub(crate) fn run(args: &Args) -> ExitCode {
    let wanted = |part| args.only.is_none_or(|only| only == part);
    if wanted(Part::Unit) || wanted(Part::E2e) || wanted(Part::Crash) {
        println!("== requirements");
        if let Err(missing) = requirements::meet() {
            eprintln!("{missing}");
            return ExitCode::FAILURE;
        }
    }
    let mut outcomes = Vec::new();
    if wanted(Part::Lint) {
        lint(&mut outcomes);
    }
    if wanted(Part::Unit) || wanted(Part::E2e) {
        // One PostgreSQL for the whole run, because nextest starts a process for each test.
        let postgres = testkit::postgres::Cluster::start();
        let runner = Runner::of_this_machine();
        if wanted(Part::Unit) {
            outcomes.push(phase("unit", serving(&postgres, runner.command(Tests::AllButStories))));
            older_git(&runner, Older::ToMerge, &mut outcomes);
            older_git(&runner, Older::WithoutMerging, &mut outcomes);
            outcomes.push(phase("doc", serving(&postgres, cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]))));
        }
        if wanted(Part::E2e) {
            outcomes.push(phase("e2e", serving(&postgres, runner.command(Tests::Stories))));
        }
    }
    if wanted(Part::Crash) {
        outcomes.push(phase("crash", cargo(&["xtask", "bench", "crash", "--dev"])));
    }
    conclude(&outcomes)
}

fn lint(outcomes: &mut Vec<Outcome>) {
    outcomes.push(phase("format", cargo(&["fmt", "--all", "--check"])));
    outcomes
        .push(phase("clippy", cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])));
    if requirements::on_path("cargo-deny").is_some() {
        outcomes.push(phase("deny", cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])));
    } else {
        println!("\n== deny: not run: cargo-deny is not installed (`cargo install cargo-deny`)");
    }
}

/// What makes candidates, lands and admits, or what slaves and the ChangeLog tools do, once more with the oldest git that is promised
/// to do, where there is one.
fn older_git(runner: &Runner, older: Older, outcomes: &mut Vec<Outcome>) {
    let (name, tests, versions) = match older {
        Older::ToMerge => {
            ("older git", Tests::OfTracker, "2.38 to 2.40, of which `merge-tree` is asked in another way")
        }
        Older::WithoutMerging => ("its slaves", Tests::WithoutMerging, "2.30 to 2.40"),
    };
    let Some((git, version)) = requirements::older_git(older) else {
        println!("\n== {name}: not run: there is no git here of {versions}");
        return;
    };
    println!("\n== {name}: {} is {version}", git.display());
    // A folder of its own, so that nothing else is taken from where that git is.
    let folder = testkit::folder();
    if let Err(error) = std::os::unix::fs::symlink(&git, folder.path().join("git")) {
        println!("   not run: {error}");
        return;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(folder.path().to_owned()).chain(std::env::split_paths(&path));
    let mut command = runner.command(tests);
    if let Ok(path) = std::env::join_paths(path) {
        command.env("PATH", path);
    }
    outcomes.push(phase(name, command));
}

fn conclude(outcomes: &[Outcome]) -> ExitCode {
    let mut count = Count::default();
    println!();
    for outcome in outcomes {
        count += outcome.count;
        let word = if outcome.ok { "ok" } else { "FAILED" };
        println!("{:>8} {word:<6} {:>7.1} s", outcome.name, outcome.took.as_secs_f64());
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    if outcomes.iter().all(|outcome| outcome.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Which tests to run.
#[derive(Clone, Copy)]
enum Tests {
    Stories,
    AllButStories,
    OfTracker,
    /// What slaves and the ChangeLog tools have git do.
    WithoutMerging,
}

/// The tests of [`Tests::WithoutMerging`], each in its package.
const WITHOUT_MERGING: [(&str, &str); 7] = [
    ("slave", "build"),
    ("slave", "connection"),
    ("slave", "crash"),
    ("slave", "history"),
    ("tracker", "worktree"),
    ("bb", "changelog"),
    ("bb", "changelog_kept"),
];

/// What runs tests.
enum Runner {
    Nextest,
    CargoTest,
}

impl Runner {
    fn of_this_machine() -> Runner {
        if requirements::on_path("cargo-nextest").is_some() { Runner::Nextest } else { Runner::CargoTest }
    }

    /// Both runners go on after a failure, so that one run shows all of them.
    fn command(&self, tests: Tests) -> Command {
        match (self, tests) {
            (Runner::Nextest, tests) => {
                let filter = match tests {
                    Tests::Stories => format!("binary_id(bb::{E2E})"),
                    Tests::AllButStories => format!("not binary_id(bb::{E2E})"),
                    // What git costs and says in memory and in pure parts is the same with every git.
                    Tests::OfTracker => "package(tracker) & kind(test) & not binary(memory)".to_owned(),
                    Tests::WithoutMerging => {
                        WITHOUT_MERGING.map(|(package, test)| format!("binary_id({package}::{test})")).join(" | ")
                    }
                };
                cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "-E", &filter])
            }
            (Runner::CargoTest, Tests::Stories) => {
                cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--test", E2E])
            }
            (Runner::CargoTest, Tests::OfTracker) => {
                cargo(&["test", "--package", "tracker", "--locked", "--no-fail-fast", "--lib", "--tests"])
            }
            (Runner::CargoTest, Tests::WithoutMerging) => {
                let mut command = cargo(&["test", "--locked", "--no-fail-fast"]);
                for (package, test) in WITHOUT_MERGING {
                    command.args(["--package", package, "--test", test]);
                }
                command
            }
            (Runner::CargoTest, Tests::AllButStories) => {
                let mut command = cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins"]);
                for name in integration_tests() {
                    command.args(["--test", &name]);
                }
                command
            }
        }
    }
}

/// The names of the workspace's integration tests besides the stories. `cargo test` can't leave one out.
fn integration_tests() -> Vec<String> {
    let out = cargo(&["metadata", "--no-deps", "--format-version=1", "--locked"]).output().map(|out| out.stdout);
    let metadata: serde_json::Value = serde_json::from_slice(&out.unwrap_or_default()).unwrap_or_default();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let targets = packages.iter().flat_map(|package| package["targets"].as_array().into_iter().flatten());
    targets
        .filter(|target| target["kind"] == serde_json::json!(["test"]))
        .filter_map(|target| target["name"].as_str())
        .filter(|name| *name != E2E)
        .map(str::to_owned)
        .collect()
}

/// `command`, told where PostgreSQL is. A test that needs one and has none fails and says why.
fn serving(postgres: &Result<testkit::postgres::Cluster, testkit::postgres::Error>, mut command: Command) -> Command {
    if let Ok(cluster) = postgres {
        command.env(testkit::postgres::ENV, cluster.url());
    }
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::cargo::cargo;

    fn version(text: &str) -> Vec<u32> {
        text.split('.').map(|part| part.parse().unwrap()).collect()
    }

    /// What Cargo.toml and the README promise is what the locked dependencies need.
    #[test]
    fn the_rust_that_is_said_is_the_rust_that_is_needed() {
        let out = cargo(&["metadata", "--format-version=1", "--locked"]).output().unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let (own, others): (Vec<_>, Vec<_>) = packages.iter().partition(|package| package["source"].is_null());
        let said = own.iter().map(|package| package["rust_version"].as_str().unwrap()).collect::<Vec<_>>();
        assert!(said.iter().all(|version| *version == said[0]), "{said:?}");
        let needs = |package: &&&serde_json::Value| package["rust_version"].as_str().map(version);
        let most = others.iter().max_by_key(needs).unwrap();
        let needed = version(most["rust_version"].as_str().unwrap());
        assert!(
            version(said[0]) >= needed[..2].to_vec(),
            "{} needs {needed:?}, Cargo.toml says {}",
            most["name"],
            said[0]
        );
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        assert!(readme.contains(&format!("Rust toolchain ({} or newer)", said[0])), "the README says another version");
    }
}
