//! Where a branch is published: what a stranger typed, checked, so that everything behind can rely on it.
//!
//! An [`UncheckedUrl`] becomes a [`SourceUrl`], a [`RawRefName`] a [`BranchRef`]; nothing else in this crate takes a
//! stranger's text. Nothing here talks to the network: names are looked up when something is about to be asked or
//! fetched, by [`crate::watch`], and every address is checked then.

mod address;
mod local;
mod refname;
mod refused;
mod secrets;
mod url;

pub use address::is_public;
pub use refname::{BranchRef, RawRefName, RefRefused};
pub use refused::UrlRefused;
pub(crate) use secrets::redirect_without_secrets;
pub use secrets::{url_without_secrets, without_secrets};
pub use url::{Scheme, SourceUrl, UncheckedUrl};

use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

/// Which sources the admin allows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourcePolicy {
    /// The schemes that URLs may have.
    pub schemes: Vec<Scheme>,
    /// Folders below which repositories on this machine may be; none by default.
    pub allow_local: Vec<PathBuf>,
    /// Networks that may be called though they are not public; none by default.
    pub allow_private: Vec<IpNet>,
}

impl Default for SourcePolicy {
    fn default() -> Self {
        Self {
            schemes: vec![Scheme::Https, Scheme::Http, Scheme::Git, Scheme::Ssh],
            allow_local: Vec::new(),
            allow_private: Vec::new(),
        }
    }
}

impl SourcePolicy {
    /// Whether this address may be called.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        is_public(plain) || self.allow_private.iter().any(|net| net.contains(&plain) || net.contains(&address))
    }
}
