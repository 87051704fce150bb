//! `bb slaves`, `bb slaves set-availability NAME WORD`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use crate::screen::{Cell, Screen};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use protocol::SlaveName;
use protocol::api::Slave;
use protocol::wire::Availability;
use std::process::ExitCode;

/// List slaves: who builds now, who does not, and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb slaves --json
  bb slaves set-availability oak unavailable")]
pub(crate) struct Args {
    /// Change something instead
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Give the master's word on a slave; the stricter of this and the slave's own holds
    #[command(
        after_help = "eager: it takes builds at once. reluctant: only those that no eager slave could start in time.
unavailable: none; what runs there goes on to its end."
    )]
    SetAvailability {
        /// The slave's name
        name: SlaveName,
        /// The word
        #[arg(value_parser = PossibleValuesParser::new(WORDS.map(Availability::as_str)).map(availability))]
        word: Availability,
    },
}

const WORDS: [Availability; 3] = [Availability::Eager, Availability::Reluctant, Availability::Unavailable];

/// The availability of a word that is one of [`WORDS`].
#[allow(clippy::needless_pass_by_value)] // As clap gives it.
fn availability(word: String) -> Availability {
    WORDS.into_iter().find(|known| known.as_str() == word).unwrap_or_default()
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let slaves: Vec<Slave> = match args.what {
        None => client.get("/slaves").await?,
        Some(What::SetAvailability { name, word }) => {
            let body = serde_json::json!({ "availability": word });
            client.post(&format!("/slaves/{name}/availability"), &body).await?
        }
    };
    args.format.show(&slaves, |slaves, screen| listing(slaves, screen))?;
    Ok(ExitCode::SUCCESS)
}

/// The slaves.
pub(crate) fn listing(slaves: &[Slave], screen: Screen) -> String {
    let head = ["name", "state", "since", "slots", "isolation", "labels", "builds"];
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
    ]
}
