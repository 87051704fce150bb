//! The API and the pages, as an ordinary client meets them.

use crate::strangers::Sends as _;
use crate::support::World;
use crate::terms::signed_in;
use master::store::TokenKind;
use reqwest::Method;
use serde_json::{Value, json};

const BRANCHES: &str = "/api/v1/projects/heron/branches";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_request_is_a_problem_with_a_code() {
    let world = World::start().await;
    world.publish("feature").await;
    let cases = [
        (Method::GET, "/api/v1/nothing-here", 404, "no-such-path"),
        (Method::GET, "/api/v1", 404, "no-such-path"),
        (Method::DELETE, BRANCHES, 405, "method"),
        (Method::PUT, "/api/v1/whoami", 405, "method"),
        (Method::POST, "/git/heron.git/info/refs", 405, "method"),
        (Method::POST, "/healthz", 405, "method"),
        (Method::GET, "/api/v1/projects/none", 404, "no-such-project"),
        (Method::GET, "/api/v1/projects/..%2fheron", 404, "no-such-project"),
        (Method::GET, "/api/v1/projects/%ff", 404, "no-such-project"),
        (Method::GET, "/api/v1/projects/heron/branches/none", 404, "no-such-branch"),
        (Method::GET, "/api/v1/projects/heron/branches/%ff", 404, "no-such-path"),
        (Method::GET, "/api/v1/", 404, "no-such-path"),
        (Method::GET, "/api", 404, "no-such-path"),
        (Method::GET, "/api/v2/projects", 404, "no-such-path"),
        (Method::GET, "/api/v1/projects/heron/branches?state=foo", 400, "query"),
        (Method::GET, "/api/v1/projects/heron/branches/..%2f..%2fx", 404, "no-such-path"),
        (Method::GET, "/api/v1/builds/99999", 404, "no-such-build"),
        (Method::GET, "/api/v1/builds/one", 404, "no-such-path"),
        (Method::GET, "/api/v1/builds/-1", 404, "no-such-build"),
        (Method::GET, "/api/v1/builds/99999999999999999999", 404, "no-such-path"),
        (Method::GET, "/api/v1/builds/1/steps/-1/log", 404, "no-such-path"),
        (Method::GET, "/api/v1/builds/99999/steps/1/log", 404, "no-such-build"),
        (Method::GET, "/api/v1/events?since=yesterday", 400, "query"),
        (Method::GET, "/api/v1/slave", 401, "token-needed"),
        (Method::GET, "/git/none.git/info/refs?service=git-upload-pack", 404, "no-such-project"),
        (Method::GET, "/git/%ff/info/refs?service=git-upload-pack", 404, "no-such-path"),
        (Method::GET, "/git/..%2fheron.git/info/refs?service=git-upload-pack", 404, "no-such-project"),
    ];
    for (method, path, status, code) in cases {
        let answer = world.answer(world.request(method.clone(), path)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{method} {path}: {}", answer.text);
    }
    let slave = world.token(TokenKind::Slave, "oak").await;
    let answer = world.answer(world.request(Method::GET, "/api/v1/slave").bearer_auth(slave)).await;
    assert_eq!(answer.problem(), "no-websocket", "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_such_thing_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let deep = format!("{{\"url\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let long = json!({"url": "x".repeat(70_000), "branch": "b"}).to_string();
    let cases = [
        ("", 400),
        ("{", 400),
        ("null", 422),
        ("[]", 422),
        ("{\"url\": 5, \"branch\": \"b\"}", 422),
        ("{\"url\": \"u\"}", 422),
        ("{\"url\": \"u\", \"branch\": \"b\", \"admin\": true}", 422),
        ("{\"url\": \"u\", \"url\": \"v\", \"branch\": \"b\"}", 422),
        ("{\"url\": \"u\", \"branch\": \"b\"} trailing", 400),
        (deep.as_str(), 422),
        (long.as_str(), 413),
    ];
    for (body, status) in cases {
        let request = world.request(Method::POST, BRANCHES).bearer_auth(&world.token);
        let answer = world.answer(request.header("content-type", "application/json").body(body.to_owned())).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!((answer.status, answer.problem().as_str()), (status, "body"), "{shown}: {}", answer.text);
        assert!(answer.json()["hint"].is_string());
    }
    let request = world.request(Method::POST, BRANCHES).bearer_auth(&world.token);
    let answer = world.answer(request.body("url=u&branch=b")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (415, "body"));
    assert_eq!(world.get(BRANCHES).await.json()["branches"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_good_token_in_the_right_place_counts() {
    let world = World::start().await;
    world.publish("feature").await;
    world.asked("feature").await;
    let accept = "/api/v1/projects/heron/branches/feature/accept";
    let body = world.as_read("feature").await;

    let anonymous = world.answer(world.request(Method::POST, accept).json(&body)).await;
    assert_eq!((anonymous.status, anonymous.problem().as_str()), (401, "token-needed"));
    let by_query = format!("{accept}?token={0}&access_token={0}", world.token);
    let by_query = world.answer(world.request(Method::POST, &by_query).json(&body)).await;
    assert_eq!((by_query.status, by_query.problem().as_str()), (401, "token-needed"));
    assert!(!by_query.text.contains(&world.token), "the answer doesn't repeat it");
    let by_cookie = world.request(Method::POST, accept).header("cookie", format!("bb-session={}", world.token));
    let by_cookie = world.answer(by_cookie.json(&body)).await;
    assert_eq!((by_cookie.status, by_cookie.problem().as_str()), (401, "token-needed"));

    for token in ["x", "bb_maintainer_", &world.token[1..], &"9".repeat(4000)] {
        let answer = world.post_as(token, accept, &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "token-unknown"), "{token}");
    }
    let basic = world.request(Method::POST, accept).basic_auth("mia", Some(&world.token));
    assert_eq!(world.answer(basic.json(&body)).await.problem(), "token-form");

    for kind in [TokenKind::Publisher, TokenKind::Slave] {
        let token = world.token(kind, "oak").await;
        let answer = world.post_as(&token, accept, &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "not-allowed"), "{kind:?}");
        assert!(answer.json()["hint"].is_string());
    }

    let made = world.post("/api/v1/tokens", &json!({"kind": "maintainer", "name": "max"})).await.json();
    let (secret, id) = (made["secret"].as_str().unwrap(), &made["token"]["id"]);
    let whoami = async || world.answer(world.request(Method::GET, "/api/v1/whoami").bearer_auth(secret)).await;
    assert_eq!(whoami().await.json()["kind"], "maintainer");
    let revoke = world.request(Method::DELETE, &format!("/api/v1/tokens/{id}")).bearer_auth(&world.token);
    assert_eq!(world.answer(revoke).await.status, 200);
    assert_eq!(whoami().await.problem(), "token-unknown", "revoked at once, also for reading");
    assert_eq!(world.post_as(secret, accept, &body).await.problem(), "token-unknown");
    assert_eq!(world.get("/api/v1/projects/heron/queue").await.json()["entries"], json!([]), "nothing was accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_s_cookie_reads_and_changes_nothing_by_the_api() {
    let world = World::start().await;
    let login = world.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let answer = world.answer(login.body(format!("token={}&next=//evil.example", world.token))).await;
    assert!((300..400).contains(&answer.status), "{} {}", answer.status, answer.text);
    assert_eq!(answer.header("location"), "/", "no way to another site");
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite="), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let whoami = world.request(Method::GET, "/api/v1/whoami").header("cookie", &cookie);
    assert_eq!(world.answer(whoami).await.json()["kind"], "maintainer");
    for path in ["/api/v1/projects/heron/queue/pause", "/api/v1/tokens", BRANCHES] {
        let body = json!({"kind": "maintainer", "name": "eve", "url": "u", "branch": "b"});
        let body = if path == BRANCHES { json!({"url": "u", "branch": "b"}) } else { body };
        let request = world.request(Method::POST, path).header("cookie", &cookie).json(&body);
        let answer = world.answer(request).await;
        assert!(answer.status == 401 || answer.status == 422, "{path}: {} {}", answer.status, answer.text);
    }
    // A page's form without the session's word is another site's.
    let form = world.request(Method::POST, "/p/heron/queue/pause").header("cookie", &cookie);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("csrf=0");
    assert_eq!(world.answer(form).await.status, 403);
    assert_eq!(world.get("/api/v1/projects/heron/queue").await.json()["project"]["paused"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_do_not_follow_the_host_that_a_client_names() {
    // A name that is not known is refused; one that is known is good for no link either.
    let world = World::start_as("hosts = [\"evil.example\"]", "").await;
    world.publish("feature").await;
    world.asked("feature").await;
    let spoof = |path: &str| {
        let request = world.request(Method::GET, path).header("host", "evil.example");
        request.header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "https")
    };
    for path in
        ["/", "/p/heron", "/p/heron/branches/feature", "/api/v1/projects/heron/branches/feature", "/login", "/nothing"]
    {
        let answer = world.answer(spoof(path)).await;
        assert!(!answer.text.contains("evil.example"), "{path}: {}", answer.text);
        assert!(!answer.header("location").contains("evil.example"), "{path}");
    }
    let body: Value = json!({"url": world.author.url(), "branch": "feature"});
    let again = world.request(Method::POST, BRANCHES).bearer_auth(&world.token).header("host", "evil.example");
    let again = world.answer(again.json(&body)).await;
    assert_eq!(again.status, 200);
    assert!(!again.header("location").contains("evil") && !again.text.contains("evil.example"), "{}", again.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_has_the_security_headers() {
    let world = World::start().await;
    world.publish("feature").await;
    world.asked("feature").await;
    let paths = [
        ("/", "page"),
        ("/p/heron", "page"),
        ("/nothing", "page"),
        ("/p/none", "page"),
        ("/api/v1/projects", "api"),
        ("/api/v1/nothing", "api"),
        ("/api/v1/builds/1/log", "log"),
        ("/p/heron/builds/1/steps/1/log", "log"),
        ("/healthz", "api"),
        ("/git/heron.git/info/refs?service=git-upload-pack", "git"),
        ("/git/heron.git/info/refs?service=git-receive-pack", "git"),
        ("/static/0/none.css", "page"),
    ];
    for (path, kind) in paths {
        let answer = world.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        let policy = answer.header("content-security-policy");
        if kind == "log" {
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(policy, "sandbox", "{path}");
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        } else {
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
        }
        if kind == "page" || kind == "api" {
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), "", "no other site may read: {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn git_reads_everything_and_writes_nothing() {
    let world = World::start().await;
    world.publish("feature").await;
    world.asked("feature").await;
    let url = world.at("/git/heron.git");
    let folder = world.folder().join("clone");
    let cloned = tokio::task::spawn_blocking(move || testkit::git::Repo::clone(&url, folder)).await.unwrap();
    assert_eq!(cloned.resolve("origin/main"), world.official.head());
    for what in ["refs/heads/pushed", "refs/heads/main"] {
        let refused = cloned.try_git(&["push", "--quiet", "--force", "origin", &format!("HEAD:{what}")]).unwrap_err();
        assert!(refused.contains("403") || refused.contains("read"), "{refused}");
    }
    let answer = world.answer(world.request(Method::POST, "/git/heron.git/git-receive-pack").body("0000")).await;
    assert_eq!(answer.status, 403);
    assert!(answer.json()["hint"].is_string(), "{}", answer.text);
    assert_eq!(world.official.log("main"), ["Begin"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_maintainers_token_is_not_revoked() {
    let world = World::start().await;
    let revoke = async |id: i64| {
        world.answer(world.request(Method::DELETE, &format!("/api/v1/tokens/{id}")).bearer_auth(&world.token)).await
    };
    let last = revoke(1).await;
    assert_eq!((last.status, last.problem().as_str()), (409, "last-maintainer"));
    assert!(last.text.contains("bb token new maintainer"), "{}", last.text);
    let other = world.post("/api/v1/tokens", &json!({"kind": "maintainer", "name": "olga", "trusted": true})).await;
    assert_eq!(other.status, 201, "{}", other.text);
    assert_eq!(revoke(1).await.status, 200);
    assert_eq!(revoke(1).await.status, 401, "it is good for nothing any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_a_build_never_has_is_not_here() {
    let world = World::start().await;
    world.publish("feature").await;
    world.asked("feature").await;
    for path in ["/api/v1/builds/1/steps/2/log", "/api/v1/builds/1/steps/99/log/events"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "no-such-step"), "{path}");
    }
    assert_eq!(world.get("/api/v1/builds/1/steps/1/log").await.status, 200, "it may begin");
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_a_live_branch_again_says_anew_what_it_is() {
    let world = World::start().await;
    world.publish("feature").await;
    let again = async |token: &str, title: &str, bugs: Value| {
        let body = json!({"url": world.author.url(), "branch": "feature", "title": title, "bugs": bugs});
        let answer = world.post_as(token, BRANCHES, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    let other = world.token(TokenKind::Publisher, "ann").await;
    let said = again(&world.token, "Balance the load", json!(["412"])).await;
    assert_eq!((said["title"].as_str(), &said["bugs"]), (Some("Balance the load"), &json!(["412"])));
    let kept = again(&world.token, "", json!([])).await;
    assert_eq!((kept["title"].as_str(), &kept["bugs"]), (Some("Balance the load"), &json!(["412"])));
    let not_hers = again(&other, "Something else", json!([])).await;
    assert_eq!(not_hers["title"], "Balance the load");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_queue_is_not_called_paused() {
    let world = World::start().await;
    let (mut oak, _) = crate::support::slave::FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    oak.passes_next().await;
    world.verdict("feature", "ready").await;
    let queue = "/api/v1/projects/heron/queue";
    world.post(&format!("{queue}/pause"), &json!({})).await;
    world.accept("feature").await;
    world.verdict("feature", "queue-paused").await;
    let resumed = world.post(&format!("{queue}/resume"), &json!({})).await;
    assert!(!resumed.text.contains("is paused"), "{}", resumed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_sent_compressed_to_who_can_read_that_and_streams_are_not_held_back() {
    use std::io::Read as _;
    let world = World::start().await;
    world.publish("feature").await;
    for path in ["/p/heron", "/p/heron/branches", "/p/heron/branches/feature", BRANCHES] {
        let plain = world.get(path).await;
        assert_eq!((plain.status, plain.headers.get("content-encoding")), (200, None), "{path}");
        let packed = world.request(Method::GET, path).header("accept-encoding", "br, gzip").send().await.unwrap();
        if plain.text.len() < 1024 {
            assert_eq!(packed.headers().get("content-encoding"), None, "{path} is small as it is");
            continue;
        }
        assert_eq!(packed.headers()["content-encoding"], "gzip", "{path}");
        assert!(packed.headers()["vary"].to_str().unwrap().contains("accept-encoding"), "{path}");
        assert!(packed.headers().contains_key("content-security-policy"), "{path}");
        let (bytes, mut text) = (packed.bytes().await.unwrap(), String::new());
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert!(bytes.len() * 2 < text.len(), "{path}: {} of {}", bytes.len(), text.len());
        assert!(text.starts_with(&plain.text[..15]), "{path}: {text}");
    }
    let stream = world.request(Method::GET, "/api/v1/events?since=0").header("accept-encoding", "gzip");
    let mut stream = stream.header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(stream.headers().get("content-encoding"), None);
    assert!(stream.chunk().await.unwrap().is_some_and(|first| !first.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_counts_only_when_this_masters_own_page_sent_it() {
    let world = World::start().await;
    let (cookie, csrf) = signed_in(&world).await;
    let send = async |word: &str, csrf: &str, said: (&str, String)| {
        let request = world.request(Method::POST, &format!("/p/heron/queue/{word}"));
        world.answer(request.header("cookie", &cookie).header(said.0, said.1).sends(&[("csrf", csrf)])).await.status
    };
    let own = world.at("");
    for (csrf, name, said) in [
        (csrf.as_str(), "origin", "https://evil.example".to_owned()),
        (&csrf, "origin", "null".to_owned()),
        (&csrf, "origin", format!("{own}0")),
        (&csrf, "sec-fetch-site", "cross-site".to_owned()),
        (&csrf, "sec-fetch-site", "same-site".to_owned()),
        ("", "origin", own.clone()),
        (&csrf[1..], "origin", own.clone()),
    ] {
        assert_eq!(send("pause", csrf, (name, said.clone())).await, 403, "{csrf} {name}: {said}");
    }
    let paused = async || world.get("/api/v1/projects/heron/queue").await.json()["project"]["paused"].clone();
    assert_eq!(paused().await, json!(false));
    assert_eq!(send("pause", &csrf, ("origin", own.clone())).await, 303);
    assert_eq!(paused().await, json!(true));
}
