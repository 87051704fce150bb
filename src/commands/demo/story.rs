//! The story that the demo tells: each line is printed when it has come true, and not before.

use super::repositories::{Branch, Repositories};
use crate::client::Client;
use crate::error::CliError;
use crate::local::Local;
use crate::print;
use futures_util::StreamExt as _;
use protocol::api::{Accept, BranchDetail, BranchSummary, CandidateOutcome, DiffKind, Publish, QueueEntry};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a step of the story may take before it counts as not come true.
const PATIENCE: Duration = Duration::from_secs(180);

/// Tells the story.
pub(super) async fn tell(local: &Local, repositories: &Repositories) -> Result<(), CliError> {
    let teller = Teller { client: local.client()? };
    let Repositories { good, failing, conflicting, .. } = repositories;
    for branch in [good, failing, conflicting] {
        teller.publish(branch).await?;
    }
    say("")?;
    for branch in [good, failing, conflicting] {
        teller.follow(branch).await?;
    }
    teller.expect(good, "ready").await?;
    teller.expect(failing, "builder-failed").await?;
    teller.expect(conflicting, "conflict").await?;
    teller.land(good).await
}

fn say(line: &str) -> Result<(), CliError> {
    print::out(&format!("{}\n", print::safe(line)))
}

struct Teller {
    client: Client,
}

impl Teller {
    async fn publish(&self, branch: &Branch) -> Result<(), CliError> {
        let body = Publish {
            url: branch.url.clone(),
            branch: branch.name.to_owned(),
            name: None,
            title: None,
            bugs: Vec::new(),
        };
        let made: BranchSummary = self.client.post("/projects/heron/branches", &body).await?;
        say(&format!("{:<16} registered, published by {}", made.name, branch.author))
    }

    async fn look(&self, branch: &Branch) -> Result<BranchDetail, CliError> {
        self.client.get(&format!("/projects/heron/branches/{}", branch.name)).await
    }

    /// Waits for something to be true of a branch, woken by the event stream.
    async fn until(
        &self,
        branch: &Branch,
        what: &str,
        holds: impl Fn(&BranchDetail) -> bool,
    ) -> Result<BranchDetail, CliError> {
        let deadline = Instant::now() + PATIENCE;
        let mut events = self.client.stream("/events?project=heron").await?.bytes_stream();
        loop {
            let seen = self.look(branch).await?;
            if holds(&seen) {
                return Ok(seen);
            }
            // The stream also says now and then that it is alive, so that what makes no event is seen, too.
            if !matches!(timeout_at(deadline, events.next()).await, Ok(Some(Ok(_)))) {
                let verdict = &seen.summary.verdict;
                return Err(CliError::new(format!(
                    "{}: {what} did not come true; it is {}: {}",
                    branch.name, verdict.state, verdict.because
                )));
            }
        }
    }

    /// Fetched, made a candidate, built.
    async fn follow(&self, branch: &Branch) -> Result<(), CliError> {
        let fetched = self.until(branch, "being fetched", |b| !b.revisions.is_empty()).await?;
        if let Some(revision) = fetched.revisions.first() {
            say(&format!(
                "{:<16} fetched as r{}: {} {}",
                branch.name,
                revision.number,
                revision.commit.short(),
                revision.subject
            ))?;
        }
        let tried = self.until(branch, "being made a candidate", |b| b.candidate.is_some()).await?;
        match tried.candidate.map(|c| c.outcome) {
            Some(CandidateOutcome::Made { commit, fragments, .. }) => {
                let folded =
                    if fragments.is_empty() { String::new() } else { format!(", {} folded", fragments.join(", ")) };
                say(&format!("{:<16} candidate {}: merged with mainline{folded}", branch.name, commit.short()))?;
                let ended = |b: &BranchDetail| {
                    !b.builders.is_empty()
                        && b.builders.iter().all(|row| row.builds.first().is_some_and(|b| b.finished_ms.is_some()))
                };
                let built = self.until(branch, "being built", ended).await?;
                for build in built.builders.iter().filter_map(|row| row.builds.first()) {
                    let says = if build.says.is_empty() { String::new() } else { format!(": {}", build.says) };
                    say(&format!("{:<16} {} #{} {}{says}", branch.name, build.builder, build.id, build.word))?;
                }
            }
            Some(CandidateOutcome::Conflict { files }) => {
                let files: Vec<String> = files.into_iter().map(|f| f.path).collect();
                say(&format!("{:<16} no candidate: conflicts with mainline in {}", branch.name, files.join(", ")))?;
            }
            Some(CandidateOutcome::Refused(refusal) | CandidateOutcome::MainlineTrouble(refusal)) => {
                say(&format!("{:<16} no candidate: {}", branch.name, refusal.text))?;
            }
            None => {}
        }
        let now = self.look(branch).await?;
        let verdict = &now.summary.verdict;
        say(&format!("{:<16} {}. Next: {} {}", branch.name, verdict.state, verdict.next.who, verdict.next.what))?;
        say(&format!("{:<16} {}\n", "", self.client.url(&now.summary.page)))
    }

    async fn expect(&self, branch: &Branch, code: &str) -> Result<(), CliError> {
        let verdict = self.look(branch).await?.summary.verdict;
        if verdict.code == code {
            return Ok(());
        }
        Err(CliError::new(format!("{} was to be `{code}` and is `{}`: {}", branch.name, verdict.code, verdict.because)))
    }

    async fn land(&self, branch: &Branch) -> Result<(), CliError> {
        let seen = self.look(branch).await?;
        let Some(commit) = seen.summary.commit else { return Err(CliError::new("there is no revision to accept")) };
        let path = format!("/projects/heron/branches/{}/accept", branch.name);
        let entry: QueueEntry = self
            .client
            .post(&path, &Accept { commit, words: Some(seen.summary.words), depends_on: Vec::new(), when_green: false })
            .await?;
        say(&format!("{:<16} accepted by {}: r{} goes to the queue", branch.name, entry.accepted_by, entry.revision))?;
        let landed = self
            .until(branch, "landing", |b| b.queue.first().is_some_and(|q| q.landed.is_some() || q.left_ms.is_some()))
            .await?;
        let Some(commit) = landed.queue.first().and_then(|q| q.landed.clone()) else {
            let says = landed.queue.first().map(|q| q.says.clone()).unwrap_or_default();
            return Err(CliError::new(format!("{} did not land: {says}", branch.name)));
        };
        say(&format!("{:<16} landed on mainline as {commit}", branch.name))?;
        say("\nIts ChangeLog entry, dated today, above all others:\n")?;
        let Some(CandidateOutcome::Made { changelogs, .. }) = landed.candidate.map(|c| c.outcome) else {
            return Err(CliError::new("the landed commit has no ChangeLog entry"));
        };
        let added: Vec<_> =
            changelogs.iter().flat_map(|file| &file.lines).filter(|line| line.kind == DiffKind::Add).collect();
        if added.is_empty() {
            return Err(CliError::new("the landed commit has no ChangeLog entry"));
        }
        for line in added {
            say(format!("    {}", line.text).trim_end())?;
        }
        Ok(())
    }
}
