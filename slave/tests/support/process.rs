//! The machine's processes, as a test sees them.

use super::PATIENCE;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A number that no other test uses, to be slept for, so that a process can be recognised by it.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("8{:07}{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn command_line(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// Processes of which the program sleeps for this number.
pub fn sleepers(unique: &str) -> Vec<u32> {
    pids().into_iter().filter(|&pid| command_line(pid).trim() == format!("sleep {unique}")).collect()
}

/// Waits until there are some, or none, that sleep for this number.
pub async fn until_sleepers(unique: &str, wanted: bool) -> Vec<u32> {
    let begin = Instant::now();
    loop {
        let found = sleepers(unique);
        if found.is_empty() != wanted {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "sleepers: {found:?}, wanted: {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The supervisor above a process.
pub fn supervisor_of(pid: u32) -> u32 {
    let mut above = parent(pid).unwrap();
    while !command_line(above).contains("slave-launch") {
        above = parent(above).unwrap();
        assert!(above > 1, "no supervisor");
    }
    above
}

/// `kill -9` for a process of the test's own.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// The most memory that a process had, in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap() << 10
}

/// A slave in a process of its own.
pub struct Slave(Child);

impl Slave {
    /// Runs a basedir's slave; its configuration is `toml`.
    pub fn start(basedir: &Path, toml: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_slave-under-test");
        Self::start_by(&[program], basedir, toml)
    }

    /// The same with words before the program's own.
    pub fn start_by(words: &[&str], basedir: &Path, toml: &str) -> Self {
        let mut file = std::fs::File::create(basedir.join("slave.toml")).unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("run").arg(basedir).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
