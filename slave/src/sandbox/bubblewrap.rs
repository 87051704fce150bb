//! The command line of bubblewrap.

use crate::launch::Attended;
use crate::work::Slot;
use std::path::{Path, PathBuf};

/// What of `/etc` toolchains need. Never the whole folder: there are secrets in it.
const ETC: [&str; 11] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki/ca-trust",
    "/etc/ssl/certs",
];

/// Folders at the root that are links into `/usr` on most systems and real folders on the others.
const ROOT: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Where builds find the objects of their history.
pub(super) const OBJECTS: &str = "/objects";

/// Bytes of shared memory, which is not limited unless it is said.
const SHM_BYTES: u64 = 256 << 20;

/// The command line that runs `argv` in a sandbox where only the slot's folders can be written.
///
/// The program that it names must not be started as root: inside, every user would be root of the machine.
pub(super) fn command(
    slot: &Slot,
    argv: &[String],
    env: &[(String, String)],
    read_only: &[PathBuf],
    tmp_bytes: u64,
    attended: Attended,
) -> Vec<String> {
    let mut line = Line(vec!["bwrap".to_owned()]);
    line.add(["--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]);
    line.add(["--cap-drop", "ALL", "--die-with-parent", "--hostname", "bb"]);
    if attended != Attended::AtTerminal {
        line.add(["--new-session"]);
    }
    line.add(["--ro-bind", "/usr", "/usr"]);
    for folder in ROOT {
        match std::fs::read_link(folder) {
            Ok(target) => line.add([Path::new("--symlink"), &target, Path::new(folder)]),
            Err(_) => line.add(["--ro-bind-try", folder, folder]),
        }
    }
    for path in ETC.into_iter().chain(["/opt", "/nix"]) {
        line.add(["--ro-bind-try", path, path]);
    }
    line.add(["--proc", "/proc", "--dev", "/dev"]);
    line.add(["--size", &SHM_BYTES.to_string(), "--tmpfs", "/dev/shm"]);
    line.add(["--size", &tmp_bytes.to_string(), "--tmpfs", "/tmp"]);
    for path in read_only {
        line.add([Path::new("--ro-bind"), path, path]);
    }
    for file in Slot::ETC {
        line.add([Path::new("--ro-bind"), &slot.etc(file), &Path::new("/etc").join(file)]);
    }
    line.add([Path::new("--ro-bind"), &slot.objects(), Path::new(OBJECTS)]);
    line.add([Path::new("--bind"), &slot.notes(), Path::new("/bb")]);
    line.add([Path::new("--bind"), &slot.work(), Path::new("/build")]);
    // What bubblewrap itself mounts there is memory without a limit.
    line.add(["--remount-ro", "/dev", "--remount-ro", "/"]);
    line.add(["--chdir", "/build", "--clearenv"]);
    for (name, value) in env {
        line.add(["--setenv", name, value]);
    }
    line.add(["--"]);
    line.0.extend(argv.iter().cloned());
    line.0
}

struct Line(Vec<String>);

impl Line {
    fn add<T: AsRef<std::ffi::OsStr>>(&mut self, words: impl IntoIterator<Item = T>) {
        self.0.extend(words.into_iter().map(|word| word.as_ref().to_string_lossy().into_owned()));
    }
}
