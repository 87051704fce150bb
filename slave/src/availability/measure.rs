//! What the machine is like now, read from files of the kernel and the system. Whatever is not there is not known.

use gate::availability::Measured;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Measures the machine; `work` is where builds work, and `basedir` where their logs and mirrors are: the fuller counts.
pub fn measure(work: &Path, basedir: &Path) -> Measured {
    Measured { free_disk: free_disk(work, basedir), ..measure_at(Path::new("/")) }
}

/// The same with the system's files below another folder.
fn measure_at(root: &Path) -> Measured {
    Measured {
        load: load(root),
        logged_in: logged_in(root),
        idle_s: idle_s(root),
        on_battery: on_battery(root),
        free_disk: None,
        free_memory: free_memory(root),
    }
}

/// Bytes free for this user where builds work or where their logs are, whichever is fewer.
pub(super) fn free_disk(work: &Path, basedir: &Path) -> Option<u64> {
    [work, basedir].into_iter().filter_map(free_in).min()
}

fn free_in(folder: &Path) -> Option<u64> {
    // The nearest that is there: a work folder may not have been made yet.
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let all = rustix::fs::statvfs(there).ok()?;
    Some(all.f_bavail.saturating_mul(all.f_frsize))
}

fn load(root: &Path) -> Option<f64> {
    let text = fs::read_to_string(root.join("proc/loadavg")).ok()?;
    text.split_whitespace().next()?.parse().ok().filter(|load: &f64| load.is_finite())
}

fn free_memory(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let kib: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix("kB")?.trim().parse().ok())?;
    kib.checked_mul(1024)
}

/// Sessions of people, as the log-in manager writes them down; else terminals of users in `utmp`.
fn logged_in(root: &Path) -> Option<u32> {
    if let Ok(sessions) = fs::read_dir(root.join("run/systemd/sessions")) {
        let people = sessions.flatten().filter(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let has = |line: &str| text.lines().any(|it| it == line);
            // Also of services and log-in screens there are sessions.
            has("CLASS=user") && !has("STATE=closing")
        });
        return u32::try_from(people.count()).ok();
    }
    users_of_utmp(&fs::read(root.join("run/utmp")).ok()?)
}

/// How many records of `utmp` are a user's; the records are as the system of this machine has them.
fn users_of_utmp(bytes: &[u8]) -> Option<u32> {
    const RECORD: usize = 384;
    const USER_PROCESS: i16 = 7;
    if !bytes.len().is_multiple_of(RECORD) {
        return None;
    }
    let users = bytes.chunks_exact(RECORD).filter(|record| i16::from_ne_bytes([record[0], record[1]]) == USER_PROCESS);
    u32::try_from(users.count()).ok()
}

/// Seconds since a terminal was last read from, as `w` tells it: the text consoles, those of windows and of ssh. What is typed into a
/// window that is no terminal is not seen by this.
fn idle_s(root: &Path) -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let mut last: Option<u64> = None;
    for folder in ["dev", "dev/pts"] {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let number = if folder == "dev" { name.strip_prefix("tty") } else { Some(&*name) };
            if !number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
                continue;
            }
            // A console that nobody is on belongs to root, and is as old as the machine's start.
            let used = entry.metadata().ok().and_then(|data| u64::try_from(data.atime()).ok());
            last = last.max(used);
        }
    }
    last.map(|last| now.saturating_sub(last))
}

fn on_battery(root: &Path) -> Option<bool> {
    let supplies = fs::read_dir(root.join("sys/class/power_supply")).ok()?;
    let read = |path: std::path::PathBuf| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let (mut mains, mut discharging) = (None, None);
    for supply in supplies.flatten().map(|entry| entry.path()) {
        match read(supply.join("type")).as_deref() {
            Some("Mains" | "USB") => {
                let online = read(supply.join("online")).as_deref() == Some("1");
                mains = Some(mains.unwrap_or(false) || online);
            }
            // Batteries of mice and keyboards say whose they are.
            Some("Battery") if read(supply.join("scope")).as_deref() != Some("Device") => {
                let empties = read(supply.join("status")).as_deref() == Some("Discharging");
                discharging = Some(discharging.unwrap_or(false) || empties);
            }
            _ => {}
        }
    }
    match (mains, discharging) {
        (_, Some(discharging)) => Some(discharging && mains != Some(true)),
        // A machine without a battery never runs on one.
        (_, None) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_laptop_tells_what_it_is_like() {
        let root = machine(&[
            ("proc/loadavg", "1.25 0.80 0.60 2/345 6789\n"),
            ("proc/meminfo", "MemTotal:  16000000 kB\nMemAvailable:    1048576 kB\n"),
            ("run/systemd/sessions/3", "UID=1000\nCLASS=user\nSTATE=active\n"),
            ("run/systemd/sessions/c1", "UID=42\nCLASS=greeter\nSTATE=online\n"),
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/AC/online", "0\n"),
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/status", "Discharging\n"),
            ("dev/pts/4", ""),
            ("dev/pts/ptmx", ""),
        ]);
        let it = measure_at(root.path());
        assert_eq!(
            (it.load, it.logged_in, it.on_battery, it.free_memory),
            (Some(1.25), Some(1), Some(true), Some(1 << 30))
        );
        assert!(it.idle_s.is_some());
        fs::write(root.path().join("sys/class/power_supply/AC/online"), "1\n").unwrap();
        assert_eq!(measure_at(root.path()).on_battery, Some(false));
    }

    #[test]
    fn what_is_not_there_or_is_nonsense_is_not_known() {
        let root =
            machine(&[("proc/loadavg", "NaN"), ("proc/meminfo", "MemAvailable: many kB\n"), ("run/utmp", "short")]);
        assert_eq!(measure_at(root.path()), Measured::default());
        assert!(free_disk(root.path(), &root.path().join("not/there/yet")).is_some());
    }
}
