//! The `.git` of a work folder: the build's own, made anew for each. It knows the candidate's history and the official
//! repository's tags, as a clone does, and holds no objects: it reads the mirror's.
//!
//! This crate only writes it, and never into one that is there: what a build made of an earlier one counts for nobody.

use super::place::Place;
use git2::{ErrorCode, ObjectType, Oid, Reference, Repository};
use protocol::CommitId;
use recipe::History;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

/// Where the slave's mirror has mainline, as a clone has it.
pub(super) const MAINLINE: &str = "refs/remotes/origin/";

/// Where it has the official repository's tags.
pub(super) const TAGS: &str = "refs/tags/";

/// Stronger than every `.gitattributes`: bytes stay as they were committed.
pub(super) const ATTRIBUTES: &str = "* -text -ident -filter -working-tree-encoding !eol\n";

/// Files were written before they were given to the build's user, and that user has another number in a sandbox: only their
/// length and time of change say whether they are as git wrote them.
const CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogAllRefUpdates = true
\tcheckStat = minimal
\ttrustctime = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
";

/// Makes the folders; the index is written by git afterwards.
pub(super) fn begin(place: &Place) -> io::Result<()> {
    let git_dir = place.files.join(".git");
    // Nothing of this name can be there: the folder was emptied.
    fs::create_dir(&git_dir)?;
    for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
        fs::create_dir_all(git_dir.join(folder))?;
    }
    fs::write(git_dir.join("config"), CONFIG)?;
    fs::write(git_dir.join("info/attributes"), ATTRIBUTES)
}

/// Completes it for `commit`, of which the mirror has all.
pub(super) fn complete(mirror: &Path, commit: &CommitId, place: &Place, history: History) -> io::Result<()> {
    let git_dir = place.files.join(".git");
    let mut alternates = place.objects_seen.as_os_str().as_encoded_bytes().to_vec();
    alternates.push(b'\n');
    fs::write(git_dir.join("objects/info/alternates"), alternates)?;
    let Names { packed, shallow, mainline } = names(mirror, commit, history).map_err(io::Error::other)?;
    fs::write(git_dir.join("packed-refs"), packed)?;
    if !shallow.is_empty() {
        fs::write(git_dir.join("shallow"), shallow)?;
    }
    if let Some(mainline) = mainline {
        fs::create_dir_all(git_dir.join(MAINLINE))?;
        fs::write(git_dir.join(MAINLINE).join("HEAD"), [b"ref: ", &mainline[..], b"\n"].concat())?;
    }
    fs::write(git_dir.join("HEAD"), format!("{commit}\n"))
}

/// What a build's repository says beside its files.
struct Names {
    /// The file `packed-refs`.
    packed: Vec<u8>,
    /// The file `shallow`; empty when all is seen.
    shallow: String,
    /// The ref of mainline.
    mainline: Option<Vec<u8>>,
}

fn names(mirror: &Path, commit: &CommitId, history: History) -> Result<Names, git2::Error> {
    let repository = Repository::open_bare(mirror)?;
    let depth = match history {
        History::Full => None,
        History::Commits(commits) => Some(near(&repository, Oid::from_str(commit.as_str())?, commits.get())?),
    };
    let is_seen = |id: Oid| depth.as_ref().is_none_or(|depth| depth.seen.contains(&id));
    // Sorted by name, as the file's first line says.
    let mut refs = BTreeMap::new();
    for start in [TAGS, MAINLINE] {
        for reference in repository.references_glob(&format!("{start}*"))? {
            let reference = match reference {
                // A fetch for another build has just deleted it.
                Err(error) if error.code() == ErrorCode::NotFound => continue,
                reference => reference?,
            };
            // What can't be read is left out: git would stumble over it.
            let Some((id, of)) = reference.target().zip(peeled(&reference)) else { continue };
            if is_seen(of) && is_plain(reference.name_bytes()) {
                refs.insert(reference.name_bytes().to_vec(), (id, of));
            }
        }
    }
    let mut packed = b"# pack-refs with: peeled fully-peeled sorted \n".to_vec();
    for (name, (id, of)) in &refs {
        packed.extend([format!("{id} ").as_bytes(), name, b"\n"].concat());
        if of != id {
            packed.extend(format!("^{of}\n").into_bytes());
        }
    }
    let mut heads = refs.into_keys().filter(|name| name.starts_with(MAINLINE.as_bytes()));
    let mainline = heads.next().filter(|_| heads.next().is_none());
    Ok(Names { packed, shallow: depth.map_or_else(String::new, |depth| depth.shallow()), mainline })
}

/// What a ref is of in the end; none when that can't be read.
fn peeled(reference: &Reference<'_>) -> Option<Oid> {
    // Known for a ref that is packed, without a look at the tag.
    let known = reference.target_peel();
    known.or_else(|| reference.peel(ObjectType::Any).ok().map(|object| object.id()))
}

/// A name in a line of `packed-refs`: git lets no other be.
fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|&byte| byte > b' ' && byte != 0x7f)
}

/// The commits that are near to one.
struct Near {
    seen: HashSet<Oid>,
    /// The last ones of them, whose parents are not seen.
    last: Vec<Oid>,
}

impl Near {
    fn shallow(&self) -> String {
        self.last.iter().map(|id| format!("{id}\n")).collect()
    }
}

/// Those at most `depth` commits deep by the shortest way, itself the first: what git fetches by `--depth`.
fn near(repository: &Repository, commit: Oid, depth: u32) -> Result<Near, git2::Error> {
    let mut near = Near { seen: HashSet::from([commit]), last: Vec::new() };
    let mut level = vec![commit];
    for at in 1..=depth {
        let mut next = Vec::new();
        for id in std::mem::take(&mut level) {
            let parents: Vec<Oid> = match repository.find_commit(id) {
                Ok(commit) => commit.parent_ids().collect(),
                Err(error) if error.code() == ErrorCode::NotFound => continue,
                Err(error) => return Err(error),
            };
            if at < depth {
                next.extend(parents.into_iter().filter(|parent| near.seen.insert(*parent)));
            } else if !parents.is_empty() {
                near.last.push(id);
            }
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    Ok(near)
}
