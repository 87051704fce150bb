//! `bb queue`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use crate::screen::{Cell, Screen, changes_recipe};
use protocol::BranchName;
use protocol::api::{Mark, Queue, QueueEntry, QueueStack};
use serde_json::json;
use std::process::ExitCode;

/// Show the queue: what is about to land, in which order, and who left it and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb queue
  bb queue pause --reason 'the release is being cut'
  bb queue resume
  bb queue hold load-balancing --reason 'waits for the translators'
  bb queue release load-balancing
  bb queue priority hotfix 10
  bb queue expedite hotfix --reason 'the site is down'
  bb queue eject load-balancing --reason 'breaks the demo'")]
pub(crate) struct Args {
    /// Change something instead
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Land nothing until it is resumed; builds go on
    Pause(Why),
    /// Land again
    Resume,
    /// Neither test nor land one branch until it is released; others go by
    Hold {
        /// The branch
        name: BranchName,
        #[command(flatten)]
        why: Why,
    },
    /// Let a branch that is held go on, at its place
    Release {
        /// The branch
        name: BranchName,
    },
    /// Move a branch: greater goes first, 0 is usual
    Priority {
        /// The branch
        name: BranchName,
        /// The priority
        #[arg(allow_negative_numbers = true)]
        priority: i32,
    },
    /// Test a branch alone before all others, and land it before them
    Expedite {
        /// The branch
        name: BranchName,
        #[command(flatten)]
        why: Why,
        /// Let it go at its own place again
        #[arg(long, conflicts_with = "reason")]
        undo: bool,
    },
    /// Take a branch out of the queue
    Eject {
        /// The branch
        name: BranchName,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct Why {
    /// Why, in a line; everybody reads it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project("/queue").await?;
    let queue: Queue = match args.what {
        None => client.get(&path).await?,
        Some(what) => {
            let (path, body) = match what {
                What::Pause(Why { reason }) => (format!("{path}/pause"), json!({ "reason": reason })),
                What::Resume => (format!("{path}/resume"), json!({})),
                What::Hold { name, why: Why { reason } } => {
                    (of(client, &name, "hold").await?, json!({ "reason": reason }))
                }
                What::Release { name } => (of(client, &name, "release").await?, json!({})),
                What::Priority { name, priority } => {
                    (of(client, &name, "priority").await?, json!({ "priority": priority }))
                }
                What::Expedite { name, why: Why { reason }, undo } => {
                    (of(client, &name, "expedite").await?, json!({ "reason": reason, "undo": undo }))
                }
                What::Eject { name, why: Why { reason } } => {
                    (of(client, &name, "eject").await?, json!({ "reason": reason }))
                }
            };
            client.post(&path, &body).await?
        }
    };
    args.format.show(&queue, listing)?;
    Ok(ExitCode::SUCCESS)
}

async fn of(client: &Client, name: &BranchName, verb: &str) -> Result<String, CliError> {
    client.in_project(&format!("/branches/{name}/{verb}")).await
}

/// The queue, and who left it last.
pub(crate) fn listing(queue: &Queue, screen: Screen) -> String {
    let mut text = String::new();
    if queue.project.paused {
        let (by, why) = match &queue.project.pause {
            Some(it) if it.reason.is_empty() => (format!(" by {}", safe(&it.by)), String::new()),
            Some(it) => (format!(" by {}", safe(&it.by)), format!(" It is for this: {}.", safe(&it.reason))),
            None => (String::new(), String::new()),
        };
        text += &format!("The queue is paused{by}: nothing lands until `bb queue resume`.{why}\n");
        for entry in queue.entries.iter().filter(|entry| entry.code == "landing") {
            text += &format!("{} was being pushed to mainline already, and that goes on.\n", entry.branch);
        }
        text = screen.sentences(&text, 0);
        text.push('\n');
    }
    if let Some(frozen) = &queue.project.frozen {
        text += &screen.sentences(&format!("Nothing lands: {}. Testing goes on.\n", safe(&frozen.says)), 0);
        text.push('\n');
    }
    for warning in &queue.project.warnings {
        text += &screen.sentences(&format!("warning: {}\n", safe(warning)), 2);
    }
    let head = ["place", "branch", "revision", "accepted", "recipe", "stands", "next"];
    text += &screen.list(&head, &queue.entries.iter().map(row).collect::<Vec<_>>(), "The queue is empty.");
    if !queue.stacks.is_empty() {
        text.push_str("\nSTACKS TESTED NOW\n");
        queue.stacks.iter().for_each(|it| text += &stack(it, screen));
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
        Cell::of(entry.look, stands(entry)),
        safe(&format!("{} {}", entry.next.who, entry.next.what)).into(),
    ]
}

/// How one stands, and by whose word it goes before all others.
fn stands(entry: &QueueEntry) -> String {
    match &entry.expedite {
        Some(it) => format!("before all others, by {}; {}", safe(&it.by), safe(&entry.says)),
        None => safe(&entry.says),
    }
}

/// A stack as a line of commits from mainline on, why it is tested, and what its builders say.
fn stack(stack: &QueueStack, screen: Screen) -> String {
    let line = &stack.line;
    let names: String = line.branches.iter().map(|name| format!(" + {name}")).collect();
    let mark = |mark: &Mark| {
        let build = mark.build.map_or_else(String::new, |build| format!(" (#{build})"));
        format!("{} {}{build}", safe(&mark.builder), screen.look(mark.look, &safe(&mark.word)))
    };
    let builders: Vec<String> = stack.marks.iter().map(mark).collect();
    let text = format!(
        "stack {}: {}, since {}\n  mainline {}{names} = {}\n  {}\n",
        line.id,
        safe(&line.purpose),
        ago(stack.since_ms),
        line.on.short(),
        stack.commit.short(),
        builders.join(", "),
    );
    screen.sentences(&text, 2)
}

fn left(entry: &QueueEntry) -> Vec<Cell> {
    vec![
        entry.left_ms.map_or_else(String::new, ago).into(),
        entry.branch.to_string().into(),
        format!("r{}", entry.revision).into(),
        Cell::of(entry.look, safe(&entry.says)),
    ]
}
