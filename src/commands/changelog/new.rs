//! `bb changelog new`

use super::AgainstArgs;
use crate::commands::merge_changelog::worktree_error;
use crate::error::CliError;
use crate::print::{self, safe};
use changelog::{PathKind, Place, place_of};
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Write the branch's fragment from its commits and its diff, and open it in your editor
///
/// Author, date, changed files and functions are filled in; functions are those that git names above each hunk. On a terminal the editor opens.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog new
  bb changelog new load-balancing
  bb changelog new 123 --type bugfix")]
pub(crate) struct Args {
    /// The fragment's name in the fragments' folder, without its end; for a typed one, the number
    name: Option<String>,
    /// Write a typed fragment, NAME.TYPE.md: feature, bugfix, doc, removal, misc, or what .bb.toml names
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    against: AgainstArgs,
    /// Do not open an editor
    #[arg(long)]
    no_edit: bool,
    /// Print it instead of writing a file
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let (tree, all) = args.against.open()?;
    let against = tree.against(args.against.against.as_deref()).map_err(worktree_error)?;
    let draft = tree.draft(&all, &against).map_err(worktree_error)?;
    let text = if args.kind.is_some() { draft.text() } else { draft.gnu(super::super::today()) };
    if args.print {
        print::out(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    // The ChangeLog that most of the changes belong to.
    let files = draft.changes.iter().flat_map(|c| &c.files);
    let mut places: Vec<(&Place, usize)> = all.iter().map(|p| (p, 0)).collect();
    for (file, _) in files {
        let of = place_of(&all, file.as_bytes()).map(|p| &p.path);
        if let Some(place) = places.iter_mut().find(|(p, _)| Some(&p.path) == of) {
            place.1 += 1;
        }
    }
    let place = places.iter().rev().max_by_key(|(_, n)| *n).map(|(p, _)| *p);
    let Some(place) = place else { return Err(CliError::new("no ChangeLog is configured")) };
    let branch = tree.branch_name().map_err(worktree_error)?;
    let path = path_of(args, place, branch.as_deref(), tree.top())?;
    tree.write_new(&path, &text)
        .map_err(|error| worktree_error(error).hint("edit that file, or give another name: `bb changelog new NAME`"))?;
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if on_terminal && !args.no_edit {
        tree.edit(&path).map_err(worktree_error)?;
    }
    print::out(&format!("Wrote {}\nCheck it with `bb changelog check`, then `git add` it.\n", safe(&path)))?;
    Ok(ExitCode::SUCCESS)
}

fn path_of(args: &Args, place: &Place, branch: Option<&str>, top: &std::path::Path) -> Result<String, CliError> {
    let folder = place.rules.folder.as_deref();
    let single = place.rules.names.first().map(String::as_str);
    let own = branch.map(file_name);
    let name = args.name.clone().or(own).unwrap_or_else(|| "branch".to_owned());
    let has_folder = folder.is_some_and(|f| top.join(place.rooted(f)).is_dir());
    let path = match (&args.kind, folder, single) {
        (Some(kind), Some(folder), _) => {
            let orphan = if name.bytes().all(|b| b.is_ascii_digit()) { "" } else { "+" };
            format!("{folder}/{orphan}{}.{kind}.md", name.trim_start_matches('+'))
        }
        (None, Some(folder), single) if args.name.is_some() || has_folder || single.is_none() => {
            format!("{folder}/{name}.ChangeLog")
        }
        (None, _, Some(single)) => single.to_owned(),
        _ => {
            return Err(CliError::new("the project has no folder for fragments")
                .hint("name one in .bb.toml: `[changelog] folder = …`"));
        }
    };
    match place.rules.classify(path.as_bytes()) {
        PathKind::Fragment(_) => Ok(place.rooted(&path)),
        _ => {
            let types: Vec<&str> = place.rules.types.keys().map(String::as_str).collect();
            Err(CliError::new(format!("{} would be no fragment", safe(&path)))
                .hint(format!("a name has no slash and does not start with a dot; the types are {}", types.join(", "))))
        }
    }
}

/// A branch's name as a file's: `ann/fix` becomes `ann-fix`.
fn file_name(branch: &str) -> String {
    let name: String = branch.chars().map(|c| if c == '/' || c == '.' || c.is_control() { '-' } else { c }).collect();
    name.trim_matches('-').to_owned()
}
