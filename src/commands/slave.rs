//! `bb slave create | run | check | availability | set-availability`, also `bb worker`

use crate::error::CliError;
use crate::local;
use crate::print::{Format, safe};
use crate::process;
use clap::{Subcommand, ValueEnum};
use protocol::wire::{Availability, Word};
use protocol::{SlaveName, UnixMs};
use slave::availability::{self, RuleState, Said, Status};
use slave::config::MasterUrl;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make and run a slave
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb token new slave oak > oak.token
  bb slave create /srv/bb-slave --master http://127.0.0.1:8010 --name oak --token-file oak.token --label linux
  bb slave run /srv/bb-slave
  bb slave set-availability /srv/bb-slave unavailable --for 2h --reason 'a talk'
  bb slave availability /srv/bb-slave
  bb slave check /srv/bb-slave --at '2026-12-24 22:10'")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a slave's basedir; needs the master (--master) and the slave's token (--token-file)
    Create {
        /// The folder, made if it is not there
        basedir: PathBuf,
        /// Its name, the one that its token was made for [default: this machine's name]
        #[arg(long)]
        name: Option<SlaveName>,
        /// Something it can do, as recipes ask for it; may be given again
        #[arg(long = "label", value_name = "LABEL")]
        labels: Vec<String>,
        /// Builds it runs at once
        #[arg(long, default_value_t = 1, value_name = "N")]
        slots: u32,
    },
    /// Run a slave until it is told to end (Ctrl-C or TERM)
    Run {
        /// Its basedir
        basedir: PathBuf,
        /// Serve the slave's own page here, for this machine alone: 127.0.0.1:8020
        #[arg(long, value_name = "ADDRESS")]
        page: Option<slave::PageAddress>,
    },
    /// Say when this slave takes builds: made for crontab, silent, and whether the slave runs or not
    #[command(
        after_help = "eager: it takes builds at once. reluctant: only those that no eager slave could start in time.
unavailable: none; what runs goes on to its end, or with --now to other slaves. auto: as the rules of slave.toml say.
The word stays until it is taken back by `auto`, or ends by --for or --until; it survives restarts.

In a crontab:
  0 8 * * mon-fri  bb slave set-availability /srv/bb-slave reluctant --until 18:00 --reason 'office hours'"
    )]
    SetAvailability {
        /// Its basedir
        basedir: PathBuf,
        /// The word
        word: Spoken,
        /// For how long, as 90s, 10m, 2h, 1d
        #[arg(long = "for", value_name = "LENGTH", conflicts_with = "until")]
        length: Option<String>,
        /// Until when, as 18:00 (the next) or "2026-12-24 18:00", by the zone of slave.toml
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why, for all who see it
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// With unavailable: hand running builds to other slaves at once
        #[arg(long)]
        now: bool,
    },
    /// Show what this slave says of itself now, and why
    Availability {
        /// Its basedir
        basedir: PathBuf,
        #[command(flatten)]
        format: Format,
    },
    /// Check slave.toml, and say what its rules would say at a time and why
    Check {
        /// Its basedir
        basedir: PathBuf,
        /// When, as "2026-12-24 22:10", by the zone of slave.toml [default: now]
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

/// What a person can say.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Spoken {
    Eager,
    Reluctant,
    Unavailable,
    Auto,
}

impl Spoken {
    fn availability(self) -> Option<Availability> {
        match self {
            Self::Eager => Some(Availability::Eager),
            Self::Reluctant => Some(Availability::Reluctant),
            Self::Unavailable => Some(Availability::Unavailable),
            Self::Auto => None,
        }
    }
}

pub(crate) async fn run(args: Args, master: &crate::client::MasterArgs) -> Result<ExitCode, CliError> {
    match args.what {
        What::Create { basedir, name, labels, slots } => {
            let url = master
                .master
                .as_ref()
                .ok_or_else(|| CliError::new("the slave needs a master").hint("name it with --master URL"))?;
            let url: MasterUrl = url.as_str().parse()?;
            let name = match name {
                Some(name) => name,
                None => machine_name()?,
            };
            let file = master.token_file.as_ref().ok_or_else(|| {
                CliError::new("the slave needs a token").hint(format!(
                    "make one with `bb token new slave {name} > {name}.token`, then give --token-file {name}.token"
                ))
            })?;
            let text = std::fs::read_to_string(file)
                .map_err(|e| CliError::new(format!("the token can't be read from {}: {e}", file.display())))?;
            let mut config = slave::Config::new(url, name);
            config.labels = labels;
            config.slots = slots.try_into()?;
            slave::create(&basedir, &config, &text.parse()?)?;
            eprintln!(
                "Settings: {}\nRun it with `bb slave run {}`.",
                basedir.join(slave::config::FILE_NAME).display(),
                crate::print::word(&basedir.to_string_lossy())
            );
        }
        What::Run { basedir, page } => {
            process::log("info");
            let config = slave::Config::load(&basedir)?;
            let git = tracker::git::Git::find_to_fetch(config.git.as_deref()).map_err(CliError::explained)?;
            let loaded = slave::Slave::load(&basedir, local::launcher(), local::source(git, &basedir))?;
            let slave = slave::Slave { page, ..loaded };
            slave.run(process::shutdown_on_signal()).await?;
        }
        What::SetAvailability { basedir, word, length, until, reason, now: at_once } => {
            let said = match word.availability() {
                Some(says) => {
                    let until = ends(&basedir, length.as_deref(), until.as_deref())?;
                    if at_once && says != Availability::Unavailable {
                        return Err(CliError::new("--now goes with `unavailable`"));
                    }
                    Some(Said::new(says, &process::user(), &reason, now(), until, at_once))
                }
                None if length.is_some() || until.is_some() || at_once => {
                    return Err(CliError::new("`auto` has no end: it is what the rules of slave.toml say"));
                }
                None => None,
            };
            availability::say(&basedir, said.as_ref())?;
        }
        What::Availability { basedir, format } => {
            let status = availability::status(&basedir, now())?;
            let zone = slave::Config::load(&basedir)?.availability.zone();
            format.show(&status, |status, _| told(status, now(), &zone))?;
        }
        What::Check { basedir, at, format } => {
            let zone = slave::Config::load(&basedir)?.availability.zone();
            let at = at.map_or(Ok(now()), |text| availability::moment(&text, now(), &zone))?;
            let status = availability::foretell(&basedir, now(), at)?;
            format.show(&status, |status, _| told(status, at, &zone))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

/// When a word ends; the zone is read only if it is needed, so that a crontab's line works whatever becomes of slave.toml.
fn ends(basedir: &Path, length: Option<&str>, until: Option<&str>) -> Result<Option<UnixMs>, CliError> {
    Ok(match (length, until) {
        (Some(length), _) => Some(availability::deadline(length, now())?),
        (None, Some(until)) => {
            let zone = slave::Config::load(basedir)?.availability.zone();
            let at = availability::moment(until, now(), &zone)?;
            if at <= now() {
                return Err(CliError::new(format!("`{until}` is over")).hint("name a time to come"));
            }
            Some(at)
        }
        (None, None) => None,
    })
}

/// A moment in a zone.
fn time(at: UnixMs, zone: &jiff::tz::TimeZone) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|at| at.to_zoned_datetime(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string())
        .unwrap_or_default()
}

/// What holds and why, in words.
fn told(status: &Status, at: UnixMs, zone: &jiff::tz::TimeZone) -> String {
    let mut text = String::new();
    let word = |word: &Word| {
        let because = word.because();
        let because = if because.is_empty() { String::new() } else { format!(" ({because})") };
        let until = word.until.map_or_else(String::new, |at| format!(", until {}", time(at, zone)));
        safe(&format!("{}{because}{until}", word.says.as_str()))
    };
    let _ = writeln!(text, "{}: {}", time(at, zone), word(&status.word));
    if let Some(person) = &status.person {
        let _ = writeln!(text, "A person says {}, since {}; the rules wait.", word(person), time(person.since, zone));
    }
    for machine in &status.machine {
        let _ = writeln!(text, "The machine says {}.", word(machine));
    }
    if let Some(admin) = &status.admin {
        let _ = writeln!(text, "The master's admin says {}.", word(admin));
    }
    for rule in &status.rules {
        let _ = writeln!(text, "{}", safe(&rule_told(rule)));
    }
    match status.rules.is_empty() {
        true => text.push_str("It has no rules.\n"),
        false => {
            let _ = writeln!(text, "otherwise: {}", status.otherwise.as_str());
        }
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "warning: {}", safe(warning));
    }
    if let Some(page) = &status.page {
        let _ = writeln!(text, "Its page: {}", safe(page));
    }
    if !status.running {
        text.push_str("The slave does not run.\n");
    }
    text
}

fn rule_told(rule: &RuleState) -> String {
    let holds = match rule.holds {
        Some(true) => "holds",
        Some(false) => "does not hold",
        None => "can't be told",
    };
    let measured = match rule.measured.is_empty() {
        true => String::new(),
        false => format!("; now {}", rule.measured.join(", ")),
    };
    let reason = if rule.reason.is_empty() { String::new() } else { format!(" [{}]", rule.reason) };
    format!("rule {}, {}{reason}: {holds}: {}{measured}", rule.number, rule.says.as_str(), rule.asks)
}

/// This machine's name, as far as it can be a slave's.
fn machine_name() -> Result<SlaveName, CliError> {
    let node = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = protocol::BranchName::suggest(node.trim(), 1).to_string();
    Ok(name.parse::<SlaveName>()?)
}
