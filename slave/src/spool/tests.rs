#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
use protocol::wire::{Isolation, Limits};
use protocol::{BuildId, BuildResult, Fence};

fn assignment(n: i64) -> Assignment {
    Assignment {
        of: BuildRef { build: BuildId(n), fence: Fence(2) },
        project: "demo".parse().unwrap(),
        git_path: "/git/demo.git".to_owned(),
        git_ref: "refs/heads/x".to_owned(),
        commit: "0123456789012345678901234567890123456789".parse().unwrap(),
        what: "x".to_owned(),
        builder: recipe::Builder {
            name: "linux".to_owned(),
            slaves: Vec::new(),
            locks: Vec::new(),
            required: true,
            history: recipe::History::Full,
            steps: Vec::new(),
        },
        isolation: Isolation::None,
        limits: Limits::default(),
        env: Vec::new(),
    }
}

fn started(step: u32) -> Happened {
    Happened::StepStarted { step, name: "test".to_owned() }
}

fn finished() -> Happened {
    Happened::BuildFinished { result: BuildResult::Success, reason: "fine".to_owned(), handed_back: false }
}

fn open(folder: &Path) -> Spool {
    Spool::open(folder.join("builds")).unwrap()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let of = assignment(1).of;
    {
        let spool = open(folder.path());
        let build = spool.add(&assignment(1)).unwrap().unwrap();
        assert!(spool.add(&assignment(1)).unwrap().is_none(), "it is here already");
        build.report(started(1), UnixMs(5)).unwrap();
        let mut log = build.log(1).await.unwrap();
        log.append(b"some").await.unwrap();
        log.remark("a remark").await.unwrap();
    }
    let spool = open(folder.path());
    let build = spool.get(of).unwrap();
    assert_eq!(build.open_step(), Some((1, 20)));
    assert_eq!(build.read_file(StepFile::Log(1), 2, 100).unwrap(), b"me\n[bb: a remark]\n");
    assert_eq!(build.read_file(StepFile::Log(1), 0, 3).unwrap(), b"som");
    assert!(build.read_file(StepFile::Log(1), 20, 9).unwrap().is_empty());
    assert!(build.read_file(StepFile::Log(1), 99, 9).unwrap().is_empty());
    assert_eq!(build.report_at(0).unwrap().what, started(1));
    assert!(build.report_at(1).is_none() && !build.finished());
    build.report(finished(), UnixMs(6)).unwrap();
    assert!(open(folder.path()).get(of).unwrap().finished());
    spool.forget(of);
    assert!(open(folder.path()).builds().is_empty());
}

#[test]
fn a_build_whose_assignment_is_not_whole_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let build = folder.path().join("builds/7-1");
    fs::create_dir_all(&build).unwrap();
    fs::write(build.join("assignment.new"), "{\"of\"").unwrap();
    assert!(open(folder.path()).builds().is_empty() && !build.exists());
}

#[test]
fn a_torn_report_is_cut_off_and_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let of = assignment(1).of;
    open(folder.path()).add(&assignment(1)).unwrap().unwrap().report(started(0), UnixMs(1)).unwrap();
    let path = folder.path().join("builds/1-2/reports");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"of\":{\"build\":1,").unwrap();
    open(folder.path()).get(of).unwrap().report(finished(), UnixMs(2)).unwrap();
    let build = open(folder.path()).get(of).unwrap();
    assert_eq!((build.report_at(0).unwrap().what, build.report_at(1).unwrap().what), (started(0), finished()));
}

#[test]
fn a_report_that_can_not_be_written_is_told_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let build = spool.add_in_memory(assignment(3).of);
    assert!(build.report(finished(), UnixMs(1)).is_err());
    assert!(build.finished() && !spool.all_told());
    build.told(1);
    assert!(spool.all_told());
    spool.forget(build.of);
}

#[test]
fn an_end_that_the_master_counts_differently_is_told_under_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let build = open(folder.path()).add(&assignment(1)).unwrap().unwrap();
    build.report(started(0), UnixMs(1)).unwrap();
    let restart = || {
        let build = open(folder.path()).get(assignment(1).of).unwrap();
        build.restarted();
        build
    };
    let build = restart();
    build.report(finished(), UnixMs(1)).unwrap();
    // The master has two reports that this disk lost.
    build.catch_up(3);
    assert_eq!(build.report_at(3).map(|report| (report.number, report.what)), Some((3, finished())));
    build.catch_up(4);
    assert!(build.report_at(4).is_none(), "only once");
    // Nothing is told twice that was not lost, and no number is believed.
    for next in [0, 1, 2, u32::MAX] {
        let build = restart();
        build.catch_up(next);
        assert!(build.report_at(2).is_none(), "{next}");
    }
}

#[tokio::test]
async fn after_a_failed_write_the_log_is_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let build = open(folder.path()).add(&assignment(1)).unwrap().unwrap();
    std::os::unix::fs::symlink("/dev/full", build.path_of(StepFile::Log(1))).unwrap();
    let mut log = build.log(1).await.unwrap();
    assert!(log.append(b"x").await.is_err());
    assert_eq!((log.len(), build.files()), (0, vec![(StepFile::Log(1), 0)]));
}

proptest! {
    #[test]
    fn any_file_of_reports_is_survived(count in 0u32..5, torn: Vec<u8>, cut in 0usize..400) {
        let of = assignment(1).of;
        let report = |number| Report { of, number, at: UnixMs(0), what: started(number) };
        let mut text = Vec::new();
        for number in 0..count {
            serde_json::to_writer(&mut text, &report(number)).unwrap();
            text.push(b'\n');
        }
        let (all, whole) = parse_reports(&text);
        prop_assert_eq!((all.len(), whole), (count as usize, text.len()));
        text.truncate(text.len().saturating_sub(cut));
        text.extend(&torn);
        let (reports, whole) = parse_reports(&text);
        prop_assert!(whole <= text.len());
        for (n, report) in reports.iter().enumerate() {
            prop_assert_eq!(report.number as usize, n);
        }
    }
}
