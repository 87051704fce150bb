//! The pure decisions: queue, scheduling, locks, availability.
