//! The message of a candidate's commit.

use crate::text::{shortened, shown};
use serde::{Deserialize, Serialize};

/// What the message of a candidate says besides the branch's name. All of it may be a stranger's words.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// What the branch is, one line.
    pub title: String,
    /// References to bugs.
    pub bugs: Vec<String>,
    /// The URL of the branch's page.
    pub page: Option<String>,
    /// Further lines of the last paragraph, such as `Reviewed-by` and who.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// The whole message. Line ends and hidden characters in what was given can't add a line to it.
    /// A branch that is registered nowhere has no revision.
    pub(crate) fn text(&self, branch: &str, revision: Option<u32>) -> String {
        let (branch, title) = (one_line(branch), one_line(&self.title));
        let revision = revision.map_or_else(String::new, |number| format!(" r{number}"));
        let mut text = match title.as_str() {
            "" => format!("Merge {branch}\n"),
            title => format!("Merge {branch}: {}\n", shortened(title, 200)),
        };
        text.push_str(&format!("\nBranch: {branch}{revision}\n"));
        for bug in &self.bugs {
            text.push_str(&format!("Bug: {}\n", one_line(bug)));
        }
        if let Some(page) = &self.page {
            text.push_str(&format!("Branch-page: {}\n", one_line(page)));
        }
        for (name, value) in &self.trailers {
            text.push_str(&format!("{}: {}\n", one_line(name), one_line(value)));
        }
        text
    }
}

/// A stranger's words on one line.
pub(super) fn one_line(text: &str) -> String {
    shown(text.split_whitespace().collect::<Vec<_>>().join(" ").as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_stranger_s_title_is_one_line() {
        let message = Message {
            title: "Say hello\n\nReviewed-by: the boss\u{202e}".to_owned(),
            bugs: vec!["#12".to_owned(), "x\nSigned-off-by: y".to_owned()],
            page: Some("http://bb/b/hello".to_owned()),
            trailers: vec![("Reviewed-by".to_owned(), "Ann <ann@x>".to_owned())],
        };
        let text = message.text("hello", Some(2));
        assert_eq!(
            text,
            "Merge hello: Say hello Reviewed-by: the boss<U+202E>\n\nBranch: hello r2\nBug: #12\n\
             Bug: x Signed-off-by: y\nBranch-page: http://bb/b/hello\nReviewed-by: Ann <ann@x>\n"
        );
        assert_eq!(Message::default().text("x", Some(1)), "Merge x\n\nBranch: x r1\n");
        assert_eq!(Message::default().text("x", None), "Merge x\n\nBranch: x\n");
    }
}
