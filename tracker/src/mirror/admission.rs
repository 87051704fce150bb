//! What is to be admitted, and how much it may be.

use super::fetches::FetchBudget;
use crate::source::{BranchRef, SourceUrl};
use protocol::{BranchName, CommitId};
use std::time::Duration;

/// What is to be admitted, and as what.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Where it is published.
    pub source: SourceUrl,
    /// The branch there.
    pub branch: BranchRef,
    /// The commit that was seen there; none takes whatever is there now.
    pub expected: Option<CommitId>,
    /// The name that it is registered under.
    pub name: BranchName,
    /// The revision's number.
    pub revision: u32,
    /// What it may use.
    pub limits: AdmissionLimits,
}

/// Admissions of one repository, which go the same way together: at least one.
#[derive(Clone, Copy)]
pub(super) struct Group<'a> {
    /// By whose limits they go, and whom errors name. Where there are others, an error says nothing of any single one.
    pub(super) lead: &'a Admission,
    others: &'a [Admission],
}

impl<'a> Group<'a> {
    pub(super) fn one(admission: &'a Admission) -> Self {
        Self { lead: admission, others: &[] }
    }

    /// None of nothing.
    pub(super) fn of(admissions: &'a [Admission]) -> Option<Self> {
        let (lead, others) = admissions.split_first()?;
        Some(Self { lead, others })
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a Admission> {
        std::iter::once(self.lead).chain(self.others)
    }

    pub(super) fn is_one(self) -> bool {
        self.others.is_empty()
    }
}

/// How large and how deep a revision may be, and how long its fetch may take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdmissionLimits {
    /// Longest fetch.
    pub wall: Duration,
    /// Most bytes that are fetched for one revision.
    pub pack_bytes: u64,
    /// What is left of those that a whole look may fetch; no other bound than that for each without one.
    pub look: Option<FetchBudget>,
    /// Most objects that mainline does not have yet.
    pub objects: u64,
    /// Largest file, in bytes.
    pub blob_bytes: u64,
    /// Most files of the whole tree.
    pub paths: u64,
    /// Most bytes of the paths of all these files.
    pub path_bytes: u64,
    /// Deepest folder.
    pub depth: u32,
    /// Most parents of a commit.
    pub parents: u32,
    /// Names at the root that must not be symbolic links, because bb or git reads files of these names.
    pub reserved: Vec<String>,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        let reserved = [
            ".gitattributes",
            ".gitmodules",
            ".mailmap",
            recipe::FILE_NAME,
            "ChangeLog",
            "repo.ChangeLog",
            "changelog-fragments",
        ];
        Self {
            wall: Duration::from_secs(10 * 60),
            pack_bytes: 1 << 30,
            look: None,
            objects: 2_000_000,
            blob_bytes: 256 << 20,
            paths: 500_000,
            path_bytes: 64 << 20,
            depth: 128,
            parents: 16,
            reserved: reserved.map(str::to_owned).into(),
        }
    }
}
