//! Running the user's git in the user's repository: with the user's settings, never asking anything, paths always literal.

use super::WorkTreeError;
use crate::git::told::in_one_line;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Git, started in one folder.
#[derive(Clone, Debug)]
pub(super) struct Git {
    folder: PathBuf,
    index: Option<PathBuf>,
}

impl Git {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), index: None }
    }

    /// The same, working on another index file.
    pub(super) fn with_index(&self, index: &Path) -> Self {
        Self { folder: self.folder.clone(), index: Some(index.to_owned()) }
    }

    /// Runs a command and gives what it printed.
    pub(super) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<u8>, WorkTreeError> {
        self.run_with(args, b"")
    }

    /// The same, with something on its standard input.
    pub(super) fn run_with<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<Vec<u8>, WorkTreeError> {
        let output = self.output(args, input)?;
        if output.status.success() { Ok(output.stdout) } else { Err(failed(args, &output)) }
    }

    /// What a command printed, or `None` if it said no by its exit code.
    pub(super) fn ask<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Option<Vec<u8>>, WorkTreeError> {
        let output = self.output(args, b"")?;
        Ok(output.status.success().then_some(output.stdout))
    }

    /// The file at `path` in `commit`, if there is one.
    pub(super) fn file_at(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, WorkTreeError> {
        self.ask(&["cat-file", "blob", &format!("{commit}:{path}")])
    }

    /// The commit that a name stands for, if it does.
    pub(super) fn commit(&self, name: &str) -> Result<Option<String>, WorkTreeError> {
        let spec = format!("{name}^{{commit}}");
        let found = self.ask(&["rev-parse", "--quiet", "--verify", "--end-of-options", &spec])?;
        Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    fn output<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Result<Output, WorkTreeError> {
        let mut command = Command::new("git");
        command.arg("--literal-pathspecs").args(args).current_dir(&self.folder);
        command.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C").env_remove("GIT_LITERAL_PATHSPECS");
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(WorkTreeError::NoGit)?;
        let mut stdin = child.stdin.take();
        // What is written and what is printed are both larger than a pipe holds, so one of the two has its own thread.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(stdin) = &mut stdin {
                    // A git that ends without reading says why by its exit code.
                    let _ = stdin.write_all(input);
                }
                drop(stdin);
            });
            child.wait_with_output()
        });
        output.map_err(WorkTreeError::NoGit)
    }
}

fn failed<S: AsRef<OsStr>>(args: &[S], output: &Output) -> WorkTreeError {
    let what: Vec<_> = args.iter().take(2).map(|a| a.as_ref().to_string_lossy()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    WorkTreeError::Git { what: what.join(" "), said: in_one_line(&said) }
}

/// Bytes that git printed, as a path.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

/// A path's bytes.
pub(super) fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The fields of a `-z` listing.
pub(super) fn fields(listing: &[u8]) -> impl Iterator<Item = &[u8]> {
    listing.split(|&b| b == 0).filter(|f| !f.is_empty())
}
