//! What is looked at in a scratch repository before the mirror hears of it. The objects are a stranger's: they are read
//! by git processes and by the few lines here, never by a library in our process.

use super::admit::Admission;
use super::objects::{kept_at, tree_of};
use super::scratch::Scratch;
use super::{AdmissionError, CommitRefused, Mirror, MirrorError, Passing};
use crate::git::{Run, RunError, RunLimits, Running};
use crate::text::shown;
use protocol::CommitId;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

/// A commit whose objects were found within the limits.
pub(super) struct Checked {
    pub(super) commit: CommitId,
}

/// The longest name of a file, in bytes: no file system takes longer ones.
const MAX_NAME: usize = 255;

/// Most bytes of trees that are read.
const MAX_TREE_BYTES: usize = 512 << 20;

fn limits() -> RunLimits {
    RunLimits { wall: Duration::from_secs(300), cpu: Duration::from_secs(300), ..RunLimits::default() }
}

fn answer(what: &'static str) -> AdmissionError {
    MirrorError::Answer { what }.into()
}

fn run_error(error: RunError) -> AdmissionError {
    MirrorError::Run(error).into()
}

/// The commit that was fetched.
pub(super) async fn fetched_commit(
    mirror: &Mirror,
    scratch: &Scratch,
    admission: &Admission,
) -> Result<CommitId, AdmissionError> {
    let run = mirror.sees_mirror(mirror.git().bounded().repository(&scratch.path()), admission);
    let run = run.args(["for-each-ref", "--format=%(objecttype) %(objectname)", "refs/fetched"]).limits(limits());
    let said = run.output().await.map_err(run_error)?;
    let text = String::from_utf8_lossy(&said.stdout);
    match text.trim().split_once(' ') {
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
    admission: &Admission,
    commit: CommitId,
) -> Result<Checked, AdmissionError> {
    let work = async {
        count_objects(mirror, scratch, admission).await?;
        count_parents(mirror, scratch, admission, &commit).await?;
        let tree = walk_tree(mirror, scratch, admission, &commit).await?;
        compare_with_mainline(mirror, admission, tree).await
    };
    let after = limits().wall;
    match tokio::time::timeout(after, work).await {
        Ok(done) => done.map(|()| Checked { commit }),
        Err(_) => Err(run_error(RunError::TimedOut { what: "git cat-file".to_owned(), after })),
    }
}

/// All objects that the mirror lacks: how many, and how large the largest file is.
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
            "tree" => ("the size in bytes of a folder", MAX_TREE_BYTES as u64),
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
    admission: &Admission,
    commit: &CommitId,
) -> Result<(), AdmissionError> {
    let allowed = admission.limits.parents;
    let run = mirror.sees_mirror(mirror.git().bounded().repository(&scratch.path()), admission);
    let run = run.args(["rev-list", "--max-count=1", "--parents", &format!("--min-parents={}", allowed + 1)]);
    let run = run.arg(commit.as_str()).args(["--not", "--alternate-refs"]).limits(limits());
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

/// What the walk found that is allowed only where mainline has the same.
#[derive(Default)]
struct Doubtful {
    /// Names of one folder that differ in case only: the folder's path, both names.
    twins: Vec<(String, String, String)>,
    /// Symbolic links at reserved names.
    links: Vec<String>,
}

/// A tree that was read once, however often it occurs.
struct Folder {
    files: u64,
    folders: Vec<Id>,
}

type Id = Vec<u8>;

/// Reads every folder of the commit's tree once, level by level, and counts what it would be when written out.
async fn walk_tree(
    mirror: &Mirror,
    scratch: &Scratch,
    admission: &Admission,
    commit: &CommitId,
) -> Result<Doubtful, AdmissionError> {
    let limits = &admission.limits;
    let refused = |what: String| AdmissionError::from(CommitRefused::Tree { branch: admission.branch.display(), what });
    let run = mirror.sees_mirror(mirror.git().bounded().repository(&scratch.path()), admission);
    let mut batch = Batch::start(run)?;
    let mut doubtful = Doubtful::default();
    let mut folders: HashMap<Id, Folder> = HashMap::new();
    let root_name = format!("{commit}^{{tree}}");
    let (root_id, root) = batch.tree(&root_name).await?;
    let mut level = vec![(root_id.clone(), String::new(), root)];
    let mut seen: HashSet<Id> = HashSet::from([root_id.clone()]);
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        if depth > limits.depth {
            return Err(refused(format!("folders more than {} deep: `{}`", limits.depth, shown_path(&level))));
        }
        let mut next: Vec<(Id, String)> = Vec::new();
        for (id, path, bytes) in level {
            let entries =
                parse_tree(&bytes).ok_or_else(|| refused(format!("a folder that can't be read at `{path}`")))?;
            let mut folder = Folder { files: 0, folders: Vec::new() };
            let mut lower: HashMap<String, &[u8]> = HashMap::new();
            for entry in &entries {
                let name = || format!("{path}{}", shown(entry.name));
                if entry.name.len() > MAX_NAME {
                    return Err(refused(format!(
                        "a name of more than {MAX_NAME} bytes: `{}`",
                        crate::text::shortened(&name(), 80)
                    )));
                }
                if let Some(twin) = lower.insert(folded(entry.name), entry.name) {
                    doubtful.twins.push((path.clone(), plain(twin), plain(entry.name)));
                }
                if entry.mode == b"120000"
                    && path.is_empty()
                    && limits.reserved.iter().any(|r| r.as_bytes() == entry.name)
                {
                    doubtful.links.push(plain(entry.name));
                }
                if entry.is_folder() {
                    folder.folders.push(entry.id.to_vec());
                    if seen.insert(entry.id.to_vec()) {
                        next.push((entry.id.to_vec(), format!("{}/", name())));
                    }
                } else {
                    folder.files += 1;
                }
            }
            if seen.len() as u64 > limits.paths {
                return Err(too_many_paths(admission, seen.len() as u64));
            }
            folders.insert(id, folder);
        }
        level = batch.trees(next).await?;
    }
    let (paths, deepest) = written_out(&folders, &root_id);
    if paths > limits.paths {
        return Err(too_many_paths(admission, paths));
    }
    if deepest > limits.depth {
        return Err(refused(format!("folders more than {} deep", limits.depth)));
    }
    Ok(doubtful)
}

fn shown_path(level: &[(Id, String, Vec<u8>)]) -> String {
    level.first().map(|(_, path, _)| crate::text::shortened(path, 80)).unwrap_or_default()
}

fn too_many_paths(admission: &Admission, found: u64) -> AdmissionError {
    CommitRefused::TooLarge {
        branch: admission.branch.display(),
        what: "the number of files",
        found: Some(found),
        allowed: admission.limits.paths,
    }
    .into()
}

/// How many files there are, and how deep, when every folder is written out as often as it occurs.
fn written_out(folders: &HashMap<Id, Folder>, root: &Id) -> (u64, u32) {
    let mut known: HashMap<&Id, (u64, u32)> = HashMap::new();
    let mut stack = vec![root];
    while let Some(&id) = stack.last() {
        let Some(folder) = folders.get(id) else {
            known.insert(id, (0, 0));
            stack.pop();
            continue;
        };
        let open: Vec<&Id> = folder.folders.iter().filter(|inner| !known.contains_key(inner)).collect();
        if open.is_empty() {
            let mut sum = (folder.files, 0);
            for (files, depth) in folder.folders.iter().filter_map(|inner| known.get(inner)) {
                sum = (sum.0.saturating_add(*files), sum.1.max(*depth));
            }
            known.insert(id, (sum.0, sum.1 + 1));
            stack.pop();
        } else {
            stack.extend(open);
        }
    }
    known.get(root).copied().unwrap_or_default()
}

/// Twins and links that mainline has too are the project's own business.
async fn compare_with_mainline(
    mirror: &Mirror,
    admission: &Admission,
    doubtful: Doubtful,
) -> Result<(), AdmissionError> {
    if doubtful.twins.is_empty() && doubtful.links.is_empty() {
        return Ok(());
    }
    let branch = admission.branch.display();
    mirror
        .with_repository(move |repository| {
            let head = repository.head().ok().and_then(|head| head.target());
            let mainline = match head {
                Some(id) => Some(tree_of(repository, &super::commit_id(id)?)?),
                None => None,
            };
            let mode_at = |path: &str| -> Result<Option<i32>, MirrorError> {
                let Some(tree) = &mainline else { return Ok(None) };
                Ok(kept_at(tree, path)?.map(|kept| kept.mode))
            };
            for link in doubtful.links {
                if mode_at(&link)? != Some(0o120_000) {
                    let what = format!("a symbolic link in the place of the file `{link}`");
                    return Err(CommitRefused::Tree { branch, what }.into());
                }
            }
            for (folder, one, other) in doubtful.twins {
                let both =
                    mode_at(&format!("{folder}{one}"))?.is_some() && mode_at(&format!("{folder}{other}"))?.is_some();
                if !both {
                    let what = format!("names that differ in case only: `{folder}{one}` and `{folder}{other}`");
                    return Err(CommitRefused::Tree { branch, what }.into());
                }
            }
            Ok(())
        })
        .await
}

fn folded(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_lowercase()
}

fn plain(name: &[u8]) -> String {
    shown(name)
}

struct TreeEntry<'a> {
    mode: &'a [u8],
    name: &'a [u8],
    id: &'a [u8],
}

impl TreeEntry<'_> {
    fn is_folder(&self) -> bool {
        matches!(self.mode, b"40000" | b"040000")
    }
}

/// The entries of a tree object: mode, blank, name, NUL, 20 bytes of id.
fn parse_tree(mut bytes: &[u8]) -> Option<Vec<TreeEntry<'_>>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|&b| b == b' ')?;
        let nul = bytes.iter().position(|&b| b == 0).filter(|&nul| nul > blank)?;
        let id = bytes.get(nul + 1..nul + 21)?;
        entries.push(TreeEntry { mode: &bytes[..blank], name: &bytes[blank + 1..nul], id });
        bytes = &bytes[nul + 21..];
    }
    Some(entries)
}

/// A `git cat-file --batch` that answers for one tree after the other.
struct Batch {
    _running: Running,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    left: usize,
}

/// Questions sent at once: their text always fits into the pipe.
const AT_ONCE: usize = 256;

impl Batch {
    fn start(run: Run) -> Result<Self, AdmissionError> {
        let mut running = run.args(["cat-file", "--batch"]).start(true).map_err(run_error)?;
        match (running.stdin.take(), running.stdout.take()) {
            (Some(stdin), Some(stdout)) => {
                Ok(Self { _running: running, stdin, stdout: BufReader::new(stdout), left: MAX_TREE_BYTES })
            }
            _ => Err(answer("git cat-file")),
        }
    }

    async fn tree(&mut self, name: &str) -> Result<(Id, Vec<u8>), AdmissionError> {
        self.ask(&format!("{name}\n")).await?;
        self.read().await
    }

    async fn trees(&mut self, ids: Vec<(Id, String)>) -> Result<Vec<(Id, String, Vec<u8>)>, AdmissionError> {
        let mut read = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let names: String = some.iter().map(|(id, _)| format!("{}\n", hex(id))).collect();
            self.ask(&names).await?;
            for (id, path) in some {
                let (_, bytes) = self.read().await?;
                read.push((id.clone(), path.clone(), bytes));
            }
        }
        Ok(read)
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
        self.left =
            self.left.checked_sub(size).ok_or_else(|| answer("git cat-file, whose trees are too large together,"))?;
        let mut bytes = vec![0; size + 1];
        self.stdout.read_exact(&mut bytes).await.map_err(unread)?;
        bytes.truncate(size);
        Ok((unhex(id), bytes))
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Id {
    (0..text.len() / 2).filter_map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> Id {
        vec![n; 20]
    }

    #[test]
    fn a_tree_bomb_is_counted_without_being_written_out() {
        // Each folder holds the next one ten times.
        let mut folders: HashMap<Id, Folder> =
            (0..30).map(|n| (id(n), Folder { files: 0, folders: vec![id(n + 1); 10] })).collect();
        folders.insert(id(30), Folder { files: 10, folders: Vec::new() });
        assert_eq!(written_out(&folders, &id(0)), (u64::MAX, 31));
        assert_eq!(written_out(&folders, &id(28)), (1000, 3));
    }

    #[test]
    fn trees_are_read_as_git_writes_them() {
        let mut bytes = b"100644 a b\0".to_vec();
        bytes.extend(id(7));
        bytes.extend(b"40000 dir\0");
        bytes.extend(id(8));
        let read: Vec<(Vec<u8>, bool)> =
            parse_tree(&bytes).into_iter().flatten().map(|e| (e.name.to_vec(), e.is_folder())).collect();
        assert_eq!(read, [(b"a b".to_vec(), false), (b"dir".to_vec(), true)]);
        assert!(parse_tree(b"100644 a\0short").is_none());
        assert_eq!(unhex(&hex(&id(171))), id(171));
    }

    proptest! {
        #[test]
        fn any_tree_is_survived(bytes: Vec<u8>) {
            let _ = parse_tree(&bytes);
        }
    }
}
