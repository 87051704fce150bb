//! A project's overview: is mainline well, and what needs whom.

use super::frame::At;
use super::parts::{BuildLine, EntryLine, Marks, sentence};
use super::words::{Commit, Fact, When, capital, count, look, of_branches, thousands};
use super::{Context, Pages, PagesError};
use protocol::api::{BranchSummary, Landing, Overview, Size, Slave, Waiting};
use protocol::{BranchName, UnixMs};
use serde::Serialize;
use std::collections::HashSet;

#[derive(Serialize)]
struct View {
    name: String,
    mainline: String,
    url: String,
    look: &'static str,
    headline: String,
    then: String,
    tip: Option<Commit>,
    tip_seen: Option<When>,
    recipe_from: Option<String>,
    warnings: Vec<String>,
    turns: Vec<Fact>,
    empty: bool,
    publish_line: String,
    branches: String,
    queue_page: String,
    here: String,
    needs: Vec<NeedsLine>,
    /// How many of the live ones, and how many of those that were taken out of mainline.
    needs_count: String,
    needs_more: Option<String>,
    running: Vec<BuildLine>,
    running_count: String,
    running_more: Option<String>,
    queue: Vec<EntryLine>,
    queue_count: String,
    queue_more: Option<String>,
    landed: Vec<LandedLine>,
    slaves: Vec<SlaveLine>,
    slaves_note: String,
    slaves_more: Option<String>,
}

#[derive(Serialize)]
struct NeedsLine {
    name: String,
    page: String,
    title: String,
    author: String,
    size: Option<HowMuch>,
    since: When,
    look: &'static str,
    line: String,
    changes_recipe: bool,
    accept: Option<AcceptHere>,
    marks: Marks,
}

/// The button that accepts at once, bound to the commit and the words that the line is of.
#[derive(Serialize)]
struct AcceptHere {
    commit: Commit,
    words: String,
    revision: u32,
}

#[derive(Serialize)]
struct LandedLine {
    branch: String,
    page: String,
    title: String,
    id: Commit,
    at: When,
}

#[derive(Serialize)]
struct SlaveLine {
    name: String,
    look: &'static str,
    word: String,
    says: String,
}

/// Whether a maintainer can accept it now.
fn ready(branch: &BranchSummary) -> bool {
    branch.verdict.code == "ready"
}

fn needs(who_waits: &Waiting, may_accept: bool, now: UnixMs) -> NeedsLine {
    let Waiting { branch, size } = who_waits;
    let verdict = &branch.verdict;
    // Where the next step is its author's, what a maintainer wants to know is why it is here.
    let why = match verdict.code == gate::code::Code::LandedTakenOut.as_str() {
        true => format!(", {}", verdict.because),
        false => String::new(),
    };
    // What changes how it is built is read first: its page has the recipe's change beside the button.
    let at_once = may_accept && ready(branch) && !branch.changes_recipe;
    let commit = branch.commit.as_ref().zip(branch.revision).filter(|_| at_once);
    NeedsLine {
        name: branch.name.to_string(),
        page: branch.page.clone(),
        title: branch.title.clone(),
        author: branch.author.clone().unwrap_or_else(|| branch.publisher.clone()),
        size: size.as_ref().map(HowMuch::of),
        since: When::waiting(branch.changed_ms, now),
        look: look(verdict.look),
        line: sentence(&format!("{}{why}: {} {}", capital(&verdict.state), verdict.next.who, verdict.next.what)),
        changes_recipe: branch.changes_recipe,
        accept: commit.map(|(commit, revision)| AcceptHere {
            commit: Commit::from(commit),
            words: branch.words.clone(),
            revision,
        }),
        marks: Marks::of(&branch.marks),
    }
}

/// `2 commits, 3 files, +10 −2`.
#[derive(Serialize)]
struct HowMuch {
    what: String,
    added: String,
    removed: String,
}

impl HowMuch {
    fn of(size: &Size) -> Self {
        let files = count(usize::try_from(size.files).unwrap_or(usize::MAX), "file", "files");
        let least = if size.at_least { ", at least" } else { "," };
        let commits = count(size.commits as usize, "commit", "commits");
        let what = format!("{commits}, {files}{least}");
        Self { what, added: thousands(size.added), removed: thousands(size.removed) }
    }
}

fn slave(slave: &Slave) -> SlaveLine {
    let says = match slave.builds.as_slice() {
        [] if !slave.connected => "not connected".to_owned(),
        [] if slave.said_reason.is_empty() => format!("runs nothing, {}", count(slave.slots as usize, "slot", "slots")),
        [] => slave.said_reason.clone(),
        builds => {
            let names: Vec<String> = builds.iter().map(|b| format!("{} #{}", b.builder, b.id)).collect();
            format!("runs {}", names.join(", "))
        }
    };
    SlaveLine { name: slave.name.to_string(), look: look(slave.look), word: slave.word.clone(), says }
}

fn landing(landing: &Landing, now: UnixMs) -> LandedLine {
    LandedLine {
        branch: landing.branch.to_string(),
        page: landing.page.clone(),
        title: landing.title.clone(),
        id: Commit::from(&landing.commit),
        at: When::new(landing.landed_ms, now),
    }
}

/// How many branches need a maintainer: of live ones as many as stand above beside their turn, and what was taken out of mainline.
fn needs_count(shown: &Overview) -> String {
    let live = thousands(u64::from(shown.turns.maintainer));
    match (shown.turns.maintainer, shown.needs_count.saturating_sub(shown.turns.maintainer)) {
        (_, 0) => live,
        (0, out) => format!("{} taken out of mainline", thousands(u64::from(out))),
        (_, out) => format!("{live}, and {} taken out of mainline", thousands(u64::from(out))),
    }
}

/// How many there are beside those that are shown.
fn more(shown: usize, all: u32) -> Option<String> {
    let more = (all as usize).checked_sub(shown).filter(|more| *more > 0)?;
    Some(format!("and {} more", thousands(more as u64)))
}

/// The answer: its look, its first sentence, and what follows.
fn answer(shown: &Overview) -> (&'static str, String, String) {
    let project = &shown.project;
    let able = shown.needs_person.iter().filter(|shown| ready(&shown.branch)).count();
    let turn = match (able, shown.turns.maintainer) {
        (0, 0) => "Nothing waits for a maintainer.".to_owned(),
        (0, n) => format!("{} for a maintainer or an admin.", count(n as usize, "branch waits", "branches wait")),
        (n, _) => format!("{} ready to be accepted.", count(n, "branch is", "branches are")),
    };
    if let Some(trouble) = &project.trouble {
        return ("exception", format!("Nothing can land: {trouble}"), turn);
    }
    if project.tip.is_none() {
        return ("waiting", "Mainline is not read yet".to_owned(), "bb is fetching it.".to_owned());
    }
    if project.paused {
        return (
            "waiting",
            "The queue is paused: nothing lands".to_owned(),
            format!("{turn} Testing of branches goes on."),
        );
    }
    if let Some(frozen) = &project.frozen {
        return ("waiting", capital(&frozen.says), format!("{turn} Testing of branches goes on."));
    }
    if project.live == 0 {
        let headline =
            if shown.landed.is_empty() { "Nothing is published yet" } else { "Nothing is on its way to mainline" };
        return ("passed", headline.to_owned(), "Next: you publish a branch.".to_owned());
    }
    let live = count(project.live as usize, "branch is live", "branches are live");
    let queue = match project.queued {
        0 => "the queue is empty".to_owned(),
        n => format!("{n} in the queue"),
    };
    ("passed", format!("Mainline is open; {live}, {queue}"), turn)
}

impl Pages {
    /// A project's overview; `may` names the branches that the reader may accept.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn overview(
        &self,
        context: &Context,
        shown: &Overview,
        may: &HashSet<BranchName>,
    ) -> Result<String, PagesError> {
        let (project, now, base) = (&shown.project, context.now, context.base());
        let (look, headline, then) = answer(shown);
        let branches = |n: u32| of_branches(n as usize);
        let view = View {
            name: project.name.to_string(),
            mainline: project.mainline.clone(),
            url: project.url.clone(),
            look,
            headline,
            then,
            tip: project.tip.as_ref().map(Commit::from),
            tip_seen: project.tip_seen_ms.map(|at| When::new(at, now)),
            recipe_from: Some(project.recipe_from.clone()).filter(|from| !from.is_empty()),
            warnings: project.warnings.clone(),
            turns: vec![
                Fact::new("By themselves", branches(shown.turns.bb)),
                Fact::new("Need a maintainer", branches(shown.turns.maintainer)),
                Fact::new("Need their author", branches(shown.turns.author)),
            ],
            empty: project.live == 0 && shown.landed.is_empty(),
            publish_line: "bb publish URL BRANCH".to_owned(),
            branches: format!("{base}/branches"),
            queue_page: format!("{base}/queue"),
            here: context.path.clone(),
            needs: shown.needs_person.iter().map(|shown| needs(shown, may.contains(&shown.branch.name), now)).collect(),
            needs_count: needs_count(shown),
            needs_more: more(shown.needs_person.len(), shown.needs_count),
            running: shown.running.iter().map(|b| BuildLine::of(b, now)).collect(),
            running_count: count(shown.running_count as usize, "build", "builds"),
            running_more: more(shown.running.len(), shown.running_count),
            queue: shown.queue.iter().map(|e| EntryLine::of(e, &shown.project.name, now)).collect(),
            queue_count: count(project.queued as usize, "branch", "branches"),
            queue_more: more(shown.queue.len(), project.queued),
            landed: shown.landed.iter().map(|l| landing(l, now)).collect(),
            slaves: shown.slaves.iter().map(slave).collect(),
            slaves_note: format!("{} of {} take builds", shown.slaves_able, shown.slaves_count),
            slaves_more: more(shown.slaves.len(), shown.slaves_count),
        };
        let frame = context.frame(self, At::Overview, project.name.as_str());
        let frame = frame.renewed_by(&[("project", project.name.as_str())]).publish_first(view.empty);
        self.render("overview", frame, view)
    }
}
