//! ChangeLogs: the merge driver beside git-merge-changelog, and the fold of many fragments beside towncrier.
//!
//! Both programs of a pair take turns on copies of the same files, so that what else the machine does hits both.

use super::numbers::{Rows, root};
use super::rows::{Row, Wanted};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Sizes of ChangeLogs, in bytes, how often each is merged by each program, and how many times faster bb should be.
const SIZES: [(&str, usize, usize, Option<f64>); 3] =
    [("100 kB", 100_000, 31, None), ("1 MB", 1_000_000, 21, Some(4.0)), ("10 MB", 10_000_000, 11, Some(8.0))];
/// Numbers of fragments, and how often each is folded by each program.
const FRAGMENTS: [(usize, usize); 3] = [(1, 9), (1000, 5), (10_000, 3)];
/// Each program but the last needs so many runs to be sure of its middle one; git-merge-changelog needs 16 s for this one.
const REINDENTED_RUNS: usize = 1;

/// Measures all of it.
pub(super) fn measure(bb: &Path) -> Rows {
    let folder = Folder::new()?;
    let mut rows = merges(bb, &folder.0)?;
    rows.push(reindented(bb, &folder.0)?);
    rows.extend(folds(bb, &towncrier()?, &folder.0)?);
    Ok(rows)
}

/// Three versions of a ChangeLog: both sides add three entries on top, of days in turn.
fn merges(bb: &Path, folder: &Path) -> Rows {
    let mut all = Vec::new();
    for (name, size, runs, wanted) in SIZES {
        let base = entries(size).concat();
        let added = |days: [u8; 3], who: &str| -> String { days.map(|day| new_entry(day, who)).concat() };
        let files =
            Three::write(folder, &base, &(added([9, 7, 5], "Ann") + &base), &(added([8, 6, 4], "Bob") + &base))?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            theirs.push(files.merged(Command::new("git-merge-changelog"), true)?);
            ours.push(files.merged(driver(bb), true)?);
        }
        all.push(pair(&format!("merge, {name}, beside git-merge-changelog"), theirs, ours, wanted));
    }
    Ok(all)
}

/// Ours is indented anew, theirs has ten corrections; bb's result must have both.
fn reindented(bb: &Path, folder: &Path) -> Result<Row, String> {
    let old = entries(1_000_000);
    let mut corrected = old.clone();
    for n in 0..10 {
        let at = (2 * n + 1) * old.len() / 20;
        corrected[at] = corrected[at].replacen("): ", "): Corrected. ", 1);
    }
    let spaces = |text: String| text.replace('\t', "        ");
    let files = Three::write(folder, &old.concat(), &spaces(old.concat()), &corrected.concat())?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..REINDENTED_RUNS {
        theirs.push(files.merged(Command::new("git-merge-changelog"), false)?);
    }
    for _ in 0..9 {
        ours.push(files.merged(driver(bb), true)?);
    }
    if files.result()? != spaces(corrected.concat()) {
        return Err("bb's merge of the re-indented ChangeLog is not what it should be".to_owned());
    }
    Ok(pair("merge, 1 MB indented anew, beside git-merge-changelog", theirs, ours, Some(200.0)))
}

/// Typed fragments into a news file of 1 MB, by `towncrier build` and by `bb merge-changelog`.
fn folds(bb: &Path, towncrier: &Path, folder: &Path) -> Rows {
    let mut all = Vec::new();
    for (count, runs) in FRAGMENTS {
        let repository = folder.join(format!("fragments-{count}"));
        news_repository(&repository, count)?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let build = ["build", "--yes", "--version", "2.0", "--date", "2024-03-05"];
            theirs.push(folded(&repository, Command::new(towncrier).args(build))?);
            ours.push(folded(&repository, Command::new(bb).args(["merge-changelog", "--date", "2024-03-05"]))?);
        }
        let noun = if count == 1 { "fragment" } else { "fragments" };
        all.push(pair(&format!("fold, {count} {noun}, beside towncrier"), theirs, ours, Some(20.0)));
    }
    Ok(all)
}

fn news_repository(repository: &Path, count: usize) -> Result<(), String> {
    let fragments = repository.join("newsfragments");
    fs::create_dir_all(&fragments).map_err(said)?;
    let start = "<!-- towncrier release notes start -->\n";
    let old: String = (0..12_000)
        .map(|n| format!("- Old news of some length, as news are, with number {n}, for all to read.\n"))
        .collect();
    let write = |name: &str, text: &str| fs::write(repository.join(name), text).map_err(said);
    write("CHANGELOG.md", &format!("# News\n\n{start}\n## 1.0 (2024-01-01)\n\n{old}"))?;
    write(
        "towncrier.toml",
        "[tool.towncrier]\ndirectory = \"newsfragments\"\nfilename = \"CHANGELOG.md\"\nname = \"x\"\n",
    )?;
    write(".bb.toml", "[project]\nchangelog = \"CHANGELOG.md\"\n[changelog]\nfolder = \"newsfragments\"\n")?;
    for n in 0..count {
        fs::write(fragments.join(format!("{n}.bugfix.md")), format!("What number {n} mends.\n")).map_err(said)?;
    }
    let git = |args: &[&str]| done(Command::new("git").args(args).current_dir(repository));
    git(&["init", "--quiet"])?;
    git(&["config", "user.name", "bench"])?;
    git(&["config", "user.email", "bench@localhost"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "base"])
}

/// How long one fold takes; afterwards everything is as before.
fn folded(repository: &Path, command: &mut Command) -> Result<Duration, String> {
    let start = Instant::now();
    done(command.current_dir(repository))?;
    let took = start.elapsed();
    if fs::read_dir(repository.join("newsfragments")).is_ok_and(|mut left| left.next().is_some()) {
        return Err("not all fragments were folded".to_owned());
    }
    done(Command::new("git").args(["reset", "--quiet", "--hard"]).current_dir(repository))?;
    done(Command::new("git").args(["status", "--short"]).current_dir(repository))?;
    Ok(took)
}

/// A base and two sides, as files.
struct Three {
    folder: PathBuf,
    ours: String,
}

impl Three {
    fn write(folder: &Path, base: &str, ours: &str, theirs: &str) -> Result<Self, String> {
        fs::write(folder.join("base"), base).map_err(said)?;
        fs::write(folder.join("theirs"), theirs).map_err(said)?;
        Ok(Self { folder: folder.to_owned(), ours: ours.to_owned() })
    }

    fn merged(&self, mut command: Command, clean: bool) -> Result<Duration, String> {
        fs::write(self.folder.join("ours"), &self.ours).map_err(said)?;
        command.args(["base", "ours", "theirs"]).current_dir(&self.folder).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status().map_err(|error| {
            format!("{}: {error}; git-merge-changelog is a package of Debian", command.get_program().display())
        })?;
        let took = start.elapsed();
        if clean && !status.success() {
            Err(format!("{:?} ended with {status}", command.get_program()))
        } else {
            Ok(took)
        }
    }

    fn result(&self) -> Result<String, String> {
        fs::read_to_string(self.folder.join("ours")).map_err(said)
    }
}

fn driver(bb: &Path) -> Command {
    let mut command = Command::new(bb);
    command.args(["changelog", "driver"]);
    command
}

/// The entries of a made-up ChangeLog of this size, newest first.
fn entries(size: usize) -> Vec<String> {
    const WORDS: [&str; 16] = [
        "the", "call", "of", "fix", "list", "when", "value", "a", "build", "step", "remove", "rename", "check", "path",
        "handle", "error",
    ];
    let mut seed = 1u64;
    let mut next = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap_or_default() % below
    };
    let (mut all, mut length, mut day) = (Vec::new(), 0, 0);
    while length < size {
        let (year, month, date) = (2023 - day / 336, 12 - day / 28 % 12, 28 - day % 28);
        let mut text = format!("{year:04}-{month:02}-{date:02}  Old Author  <old@example.org>\n\n");
        for _ in 0..=next(5) {
            let _ = write!(
                text,
                "\t* src/{}/{}.c ({}_{}):",
                WORDS[next(16)],
                WORDS[next(16)],
                WORDS[next(16)],
                next(10_000)
            );
            for n in 0..6 + next(12) {
                text.push_str(if n == 8 { "\n\t" } else { " " });
                text.push_str(WORDS[next(16)]);
            }
            text.push_str(".\n");
        }
        text.push('\n');
        length += text.len();
        all.push(text);
        day += 1;
    }
    all
}

fn new_entry(day: u8, who: &str) -> String {
    format!("2024-01-{day:02}  {who} Author  <{who}@example.org>\n\n\t* new.c: {who}, {day}.\n\n")
}

/// The middle times of two programs.
fn pair(what: &str, theirs: Vec<Duration>, ours: Vec<Duration>, wanted: Option<f64>) -> Row {
    let ms = |times: Vec<Duration>| middle(times).as_secs_f64() * 1e3;
    let row = Row::number("changelog", what, ms(ours), "ms").beside(ms(theirs));
    wanted.into_iter().fold(row, |row, times| row.wanting(Wanted::Times(times)))
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// towncrier, from PATH or in a virtual environment of its own.
fn towncrier() -> Result<PathBuf, String> {
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("towncrier")).find(|file| file.is_file())
    });
    if let Some(found) = on_path {
        return Ok(found);
    }
    let folder = root().join("target/bench-towncrier");
    let program = folder.join("bin/towncrier");
    if !program.is_file() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&folder)).map_err(|why| {
            format!("towncrier is on no PATH, and no virtual environment can be made ({why}): install python3-venv")
        })?;
        done(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "towncrier"]))?;
    }
    Ok(program)
}

fn done(command: &mut Command) -> Result<(), String> {
    let out = command.stdin(Stdio::null()).output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&out.stderr).trim()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn said(error: std::io::Error) -> String {
    error.to_string()
}

/// A folder that goes when the benchmark ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("bb-bench-changelog-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(said)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
