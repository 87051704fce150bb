//! What is looked at in a scratch repository before the mirror hears of it. The objects are a stranger's: they are read
//! by git processes and by the few lines here, never by a library in our process.

use super::admission::{Admission, Group};
use super::objects::tree_of;
use super::scratch::Scratch;
use super::walk::{Id, Refused, Walk};
use super::{AdmissionError, CommitRefused, Mirror, MirrorError, Passing};
use crate::git::{Run, RunError, RunLimits, Running};
use crate::text::shown;
use protocol::CommitId;
use std::collections::HashMap;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

/// Commits whose objects were found within the limits.
pub(super) struct Checked {
    pub(super) commits: Vec<CommitId>,
}

/// Most bytes of trees that are read.
const MAX_TREES_BYTES: u64 = 512 << 20;
/// The largest tree, in bytes.
const MAX_TREE_BYTES: u64 = 32 << 20;
/// Bytes of names that lead to what must be compared with mainline.
const MAX_DOUBTFUL_BYTES: usize = 1 << 20;

fn limits() -> RunLimits {
    RunLimits { wall: Duration::from_secs(300), cpu: Duration::from_secs(300), ..RunLimits::default() }
}

fn answer(what: &'static str) -> AdmissionError {
    MirrorError::Answer { what }.into()
}

fn run_error(error: RunError) -> AdmissionError {
    MirrorError::from(error).into()
}

/// The commits that were fetched.
pub(super) async fn fetched_commits(
    mirror: &Mirror,
    scratch: &Scratch,
    group: Group<'_>,
) -> Result<Vec<CommitId>, AdmissionError> {
    let run = mirror.sees_mirror(mirror.git().bounded().repository(&scratch.path()), group);
    let run = run.args(["for-each-ref", "--format=%(refname:lstrip=2) %(objecttype) %(objectname)", "refs/fetched"]);
    let said = run.limits(limits()).output().await.map_err(run_error)?;
    let text = String::from_utf8_lossy(&said.stdout);
    let found: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let commit = |(n, admission): (usize, _)| fetched_commit(admission, found.get(n.to_string().as_str()).copied());
    group.iter().enumerate().map(commit).collect()
}

/// What `git for-each-ref` says of one, its kind and id, as a commit.
fn fetched_commit(admission: &Admission, said: Option<&str>) -> Result<CommitId, AdmissionError> {
    match said.and_then(|said| said.split_once(' ')) {
        Some(("commit", id)) => id.parse().map_err(|_| answer("git for-each-ref")),
        // What was seen there may have been a commit; only of that very object can something be said for ever.
        Some((_, id)) if admission.expected.as_ref().is_some_and(|seen| seen.as_str() != id) => {
            let now = id.parse().map_err(|_| answer("git for-each-ref"))?;
            Err(Passing::Moved { branch: admission.branch.display(), now }.into())
        }
        Some(_) => {
            let (url, branch) = (admission.source.to_string(), admission.branch.display());
            Err(CommitRefused::NotACommit { url, branch }.into())
        }
        None => Err(answer("git for-each-ref")),
    }
}

/// Looks at everything that is new.
pub(super) async fn check(
    mirror: &Mirror,
    scratch: &Scratch,
    group: Group<'_>,
    commits: Vec<CommitId>,
) -> Result<Checked, AdmissionError> {
    let work = async {
        count_objects(mirror, scratch, group.lead).await?;
        count_parents(mirror, scratch, group, &commits).await?;
        let mut batch = Batch::start(mirror.sees_mirror(mirror.git().bounded().repository(&scratch.path()), group))?;
        for (admission, commit) in group.iter().zip(&commits) {
            let tree = walk_tree(&mut batch, admission, commit).await?;
            compare_with_mainline(mirror, admission, &tree).await?;
        }
        Ok(())
    };
    let after = limits().wall;
    match tokio::time::timeout(after, work).await {
        Ok(done) => done.map(|()| Checked { commits }),
        Err(_) => Err(run_error(RunError::TimedOut { what: "git cat-file".to_owned(), after })),
    }
}

/// All objects that were fetched: how many, and how large the largest file is.
async fn count_objects(mirror: &Mirror, scratch: &Scratch, admission: &Admission) -> Result<(), AdmissionError> {
    let limits = &admission.limits;
    // Without sight of the mirror only what was fetched is listed.
    let run = mirror.git().bounded().repository(&scratch.path());
    let run = run.args(["cat-file", "--batch-all-objects", "--unordered", "--buffer"]);
    let mut running = run.arg("--batch-check=%(objecttype) %(objectsize)").start(false).map_err(run_error)?;
    let stdout = running.stdout.take().ok_or_else(|| answer("git cat-file"))?;
    let mut lines = BufReader::new(stdout).lines();
    let mut objects = 0;
    while let Some(line) = lines.next_line().await.map_err(|_| answer("git cat-file"))? {
        let (kind, size) = line.split_once(' ').ok_or_else(|| answer("git cat-file"))?;
        let size: u64 = size.parse().map_err(|_| answer("git cat-file"))?;
        objects += 1;
        let too_large = |what, found, allowed| {
            let (branch, found) = (admission.branch.display(), Some(found));
            AdmissionError::from(CommitRefused::TooLarge { branch, what, found, allowed })
        };
        if objects > limits.objects {
            return Err(too_large("the number of new objects", objects, limits.objects));
        }
        let (what, allowed) = match kind {
            "blob" => ("the size in bytes of a file", limits.blob_bytes),
            "tree" => ("the size in bytes of a folder", MAX_TREE_BYTES),
            _ => ("the size in bytes of a commit", 1 << 20),
        };
        if size > allowed {
            return Err(too_large(what, size, allowed));
        }
    }
    finished(running).await
}

async fn finished(mut running: Running) -> Result<(), AdmissionError> {
    match running.finish().await.map_err(run_error)? {
        (Some(0), _, _) => Ok(()),
        (exit, signal, stderr) => Err(run_error(RunError::Failed { what: running.what.clone(), exit, signal, stderr })),
    }
}

async fn count_parents(
    mirror: &Mirror,
    scratch: &Scratch,
    group: Group<'_>,
    commits: &[CommitId],
) -> Result<(), AdmissionError> {
    let admission = group.lead;
    let allowed = admission.limits.parents;
    let run = mirror.sees_mirror(mirror.git().bounded().repository(&scratch.path()), group);
    let run = run.args(["rev-list", "--max-count=1", "--parents", &format!("--min-parents={}", allowed + 1)]);
    let run = run.args(commits.iter().map(CommitId::as_str)).args(["--not", "--alternate-refs"]).limits(limits());
    let said = run.output().await.map_err(run_error)?;
    let parents = String::from_utf8_lossy(&said.stdout).split_whitespace().count().saturating_sub(1) as u64;
    if parents > 0 {
        return Err(CommitRefused::TooLarge {
            branch: admission.branch.display(),
            what: "the number of parents of a commit",
            found: Some(parents),
            allowed: u64::from(allowed),
        }
        .into());
    }
    Ok(())
}

/// Reads every folder of the commit's tree once, and counts what it would be when written out.
async fn walk_tree<'a>(
    batch: &mut Batch,
    admission: &'a Admission,
    commit: &CommitId,
) -> Result<Walk<'a>, AdmissionError> {
    let refused = |refused| {
        let branch = admission.branch.display();
        AdmissionError::from(match refused {
            Refused::Tree(what) => CommitRefused::Tree { branch, what },
            Refused::TooMuch { what, found, allowed } => {
                CommitRefused::TooLarge { branch, what, found: Some(found), allowed }
            }
        })
    };
    let mut all = 0;
    let mut walk = Walk::from(batch.root(commit).await?, &admission.limits);
    loop {
        let ids = walk.next(AT_ONCE);
        if ids.is_empty() {
            break;
        }
        batch.ask(&ids.iter().map(|id| format!("{}\n", hex(id))).collect::<String>()).await?;
        for _ in ids {
            // One at a time: its content goes before the next one comes.
            let (_, bytes) = batch.read().await?;
            all += bytes.len() as u64;
            if all > MAX_TREES_BYTES {
                let what = "the size in bytes of all folders";
                return Err(refused(Refused::TooMuch { what, found: all, allowed: MAX_TREES_BYTES }));
            }
            walk.take(&bytes).map_err(refused)?;
        }
    }
    walk.end().map_err(refused)?;
    Ok(walk)
}

/// Two names of a folder, or one that is a link, which mainline may have too; and what is said when it has not.
struct Compared {
    folder: Vec<Vec<u8>>,
    one: Vec<u8>,
    other: Vec<u8>,
    what: String,
}

/// Twins and links that mainline has too are the project's own business.
async fn compare_with_mainline(mirror: &Mirror, admission: &Admission, walk: &Walk<'_>) -> Result<(), AdmissionError> {
    let branch = admission.branch.display();
    let mut doubtful: Vec<Compared> = Vec::new();
    for link in &walk.doubtful.links {
        let what = format!("a symbolic link in the place of the file `{}`", shown(link));
        doubtful.push(Compared { folder: Vec::new(), one: link.clone(), other: link.clone(), what });
    }
    let mut bytes = 0;
    for (folder, one, other) in &walk.doubtful.twins {
        let names: Vec<Vec<u8>> = walk.names(*folder).into_iter().map(<[u8]>::to_vec).collect();
        let both = [one, other].map(|name| walk.shown_path(*folder, name));
        let what = format!("names that differ in case only: `{}` and `{}`", both[0], both[1]);
        bytes += names.iter().map(|name| name.len() + 24).sum::<usize>();
        if bytes > MAX_DOUBTFUL_BYTES {
            return Err(CommitRefused::Tree { branch, what }.into());
        }
        doubtful.push(Compared { folder: names, one: one.clone(), other: other.clone(), what });
    }
    if doubtful.is_empty() {
        return Ok(());
    }
    mirror
        .with_repository(move |repository| {
            let head = repository.head().ok().and_then(|head| head.target());
            let mainline = match head {
                Some(id) => Some(tree_of(repository, &super::commit_id(id)?)?),
                None => None,
            };
            for Compared { folder, one, other, what } in doubtful {
                let folder = mainline.as_ref().and_then(|root| folder_at(repository, root, &folder));
                let mode = |name: &[u8]| {
                    let folder = folder.as_ref()?;
                    folder.iter().find(|entry| entry.name_bytes() == name).map(|entry| entry.filemode())
                };
                let is_mainline_s = match (mode(&one), mode(&other)) {
                    (Some(mode), _) if one == other => mode == 0o120_000,
                    (one, other) => one.is_some() && other.is_some(),
                };
                if !is_mainline_s {
                    return Err(CommitRefused::Tree { branch, what }.into());
                }
            }
            Ok(())
        })
        .await
}

/// The folder that these names lead to.
fn folder_at<'r>(repository: &'r git2::Repository, root: &git2::Tree<'r>, names: &[Vec<u8>]) -> Option<git2::Tree<'r>> {
    let mut at = root.clone();
    for name in names {
        let id = at.iter().find(|entry| entry.name_bytes() == name).map(|entry| entry.id())?;
        at = repository.find_tree(id).ok()?;
    }
    Some(at)
}

/// A `git cat-file --batch` that answers for one tree after the other.
struct Batch {
    _running: Running,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// Questions sent at once: their text always fits into the pipe.
const AT_ONCE: usize = 256;

impl Batch {
    fn start(run: Run) -> Result<Self, AdmissionError> {
        let mut running = run.args(["cat-file", "--batch"]).start(true).map_err(run_error)?;
        match (running.stdin.take(), running.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self { _running: running, stdin, stdout: BufReader::new(stdout) }),
            _ => Err(answer("git cat-file")),
        }
    }

    /// The id of a commit's tree.
    async fn root(&mut self, commit: &CommitId) -> Result<Id, AdmissionError> {
        self.ask(&format!("{commit}^{{tree}}\n")).await?;
        self.read().await.map(|(id, _)| id)
    }

    async fn ask(&mut self, names: &str) -> Result<(), AdmissionError> {
        let sent = async {
            self.stdin.write_all(names.as_bytes()).await?;
            self.stdin.flush().await
        };
        sent.await.map_err(|_| answer("git cat-file"))
    }

    async fn read(&mut self) -> Result<(Id, Vec<u8>), AdmissionError> {
        let unread = |_| answer("git cat-file");
        let mut line = String::new();
        self.stdout.read_line(&mut line).await.map_err(unread)?;
        let mut words = line.trim_end().split(' ');
        let (Some(id), Some("tree"), Some(size)) = (words.next(), words.next(), words.next()) else {
            return Err(answer("git cat-file"));
        };
        let size: usize = size.parse().map_err(|_| answer("git cat-file"))?;
        let id = unhex(id).ok_or_else(|| answer("git cat-file"))?;
        if size as u64 > MAX_TREE_BYTES {
            return Err(answer("git cat-file, of a tree that is too large,"));
        }
        let mut bytes = vec![0; size + 1];
        self.stdout.read_exact(&mut bytes).await.map_err(unread)?;
        bytes.truncate(size);
        Ok((id, bytes))
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Id> {
    let mut id = Id::default();
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    (text.len() == 40).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        assert_eq!(unhex(&hex(&[171; 20])), Some([171; 20]));
        assert_eq!(unhex(&"a".repeat(64)), None, "of another kind of repository");
        assert_eq!(unhex("a\u{e4}"), None);
    }
}
