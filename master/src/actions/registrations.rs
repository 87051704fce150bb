//! How many branches may be published, by whom, and the answer when there are too many.

use crate::auth::{Actor, Caller};
use crate::config::Registrations;
use crate::refused::Refused;
use crate::store::Origin;
use gate::registrations::{Most, Of, TooMany};

/// Seconds after which one who has too many live branches may ask again: nobody knows when one of them ends.
const LATER_S: u64 = 3600;

/// Many who come through a proxy that is not listed count as one, which so may do more.
const MANY: u32 = 10;

/// What a registration counts for.
pub(crate) fn origin(actor: &Actor, caller: &Caller, limits: &Registrations) -> Origin {
    let it = limits;
    let own = |of, hour, live| (of, Most { hour, live });
    match actor {
        Actor::Bearer { .. } => of_bearer(actor, limits),
        Actor::Anonymous => {
            let times = if caller.passed_on { MANY } else { 1 };
            let of = |n: u32| n.saturating_mul(times);
            Origin {
                address: caller.address.to_string(),
                limits: vec![
                    own(Of::Address, of(it.hour_anonymous), of(it.live_anonymous)),
                    own(Of::Host, it.hour_host, it.live_host),
                ],
            }
        }
    }
}

/// The same for one who shows a token.
pub(crate) fn of_bearer(actor: &Actor, limits: &Registrations) -> Origin {
    let most = Most { hour: limits.hour_publisher, live: limits.live_publisher };
    let limits = if actor.is_maintainer() { Vec::new() } else { vec![(Of::Publisher, most)] };
    Origin { address: String::new(), limits }
}

/// The answer to one too many.
pub(crate) fn refused(too_many: TooMany) -> Refused {
    let setting = |of, when| match of {
        Of::Address => format!("{when}_anonymous"),
        Of::Publisher => format!("{when}_publisher"),
        Of::Host => format!("{when}_host"),
    };
    let instead = |of| match of {
        Of::Address | Of::Host => "show a token, or ",
        Of::Publisher => "",
    };
    match too_many {
        TooMany::Often { of, most, after_ms } => {
            let seconds = u64::try_from(after_ms).unwrap_or(0).div_ceil(1000).max(1);
            Refused::new(
                429,
                "too-many-registrations",
                format!("{most} branches of {of} may be registered in an hour, and were"),
                format!(
                    "{}try again in {seconds} s; an admin allows more with {} under [registrations]",
                    instead(of),
                    setting(of, "hour")
                ),
            )
            .retry_after(seconds)
        }
        TooMany::Live { of, most } => Refused::new(
            429,
            "too-many-branches",
            format!("{most} branches of {of} may be live at once, and are"),
            format!(
                "{}wait until some of them have landed, or have some withdrawn; an admin allows more with {} under [registrations]",
                instead(of),
                setting(of, "live")
            ),
        )
        .retry_after(LATER_S),
    }
}
