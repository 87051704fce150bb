//! What values of the right form still can't be: each is told with its key and what to write.

use super::{Config, Project};
use tracker::mirror::OfficialUrl;
use tracker::source::{BranchRef, RawRefName, Scheme, url_without_secrets};

/// Schemes by which an official repository is read and written.
const OFFICIAL: [&str; 5] = ["https", "http", "ssh", "git", "file"];

pub(super) fn all(config: &Config) -> Result<(), String> {
    for (i, it) in config.projects.iter().enumerate() {
        if config.projects[..i].iter().any(|other| other.name == it.name) {
            return Err(format!("two projects have the name `{}`", it.name));
        }
        project(it).map_err(|text| format!("project {}: {text}", it.name))?;
    }
    for (i, lock) in config.locks.iter().enumerate() {
        if lock.shares == 0 {
            return Err(format!("lock `{}` has no shares: give it at least 1", lock.name));
        }
        if config.locks[..i].iter().any(|other| other.name == lock.name) {
            return Err(format!("two locks have the name `{}`", lock.name));
        }
    }
    if let Some(url) = &config.url
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        return Err(format!("`url = \"{url}\"`: a URL that begins with http:// or https:// is expected"));
    }
    if let Some(store) = &config.store
        && !["postgres://", "postgresql://", "sqlite:"].iter().any(|known| store.starts_with(known))
    {
        // What follows may hold a password.
        let begin: String = store.chars().take_while(|c| *c != ':').take(40).collect();
        return Err(format!(
            "`store = \"{begin}…\"` is no store: write \"postgres://USER@HOST/DATABASE\", or leave it out for the embedded SQLite"
        ));
    }
    for host in &config.hosts {
        if host.is_empty() || host.contains(['/', ':', '@', '*']) || host.chars().any(char::is_whitespace) {
            return Err(format!("`hosts`: `{host}` is no name of a host: write it without scheme, port and path"));
        }
    }
    for scheme in &config.sources.schemes {
        if scheme.parse::<Scheme>().is_err() {
            return Err(format!("`schemes`: `{scheme}` is none that bb can fetch by: use https, http, git and ssh"));
        }
    }
    committer(&config.committer)?;
    counts(config)
}

/// What git takes as a committer: it leaves out what surrounds a name, and refuses one of which nothing is left.
fn committer(settings: &super::Committer) -> Result<(), String> {
    for (key, value) in [("name", &settings.name), ("email", &settings.email)] {
        let crud = |c: char| c.is_control() || " .,:;<>\"\\'".contains(c);
        let why = if value.trim_matches(crud).is_empty() {
            "has nothing in it that git takes as one"
        } else if value.contains(['<', '>']) || value.chars().any(char::is_control) {
            "has `<`, `>` or a control character in it"
        } else {
            continue;
        };
        let example = if key == "name" { "bb" } else { "bb@heron.example" };
        return Err(format!("`[committer] {key} = {value:?}` {why}: write it as in \"{example}\""));
    }
    Ok(())
}

fn project(settings: &Project) -> Result<(), String> {
    let shown: String = url_without_secrets(&settings.repository).chars().take(100).collect();
    let named = format!("`repository = \"{shown}\"`");
    OfficialUrl::new(&settings.repository).map_err(|e| format!("`repository`: {e}; write a URL or a path"))?;
    // `NAME::…` has git start a program of that name.
    let helper = settings.repository.split_once("::").map(|(name, _)| name);
    if helper.is_some_and(|name| !name.contains(['/', '[', '@'])) {
        return Err(format!("{named} would start a helper program: write a URL or a path"));
    }
    if let Some((scheme, _)) = settings.repository.split_once("://")
        && !OFFICIAL.contains(&scheme)
    {
        return Err(format!("{named}: `{scheme}` is no scheme that bb can push by; use {}", OFFICIAL.join(", ")));
    }
    BranchRef::check(&RawRefName::new(&settings.mainline))
        .map_err(|e| format!("`mainline`: {e}; write the name of the branch, such as \"main\""))?;
    Ok(())
}

/// Numbers that can't be nothing.
fn counts(config: &Config) -> Result<(), String> {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let (limits, clients) = (&config.limits, &config.clients);
    let all = [
        ("[limits] build_s", limits.build_s, "seconds"),
        ("[limits] silence_s", limits.silence_s, "seconds"),
        ("[limits] log_bytes", limits.log_bytes, "bytes"),
        ("[sources] fetch_s", config.sources.fetch_s, "seconds"),
        ("[sources] fetch_bytes", config.sources.fetch_bytes, "bytes"),
        ("[sources] looks", count(config.sources.looks), "looks"),
        ("[sources] looks_each", count(config.sources.looks_each), "looks"),
        ("[sources] looks_host", count(config.sources.looks_host), "looks"),
        ("[sources] revisions_at_once", u64::from(config.sources.revisions_at_once), "moves"),
        ("[registrations] pending_publisher", u64::from(config.registrations.pending_publisher), "builds"),
        ("[registrations] pending_host", u64::from(config.registrations.pending_host), "builds"),
        ("[times] poll_s", config.times.poll_s, "seconds"),
        ("[times] poll_quiet_s", config.times.poll_quiet_s, "seconds"),
        ("[clients] connections", count(clients.connections), "connections"),
        ("[clients] connections_each", count(clients.connections_each), "connections"),
        ("[clients] git_anonymous", count(clients.git_anonymous), "fetches"),
        ("[clients] git_anonymous_each", count(clients.git_anonymous_each), "fetches"),
        ("[clients] streams_anonymous", count(clients.streams_anonymous), "streams"),
        ("[clients] streams_anonymous_each", count(clients.streams_anonymous_each), "streams"),
        ("[clients] forms_anonymous", count(clients.forms_anonymous), "requests"),
        ("[clients] forms_anonymous_each", count(clients.forms_anonymous_each), "requests"),
    ];
    match all.iter().find(|(_, n, _)| *n == 0) {
        Some((key, _, what)) => Err(format!("{key} = 0 would let nothing through: write how many {what}, 1 or more")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("master.toml")).unwrap_err().to_string()
    }

    fn of_project(lines: &str) -> String {
        format!("[[project]]\nname = \"heron\"\n{lines}\n")
    }

    #[test]
    fn values_that_can_not_be_are_told_with_their_key() {
        let repository = |text: &str| error(&of_project(&format!("repository = {text:?}")));
        let all = [
            error(&of_project("repository = \"/srv/heron.git\"\nmainline = \"a..b\"")),
            repository("ext::sh -c x"),
            repository(""),
            repository("-x"),
            repository("ftp://ann:secret@example.org/heron.git"),
            error("store = \"mysql://x\""),
            error("[limits]\nbuild_s = 0"),
            error("[limits]\nlog_bytes = 0"),
            error("[clients]\ngit_anonymous = 0"),
            error("hosts = [\"https://bb.example.org\"]"),
            error("[sources]\nschemes = [\"ext\"]"),
            error("[committer]\nname = \"\"\nemail = \"bb@heron.example\""),
            error("[committer]\nname = \" . \"\nemail = \"bb@heron.example\""),
            error("[committer]\nname = \"bb\"\nemail = \"\""),
            error("[committer]\nname = \"b<b\"\nemail = \"bb@heron.example\""),
            error("[committer]\nname = \"b\\nb\"\nemail = \"bb@heron.example\""),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn repositories_of_all_usual_forms_are_good() {
        for repository in [
            "/srv/heron.git",
            "../heron.git",
            "git@example.org:heron.git",
            "https://example.org/heron.git",
            "ssh://git@example.org:2222/heron.git",
            "ssh://git@[2001:db8::1]/heron.git",
            "git@[2001:db8::1]:heron.git",
            "file:///srv/heron.git",
        ] {
            let text = of_project(&format!("repository = {repository:?}"));
            assert!(Config::parse(&text, Path::new("master.toml")).is_ok(), "{repository}");
        }
    }

    #[test]
    fn an_empty_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(super::super::FILE_NAME), "\n").unwrap();
        let error = Config::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("the file is empty") && error.contains("[[project]]"), "{error}");
    }
}
