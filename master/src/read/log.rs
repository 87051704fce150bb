//! A part of a step's log by its lines: what a page shows at once.

use crate::logs::{Line, Lines, Logs};
use protocol::BuildId;
use std::io;
use std::str::FromStr;

/// The most bytes of a line that are looked at.
pub(crate) const LINE: usize = 4_000;

/// The most lines of a part, and the most bytes.
pub(crate) const LINES: u64 = 1000;
const BYTES: usize = 512 << 10;
/// Lines before the one that is asked for.
const BEFORE: u64 = 200;

/// A line of a step, as addresses name it: `2-500`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LineOf {
    pub(crate) step: u32,
    pub(crate) line: u64,
}

impl FromStr for LineOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(step, line)| Some((step.parse().ok()?, line.parse().ok()?)));
        match parsed {
            Some((step, line)) if line > 0 => Ok(Self { step, line }),
            _ => {
                let shown: String = text.chars().take(40).collect();
                Err(format!("a line is named by its step and its number, such as 2-500, not `{shown}`"))
            }
        }
    }
}

/// Which part is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// So many of the last lines.
    Last(u64),
    /// Where the first error is told; the last lines where none is.
    Error,
    /// The lines around this one.
    Around(u64),
    /// The lines from this one on.
    From(u64),
}

/// A part of a step's log.
#[derive(Clone, Debug)]
pub(crate) struct LogPart {
    /// The step's number.
    pub(crate) step: u32,
    /// The lines, in order.
    pub(crate) lines: Vec<Line>,
    /// How many lines the log has.
    pub(crate) count: u64,
    /// The line that tells of the first error.
    pub(crate) hit: Option<u64>,
    /// Whether that line is what the part was made for.
    pub(crate) at_hit: bool,
    /// Where more will come: the byte and the number of its line.
    pub(crate) grows_at: Option<(u64, u64)>,
    /// The line that was asked for and is not there.
    pub(crate) missing: Option<u64>,
}

/// What is known of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StepIs {
    /// More may come; a last line without its line feed is left for later.
    Running,
    /// It ended in an error, which is looked for.
    Failed,
    /// It ended otherwise.
    Ended,
}

/// Reads a part of a log. Blocking; what it reads is bounded, however long the log is.
pub(crate) fn log_part(logs: &Logs, build: BuildId, step: u32, wanted: Wanted, state: StepIs) -> io::Result<LogPart> {
    let all = logs.lines(build, step)?;
    let count = if state == StepIs::Running { all.feeds() } else { all.count()? };
    let hit = if state == StepIs::Failed { logs.first_error(build, step, &all)? } else { None };
    let mut part = LogPart { step, lines: Vec::new(), count, hit, at_hit: false, grows_at: None, missing: None };
    part.lines = match (wanted, hit) {
        (Wanted::Error, Some(hit)) => {
            part.at_hit = true;
            around(&all, hit, count)?
        }
        (Wanted::Around(line), _) if line <= count => around(&all, line, count)?,
        (Wanted::From(line), _) if line <= count => window(&all, line, count)?,
        (wanted, _) => {
            let most = if let Wanted::Last(n) = wanted { n } else { LINES };
            part.missing = match wanted {
                Wanted::Around(line) | Wanted::From(line) => Some(line),
                Wanted::Last(_) | Wanted::Error => None,
            };
            if state == StepIs::Running {
                part.grows_at = Some((all.start_of(count + 1)?, count + 1));
            }
            last(&all, most, count)?
        }
    };
    Ok(part)
}

fn window(all: &Lines, first: u64, count: u64) -> io::Result<Vec<Line>> {
    let most = usize::try_from((count + 1).saturating_sub(first).min(LINES)).unwrap_or(0);
    all.window(first, most, LINE, BYTES)
}

/// The part that has line `line`; with so many before it as there is room for.
fn around(all: &Lines, line: u64, count: u64) -> io::Result<Vec<Line>> {
    let lines = window(all, line.saturating_sub(BEFORE).max(1), count)?;
    if lines.iter().any(|l| l.number == line) { Ok(lines) } else { window(all, line.saturating_sub(3).max(1), count) }
}

/// The last `most` lines, or fewer where they are so long that there is no room for them.
fn last(all: &Lines, most: u64, count: u64) -> io::Result<Vec<Line>> {
    let mut first = (count + 1).saturating_sub(most).max(1);
    loop {
        let lines = window(all, first, count)?;
        if first >= count || lines.last().is_none_or(|line| line.number == count) {
            return Ok(lines);
        }
        first += (count - first).div_ceil(2);
    }
}
