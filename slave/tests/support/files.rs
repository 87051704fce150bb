//! A source of files for tests.

use protocol::wire::Assignment;
use slave::{Boxed, NoSource, Place, Source, Token};
use tracker::checkout::{CheckoutLimits, WorkMirror};
use tracker::git::Git;

/// The variable of an assignment that names a mirror.
pub const MIRROR: &str = "TEST_MIRROR";

async fn by_git(
    mirror: &str,
    assignment: &Assignment,
    place: &Place,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mirror = WorkMirror::open_or_create(Git::find_to_fetch(None)?, mirror.as_ref()).await?;
    let history = assignment.builder.history;
    mirror.checkout(&assignment.commit, place, history, CheckoutLimits::default()).await?;
    Ok("by git\n".to_owned())
}

/// Writes one file, in the place of git; or, when the assignment names a mirror, what is there, by git.
pub struct Files;

impl Source for Files {
    fn checkout<'a>(
        &'a self,
        _url: &'a str,
        _token: Option<&'a Token>,
        assignment: &'a Assignment,
        place: &'a Place,
    ) -> Boxed<'a, Result<String, NoSource>> {
        Box::pin(async move {
            if assignment.git_ref == "refs/nothing" {
                return Err(NoSource("there is no such ref".to_owned()));
            }
            if let Some((_, mirror)) = assignment.env.iter().find(|(name, _)| name == MIRROR) {
                return by_git(mirror, assignment, place).await.map_err(|error| NoSource(error.to_string()));
            }
            std::fs::write(place.files.join("README"), "a candidate\n").map_err(|error| NoSource(error.to_string()))?;
            Ok(format!("got {}\n", assignment.commit))
        })
    }
}
