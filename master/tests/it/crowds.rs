//! Crowds of strangers, and what they leave to others.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::store::TokenKind;
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Error;

/// An answer's head, and the connection that it stands open on.
struct Open {
    head: String,
    socket: TcpStream,
}

impl Open {
    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }
}

/// Asks for something and reads the head of the answer.
async fn open(world: &World, path: &str, headers: &str) -> Open {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    ask(world.connect().await, &request).await
}

/// The same, of a whole request.
async fn ask(mut socket: TcpStream, request: &str) -> Open {
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("an answer"));
    }
    Open { head: String::from_utf8(head).unwrap(), socket }
}

const EVENTS: &str = "/api/v1/events";

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_the_event_stream_closes_no_door() {
    let world =
        World::start_as("[clients]\nconnections = 64\nstreams_anonymous = 200\nstreams_anonymous_each = 200\n", "")
            .await;
    let mut crowd = Vec::new();
    let refused = loop {
        let one = open(&world, EVENTS, "").await;
        match one.status() {
            200 => crowd.push(one),
            _ => break one,
        }
    };
    assert_eq!(crowd.len(), 64 - 64 / 8);
    assert_eq!(refused.status(), 503, "{}", refused.head);
    assert!(refused.head.contains("retry-after: 10") && refused.head.contains("problem+json"), "{}", refused.head);

    assert_eq!(world.get("/healthz").await.text, "ok\n");
    let known = format!("authorization: Bearer {}\r\n", world.token);
    assert_eq!(open(&world, EVENTS, &known).await.status(), 200, "a maintainer's stream");
    let pause = world.post("/api/v1/projects/heron/queue/pause", &serde_json::json!({})).await;
    assert_eq!(pause.status, 200, "{}", pause.text);
    FakeSlave::new(&world, "oak").await;
    let page = world.get("/p/heron").await;
    assert_eq!(page.status, 503, "a stranger's page waits");
    assert!(
        page.header("content-type").starts_with("text/html") && page.header("retry-after") == "10",
        "{}",
        page.text
    );

    drop(crowd);
    world
        .until("their places are free again", async || {
            let page = world.get("/p/heron").await;
            if page.status == 200 { Ok(()) } else { Err(page.status.to_string()) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_listed_proxy_each_client_has_its_own_share() {
    let settings =
        "[clients]\ntrusted_proxies = [\"127.0.0.1/32\"]\nstreams_anonymous_each = 2\nforms_anonymous_each = 1\n";
    let world = World::start_as(settings, "").await;
    let from = |address: &str| format!("x-forwarded-for: 10.9.8.7, {address}\r\n");
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(open(&world, EVENTS, &from("203.0.113.1")).await);
    }
    assert!(held.iter().all(|it| it.status() == 200));
    let third = open(&world, EVENTS, &from("203.0.113.1")).await;
    assert_eq!(third.status(), 429, "{}", third.head);
    assert!(third.head.contains("retry-after: 10"), "{}", third.head);
    assert_eq!(open(&world, EVENTS, &from("203.0.113.2")).await.status(), 200);
    assert_eq!(open(&world, EVENTS, "").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlisted_proxy_is_not_believed_and_locks_nobody_out() {
    let world = World::start_as("[clients]\nstreams_anonymous = 6\nstreams_anonymous_each = 2\n", "").await;
    let mut held = Vec::new();
    let refused = loop {
        let forged = format!("x-forwarded-for: 203.0.113.{}\r\n", held.len());
        let one = open(&world, EVENTS, &forged).await;
        match one.status() {
            200 => held.push(one),
            _ => break one,
        }
    };
    assert_eq!((held.len(), refused.status()), (3, 429), "half of all, whatever it says");
    assert_eq!(world.get("/p/heron").await.status, 200);
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_make_room() {
    let world = World::start_as("[clients]\nconnections = 8\n", "request_s = 3600").await;
    let mut silent = Vec::new();
    for begin in ["", "GET /api/v1/events HTTP/1.1\r\nhost: loc"].iter().cycle().take(40) {
        let mut socket = world.connect().await;
        socket.write_all(begin.as_bytes()).await.unwrap();
        silent.push(socket);
    }
    assert_eq!(world.get("/healthz").await.text, "ok\n");
    assert_eq!(world.get("/p/heron").await.status, 200);
    let mut rest = Vec::new();
    let _ = silent[0].read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "the first was closed without a word: {rest:?}");
    // Connections that were answered and wait for the next request make room, too.
    let mut served = Vec::new();
    for _ in 0..20 {
        let one = open(&world, "/healthz", "").await;
        assert_eq!(one.status(), 200);
        served.push(one.socket);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_the_answer_is_not_waited_for() {
    let world = World::start_as("[clients]\ngit_anonymous = 1\n", "answer_s = 1\nrequest_s = 60").await;
    // A pack that no socket's buffer holds.
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}")
    })
    .take(3 << 20)
    .collect();
    world.author.commit(&[("noise", &noise)], "Add noise");
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    let tip = world.author.git(&["rev-parse", "HEAD"]).trim().to_owned();
    world
        .until("mainline is mirrored", async || {
            let project = world.store().project_by_id(protocol::ProjectId(1)).await.unwrap();
            if project.tip.as_ref().is_some_and(|at| at.as_str() == tip) { Ok(()) } else { Err(String::new()) }
        })
        .await;
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let wants = format!("{}0000{}", line(&format!("want {tip} no-progress\n")), line("done\n"));
    let request = format!(
        "POST /git/heron.git/git-upload-pack HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{wants}",
        wants.len()
    );
    // A small buffer, whatever this machine gives others: most of the answer has to wait at the master.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    // With the head of the answer it has its place; it reads no more.
    let mut idle = ask(socket.connect(world.master().address()).await.unwrap(), &request).await;
    assert_eq!(idle.status(), 200, "{}", idle.head);
    // Its place is taken until it is given up: the other one waits for that.
    let refs = "/git/heron.git/info/refs?service=git-upload-pack";
    let other = world.answer(world.request(Method::GET, refs)).await;
    assert_eq!(other.status, 200, "{}", other.text);
    let mut got = Vec::new();
    let _ = idle.socket.read_to_end(&mut got).await;
    assert!(got.len() < noise.len() / 2, "it got {} bytes of {}", got.len(), noise.len());
    assert!(!got.ends_with(b"0\r\n\r\n"), "it was told that this is all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_takes_a_stream_s_place_however_its_address_is_written() {
    let world = World::start_as("[clients]\nstreams_anonymous = 1\nstreams_anonymous_each = 1\n", "").await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    for path in [format!("/api/v1/builds/{}/steps/1/log", of.build), format!("/api/v1/builds/{}/log", of.build)] {
        // Whoever had the place before has gone, which the master may not have heard of yet.
        let first = world
            .until("the place is free", async || {
                let first = open(&world, &format!("{path}?follow=1"), "").await;
                if first.status() == 200 { Ok(first) } else { Err(first.head) }
            })
            .await;
        for way in ["follow=1", "%66ollow=1", "from=0&%66%6f%6c%6c%6f%77"] {
            let second = open(&world, &format!("{path}?{way}"), "").await;
            assert_eq!(second.status(), 429, "{path}?{way}: {}", second.head);
        }
        drop(first);
    }
    world
        .until("the place is free again", async || {
            let again = open(&world, &format!("/api/v1/builds/{}/log?follow=1", of.build), "").await;
            if again.status() == 200 { Ok(()) } else { Err(again.head) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_slave_s_token_opens_no_crowd_of_connections() {
    let world = World::start().await;
    let token = world.token(TokenKind::Slave, "oak").await;
    let mut crowd = Vec::new();
    let refused = loop {
        match FakeSlave::open(&world, &token).await {
            Ok(silent) => crowd.push(silent),
            Err(refused) => break refused,
        }
        assert!(crowd.len() < 100, "they say nothing, and yet another one is let in");
    };
    assert_eq!(crowd.len(), 8);
    assert!(matches!(&refused, Error::Http(answer) if answer.status() == 503), "{refused}");
    FakeSlave::new(&world, "elm").await;
    drop(crowd);
    world
        .until("oak's places are free again", async || {
            FakeSlave::open(&world, &token).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
}
