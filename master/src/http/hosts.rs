//! By which names this master is asked: its own only.
//!
//! A page on another site can give its own name the address of this machine (DNS rebinding), and a browser would then
//! let that page read what the master says to the browser's user. It sends the page's name as Host, so what is not our
//! name is refused. Addresses and `localhost` are no names that a stranger could have, and are always good: so a master
//! that has no `url` and listens for others can be reached by its address, and needs `url` or `hosts` for any name.

use crate::config::Config;
use axum::http::uri::Authority;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The names of this master.
#[derive(Debug)]
pub(super) struct Hosts(BTreeSet<String>);

impl Hosts {
    /// Those that the settings give it.
    pub(super) fn new(config: &Config, url: &str) -> Self {
        let url = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self(config.hosts.iter().cloned().chain(url).map(|host| plain(&host)).collect())
    }

    /// Whether a Host, with its port or without, is this master.
    pub(super) fn has(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let host = plain(authority.host());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok() || self.0.contains(&host)
    }
}

/// As names are compared: small letters, no dot at the end.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    #[test]
    fn addresses_and_own_names_are_known_and_no_others() {
        let config = Config::parse("hosts = [\"BB.internal\"]", Path::new("master.toml")).unwrap();
        let hosts = Hosts::new(&config, "https://bb.example.org/");
        for own in [
            "bb.example.org",
            "BB.Example.Org:443",
            "bb.example.org.",
            "bb.internal:8010",
            "localhost:9000",
            "127.0.0.1:8010",
            "192.0.2.7",
            "[::1]:8010",
        ] {
            assert!(hosts.has(own), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:8010",
            "bb.example.org.evil.example",
            "xbb.example.org",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "bb.example.org@evil.example",
            "a b",
        ] {
            assert!(!hosts.has(other), "{other}");
        }
    }
}
