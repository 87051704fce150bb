//! The message of a candidate's commit.

use super::Identity;
use crate::mirror::{MirrorError, find_commit};
use crate::text::as_written;
use git2::{Repository, Sort};
use protocol::CommitId;
use serde::{Deserialize, Serialize};

/// What the message of a candidate says besides the branch's name. All of it may be a stranger's words.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// What the branch is, one line, as its publisher says it; empty if nothing was said: then its first own commit says it.
    pub title: String,
    /// References to bugs.
    pub bugs: Vec<String>,
    /// The URL of the branch's page.
    pub page: Option<String>,
    /// Further lines of the last paragraph, such as `Reviewed-by` and who.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// The same, with this title if it has none.
    pub(crate) fn or_title(&self, title: Option<String>) -> Self {
        let has_one = !one_line(&self.title).is_empty();
        Self { title: if has_one { self.title.clone() } else { title.unwrap_or_default() }, ..self.clone() }
    }

    /// The whole message. Line ends and hidden characters in what was given can't add a line to it.
    /// A branch that is registered nowhere has no revision.
    pub(crate) fn text(&self, branch: &str, revision: Option<u32>) -> String {
        let (branch, title) = (one_line(branch), one_line(&self.title));
        let revision = revision.map_or_else(String::new, |number| format!(" r{number}"));
        let mut text = match title.as_str() {
            "" => format!("Merge {branch}\n"),
            title => format!("Merge {branch}: {}\n", as_written(title, TITLE)),
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

/// What a branch's own commits say of it: those that mainline does not have.
#[derive(Debug, Default)]
pub(crate) struct OwnCommits {
    /// The first line of the first one that is no merge.
    pub(crate) title: Option<String>,
    /// Who wrote most of those, of equals the first.
    pub(crate) author: Option<Identity>,
    /// Why the branch needs no ChangeLog entry, as the newest that says so has it.
    pub(crate) exempt: Option<String>,
}

/// Bytes of a reason that are told.
const MAX_REASON: usize = 400;

/// Own commits that are looked at.
const MAX_OWN: usize = 2000;

impl OwnCommits {
    /// Looks at the commits of `revision` that `mainline` does not have. What a merge brings from mainline is not the branch's, and a
    /// merge's own message says nothing of it.
    pub(crate) fn of(repository: &Repository, mainline: &CommitId, revision: &CommitId) -> Result<Self, MirrorError> {
        let failed = |source| MirrorError::Objects { what: "looking at a branch's own commits".to_owned(), source };
        let tip = find_commit(repository, revision)?;
        let mut walk = repository.revwalk().map_err(failed)?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).map_err(failed)?;
        walk.push(tip.id()).map_err(failed)?;
        walk.hide(find_commit(repository, mainline)?.id()).map_err(failed)?;
        let mut own = Self::default();
        let mut authors: Vec<(Identity, usize)> = Vec::new();
        for id in walk.take(MAX_OWN) {
            let commit = repository.find_commit(id.map_err(failed)?).map_err(failed)?;
            if let Some(reason) = changelog::exemption(commit.message_bytes()) {
                own.exempt = Some(as_written(&one_line(&reason), MAX_REASON));
            }
            if commit.parent_count() > 1 {
                continue;
            }
            if own.title.is_none() {
                let message = String::from_utf8_lossy(commit.message_bytes());
                let first = message.lines().map(str::trim).find(|line| !line.is_empty());
                own.title = first.filter(|line| !is_of_a_merge(line)).map(str::to_owned);
            }
            let author = identity(&commit.author());
            match authors.iter_mut().find(|(one, _)| *one == author) {
                Some((_, count)) => *count += 1,
                None => authors.push((author, 1)),
            }
        }
        let most = authors.iter().map(|(_, count)| *count).max();
        let first = authors.into_iter().find(|(_, count)| Some(*count) == most).map(|(author, _)| author);
        own.author = first.or_else(|| Some(identity(&tip.author())));
        Ok(own)
    }
}

/// Whether a title is one that git or a forge makes up for a merge: a commit that a merge was squashed into may still have it.
fn is_of_a_merge(title: &str) -> bool {
    const STARTS: [&str; 8] = [
        "Merge branch '",
        "Merge branches '",
        "Merge remote-tracking branch",
        "Merge pull request #",
        "Merge commit '",
        "Merge tag '",
        "Merged in ",
        "Squashed commit of the following",
    ];
    STARTS.iter().any(|start| title.starts_with(start))
}

fn identity(who: &git2::Signature<'_>) -> Identity {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Identity { name: text(who.name_bytes()), email: text(who.email_bytes()) }
}

/// The most characters of a title.
const TITLE: usize = 200;

/// A title as a message has it.
pub(super) fn title(text: &str) -> String {
    as_written(&one_line(text), TITLE)
}

/// The most characters of a line.
const MAX_LINE: usize = 4096;

/// A stranger's words on one line.
pub(super) fn one_line(text: &str) -> String {
    as_written(&text.split_whitespace().collect::<Vec<_>>().join(" "), MAX_LINE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_title_that_was_made_up_for_a_merge_says_nothing_of_a_branch() {
        for title in ["Merge branch 'main'", "Merge branch 'main' into foo", "Merge remote-tracking branch 'a/b'"] {
            assert!(is_of_a_merge(title), "{title}");
        }
        for title in ["Merge pull request #12 from ann/x", "Squashed commit of the following:", "Merge tag 'v1'"] {
            assert!(is_of_a_merge(title), "{title}");
        }
        for title in ["Merge sort: stable now", "Merge branches of the decision tree", "Merged duplicate rows"] {
            assert!(!is_of_a_merge(title), "{title}");
        }
        let temp = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init_bare(temp.path()).unwrap();
        let tree = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let who = git2::Signature::new("Ann", "ann@x", &git2::Time::new(1, 0)).unwrap();
        let commit = |message: &str, on: &[git2::Oid]| {
            let parents: Vec<_> = on.iter().map(|id| repository.find_commit(*id).unwrap()).collect();
            repository.commit(None, &who, &who, message, &tree, &parents.iter().collect::<Vec<_>>()).unwrap()
        };
        let main = commit("Begin", &[]);
        let squashed = commit("Merge branch 'main' into foo\n\n* a\n", &[main]);
        let own = commit("Choose by weight", &[squashed]);
        let id = |oid: git2::Oid| oid.to_string().parse::<CommitId>().unwrap();
        let title = |at| OwnCommits::of(&repository, &id(main), &id(at)).unwrap().title;
        assert_eq!((title(squashed), title(own).as_deref()), (None, Some("Choose by weight")));
    }

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
