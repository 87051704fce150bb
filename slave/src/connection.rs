//! The slave's one connection to its master: dials, says who it is, delivers what the spool holds, and takes orders.
//!
//! It is made again for ever, with growing, jittered pauses. Builds know nothing of it. What the master has is learnt anew
//! each time from [`ToSlave::Welcome`].

mod delivery;
mod pause;

use crate::config::{MasterUrl, Token};
use crate::spool::Spool;
use delivery::Delivery;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use pause::Pause;
use protocol::UnixMs;
use protocol::wire::{Assignment, BuildRef, Hello, MAX_TEXT, ToMaster, ToSlave, VERSION, Version, Voice, Word};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// What the master wants done.
#[derive(Debug)]
pub(crate) enum Order {
    /// Run this.
    Start(Box<Assignment>),
    /// Stop this, and report its end.
    Cancel(BuildRef, String),
    /// Stop this if it runs, and delete what there is of it.
    Forget(BuildRef),
}

/// How long dialling and each of the first two messages may take.
const GREETING: Duration = Duration::from_secs(30);
/// How often the master is pinged.
const PING: Duration = Duration::from_secs(20);
/// How long the master may be silent; it answers pings.
const SILENCE: Duration = Duration::from_secs(60);

/// Everything a connection needs to know.
pub(crate) struct Connector {
    pub(crate) master: MasterUrl,
    pub(crate) token: Token,
    /// Who the slave is; `builds` and its word are filled in for each connection. When it changes, a new one is made.
    pub(crate) hello: watch::Receiver<Hello>,
    /// Its own word on its availability, as it changes.
    pub(crate) word: watch::Receiver<Word>,
    /// The admin's.
    pub(crate) admin: watch::Sender<Option<Word>>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) orders: mpsc::Sender<Order>,
    /// Whether there is a connection now.
    pub(crate) connected: Arc<AtomicBool>,
}

/// Why there is no connection (any more).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error(
        "the master does not know this slave's token (HTTP {0}); make one for this slave's name on the master and put it into the token's file"
    )]
    Unauthorized(StatusCode),
    #[error("the master speaks version {}.{} of the protocol (bb {bb}) and this slave version {}.{}: {}", .master.major, .master.minor, VERSION.major, VERSION.minor, if .master.major > VERSION.major { "update bb here" } else { "update bb on the master" })]
    Incompatible { master: Version, bb: String },
    #[error("the master refused this slave: {0}")]
    Refused(String),
    #[error("the master answered HTTP {0}, not as a bb master does; is the address right?")]
    NoMaster(StatusCode),
    #[error("no connection: {0}")]
    Socket(Box<WsError>),
    #[error("the master said something that is not in the protocol: {0}")]
    Nonsense(String),
    #[error("the master closed the connection")]
    Closed,
    #[error("nothing was heard of the master for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the slave says anew what it is")]
    Renewed,
    #[error("the slave stops")]
    Stopping,
}

impl From<WsError> for Lost {
    fn from(error: WsError) -> Self {
        match error {
            WsError::ConnectionClosed | WsError::AlreadyClosed => Self::Closed,
            WsError::Http(answer) => match answer.status() {
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Self::Unauthorized(status),
                status => Self::NoMaster(status),
            },
            error => Self::Socket(Box::new(error)),
        }
    }
}

impl Lost {
    /// Whether trying again soon is of no use.
    fn lasts(&self) -> bool {
        match self {
            Self::Unauthorized(_) | Self::Incompatible { .. } | Self::Refused(_) => true,
            // 5xx is what a proxy says while the master is being restarted.
            Self::NoMaster(status) => !status.is_server_error(),
            _ => false,
        }
    }
}

impl Connector {
    /// Connects again and again. Returns only with what no trying can mend, and only while `idle` says that nothing runs
    /// here.
    pub(crate) async fn run(&self, idle: impl Fn() -> bool) -> Lost {
        let mut pause = Pause::default();
        loop {
            let lost = self.session().await;
            if self.connected.swap(false, Ordering::AcqRel) {
                pause = Pause::default();
            }
            match &lost {
                Lost::Stopping => return lost,
                Lost::Renewed => continue,
                Lost::Unauthorized(_) | Lost::Incompatible { .. } if idle() => return lost,
                _ => {}
            }
            let wait = if lost.lasts() { pause.long() } else { pause.next() };
            tracing::warn!(master = %self.master, "{lost}; trying again in {:.1} s", wait.as_secs_f32());
            tokio::time::sleep(wait).await;
        }
    }

    async fn session(&self) -> Lost {
        match self.try_session().await {
            Ok(never) => match never {},
            Err(lost) => lost,
        }
    }

    async fn try_session(&self) -> Result<Infallible, Lost> {
        let mut socket = timeout(GREETING, self.dial()).await.map_err(|_| Lost::Silent(GREETING))??;
        let builds = self.spool.builds().iter().map(|build| build.of).collect();
        let mut own = self.hello.clone();
        let of_now = own.borrow_and_update().clone();
        let mut said = self.word.clone();
        let word = said.borrow_and_update().clone();
        let hello = Hello { builds, availability: word.says, word: Some(word), ..of_now };
        let hello = ToMaster::Hello(hello);
        timeout(GREETING, socket.send(text(&hello)?)).await.map_err(|_| Lost::Silent(GREETING))??;
        let have = match timeout(GREETING, next(&mut socket)).await.map_err(|_| Lost::Silent(GREETING))?? {
            ToSlave::Welcome { version, bb, .. } if version.major != VERSION.major => {
                return Err(Lost::Incompatible { master: version, bb: bb.chars().take(40).collect() });
            }
            ToSlave::Welcome { builds, .. } => builds,
            ToSlave::Refused { reason } => return Err(Lost::Refused(reason.chars().take(1000).collect())),
            _ => return Err(Lost::Nonsense("its first message was no welcome".to_owned())),
        };
        self.connected.store(true, Ordering::Release);
        tracing::info!(master = %self.master, builds = have.len(), "connected");
        let ToMaster::Hello(Hello { builds, .. }) = hello else { return Err(Lost::Closed) };
        let forgotten: Vec<_> = builds.into_iter().filter(|of| have.iter().all(|have| have.of != *of)).collect();
        for &of in &forgotten {
            self.order(Order::Forget(of)).await?;
        }
        for have in have.iter().filter(|have| have.cancel) {
            self.order(Order::Cancel(have.of, "cancelled while the slave was away".to_owned())).await?;
        }
        let delivery = Delivery::new(&self.spool, have, &forgotten);
        let (sink, stream) = socket.split();
        // Both at once, so that neither side's waiting to write can keep it from reading.
        tokio::select! {
            lost = self.listen(stream, &delivery) => lost,
            Ok(()) = own.changed() => Err(Lost::Renewed),
            lost = delivery.run(sink, PING, said) => lost,
        }
    }

    async fn dial(&self) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Lost> {
        let mut request = self.master.socket().as_str().into_client_request()?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.token.expose()))
            .map_err(|_| Lost::Nonsense("the token can't be sent".to_owned()))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert("authorization", bearer);
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MAX_TEXT);
        config.max_frame_size = Some(MAX_TEXT);
        let (socket, _) = connect_async_with_config(request, Some(config), true).await?;
        Ok(socket)
    }

    async fn listen<S>(&self, mut stream: S, delivery: &Delivery) -> Result<Infallible, Lost>
    where
        S: Stream<Item = Result<Message, WsError>> + Unpin,
    {
        loop {
            match timeout(SILENCE, next_or_pong(&mut stream)).await.map_err(|_| Lost::Silent(SILENCE))?? {
                None => {}
                Some(ToSlave::Start(assignment)) => self.order(Order::Start(assignment)).await?,
                Some(ToSlave::Cancel { of, reason }) => self.order(Order::Cancel(of, reason)).await?,
                Some(ToSlave::Forget { of }) => {
                    delivery.forget(of);
                    self.order(Order::Forget(of)).await?;
                }
                Some(ToSlave::LogAcknowledged { of, file, next }) => delivery.acknowledged(of, file, next),
                Some(ToSlave::ReportsAcknowledged { of, next }) => {
                    if let Some(build) = self.spool.get(of) {
                        build.told(next);
                    }
                }
                Some(ToSlave::Availability { admin, word }) => {
                    let of_old = || Word { says: admin, voice: Voice::Admin, ..Word::nobody(UnixMs(0)) };
                    self.admin.send_replace(Some(word.unwrap_or_else(of_old)));
                }
                Some(ToSlave::Refused { reason }) => return Err(Lost::Refused(reason)),
                Some(ToSlave::Welcome { .. }) => return Err(Lost::Nonsense("a second welcome".to_owned())),
            }
        }
    }

    async fn order(&self, order: Order) -> Result<(), Lost> {
        self.orders.send(order).await.map_err(|_| Lost::Stopping)
    }
}

fn text(message: &ToMaster) -> Result<Message, Lost> {
    let text = serde_json::to_string(message).map_err(|error| Lost::Nonsense(error.to_string()))?;
    Ok(Message::Text(text.into()))
}

/// The next message of the protocol.
async fn next<S>(stream: &mut S) -> Result<ToSlave, Lost>
where
    S: Stream<Item = Result<Message, WsError>> + Unpin,
{
    loop {
        if let Some(message) = next_or_pong(stream).await? {
            return Ok(message);
        }
    }
}

/// The next message of the protocol, or none for a sign of life.
async fn next_or_pong<S>(stream: &mut S) -> Result<Option<ToSlave>, Lost>
where
    S: Stream<Item = Result<Message, WsError>> + Unpin,
{
    match stream.next().await.ok_or(Lost::Closed)?? {
        Message::Text(text) => match serde_json::from_str(&text) {
            Ok(message) => Ok(Some(message)),
            Err(error) => Err(Lost::Nonsense(error.to_string())),
        },
        Message::Binary(_) => Err(Lost::Nonsense("a binary frame".to_owned())),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
        Message::Close(_) => Err(Lost::Closed),
    }
}

/// Sends one frame.
async fn send<S>(sink: &mut S, message: Message) -> Result<(), Lost>
where
    S: Sink<Message, Error = WsError> + Unpin,
{
    Ok(sink.send(message).await?)
}
