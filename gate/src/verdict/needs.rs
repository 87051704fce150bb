//! What must be met before a branch lands, one line each, unmet first.

use super::{Build, Builder, Candidate, Facts, Life, Queue, Recipe, Source, ended_at};
use crate::code::Code;
use crate::words::list;
use protocol::BuildResult;
use protocol::api::{Look, Need};

/// The lines; empty for a branch that is not live.
pub(super) fn needs(facts: &Facts) -> Vec<Need> {
    if facts.life != Life::Live {
        return vec![];
    }
    let mut needs: Vec<Need> = source(facts).into_iter().collect();
    needs.extend(facts.mainline.stop().map(|stop| need(Look::Exception, upper(&stop.says), None)));
    needs.extend(push(facts));
    needs.extend(revision(facts));
    needs.extend(recipe(facts));
    if facts.changes_recipe {
        needs.push(need(
            Look::Warnings,
            "It changes the recipe: accepting it accepts how it is built",
            Some("#recipe"),
        ));
    }
    let warns = |text: &String| need(Look::Warnings, format!("Its recipe: {text}"), Some("#recipe"));
    needs.extend(facts.recipe_warnings.iter().map(warns));
    needs.extend(candidate(facts));
    needs.extend(facts.told_builders().map(builder));
    needs.extend(acceptance(facts));
    // Stable, so that builders keep the recipe's order within each kind.
    needs.sort_by_key(|need| rank(need.look));
    needs
}

/// As a sentence begins.
fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Unmet, then under way, then what only deserves a look, then met.
const fn rank(look: Look) -> u8 {
    match look {
        Look::Failed | Look::Conflict | Look::Exception => 0,
        Look::Cancelled | Look::Skipped | Look::Running | Look::Waiting => 1,
        Look::Warnings => 2,
        Look::Passed | Look::Accepted | Look::Landed | Look::Retired => 3,
    }
}

fn need(look: Look, text: impl Into<String>, page: Option<&str>) -> Need {
    Need { look, text: text.into(), page: page.map(str::to_owned) }
}

fn source(facts: &Facts) -> Option<Need> {
    match &facts.source {
        Source::Fine => None,
        Source::Trouble(t) => Some(need(Look::Warnings, format!("Its source can't be read now: {}", t.text), None)),
        Source::Gone(t) => Some(need(Look::Warnings, format!("Its source is gone: {}", t.text), None)),
    }
}

/// All that the official repository said when it refused the push: the sentence above has its first line, and why is in the others.
fn push(facts: &Facts) -> Option<Need> {
    let Queue::In { code: Code::PushRefused, says, .. } = &facts.queue else { return None };
    let lines: Vec<&str> = says.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Some(need(Look::Exception, upper(&lines.join("; ")), Some("#queue")))
}

fn revision(facts: &Facts) -> Option<Need> {
    let revision = facts.revision.as_ref()?;
    if let Some(lost) = &revision.lost {
        let text = format!("The commit of r{} is missing: {}", revision.number, lost.text);
        return Some(need(Look::Exception, text, Some("#revisions")));
    }
    let refused = revision.refused.as_ref()?;
    let text = format!("r{} was not admitted: {}", revision.number, refused.text);
    Some(need(Look::Failed, text, Some("#revisions")))
}

fn recipe(facts: &Facts) -> Option<Need> {
    match &facts.recipe {
        Recipe::Fine => None,
        Recipe::Unknown => Some(need(Look::Waiting, "Mainline's recipe is not read yet", None)),
        Recipe::Missing => Some(need(Look::Exception, "The project has no recipe, and none could be guessed", None)),
        Recipe::Broken(t) => {
            Some(need(Look::Exception, format!("The project's recipe has an error: {}", t.text), None))
        }
        Recipe::BrokenInBranch(t) => Some(need(Look::Failed, format!("Its recipe has an error: {}", t.text), None)),
    }
}

fn candidate(facts: &Facts) -> Option<Need> {
    facts.revision.as_ref().filter(|r| r.refused.is_none())?;
    Some(match &facts.candidate {
        Candidate::NotMade => need(Look::Waiting, "The candidate is not made yet", None),
        Candidate::Made => need(Look::Passed, "Merges cleanly with mainline", Some("#diff")),
        Candidate::Conflict(files) if files.is_empty() => {
            need(Look::Conflict, "Conflicts with mainline", Some("#diff"))
        }
        Candidate::Conflict(files) => {
            need(Look::Conflict, format!("Conflicts with mainline in {}", list(files)), Some("#diff"))
        }
        Candidate::Superseded => need(Look::Failed, "Nothing would change: mainline has it all", Some("#diff")),
        Candidate::MainlineTrouble(t) => {
            need(Look::Exception, format!("Mainline itself is at fault: {}", t.text), Some("#changelog"))
        }
        Candidate::Refused(t) => need(Look::Failed, t.text.clone(), Some("#changelog")),
    })
}

fn builder(builder: &Builder) -> Need {
    let (look, text) = told(&builder.name, &builder.build);
    // What an optional builder says deserves a look at most.
    match look {
        _ if builder.required => need(look, text, builder.page.as_deref()),
        Look::Failed | Look::Exception => need(Look::Warnings, optional(&text), builder.page.as_deref()),
        _ => need(look, optional(&text), builder.page.as_deref()),
    }
}

fn optional(text: &str) -> String {
    format!("{text} (optional)")
}

/// How a builder's latest build stands, in a sentence.
fn told(name: &str, build: &Build) -> (Look, String) {
    let (look, word) = build.mark();
    let text = match build {
        Build::NotAsked => format!("{name} is not built yet"),
        Build::Held(crowded) => format!("{name} is not asked for yet: {}", crowded.text()),
        Build::Waiting(None) => format!("{name} waits"),
        Build::Waiting(Some(wait)) => format!("{name} waits: {}", wait.text()),
        Build::Running { step: None } => format!("{name} runs"),
        Build::Running { step: Some(step) } => format!("{name} runs, step {step}"),
        Build::Finished { result, step, says, .. } => {
            let at = ended_at(step.as_deref(), says);
            match result {
                BuildResult::Retry => return (Look::Waiting, format!("{name} was interrupted and is run again")),
                BuildResult::Skipped | BuildResult::Cancelled => format!("{name} was {word}"),
                BuildResult::Exception => format!("{name} ended by the machine's or bb's fault{at}"),
                _ => format!("{name} {word}{at}"),
            }
        }
    };
    (look, text)
}

fn acceptance(facts: &Facts) -> Option<Need> {
    let newest = facts.revision.as_ref()?.number;
    Some(match &facts.queue {
        Queue::None => need(Look::Waiting, format!("r{newest} is not accepted"), None),
        Queue::In { revision, .. } if *revision == newest => {
            need(Look::Accepted, format!("r{newest} is accepted"), None)
        }
        Queue::In { revision, .. } => {
            let text = format!("r{revision} is accepted; r{newest} came later and would not land");
            need(Look::Warnings, text, Some("#revisions"))
        }
        Queue::Ejected { revision, says, .. } if *revision == newest => {
            need(Look::Failed, format!("r{revision} was ejected from the queue: {says}"), None)
        }
        Queue::Ejected { revision, .. } => {
            need(Look::Waiting, format!("r{newest} is not accepted; r{revision} was, and was ejected"), None)
        }
    })
}
