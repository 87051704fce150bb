//! How much branches change, for a page that lists them.

use super::ReadError;
use super::facts::Known;
use crate::project::{Asked, Guarded, NoView};
use crate::state::Shared;
use gate::places::Rank;
use protocol::CommitId;
use protocol::api::Size;
use tracker::read::Cost;

/// What would land of a branch: the change that is counted.
pub(super) struct Change {
    asked: Asked,
    mainline: CommitId,
    made: CommitId,
    commits: u32,
}

/// What one page may read to count what it does not know yet. It shows the rest without; the next one goes on.
const TREES: u64 = 2000;
const FILES: u64 = 1000;

impl Change {
    pub(super) fn of(known: &Known) -> Option<Self> {
        let (candidate, newest) = (known.candidate.as_ref()?, known.newest.as_ref()?);
        Some(Self {
            asked: Asked::by(Rank::Ordinary, &known.branch),
            mainline: candidate.mainline.clone(),
            made: candidate.made_commit()?.clone(),
            commits: newest.commits,
        })
    }
}

/// Counts changes for one page.
pub(super) struct Sizes<'s> {
    shared: &'s Shared,
    project: &'s Guarded,
    rank: Rank,
    spent: Cost,
}

impl<'s> Sizes<'s> {
    pub(super) fn of(shared: &'s Shared, project: &'s Guarded, rank: Rank) -> Self {
        Self { shared, project, rank, spent: Cost::default() }
    }

    /// How much a branch changes; none where that is not known and was not to be counted now.
    pub(super) async fn of_change(&mut self, change: &Change) -> Result<Option<Size>, ReadError> {
        let Change { asked, mainline, made, commits } = change;
        let known = self.project.views.known_size(mainline, made);
        let counted = match known {
            Some(known) => known,
            None if self.spent.trees >= TREES || self.spent.blobs >= FILES => return Ok(None),
            None => {
                let asked = asked.with(self.rank);
                match self
                    .project
                    .views
                    .size(&self.project.mirror, &self.shared.reading, (mainline, made), &asked)
                    .await
                {
                    Ok((size, cost)) => {
                        self.spent.trees += cost.trees;
                        self.spent.blobs += cost.blobs;
                        size
                    }
                    Err(NoView::Full) => return Ok(None),
                    Err(NoView::Mirror(error)) => return Err(ReadError::Mirror(error.to_string())),
                }
            }
        };
        Ok(Some(Size { commits: *commits, ..counted }))
    }
}
