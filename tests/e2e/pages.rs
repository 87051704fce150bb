//! The pages of a real run, in a real browser.

use crate::{world, world_as};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use testkit::browser::{Browser, browser};
use testkit::git_server::{GitServer, Manner};
use testkit::world::{Plan, RECIPE, World};

/// Pages looked at, at most; a World has fewer.
const PAGES: usize = 60;

/// Branches in every state that the pages tell apart.
fn busy_world() -> World {
    let world = world();
    world.slave("oak");
    let (ann, bob, cat) = (world.author("ann"), world.author("bob"), world.author("cat"));
    ann.writes_with_fragment("greet-more", &[("more.txt", "and welcome\n")]);
    ann.writes("rename-heron", &[("greeting.txt", "heron, grey, says hello\n")]);
    let long = "x".repeat(200);
    bob.writes("no-greeting", &[("Makefile", "check:\n\tfalse\n"), ("a-file-with-quite-a-long-name-in-it.txt", &long)]);
    cat.writes("other-greeting", &[("greeting.txt", "heron says good day\n")]);
    ann.publishes("greet-more").ok();
    ann.publishes("rename-heron").ok();
    world.until_verdict("greet-more", "ready");
    world.until_verdict("rename-heron", "ready");
    world.maintainer().accepts("rename-heron").ok();
    world.until_verdict("rename-heron", "landed");
    bob.publishes("no-greeting").ok();
    cat.publishes("other-greeting").ok();
    world.until_verdict("no-greeting", "builder-failed");
    world.until_verdict("other-greeting", "conflict");
    world.until_verdict("greet-more", "ready");
    world
}

/// All pages that can be reached from the first by links.
fn pages(world: &World) -> Vec<String> {
    let client = world.client();
    let mut known = BTreeSet::from(["/".to_owned()]);
    let mut open = VecDeque::from(["/".to_owned()]);
    let mut pages = Vec::new();
    while let Some(path) = open.pop_front() {
        let mut answer = client.get(&path);
        if let (true, Some(to)) = ((300..400).contains(&answer.status), answer.header("location")) {
            answer = client.get(&to.replace(&world.url(), ""));
        }
        assert_eq!(answer.status, 200, "{path} is linked to and is not there");
        if !answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            continue;
        }
        pages.push(path);
        for link in answer.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let link = link.split('#').next().unwrap_or_default().replace("&#x3D;", "=").replace("&amp;", "&");
            if link.starts_with('/') && known.len() < PAGES && known.insert(link.clone()) {
                open.push_back(link);
            }
        }
    }
    pages
}

fn look(browser: &Browser, world: &World, path: &str) {
    browser.open(&format!("{}{path}", world.url()));
    browser.no_sideways_scroll();
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{path} complains on the console");
    assert!(!browser.title().is_empty(), "{path} has no title");
}

#[test]
fn every_page_fits_a_phone_and_a_desk_and_says_the_same_without_javascript() {
    let world = busy_world();
    let pages = pages(&world);
    for part in ["/branches", "/branches/greet-more", "/builds/", "/queue", "/slaves"] {
        assert!(pages.iter().any(|page| page.contains(part)), "no link leads to a page {part}: {pages:?}");
    }
    let browser = browser();
    for (width, height) in [(390, 844), (1280, 900)] {
        browser.resize(width, height);
        for path in &pages {
            look(&browser, &world, path);
        }
    }
    browser.javascript(false);
    for path in &pages {
        look(&browser, &world, path);
    }
    browser.open(&format!("{}/p/heron/branches/no-greeting", world.url()));
    assert!(browser.source().contains("linux failed"), "the reason stands there without JavaScript");
}

#[test]
fn the_readme_has_a_picture_of_a_real_branch() {
    let recipe = format!(
        "{RECIPE}\n[[builder]]\nname = \"docs\"\n[[builder.step]]\nname = \"check\"\nrun = \"test -s ChangeLog\"\n"
    );
    let world = world_as(&Plan { recipe: Some(recipe), ..Plan::default() });
    world.slave_with("oak", "slots = 2\n");
    let server = GitServer::start(&world.folder().join("authors"), &Manner::Smart);
    let ines = world.author("ines");
    ines.writes("welcome", &[("welcome.txt", "Welcome.\n")]);
    let url = server.url("ines");
    world.run(["publish", &url, "welcome", "--title", "Welcome whoever comes in", "--bug", "412"]).ok();
    world.until_verdict("welcome", "ready");
    ines.writes_with_fragment("welcome", &[("welcome.txt", "Welcome, and come in.\n")]);
    world.until("welcome", |branch| branch.revisions.len() == 2 && branch.summary.verdict.code == "ready");

    let browser = browser();
    browser.resize(1280, 900);
    let picture = std::env::var_os("BB_SCREENSHOT")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshot.png"), PathBuf::from);
    browser.open(&format!("{}/p/heron/branches/welcome", world.url()));
    assert!(browser.source().contains("* welcome.txt: Say more."), "the page shows ChangeLog as it will read");
    browser.screenshot(&picture);
    assert!(picture.metadata().unwrap().len() > 10_000);
}

#[test]
fn a_maintainer_signs_in_accepts_and_signs_out_by_the_pages_alone() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes_with_fragment("feature", &[("more.txt", "and welcome\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");

    let browser = browser();
    let page = format!("{}/p/heron/branches/feature", world.url());
    // Found and used in one script: a page renews itself, and what was found before that is gone.
    let press = |form: &str| {
        let _ = browser.run(&format!("document.querySelector('form[action$=\"{form}\"] button').click()"));
    };
    browser.open(&page);
    assert!(!browser.source().contains("/accept\""), "a reader can't accept");
    browser.open(&format!("{}/login", world.url()));
    let _ = browser.run(&format!("document.querySelector('input[name=token]').value = '{}'", world.token()));
    press("/login");
    browser.open(&page);
    press("/accept");
    world.until_verdict("feature", "landed");
    browser.open(&format!("{}/p/heron/queue", world.url()));
    assert!(browser.source().contains("feature"), "the queue remembers who left it");
    press("/logout");
    browser.open(&page);
    assert!(browser.source().contains("Sign in"), "the session has ended");
}
