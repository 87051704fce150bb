//! Waiting for what happens in a folder, by the kernel's word (inotify) and not by a clock.

use crate::world::PATIENCE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use std::mem::MaybeUninit;
use std::path::Path;

/// Waits until `check` is true. It is asked at first, and again after whatever happens to the folder's own entries.
///
/// # Panics
/// When it is not true after [`PATIENCE`], with `what` that it was to be; when the folder can't be watched.
pub fn until(folder: &Path, what: &str, mut check: impl FnMut() -> bool) {
    let queue = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("the kernel has inotify");
    add_watch(&queue, folder, WatchFlags::ALL_EVENTS).expect("the folder can be watched");
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(&queue, &mut buffer);
    let patience = Timespec { tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    while !check() {
        let mut ready = [PollFd::new(&queue, PollFlags::IN)];
        let happened = poll(&mut ready, Some(&patience)).expect("the watch can be asked");
        assert!(happened > 0, "nothing more happened in {}, waiting until {what}", folder.display());
        while reader.next().is_ok() {}
    }
}
