//! What must always hold, looked at from outside.

use super::actors::{Actor, HERON, Said};
use super::play::{Part, Played};
use super::stage::{From, Stage};
use master::store::{BranchState, BuildRowState, Entry, EntryState, StoredEvent};
use protocol::BuildResult;
use std::collections::HashMap;

/// A builder of which two builds of one candidate are open.
pub async fn open_twice(stage: &Stage) -> Option<String> {
    let mut open = HashMap::new();
    for build in stage.world.store().open_builds().await.unwrap() {
        if build.cancel.is_some() {
            continue;
        }
        if let Some(other) = open.insert((build.candidate, build.builder.name.clone()), build.id) {
            return Some(format!("builds {other} and {} of one candidate and builder are open", build.id));
        }
    }
    None
}

/// A move of mainline that bb made.
struct Landing {
    from: String,
    to: String,
    /// Those of the line that it brought, the lowest first: all but the last are of others than the top.
    line: Vec<String>,
    /// The segment in which it was made; the number of all segments for those that came later.
    step: usize,
}

impl Landing {
    fn has(&self, commit: &str) -> bool {
        self.line.iter().any(|it| it == commit)
    }

    /// Whether one of these landed by it.
    fn is_of(&self, entries: &[Entry], which: impl Fn(&Entry) -> bool) -> bool {
        entries.iter().any(|e| which(e) && e.landed.as_ref().is_some_and(|commit| self.has(commit.as_str())))
    }
}

/// Looks at a history that was played, has everything come to rest, and looks again.
pub async fn check(stage: &mut Stage, it: &mut Played) {
    let mut bad = std::mem::take(&mut it.bad);
    let paused = stage.world.store().project_by_id(HERON).await.unwrap().paused;
    let settled = stage.settle().await;
    let at_rest = stage.world.official.head();
    if paused {
        stage.world.store().resume_queue(HERON, "mia").await.unwrap();
        bad.extend(stage.settle().await);
    } else {
        bad.extend(settled);
    }
    let landings = landings(stage, it);
    let entries = entries(stage).await;
    let events = stage.world.store().events_after(protocol::EventId(0), 10_000).await.unwrap();
    mainline(stage, it, &landings, &entries, &mut bad).await;
    promises(it, &landings, &entries, (paused, &at_rest), &mut bad);
    queue(stage, it, &entries, &mut bad).await;
    builds(stage, it, &events, &mut bad).await;
    it.bad = bad;
}

fn answered(it: &Played, actor: Actor, status: u16) -> Option<&Part> {
    it.parts.iter().find(|p| p.actor == actor && matches!(&p.said, Said::Answer(said, _) if *said == status))
}

/// All entries; those of `feature` first.
async fn entries(stage: &Stage) -> Vec<Entry> {
    let mut all = Vec::new();
    for name in stage.branches() {
        let branch = stage.world.branch_row(name).await;
        all.extend(stage.world.store().entries_of(branch.id).await.unwrap());
    }
    all
}

/// Mainline's moves by bb, oldest first: those that it has, and those that somebody took out again. By bb is whatever nobody
/// pushed by hand.
fn landings(stage: &Stage, it: &Played) -> Vec<Landing> {
    let official = &stage.world.official;
    let moves = official.git(&["reflog", "show", "--format=%H", "main"]);
    let mut line: Vec<&str> = moves.lines().collect();
    line.reverse();
    let mut all: Vec<Landing> = Vec::new();
    for (at, to) in line.iter().copied().enumerate() {
        let about = official.git(&["log", "-1", "--format=%s", to]);
        let from = at.checked_sub(1).map_or(it.before.as_str(), |before| line[before]);
        let pushed = all.iter().any(|it| it.line.iter().any(|commit| commit == to));
        let by_hand = about.contains("Push past bb") || to == stage.first || pushed;
        let new = official.try_git(&["merge-base", "--is-ancestor", to, &it.before]).is_err();
        if by_hand || !new {
            continue;
        }
        let seen = it.steps.iter().position(|step| {
            step.head == to || official.try_git(&["merge-base", "--is-ancestor", to, &step.head]).is_ok()
        });
        let range = format!("{from}..{to}");
        let commits = official.git(&["log", "--first-parent", "--reverse", "--format=%H", &range]);
        let commits = commits.lines().map(ToOwned::to_owned).collect();
        let step = seen.unwrap_or(it.steps.len());
        all.push(Landing { from: from.to_owned(), to: to.to_owned(), line: commits, step });
    }
    all
}

/// Mainline only moves to commits that were built as those very commits and passed, and each move is an entry's.
async fn mainline(stage: &Stage, it: &Played, landings: &[Landing], entries: &[Entry], bad: &mut Vec<String>) {
    let store = stage.world.store();
    let moves = stage.world.official.git(&["reflog", "show", "--format=%H", "main"]);
    let holds = |commit: &str| stage.world.official.try_git(&["merge-base", "--is-ancestor", commit, "main"]).is_ok();
    for landing in landings {
        // What was taken out before its landing was recorded is pushed again: nothing tells that it had been there.
        let rewound = it.parts.iter().any(|p| p.actor == Actor::Rewind);
        if !rewound && moves.lines().filter(|to| *to == landing.to).count() > 1 {
            bad.push(format!("{} was pushed twice", landing.to));
        }
        let mut latest = None;
        for number in 1..200 {
            let build = store.build(protocol::BuildId(number)).await.unwrap();
            // One that ended without a result says nothing of it: what was asked for again is cancelled when it has landed.
            let says = |result: &BuildResult| result.passed() || *result == BuildResult::Failure;
            let result = build.filter(|b| b.commit.as_str() == landing.to).and_then(|b| b.result());
            latest = result.filter(says).or(latest);
        }
        if !latest.is_some_and(BuildResult::passed) {
            bad.push(format!("{} landed and was not built and green: {latest:?}", landing.to));
        }
        for commit in &landing.line {
            let of: Vec<_> =
                entries.iter().filter(|e| e.landed.as_ref().is_some_and(|c| c.as_str() == commit)).collect();
            let [entry] = of.as_slice() else {
                bad.push(format!("{commit} on {} is the landing of {} entries", landing.from, of.len()));
                continue;
            };
            let landed = stage.world.official.try_git(&["merge-base", "--is-ancestor", entry.commit.as_str(), commit]);
            if entry.state != EntryState::Landed || landed.is_err() {
                bad.push(format!("entry {} is {:?}; it was accepted for {}", entry.id, entry.state, entry.commit));
            }
        }
    }
    for entry in entries.iter().filter(|e| e.state == EntryState::Landed) {
        let is_there = entry.landed.as_ref().is_some_and(|commit| holds(commit.as_str()));
        if is_there == entry.taken_out.is_some() {
            bad.push(format!("mainline holds {:?}: {is_there}, and it is said: {:?}", entry.landed, entry.taken_out));
        }
        if !landings.iter().any(|l| entry.landed.as_ref().is_some_and(|c| l.has(c.as_str()))) {
            bad.push(format!(
                "entry {} says that it landed as {:?}: mainline has no such move",
                entry.id, entry.landed
            ));
        }
    }
}

/// What was answered is so.
fn promises(it: &Played, landings: &[Landing], entries: &[Entry], paused: (bool, &str), bad: &mut Vec<String>) {
    let accepted_after =
        |step: usize| it.parts.iter().any(|p| is_accept(p.actor) && p.began > step && !matches!(p.said, Said::Unknown));
    for landing in landings {
        // What had landed and was published again can be withdrawn again.
        // So can what somebody took out of mainline.
        let again = |before: usize| {
            let published =
                |p: &&Part| matches!(p.actor, Actor::PublishAgain | Actor::ForcePush | Actor::Describe | Actor::Rewind);
            it.parts.iter().filter(published).any(|p| landing.step < p.ended && p.began < before)
        };
        let first = entries.first().map(|entry| entry.branch);
        if let Some(part) = answered(it, Actor::Withdraw, 200)
            && landing.is_of(entries, |entry| Some(entry.branch) == first)
            && !accepted_after(part.ended)
            && !again(part.ended)
        {
            bad.push(format!("it was answered that it is withdrawn, and it landed in segment {}", landing.step));
        }
        if answered(it, Actor::WithdrawOther, 200).is_some()
            && landing.is_of(entries, |entry| Some(entry.branch) != first)
        {
            bad.push(format!("it was answered that other is withdrawn, and it landed in segment {}", landing.step));
        }
        let at_once = |part: &Part| !it.steps[part.ended].intent && landing.step > part.ended;
        let by_max = landing.is_of(entries, |entry| entry.accepted_by == "max");
        if let Some(part) = answered(it, Actor::Revoke, 200)
            && at_once(part)
            && by_max
        {
            bad.push("the token of who accepted it was revoked, and it landed".to_owned());
        }
        if let Some(part) = answered(it, Actor::Pause, 200)
            && at_once(part)
            && (landing.step < it.steps.len() || (paused.0 && paused.1 == landing.to))
        {
            bad.push(format!("the queue was paused, and it landed in segment {}", landing.step));
        }
    }
}

fn is_accept(actor: Actor) -> bool {
    matches!(actor, Actor::Accept | Actor::AcceptAgain | Actor::AcceptNewest)
}

/// The queue is empty, and each entry left it for a reason that is one.
async fn queue(stage: &Stage, it: &Played, entries: &[Entry], bad: &mut Vec<String>) {
    let store = stage.world.store();
    if let Some(landing) = store.open_landing(HERON).await.unwrap() {
        bad.push(format!("the intent to push {} is left over", landing.to));
    }
    for entry in entries {
        let standing = &entry.standing;
        if entry.state == EntryState::Queued {
            bad.push(format!("entry {} is stuck: {standing:?}", entry.id));
        }
        if entry.state == EntryState::Ejected {
            let official = &stage.world.official;
            let by_hand = it.parts.iter().any(|p| p.actor == Actor::ByHand);
            let is_so = by_hand && ["in-mainline", "withdrawn"].contains(&standing.code.as_str());
            let holds = official.try_git(&["merge-base", "--is-ancestor", entry.commit.as_str(), "main"]).is_ok();
            let by_another = entries.iter().any(|e| e.state == EntryState::Landed && e.commit == entry.commit);
            if holds && !is_so && !by_another {
                bad.push(format!("entry {} is in mainline, and it is said that it left: {standing:?}", entry.id));
            } else if !holds && standing.code == "ejected-refused" {
                bad.push(format!("entry {} left by no fault of its own: {standing:?}", entry.id));
            }
            if standing.next.who != "nobody" && standing.next.what.is_empty() && standing.code != "superseded" {
                bad.push(format!("entry {} left, and nobody knows what to do: {standing:?}", entry.id));
            }
        }
    }
    if stage.from.is_stacked() {
        other(stage, it, entries, bad).await;
    }
    // Whom nothing stood against has landed.
    let against = |actor: &Actor| {
        use Actor::*;
        matches!(actor, Withdraw | ForcePush | Revoke | Cancel | Rebuild | Describe)
    };
    let first = entries.first().map(|entry| entry.branch);
    let landed_before = entries.iter().any(|e| Some(e.branch) == first && e.landed.is_some())
        && it.parts.iter().any(|p| p.actor == Actor::PublishAgain);
    let accepted = stage.from == From::Accepted
        || stage.from.is_stacked()
        || it.parts.iter().any(|p| is_accept(p.actor) && answered(it, p.actor, 200).is_some());
    let state = stage.world.branch_row("feature").await.state;
    let by_hand = it.parts.iter().any(|p| p.actor == Actor::ByHand) && state == BranchState::Retired;
    // What had landed and was published again is to be accepted again.
    let again = landed_before && state == BranchState::Live;
    if accepted && !it.parts.iter().any(|p| against(&p.actor)) && state != BranchState::Landed && !by_hand && !again {
        bad.push(format!("nothing stood against it, and it is {state:?}"));
    }
    if accepted && entries.is_empty() {
        bad.push("an acceptance was answered and is nowhere".to_owned());
    }
}

/// Whatever becomes of the one, the other lands if nothing stood against it; and what failed once, in a stack, sends nobody away.
async fn other(stage: &Stage, it: &Played, entries: &[Entry], bad: &mut Vec<String>) {
    let state = stage.world.branch_row("other").await.state;
    let against = it.parts.iter().any(|p| p.actor == Actor::WithdrawOther);
    // Published again after it landed, it is found in mainline.
    let branch = stage.world.branch_row("other").await.id;
    let landed = entries.iter().any(|e| e.branch == branch && e.landed.is_some());
    let is_there = state == BranchState::Landed || state == BranchState::Retired && landed;
    if !against && !is_there {
        bad.push(format!("nothing stood against other, and it is {state:?}"));
    }
    for entry in entries.iter().filter(|e| e.standing.code == "ejected-failure") {
        bad.push(format!("entry {} is not at fault: {:?}", entry.id, entry.standing));
    }
    for stack in stage.world.store().stacks(HERON).await.unwrap() {
        if stack.members.iter().any(|(id, _)| entries.iter().any(|e| e.id == *id && e.state == EntryState::Queued)) {
            bad.push(format!("stack {} is left over", stack.id));
        }
    }
}

/// No slot is lost, no build ends twice, and what is kept is there.
async fn builds(stage: &Stage, it: &Played, events: &[StoredEvent], bad: &mut Vec<String>) {
    let store = stage.world.store();
    for build in store.open_builds().await.unwrap() {
        bad.push(format!("build {} is left over: {:?} {:?}", build.id, build.state, build.cancel));
    }
    let mut ends = HashMap::new();
    for event in events.iter().filter(|e| e.kind == "build-finished") {
        *ends.entry(event.build).or_insert(0) += 1;
    }
    for (build, ends) in ends.iter().filter(|(_, ends)| **ends > 1) {
        bad.push(format!("build {build:?} ended {ends} times"));
    }
    let acknowledged = |actor| it.parts.iter().any(|p| p.actor == actor && matches!(p.said, Said::Done));
    for (actor, result) in [(Actor::Report, BuildResult::Success), (Actor::Fail, BuildResult::Failure)] {
        if !acknowledged(actor) {
            continue;
        }
        let build = store.build(protocol::BuildId(1)).await.unwrap().unwrap();
        if build.state != BuildRowState::Finished(result) {
            bad.push(format!("the slave's last report was acknowledged, and its build is {:?}", build.state));
        }
    }
    let branch = stage.world.branch_row("feature").await;
    if branch.state == BranchState::Live {
        let Some(newest) = store.newest_revision(branch.id).await.unwrap() else { return };
        let Some(candidate) = store.candidate_of(newest.id).await.unwrap() else {
            bad.push("its newest revision has no candidate".to_owned());
            return;
        };
        let Some(commit) = candidate.made_commit() else { return };
        let mirror = testkit::git::Repo::at(stage.world.basedir().join("mirrors/heron.git"));
        if mirror.git(&["for-each-ref", "--points-at", commit.as_str()]).is_empty() {
            bad.push(format!("no ref holds the candidate {commit}"));
        }
    }
}
