//! Whose word counts.

use super::measures::Measured;
use super::rules::{Memory, Rules, Ruling};
use protocol::UnixMs;
use protocol::wire::{Availability, Word};

/// The stricter of two words: what the slave says, and what an admin says of it on the master.
///
/// ```
/// use gate::availability::effective;
/// use protocol::wire::Availability::{Eager, Reluctant, Unavailable};
/// assert_eq!(effective(Eager, Reluctant), Reluctant);
/// assert_eq!(effective(Unavailable, Eager), Unavailable);
/// ```
pub fn effective(said: Availability, admin: Availability) -> Availability {
    said.max(admin)
}

/// How a slave is shown: its availability while it is connected, else offline.
///
/// ```
/// use gate::availability::word;
/// use protocol::wire::Availability::{Eager, Reluctant};
/// assert_eq!(word(true, Eager, Reluctant), "reluctant");
/// assert_eq!(word(false, Eager, Eager), "offline");
/// ```
pub fn word(connected: bool, said: Availability, admin: Availability) -> &'static str {
    if connected { effective(said, admin).as_str() } else { "offline" }
}

/// The stricter of two words, whole. Of equals the one that lasts longer is told, else the first.
pub fn stricter(one: Word, other: Word) -> Word {
    let lasts = |word: &Word| word.until.map_or(i64::MAX, |until| until.0);
    if (other.says, lasts(&other)) > (one.says, lasts(&one)) { other } else { one }
}

/// What a slave says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// The word that counts.
    pub word: Word,
    /// What the rules say, which counts where no person speaks.
    pub ruling: Ruling,
    /// When the clock alone may change it.
    pub look_again: Option<UnixMs>,
}

/// A slave's own word: a person's, or, where that is none or has ended, that of the rules; and never milder than what the
/// machine itself says.
pub fn own(
    now: UnixMs,
    (rules, measured, memory): (&Rules, &Measured, &Memory),
    person: Option<&Word>,
    machine: &[Word],
) -> Own {
    let ruling = rules.look(now, measured, memory);
    let person = person.filter(|word| word.holds(now));
    let spoken = person.cloned().unwrap_or_else(|| ruling.word.clone());
    let word = machine.iter().filter(|word| word.holds(now)).cloned().fold(spoken, stricter);
    let ends = machine.iter().filter_map(|word| word.until).chain(person.and_then(|word| word.until));
    let look_again = ends.chain(ruling.look_again).filter(|at| *at > now).min();
    Own { word, ruling, look_again }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Availability::{Eager, Reluctant, Unavailable};

    #[test]
    fn the_stricter_word_holds_whoever_said_it() {
        for (a, b, stricter) in [
            (Eager, Eager, Eager),
            (Eager, Reluctant, Reluctant),
            (Eager, Unavailable, Unavailable),
            (Reluctant, Reluctant, Reluctant),
            (Reluctant, Unavailable, Unavailable),
            (Unavailable, Unavailable, Unavailable),
        ] {
            assert_eq!((effective(a, b), effective(b, a)), (stricter, stricter));
        }
    }
}
