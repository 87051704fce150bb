//! The machine's processes, read from `/proc`, and signals to them that can't hit another process by mistake.
//!
//! A process is signalled through a descriptor that is opened first and checked afterwards, so that a number given to
//! a new process in between is noticed.

use crate::user::BuildUser;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use std::collections::{HashMap, HashSet};
use std::io::Read as _;

/// One process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: Pid,
    parent: i32,
    users: [u32; 4],
}

impl Process {
    /// Whether it runs under this user in any way.
    pub(crate) fn belongs_to(&self, user: BuildUser) -> bool {
        self.users.contains(&user.id())
    }

    /// Sends it a signal, unless its number is another process' by now. A process whose parent changed meanwhile is left
    /// alone too; whoever asks again finds it again.
    pub(crate) fn signal(&self, with: Signal) {
        let same = |now: Self| now.parent == self.parent && now.users == self.users;
        signal(self.pid, with, |pid| Self::read(pid).is_some_and(same));
    }

    fn read(pid: Pid) -> Option<Self> {
        // What is wanted stands before the first kilobyte's end, and the kernel gives that in one piece.
        let mut status = [0; 1024];
        let mut file = std::fs::File::open(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
        let length = file.read(&mut status).ok()?;
        parse(pid, &String::from_utf8_lossy(&status[..length]))
    }
}

fn parse(pid: Pid, status: &str) -> Option<Process> {
    // The first line is the name, which a process chooses, with line feeds escaped; what is wanted comes after it.
    let field = |name: &str| status.lines().skip(1).find_map(|line| line.strip_prefix(name));
    let parent = field("PPid:")?.trim().parse().ok()?;
    let mut users = field("Uid:")?.split_whitespace().map_while(|id| id.parse().ok());
    let users = [users.next()?, users.next()?, users.next()?, users.next()?];
    Some(Process { pid, parent, users })
}

/// All processes there are, those that ended but were not collected included.
pub(crate) fn all() -> Vec<Process> {
    pids().filter_map(Process::read).collect()
}

/// The numbers of all processes.
fn pids() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
}

/// Those of `all` that descend from `ancestor`, itself not included.
pub(crate) fn descendants(all: &[Process], ancestor: Pid) -> HashSet<Pid> {
    let mut children: HashMap<i32, Vec<Pid>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut found = HashSet::new();
    let mut next = vec![ancestor];
    while let Some(pid) = next.pop() {
        for &child in children.get(&pid.as_raw_nonzero().get()).into_iter().flatten() {
            if child != ancestor && found.insert(child) {
                next.push(child);
            }
        }
    }
    found
}

/// Those whose first environment holds `NAME=PREFIX…`, this process not included.
pub(crate) fn marked(name: &str, prefix: &str) -> Vec<Pid> {
    let own = rustix::process::getpid();
    pids().filter(|&pid| pid != own && is_marked(pid, name, prefix)).collect()
}

/// Whether its first environment holds `NAME=PREFIX…`.
pub(crate) fn is_marked(pid: Pid, name: &str, prefix: &str) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())) else { return false };
    let wanted = format!("{name}={prefix}");
    environment.split(|&b| b == 0).any(|entry| entry.starts_with(wanted.as_bytes()))
}

/// Sends a signal, if the process is still what it was: `still` is asked after it was taken hold of.
pub(crate) fn signal(pid: Pid, signal: Signal, still: impl FnOnce(Pid) -> bool) {
    if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
        && still(pid)
    {
        let _ = pidfd_send_signal(handle, signal);
    }
}

/// KILL for many at once.
pub(crate) enum Kill {}

impl Kill {
    /// Kills every process of a build's user at one stroke, so that not even a fork bomb can outrun it.
    ///
    /// A thread of this process becomes that user, which only root can, and then signals everything it may. The thread
    /// ends with that. It can hit nothing else: [`BuildUser`] is never root and never a person.
    pub(crate) fn all_of(user: BuildUser) {
        let _ = std::thread::spawn(move || {
            let changed = rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(user.id())).is_ok();
            if changed && rustix::process::getuid().as_raw() == user.id() && !rustix::process::geteuid().is_root() {
                // The group of process 1 stands for "all that may be signalled" (kill(2), pid -1).
                let _ = kill_process_group(Pid::INIT, Signal::KILL);
            }
        })
        .join();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_can_not_pose_as_another_field() {
        let pid = Pid::from_raw(7).unwrap();
        let status = "Name:\tPPid:\t1\nUmask:\t0022\nPPid:\t42\nUid:\t1\t2\t3\t4\n";
        let process = parse(pid, status).unwrap();
        assert_eq!((process.parent, process.users), (42, [1, 2, 3, 4]));
    }

    #[test]
    fn this_process_is_a_descendant_of_its_parent() {
        let own = rustix::process::getpid();
        let parent = rustix::process::getppid().unwrap();
        assert!(descendants(&all(), parent).contains(&own));
        assert!(!descendants(&all(), own).contains(&own));
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let process = |pid, parent| Process { pid: Pid::from_raw(pid).unwrap(), parent, users: [0; 4] };
        let all = [process(2, 3), process(3, 2), process(4, 3)];
        assert_eq!(descendants(&all, Pid::from_raw(2).unwrap()).len(), 2);
    }
}
