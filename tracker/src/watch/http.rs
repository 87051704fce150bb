//! Smart and dumb HTTP, asked in process over connections that are kept.

use super::lines::{Found, Lines, Text, ls_refs};
use super::{Head, PollError, PollLimits};
use crate::source::{BranchRef, Scheme, SourcePolicy, SourceUrl, UncheckedUrl, redirect_without_secrets};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Redirects followed in one look.
const MAX_REDIRECTS: usize = 3;

/// Answers remembered, to ask the next time as that server likes it.
const MAX_KNOWN: usize = 20_000;

/// The longest word of a server that is remembered, such as an `ETag`, in bytes. One with a longer one is asked for all.
const MAX_VALIDATOR: usize = 256;

/// The longest place that a redirect names, in bytes.
const MAX_LOCATION: usize = 4096;

/// All headers of an answer, in bytes.
const MAX_HEADERS: u32 = 32 << 10;

const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    limits: PollLimits,
    known: Arc<Mutex<HashMap<(String, BranchRef), Known>>>,
}

/// How a server answered last; only what makes the next look cheaper.
#[derive(Clone, Debug)]
enum Known {
    /// By a list of all refs, in packet lines.
    Advertises,
    /// By a plain file, with what it gave to ask whether it has changed, and what stood there.
    Dumb { unless: HeaderMap, head: Head },
}

impl Client {
    pub(super) fn new(policy: &SourcePolicy, limits: PollLimits) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen the same one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            // Some servers answer git only, and know it by the first word.
            .user_agent(concat!("git/2.0 (bb ", env!("CARGO_PKG_VERSION"), ")"))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(limits.connect)
            .pool_idle_timeout(Duration::from_secs(90))
            .pool_max_idle_per_host(4)
            .http2_max_header_list_size(MAX_HEADERS)
            .dns_resolver(VettingResolver { policy: policy.clone() })
            .build()?;
        Ok(Self { http, limits, known: Arc::default() })
    }

    /// Where these branches of one repository are, in one exchange.
    pub(super) async fn heads(
        &self,
        policy: &SourcePolicy,
        url: &SourceUrl,
        branches: &[BranchRef],
    ) -> Result<Vec<Head>, PollError> {
        let names: Vec<String> = branches.iter().map(BranchRef::full).collect();
        let keys: Vec<_> = branches.iter().map(|branch| (url.to_string(), branch.clone())).collect();
        let known: Option<Vec<Known>> = {
            let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            keys.iter().map(|key| all.get(key).cloned()).collect()
        };
        if known.is_none()
            && let Some(heads) = self.by_ls_refs(policy, url, &names).await?
        {
            return Ok(heads);
        }
        let found = self.by_advertisement(policy, url, &names, known.unwrap_or_default()).await?;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() + keys.len() > MAX_KNOWN {
            all.clear();
        }
        let (heads, known): (Vec<Head>, Vec<Known>) = found.into_iter().unzip();
        all.extend(keys.into_iter().zip(known));
        Ok(heads)
    }

    /// Where redirects lead, asking as git does first.
    pub(super) async fn after_redirects(&self, policy: &SourcePolicy, url: &SourceUrl) -> Result<SourceUrl, PollError> {
        // The newer protocol's answer is short.
        let headers = HeaderMap::from_iter([(GIT_PROTOCOL, HeaderValue::from_static("version=2"))]);
        let (response, last) =
            self.follow(policy, url, Method::GET, "/info/refs?service=git-upload-pack", &headers, None).await?;
        good_status(url, &response)?;
        Ok(last)
    }

    /// Protocol v2 in one exchange; none when the server does not speak it.
    async fn by_ls_refs(
        &self,
        policy: &SourcePolicy,
        url: &SourceUrl,
        names: &[String],
    ) -> Result<Option<Vec<Head>>, PollError> {
        let mut headers = HeaderMap::new();
        headers.insert(GIT_PROTOCOL, HeaderValue::from_static("version=2"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-git-upload-pack-request"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/x-git-upload-pack-result"));
        let body = Some(ls_refs(names));
        let (response, _) = self.follow(policy, url, Method::POST, "/git-upload-pack", &headers, body).await?;
        let is_answer = content_type(&response) == Some("application/x-git-upload-pack-result");
        if response.status() != StatusCode::OK || !is_answer {
            return Ok(None);
        }
        match self.read_lines(url, response, Lines::of_ls_refs(names)).await {
            Ok(heads) => Ok(Some(heads)),
            // Whatever it meant, the older way may be understood.
            Err(PollError::NotARepository { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The list of all refs, of a smart server or a dumb one. `known` is what is known of each name, or nothing.
    async fn by_advertisement(
        &self,
        policy: &SourcePolicy,
        url: &SourceUrl,
        names: &[String],
        known: Vec<Known>,
    ) -> Result<Vec<(Head, Known)>, PollError> {
        let unless = unchanged_since(&known);
        let (response, _) =
            self.follow(policy, url, Method::GET, "/info/refs?service=git-upload-pack", &unless, None).await?;
        if response.status() == StatusCode::NOT_MODIFIED && !unless.is_empty() {
            let as_before = |known| match known {
                Known::Dumb { unless, head } => Some((head.clone(), Known::Dumb { unless, head })),
                Known::Advertises => None,
            };
            return Ok(known.into_iter().filter_map(as_before).collect());
        }
        good_status(url, &response)?;
        if content_type(&response) == Some("application/x-git-upload-pack-advertisement") {
            let heads = self.read_lines(url, response, Lines::of_advertisement(names)).await?;
            return Ok(heads.into_iter().map(|head| (head, Known::Advertises)).collect());
        }
        let unless = validators(response.headers());
        let heads = self.read_text(url, response, names).await?;
        Ok(heads.into_iter().map(|head| (head.clone(), Known::Dumb { unless: unless.clone(), head })).collect())
    }

    async fn read_lines(
        &self,
        url: &SourceUrl,
        mut response: Response,
        mut lines: Lines,
    ) -> Result<Vec<Head>, PollError> {
        let mut left = self.limits.answer_bytes;
        while let Some(piece) = response.chunk().await.map_err(|error| self.failed(url, &error))? {
            left = left.checked_sub(piece.len()).ok_or_else(|| self.too_long(url))?;
            match lines.take(&piece) {
                Ok(Found::Surely(heads)) => return Ok(heads),
                Ok(Found::NotYet) => {}
                Err(why) => return Err(PollError::NotARepository { url: url.to_string(), why: why.to_owned() }),
            }
        }
        Err(PollError::NotARepository { url: url.to_string(), why: "the answer ends too early".to_owned() })
    }

    async fn read_text(
        &self,
        url: &SourceUrl,
        mut response: Response,
        names: &[String],
    ) -> Result<Vec<Head>, PollError> {
        let mut left = self.limits.answer_bytes;
        let mut text = Text::looking_for(names);
        let no_repository = |why: &str| PollError::NotARepository { url: url.to_string(), why: why.to_owned() };
        while let Some(piece) = response.chunk().await.map_err(|error| self.failed(url, &error))? {
            left = left.checked_sub(piece.len()).ok_or_else(|| self.too_long(url))?;
            text.take(&piece).map_err(no_repository)?;
        }
        text.end().map_err(no_repository)
    }

    /// Asks, following redirects by hand; says also which URL answered.
    async fn follow(
        &self,
        policy: &SourcePolicy,
        url: &SourceUrl,
        method: Method,
        tail: &str,
        headers: &HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<(Response, SourceUrl), PollError> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let asked = self.http.request(method.clone(), format!("{at}{tail}")).headers(headers.clone());
            let asked = body.iter().fold(asked, |asked, body| asked.body(body.clone()));
            let response = asked.send().await.map_err(|error| self.failed(&at, &error))?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                return Ok((response, at));
            }
            at = redirected(policy, &at, &response, tail)?;
        }
        Err(PollError::RedirectRefused {
            url: url.to_string(),
            to: at.to_string(),
            why: format!("it is one after {MAX_REDIRECTS} others"),
        })
    }

    fn failed(&self, url: &SourceUrl, error: &reqwest::Error) -> PollError {
        let mut cause: &dyn std::error::Error = error;
        loop {
            if let Some(refused) = cause.downcast_ref::<AddressRefused>() {
                return PollError::PrivateAddress { host: refused.host.clone(), address: refused.address.to_string() };
            }
            match cause.source() {
                Some(source) => cause = source,
                None => break,
            }
        }
        if error.is_timeout() {
            return PollError::NoAnswer { url: url.to_string(), after: self.limits.connect };
        }
        PollError::Unreachable { url: url.to_string(), why: crate::text::shortened(&cause.to_string(), 200) }
    }

    fn too_long(&self, url: &SourceUrl) -> PollError {
        PollError::AnswerTooLong { url: url.to_string(), limit: self.limits.answer_bytes }
    }
}

/// What to ask by whether a plain file is as it was when all of these were read from it; nothing when they were read at different
/// times.
fn unchanged_since(known: &[Known]) -> HeaderMap {
    let of = |known: &Known| match known {
        Known::Dumb { unless, .. } => Some(unless.clone()),
        Known::Advertises => None,
    };
    let mut all = known.iter().map(of);
    let first = all.next().flatten().unwrap_or_default();
    if all.all(|other| other.as_ref() == Some(&first)) { first } else { HeaderMap::new() }
}

/// The repository that a redirect leads to, if that is one which could have been published.
fn redirected(policy: &SourcePolicy, at: &SourceUrl, response: &Response, tail: &str) -> Result<SourceUrl, PollError> {
    let location = response.headers().get(header::LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let refused = |to: &str, why: String| PollError::RedirectRefused {
        url: at.to_string(),
        // What a server signs or hands out for one request is nobody else's.
        to: crate::text::shortened(&redirect_without_secrets(to), 200),
        why,
    };
    let Some(location) = location else { return Err(refused("", "it does not say where".to_owned())) };
    if location.len() > MAX_LOCATION {
        return Err(refused(&location, format!("it has {} bytes", location.len())));
    }
    let absolute = response.url().join(&location).map_err(|error| refused(&location, error.to_string()))?;
    let Some(base) = absolute.as_str().strip_suffix(tail) else {
        return Err(refused(absolute.as_str(), "it does not lead to a repository".to_owned()));
    };
    let to = SourceUrl::check(&UncheckedUrl::new(base), policy).map_err(|error| refused(base, error.to_string()))?;
    match (at.scheme(), to.scheme()) {
        (_, Scheme::Https) | (Scheme::Http, Scheme::Http) => Ok(to),
        (_, scheme) => Err(refused(to.as_str(), format!("from {} to {}", at.scheme().as_str(), scheme.as_str()))),
    }
}

fn good_status(url: &SourceUrl, response: &Response) -> Result<(), PollError> {
    let url = url.to_string();
    match response.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(PollError::NeedsPassword { url })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(PollError::NotFound { url }),
        status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            let seconds =
                response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let retry_after = seconds.map(|seconds: u64| Duration::from_secs(seconds.min(24 * 60 * 60)));
            Err(PollError::Busy { url, status: status.as_u16(), retry_after })
        }
        status if status.is_server_error() => Err(PollError::ServerError { url, status: status.as_u16() }),
        status => Err(PollError::NotARepository { url, why: format!("HTTP status {}", status.as_u16()) }),
    }
}

fn content_type(response: &Response) -> Option<&str> {
    response.headers().get(header::CONTENT_TYPE)?.to_str().ok().map(str::trim)
}

/// What to send next time, so that an unchanged file is not sent again.
fn validators(headers: &HeaderMap) -> HeaderMap {
    let mut unless = HeaderMap::new();
    let short = |name| headers.get(name).filter(|value: &&HeaderValue| value.len() <= MAX_VALIDATOR);
    // Of its own, because what came in shares the memory of the whole answer.
    let own = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    if let Some(tag) = short(header::ETAG).and_then(own) {
        unless.insert(header::IF_NONE_MATCH, tag);
    } else if let Some(time) = short(header::LAST_MODIFIED).and_then(own) {
        unless.insert(header::IF_MODIFIED_SINCE, time);
    }
    unless
}

/// Looks names up, and refuses those that lead to where nobody outside could have pointed.
struct VettingResolver {
    policy: SourcePolicy,
}

#[derive(Debug, thiserror::Error)]
#[error("{host} is at {address}, which is not allowed")]
struct AddressRefused {
    host: String,
    address: IpAddr,
}

impl reqwest::dns::Resolve for VettingResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(bad) = found.iter().find(|found| !policy.allows_address(found.ip())) {
                return Err(AddressRefused { host: name.as_str().to_owned(), address: bad.ip() }.into());
            }
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
