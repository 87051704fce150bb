//! What stands before all handlers: how many requests of each sort there may be at once, and whose.
//!
//! Whoever shows no token has a share of the places only, by its address; and all of those together leave the last
//! connections to whoever shows one, to slaves, and to health checks. So no crowd of strangers closes the door.

use crate::auth::Caller;
use crate::config::Clients;
use crate::door::{AGAIN_S, Door, Key, Place};
use crate::refused::Refused;
use axum::http::{Method, Uri};
use gate::places::{Full, Rank};
use protocol::TokenId;
use std::time::Duration;
use tokio::time::Instant;

/// The doors of each sort.
#[derive(Debug)]
pub(super) struct Doors {
    clients: Clients,
    /// All that is asked, until it is answered.
    requests: Door,
    /// Event streams and logs that are followed, of those who show no token.
    streams: Door,
    /// Fetches by git of those who show no token.
    fetches: Door,
    /// What they send: forms, and what the API takes.
    forms: Door,
    /// Slaves' connections, which are no requests any more.
    slaves: Door,
}

/// Connections of one slave: it has one, and others that it has not heard the end of yet.
const SLAVE_EACH: usize = 8;

/// Shows that a request holds the place of one that stays open; whoever does not is given nothing that does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stays;

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Whether the master is well: always answered.
    Health,
    /// What stays open for as long as the reader likes.
    Stream,
    /// A fetch by git.
    Fetch,
    /// What brings something.
    Form,
    /// Anything else.
    Page,
}

impl Kind {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let path = uri.path();
        // Read as handlers read it: a name may be written with percent signs.
        let query = uri.query().unwrap_or_default().as_bytes();
        let follows = || url::form_urlencoded::parse(query).any(|(name, _)| name == "follow");
        if path == "/healthz" {
            Self::Health
        } else if path.starts_with("/git/") {
            Self::Fetch
        } else if !method.is_safe() {
            Self::Form
        } else if matches!(path, "/api/v1/events" | "/api/v1/watch")
            || path.ends_with("/log/events")
            || (path.ends_with("/log") && follows())
        {
            Self::Stream
        } else {
            Self::Page
        }
    }
}

impl Doors {
    /// As the settings have it.
    pub(super) fn new(clients: &Clients) -> Self {
        let clients = clients.clone();
        Self {
            requests: Door::new(clients.connections, clients.connections / 8),
            streams: Door::new(clients.streams_anonymous, 0),
            fetches: Door::new(clients.git_anonymous, 0),
            forms: Door::new(clients.forms_anonymous, 0),
            slaves: Door::new(usize::MAX, 0),
            clients,
        }
    }

    /// The place of a slave's connection, from before its first word until it has ended: a stolen token opens no more.
    pub(super) fn enter_slave(&self, token: TokenId) -> Result<Place, Refused> {
        self.slaves.enter(Rank::Preferred, &[(Key::Token(token.0), SLAVE_EACH)]).map_err(|_| {
            let detail = format!("{SLAVE_EACH} connections of this slave are open");
            let hint = "each that says nothing ends in some seconds; if they are not this slave's, revoke its token";
            Refused::new(503, "too-many-connections", detail, hint).retry_after(AGAIN_S)
        })
    }

    /// The places that a request needs, or why it is not let in.
    pub(super) async fn enter(
        &self,
        kind: Kind,
        caller: Caller,
        token: Option<TokenId>,
        patience: Duration,
    ) -> Result<Vec<Place>, Refused> {
        let Clients { connections_each, .. } = self.clients;
        if let Some(token) = token {
            // One token alone can't close the door either.
            let most = connections_each.max(self.clients.connections / 16);
            let place = self.requests.enter(Rank::Preferred, &[(Key::Token(token.0), most)]);
            return Ok(vec![place.map_err(|full| refused(Kind::Page, full))?]);
        }
        let share = |each: usize, all: usize| {
            // One proxy may speak for many: half of the places, so that it still is not all.
            let most = if caller.many { each.max(all.div_ceil(2)) } else { each };
            vec![(Key::Address(caller.address), most)]
        };
        let each = (Key::Address(caller.address), connections_each);
        let each: &[(Key, usize)] = if caller.many { &[] } else { &[each] };
        let whole = self.requests.enter(Rank::Ordinary, each).map_err(|full| refused(Kind::Page, full))?;
        let clients = &self.clients;
        let (door, shares) = match kind {
            Kind::Health | Kind::Page => return Ok(vec![whole]),
            Kind::Stream => (&self.streams, share(clients.streams_anonymous_each, clients.streams_anonymous)),
            Kind::Fetch => (&self.fetches, share(clients.git_anonymous_each, clients.git_anonymous)),
            Kind::Form => (&self.forms, share(clients.forms_anonymous_each, clients.forms_anonymous)),
        };
        // Fetches and forms are soon over.
        let until = Instant::now() + if kind == Kind::Stream { Duration::ZERO } else { patience };
        let place = door.wait(Rank::Ordinary, &shares, until).await.map_err(|full| refused(kind, full))?;
        Ok(vec![whole, place])
    }
}

fn refused(kind: Kind, full: Full) -> Refused {
    let (code, what, setting) = match kind {
        Kind::Stream => ("too-many-streams", "event streams and followed logs", "streams_anonymous"),
        Kind::Fetch => ("too-many-fetches", "git fetches", "git_anonymous"),
        Kind::Form => ("too-many-forms", "requests that bring something", "forms_anonymous"),
        Kind::Health | Kind::Page => ("too-many-requests", "requests", "connections"),
    };
    let refused = match full {
        Full::Share(_) => Refused::new(
            429,
            code,
            format!("as many {what} of your address are open as may be at once"),
            format!(
                "try again when some have ended, or show a token; an admin allows more with {setting}_each under [clients]"
            ),
        ),
        Full::All => Refused::new(
            503,
            code,
            format!("as many {what} are open as may be at once"),
            format!("try again in a moment, or show a token; an admin allows more with {setting} under [clients]"),
        ),
    };
    refused.retry_after(AGAIN_S)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Config;
    use std::path::Path;
    use std::sync::Arc;

    fn doors(clients: &str) -> Doors {
        let config = Config::parse(&format!("[clients]\n{clients}"), Path::new("master.toml")).unwrap();
        Doors::new(&config.clients)
    }

    fn caller(address: &str, many: bool) -> Caller {
        Caller { address: address.parse().unwrap(), many, passed_on: false }
    }

    const MIA: TokenId = TokenId(1);

    /// Who finds no place is told so at once.
    const PATIENCE: Duration = Duration::ZERO;

    async fn enter(doors: &Doors, kind: Kind, caller: Caller) -> Result<Vec<Place>, (u16, String)> {
        doors.enter(kind, caller, None, PATIENCE).await.map_err(|refused| (refused.0.status, refused.0.code))
    }

    /// As many as get in, and the answer to the first who does not.
    async fn crowd(doors: &Doors, kind: Kind, who: impl Fn(usize) -> Caller) -> (Vec<Vec<Place>>, (u16, String)) {
        let mut inside = Vec::new();
        loop {
            match enter(doors, kind, who(inside.len())).await {
                Ok(places) => inside.push(places),
                Err(refused) => return (inside, refused),
            }
        }
    }

    #[tokio::test]
    async fn an_address_has_its_share_of_each_sort() {
        let doors = doors(
            "streams_anonymous = 6\nstreams_anonymous_each = 2\ngit_anonymous = 6\ngit_anonymous_each = 3\n\
             forms_anonymous = 6\nforms_anonymous_each = 4",
        );
        let all = [
            (Kind::Stream, 2, "too-many-streams"),
            (Kind::Fetch, 3, "too-many-fetches"),
            (Kind::Form, 4, "too-many-forms"),
        ];
        for (kind, most, code) in all {
            let (inside, refused) = crowd(&doors, kind, |_| caller("192.0.2.1", false)).await;
            assert_eq!((inside.len(), refused), (most, (429, code.to_owned())), "{kind:?}");
            let other = enter(&doors, kind, caller("192.0.2.2", false)).await;
            assert!(other.is_ok(), "another address is let in");
            drop(other);
            // One that may speak for many has half of them.
            let (many, _) = crowd(&doors, kind, |_| caller("127.0.0.1", true)).await;
            assert_eq!(many.len(), (6 - most).min(most.max(3)), "{kind:?}");
        }
        assert_eq!(doors.streams.inside(), (0, 0), "nothing is kept of those who went");
    }

    #[tokio::test]
    async fn a_crowd_of_strangers_leaves_the_door_open_to_whoever_shows_a_token() {
        let doors =
            doors("connections = 16\nconnections_each = 16\nstreams_anonymous = 100\nstreams_anonymous_each = 100");
        for behind in [true, false] {
            for kind in [Kind::Page, Kind::Stream] {
                let from = |n: usize| caller(&format!("192.0.2.{n}"), behind);
                let (strangers, refused) = crowd(&doors, kind, from).await;
                assert_eq!((strangers.len(), refused), (14, (503, "too-many-requests".to_owned())), "{kind:?}");
                let known = doors.enter(kind, from(200), Some(MIA), PATIENCE).await;
                assert!(known.is_ok(), "{kind:?}");
            }
        }
    }

    #[tokio::test]
    async fn one_token_can_not_take_all() {
        let doors = doors("connections = 64\nconnections_each = 8");
        let mut held = Vec::new();
        let refused = loop {
            match doors.enter(Kind::Stream, caller("192.0.2.1", false), Some(MIA), PATIENCE).await {
                Ok(places) => held.push(places),
                Err(refused) => break refused,
            }
        };
        assert_eq!((held.len(), refused.0.status), (8, 429));
        assert_eq!(refused.0.retry_after_s, Some(AGAIN_S));
    }

    #[tokio::test]
    async fn a_fetch_waits_for_a_place_for_a_while() {
        let doors = Arc::new(doors("git_anonymous = 1\ngit_anonymous_each = 1"));
        let first = enter(&doors, Kind::Fetch, caller("192.0.2.1", false)).await.unwrap();
        let refused = enter(&doors, Kind::Fetch, caller("192.0.2.2", false)).await.unwrap_err();
        assert_eq!(refused.0, 503);
        let waits = tokio::spawn({
            let doors = doors.clone();
            async move { doors.enter(Kind::Fetch, caller("192.0.2.2", false), None, Duration::MAX / 4).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waits.await.unwrap());
    }

    #[test]
    fn what_is_asked_is_known_by_method_and_path() {
        let kind = |method: Method, uri: &'static str| Kind::of(&method, &Uri::from_static(uri));
        assert_eq!(kind(Method::GET, "/healthz"), Kind::Health);
        for stream in
            ["/api/v1/events", "/api/v1/builds/1/steps/2/log/events?from=0", "/api/v1/builds/1/log?headers=1&follow=1"]
        {
            assert_eq!(kind(Method::GET, stream), Kind::Stream, "{stream}");
        }
        assert_eq!(kind(Method::POST, "/git/heron.git/git-upload-pack"), Kind::Fetch);
        assert_eq!(kind(Method::GET, "/git/heron.git/info/refs"), Kind::Fetch);
        for form in ["/login", "/api/v1/projects/heron/branches", "/healthzz"] {
            assert_eq!(kind(Method::POST, form), Kind::Form, "{form}");
        }
        for stream in ["/api/v1/builds/1/log?%66ollow=1", "/api/v1/builds/1/steps/2/log?x=1&f%6Fllow=1"] {
            assert_eq!(kind(Method::GET, stream), Kind::Stream, "{stream}");
        }
        for page in ["/", "/static/x/bb.css", "/api/v1/builds/1/log", "/p/events"] {
            assert_eq!(kind(Method::GET, page), Kind::Page, "{page}");
        }
    }
}
