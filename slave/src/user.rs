//! Whom a build runs as when the slave runs as root.

use serde::{Deserialize, Serialize};

/// A user that exists only for the builds of one slot: a bare number, the same for user and group, without an account.
///
/// Never root: everything that runs under it may be killed at any time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct BuildUser(u32);

/// A number that can't be a build's user.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} can't be a build's user: the number must be at least {LOWEST}, above those of people and services")]
pub struct BadBuildUser(pub u32);

/// Numbers below belong to people, services and what systemd gives out.
const LOWEST: u32 = 60_706;

impl BuildUser {
    /// The number.
    pub fn id(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for BuildUser {
    type Error = BadBuildUser;
    fn try_from(id: u32) -> Result<Self, BadBuildUser> {
        // The last two stand for "nobody" and "no change" in places.
        if (LOWEST..u32::MAX - 1).contains(&id) && id != 65_534 && id != 65_535 {
            Ok(Self(id))
        } else {
            Err(BadBuildUser(id))
        }
    }
}

impl From<BuildUser> for u32 {
    fn from(user: BuildUser) -> Self {
        user.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn root_and_people_are_no_build_users() {
        for id in [0, 1, 1000, 60_000, 65_534, 65_535, u32::MAX - 1, u32::MAX] {
            assert!(BuildUser::try_from(id).is_err(), "{id}");
        }
        assert!(BuildUser::try_from(2_000_000_000).is_ok());
        assert!(serde_json::from_str::<BuildUser>("0").is_err());
    }
}
