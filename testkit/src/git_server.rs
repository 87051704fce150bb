//! Git servers over HTTP on a free port of loopback: smart and dumb ones, and ones that misbehave.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How a server behaves.
#[derive(Clone, Debug)]
pub enum Manner {
    /// As `git http-backend` does.
    Smart,
    /// As a plain folder of files does.
    Dumb,
    /// It wants a password, always.
    Unauthorized,
    /// It takes the connection and never says a word.
    Silent,
    /// It sends everybody on to this URL; the path asked for is put after it.
    Redirect(String),
    /// It answers everything with this status.
    Status(u16),
}

/// A server of the repositories in one folder. It ends with the value.
pub struct GitServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    server: Option<Arc<tiny_http::Server>>,
    workers: Vec<JoinHandle<()>>,
    _silent: Option<TcpListener>,
}

impl GitServer {
    /// Serves the folder `root` on a free port.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[must_use]
    pub fn start(root: &Path, manner: &Manner) -> GitServer {
        let asked = Arc::default();
        if matches!(manner, Manner::Silent) {
            // The kernel takes the connections; nobody ever reads them.
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
            let address = listener.local_addr().expect("it is bound");
            return GitServer { address, asked, server: None, workers: Vec::new(), _silent: Some(listener) };
        }
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("loopback has a free port"));
        let address = server.server_addr().to_ip().expect("it listens on an address");
        let workers = (0..4)
            .map(|_| {
                let (server, root, manner, asked) =
                    (Arc::clone(&server), root.to_path_buf(), manner.clone(), Arc::clone(&asked));
                std::thread::spawn(move || serve(&server, &root, &manner, &asked))
            })
            .collect();
        GitServer { address, asked, server: Some(server), workers, _silent: None }
    }

    /// The URL of the repository in the folder `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked for so far: `GET /r.git/info/refs?service=git-upload-pack`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            for _ in &self.workers {
                server.unblock();
            }
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn serve(server: &tiny_http::Server, root: &Path, manner: &Manner, asked: &Mutex<Vec<String>>) {
    while let Ok(mut request) = server.recv() {
        let line = format!("{} {}", request.method(), request.url());
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let answer = match manner {
            Manner::Smart => backend(root, &mut request),
            Manner::Dumb => file(root, &request),
            Manner::Unauthorized => Answer::status(401).with("www-authenticate", "Basic realm=\"secret\""),
            Manner::Redirect(to) => Answer::status(302).with("location", &format!("{to}{}", request.url())),
            Manner::Status(status) => Answer::status(*status),
            Manner::Silent => unreachable!("nobody serves a silent server"),
        };
        let mut response = tiny_http::Response::from_data(answer.body).with_status_code(answer.status);
        for (name, value) in &answer.headers {
            if let Ok(header) = tiny_http::Header::from_bytes(name.as_bytes(), value.as_bytes()) {
                response.add_header(header);
            }
        }
        // A client that went away is its own affair.
        let _ = request.respond(response);
    }
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn status(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What the dumb protocol needs is a file, kept up by `git update-server-info` before each look.
fn file(root: &Path, request: &tiny_http::Request) -> Answer {
    let path = request.url().split('?').next().unwrap_or_default().trim_start_matches('/');
    let path = PathBuf::from(path);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Answer::status(404);
    }
    if path.ends_with("info/refs") {
        let repository = root.join(&path);
        let repository = repository.parent().and_then(Path::parent).unwrap_or(root);
        let _ = crate::git::command().arg("-C").arg(repository).arg("update-server-info").output();
    }
    match std::fs::read(root.join(path)) {
        Ok(body) => Answer { status: 200, headers: Vec::new(), body }.with("content-type", "text/plain"),
        Err(_) => Answer::status(404),
    }
}

/// What `git http-backend` says, as a web server asks it by CGI.
fn backend(root: &Path, request: &mut tiny_http::Request) -> Answer {
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let headers: HashMap<String, String> = request
        .headers()
        .iter()
        .map(|header| (header.field.as_str().as_str().to_ascii_lowercase(), header.value.to_string()))
        .collect();
    let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
    let mut cgi: Command = crate::git::command();
    cgi.arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method().to_string())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut body = Vec::new();
    if request.as_reader().read_to_end(&mut body).is_err() {
        return Answer::status(400);
    }
    let Ok(mut child) = cgi.env("CONTENT_LENGTH", body.len().to_string()).spawn() else { return Answer::status(500) };
    let input = child.stdin.take();
    let writer = std::thread::spawn(move || input.map(|mut input| input.write_all(&body)));
    let out = child.wait_with_output().map(|out| out.stdout).unwrap_or_default();
    let _ = writer.join();
    cgi_answer(&out)
}

fn cgi_answer(out: &[u8]) -> Answer {
    let Some(end) = out.windows(4).position(|window| window == b"\r\n\r\n") else { return Answer::status(500) };
    let mut answer = Answer::status(200);
    answer.body = out[end + 4..].to_vec();
    for line in String::from_utf8_lossy(&out[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", value)) => answer.status = value.get(..3).and_then(|s| s.parse().ok()).unwrap_or(500),
            Some((name, value)) => answer.headers.push((name.to_owned(), value.to_owned())),
            None => {}
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::{GitServer, Manner};
    use crate::git::Repo;
    use std::io::Read;
    use std::net::TcpStream;
    use std::time::Duration;

    fn repository(folder: &std::path::Path) -> String {
        let repo = Repo::init(folder.join("work"));
        let commit = repo.commit(&[("README", "hello\n")], "Begin");
        let bare = Repo::init_bare(folder.join("served/r.git"));
        repo.git(&["push", "--quiet", bare.url(), "main"]);
        commit
    }

    #[test]
    fn smart_and_dumb_servers_are_cloned_from() {
        let folder = crate::folder();
        let commit = repository(folder.path());
        for (name, manner) in [("smart", Manner::Smart), ("dumb", Manner::Dumb)] {
            let server = GitServer::start(&folder.path().join("served"), &manner);
            let clone = Repo::clone(&server.url("r.git"), folder.path().join(name));
            assert_eq!(clone.head(), commit);
            assert!(server.asked().iter().any(|line| line.starts_with("GET /r.git/info/refs")));
        }
    }

    #[test]
    fn a_redirect_and_a_wish_for_a_password_are_answers() {
        let folder = crate::folder();
        let outside = Repo::init(folder.path().join("outside"));
        for (manner, expected) in [
            (Manner::Unauthorized, "could not read Username"),
            (Manner::Redirect("http://127.0.0.1:1".into()), "127.0.0.1"),
            (Manner::Status(503), "503"),
        ] {
            let server = GitServer::start(folder.path(), &manner);
            let said = outside.try_git(&["ls-remote", &server.url("r.git")]).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_silent_server_says_nothing() {
        let folder = crate::folder();
        let server = GitServer::start(folder.path(), &Manner::Silent);
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(stream.read(&mut [0]).is_err());
    }
}
