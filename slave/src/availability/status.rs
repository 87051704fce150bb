//! What holds and why, whole: what a running slave writes down for others to read, and what is worked out where none runs.

use super::measure::measure;
use super::said::{self, Said};
use super::settings::Settings;
use crate::config::{Config, ConfigError};
use gate::availability::{Held, Measured, Memory, Own, Rules, own};
use protocol::UnixMs;
use protocol::wire::{Availability, Voice, Word};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// What a running slave writes; of no use once its process is gone.
const FILE: &str = "availability.now.json";

/// A slave's availability, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether the slave runs.
    pub running: bool,
    /// The slave's own word that counts.
    pub word: Word,
    /// A person's word, if there is one that has not ended.
    pub person: Option<Word>,
    /// What the machine itself says.
    pub machine: Vec<Word>,
    /// The admin's word on the master, as far as this slave heard.
    pub admin: Option<Word>,
    /// What holds where no rule does.
    pub otherwise: Availability,
    /// The rules.
    pub rules: Vec<RuleState>,
    /// Rules that fight, in words.
    pub warnings: Vec<String>,
    /// Numbers of the builds that run.
    #[serde(default)]
    pub builds: Vec<i64>,
    /// Where its own page is.
    #[serde(default)]
    pub page: Option<String>,
}

/// A rule, and whether it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// Its number, from 1.
    pub number: usize,
    /// What it says while it holds.
    pub says: Availability,
    /// What it asks, in words.
    pub asks: String,
    /// Why, as its admin said; may be empty.
    pub reason: String,
    /// Whether it holds; none when the machine does not tell what it asks.
    pub holds: Option<bool>,
    /// Since when it holds.
    pub since: Option<UnixMs>,
    /// Until when at the latest, by the clock.
    pub until: Option<UnixMs>,
    /// What was measured of what it asks, in words.
    pub measured: Vec<String>,
}

/// What is written to the file.
#[derive(Serialize, Deserialize)]
struct Written {
    pid: u32,
    /// When that process began, as the kernel counts: numbers of processes are used again.
    began: u64,
    status: Status,
}

/// The rules with what of them holds.
pub(super) fn states(rules: &Rules, held: &[Held], measured: &Measured) -> Vec<RuleState> {
    let state = |(n, (rule, held)): (usize, (&gate::availability::Rule, &Held))| {
        let (holds, since, until) = match *held {
            Held::Yes { since, until } => (Some(true), Some(since), until),
            Held::No => (Some(false), None, None),
            Held::Unknown => (None, None, None),
        };
        RuleState {
            number: n + 1,
            says: rule.says,
            asks: rule.text(),
            reason: rule.reason.clone(),
            holds,
            since,
            until,
            measured: rule.conditions.iter().map(|it| it.measure(measured)).collect(),
        }
    };
    rules.rules.iter().zip(held).enumerate().map(state).collect()
}

/// Puts together what holds.
pub(super) fn put_together(
    settings: &Settings,
    rules: &Rules,
    it: &Own,
    measured: &Measured,
    (person, machine): (Option<&Word>, &[Word]),
) -> Status {
    Status {
        running: true,
        word: it.word.clone(),
        person: person.cloned(),
        machine: machine.to_vec(),
        admin: None,
        otherwise: settings.rules().map_or(rules.otherwise, |rules| rules.otherwise),
        rules: states(rules, &it.ruling.held, measured),
        warnings: settings.fights().iter().map(ToString::to_string).collect(),
        builds: Vec::new(),
        page: None,
    }
}

/// What would hold at a moment, by what is said and measured now.
///
/// # Errors
/// When slave.toml can't be read or is wrong.
pub fn foretell(basedir: &Path, now: UnixMs, at: UnixMs) -> Result<Status, ConfigError> {
    let config = Config::load(basedir)?;
    let settings = &config.availability;
    let rules = settings.rules().unwrap_or_default();
    let root = rustix::process::geteuid().is_root();
    let measured = measure(&crate::work::work_folder(basedir, config.work_folder.as_deref(), root), basedir);
    let mut machine = Vec::new();
    let mut of_machine = |reason: String| {
        let (says, voice, who) = (Availability::Unavailable, Voice::Machine, "the machine".to_owned());
        machine.push(Word { says, voice, who, reason, since: now, until: None });
    };
    let person = match said::read(basedir) {
        Ok(said) => said.map(|Said { word, .. }| word).filter(|word| word.holds(at)),
        Err(error) => {
            of_machine(error.to_string());
            None
        }
    };
    if let Some(why) = short_of_disk(&measured, settings.min_free_disk(), false) {
        of_machine(why);
    }
    let it = own(at, (&rules, &measured, &Memory::default()), person.as_ref(), &machine);
    let status = put_together(settings, &rules, &it, &measured, (person.as_ref(), &machine));
    Ok(Status { running: false, ..status })
}

/// Why a machine with so little disk builds nothing; `before` says whether that was so at the look before.
pub(super) fn short_of_disk(measured: &Measured, min: u64, before: bool) -> Option<String> {
    let condition = gate::availability::Condition::FreeDisk { below: min };
    let short = condition.holds(measured, before) == Some(true);
    short.then(|| format!("out of disk: {}, and {}", condition.measure(measured), "it needs more to build anything"))
}

/// What holds now: of the running slave, or, where none runs, what would hold if it did.
///
/// # Errors
/// When slave.toml can't be read or is wrong.
pub fn status(basedir: &Path, now: UnixMs) -> Result<Status, ConfigError> {
    let fresh = foretell(basedir, now, now)?;
    let written = fs::read(basedir.join(FILE)).ok().and_then(|text| serde_json::from_slice::<Written>(&text).ok());
    match written {
        Some(written) if began(written.pid) == Some(written.began) => {
            // A word that was said in this very moment is on its way.
            if written.status.person == fresh.person {
                return Ok(written.status);
            }
            let Status { admin, builds, page, .. } = written.status;
            Ok(Status { running: true, admin, builds, page, ..fresh })
        }
        _ => Ok(fresh),
    }
}

/// Writes down what holds, for [`status`].
pub(super) fn write(basedir: &Path, status: &Status) -> io::Result<()> {
    let pid = std::process::id();
    let written = Written { pid, began: began(pid).unwrap_or(0), status: status.clone() };
    let mut file = tempfile::Builder::new().prefix(".availability-").tempfile_in(basedir)?;
    file.write_all(&serde_json::to_vec(&written)?)?;
    file.persist(basedir.join(FILE)).map_err(|error| error.error)?;
    Ok(())
}

/// No slave runs any more.
pub(super) fn gone(basedir: &Path) {
    let _ = fs::remove_file(basedir.join(FILE));
}

/// When a process began, as the kernel counts; none when there is none.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have spaces and brackets; the numbers follow the last one.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
