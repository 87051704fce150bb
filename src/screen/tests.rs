//! Every listing as it is on a narrow terminal, a usual one, a wide one, and in a pipe, with many rows and with none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::commands::listings::{branches, builds, locks, queue, slaves, tokens};
use crate::terminal::Harmless;
use serde_json::{Value, json};

const WIDTHS: [Option<u16>; 4] = [Some(40), Some(80), Some(200), None];

/// Three and a half hours ago.
fn then() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() - 12_600_000
}

fn entry(place: Option<u32>, name: &str, code: &str, look: &str, says: &str, next: (&str, &str)) -> Value {
    json!({
        "branch": name, "title": "Do it", "revision": 4, "commit": "3".repeat(40), "accepted_by": "Olga 漢字", "accepted_ms": then(),
        "place": place, "code": code, "look": look, "says": says, "next": { "who": next.0, "what": next.1 }, "marks": [],
        "changes_recipe": name == "other-branch", "landed": null, "left_ms": place.is_none().then(then), "page": "/x",
    })
}

fn a_queue(paused: bool, entries: &[Value], left: &[Value]) -> protocol::api::Queue {
    let project = json!({
        "name": "heron", "url": "/srv/heron", "mainline": "main", "tip": null, "tip_seen_ms": null, "trouble": null,
        "paused": paused, "recipe_from": ".bb.toml", "live": 0, "queued": 0, "page": "/p/heron",
    });
    serde_json::from_value(json!({ "project": project, "entries": entries, "left": left })).unwrap()
}

fn a_branch(name: &str, look: &str, state: &str, next: (&str, &str)) -> Value {
    json!({
        "name": name, "project": "heron", "title": "Do it", "url": "https://x.example/r.git", "branch": name, "publisher": "ines 漢字",
        "trusted": false, "bugs": [], "revision": 1, "commit": "3".repeat(40), "author": "Ines", "marks": [], "changes_recipe": false,
        "verdict": {
            "code": "ready", "state": state, "look": look, "would_land": "yes", "because": "as soon as it is accepted",
            "next": { "who": next.0, "what": next.1 }, "needs": [],
        },
        "published_ms": then(), "changed_ms": then(), "page": "/x",
    })
}

/// Each listing of the command, with rows and without.
fn listings(screen: Screen) -> Vec<(&'static str, String)> {
    let many = a_queue(
        true,
        &[
            entry(
                Some(1),
                "load-balancing",
                "testing",
                "running",
                "linux and asan are left",
                ("bb", "lands it when linux and asan passed"),
            ),
            entry(
                Some(2),
                "other-branch",
                "behind",
                "waiting",
                "one branch is before it",
                ("bb", "tests it when those before it landed or left"),
            ),
        ],
        &[
            entry(
                None,
                "older-one",
                "ejected-failure",
                "failed",
                "linux failed: step test: exit code 2",
                ("Ines", "makes linux pass"),
            ),
            entry(
                None,
                "a-branch-that-landed-a-while-ago",
                "landed",
                "landed",
                "it is in mainline as 7c41e0b",
                ("nobody", "has to do anything"),
            ),
        ],
    );
    let some: Vec<protocol::api::BranchSummary> = serde_json::from_value(Value::Array(vec![
        a_branch("load-balancing", "passed", "ready", ("a maintainer", "accepts r1")),
        a_branch("other-branch", "failed", "fails linux", ("Ines", "makes step test of linux pass")),
        a_branch("x", "waiting", "waiting for lock vm", ("bb", "starts it when lock `vm` is free")),
    ]))
    .unwrap();
    let slave = json!({
        "name": "oak", "connected": true, "since_ms": then(), "said": "eager", "said_reason": "", "admin": "eager",
        "labels": ["linux", "x86_64", "kvm"], "slots": 4, "isolation": "bubblewrap", "isolation_notes": [], "machine": "m", "bb": "0.1.0",
        "builds": [], "look": "passed", "word": "eager",
    });
    let a_build = |id: u32, look: &str, word: &str, says: &str, slave: Option<&str>| {
        let state = if word == "running" {
            json!({"state": "running"})
        } else {
            json!({"state": "finished", "result": "failure"})
        };
        json!({
            "id": id, "builder": "linux", "project": "heron", "branch": "load-balancing", "revision": 2, "for_queue": id == 8,
            "commit": "3".repeat(40), "state": state, "look": look, "word": word, "says": says, "slave": slave,
            "requested_ms": then(), "started_ms": then(), "finished_ms": null, "page": "/x",
        })
    };
    let built: Vec<protocol::api::BuildSummary> = serde_json::from_value(json!([
        a_build(8, "running", "running", "step test", Some("oak")),
        a_build(7, "failed", "failed", "step test: exit code 2", Some("oak")),
        a_build(6, "waiting", "waiting", "to be given to a slave", None),
    ]))
    .unwrap();
    let token = json!({ "id": 7, "kind": "publisher", "name": "ines", "trusted": true, "made_ms": then(), "used_ms": null, "revoked_ms": null });
    let uses = |build: usize, shares: u32, place: Option<u32>| json!({ "build": built[build], "shares": shares, "since_ms": then(), "place": place });
    let lock = json!({ "name": "vm", "shares": 3, "scope": "slave", "taken": 2, "held": [uses(0, 2, None)],
        "waiting": [uses(2, 1, Some(1)), uses(2, 3, None)], "waiting_count": 7 });
    let mut together = a_queue(false, &[], &[]);
    let mark = |builder: &str, look: &str| json!({"builder": builder, "required": true, "look": look, "word": look, "build": 8});
    together.stacks = serde_json::from_value(json!([{
        "id": 7, "purpose": "half of 4 suspects, with 12 known good", "on": "a".repeat(40), "commit": "5".repeat(40),
        "branches": ["load-balancing", "other-branch"], "commits": ["4".repeat(40), "5".repeat(40)],
        "marks": [mark("linux", "running"), mark("asan", "waiting")], "since_ms": then(),
    }]))
    .unwrap();
    let mut of_stack = built[1].clone();
    (of_stack.stack, of_stack.for_queue) = (Some(7), true);
    of_stack.with = ["first", "second"].map(|name| name.parse().unwrap()).to_vec();
    vec![
        ("queue", queue(&many, screen)),
        ("queue, several tested together", queue(&together, screen)),
        ("builds, of a stack", builds(&[of_stack], false, screen)),
        ("queue, empty", queue(&a_queue(false, &[], &[]), screen)),
        ("branches", branches(&some, None, false, screen)),
        ("branches, none", branches(&[], None, false, screen)),
        ("branches, none that match", branches(&[], Some("ann's x"), false, screen)),
        ("branches, none that match, ended or not", branches(&[], Some("ann's x"), true, screen)),
        ("builds", builds(&built, false, screen)),
        ("builds, none", builds(&[], false, screen)),
        ("builds, none that match", builds(&[], true, screen)),
        ("slaves", slaves(&[serde_json::from_value(slave).unwrap()], screen)),
        ("slaves, none", slaves(&[], screen)),
        ("locks", locks(&[serde_json::from_value(lock).unwrap()], screen)),
        ("locks, none", locks(&[], screen)),
        ("tokens", tokens(&[serde_json::from_value(token).unwrap()], screen)),
        ("tokens, none", tokens(&[], screen)),
    ]
}

#[test]
fn every_listing_at_every_width() {
    for width in WIDTHS {
        let shown: Vec<String> =
            listings(Screen::new(width, false)).iter().map(|(what, text)| format!("# {what}\n{text}")).collect();
        let name = width.map_or_else(|| "piped".to_owned(), |width| format!("at_{width}"));
        insta::assert_snapshot!(name, shown.join("\n"));
    }
}

/// A terminal breaks a line that is too long where it ends, in the middle of a word: there is none. Colours take no room.
#[test]
fn nothing_is_torn_and_colours_take_no_room() {
    for width in [40, 50, 60, 72, 80, 100, 120, 200] {
        let plain = listings(Screen::new(Some(width), false));
        for ((what, plain), (_, coloured)) in plain.iter().zip(listings(Screen::new(Some(width), true))) {
            assert!(!plain.trim().is_empty() && plain.ends_with('\n'), "{what} says nothing");
            for line in plain.lines() {
                assert!(columns(line) <= usize::from(width), "{what} at {width}: {line:?}\n{plain}");
            }
            let bare = Harmless::new(false).push(coloured.as_bytes());
            let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            assert_eq!(lines(&bare), lines(plain), "{what} at {width}");
            for name in ["load-balancing", "other-branch", "older-one", "bubblewrap", "publisher,"] {
                let listed = what.starts_with("queue") || *what == "branches" || *what == "slaves" || *what == "tokens";
                let part = name.chars().take(4).collect::<String>();
                assert!(
                    !listed || !plain.contains(&part) || plain.contains(name),
                    "{what} at {width} tears {name}:\n{plain}"
                );
            }
            // No column is so narrow that its words stand one below the other.
            let words = plain.split_whitespace().count();
            assert!(plain.lines().count() <= words, "{what} at {width}:\n{plain}");
        }
    }
}

/// A sentence that is long widens nobody's column, and is not cut: each other line is as it would be without it.
#[test]
fn in_a_pipe_a_long_sentence_pushes_its_own_line_only() {
    let row = |name: &str, next: &str| vec![Cell::from(name), Cell::from(""), Cell::from(next), Cell::from("3 h ago")];
    let long = "an admin names mainline's branch in master.toml, or brings it back; bb tries again, ever more seldom";
    let rows =
        [row("load-balancing", "a maintainer accepts r1"), row("x", long), row("y", "it was declined\nby policy")];
    let said = Screen::new(None, false).list(&["name", "recipe", "next", "changed"], &rows, "");
    let expected = format!(
        "NAME            RECIPE  NEXT                        CHANGED\n\
         load-balancing  -       a maintainer accepts r1     3 h ago\n\
         x               -       {long}  3 h ago\n\
         y               -       it was declined; by policy  3 h ago\n"
    );
    assert_eq!(said, expected);
}

#[test]
fn sentences_are_broken_between_words_and_hang() {
    let screen = Screen::new(Some(20), true);
    let red = screen.look(Look::Failed, "conflict");
    assert_eq!(
        screen.sentences(&format!("{red}: would land: no\n  because it conflicts\nx\n"), 2),
        format!("{red}: would\n  land: no\n  because it\n    conflicts\nx\n")
    );
    let long = "https://git.example.org/a/very/long/way.git";
    assert_eq!(screen.sentences(&format!("at {long} it is"), 0), format!("at\n{long}\nit is"));
    assert_eq!(Screen::new(None, false).sentences("a b c d e f g h i j k l m n", 2), "a b c d e f g h i j k l m n");
}
