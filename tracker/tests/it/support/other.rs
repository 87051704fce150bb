//! Servers for git's own protocol and for ssh.

use super::plain_git;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tracker::git::{Git, SshSettings};

/// git's own server for `git://`, on loopback; it serves the repositories below a folder.
pub(crate) fn daemon(root: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let base = format!("--base-path={}", root.display());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (one, other) = (OwnedFd::from(stream.try_clone().unwrap()), OwnedFd::from(stream));
            let mut daemon = plain_git();
            daemon.args(["daemon", "--inetd", "--export-all", &base]).stderr(Stdio::null());
            let mut child = daemon.stdin(Stdio::from(one)).stdout(Stdio::from(other)).spawn().unwrap();
            std::thread::spawn(move || child.wait());
        }
    });
    address
}

/// A git whose ssh is a script that notes what it was called with in a file beside it, and then does `then`.
pub(crate) fn git_with_ssh(folder: &Path, then: &str) -> (Git, PathBuf) {
    std::fs::create_dir_all(folder).unwrap();
    let (ssh, called) = (folder.join("ssh"), folder.join("called"));
    std::fs::write(&ssh, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n{then}\n", called.display())).unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    let known_hosts = Some(folder.join("known_hosts"));
    (
        Git::find_in(None, tracker::git::OLDEST, folders)
            .unwrap()
            .with_ssh(SshSettings { known_hosts, identity: None }),
        called,
    )
}

/// Does what the server's shell does with the command that ssh brings.
pub(crate) const AS_A_SERVER: &str = "for last; do :; done\neval \"exec git ${last#git-}\"";
