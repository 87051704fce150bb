//! How much the fetches of one look may bring together.
//!
//! One look may fetch more than once: a revision, others that were lost, and looks at several branches of one source go on at
//! once. Each of them alone may bring as much as the admin allows; all together no more than one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The bytes that are left for the fetches of a look; they go on one after the other. Clones share it.
#[derive(Clone, Debug)]
pub struct FetchBudget(Arc<Mutex<u64>>);

impl PartialEq for FetchBudget {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FetchBudget {}

impl FetchBudget {
    /// So many bytes.
    pub fn of(bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// Takes all that is left, and at most this; what is given up on its way is spent.
    pub(super) async fn take(&self, most: u64) -> Taken {
        let mut left = self.0.clone().lock_owned().await;
        let bytes = (*left).min(most);
        *left -= bytes;
        Taken { left, bytes }
    }
}

/// What one fetch may bring, while others of the look wait.
pub(super) struct Taken {
    left: OwnedMutexGuard<u64>,
    pub(super) bytes: u64,
}

impl Taken {
    /// Gives back what was not brought.
    pub(super) fn spent(mut self, bytes: u64) {
        *self.left += self.bytes.saturating_sub(bytes);
    }
}

/// The budgets of looks that go on, by their source.
#[derive(Debug, Default)]
pub struct FetchBudgets(StdMutex<HashMap<String, Weak<Mutex<u64>>>>);

impl FetchBudgets {
    /// The one that looks at a source share which go on at once; it is another one when the last of them has ended.
    pub fn of(&self, source: &str, bytes: u64) -> FetchBudget {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(source).and_then(Weak::upgrade) {
            return FetchBudget(shared);
        }
        all.retain(|_, budget| budget.strong_count() > 0);
        let budget = FetchBudget::of(bytes);
        all.insert(source.to_owned(), Arc::downgrade(&budget.0));
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looks_that_go_on_at_once_share_and_later_ones_do_not() {
        let budgets = FetchBudgets::default();
        let (first, second) = (budgets.of("here", 10), budgets.of("here", 10));
        assert!(first == second && first != budgets.of("there", 10));
        let taken = first.take(8).await;
        assert_eq!(taken.bytes, 8);
        taken.spent(3);
        let taken = second.take(20).await;
        assert_eq!(taken.bytes, 7);
        drop(taken);
        assert_eq!(first.take(1).await.bytes, 0, "what was given up is spent");
        drop((first, second));
        assert_eq!(budgets.of("here", 10).take(20).await.bytes, 10);
    }
}
