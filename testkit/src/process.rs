//! Processes that end with the test that started them, however that test ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Whether this process is root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where `program` is: on PATH.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A shell script, watched by its own standard input: it reads to the end of it, which comes when the value is dropped
/// or when this process ends in any way at all, and cleans up then. In a process group of its own, so that
/// Ctrl-C ends the test and leaves the cleaning to the script.
pub struct Watched {
    script: Child,
    end: Option<ChildStdin>,
    /// What the script prints.
    pub out: BufReader<ChildStdout>,
}

impl Watched {
    /// Starts `script` with `arguments` as its `$1`, `$2`, …
    ///
    /// # Errors
    /// When `sh` can't be started.
    pub fn start<'a>(script: &str, arguments: impl IntoIterator<Item = &'a Path>) -> std::io::Result<Watched> {
        let mut script = Command::new("sh")
            .args(["-euc", script, "watched"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let end = script.stdin.take();
        let out = script.stdout.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
        Ok(Watched { script, end, out: BufReader::new(out) })
    }

    /// The next line that the script prints; none at its end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.script.wait();
    }
}
