//! Values as the API has them.

use crate::logs::Line;
use crate::pages::{Context, Pages, Reader};
use crate::read::LogPart;
use protocol::api::*;
use protocol::tested::{FailingTest, TestReport};
use protocol::wire::{Availability, Isolation};
use protocol::{BuildId, BuildResult, CommitId, EventId, UnixMs};

const MINUTE: i64 = 60_000;
/// 2026-11-24 10:42 UTC.
const NOW: i64 = 1_795_516_920_000;

pub(super) fn ago(minutes: i64) -> UnixMs {
    UnixMs(NOW - minutes * MINUTE)
}

pub(super) fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).try_into().unwrap()
}

pub(super) fn pages() -> Pages {
    Pages::new(None).unwrap()
}

pub(super) fn maintainer() -> Reader {
    Reader::Known { name: "Marta".to_owned(), role: "maintainer".to_owned() }
}

pub(super) fn context() -> Context {
    Context {
        project: Some("heron".parse().unwrap()),
        reader: maintainer(),
        csrf: "c5f".to_owned(),
        path: "/p/heron".to_owned(),
        url: "https://bb.example".to_owned(),
        now: UnixMs(NOW),
        since: Some(EventMark { event: EventId(812), epoch: "e".to_owned() }),
        notices: Vec::new(),
    }
}

pub(super) fn project() -> Project {
    Project {
        name: "heron".parse().unwrap(),
        url: "https://git.heron.example/heron.git".to_owned(),
        mainline: "main".to_owned(),
        tip: Some(commit('7')),
        tip_seen_ms: Some(ago(12)),
        trouble: None,
        warnings: Vec::new(),
        paused: false,
        pause: None,
        frozen: None,
        recipe_from: ".bb.toml".to_owned(),
        live: 2,
        queued: 1,
        page: "/p/heron".to_owned(),
    }
}

pub(super) fn marks(look: Look, word: &str) -> Vec<Mark> {
    vec![
        Mark { builder: "linux".to_owned(), required: true, look, word: word.to_owned(), build: Some(BuildId(5133)) },
        Mark {
            builder: "docs".to_owned(),
            required: false,
            look: Look::Waiting,
            word: "waiting".to_owned(),
            build: None,
        },
    ]
}

pub(super) fn branch_line(name: &str, look: Look) -> BranchSummary {
    let (code, state, would_land, because, who, what) = match look {
        Look::Conflict => (
            "conflict",
            "conflict",
            WouldLand::No,
            "because it conflicts with mainline in `greeting.txt`",
            "Cat",
            "merges mainline; a rebase is not needed",
        ),
        _ => ("ready", "ready", WouldLand::Yes, "as soon as it is accepted", "a maintainer", "accepts r2"),
    };
    BranchSummary {
        name: name.parse().unwrap(),
        project: "heron".parse().unwrap(),
        title: "Greet more".to_owned(),
        url: "https://git.ann.example/heron.git".to_owned(),
        branch: "refs/heads/greet".to_owned(),
        publisher: "ann".to_owned(),
        trusted: false,
        bugs: vec!["HERON-412".to_owned(), "https://bugs.example/77".to_owned()],
        revision: Some(2),
        commit: Some(commit('3')),
        words: "5f2c-7a-1b".to_owned(),
        author: Some("Ann".to_owned()),
        verdict: Verdict {
            code: code.to_owned(),
            state: state.to_owned(),
            look,
            would_land,
            because: because.to_owned(),
            next: Next { who: who.to_owned(), what: what.to_owned() },
            needs: vec![
                Need { look: Look::Waiting, text: "Accepted by a maintainer".to_owned(), page: None },
                Need {
                    look: Look::Passed,
                    text: "linux passed".to_owned(),
                    page: Some("/p/heron/builds/5133".to_owned()),
                },
                Need {
                    look: Look::Passed,
                    text: "ChangeLog entry folds".to_owned(),
                    page: Some("#changelog".to_owned()),
                },
            ],
        },
        marks: marks(Look::Passed, "passed"),
        changes_recipe: false,
        published_ms: ago(90),
        changed_ms: ago(6),
        page: format!("/p/heron/branches/{name}"),
    }
}

fn line(kind: DiffKind, old: Option<u32>, new: Option<u32>, text: &str) -> DiffLine {
    DiffLine { kind, old, new, text: text.to_owned() }
}

pub(super) fn branch() -> BranchDetail {
    let summary = branch_line("greet-more", Look::Passed);
    BranchDetail {
        review: protocol::api::ReviewTally { up: 1, down: 0, open: 1, threads: 2 },
        watch: Watch { looked_ms: Some(ago(1)), trouble: None, next_ms: Some(UnixMs(NOW + 50_000)) },
        older_revisions: None,
        revisions: vec![
            Revision {
                number: 2,
                commit: commit('3'),
                seen_ms: ago(6),
                refused: None,
                subject: "Greet more".to_owned(),
                commits: 2,
            },
            Revision {
                number: 1,
                commit: commit('4'),
                seen_ms: ago(80),
                refused: Some(Refusal {
                    code: "too-large".to_owned(),
                    text: "it brings 900 MB".to_owned(),
                    hint: "push it without `big.bin`".into(),
                }),
                subject: "Greet".to_owned(),
                commits: 1,
            },
        ],
        candidate: Some(Candidate {
            mainline: commit('7'),
            revision: 2,
            message: None,
            folded_by: None,
            outcome: CandidateOutcome::Made {
                commit: commit('c'),
                changelogs: vec![DiffFile {
                    path: "ChangeLog".to_owned(),
                    added: 2,
                    lines: vec![
                        line(DiffKind::Hunk, None, None, "@@ -1,3 +1,5 @@"),
                        line(DiffKind::Add, None, Some(1), "2026-11-24  Ann  <ann@ann.example>"),
                        line(DiffKind::Add, None, Some(2), "\t* more.txt: Say more."),
                        line(DiffKind::Context, Some(1), Some(3), "2026-11-01  Bob  <bob@bob.example>"),
                    ],
                    ..DiffFile::default()
                }],
                fragments: vec!["repo.ChangeLog".to_owned()],
                coming: Vec::new(),
                kept: Vec::new(),
                exempt: None,
                notes: vec!["an entry of `repo.ChangeLog` is there already".to_owned()],
            },
            made_ms: ago(5),
            mainline_now: None,
            again: false,
        }),
        commits: vec![Commit {
            id: commit('3'),
            subject: "Greet more".to_owned(),
            body: "Because one greeting\nis not enough.\n".to_owned(),
            author: "Ann".to_owned(),
            email: "ann@ann.example".to_owned(),
            authored_ms: ago(7),
        }],
        builders: vec![BuilderRow {
            builder: "linux".to_owned(),
            required: true,
            builds: vec![build(Look::Passed).summary],
            says: "12 tests passed".to_owned(),
        }],
        diff: Diff {
            files: vec![DiffFile {
                path: "more.txt".to_owned(),
                old_path: Some("less.txt".to_owned()),
                notes: vec!["mode 100644 to 100755".to_owned()],
                added: 1,
                removed: 1,
                lines: vec![
                    line(DiffKind::Hunk, None, None, "@@ -1 +1 @@"),
                    line(DiffKind::Delete, Some(1), None, "less"),
                    line(DiffKind::Add, None, Some(1), "more & more"),
                ],
                lines_left_out: 7,
                lines_cut: 1,
                not_compared: false,
                is_binary: true,
                old_at: Some("less.txt".to_owned()),
                new_at: Some("more%FF.txt".to_owned()),
            }],
            added: 1,
            removed: 1,
            files_left_out: 3,
            has_more: false,
            old: Some(commit('7')),
            new: Some(commit('c')),
            trouble: None,
            whole: vec!["git fetch http://bb/git/heron.git x".to_owned(), "git diff --text 7 c".to_owned()],
        },
        changes_recipe: false,
        recipe_diff: None,
        queue: Vec::new(),
        timeline: vec![Event {
            id: EventId(9),
            at_ms: ago(4),
            project: Some(summary.project.clone()),
            branch: Some(summary.name.clone()),
            build: Some(BuildId(5133)),
            kind: "build-finished".to_owned(),
            look: Look::Passed,
            text: "linux passed on r2".to_owned(),
            actor: "bb".to_owned(),
        }],
        git_path: "/git/heron.git".to_owned(),
        refs: vec!["refs/branches/greet-more/r2".to_owned(), "refs/branches/greet-more/head".to_owned()],
        summary,
    }
}

pub(super) fn conflicting() -> BranchDetail {
    let mut it = branch();
    it.summary = branch_line("other-greeting", Look::Conflict);
    it.builders.clear();
    it.candidate = Some(Candidate {
        mainline: commit('7'),
        revision: 2,
        message: None,
        folded_by: None,
        outcome: CandidateOutcome::Conflict {
            files: vec![ConflictFile {
                path: "greeting.txt".to_owned(),
                hunks: "before\n<<<<<<< mainline\nours\n=======\ntheirs\n>>>>>>> r2\nafter\n".to_owned(),
                message: "content".to_owned(),
            }],
        },
        made_ms: ago(5),
        mainline_now: Some(commit('8')),
        again: true,
    });
    it
}

pub(super) fn not_fetched() -> BranchDetail {
    let mut it = branch();
    let summary = &mut it.summary;
    (summary.revision, summary.commit, summary.author) = (None, None, None);
    summary.marks.clear();
    summary.verdict = Verdict {
        code: "source-trouble".to_owned(),
        state: "waiting".to_owned(),
        look: Look::Exception,
        would_land: WouldLand::NotYet,
        because: "because its source can't be read: there is no branch `x`".to_owned(),
        next: Next { who: "the author".to_owned(), what: "mends the source".to_owned() },
        needs: Vec::new(),
    };
    it.watch.trouble = Some("there is no branch `x`; push it".to_owned());
    it.candidate = None;
    (it.revisions, it.commits, it.builders, it.refs) = Default::default();
    it.diff = Diff::default();
    it
}

pub(super) fn landed() -> BranchDetail {
    let mut it = branch();
    let verdict = &mut it.summary.verdict;
    (verdict.look, verdict.would_land) = (Look::Landed, WouldLand::Yes);
    (verdict.code, verdict.state) = ("landed".to_owned(), "landed".to_owned());
    verdict.because = "because it is in mainline as cccccccccc".to_owned();
    verdict.next = Next { who: "nobody".to_owned(), what: "has to do anything; the record stays".to_owned() };
    verdict.needs.clear();
    it.watch.next_ms = None;
    let mut entry = entry();
    (entry.place, entry.look, entry.landed, entry.left_ms) = (None, Look::Landed, Some(commit('c')), Some(ago(2)));
    (entry.code, entry.says) = ("landed".to_owned(), "landed as it was tested".to_owned());
    entry.next = Next { who: "nobody".to_owned(), what: String::new() };
    it.queue = vec![entry];
    it
}

fn entry() -> QueueEntry {
    QueueEntry {
        branch: "greet-more".parse().unwrap(),
        title: "Greet more".to_owned(),
        revision: 2,
        commit: commit('3'),
        accepted_by: "Marta".to_owned(),
        accepted_ms: ago(3),
        place: Some(1),
        code: "building".to_owned(),
        look: Look::Accepted,
        says: "linux runs on its candidate".to_owned(),
        next: Next { who: "bb".to_owned(), what: "lands it when linux passed".to_owned() },
        marks: marks(Look::Running, "running"),
        priority: 0,
        hold: None,
        expedite: None,
        when_green: false,
        changes_recipe: true,
        landed: None,
        tested: None,
        left_ms: None,
        page: "/p/heron/branches/greet-more".to_owned(),
    }
}

pub(super) fn queue() -> Queue {
    let left = landed().queue.into_iter().chain([QueueEntry {
        place: None,
        look: Look::Failed,
        code: "ejected-failed".to_owned(),
        says: "linux failed with it and passes without".to_owned(),
        next: Next { who: "Bob".to_owned(), what: "mends linux".to_owned() },
        left_ms: Some(ago(40)),
        ..entry()
    }]);
    let tested = Some(super::stacks::tested(Look::Running, "running"));
    let entries = vec![QueueEntry { tested, ..entry() }];
    Queue { project: project(), entries, left: left.collect(), stacks: super::stacks::drawn() }
}

/// What a step keeps: here, or deleted since.
fn artifacts(gone: bool) -> StepArtifacts {
    let page = "/p/heron/builds/5133/steps/1";
    let file = |path: &str, bytes| KeptFile { path: path.to_owned(), bytes, page: format!("{page}/artifacts/{path}") };
    StepArtifacts {
        files: vec![file("doc/index.html", 41_000), file("doc/log.txt", 7)],
        count: 1_000,
        bytes: 3_500_000,
        archive: format!("{page}/artifacts.tar"),
        notes: vec!["no file matches `*.deb`".to_owned()],
        state: if gone { ArtifactsState::Gone } else { ArtifactsState::Here },
        until_ms: Some(ago(-60 * 24 * 30)),
    }
}

pub(super) fn build(look: Look) -> BuildDetail {
    let (state, word, says) = match look {
        Look::Failed => (BuildState::Finished(BuildResult::Failure), "failed", "test: exit code 2"),
        Look::Running => (BuildState::Running, "running", "step test"),
        Look::Waiting => (BuildState::Waiting, "waiting", "for a slave with the label `linux`"),
        _ => (BuildState::Finished(BuildResult::Success), "passed", ""),
    };
    let next = match look {
        Look::Failed => Some(("Ann", "makes step test of linux pass")),
        Look::Running => Some(("bb", "builds linux")),
        Look::Waiting => Some(("an admin", "adds a slave with `linux`, or a maintainer mends the recipe")),
        _ => None,
    };
    let begun = look != Look::Waiting;
    let ended = !matches!(state, BuildState::Running | BuildState::Waiting);
    let step = |number, name: &str, look, word: &str, log_len| StepDetail {
        number,
        name: name.to_owned(),
        command: if number == 0 { String::new() } else { "make check".to_owned() },
        look,
        word: word.to_owned(),
        result: None,
        exit_code: (look == Look::Failed).then_some(2),
        says: String::new(),
        ran_ms: (word != "running").then_some(1_300),
        log_len,
        links: vec![("coverage".to_owned(), "https://cov.example/1".to_owned())],
        artifacts: (number > 0 && matches!(look, Look::Passed | Look::Failed)).then(|| artifacts(look == Look::Passed)),
        tests: (number > 0 && !matches!(look, Look::Running | Look::Waiting)).then(|| tests(look == Look::Failed)),
    };
    BuildDetail {
        summary: BuildSummary {
            id: BuildId(5133),
            builder: "linux".to_owned(),
            project: "heron".parse().unwrap(),
            branch: "greet-more".parse().unwrap(),
            with: Vec::new(),
            stack: None,
            revision: 2,
            for_queue: false,
            commit: commit('c'),
            state,
            look,
            word: word.to_owned(),
            says: says.to_owned(),
            slave: begun.then(|| "oak".parse().unwrap()),
            requested_ms: ago(6),
            started_ms: begun.then(|| ago(5)),
            finished_ms: ended.then(|| ago(4)),
            page: "/p/heron/builds/5133".to_owned(),
        },
        line: None,
        attempt: 1,
        isolation: Isolation::Bubblewrap,
        ran_in: begun.then_some(Isolation::Bubblewrap),
        steps: vec![step(0, "fetch", Look::Passed, "passed", 8), step(1, "test", look, word, 30)],
        reproduce: vec!["git fetch https://bb.example/git/heron.git c".to_owned(), "make check".to_owned()],
        lately: Vec::new(),
        retried_as: None,
        next: next.map(|(who, what)| Next { who: who.to_owned(), what: what.to_owned() }),
    }
}

fn tests(failed: bool) -> TestReport {
    let failing = FailingTest {
        name: "spool::tests::full".to_owned(),
        text: "assertion failed: left == right\n  left: <1>\n right: 2".to_owned(),
    };
    TestReport {
        passed: 118,
        failed: u64::from(failed) * 3,
        skipped: 2,
        failing: if failed { vec![failing] } else { Vec::new() },
        notes: if failed { vec!["no file matches `target/b-*.xml`".to_owned()] } else { Vec::new() },
    }
}

pub(super) fn slaves() -> Vec<Slave> {
    let oak = Slave {
        name: "oak".parse().unwrap(),
        connected: true,
        since_ms: Some(ago(240)),
        said: Availability::Eager,
        said_reason: String::new(),
        said_word: None,
        admin: Availability::Eager,
        admin_word: None,
        labels: vec!["linux".to_owned(), "docs".to_owned()],
        slots: 2,
        isolation: Isolation::Bubblewrap,
        isolation_notes: Vec::new(),
        machine: "x86_64, 8 cores".to_owned(),
        bb: "0.1.0".to_owned(),
        builds: vec![build(Look::Running).summary],
        look: Look::Passed,
        word: "eager".to_owned(),
    };
    let elm = Slave {
        name: "elm".parse().unwrap(),
        connected: false,
        since_ms: Some(ago(9)),
        said_reason: "on battery".to_owned(),
        isolation: Isolation::None,
        isolation_notes: vec!["`bwrap` is not there".to_owned()],
        builds: Vec::new(),
        look: Look::Failed,
        word: "offline".to_owned(),
        ..oak.clone()
    };
    vec![oak, elm]
}

pub(super) fn locks() -> Vec<Lock> {
    let line = |id: i64, look: Look, says: &str| BuildSummary {
        id: BuildId(id),
        page: format!("/p/heron/builds/{id}"),
        says: says.to_owned(),
        ..build(look).summary
    };
    let held = |id: i64, shares: u32| LockUse {
        build: line(id, Look::Running, "step test"),
        shares,
        since_ms: ago(700),
        place: None,
    };
    let waits = |id: i64, place: Option<u32>, says: &str| LockUse {
        build: line(id, Look::Waiting, says),
        shares: 1,
        since_ms: ago(300),
        place,
    };
    let vm = Lock {
        name: "vm".to_owned(),
        shares: 2,
        scope: "master".to_owned(),
        taken: 3,
        held: vec![held(5133, 2), held(5134, 1)],
        waiting: vec![
            waits(5140, Some(1), "lock `vm` is held by #5133 and #5134"),
            waits(5141, None, "every slave that could run it is away"),
        ],
        waiting_count: 40,
    };
    let disk = Lock {
        name: "disk".to_owned(),
        shares: 1,
        scope: "slave".to_owned(),
        taken: 0,
        held: Vec::new(),
        waiting: Vec::new(),
        waiting_count: 0,
    };
    vec![vm, disk]
}

pub(super) fn overview() -> Overview {
    Overview {
        project: project(),
        needs_person: vec![
            Waiting {
                branch: branch_line("greet-more", Look::Passed),
                size: Some(Size { commits: 2, files: 3, added: 1_204, removed: 7, at_least: false }),
            },
            Waiting {
                branch: BranchSummary { changes_recipe: true, ..branch_line("faster-build", Look::Passed) },
                size: None,
            },
        ],
        needs_count: 2,
        running_count: 1,
        turns: Turns { bb: 0, maintainer: 1, author: 1 },
        running: vec![build(Look::Running).summary],
        queue: vec![entry()],
        landed: vec![Landing {
            branch: "rename-heron".parse().unwrap(),
            title: "Rename heron".to_owned(),
            commit: commit('7'),
            landed_ms: ago(12),
            page: "/p/heron/branches/rename-heron".to_owned(),
        }],
        slaves_count: u32::try_from(slaves().len()).unwrap(),
        slaves_able: 1,
        slaves: slaves(),
    }
}

/// Puts `evil` wherever a stranger's text can stand.
/// A listing's only page.
pub(super) fn listing(branches: Vec<BranchSummary>) -> BranchPage {
    let live = branches.len() as u64;
    let turns =
        Turns { bb: 0, maintainer: u32::try_from(live / 2).unwrap(), author: u32::try_from(live - live / 2).unwrap() };
    BranchPage { branches, next: None, live, ended: 0, turns }
}

/// A branch's own recipe against mainline's.
pub(super) fn recipe_diff() -> DiffFile {
    let lines = vec![
        line(DiffKind::Hunk, None, None, "@@ -1,2 +1,4 @@"),
        line(DiffKind::Context, Some(1), Some(1), "[[builder]]"),
        line(DiffKind::Add, None, Some(2), "name = \"asan\""),
    ];
    DiffFile { path: ".bb.toml".to_owned(), added: 1, lines, ..DiffFile::default() }
}

/// Lines of a step's log from number `first` on, which are all.
pub(super) fn log_part(step: u32, first: u64, lines: &[&str]) -> LogPart {
    let line = |(number, text): (u64, &&str)| Line { number, bytes: text.as_bytes().to_vec(), cut: 0 };
    let count = first + lines.len() as u64 - 1;
    let lines = (first..).zip(lines).map(line).collect();
    LogPart { step, lines, count, hit: None, at_hit: false, grows_at: None, missing: None }
}

pub(super) fn hostile_branch(it: &mut BranchDetail, evil: &str) {
    let text = || evil.to_owned();
    let summary = &mut it.summary;
    (summary.title, summary.url, summary.branch, summary.publisher) = (text(), text(), text(), text());
    (summary.author, summary.bugs) = (Some(text()), vec![text()]);
    let verdict = &mut summary.verdict;
    (verdict.state, verdict.because, verdict.next.who, verdict.next.what) = (text(), text(), text(), text());
    verdict.needs = vec![Need { look: Look::Failed, text: text(), page: Some(text()) }];
    for mark in &mut summary.marks {
        (mark.builder, mark.word) = (text(), text());
    }
    it.watch.trouble = Some(text());
    for commit in &mut it.commits {
        (commit.subject, commit.body, commit.author, commit.email) = (text(), text(), text(), text());
    }
    for revision in &mut it.revisions {
        revision.subject = text();
        revision.refused = Some(Refusal { code: text(), text: text(), hint: text().into() });
    }
    for row in &mut it.builders {
        (row.builder, row.says) = (text(), text());
    }
    for file in &mut it.diff.files {
        (file.path, file.old_path, file.notes) = (text(), Some(text()), vec![text()]);
        file.lines.iter_mut().for_each(|line| line.text = text());
    }
    for event in &mut it.timeline {
        (event.text, event.actor) = (text(), text());
    }
    it.refs.iter_mut().for_each(|name| *name = format!("{evil}/head"));
    match it.candidate.as_mut().map(|c| &mut c.outcome) {
        Some(CandidateOutcome::Made { changelogs, fragments, coming, kept, exempt, notes, .. }) => {
            coming.clone_from(changelogs);
            for file in changelogs.iter_mut().chain(coming) {
                file.path = text();
                file.lines.iter_mut().for_each(|line| line.text = text());
            }
            (*fragments, *kept, *exempt, *notes) = (vec![text()], vec![text()], Some(text()), vec![text()]);
        }
        Some(CandidateOutcome::Conflict { files }) => {
            *files = vec![ConflictFile { path: text(), hunks: format!("<<<<<<< {evil}\n{evil}"), message: text() }];
        }
        _ => {}
    }
}

/// The same for a build.
pub(super) fn hostile_build(it: &mut BuildDetail, evil: &str) {
    let text = || evil.to_owned();
    (it.summary.builder, it.summary.says, it.summary.word) = (text(), text(), text());
    it.reproduce = vec![text()];
    for step in &mut it.steps {
        (step.name, step.command, step.says, step.word) = (text(), text(), text(), text());
        step.links = vec![(text(), text())];
    }
    it.lately = vec![it.summary.clone()];
}
