//! The files that a step keeps: copied out of the work folder before anything else runs in it, one after the other into one file
//! of the spool. No link is followed, and what is too much is left out and said.

use super::find::find;
use crate::spool::Spooled;
use crate::work::Slot;
use protocol::artifacts::{Artifact, Artifacts, MAX_NOTE, MAX_NOTES, why_no_path};
use protocol::tested::cut;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Keeps the files that match a step's patterns, at most so many bytes of them; durable when this returns. Nothing of them is sent
/// yet: the master takes no bytes of which it was not told what they are. Only to be called when nothing of the step runs any more.
pub(super) async fn keep(
    slot: &Slot,
    spooled: &Arc<Spooled>,
    step: u32,
    patterns: &[String],
    most: u64,
) -> Option<Artifacts> {
    if patterns.is_empty() {
        return None;
    }
    let (work, spooled, patterns) = (slot.work(), Arc::clone(spooled), patterns.to_vec());
    let kept = tokio::task::spawn_blocking(move || {
        let kept = spooled.artifacts(step).and_then(|mut into| {
            let kept = copy(&work, &patterns, most, &mut into)?;
            into.sync_data()?;
            Ok(kept)
        });
        match kept {
            Ok(kept) => kept,
            Err(error) => nothing(&format!("no file is kept: the slave's disk can't be written: {error}")),
        }
    });
    Some(kept.await.unwrap_or_else(|error| nothing(&format!("no file is kept: {error}"))))
}

fn nothing(why: &str) -> Artifacts {
    Artifacts { files: Vec::new(), notes: vec![cut(why, MAX_NOTE).to_owned()] }
}

/// Copies the files; one that can't be read, or not whole, leaves nothing behind.
fn copy(work: &Path, patterns: &[String], most: u64, into: &mut File) -> io::Result<Artifacts> {
    let found = find(work, patterns);
    let mut kept = Artifacts::default();
    found.notes.iter().for_each(|text| note(&mut kept, text));
    for path in &found.paths {
        if let Some(why) = why_no_path(path) {
            note(&mut kept, &format!("a file is left out, as its path {why}"));
            continue;
        }
        let Some(file) = found.open(path) else {
            note(&mut kept, &format!("{path} is left out: it can't be read"));
            continue;
        };
        let begin = kept.bytes();
        match copy_one(file, most - begin, into) {
            Ok(bytes) => kept.files.push(Artifact { path: path.clone(), bytes }),
            Err(NotCopied::TooLarge) => {
                note(&mut kept, &format!("{path} is left out: with it a build would keep more than it may"));
            }
            Err(NotCopied::Source(error)) => note(&mut kept, &format!("{path} is left out: {error}")),
            Err(NotCopied::Disk(error)) => {
                note(&mut kept, &format!("{path} and all after it are left out: the slave's disk: {error}"));
                cut_off(into, begin)?;
                break;
            }
        }
        cut_off(into, kept.bytes())?;
    }
    Ok(kept)
}

enum NotCopied {
    TooLarge,
    Source(io::Error),
    Disk(io::Error),
}

fn copy_one(file: File, most: u64, into: &mut File) -> Result<u64, NotCopied> {
    // What is known to be too large is not read: it may have holes of any size.
    if file.metadata().map_err(NotCopied::Source)?.len() > most {
        return Err(NotCopied::TooLarge);
    }
    let mut file = file.take(most.saturating_add(1));
    let (mut copied, mut buffer) = (0_u64, vec![0; 64 << 10]);
    loop {
        let n = file.read(&mut buffer).map_err(NotCopied::Source)?;
        if n == 0 {
            break;
        }
        copied += n as u64;
        if copied > most {
            return Err(NotCopied::TooLarge);
        }
        io::Write::write_all(into, &buffer[..n]).map_err(NotCopied::Disk)?;
    }
    Ok(copied)
}

/// Leaves so many bytes, and goes on from there.
fn cut_off(into: &mut File, len: u64) -> io::Result<()> {
    into.set_len(len)?;
    into.seek(SeekFrom::Start(len)).map(drop)
}

/// Adds what is left out, while there is room for it.
fn note(kept: &mut Artifacts, text: &str) {
    if kept.notes.len() < MAX_NOTES {
        kept.notes.push(cut(text, MAX_NOTE).to_owned());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn kept(work: &Path, patterns: &[&str], most: u64) -> (Artifacts, String) {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let mut into = temp.reopen().unwrap();
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let kept = copy(work, &patterns, most, &mut into).unwrap();
        assert_eq!(kept.check(most), Ok(()));
        (kept, fs::read_to_string(temp.path()).unwrap())
    }

    fn paths(kept: &Artifacts) -> Vec<&str> {
        kept.files.iter().map(|file| file.path.as_str()).collect()
    }

    fn write(work: &Path, path: &str, text: &str) {
        let path = work.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn files_that_match_follow_one_another_in_order() {
        let work = tempfile::tempdir().unwrap();
        for (path, text) in [("doc/b.html", "bee"), ("doc/a/x.html", "ex"), ("doc/empty", ""), ("src/main.c", "no")] {
            write(work.path(), path, text);
        }
        write(work.path(), ".git/config", "no");
        let (all, bytes) = kept(work.path(), &["doc/**", "doc/b.html"], 100);
        assert_eq!((paths(&all), bytes.as_str()), (vec!["doc/a/x.html", "doc/b.html", "doc/empty"], "exbee"));
        assert_eq!(all.range_of("doc/b.html"), Some(2..5));
        assert_eq!(all.notes, Vec::<String>::new());
        let (all, _) = kept(work.path(), &["**"], 100);
        assert_eq!(paths(&all), ["doc/a/x.html", "doc/b.html", "doc/empty", "src/main.c"], "not the repository");
        assert_eq!(kept(work.path(), &["*.txt"], 100).0.notes, ["no file matches `*.txt`"]);
    }

    #[test]
    fn nothing_outside_of_the_work_folder_and_no_device_is_kept() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let work = tempfile::tempdir().unwrap();
        symlink(outside.path().join("secret"), work.path().join("link")).unwrap();
        symlink(outside.path(), work.path().join("folder")).unwrap();
        let pipe = work.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
        rustix::fs::mknodat(rustix::fs::CWD, pipe, kind, mode, 0).unwrap();
        write(work.path(), "odd\nname", "x");
        write(work.path(), "fine", "fine");
        let (all, bytes) = kept(work.path(), &["**", "folder/secret", "../*"], 100);
        assert_eq!((paths(&all), bytes.as_str()), (vec!["fine"], "fine"));
        assert!(all.notes.iter().any(|note| note.contains("its path has a control character")), "{all:?}");
    }

    /// Whoever may read everything can't play it.
    #[test]
    fn what_can_t_be_read_is_said() {
        use std::os::unix::fs::PermissionsExt as _;
        let work = tempfile::tempdir().unwrap();
        write(work.path(), "closed", "x");
        write(work.path(), "folder/in", "x");
        let close = |mode| {
            for name in ["closed", "folder"] {
                fs::set_permissions(work.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
            }
        };
        close(0);
        if File::open(work.path().join("closed")).is_err() {
            let (all, _) = kept(work.path(), &["**"], 100);
            assert_eq!(all.notes, ["`folder` can't be looked into", "closed is left out: it can't be read"]);
        }
        close(0o700);
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let work = tempfile::tempdir().unwrap();
        write(work.path(), "a", "1234");
        write(work.path(), "b", "123456");
        write(work.path(), "c", "12");
        File::create(work.path().join("holes")).unwrap().set_len(1 << 40).unwrap();
        let (all, bytes) = kept(work.path(), &["*"], 7);
        assert_eq!((paths(&all), bytes.as_str()), (vec!["a", "c"], "123412"));
        assert_eq!(all.notes.len(), 2, "{all:?}");
        let (none, bytes) = kept(work.path(), &["*"], 0);
        assert_eq!((none.files.len(), bytes.as_str()), (0, ""));
        for n in 0..1100 {
            write(work.path(), &format!("many/{n}"), "");
        }
        let (many, _) = kept(work.path(), &["many/*"], 7);
        assert_eq!((many.files.len(), many.notes.len()), (1000, 1));
    }
}
