//! Reading: each statement as things stand when it runs, or several as they stood at one moment.
//!
//! A page that is put together from many rows says one thing only if they are all of one moment: [`Reader::snapshot`] gives a
//! reader that stays there, whatever is written meanwhile. All functions that read are this type's, so that whoever is given
//! one can't read past it.

use super::Result;
use crate::points::Points;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Transaction};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// What reads. Cheap to clone; a clone of a snapshot's reader reads the same moment.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: AnyPool,
    /// Begins a transaction that sees one moment: that of its first statement.
    begin: &'static str,
    points: Points,
    snapshot: Option<Arc<Mutex<Transaction<'static, Any>>>>,
}

/// A connection to read with, until the statement has ended.
pub(super) enum Reading {
    Alone(PoolConnection<Any>),
    Together(OwnedMutexGuard<Transaction<'static, Any>>),
}

impl Reader {
    /// Of SQLite: who reads sees the log as it was at their first statement.
    pub(super) fn sqlite(pool: AnyPool) -> Self {
        Self { pool, begin: "BEGIN DEFERRED", points: Points::default(), snapshot: None }
    }

    pub(super) fn postgres(pool: AnyPool) -> Self {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Self { pool, begin, points: Points::default(), snapshot: None }
    }

    /// Has each statement begin at the place `store.read`.
    pub(super) fn set_points(&mut self, points: Points) {
        self.points = points;
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// A reader of one moment, which is that of its first statement. It has one of the few connections for itself, so it is kept no
    /// longer than reading takes, and whoever has it reads by it alone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot(&self) -> Result<Self> {
        if self.snapshot.is_some() {
            return Ok(self.clone());
        }
        // Begun by itself, as writes are: of one that is dropped on its way nobody would know that it was begun.
        let (pool, begin) = (self.pool.clone(), self.begin);
        let begun = tokio::spawn(async move { pool.begin_with(begin).await }).await;
        let transaction = begun.unwrap_or(Err(sqlx::Error::WorkerCrashed))?;
        Ok(Self { snapshot: Some(Arc::new(Mutex::new(transaction))), ..self.clone() })
    }

    /// What a statement is run by.
    pub(super) async fn read(&self) -> Result<Reading> {
        self.points.at("store.read").await;
        Ok(match &self.snapshot {
            Some(snapshot) => Reading::Together(snapshot.clone().lock_owned().await),
            None => Reading::Alone(self.pool.acquire().await?),
        })
    }
}

impl Deref for Reading {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match self {
            Self::Alone(connection) => connection,
            Self::Together(transaction) => transaction,
        }
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match self {
            Self::Alone(connection) => connection,
            Self::Together(transaction) => transaction,
        }
    }
}
