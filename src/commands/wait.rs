//! `bb wait NAME…`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{self, Format, safe};
use crate::screen::Screen;
use clap::ValueEnum;
use futures_util::StreamExt as _;
use protocol::api::{BranchDetail, Next};
use protocol::{BranchName, UnixMs};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Wait until branches have landed, or until bb can do no more for them by itself
///
/// The exit code is 0 when all have landed, 1 when one was thrown out of the queue or ended otherwise, 2 when a maintainer or
/// an admin is to act, 3 when an author is, and 124 when the time was over; of several branches the greatest counts. 4 is for
/// what can't be waited for: no such branch, no master.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb wait load-balancing
  bb wait load-balancing --until landed --timeout 2h
  bb publish . feature && bb wait feature --json")]
pub(crate) struct Args {
    /// The branches' names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<BranchName>,
    /// decided: until somebody else is to act. landed: through a maintainer's turn, too
    #[arg(long, value_enum, default_value_t = Until::Decided)]
    until: Until,
    /// For how long, as 90s, 10m, 2h, 1d; without it, for as long as it takes
    #[arg(long, value_name = "LENGTH")]
    timeout: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Until {
    Decided,
    Landed,
}

/// What is waited for came, or something else did.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Landed,
    Ejected,
    Ended,
    NeedsAPerson,
    NeedsItsAuthor,
    TimedOut,
}

impl Outcome {
    const fn code(self) -> u8 {
        match self {
            Self::Landed => 0,
            Self::Ejected | Self::Ended => 1,
            Self::NeedsAPerson => 2,
            Self::NeedsItsAuthor => 3,
            Self::TimedOut => 124,
        }
    }
}

/// How a branch stands at the end.
#[derive(Debug, Serialize)]
struct Waited {
    branch: BranchName,
    outcome: Outcome,
    /// The verdict's code.
    code: String,
    says: String,
    next: Next,
}

/// The longest time between two looks, where no event comes.
const LOOK: Duration = Duration::from_secs(10);
/// How long a master that does not answer any more is waited for: it may be restarted.
const AWAY: Duration = Duration::from_secs(600);

/// The exit code when there is nothing to wait for.
const NOTHING: u8 = 4;

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    wait(args, client).await.map_err(|error| error.exit(NOTHING))
}

async fn wait(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let deadline = args.timeout.as_deref().map(length).transpose()?.map(|length| Instant::now() + length);
    let project = client.project().await?;
    let events = format!("/events?project={project}");
    let (mut open, mut done): (Vec<BranchName>, Vec<Waited>) = (args.names.clone(), Vec::new());
    let (mut stream, mut heard) = (None, None::<Instant>);
    loop {
        // Before the look, so that what comes after it is heard of.
        if stream.is_none() {
            stream = client.stream(&events).await.ok().map(|answer| answer.bytes_stream().boxed());
        }
        let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match look(client, &open, args.until, over).await {
            Ok(decided) => {
                heard = Some(Instant::now());
                for waited in decided {
                    open.retain(|name| *name != waited.branch);
                    if !args.format.json {
                        print::out(&sentence(&waited))?;
                    }
                    done.push(waited);
                }
            }
            // Who answered before is waited for.
            Err(error) if error.may_pass() && heard.is_some_and(|at| at.elapsed() < AWAY) && !over => {
                stream = None;
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error),
        }
        if open.is_empty() {
            break;
        }
        let left = deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()).min(LOOK));
        match &mut stream {
            Some(events) => match timeout(left, events.next()).await {
                Ok(Some(Ok(_))) | Err(_) => {}
                Ok(_) => stream = None,
            },
            None => sleep(left.min(Duration::from_secs(1))).await,
        }
    }
    if args.format.json {
        print::json(&done)?;
    }
    let worst = done.iter().map(|waited| waited.outcome.code()).max().unwrap_or(0);
    Ok(ExitCode::from(worst))
}

/// Those of the branches that are not waited for any longer.
async fn look(client: &Client, open: &[BranchName], until: Until, over: bool) -> Result<Vec<Waited>, CliError> {
    let mut decided = Vec::new();
    for name in open {
        let branch: BranchDetail = client.get(&client.in_project(&format!("/branches/{name}")).await?).await?;
        let outcome = outcome(&branch, until).or(over.then_some(Outcome::TimedOut));
        let verdict = &branch.summary.verdict;
        decided.extend(outcome.map(|outcome| Waited {
            branch: name.clone(),
            outcome,
            code: verdict.code.clone(),
            says: format!("{}: {}", verdict.state, verdict.because.trim_start_matches("because ")),
            next: verdict.next.clone(),
        }));
    }
    Ok(decided)
}

/// Whether a branch is not waited for any longer.
fn outcome(branch: &BranchDetail, until: Until) -> Option<Outcome> {
    let verdict = &branch.summary.verdict;
    if verdict.code == "landed" {
        return Some(Outcome::Landed);
    }
    let left = branch.queue.first().filter(|entry| entry.left_ms.is_some() && entry.code.starts_with("ejected"));
    match verdict.next.who.as_str() {
        "bb" => None,
        // Its author may publish it again, but nothing goes on of this one.
        _ if verdict.code == "withdrawn" || verdict.code.starts_with("retired-") => Some(Outcome::Ended),
        _ if left.is_some_and(|entry| Some(entry.revision) == branch.summary.revision) => Some(Outcome::Ejected),
        "nobody" => Some(Outcome::Ended),
        "a maintainer" | "an admin" => (until == Until::Decided).then_some(Outcome::NeedsAPerson),
        _ => Some(Outcome::NeedsItsAuthor),
    }
}

fn sentence(waited: &Waited) -> String {
    let word = match waited.outcome {
        Outcome::Landed => "landed",
        Outcome::Ejected => "left the queue",
        Outcome::Ended => "ended",
        Outcome::NeedsAPerson | Outcome::NeedsItsAuthor => "needs somebody",
        Outcome::TimedOut => "is not decided in time",
    };
    let next = match waited.outcome {
        Outcome::Landed | Outcome::Ended => String::new(),
        _ => format!("  Next: {} {}\n", safe(&waited.next.who), safe(&waited.next.what)),
    };
    let text = format!("{} {word}: {}\n{next}", waited.branch, safe(&waited.says));
    Screen::of_output().sentences(&text, 2)
}

fn length(text: &str) -> Result<Duration, CliError> {
    let ends = slave::availability::deadline(text, UnixMs(0))?;
    Ok(Duration::from_millis(u64::try_from(ends.0).unwrap_or(0)))
}
