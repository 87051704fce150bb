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

/// Where pictures of all pages at all widths are left, for whoever wants to look at them.
fn pictures() -> Option<PathBuf> {
    std::env::var_os("BB_PICTURES").map(PathBuf::from)
}

#[test]
fn nothing_is_cut_off_at_any_width() {
    let world = busy_world();
    let pages = pages(&world);
    let browser = browser();
    let mut cut = Vec::new();
    for (width, height) in [(360, 740), (390, 844), (820, 1180), (1440, 900), (3840, 2160)] {
        browser.resize(width, height);
        for (number, path) in pages.iter().enumerate() {
            look(&browser, &world, path);
            if let Some(folder) = pictures() {
                let name: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
                browser.screenshot(&folder.join(format!("{width}-{number:02}{name}.png")));
            }
            cut.extend(browser.cut_off().into_iter().map(|words| format!("{path} at {width}: {words}")));
        }
        // On a wall as on a desk a line can be read from where one stands.
        let size = "return parseFloat(getComputedStyle(document.documentElement).fontSize)";
        let size = browser.run(size).as_f64().unwrap();
        assert!(if width < 2200 { (14.0..17.0).contains(&size) } else { size >= 20.0 }, "{size} px at {width}");
    }
    assert!(cut.is_empty(), "{cut:#?}");
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
    let source = browser.source();
    assert!(source.contains("* welcome.txt: Say more."), "the page shows ChangeLog as it will read: {source}");
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

/// The widths of windows, from a phone to a wall.
const WIDTHS: [u32; 16] = [360, 390, 480, 600, 767, 768, 820, 900, 959, 960, 1023, 1024, 1280, 1440, 1920, 3840];

/// A recipe of so many builders, of which the last fails where there is a file `broken`.
fn recipe_of(builders: usize) -> String {
    let builder = |n: usize| {
        let run = if n == builders { "test ! -e broken" } else { "true" };
        format!("[[builder]]\nname = \"builder-{n}\"\n[[builder.step]]\nname = \"test\"\nrun = \"{run}\"\n\n")
    };
    (1..=builders).map(builder).collect()
}

/// Branches with names as long as they may be, in a project of so many builders.
fn world_of_long_names(builders: usize) -> (World, Vec<String>) {
    let world = world_as(&Plan { recipe: Some(recipe_of(builders)), ..Plan::default() });
    world.slave_with("a-slave-with-quite-a-long-name-of-its-own", "slots = 4\n");
    let ann = world.author("ann-of-the-long-and-winding-house");
    let (well, bad, away) = ("well-".repeat(11) + "x", "bad_".repeat(14) + "x", "a.b-".repeat(14) + "x");
    for (name, file) in [(&well, "fine"), (&bad, "broken"), (&away, "other")] {
        let title = "A title that goes on and on ".repeat(6);
        ann.writes(name, &[(file, "1\n")]);
        world.run(["publish", ann.repo().url(), name, "--name", name, "--title", &title, "--bug", "412"]).ok();
    }
    world.until_verdict(&well, "ready");
    world.until_verdict(&bad, "builder-failed");
    world.run(["withdraw", &away]).ok();
    world.run(["queue", "pause"]).ok();
    world.maintainer().accepts(&well).ok();
    world.until_verdict(&well, "queue-paused");
    ann.writes("one-more", &[("more", "1\n")]);
    ann.publishes("one-more").ok();
    world.until_verdict("one-more", "ready");
    (world, vec![well, bad, away])
}

#[test]
fn names_and_marks_are_whole_at_every_width() {
    let browser = browser();
    for builders in [1, 12] {
        let (world, names) = world_of_long_names(builders);
        let build = world.builds(&names[1])[0].page.clone();
        let pages = ["/p/heron", "/p/heron/branches?state=all", "/p/heron/queue", "/slaves", &build];
        let branches = [&names[0], &names[1]].map(|name| format!("/p/heron/branches/{name}"));
        for page in pages.iter().map(|page| (*page).to_owned()).chain(branches) {
            browser.open(&format!("{}{page}", world.url()));
            for width in WIDTHS {
                browser.resize(width, 900);
                browser.no_sideways_scroll();
                browser.names_and_marks_are_whole();
            }
        }
        browser.open(&format!("{}/p/heron/branches", world.url()));
        let failed = format!("return document.querySelectorAll('#b-{} .marks .failed').length", names[1]);
        for width in WIDTHS {
            browser.resize(width, 900);
            assert_eq!(browser.run(&failed), 1, "the builder that failed is seen at {width} px");
        }
    }
}

/// Two projects, of which one is not to be had.
fn world_of_two_projects() -> World {
    let tables =
        "[[project]]\nname = \"a-project-with-quite-a-long-name\"\nrepository = \"https://127.0.0.1:9/x.git\"\n";
    world_as(&Plan { tables: tables.to_owned(), ..Plan::default() })
}

#[test]
fn the_list_of_projects_fits_and_renews_itself() {
    let world = world_of_two_projects();
    let browser = browser();
    browser.open(&world.url());
    for width in WIDTHS {
        browser.resize(width, 900);
        browser.no_sideways_scroll();
        browser.names_and_marks_are_whole();
    }
    let _ = browser.run("document.querySelector('#p-heron').mine = 1");
    world.run(["queue", "pause", "--project", "heron"]).ok();
    shows(&world, &browser, "document.querySelector('#p-heron').textContent.includes('paused')");
    assert_eq!(browser.run("return document.querySelector('#p-heron').mine"), 1, "only what differs was changed");
}

/// Waits until a page that is open shows something by itself.
fn shows(world: &World, browser: &Browser, condition: &str) {
    world.wait(condition, || (browser.run(&format!("return !!({condition})")) == true).then_some(()));
}

fn sign_in(world: &World, browser: &Browser) {
    browser.open(&format!("{}/login", world.url()));
    let _ = browser.run(&format!("document.querySelector('input[name=token]').value = '{}'", world.token()));
    let _ = browser.run("document.querySelector('form[action=\"/login\"] button').click()");
    shows(world, browser, "!document.querySelector('#token')");
}

#[test]
fn a_page_that_renews_itself_leaves_the_reader_alone() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("first", &[("a", "1\n")]);
    ann.publishes("first").ok();
    world.until_verdict("first", "ready");
    let browser = browser();
    browser.resize(1000, 500);
    sign_in(&world, &browser);

    // A field that is being filled in, while a row comes and another changes.
    browser.open(&format!("{}/p/heron/branches", world.url()));
    let _ = browser.run(
        "const q = document.querySelector('#q'); q.focus(); q.value = 'half a wo'; q.setSelectionRange(2, 4);
         document.querySelector('#b-first').mine = 1;",
    );
    ann.writes("second", &[("b", "1\n")]);
    ann.publishes("second").ok();
    shows(&world, &browser, "document.querySelector('#b-second')?.textContent.includes('ready')");
    world.run(["withdraw", "second"]).ok();
    shows(&world, &browser, "!document.querySelector('#b-second')");
    let kept = "const q = document.querySelector('#q');
                return [document.activeElement.id, q.value, q.selectionStart, q.selectionEnd,
                        document.querySelector('#b-first').mine]";
    assert_eq!(browser.run(kept), serde_json::json!(["q", "half a wo", 2, 4, 1]));

    // What was opened and closed, where the window stands, and what is marked, while a builder runs again.
    browser.open(&format!("{}/p/heron/branches/first", world.url()));
    let _ = browser.run(
        "for (const id of ['refs', 'files']) document.getElementById(id).open = true;
         document.querySelector('#refs summary').focus();
         getSelection().selectAllChildren(document.querySelector('#fetch h2'));
         scrollTo(0, document.querySelector('#fetch').offsetTop);
         window.before = [document.querySelector('#builder-linux'), scrollY];",
    );
    let events = "document.querySelectorAll('#timeline li').length";
    let seen = browser.run(&format!("return {events}")).as_u64().unwrap();
    world.run(["rebuild", "first", "--builder", "linux"]).ok();
    shows(&world, &browser, &format!("{events} >= {seen} + 2"));
    let kept = "return [document.querySelector('#refs').open, document.querySelector('#files').open,
                        document.activeElement.matches('#refs summary'), getSelection().toString(),
                        window.before[0] === document.querySelector('#builder-linux'),
                        Math.abs(scrollY - window.before[1]) < 200]";
    assert_eq!(browser.run(kept), serde_json::json!([true, true, true, "Fetch it", true, true]));

    // A choice that is not sent yet, while its slave goes.
    browser.open(&format!("{}/slaves", world.url()));
    let _ = browser.run("const a = document.querySelector('#a-oak'); a.focus(); a.value = 'reluctant'");
    world.kill_slave("oak");
    shows(&world, &browser, "document.querySelector('#s-oak').textContent.includes('offline')");
    let kept = "return [document.activeElement.id, document.querySelector('#a-oak').value]";
    assert_eq!(browser.run(kept), serde_json::json!(["a-oak", "reluctant"]));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_branch_is_accepted_on_the_overview_as_it_stands_there() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes_with_fragment("feature", &[("more.txt", "and welcome\nwhoever comes\n")]);
    let own = format!("{RECIPE}\n[[builder]]\nname = \"asan\"\n[[builder.step]]\nname = \"check\"\nrun = \"true\"\n");
    ann.writes("faster", &[(".bb.toml", &own)]);
    for name in ["feature", "faster"] {
        ann.publishes(name).ok();
        world.until_verdict(name, "ready");
    }
    let browser = browser();
    let overview = format!("{}/p/heron", world.url());
    browser.open(&overview);
    assert!(!browser.source().contains("/accept\""), "a reader can't accept");
    sign_in(&world, &browser);
    browser.open(&overview);
    let row = browser.text("#n-feature").unwrap();
    for words in ["Work on feature", "ann", "1 commit, 2 files, +6 −0", "waits", "Ready", "Accept"] {
        assert!(row.contains(words), "{words}: {row}");
    }

    // What changes how it is built is a warning everywhere, and its change is read first.
    let branch = world.branch("faster");
    assert!(branch.summary.changes_recipe && branch.recipe_diff.is_some());
    assert!(browser.text("#n-faster").unwrap().contains("changes the recipe"));
    assert_eq!(browser.run("return document.querySelector('#n-faster form')"), serde_json::Value::Null);
    assert!(world.run(["branches"]).ok().lines().any(|line| line.starts_with("faster") && line.contains("changed")));
    browser.open(&format!("{}/p/heron/branches", world.url()));
    assert!(browser.text("#b-faster").unwrap().contains("changes the recipe"));
    assert!(!browser.text("#b-feature").unwrap().contains("changes the recipe"));
    browser.open(&format!("{}/p/heron/branches/faster", world.url()));
    let answer = browser.text("#answer").unwrap();
    assert!(answer.contains("yes, but it changes how it is built"), "{answer}");
    assert_eq!(browser.run("return document.querySelector('#answer').className"), "verdict warnings");
    assert!(browser.text("#recipe").unwrap().contains("name = \"asan\""), "its change stands beside the button");

    browser.open(&overview);
    let _ = browser.run("document.querySelector('#n-feature form button').click()");
    world.until_verdict("feature", "landed");
    shows(&world, &browser, "document.querySelector('#landed').textContent.includes('feature')");
    assert_eq!(browser.run("return location.pathname"), "/p/heron");
}

#[test]
fn a_log_is_one_page_with_the_window_s_own_scroll_bar_only() {
    let recipe = "[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"test\"\n\
                  run = 'seq 3000; echo \"a.c:3: error: it broke\"; seq 3000; printf \"%0300d\" 7; false'\n";
    let world = world_as(&Plan { recipe: Some(recipe.to_owned()), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "builder-failed");
    let page = format!("{}{}", world.url(), world.builds("feature")[0].page);
    let browser = browser();
    for width in [360, 1280] {
        browser.resize(width, 700);
        browser.open(&page);
        browser.no_sideways_scroll();
        let opened = browser.text("#lines-1").unwrap();
        assert!(opened.starts_with("2998") || opened.contains("error: it broke"), "{opened}");
        assert_eq!(browser.run("return document.querySelectorAll('#lines-1 > span').length"), 7);
        let boxes =
            "return [...document.querySelectorAll('.log, .log *')].filter(e => e.scrollHeight > e.clientHeight + 1
                     && ['auto', 'scroll'].includes(getComputedStyle(e).overflowY)).length";
        assert_eq!(browser.run(boxes), 0, "no box scrolls inside the page");
    }
    // An address as others wrote it down: the line is found, and seen.
    let seen = "(() => { const box = document.querySelector('#L1-500')?.getBoundingClientRect();
                return box && box.height > 0 && box.top >= 0 && box.bottom <= innerHeight; })()";
    browser.open("about:blank");
    browser.open(&format!("{page}#L1-500"));
    shows(&world, &browser, seen);
    browser.javascript(false);
    browser.open("about:blank");
    browser.open(&format!("{page}?at=1-500#L1-500"));
    shows(&world, &browser, seen);
    let folded = "document.querySelector('#L1-500 a').getAttribute('href')";
    assert_eq!(browser.run(&format!("return {folded}")), "?at=1-500#L1-500");
}
