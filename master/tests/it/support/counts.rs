//! What was asked of the store, counted: it does not depend on a clock.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Counts statements and the rows that they gave.
#[derive(Clone, Default)]
pub struct Counts(Arc<[AtomicU64; 2]>);

impl Counts {
    /// Counts what this process asks from now on: each test is a process of its own.
    pub fn begin() -> Self {
        let counts = Self::default();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(counts.clone()))
            .expect("each test is a process of its own");
        counts
    }

    /// Begins again at 0.
    pub fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::SeqCst));
    }

    pub fn statements(&self) -> u64 {
        self.0[0].load(Ordering::SeqCst)
    }

    pub fn rows(&self) -> u64 {
        self.0[1].load(Ordering::SeqCst)
    }
}

struct Returned<'c>(&'c AtomicU64);

impl Visit for Returned<'_> {
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.0.fetch_add(value, Ordering::SeqCst);
        }
    }
}

impl<S: Subscriber> Layer<S> for Counts {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            self.0[0].fetch_add(1, Ordering::SeqCst);
            event.record(&mut Returned(&self.0[1]));
        }
    }
}
