//! A slave that does what a test says, also what no slave should.

use super::{PATIENCE, World};
use futures_util::{SinkExt as _, StreamExt as _};
use master::store::TokenKind;
use protocol::wire::{
    Assignment, Availability, BuildRef, Happened, Have, Hello, Isolation, LogChunk, Report, StepFile, ToMaster,
    ToSlave, VERSION,
};
use protocol::{BuildResult, UnixMs};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub fn hello(name: &str, builds: &[BuildRef]) -> Hello {
    Hello {
        version: VERSION,
        bb: "0.0.0".to_owned(),
        name: name.parse().unwrap(),
        labels: Vec::new(),
        slots: 1,
        isolation: Isolation::Bubblewrap,
        isolation_notes: Vec::new(),
        availability: Availability::Eager,
        word: None,
        machine: "a test".to_owned(),
        builds: builds.to_vec(),
    }
}

pub struct FakeSlave {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl FakeSlave {
    /// Opens a connection and says nothing yet.
    pub async fn open(world: &World, token: &str) -> Result<Self, Error> {
        Self::open_at(&world.at("/api/v1/slave"), token).await
    }

    async fn open_at(url: &str, token: &str) -> Result<Self, Error> {
        let mut request = url.replace("http:", "ws:").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket })
    }

    /// Makes a token and connects with it; gives the token too.
    pub async fn new(world: &World, name: &str) -> (Self, String) {
        let token = world.token(TokenKind::Slave, name).await;
        let (slave, have) = Self::connect(world, &token, name, &[]).await;
        assert_eq!(have, []);
        (slave, token)
    }

    /// Connects with these builds on its disk; gives what the master has of them.
    pub async fn connect(world: &World, token: &str, name: &str, builds: &[BuildRef]) -> (Self, Vec<Have>) {
        Self::connect_at(&world.at("/api/v1/slave"), token, name, builds).await.unwrap()
    }

    /// The same at a URL, where the master may be gone.
    pub async fn connect_at(
        url: &str,
        token: &str,
        name: &str,
        builds: &[BuildRef],
    ) -> Result<(Self, Vec<Have>), Error> {
        let mut slave = Self::open_at(url, token).await?;
        slave.say(&ToMaster::Hello(hello(name, builds))).await;
        match slave.next().await {
            Some(ToSlave::Welcome { builds, .. }) => Ok((slave, builds)),
            None => Err(Error::ConnectionClosed),
            Some(other) => panic!("{other:?}"),
        }
    }

    pub async fn say(&mut self, message: &ToMaster) {
        self.send(Message::Text(serde_json::to_string(message).unwrap().into())).await;
    }

    /// Says something that goes off with what is said next.
    pub async fn feed(&mut self, message: &ToMaster) {
        let _ = self.socket.feed(Message::Text(serde_json::to_string(message).unwrap().into())).await;
    }

    pub async fn send(&mut self, frame: Message) {
        let _ = self.socket.send(frame).await;
    }

    /// The master's next message; none when it closed the connection.
    pub async fn next(&mut self) -> Option<ToSlave> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the master says something") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The master's next message that is not of its own accord.
    pub async fn answer(&mut self) -> ToSlave {
        loop {
            match self.next().await.expect("the connection holds") {
                ToSlave::Availability { .. } | ToSlave::Start(_) | ToSlave::Cancel { .. } => {}
                other => return other,
            }
        }
    }

    /// The next build that is given to it.
    pub async fn given(&mut self) -> Assignment {
        loop {
            match self.next().await.expect("the connection holds") {
                ToSlave::Start(it) => return *it,
                ToSlave::Availability { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until the master has closed the connection.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    pub async fn report(&mut self, of: BuildRef, number: u32, what: Happened) {
        self.say(&ToMaster::Report(Report { of, number, at: UnixMs(1), what })).await;
    }

    pub async fn chunk(&mut self, of: BuildRef, step: u32, offset: u64, bytes: &[u8]) {
        self.send(Message::Binary(LogChunk { of, file: StepFile::Log(step), offset }.encode(bytes).into())).await;
    }

    /// Begins step 1 as report 0, and waits until the master has that.
    pub async fn begins(&mut self, of: BuildRef) {
        self.report(of, 0, started(1)).await;
        assert_eq!(self.answer().await, ToSlave::ReportsAcknowledged { of, next: 1 });
    }

    /// Ends a build by report `number`, and waits until it may be forgotten.
    pub async fn ends(&mut self, of: BuildRef, number: u32, result: BuildResult) {
        self.report(of, number, ended(result)).await;
        assert_eq!(self.answer().await, ToSlave::ReportsAcknowledged { of, next: number + 1 });
        assert_eq!(self.answer().await, ToSlave::Forget { of });
    }

    /// Takes the next build and says that it passed.
    pub async fn passes_next(&mut self) -> Assignment {
        let it = self.given().await;
        self.ends(it.of, 0, BuildResult::Success).await;
        it
    }
}

pub fn started(step: u32) -> Happened {
    Happened::StepStarted { step, name: "test".to_owned() }
}

pub fn finished(step: u32, log_len: u64) -> Happened {
    Happened::StepFinished {
        step,
        result: BuildResult::Success,
        exit_code: Some(0),
        log_len,
        reason: None,
        lacks: None,
        ran_ms: 5,
        links: Vec::new(),
        summary: String::new(),
        tests: None,
        artifacts: None,
    }
}

pub fn ended(result: BuildResult) -> Happened {
    Happened::BuildFinished { result, reason: "it says so".to_owned(), handed_back: false }
}
