//! Branches that are tested together: the line of commits that a stack is, drawn from its top down to mainline, and what decided
//! about a branch.

use super::words::{Commit, look};
use protocol::api::{Look, Mark, StackLine, Tested};
use protocol::{BranchName, ProjectName};
use serde::Serialize;

/// Commits of a line that are drawn; those below are folded, so that stacks of a hundred still fit beside each other.
const DRAWN: usize = 8;
/// Names in a sentence, before it says how many more there are.
const NAMED: usize = 6;

/// A branch's name with what stands before it in a sentence.
#[derive(Debug, Serialize)]
pub(super) struct Named {
    before: &'static str,
    name: String,
    page: String,
}

/// Names in a sentence, each a link.
#[derive(Debug, Serialize)]
pub(super) struct Names {
    names: Vec<Named>,
    more: Option<String>,
}

impl Names {
    /// None where there are no names.
    pub(super) fn of<'n>(project: &ProjectName, names: impl IntoIterator<Item = &'n BranchName>) -> Option<Self> {
        let names: Vec<&BranchName> = names.into_iter().collect();
        let shown = if names.len() > NAMED { NAMED - 1 } else { names.len() };
        let named = |(at, name): (usize, &&BranchName)| Named {
            before: match at {
                0 => "",
                at if at + 1 == names.len() => " and ",
                _ => ", ",
            },
            name: name.to_string(),
            page: crate::names::branch_page(project, name),
        };
        let more = (shown < names.len()).then(|| format!(" and {} more", names.len() - shown));
        let names: Vec<Named> = names.iter().take(shown).enumerate().map(named).collect();
        (!names.is_empty()).then_some(Self { names, more })
    }
}

/// A commit of a line.
#[derive(Debug, Serialize)]
struct LineCommit {
    name: String,
    page: String,
    id: Commit,
}

/// A stack as a line of commits, the top first.
#[derive(Debug, Serialize)]
pub(super) struct LineView {
    stack: String,
    commits: Vec<LineCommit>,
    folded: Vec<LineCommit>,
    more: String,
    on: Commit,
}

impl LineView {
    pub(super) fn of(project: &ProjectName, line: &StackLine) -> Self {
        let commit = |(name, id): (&BranchName, &protocol::CommitId)| LineCommit {
            name: name.to_string(),
            page: crate::names::branch_page(project, name),
            id: Commit::from(id),
        };
        let mut commits: Vec<LineCommit> = line.branches.iter().zip(&line.commits).map(commit).rev().collect();
        let folded = if commits.len() > DRAWN + 1 { commits.split_off(DRAWN) } else { Vec::new() };
        let (stack, more) = (line.id.to_string(), format!("{} more below", folded.len()));
        Self { stack, commits, folded, more, on: Commit::from(&line.on) }
    }
}

/// A builder's word on a stack.
#[derive(Debug, Serialize)]
pub(super) struct BuilderWord {
    look: &'static str,
    builder: String,
    word: String,
    page: Option<String>,
}

pub(super) fn builder_words(project: &ProjectName, marks: &[Mark]) -> Vec<BuilderWord> {
    let word = |mark: &Mark| BuilderWord {
        look: look(mark.look),
        builder: mark.builder.clone(),
        word: mark.word.clone(),
        page: mark.build.map(|build| crate::names::build_page(project, build)),
    };
    marks.iter().map(word).collect()
}

/// How all of a stack's builders together look: what is worst of them.
pub(super) fn look_of(marks: &[Mark]) -> &'static str {
    let has = |wanted: &[Look]| marks.iter().any(|mark| wanted.contains(&mark.look));
    let by_urgency = [
        (&[Look::Failed, Look::Exception][..], Look::Failed),
        (&[Look::Running], Look::Running),
        (&[Look::Waiting], Look::Waiting),
    ];
    look(by_urgency.into_iter().find(|(some, _)| has(some)).map_or(Look::Passed, |(_, look)| look))
}

/// What decided about a branch, or is about to.
#[derive(Debug, Serialize)]
pub(super) struct TestedView {
    lead: &'static str,
    with: Option<Names>,
    commit: Commit,
    stack: Option<String>,
    purpose: String,
    builds: Vec<TestedLine>,
}

#[derive(Debug, Serialize)]
struct TestedLine {
    look: &'static str,
    says: String,
    page: String,
}

impl TestedView {
    pub(super) fn of(project: &ProjectName, tested: &Tested) -> Self {
        Self {
            lead: if tested.is_open() { "Being tested" } else { "Tested" },
            with: Names::of(project, &tested.with),
            commit: Commit::from(&tested.commit),
            stack: tested.stack.map(|stack| stack.to_string()),
            purpose: tested.purpose.clone(),
            builds: tested
                .builds
                .iter()
                .map(|build| TestedLine { look: look(build.look), says: build.words(), page: build.page.clone() })
                .collect(),
        }
    }
}
