//! A fragment's first draft, from what a branch changes.

use jiff::civil::Date;

/// What is known of a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The authors, the first one first: names and addresses.
    pub authors: Vec<(String, String)>,
    /// The changes, in the order in which they were made.
    pub changes: Vec<Change>,
}

/// A commit, or what is not committed yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What the commit's message says first; empty if there is no commit.
    pub subject: String,
    /// The files it changes, each with the functions.
    pub files: Vec<(String, Vec<String>)>,
}

/// Longer lines are broken.
const WIDTH: usize = 72;

impl Draft {
    /// The draft as entries of a GNU ChangeLog.
    pub fn gnu(&self, date: Date) -> String {
        let mut authors = self.authors.iter().map(|(name, mail)| format!("{name}  <{mail}>"));
        let mut text = format!("{date}  {}\n", authors.next().unwrap_or_default());
        for author in authors {
            text.push_str(&format!("\t    {author}\n"));
        }
        for change in self.changes.iter().filter(|c| !c.files.is_empty()) {
            text.push('\n');
            let last = change.files.len() - 1;
            for (n, (file, functions)) in change.files.iter().enumerate() {
                let mut item = format!("* {file}");
                if !functions.is_empty() {
                    item.push_str(&format!(" ({})", functions.join(", ")));
                }
                item.push(':');
                // One star a file; the text stands with the last, for all of them.
                if n == last && !change.subject.is_empty() {
                    item.push_str(&format!(" {}", sentence(&change.subject)));
                }
                push_wrapped(&mut text, &item);
            }
        }
        text
    }

    /// The draft as the text of a typed fragment.
    pub fn text(&self) -> String {
        let subjects: Vec<String> =
            self.changes.iter().filter(|c| !c.subject.is_empty()).map(|c| sentence(&c.subject)).collect();
        match subjects.as_slice() {
            [] => "Say here what changes for users.\n".to_owned(),
            [one] => format!("{one}\n"),
            many => many.iter().map(|s| format!("- {s}\n")).collect(),
        }
    }
}

fn sentence(subject: &str) -> String {
    let subject = subject.trim();
    let ended = subject.ends_with(['.', '!', '?', ':']);
    if ended { subject.to_owned() } else { format!("{subject}.") }
}

/// A tab before each line, broken at blanks; a comma never starts a line.
fn push_wrapped(text: &mut String, item: &str) {
    let mut width = usize::MAX;
    for (n, word) in item.split(' ').enumerate() {
        if n == 0 || width + 1 + word.chars().count() > WIDTH {
            if n > 0 {
                text.push('\n');
            }
            text.push('\t');
            width = 8 + word.chars().count();
        } else {
            text.push(' ');
            width += 1 + word.chars().count();
        }
        text.push_str(word);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::ChangeLog;

    #[test]
    fn a_draft_names_what_changed() {
        let file =
            |path: &str, functions: &[&str]| (path.to_owned(), functions.iter().map(|&f| f.to_owned()).collect());
        let draft = Draft {
            authors: vec![("Ann B".to_owned(), "ann@x".to_owned()), ("Co".to_owned(), "co@x".to_owned())],
            changes: vec![
                Change {
                    subject: "Say hello to whoever starts the program for the first time".to_owned(),
                    files: vec![file("src/a.c", &["main", "hello"]), file("doc/a.md", &[])],
                },
                Change { subject: String::new(), files: vec![file("b.c", &[])] },
            ],
        };
        let want = "2024-03-05  Ann B  <ann@x>\n\t    Co  <co@x>\n\n\t* src/a.c (main, hello):\n\t* doc/a.md: Say hello to whoever starts the program for the\n\tfirst time.\n\n\t* b.c:\n";
        let text = draft.gnu(Date::constant(2024, 3, 5));
        assert_eq!(text, want);
        let log = ChangeLog::parse(text.as_bytes());
        assert_eq!(log.entry(0).unwrap().items().next().unwrap().functions, [b"main".to_vec(), b"hello".to_vec()]);
        assert_eq!(draft.text(), "Say hello to whoever starts the program for the first time.\n");
    }
}
