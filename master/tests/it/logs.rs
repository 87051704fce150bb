//! Reading logs.

use crate::support::slave::{FakeSlave, ended, finished};
use crate::support::{Answer, World};
use master::stepping::Loop;
use protocol::wire::{Happened, StepFile, ToSlave};
use protocol::{BuildId, BuildResult};
use reqwest::Method;

#[tokio::test(flavor = "multi_thread")]
async fn any_place_in_a_log_can_be_asked_for() {
    let world = World::start().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    oak.chunk(of, 1, 0, b"0123456789").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 10 });
    oak.report(of, 1, finished(1, 10)).await;
    oak.report(of, 2, ended(BuildResult::Success)).await;
    world.verdict("feature", "ready").await;
    let path = format!("/api/v1/builds/{}/steps/1/log", of.build);
    let cases = [
        ("", "0123456789"),
        ("?from=4", "456789"),
        ("?from=4&limit=2", "45"),
        ("?limit=0", ""),
        ("?from=10", ""),
        ("?from=11&follow=1", ""),
        ("?from=9223372036854775807", ""),
        ("?from=-3", "789"),
        ("?from=-9223372036854775808", "0123456789"),
        ("?limit=18446744073709551615&follow=1", "0123456789"),
    ];
    for (query, expected) in cases {
        let answer = world.get(&format!("{path}{query}")).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, expected), "{query}");
    }
    for query in ["?from=x", "?from=9223372036854775808", "?limit=-1"] {
        let answer = world.get(&format!("{path}{query}")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "query"), "{query}");
    }
    let none = world.get(&format!("/api/v1/builds/{}/steps/4000000000/log", of.build)).await;
    assert_eq!((none.status, none.problem().as_str()), (404, "no-such-step"));
}

/// Ranges as RFC 9110 has them, before the log is packed and after.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_log_is_answered_as_any_server_does() {
    let world = World::start().await;
    let text: Vec<u8> = (0..20_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let page = failed(&world, &text).await;
    let build = page.rsplit('/').next().unwrap();
    let path = format!("/api/v1/builds/{build}/steps/1/log");
    let len = text.len();
    for packed in [false, true] {
        if packed {
            world.turn(Loop::Pack).await;
            assert!(world.basedir().join(format!("logs/0/{build}/1.log.zst")).exists());
            assert!(!world.basedir().join(format!("logs/0/{build}/1.log")).exists());
            let left = world.store().unpacked_logs((BuildId(0), 0), 10).await.unwrap();
            assert_eq!(left, [], "it is recorded that it is packed");
        }
        let cases = [
            ("bytes=0-9", Some(0..10)),
            ("bytes=150000-", Some(150_000..len)),
            ("bytes=-20", Some(len - 20..len)),
            ("bytes=-99999999", Some(0..len)),
            ("bytes=100-99999999999", Some(100..len)),
            // Several at once, and what is no range, may be answered by all.
            ("bytes=0-1,5-6", None),
            ("bytes=9-3", None),
            ("bytes=x", None),
            ("lines=1-2", None),
        ];
        for (range, wanted) in cases {
            let answer = ranged(&world, &path, range).await;
            let (status, part) = wanted.clone().map_or((200, 0..len), |part| (206, part));
            let said = wanted.map(|part| format!("bytes {}-{}/{len}", part.start, part.end - 1));
            assert_eq!((answer.status, content_range(&answer).as_deref()), (status, said.as_deref()), "{range}");
            assert!(answer.text.as_bytes() == &text[part], "{range}");
        }
        for range in [format!("bytes={len}-"), "bytes=-0".to_owned()] {
            let answer = ranged(&world, &path, &range).await;
            assert_eq!((answer.status, answer.problem().as_str()), (416, "range"), "{range}");
            assert_eq!(content_range(&answer), Some(format!("bytes */{len}")));
        }
        let named = ranged(&world, &format!("{path}?from=4&limit=3"), "bytes=0-9").await;
        assert_eq!((named.status, named.text.as_bytes()), (200, &text[4..7]));
    }
}

async fn ranged(world: &World, path: &str, range: &str) -> Answer {
    world.answer(world.request(Method::GET, path).header("range", range)).await
}

fn content_range(answer: &Answer) -> Option<String> {
    answer.headers.get("content-range").map(|said| said.to_str().unwrap().to_owned())
}

/// A build of one step that printed `log` and failed; the path of its page.
async fn failed(world: &World, log: &[u8]) -> String {
    let (mut oak, _) = FakeSlave::new(world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    let mut at = 0;
    for piece in log.chunks(protocol::wire::MAX_CHUNK) {
        oak.chunk(of, 1, at, piece).await;
        at += piece.len() as u64;
        while !matches!(oak.answer().await, ToSlave::LogAcknowledged { next, .. } if next == at) {}
    }
    let end = Happened::StepFinished {
        step: 1,
        result: BuildResult::Failure,
        exit_code: Some(1),
        log_len: at,
        reason: None,
        lacks: None,
        ran_ms: 5,
        links: Vec::new(),
        summary: String::new(),
        tests: None,
        artifacts: None,
    };
    oak.report(of, 1, end).await;
    oak.report(of, 2, ended(BuildResult::Failure)).await;
    world.verdict("feature", "builder-failed").await;
    format!("/p/heron/builds/{}", of.build)
}

/// The numbers and texts of the lines that a page shows of step 1.
fn lines(page: &str) -> Vec<(u64, String)> {
    let line = |piece: &str| {
        let (number, rest) = piece.split_once('"').unwrap();
        let text = rest.split_once("</a>").unwrap().1.split("</span>").next().unwrap();
        (number.parse().unwrap(), text.to_owned())
    };
    page.split("<span id=\"L1-").skip(1).map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_long_log_has_its_number_and_an_address() {
    let world = World::start().await;
    let text = |n: u64| if n == 47_100 { "error: it broke".to_owned() } else { format!("line {n}") };
    let log: String = (1..=95_002).map(|n| text(n) + "\n").collect();
    let page = failed(&world, log.as_bytes()).await;

    let html = world.get(&page).await.text;
    assert!(html.contains("95,002 lines"), "{html}");
    let shown = lines(&html);
    assert!(shown.iter().all(|(n, line)| *line == text(*n)), "true numbers");
    let opened = html.split_once("<pre id=\"lines-1\">").unwrap().1.split_once("</pre>").unwrap().0;
    let numbers: Vec<u64> = lines(opened).iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (47_097..=47_103).collect::<Vec<_>>(), "the first error and three lines around it");
    assert!(opened.contains("<span id=\"L1-47100\" class=\"hit\">"));

    // Every line can be linked to, and from there all the others are reached.
    for line in [1, 500, 2282, 47_100, 94_999, 95_002] {
        let shown = lines(&world.get(&format!("{page}?at=1-{line}")).await.text);
        assert!(shown.contains(&(line, text(line))) && shown.iter().all(|(n, line)| *line == text(*n)), "{line}");
    }
    let (mut seen, mut next) = (0, "?from=1-1".to_owned());
    loop {
        let html = world.get(&format!("{page}{next}")).await.text;
        let shown = lines(&html);
        assert_eq!(shown[0].0, seen + 1, "nothing is left out between two parts");
        seen = shown.last().unwrap().0;
        let Some(before) = html.split(">Later: ").next().filter(|before| before.len() < html.len()) else { break };
        next = before.rsplit("href=\"").next().unwrap().split('#').next().unwrap().replace("&#x3D;", "=");
        if seen == 3000 {
            next = "?from=1-93000".to_owned();
            seen = 92_999;
        }
    }
    assert_eq!(seen, 95_002);
    let html = world.get(&format!("{page}?at=1-95003")).await.text;
    assert!(html.contains("There is no line 95,003") && lines(&html).last().unwrap().0 == 95_002);
    for wrong in ["?at=x", "?at=1", "?at=1-0", "?from=-1-5", "?at=1-99999999999999999999"] {
        let answer = world.get(&format!("{page}{wrong}")).await;
        assert!(answer.status == 400 && answer.text.contains("log-line"), "{wrong}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_any_shape_are_shown_in_parts() {
    let world = World::start().await;
    let page = failed(&world, b"").await;
    let number = page.rsplit('/').next().unwrap();
    let folder = world.basedir().join("logs/0").join(number);
    std::fs::create_dir_all(&folder).unwrap();
    let write = async |bytes: &[u8], at: &str| {
        let _ = std::fs::remove_file(folder.join("1.lines"));
        std::fs::write(folder.join("1.log"), bytes).unwrap();
        let html = world.get(&format!("{page}{at}")).await.text;
        assert!(html.len() < 2 << 20, "{} bytes of page", html.len());
        html
    };
    let html = write(&vec![b'\n'; 10_000_000], "?at=1-9999999").await;
    let shown = lines(&html);
    assert!(shown.contains(&(9_999_999, String::new())) && shown.last().unwrap().0 == 10_000_000);
    let html = write(&vec![b'x'; 20_000_000], "").await;
    assert!(html.contains("1 line, 20 MB") && html.contains("19996000 more bytes in this line"));
    let long = ["y".repeat(100_000).as_str(), ""].join("\n").repeat(300);
    let html = write(long.as_bytes(), "").await;
    assert_eq!(lines(&html).last().unwrap().0, 300, "the end is shown, whatever stands before it");
    let html = write(b"only this", "?at=1-1").await;
    assert_eq!(lines(&html), [(1, "only this".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_of_a_whole_log_begins_its_own_line() {
    let world = World::start().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    let mut report = 0;
    for (step, name, text) in [(0, "fetch", "no end"), (1, "test", "whole\n")] {
        oak.report(of, report, Happened::StepStarted { step, name: name.to_owned() }).await;
        oak.chunk(of, step, 0, text.as_bytes()).await;
        while !matches!(oak.answer().await, ToSlave::LogAcknowledged { .. }) {}
        oak.report(of, report + 1, finished(step, text.len() as u64)).await;
        report += 2;
    }
    oak.report(of, report, ended(BuildResult::Success)).await;
    world.verdict("feature", "ready").await;
    let log = world.get(&format!("/api/v1/builds/{}/log?headers=1", of.build)).await.text;
    assert_eq!(log, "=== fetch\nno end\n=== test\nwhole\n");
    let log = world.get(&format!("/api/v1/builds/{}/log", of.build)).await.text;
    assert_eq!(log, "no end\nwhole\n", "also without titles");
}
