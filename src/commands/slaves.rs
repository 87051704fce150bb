//! `bb slaves`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{self, Format, ago, look, safe};
use protocol::api::Slave;
use std::process::ExitCode;

/// List slaves: who builds now, who does not, and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bb slaves --json")]
pub(crate) struct Args {
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let slaves: Vec<Slave> = client.get("/slaves").await?;
    args.format.print(&slaves, |slaves| {
        if slaves.is_empty() {
            return "No slave has ever connected. Make one with `bb slave create`.\n".to_owned();
        }
        let rows = slaves.iter().map(row).collect();
        print::table(&["name", "state", "since", "slots", "isolation", "labels", "builds"], rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(slave: &Slave) -> Vec<String> {
    let builds: Vec<String> = slave.builds.iter().map(|b| format!("#{}", b.id)).collect();
    vec![
        slave.name.to_string(),
        look(slave.look, &slave.word),
        slave.since_ms.map_or_else(String::new, ago),
        format!("{} of {}", slave.builds.len(), slave.slots),
        slave.isolation.as_str().to_owned(),
        safe(&slave.labels.join(", ")),
        builds.join(" "),
    ]
}
