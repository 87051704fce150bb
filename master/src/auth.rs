//! Who asks, from where, and may do what: tokens, and the one function that every handler and the queue ask.

use crate::store::{Branch, TokenKind, TokenRow};
use gate::places::Rank;
use gate::schedule::isolation_of;
use protocol::TokenId;
use protocol::wire::Isolation;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Whoever asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Actor {
    /// Nobody in particular.
    Anonymous,
    /// The bearer of a token.
    Bearer {
        /// The token.
        token: TokenId,
        /// What it is for.
        kind: TokenKind,
        /// Whose it is.
        name: String,
        /// Whether branches published with it are trusted.
        trusted: bool,
    },
}

impl Actor {
    /// For whom the last places are kept: for whoever shows a token.
    pub(crate) fn rank(&self) -> Rank {
        if self.token().is_some() { Rank::Preferred } else { Rank::Ordinary }
    }

    /// The name for records.
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Bearer { name, .. } => name,
        }
    }

    /// Whether it is a maintainer.
    pub fn is_maintainer(&self) -> bool {
        matches!(self, Self::Bearer { kind: TokenKind::Maintainer, .. })
    }

    /// Its token, if any.
    pub fn token(&self) -> Option<TokenId> {
        match self {
            Self::Anonymous => None,
            Self::Bearer { token, .. } => Some(*token),
        }
    }

    /// Whether branches that it publishes may be built without isolation.
    pub fn is_trusted(&self) -> bool {
        matches!(self, Self::Bearer { kind, trusted, .. } if kind.is_trusted(*trusted))
    }
}

impl From<TokenRow> for Actor {
    fn from(row: TokenRow) -> Self {
        Self::Bearer { token: row.id, kind: row.kind, name: row.name, trusted: row.trusted }
    }
}

/// Where a request comes from, as far as that can be known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Caller {
    /// The client's address, or the proxy's when that does not say; of IPv6 the network that one subscriber gets, a /64.
    pub(crate) address: IpAddr,
    /// Whether it may speak for many: this machine, on which an unlisted proxy may run, or a trusted proxy that named nobody.
    /// What one of them does must not be held against the others.
    pub(crate) many: bool,
    /// Whether the request shows that an unlisted proxy of this machine passed it on.
    pub(crate) passed_on: bool,
}

/// Something that not everybody may do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Publish a branch, where the project lets users or anybody.
    Publish {
        /// Whether the project lets anybody.
        open: bool,
    },
    /// Withdraw a branch.
    Withdraw(&'a Branch),
    /// Ask for builds again, or cancel one.
    Rebuild(&'a Branch),
    /// Accept a branch.
    Accept(&'a Branch),
    /// Vote and comment on branches.
    Review,
    /// Say that a thread of a branch is resolved, or open again.
    Resolve {
        /// The branch.
        branch: &'a Branch,
        /// Who began the thread.
        began: TokenId,
    },
    /// Pause, resume and order the queue.
    SteerQueue,
    /// Make, list and revoke tokens.
    ManageTokens,
    /// Say whether a slave may take builds.
    ManageSlaves,
    /// Be a slave.
    BeSlave,
}

/// Whether an actor may do something. What is not allowed here is forbidden.
pub fn can(actor: &Actor, action: Action<'_>) -> bool {
    let Actor::Bearer { token, kind, .. } = actor else {
        return matches!(action, Action::Publish { open: true });
    };
    match (kind, action) {
        (TokenKind::Slave, action) => matches!(action, Action::BeSlave),
        (TokenKind::Maintainer, action) => !matches!(action, Action::BeSlave),
        (TokenKind::Publisher, Action::Publish { .. } | Action::Review) => true,
        (TokenKind::Publisher, Action::Resolve { branch, began }) => began == *token || branch.token == Some(*token),
        (TokenKind::Publisher, Action::Withdraw(branch) | Action::Rebuild(branch)) => branch.token == Some(*token),
        (TokenKind::Publisher, _) => false,
    }
}

/// The isolation that a branch's builds need at least, by what its publisher is trusted with now.
pub fn isolation_for(branch: &Branch) -> Isolation {
    isolation_of(branch.trusted)
}

/// Whether whoever accepted a branch may do so still, by the token that it was accepted with as that is now.
pub fn may_still_accept(token: Option<&TokenRow>, branch: &Branch) -> bool {
    let live = token.filter(|token| token.revoked.is_none());
    live.is_some_and(|token| can(&Actor::from(token.clone()), Action::Accept(branch)))
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

/// 32 random bytes as hexadecimal digits.
///
/// # Errors
/// When the system gives none.
pub fn random_secret() -> Result<String, NoRandomness> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(hex(&bytes))
}

/// A new token: `bb_KIND_` and random digits, so that one found in a log or a commit is recognised for what it is.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_token(kind: TokenKind) -> Result<String, NoRandomness> {
    Ok(format!("bb_{}_{}", kind.as_str(), random_secret()?))
}

/// The hash by which a token or session is stored: SHA-256, which is enough for 256 random bits.
pub fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
