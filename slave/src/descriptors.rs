//! The one place with unsafe code, for what has no safe name: open descriptors that this process did not open itself.

use rustix::io::{FdFlags, fcntl_setfd};
use std::os::fd::{BorrowedFd, RawFd};

/// Keeps what this process inherited, standard input, output and error aside, from every program that it starts: neither
/// a build nor git has any business with a file that an admin's shell or a service manager happened to leave open.
///
/// The descriptors stay open here, so `--token-file /dev/fd/3` works. What Rust opens itself is closed on exec anyway.
/// To be called first of all, before there is another thread.
pub fn close_on_exec() {
    for number in inherited() {
        // SAFETY: borrowed for this one call, which neither closes nor uses it; a number that is open no more, as that
        // of the folder just read, gives an error.
        #[allow(unsafe_code)]
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}

/// The numbers of open descriptors above standard error; without `/proc`, all there may be.
fn inherited() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
        return (3..RawFd::try_from(most.min(1 << 20)).unwrap_or(1024)).collect();
    };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(|&number| number > 2).collect()
}
