//! What no ordinary client sends.

use crate::support::World;
use tokio::io::AsyncWriteExt as _;

/// The status of an answer; 0 when the connection was closed without one.
fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).map_or(0, |code| code.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_come_is_not_waited_for() {
    let world = World::start_as("", "request_s = 1").await;
    // `raw` returns only because the master closes.
    let head = world.raw(b"GET /api/v1/projects HTT").await;
    assert!(matches!(status(&head), 0 | 408), "{head}");
    let body = format!(
        "POST /api/v1/projects/heron/branches HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"url\"",
        world.token
    );
    let body = world.raw(body.as_bytes()).await;
    assert!(matches!(status(&body), 0 | 400 | 408), "{body}");
    let git =
        b"POST /git/heron.git/git-upload-pack HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n4\r\n00";
    world.raw(git).await;
    assert_eq!(world.get("/healthz").await.text, "ok\n", "others are served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let world = World::start_as("", "request_s = 1").await;
    // `raw` returns only because the master closes.
    assert_eq!(status(&world.raw(b"").await), 0);
    let served = world.raw(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(status(&served), 200, "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_for_ever_is_not_waited_for() {
    let world = World::start_as("", "request_s = 60\nbody_s = 1").await;
    let head = "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                content-length: 100000\r\n\r\n";
    let git = "POST /git/heron.git/git-upload-pack HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\nfff0";
    for request in [head, git] {
        world.drip(request.as_bytes()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_http_1_is_spoken() {
    let world = World::start().await;
    let answer = world.raw_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_fetches_of_strangers_run_at_once() {
    let world = World::start_as("[clients]\ngit_anonymous = 1\n", "request_s = 1").await;
    let refs = "/git/heron.git/info/refs?service=git-upload-pack";
    world
        .until("mainline is mirrored", async || {
            let answer = world.get(refs).await;
            if answer.status == 200 { Ok(()) } else { Err(answer.text) }
        })
        .await;
    let mut socket = world.connect().await;
    let begun = "POST /git/heron.git/git-upload-pack HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\nfff0";
    socket.write_all(begun.as_bytes()).await.unwrap();
    // It drips, so that it is never silent for long, until it is ended.
    let held = tokio::spawn(async move {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
        while socket.write_all(b"0").await.is_ok() {
            tick.tick().await;
        }
    });
    world
        .until("its place is taken", async || {
            let answer = world.get(refs).await;
            if answer.status == 200 {
                return Err(answer.status.to_string());
            }
            assert_eq!((answer.status, answer.header("retry-after")), (503, "10"));
            assert_eq!(answer.problem(), "too-many-fetches");
            Ok(())
        })
        .await;
    let known = world.request(reqwest::Method::GET, refs).bearer_auth(&world.token);
    assert_eq!(world.answer(known).await.status, 200, "who shows a token needs no place");
    held.abort();
    world
        .until("the place is free again", async || {
            let answer = world.get(refs).await;
            if answer.status == 200 { Ok(()) } else { Err(answer.text) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_name_is_not_ours() {
    let world = World::start_as("url = \"http://bb.example.org\"\nhosts = [\"bb.internal\"]\n", "").await;
    let asked = async |host: &str, path: &str| {
        let request = world.request(reqwest::Method::GET, path).header("host", host);
        world.answer(request).await
    };
    for own in ["bb.example.org", "bb.internal:8010", "localhost:1", "127.0.0.1", "[::1]:8010"] {
        assert_eq!(asked(own, "/api/v1/projects").await.status, 200, "{own}");
    }
    let refused = asked("evil.example:8010", "/api/v1/projects").await;
    assert_eq!((refused.status, refused.problem().as_str()), (421, "unknown-host"));
    assert!(refused.text.contains("hosts = "), "{}", refused.text);
    let page = asked("evil.example", "/p/heron").await;
    assert_eq!(page.status, 421);
    assert!(page.header("content-type").starts_with("text/html") && page.text.contains("hosts = "), "{}", page.text);
    assert_eq!(asked("evil.example", "/git/heron.git/info/refs?service=git-upload-pack").await.status, 421);
    assert_eq!(asked("10.1.2.3:8010", "/healthz").await.status, 200);
    assert_eq!(asked("checker.example", "/healthz").await.status, 200);
    let whole = b"GET http://evil.example/p/heron HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&world.raw(whole).await), 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_elsewhere_lead_nowhere() {
    let world = World::start().await;
    let secret = std::fs::read_to_string(world.basedir().join("secrets/maintainer.token")).unwrap();
    let tricks = [
        "/static/../../master.toml",
        "/static/x/..%2f..%2fmaster.toml",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/x/%252e%252e%252fmaster.toml",
        "/static/x/..%5c..%5cmaster.toml",
        "/static/x/style.css%00.txt",
        "/api/v1/builds/..%2f..%2fsecrets/log",
        "/api/v1/builds/1/steps/..%2f..%2f..%2fsecrets%2fmaintainer.token/log",
        "/api/v1/builds/1%2f..%2f2/log",
        "/api/v1/builds/1/steps/1.log/log",
        "/api/v1/builds/%31%00/log",
        "/p/heron/builds/..%2f1/steps/1/log",
        "/p/..%2fheron",
        "/git/../secrets/maintainer.token",
        "/git/heron.git/../../secrets/maintainer.token",
        "/git/heron.git/objects/info/alternates",
        "/git/heron.git/config",
        "/git/heron.git/%2e%2e/%2e%2e/master.toml",
        "/git/..%2fmirrors%2fheron.git/info/refs?service=git-upload-pack",
        "/git/heron.git%00/info/refs?service=git-upload-pack",
        "//evil.example/p/heron",
    ];
    for path in tricks {
        let answer =
            world.raw(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!(matches!(status(&answer), 400 | 404), "{path}: {answer}");
        assert!(!answer.contains(secret.trim()) && !answer.contains("[[project]]"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_and_others_are_served() {
    let world = World::start().await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(1 << 20));
    let both = "POST /api/v1/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\
                connection: close\r\n\r\n0\r\n\r\nGET /api/v1/tokens HTTP/1.1\r\n\r\n";
    let two = "POST /api/v1/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde";
    let h2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for nonsense in
        [many.as_str(), long.as_str(), both, two, h2, "\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"]
    {
        let answer = world.raw_all(nonsense.as_bytes()).await;
        let shown: String = nonsense.chars().take(40).collect();
        assert!(status(&answer) == 0 || (400..500).contains(&status(&answer)), "{shown}: {answer}");
    }
    assert_eq!(world.get("/healthz").await.text, "ok\n");
}
