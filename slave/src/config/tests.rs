#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/srv/slave/slave.toml"))
}

fn complaint(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

const LEAST: &str = "master = \"http://127.0.0.1:8010\"\nname = \"oak\"\n";

#[test]
fn little_needs_to_be_said() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config, Config::new("http://127.0.0.1:8010".parse().unwrap(), "oak".parse().unwrap()));
    assert_eq!((config.slots.get(), config.isolation), (1, WantedIsolation::Auto));
}

#[test]
fn everything_can_be_said() {
    let text = format!(
        "{LEAST}labels = [\"linux\", \"kvm\"]\nslots = 4\nisolation = \"bubblewrap\"\nwork_folder = \"/srv/work\"\n\
         token_file = \"/run/credentials/token\"\nread_only = [\"/srv/rust\"]\nbuild_user = 2000000000\ngit = \"/opt/git/bin/git\"\n\
         [env]\nRUSTUP_HOME = \"/srv/rust\"\n[limits]\nbuild_s = 60\ntmp_bytes = 1000000\n"
    );
    let config = parse(&text).unwrap();
    assert_eq!((config.slots.get(), config.limits.build_s, config.limits.grace_s), (4, 60, 10));
}

#[test]
fn errors_say_where_and_what() {
    let all: Vec<_> = [
        format!("{LEAST}slotz = 2\n"),
        format!("{LEAST}slots = 0\n"),
        format!("{LEAST}isolation = \"docker\"\n"),
        format!("{LEAST}read_only = [\"relative\"]\n"),
        format!("{LEAST}build_user = 0\n"),
        format!("{LEAST}[env]\n\"A=B\" = \"x\"\n"),
        format!("{LEAST}[limits]\nmemory = 1\n"),
        "master = \"https://ann:secret@example.org\"\nname = \"oak\"\n".to_owned(),
        "master = \"ftp://example.org\"\nname = \"oak\"\n".to_owned(),
        "master = \"http://example.org\"\nname = \"Oak tree\"\n".to_owned(),
        "name = \"oak\"\n".to_owned(),
        "name = \"oak\n".to_owned(),
    ]
    .iter()
    .map(|text| complaint(text))
    .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_master_is_reached_below_its_path() {
    let url = |text: &str| text.parse::<MasterUrl>().unwrap();
    assert_eq!(url("https://example.org").socket().as_str(), "wss://example.org/api/v1/slave");
    assert_eq!(url("http://[::1]:8010/bb/").socket().as_str(), "ws://[::1]:8010/bb/api/v1/slave");
    assert_eq!(url("https://example.org/bb").join("/git/demo.git").as_str(), "https://example.org/bb/git/demo.git");
}

#[test]
fn a_token_is_never_shown() {
    let token: Token = "bb_slave_1_secret\n".parse().unwrap();
    assert_eq!(token.expose(), "bb_slave_1_secret");
    assert_eq!(format!("{token:?}"), "Token(…)");
    for bad in ["", "two words", "line\nline", "ü"] {
        assert_eq!(bad.parse::<Token>().unwrap_err(), BadToken::Text, "{bad}");
    }
    for kind in ["maintainer", "publisher"] {
        let error = format!("bb_{kind}_0123abcd").parse::<Token>().unwrap_err();
        assert_eq!(error, BadToken::Kind(kind));
        assert!(error.to_string().contains("bb token new slave"), "{error}");
    }
}

#[test]
fn a_token_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let basedir = tempfile::tempdir().unwrap();
    let file = basedir.path().join("token");
    std::fs::write(&file, "secret\n").unwrap();
    let config = Config { token_file: "token".into(), ..parse(LEAST).unwrap() };
    let chmod = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o640);
    assert!(config.load_token(basedir.path()).unwrap_err().to_string().contains("chmod 600"));
    chmod(0o600);
    assert_eq!(config.load_token(basedir.path()).unwrap().expose(), "secret");
}

proptest! {
    #[test]
    fn the_stricter_limits_hold(build_s: u64, silence_s: u64, log_bytes: u64, grace_s: u64) {
        let master = Limits { build_s, silence_s, log_bytes, grace_s };
        let own = OwnLimits::default();
        let both = own.stricter(master);
        prop_assert!(both.build_s <= build_s && both.build_s <= own.build_s);
        prop_assert!(both.silence_s <= silence_s && both.silence_s <= own.silence_s);
        prop_assert!(both.log_bytes <= log_bytes && both.log_bytes <= own.log_bytes);
        prop_assert!(both.grace_s <= grace_s && both.grace_s <= own.grace_s);
    }

    #[test]
    fn what_create_writes_is_read_back(labels in proptest::collection::vec(any::<String>(), 0..4), slots in 1u32..=64) {
        let mut config = parse(LEAST).unwrap();
        config.labels = labels;
        config.slots = slots.try_into().unwrap();
        prop_assert_eq!(parse(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn any_text_is_survived(text: String) {
        let _ = parse(&text);
    }
}
