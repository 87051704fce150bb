//! Names in sentences.

use crate::BranchName;

/// The most branches that a sentence lists before it says how many more there are.
const LISTED: usize = 5;

/// `a`, `a and b`, `a, b and c`; a long list ends in `and 4 more`. Empty for none.
pub fn listed<'n>(names: impl IntoIterator<Item = &'n BranchName>) -> String {
    let mut names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    if names.len() > LISTED {
        let more = names.len() - (LISTED - 1);
        names.truncate(LISTED - 1);
        names.push(format!("{more} more"));
    }
    match names.pop() {
        None => String::new(),
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_people_write_them() {
        let names: Vec<BranchName> = (1..=9).filter_map(|n| format!("b{n}").parse().ok()).collect();
        let said = [0, 1, 2, 5, 9].map(|many| listed(&names[..many]));
        assert_eq!(said, ["", "b1", "b1 and b2", "b1, b2, b3, b4 and b5", "b1, b2, b3, b4 and 5 more"]);
    }
}
