//! A server for HTTP on loopback, as good or as bad as a test wants it.

use super::plain_git;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What to do about it.
pub(crate) enum Answer {
    /// A status, headers, and a body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A head, and then these bytes again and again.
    Endless(&'static str, Vec<u8>),
    /// The same, but the connection ends after so many bytes of the body.
    Cut(u16, Vec<(&'static str, String)>, Vec<u8>, usize),
    /// Nothing, ever.
    Never,
}

pub(crate) fn status(status: u16) -> Answer {
    Answer::Whole(status, Vec::new(), Vec::new())
}

pub(crate) fn redirect(to: String) -> Answer {
    Answer::Whole(302, vec![("Location", to)], Vec::new())
}

pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let (answer, log) = (Arc::new(answer), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (answer.clone(), log.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read(&mut reader) {
                        log.lock().unwrap().push(request.clone());
                        if !write(&stream, answer(&request)) {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// git's own server behind it, as a web server would have it.
    pub(crate) fn smart(root: &Path) -> Self {
        let root = root.to_owned();
        Self::start(move |request| http_backend(&root, request))
    }

    /// Plain files.
    pub(crate) fn dumb(root: &Path) -> Self {
        let root = root.to_owned();
        Self::start(move |request| plain_file(&root, request))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// `METHOD TARGET` of each request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|r| format!("{} {}", r.method, r.target)).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut piece = vec![0; size + 2];
            reader.read_exact(&mut piece).ok()?;
            request.body.extend_from_slice(&piece[..size]);
            if size == 0 {
                break;
            }
        }
    } else {
        let size = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        request.body = vec![0; size];
        reader.read_exact(&mut request.body).ok()?;
    }
    Some(request)
}

/// Whether the connection can be used again.
fn write(mut stream: &TcpStream, answer: Answer) -> bool {
    match answer {
        Answer::Whole(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_ok()
        }
        Answer::Cut(status, headers, body, at) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..at]));
            let _ = stream.shutdown(std::net::Shutdown::Both);
            false
        }
        Answer::Endless(head, piece) => {
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\nConnection: close\r\n\r\n");
            let mut alive = stream.write_all(head.as_bytes()).is_ok();
            while alive {
                alive = stream.write_all(&piece).is_ok();
            }
            false
        }
        Answer::Never => {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]);
            false
        }
    }
}

pub(crate) fn plain_file(root: &Path, request: &Request) -> Answer {
    let path = request.target.split('?').next().unwrap().trim_start_matches('/');
    if request.method != "GET" {
        return status(405);
    }
    let Ok(bytes) = std::fs::read(root.join(path)) else { return status(404) };
    let tag = format!("\"{}-{}\"", bytes.len(), bytes.iter().map(|b| u64::from(*b)).sum::<u64>());
    if request.header("if-none-match") == Some(&tag) {
        return Answer::Whole(304, vec![("ETag", tag)], Vec::new());
    }
    Answer::Whole(200, vec![("Content-Type", "text/plain".to_owned()), ("ETag", tag)], bytes)
}

pub(crate) fn http_backend(root: &Path, request: &Request) -> Answer {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut command = plain_git();
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("PATH_INFO", path).env("QUERY_STRING", query).env("REQUEST_METHOD", &request.method);
    command.env("CONTENT_TYPE", request.header("content-type").unwrap_or_default());
    command.env("CONTENT_LENGTH", request.body.len().to_string());
    command.env("REMOTE_ADDR", "127.0.0.1");
    if let Some(protocol) = request.header("git-protocol") {
        command.env("GIT_PROTOCOL", protocol);
    }
    if let Some(encoding) = request.header("content-encoding") {
        command.env("HTTP_CONTENT_ENCODING", encoding);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(&body);
    });
    let mut said = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    feeder.join().unwrap();
    child.wait().unwrap();
    let end = said.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&said[..end]).into_owned();
    let header = |wanted: &str| {
        head.lines().filter_map(|l| l.split_once(": ")).find(|(n, _)| *n == wanted).map(|(_, v)| v.to_owned())
    };
    let status = header("Status").and_then(|s| s.split(' ').next()?.parse().ok()).unwrap_or(200);
    let kind = header("Content-Type").unwrap_or_default();
    Answer::Whole(status, vec![("Content-Type", kind)], said[(end + 4).min(said.len())..].to_vec())
}

/// A bare copy of a repository below a folder to be served, ready for dumb servers too.
pub(crate) fn publish(repo: &super::Repo, root: &Path, name: &str) -> PathBuf {
    let path = root.join(name);
    let done = plain_git().args(["clone", "-q", "--mirror"]).arg(&repo.path).arg(&path).status().unwrap();
    assert!(done.success());
    let done = plain_git().arg("-C").arg(&path).arg("update-server-info").status().unwrap();
    assert!(done.success());
    path
}
