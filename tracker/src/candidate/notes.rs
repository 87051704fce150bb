//! What is worth saying of a fold.

use crate::text::Budget;

/// Bytes of what is worth saying.
const MAX_NOTES: usize = 16 << 10;

/// What is worth saying, as far as there is room for it.
pub(super) struct Notes {
    told: Vec<String>,
    budget: Budget,
    left_out: u64,
}

impl Default for Notes {
    fn default() -> Self {
        Self { told: Vec::new(), budget: Budget::of(MAX_NOTES), left_out: 0 }
    }
}

impl Notes {
    pub(super) fn add(&mut self, text: &str) {
        if self.budget.is_spent() {
            self.left_out += 1;
        } else {
            self.told.push(self.budget.line(text.as_bytes(), 1000));
        }
    }

    pub(super) fn end(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.told.push(format!("and {} more of the kind", self.left_out));
        }
        self.told
    }
}
