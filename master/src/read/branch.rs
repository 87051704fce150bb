//! Branches: the line of a listing, and the whole page.

use super::facts::Known;
use super::{ReadError, build_summary, event_of, queue_entry};
use crate::names;
use crate::project::Guarded;
use crate::reconcile::KeptRequest;
use crate::state::Shared;
use crate::store::{Branch, BranchState, Builds, Candidate, Revision};
use crate::terms::Terms;
use gate::verdict::judge;
use protocol::api::{self, BranchDetail, BranchSummary, BuilderRow, Mark};
use protocol::{BranchName, CommitId};
use tracker::mirror::{MirrorError, Relation};
use tracker::read::{DiffLimits, text_diff};
use tracker::source::url_without_secrets;

/// The most revisions that a branch's page shows, and that are listed at once.
pub(crate) const REVISIONS: u32 = 50;

/// One branch's line.
pub(crate) async fn branch_summary(
    shared: &Shared,
    project: &Guarded,
    branch: Branch,
) -> Result<BranchSummary, ReadError> {
    let row = shared.store.project_by_id(project.id).await?;
    Ok(summary(project, &Known::of(shared, project, &row, branch).await?))
}

pub(super) fn summary(project: &Guarded, known: &Known) -> BranchSummary {
    let Known { branch, newest, builds, facts, title, terms, .. } = known;
    let marks = facts.builders.iter().map(|builder| {
        let (look, word) = builder.build.mark();
        let build = builds.latest_of(&builder.name).map(|b| b.id);
        Mark { builder: builder.name.clone(), required: builder.required, look, word: word.to_owned(), build }
    });
    BranchSummary {
        name: branch.name.clone(),
        project: project.name.clone(),
        title: title.clone(),
        // What an older bb took is not shown as it stands.
        url: if branch.url.starts_with('/') { branch.url.clone() } else { url_without_secrets(&branch.url) },
        branch: branch.source_ref.clone(),
        publisher: branch.publisher.clone(),
        trusted: branch.trusted,
        bugs: branch.bugs.clone(),
        revision: newest.as_ref().map(|r| r.number),
        commit: newest.as_ref().map(|r| r.commit.clone()),
        author: newest.as_ref().map(|r| r.author.clone()),
        verdict: judge(facts),
        marks: marks.collect(),
        words: terms.words().to_string(),
        changes_recipe: facts.changes_recipe,
        published_ms: branch.published,
        changed_ms: branch.changed,
        page: names::branch_page(&project.name, &branch.name),
    }
}

/// A branch's whole page.
pub(crate) async fn branch_detail(
    shared: &Shared,
    project: &Guarded,
    branch: Branch,
) -> Result<BranchDetail, ReadError> {
    let row = shared.store.project_by_id(project.id).await?;
    let known = Known::of(shared, project, &row, branch).await?;
    let branch = &known.branch;
    let revisions = shared.store.revision_page(branch.id, None, REVISIONS).await?;
    let timeline = shared.store.timeline(branch.id, 200).await?;
    let mut queue = Vec::new();
    for entry in &known.entries {
        queue.push(queue_entry(shared, project, entry, None).await?);
    }
    let candidate = match (&known.candidate, &known.newest) {
        (Some(candidate), Some(revision)) => {
            let kept = serde_json::from_str::<KeptRequest>(&candidate.request).ok();
            let message = match &kept {
                Some(kept) => {
                    let mut request = kept.request.clone();
                    // As it would land: a title of now alone makes no other candidate.
                    if branch.state == BranchState::Live {
                        request.message = Terms::queued(&known.entries).unwrap_or_else(|| known.terms.clone()).message;
                    }
                    project.mirror.candidate_message(&request).await.ok()
                }
                None => None,
            };
            Some(api::Candidate {
                mainline: candidate.mainline.clone(),
                revision: revision.number,
                message,
                folded_by: kept.and_then(|kept| kept.project),
                outcome: candidate.outcome.clone(),
                made_ms: candidate.made,
                mainline_now: now_at(branch, candidate, row.tip.as_ref()),
                again: branch.state == BranchState::Live && revision.to_be_made,
            })
        }
        _ => None,
    };
    // What the mirror can't show now is no reason to show nothing: it is said, and brought back.
    let (commits, diff, unreadable) = match source_views(project, &known, row.tip.as_ref()).await {
        Ok((commits, diff)) => (commits, diff, None),
        Err(ReadError::Mirror(text)) => {
            if known.newest.as_ref().is_some_and(|revision| revision.lost.is_none()) {
                project.look_after_mirror();
            }
            let text = format!("its commits can't be read from the mirror: {text}; bb looks after it");
            (Vec::new(), api::Diff::default(), Some(text))
        }
        Err(error) => return Err(error),
    };
    let live = branch.state == BranchState::Live;
    Ok(BranchDetail {
        summary: summary(project, &known),
        watch: api::Watch {
            looked_ms: branch.looked,
            trouble: branch.trouble.as_ref().map(|t| format!("{}; {}", t.text, t.hint)).or(unreadable),
            next_ms: live.then_some(branch.next_look),
        },
        candidate,
        commits,
        builders: rows(shared, project, &known, &revisions).await?,
        diff,
        changes_recipe: known.facts.changes_recipe,
        recipe_diff: recipe_diff(project, &known).await?,
        queue,
        timeline: timeline.into_iter().map(|e| event_of(shared, e, Some(branch.name.clone()))).collect(),
        git_path: format!("/git/{}.git", project.name),
        refs: refs(&branch.name, &revisions, known.candidate.as_ref().is_some_and(|c| c.is_made())),
        older_revisions: older(&revisions),
        revisions: revisions.into_iter().map(revision_line).collect(),
    })
}

/// Where mainline is by now, if that is elsewhere than where a live branch's candidate was made.
fn now_at(branch: &Branch, candidate: &Candidate, tip: Option<&CommitId>) -> Option<CommitId> {
    tip.filter(|tip| branch.state == BranchState::Live && **tip != candidate.mainline).cloned()
}

/// How the recipe that the newest candidate brings differs from that of the mainline it stands on.
async fn recipe_diff(project: &Guarded, known: &Known) -> Result<Option<api::DiffFile>, ReadError> {
    let Some(candidate) = known.candidate.as_ref().filter(|c| c.changes_recipe) else { return Ok(None) };
    let Some(made) = candidate.made_commit() else { return Ok(None) };
    let unreadable = |e: MirrorError| ReadError::Mirror(e.to_string());
    let old = project.mirror.recipe_at(&candidate.mainline).await.map_err(unreadable)?.unwrap_or_default();
    let new = project.mirror.recipe_at(made).await.map_err(unreadable)?.unwrap_or_default();
    text_diff(recipe::FILE_NAME, &old, &new, DiffLimits::default()).map(Some).map_err(unreadable)
}

/// Where the revisions go on, if there are more than a page of them.
fn older(revisions: &[Revision]) -> Option<u32> {
    let last = revisions.iter().map(|r| r.number).min()?;
    (revisions.len() >= REVISIONS as usize && last > 1).then_some(last)
}

/// A branch's revisions below a number, a page of them.
pub(crate) async fn revisions(
    shared: &Shared,
    branch: &Branch,
    before: Option<u32>,
) -> Result<api::Revisions, ReadError> {
    let revisions = shared.store.revision_page(branch.id, before, REVISIONS).await?;
    Ok(api::Revisions { older: older(&revisions), revisions: revisions.into_iter().map(revision_line).collect() })
}

fn revision_line(revision: Revision) -> api::Revision {
    api::Revision {
        number: revision.number,
        commit: revision.commit,
        seen_ms: revision.seen,
        refused: revision.refusal,
        subject: revision.subject,
        commits: revision.commits,
    }
}

/// Refs to fetch with plain git: the newest revision first.
fn refs(name: &BranchName, revisions: &[Revision], candidate: bool) -> Vec<String> {
    let admitted: Vec<_> = revisions.iter().filter(|r| r.refusal.is_none()).collect();
    let mut refs: Vec<String> = admitted.iter().map(|r| format!("refs/branches/{name}/r{}", r.number)).collect();
    if !refs.is_empty() {
        refs.push(format!("refs/branches/{name}/head"));
    }
    if candidate {
        refs.push(format!("refs/branches/{name}/candidate"));
    }
    refs
}

/// The commits and the diff, from the mirror.
async fn source_views(
    project: &Guarded,
    known: &Known,
    tip: Option<&CommitId>,
) -> Result<(Vec<api::Commit>, api::Diff), ReadError> {
    let (Some(revision), Some(tip)) = (known.newest.as_ref().filter(|r| r.refusal.is_none()), tip) else {
        return Ok((Vec::new(), api::Diff::default()));
    };
    let mirror = &project.mirror;
    // What moved on mainline since is no part of it.
    let base = known.candidate.as_ref().map_or(tip, |candidate| &candidate.mainline).clone();
    let unreadable = |e: MirrorError| ReadError::Mirror(e.to_string());
    let commits = mirror.commits_between(&base, &revision.commit, 250).await.map_err(unreadable)?.newest;
    let made = known.candidate.as_ref().and_then(|c| c.made_commit());
    let (from, to) = match made {
        Some(candidate) => (base, candidate),
        None => match mirror.relation(&base, &revision.commit).await.map_err(unreadable)? {
            Relation::Ahead { merge_base, .. } => (merge_base, &revision.commit),
            Relation::Unrelated | Relation::Same | Relation::Behind => return Ok((commits, api::Diff::default())),
        },
    };
    let diff = project.diffs.get(mirror, &from, to).await.map_err(unreadable)?;
    Ok((commits, (*diff).clone()))
}

/// The builders' rows: for each revision that has one, the latest build.
async fn rows(
    shared: &Shared,
    project: &Guarded,
    known: &Known,
    revisions: &[Revision],
) -> Result<Vec<BuilderRow>, ReadError> {
    let mut older: Vec<(u32, Builds)> = Vec::new();
    for revision in revisions.iter().skip(1).take(3) {
        older.push((revision.number, shared.store.builds_of_revision(revision.id).await?));
    }
    let mut rows = Vec::new();
    for builder in &known.facts.builders {
        let newest = known.builds.latest_of(&builder.name);
        let number = known.newest.as_ref().map_or(0, |r| r.number);
        let mut builds = Vec::new();
        let of_older = older.iter().filter_map(|(number, builds)| Some((*number, builds.latest_of(&builder.name)?)));
        for (number, build) in newest.map(|build| (number, build)).into_iter().chain(of_older) {
            builds.push(build_summary(shared, project, build, &known.branch.name, number).await?);
        }
        let says = builds.first().filter(|b| newest.is_some_and(|n| n.id == b.id)).map(|b| b.says.clone());
        rows.push(BuilderRow {
            builder: builder.name.clone(),
            required: builder.required,
            builds,
            says: says.unwrap_or_default(),
        });
    }
    Ok(rows)
}
