//! What strangers register, and what it costs others: looks, names, rights.

use crate::support::World;
use master::stepping::Loop;
use master::store::TokenKind;
use protocol::EventId;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const BRANCHES: &str = "/api/v1/projects/heron/branches";

/// A server that answers everybody, a byte now and then, and never to the end.
struct Dripping {
    url: String,
    asked: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Dripping {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, ended): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let counts = (asked.clone(), ended.clone());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (asked, ended) = counts.clone();
                tokio::spawn(async move {
                    let _ = socket.read_u8().await;
                    asked.fetch_add(1, Ordering::SeqCst);
                    let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
                    let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
                    while socket.write_all(b"x").await.is_ok() {
                        tick.tick().await;
                    }
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, asked, ended }
    }
}

async fn publish(world: &World, token: &str, url: &str, branch: &str) {
    let body = json!({"url": url, "branch": branch, "name": branch});
    let answer = world.post_as(token, BRANCHES, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn dripping_sources_of_one_publisher_delay_nobody() {
    let world = World::open_to_all("", "").await;
    let (eve, ann) = (world.token(TokenKind::Publisher, "eve").await, world.token(TokenKind::Publisher, "ann").await);
    // At as many hosts as she likes.
    let servers = [Dripping::start().await, Dripping::start().await, Dripping::start().await];
    for n in 0..36 {
        publish(&world, &eve, &format!("{}/r{n}.git", servers[n % 3].url), &format!("evil-{n}")).await;
    }
    let asked = || servers.iter().map(|it| it.asked.load(Ordering::SeqCst)).sum::<usize>();
    let ended = || servers.iter().map(|it| it.ended.load(Ordering::SeqCst)).sum::<usize>();
    world.until("they are asked", async || if asked() >= 4 { Ok(()) } else { Err(asked().to_string()) }).await;

    world.author.branch("feature", "origin/main");
    world.author.commit(&[("feature", "text\n")], "Add feature");
    publish(&world, &ann, world.author.url(), "feature").await;
    world
        .until("the other's branch is fetched", async || {
            let it = world.branch("feature").await;
            if it["summary"]["revision"] == 1 { Ok(()) } else { Err(it["watch"].to_string()) }
        })
        .await;
    assert_eq!((asked(), ended()), (4, 0), "all that is hers still drips, and is her share");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_drips_stops_neither_its_publisher_s_branches_elsewhere_nor_anybody_else_s() {
    let world = World::open_to_all("", "").await;
    let (eve, ann) = (world.token(TokenKind::Publisher, "eve").await, world.token(TokenKind::Publisher, "ann").await);
    let server = Dripping::start().await;
    for n in 0..12 {
        publish(&world, &eve, &format!("{}/r{n}.git", server.url), &format!("slow-{n}")).await;
    }
    let asked = || server.asked.load(Ordering::SeqCst);
    world
        .until("all is asked that may be", async || if asked() >= 2 { Ok(()) } else { Err(asked().to_string()) })
        .await;
    for (token, name) in [(&eve, "hers"), (&ann, "another-s")] {
        world.author.branch(name, "origin/main");
        world.author.commit(&[(name, "text\n")], "Add");
        publish(&world, token, world.author.url(), name).await;
    }
    for name in ["hers", "another-s"] {
        world
            .until("it is fetched", async || {
                let it = world.branch(name).await;
                if it["summary"]["revision"] == 1 { Ok(()) } else { Err(it["watch"].to_string()) }
            })
            .await;
    }
    assert_eq!((asked(), server.ended.load(Ordering::SeqCst)), (2, 0), "what drips is not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_goes_back_and_forth_makes_two_revisions_and_is_not_built_again() {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    let (mut oak, _) = crate::support::slave::FakeSlave::new(&world, "oak").await;
    let look = async || {
        let body = json!({"url": world.author.url(), "branch": "feature"});
        assert_eq!(world.post(BRANCHES, &body).await.status, 200);
        for which in [Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule] {
            world.turn(which).await;
        }
        world.branch("feature").await
    };
    world.publish("feature").await;
    assert_eq!(look().await["summary"]["revision"], 1);
    oak.passes_next().await;
    let one = world.author.head();
    let two = world.author.commit(&[("feature", "more\n")], "Add more");
    assert_eq!(look().await["summary"]["revision"], 2);
    oak.passes_next().await;
    world.author.git(&["switch", "--quiet", "--detach"]);
    let builds = world.store().newest_event().await.unwrap();

    let mut last = Value::Null;
    for round in 0..31 {
        let to = if round % 2 == 0 { &one } else { &two };
        world.author.git(&["branch", "--force", "feature", to]);
        last = look().await;
        if round == 0 {
            assert_eq!(last["summary"]["revision"], 1, "the same commit is the same revision");
            assert_eq!(last["summary"]["verdict"]["code"], "ready", "with its results: {}", last["summary"]);
            assert_eq!(last["revisions"].as_array().unwrap().len(), 2);
        }
    }
    assert_eq!(last["revisions"].as_array().unwrap().len(), 2);
    let open = world.store().open_builds().await.unwrap();
    assert!(open.is_empty(), "nothing is built again: {open:#?}");
    let events = world.store().events_after(builds, 200).await.unwrap();
    let moves = events.iter().filter(|e| e.kind == "revision").count();
    assert_eq!(moves, 10, "with the first two, as many as may come at once");
    let trouble = last["watch"]["trouble"].as_str().unwrap_or_default();
    assert!(trouble.contains("moves more often than it may"), "{trouble}");
    let row = world.branch_row("feature").await;
    assert_eq!(row.trouble.unwrap().code, "moves-too-often");
    // What is in the mirror is what the rows say.
    let head = world.get("/git/heron.git/info/refs?service=git-upload-pack").await;
    assert_eq!(head.status, 200);

    let page = world.get(&format!("{BRANCHES}/feature/revisions?before=2")).await.json();
    assert_eq!(page["revisions"].as_array().unwrap().len(), 1);
    assert!(page.get("older").is_none(), "{page}");
    let shown = world.get("/p/heron/branches/feature/revisions").await;
    assert!(shown.status == 200 && shown.text.contains("<b>r2</b>"), "{}", shown.text);
}

/// What a form sends.
pub trait Sends {
    fn sends(self, fields: &[(&str, &str)]) -> Self;
}

impl Sends for reqwest::RequestBuilder {
    fn sends(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }
}

/// A registration by somebody who shows no token.
async fn register(world: &World, n: usize, header: (&str, &str)) -> crate::support::Answer {
    let body = json!({"url": world.author.url(), "branch": format!("b{n}")});
    let request = world.request(Method::POST, BRANCHES).json(&body).header(header.0, header.1);
    world.answer(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_register_so_many_in_an_hour() {
    let mut world = World::open_to_all("", "").await;
    for n in 0..10 {
        assert_eq!(register(&world, n, ("x", "y")).await.status, 201);
    }
    for _ in 0..2 {
        let refused = register(&world, 10, ("x", "y")).await;
        assert_eq!((refused.status, refused.problem().as_str()), (429, "too-many-registrations"));
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=3600).contains(&seconds), "{seconds}");
        assert_eq!(refused.json()["retry_after_s"], seconds);
        assert_eq!(register(&world, 3, ("x", "y")).await.status, 200, "what is live already can be looked at");
        world.kill_master().await;
        world.start_master().await;
    }
    // Many come through a proxy that is not listed; what it says of them counts for nothing.
    assert_eq!(register(&world, 10, ("x-forwarded-for", "203.0.113.1")).await.status, 201);
    let ann = world.token(TokenKind::Publisher, "ann").await;
    for (token, branch) in [(&ann, "of-ann"), (&world.token, "of-mia")] {
        publish(&world, token, world.author.url(), branch).await;
    }
    let form = [("url", world.author.url()), ("branch", "b99"), ("name", ""), ("title", "Mine"), ("bugs", "")];
    let sent = world.answer(world.request(Method::POST, "/p/heron/publish").sends(&form)).await;
    assert_eq!(sent.status, 429);
    assert!(sent.text.contains("too-many-registrations") && sent.text.contains("value=\"Mine\""), "{}", sent.text);
    assert!(sent.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_listed_proxy_each_address_has_its_own_limits() {
    let settings =
        "[clients]\ntrusted_proxies = [\"127.0.0.1/32\"]\n[registrations]\nhour_anonymous = 1\nhour_host = 100\n";
    let world = World::open_to_all(settings, "").await;
    for (n, address) in ["203.0.113.1", "203.0.113.2", "2001:db8::1"].into_iter().enumerate() {
        assert_eq!(register(&world, n, ("x-forwarded-for", address)).await.status, 201, "{address}");
    }
    for again in ["203.0.113.1", "198.51.100.1, 203.0.113.2", "2001:db8::2"] {
        assert_eq!(register(&world, 9, ("x-forwarded-for", again)).await.status, 429, "{again}");
    }
}

async fn claim(world: &World, token: &str, name: &str, body: &Value) -> crate::support::Answer {
    world.post_as(token, &format!("{BRANCHES}/{name}/claim"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_controls_a_repository_has_the_rights_over_what_was_registered_of_it() {
    let world = World::open_to_all("", "").await;
    let token = async |name| world.token(TokenKind::Publisher, name).await;
    let (ann, ben) = (token("ann").await, token("ben").await);
    world.author.branch("feature", "origin/main");
    world.author.commit(&[("feature", "text\n")], "Add feature");
    let body = json!({"url": world.author.url(), "branch": "feature", "name": "feature"});
    assert_eq!(world.answer(world.request(Method::POST, BRANCHES).json(&body)).await.status, 201);
    assert_eq!(register(&world, 1, ("x", "y")).await.status, 201);
    let withdraw = format!("{BRANCHES}/feature/withdraw");
    assert_eq!(world.post_as(&ann, &withdraw, &json!({})).await.status, 403);

    let asked = claim(&world, &ann, "feature", &json!({})).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    let asked = asked.json();
    assert_eq!(asked["proved"], false);
    let challenge = asked["challenge"].as_str().unwrap();
    assert!(asked["push"].as_str().unwrap().ends_with(&format!("HEAD:refs/heads/{challenge}")), "{asked}");
    // What a stranger named is a word of the command, and no part of it.
    let evil = testkit::git::Repo::clone(world.author.url(), world.author.path().join("$(id)"));
    let body = json!({"url": evil.url(), "branch": "main", "name": "evil"});
    assert_eq!(world.answer(world.request(Method::POST, BRANCHES).json(&body)).await.status, 201);
    let told = claim(&world, &ann, "evil", &json!({})).await.json();
    assert!(told["push"].as_str().unwrap().starts_with("git push '/"), "{told}");
    let bens = claim(&world, &ben, "feature", &json!({})).await.json();
    assert_ne!(bens["challenge"], asked["challenge"], "it is good for one token only");

    world.author.git(&["push", "--quiet", world.author.url(), &format!("HEAD:refs/heads/{challenge}")]);
    assert_eq!(claim(&world, &ben, "feature", &json!({})).await.json()["proved"], false, "what ann shows is not ben's");
    let proved = claim(&world, &ann, "feature", &json!({})).await.json();
    assert_eq!((&proved["proved"], &proved["branch"]["publisher"]), (&json!(true), &json!("ann")));
    // All live branches of the repository, those that nobody's token had among them.
    assert_eq!(world.branch("b1").await["summary"]["publisher"], "ann");

    // Ben may push there, too: what ann has published since is hers, whatever he shows, and he need show nothing to be told.
    let kept = claim(&world, &ben, "feature", &json!({})).await;
    assert_eq!((kept.status, kept.problem().as_str()), (409, "published-by-another"));
    let bens = bens["challenge"].as_str().unwrap();
    world.author.git(&["push", "--quiet", world.author.url(), &format!("HEAD:refs/heads/{bens}")]);
    assert_eq!(claim(&world, &ben, "feature", &json!({})).await.problem(), "published-by-another");
    assert_eq!(world.post_as(&ben, &withdraw, &json!({})).await.status, 403);
    assert_eq!(world.branch("feature").await["summary"]["publisher"], "ann");
    assert_eq!(claim(&world, &ann, "feature", &json!({})).await.json()["proved"], true);
    assert_eq!(world.post_as(&ann, &withdraw, &json!({})).await.status, 200);
    assert_eq!(claim(&world, &ben, "feature", &json!({})).await.problem(), "branch-ended");

    assert_eq!(claim(&world, &world.token, "nothing", &json!({})).await.status, 404);
    let nobody = world.answer(world.request(Method::POST, &format!("{BRANCHES}/feature/claim")).json(&json!({}))).await;
    assert_eq!(nobody.problem(), "token-needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_a_branch_that_ended_unfetched_is_claimed_with_a_repository() {
    let world = World::open_to_all("[registrations]\nhour_publisher = 1", "").await;
    let (eve, ann) = (world.token(TokenKind::Publisher, "eve").await, world.token(TokenKind::Publisher, "ann").await);
    world.author.branch("fix", "origin/main");
    world.author.commit(&[("fix", "text\n")], "Add fix");
    publish(&world, &eve, "http://127.0.0.1:1/none.git", "fix").await;
    let own = json!({"url": world.author.url(), "branch": "fix", "name": "fix"});
    assert_eq!(world.post_as(&ann, BRANCHES, &own).await.problem(), "name-taken");

    world
        .until("it was looked at in vain", async || {
            let it = world.branch("fix").await;
            if it["watch"]["trouble"].is_null() { Err(it["watch"].to_string()) } else { Ok(()) }
        })
        .await;
    let body = json!({"url": world.author.url(), "branch": "fix"});
    let in_use = claim(&world, &ann, "fix", &body).await;
    assert_eq!((in_use.status, in_use.problem().as_str()), (409, "name-in-use"), "eve's source fails only now");
    assert_eq!(world.post(&format!("{BRANCHES}/fix/withdraw"), &json!({})).await.status, 200);
    let mainline = json!({"url": world.official.url(), "branch": "main"});
    assert_ne!(claim(&world, &ann, "fix", &mainline).await.status, 200);
    let asked = claim(&world, &ann, "fix", &body).await.json();
    assert_eq!((&asked["proved"], &asked["branch"]["publisher"]), (&json!(false), &json!("eve")));
    world.author.branch(asked["challenge"].as_str().unwrap(), "fix");
    let proved = claim(&world, &ann, "fix", &body).await.json();
    assert_eq!((&proved["proved"], &proved["branch"]["publisher"]), (&json!(true), &json!("ann")));
    assert_eq!(world.branch("fix-2").await["summary"]["publisher"], "eve");
    world
        .until("it is fetched", async || {
            let it = world.branch("fix").await;
            if it["summary"]["revision"] == 1 { Ok(()) } else { Err(it["watch"].to_string()) }
        })
        .await;
    let eves = json!({"url": "http://127.0.0.1:1/none.git", "branch": "other"});
    assert_eq!(claim(&world, &eve, "fix", &eves).await.problem(), "name-in-use");
    let events = world.store().events_after(EventId(0), 100).await.unwrap();
    assert!(events.iter().any(|e| e.kind == "renamed" && e.actor == "ann"));
    // A claimed name is a registration like any other.
    let more = json!({"url": world.author.url(), "branch": "more"});
    assert_eq!(world.post_as(&ann, BRANCHES, &more).await.problem(), "too-many-registrations");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_by_which_a_branch_is_claimed() {
    let world = World::open_to_all("", "").await;
    assert_eq!(register(&world, 1, ("x", "y")).await.status, 201);
    let path = "/p/heron/branches/b1/claim";
    let page = world.get(path).await;
    assert!(page.status == 200 && page.text.contains("sign in"), "{}", page.text);
    let ann = world.token(TokenKind::Publisher, "ann").await;
    let signed = world.answer(world.request(Method::POST, "/login").sends(&[("token", &ann)])).await;
    let cookie = signed.header("set-cookie").split(';').next().unwrap().to_owned();
    let ask = async |method| world.request(method, path).header("cookie", &cookie);
    let page = world.answer(ask(Method::GET).await).await;
    let csrf = page.text.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = [("csrf", csrf.as_str())];
    let told = world.answer(ask(Method::POST).await.sends(&form)).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let challenge = told.text.split("refs/heads/").nth(1).unwrap().split('<').next().unwrap().trim().to_owned();
    world.author.branch(&challenge, "origin/main");
    let done = world.answer(ask(Method::POST).await.sends(&form)).await;
    assert!(done.status == 200 && done.text.contains("It is yours"), "{}", done.text);
    let branch = world.answer(world.request(Method::GET, "/p/heron/branches/b1").header("cookie", &cookie)).await;
    assert!(!branch.text.contains("Is the repository yours?"), "it is");
    assert_eq!(world.branch("b1").await["summary"]["publisher"], "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_what_is_refused_is_not_said_again() {
    let world = World::open_to_all("", "").await;
    let urls = [
        "https://ann:s3cret@git.example.org/r.git",
        "https://s3cret@git.example.org/r.git",
        "https://ann:s3c/r@t@git.example.org/s3cret@r.git",
        "ann:s3cret@git.example.org:r.git",
        "ftp://ann:s3cret@git.example.org/r.git",
        "ssh://git:s3cret@git.example.org/r.git",
        "https://git.example.org/r.git?access_token=s3cret",
        "https://git.example.org/r.git;token=s3cret",
        "https://git.example.org/token=s3cret/r.git",
        "//git.example.org/r.git;token=s3cret",
        "-https://ann:s3cret@git.example.org/r.git",
    ];
    for url in urls {
        for field in ["url", "branch", "name"] {
            let given = |name: &str| if name == field { url.to_owned() } else { "x/../y".to_owned() };
            let (source, branch, name) = (given("url"), given("branch"), given("name"));
            let form = [("url", source.as_str()), ("branch", &branch), ("name", &name)];
            let page = world.answer(world.request(Method::POST, "/p/heron/publish").sends(&form)).await;
            assert_eq!(page.status, 422, "{url} {}", page.text);
            let body = json!({"url": source, "branch": branch, "name": name});
            let api = world.answer(world.request(Method::POST, BRANCHES).json(&body)).await;
            assert_eq!(api.status, 422, "{url} {}", api.text);
            for text in [&page.text, &api.text] {
                assert!(!text.contains("s3c"), "{field} = {url}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_of_strangers_beyond_what_may_wait_are_asked_for_when_there_is_room() {
    let world = World::stepped_as("[registrations]\npending_publisher = 1\npending_host = 9\n").await;
    world.turn(Loop::Mainline).await;
    let ann = world.token(TokenKind::Publisher, "ann").await;
    for name in ["one", "two", "hers"] {
        world.author.git(&["fetch", "--quiet", "origin"]);
        world.author.branch(name, "origin/main");
        world.author.commit(&[(name, "text\n")], &format!("Add {name}"));
        publish(&world, if name == "hers" { &world.token } else { &ann }, world.author.url(), name).await;
        // They come one after the other, so that it is known whose turn is first.
        for which in [Loop::Watch, Loop::Candidates, Loop::Builds] {
            world.turn(which).await;
        }
    }
    let waiting = async || {
        let mut names = Vec::new();
        for build in world.store().open_builds().await.unwrap() {
            names.push(world.store().branch_by_id(build.branch).await.unwrap().name.to_string());
        }
        names
    };
    assert_eq!(waiting().await, ["one", "hers"], "a maintainer's branch is trusted, and waits for nobody");
    let held = world.branch("two").await["summary"]["verdict"].clone();
    assert_eq!((&held["code"], &held["next"]["who"]), (&json!("too-many-pending"), &json!("bb")), "{held}");
    assert!(held["because"].as_str().unwrap().contains("no more than 1 builds of this publisher"), "{held}");
    assert!(held["next"]["what"].as_str().unwrap().contains("when some of those that wait have begun"), "{held}");

    // Nor does asking by oneself go by; a maintainer's word does.
    let rebuild = format!("{BRANCHES}/two/rebuild");
    let refused = world.post_as(&ann, &rebuild, &json!({})).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too-many-pending"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(waiting().await, ["one", "hers"]);

    // Nothing is lost: as soon as one has begun, the next is asked for.
    let (mut oak, _) = crate::support::slave::FakeSlave::new(&world, "oak").await;
    world.turn(Loop::Schedule).await;
    let begun = oak.given().await;
    world.turn(Loop::Builds).await;
    let mut now = waiting().await;
    now.sort();
    let is_ones = begun.what.starts_with("one");
    assert_eq!(now.contains(&"two".to_owned()), is_ones, "{}: {now:?}", begun.what);
    if !is_ones {
        oak.ends(begun.of, 0, protocol::BuildResult::Success).await;
        world.turn(Loop::Schedule).await;
        oak.given().await;
        world.turn(Loop::Builds).await;
        assert!(waiting().await.contains(&"two".to_owned()), "{:?}", waiting().await);
    }
    let two = world.branch("two").await["summary"]["verdict"]["code"].clone();
    assert_eq!(two, "waiting");
    let asked = world.post(&rebuild, &json!({})).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
}
