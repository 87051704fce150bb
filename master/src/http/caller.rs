//! Where a request comes from: the address that places and registrations are counted for.

use crate::auth::Caller;
use crate::config::Clients;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use ipnet::IpNet;
use listener::network;
use std::convert::Infallible;
use std::net::IpAddr;

/// The address at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

impl Caller {
    /// The caller of a request that came over a connection from `peer`. Only proxies that the admin lists are believed
    /// when they say for whom they ask.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, uri: &Uri, clients: &Clients) -> Self {
        let peer = peer.to_canonical();
        let trusted = |address: &IpAddr| clients.trusted_proxies.iter().any(|net: &IpNet| net.contains(address));
        if !trusted(&peer) {
            let passed_on = peer.is_loopback() && passed_on(headers, uri);
            return Self { address: network(peer), many: peer.is_loopback(), passed_on };
        }
        // Each proxy adds whom it was asked by at the end; what stands before the last that is not ours, anybody may have
        // written.
        let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut address = peer;
        for hop in named.iter().rev() {
            let Some(hop) = hop_address(hop) else { break };
            address = hop;
            if !trusted(&hop) {
                return Self { address: network(hop), many: false, passed_on: false };
            }
        }
        Self { address: network(address), many: true, passed_on: false }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// As it was found before all handlers.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let nobody = Self { address: IpAddr::from([0, 0, 0, 0]), many: true, passed_on: false };
        Ok(parts.extensions.get().copied().unwrap_or(nobody))
    }
}

/// An address as proxies write it: alone, with a port, or in brackets.
fn hop_address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let bare = bracketed.unwrap_or(text);
    let without_port = || bare.rsplit_once(':').and_then(|(address, _)| address.parse().ok());
    bare.parse().ok().or_else(without_port).map(|address: IpAddr| address.to_canonical())
}

/// Whether a request from this machine was somebody else's first.
fn passed_on(headers: &HeaderMap, uri: &Uri) -> bool {
    let of_proxies = ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-host", "x-forwarded-proto"];
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.host()).unwrap_or_default();
    let authority = host.parse::<axum::http::uri::Authority>().ok();
    let bare = authority.as_ref().map_or("", |it| it.host()).trim_matches(['[', ']']);
    let own = bare == "localhost" || bare.is_empty() || bare.parse::<IpAddr>().is_ok();
    !own || of_proxies.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn clients() -> Clients {
        Clients { trusted_proxies: vec!["192.0.2.0/28".parse().unwrap()], ..Clients::default() }
    }

    fn caller(peer: &str, headers: &[(&'static str, &'static str)]) -> Caller {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Caller::of(peer.parse().unwrap(), &map, &Uri::from_static("/"), &clients())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_listed_proxies_are_believed() {
        let forged = caller("198.51.100.7", &[("x-forwarded-for", "203.0.113.9")]);
        assert_eq!((forged.address, forged.many), (address("198.51.100.7"), false));
        let named = caller("192.0.2.1", &[("x-forwarded-for", "203.0.113.9")]);
        assert_eq!((named.address, named.many), (address("203.0.113.9"), false));
        // The client itself wrote the first; the second proxy is ours, too.
        let chain =
            caller("192.0.2.1", &[("x-forwarded-for", "10.0.0.1, 203.0.113.9"), ("x-forwarded-for", "192.0.2.2")]);
        assert_eq!(chain.address, address("203.0.113.9"));
        for (text, is) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::7]:80", "2001:db8::"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(caller("192.0.2.1", &[("x-forwarded-for", text)]).address, address(is), "{text}");
        }
    }

    #[test]
    fn a_listed_proxy_that_names_nobody_speaks_for_many() {
        assert!(caller("192.0.2.1", &[]).many);
        assert!(caller("192.0.2.1", &[("x-forwarded-for", "unknown")]).many);
        assert_eq!(caller("192.0.2.1", &[("x-forwarded-for", "198.51.100.7, unknown")]).address, address("192.0.2.1"));
    }

    #[test]
    fn this_machine_may_speak_for_many() {
        let plain = caller("127.0.0.1", &[("host", "127.0.0.1:8010")]);
        assert!(plain.many && !plain.passed_on);
        for header in [("x-forwarded-for", "203.0.113.9"), ("host", "bb.example.org"), ("via", "1.1 proxy")] {
            let it = caller("::1", &[header]);
            assert!(it.many && it.passed_on, "{header:?}");
            assert_eq!(it.address, address("::1"), "it is not believed");
        }
        assert!(!caller("198.51.100.7", &[("host", "bb.example.org")]).passed_on);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::2")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
