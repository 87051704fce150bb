//! Small helpers for sentences.

use std::fmt::Display;

/// The most names that a sentence lists before it says how many more there are.
const LISTED: usize = 5;

/// `a`, `a and b`, `a, b and c`; a long list ends in `and 4 more`. Empty for none.
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    if items.len() > LISTED {
        let more = items.len() - (LISTED - 1);
        items.truncate(LISTED - 1);
        items.push(format!("{more} more"));
    }
    match items.pop() {
        None => String::new(),
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} and {last}", items.join(", ")),
    }
}

/// The items, each in backquotes, as [`list`] has them.
pub(crate) fn quoted<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    list(items.into_iter().map(|i| format!("`{i}`")))
}

/// Builds by number: `#5 and #7`.
pub(crate) fn builds<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    list(items.into_iter().map(|i| format!("#{i}")))
}

/// `slave oak is`, `slaves oak and elm are`: the noun for so many, the names, and the verb.
pub(crate) fn slaves_are<T: Display>(names: &[T]) -> String {
    let (noun, verb) = if names.len() == 1 { ("slave", "is") } else { ("slaves", "are") };
    format!("{noun} {} {verb}", list(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_people_write_them() {
        assert_eq!(list(Vec::<u8>::new()), "");
        assert_eq!(list([1]), "1");
        assert_eq!(list([1, 2]), "1 and 2");
        assert_eq!(list(1..=5), "1, 2, 3, 4 and 5");
        assert_eq!(list(1..=9), "1, 2, 3, 4 and 5 more");
        assert_eq!(builds([7, 9]), "#7 and #9");
        assert_eq!(slaves_are(&["oak", "elm"]), "slaves oak and elm are");
    }
}
