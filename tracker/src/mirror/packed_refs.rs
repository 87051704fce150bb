//! The file `packed-refs`: git and libgit2 read no ref at all of a repository in which one line of it makes no sense. What is
//! good of it stays; which commit the others named, the rows know.

use super::durable::sync_folder;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// What is written of a file that was damaged: git works out by itself what tags lead to.
const HEADER: &str = "# pack-refs with: sorted \n";

/// Makes the file readable again; whether it was not. A copy of it as it was stays beside it.
///
/// # Errors
/// When it can't be read or written.
pub(super) fn mend(repository: &Path) -> io::Result<bool> {
    let file = repository.join("packed-refs");
    let read = fs::read(&file);
    let good = match &read {
        Ok(bytes) => good_of(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // The disk gives nothing of it, or it is no file.
        Err(error)
            if error.kind() == io::ErrorKind::IsADirectory
                || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) =>
        {
            Some(HEADER.as_bytes().to_vec())
        }
        Err(_) => return read.map(|_| false),
    };
    let Some(good) = good else { return Ok(false) };
    let lock = repository.join("packed-refs.lock");
    let mut new = match OpenOptions::new().write(true).create_new(true).open(&lock) {
        // Somebody writes it: then it is looked at another time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        new => new?,
    };
    let aside = file.with_extension("damaged");
    let put_aside = || match &read {
        Ok(bytes) => fs::write(&aside, bytes),
        Err(_) => fs::rename(&file, &aside),
    };
    let written = new.write_all(&good).and_then(|()| new.sync_all());
    let written = written.and_then(|()| put_aside()).and_then(|()| fs::rename(&lock, &file));
    if written.is_err() {
        let _ = fs::remove_file(&lock);
    }
    written?;
    tracing::warn!(path = %file.display(), "a damaged file of refs is mended; as it was it is {}", aside.display());
    sync_folder(repository)?;
    Ok(true)
}

/// What is good of such a file, when not all of it is.
fn good_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut refs, mut whole, mut last) = (BTreeMap::new(), bytes.is_empty() || bytes.ends_with(b"\n"), None);
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').peekable();
    let header = lines.next_if(|line| line.starts_with(b"#"));
    whole &= header.is_none_or(|line| line.starts_with(b"# pack-refs with:"));
    let is_sorted = header.is_some_and(|line| line.split(|b| *b == b' ').any(|word| word == b"sorted"));
    // Whether what a tag leads to may stand here.
    let mut after_ref = false;
    for line in lines {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if after_ref && line.strip_prefix(b"^").is_some_and(is_id) {
            after_ref = false;
            continue;
        }
        let parted = line.iter().position(|b| *b == b' ').map(|at| (&line[..at], &line[at + 1..]));
        let found = parted.filter(|(id, name)| is_id(id) && is_name(name));
        after_ref = found.is_some();
        let Some((id, name)) = found else {
            whole = false;
            continue;
        };
        // Of a file that is said to be in order and is not, most names are not found.
        whole &= !is_sorted || last.is_none_or(|last| last < name);
        last = Some(name);
        refs.entry(name).or_insert(id);
    }
    if whole {
        return None;
    }
    let mut good = HEADER.as_bytes().to_vec();
    for (name, id) in refs {
        good.extend([id, b" ", name, b"\n"].concat());
    }
    Some(good)
}

fn is_id(text: &[u8]) -> bool {
    [40, 64].contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit)
}

fn is_name(text: &[u8]) -> bool {
    text.starts_with(b"refs/") && git2::Reference::is_valid_name(&String::from_utf8_lossy(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_good_of_a_damaged_file_stays_and_a_good_one_is_left_alone() {
        let [a, b] = ["a", "b"].map(|c| c.repeat(40));
        let head = "# pack-refs with: peeled fully-peeled sorted \n";
        for good in [
            String::new(),
            head.to_owned(),
            format!("{head}{a} refs/branches/x/r1\n{b} refs/tags/v\n^{a}\n"),
            format!("{b} refs/tags/v\n{a} refs/heads/m\n"),
        ] {
            assert_eq!(good_of(good.as_bytes()), None, "{good}");
        }
        let both = format!("{HEADER}{a} refs/heads/m\n{b} refs/tags/v\n");
        let first = format!("{HEADER}{a} refs/heads/m\n");
        for (bad, left) in [
            (format!("{head}{a} refs/heads/m\n\0\0\0\n{b} refs/tags/v\n"), &both),
            (format!("{head}{b} refs/tags/v\n{a} refs/heads/m\n"), &both),
            (format!("#\u{1}pack{a} refs/heads/m\n{a} refs/heads/m\n{b} refs/tags/v\n"), &both),
            (format!("{head}{a} refs/heads/m\n^{b}\n^{b}\n{b} refs/tags/v\n"), &both),
            (format!("{head}{a} refs/heads/m\n{b} refs/tags/v"), &both),
            (format!("{head}{a} refs/heads/m\n{b}\n"), &first),
            (format!("{head}{a} refs/heads/m\n{b} refs/../v\n"), &first),
            (format!("{head}{a} refs/heads/m\n{b} HEAD\n"), &first),
            (format!("{head}{a} refs/heads/m\n{b}b refs/tags/v\n"), &first),
            (format!("{head}{a} refs/heads/m\n{b}"), &first),
            ("\0".repeat(4096), &HEADER.to_owned()),
        ] {
            let good = good_of(bad.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(good.clone()).unwrap(), **left, "{bad}");
            assert_eq!(good_of(&good), None);
        }
    }
}
