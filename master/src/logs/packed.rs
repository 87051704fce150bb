//! Logs of builds that ended, compressed, of which any place can be read at once.
//!
//! A packed log is `STEP.log.zst` in the place of `STEP.log`, in the Zstandard seekable format: frames that are compressed
//! each alone, then a table of their sizes in a frame that decompressors pass over
//! (<https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md>). So `zstdcat`
//! reads it, too. A log that still grows is never packed: what is acknowledged stands in a plain file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes of a log in a frame; only the last frame has fewer.
const FRAME: usize = 128 << 10;
/// zstd's own default: three times as quick as a disk, and a tenth of most logs.
const LEVEL: i32 = 3;
/// What begins a frame that decompressors pass over, as the seekable format has it, and what ends the file.
const SKIPPED: u32 = 0x184D_2A5E;
const SEEKABLE: u32 = 0x8F92_EAB1;
/// Bytes of an entry of the table: a frame's size, compressed and not.
const ENTRY: usize = 8;
/// Bytes before the entries, and after them.
const HEAD: usize = 8;
const FOOT: usize = 9;

/// Where the packed form of a log is.
pub(crate) fn path_of(log: &Path) -> PathBuf {
    log.with_extension("log.zst")
}

/// Packs a log: afterwards the packed form is durable and the plain one is gone. May be broken off anywhere, and begun anew.
///
/// # Errors
/// When a file can't be read or written, as on a full disk; the plain one stays.
pub(super) fn pack(log: &Path) -> io::Result<()> {
    let (packed, new) = (path_of(log), log.with_extension("log.zst.new"));
    let written = write(log, &new).and_then(|()| fs::rename(&new, &packed));
    if let Err(error) = written {
        // Nothing is lost if it stays: the next attempt overwrites it.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    if let Some(folder) = log.parent() {
        File::open(folder)?.sync_all()?;
    }
    fs::remove_file(log)
}

fn write(log: &Path, to: &Path) -> io::Result<()> {
    let mut log = File::open(log)?;
    let mut to = BufWriter::new(File::create(to)?);
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    // A disk that changed a frame is found out.
    compressor.include_checksum(true)?;
    let (mut table, mut frame) = (Vec::new(), Vec::with_capacity(FRAME));
    loop {
        frame.clear();
        (&mut log).take(FRAME as u64).read_to_end(&mut frame)?;
        if frame.is_empty() {
            break;
        }
        let compressed = compressor.compress(&frame)?;
        to.write_all(&compressed)?;
        for size in [compressed.len(), frame.len()] {
            table.extend(u32::try_from(size).map_err(io::Error::other)?.to_le_bytes());
        }
    }
    let number = |n: usize| u32::try_from(n).map_err(io::Error::other);
    to.write_all(&SKIPPED.to_le_bytes())?;
    to.write_all(&number(table.len() + FOOT)?.to_le_bytes())?;
    to.write_all(&table)?;
    to.write_all(&number(table.len() / ENTRY)?.to_le_bytes())?;
    to.write_all(&[0])?;
    to.write_all(&SEEKABLE.to_le_bytes())?;
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A packed log, open for reading.
#[derive(Debug)]
pub(super) struct Packed {
    file: File,
    /// Where each frame ends in the file.
    ends: Vec<u64>,
    len: u64,
    /// The frame that was read last, by its number: who reads a log reads it from one place on.
    last: Mutex<Option<(usize, Vec<u8>)>>,
}

impl Packed {
    /// Opens it.
    ///
    /// # Errors
    /// When the file is not there, can't be read, or is none that [`pack`] wrote.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let foot_at = size.checked_sub(FOOT as u64).ok_or_else(damaged)?;
        let mut foot = [0; FOOT];
        file.read_exact_at(&mut foot, foot_at)?;
        let count = u64::from(word(&foot, 0));
        // What the file says of its own size is believed only as far as the file is long.
        let entries = count * ENTRY as u64;
        let table_at = foot_at.checked_sub(entries).ok_or_else(damaged)?;
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, table_at.checked_sub(HEAD as u64).ok_or_else(damaged)?)?;
        let right = word(&head, 0) == SKIPPED
            && u64::from(word(&head, 4)) == entries + FOOT as u64
            && foot[4] == 0
            && word(&foot, 5) == SEEKABLE;
        if !right {
            return Err(damaged());
        }
        let mut table = vec![0; usize::try_from(entries).map_err(io::Error::other)?];
        file.read_exact_at(&mut table, table_at)?;
        let (mut ends, mut end, mut len) = (Vec::with_capacity(table.len() / ENTRY), 0, 0);
        for (number, entry) in table.chunks_exact(ENTRY).enumerate() {
            let (compressed, plain) = (u64::from(word(entry, 0)), u64::from(word(entry, 4)));
            let last = number as u64 + 1 == count;
            if plain > FRAME as u64 || plain == 0 || (!last && plain < FRAME as u64) {
                return Err(damaged());
            }
            end += compressed;
            len += plain;
            ends.push(end);
        }
        if end + HEAD as u64 != table_at {
            return Err(damaged());
        }
        Ok(Self { file, ends, len, last: Mutex::new(None) })
    }

    /// How many bytes the log has.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// What tells the file from another one of its name.
    pub(super) fn inode(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.ino())
    }

    /// Reads bytes of the log from `at` on; fewer than there is room for at the end of a frame, none at the log's end.
    ///
    /// # Errors
    /// When the file can't be read, or a frame is damaged.
    pub(super) fn read_at(&self, room: &mut [u8], at: u64) -> io::Result<usize> {
        if at >= self.len || room.is_empty() {
            return Ok(0);
        }
        let number = usize::try_from(at / FRAME as u64).map_err(io::Error::other)?;
        let offset = usize::try_from(at % FRAME as u64).map_err(io::Error::other)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = match last.take() {
            Some((of, frame)) if of == number => frame,
            _ => self.frame(number)?,
        };
        let have = frame.get(offset..).unwrap_or_default();
        let n = have.len().min(room.len());
        room[..n].copy_from_slice(&have[..n]);
        *last = Some((number, frame));
        if n == 0 { Err(damaged()) } else { Ok(n) }
    }

    fn frame(&self, number: usize) -> io::Result<Vec<u8>> {
        let begin = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = *self.ends.get(number).ok_or_else(damaged)?;
        // A frame that does not become smaller grows by little: what is longer was not written by `pack`.
        let size = usize::try_from(end - begin).map_err(io::Error::other)?;
        if size > 2 * FRAME {
            return Err(damaged());
        }
        let mut compressed = vec![0; size];
        self.file.read_exact_at(&mut compressed, begin)?;
        zstd::bulk::decompress(&compressed, FRAME)
    }
}

/// The number of four bytes at `at`; 0 where they are not.
fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_le_bytes)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the packed log is damaged: restore it from a backup")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn packed(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("1.log");
        fs::write(&log, bytes).unwrap();
        pack(&log).unwrap();
        assert!(!log.exists());
        (folder, path_of(&log))
    }

    fn text(len: usize) -> Vec<u8> {
        (0u32..).flat_map(|n| format!("line {}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).take(len).collect()
    }

    fn read(packed: &Packed, mut at: u64, len: usize) -> Vec<u8> {
        let (mut all, mut room) = (Vec::new(), vec![0; 1000]);
        while all.len() < len {
            let most = room.len().min(len - all.len());
            match packed.read_at(&mut room[..most], at).unwrap() {
                0 => break,
                n => {
                    all.extend_from_slice(&room[..n]);
                    at += n as u64;
                }
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// Whatever its length, any place of a log reads as it was written.
        #[test]
        fn any_place_reads_as_it_was_written(
            len in prop_oneof![0..10usize, FRAME - 2..FRAME + 3, 2 * FRAME - 1..2 * FRAME + 2, 0..5 * FRAME],
            places in prop::collection::vec((any::<prop::sample::Index>(), 0..3 * FRAME), 1..8),
        ) {
            let bytes = text(len);
            let (_folder, path) = packed(&bytes);
            let packed = Packed::open(&path).unwrap();
            prop_assert_eq!(packed.len(), len as u64);
            for (at, most) in places {
                let at = at.index(len + 1);
                let wanted = &bytes[at..(at + most).min(len)];
                prop_assert!(read(&packed, at as u64, most) == wanted, "{most} bytes at {at} of {len}");
            }
        }
    }

    #[test]
    fn any_decompressor_reads_it() {
        let bytes = text(3 * FRAME + 5);
        let (_folder, path) = packed(&bytes);
        let whole = zstd::stream::decode_all(File::open(&path).unwrap()).unwrap();
        assert!(whole == bytes);
        let size = fs::metadata(&path).unwrap().len();
        assert!(size * 2 < bytes.len() as u64, "{size}");
    }

    #[test]
    fn what_is_damaged_is_an_error_wherever_it_is() {
        let bytes = text(FRAME + 500);
        let (_folder, path) = packed(&bytes);
        let good = fs::read(&path).unwrap();
        // Each byte of the table and what is around it, and some of all others.
        let places = (0..good.len()).filter(|at| at % 997 == 0 || at + 40 > good.len());
        for at in places {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            fs::write(&path, &bad).unwrap();
            let whole = Packed::open(&path).and_then(|packed| {
                let mut room = vec![0; bytes.len()];
                let first = packed.read_at(&mut room, 0)?;
                let second = packed.read_at(&mut room[first..], first as u64)?;
                room.truncate(first + second);
                Ok(room)
            });
            assert!(whole.as_ref().is_ok_and(|whole| *whole == bytes) || whole.is_err(), "byte {at} of {}", good.len());
        }
        for len in [0, 1, 8, 16, 17, 25, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..len]).unwrap();
            assert!(Packed::open(&path).is_err(), "cut to {len}");
        }
        // A table of four thousand million entries is not made room for.
        let mut endless = good;
        let at = endless.len() - FOOT;
        endless[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        fs::write(&path, &endless).unwrap();
        assert!(Packed::open(&path).is_err());
    }

    #[test]
    fn one_that_was_broken_off_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("1.log");
        let bytes = text(FRAME * 2);
        fs::write(&log, &bytes).unwrap();
        // As a kill leaves it: half a file of the new name, and later both forms.
        fs::write(log.with_extension("log.zst.new"), b"half").unwrap();
        fs::write(path_of(&log), b"older").unwrap();
        pack(&log).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["1.log.zst"]);
        assert!(read(&Packed::open(&path_of(&log)).unwrap(), 0, bytes.len()) == bytes);
    }
}
