//! What lists need to know of a branch without a look at all its rows.
//!
//! A verdict depends on what is the branch's own and on a few things that are its project's: what mainline and its recipe are
//! like, which builds can't be given to anybody. Of the branch's own, lists of thousands ask three things alone: the code, the
//! state in words, and whose turn it is. What these depend on is its [`Shape`]. It is small and kept with the branch; many
//! branches have the same one; and those of one shape stand alike, whatever their project is like at the moment. So what
//! concerns a whole project changes nothing of what is kept: each shape that occurs is looked at once, within its
//! [`Surroundings`] of now, by the functions that judge branches one by one.

use super::judge::{Answer, built, early, ended, late, queued, recipe, stopped};
use super::{Build, Builder, Candidate, Facts, Life, Queue, Recipe, Source, TakenOut};
use crate::code::Code;
use crate::mainline::Mainline;
use crate::pending::Crowded;
use crate::schedule::Wait;
use protocol::BuildResult;
use protocol::api::{Next, WouldLand};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whose turn it is, as branches are counted by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// bb's, or nobody's.
    Bb,
    /// A maintainer's or an admin's.
    Maintainer,
    /// The author's.
    Author,
}

impl Whose {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Bb, Self::Maintainer, Self::Author];

    /// Of who is next.
    pub fn of(next: &Next) -> Self {
        match next.who.as_str() {
            "bb" | "nobody" => Self::Bb,
            "a maintainer" | "an admin" => Self::Maintainer,
            _ => Self::Author,
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bb => "bb",
            Self::Maintainer => "maintainer",
            Self::Author => "author",
        }
    }

    const fn who(self) -> &'static str {
        match self {
            Self::Bb => "bb",
            Self::Maintainer => "a maintainer",
            Self::Author => "the author",
        }
    }
}

/// Where a branch stands, as far as lists must know of all branches at once. The state of one in the queue is without its place,
/// and that of one whose builds wait without what they wait for.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub struct Brief {
    /// The verdict's code.
    pub code: String,
    /// Its state.
    pub state: String,
    /// Whose turn it is.
    pub whose: Whose,
    /// Whether it would land.
    yes: bool,
}

impl Brief {
    fn of(answer: Answer) -> Self {
        Self {
            code: answer.code.as_str().to_owned(),
            state: answer.state,
            whose: Whose::of(&answer.next),
            yes: answer.would_land == WouldLand::Yes,
        }
    }

    fn answer(&self) -> Answer {
        // As every code was written by this crate, an unknown one was by a newer bb: it is bb's turn to know.
        let code = Code::named(&self.code).unwrap_or(Code::NoCandidate);
        let would_land = if self.yes { WouldLand::Yes } else { WouldLand::No };
        let (look, state) = (protocol::api::Look::Waiting, self.state.clone());
        Answer::new(code, state, look, would_land).next(self.whose.who(), "")
    }
}

/// What the place of a branch in lists depends on, as far as it is its own. Kept as JSON.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// It has ended.
    Ended(Brief),
    /// It is in the queue.
    Queued(Brief),
    /// There is nothing to build.
    Early(Brief),
    /// It can't be built, or was ejected; if the project's recipe can be used.
    Late(Brief),
    /// It stands as its builds do, if the project's recipe can be used.
    Built {
        /// Whether its recipe is another than mainline's.
        changes_recipe: bool,
        /// The latest build of each builder that has one, in order.
        builds: Vec<Told>,
    },
}

/// A builder's latest build.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub struct Told {
    /// The builder.
    name: String,
    /// Whether landing needed it, when the build was asked for.
    required: bool,
    /// Where it is.
    at: At,
}

#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum At {
    /// Nobody has it; what it needs of a slave, as [`Surroundings::stuck`] knows it.
    Waits(String),
    Runs,
    Ended(String),
    /// It failed for want of a program.
    Lacks,
}

/// What of its project the verdicts of all branches depend on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Surroundings {
    /// What the last look at mainline said.
    pub mainline: Mainline,
    /// The recipe by which branches are built.
    pub recipe: Recipe,
    /// Its builders, and whether each is required.
    pub builders: Vec<(String, bool)>,
    /// Why builds can't be given to anybody, by what they need of a slave ([`crate::schedule::needed`]).
    pub stuck: BTreeMap<String, Wait>,
}

impl Surroundings {
    /// All that a verdict depends on, of what is a branch's own: of the builders those that have a build, in order. `held` says
    /// why the other builders' builds are not asked for, if they are held back.
    #[must_use]
    pub fn around(&self, own: Facts, held: Option<Crowded>) -> Facts {
        let recipe = match &self.recipe {
            Recipe::Unknown | Recipe::Missing | Recipe::Broken(_) => self.recipe.clone(),
            Recipe::Fine | Recipe::BrokenInBranch(_) => own.recipe,
        };
        let mut others = own.builders;
        let mut builders = Vec::with_capacity(self.builders.len().max(others.len()));
        for (name, required) in &self.builders {
            let (build, page) = match others.iter().position(|builder| builder.name == *name) {
                Some(at) => {
                    let builder = others.remove(at);
                    (builder.build, builder.page)
                }
                None => (held.map_or(Build::NotAsked, Build::Held), None),
            };
            builders.push(Builder { name: name.clone(), required: *required, build, page });
        }
        // A branch whose own recipe names other builders shows them, too: the queue uses them once it is accepted.
        builders.append(&mut others);
        Facts { mainline: self.mainline.clone(), recipe, builders, ..own }
    }
}

impl Facts {
    /// Those of a live branch that could be built, and of which no build is known.
    fn nothing() -> Self {
        Self {
            author: String::new(),
            life: Life::Live,
            source: Source::Fine,
            mainline: Mainline::Fine,
            revision: None,
            recipe: Recipe::Fine,
            candidate: Candidate::Made,
            changes_recipe: false,
            recipe_warnings: Vec::new(),
            builders: Vec::new(),
            queue: Queue::None,
        }
    }
}

impl Shape {
    /// That of a branch of which nothing can be known.
    pub fn unknown() -> Self {
        Self::of(&Facts::nothing(), str::to_owned)
    }

    /// That of all branches which landed and which a push took out of mainline.
    pub fn taken_out() -> Self {
        let out = TakenOut { day: String::new(), tip_by: String::new() };
        let life = Life::Landed { commit: String::new(), newer: None, taken_out: Some(out) };
        Self::of(&Facts { life, ..Facts::nothing() }, str::to_owned)
    }

    /// The shape of what is a branch's own, which has of the builders those with a build. `needs` says what a builder's waiting
    /// build needs of a slave.
    pub fn of(own: &Facts, needs: impl Fn(&str) -> String) -> Self {
        // Nobody's turn is bb's because that is what an author calls himself.
        let own = Facts { author: String::new(), mainline: Mainline::Fine, ..own.clone() };
        if let Some(answer) = ended(&own) {
            return Self::Ended(Brief::of(answer));
        }
        if let Some(answer) = queued(&own) {
            return Self::Queued(Brief { state: "queue".to_owned(), ..Brief::of(answer) });
        }
        if let Some(answer) = early(&own) {
            return Self::Early(Brief::of(answer));
        }
        if let Some(answer) = recipe(&own).or_else(|| late(&own)) {
            return Self::Late(Brief::of(answer));
        }
        let told = |builder: &Builder| {
            let at = match &builder.build {
                Build::NotAsked | Build::Held(_) => return None,
                Build::Waiting(_) => At::Waits(needs(&builder.name)),
                Build::Running { .. } => At::Runs,
                Build::Finished { result: BuildResult::Failure, lacks: Some(_), .. } => At::Lacks,
                Build::Finished { result, .. } => At::Ended(result.as_str().to_owned()),
            };
            Some(Told { name: builder.name.clone(), required: builder.required, at })
        };
        Self::Built { changes_recipe: own.changes_recipe, builds: own.builders.iter().filter_map(told).collect() }
    }

    /// Where a branch of this shape stands in these surroundings.
    pub fn within(&self, around: &Surroundings) -> Brief {
        let mut facts = around.around(Facts::nothing(), None);
        let (is_early, answer) = match self {
            Self::Ended(brief) => return brief.clone(),
            Self::Queued(brief) => {
                facts.queue = Queue::In {
                    place: 0,
                    revision: 0,
                    code: Code::Accepted,
                    says: String::new(),
                    next: Next { who: String::new(), what: String::new() },
                };
                (true, Some(brief.answer()))
            }
            Self::Early(brief) => (true, Some(brief.answer())),
            Self::Late(brief) => (false, Some(brief.answer())),
            Self::Built { changes_recipe, builds } => {
                let builders = builds.iter().map(|told| told.builder(around)).collect();
                let own = Facts { changes_recipe: *changes_recipe, builders, ..Facts::nothing() };
                facts = around.around(own, None);
                (false, None)
            }
        };
        let of_recipe = if is_early { None } else { recipe(&facts) };
        let answer = of_recipe.or(answer).unwrap_or_else(|| built(&facts));
        Brief::of(stopped(&facts, answer))
    }
}

impl Told {
    fn builder(&self, around: &Surroundings) -> Builder {
        let ended = |result, lacks| Build::Finished { result, step: None, says: String::new(), lacks };
        let build = match &self.at {
            At::Waits(needed) => Build::Waiting(around.stuck.get(needed).cloned()),
            At::Runs => Build::Running { step: None },
            At::Lacks => ended(BuildResult::Failure, Some(String::new())),
            At::Ended(result) => ended(result.parse().unwrap_or(BuildResult::Exception), None),
        };
        Builder { name: self.name.clone(), required: self.required, build, page: None }
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { mainline: Mainline::Fine, recipe: Recipe::Fine, builders: Vec::new(), stuck: BTreeMap::new() }
    }
}
