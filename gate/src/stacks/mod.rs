//! What a project's queue does next when it tests several accepted branches at once. Pure: [`decide`] reads plain data and
//! says what is missing; [`crate::queue::decide_together`] asks it for those that can be tested together.
//!
//! A **stack** is a line of commits on mainline: accepted entries merged one after the other. Its top is what is built, and
//! what mainline's ref moves to. Which stacks are worth a build is a question of group testing: a red stack says that one of
//! its members is bad, a green one that none is, and few bad ones are found in many with far fewer builds than members. The
//! policy is nested group testing (M. Sobel, P. Groll, *Group testing to eliminate efficiently all defectives in a binomial
//! sample*, Bell System Technical Journal 38, 1959): each build tests a part of the smallest set that is known to hold a
//! bad one, and which part is chosen by what its result would tell and what it would land. Beyond that paper it knows no
//! rate beforehand, uses many slots at once, and lands on the way: every build takes along all entries that are known to be
//! good, so that no build is spent on landing alone.
//!
//! What always holds, whatever the facts are:
//!
//! - nothing is landed but a stack that was itself built and passed, on every builder that judges it, and that stands on
//!   mainline as it is now;
//! - nobody is ejected without a red build of a stack all of whose other members are in mainline now, on a mainline that
//!   itself passed, and not before it is certain enough that the build did not fail by chance ([`Policy::sure`]);
//! - a build that ended without a result says nothing of anybody; a stack with a member that left without landing says
//!   nothing of the others, unless it passed;
//! - while mainline itself fails nobody is ejected and nothing is started;
//! - a stack's members land after what they need, or with it, and no stack holds two that conflict;
//! - the same content is never asked for twice: a build is repeated only where it failed by chance, perhaps, or ended
//!   without a result;
//! - everything is derived from the facts: the same situation gives the same answer, and a crash loses nothing.
//!
//! ```
//! use gate::queue::{EntryId, StackId};
//! use gate::stacks::{
//!     Accepted, Action, Candidate, Experience, Judge, Line, Mainline, MainlineId, Policy, Run, Situation, Stack, decide,
//! };
//! use protocol::UnixMs;
//!
//! let entry = |id| Accepted {
//!     id: EntryId(id), priority: 0, since: UnixMs(0), needs: vec![], risk: 1.0, conflicts: false,
//! };
//! let mut queue = Situation {
//!     now: UnixMs(60_000),
//!     mainline: Mainline { at: MainlineId(7), moves: vec![], began_by_queue: true },
//!     entries: vec![entry(1), entry(2), entry(3)],
//!     stacks: vec![],
//!     conflicts: vec![],
//!     landing: None,
//!     free: 1,
//!     mean_ms: 300_000,
//!     experience: Experience::default(),
//!     policy: Policy::default(),
//! };
//! let Action::Start { line, purpose } = &decide(&queue).actions[0] else { panic!() };
//! assert_eq!(line.entries, [EntryId(1), EntryId(2), EntryId(3)]);
//! assert_eq!(purpose.words(), "3 not known yet");
//!
//! // It was made and built, and passed: all three land by one push.
//! let linux = Judge { builder: "linux".to_owned(), runs: vec![Run::Passed] };
//! queue.stacks.push(Stack {
//!     id: StackId(1), line: line.clone(), candidate: Candidate::Made(vec![linux]), begun: UnixMs(60_000),
//! });
//! assert!(matches!(&decide(&queue).actions[0], Action::Land { entries, .. } if entries.len() == 3));
//! ```
//!
//! | file | what it is for |
//! | --- | --- |
//! | `situation`, `stack`, `experience` | the question: entries, stacks, mainline, what was learned |
//! | `decision` | the answer |
//! | `order` | who comes after whom, and who is held by what it needs |
//! | `seen` | what each stack says today, as sets of places |
//! | `known` | who is good, and which sets hold a bad one |
//! | `rates` | how often branches are bad and builds fail by chance |
//! | `health` | which commits of mainline pass by themselves |
//! | `guilt` | who is ejected, and by which evidence |
//! | `view`, `board` | all of that together, and as the plan is made from it |
//! | `atoms`, `lives` | the sets whose parts can be tested, and the running stacks that may land |
//! | `worth`, `weigh` | what a build is worth, and which one is worth most |
//! | `plan` | which builds to start |
//! | `useless` | which builds to cancel |
//! | `standing` | who waits for what |

mod atoms;
mod bits;
mod board;
mod decide;
mod decision;
mod experience;
mod guilt;
mod health;
mod known;
mod lives;
mod order;
mod plan;
mod rates;
mod seen;
mod situation;
mod stack;
mod standing;
mod useless;
mod view;
mod weigh;
mod worth;

pub use decide::decide;
pub use decision::{Action, Decision, Evidence, Purpose, Standing, Why};
pub use experience::{Experience, Fate};
pub use situation::{Accepted, By, Mainline, Move, Policy, Situation};
pub use stack::{Candidate, Colour, Judge, Line, MainlineId, Run, Stack};
