//! One build from assignment to last report, with real processes, in bubblewrap and without.
#![allow(clippy::unwrap_used)]

mod support;

use protocol::BuildResult::{Exception, Failure, Skipped, Success, Warnings};
use protocol::wire::{Happened, Isolation};
use recipe::{OnFailure, Run, When};
use slave::config::WantedIsolation;
use std::time::Duration;
use support::*;

#[tokio::test]
async fn a_build_runs_and_its_log_arrives() {
    let steps = vec![sh("look", "cat README; pwd"), sh("test", "echo to stdout; echo to stderr >&2; exit 3")];
    for seen in run_both(|_| {}, steps).await {
        assert_eq!(seen.log(0), "got 0123456789012345678901234567890123456789\n");
        assert!(seen.log(1).starts_with("a candidate\n/"), "{}", seen.log(1));
        assert_eq!(seen.step(1), (Success, Some(0), None));
        assert_eq!(seen.log(2), "to stdout\nto stderr\n");
        assert_eq!(seen.step(2), (Failure, Some(3), None));
        assert_eq!(result(&seen), (Failure, "test failed with exit code 3".to_owned()));
    }
}

#[tokio::test]
async fn steps_follow_when_and_on_failure() {
    let mut lint = sh("lint", "exit 1");
    lint.on_failure = OnFailure::Warn;
    let mut explain = sh("explain", "echo why");
    explain.when = When::OnFailure;
    let mut upload = sh("upload", "echo up");
    upload.when = When::Always;
    let steps = vec![lint.clone(), explain.clone(), sh("test", "true"), upload.clone()];
    let seen = run(WantedIsolation::Auto, |_| {}, steps).await;
    assert_eq!(result(&seen), (Warnings, "lint failed with exit code 1".to_owned()));
    assert_eq!(seen.step(2), (Skipped, None, Some("no step before it failed".to_owned())));
    assert_eq!((seen.step(1).0, seen.step(3).0, seen.step(4).0), (Failure, Success, Success));

    let steps = vec![sh("build", "exit 9"), sh("test", "true"), explain, upload];
    let seen = run(WantedIsolation::Auto, |_| {}, steps).await;
    assert_eq!(result(&seen), (Failure, "build failed with exit code 9".to_owned()));
    assert_eq!(seen.step(2), (Skipped, None, Some("a step before it failed".to_owned())));
    assert_eq!((seen.log(3).as_str(), seen.log(4).as_str()), ("why\n", "up\n"));
}

#[tokio::test]
async fn a_step_knows_what_it_builds_and_publishes_links() {
    let text = "env | sort; echo 'Coverage https://example.org/c' >>$BB_LINKS; echo 97 % >>$BB_SUMMARY";
    let mut step = sh("test", text);
    step.env.insert("FLAVOUR".to_owned(), "sour $HOME".to_owned());
    step.env.insert("CI".to_owned(), "false".to_owned());
    let change = |a: &mut protocol::wire::Assignment| a.env.push(("FROM_MASTER".to_owned(), "x".to_owned()));
    for seen in run_both(change, vec![step]).await {
        let log = seen.log(1);
        for line in
            ["CI=true", "BB_BUILD=1", "BB_BUILDER=linux", "BB_BRANCH=feature", "FLAVOUR=sour $HOME", "TERM=dumb"]
        {
            assert!(log.lines().any(|l| l == line), "no {line} in {log}");
        }
        assert!(log.contains("BB_COMMIT=0123456789") && log.contains("FROM_MASTER=x"), "{log}");
        assert!(!log.contains("BB_STARTED") && !log.contains("CARGO"), "nothing of the slave's own: {log}");
        let published = seen.reports.iter().find_map(|report| match &report.what {
            Happened::StepFinished { step: 1, links, summary, .. } => Some((links.clone(), summary.clone())),
            _ => None,
        });
        let links = vec![("Coverage".to_owned(), "https://example.org/c".to_owned())];
        assert_eq!(published, Some((links, "97 %".to_owned())));
    }
}

#[tokio::test]
async fn a_test_that_fails_fails_its_step_and_is_named() {
    let suite = |failure: &str| {
        format!(
            "mkdir -p out; echo '<testsuite><testcase classname=\"spool\" name=\"full\">{failure}</testcase></testsuite>' >out/a.xml"
        )
    };
    let with = |name: &str, text: String| {
        let mut step = sh(name, &text);
        (step.junit, step.when) = (vec!["out/*.xml".to_owned()], When::Always);
        step
    };
    let steps = vec![
        with("nothing", "true".to_owned()),
        with("fine", suite("")),
        with("bad", suite("<failure message=\"left 1\"/>")),
        with("worse", format!("{}; exit 3", suite("<error/>"))),
        with("broken", "echo '<testsuite>' >out/a.xml; echo '<a></b>' >>out/a.xml".to_owned()),
    ];
    for seen in run_both(|_| {}, steps).await {
        assert_eq!(seen.step(1), (Warnings, Some(0), Some("no file matches `out/*.xml`".to_owned())));
        assert_eq!(seen.step(2), (Success, Some(0), None));
        let failed = Some("1 of 1 test failed: spool.full".to_owned());
        assert_eq!(seen.step(3), (Failure, Some(0), failed.clone()));
        assert_eq!(seen.step(4), (Failure, Some(3), failed));
        let (result, _, why) = seen.step(5);
        assert_eq!(result, Warnings);
        assert!(why.unwrap().starts_with("out/a.xml: no XML at byte "));
        assert_eq!(self::result(&seen), (Failure, "bad: 1 of 1 test failed: spool.full".to_owned()));
        let tests = seen.reports.iter().find_map(|report| match &report.what {
            Happened::StepFinished { step: 3, tests, .. } => tests.clone(),
            _ => None,
        });
        assert_eq!(tests.unwrap().failing[0].text, "left 1");
    }
}

#[tokio::test]
async fn files_that_a_recipe_wants_kept_come_to_the_master_whatever_the_step_gave() {
    let keeping = |name: &str, text: &str| {
        let mut step = sh(name, text);
        (step.artifacts, step.when) = (vec!["doc/**".to_owned()], When::Always);
        step
    };
    let many = "mkdir -p doc/a; echo one >doc/a/x; ln -s /etc/passwd doc/link; head -c 3000000 /dev/zero >doc/zeros";
    let steps = vec![
        keeping("none", "true"),
        keeping("many", many),
        keeping("broken", "rm doc/zeros; echo two >doc/a/x; exit 3"),
        sh("others", "true"),
    ];
    for seen in run_both(|_| {}, steps).await {
        assert_eq!(seen.step(1), (Warnings, Some(0), Some("no file matches `doc/**`".to_owned())));
        assert_eq!((seen.step(2).0, seen.step(3).0), (Success, Failure));
        assert_eq!(seen.kept[&3], b"two\n");
        assert_eq!(seen.kept[&2].len(), 3_000_004);
        assert!(seen.kept[&2].starts_with(b"one\n\0"));
        assert!(!seen.kept.contains_key(&4));
        let told = |wanted: u32| {
            let mut told = seen.reports.iter().filter_map(|report| match &report.what {
                Happened::StepFinished { step, artifacts, .. } if *step == wanted => artifacts.clone(),
                _ => None,
            });
            told.next().map(|kept| kept.files.iter().map(|file| (file.path.clone(), file.bytes)).collect::<Vec<_>>())
        };
        assert_eq!(told(2).unwrap(), [("doc/a/x".to_owned(), 4), ("doc/zeros".to_owned(), 3_000_000)]);
        assert_eq!((told(1), told(4)), (Some(Vec::new()), None));
    }
}

#[tokio::test]
async fn a_build_keeps_no_more_than_it_may_whatever_its_steps_are() {
    let keeping = |name: &str| {
        let mut step = sh(name, &format!("echo 1234567 >{name}"));
        step.artifacts = vec![name.to_owned()];
        step
    };
    for seen in run_both(|config| config.limits.artifact_bytes = 10, vec![keeping("a"), keeping("b")]).await {
        assert_eq!((seen.step(1).0, seen.step(2).0), (Success, Warnings));
        assert_eq!(seen.step(2).2.unwrap(), "b is left out: with it a build would keep more than it may");
        assert_eq!((seen.kept[&1].len(), seen.kept.get(&2)), (8, None));
    }
}

#[tokio::test]
async fn a_command_can_be_words_without_a_shell() {
    let mut step = sh("say", "");
    step.run = Run::Argv(vec!["printf".to_owned(), "%s|".to_owned(), "a b".to_owned(), "$HOME;".to_owned()]);
    let mut missing = sh("missing", "");
    missing.run = Run::Argv(vec!["no-such-program".to_owned()]);
    for seen in run_both(|_| {}, vec![step, missing]).await {
        assert_eq!(seen.log(1), "a b|$HOME;|");
        assert_eq!((seen.step(2).0, seen.step(2).1), (Failure, Some(127)));
        assert!(seen.log(2).contains("no-such-program"), "{}", seen.log(2));
    }
}

#[tokio::test]
async fn any_bytes_come_through_unchanged() {
    let text = r"printf '\000\377\376\033]8;;x\007\r\n'; head -c 1000000 /dev/zero | tr '\0' x; printf '\200'";
    for seen in run_both(|_| {}, vec![sh("print", text)]).await {
        let mut expected = b"\0\xff\xfe\x1b]8;;x\x07\r\n".to_vec();
        expected.resize(expected.len() + 1_000_000, b'x');
        expected.push(0x80);
        assert!(seen.logs[&1] == expected, "{} bytes", seen.logs[&1].len());
        assert_eq!(result(&seen).0, Success);
    }
}

#[tokio::test]
async fn a_step_that_never_ends_is_ended() {
    let unique = process::unique();
    let mut step = sh("hang", &format!("sleep {unique}"));
    step.timeout_s = Some(1);
    for seen in run_both(|_| {}, vec![step]).await {
        assert_eq!(seen.step(1), (Failure, None, Some("ran longer than 1 s".to_owned())));
        assert!(seen.log(1).ends_with("[bb: ran longer than 1 s]\n"), "{}", seen.log(1));
        assert!(process::sleepers(&unique).is_empty());
    }
}

#[tokio::test]
async fn a_build_that_never_ends_is_ended_and_nothing_runs_after() {
    let mut last = sh("always", "true");
    last.when = When::Always;
    let steps = vec![sh("hang", "while :; do echo x; sleep 0.2; done"), last];
    let seen = run(WantedIsolation::Auto, |a| a.limits.build_s = 1, steps).await;
    assert_eq!(result(&seen), (Failure, "hang: the build ran longer than 1 s".to_owned()));
    assert!(!seen.logs.contains_key(&2));
}

#[tokio::test]
async fn a_silent_step_is_ended_also_when_it_closed_its_output() {
    let unique = process::unique();
    let steps = vec![sh("hush", &format!("exec >&- 2>&-; sleep {unique}"))];
    for seen in run_both(|a| a.limits.silence_s = 1, steps).await {
        assert_eq!(seen.step(1), (Failure, None, Some("printed nothing for 1 s".to_owned())));
        assert!(process::sleepers(&unique).is_empty());
    }
}

#[tokio::test]
async fn a_step_that_ignores_term_is_killed() {
    let unique = process::unique();
    let mut step =
        sh("stubborn", &format!("trap '' TERM HUP INT; (trap '' TERM; sleep {unique}) & while :; do wait || :; done"));
    step.timeout_s = Some(1);
    for seen in run_both(|_| {}, vec![step]).await {
        assert_eq!(seen.step(1).2.as_deref(), Some("ran longer than 1 s"));
        assert!(process::sleepers(&unique).is_empty());
    }
}

#[tokio::test]
async fn a_step_may_clean_up_after_term() {
    let mut step = sh("tidy", "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    step.timeout_s = Some(1);
    for seen in run_both(|a| a.limits.grace_s = 30, vec![step]).await {
        assert!(seen.log(1).contains("tidied"), "{}", seen.log(1));
    }
}

#[tokio::test]
async fn daemons_of_any_kind_are_ended_with_the_step() {
    let unique = process::unique();
    let text = format!(
        "(setsid sh -c '(trap \"\" TERM HUP; exec sleep {unique} >/dev/null 2>&1 </dev/null) & exit 0' &) ; \
         nohup setsid -f sleep {unique} >/dev/null 2>&1; sleep {unique} & echo started"
    );
    for seen in run_both(|_| {}, vec![sh("fork", &text), sh("next", "echo next")]).await {
        // Without a namespace of its own, one of them also held the output open.
        assert_eq!((seen.step(1).0, seen.log(2).as_str()), (Success, "next\n"), "{}", seen.log(1));
        assert!(seen.log(1).starts_with("started\n"));
        assert!(process::sleepers(&unique).is_empty());
    }
}

#[tokio::test]
async fn a_log_that_grows_too_long_is_cut_with_a_mark_and_the_step_ended() {
    for seen in run_both(|a| a.limits.log_bytes = 100_000, vec![sh("flood", "yes")]).await {
        assert_eq!(seen.step(1), (Failure, None, Some("printed more than 100000 bytes".to_owned())));
        let log = seen.log(1);
        let (printed, mark) = log.split_at(100_000);
        assert!(printed.lines().all(|line| line == "y"));
        assert_eq!(mark, "\n[bb: the log is cut off here: it printed more than 100000 bytes]\n");
    }
}

#[tokio::test]
async fn a_step_ended_by_a_signal_says_which() {
    let seen = run(WantedIsolation::None, |_| {}, vec![sh("crash", "kill -SEGV $$")]).await;
    assert_eq!(seen.step(1), (Failure, None, Some("died by SIGSEGV".to_owned())));
    let seen = run(WantedIsolation::Bubblewrap, |_| {}, vec![sh("crash", "sh -c 'kill -SEGV $$'")]).await;
    let reason = "exit code 139, as of a command that dies by SIGSEGV".to_owned();
    assert_eq!(seen.step(1), (Failure, Some(139), Some(reason)));
}

#[tokio::test]
async fn a_step_that_ends_with_a_signals_code_is_not_told_to_have_died_by_it() {
    let seen = run(WantedIsolation::None, |_| {}, vec![sh("exits", "exit 137")]).await;
    let reason =
        "exit code 137, as of a command that dies by SIGKILL (as when the machine is out of memory)".to_owned();
    assert_eq!(seen.step(1), (Failure, Some(137), Some(reason)));
}

#[tokio::test]
async fn a_program_that_the_slave_lacks_is_named() {
    let always = |name, text| {
        let mut step = sh(name, text);
        step.when = When::Always;
        step
    };
    let mut argv = always("argv", "");
    argv.run = Run::Argv(vec!["no-such-program".to_owned()]);
    let make = "printf 'all:\\n\\tno-such-program x\\n' >Makefile; make";
    let steps = vec![
        always("shell", "no-such-program --version"),
        argv,
        always("make", make),
        always("own", "./configure"),
        always("fails", "echo page: not found; exit 1"),
    ];
    for seen in run_both(|_| {}, steps).await {
        for step in 1..=3 {
            let (result, code, reason) = seen.step(step);
            let reason = reason.unwrap_or_default();
            assert_eq!((result, seen.lacks(step).as_deref()), (Failure, Some("no-such-program")), "{code:?} {reason}");
            assert!(reason.starts_with("this slave has no program `no-such-program`"), "{reason}");
            assert!(reason.contains("`read_only`") && reason.contains("PATH"), "{reason}");
        }
        assert_eq!(
            (seen.step(4).1, seen.lacks(4)),
            (Some(127), None),
            "what is the project's own is no lack of the slave"
        );
        assert_eq!((seen.step(5).1, seen.lacks(5)), (Some(1), None));
    }
}

#[tokio::test]
async fn a_build_in_which_nothing_ran_is_skipped() {
    let mut never = sh("tidy", "true");
    never.when = When::OnFailure;
    let seen = run(WantedIsolation::None, |_| {}, vec![never]).await;
    assert_eq!(result(&seen), (Skipped, "no step ran whose result counts".to_owned()));
    let mut ignored = sh("lint", "exit 1");
    ignored.on_failure = OnFailure::Ignore;
    let seen = run(WantedIsolation::None, |_| {}, vec![ignored]).await;
    assert_eq!(result(&seen).0, Skipped, "a failure that is ignored proves nothing");
}

#[tokio::test]
async fn a_candidate_that_can_not_be_had_is_no_fault_of_the_branch() {
    let seen = run(WantedIsolation::Auto, |a| a.git_ref = "refs/nothing".to_owned(), vec![sh("test", "true")]).await;
    let reason = "fetch: the candidate can't be had: there is no such ref".to_owned();
    assert_eq!(result(&seen), (Exception, reason));
    assert_eq!(seen.log(0), "there is no such ref\n");
}

#[tokio::test]
async fn a_build_that_needs_more_isolation_than_there_is_is_not_run() {
    let seen = run(WantedIsolation::None, |a| a.isolation = Isolation::Bubblewrap, vec![sh("test", "true")]).await;
    let (result, reason) = result(&seen);
    assert_eq!((result, seen.reports.len()), (Exception, 1));
    assert!(reason.contains("needs the isolation bubblewrap, and this slave has none"), "{reason}");
}

#[tokio::test]
async fn a_build_finds_nothing_of_the_one_before() {
    let outside = basedir();
    std::fs::write(outside.path().join("keep"), "kept").unwrap();
    let mess = format!(
        "mkdir -p locked/in; touch locked/in/file; chmod 000 locked/in locked; ln -s {} out; ln -s /usr usr; \
         mkfifo pipe; touch -- '-rf' \"$(printf 'a\\nb\\377')\"; \
         mkdir d; i=0; while [ $i -lt 300 ]; do mkdir n; mv d n/d; mv n d; i=$((i+1)); done",
        outside.path().display()
    );
    for isolation in [WantedIsolation::None, WantedIsolation::Bubblewrap] {
        let master = Master::start().await;
        let slave = Running::start(config(&master, isolation));
        master.give(assignment(1, vec![sh("mess", &mess)]));
        assert_eq!(result(&master.finished(build(1)).await).0, Success);
        master.give(assignment(2, vec![sh("look", "ls -A; ls -A $TMPDIR $(dirname $BB_LINKS)")]));
        let seen = master.finished(build(2)).await;
        assert_eq!(seen.log(1).matches("-rf").count(), 0, "{}", seen.log(1));
        assert!(seen.log(1).starts_with("README\n"), "{}", seen.log(1));
        slave.stop().await;
    }
    assert_eq!(std::fs::read_to_string(outside.path().join("keep")).unwrap(), "kept");
}

#[tokio::test]
async fn two_slots_build_at_once_and_a_third_build_waits() {
    let master = Master::start().await;
    let mut config = config(&master, WantedIsolation::Auto);
    config.slots = 2.try_into().unwrap();
    let slave = Running::start(config);
    for n in 1..=3 {
        let text = "echo here; while [ ! -e go ]; do sleep 0.05; done";
        let mut wait = sh("wait", text);
        wait.timeout_s = Some(if n == 3 { 1 } else { 2 });
        master.give(assignment(n, vec![wait]));
    }
    master.printed(build(1), 1, "here").await;
    master.printed(build(2), 1, "here").await;
    for n in 1..=3 {
        assert_eq!(result(&master.finished(build(n)).await).0, Failure);
    }
    slave.stop().await;
}

#[tokio::test]
async fn a_stop_of_the_slave_gives_its_builds_back() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::Auto));
    master.give(assignment(1, vec![sh("long", "echo here; sleep 1000")]));
    master.printed(build(1), 1, "here").await;
    let basedir = tokio::time::timeout(Duration::from_secs(60), slave.stop()).await.unwrap();
    let seen = master.finished(build(1)).await;
    assert_eq!(result(&seen), (protocol::BuildResult::Retry, "the slave was stopped".to_owned()));
    drop(basedir);
}
