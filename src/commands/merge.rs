//! `bb merge NAME | REF | URL REF`

use crate::client::{Client, MasterArgs};
use crate::error::CliError;
use crate::print::{Format, safe};
use jiff::civil::Date;
use protocol::BranchName;
use protocol::api::{BranchDetail, ConflictFile};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tracker::candidate::Message;
use tracker::worktree::{
    Incoming, MergeEnd, MergeError, MergePlace, MergeReport, MergeRequest, MergeStyle, MergeThen, OfMaster, WorkTree,
};

/// Merge by hand, in your own clone, what bb would land: same tree, same message, your commit
///
/// NAME is a branch registered at a master, REF anything that this clone's git knows. A conflict leaves git's ordinary
/// merge in progress.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb merge load-balancing
  bb merge origin/topic --no-commit
  bb merge https://git.example.org/ann/heron.git topic --squash")]
pub(crate) struct Args {
    /// The name of a registered branch, or a ref of this clone; with REF, the repository to fetch from
    #[arg(value_name = "NAME | REF | URL")]
    what: String,
    /// The ref to fetch from URL
    #[arg(value_name = "REF", conflicts_with = "published")]
    reference: Option<String>,
    /// Take the master's branch, also when a ref here has its name
    #[arg(long)]
    published: bool,
    /// Work in this folder instead of the current one
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The date of the ChangeLog entries instead of today in UTC, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// Stage it; `git commit` then concludes the merge
    #[arg(long)]
    no_commit: bool,
    /// Make one ordinary commit of it
    #[arg(long)]
    squash: bool,
    /// Only say what would be done
    #[arg(long, conflicts_with = "no_commit")]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, master: &MasterArgs) -> Result<ExitCode, CliError> {
    let tree = WorkTree::open(&args.folder).map_err(super::merge_changelog::worktree_error)?;
    let place = tree.ready_to_merge().map_err(merge_error)?;
    let incoming = match &args.reference {
        Some(reference) => place.fetch(&args.what, reference).map_err(merge_error)?,
        None => find(&place, &args, master).await?,
    };
    let request = MergeRequest {
        date: args.date.unwrap_or_else(today),
        then: match (args.dry_run, args.no_commit) {
            (true, _) => MergeThen::DryRun,
            (_, true) => MergeThen::Stage,
            _ => MergeThen::Commit,
        },
        style: if args.squash { MergeStyle::Squash } else { MergeStyle::Merge },
    };
    let report = place.merge(&incoming, &request).await.map_err(merge_error)?;
    args.format.print(&report, |report| told(report, &incoming.label()))?;
    Ok(match &report.end {
        MergeEnd::WouldConflict { .. } => ExitCode::FAILURE,
        MergeEnd::Conflict { .. } => {
            let error = CliError::new(format!("{} has conflicts; git's merge is in progress", safe(&incoming.label())));
            let then = "resolve them and `git add` the files, `bb merge-changelog`, then `git commit`";
            error.hint(format!("{then}; `git reset --merge` gives it up")).report()
        }
        MergeEnd::WouldMerge | MergeEnd::Staged | MergeEnd::Committed { .. } => ExitCode::SUCCESS,
    })
}

/// The day that a master dates entries of now.
fn today() -> Date {
    jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date()
}

/// What the one word stands for: a ref of the clone, or a branch of the master.
async fn find(place: &MergePlace<'_>, args: &Args, master: &MasterArgs) -> Result<Incoming, CliError> {
    let word = args.what.as_str();
    let name = word.parse::<BranchName>();
    if args.published {
        let (name, client) = (name?, Client::new(master)?);
        let branch = registered(&client, &name).await?.ok_or_else(|| unknown(word, Some(&client)))?;
        return published(place, &client, &branch);
    }
    let local = place.local(word).map_err(merge_error)?;
    let asked = local.is_none() || place.is_ref(word).map_err(merge_error)?;
    let (Ok(name), true, Some(client)) = (name, asked, Client::if_named(master)?) else {
        return local.ok_or_else(|| unknown(word, None));
    };
    match (local, registered(&client, &name).await) {
        (None, branch) => match branch? {
            Some(branch) => published(place, &client, &branch),
            None => Err(unknown(word, Some(&client))),
        },
        (Some(local), Ok(None)) => Ok(local),
        (Some(local), Ok(Some(branch))) if branch.summary.commit.as_ref() == Some(&local.commit) => {
            published(place, &client, &branch)
        }
        (Some(local), Ok(Some(branch))) => {
            let found = vec![
                format!("the ref here, at {}", local.commit.short()),
                format!(
                    "the master's branch, at {}",
                    branch.summary.commit.as_ref().map_or("no commit yet", |commit| commit.short())
                ),
            ];
            Err(merge_error(MergeError::Ambiguous { word: word.to_owned(), found }))
        }
        (Some(local), Err(_)) => {
            eprintln!("warning: the master could not be asked; `{}` is taken for the ref here", safe(word));
            Ok(local)
        }
    }
}

async fn registered(client: &Client, name: &BranchName) -> Result<Option<BranchDetail>, CliError> {
    client.find(&client.in_project(&format!("/branches/{name}")).await?).await
}

fn unknown(word: &str, client: Option<&Client>) -> CliError {
    let word = safe(word);
    match client {
        Some(client) => CliError::new(format!("`{word}` is no ref here, and no branch of {}", client.url("")))
            .hint("`bb branches` lists those; `git branch --all` lists these"),
        None => CliError::new(format!("`{word}` is no ref here, and could be no branch of a master"))
            .hint("name a ref of this clone; or say where the master is, with --master URL or `bb login URL`"),
    }
}

/// The newest revision of a registered branch, fetched from the master.
fn published(place: &MergePlace<'_>, client: &Client, branch: &BranchDetail) -> Result<Incoming, CliError> {
    let summary = &branch.summary;
    let name = &summary.name;
    let Some(newest) = branch.revisions.first() else {
        return Err(CliError::new(format!("{name} has no revision yet")).hint(format!("`bb show {name}` says why")));
    };
    let label = format!("{name} r{}", newest.number);
    if let Some(refusal) = &newest.refused {
        return Err(CliError::new(format!("{label} was refused: {}", safe(&refusal.text))).hint(safe(&refusal.hint)));
    }
    let reference = format!("refs/branches/{name}/r{}", newest.number);
    let fetched = place.fetch(&client.url(&branch.git_path), &reference).map_err(merge_error)?;
    if fetched.commit != newest.commit {
        let (got, told) = (fetched.commit.short(), newest.commit.short());
        return Err(CliError::new(format!("the master says that {label} is {told}, but gave {got}"))
            .hint("run it again; if that stays so, its admin looks at the mirror"));
    }
    eprintln!("Merging {label}, {}: {}", newest.commit.short(), safe(&newest.subject));
    let mainline = branch.candidate.as_ref().map(|it| it.mainline_now.as_ref().unwrap_or(&it.mainline));
    if let Some(mainline) = mainline.filter(|it| *it != place.head()) {
        eprintln!(
            "warning: mainline is at {}, but HEAD at {}: what comes of it can differ from what bb would land",
            mainline.short(),
            place.head().short()
        );
    }
    Ok(Incoming {
        name: name.to_string(),
        revision: Some(newest.number),
        commit: fetched.commit,
        message: Message {
            title: summary.title.clone(),
            bugs: summary.bugs.clone(),
            page: Some(client.url(&summary.page)),
            trailers: Vec::new(),
        },
        candidate: branch
            .candidate
            .as_ref()
            .filter(|it| it.revision == newest.number)
            .map(|it| OfMaster { message: it.message.clone(), project: it.folded_by.clone() }),
    })
}

fn told(report: &MergeReport, label: &str) -> String {
    let mut text = String::new();
    let label = safe(label);
    for note in &report.notes {
        let _ = writeln!(text, "Note: {}", safe(note));
    }
    if !report.fragments.is_empty() {
        let _ = writeln!(text, "Folded {} into ChangeLog.", safe(&report.fragments.join(", ")));
    }
    if !report.kept.is_empty() {
        let stay = if report.kept.len() == 1 { "stays" } else { "stay" };
        let _ = writeln!(text, "{} {stay} until the release.", safe(&report.kept.join(", ")));
    }
    if let Some(reason) = &report.exempt {
        let _ = writeln!(text, "No ChangeLog entry is needed: {}", safe(reason));
    }
    match &report.end {
        MergeEnd::Committed { commit } => {
            let _ = writeln!(text, "Merged {label} as {}.", commit.short());
        }
        MergeEnd::Staged => {
            let _ = writeln!(text, "Merged {label} and staged it; `git commit` when you are ready.");
        }
        MergeEnd::WouldMerge => {
            let tree = report.tree.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{label} would merge to the tree {tree}, with this message:\n");
            text.push_str(&safe(&report.message));
        }
        MergeEnd::Conflict { files } | MergeEnd::WouldConflict { files } => {
            for ConflictFile { path, message, .. } in files {
                let _ = writeln!(text, "Conflict in {}: {}", safe(path), safe(message));
            }
        }
    }
    text
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn merge_error(error: MergeError) -> CliError {
    CliError::new(safe(&error.to_string())).hint(safe(&error.hint()))
}
