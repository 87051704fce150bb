//! A project's mirror compared with itself and with the rows that name what is in it.

use super::{Finding, Inspection, State};
use crate::project::Guarded;
use crate::reconcile::{self, GONE, StepError};
use crate::state::Shared;
use crate::store::{Branch, BranchState, Candidate, Revision};
use protocol::CommitId;
use std::collections::BTreeMap;
use std::path::Path;
use tracker::mirror::{Damage, Mirror, Named, Standing};

/// Rounds of mending: what was put aside in one may show what else is missing, which the next one fetches.
const ROUNDS: u32 = 3;

pub(super) struct OfProject<'a> {
    pub(super) shared: &'a Shared,
    pub(super) project: &'a Guarded,
    pub(super) mend: bool,
}

/// A commit that a row names.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Row {
    kind: &'static str,
    what: String,
    named: Named,
    of: Of,
}

/// Whose it is, and so who can get it back.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Of {
    Mainline,
    /// A revision: whether its branch is live, and whether its source is known not to have it any more.
    Revision {
        live: bool,
        gone: bool,
    },
    Candidate {
        revision: String,
    },
}

/// How all is at a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    rows: Vec<(Row, Standing)>,
    damage: Damage,
}

impl Seen {
    fn is_well(&self) -> bool {
        self.damage.is_none() && self.rows.iter().all(|(_, standing)| *standing == Standing::Held)
    }

    fn standing(&self, what: &str) -> Option<(&Row, Standing)> {
        self.rows.iter().find(|(row, _)| row.what == what).map(|(row, standing)| (row, *standing))
    }
}

/// Everything that was wrong in any look.
#[derive(Default)]
struct Wrong {
    rows: BTreeMap<String, (Row, Standing)>,
    damage: Damage,
}

impl Wrong {
    fn add(&mut self, seen: &Seen) {
        for (row, standing) in seen.rows.iter().filter(|(_, standing)| *standing != Standing::Held) {
            self.rows.entry(row.what.clone()).or_insert_with(|| (row.clone(), *standing));
        }
        self.damage.files.extend(seen.damage.files.iter().cloned());
        self.damage.missing.extend(seen.damage.missing.iter().cloned());
    }
}

impl OfProject<'_> {
    pub(super) async fn look(&self, all: &mut Inspection) -> Result<(), StepError> {
        let mut wrong = Wrong::default();
        let mut seen = self.seen(None).await?;
        wrong.add(&seen);
        let mut mainline = None;
        let mut rounds = if self.mend { ROUNDS } else { 0 };
        while rounds > 0 && !seen.is_well() {
            rounds -= 1;
            mainline = self.mend(&seen).await?;
            let now = self.seen(mainline.as_ref()).await?;
            wrong.add(&now);
            rounds = if now == seen { 0 } else { rounds };
            seen = now;
        }
        let mainline_lacks = seen.standing(MAINLINE).is_some_and(|(_, standing)| standing == Standing::Missing);
        if self.mend && (mainline_lacks || !seen.damage.missing.is_empty()) {
            // Whatever it is that is missing: a running master fetches more than what is new.
            self.project.mirror.distrust_mainline().await?;
        }
        all.commits += seen.rows.len();
        let tells = Tells { seen: &seen, mend: self.mend, answered: mainline.is_some() };
        let found = tells.damage(&wrong.damage).into_iter().chain(wrong.rows.values().map(|row| tells.row(row)));
        all.findings.extend(found.map(|(kind, what, (state, next))| Finding {
            project: Some(self.project.name.clone()),
            kind,
            what,
            state,
            next: super::next(state == State::Mended, &next),
        }));
        Ok(())
    }

    async fn seen(&self, mainline: Option<&CommitId>) -> Result<Seen, StepError> {
        let damage = self.project.mirror.damage().await?;
        let rows = self.rows(mainline).await?;
        let named: Vec<Named> = rows.iter().map(|row| row.named.clone()).collect();
        let standings = self.project.mirror.standings(&named).await?;
        Ok(Seen { rows: rows.into_iter().zip(standings).collect(), damage })
    }

    async fn branches(&self) -> Result<Vec<(Branch, Vec<Revision>)>, StepError> {
        let branches = self.shared.store.branches(self.project.id, u32::MAX).await?;
        Ok(self.shared.store.admitted_of(branches).await?)
    }

    async fn candidates(&self) -> Result<Vec<(Branch, Revision, Candidate)>, StepError> {
        Ok(self.shared.store.wanted_candidates(self.project.id).await?)
    }

    /// Every commit that a row names, with the ref that is to hold it; `mainline` is where it was fetched to by now.
    async fn rows(&self, mainline: Option<&CommitId>) -> Result<Vec<Row>, StepError> {
        let mut rows = Vec::new();
        let tip = self.shared.store.project_by_id(self.project.id).await?.tip;
        if let Some(tip) = mainline.cloned().or(tip) {
            rows.push(Row {
                kind: "commit",
                what: MAINLINE.to_owned(),
                named: Named { reference: format!("refs/heads/{}", self.project.config.mainline), commit: tip },
                of: Of::Mainline,
            });
        }
        for (branch, revisions) in &self.branches().await? {
            rows.extend(revisions.iter().map(|revision| Row {
                kind: "commit",
                what: format!("{} r{}", branch.name, revision.number),
                named: Named {
                    reference: Mirror::revision_ref(&branch.name, revision.number),
                    commit: revision.commit.clone(),
                },
                of: Of::Revision {
                    live: branch.state == BranchState::Live,
                    gone: revision.lost.as_ref().is_some_and(|lost| lost.code == GONE),
                },
            }));
        }
        for (branch, revision, candidate) in &self.candidates().await? {
            let Some(commit) = candidate.made_commit() else { continue };
            let revision_is = format!("{} r{}", branch.name, revision.number);
            rows.push(Row {
                kind: "candidate",
                what: format!("the candidate {} of {revision_is}", commit.short()),
                named: Named {
                    reference: Mirror::kept_candidate_ref(&branch.name, revision.number, commit),
                    commit: commit.clone(),
                },
                of: Of::Candidate { revision: revision_is },
            });
        }
        Ok(rows)
    }

    /// What a running master does too, and what it can't: damaged files are put aside. One failure is no other's. Gives where
    /// mainline is, if the official repository answered.
    async fn mend(&self, seen: &Seen) -> Result<Option<CommitId>, StepError> {
        let mirror = &self.project.mirror;
        let told = |what: &str, error: &dyn std::fmt::Display| {
            tracing::warn!(project = %self.project.name, what, %error, "not mended");
        };
        if let Err(error) = mirror.put_aside(&seen.damage).await {
            told("damaged files", &error);
        }
        mirror.forget_dead_refs().await?;
        let lacks = seen.standing(MAINLINE).is_some_and(|(_, standing)| standing == Standing::Missing);
        let fetched = match self.project.official() {
            // What is missing may be anywhere in its history.
            Ok((url, branch)) if lacks || !seen.damage.is_none() => mirror.fetch_all_of_mainline(&url, &branch).await,
            Ok((url, branch)) => mirror.update_mainline(&url, &branch).await,
            Err(trouble) => return Err(StepError::Settings(trouble)),
        };
        if let Err(error) = &fetched {
            told("mainline", error);
        }
        for (branch, revisions) in &self.branches().await? {
            let done = match mirror.missing(reconcile::named(branch, revisions)).await {
                Ok(missing) if !missing.is_empty() && branch.state == BranchState::Live => {
                    reconcile::bring_branch_back(self.shared, self.project, branch).await
                }
                done => done.map(drop).map_err(StepError::from),
            };
            if let Err(error) = done {
                told(branch.name.as_str(), &error);
            }
        }
        for (branch, revision, candidate) in &self.candidates().await? {
            if let Err(error) = reconcile::mend_candidate(self.shared, self.project, branch, revision, candidate).await
            {
                told(branch.name.as_str(), &error);
            }
        }
        Ok(fetched.ok())
    }
}

const MAINLINE: &str = "mainline's tip";

/// How each thing stands in the end.
struct Tells<'a> {
    seen: &'a Seen,
    mend: bool,
    /// Whether the official repository was read.
    answered: bool,
}

type Told = (&'static str, String, (State, String));

impl Tells<'_> {
    /// What was wrong with a row's commit, and how it stands now.
    fn row(&self, (row, first): &(Row, Standing)) -> Told {
        let is = match first {
            Standing::Held | Standing::Missing => "it is not whole in the mirror".to_owned(),
            Standing::NoRef => format!("{} does not hold it", row.named.reference),
        };
        let kind = if *first == Standing::NoRef { "ref" } else { row.kind };
        (kind, format!("{}, {}: {is}", row.what, row.named.commit), self.stands(row))
    }

    fn stands(&self, row: &Row) -> (State, String) {
        match self.seen.standing(&row.what) {
            Some((_, Standing::Held)) => (State::Mended, String::new()),
            Some((now, _)) => self.not_held(now),
            None => (State::Pending, "the master makes another one".to_owned()),
        }
    }

    /// Who gets a commit back that is not there.
    fn not_held(&self, row: &Row) -> (State, String) {
        let ended = "an admin restores a backup, if its record is wanted whole: its branch has ended";
        let (state, next) = match &row.of {
            Of::Mainline if self.mend && self.answered => {
                (State::Lost, "an admin looks at the official repository: all that it gives was fetched".to_owned())
            }
            Of::Mainline => (State::Pending, "the master fetches it again from the official repository".to_owned()),
            Of::Revision { gone: true, .. } => (State::Lost, PUBLISH.to_owned()),
            Of::Revision { live: true, .. } => {
                (State::Pending, "the master fetches it again from where it was published".to_owned())
            }
            // What landed comes back with mainline.
            Of::Revision { .. } if self.mend && self.answered => (State::Lost, ended.to_owned()),
            Of::Revision { .. } => (State::Pending, WITHOUT_DRY_RUN.to_owned()),
            Of::Candidate { revision } => match self.seen.standing(revision) {
                Some((of, standing)) if standing != Standing::Held => self.not_held(of),
                _ => (State::Pending, "the master makes it again".to_owned()),
            },
        };
        (state, next)
    }

    /// Damaged files and missing objects.
    fn damage(&self, wrong: &Damage) -> Vec<Told> {
        let (now, mut all) = (&self.seen.damage, Vec::new());
        for file in &wrong.files {
            let id = object_in(file);
            let lost = now.missing.iter().any(|object| id.as_ref().is_some_and(|id| object.ends_with(id.as_str())));
            let how = match (now.files.contains(file), self.mend) {
                (true, false) => (State::Pending, WITHOUT_DRY_RUN.to_owned()),
                (true, true) => (State::Lost, "an admin looks at the disk: it can't be put aside".to_owned()),
                (false, _) if lost => self.missing(),
                (false, _) => (State::Mended, String::new()),
            };
            all.push(("object", format!("{} can't be read", file.display()), how));
        }
        for object in &wrong.missing {
            let how = if now.missing.contains(object) { self.missing() } else { (State::Mended, String::new()) };
            all.push(("object", format!("the {object} is missing"), how));
        }
        all
    }

    /// Who gets a missing object back: whoever gets back the commits that lack something.
    fn missing(&self) -> (State, String) {
        let lacking = self.seen.rows.iter().filter(|(_, standing)| *standing == Standing::Missing);
        let hows: Vec<(State, String)> = lacking.map(|(row, _)| self.not_held(row)).collect();
        match hows.into_iter().min_by_key(|(state, _)| *state) {
            Some(how) => how,
            None if !self.mend => (State::Pending, WITHOUT_DRY_RUN.to_owned()),
            None => {
                let next = "an admin restores a backup, if what ended is wanted whole: nothing that may land needs it";
                (State::Lost, next.to_owned())
            }
        }
    }
}

const PUBLISH: &str =
    "the author pushes the commit to the branch again or publishes the branch again; or an admin restores a backup";
const WITHOUT_DRY_RUN: &str = "an admin ends the master and runs `bb master check --deep` without --dry-run";

/// The object that a loose file holds.
fn object_in(file: &Path) -> Option<String> {
    let (name, folder) = (file.file_name()?.to_str()?, file.parent()?.file_name()?.to_str()?);
    (folder.len() == 2).then(|| format!("{folder}{name}"))
}
