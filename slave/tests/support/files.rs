//! A source of files for tests.

use protocol::wire::Assignment;
use slave::{Boxed, NoSource, Place, Source, Token};

/// Writes one file, in the place of git.
pub struct Files;

impl Source for Files {
    fn checkout<'a>(
        &'a self,
        _url: &'a str,
        _token: &'a Token,
        assignment: &'a Assignment,
        place: &'a Place,
    ) -> Boxed<'a, Result<String, NoSource>> {
        Box::pin(async move {
            if assignment.git_ref == "refs/nothing" {
                return Err(NoSource("there is no such ref".to_owned()));
            }
            std::fs::write(place.files.join("README"), "a candidate\n").map_err(|error| NoSource(error.to_string()))?;
            Ok(format!("got {}\n", assignment.commit))
        })
    }
}
