//! What befalls master, slaves, disks, network and the official repository.

use super::history::{Database, History};
use super::made::SLAVES;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::sleep;
use std::time::Duration;

/// Files beyond this can't be written while a disk is full: less than any store or log already has.
const FULL: Option<u64> = Some(0);

impl History<'_> {
    /// One fault, begun and ended.
    pub(super) fn fault(&mut self) {
        self.faults += 1;
        let slave = SLAVES[self.rng.usize(..SLAVES.len())];
        match self.rng.u8(..16) {
            0..=3 => self.restart_master("kill the master"),
            4 | 5 => {
                self.tell(format!("kill slave {slave}"));
                self.world.kill_slave(slave);
                self.pause(400);
                self.world.start_slave(slave);
            }
            6 => {
                self.world.kill_slave(slave);
                self.restart_master(&format!("kill the master and slave {slave}"));
                self.world.start_slave(slave);
            }
            7 => {
                self.tell("the master sleeps");
                self.world.with_master(|master| master.freeze(true));
                self.pause(1500);
                self.world.with_master(|master| master.freeze(false));
            }
            8 => {
                self.tell(format!("slave {slave} sleeps"));
                self.world.with_slave(slave, |it| it.freeze(true));
                self.pause(1500);
                self.world.with_slave(slave, |it| it.freeze(false));
            }
            9 | 10 => self.kill_git(),
            11 => {
                self.tell("the network is away");
                let shut = self.world.front().shut();
                sleep(Duration::from_millis(self.rng.u64(100..1200)));
                drop(shut);
            }
            12 => self.official_is_away(),
            13 => self.official_refuses(),
            14 => self.disk_is_full(slave),
            _ => self.database_ends_its_sessions(),
        }
    }

    /// Kills the master wherever it is and starts it again.
    pub(super) fn restart_master(&mut self, what: &str) {
        self.tell(what);
        self.world.kill_master();
        self.pause(300);
        self.world.start_master();
    }

    fn pause(&mut self, most_ms: u64) {
        sleep(Duration::from_millis(self.rng.u64(..most_ms)));
    }

    /// Kills what git the master runs at the moment, for a while.
    fn kill_git(&mut self) {
        let mut killed = 0;
        for _ in 0..60 {
            killed += self.world.with_master(|master| master.kill_children("git"));
            sleep(Duration::from_millis(5));
        }
        self.tell(format!("{killed} git processes of the master were killed"));
    }

    fn official_is_away(&mut self) {
        self.tell("the official repository is away");
        let (here, away) = (self.world.mainline().path().to_owned(), self.world.folder().join("away.git"));
        std::fs::rename(&here, &away).expect("a folder can be moved");
        self.pause(1200);
        std::fs::rename(&away, &here).expect("a folder can be moved back");
    }

    fn official_refuses(&mut self) {
        self.tell("the official repository refuses pushes");
        let hook = self.world.mainline().path().join("hooks/pre-receive");
        std::fs::create_dir_all(hook.parent().expect("it has one")).expect("a folder can be made");
        std::fs::write(&hook, "#!/bin/sh\necho 'closed for today' >&2\nexit 1\n").expect("a hook can be written");
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("it was just made");
        self.pause(1200);
        std::fs::remove_file(&hook).expect("it was just made");
    }

    fn disk_is_full(&mut self, slave: &str) {
        let of_master = self.rng.bool();
        self.tell(format!("the disk of {} is full", if of_master { "the master" } else { slave }));
        let limit = |history: &Self, bytes| {
            if of_master {
                history.world.with_master(|it| it.limit_files(bytes));
            } else {
                history.world.with_slave(slave, |it| it.limit_files(bytes));
            }
        };
        limit(self, FULL);
        self.pause(1000);
        limit(self, None);
    }

    /// PostgreSQL ends all sessions of this database; with SQLite the master is killed instead.
    fn database_ends_its_sessions(&mut self) {
        let Database::Postgres = self.database else { return self.restart_master("kill the master once more") };
        self.tell("PostgreSQL ends all sessions");
        for _ in 0..3 {
            let ended = testkit::postgres::execute(
                &self.store_url,
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
            ended.expect("PostgreSQL itself is there");
            self.pause(200);
        }
    }
}
