//! Thousands of branches in a master's mirror, made in one go: as if they had been published, built and landed one after the
//! other. What the store says of them is filled in by `master::store::Store::fill`, which is given what is written down here.

use crate::git::{Repo, command};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Branches that are as one of the master's is, which made its way by itself.
#[derive(Clone, Debug)]
pub struct Kind<'k> {
    /// That one's name.
    pub seed: &'k str,
    /// How many of the live ones, or of those that ended, are so, beside the other kinds' shares.
    pub share: usize,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether it has landed.
    pub landed: bool,
}

/// What a mirror is to have more.
#[derive(Clone, Debug)]
pub struct Growth<'k> {
    /// So many branches that ended, which are first.
    pub ended: usize,
    /// So many that are live.
    pub live: usize,
    /// So many revisions of each; each seed must have as many.
    pub revisions: usize,
    /// Of which kinds, among one another.
    pub kinds: Vec<Kind<'k>>,
}

/// When the first of them was committed, seconds since 1970: 2025-01-01.
const FIRST_S: usize = 1_735_689_600;

/// Adds branches to a mirror whose master does not run, and brings mainline of the official repository to where those that
/// landed brought it. Gives what there is by then: the first line is `tip COMMIT`, and each
/// other one is a revision, `SEED BRANCH NAME REVISION COMMIT CANDIDATE TREE MAINLINE`, where BRANCH is a number from 0 on.
///
/// # Panics
/// When git fails.
#[must_use]
pub fn grow(mirror: &Repo, official: &Repo, growth: &Growth<'_>) -> String {
    let first = mirror.resolve("refs/heads/main");
    let folder = crate::folder();
    let planned = plan(growth);
    let marks = import(mirror, folder.path(), &first, &planned);
    let trees = trees(mirror, folder.path(), &marks);
    let commit = |at: At| match at {
        At::First => first.as_str(),
        At::Mark(mark) => marks[mark - 1].as_str(),
    };
    let tip = planned.last().map_or(At::First, |last| if last.landed { last.candidate } else { last.mainline });
    let mut text = format!("tip {}\n", commit(tip));
    let mut refs = BTreeMap::from([("refs/heads/main".to_owned(), commit(tip).to_owned())]);
    for one in &planned {
        let (name, number) = (&one.name, one.revision);
        let (revision, candidate) = (commit(one.commit), commit(one.candidate));
        let tree = &trees[one.candidate.mark() - 1];
        let mainline = commit(one.mainline);
        let (seed, branch) = (one.seed, one.branch);
        let _ = writeln!(text, "{seed} {branch} {name} {number} {revision} {candidate} {tree} {mainline}");
        let mut add = |what: &str, commit: &str| refs.insert(format!("refs/branches/{name}/{what}"), commit.to_owned());
        add(&format!("r{number}"), revision);
        if number == growth.revisions {
            add("head", revision);
            if one.live {
                add("candidate", candidate);
                add(&format!("candidates/r{number}-{}", &candidate[..10]), candidate);
            }
        }
    }
    add_refs(mirror, refs);
    mirror.git(&["push", "--quiet", official.url(), "refs/heads/main"]);
    text
}

/// A commit: mainline's as it was, or one that is imported, by its number from 1 on.
#[derive(Clone, Copy)]
enum At {
    First,
    Mark(usize),
}

impl At {
    fn mark(self) -> usize {
        match self {
            At::First => 0,
            At::Mark(mark) => mark,
        }
    }
}

/// A revision and its candidate.
struct Planned<'k> {
    seed: &'k str,
    live: bool,
    landed: bool,
    branch: usize,
    name: String,
    revision: usize,
    /// What it was made from: mainline, or the revision before.
    parent: At,
    commit: At,
    mainline: At,
    candidate: At,
}

fn plan<'k>(growth: &Growth<'k>) -> Vec<Planned<'k>> {
    let Growth { ended, live, revisions, kinds } = growth;
    let of = |ended: bool| -> Vec<&Kind<'k>> {
        let kinds = kinds.iter().filter(|kind| kind.ended == ended);
        kinds.flat_map(|kind| std::iter::repeat_n(kind, kind.share)).collect()
    };
    let (of_ended, of_live) = (of(true), of(false));
    let (mut mainline, mut planned) = (At::First, Vec::new());
    for branch in 0..*ended + *live {
        let kinds = if branch < *ended { &of_ended } else { &of_live };
        // The kinds lie among one another.
        let kind = kinds[branch * 37 % kinds.len()];
        let mut parent = mainline;
        for revision in 1..=*revisions {
            let mark = 2 * planned.len() + 1;
            let landed = kind.landed && revision == *revisions;
            let (commit, candidate) = (At::Mark(mark), At::Mark(mark + 1));
            let name = format!("{}-{branch}", kind.seed);
            let (seed, live) = (kind.seed, !kind.ended);
            planned.push(Planned { seed, live, landed, branch, name, revision, parent, commit, mainline, candidate });
            parent = commit;
            if landed {
                mainline = candidate;
            }
        }
    }
    planned
}

/// Writes all commits into the mirror; gives their ids, in the order of their marks.
fn import(mirror: &Repo, folder: &Path, first: &str, planned: &[Planned<'_>]) -> Vec<String> {
    let (stream, marks) = (folder.join("stream"), folder.join("marks"));
    let mut to = BufWriter::new(File::create(&stream).expect("a file can be made"));
    for (n, one) in planned.iter().enumerate() {
        let at = |at: At| match at {
            At::First => first.to_owned(),
            At::Mark(mark) => format!(":{mark}"),
        };
        let text = format!("Branch {}, revision {}.\n", one.name, one.revision);
        let path = format!("src/{}/{}/{}.txt", one.branch / 2500, one.branch / 50 % 50, one.branch);
        let file = format!("M 100644 inline {path}\ndata {}\n{text}", text.len());
        let when = FIRST_S + n * 300;
        let mut commit = |who: &str, mark: usize, says: &str, parents: &str| {
            let says = format!("{says}\n");
            write!(
                to,
                "commit refs/grown\nmark :{mark}\nauthor {who} {when} +0000\ncommitter {who} {when} +0000\ndata {}\n{says}{parents}{file}\n",
                says.len(),
            )
        };
        let (mark, title) = (one.commit.mark(), format!("Say more in {}, {}", one.name, one.revision));
        commit("Ann <ann@example.org>", mark, &title, &format!("from {}\n", at(one.parent)))
            .expect("it can be written");
        let parents = format!("from {}\nmerge :{mark}\n", at(one.mainline));
        let title = format!("Merge branch '{}'", one.name);
        commit("bb <bb@localhost>", one.candidate.mark(), &title, &parents).expect("it can be written");
    }
    to.flush().expect("it can be written");
    let export = format!("--export-marks={}", marks.display());
    run(mirror, &["fast-import", "--quiet", "--force", &export], &stream);
    mirror.git(&["update-ref", "-d", "refs/grown"]);
    let text = std::fs::read_to_string(&marks).expect("git wrote it");
    let mut ids = vec![String::new(); 2 * planned.len()];
    for line in text.lines() {
        let (mark, id) = line.split_once(' ').expect("`:MARK ID`");
        let mark: usize = mark[1..].parse().expect("a number");
        id.clone_into(&mut ids[mark - 1]);
    }
    ids
}

/// The trees of commits.
fn trees(mirror: &Repo, folder: &Path, commits: &[String]) -> Vec<String> {
    let asked = folder.join("trees");
    std::fs::write(&asked, commits.iter().map(|id| format!("{id}^{{tree}}\n")).collect::<String>())
        .expect("a file can be made");
    let said = run(mirror, &["cat-file", "--batch-check=%(objectname)"], &asked);
    said.lines().map(str::to_owned).collect()
}

/// Adds refs to those that are there, all of them packed: in files of their own they would be thousands.
fn add_refs(mirror: &Repo, mut refs: BTreeMap<String, String>) {
    for line in mirror.git(&["for-each-ref", "--format=%(refname) %(objectname)"]).lines() {
        let (name, id) = line.split_once(' ').expect("`NAME ID`");
        refs.entry(name.to_owned()).or_insert_with(|| id.to_owned());
    }
    mirror.git(&["pack-refs", "--all"]);
    let lines: String = refs.iter().map(|(name, id)| format!("{id} {name}\n")).collect();
    let text = format!("# pack-refs with: peeled fully-peeled sorted \n{lines}");
    std::fs::write(mirror.path().join("packed-refs"), text).expect("the mirror can be written");
}

fn run(repo: &Repo, args: &[&str], input: &Path) -> String {
    let input = File::open(input).expect("it was written");
    let out = command().current_dir(repo.path()).args(args).stdin(input).output().expect("git can be run");
    assert!(out.status.success(), "git {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
