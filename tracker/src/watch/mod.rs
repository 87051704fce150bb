//! Asking a published repository where its branch is, as cheaply as it allows.
//!
//! Smart HTTP is asked in process by one POST; older and dumb servers by one GET; everything else by `git ls-remote`.
//! Every answer has a limit of time and bytes, every address is vetted when it is called, and a redirect is followed by
//! hand, at most three times, if it leads to where a publisher could have pointed at first.

mod http;
mod lines;
mod route;
mod words;

pub(crate) use route::Route;
pub(crate) use words::{from_run, understood};

use crate::Explain;
use crate::git::{Git, RunLimits};
use crate::source::{BranchRef, Scheme, SourcePolicy, SourceUrl, UncheckedUrl, UrlRefused};
use protocol::{CommitId, Hint};
use std::sync::Arc;
use std::time::Duration;

/// Where a branch is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Head {
    /// At this commit.
    At(CommitId),
    /// The repository answers, and has no such branch.
    Absent,
}

/// How much a look at a branch may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PollLimits {
    /// Longest time for a connection to be made.
    pub connect: Duration,
    /// Longest time for the whole look.
    pub whole: Duration,
    /// Longest answer, in bytes.
    pub answer_bytes: usize,
}

/// What `git ls-remote` may print of one branch, in bytes: refs whose names end alike are listed too.
const MAX_LISTED: usize = 1 << 20;

impl Default for PollLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), whole: Duration::from_secs(30), answer_bytes: 32 << 20 }
    }
}

/// Looks at branches. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Poller {
    git: Git,
    policy: SourcePolicy,
    limits: PollLimits,
    http: http::Client,
    between: Between,
}

/// What a test does between the check of a way and its use.
#[derive(Clone, Default)]
struct Between(Option<Arc<dyn Fn() + Send + Sync>>);

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Between")
    }
}

/// A look at a branch failed, or a way to it could not be found.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the message names")]
pub enum PollError {
    #[error(transparent)]
    Refused(#[from] UrlRefused),
    #[error("{url} wants a user name and password")]
    NeedsPassword { url: String },
    #[error("there is no repository at {url}")]
    NotFound { url: String },
    #[error("{url} did not answer within {} s", after.as_secs())]
    NoAnswer { url: String, after: Duration },
    #[error("{url} can't be reached: {why}")]
    Unreachable { url: String, why: String },
    #[error("{host} is at {address}, which is not an address of the public network")]
    PrivateAddress { host: String, address: String },
    #[error("{url} answers, but not as a git repository does: {why}")]
    NotARepository { url: String, why: String },
    #[error("{url} redirects to `{to}`, which is not followed: {why}")]
    RedirectRefused { url: String, to: String, why: String },
    #[error("the answer of {url} is longer than {limit} bytes")]
    AnswerTooLong { url: String, limit: usize },
    #[error("{url} is too busy to answer (HTTP status {status})")]
    Busy { url: String, status: u16, retry_after: Option<Duration> },
    #[error("{url} answers with an error of its own (HTTP status {status})")]
    ServerError { url: String, status: u16 },
    #[error("the key that {url} shows is not one that this master knows")]
    HostKey { url: String },
    #[error("the repository at {url} belongs to another user of this machine")]
    OtherOwner { url: String },
    #[error("{url} could not be asked: {source}")]
    Git { url: String, source: crate::git::RunError },
}

impl PollError {
    /// Whether the same look can succeed later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::Unreachable { .. } | Self::Busy { .. } | Self::ServerError { .. } => true,
            Self::Git { .. } => true,
            Self::Refused(_)
            | Self::NeedsPassword { .. }
            | Self::NotFound { .. }
            | Self::PrivateAddress { .. }
            | Self::NotARepository { .. }
            | Self::RedirectRefused { .. }
            | Self::AnswerTooLong { .. }
            | Self::HostKey { .. }
            | Self::OtherOwner { .. } => false,
        }
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Explain for PollError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::NeedsPassword { .. } => "needs-password",
            Self::NotFound { .. } => "not-found",
            Self::NoAnswer { .. } => "no-answer",
            Self::Unreachable { .. } => "unreachable",
            Self::PrivateAddress { .. } => "url-private-address",
            Self::NotARepository { .. } => "not-a-repository",
            Self::RedirectRefused { .. } => "redirect-refused",
            Self::AnswerTooLong { .. } => "answer-too-long",
            Self::Busy { .. } => "busy",
            Self::ServerError { .. } => "server-error",
            Self::HostKey { .. } => "host-key-unknown",
            Self::OtherOwner { .. } => "local-other-owner",
            Self::Git { source, .. } => source.code(),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Refused(refused) => refused.hint(),
            Self::NeedsPassword { .. } => {
                Hint::new("make the repository readable without a password, or publish from one that is")
            }
            Self::NotFound { .. } => {
                Hint::new("check the URL: does `git ls-remote URL` answer without asking for a password?")
            }
            Self::NotARepository { .. } => Hint::new(
                "give the URL that `git clone` takes; in a plain web folder run `git update-server-info` after each push",
            ),
            Self::NoAnswer { .. } | Self::Unreachable { .. } | Self::ServerError { .. } => {
                Hint::new("check the URL and its server; bb asks again by itself, ever more seldom")
            }
            Self::Busy { .. } => Hint::by_bb("asks again when its server allows it"),
            Self::PrivateAddress { .. } => Hint::new(
                "publish where the master can reach it from outside, or an admin lists the network in `allow_private`",
            ),
            Self::RedirectRefused { to, .. } => {
                Hint::new(format!("publish the final URL instead, if it is a public one: {to}"))
            }
            Self::AnswerTooLong { .. } => Hint::new("publish from a repository with fewer refs"),
            Self::HostKey { .. } => Hint::by_admin("adds the server's key to the known hosts in the configuration"),
            Self::OtherOwner { .. } => Hint::new(
                "publish it over http, or an admin makes it belong to the user that runs the master, or installs git 2.45 or newer",
            ),
            Self::Git { source, .. } => source.hint(),
        }
    }
}

/// The client for HTTP can't be made.
#[derive(Debug, thiserror::Error)]
#[error("the client for HTTP can't be made: {0}")]
pub struct NoPoller(#[from] reqwest::Error);

impl Poller {
    /// A poller that may ask what `policy` allows.
    ///
    /// # Errors
    /// When the machine's certificates can't be read.
    pub fn new(git: Git, policy: SourcePolicy, limits: PollLimits) -> Result<Self, NoPoller> {
        let http = http::Client::new(&policy, limits)?;
        Ok(Self { git, policy, limits, http, between: Between::default() })
    }

    /// The same, calling this each time between the check of a way to a repository and its use by git: so tests step
    /// through what somebody else may do at that moment.
    #[must_use]
    pub fn calling_between(mut self, step: impl Fn() + Send + Sync + 'static) -> Self {
        self.between = Between(Some(Arc::new(step)));
        self
    }

    /// The policy.
    pub fn policy(&self) -> &SourcePolicy {
        &self.policy
    }

    /// Where a branch is now.
    ///
    /// # Errors
    /// See [`PollError`]; that the branch is not there is none.
    pub async fn head(&self, url: &SourceUrl, branch: &BranchRef) -> Result<Head, PollError> {
        let heads = self.heads(url, std::slice::from_ref(branch)).await?;
        Ok(heads.into_iter().next().unwrap_or(Head::Absent))
    }

    /// Where branches of one repository are now, each named once, in their order: in one exchange where its server takes
    /// that.
    ///
    /// # Errors
    /// See [`PollError`]; that a branch is not there is none.
    pub async fn heads(&self, url: &SourceUrl, branches: &[BranchRef]) -> Result<Vec<Head>, PollError> {
        self.within(url, async {
            self.allowed(url)?;
            match url.scheme() {
                Scheme::Http | Scheme::Https => self.http.heads(&self.policy, url, branches).await,
                Scheme::Git | Scheme::Ssh | Scheme::File => self.ls_remote(url, branches).await,
            }
        })
        .await
    }

    /// How git gets to a repository now: the URL after redirects, its addresses looked up, vetted and pinned.
    pub(crate) async fn route(&self, url: &SourceUrl) -> Result<Route, PollError> {
        self.within(url, async {
            self.allowed(url)?;
            let url = match url.scheme() {
                Scheme::Http | Scheme::Https => self.http.after_redirects(&self.policy, url).await?,
                Scheme::Git | Scheme::Ssh | Scheme::File => url.clone(),
            };
            self.way(&url).await
        })
        .await
    }

    /// Policies change after a URL was checked, and folders after a path was.
    fn allowed(&self, url: &SourceUrl) -> Result<(), PollError> {
        SourceUrl::check(&UncheckedUrl::new(url.as_str()), &self.policy)?;
        Ok(())
    }

    async fn way(&self, url: &SourceUrl) -> Result<Route, PollError> {
        let route = Route::to(&self.git, &self.policy, url).await?;
        if let Between(Some(step)) = &self.between {
            step();
        }
        Ok(route)
    }

    async fn within<T>(
        &self,
        url: &SourceUrl,
        work: impl Future<Output = Result<T, PollError>>,
    ) -> Result<T, PollError> {
        let after = self.limits.whole;
        match tokio::time::timeout(after, work).await {
            Ok(done) => done,
            Err(_) => Err(PollError::NoAnswer { url: url.to_string(), after }),
        }
    }

    async fn ls_remote(&self, url: &SourceUrl, branches: &[BranchRef]) -> Result<Vec<Head>, PollError> {
        let route = self.way(url).await?;
        let limits = RunLimits {
            wall: self.limits.whole,
            output_bytes: MAX_LISTED.min(self.limits.answer_bytes),
            ..RunLimits::default()
        };
        let names: Vec<String> = branches.iter().map(BranchRef::full).collect();
        let run = route.prepare(self.git.bounded()).args(["ls-remote", "-q", "--heads"]);
        let run = route.add_options(run).args(["--", &route.url]).args(&names).limits(limits);
        let said = run.output().await.map_err(|error| from_run(url, error))?;
        lines::find_in_text(&said.stdout, &names)
            .map_err(|why| PollError::NotARepository { url: url.to_string(), why: why.to_owned() })
    }
}
