//! What entries and stacks of the queue are named by.

/// A place in the queue: one acceptance of one branch. A branch that is accepted again gets another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct EntryId(pub i64);

/// A stack: a candidate of the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct StackId(pub i64);
