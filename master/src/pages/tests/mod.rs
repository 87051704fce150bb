//! Whole pages, made from values as the API has them, in several states and with hostile text everywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixtures;
mod markup;
mod stacks;

use super::*;
use crate::read::{LogPart, StepIs, Wanted};
use fixtures::*;
use protocol::api::{self, Look, Slave};
use protocol::wire::Isolation;
use std::collections::HashSet;

fn shown(name: &str, html: &str) {
    markup::check(html);
    let main = html.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
    insta::assert_snapshot!(name, main);
}

const WATCH: &str = "/api/v1/watch?what=slaves&seen=0a";

const ALL: MayBranch = MayBranch { accept: true, withdraw: true, rebuild: true };

#[test]
fn the_frame() {
    let html = pages().projects(&context(), &[], WATCH).unwrap();
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
    let page = |it: &api::Overview, who: Reader| {
        let may = it.needs_person.iter().map(|it| it.branch.name.clone()).filter(|_| who == maintainer()).collect();
        pages().overview(&Context { reader: who, ..context() }, it, &may).unwrap()
    };
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
    let mut all = listing(vec![branch_line("greet-more", Look::Passed), branch_line("other-greeting", Look::Conflict)]);
    let page = |it: &api::BranchPage, q: &str, ended, later| {
        pages()
            .branches(
                &context(),
                it,
                &Narrowed {
                    q: q.to_owned(),
                    state: if ended { "all".to_owned() } else { String::new() },
                    later,
                    ..Narrowed::default()
                },
            )
            .unwrap()
    };
    all.branches[1].changes_recipe = true;
    shown("branches-live", &page(&all, "", false, false));
    shown("branches-none", &page(&listing(Vec::new()), "a&b \"c\"", true, false));
    all.next = Some("ended-1795516920000-77".to_owned());
    (all.live, all.ended) = (2, 1_204);
    let html = page(&all, "a b", true, true);
    markup::check(&html);
    assert!(html.contains("2 live, 1,204 ended"), "the counts are of all pages");
    assert!(html.contains("href=\"/p/heron/branches?q=a+b&amp;state=all&amp;after=ended-1795516920000-77\">Next page"));
    assert!(html.contains("href=\"/p/heron/branches?q=a+b&amp;state=all\">First page"));
}

#[test]
fn of_many_builders_those_that_need_somebody_are_shown() {
    let mut line = branch_line("greet-more", Look::Passed);
    let mark = |n: usize, look, word: &str| api::Mark {
        builder: format!("b{n}"),
        required: true,
        look,
        word: word.to_owned(),
        build: None,
    };
    let page = |line: &api::BranchSummary| {
        let listing = listing(vec![line.clone()]);
        pages().branches(&context(), &listing, &Narrowed::default()).unwrap()
    };
    line.marks = (1..=8).map(|n| mark(n, Look::Passed, "passed")).collect();
    let glyphs = |html: &str| {
        let marks = html.split("class=\"marks\"").nth(1).unwrap().split("</span>").next().unwrap().to_owned();
        (
            marks.matches("#i-check").count(),
            marks.matches("#i-failed").count(),
            marks.matches("#i-running").count(),
            marks,
        )
    };
    assert_eq!(glyphs(&page(&line)).0, 8);
    line.marks.extend((9..=12).map(|n| mark(n, Look::Passed, "passed")));
    let (checks, _, _, marks) = glyphs(&page(&line));
    assert!(checks == 1 && marks.contains("<small>12 of 12 passed</small>"), "{marks}");
    line.marks[11] = mark(12, Look::Failed, "failed");
    line.marks[2] = mark(3, Look::Running, "running");
    let (checks, failed, running, marks) = glyphs(&page(&line));
    assert_eq!((checks, failed, running), (0, 1, 1));
    assert!(
        marks.contains("aria-label=\"b12 failed, b3 running, b1 passed") && marks.contains("10 of 12 passed"),
        "{marks}"
    );
    for n in 0..12 {
        line.marks[n] = mark(n, if n < 9 { Look::Waiting } else { Look::Failed }, "x");
    }
    let (_, failed, _, marks) = glyphs(&page(&line));
    assert!(failed == 3 && marks.contains("+7, 0 of 12 passed"), "{marks}");
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
    (recipe.changes_recipe, recipe.summary.changes_recipe) = (true, true);
    recipe.recipe_diff = Some(recipe_diff());
    let html = page(&recipe, Reader::Anonymous, MayBranch::default());
    assert!(html.contains("This branch changes the recipe</h2>") && html.contains("name = &quot;asan&quot;"));
    assert!(html.contains("Sign in") && !html.contains("/accept\""), "a reader is shown where to sign in");
}

#[test]
fn what_becomes_of_changelogs_is_said_as_it_is() {
    let section = |change: &dyn Fn(&mut api::CandidateOutcome)| {
        let mut it = branch();
        change(&mut it.candidate.as_mut().unwrap().outcome);
        let html = pages().branch(&context(), &it, MayBranch::default()).unwrap();
        markup::check(&html);
        let line = html.split("id=\"candidate\">").nth(1).unwrap().split("</p>").next().unwrap().to_owned();
        (
            line,
            html.split("<section id=\"changelog\">")
                .nth(1)
                .unwrap()
                .split("<section id=\"commits\">")
                .next()
                .unwrap()
                .to_owned(),
        )
    };
    let (line, text) = section(&|_| {});
    assert!(
        line.contains("+ r2 + ChangeLog folded, made") && text.contains("dated on the day it lands"),
        "{line}{text}"
    );
    let (line, text) = section(&|outcome| {
        let api::CandidateOutcome::Made { changelogs, fragments, coming, kept, .. } = outcome else { panic!() };
        (*coming, *kept) = (std::mem::take(changelogs), std::mem::take(fragments));
    });
    assert!(line.contains("+ r2, its fragment kept until the release, made") && !line.contains("folded"), "{line}");
    assert!(text.contains("at the release, +2") && text.contains("* more.txt: Say more."), "{text}");
    assert!(
        text.contains("<code>repo.ChangeLog</code> stays until the release") && !text.contains("it lands"),
        "{text}"
    );
    let (line, text) = section(&|outcome| {
        let api::CandidateOutcome::Made { changelogs, fragments, exempt, notes, .. } = outcome else { panic!() };
        (*changelogs, *fragments, *notes) = Default::default();
        *exempt = Some("only tests".to_owned());
    });
    assert!(
        line.contains("+ r2, made") && text.contains("no entry is needed, as the branch says: only tests"),
        "{line}{text}"
    );
}

#[test]
fn builds_in_several_states() {
    let page = |it: &api::BuildDetail, may| {
        let test = log_part(1, 3, &["+ make check", "\x1b[31mFAIL\x1b[0m one"]);
        let logs = [log_part(0, 1, &["fetched"]), LogPart { grows_at: Some((31, 5)), ..test }];
        pages().build(&context(), it, &logs, None, MayBuild { rebuild: may }).unwrap()
    };
    let running = page(&build(Look::Running), false);
    assert!(running.contains("data-log=\"/api/v1/builds/5133/steps/1/log/events?from=31&amp;line=5\""));
    shown("build-running", &running);
    let mut waiting = build(Look::Waiting);
    waiting.steps.clear();
    shown("build-waiting", &page(&waiting, false));
    let isolation = |needed, ran_in, look| {
        let html = page(&api::BuildDetail { isolation: needed, ran_in, ..build(look) }, false);
        html.split("<dt>Isolation</dt><dd>").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    let (none, bubblewrap) = (Isolation::None, Isolation::Bubblewrap);
    assert_eq!(isolation(none, Some(bubblewrap), Look::Passed), "bubblewrap", "what it ran in, whatever it needed");
    assert_eq!(isolation(none, Some(none), Look::Passed), "none, for a trusted publisher");
    assert_eq!(isolation(bubblewrap, None, Look::Waiting), "bubblewrap needed");
    assert_eq!(isolation(bubblewrap, None, Look::Passed), "not recorded, bubblewrap needed");
    let lines: Vec<String> = (93_000..94_000).map(|n| format!("line {n}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let part = LogPart { count: 95_002, hit: Some(93_200), at_hit: true, ..log_part(1, 93_000, &lines) };
    let it = build(Look::Failed);
    let html = pages().build(&context(), &it, std::slice::from_ref(&part), None, MayBuild { rebuild: true }).unwrap();
    let (before, rest) = html.split_once("<pre id=\"lines-1\">").unwrap();
    let (near, after) = rest.split_once("</pre>").unwrap();
    assert_eq!(near.matches("<span id=\"L1-").count(), 7, "the error with three lines around it: {near}");
    assert!(near.contains("<span id=\"L1-93200\" class=\"hit\"><a href=\"?at=1-93200#L1-93200\">93200</a>"));
    assert!(before.contains("<summary>Lines 93,000 to 93,196</summary>") && before.contains("Lines 93,000 to 93,999"));
    assert!(before.contains("href=\"?from=1-92000#log-1\">Earlier: lines 92,000 to 92,999"));
    assert!(before.contains("href=\"?at=1-95002#L1-95002\">End: line 95,002"));
    assert!(after.contains("<summary>Lines 93,204 to 93,999</summary>"));
    assert!(after.contains("href=\"?from=1-94000#log-1\">Later: lines 94,000 to 94,999"));
    markup::check(&html);
    let part = LogPart { at_hit: false, missing: Some(100_000), ..part };
    let html = pages().build(&context(), &it, &[part], Some(1), MayBuild::default()).unwrap();
    assert!(html.contains("There is no line 100,000: the log has 95,002."));
    let short = LogPart { hit: Some(2), at_hit: true, ..log_part(1, 1, &["+ make check", "\x1b[31mFAIL\x1b[0m one"]) };
    shown("build-failed", &pages().build(&context(), &it, &[short], None, MayBuild { rebuild: true }).unwrap());
}

#[test]
fn a_page_shows_the_first_error_of_what_failed_and_the_end_of_the_rest() {
    let it = build(Look::Failed);
    let number = it.steps.iter().find(|s| s.look == Look::Failed).unwrap().number;
    let parts = log_parts(&it, None);
    assert!(parts.contains(&(number, Wanted::Error, StepIs::Failed)), "{parts:?}");
    assert!(parts.iter().all(|(n, wanted, _)| *n == number || matches!(wanted, Wanted::Last(_))));
    assert!(log_parts(&it, Some((number, Wanted::Around(9)))).contains(&(number, Wanted::Around(9), StepIs::Failed)));
    let running = log_parts(&build(Look::Running), None);
    assert!(
        running.iter().any(|(_, wanted, is)| *is == StepIs::Running && *wanted == Wanted::Last(crate::read::LINES))
    );
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
fn the_builds() {
    let numbered = |(id, look)| api::BuildSummary { id: protocol::BuildId(id), ..build(look).summary };
    let all = [(5133, Look::Running), (5132, Look::Failed), (5131, Look::Passed)];
    let listed = |next| {
        let mut builds: Vec<_> = all.map(numbered).into();
        let of_stack = stacks::build_of_stack(Look::Failed, 9).summary;
        builds.push(api::BuildSummary { id: protocol::BuildId(5130), ..of_stack });
        api::BuildPage { builds, next }
    };
    let page = |listed: &api::BuildPage, asked: &AskedBuilds| pages().builds(&context(), listed, asked).unwrap();
    shown("builds", &page(&listed(Some(protocol::BuildId(5100))), &AskedBuilds::default()));
    let asked =
        AskedBuilds { builder: "a&b".to_owned(), state: "failure".to_owned(), later: true, ..AskedBuilds::default() };
    let html = page(&listed(Some(protocol::BuildId(5100))), &asked);
    assert!(html.contains("/p/heron/builds?builder=a%26b&amp;state=failure&amp;before=5100"), "{html}");
    assert!(html.contains("<option value=\"failure\" selected>"));
    let none = api::BuildPage { builds: Vec::new(), next: None };
    assert!(page(&none, &asked).contains("No build is all of that."));
    assert!(page(&none, &AskedBuilds::default()).contains("Nothing was built yet."));
}

#[test]
fn slaves_and_locks() {
    let (all, held) = (slaves(), locks());
    let of = |slaves, locks| ShownSlaves { slaves, locks, from: "" };
    let page = |may| pages().slaves(&context(), &of(&all, &held), may, WATCH).unwrap();
    shown("slaves", &page(true));
    let html = pages().slaves(&context(), &of(&[], &[]), false, WATCH).unwrap();
    shown("slaves-none", &html);
    shown("locks", &pages().locks(&context(), &held, WATCH).unwrap());
    shown("locks-none", &pages().locks(&context(), &[], WATCH).unwrap());
}

#[test]
fn of_many_slaves_a_page_shows_some_those_first_that_take_no_builds() {
    let one = slaves().remove(0);
    let named = |n: usize| {
        let word = if n.is_multiple_of(10) { "offline" } else { "eager" };
        Slave { name: format!("slave-{n:03}").parse().unwrap(), word: word.to_owned(), ..one.clone() }
    };
    let all: Vec<Slave> = (0..200).map(named).collect();
    let (mut from, mut seen, mut pages_of_them) = (String::new(), Vec::new(), 0);
    loop {
        let of = ShownSlaves { slaves: &all, locks: &[], from: &from };
        let html = pages().slaves(&context(), &of, true, WATCH).unwrap();
        markup::check(&html);
        assert!(html.len() < 60_000, "{} bytes", html.len());
        seen.extend(html.split("<tr id=\"s-").skip(1).map(|rest| rest[..9].to_owned()));
        pages_of_them += 1;
        let Some((_, next)) = html.split_once("rel=\"next\" href=\"/slaves?from=") else { break };
        next[..9].clone_into(&mut from);
    }
    assert_eq!(pages_of_them, 8);
    assert_eq!(seen[..3], ["slave-000", "slave-010", "slave-020"]);
    assert_eq!(seen[20], "slave-001");
    let different: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(different.len(), 200, "each is on one page");
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
    shown("projects", &pages().projects(&Context { project: None, ..context() }, &[project()], WATCH).unwrap());
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
        let logs = [LogPart { hit: Some(1), at_hit: true, ..log_part(1, 1, &[evil]) }];
        let mut busy = overview();
        busy.needs_person[0].branch = made.summary.clone();
        let may = HashSet::from([made.summary.name.clone()]);
        busy.project.trouble = Some(evil.to_owned());
        busy.project.url = evil.to_owned();
        busy.slaves[0].said_reason = evil.to_owned();
        let narrowed = Narrowed {
            q: evil.to_owned(),
            state: "all".to_owned(),
            owner: evil.to_owned(),
            bug: evil.to_owned(),
            turn: String::new(),
            later: true,
        };
        let mut line = listing(vec![made.summary.clone()]);
        line.next = Some(evil.to_owned());
        let filled = Filled { url: evil.to_owned(), branch: evil.to_owned(), ..Filled::default() };
        let held = locks();
        let shown = ShownSlaves { slaves: &busy.slaves, locks: &held, from: evil };
        let pages = pages();
        for html in [
            pages.branch(&context, &it, ALL),
            pages.branch(&context, &made, ALL),
            pages.build(&context, &step, &logs, None, MayBuild { rebuild: true }),
            pages.overview(&context, &busy, &may),
            pages.branches(&context, &line, &narrowed),
            pages.branches(&context, &listing(Vec::new()), &narrowed),
            pages.slaves(&context, &shown, true, WATCH),
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
    assert!(own.projects(&context(), &[], WATCH).unwrap().contains("No project is guarded"), "others stay bb's");

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
    assert!(js.len() < 7_000 && js.lines().count() < 130, "the script has {} bytes", js.len());
    for word in ["@import", "url(", "data:", "http"] {
        assert!(!css.contains(word), "{word} in the style sheet");
    }
    assert!(!js.contains("eval(") && !js.contains("://"));
    assert!(pages.asset("/static/000000000000/bb.css").is_none(), "another version is not this one");
}

/// What a stranger may write anywhere.
const HOSTILE: &str = "</textarea>\"><script>alert(1)</script>\u{202e}\u{200b}";

#[test]
fn reviews() {
    let when = protocol::UnixMs(context().now.0 - 60_000);
    let vote =
        |revision, value, by: &str, standing| api::Vote { revision, value, by: by.to_owned(), at_ms: when, standing };
    let comment = |id, text: &str| api::Comment { id, by: HOSTILE.to_owned(), at_ms: when, text: text.to_owned() };
    let on = api::Place { path: HOSTILE.to_owned(), side: api::Side::Old, from: 3, to: 4, line: HOSTILE.to_owned() };
    let thread = |id, on, by: Option<&str>| api::Thread {
        id,
        revision: 2,
        on,
        resolved_by: by.map(ToOwned::to_owned),
        resolved_ms: by.map(|_| when),
        comments: vec![comment(id * 10, "Who frees this?\nNobody."), comment(id * 10 + 1, HOSTILE)],
    };
    let mut it = api::Review {
        branch: "load-balancing".parse().unwrap(),
        revision: Some(2),
        commit: branch().summary.commit,
        tally: api::ReviewTally { up: 1, down: 1, open: 1, threads: 2 },
        votes: vec![
            vote(2, 1, "bob", api::VoteStanding::Counts),
            vote(2, -1, "eve", api::VoteStanding::Counts),
            vote(2, 1, "ann", api::VoteStanding::Own),
            vote(1, 0, HOSTILE, api::VoteStanding::Older),
        ],
        threads: vec![thread(7, None, Some("ann")), thread(5, Some(on), None)],
        next: Some(5),
    };
    let about = About { path: HOSTILE.to_owned(), side: api::Side::Old, line: Some(3) };
    let page = |it: &api::Review, who: Reader| {
        let may = who != Reader::Anonymous;
        let context = Context { reader: who, ..context() };
        pages().review(&context, "/p/heron/branches/load-balancing", it, &about, may).unwrap()
    };
    shown("review", &page(&it, maintainer()));
    markup::check(&page(&it, Reader::Anonymous));
    (it.revision, it.commit, it.tally) = (None, None, api::ReviewTally::default());
    (it.votes, it.threads, it.next) = Default::default();
    shown("review-empty", &page(&it, maintainer()));
}
