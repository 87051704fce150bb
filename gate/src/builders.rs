//! Which builders judge a candidate. One function for a branch alone and for every stack of the queue, so that the
//! queue never judges by a test that the branch did not have.

use recipe::{Builder, Recipe};

/// The builders that judge a candidate with this recipe, in the recipe's order.
///
/// It is told nothing of what the candidate is made of; so a branch and the stack that it lands in have the same
/// builders whenever they have the same recipe. For now these are all builders of the recipe.
pub fn builders_for(recipe: &Recipe) -> Vec<&Builder> {
    recipe.builders.iter().collect()
}
