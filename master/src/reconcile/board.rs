//! What the scheduler looks at: open builds, slaves, and who was served when, kept between its turns so that a turn reads
//! what changed and no more. Nothing here matters after a restart, and at each slow tick, and after a turn that failed, all of it is read
//! anew ([`super::hearing`]).

use crate::store::{Change, Heard, OpenBuild, Result, SlaveRow, Store, Topic};
use protocol::{BuildId, UnixMs};
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Builds that wait or run, oldest first.
    pub(super) open: BTreeMap<BuildId, OpenBuild>,
    pub(super) slaves: Vec<SlaveRow>,
    /// When a build of each publisher was last given to a slave.
    pub(super) served: BTreeMap<String, UnixMs>,
}

impl Board {
    /// Brings it up to date by what was heard since the last turn that did what it heard.
    pub(super) async fn refresh(&mut self, store: &Store, heard: &Heard) -> Result<()> {
        match heard {
            Heard::Rows(rows) if !rows.iter().any(concerns_all) => self.read(store, rows).await,
            Heard::Rows(_) | Heard::Nothing | Heard::All => self.read_all(store).await,
        }
    }

    async fn read_all(&mut self, store: &Store) -> Result<()> {
        self.slaves = store.slaves().await?;
        self.served = store.served().await?;
        self.open = store.open_builds_with_publishers().await?.into_iter().map(|it| (it.build.id, it)).collect();
        Ok(())
    }

    async fn read(&mut self, store: &Store, rows: &BTreeSet<Change>) -> Result<()> {
        let of = |topic| rows.iter().filter(move |it| it.topic == topic).map(|it| it.id);
        if of(Topic::Slave).next().is_some() {
            self.slaves = store.slaves().await?;
        }
        let mut builds: BTreeSet<BuildId> = of(Topic::Build).filter(|id| *id != 0).map(BuildId).collect();
        let branches: BTreeSet<i64> = of(Topic::Branch).collect();
        builds.extend(self.open.values().filter(|it| branches.contains(&it.build.branch.0)).map(|it| it.build.id));
        if builds.is_empty() {
            return Ok(());
        }
        let ids: Vec<BuildId> = builds.into_iter().collect();
        let found = store.open_builds_among(&ids).await?;
        for id in &ids {
            self.open.remove(id);
        }
        for it in found {
            if let Some(started) = it.build.started {
                let served = self.served.entry(it.publisher.clone()).or_insert(started);
                *served = started.max(*served);
            }
            self.open.insert(it.build.id, it);
        }
        Ok(())
    }
}

/// Whether a change is of more rows than can be read one by one.
fn concerns_all(change: &Change) -> bool {
    change.topic == Topic::Token
}
