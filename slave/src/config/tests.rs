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
fn rules_of_availability_are_read() {
    let text = format!(
        "{LEAST}[availability]\nzone = \"Europe/Berlin\"\notherwise = \"reluctant\"\nmin_free_disk = \"2GiB\"\ndrain = \"10m\"\n\
         [[availability.rule]]\nsay = \"unavailable\"\nhours = [\"08:00-12:00\", \"13:00-18:00\"]\ndays = \"mon-fri\"\nreason = \"office\"\n\
         [[availability.rule]]\nsay = \"reluctant\"\nload_above = 4\nload_below = 2\nuser = \"active\"\nidle = \"5m\"\non_battery = true\n\
         free_disk_below = \"10GiB\"\nfree_memory_below = 1000000\n"
    );
    let rules = parse(&text).unwrap().availability.rules().unwrap();
    let told: Vec<_> = rules.rules.iter().map(gate::availability::Rule::text).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    08:00-12:00, 13:00-18:00 mon-fri (Europe/Berlin)
    the load is 4 or more (until it is under 2), and somebody is at the keyboard, or was within 5 min, and it runs on battery, and less than 10 GiB are free on disk, and less than 976 KiB of memory are free
    "#);
}

#[test]
fn a_rule_that_can_t_be_is_refused_where_it_stands() {
    let rule =
        |text: &str| complaint(&format!("{LEAST}[availability]\n[[availability.rule]]\nsay = \"reluctant\"\n{text}\n"));
    let all = [
        rule("hours = \"25:00-26:00\""),
        rule("hours = [\"08:00-12:00\", \"13:60-14:00\"]"),
        rule("hours = []"),
        rule("hours = 8"),
        rule("days = \"mon-frog\""),
        rule("hours = \"08:00-18:00\"\nzone = \"Europe/Berln\""),
        rule("zone = \"UTC\""),
        rule("load_above = 2\nload_below = 3"),
        rule("load_below = 3"),
        rule("load_above = nan"),
        rule("idle = \"5m\""),
        rule("user = \"active\"\nidle = \"soon\""),
        rule("on_battery = false"),
        rule("free_disk_below = \"much\""),
        rule("free_disk_below = -1"),
        rule("moon = \"full\""),
        complaint(&format!("{LEAST}[availability]\nzone = \"../../etc/passwd\"\n")),
        complaint(&format!("{LEAST}[availability]\n[[availability.rule]]\nhours = \"08:00-18:00\"\n")),
        complaint(&format!("{LEAST}[[availability.rule]]\nsay = \"asleep\"\n")),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    /srv/slave/slave.toml:6:9: `25:00-26:00` are no hours (a day has the hours 00 to 24); write them as `08:00-18:00`
    /srv/slave/slave.toml:6:9: `13:60-14:00` are no hours (an hour has the minutes 00 to 59); write them as `08:00-18:00`
    /srv/slave/slave.toml:6:9: an empty list of hours never holds
    /srv/slave/slave.toml:6:9: invalid type: integer `8`, expected a text or a list of texts
    /srv/slave/slave.toml:6:8: `mon-frog` names no days; write them as `mon-fri`, `sat,sun` or `every`
    /srv/slave/slave.toml:7:8: `Europe/Berln` is no time zone that this machine knows; they are called as `Europe/Berlin` or `UTC`
    /srv/slave/slave.toml:4:1: rule 1: `zone` goes with `hours` or `days`
    /srv/slave/slave.toml:4:1: rule 1: it would end at a load under 3 before it begins at 2
    /srv/slave/slave.toml:4:1: rule 1: `load_below` says where `load_above` ends, which is missing
    /srv/slave/slave.toml:4:1: rule 1: a load is a number above 0
    /srv/slave/slave.toml:4:1: rule 1: `idle` goes with `user = "active"`
    /srv/slave/slave.toml:7:8: `soon` is no length of time, such as 90s, 10m, 2h, 1d or 1h30m
    /srv/slave/slave.toml:4:1: rule 1: `on_battery` is true or not there
    /srv/slave/slave.toml:6:19: a size is a number with KiB, MiB, GiB or TiB: `5GiB`
    /srv/slave/slave.toml:6:19: a size is not below 0
    /srv/slave/slave.toml:6:1: unknown field `moon`, expected one of `say`, `hours`, `days`, `zone`, `load_above`, `load_below`, `user`, `idle`, `on_battery`, `free_disk_below`, `free_memory_below`, `reason`
    /srv/slave/slave.toml:4:8: `../../etc/passwd` is no time zone that this machine knows; they are called as `Europe/Berlin` or `UTC`
    /srv/slave/slave.toml:4:1: missing field `say`
    /srv/slave/slave.toml:4:7: unknown variant `asleep`, expected one of `eager`, `reluctant`, `unavailable`
    "#);
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
    fn the_stricter_limits_hold(build_s: u64, silence_s: u64, log_bytes: u64, grace_s: u64, artifact_bytes: u64) {
        let master = Limits { build_s, silence_s, log_bytes, grace_s, artifact_bytes };
        let own = OwnLimits::default();
        let both = own.stricter(master);
        prop_assert!(both.build_s <= build_s && both.build_s <= own.build_s);
        prop_assert!(both.silence_s <= silence_s && both.silence_s <= own.silence_s);
        prop_assert!(both.log_bytes <= log_bytes && both.log_bytes <= own.log_bytes);
        prop_assert!(both.artifact_bytes <= artifact_bytes && both.artifact_bytes <= own.artifact_bytes);
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
