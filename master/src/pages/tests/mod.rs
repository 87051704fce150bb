//! Whole pages, made from values as the API has them, in several states and with hostile text everywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixtures;
mod markup;

use super::*;
use fixtures::*;
use protocol::api::{self, Look};
use std::collections::HashMap;

fn shown(name: &str, html: &str) {
    markup::check(html);
    let main = html.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
    insta::assert_snapshot!(name, main);
}

const ALL: MayBranch = MayBranch { accept: true, withdraw: true, rebuild: true };

#[test]
fn the_frame() {
    let html = pages().projects(&context(), &[]).unwrap();
    markup::check(&html);
    let (head, rest) = html.split_once("<svg width=\"0\"").unwrap();
    let (_, rest) = rest.split_once("</svg><a ").unwrap();
    insta::assert_snapshot!("frame", without_hashes(&format!("{head}<a {rest}")));
}

/// The text with the hashes of files taken out.
fn without_hashes(html: &str) -> String {
    let mut pieces = html.split("/static/");
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + "/static/HASH" + &piece[12..])
}

#[test]
fn overviews() {
    let page = |it: &api::Overview, who| pages().overview(&Context { reader: who, ..context() }, it).unwrap();
    shown("overview-busy", &page(&overview(), maintainer()));
    let mut empty = overview();
    empty.project.live = 0;
    empty.project.queued = 0;
    (empty.needs_person, empty.running, empty.queue, empty.landed) = Default::default();
    empty.slaves.clear();
    shown("overview-empty", &page(&empty, Reader::Anonymous));
    let mut troubled = overview();
    troubled.project.trouble = Some("the recipe has an error: `.bb.toml`, line 3".to_owned());
    shown("overview-trouble", &page(&troubled, Reader::Anonymous));
}

#[test]
fn listings_of_branches() {
    let all = [branch_line("greet-more", Look::Passed), branch_line("other-greeting", Look::Conflict)];
    let page = |all: &[api::BranchSummary], q: &str, ended| {
        pages().branches(&context(), all, &Narrowed { q: q.to_owned(), ended }).unwrap()
    };
    shown("branches-live", &page(&all, "", false));
    shown("branches-none", &page(&[], "a&b \"c\"", true));
}

#[test]
fn branches_in_several_states() {
    let page =
        |it: &api::BranchDetail, who, may| pages().branch(&Context { reader: who, ..context() }, it, may).unwrap();
    shown("branch-ready", &page(&branch(), maintainer(), ALL));
    let conflict = conflicting();
    let html = page(&conflict, maintainer(), ALL);
    assert!(!html.contains("/accept\""), "what conflicts can't be accepted");
    shown("branch-conflict", &html);
    shown("branch-not-fetched", &page(&not_fetched(), Reader::Anonymous, MayBranch::default()));
    let landed = landed();
    shown("branch-landed", &page(&landed, maintainer(), ALL));
    let mut recipe = branch();
    recipe.changes_recipe = true;
    let html = page(&recipe, Reader::Anonymous, MayBranch::default());
    assert!(html.contains("<strong>This branch changes the recipe</strong>"));
    assert!(html.contains("Sign in") && !html.contains("/accept\""), "a reader is shown where to sign in");
}

#[test]
fn builds_in_several_states() {
    let log = b"+ make check\n\x1b[31mFAIL\x1b[0m one\n".to_vec();
    let page = |it: &api::BuildDetail, may| {
        let logs = [StepLog::new(0, 0, b"fetched\n".to_vec()), StepLog::new(1, 0, log.clone())];
        pages().build(&context(), it, &logs, MayBuild { rebuild: may }).unwrap()
    };
    shown("build-failed", &page(&build(Look::Failed), true));
    let running = page(&build(Look::Running), false);
    assert!(running.contains("data-log=\"/api/v1/builds/5133/steps/1/log/events?from=31&amp;line=3\""));
    shown("build-running", &running);
    let mut waiting = build(Look::Waiting);
    waiting.steps.clear();
    shown("build-waiting", &page(&waiting, false));
}

#[test]
fn a_window_of_a_log_begins_with_a_whole_line() {
    let mut it = build(Look::Failed);
    it.steps[1].log_len = 99_000_000;
    let logs = [StepLog::new(1, 98_000_000, b"half a line\nwhole\n".to_vec())];
    let html = pages().build(&context(), &it, &logs, MayBuild::default()).unwrap();
    markup::check(&html);
    assert!(!html.contains("half a line") && html.contains(">whole</span>") && html.contains("Only its end is shown"));
    assert_eq!(log_windows(&it), [(0, log::WINDOW / 16), (1, log::WINDOW)]);
}

#[test]
fn the_queue() {
    let page = |it: &api::Queue, may| pages().queue(&context(), it, may).unwrap();
    shown("queue-running", &page(&queue(), false));
    let mut paused = queue();
    paused.project.paused = true;
    let html = page(&paused, true);
    assert!(html.contains("action=\"/p/heron/queue/resume\""));
    shown("queue-paused", &html);
}

#[test]
fn slaves_and_locks() {
    let builds = HashMap::from([(protocol::BuildId(5133), "heron".parse().unwrap())]);
    let page = |may| pages().slaves(&context(), &slaves(), &locks(), &builds, may).unwrap();
    shown("slaves", &page(true));
    let html = pages().slaves(&context(), &[], &[], &builds, false).unwrap();
    shown("slaves-none", &html);
}

#[test]
fn forms_and_refusals() {
    let problem = api::Problem {
        kind: "about:blank".to_owned(),
        title: "Refused".to_owned(),
        status: 422,
        detail: "the URL holds a password".to_owned(),
        code: "url-password".to_owned(),
        hint: Some("try `https://git.ines.example/heron.git`".to_owned()),
        retry_after_s: None,
    };
    let filled = Filled { url: "https://ines:x@git.ines.example/heron.git".to_owned(), ..Filled::default() };
    shown("publish-refused", &pages().publish(&context(), true, &filled, Some(&problem)).unwrap());
    shown("publish-not-allowed", &pages().publish(&context(), false, &Filled::default(), None).unwrap());
    shown("login", &pages().login(&context(), "/p/heron", Some(&problem)).unwrap());
    let asked = Context { path: "/p/heron/branches/greet-more/accept".to_owned(), ..context() };
    let html = pages().error(&asked, &problem, "POST /p/heron/branches/greet-more/accept", "1f0a").unwrap();
    assert!(html.contains("<a class=\"btn\" href=\"/p/heron/branches/greet-more\">"));
    shown("error", &html);
    shown("projects", &pages().projects(&Context { project: None, ..context() }, &[project()]).unwrap());
}

#[test]
fn hostile_text_stays_text() {
    for evil in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><svg/onload=alert(1)>",
        "javascript:alert(1)",
        "\u{202e}gnp.exe\u{2066}",
        "{{frame.csrf}} {{{html}}}",
        "`<b>`x`",
        "--> ]]> &lt;b&gt;",
        "x\0\x1b[31m\u{85}",
    ] {
        let mut it = conflicting();
        hostile_branch(&mut it, evil);
        let who = Reader::Known { name: evil.to_owned(), role: "maintainer".to_owned() };
        let context = Context { reader: who, path: evil.to_owned(), ..context() };
        let mut made = branch();
        hostile_branch(&mut made, evil);
        let mut step = build(Look::Failed);
        hostile_build(&mut step, evil);
        let logs = [StepLog::new(1, 0, evil.as_bytes().to_vec())];
        let mut busy = overview();
        busy.needs_person[0] = made.summary.clone();
        busy.project.trouble = Some(evil.to_owned());
        busy.project.url = evil.to_owned();
        busy.slaves[0].said_reason = evil.to_owned();
        let narrowed = Narrowed { q: evil.to_owned(), ended: true };
        let filled = Filled { url: evil.to_owned(), branch: evil.to_owned(), ..Filled::default() };
        let pages = pages();
        for html in [
            pages.branch(&context, &it, ALL),
            pages.branch(&context, &made, ALL),
            pages.build(&context, &step, &logs, MayBuild { rebuild: true }),
            pages.overview(&context, &busy),
            pages.branches(&context, &[made.summary.clone()], &narrowed),
            pages.branches(&context, &[], &narrowed),
            pages.slaves(&context, &busy.slaves, &locks(), &HashMap::new(), true),
            pages.publish(&context, true, &filled, None),
            pages.login(&context, "/", None),
        ] {
            markup::check(&html.unwrap());
        }
    }
}

#[test]
fn a_users_folder_goes_before_and_its_errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("login.hbs");
    std::fs::write(&path, "{{#> layout}}<h1>Our own door</h1>{{/layout}}").unwrap();
    let own = Pages::new(Some(folder.path())).unwrap();
    assert!(own.login(&context(), "/", None).unwrap().contains("Our own door"));
    assert!(own.projects(&context(), &[]).unwrap().contains("No project is guarded"), "others stay bb's");

    std::fs::write(&path, "{{#if}").unwrap();
    let error = Pages::new(Some(folder.path())).unwrap_err().to_string();
    assert!(error.contains("login.hbs"), "{error}");

    std::fs::write(&path, "{{no_such_field}}").unwrap();
    let error = Pages::new(Some(folder.path())).unwrap().login(&context(), "/", None).unwrap_err();
    assert!(error.to_string().contains("no_such_field"), "a misspelt field is said: {error}");
}

#[test]
fn no_field_is_named_as_a_helper() {
    // `{{said}}` would call the helper without its text, and say nothing.
    for file in Embedded::iter().filter(|file| file.ends_with(".hbs")) {
        let text = String::from_utf8(Embedded::get(&file).unwrap().data.to_vec()).unwrap();
        for name in ["said", "when", "commit", "mark", "glyph", "glyph2", "raw", "log", "lookup", "len", "not"] {
            assert!(!text.contains(&format!("{{{{{name}}}}}")), "{file} places a field named {name}");
        }
    }
}

#[test]
fn styles_and_script_are_small_and_load_nothing() {
    let pages = pages();
    let file = |name| {
        let asset = pages.asset(pages.asset_path(name)).unwrap();
        String::from_utf8(asset.bytes.to_vec()).unwrap()
    };
    let (css, js) = (file("bb.css"), file("bb.js"));
    assert!(css.len() < 16_000, "the style sheet has {} bytes", css.len());
    assert!(js.len() < 4_000, "the script has {} bytes", js.len());
    for word in ["@import", "url(", "data:", "http"] {
        assert!(!css.contains(word), "{word} in the style sheet");
    }
    assert!(!js.contains("eval(") && !js.contains("://"));
    assert!(pages.asset("/static/000000000000/bb.css").is_none(), "another version is not this one");
}
