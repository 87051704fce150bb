//! What to build and how: .bb.toml, checked and guessed.
