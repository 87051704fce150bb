//! A recipe for a project that has none, from the names of the files at its root.

mod kinds;
mod makefile;

use crate::error::plain;
use crate::{Builder, History, OnFailure, Project, Queue, Recipe, Run, Step, When};
use std::collections::BTreeMap;

/// A guessed recipe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Guess {
    /// The recipe.
    pub recipe: Recipe,
    /// What it was guessed from: ``a Makefile with the target `check` ``.
    pub why: String,
    /// The `.bb.toml` that makes it explicit, with a comment that says what it was guessed from.
    pub toml: String,
}

/// Guesses how a project is built and tested, from the names of the files (not folders) at its root. `read` is asked for the
/// text of a few of them; it answers none when a file can't be read or is no text.
///
/// The first that fits is taken: a Makefile that can test, because that is the project's own word; then the tools that a file
/// names without doubt; last a Makefile that can only build. None when nothing is recognised.
///
/// ```
/// let text = |name: &str| (name == "Makefile").then(|| "check: all\n\t./run-tests\n".to_owned());
/// let guess = recipe::guess(&["Makefile", "README"], &text).unwrap();
/// assert_eq!(guess.why, "a Makefile with the target `check`");
/// assert_eq!(guess.recipe.builders[0].steps[0].run, recipe::Run::Shell("make check".to_owned()));
/// ```
pub fn guess(files: &[&str], read: &dyn Fn(&str) -> Option<String>) -> Option<Guess> {
    let root = Root { files, read };
    let plan = kinds::KINDS.iter().find_map(|kind| kind(&root))?;
    let steps = plan.steps.into_iter().map(PlannedStep::into_step).collect();
    let builder = Builder {
        name: "check".to_owned(),
        slaves: vec![],
        locks: vec![],
        required: true,
        history: History::Full,
        steps,
    };
    let recipe = Recipe { project: Project::default(), queue: Queue::default(), builders: vec![builder] };
    let why: String = plan.why.chars().map(plain).collect();
    let toml = format!("# Guessed from {why}.\n{}", recipe.to_toml());
    Some(Guess { recipe, why, toml })
}

/// The root of a project.
struct Root<'a> {
    files: &'a [&'a str],
    read: &'a dyn Fn(&str) -> Option<String>,
}

impl Root<'_> {
    fn has(&self, name: &str) -> bool {
        self.files.contains(&name)
    }

    /// The first of some names that is there.
    fn first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    fn has_suffix(&self, suffix: &str) -> Option<&str> {
        self.files.iter().copied().filter(|name| name.len() > suffix.len() && name.ends_with(suffix)).min()
    }

    /// The text of a file that is there.
    fn text(&self, name: &str) -> Option<String> {
        if self.has(name) { (self.read)(name) } else { None }
    }
}

/// What is to be done for a project of some kind.
struct Planned {
    why: String,
    steps: Vec<PlannedStep>,
}

struct PlannedStep {
    name: &'static str,
    run: String,
}

impl PlannedStep {
    fn into_step(self) -> Step {
        Step {
            name: self.name.to_owned(),
            run: Run::Shell(self.run),
            timeout_s: None,
            when: When::default(),
            on_failure: OnFailure::default(),
            env: BTreeMap::new(),
            junit: vec![],
            artifacts: vec![],
        }
    }
}

impl Planned {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), steps: vec![] }
    }

    fn step(mut self, name: &'static str, run: impl Into<String>) -> Self {
        self.steps.push(PlannedStep { name, run: run.into() });
        self
    }
}
