//! What a loop is told to do in a turn: the rows that it heard of, or everything. Everything when a turn before did not do
//! what it was told, and whenever the last time is a tick ago, however much is heard in between.

use super::TICK;
use super::step::{StepError, Turn};
use crate::store::Heard;
use std::time::Duration;
use tokio::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// When the last turn began that was told to do everything and did it; none while one is owed.
    whole: Option<Instant>,
}

/// What one turn was told.
#[derive(Debug)]
pub(super) struct Told {
    is_whole: bool,
    began: Instant,
}

impl Hearing {
    /// What the turn that begins now is told, where this was heard since the one before.
    pub(super) fn tell(&self, heard: Heard, now: Instant) -> (Heard, Told) {
        let heard = match heard {
            Heard::Rows(rows) if self.whole.is_some_and(|last| now < last + TICK) => Heard::Rows(rows),
            Heard::Rows(_) | Heard::Nothing | Heard::All => Heard::All,
        };
        let told = Told { is_whole: heard == Heard::All, began: now };
        (heard, told)
    }

    /// That turn has ended.
    pub(super) fn ended(&mut self, told: &Told, turn: &Result<Turn, StepError>) {
        match turn {
            Ok(Turn::Did(_)) if told.is_whole => self.whole = Some(told.began),
            Ok(Turn::Did(_)) => {}
            Ok(Turn::Owes(_)) | Err(_) => self.whole = None,
        }
    }

    /// The longest rest until the next turn.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        self.whole.map_or(TICK, |last| (last + TICK).saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Again;
    use super::*;
    use crate::store::{Change, Topic};
    use std::collections::BTreeSet;

    fn rows() -> Heard {
        Heard::Rows(BTreeSet::from([Change::of_all(Topic::Build, 7)]))
    }

    #[test]
    fn everything_is_done_at_each_tick_however_much_is_heard() {
        let (mut hearing, begin) = (Hearing::default(), Instant::now());
        let mut whole = Vec::new();
        for second in 0..=95 {
            let now = begin + Duration::from_secs(second);
            let (heard, told) = hearing.tell(rows(), now);
            if heard == Heard::All {
                whole.push(second);
            }
            hearing.ended(&told, &Ok(Turn::Did(Again::AtTick)));
            assert!(hearing.rest(now) <= TICK);
        }
        assert_eq!(whole, [0, 30, 60, 90]);
    }

    #[test]
    fn what_a_turn_did_not_do_is_told_to_the_next_one() {
        let (mut hearing, now) = (Hearing::default(), Instant::now());
        let mut turn = |turn| {
            let (heard, told) = hearing.tell(rows(), now);
            hearing.ended(&told, &turn);
            heard == Heard::All
        };
        let did = || Ok(Turn::Did(Again::AtTick));
        assert!(turn(did()), "a loop begins with everything");
        assert!(!turn(did()));
        assert!(!turn(Ok(Turn::Owes(Again::AtTick))));
        assert!(turn(Ok(Turn::Owes(Again::AtTick))) && turn(did()), "until it is done");
        assert!(!turn(Err(StepError::Settings("an error".to_owned()))));
        assert!(turn(did()) && !turn(did()));
    }
}
