//! `bb review NAME`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use protocol::BranchName;
use protocol::api::{Place, Review, Reviewing, Side, Thread};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// The longest text that is read of a file; the master takes less.
const MOST: usize = 1 << 20;

/// Vote and comment on a branch's newest revision, or, without any option, list what was said of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb review load-balancing
  bb review load-balancing --vote +1
  bb review load-balancing --vote -1 --comment 'It loses the last request.'
  bb review load-balancing --on src/pool.rs:40-42 --comment 'Who frees this?'
  bb review load-balancing --reply 7 --comment 'Done.' --resolve 7")]
pub(crate) struct Args {
    /// The branch's name
    name: BranchName,
    /// +1, 0 or -1, on the newest revision
    #[arg(long, value_name = "VOTE", allow_hyphen_values = true)]
    vote: Option<i8>,
    /// What to say, plain text
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    comment: Option<String>,
    /// The same, out of a file; `-` is standard input
    #[arg(short = 'F', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The lines of the diff that it is about, `PATH:LINE` or `PATH:LINE-LINE`
    #[arg(long, value_name = "PATH:LINE[-LINE]")]
    on: Option<Lines>,
    /// Which side of the diff these are on: old or new
    #[arg(long, default_value = "new", requires = "on")]
    side: Side,
    /// Answer in this thread
    #[arg(long, value_name = "THREAD", conflicts_with = "on")]
    reply: Option<i64>,
    /// This thread is resolved
    #[arg(long, value_name = "THREAD", conflicts_with = "reopen")]
    resolve: Option<i64>,
    /// This thread is open again
    #[arg(long, value_name = "THREAD")]
    reopen: Option<i64>,
    /// List threads before this one
    #[arg(long, value_name = "THREAD")]
    before: Option<i64>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Debug)]
struct Lines {
    path: String,
    from: u32,
    to: u32,
}

impl FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "lines are given as PATH:LINE or PATH:LINE-LINE".to_owned();
        let (path, lines) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (from, to) = lines.split_once('-').unwrap_or((lines, lines));
        let number = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Self { path: path.to_owned(), from: number(from)?, to: number(to)? })
    }
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project(&format!("/branches/{}/review", args.name)).await?;
    let comment = match (args.comment, &args.file) {
        (Some(text), _) => Some(text),
        (None, Some(file)) => Some(text_of(file)?),
        (None, None) => None,
    };
    let before = args.before.map_or_else(String::new, |before| format!("?before={before}"));
    let mut review: Review = client.get(&format!("{path}{before}")).await?;
    let on = args.on.map(|it| Place { path: it.path, side: args.side, from: it.from, to: it.to, line: String::new() });
    let (vote, reply, resolve, reopen) = (args.vote, args.reply, args.resolve, args.reopen);
    let it = Reviewing { commit: review.commit.clone(), vote, comment, on, reply, resolve, reopen };
    let says = Reviewing { commit: it.commit.clone(), ..Reviewing::default() } != it;
    if says {
        review = client.post(&path, &it).await?;
    }
    args.format.print(&review, listing)?;
    Ok(ExitCode::SUCCESS)
}

fn text_of(file: &PathBuf) -> Result<String, CliError> {
    use std::io::Read as _;
    let wrong = |error: std::io::Error| CliError::new(format!("{} can't be read: {error}", file.display()));
    let mut bytes = Vec::new();
    let most = MOST as u64 + 1;
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(wrong)?;
    } else {
        std::fs::File::open(file).map_err(wrong)?.take(most).read_to_end(&mut bytes).map_err(wrong)?;
    }
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= MOST);
    text.ok_or_else(|| CliError::new(format!("{} is no text, or too long for a comment", file.display())))
}

fn listing(review: &Review) -> String {
    let mut text = String::new();
    let tally = &review.tally;
    let revision = review.revision.map_or_else(|| "no revision yet".to_owned(), |n| format!("r{n}"));
    let _ = writeln!(
        text,
        "{}, {revision}: {} for it, {} against, {} of {} threads open",
        review.branch, tally.up, tally.down, tally.open, tally.threads
    );
    for vote in &review.votes {
        let why_not = vote.standing.words();
        let why_not = if why_not.is_empty() { String::new() } else { format!(" ({why_not})") };
        let sign = if vote.value > 0 { "+" } else { "" };
        let by = safe(&vote.by);
        let _ = writeln!(text, "  {sign}{} by {by} on r{}, {}{why_not}", vote.value, vote.revision, ago(vote.at_ms));
    }
    for it in &review.threads {
        thread(&mut text, it);
    }
    if let Some(next) = review.next {
        let _ = writeln!(text, "\nOlder threads: bb review {} --before {next}", review.branch);
    }
    text
}

fn thread(text: &mut String, it: &Thread) {
    let state = it.resolved_by.as_ref().map_or_else(|| "open".to_owned(), |by| format!("resolved by {}", safe(by)));
    let _ = write!(text, "\nThread {}, {state}, on r{}", it.id, it.revision);
    if let Some(on) = &it.on {
        let lines = if on.from == on.to { on.from.to_string() } else { format!("{}-{}", on.from, on.to) };
        let _ = write!(text, ", {}:{lines} ({})\n  | {}", safe(&on.path), on.side.as_str(), safe(&on.line));
    }
    text.push('\n');
    for comment in &it.comments {
        let _ = writeln!(text, "  {}, {}:", safe(&comment.by), ago(comment.at_ms));
        for line in comment.text.lines() {
            let _ = writeln!(text, "    {}", safe(line));
        }
    }
}
