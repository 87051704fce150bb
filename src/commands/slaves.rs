//! `bb slaves`, `bb slaves --why BUILD`, `bb slaves set-availability NAME WORD`

use super::log::build_id;
use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use crate::screen::{Cell, Screen};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use protocol::api::{SetAvailability, Slave, SlaveOfBuild};
use protocol::wire::{Availability, Voice, Word};
use protocol::{BuildId, SlaveName};
use std::process::ExitCode;

/// List slaves: who builds now, who does not, and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb slaves --json
  bb slaves --why 5133
  bb slaves set-availability oak unavailable --for 2h --reason 'new disk' --now")]
pub(crate) struct Args {
    /// Change something instead
    #[command(subcommand)]
    what: Option<What>,
    /// For each slave, why it does not take this build, which waits
    #[arg(long, value_name = "BUILD", value_parser = build_id)]
    why: Option<BuildId>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Give the master's word on a slave; the stricter of this and the slave's own holds
    #[command(
        after_help = "eager: it takes builds at once. reluctant: only those that no eager slave could start in time.
unavailable: none; what runs there goes on to its end, or with --now to other slaves."
    )]
    SetAvailability {
        /// The slave's name
        name: SlaveName,
        /// The word
        #[arg(value_parser = PossibleValuesParser::new(WORDS.map(Availability::as_str)).map(availability))]
        word: Availability,
        /// For how long, as 90s, 10m, 2h, 1d
        #[arg(long = "for", value_name = "LENGTH", conflicts_with = "until")]
        length: Option<String>,
        /// Until when, as 18:00 (the next, by this machine's clock) or "2026-12-24 18:00"
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why, for all who see it
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// With unavailable: give what runs there to other slaves at once
        #[arg(long)]
        now: bool,
    },
}

const WORDS: [Availability; 3] = [Availability::Eager, Availability::Reluctant, Availability::Unavailable];

/// The availability of a word that is one of [`WORDS`].
#[allow(clippy::needless_pass_by_value)] // As clap gives it.
fn availability(word: String) -> Availability {
    WORDS.into_iter().find(|known| known.as_str() == word).unwrap_or_default()
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    if let (Some(build), None) = (args.why, &args.what) {
        let slaves: Vec<SlaveOfBuild> = client.get(&format!("/builds/{build}/slaves")).await?;
        args.format.show(&slaves, |slaves, screen| against(slaves, screen))?;
        return Ok(ExitCode::SUCCESS);
    }
    let slaves: Vec<Slave> = match args.what {
        None => client.get("/slaves").await?,
        Some(What::SetAvailability { name, word: availability, length, until, reason, now }) => {
            let at = protocol::UnixMs(jiff::Timestamp::now().as_millisecond());
            let until_ms = match (length, until) {
                (Some(length), _) => Some(slave::availability::deadline(&length, at)?),
                (None, Some(until)) => Some(slave::availability::moment(&until, at, &jiff::tz::TimeZone::system())?),
                (None, None) => None,
            };
            let body = SetAvailability { availability, reason, until_ms, now };
            client.post(&format!("/slaves/{name}/availability"), &body).await?
        }
    };
    args.format.show(&slaves, |slaves, screen| listing(slaves, screen))?;
    Ok(ExitCode::SUCCESS)
}

/// What keeps each of them from a build.
fn against(slaves: &[SlaveOfBuild], screen: Screen) -> String {
    let row = |slave: &SlaveOfBuild| -> Vec<Cell> { vec![slave.name.to_string().into(), safe(&slave.says).into()] };
    let none = "No slave has ever connected. Make one with `bb slave create`.";
    screen.list(&["name", "why"], &slaves.iter().map(row).collect::<Vec<_>>(), none)
}

/// The slaves.
pub(crate) fn listing(slaves: &[Slave], screen: Screen) -> String {
    let head = ["name", "state", "since", "slots", "isolation", "labels", "builds", "why"];
    let none = "No slave has ever connected. Make one with `bb slave create`.";
    screen.list(&head, &slaves.iter().map(row).collect::<Vec<_>>(), none)
}

fn row(slave: &Slave) -> Vec<Cell> {
    let builds: Vec<String> = slave.builds.iter().map(|b| format!("#{}", b.id)).collect();
    vec![
        slave.name.to_string().into(),
        Cell::of(slave.look, slave.word.as_str()),
        slave.since_ms.map_or_else(String::new, ago).into(),
        format!("{} of {}", slave.builds.len(), slave.slots).into(),
        slave.isolation.as_str().into(),
        safe(&slave.labels.join(", ")).into(),
        builds.join(" ").into(),
        safe(&why(slave)).into(),
    ]
}

/// Whose words it is by, and why: its own and the admin's, as far as anybody said anything.
fn why(slave: &Slave) -> String {
    let told = |word: &Word| {
        let since = if word.since.0 > 0 { format!(", since {}", ago(word.since)) } else { String::new() };
        let until = word.until.map_or_else(String::new, |until| {
            let until = jiff::Timestamp::from_millisecond(until.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            format!(", until {}", until.strftime("%Y-%m-%d %H:%M UTC"))
        });
        format!("{} ({}{since}{until})", word.says.as_str(), word.because())
    };
    let own = slave.said_word.as_ref().filter(|word| word.voice != Voice::Nobody || !word.reason.is_empty());
    let own = own.map(|word| format!("it says {}", told(word)));
    let admin = slave.admin_word.as_ref().map(|word| format!("the admin says {}", told(word)));
    own.into_iter().chain(admin).collect::<Vec<_>>().join("; ")
}
