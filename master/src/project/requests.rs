//! What is asked for of a candidate.

use super::Guarded;
use crate::auth::isolation_for;
use crate::store::{Branch, BuildRequest, Candidate};
use recipe::Recipe;

/// The builds of a candidate by those of a recipe's builders that are wanted; none when it is no commit.
pub(crate) fn requests(
    project: &Guarded,
    branch: &Branch,
    candidate: &Candidate,
    recipe: &Recipe,
    for_queue: bool,
    wanted: impl Fn(&str) -> bool,
) -> Vec<BuildRequest> {
    let (Some(commit), Some(tree)) = (candidate.made_commit(), &candidate.tree) else { return Vec::new() };
    let builders = (0u32..).zip(gate::builders::builders_for(recipe));
    builders
        .filter(|(_, builder)| wanted(&builder.name))
        .map(|(position, builder)| BuildRequest {
            project: project.id,
            branch: branch.id,
            revision: candidate.revision,
            candidate: candidate.id,
            commit: commit.clone(),
            tree: tree.clone(),
            builder: builder.clone(),
            position,
            for_queue,
            of_stack: None,
            isolation: isolation_for(branch),
        })
        .collect()
}
