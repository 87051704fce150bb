//! What a slave's machine is like, and conditions on it.

/// What was measured of the machine; none is what can't be measured there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The load average of the last minute.
    pub load: Option<f64>,
    /// How many people are logged in.
    pub logged_in: Option<u32>,
    /// Seconds since somebody used a keyboard or a terminal here.
    pub idle_s: Option<u64>,
    /// Whether it runs on battery.
    pub on_battery: Option<bool>,
    /// Bytes free where builds work.
    pub free_disk: Option<u64>,
    /// Bytes of memory that programs could still have.
    pub free_memory: Option<u64>,
}

/// How present a person has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// Somebody is logged in.
    LoggedIn,
    /// Somebody used a keyboard or a terminal within so many seconds.
    Active {
        /// Seconds.
        within_s: u64,
    },
}

/// A condition on what was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// The load average rose to `above`; holds until it is under `below`.
    Load {
        /// From where.
        above: f64,
        /// Down to where; at most `above`.
        below: f64,
    },
    /// A person is there.
    User(Presence),
    /// It runs on battery.
    OnBattery,
    /// Fewer bytes are free on disk; holds until a tenth more are.
    FreeDisk {
        /// Bytes.
        below: u64,
    },
    /// Fewer bytes of memory are free; holds until a tenth more are.
    FreeMemory {
        /// Bytes.
        below: u64,
    },
}

impl Condition {
    /// Whether it holds, given whether it did before; none when that can't be told here.
    pub fn holds(&self, measured: &Measured, before: bool) -> Option<bool> {
        let scarce = |free: u64, below: u64| if before { free < above_by_a_tenth(below) } else { free < below };
        match *self {
            Self::Load { above, below } => measured.load.map(|load| if before { load >= below } else { load >= above }),
            Self::User(Presence::LoggedIn) => measured.logged_in.map(|n| n > 0),
            Self::User(Presence::Active { within_s }) => measured.idle_s.map(|idle| idle < within_s),
            Self::OnBattery => measured.on_battery,
            Self::FreeDisk { below } => measured.free_disk.map(|free| scarce(free, below)),
            Self::FreeMemory { below } => measured.free_memory.map(|free| scarce(free, below)),
        }
    }

    /// Whether whenever the other holds, this one does.
    pub(super) fn follows_from(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Load { above, below }, Self::Load { above: a, below: b }) => above <= a && below <= b,
            (Self::FreeDisk { below }, Self::FreeDisk { below: b })
            | (Self::FreeMemory { below }, Self::FreeMemory { below: b }) => below >= b,
            (Self::User(Presence::Active { within_s }), Self::User(Presence::Active { within_s: s })) => within_s >= s,
            (one, other) => one == other,
        }
    }

    /// What it asks, in words: `load is 4 or more`.
    pub fn text(&self) -> String {
        match *self {
            Self::Load { above, below } => format!("the load is {above} or more (until it is under {below})"),
            Self::User(Presence::LoggedIn) => "somebody is logged in".to_owned(),
            Self::User(Presence::Active { within_s }) => {
                format!("somebody is at the keyboard, or was within {}", seconds(within_s))
            }
            Self::OnBattery => "it runs on battery".to_owned(),
            Self::FreeDisk { below } => format!("less than {} are free on disk", bytes(below)),
            Self::FreeMemory { below } => format!("less than {} of memory are free", bytes(below)),
        }
    }

    /// What was measured of it, in words: `it is 1.25`.
    pub fn measure(&self, measured: &Measured) -> String {
        let said = match *self {
            Self::Load { .. } => measured.load.map(|load| format!("the load is {load:.2}")),
            Self::User(Presence::LoggedIn) => measured.logged_in.map(|n| match n {
                0 => "nobody is logged in".to_owned(),
                1 => "one user is logged in".to_owned(),
                n => format!("{n} users are logged in"),
            }),
            Self::User(Presence::Active { .. }) => {
                measured.idle_s.map(|s| format!("a keyboard was last used {} ago", seconds(s)))
            }
            Self::OnBattery => measured.on_battery.map(|on| if on { "on battery" } else { "on mains" }.to_owned()),
            Self::FreeDisk { .. } => measured.free_disk.map(|free| format!("{} are free on disk", bytes(free))),
            Self::FreeMemory { .. } => measured.free_memory.map(|free| format!("{} of memory are free", bytes(free))),
        };
        said.unwrap_or_else(|| "this machine does not tell".to_owned())
    }
}

fn above_by_a_tenth(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 10)
}

/// `90 s`, `10 min`, `3 h`, rounded down.
fn seconds(s: u64) -> String {
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} days", s / 86_400),
    }
}

/// `512 MiB`, `1.5 GiB`.
fn bytes(n: u64) -> String {
    const MIB: u64 = 1 << 20;
    match n {
        0..MIB => format!("{} KiB", n >> 10),
        n if n < 1 << 30 => format!("{} MiB", n >> 20),
        n => {
            let tenths = n / ((1 << 30) / 10);
            if tenths.is_multiple_of(10) {
                format!("{} GiB", tenths / 10)
            } else {
                format!("{}.{} GiB", tenths / 10, tenths % 10)
            }
        }
    }
}
