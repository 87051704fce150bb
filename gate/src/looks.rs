//! Which published branches are looked at now.
//!
//! A look takes as long as a stranger's server likes, up to a bound. So each publisher and each host has a share of the
//! places only, a host a smaller one, and one publisher's looks at one host a smaller one yet; those that did not answer well
//! the last time, or never did yet, have half of them together; and the last are kept for branches that were accepted. Nobody's
//! dead or dripping servers delay others for longer than one look, nor his own branches elsewhere.

use crate::places::{Places, Rank};
use protocol::{BranchId, UnixMs};

/// How a branch stands when its look is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Standing {
    /// It is in the queue: what waits to land is looked at first.
    Accepted,
    /// Its last look did well.
    Steady,
    /// Its last look failed, or there was none yet.
    Doubtful,
}

/// A look that is due or under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Look {
    /// At which branch.
    pub branch: BranchId,
    /// How that stands.
    pub standing: Standing,
    /// Whether somebody asked for it.
    pub asked: bool,
    /// Who published the branch, as one who can't be many: a token, or an address.
    pub publisher: String,
    /// The host and port that are asked; none for a folder of the master's own machine.
    pub host: Option<String>,
    /// Since when it is due.
    pub due: UnixMs,
}

/// How many looks there may be at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    /// All together.
    pub all: usize,
    /// Those of one publisher.
    pub publisher: usize,
    /// Those at one host; always fewer than a publisher's, where he has more than one.
    pub host: usize,
}

impl Size {
    /// Those at one host: one that does not answer leaves its publishers some for elsewhere.
    pub const fn at_host(self) -> usize {
        less(self.publisher, self.host)
    }

    /// Those of one publisher at one host: his slow ones leave some to others at a host that many share.
    pub const fn of_one_at_host(self) -> usize {
        less(self.at_host(), self.publisher)
    }

    /// The last places, for what was accepted.
    pub const fn kept(self) -> usize {
        self.all / 4
    }

    /// Those that may go to branches whose last look failed, or that were never looked at.
    pub const fn doubtful(self) -> usize {
        self.all.div_ceil(2)
    }
}

/// A number that is less than `of` and at most `most`, but never nothing.
const fn less(of: usize, most: usize) -> usize {
    let less = of.saturating_sub(1);
    let it = if less < most { less } else { most };
    if it == 0 { 1 } else { it }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Key {
    Publisher(String),
    Host(String),
    OfAt(String, String),
    Doubtful,
}

fn shares(look: &Look, size: Size) -> Vec<(Key, usize)> {
    let mut shares = vec![(Key::Publisher(look.publisher.clone()), size.publisher)];
    if let Some(host) = &look.host {
        shares.push((Key::Host(host.clone()), size.at_host()));
        shares.push((Key::OfAt(look.publisher.clone(), host.clone()), size.of_one_at_host()));
    }
    if look.standing == Standing::Doubtful {
        shares.push((Key::Doubtful, size.doubtful()));
    }
    shares
}

/// Chooses the looks to begin now, beside those that are under way: accepted branches first; then of whoever has the fewest
/// under way, what was asked for before what is only due, and the one that is due for longest.
pub fn begin(size: Size, under_way: &[Look], due: &[Look]) -> Vec<BranchId> {
    let mut places = Places::new(size.all, size.kept());
    for look in under_way {
        let shares = shares(look, size);
        places.hold(shares.iter().map(|(key, _)| key));
    }
    let mut waiting: Vec<&Look> = due.iter().collect();
    waiting.sort_by_key(|look| (look.standing != Standing::Accepted, !look.asked, look.due, look.branch));
    let mut chosen = Vec::new();
    loop {
        let turn = |look: &Look| match look.standing {
            Standing::Accepted => None,
            _ => Some(places.held_by(&Key::Publisher(look.publisher.clone()))),
        };
        let mut order: Vec<usize> = (0..waiting.len()).collect();
        order.sort_by_key(|i| turn(waiting[*i]));
        let taken = order.into_iter().find(|i| {
            let rank = match waiting[*i].standing {
                Standing::Accepted => Rank::Preferred,
                Standing::Steady | Standing::Doubtful => Rank::Ordinary,
            };
            places.take(rank, &shares(waiting[*i], size)).is_ok()
        });
        match taken {
            Some(taken) => chosen.push(waiting.remove(taken).branch),
            None => return chosen,
        }
    }
}

/// How often the head of one branch may move: a number at once, and then one after each interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// How many moves may come at once.
    pub burst: u32,
    /// Milliseconds after which there may be one more.
    pub interval_ms: i64,
}

impl Pace {
    fn all_ms(self) -> i64 {
        i64::from(self.burst.max(1)).saturating_mul(self.interval_ms)
    }

    /// Whether a branch may move now; if not, in how many milliseconds. `spent_until` is what [`Self::moved`] gave when it
    /// moved last: the time at which nothing of its moves counts any more.
    pub fn wait_ms(self, spent_until: UnixMs, now: UnixMs) -> Option<i64> {
        // A clock that was set back makes nobody wait for longer than all moves at once take to be forgotten.
        let spent = (spent_until.0 - now.0).clamp(0, self.all_ms());
        Some(spent + self.interval_ms - self.all_ms()).filter(|wait| *wait > 0)
    }

    /// What is to be remembered of a move now.
    pub fn moved(self, spent_until: UnixMs, now: UnixMs) -> UnixMs {
        UnixMs(now.0 + (spent_until.0 - now.0).clamp(0, self.all_ms()) + self.interval_ms)
    }
}
