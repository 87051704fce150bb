//! Slaves and supervisors that are killed, disks that are full, logs that are long.
#![allow(clippy::unwrap_used)]

mod support;

use process::{Slave, kill, peak_memory, sleepers, supervisor_of, unique, until_sleepers};
use protocol::BuildResult::{Exception, Retry, Success};
use protocol::wire::{StepFile, ToSlave};
use slave::config::WantedIsolation;
use support::*;

fn toml(master: &Master, isolation: &str) -> String {
    format!("master = \"{}\"\nname = \"testling\"\nisolation = \"{isolation}\"\n[limits]\ngrace_s = 1\n", master.url())
}

/// A step that leaves processes of every kind and goes on.
fn busy(unique: &str) -> Vec<recipe::Step> {
    vec![sh("busy", &format!("setsid -f sleep {unique} >/dev/null 2>&1 </dev/null; echo here; sleep {unique}"))]
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_step_with_it() {
    for isolation in [WantedIsolation::None, WantedIsolation::Bubblewrap] {
        let unique = unique();
        let master = Master::start().await;
        let slave = Running::start(config(&master, isolation));
        master.give(assignment(1, busy(&unique)));
        master.printed(build(1), 1, "here").await;
        let found = until_sleepers(&unique, true).await;
        kill(supervisor_of(*found.last().unwrap()));
        let seen = master.finished(build(1)).await;
        assert_eq!(result(&seen), (Exception, "busy: its supervisor was killed".to_owned()));
        until_sleepers(&unique, false).await;
        slave.stop().await;
    }
}

#[tokio::test]
async fn a_killed_slave_takes_its_builds_with_it_and_gives_them_back_when_it_is_there_again() {
    for isolation in ["none", "bubblewrap"] {
        let unique = unique();
        let master = Master::start().await;
        let basedir = basedir();
        let slave = Slave::start(basedir.path(), &toml(&master, isolation));
        master.give(assignment(1, busy(&unique)));
        master.printed(build(1), 1, "here").await;
        until_sleepers(&unique, true).await;
        slave.kill();
        // The supervisors see it and end everything, though nobody is there to ask them.
        until_sleepers(&unique, false).await;
        let _slave = Slave::start(basedir.path(), &toml(&master, isolation));
        let seen = master.finished(build(1)).await;
        assert_eq!(result(&seen), (Retry, "the slave was restarted".to_owned()));
        assert_eq!(seen.step(1), (Retry, None, Some("the slave was restarted".to_owned())));
        assert_eq!(seen.log(1), "here\n");
        // And it works on.
        master.give(assignment(2, vec![sh("test", "true")]));
        assert_eq!(result(&master.finished(build(2)).await).0, Success);
    }
}

#[tokio::test]
async fn a_slave_ends_what_an_earlier_life_left_behind() {
    for isolation in ["none", "bubblewrap"] {
        let unique = unique();
        let master = Master::start().await;
        let basedir = basedir();
        let slave = Slave::start(basedir.path(), &toml(&master, isolation));
        master.give(assignment(1, busy(&unique)));
        master.printed(build(1), 1, "here").await;
        let found = until_sleepers(&unique, true).await;
        let supervisor = supervisor_of(*found.last().unwrap());
        // The slave is held, so that it can't notice what becomes of its supervisor.
        let pid = rustix::process::Pid::from_raw(i32::try_from(slave.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        kill(supervisor);
        slave.kill();
        if isolation == "none" {
            assert!(!sleepers(&unique).is_empty(), "they live on: nobody is left who would know of them");
        }
        let _slave = Slave::start(basedir.path(), &toml(&master, isolation));
        let seen = master.finished(build(1)).await;
        assert_eq!(result(&seen).0, Retry);
        assert!(sleepers(&unique).is_empty(), "ended before the slave reports");
    }
}

#[tokio::test]
async fn a_build_that_ended_while_nobody_listened_is_told_after_a_crash() {
    let master = Master::start().await;
    master.behave(|m| (m.acknowledge_reports, m.acknowledge_logs) = (false, false));
    let basedir = basedir();
    let slave = Slave::start(basedir.path(), &toml(&master, "none"));
    master.give(assignment(1, vec![sh("test", "echo once; touch end")]));
    master.until("its end", |m| m.seen(build(1)).result).await;
    slave.kill();
    let _slave = Slave::start(basedir.path(), &toml(&master, "none"));
    let seen = master.finished(build(1)).await;
    assert_eq!((result(&seen).0, seen.log(1).as_str()), (Success, "once\n"));
}

#[tokio::test]
async fn a_full_disk_ends_the_build_and_not_the_slave() {
    let master = Master::start().await;
    let basedir = basedir();
    let spool = basedir.path().join("builds");
    std::fs::create_dir(&spool).unwrap();
    // The spool is on a file system of its own of 1 MiB, which only this slave sees.
    let spool = spool.to_str().unwrap();
    let words = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--size", "1048576", "--tmpfs", spool, "--"];
    let words: Vec<&str> = words.into_iter().chain([env!("CARGO_BIN_EXE_slave-under-test")]).collect();
    let _slave = Slave::start_by(&words, basedir.path(), &toml(&master, "none"));
    master.give(assignment(1, vec![sh("flood", "yes | head -c 5000000; sleep 1000")]));
    let seen = master.finished(build(1)).await;
    let (result_of_first, reason) = result(&seen);
    assert_eq!(result_of_first, Exception);
    assert!(reason.contains("the slave's disk can't be written: No space left on device"), "{reason}");
    assert!(seen.log(1).lines().all(|line| line == "y"), "what was written before is there");
    // There is room again, and the slave never went away.
    master.give(assignment(2, vec![sh("test", "echo fine")]));
    let seen = master.finished(build(2)).await;
    assert_eq!((result(&seen).0, seen.log(1).as_str()), (Success, "fine\n"));
    assert_eq!(master.hellos().len(), 1);
}

#[tokio::test]
async fn a_hundred_megabytes_of_log_take_little_memory_though_the_master_is_slow() {
    let master = Master::start().await;
    master.behave(|m| m.acknowledge_logs = false);
    let basedir = basedir();
    let slave = Slave::start(basedir.path(), &toml(&master, "none"));
    master.give(assignment(1, vec![sh("flood", "head -c 100000000 /dev/zero"), sh("end", "echo end")]));
    // Without a word from the master, no more than the window comes; the build goes on all the same.
    master.until("the build's end", |m| m.seen(build(1)).result).await;
    let window = master.seen(build(1)).logs[&1].len() as u64;
    assert!(window <= 1 << 20, "{window} bytes came without having been acknowledged");
    master.behave(|m| m.acknowledge_logs = true);
    master.send(ToSlave::LogAcknowledged { of: build(1), file: StepFile::Log(1), next: window });
    let seen = master.finished(build(1)).await;
    assert_eq!(seen.logs[&1].len(), 100_000_000);
    let peak = peak_memory(slave.pid());
    assert!(peak < 100 << 20, "the slave took {} MiB", peak >> 20);
}
