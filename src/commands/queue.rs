//! `bb queue`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use crate::screen::{Cell, Screen, changes_recipe};
use protocol::api::{Queue, QueueEntry, QueueStack};
use std::process::ExitCode;

/// Show the queue: what is about to land, in which order, and who left it and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb queue
  bb queue pause
  bb queue resume")]
pub(crate) struct Args {
    /// Change something instead
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum What {
    /// Land nothing until it is resumed; builds go on
    Pause,
    /// Land again
    Resume,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project("/queue").await?;
    let queue: Queue = match args.what {
        None => client.get(&path).await?,
        Some(What::Pause) => client.post(&format!("{path}/pause"), &serde_json::json!({})).await?,
        Some(What::Resume) => client.post(&format!("{path}/resume"), &serde_json::json!({})).await?,
    };
    args.format.show(&queue, listing)?;
    Ok(ExitCode::SUCCESS)
}

/// The queue, and who left it last.
pub(crate) fn listing(queue: &Queue, screen: Screen) -> String {
    let mut text = String::new();
    if queue.project.paused {
        text.push_str("The queue is paused: nothing lands until `bb queue resume`.\n");
        for entry in queue.entries.iter().filter(|entry| entry.code == "landing") {
            text += &format!("{} was being pushed to mainline already, and that goes on.\n", entry.branch);
        }
        text = screen.sentences(&text, 0);
        text.push('\n');
    }
    let head = ["place", "branch", "revision", "accepted", "recipe", "stands", "next"];
    text += &screen.list(&head, &queue.entries.iter().map(row).collect::<Vec<_>>(), "The queue is empty.");
    if !queue.stacks.is_empty() {
        let rows: Vec<_> = queue.stacks.iter().map(stack).collect();
        text.push('\n');
        text += &screen.list(&["tested together", "what for", "builders", "since"], &rows, "");
    }
    if !queue.left.is_empty() {
        let rows: Vec<_> = queue.left.iter().take(10).map(left).collect();
        text.push('\n');
        text += &screen.list(&["left", "branch", "revision", "how"], &rows, "");
    }
    text
}

fn row(entry: &QueueEntry) -> Vec<Cell> {
    vec![
        entry.place.map_or_else(String::new, |n| n.to_string()).into(),
        entry.branch.to_string().into(),
        format!("r{}", entry.revision).into(),
        format!("{} by {}", ago(entry.accepted_ms), safe(&entry.accepted_by)).into(),
        changes_recipe(entry.changes_recipe),
        Cell::of(entry.look, safe(&entry.says)),
        safe(&format!("{} {}", entry.next.who, entry.next.what)).into(),
    ]
}

fn stack(stack: &QueueStack) -> Vec<Cell> {
    let names: Vec<String> = stack.branches.iter().map(ToString::to_string).collect();
    let marks: Vec<String> =
        stack.marks.iter().map(|mark| format!("{} {}", safe(&mark.builder), safe(&mark.word))).collect();
    vec![names.join(", ").into(), safe(&stack.purpose).into(), marks.join(", ").into(), ago(stack.since_ms).into()]
}

fn left(entry: &QueueEntry) -> Vec<Cell> {
    vec![
        entry.left_ms.map_or_else(String::new, ago).into(),
        entry.branch.to_string().into(),
        format!("r{}", entry.revision).into(),
        Cell::of(entry.look, safe(&entry.says)),
    ]
}
