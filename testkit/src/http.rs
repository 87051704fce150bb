//! A small blocking HTTP client for tests: every status is an answer, and every answer has its body.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::time::Duration;

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; what is not UTF-8 replaced.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it isn't.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:1234`, that gives up on an answer after a minute
    /// and follows no redirect.
    #[must_use]
    pub fn new(base: &str) -> Client {
        Client { base: base.trim_end_matches('/').to_owned(), token: None, agent: agent(Some(Duration::from_secs(60))) }
    }

    /// The same with this bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self.clone() }
    }

    /// GET.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.agent.run(self.request("GET", path, ())?).and_then(read)
    }

    /// GET.
    ///
    /// # Panics
    /// When no answer comes.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {}{path}: {error}", self.base))
    }

    /// POST of JSON.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body)
    }

    /// Any method, with a body of JSON.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|error| panic!("{method} {}{path}: {error}", self.base))
    }

    /// Any method, with a body of JSON.
    ///
    /// # Errors
    /// When no answer comes: nobody knows then whether it was done.
    pub fn try_send(&self, method: &str, path: &str, body: &Value) -> Result<Answer, ureq::Error> {
        self.request(method, path, body.to_string()).and_then(|request| self.agent.run(request)).and_then(read)
    }

    /// The lines of an answer that may never end, such as an event stream, for at most `patience` in all.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn try_lines(
        &self,
        path: &str,
        patience: Duration,
    ) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>, ureq::Error> {
        let answer = agent(Some(patience)).run(self.request("GET", path, ())?)?;
        Ok(BufReader::new(answer.into_body().into_reader()).lines())
    }

    fn request<B>(&self, method: &str, path: &str, body: B) -> Result<ureq::http::Request<B>, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if method != "GET" {
            request = request.header("content-type", "application/json");
        }
        Ok(request.body(body)?)
    }
}

fn agent(patience: Option<Duration>) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(patience)
        .max_redirects(0)
        .proxy(None)
        .build()
        .new_agent()
}

fn read(answer: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let (head, mut body) = answer.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = body.with_config().limit(512 * 1024 * 1024).read_to_vec()?;
    Ok(Answer { status: head.status.as_u16(), headers, body: String::from_utf8_lossy(&body).into_owned() })
}
