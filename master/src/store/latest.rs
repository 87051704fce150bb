//! Builds of one revision or candidate, newest first: of each builder the latest counts.

use super::builds::read;
use super::{Build, Reader, Result};
use protocol::CandidateId;
use std::collections::HashSet;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Builds(Vec<Build>);

impl Builds {
    /// These, which are newest first.
    pub(super) fn of(newest_first: Vec<Build>) -> Self {
        Self(newest_first)
    }

    /// All of them, newest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Build> {
        self.0.iter()
    }

    /// Only those that count for something.
    #[must_use]
    pub fn only(mut self, counts: impl Fn(&Build) -> bool) -> Self {
        self.0.retain(counts);
        self
    }

    /// The latest of a builder.
    pub fn latest_of(&self, builder: &str) -> Option<&Build> {
        self.iter().find(|build| build.builder.name == builder)
    }

    /// All of a builder, newest first.
    pub fn all_of<'b>(&'b self, builder: &'b str) -> impl Iterator<Item = &'b Build> {
        self.iter().filter(move |build| build.builder.name == builder)
    }

    /// The latest of each builder.
    pub fn latest_of_each(&self) -> impl Iterator<Item = &Build> {
        let mut seen = HashSet::new();
        self.iter().filter(move |build| seen.insert(build.builder.name.as_str()))
    }
}

impl Reader {
    /// The builds of a candidate, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn builds_of_candidate(&self, candidate: CandidateId) -> Result<Builds> {
        let rows = sqlx::query(
            "SELECT * FROM build WHERE candidate_id = $1
            ORDER BY id DESC LIMIT 1000",
        )
        .bind(candidate.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        Ok(Builds(rows.iter().map(read).collect::<Result<_>>()?))
    }
}
