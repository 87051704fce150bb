//! The World of a story.
