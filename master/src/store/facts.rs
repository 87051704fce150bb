//! What of a verdict's facts is a branch's own, from its rows: for its page, for lists, and for what is kept for lists.

use super::{Branch, BranchState, Build, BuildRowState, Entry, EntryState, Revision};
use super::{Trouble as Stored, entries};
use gate::code::Code;
use gate::verdict::{self, Facts, Life, Source, Trouble};
use protocol::api::{CandidateOutcome, Refusal};
use protocol::{CommitId, UnixMs};

/// Refusals of a candidate by which mainline has all of a branch.
pub(crate) const IN_MAINLINE: [&str; 4] = ["already-landed", "equal-to-mainline", "no-changes", "same-patches"];

/// Words of the tracker for a source that is not there.
const GONE: [&str; 2] = ["no-such-branch", "not-found"];

/// A branch's rows, each as far as a verdict asks.
#[derive(Debug)]
pub(crate) struct Rows<'r> {
    pub(crate) branch: &'r Branch,
    /// The revision that its head is at.
    pub(crate) newest: Option<&'r Revision>,
    pub(crate) candidate: verdict::Candidate,
    pub(crate) changes_recipe: bool,
    pub(crate) recipe_trouble: Option<&'r Refusal>,
    /// The builders with a build of that revision, in order, each with its latest.
    pub(crate) builders: Vec<verdict::Builder>,
    /// Its places in the queue, newest first: of a live branch at least the newest, else at least the newest that landed.
    pub(crate) entries: &'r [Entry],
    /// The number of the newest place's revision.
    pub(crate) accepted: u32,
    /// Its place in the queue, from 1, if that is known.
    pub(crate) place: u32,
}

/// The facts that are its own.
pub(crate) fn own(rows: Rows<'_>) -> Facts {
    let Rows { branch, newest, .. } = rows;
    let broken = rows.recipe_trouble.map(|refusal| verdict::Recipe::BrokenInBranch(trouble(refusal.clone())));
    Facts {
        author: author(branch, newest),
        life: life(branch, newest, rows.entries),
        source: source(branch, newest.is_some()),
        mainline: gate::mainline::Mainline::Fine,
        revision: newest.map(|revision| verdict::Revision {
            number: revision.number,
            refused: revision.refusal.clone().map(trouble),
            lost: revision.lost.clone().map(|Stored { code, text, hint }| Trouble { code, text, hint }),
        }),
        recipe: broken.unwrap_or(verdict::Recipe::Fine),
        candidate: rows.candidate,
        changes_recipe: rows.changes_recipe,
        recipe_warnings: Vec::new(),
        builders: rows.builders,
        queue: place(branch, rows.entries, rows.accepted, rows.place),
    }
}

/// Whose a branch is, for people.
pub(crate) fn author(branch: &Branch, newest: Option<&Revision>) -> String {
    newest.map(|r| r.author.clone()).filter(|a| !a.is_empty()).unwrap_or_else(|| branch.publisher.clone())
}

/// What a branch is called everywhere: as published, else as its merge is, by the first of its own commits that is no merge; of
/// one that landed, of the revision that did.
pub(crate) fn title(branch: &Branch, newest: Option<&Revision>, landed: Option<&Revision>) -> String {
    let of = landed.filter(|_| branch.state == BranchState::Landed).or(newest);
    let own = || of.map(|revision| revision.title.clone()).unwrap_or_default();
    Some(branch.title.clone()).filter(|title| !title.is_empty()).unwrap_or_else(own)
}

/// The place of a branch that landed.
pub(crate) fn landed(entries: &[Entry]) -> Option<&Entry> {
    entries.iter().find(|entry| entry.landed.is_some())
}

/// A day for people: `2026-11-26`.
fn day(at: UnixMs) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
    Some(at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date().to_string())
}

fn life(branch: &Branch, newest: Option<&Revision>, entries: &[Entry]) -> Life {
    match branch.state {
        BranchState::Live => Life::Live,
        BranchState::Landed => {
            let number = newest.map(|r| r.number);
            let entry = landed(entries);
            let commit = entry.and_then(|e| e.landed.as_ref()).map_or("", CommitId::short).to_owned();
            let newest = newest.filter(|r| entry.is_some_and(|e| e.commit != r.commit)).map(|r| r.number);
            let newer = match (&branch.newer_head, newest) {
                (_, Some(number)) => Some(number),
                (Some(_), None) => Some(number.map_or(1, |n| n + 1)),
                (None, None) => None,
            };
            let out = entry.and_then(|e| e.taken_out.clone());
            let out =
                out.and_then(|it: entries::TakenOut| Some(verdict::TakenOut { day: day(it.at)?, tip_by: it.tip_by }));
            Life::Landed { commit, newer, taken_out: out }
        }
        BranchState::Withdrawn => {
            Life::Withdrawn { by: branch.state_text.strip_prefix("withdrawn by ").unwrap_or_default().to_owned() }
        }
        BranchState::Retired => match branch.state_text.as_str() {
            "in-mainline" => Life::InMainline,
            "quiet" => Life::Quiet,
            _ => Life::Gone,
        },
    }
}

fn source(branch: &Branch, fetched: bool) -> Source {
    let Some(Stored { code, text, hint }) = branch.trouble.clone() else { return Source::Fine };
    let gone = fetched && GONE.contains(&code.as_str());
    let trouble = Trouble { code, text, hint };
    if gone { Source::Gone(trouble) } else { Source::Trouble(trouble) }
}

fn trouble(refusal: Refusal) -> Trouble {
    Trouble { code: refusal.code, text: refusal.text, hint: refusal.hint }
}

/// What came of making the candidate that counts. One on an older mainline says the same of that of now, unless something has
/// moved that it touches: then it says what was so, until the next is made.
pub(crate) fn outcome(outcome: Option<&CandidateOutcome>) -> verdict::Candidate {
    match outcome {
        None => verdict::Candidate::NotMade,
        Some(CandidateOutcome::Made { .. }) => verdict::Candidate::Made,
        Some(CandidateOutcome::Conflict { files }) => {
            verdict::Candidate::Conflict(files.iter().map(|f| f.path.clone()).collect())
        }
        Some(CandidateOutcome::Refused(refusal)) if IN_MAINLINE.contains(&refusal.code.as_str()) => {
            verdict::Candidate::Superseded
        }
        Some(CandidateOutcome::Refused(refusal)) => verdict::Candidate::Refused(trouble(refusal.clone())),
        Some(CandidateOutcome::MainlineTrouble(refusal)) => {
            verdict::Candidate::MainlineTrouble(trouble(refusal.clone()))
        }
    }
}

/// Where a build is; why it waits is told by others. `step` is the one that decided how it ended, and the program that it lacked.
pub(crate) fn build_as_told(build: &Build, step: Option<(String, Option<String>)>) -> verdict::Build {
    match build.state {
        BuildRowState::Waiting => verdict::Build::Waiting(None),
        BuildRowState::Running => {
            verdict::Build::Running { step: build.says.strip_prefix("step ").map(ToOwned::to_owned) }
        }
        BuildRowState::Finished(result) => {
            let (step, lacks) = step.map_or((None, None), |(step, lacks)| (Some(step), lacks));
            verdict::Build::Finished { result, step, says: build.says.clone(), lacks }
        }
    }
}

fn place(branch: &Branch, entries: &[Entry], revision: u32, place: u32) -> verdict::Queue {
    // What left before the branch was published again says nothing of it now.
    let counts = |entry: &&Entry| entry.left.is_none_or(|left| left > branch.published);
    let Some(entry) = entries.first().filter(counts) else { return verdict::Queue::None };
    let says = entry.standing.says_at(place);
    let next = entry.standing.next.clone();
    match entry.state {
        EntryState::Landed => verdict::Queue::None,
        EntryState::Ejected => verdict::Queue::Ejected { revision, says, next },
        EntryState::Queued => {
            let code = Code::named(&entry.standing.code).unwrap_or(Code::Making);
            verdict::Queue::In { place, revision, code, says, next }
        }
    }
}
