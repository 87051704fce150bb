//! What a build can't reach: as root, where builds have users of their own, and as a plain user.
//!
//! bubblewrap is needed (Debian: `apt install bubblewrap`), and a kernel that lets plain users make namespaces.
#![allow(clippy::unwrap_used)]

mod support;

use protocol::BuildResult::{Failure, Retry, Success};
use protocol::wire::{Availability, Isolation, Voice};
use slave::config::WantedIsolation;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use support::*;

/// Runs one step that looks at the machine from within, on a slave whose basedir is still there.
async fn look(isolation: WantedIsolation, text: impl FnOnce(&Master, &std::path::Path) -> String) -> Seen {
    let master = Master::start().await;
    let basedir = basedir();
    let step = sh("look", &text(&master, basedir.path()));
    let slave = Running::start_in(basedir, config(&master, isolation));
    master.give(assignment(1, vec![step]));
    let seen = master.finished(build(1)).await;
    slave.stop().await;
    seen
}

#[tokio::test]
async fn the_self_test_passes_here_and_the_master_hears_of_it() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::Auto));
    let hello = master.until("a hello", |m| m.hellos().pop()).await;
    let hint = "install bubblewrap (Debian: `apt install bubblewrap`)";
    assert_eq!(hello.isolation, Isolation::Bubblewrap, "{hint}: {:?}", hello.isolation_notes);
    assert!(hello.isolation_notes.iter().any(|note| note.contains("no network")), "{:?}", hello.isolation_notes);
    assert_eq!((hello.name.as_str(), hello.slots, &hello.labels[..]), ("testling", 1, &["linux".to_owned()][..]));
    slave.stop().await;
}

#[tokio::test]
async fn isolation_switched_off_is_said() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    let hello = master.until("a hello", |m| m.hellos().pop()).await;
    assert_eq!(hello.isolation, Isolation::None);
    let unlimited = "memory and disk space of a build are not limited";
    assert_eq!(hello.isolation_notes, ["bubblewrap is switched off in slave.toml", unlimited]);
    slave.stop().await;
}

#[tokio::test]
async fn a_sandbox_that_does_not_come_up_is_never_taken_for_one() {
    let master = Master::start().await;
    let mut demanded = config(&master, WantedIsolation::Bubblewrap);
    let later = tempfile::tempdir().unwrap();
    std::fs::set_permissions(later.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let toolchain = later.path().join("toolchain");
    demanded.read_only = vec![toolchain.clone()];
    let slave = Running::start(demanded.clone());
    let word = master.until_word(Availability::Unavailable).await;
    assert!(word.voice == Voice::Machine && word.reason.contains("its self-test failed"), "{word:?}");
    master.give(assignment(1, vec![sh("test", "true")]));
    assert_eq!(result(&master.finished(build(1)).await).0, Retry, "nothing runs in less than was demanded");
    // It tries again, and takes its word back when the cause is gone.
    std::fs::create_dir(&toolchain).unwrap();
    master.until_word(Availability::Eager).await;
    let hello =
        master.until("it as it is now", |m| m.hellos().pop().filter(|it| it.isolation != Isolation::None)).await;
    assert_eq!(hello.isolation, Isolation::Bubblewrap);
    slave.stop().await;

    let master = Master::start().await;
    let mut demanded = config(&master, WantedIsolation::Bubblewrap);
    demanded.read_only = vec!["/no/such/toolchain".into()];
    let slave = Running::start(slave::Config { isolation: WantedIsolation::Auto, ..demanded });
    let hello = master.until("a hello", |m| m.hellos().pop()).await;
    assert_eq!(hello.isolation, Isolation::None);
    assert!(hello.isolation_notes[0].contains("/no/such/toolchain"), "{:?}", hello.isolation_notes);
    slave.stop().await;
}

#[tokio::test]
async fn a_machine_without_bubblewrap_says_how_to_get_it() {
    let master = Master::start().await;
    let basedir = basedir();
    let toml = format!("master = \"{}\"\nname = \"testling\"\n", master.url());
    let words = ["/usr/bin/env", "PATH=/nonexistent", env!("CARGO_BIN_EXE_slave-under-test")];
    let _slave = process::Slave::start_by(&words, basedir.path(), &toml);
    let hello = master.until("a hello", |m| m.hellos().pop()).await;
    assert_eq!(hello.isolation, Isolation::None);
    let notes = hello.isolation_notes.join("; ");
    assert!(notes.contains("`bwrap` can't be started") && notes.contains("apt install bubblewrap"), "{notes}");
}

#[tokio::test]
async fn the_network_is_out_of_reach_in_bubblewrap() {
    let dial = |master: &Master, _: &std::path::Path| {
        let address = master.url().strip_prefix("http://").unwrap().replace(':', "/");
        format!("bash -c ': </dev/tcp/{address}' && echo reached || echo refused; cat /proc/net/dev")
    };
    let seen = look(WantedIsolation::Bubblewrap, dial).await;
    assert!(seen.log(1).contains("refused"), "{}", seen.log(1));
    let log = seen.log(1);
    let links: Vec<_> = log.lines().filter_map(|line| line.trim().split_once(": ")).map(|(link, _)| link).collect();
    assert!(links.contains(&"lo") && !links.iter().any(|link| link.starts_with("eth")), "{log}");
    // The same words reach it from outside, so it is the sandbox that holds them back.
    assert!(look(WantedIsolation::None, dial).await.log(1).contains("reached"));
}

#[tokio::test]
async fn only_the_work_folder_and_temporary_ones_can_be_written_in_bubblewrap() {
    let text = "for f in /usr/x /usr/bin/sh /bin/x /etc/x /etc/passwd /proc/sys/kernel/hostname /x /dev/x /bb/../x; do \
                (: >$f) 2>/dev/null && echo \"wrote $f\" || :; done; echo x >/dev/null; \
                for f in /build/x /tmp/x /dev/shm/x; do (: >$f) || echo \"did not write $f\"; done; \
                ls /root /home /var /srv 2>/dev/null || :; echo done";
    let seen = look(WantedIsolation::Bubblewrap, |_, _| text.to_owned()).await;
    assert_eq!((seen.log(1).as_str(), seen.step(1).0), ("done\n", Success));
}

#[tokio::test]
async fn shared_memory_and_tmp_are_bounded_in_bubblewrap() {
    let text = "head -c 300000000 /dev/zero >/dev/shm/x; stat -c %s /dev/shm/x";
    let seen = look(WantedIsolation::Bubblewrap, |_, _| text.to_owned()).await;
    assert_eq!(seen.step(1).0, Failure);
    assert!(seen.log(1).contains("No space left"), "{}", seen.log(1));
}

/// Numbers of the calls stand in the kernel's table for x86-64 (`syscall_64.tbl`) and for all later machines (`unistd.h`).
#[tokio::test]
async fn ways_into_the_kernel_are_refused_in_bubblewrap() {
    let numbers = if cfg!(target_arch = "x86_64") {
        "keyctl 250 add_key 248 request_key 249 userfaultfd 323 bpf 321 perf_event_open 298 unshare 272 setns 308 mount 165"
    } else {
        "keyctl 219 add_key 217 request_key 218 userfaultfd 282 bpf 280 perf_event_open 241 unshare 97 setns 268 mount 40"
    };
    // The first argument is CLONE_NEWUSER, of which the others take no notice when they are refused. EPERM is 1, ENOSYS 38,
    // EAFNOSUPPORT 97; 40 is AF_VSOCK, 38 AF_ALG, 17 AF_PACKET, which every kernel has; 1, 2, 10 and 16 are those that builds
    // speak. A call of the x32 convention is getpid.
    let text = format!(
        "perl -e 'my %calls = qw({numbers} io_uring_setup 425 io_uring_enter 426 io_uring_register 427 open_tree 428 clone3 435);
         for my $name (sort keys %calls) {{ syscall($calls{{$name}}, 0x10000000, 0, 0, 0, 0); print \"$name \", $!+0, \"\\n\"; }}
         for my $family (40, 38, 17, 1, 2, 10, 16) {{
             my $made = socket(my $s, $family, $family == 16 ? 3 : 1, 0);
             print \"socket $family \", $made ? \"made\" : $!+0, \"\\n\";
         }}
         $! = 0; print \"x32 \", (syscall(0x40000000 + 39) == -1 ? $!+0 : \"made\"), \"\\n\";
         ioctl(STDIN, 0x5412, my $c = \"x\"); print \"TIOCSTI \", $!+0, \"\\n\";'"
    );
    let master = Master::start().await;
    let basedir = basedir();
    let slave = Running::start_in(basedir, config(&master, WantedIsolation::Bubblewrap));
    master.give(assignment(1, vec![sh("look", &text), sh("threads", "sh -c 'true & wait'; perl -e 'fork; wait'")]));
    let seen = master.finished(build(1)).await;
    let log = seen.log(1);
    let refused: Vec<_> = log.lines().filter(|line| line.ends_with(" 1")).map(|line| &line[..line.len() - 2]).collect();
    let expected = "TIOCSTI add_key bpf io_uring_enter io_uring_register io_uring_setup keyctl mount open_tree \
                    perf_event_open request_key setns unshare userfaultfd";
    let mut sorted = refused.clone();
    sorted.sort_unstable();
    assert_eq!(sorted.join(" "), expected, "{log}");
    for line in [
        "clone3 38",
        "socket 40 97",
        "socket 38 97",
        "socket 17 97",
        "socket 1 made",
        "socket 2 made",
        "socket 10 made",
        "socket 16 made",
    ] {
        assert!(log.lines().any(|l| l == line), "{line}: {log}");
    }
    if cfg!(target_arch = "x86_64") {
        assert!(log.lines().any(|l| l == "x32 38"), "{log}");
    }
    assert_eq!(seen.step(2).0, Success, "{}", seen.log(2));
    let notes = master.until("a hello", |m| m.hellos().pop()).await.isolation_notes;
    assert!(notes.iter().any(|note| note.contains("seccomp")), "{notes:?}");
    slave.stop().await;
}

#[tokio::test]
async fn a_plain_users_slave_says_which_limits_it_can_not_hold() {
    let master = Master::start().await;
    let basedir = basedir();
    let toml = format!("master = \"{}\"\nname = \"testling\"\n", master.url());
    // The program itself may lie where only root can reach it.
    let program = basedir.path().join("slave-under-test");
    std::fs::copy(env!("CARGO_BIN_EXE_slave-under-test"), &program).unwrap();
    let program = program.to_str().unwrap().to_owned();
    let mut words = vec![program.as_str()];
    if is_root() {
        let owned = std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(basedir.path()).status();
        assert!(owned.unwrap().success());
        words.splice(0..0, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    let _slave = process::Slave::start_by(&words, basedir.path(), &toml);
    let hello = master.until("a hello", |m| m.hellos().pop()).await;
    let notes = hello.isolation_notes.join("; ");
    assert!(notes.contains("the number of processes of a build are not limited"), "{notes}");
}

/// Two files that only the slave's own user may touch, open in the slave when it starts, as a shell's `exec 9<file` or a
/// service manager leaves them.
#[tokio::test]
async fn files_that_are_open_where_the_slave_is_started_are_out_of_reach() {
    for isolation in ["none", "bubblewrap"] {
        let master = Master::start().await;
        let basedir = basedir();
        let secret = basedir.path().join("secrets/of-the-admin");
        std::fs::write(&secret, "an admin's secret\n").unwrap();
        let opened = format!("exec 8<>{0} 9<{0}; exec \"$@\"", secret.display());
        let toml = format!("master = \"{}\"\nname = \"testling\"\nisolation = \"{isolation}\"\n", master.url());
        let words = ["/bin/sh", "-c", &opened, "sh", env!("CARGO_BIN_EXE_slave-under-test")];
        let _slave = process::Slave::start_by(&words, basedir.path(), &toml);
        let text = "{ (cat <&9; echo written >&8) 2>/dev/null || :; }; \
                    for n in 3 4 5 6 7 8 9 10 11 12 13 14 15; do readlink /proc/$$/fd/$n || :; done; echo end";
        master.give(assignment(1, vec![sh("look", text)]));
        let seen = master.finished(build(1)).await;
        assert_eq!((seen.log(1).as_str(), seen.step(1).0), ("end\n", Success), "{isolation}");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "an admin's secret\n", "{isolation}");
    }
}

#[tokio::test]
async fn the_token_is_out_of_reach() {
    let read = |_: &Master, basedir: &std::path::Path| {
        let token = basedir.join("secrets/slave.token");
        format!(
            "cat {}; cat /proc/[0-9]*/environ /proc/[0-9]*/mem 2>/dev/null | tr '\\0' '\\n' | grep {TOKEN}; \
             ls {}/secrets; echo end",
            token.display(),
            basedir.display()
        )
    };
    let text = |m: &Master, b: &std::path::Path| format!("set +e; {}", read(m, b));
    let seen = look(WantedIsolation::Bubblewrap, text).await;
    assert!(seen.log(1).ends_with("end\n") && !seen.log(1).contains(TOKEN), "{}", seen.log(1));
    // Without bubblewrap a plain user's builds can read that user's files: only root gives them users of their own.
    if is_root() {
        let seen = look(WantedIsolation::None, text).await;
        assert!(seen.log(1).ends_with("end\n") && !seen.log(1).contains(TOKEN), "{}", seen.log(1));
    }
}

#[tokio::test]
async fn a_build_is_nobody_else() {
    let own = rustix::process::getuid().as_raw();
    let text = "id -u; id -g; id -G; touch made; sed -n 's/^Cap[EPB].*:[[:space:]]*//p' /proc/self/status | sort -u";
    for isolation in [WantedIsolation::None, WantedIsolation::Bubblewrap] {
        let master = Master::start().await;
        let basedir = basedir();
        let made = basedir.path().join("work/0/build/made");
        let slave = Running::start_in(basedir, config(&master, isolation));
        master.give(assignment(1, vec![sh("who", text), sh("wait", "echo here; sleep 1000")]));
        master.printed(build(1), 2, "here").await;
        let owner = std::fs::metadata(&made).unwrap().uid();
        let log = master.seen(build(1)).log(1);
        let lines: Vec<_> = log.lines().collect();
        if is_root() {
            assert!(owner >= 60_000, "the build's files belong to {owner}");
        } else {
            assert_eq!(owner, own);
        }
        let (user, bare) = match isolation {
            WantedIsolation::None => (owner, false),
            _ => (1000, true),
        };
        assert_eq!(lines[0], user.to_string());
        if is_root() || bare {
            assert_eq!(lines[1], lines[0], "the group is its own: {log}");
        }
        if is_root() {
            assert!(!lines[2].split(' ').any(|group| group == "0"), "root's groups are dropped: {log}");
        }
        if bare {
            assert_eq!(&lines[3..], ["0000000000000000"]);
        }
        slave.stop().await;
    }
}

#[tokio::test]
async fn a_variable_for_the_loader_does_not_reach_bubblewrap_itself() {
    let mut step = sh("look", "echo inside");
    step.env.insert("LD_PRELOAD".to_owned(), "/build/evil.so".to_owned());
    let seen = run(WantedIsolation::Bubblewrap, |_| {}, vec![step]).await;
    // The loader complains once for each program that it was told for: the shells, but not bubblewrap.
    assert!(seen.log(1).ends_with("inside\n") && seen.log(1).contains("/build/evil.so"), "{}", seen.log(1));
    assert!(!seen.log(1).contains("bwrap"), "{}", seen.log(1));
}

#[tokio::test]
async fn processes_are_limited_where_builds_have_users_of_their_own() {
    let unique = process::unique();
    let bomb = format!("i=0; while [ $i -lt 400 ]; do sleep {unique} & i=$((i+1)); done; echo all; exit 0");
    let master = Master::start().await;
    let mut config = config(&master, WantedIsolation::None);
    config.limits.processes = 100;
    let slave = Running::start(config);
    master.give(assignment(1, vec![sh("bomb", &bomb)]));
    let seen = master.finished(build(1)).await;
    if is_root() {
        assert!(!seen.log(1).contains("all") && seen.step(1).0 == Failure, "{}", seen.log(1));
    } else {
        assert!(seen.log(1).contains("all"), "{}", seen.log(1));
    }
    assert!(process::sleepers(&unique).is_empty());
    slave.stop().await;
}

#[tokio::test]
async fn a_fork_bomb_is_ended() {
    // Where nothing limits processes the bomb burns down by itself, or it would take the machine along.
    let depth = if is_root() { 1000 } else { 5 };
    let unique = process::unique();
    let text = format!(
        "bomb() {{ if [ $1 -gt 0 ]; then bomb $(($1-1)) & bomb $(($1-1)) & fi; sleep {unique} & }}; \
         trap '' TERM; bomb {depth} 2>/dev/null; echo lit; sleep 1000"
    );
    for isolation in [WantedIsolation::None, WantedIsolation::Bubblewrap] {
        let master = Master::start().await;
        let mut config = config(&master, isolation);
        config.limits.processes = 200;
        let slave = Running::start(config);
        let mut step = sh("bomb", &text);
        step.timeout_s = Some(1);
        master.give(assignment(1, vec![step, sh("next", "true")]));
        let seen = master.finished(build(1)).await;
        assert_eq!(seen.step(1).0, Failure);
        assert!(process::sleepers(&unique).is_empty());
        // The slot is as good as new.
        master.give(assignment(2, vec![sh("test", "echo $(echo fine)")]));
        let seen = master.finished(build(2)).await;
        assert_eq!((seen.step(1).0, seen.log(1).as_str()), (Success, "fine\n"));
        slave.stop().await;
    }
}

#[tokio::test]
async fn a_file_is_not_longer_than_the_limit() {
    for isolation in [WantedIsolation::None, WantedIsolation::Bubblewrap] {
        let master = Master::start().await;
        let mut config = config(&master, isolation);
        config.limits.file_bytes = 1 << 20;
        let slave = Running::start(config);
        master.give(assignment(1, vec![sh("fill", "truncate -s 1E big || head -c 2000000 /dev/zero >big; echo no")]));
        let seen = master.finished(build(1)).await;
        assert!(!seen.log(1).contains("no\n") && seen.step(1).0 == Failure, "{}", seen.log(1));
        slave.stop().await;
    }
}

#[tokio::test]
async fn builds_work_elsewhere_when_their_users_can_not_reach_the_basedir() {
    let master = Master::start().await;
    let basedir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(basedir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::create_dir(basedir.path().join("secrets")).unwrap();
    let path = basedir.path().to_owned();
    let slave = Running::start_in(basedir, config(&master, WantedIsolation::None));
    master.give(assignment(1, vec![sh("where", "pwd; cat README")]));
    let seen = master.finished(build(1)).await;
    let log = seen.log(1);
    let work = std::path::Path::new(log.lines().next().unwrap());
    assert!(log.ends_with("\na candidate\n"), "{log}");
    slave.stop().await;
    if is_root() {
        assert!(work.starts_with("/var/lib/bb/work"), "{log}");
        std::fs::remove_dir_all(work.ancestors().nth(2).unwrap()).unwrap();
    } else {
        assert!(work.starts_with(std::fs::canonicalize(path.parent().unwrap()).unwrap()), "{log}");
    }
}
