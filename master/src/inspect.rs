//! A basedir compared with itself: rows, refs, objects and logs. What is wrong is told, and what can be is mended.

use crate::assemble::assemble;
use crate::basedir::{Basedir, BasedirError};
use crate::config::Config;
use crate::error::StartError;
use crate::project::Guarded;
use crate::reconcile::{self, StepError};
use crate::sole;
use crate::state::Shared;
use crate::store::{Branch, BranchState, Candidate, Revision, Store};
use protocol::ProjectName;
use serde::Serialize;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use tracker::git::Git;
use tracker::mirror::{Damage, Mirror, Named, Standing};

/// Something that is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The project, where it is one's.
    pub project: Option<ProjectName>,
    /// What it is: `store`, `mirror`, `object`, `ref`, `commit`, `candidate`, `log`.
    pub kind: &'static str,
    /// What is wrong.
    pub what: String,
    /// Whether it is as it should be now.
    pub mended: bool,
    /// Who does what next, when it is not.
    pub next: String,
}

/// What came of looking.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Whether a master ran meanwhile, so that nothing was changed.
    pub running: bool,
    /// How many commits rows name.
    pub commits: usize,
    /// How many logs.
    pub logs: usize,
    /// All that was found.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Whether nothing is wrong any more.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.mended)
    }
}

/// Looks at everything below a basedir; with `mend`, and when no master runs on it, mends what can be mended.
///
/// # Errors
/// When settings or store can't be used, or git is too old.
pub async fn inspect(root: &Path, mend: bool) -> Result<Inspection, StartError> {
    let basedir = Basedir::new(root);
    let lock = match basedir.lock() {
        Ok(lock) => Some(lock),
        Err(BasedirError::Locked(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let mend = mend && lock.is_some();
    let config = Config::read(basedir.root())?;
    let mut all = Inspection { running: lock.is_none(), commits: 0, logs: 0, findings: Vec::new() };
    for project in &config.projects {
        if !basedir.mirrors().join(format!("{}.git", project.name)).join("HEAD").exists() {
            all.findings.push(Finding {
                project: Some(project.name.clone()),
                kind: "mirror",
                what: "its mirror is not there".to_owned(),
                mended: mend,
                next: "the master makes it anew at its start".to_owned(),
            });
        }
    }
    let embedded = config.store.as_deref().is_none_or(|url| url.starts_with("sqlite:"));
    let store_url = Store::url(config.store.as_deref(), basedir.root());
    let mut store = Store::open(&store_url).await?;
    let me = sole::me(basedir.root(), &store_url)?;
    if mend && let Some(lock) = &lock {
        sole::take(&store, &me, lock, &CancellationToken::new()).await?;
        store = store.for_master(me.owner.as_str().into());
    }
    if embedded {
        let words = store.unsound().await?;
        all.findings.extend(words.into_iter().map(|what| Finding {
            project: None,
            kind: "store",
            what,
            mended: false,
            next: "an admin restores a backup".to_owned(),
        }));
    }
    let git = Git::find(config.git.as_deref())?;
    let url = config.url.clone().unwrap_or_default();
    let shared = assemble(config, basedir, git, store, url, CancellationToken::new(), me).await?;
    if mend {
        // What is found lost is recorded, as by a master.
        reconcile::claim_all(&shared).await.map_err(|error| StartError::Other(error.to_string()))?;
    }
    for project in &shared.projects {
        let of = OfProject { shared: &shared, project, mend };
        let found = of.look(&mut all).await;
        found.map_err(|error| StartError::Other(format!("project {}: {error}", project.name)))?;
    }
    for claim in shared.projects.iter().filter_map(|project| project.claim()) {
        shared.store.release_project(claim).await?;
    }
    logs(&shared, &mut all).await?;
    if mend {
        shared.store.give_back(&shared.me.owner).await?;
    }
    shared.store.close().await;
    Ok(all)
}

/// Logs are as long as their rows say, or longer.
async fn logs(shared: &Shared, all: &mut Inspection) -> Result<(), StartError> {
    let lengths = shared.store.log_lengths().await?;
    all.logs = lengths.len();
    for (build, step, length) in lengths {
        let there = shared.logs.len(build, step).unwrap_or(0);
        if there < length {
            all.findings.push(Finding {
                project: None,
                kind: "log",
                what: format!("the log of build #{build}, step {step}, has {there} bytes, and its row says {length}"),
                mended: false,
                next: "an admin restores it from a backup; the build's result stays as it is".to_owned(),
            });
        }
    }
    Ok(())
}

struct OfProject<'a> {
    shared: &'a Shared,
    project: &'a Guarded,
    mend: bool,
}

/// A commit that a row names.
struct Row {
    kind: &'static str,
    what: String,
    named: Named,
    next: &'static str,
}

const PUBLISH: &str =
    "the author pushes the commit to the branch again or publishes the branch again; or an admin restores a backup";
const REMADE: &str = "the master makes it again when its revision is there";

impl OfProject<'_> {
    async fn look(&self, all: &mut Inspection) -> Result<(), StepError> {
        let mirror = &self.project.mirror;
        let damage = mirror.damage().await?;
        let branches = self.shared.store.branches(self.project.id, u32::MAX).await?;
        let kept = self.shared.store.admitted_of(branches).await?;
        let candidates = self.shared.store.wanted_candidates(self.project.id).await?;
        let rows = self.rows(&kept, &candidates).await?;
        let named: Vec<Named> = rows.iter().map(|row| row.named.clone()).collect();
        let before = mirror.standings(&named).await?;
        all.commits += rows.len();
        let is_well = damage.is_none() && before.iter().all(|standing| *standing == Standing::Held);
        let (damage_after, after) = if self.mend && !is_well {
            self.mend(&damage, &kept, &candidates).await?;
            (mirror.damage().await?, mirror.standings(&named).await?)
        } else {
            (damage.clone(), before.clone())
        };
        self.tell_damage(all, &damage, &damage_after);
        for ((row, before), after) in rows.iter().zip(before).zip(after) {
            let (kind, is) = match before {
                Standing::Held => continue,
                Standing::NoRef => ("ref", format!("{} does not hold it", row.named.reference)),
                Standing::Missing => (row.kind, "it is not whole in the mirror".to_owned()),
            };
            all.findings.push(Finding {
                project: Some(self.project.name.clone()),
                kind,
                what: format!("{}, {}: {is}", row.what, row.named.commit),
                mended: after == Standing::Held,
                next: row.next.to_owned(),
            });
        }
        Ok(())
    }

    fn tell_damage(&self, all: &mut Inspection, before: &Damage, after: &Damage) {
        let mut tell = |what: String, mended: bool| {
            all.findings.push(Finding {
                project: Some(self.project.name.clone()),
                kind: "object",
                what,
                mended,
                next: "an admin looks at the disk, and restores a backup if commits below are missing".to_owned(),
            });
        };
        for file in &before.files {
            tell(format!("{} can't be read", file.display()), !after.files.contains(file));
        }
        for object in &before.missing {
            tell(format!("the {object} is missing"), !after.missing.contains(object));
        }
    }

    /// Every commit that a row names, with the ref that is to hold it.
    async fn rows(
        &self,
        kept: &[(Branch, Vec<Revision>)],
        candidates: &[(Branch, Revision, Candidate)],
    ) -> Result<Vec<Row>, StepError> {
        let mut rows = Vec::new();
        if let Some(tip) = self.shared.store.project_by_id(self.project.id).await?.tip {
            rows.push(Row {
                kind: "commit",
                what: "mainline's tip".to_owned(),
                named: Named { reference: format!("refs/heads/{}", self.project.config.mainline), commit: tip },
                next: "the master fetches it again from the official repository",
            });
        }
        for (branch, revisions) in kept {
            rows.extend(revisions.iter().map(|revision| Row {
                kind: "commit",
                what: format!("{} r{}", branch.name, revision.number),
                named: Named {
                    reference: Mirror::revision_ref(&branch.name, revision.number),
                    commit: revision.commit.clone(),
                },
                next: PUBLISH,
            }));
        }
        for (branch, revision, candidate) in candidates {
            let Some(commit) = candidate.made_commit() else { continue };
            rows.push(Row {
                kind: "candidate",
                what: format!("the candidate of {} r{}", branch.name, revision.number),
                named: Named {
                    reference: Mirror::kept_candidate_ref(&branch.name, revision.number, commit),
                    commit: commit.clone(),
                },
                next: REMADE,
            });
        }
        Ok(rows)
    }

    /// What a running master does too, and what it can't: damaged files are put aside. One failure is no other's.
    async fn mend(
        &self,
        damage: &Damage,
        kept: &[(Branch, Vec<Revision>)],
        candidates: &[(Branch, Revision, Candidate)],
    ) -> Result<(), StepError> {
        let mirror = &self.project.mirror;
        mirror.put_aside(damage).await?;
        mirror.forget_dead_refs().await?;
        let told = |what: &str, error: &dyn std::fmt::Display| {
            tracing::warn!(project = %self.project.name, what, %error, "not mended");
        };
        if let Ok((url, branch)) = self.project.official() {
            let fetched = match damage.is_none() {
                true => mirror.update_mainline(&url, &branch).await,
                // What is missing may be anywhere in its history.
                false => mirror.fetch_all_of_mainline(&url, &branch).await,
            };
            if let Err(error) = fetched {
                told("mainline", &error);
            }
        }
        for (branch, revisions) in kept {
            let missing = mirror.missing(reconcile::named(branch, revisions)).await?;
            if branch.state == BranchState::Live
                && !missing.is_empty()
                && let Err(error) = reconcile::bring_branch_back(self.shared, self.project, branch).await
            {
                told(branch.name.as_str(), &error);
            }
        }
        for (branch, revision, candidate) in candidates {
            if let Err(error) = reconcile::mend_candidate(self.shared, self.project, branch, revision, candidate).await
            {
                told(branch.name.as_str(), &error);
            }
        }
        Ok(())
    }
}
