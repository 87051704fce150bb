//! The self-test: a small script, run as a build would be, tries to get out.

use super::{Next, Sandbox, Task};
use crate::launch::{End, Outcome};
use crate::seccomp;
use crate::work::Slot;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What to do when bubblewrap is not there or does not work.
pub(super) const HINT: &str = "install bubblewrap 0.8 or newer (Debian: `apt install bubblewrap`) and allow unprivileged user namespaces, or set `isolation = \"auto\"`";

/// The longest that the self-test may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Prints `NAME=VALUE` lines. `$1` is a file that must be out of reach.
const SCRIPT: &str = r#"
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
echo "caps=$(status CapEff)"
echo "bounding=$(status CapBnd)"
echo "no-new-privs=$(status NoNewPrivs)"
echo "seccomp=$(status Seccomp)"
echo "filters=$(status Seccomp_filters)"
if (: >/usr/.bb-probe) 2>/dev/null; then echo usr=written; else echo usr=refused; fi
for f in /.bb-probe /etc/.bb-probe /dev/.bb-probe /objects/.bb-probe; do (: >$f) 2>/dev/null && echo "root=written"; done; echo root=tried
if (: >/build/.bb-probe) 2>/dev/null; then echo work=written; else echo work=refused; fi
rm -f /build/.bb-probe
if cat "$1" >/dev/null 2>&1; then echo secret=read; else echo secret=refused; fi
echo "net=$(readlink /proc/self/ns/net)"
echo "pid=$(readlink /proc/self/ns/pid)"
echo "links=$(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')"
for f in /proc/$$/fd/*; do case ${f##*/} in 0|1|2) ;; *) readlink "$f" >/dev/null 2>&1 && echo "files=open" ;; esac; done
echo files=none
if unshare -U true 2>/dev/null; then echo userns=made; else echo userns=refused; fi
echo probe=done
"#;

/// Runs the self-test. Notes are for people: what was proven, or what failed.
pub(super) async fn run(sandbox: &Sandbox, slot: &Slot, secret: &Path) -> Result<Vec<String>, Vec<String>> {
    let answers = match tokio::time::timeout(LIMIT, ask(sandbox, slot, secret)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => return Err(vec![format!("bubblewrap can't be run: {error}"), HINT.to_owned()]),
        Err(_) => return Err(vec![format!("bubblewrap's self-test took longer than {} s", LIMIT.as_secs())]),
    };
    judge(&answers, &Here::look(), sandbox.filtered)
}

/// The namespaces of the slave, and the filters of system calls that it is itself under.
struct Here {
    net: String,
    pid: String,
    filters: u32,
}

impl Here {
    fn look() -> Self {
        let namespace = |kind: &str| {
            let link = std::fs::read_link(format!("/proc/self/ns/{kind}"));
            link.map_or_else(|_| String::new(), |link| link.to_string_lossy().into_owned())
        };
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let filters = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"));
        let filters = filters.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Self { net: namespace("net"), pid: namespace("pid"), filters }
    }
}

async fn ask(sandbox: &Sandbox, slot: &Slot, secret: &Path) -> io::Result<String> {
    slot.clean().await?;
    slot.hand_over().await?;
    let words = ["sh", "-c", SCRIPT, "probe"].map(str::to_owned);
    let argv = words.into_iter().chain([secret.to_string_lossy().into_owned()]).collect();
    let env = vec![("PATH".to_owned(), super::DEFAULT_PATH.to_owned())];
    let mut running = sandbox.start(slot, Task { argv, env, grace: Duration::ZERO }).await?;
    let mut said = Vec::new();
    let mut buffer = vec![0; 4096];
    let mut open = true;
    let outcome = loop {
        match running.next(&mut buffer, open).await {
            Next::Output(Ok(n @ 1..)) => said.extend_from_slice(&buffer[..n]),
            Next::Output(_) => open = false,
            Next::Ended(outcome) => break outcome,
        }
        said.truncate(64 << 10);
    };
    if let Some(Outcome { end: End::NotStarted(why), .. }) = outcome {
        return Err(io::Error::other(why));
    }
    while open && let Ok(n @ 1..) = running.read(&mut buffer).await {
        said.extend_from_slice(&buffer[..n]);
    }
    running.collect().await;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn judge(said: &str, here: &Here, filtered: bool) -> Result<Vec<String>, Vec<String>> {
    let mut answers = BTreeMap::new();
    for (name, value) in said.lines().filter_map(|line| line.split_once('=')) {
        // The first answer counts.
        answers.entry(name).or_insert(value);
    }
    let is = |name: &str, wanted: &str| answers.get(name).copied() == Some(wanted);
    if !is("probe", "done") {
        let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        return Err(vec![format!(
            "bubblewrap's self-test did not run: {}",
            first.chars().take(200).collect::<String>()
        )]);
    }
    let other = |name: &str, ours: &str| {
        !ours.is_empty() && answers.get(name).is_some_and(|there| !there.is_empty() && *there != ours)
    };
    let none = |name: &str| answers.get(name).is_some_and(|caps| !caps.is_empty() && caps.bytes().all(|b| b == b'0'));
    // Kernels before 5.9 don't count them.
    let count = answers.get("filters").and_then(|text| text.parse::<u32>().ok());
    let all = count.is_none_or(|count| count >= here.filters + seccomp::COUNT);
    let mut checks = vec![
        (none("caps") && none("bounding"), "capabilities are dropped", "a build has capabilities"),
        (is("no-new-privs", "1"), "setuid programs give nothing", "setuid programs give new rights"),
        (is("usr", "refused"), "/usr can't be written", "/usr can be written"),
        (is("root", "tried"), "nothing beside it can be written", "/, /etc, /dev or /objects can be written"),
        (is("work", "written"), "the work folder can be written", "the work folder can't be written"),
        (is("secret", "refused"), "the slave's token can't be read", "the slave's token can be read"),
        (
            other("net", &here.net) && answers.get("links").is_some_and(|links| links.trim() == "lo"),
            "no network, not even the machine's loopback",
            "the machine's network can be reached",
        ),
        (other("pid", &here.pid), "other processes can't be seen", "other processes can be seen"),
        (is("files", "none"), "no open file of the slave's is inherited", "open files of the slave are inherited"),
        (is("userns", "refused"), "no user namespace within", "another user namespace can be made within"),
    ];
    if filtered {
        checks.push((
            is("seccomp", "2") && all,
            "keys, io_uring, bpf, perf and other ways into the kernel are refused (seccomp)",
            "the filters of system calls are not in force",
        ));
    }
    let failed: Vec<_> = checks.iter().filter(|c| !c.0).map(|c| c.2.to_owned()).collect();
    if failed.is_empty() { Ok(checks.iter().map(|c| c.1.to_owned()).collect()) } else { Err(failed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn here() -> Here {
        Here { net: "net:[1]".to_owned(), pid: "pid:[2]".to_owned(), filters: 1 }
    }

    const GOOD: &str = "caps=0000000000000000\nbounding=0000000000000000\nno-new-privs=1\nseccomp=2\nfilters=4\nusr=refused\nroot=tried\nwork=written\n\
                        secret=refused\nnet=net:[9]\npid=pid:[8]\nlinks=lo \nfiles=none\nuserns=refused\nprobe=done\n";

    #[test]
    fn a_closed_sandbox_is_proven() {
        assert_eq!(judge(GOOD, &here(), true).unwrap().len(), 11);
        assert_eq!(judge(&GOOD.replace("filters=4", "filters="), &here(), true).unwrap().len(), 11, "an older kernel");
        assert_eq!(judge(&GOOD.replace("seccomp=2\nfilters=4", ""), &here(), false).unwrap().len(), 10);
    }

    #[test]
    fn every_hole_is_named() {
        for (good, bad, word) in [
            ("caps=0000000000000000", "caps=000001ffffffffff", "capabilities"),
            ("caps=0000000000000000", "caps=", "capabilities"),
            ("no-new-privs=1", "no-new-privs=0", "setuid"),
            ("seccomp=2", "seccomp=0", "system calls"),
            ("filters=4", "filters=3", "system calls"),
            ("usr=refused", "usr=written", "/usr"),
            ("root=tried", "root=written\nroot=tried", "/etc"),
            ("secret=refused", "secret=read", "token"),
            ("net=net:[9]", "net=net:[1]", "network"),
            ("links=lo ", "links=lo eth0 ", "network"),
            ("pid=pid:[8]", "pid=pid:[2]", "processes"),
            ("files=none", "files=open\nfiles=none", "open files"),
            ("userns=refused", "userns=made", "namespace"),
        ] {
            let notes = judge(&GOOD.replace(good, bad), &here(), true).unwrap_err();
            assert!(notes.len() == 1 && notes[0].contains(word), "{bad}: {notes:?}");
        }
    }

    #[test]
    fn what_bubblewrap_complains_of_is_told() {
        let notes = judge("bwrap: No permissions to create new namespace\n", &here(), true).unwrap_err();
        assert!(notes[0].contains("No permissions"), "{notes:?}");
    }
}
