//! A push that takes its time, and a master that is killed in the middle of it.

use crate::world;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use testkit::world::World;

/// A hook of the official repository that says when it began, and waits until it may go on.
struct SlowHook {
    began: PathBuf,
    goes_on: PathBuf,
}

impl SlowHook {
    fn install(world: &World) -> Self {
        let fifo = |name: &str| {
            let path = world.folder().join(name);
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            path
        };
        let hook = Self { began: fifo("began"), goes_on: fifo("goes-on") };
        let path = world.mainline().path().join("hooks/pre-receive");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let script = format!(
            "#!/bin/sh\ncat > /dev/null\necho > {}\nread x < {}\n",
            hook.began.display(),
            hook.goes_on.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        hook
    }

    fn wait(&self) {
        std::fs::read(&self.began).unwrap();
    }

    fn go_on(&self) {
        std::fs::OpenOptions::new().write(true).open(&self.goes_on).unwrap().write_all(b"\n").unwrap();
    }
}

/// A branch whose push is under way.
fn being_pushed(world: &World) -> SlowHook {
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("feature", "1\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    let hook = SlowHook::install(world);
    world.maintainer().accepts("feature").ok();
    hook.wait();
    hook
}

#[test]
fn while_it_is_pushed_everybody_is_told_so() {
    let world = world();
    let hook = being_pushed(&world);
    for said in [
        world.run(["withdraw", "feature"]).fails(),
        world.maintainer().accepts("feature").fails(),
        world.author("ann").publishes("feature").fails(),
    ] {
        assert!(said.contains("is being pushed to mainline right now") && said.contains("hint: "), "{said}");
    }
    let paused = world.run(["queue", "pause"]).ok();
    assert!(paused.contains("feature was being pushed to mainline already"), "{paused}");
    hook.go_on();
    world.until_verdict("feature", "landed");
    assert_eq!(world.mainline().log("main").len(), 2);
}

/// Killed while the official repository's own hook runs, and paused as soon as it is back: the push goes on without its
/// master, and what it comes to is what is recorded, whether the hook ends before the next start or after it.
#[test]
fn a_push_that_outlives_its_master_is_waited_for() {
    for ends_first in [true, false] {
        let world = world();
        let hook = being_pushed(&world);
        world.kill_master();
        if ends_first {
            hook.go_on();
        }
        world.start_master();
        world.run(["queue", "pause"]).ok();
        if !ends_first {
            let said = world.run(["withdraw", "feature"]).fails();
            assert!(said.contains("being pushed"), "{said}");
            hook.go_on();
        }
        let branch = world.until_verdict("feature", "landed");
        assert_eq!(branch.queue.len(), 1);
        assert_eq!(branch.queue[0].code, "landed");
        assert_eq!(world.mainline().log("main").len(), 2, "once");
        assert_eq!(branch.timeline.iter().filter(|event| event.kind == "landed").count(), 1);
    }
}
