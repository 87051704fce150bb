//! What no message of git's may say, whoever reads it: where on this machine our own folders are, and credentials.

use std::path::Path;

/// Texts, each with what is said instead.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsaid(Vec<(String, String)>);

impl Unsaid {
    /// A folder or file of ours: only its name is said.
    pub(super) fn place(&mut self, path: &Path) {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        // git may say it as it was given, or as it is without links.
        for path in [Some(path.to_owned()), path.canonicalize().ok()].into_iter().flatten() {
            self.word(&path.to_string_lossy(), &format!("…/{name}"));
        }
    }

    /// A word that is said otherwise.
    pub(super) fn word(&mut self, word: &str, instead: &str) {
        if word.len() > 1 && word != instead && self.0.iter().all(|(known, _)| known != word) {
            self.0.push((word.to_owned(), instead.to_owned()));
            // What holds another one goes before it.
            self.0.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        }
    }

    /// A text in which nothing of it is left.
    pub(super) fn in_text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (word, instead)| text.replace(word.as_str(), instead))
    }
}

/// What libgit2 or the system says, without the places that it names, within quotes or as words: of each only the name is left.
pub(crate) fn without_places(text: &str) -> String {
    let named = |part: &str| match part.rsplit_once('/').filter(|_| part.starts_with('/')) {
        Some((_, name)) => format!("…/{name}"),
        None => part.to_owned(),
    };
    let words = |part: &str| part.split(' ').map(named).collect::<Vec<_>>().join(" ");
    // A quoted place may have blanks in it.
    let parts = text.split('\'').map(|part| if part.starts_with('/') { named(part) } else { words(part) });
    parts.collect::<Vec<_>>().join("'")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_our_places_only_the_name_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::create_dir_all(real.join("heron.git/scratch/x/scratch.git")).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut unsaid = Unsaid::default();
        unsaid.place(&link.join("heron.git"));
        unsaid.place(&link.join("heron.git/scratch/x/scratch.git"));
        unsaid.word("https://ann:s3cret@example.org/r", "https://example.org/r");
        for base in [&real, &link] {
            let mirror = base.join("heron.git").display().to_string();
            let said =
                format!("fatal: '{mirror}/scratch/x/scratch.git/objects': no; {mirror}/packed-refs.lock is there");
            let told = unsaid.in_text(&said);
            assert_eq!(told, "fatal: '…/scratch.git/objects': no; …/heron.git/packed-refs.lock is there");
        }
        let told = unsaid.in_text("fatal: unable to access 'https://ann:s3cret@example.org/r/'");
        assert_eq!(told, "fatal: unable to access 'https://example.org/r/'");
    }

    #[test]
    fn libgit2_names_files_and_not_where_they_are() {
        let told = without_places("could not open '/srv/bb/mirrors/heron.git/HEAD': can't");
        assert_eq!(told, "could not open '…/HEAD': can't");
        let told = without_places("path is not a repository: /srv/bb/mirrors/heron.git");
        assert_eq!(told, "path is not a repository: …/heron.git");
        assert_eq!(without_places("the tree of 'a/b' has no 'c'"), "the tree of 'a/b' has no 'c'");
    }
}
