//! A slave's availability: the stricter of what the slave says and what an admin says. Never looks at load or hours:
//! the slave did that before it spoke.

use protocol::wire::Availability;

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
