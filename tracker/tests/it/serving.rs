//! The mirror over HTTP: read only, and only what may be seen.

use crate::support::http::{Answer, Request, Server, status};
use crate::support::{NEW_ENTRY, World, plain_git};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::convert::Infallible;
use std::io::Write;
use tokio::runtime::Handle;
use tracker::mirror::Mirror;
use tracker::serve::{ADVERTISEMENT, GitStream, Packing, RESULT};

async fn collect(mut answer: GitStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = answer.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

/// What a master does with a request below `/git/PROJECT.git`.
pub(crate) fn serve(mirror: &Mirror, runtime: &Handle, request: &Request) -> Answer {
    let protocol = request.header("git-protocol");
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let whole = |kind: &str, body| Answer::Whole(200, vec![("Content-Type", kind.to_owned())], body);
    match path.strip_prefix("/git/p.git") {
        Some("/info/refs") => match Mirror::check_service(query.strip_prefix("service=").unwrap_or_default()) {
            Ok(()) => {
                whole(ADVERTISEMENT, runtime.block_on(async { collect(mirror.advertise(protocol).unwrap()).await }))
            }
            Err(_) => status(403),
        },
        Some("/git-upload-pack") => {
            let packing = match request.header("content-encoding") {
                Some("gzip") => Packing::Gzip,
                _ => Packing::Plain,
            };
            let pieces: Vec<Result<Bytes, Infallible>> =
                request.body.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let body = runtime.block_on(async {
                collect(mirror.upload_pack(protocol, packing, stream::iter(pieces)).unwrap()).await
            });
            whole(RESULT, body)
        }
        _ => status(404),
    }
}

pub(crate) fn master(mirror: &Mirror) -> Server {
    let (mirror, runtime) = (mirror.clone(), Handle::current());
    Server::start(move |request| serve(&mirror, &runtime, request))
}

fn run(args: &[&str]) -> (bool, String) {
    let said = plain_git().args(args).output().unwrap();
    (
        said.status.success(),
        format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_git_fetches_mainline_revisions_and_candidates_and_sees_nothing_else() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").write("repo.ChangeLog", NEW_ENTRY).commit("Say hello");
    let head = world.admit(&ann, "ann", 1).await;
    let made = world.made("ann", &head).await;
    world.mirror.set_candidate(&"ann".parse().unwrap(), &made.commit).await.unwrap();
    assert!(run(&["-C", world.mirror.path().to_str().unwrap(), "update-ref", "refs/hidden/x", head.as_str()]).0);
    assert!(run(&["-C", world.mirror.path().to_str().unwrap(), "update-ref", "refs/tags/v1", head.as_str()]).0);
    let server = master(&world.mirror);
    let url = server.url("git/p.git");
    for version in ["0", "1", "2"] {
        let (good, said) = run(&["-c", &format!("protocol.version={version}"), "ls-remote", &url]);
        let refs: Vec<&str> = said.lines().filter_map(|line| line.split('\t').nth(1)).collect();
        let all = [
            "HEAD",
            "refs/branches/ann/candidate",
            "refs/branches/ann/head",
            "refs/branches/ann/r1",
            "refs/heads/main",
            "refs/tags/v1",
        ];
        assert!(good && refs == all, "version {version}: {said}");
        let into = world.temp.path().join(format!("clone-{version}"));
        let (good, said) =
            run(&["-c", &format!("protocol.version={version}"), "clone", "-q", &url, into.to_str().unwrap()]);
        assert!(good, "version {version}: {said}");
        let into = into.to_str().unwrap();
        let (good, said) = run(&[
            "-C",
            into,
            "-c",
            &format!("protocol.version={version}"),
            "fetch",
            "-q",
            &url,
            "refs/branches/ann/candidate",
        ]);
        assert!(good, "version {version}: {said}");
        assert_eq!(run(&["-C", into, "rev-parse", "FETCH_HEAD"]).1.trim(), made.commit.as_str());
    }
    let clone = world.temp.path().join("clone-2");
    let (good, said) = run(&["-C", clone.to_str().unwrap(), "push", "-q", &url, "HEAD:refs/heads/main"]);
    assert!(!good && said.contains("403"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_request_comes_packed_and_is_understood() {
    let world = World::new().await;
    let server = master(&world.mirror);
    let into = world.temp.path().join("clone");
    assert!(run(&["clone", "-q", &server.url("git/p.git"), into.to_str().unwrap()]).0);
    let request = server.requests().into_iter().rfind(|r| r.method == "POST").unwrap();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&request.body).unwrap();
    let packed = packer.finish().unwrap();
    let answer = async |packing, body: &[u8]| {
        let pieces: Vec<_> = body.chunks(7).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
        collect(world.mirror.upload_pack(request.header("git-protocol"), packing, stream::iter(pieces)).unwrap()).await
    };
    for (packing, body) in [(Packing::Plain, &request.body), (Packing::Gzip, &packed)] {
        assert!(answer(packing, body).await.windows(4).any(|w| w == b"PACK"), "{packing:?}");
    }
}

#[tokio::test]
async fn nonsense_ends_in_an_error_and_a_reader_that_leaves_ends_the_process() {
    let world = World::new().await;
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"zzzz nonsense"))]);
    let mut answer = world.mirror.upload_pack(None, Packing::Plain, body).unwrap();
    let mut failed = false;
    while let Some(piece) = answer.next().await {
        failed |= piece.is_err();
    }
    assert!(failed);
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"not gzip"))]);
    let mut answer = world.mirror.upload_pack(None, Packing::Gzip, body).unwrap();
    while answer.next().await.is_some() {}
    // A request that never ends: the process waits for it, and goes when its reader goes.
    let answer =
        world.mirror.upload_pack(None, Packing::Plain, stream::pending::<Result<Bytes, Infallible>>()).unwrap();
    let mirror = world.mirror.path().to_string_lossy().into_owned();
    let running = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let mut lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| String::from_utf8_lossy(&line).contains(&mirror))
    };
    while !running() {
        tokio::task::yield_now().await;
    }
    drop(answer);
    while running() {
        tokio::task::yield_now().await;
    }
}
