//! Carries out what `gate::queue` decides: builds for the queue, landings, ejections.

use super::each::{is_everybodys, look_after};
use super::seen::builds_of;
use super::stacking::{Making, Stacked};
use super::together::{self, Known, Waiting};
use super::{Again, StepError, candidates, landing, mainline, stacking};
use crate::auth::may_still_accept;
use crate::project::{Guarded, RecipeInUse, RecipeState, recipes, requests};
use crate::state::Shared;
use crate::store::{
    self, Begun, Branch, BranchState, Candidate, Change, Claim, Entry, Heard, IN_MAINLINE, Member, Revision, Shown,
    Standing, StoreError, TokenRow, Topic, now,
};
use crate::terms::Terms;
use gate::code::Code;
use gate::queue::{self, Action, BuilderOf, EntryId, Hindrance, Itself, Pause, Policy, QueueState, Stack, StackId};
use gate::verdict::Trouble;
use protocol::api::Next;
use protocol::{BranchId, CandidateId, CommitId, RevisionId, TokenId, api};
use recipe::Recipe;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Entries whose candidates are looked at, beside those that are held: the serial queue wants the first.
const LOOKAHEAD: usize = 1;

/// What one turn knows beside the queue's state.
struct Turn {
    claim: Claim,
    entries: HashMap<EntryId, Entry>,
    stacks: HashMap<StackId, (Candidate, Option<Arc<RecipeInUse>>)>,
    /// What is known beside, when several can be tested together.
    several: Option<Known>,
}

impl Turn {
    fn tested(&self, stack: StackId) -> Option<&Stacked> {
        self.several.as_ref()?.tested.get(&stack)
    }
}

/// `heard` is what changed since the last turn: while nobody is in the queue, only what is said of the queue itself matters.
pub(super) async fn step(shared: &Shared, project: &Guarded, heard: &Heard) -> Result<Again, StepError> {
    let Some(claim) = project.claim() else { return Ok(Again::AtTick) };
    let of_queue = |rows: &BTreeSet<Change>| rows.iter().any(|it| it.topic == Topic::Queue);
    if project.queue_is_empty() && matches!(heard, Heard::Rows(rows) if !of_queue(rows)) {
        return Ok(Again::AtTick);
    }
    project.set_queue_is_empty(false);
    match shared.store.open_landing(project.id).await {
        Ok(Some(open)) => return landing::finish(shared, project, claim, &open).await,
        Ok(None) => {}
        // It would stop the whole queue, and nobody could say what it waits for.
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(project = %project.name, %error, "the row of an open landing can't be read: it is begun anew");
            shared.store.unreadable_landing_failed(claim, &error.to_string()).await?;
            return Ok(Again::Now);
        }
        Err(error) => return Err(error.into()),
    }
    let Some((state, turn)) = state(shared, project, claim).await? else { return Ok(Again::AtTick) };
    let decision = match &turn.several {
        Some(known) => queue::decide_together(&state, &known.together),
        None => queue::decide(&state),
    };
    let mut standings = Vec::with_capacity(decision.standings.len());
    for standing in &decision.standings {
        let Some(entry) = turn.entries.get(&standing.entry) else { continue };
        let alone = standing.stack.and_then(|s| turn.stacks.get(&s)).map(|(c, _)| c.id);
        let shown = match &turn.several {
            Some(known) if decision.together => {
                known.own.get(&entry.id).map_or(Shown::Kept, |own| Shown::By(Some(*own)))
            }
            _ => Shown::By(alone),
        };
        let standing = Standing {
            code: standing.code.as_str().to_owned(),
            says: standing.says.clone(),
            next: standing.next.clone(),
        }
        .kept();
        standings.push((entry, shown, standing));
    }
    shared.store.set_standings(claim, &standings).await?;
    // What fails for one entry keeps nothing from the others; the turn is taken again for it.
    let mut failed = None;
    for action in &decision.actions {
        if let Err(error) = act(shared, project, &state.mainline, &turn, action).await {
            tracing::warn!(project = %project.name, ?action, %error, "an action of the queue failed");
            look_after(project, &error);
            failed = failed.or(Some(error));
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let names = [landing::NAME, stacking::NAME];
    let rests = turn.entries.keys().flat_map(|id| names.map(|name| project.unready.rest((name, id.0))));
    let rest = rests.flatten().min();
    let again = rest.map_or(Again::AtTick, Again::After);
    Ok(again.or(match decision.look_again {
        Some(at) => Again::After(Duration::from_millis(u64::try_from(at.0 - now().0).unwrap_or(0).max(20))),
        None => Again::AtTick,
    }))
}

/// Reads what the decision depends on; none when there is nothing to decide.
async fn state(shared: &Shared, project: &Guarded, claim: Claim) -> Result<Option<(QueueState, Turn)>, StepError> {
    let row = shared.store.project_by_id(project.id).await?;
    let Some(tip) = row.tip.clone() else { return Ok(None) };
    let entries = shared.store.queue(project.id).await?;
    if entries.is_empty() {
        project.set_queue_is_empty(true);
        return Ok(None);
    }
    let mut turn = Turn { claim, entries: HashMap::new(), stacks: HashMap::new(), several: None };
    let mut state = QueueState {
        now: now(),
        mainline: tip.clone(),
        itself: match shared.store.mainline_now(project.id).await? {
            Some(at) if at.commit == tip && !at.entries.is_empty() => Itself::Passes,
            _ => Itself::Unknowable,
        },
        paused: row.paused.then(|| match &row.pause {
            Some(it) => Pause { by: it.by.clone(), reason: it.reason.clone() },
            None => Pause { by: "a maintainer".to_owned(), reason: String::new() },
        }),
        official: mainline::mainline_of(&row),
        landing: None,
        entries: Vec::new(),
        stacks: Vec::new(),
        capacity: 1,
        policy: Policy::default(),
    };
    // Without the master's own recipe, where it is wanted, no candidate can be made.
    let unmade = recipes::otherwise(project, &tip).await?.err();
    let branches = shared.store.branches_by_id(entries.iter().map(|entry| entry.branch)).await?;
    let revisions = shared.store.revisions_by_id(entries.iter().map(|entry| entry.revision)).await?;
    let mut looks = Looks {
        shared,
        project,
        tip: &tip,
        unmade: unmade.as_ref(),
        branches: branches.clone(),
        revisions: revisions.clone(),
        tokens: shared.store.tokens_by_id(entries.iter().filter_map(|entry| entry.token)).await?,
    };
    let mut needs: HashMap<i64, Vec<queue::Need>> = HashMap::new();
    for need in shared.store.needs(project.id).await? {
        let it = queue::Need { branch: need.branch.to_string(), entry: need.place.map(EntryId) };
        needs.entry(need.entry).or_default().push(it);
    }
    let mut ahead = 0;
    for entry in entries {
        let id = EntryId(entry.id);
        let needs = needs.remove(&entry.id).unwrap_or_default();
        let goes = entry.hold.is_none() && needs.is_empty();
        let seen = match looks.at(&entry, goes && ahead < LOOKAHEAD).await {
            Ok(seen) => seen,
            // One entry's trouble is that entry's trouble.
            Err(error) if is_everybodys(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(project = %project.name, entry = entry.id, %error, "an entry of the queue can't be read");
                look_after(project, &error);
                unreadable(&entry, &tip, &error)
            }
        };
        // One that fails as mainline may do itself is held, perhaps, too.
        let goes_by = |s: &Stack| s.candidate.is_held() || s.candidate.fails_by_mainline().is_some();
        ahead += usize::from(seen.looked && !seen.stack.as_ref().is_some_and(goes_by));
        turn.stacks.extend(seen.stack.as_ref().map(|stack| stack.id).zip(seen.candidate));
        state.stacks.extend(seen.stack);
        state.entries.push(queue::Entry { needs, ..seen.entry });
        turn.entries.insert(id, entry);
    }
    if unmade.is_none() {
        let stays = state.entries.iter().filter(|entry| entry.hindrance.is_none() && entry.hold.is_none());
        let entries = stays.filter_map(|entry| turn.entries.get(&entry.id)).collect();
        let waiting = Waiting { entries, branches: &branches, revisions: &revisions };
        turn.several = together::read(shared, project, claim, &tip, &waiting).await?;
    }
    Ok(Some((state, turn)))
}

/// An entry as the decision sees it.
struct Seen {
    entry: queue::Entry,
    /// Whether its candidate was looked for.
    looked: bool,
    stack: Option<Stack>,
    /// What the stack is of, and the recipe that it is built by.
    candidate: Option<(Candidate, Option<Arc<RecipeInUse>>)>,
}

/// What entries are looked at with.
struct Looks<'a> {
    shared: &'a Shared,
    project: &'a Guarded,
    tip: &'a CommitId,
    /// Why no candidate can be made, if none can.
    unmade: Option<&'a Trouble>,
    /// Of the entries, those that can be read.
    branches: HashMap<BranchId, Branch>,
    revisions: HashMap<RevisionId, Revision>,
    tokens: HashMap<TokenId, TokenRow>,
}

impl Looks<'_> {
    /// `stacked` says whether a candidate is wanted at its place of the queue.
    async fn at(&mut self, entry: &Entry, stacked: bool) -> Result<Seen, StepError> {
        let Self { shared, project, tip, .. } = *self;
        // One that was not read with the others says by itself why it can't be.
        let branch = match self.branches.remove(&entry.branch) {
            Some(branch) => branch,
            None => shared.store.branch_by_id(entry.branch).await?,
        };
        let revision = match self.revisions.remove(&entry.revision) {
            Some(revision) => revision,
            None => shared.store.revision_by_id(entry.revision).await?,
        };
        if Terms::of_entry(entry)?.is_none() {
            let terms = Terms::of_now(shared, project, &branch);
            shared.store.bind_terms(entry.id, &terms.kept()?).await?;
        }
        let token = match (entry.token, entry.token.and_then(|id| self.tokens.get(&id))) {
            (Some(_), None) => shared.store.acceptor(entry).await?,
            (_, token) => token.cloned(),
        };
        let hindrance = hindrance(token.as_ref(), entry, &branch, &revision);
        let looked = hindrance.is_none() && stacked;
        let author = if revision.author.is_empty() { branch.publisher } else { revision.author };
        let mut seen = Seen { entry: of_queue(entry, author, hindrance), looked, stack: None, candidate: None };
        if !looked {
            return Ok(seen);
        }
        if let Some(lost) = &revision.lost {
            seen.stack = Some(missing(entry, tip, lost));
            return Ok(seen);
        }
        if let Some(why) = landing::still_unready(shared, project, entry, tip).await? {
            seen.stack = Some(alone(entry, tip, why));
            return Ok(seen);
        }
        match shared.store.candidate(entry.revision, tip, &entry.terms.hash).await? {
            Some(candidate) => match stack(shared, project, entry, &candidate).await {
                Ok((stack, recipe)) => (seen.stack, seen.candidate) = (Some(stack), Some((candidate, recipe))),
                // What the mirror lacks is looked for.
                Err(StepError::Mirror(error)) => {
                    project.look_after_mirror();
                    seen.stack = Some(missing(entry, tip, &store::Trouble::of(&error)));
                }
                Err(error) => return Err(error),
            },
            None => {
                // Others go by also while it is tried again: what they have built is not thrown away for that.
                let failed = project.unready.last((candidates::NAME, entry.id)).map(|why| alone(entry, tip, why));
                seen.stack = self.unmade.map(|trouble| unmakeable(entry, tip, trouble)).or(failed);
            }
        }
        Ok(seen)
    }
}

fn of_queue(entry: &Entry, author: String, hindrance: Option<Hindrance>) -> queue::Entry {
    queue::Entry {
        id: EntryId(entry.id),
        branch: entry.branch,
        revision: entry.commit.clone(),
        author,
        priority: i32::try_from(entry.priority).unwrap_or(0),
        accepted_at: entry.accepted,
        needs: Vec::new(),
        hold: entry.hold.as_ref().map(|it| Pause { by: it.by.clone(), reason: it.reason.clone() }),
        hindrance,
    }
}

/// An entry of which something can't be read, by bb's own fault.
fn unreadable(entry: &Entry, tip: &CommitId, error: &StepError) -> Seen {
    let stack = alone(entry, tip, queue::Candidate::Unreadable { text: error.to_string() });
    Seen { entry: of_queue(entry, String::new(), None), looked: true, stack: Some(stack), candidate: None }
}

/// Why an entry can't land whatever its candidate is like. `token` is the one that it was accepted with.
fn hindrance(token: Option<&TokenRow>, entry: &Entry, branch: &Branch, revision: &Revision) -> Option<Hindrance> {
    if branch.state != BranchState::Live {
        return Some(Hindrance::Ended { says: branch.state_text.clone() });
    }
    if let Some(refusal) = &revision.refusal {
        return Some(Hindrance::Unusable { text: refusal.text.clone(), hint: refusal.hint.clone() });
    }
    let lost = !may_still_accept(token, branch);
    lost.then(|| Hindrance::RightLost { by: entry.accepted_by.clone() })
}

/// A stack of what is not in the mirror.
fn missing(entry: &Entry, tip: &CommitId, lost: &store::Trouble) -> Stack {
    alone(entry, tip, queue::Candidate::Missing { text: lost.text.clone(), hint: lost.hint.clone() })
}

/// A stack whose candidate can't even be tried.
fn unmakeable(entry: &Entry, tip: &CommitId, trouble: &Trouble) -> Stack {
    let (text, hint) = (trouble.text.clone(), trouble.hint.clone());
    alone(entry, tip, queue::Candidate::MainlineTrouble { text, hint })
}

/// A stack of one entry without a row of its own.
fn alone(entry: &Entry, tip: &CommitId, candidate: queue::Candidate) -> Stack {
    // No candidate has such a number.
    let id = StackId(-entry.id);
    Stack { id, on: tip.clone(), entries: vec![EntryId(entry.id)], candidate, push_refused: None, check_failed: 0 }
}

/// A candidate as the queue's decision sees it: a stack of one entry.
async fn stack(
    shared: &Shared,
    project: &Guarded,
    of: &Entry,
    candidate: &Candidate,
) -> Result<(Stack, Option<Arc<RecipeInUse>>), StepError> {
    let (id, entry) = (StackId(candidate.id.0), EntryId(of.id));
    let mut recipe = None;
    let refused = |code: &str, text: &str, hint: &str| queue::Candidate::Refused {
        entry,
        code: code.to_owned(),
        text: text.to_owned(),
        hint: hint.into(),
    };
    let of_mainline =
        |text: &str, hint: &str| queue::Candidate::MainlineTrouble { text: text.to_owned(), hint: hint.into() };
    let outcome = match &candidate.outcome {
        api::CandidateOutcome::Made { commit, .. } => {
            // A fault that mainline has as well is not the branch's.
            let own = recipes::at(project, commit).await?;
            let inherited = recipes::at(project, &candidate.mainline).await?;
            match (own, inherited) {
                (RecipeState::Fine(own), RecipeState::Fine(inherited))
                    if requires_none(&own.recipe) && requires_none(&inherited.recipe) =>
                {
                    let text = "its recipe requires no builder, and nothing lands untested";
                    of_mainline(text, "set `required = true` for a builder in .bb.toml")
                }
                (RecipeState::Fine(in_use), inherited) => {
                    let of_mainline = |b: &recipe::Builder| match &inherited {
                        RecipeState::Fine(inherited) => inherited.recipe.builders.contains(b),
                        RecipeState::Broken(_) | RecipeState::Missing | RecipeState::Unknown => false,
                    };
                    let of = |b: &recipe::Builder| BuilderOf {
                        name: b.name.clone(),
                        required: b.required,
                        of_mainline: of_mainline(b),
                    };
                    let builders = gate::builders::builders_for(&in_use.recipe).into_iter().map(of).collect();
                    let builds = builds_of(shared, candidate, commit, &in_use.recipe).await?;
                    recipe = Some(in_use);
                    queue::Candidate::Made { commit: commit.clone(), builders, builds }
                }
                (RecipeState::Broken(it), RecipeState::Broken(_)) if !candidate.changes_recipe => {
                    of_mainline(&it.text, &it.hint)
                }
                (RecipeState::Broken(it), _) => refused(&it.code, &it.text, &it.hint),
                (_, RecipeState::Missing | RecipeState::Broken(_)) => {
                    of_mainline("there is no recipe, and none could be guessed", "add a .bb.toml")
                }
                (RecipeState::Missing | RecipeState::Unknown, _) => {
                    refused("recipe-missing", "it has no recipe, and none could be guessed", "add a .bb.toml")
                }
            }
        }
        api::CandidateOutcome::Conflict { files } => {
            queue::Candidate::Conflict { entry, files: files.iter().map(|f| f.path.clone()).collect() }
        }
        api::CandidateOutcome::Refused(refusal) if IN_MAINLINE.contains(&refusal.code.as_str()) => {
            queue::Candidate::InMainline { entry }
        }
        api::CandidateOutcome::Refused(refusal) => refused(&refusal.code, &refusal.text, &refusal.hint),
        api::CandidateOutcome::MainlineTrouble(refusal) => of_mainline(&refusal.text, &refusal.hint),
    };
    let (push_refused, check_failed) = landing::failures(shared, of, candidate).await?;
    let on = candidate.mainline.clone();
    Ok((Stack { id, on, entries: vec![entry], candidate: outcome, push_refused, check_failed }, recipe))
}

fn requires_none(recipe: &Recipe) -> bool {
    !gate::builders::builders_for(recipe).iter().any(|b| b.required)
}

async fn act(
    shared: &Shared,
    project: &Guarded,
    tip: &CommitId,
    turn: &Turn,
    action: &Action,
) -> Result<(), StepError> {
    match action {
        // The candidates' reconciler makes it, and was woken by the same change unless others had been first till now.
        Action::Make { entries, .. } => {
            if project.set_queue_wants(entries.first().copied()) {
                shared.store.say(Change::of(project.id, Topic::Queue, 0));
            }
        }
        // Its builds are cancelled where the entry gets another candidate or leaves.
        Action::Drop { .. } => {}
        Action::Test { entries, purpose } => {
            let Some(known) = &turn.several else { return Ok(()) };
            let entries: Vec<&Entry> = entries.iter().filter_map(|id| turn.entries.get(id)).collect();
            let making = Making { claim: turn.claim, on: known.on, tip, purpose: *purpose };
            stacking::make(shared, project, &making, &entries).await?;
        }
        Action::TestMainline { on, entry } => {
            let commit = turn.several.as_ref().and_then(|known| known.places.get(&on.0));
            let (Some(commit), Some(entry)) = (commit, turn.entries.get(entry)) else { return Ok(()) };
            stacking::make_mainline(shared, project, turn.claim, (on.0, commit), entry).await?;
        }
        Action::TestAgain { stack, builders } => {
            let Some(it) = turn.tested(*stack) else { return Ok(()) };
            stacking::ask(shared, project, turn.claim, it, Some(builders)).await?;
        }
        Action::Cancel { stack } => {
            let Some(it) = turn.tested(*stack) else { return Ok(()) };
            shared.store.cancel_stack(turn.claim, it.top).await?;
        }
        Action::Build { stack, builder, .. } => {
            let Some((candidate, Some(recipe))) = turn.stacks.get(stack) else { return Ok(()) };
            let branch = shared.store.branch_by_id(candidate.branch).await?;
            let wanted = |name: &str| name == builder;
            let requests = requests(project, &branch, candidate, &recipe.recipe, true, wanted);
            shared.store.ask_for_builds(turn.claim, &requests, None).await?;
        }
        Action::Eject { entry, stack, code, says, next } => {
            let Some(entry) = turn.entries.get(entry) else { return Ok(()) };
            let standing = Standing { code: code.as_str().to_owned(), says: says.clone(), next: next.clone() };
            let on = stack.map(|_| tip);
            if on.is_none() || mainline::look(shared, project, turn.claim).await? == *tip {
                if let Some(it) = stack.and_then(|stack| turn.tested(stack)) {
                    // What it failed in is what its page shows.
                    shared.store.set_standing(turn.claim, entry, Some(it.top), &standing).await?;
                }
                shared.store.eject(turn.claim, entry, on, &standing).await?;
            }
        }
        Action::Retire { entry } => {
            let Some(entry) = turn.entries.get(entry) else { return Ok(()) };
            if mainline::look(shared, project, turn.claim).await? == *tip {
                let next = Next { who: "nobody".to_owned(), what: String::new() };
                let says = "mainline's history has all of it already".to_owned();
                let standing = Standing { code: Code::InMainline.as_str().to_owned(), says, next };
                shared.store.retire(turn.claim, entry, tip, &standing).await?;
            }
        }
        Action::Land { stack, entries, commit, on } => {
            let line = match (turn.stacks.get(stack), turn.tested(*stack)) {
                (Some((candidate, _)), _) => {
                    let of =
                        |id: &EntryId| Member { entry: id.0, candidate: Some(candidate.id), commit: commit.clone() };
                    entries.iter().map(of).collect()
                }
                (None, Some(it)) => {
                    let line = line(shared, it, entries).await?;
                    // One alone lands as the candidate that its page shows.
                    if let ([one], Some(entry)) = (&line[..], entries.first().and_then(|id| turn.entries.get(id))) {
                        shared.store.set_standing(turn.claim, entry, one.candidate, &entry.standing).await?;
                    }
                    line
                }
                (None, None) => return Ok(()),
            };
            let begun = shared.store.begin_landing(turn.claim, on, &line, may_still_accept).await?;
            if let Begun::Yes(open) = begun {
                landing::push(shared, project, turn.claim, &open).await?;
            }
        }
    }
    Ok(())
}

/// Those of a stack's entries that land by it, each as its own commit.
async fn line(shared: &Shared, it: &Stacked, entries: &[EntryId]) -> Result<Vec<Member>, StepError> {
    let lands = |entry: &i64| entries.contains(&EntryId(*entry));
    let members: Vec<(i64, CandidateId)> = it.members.iter().filter(|(entry, _)| lands(entry)).copied().collect();
    let candidates = shared.store.candidates_by_id(members.iter().map(|(_, candidate)| *candidate)).await?;
    Ok(members.iter().filter_map(|(entry, id)| Member::of(*entry, candidates.get(id)?)).collect())
}
