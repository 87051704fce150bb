//! Branches: the line of a listing, and the whole page.

use super::build::summaries;
use super::facts::{Known, know};
use super::queue::entries;
use super::review::review_tally;
use super::{Moment, ReadError, event_of};
use crate::names;
use crate::project::{Asked, Guarded, NoView};
use crate::reconcile::KeptRequest;
use crate::state::Shared;
use crate::store::{Branch, BranchState, Build, Candidate, Revision};
use crate::terms::Terms;
use gate::places::Rank;
use gate::verdict::{Builder, judge};
use protocol::api::{self, BranchDetail, BranchSummary, BuildSummary, BuilderRow, Mark};
use protocol::{BranchId, BranchName, BuildId, CommitId, RevisionId};
use std::collections::HashMap;
use tracker::read::{Seen, View};
use tracker::source::url_without_secrets;

/// The most revisions that a branch's page shows, and that are listed at once.
pub(crate) const REVISIONS: u32 = 50;

/// One branch's line.
pub(crate) async fn branch_summary(
    at: &Moment<'_>,
    project: &Guarded,
    branch: BranchId,
) -> Result<BranchSummary, ReadError> {
    let branch = at.store.branch_by_id(branch).await?;
    Ok(summary(project, &know(at, project, branch).await?))
}

pub(super) fn summary(project: &Guarded, known: &Known) -> BranchSummary {
    let Known { branch, newest, builds, facts, title, terms, .. } = known;
    let marks = facts.told_builders().map(|builder| {
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

/// A branch's whole page but for what the mirror shows of it: the rows of one moment.
pub(crate) struct BranchRows {
    detail: BranchDetail,
    asked: Asked,
    /// What the mirror shows; none while there is nothing in it.
    view: Option<View>,
    /// Whether the newest revision is known to be lost.
    is_lost: bool,
}

/// See [`BranchRows`].
pub(crate) async fn branch_rows(at: &Moment<'_>, project: &Guarded, branch: Branch) -> Result<BranchRows, ReadError> {
    let row = at.project(project.id).await?;
    let known = know(at, project, branch).await?;
    let branch = &known.branch;
    let revisions = at.store.revision_page(branch.id, None, REVISIONS).await?;
    let timeline = at.store.timeline(branch.id, 200).await?;
    let kept = known.candidate.as_ref().and_then(|it| serde_json::from_str::<KeptRequest>(&it.request).ok());
    let view = view_of(&known, kept.as_ref(), row.tip.as_ref());
    let candidate = known.candidate.as_ref().zip(known.newest.as_ref()).map(|(candidate, revision)| api::Candidate {
        mainline: candidate.mainline.clone(),
        revision: revision.number,
        message: None,
        folded_by: kept.and_then(|kept| kept.project),
        outcome: candidate.outcome.clone(),
        mainline_now: now_at(branch, candidate, row.tip.as_ref()),
        again: branch.state == BranchState::Live && revision.to_be_made,
        made_ms: candidate.made,
    });
    let review = review_tally(at, branch, known.newest.as_ref().map(|revision| revision.number)).await?;
    let detail = BranchDetail {
        review,
        summary: summary(project, &known),
        watch: api::Watch {
            looked_ms: branch.looked,
            trouble: branch.trouble.as_ref().map(|t| format!("{}; {}", t.text, t.hint)),
            next_ms: (branch.state == BranchState::Live).then_some(branch.next_look),
        },
        candidate,
        commits: Vec::new(),
        builders: rows(at, &known, &revisions).await?,
        diff: api::Diff::default(),
        changes_recipe: known.facts.changes_recipe,
        recipe_diff: None,
        queue: entries(at, project, known.entries.iter()).await?,
        timeline: timeline
            .into_iter()
            .map(|event| event_of(Some(project.name.clone()), event, Some(branch.name.clone())))
            .collect(),
        git_path: format!("/git/{}.git", project.name),
        refs: refs(&branch.name, &revisions, known.candidate.as_ref().is_some_and(|c| c.is_made())),
        older_revisions: older(&revisions),
        revisions: revisions.into_iter().map(revision_line).collect(),
    };
    let is_lost = known.newest.as_ref().is_some_and(|revision| revision.lost.is_some());
    Ok(BranchRows { detail, asked: Asked::by(Rank::Ordinary, branch), view, is_lost })
}

/// Where mainline is by now, if that is elsewhere than where a live branch's candidate was made.
fn now_at(branch: &Branch, candidate: &Candidate, tip: Option<&CommitId>) -> Option<CommitId> {
    tip.filter(|tip| branch.state == BranchState::Live && **tip != candidate.mainline).cloned()
}

/// What of the mirror is shown of a branch, if anything.
fn view_of(known: &Known, kept: Option<&KeptRequest>, tip: Option<&CommitId>) -> Option<View> {
    let revision = known.newest.as_ref().filter(|revision| revision.refusal.is_none())?;
    let candidate = known.candidate.as_ref();
    let is_live = known.branch.state == BranchState::Live;
    // What moved on mainline since is no part of it.
    let base = candidate.map(|candidate| &candidate.mainline).or(tip)?.clone();
    let request = kept.map(|kept| {
        let mut request = kept.request.clone();
        // As it would land: a title of now alone makes no other candidate.
        if is_live {
            request.message = Terms::queued(&known.entries).unwrap_or_else(|| known.terms.clone()).message;
        }
        request
    });
    Some(View {
        candidate: candidate.and_then(|c| c.made_commit()).cloned(),
        base,
        revision: revision.commit.clone(),
        commits: revision.commits,
        request,
        recipe: candidate
            .filter(|candidate| candidate.changes_recipe)
            .and_then(|candidate| Some((candidate.mainline.clone(), candidate.made_commit()?.clone()))),
    })
}

impl BranchRows {
    pub(crate) fn asked(&self, rank: Rank) -> Asked {
        self.asked.with(rank)
    }

    /// The whole page. What is read of the mirror may take a while; nothing else is waited for meanwhile.
    pub(crate) async fn seen(self, shared: &Shared, project: &Guarded, rank: Rank) -> BranchDetail {
        let asked = self.asked(rank);
        let Self { mut detail, view, is_lost, .. } = self;
        super::tested::find_lines(shared, &mut detail.queue).await;
        let Some(view) = view else { return detail };
        match project.views.get(&project.mirror, &shared.reading, &view, &asked).await {
            Ok(seen) => {
                let Seen { commits, diff, message, recipe, .. } = (*seen).clone();
                (detail.commits, detail.diff, detail.recipe_diff) = (commits, diff, recipe);
                if let Some(candidate) = &mut detail.candidate {
                    candidate.message = message;
                }
            }
            Err(NoView::Full) => {
                let text = "as many are made as may be made at once: look again in a moment";
                detail.diff.trouble = Some(text.to_owned());
            }
            // What the mirror can't show now is no reason to show nothing: it is said, and brought back.
            Err(NoView::Mirror(error)) => {
                if !is_lost {
                    project.look_after_mirror();
                }
                let text = format!("its commits can't be read from the mirror: {error}; bb looks after it");
                detail.watch.trouble.get_or_insert(text);
            }
        }
        if detail.diff.is_cut() {
            detail.diff.whole = whole(&shared.url, &detail, &view);
        }
        detail
    }
}

/// Lines for a shell that show all of a branch's change.
fn whole(url: &str, detail: &BranchDetail, view: &View) -> Vec<String> {
    let git = format!("{url}{}", detail.git_path);
    let name = &detail.summary.name;
    let revision = detail.summary.revision.map_or_else(|| "head".to_owned(), |number| format!("r{number}"));
    let (refs, between) = match (&view.candidate, &detail.diff.old, &detail.diff.new) {
        (Some(made), ..) => (format!("refs/branches/{name}/candidate"), format!("{} {made}", view.base)),
        (None, Some(old), Some(new)) => (format!("refs/branches/{name}/{revision}"), format!("{old} {new}")),
        (None, ..) => (
            format!("refs/heads/*:refs/remotes/bb/* refs/branches/{name}/{revision}"),
            format!("{}...{}", view.base, view.revision),
        ),
    };
    vec![format!("git fetch {git} {refs}"), format!("git diff --text {between}")]
}

/// Where the revisions go on, if there are more than a page of them.
fn older(revisions: &[Revision]) -> Option<u32> {
    let last = revisions.iter().map(|r| r.number).min()?;
    (revisions.len() >= REVISIONS as usize && last > 1).then_some(last)
}

/// A branch's revisions below a number, a page of them.
pub(crate) async fn revisions(
    at: &Moment<'_>,
    branch: &Branch,
    before: Option<u32>,
) -> Result<api::Revisions, ReadError> {
    let revisions = at.store.revision_page(branch.id, before, REVISIONS).await?;
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

/// The builders' rows: for each revision that has one, the latest build.
async fn rows(at: &Moment<'_>, known: &Known, revisions: &[Revision]) -> Result<Vec<BuilderRow>, ReadError> {
    let older: Vec<RevisionId> = revisions.iter().skip(1).take(3).map(|revision| revision.id).collect();
    let older_builds = at.store.latest_builds(older.iter().copied()).await?;
    let of_builder = |builder: &str| -> Vec<&Build> {
        let before = older.iter().filter_map(|id| older_builds.get(id)?.latest_of(builder));
        known.builds.latest_of(builder).into_iter().chain(before).collect()
    };
    let builders = &known.facts.builders;
    let all: Vec<&Build> = builders.iter().flat_map(|builder| of_builder(&builder.name)).collect();
    let lines: HashMap<BuildId, BuildSummary> =
        summaries(at, &all).await?.into_iter().flatten().map(|line| (line.id, line)).collect();
    let row = |builder: &Builder| {
        let builds = of_builder(&builder.name);
        let is_newest = |build: &Build| known.builds.iter().any(|newest| newest.id == build.id);
        let builds: Vec<(bool, BuildSummary)> =
            builds.into_iter().filter_map(|build| Some((is_newest(build), lines.get(&build.id)?.clone()))).collect();
        BuilderRow {
            builder: builder.name.clone(),
            required: builder.required,
            says: builds.first().filter(|(is_newest, _)| *is_newest).map(|(_, b)| b.says.clone()).unwrap_or_default(),
            builds: builds.into_iter().map(|(_, build)| build).collect(),
        }
    };
    Ok(builders.iter().map(row).collect())
}
