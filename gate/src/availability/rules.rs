//! Rules, and what they say at a moment.

use super::hours::{Calendar, Stretch};
use super::measures::{Condition, Measured};
use protocol::UnixMs;
use protocol::wire::{Availability, Voice, Word};

/// A rule: what is said while all its conditions hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The word.
    pub says: Availability,
    /// When, by the clock; none for always.
    pub calendar: Option<Calendar>,
    /// What the machine must be like, all of it.
    pub conditions: Vec<Condition>,
    /// Why, for people; empty for what the conditions say themselves.
    pub reason: String,
}

/// All rules of a slave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// What holds where no rule does.
    pub otherwise: Availability,
    /// The rules, in the order in which they are counted from 1.
    pub rules: Vec<Rule>,
}

/// What must be remembered from one look to the next: which conditions held, and since when each rule does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    rules: Vec<Remembered>,
    /// Since when none of them holds.
    none_since: Option<UnixMs>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Remembered {
    conditions: Vec<bool>,
    since: Option<UnixMs>,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// It does.
    Yes {
        /// Since when.
        since: UnixMs,
        /// Until when at the latest, by the clock.
        until: Option<UnixMs>,
    },
    /// It does not.
    No,
    /// By the clock it would, but the machine does not tell what it asks.
    Unknown,
}

/// What the rules say at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// The word that counts: the strictest of the rules that hold.
    pub word: Word,
    /// Whether each rule holds.
    pub held: Vec<Held>,
    /// When the clock alone may change that.
    pub look_again: Option<UnixMs>,
    /// To be given with the next question.
    pub memory: Memory,
}

impl Rule {
    /// What it asks, in words: `08:00-18:00 mon-fri (Europe/Berlin), and it runs on battery`.
    pub fn text(&self) -> String {
        let calendar = self.calendar.iter().map(ToString::to_string);
        let parts: Vec<String> = calendar.chain(self.conditions.iter().map(Condition::text)).collect();
        if parts.is_empty() { "always".to_owned() } else { parts.join(", and ") }
    }

    /// Why it speaks: its reason, or what it asks.
    pub fn why(&self) -> String {
        if self.reason.is_empty() { self.text() } else { self.reason.clone() }
    }

    fn look(&self, now: UnixMs, measured: &Measured, before: &Remembered) -> (Held, Stretch, Remembered) {
        let always = Stretch { since: None, until: None };
        let stretch = self.calendar.as_ref().map_or(always, |calendar| calendar.stretch(now));
        let in_time = self.calendar.as_ref().is_none_or(|calendar| calendar.has(now));
        let was = |n: usize| before.conditions.get(n).copied().unwrap_or(false);
        let said: Vec<Option<bool>> =
            self.conditions.iter().enumerate().map(|(n, it)| it.holds(measured, was(n))).collect();
        let conditions = said.iter().map(|it| it.unwrap_or(false)).collect();
        let all = in_time && said.iter().all(|it| *it == Some(true));
        // A rule of hours alone holds since its hour, whoever looked then.
        let by_the_clock = if self.conditions.is_empty() { stretch.since } else { None };
        let since = all.then(|| by_the_clock.or(before.since).unwrap_or(now));
        let held = match since {
            Some(since) => Held::Yes { since, until: stretch.until },
            None if in_time && said.iter().all(|it| *it != Some(false)) => Held::Unknown,
            None => Held::No,
        };
        (held, stretch, Remembered { conditions, since })
    }
}

impl Rules {
    /// What they say now, given what was measured and what was remembered of the look before.
    pub fn look(&self, now: UnixMs, measured: &Measured, before: &Memory) -> Ruling {
        let forgotten = Remembered::default();
        let mut ruling =
            Ruling { word: Word::nobody(now), held: Vec::new(), look_again: None, memory: Memory::default() };
        let mut counts: Option<Word> = None;
        for (n, rule) in self.rules.iter().enumerate() {
            let (held, stretch, remembered) = rule.look(now, measured, before.rules.get(n).unwrap_or(&forgotten));
            if let Held::Yes { since, until } = held {
                let (who, reason) = (format!("rule {}", n + 1), rule.why());
                let word = Word { says: rule.says, voice: Voice::Rule, who, reason, since, until };
                // Of equals the first one speaks.
                if counts.as_ref().is_none_or(|it| it.says < word.says) {
                    counts = Some(word);
                }
            }
            ruling.look_again = [ruling.look_again, stretch.until].into_iter().flatten().min();
            ruling.held.push(held);
            ruling.memory.rules.push(remembered);
        }
        ruling.word = counts.unwrap_or_else(|| {
            let since = before.none_since.unwrap_or(now);
            ruling.memory.none_since = Some(since);
            let reason = if self.rules.is_empty() { "" } else { "no rule holds" };
            Word { says: self.otherwise, reason: reason.to_owned(), ..Word::nobody(since) }
        });
        ruling
    }
}
