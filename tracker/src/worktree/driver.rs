//! The merge driver for git: one run on three files, and its installation in a repository.

use super::git::bytes_of;
use super::stage::replacement;
use super::{WorkTree, WorkTreeError, settings};
use changelog::{Markers, MergeOptions, entry_start, merge_heads};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The driver's name in `.gitattributes` and in git's configuration.
const NAME: &str = "bb-changelog";

/// What git tells its driver.
#[derive(Clone, Debug)]
pub struct DriverRun {
    /// `%O`.
    pub base: PathBuf,
    /// `%A`: read, and replaced by the result.
    pub ours: PathBuf,
    /// `%B`.
    pub theirs: PathBuf,
    /// `%L`, `%X`, `%Y`.
    pub markers: Markers,
    /// `%P`: the file's path in the repository.
    pub path: Option<String>,
}

/// Merges, writes the result to `ours`, and says how many conflicts are marked in it. The folder's `.bb.toml` says the order.
///
/// # Errors
/// [`WorkTreeError::File`] if a file can't be read or written; `ours` is as it was then.
pub fn run_driver(run: &DriverRun, folder: &Path) -> Result<usize, WorkTreeError> {
    let mut files = [Open::of(&run.base)?, Open::of(&run.ours)?, Open::of(&run.theirs)?];
    let tail = common_tail(&mut files)?;
    let mut heads = [Vec::new(), Vec::new(), Vec::new()];
    for (file, head) in files.iter_mut().zip(&mut heads) {
        *head = file.read(0, file.len - tail.len)?;
    }
    let [base, ours, theirs] = heads;
    // A mistake elsewhere in the recipe is no reason to fail a merge: then the default order it is.
    let places = settings::places(folder).unwrap_or_default();
    let place = run.path.as_ref().and_then(|path| places.iter().find(|p| p.path == *path));
    let order = place.or(places.first()).map_or_else(Default::default, |p| p.order);
    let options = MergeOptions { order, markers: run.markers.clone() };
    let merged = merge_heads(&base, &ours, &theirs, &tail.first_lines, &options);
    if merged.bytes != ours {
        replace_head(&run.ours, &mut files[1], &merged.bytes, tail.len)?;
    }
    Ok(merged.conflicts)
}

/// A file being read from its end.
struct Open {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Open {
    fn of(path: &Path) -> Result<Self, WorkTreeError> {
        let open = || {
            let file = File::open(path)?;
            let found = file.metadata()?;
            if found.is_dir() {
                return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
            }
            Ok((file, found.len()))
        };
        let (file, len) = open().map_err(WorkTreeError::file(path))?;
        Ok(Self { path: path.to_owned(), file, len })
    }

    fn read(&mut self, from: u64, len: u64) -> Result<Vec<u8>, WorkTreeError> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.fill(from, &mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, from: u64, bytes: &mut [u8]) -> Result<(), WorkTreeError> {
        self.file.read_exact_at(bytes, from).map_err(WorkTreeError::file(&self.path))
    }
}

/// What the three files have in common at their ends: it starts with an entry, and is not read into memory.
struct Tail {
    len: u64,
    first_lines: Vec<u8>,
}

/// How much is compared at a time: little memory to ask for, in a program that git starts for each file.
const BLOCK: usize = 16 << 10;
/// How far the start of an entry is looked for: mostly it is near.
const SEARCHED: [u64; 2] = [4 << 10, 256 << 10];

fn common_tail(files: &mut [Open; 3]) -> Result<Tail, WorkTreeError> {
    let none = Tail { len: 0, first_lines: Vec::new() };
    let shortest = files.iter().map(|f| f.len).min().unwrap_or(0);
    let mut start = [0; 1];
    if files[1].len > 0 {
        files[1].fill(0, &mut start)?;
    }
    // Markdown is merged by its sections, as a whole.
    if shortest == 0 || start == *b"#" {
        return Ok(none);
    }
    let mut blocks = [vec![0; BLOCK], vec![0; BLOCK], vec![0; BLOCK]];
    let mut same = 0;
    while same < shortest {
        let size = BLOCK.min(usize::try_from(shortest - same).unwrap_or(BLOCK));
        for (file, block) in files.iter_mut().zip(&mut blocks) {
            file.fill(file.len - same - size as u64, &mut block[..size])?;
        }
        let [a, b, c] = [&blocks[0][..size], &blocks[1][..size], &blocks[2][..size]];
        if a != b || a != c {
            let equal = (1..=size).take_while(|n| a[size - n] == b[size - n] && a[size - n] == c[size - n]).count();
            same += equal as u64;
            break;
        }
        same += size as u64;
    }
    for searched in SEARCHED {
        let first_lines = files[0].read(files[0].len - same, same.min(searched))?;
        if let Some(at) = entry_start(&first_lines) {
            return Ok(Tail { len: same - at as u64, first_lines: first_lines[at..].to_vec() });
        }
    }
    Ok(none)
}

/// Replaces a file by a new head and its own tail.
fn replace_head(path: &Path, file: &mut Open, head: &[u8], tail: u64) -> Result<(), WorkTreeError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut write = || -> std::io::Result<()> {
        // Git reads the file at once and stores what it says itself, so nothing need reach the disk now.
        let mut new = tempfile::Builder::new().prefix(".bb-").tempfile_in(folder)?;
        new.write_all(head)?;
        file.file.seek(SeekFrom::Start(file.len - tail))?;
        let copied = std::io::copy(&mut (&file.file).take(tail), new.as_file_mut())?;
        if copied != tail {
            return Err(std::io::Error::other("the file changed while it was read"));
        }
        new.as_file().set_permissions(file.file.metadata()?.permissions())?;
        // Replaced in one step all the same, without the disk being waited for, as some file systems do for what replaces a file.
        match renameat_with(CWD, new.path(), CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => new.close(),
            Err(_) => new.persist(path).map(drop).map_err(|e| e.error),
        }
    };
    write().map_err(WorkTreeError::file(path))
}

/// How to install the driver.
#[derive(Clone, Debug)]
pub struct DriverInstall {
    /// The command that git shall run, quoted for a shell: `bb`, or a whole path.
    pub command: String,
}

/// What was written or removed.
#[derive(Clone, Debug, Serialize)]
pub struct Installed {
    /// Lines added to or removed from `.gitattributes`.
    pub attributes: Vec<String>,
    /// Settings in the repository's git configuration.
    pub config: Vec<String>,
}

impl WorkTree {
    /// Makes git merge the project's ChangeLogs by this driver.
    ///
    /// # Errors
    /// See [`WorkTreeError`].
    pub fn install_driver(&self, install: &DriverInstall) -> Result<Installed, WorkTreeError> {
        let lines = self.attribute_lines()?;
        let path = self.top.join(".gitattributes");
        let mut text = read_or_empty(&path)?;
        let mut added = Vec::new();
        for line in lines {
            if !has_line(&text, &line) {
                if !text.is_empty() && !text.ends_with(b"\n") {
                    text.push(b'\n');
                }
                text.extend_from_slice(line.as_bytes());
                text.push(b'\n');
                added.push(line);
            }
        }
        // A command that can't be found exits with 127, which git would take for a conflict, and leave ours without a mark. Before
        // 2.42 it takes everything for one, so that what it finds then is at least what it would have made itself, with its marks.
        let plain = "git merge-file -q --marker-size=%L -L ours -L base -L theirs %A %O %B";
        let failed = format!("{{ s=$?; [ $s -lt 126 ] || {{ {plain}; s=129; }}; exit $s; }}");
        let driver = format!("{} changelog driver %O %A %B %L %P %X %Y || {failed}", install.command);
        let config = [("name", "ChangeLog entries, newest first (bb)".to_owned()), ("driver", driver)];
        let mut set = Vec::new();
        for (key, value) in config {
            let key = format!("merge.{NAME}.{key}");
            self.git.run(&["config", "--local", &key, &value])?;
            set.push(format!("{key} = {value}"));
        }
        if !added.is_empty() {
            write(&path, &text)?;
        }
        Ok(Installed { attributes: added, config: set })
    }

    /// Takes away what [`WorkTree::install_driver`] wrote.
    ///
    /// # Errors
    /// See [`WorkTreeError`].
    pub fn uninstall_driver(&self) -> Result<Installed, WorkTreeError> {
        let path = self.top.join(".gitattributes");
        let text = read_or_empty(&path)?;
        let ours = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_whitespace();
            words.next().is_some() && words.collect::<Vec<_>>() == [format!("merge={NAME}").as_str()]
        };
        let mut kept = Vec::new();
        let mut attributes = Vec::new();
        for line in text.split_inclusive(|&b| b == b'\n') {
            if ours(line) {
                attributes.push(String::from_utf8_lossy(line).trim_end().to_owned());
            } else {
                kept.extend_from_slice(line);
            }
        }
        if !attributes.is_empty() {
            if kept.is_empty() {
                fs::remove_file(&path).map_err(WorkTreeError::file(&path))?;
            } else {
                write(&path, &kept)?;
            }
        }
        let section = format!("merge.{NAME}");
        let had = self.git.ask(&["config", "--local", "--get", &format!("{section}.driver")])?;
        let mut config = Vec::new();
        if had.is_some() {
            self.git.run(&["config", "--local", "--remove-section", &section])?;
            config.push(section);
        }
        Ok(Installed { attributes, config })
    }

    /// A line of `.gitattributes` for each ChangeLog, and for fragments: two branches can have one of the same name. A ChangeLog at the root stands
    /// for those of its name in all folders.
    fn attribute_lines(&self) -> Result<Vec<String>, WorkTreeError> {
        let places = self.places()?;
        let mut lines: Vec<String> = Vec::new();
        for place in &places {
            let mut patterns = vec![place.path.clone()];
            patterns.extend(place.rules.names.iter().map(|n| place.rooted(n)));
            for folder in place.rules.folders() {
                patterns.push(format!("{}/*.ChangeLog", place.rooted(folder)));
            }
            for pattern in patterns {
                let line = format!("{} merge={NAME}", quoted(&pattern));
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        Ok(lines)
    }
}

/// A pattern with a blank is written as a C string; one with a slash is rooted.
fn quoted(pattern: &str) -> String {
    let pattern = if pattern.contains('/') { format!("/{pattern}") } else { pattern.to_owned() };
    if pattern.contains([' ', '\t', '"']) {
        format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"))
    } else {
        pattern
    }
}

fn has_line(text: &[u8], line: &str) -> bool {
    text.split(|&b| b == b'\n').any(|l| String::from_utf8_lossy(l).trim_end() == line)
}

fn read_or_empty(path: &Path) -> Result<Vec<u8>, WorkTreeError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(WorkTreeError::file(path)(error)),
        Ok(found) if !found.is_file() => {
            let what = if found.is_dir() { "a folder" } else { "a symbolic link" };
            Err(WorkTreeError::NotAFile { path: String::from_utf8_lossy(bytes_of(path)).into_owned(), what })
        }
        Ok(_) => fs::read(path).map_err(WorkTreeError::file(path)),
    }
}

fn write(path: &Path, text: &[u8]) -> Result<(), WorkTreeError> {
    let file = replacement(path, text)?;
    file.persist(path).map_err(|e| WorkTreeError::File { path: path.to_owned(), source: e.error })?;
    Ok(())
}
