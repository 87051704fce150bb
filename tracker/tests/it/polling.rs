//! Looking at branches: every way in, and every way in which a server can be bad.

use crate::support::http::{Answer, Server, publish, redirect, status};
use crate::support::other::{AS_A_SERVER, daemon, git_with_ssh};
use crate::support::{Repo, World, branch, git, on_loopback, source};
use std::time::Duration;
use tracker::Explain;
use tracker::mirror::{Admission, Mirror};
use tracker::source::{SourcePolicy, SourceUrl};
use tracker::watch::{Head, PollError, PollLimits, Poller};

fn poller() -> Poller {
    Poller::new(git(), on_loopback(), PollLimits::default()).unwrap()
}

fn at(url: &str) -> SourceUrl {
    source(url, &on_loopback())
}

async fn code(poller: &Poller, url: &str) -> &'static str {
    refused(poller, url).await.code()
}

async fn refused(poller: &Poller, url: &str) -> PollError {
    poller.head(&at(url), &branch("x")).await.unwrap_err()
}

#[tokio::test]
async fn smart_http_is_asked_by_one_post() {
    let temp = tempfile::tempdir().unwrap();
    let repo = Repo::init(temp.path().join("r"));
    let first = repo.commit("1");
    repo.branch("feature/x");
    let second = repo.commit("2");
    publish(&repo, temp.path(), "r.git");
    let server = Server::smart(temp.path());
    let poller = poller();
    let url = at(&server.url("r.git"));
    assert_eq!(poller.head(&url, &branch("main")).await.unwrap(), Head::At(first));
    assert_eq!(poller.head(&url, &branch("feature/x")).await.unwrap(), Head::At(second));
    assert_eq!(poller.head(&url, &branch("feature")).await.unwrap(), Head::Absent);
    assert_eq!(poller.head(&url, &branch("nothing")).await.unwrap(), Head::Absent);
    assert_eq!(server.seen(), ["POST /r.git/git-upload-pack"; 4]);
    assert!(server.requests().iter().all(|r| r.header("git-protocol") == Some("version=2")));
}

#[tokio::test]
async fn older_smart_servers_are_asked_for_their_list() {
    let temp = tempfile::tempdir().unwrap();
    let repo = Repo::init(temp.path().join("r"));
    let first = repo.commit("1");
    publish(&repo, temp.path(), "r.git");
    let root = temp.path().to_owned();
    // Such a server does not know the header, and drops it.
    let server = Server::start(move |request| {
        let mut request = request.clone();
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("git-protocol"));
        crate::support::http::http_backend(&root, &request)
    });
    let poller = poller();
    let url = at(&server.url("r.git"));
    assert_eq!(poller.head(&url, &branch("main")).await.unwrap(), Head::At(first.clone()));
    assert_eq!(poller.head(&url, &branch("x")).await.unwrap(), Head::Absent);
    // What was learnt is not tried again.
    assert_eq!(poller.head(&url, &branch("main")).await.unwrap(), Head::At(first));
    assert_eq!(server.seen().last().unwrap(), "GET /r.git/info/refs?service=git-upload-pack");
    assert_eq!(server.seen().iter().filter(|asked| asked.starts_with("POST")).count(), 2);
}

#[tokio::test]
async fn a_plain_folder_behind_a_web_server_is_asked_by_a_conditional_get() {
    let temp = tempfile::tempdir().unwrap();
    let repo = Repo::init(temp.path().join("r"));
    let first = repo.commit("1");
    publish(&repo, temp.path(), "r.git");
    let server = Server::dumb(temp.path());
    let poller = poller();
    let url = at(&server.url("r.git"));
    for _ in 0..2 {
        assert_eq!(poller.head(&url, &branch("main")).await.unwrap(), Head::At(first.clone()));
    }
    assert!(server.requests().last().unwrap().header("if-none-match").is_some());
    assert_eq!(server.seen().len(), 3);
    let second = repo.commit("2");
    std::fs::remove_dir_all(temp.path().join("r.git")).unwrap();
    publish(&repo, temp.path(), "r.git");
    assert_eq!(poller.head(&url, &branch("main")).await.unwrap(), Head::At(second));
}

#[tokio::test]
async fn all_branches_of_a_plain_folder_are_read_from_one_answer() {
    let temp = tempfile::tempdir().unwrap();
    let repo = Repo::init(temp.path().join("r"));
    let first = repo.commit("1");
    repo.git(&["branch", "-q", "other"]);
    publish(&repo, temp.path(), "r.git");
    let server = Server::dumb(temp.path());
    let poller = poller();
    let (url, names) = (at(&server.url("r.git")), ["other", "gone", "main"].map(branch));
    let found = [Head::At(first.clone()), Head::Absent, Head::At(first.clone())];
    assert_eq!(poller.heads(&url, &names).await.unwrap(), found);
    // The question of the newer protocol, which it does not know, and the list.
    assert_eq!(server.seen().len(), 2);
    assert_eq!(poller.heads(&url, &names).await.unwrap(), found);
    assert_eq!(server.seen().len(), 3);
    assert!(server.requests().last().unwrap().header("if-none-match").is_some());
    let second = repo.commit("2");
    std::fs::remove_dir_all(temp.path().join("r.git")).unwrap();
    publish(&repo, temp.path(), "r.git");
    // One of them alone learns of the change; what the others were read from is older then, so that all is asked for.
    assert_eq!(poller.head(&url, &names[2]).await.unwrap(), Head::At(second.clone()));
    assert_eq!(poller.heads(&url, &names).await.unwrap(), [Head::At(first), Head::Absent, Head::At(second)]);
    assert!(server.requests().last().unwrap().header("if-none-match").is_none());
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn what_a_server_says_of_itself_has_a_length() {
    let id = "a".repeat(40);
    let text = format!("{id}\trefs/heads/main\n");
    // A tag of 60 kB is not kept: the next time everything is asked for.
    let server = Server::start(move |request| match request.method.as_str() {
        "GET" => Answer::Whole(200, vec![("ETag", format!("\"{}\"", "e".repeat(60_000)))], text.clone().into_bytes()),
        _ => status(404),
    });
    let (poller, url) = (poller(), at(&server.url("r.git")));
    for _ in 0..2 {
        assert_eq!(poller.head(&url, &branch("main")).await.unwrap(), Head::At(id.parse().unwrap()));
    }
    assert!(server.requests().last().unwrap().header("if-none-match").is_none());
    let held = format!("{poller:?}");
    assert!(held.len() < 10_000, "{} bytes are remembered", held.len());
    // Of a place to go to, and of every other word, a page's worth is told.
    let to = format!("http://127.0.0.1/{}", "x".repeat(20_000));
    let far = Server::start(move |_| redirect(to.clone()));
    let odd = Server::start(|_| Answer::Whole(200, Vec::new(), [b"x".repeat(50_000), b"\n".to_vec()].concat()));
    for server in [&far, &odd] {
        let error = refused(&poller, &server.url("r.git")).await;
        assert!(matches!(error.code(), "redirect-refused" | "not-a-repository"), "{error}");
        assert!(error.to_string().len() + error.hint().len() < 1500, "{error}");
    }
}

#[tokio::test]
async fn local_repositories_are_asked_where_the_admin_allows_it() {
    let world = World::new().await;
    let ann = world.author("ann");
    let head = ann.commit("More");
    assert_eq!(world.poller.head(&world.source(&ann), &branch("ann")).await.unwrap(), Head::At(head));
    assert_eq!(world.poller.head(&world.source(&ann), &branch("bob")).await.unwrap(), Head::Absent);
    // The folder is no longer allowed, though the URL was taken when it was.
    let strict = Poller::new(git(), SourcePolicy::default(), PollLimits::default()).unwrap();
    let error = strict.head(&world.source(&ann), &branch("ann")).await.unwrap_err();
    assert_eq!(error.code(), "url-local-not-allowed");
}

#[tokio::test]
async fn ssh_is_asked_by_the_ssh_client_which_calls_the_vetted_address_and_never_asks() {
    let world = World::new().await;
    let ann = world.author("ann");
    let head = ann.write("b.c", "hello\n").commit("Say hello");
    let (git, called) = git_with_ssh(&world.temp.path().join("ssh"), AS_A_SERVER);
    let poller = Poller::new(git.clone(), on_loopback(), PollLimits::default()).unwrap();
    let url = at(&format!("ssh://ann@127.0.0.1:2222{}", ann.path.display()));
    assert_eq!(poller.head(&url, &branch("ann")).await.unwrap(), Head::At(head.clone()));
    let said = std::fs::read_to_string(&called).unwrap();
    let words: Vec<&str> = said.lines().collect();
    for wanted in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "HostName=127.0.0.1",
        "HostKeyAlias=[127.0.0.1]:2222",
        "2222",
        "ann@127.0.0.1",
    ] {
        assert!(words.contains(&wanted), "{wanted}: {said}");
    }
    let mirror = Mirror::open_or_create(git, world.mirror.path()).await.unwrap();
    let admission = Admission { source: url, ..world.admission(&ann, "ann", 1) };
    assert_eq!(mirror.admit(&poller, &admission).await.unwrap(), head);
    for (says, code) in [
        ("Host key verification failed.", "host-key-unknown"),
        ("ann@127.0.0.1: Permission denied (publickey).", "needs-password"),
        ("ssh: connect to host 127.0.0.1 port 22: Connection refused", "unreachable"),
        ("ssh: connect to host 127.0.0.1 port 22: Connection timed out", "unreachable"),
    ] {
        let (git, _) = git_with_ssh(&world.temp.path().join(code), &format!("echo '{says}' >&2; exit 255"));
        let poller = Poller::new(git, on_loopback(), PollLimits::default()).unwrap();
        let error = refused(&poller, "ssh://ann@127.0.0.1/r.git").await;
        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test]
async fn the_git_protocol_is_asked_by_git_at_the_vetted_address() {
    let world = World::new().await;
    let ann = world.author("ann");
    let head = ann.write("b.c", "hello\n").commit("Say hello");
    let root = world.temp.path().join("served");
    publish(&ann, &root, "r.git");
    let url = at(&format!("git://{}/r.git", daemon(&root)));
    assert_eq!(world.poller.head(&url, &branch("ann")).await.unwrap(), Head::At(head.clone()));
    let admission = Admission { source: url.clone(), ..world.admission(&ann, "ann", 1) };
    assert_eq!(world.mirror.admit(&world.poller, &admission).await.unwrap(), head);
    let nothing = at(&url.as_str().replace("r.git", "x.git"));
    assert_eq!(world.poller.head(&nothing, &branch("ann")).await.unwrap_err().code(), "not-found");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refused(&poller(), &format!("git://{closed}/r.git")).await;
    assert_eq!(error.code(), "unreachable", "{error}");
    assert!(error.may_pass());
}

#[tokio::test]
async fn a_server_that_wants_a_password_is_told_from_one_that_has_nothing() {
    let (wants, forbids) = (Server::start(|_| status(401)), Server::start(|_| status(403)));
    let (nothing, broken) = (Server::start(|_| status(404)), Server::start(|_| status(500)));
    let poller = poller();
    for server in [&wants, &forbids] {
        let error = refused(&poller, &server.url("r.git")).await;
        assert_eq!((error.code(), error.may_pass()), ("needs-password", false));
        assert!(error.hint().contains("without a password"), "{}", error.hint());
    }
    assert_eq!(code(&poller, &nothing.url("r.git")).await, "not-found");
    let error = refused(&poller, &broken.url("r.git")).await;
    assert_eq!((error.code(), error.may_pass()), ("server-error", true));
    let busy = Server::start(|_| Answer::Whole(429, vec![("Retry-After", "120".to_owned())], Vec::new()));
    let error = refused(&poller, &busy.url("r.git")).await;
    assert_eq!((error.code(), error.retry_after()), ("busy", Some(Duration::from_secs(120))));
}

#[tokio::test]
async fn a_web_page_is_not_a_repository() {
    let html =
        || Answer::Whole(200, vec![("Content-Type", "text/html".to_owned())], b"<html>\nHello\n</html>".to_vec());
    let server = Server::start(move |_| html());
    let error = refused(&poller(), &server.url("")).await;
    assert_eq!(error.code(), "not-a-repository");
    assert!(error.hint().contains("git update-server-info"));
}

#[tokio::test]
async fn a_server_that_never_answers_ends_in_time() {
    let server = Server::start(|_| Answer::Never);
    let limits = PollLimits { whole: Duration::from_millis(200), ..PollLimits::default() };
    let poller = Poller::new(git(), on_loopback(), limits).unwrap();
    let error = refused(&poller, &server.url("r.git")).await;
    assert_eq!((error.code(), error.may_pass()), ("no-answer", true));
    // The same over git's own protocol: it is a process that is ended here.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = refused(&poller, &format!("git://{}/r.git", listener.local_addr().unwrap())).await;
    assert_eq!(error.code(), "no-answer");
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let limits = PollLimits { answer_bytes: 1 << 20, ..PollLimits::default() };
    let poller = Poller::new(git(), on_loopback(), limits).unwrap();
    let pack = format!("003a{} refs/heads/y\n", "a".repeat(40)).into_bytes();
    let v2 =
        Server::start(move |_| Answer::Endless("Content-Type: application/x-git-upload-pack-result", pack.clone()));
    assert_eq!(code(&poller, &v2.url("r.git")).await, "answer-too-long");
    let pack = format!("003d{} refs/heads/yyyy\n", "a".repeat(40)).into_bytes();
    let old = Server::start(move |request| match request.method.as_str() {
        "POST" => status(404),
        _ => Answer::Endless("Content-Type: application/x-git-upload-pack-advertisement", pack.clone()),
    });
    let error = refused(&poller, &old.url("r.git")).await;
    assert_eq!(error.code(), "answer-too-long", "{error}");
    let line = format!("{}\trefs/heads/y\n", "a".repeat(40)).into_bytes();
    let dumb = Server::start(move |request| match request.method.as_str() {
        "POST" => status(404),
        _ => Answer::Endless("Content-Type: text/plain", line.clone()),
    });
    assert_eq!(code(&poller, &dumb.url("r.git")).await, "answer-too-long");
}

#[tokio::test]
async fn redirects_are_followed_to_where_a_publisher_could_point_and_nowhere_else() {
    let temp = tempfile::tempdir().unwrap();
    let repo = Repo::init(temp.path().join("r"));
    let first = repo.commit("1");
    publish(&repo, temp.path(), "r.git");
    let good = Server::smart(temp.path());
    let to = good.url("r.git");
    let moved = Server::start(move |request| {
        let tail = request.target.strip_prefix("/old.git").unwrap().to_owned();
        redirect(format!("{to}{tail}"))
    });
    let poller = poller();
    let head = poller.head(&at(&moved.url("old.git")), &branch("main")).await.unwrap();
    assert_eq!(head, Head::At(first));

    for (to, why) in [
        ("file:///etc/passwd/git-upload-pack", "place on this machine"),
        ("http://10.0.0.1/r.git/git-upload-pack", "not an address of the public network"),
        ("http://169.254.169.254/latest/git-upload-pack", "not an address of the public network"),
        ("http://127.0.0.1/somewhere-else", "does not lead to a repository"),
        ("ext::sh/git-upload-pack", "scheme"),
    ] {
        let server = Server::start(move |_| redirect(to.to_owned()));
        let error = refused(&poller, &server.url("r.git")).await;
        assert_eq!(error.code(), "redirect-refused", "{to}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let signed = Server::start(|_| redirect("http://10.0.0.1/r.git?signature=s3cret".to_owned()));
    let error = refused(&poller, &signed.url("r.git")).await;
    assert!(!format!("{error} {}", error.hint()).contains("s3cret"), "{error} {}", error.hint());
    let again = Server::start(|request| redirect(request.target.clone()));
    assert_eq!(code(&poller, &again.url("r.git")).await, "redirect-refused");
    assert_eq!(again.seen().len(), 4);
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused_when_it_is_called() {
    // The name itself says nothing; what it stands for is found out, and vetted, at the last moment.
    let server = Server::start(|_| status(404));
    let port = server.url("").rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let allowed = SourcePolicy {
        allow_private: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        ..SourcePolicy::default()
    };
    let url = source(&format!("http://localhost:{port}/r.git"), &allowed);
    let poller = Poller::new(git(), allowed, PollLimits::default()).unwrap();
    assert_eq!(poller.head(&url, &branch("x")).await.unwrap_err().code(), "not-found");
    let asked = server.seen().len();
    let strict = Poller::new(git(), SourcePolicy::default(), PollLimits::default()).unwrap();
    assert_eq!(strict.head(&url, &branch("x")).await.unwrap_err().code(), "url-private-address");
    assert_eq!(server.seen().len(), asked);
}
