#![allow(clippy::unwrap_used)]
use super::*;
use crate::Explain as _;
use proptest::prelude::*;

fn check(text: &str) -> Result<SourceUrl, UrlRefused> {
    SourceUrl::check(&UncheckedUrl::new(text), &SourcePolicy::default())
}

fn refused(text: &str) -> UrlRefused {
    check(text).err().unwrap_or_else(|| unreachable!("{text} was taken"))
}

#[test]
fn urls_are_kept_in_one_form() {
    let same = |text: &str| assert_eq!(check(text).unwrap().as_str(), text);
    same("https://git.example.org/ann/r.git");
    same("http://git.example.org:8080/~ann/r.git");
    same("git://example.org/r");
    same("ssh://git@example.org/ann/r.git");
    same("ssh://example.org:2222/srv/r.git");
    assert_eq!(check("HTTPS://Git.Example.ORG:443/r.git/").unwrap().as_str(), "https://git.example.org/r.git");
    assert_eq!(check("https://e\u{441}ample.org/r").unwrap().as_str(), "https://xn--eample-irf.org/r");
    assert_eq!(check("ssh://EXAMPLE.org:22/r").unwrap().as_str(), "ssh://example.org/r");
}

#[test]
fn schemes_that_run_something_or_are_not_allowed_are_refused() {
    for text in [
        "ext::sh -c touch% x",
        "fd::3",
        "ftp://example.org/r",
        "javascript://x/r",
        "git+ssh://x.org/r",
        "foo::https://x.org/r",
    ] {
        assert_eq!(refused(text).code(), "url-scheme", "{text}");
    }
    let policy = SourcePolicy { schemes: vec![Scheme::Https], ..SourcePolicy::default() };
    let said = SourceUrl::check(&UncheckedUrl::new("git://example.org/r"), &policy).unwrap_err();
    assert_eq!(
        said.to_string(),
        "the URL `git://example.org/r` has the scheme `git`, which is not allowed; allowed are https"
    );
}

#[test]
fn options_in_disguise_are_refused() {
    for text in [
        "-oProxyCommand=touch x",
        "--upload-pack=touch x",
        "ssh://-oProxyCommand=x/y",
        "ssh://-oProxyCommand=x@example.org/y",
        "ssh://example.org:-p22/",
        "https://-x.example.org/r",
    ] {
        assert_eq!(refused(text).code(), "url-option", "{text}");
    }
}

#[test]
fn no_message_repeats_a_password() {
    for text in [
        "https://user:s3cret@example.org/r.git",
        "https://s3cret@example.org/r.git",
        "ssh://git:s3cret@example.org/r",
        "https://user:s3cret@-x/r",
        "https://user:s3cret@/r",
        "ftp://user:s3cret@example.org/r",
        "https://user:s3cret@example.org/r\u{202e}",
        "https://us/er:s3cret@example.org/r x",
    ] {
        let error = refused(text);
        let words = format!("{error} {} {error:?}", error.hint());
        assert!(!words.contains("s3cret"), "{words}");
    }
    assert_eq!(refused("https://user:s3cret@example.org/r.git").code(), "url-credentials");
    assert_eq!(refused("https://token@example.org/r.git").code(), "url-credentials");
}

#[test]
fn parameters_are_refused_wherever_they_stand_and_not_repeated() {
    for text in [
        "https://example.org/r.git?access_token=s3cret",
        "https://example.org/r.git;token=s3cret",
        "https://example.org/r.git%3btoken=s3cret",
        "https://example.org/token=s3cret/r.git",
        "https://example.org/r.git&s3cret",
        "https://example.org/r.git%26x%3Ds3cret",
        "https://example.org/r.git#s3cret",
        "https://example.org;s3cret/r.git",
        "ssh://git@example.org/r.git;s3cret",
    ] {
        let error = refused(text);
        assert_eq!(error.code(), "url-malformed", "{text}");
        let words = format!("{error} {} {error:?}", error.hint());
        assert!(!words.contains("s3cret"), "{words}");
    }
    for text in ["example.org/r.git;token=s3cret", "./r.git?token=s3cret", "git@example.org:r.git;token=s3cret"] {
        let error = refused(text);
        let words = format!("{error} {} {error:?}", error.hint());
        assert!(!words.contains("s3cret"), "{words}");
    }
    assert!(refused("w/ann").to_string().contains("neither a URL nor an absolute path"));
    assert!(refused("w/ann").hint().contains("the whole path"));
}

#[test]
fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "10.0.0.1",
        "192.168.1.1:8080",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "0",
    ] {
        for scheme in ["http", "https"] {
            let text = format!("{scheme}://{host}/r.git");
            assert_eq!(refused(&text).code(), "url-private-address", "{text}");
        }
    }
    for text in ["ssh://127.0.0.1/r", "git://127.1/r", "ssh://2130706433/r", "git://[::1]/r", "git://localhost/r"] {
        assert_eq!(refused(text).code(), "url-private-address", "{text}");
    }
    let policy = SourcePolicy { allow_private: vec!["127.0.0.0/8".parse().unwrap()], ..SourcePolicy::default() };
    let url = |text: &str| SourceUrl::check(&UncheckedUrl::new(text), &policy);
    assert!(url("http://127.0.0.1:8080/r").is_ok() && url("http://localhost/r").is_ok());
    assert!(url("http://[::ffff:127.0.0.1]/r").is_ok());
    assert_eq!(url("http://10.0.0.1/r").unwrap_err().code(), "url-private-address");
}

#[test]
fn other_odd_urls_are_refused_by_name() {
    assert_eq!(refused("").code(), "url-empty");
    assert_eq!(refused(&format!("https://example.org/{}", "x".repeat(64 << 10))).code(), "url-too-long");
    for text in [
        "https://example.org/a\nb",
        "https://example.org/a\r",
        "https://example.org/\0",
        "https://exa\tmple.org/",
        "https://example.org/%0a",
        "https://example.org/x%00",
        "https://example.org/\u{202e}x",
    ] {
        assert_eq!(refused(text).code(), "url-control-characters", "{text:?}");
    }
    for text in [
        "https://",
        "https:///r",
        "https://example.org:99999/r",
        "https://example.org:0/r",
        "https://example.org/r?x=y",
        "https://example.org/r#x",
        "https://exa mple.org/r",
        "https://example.org/a b",
        "ssh://a$b@example.org/r",
        "ssh://exa<mple/r",
    ] {
        assert_eq!(refused(text).code(), "url-malformed", "{text}");
    }
    let short = refused("git@example.org:ann/r.git");
    assert_eq!((short.code(), &*short.hint()), ("url-short-ssh", "write it as ssh://git@example.org/ann/r.git"));
    for text in [
        "/srv/r.git",
        "file:///srv/r.git",
        "../repo",
        "~ann/r",
        "C:\\r",
        "\\\\host\\r",
        "repo",
        "file://host/r",
        "/etc/passwd",
    ] {
        assert_eq!(refused(text).code(), "url-local-not-allowed", "{text}");
    }
}

#[test]
fn local_repositories_only_below_listed_folders_and_none_that_leads_out() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let repository = |path: &Path| {
        std::fs::create_dir_all(path.join("objects/info")).unwrap();
        std::fs::create_dir_all(path.join("refs")).unwrap();
        std::fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    };
    for name in ["open/good.git", "open/tree/.git", "open/alternates.git", "open/linked.git", "private.git"] {
        repository(&at(name));
    }
    std::fs::write(at("open/alternates.git/objects/info/alternates"), at("private.git/objects").to_str().unwrap())
        .unwrap();
    std::fs::remove_dir(at("open/linked.git/refs")).unwrap();
    std::os::unix::fs::symlink(at("private.git/refs"), at("open/linked.git/refs")).unwrap();
    std::os::unix::fs::symlink(at("private.git"), at("open/link.git")).unwrap();
    std::fs::create_dir(at("open/file")).unwrap();
    std::fs::write(at("open/file/.git"), format!("gitdir: {}\n", at("private.git").display())).unwrap();
    std::fs::create_dir(at("open/empty")).unwrap();

    let policy = SourcePolicy { allow_local: vec![at("open")], ..SourcePolicy::default() };
    let check = |text: String| SourceUrl::check(&UncheckedUrl::new(text), &policy);
    let code = |name: &str| check(at(name).to_str().unwrap().to_owned()).map_or_else(|e| e.code(), |_| "taken");
    assert_eq!(code("open/good.git"), "taken");
    assert_eq!(code("open/tree"), "taken");
    assert_eq!(code("private.git"), "url-local-not-allowed");
    assert_eq!(code("open/../private.git"), "url-local-not-allowed");
    assert_eq!(code("open/link.git"), "url-local-not-allowed");
    assert_eq!(code("nowhere"), "url-local-not-allowed");
    assert_eq!(code("open/../nowhere.git"), "url-local-not-allowed", "what is elsewhere can't be found out");
    // What is there, what is not, and what leads elsewhere: the same answer to the letter.
    let said = |name: &str| {
        let path = at(name).to_str().unwrap().to_owned();
        let refused = check(path.clone()).unwrap_err();
        format!("{} {refused} {}", refused.code(), refused.hint()).replace(&path, "PATH")
    };
    let one = said("nowhere");
    for name in ["private.git", "open/nowhere", "open/empty", "open/alternates.git", "open/linked.git", "open/file"] {
        assert_eq!(said(name), one, "{name}");
    }
    // Links and files of a stranger's own that name a place, which is there or not, and of either kind.
    std::fs::write(at("secret"), "hunter2").unwrap();
    for (number, place) in ["private.git", "secret", "nowhere"].into_iter().enumerate() {
        for (kind, name) in ["link", ".git", "gitdir", "objects", "HEAD", "refs", "commondir"].into_iter().enumerate() {
            let own = format!("open/probe-{number}-{kind}");
            repository(&at(&own).join(".git"));
            let git = at(&own).join(".git");
            let _ = std::fs::remove_dir_all(git.join(name));
            let _ = std::fs::remove_file(git.join(name));
            match name {
                "link" | ".git" => {
                    let link = if name == "link" { at(&own) } else { git };
                    std::fs::remove_dir_all(&link).unwrap();
                    std::os::unix::fs::symlink(at(place), link).unwrap();
                }
                "gitdir" => {
                    std::fs::remove_dir_all(&git).unwrap();
                    std::fs::write(&git, format!("gitdir: {}\n", at(place).display())).unwrap();
                }
                "commondir" => std::fs::write(git.join(name), at(place).to_str().unwrap()).unwrap(),
                _ => std::os::unix::fs::symlink(at(place), git.join(name)).unwrap(),
            }
            assert_eq!(said(&own), one, "{name} names {place}");
        }
    }
    let by_url = check(format!("file://{}", at("open/good.git").display())).unwrap();
    assert_eq!(by_url.as_str(), at("open/good.git").canonicalize().unwrap().to_str().unwrap());
    assert_eq!(check(by_url.as_str().to_owned()).unwrap(), by_url);
}

proptest! {
    #[test]
    fn what_is_taken_is_taken_the_same_again_and_holds_nothing_hidden(
        text in prop_oneof![any::<String>(), "(https?|git|ssh)://[a-z0-9@:.%/~\\-\\[\\]_ \u{e4}]{0,40}"]
    ) {
        if let Ok(url) = check(&text) {
            prop_assert!(!has_hidden(url.as_str()));
            prop_assert!(!url.as_str().starts_with('-'));
            prop_assert_eq!(check(url.as_str()).unwrap(), url);
        }
    }
}
