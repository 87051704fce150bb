//! A master for tests: keeps what it is told in memory and acknowledges it, unless it is told not to.

use super::{PATIENCE, TOKEN};
use futures_util::{SinkExt, StreamExt};
use protocol::BuildResult;
use protocol::wire::{
    Assignment, Availability, BuildRef, Happened, Have, Hello, LogChunk, Report, StepFile, ToMaster, ToSlave, VERSION,
    Version, Word,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// What the master heard of one build.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub reports: Vec<Report>,
    pub logs: BTreeMap<u32, Vec<u8>>,
    /// What each step keeps.
    pub kept: BTreeMap<u32, Vec<u8>>,
    pub result: Option<(BuildResult, String)>,
    /// Offsets at which log pieces began, in the order they came.
    pub offsets: Vec<u64>,
}

impl Seen {
    /// The log of a step, as text.
    pub fn log(&self, step: u32) -> String {
        String::from_utf8_lossy(self.logs.get(&step).map_or(&[][..], |log| log)).into_owned()
    }

    /// How a step ended: result, exit code, reason.
    pub fn step(&self, wanted: u32) -> (BuildResult, Option<i32>, Option<String>) {
        let ended = self.reports.iter().find_map(|report| match &report.what {
            Happened::StepFinished { step, result, exit_code, reason, .. } if *step == wanted => {
                Some((*result, *exit_code, reason.clone()))
            }
            _ => None,
        });
        ended.unwrap_or_else(|| panic!("step {wanted} has not ended: {:#?}", self.reports))
    }

    /// The program that a step lacked.
    pub fn lacks(&self, wanted: u32) -> Option<String> {
        self.reports.iter().find_map(|report| match &report.what {
            Happened::StepFinished { step, lacks, .. } if *step == wanted => lacks.clone(),
            _ => None,
        })
    }

    /// Everything that was reported is here in full.
    fn whole(&self) -> bool {
        let len = |files: &BTreeMap<u32, Vec<u8>>, step| files.get(&step).map_or(0, |file| file.len() as u64);
        let files_whole = |report: &Report| match &report.what {
            Happened::StepFinished { step, log_len, artifacts, .. } => {
                let kept = artifacts.as_ref().map_or(0, |kept| kept.bytes());
                len(&self.logs, *step) == *log_len && len(&self.kept, *step) == kept
            }
            _ => true,
        };
        self.result.is_some() && self.reports.iter().all(files_whole)
    }

    /// How much is here of each file.
    fn lengths(&self) -> Vec<(StepFile, u64)> {
        let logs = self.logs.iter().map(|(step, log)| (StepFile::Log(*step), log.len() as u64));
        logs.chain(self.kept.iter().map(|(step, kept)| (StepFile::Artifacts(*step), kept.len() as u64))).collect()
    }
}

/// How the master behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    pub token: String,
    pub refuse: Option<String>,
    pub version: Version,
    pub acknowledge_logs: bool,
    pub acknowledge_reports: bool,
    /// Cuts the connection when so many log bytes were taken in it.
    pub cut_after: Option<u64>,
    /// Builds that it has given up.
    pub forgotten: Vec<BuildRef>,
    /// Builds that are to be cancelled at the next welcome.
    pub cancel: Vec<BuildRef>,
}

#[derive(Debug)]
struct State {
    manners: Manners,
    seen: HashMap<BuildRef, Seen>,
    hellos: Vec<Hello>,
    words: Vec<Word>,
    refused: usize,
    /// What is to be sent to the slave once it is there.
    waiting: Vec<ToSlave>,
    line: Option<mpsc::UnboundedSender<ToSlave>>,
    session: Option<AbortHandle>,
}

/// The master. It stops when dropped.
#[derive(Clone)]
pub struct Master {
    url: String,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Master {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let manners = Manners {
            token: TOKEN.to_owned(),
            refuse: None,
            version: VERSION,
            acknowledge_logs: true,
            acknowledge_reports: true,
            cut_after: None,
            forgotten: Vec::new(),
            cancel: Vec::new(),
        };
        let state = State {
            manners,
            seen: HashMap::new(),
            hellos: Vec::new(),
            words: Vec::new(),
            refused: 0,
            waiting: Vec::new(),
            line: None,
            session: None,
        };
        let master = Self { url, state: Arc::new(Mutex::new(state)), changed: Arc::default() };
        let serving = master.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let one = serving.clone();
                let session = tokio::spawn(async move { one.serve(stream).await });
                serving.state.lock().unwrap().session = Some(session.abort_handle());
            }
        });
        master
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.state.lock().unwrap().manners);
    }

    /// Gives a build to the slave, at once or when it comes.
    pub fn give(&self, assignment: Assignment) {
        self.state.lock().unwrap().seen.entry(assignment.of).or_default();
        self.send(ToSlave::Start(Box::new(assignment)));
    }

    /// Says something to the slave, at once or when it comes.
    pub fn send(&self, message: ToSlave) {
        let mut state = self.state.lock().unwrap();
        match &state.line {
            Some(line) if line.send(message.clone()).is_ok() => {}
            _ => state.waiting.push(message),
        }
    }

    /// Cuts the connection.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.line = None;
        if let Some(session) = state.session.take() {
            session.abort();
        }
    }

    /// Waits until something holds.
    pub async fn until<T>(&self, what: &str, mut holds: impl FnMut(&Self) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = holds(self) {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("waited too long for {what}; the master heard {:#?}", self.reports()),
        }
    }

    /// Waits until all of a build is here, forgets it, and gives what was heard.
    pub async fn finished(&self, of: BuildRef) -> Seen {
        let seen = self.until("the end of a build", |m| Some(m.seen(of)).filter(Seen::whole)).await;
        self.behave(|manners| manners.forgotten.push(of));
        self.send(ToSlave::Forget { of });
        seen
    }

    /// Waits until a log holds a text.
    pub async fn printed(&self, of: BuildRef, step: u32, text: &str) {
        self.until(&format!("`{text}` in a log"), |m| m.seen(of).log(step).contains(text).then_some(())).await;
    }

    pub fn seen(&self, of: BuildRef) -> Seen {
        self.state.lock().unwrap().seen.get(&of).cloned().unwrap_or_default()
    }

    fn reports(&self) -> Vec<Report> {
        self.state.lock().unwrap().seen.values().flat_map(|seen| seen.reports.clone()).collect()
    }

    pub fn hellos(&self) -> Vec<Hello> {
        self.state.lock().unwrap().hellos.clone()
    }

    /// What the slave said of its availability, the newest last.
    pub fn words(&self) -> Vec<Word> {
        self.state.lock().unwrap().words.clone()
    }

    /// Waits until the slave's newest word is this.
    pub async fn until_word(&self, says: Availability) -> Word {
        let newest = |m: &Self| m.words().pop().filter(|word| word.says == says);
        self.until(&format!("the word {}", says.as_str()), newest).await
    }

    /// How often somebody was turned away for a wrong token.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    async fn serve(&self, stream: TcpStream) {
        let check = |request: &Request, response: Response| {
            let said = request.headers().get("authorization").and_then(|value| value.to_str().ok());
            assert_eq!(request.uri().to_string(), "/api/v1/slave", "the token is never in the URL");
            let mut state = self.state.lock().unwrap();
            if said == Some(&format!("Bearer {}", state.manners.token)) {
                return Ok(response);
            }
            state.refused += 1;
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::UNAUTHORIZED;
            Err(refusal)
        };
        let accepted = accept_hdr_async(stream, check).await;
        self.changed.notify_waiters();
        let Ok(mut socket) = accepted else { return };
        let Some(Ok(Message::Text(text))) = socket.next().await else { return };
        let Ok(ToMaster::Hello(hello)) = serde_json::from_str(&text) else { panic!("the first message is {text}") };
        let answer = self.welcome(hello);
        self.changed.notify_waiters();
        socket.send(Message::Text(serde_json::to_string(&answer).unwrap().into())).await.unwrap();
        if matches!(answer, ToSlave::Refused { .. }) {
            let _ = socket.close(None).await;
            return;
        }
        let (line, mut orders) = mpsc::unbounded_channel();
        {
            let mut state = self.state.lock().unwrap();
            for message in std::mem::take(&mut state.waiting) {
                line.send(message).unwrap();
            }
            state.line = Some(line);
        }
        self.changed.notify_waiters();
        let mut taken = 0;
        loop {
            let answer = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => Some(order),
                    None => return,
                },
                frame = socket.next() => match frame {
                    Some(Ok(Message::Text(text))) => self.told(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Binary(frame))) => {
                        let (chunk, bytes) = LogChunk::decode(&frame).unwrap();
                        taken += bytes.len() as u64;
                        self.log(chunk, bytes)
                    }
                    Some(Ok(_)) => None,
                    _ => return,
                },
            };
            self.changed.notify_waiters();
            if self.state.lock().unwrap().manners.cut_after.is_some_and(|limit| taken >= limit) {
                return;
            }
            if let Some(answer) = answer {
                let text = serde_json::to_string(&answer).unwrap();
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
        }
    }

    fn welcome(&self, hello: Hello) -> ToSlave {
        let mut state = self.state.lock().unwrap();
        let builds = hello
            .builds
            .iter()
            .filter(|of| state.seen.contains_key(of) && !state.manners.forgotten.contains(of))
            .map(|of| Have {
                of: *of,
                next_report: state.seen[of].reports.len() as u32,
                logs: state.seen[of].lengths(),
                cancel: state.manners.cancel.contains(of),
            })
            .collect();
        state.words.extend(hello.word.clone());
        state.hellos.push(hello);
        match &state.manners.refuse {
            Some(reason) => ToSlave::Refused { reason: reason.clone() },
            None => ToSlave::Welcome { version: state.manners.version, bb: "0.0".to_owned(), builds },
        }
    }

    fn told(&self, message: ToMaster) -> Option<ToSlave> {
        let report = match message {
            ToMaster::Report(report) => report,
            ToMaster::Availability { said, word: Some(word), .. } => {
                assert_eq!(said, word.says);
                self.state.lock().unwrap().words.push(word);
                return None;
            }
            message => panic!("not expected: {message:?}"),
        };
        let of = report.of;
        let mut state = self.state.lock().unwrap();
        let seen = state.seen.get_mut(&of).expect("only builds that were given");
        assert_eq!(report.number as usize, seen.reports.len(), "reports come in order and once: {report:?}");
        if let Happened::BuildFinished { result, reason, .. } = &report.what {
            seen.result = Some((*result, reason.clone()));
        }
        seen.reports.push(report);
        let next = seen.reports.len() as u32;
        state.manners.acknowledge_reports.then_some(ToSlave::ReportsAcknowledged { of, next })
    }

    fn log(&self, chunk: LogChunk, bytes: &[u8]) -> Option<ToSlave> {
        let LogChunk { of, file, offset } = chunk;
        let mut state = self.state.lock().unwrap();
        let seen = state.seen.get_mut(&of).expect("only builds that were given");
        let log = match file {
            StepFile::Log(step) => seen.logs.entry(step).or_default(),
            StepFile::Artifacts(step) => seen.kept.entry(step).or_default(),
        };
        assert_eq!(offset, log.len() as u64, "log pieces come in order, without gap or overlap");
        log.extend_from_slice(bytes);
        seen.offsets.push(offset);
        let next = log.len() as u64;
        state.manners.acknowledge_logs.then_some(ToSlave::LogAcknowledged { of, file, next })
    }
}
