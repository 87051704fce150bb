//! Parses, folds, merges and prints ChangeLogs and fragments.
