//! What a step is started with: its command line and its variables.

use super::notes;
use crate::sandbox::{DEFAULT_PATH, View};
use protocol::wire::Assignment;
use recipe::{Run, Step};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The whole environment of a step: what is said last holds, and bb's own can't be replaced. `own` is the machine's.
pub(crate) fn of_step(
    own: &BTreeMap<String, String>,
    assignment: &Assignment,
    step: &Step,
    view: &View,
) -> Vec<(String, String)> {
    let Assignment { of, commit, what, builder, env, .. } = assignment;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut all = vec![
        ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
        ("HOME".to_owned(), text(&view.work)),
        ("TMPDIR".to_owned(), text(&view.tmp)),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("TERM".to_owned(), "dumb".to_owned()),
        // What masters of before say of a branch.
        ("BB_BRANCH".to_owned(), what.clone()),
    ];
    all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    let (properties, others): (Vec<_>, Vec<_>) = env.iter().cloned().partition(|(name, _)| name.starts_with("BB_"));
    all.extend(others);
    all.extend(step.env.clone());
    all.extend(properties);
    all.extend([
        ("CI".to_owned(), "true".to_owned()),
        ("BB_BUILD".to_owned(), of.build.to_string()),
        ("BB_BUILDER".to_owned(), builder.name.clone()),
        ("BB_COMMIT".to_owned(), commit.to_string()),
        ("BB_CANDIDATE".to_owned(), commit.to_string()),
        ("BB_LINKS".to_owned(), text(&view.notes.join(notes::LINKS))),
        ("BB_SUMMARY".to_owned(), text(&view.notes.join(notes::SUMMARY))),
        (notes::STARTED_VARIABLE.to_owned(), text(&view.notes.join(notes::STARTED))),
    ]);
    let mut seen = HashSet::new();
    all.retain(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
    all.reverse();
    all.retain(|(name, _)| seen.insert(name.clone()));
    all
}

/// The command line of a step: first a mark that the sandbox itself came up, then the step's own.
pub(crate) fn argv(run: &Run) -> Vec<String> {
    let own = match run {
        Run::Shell(text) => vec!["sh".to_owned(), "-euc".to_owned(), text.clone()],
        Run::Argv(argv) => argv.clone(),
    };
    marked(own)
}

/// A command line that says first that the sandbox came up.
pub(crate) fn marked(own: Vec<String>) -> Vec<String> {
    let mark = format!(": >\"${0}\" || exit 125; unset {0}; exec \"$@\"", notes::STARTED_VARIABLE);
    ["/bin/sh".to_owned(), "-c".to_owned(), mark, "sh".to_owned()].into_iter().chain(own).collect()
}
