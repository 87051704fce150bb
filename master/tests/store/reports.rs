//! Reports that come together are recorded as those that come one by one.

use super::*;
use master::store::Step as StepRow;

stories! {
    what_comes_together_is_recorded_as_what_comes_one_by_one
    of_each_build_in_one_write_its_own_word_is_told
}

/// Step `step` ends after `began` ms.
fn ended(of: BuildRef, number: u32, step: u32, result: BuildResult) -> Report {
    let what = Happened::StepFinished {
        step,
        result,
        exit_code: Some(0),
        log_len: 7,
        reason: Some("so".to_owned()),
        lacks: None,
        ran_ms: 5,
        links: vec![("page".to_owned(), "https://ann.example/x".to_owned())],
        summary: "fine".to_owned(),
        tests: None,
        artifacts: None,
    };
    Report { of, number, at: UnixMs(i64::from(number)), what }
}

fn began(of: BuildRef, number: u32, step: u32) -> Report {
    let what = Happened::StepStarted { step, name: format!("step-{step}") };
    Report { of, number, at: UnixMs(i64::from(number)), what }
}

/// What the store has of a build, but for its own number and times of day.
fn seen(build: &Build, steps: &[StepRow]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|step| {
            let StepRow { number, name, result, exit_code, reason, summary, links, log_len, ran_ms, started, lacks, .. } = step;
            format!("{number} {name} {result:?} {exit_code:?} {reason} {summary} {links:?} {log_len:?} {ran_ms:?} {started:?} {lacks:?}")
        })
        .collect();
    format!("{:?} {} next {} {steps:#?}", build.state, build.says, build.next_report)
}

async fn what_comes_together_is_recorded_as_what_comes_one_by_one(place: Place) {
    let world = place.open().await;
    let (_, _, candidate, first) = world.waiting().await;
    let slave = world.slave().await;
    let (yes, no) = (BuildResult::Success, BuildResult::Failure);
    let whole = |of| {
        vec![
            began(of, 0, 0),
            ended(of, 1, 0, yes),
            began(of, 2, 1),
            ended(of, 3, 1, no),
            began(of, 4, 2),
            finished(of, 5, no),
        ]
    };
    // By which reports they come together: all, some that were recorded before, one missing, twice the same, the end not last.
    let splits: [&[&[usize]]; 7] = [
        &[&[0, 1, 2, 3, 4, 5]],
        &[&[0], &[1, 2], &[3, 4, 5]],
        &[&[0, 1, 2], &[1, 2, 3, 4], &[5]],
        &[&[0, 1], &[3, 4], &[2, 3, 4, 5]],
        &[&[0, 0, 1], &[2, 3, 3, 4], &[5, 5]],
        &[&[0, 1, 2, 3, 4], &[5, 4]],
        &[&[1, 0], &[1, 2, 3], &[4, 5]],
    ];
    let mut build = first;
    let mut before: Option<String> = None;
    for (at, split) in splits.iter().enumerate() {
        for together in [false, true] {
            let out = world.store.give_out(build.id, slave.id).await.unwrap().unwrap();
            let reports = whole(out.reference());
            for group in *split {
                let group: Vec<Report> = group.iter().map(|at| reports[*at].clone()).collect();
                if together {
                    let told = world.store.reports(slave.id, &group).await.unwrap();
                    assert_eq!(told.len(), 1, "split {at}");
                } else {
                    for report in &group {
                        world.store.report(slave.id, report).await.unwrap();
                    }
                }
            }
            let steps = world.store.steps(build.id).await.unwrap();
            let seen = seen(&world.build(build.id).await, &steps);
            assert!(seen.contains("Finished(Failure)") && steps.len() == 3, "{seen}");
            assert_eq!(*before.get_or_insert(seen.clone()), seen, "split {at}, together: {together}");
            build = world.store.ask_again(&[world.request(&candidate, "linux", false)], "mia").await.unwrap().remove(0);
        }
    }
}

async fn of_each_build_in_one_write_its_own_word_is_told(place: Place) {
    let world = place.open().await;
    let (_, _, candidate, first) = world.waiting().await;
    let asked = world.store.ask_again(&[world.request(&candidate, "docs", false)], "mia").await.unwrap();
    let slave = world.slave().await;
    let (first, second) = (first.id, asked[0].id);
    let first = world.store.give_out(first, slave.id).await.unwrap().unwrap().reference();
    let second = world.store.give_out(second, slave.id).await.unwrap().unwrap().reference();
    let old = BuildRef { fence: Fence(first.fence.0 - 1), ..first };
    let reports = [
        began(first, 0, 0),
        began(second, 0, 0),
        began(old, 0, 0),
        finished(first, 1, BuildResult::Success),
        began(second, 2, 1),
    ];
    let commits = world.store.commits();
    let told = world.store.reports(slave.id, &reports).await.unwrap();
    assert_eq!(told, [(first, Recorded::Ended(2)), (second, Recorded::Gap(1)), (old, Recorded::Stale)]);
    assert_eq!(world.store.commits(), commits + 1);
    assert_eq!(world.store.steps(second.build).await.unwrap().len(), 1);
}
