//! The supervisor by itself, when it is started by something else than a slave.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

/// Starts it with these words and this said to it, and gives what it says back.
fn launch(words: &[&str], said: &str) -> (Output, String) {
    let (mut control, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_slave-under-test"));
    command.arg("slave-launch").args(words).stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let supervisor = command.spawn().unwrap();
    drop(command);
    control.write_all(said.as_bytes()).unwrap();
    control.shutdown(std::net::Shutdown::Write).unwrap();
    let output = supervisor.wait_with_output().unwrap();
    let mut answer = String::new();
    let _ = control.read_to_string(&mut answer);
    (output, answer)
}

fn spec(user: &str) -> String {
    format!(
        "{{\"argv\":[\"/bin/sh\",\"-c\",\"id -u; sleep 1000\"],\"env\":[],\"folder\":\"/\",\"user\":{user},\"wrapped\":false,\"filtered\":false,\
         \"limits\":{{\"file_bytes\":1000,\"open_files\":64,\"processes\":64}},\"grace_ms\":0}}\n"
    )
}

#[test]
fn it_is_for_slaves_alone() {
    let (output, _) = launch(&["--help"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a slave starts it"));
    for said in ["", "no end of line", "not a spec\n"] {
        let (output, answer) = launch(&[], said);
        assert_eq!((output.status.code(), answer.as_str()), (Some(1), ""), "{said}");
    }
}

#[test]
fn it_never_runs_anything_as_root() {
    for user in ["null", "0", "1000"] {
        let (output, answer) = launch(&[], &spec(user));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if rustix::process::geteuid().is_root() || user != "null" {
            assert_eq!((output.status.code(), answer.as_str()), (Some(1), ""), "{user}");
            assert!(said.contains("root") || said.contains("can't be a build's user"), "{said}");
            assert!(output.stdout.is_empty());
        } else {
            assert!(answer.contains("\"survivors\":0"), "a plain user's own builds are ended: {answer}");
        }
    }
}

#[test]
fn it_ends_the_command_when_nobody_holds_the_other_end() {
    if rustix::process::geteuid().is_root() {
        let (output, answer) = launch(&[], &spec("2000000000"));
        assert!(output.status.success(), "{output:?}");
        assert!(answer.contains("\"signalled\":"), "{answer}");
    } else {
        let (output, answer) = launch(&[], &spec("null"));
        assert!(output.status.success() && answer.contains("\"signalled\":"), "{output:?} {answer}");
    }
}
