//! What a slave may say of a build that was given to it. A slave's token can be stolen: whatever comes by it stays within
//! what the build's assignment allows, so that nothing said here grows without bound.

use protocol::tested::TestReport;
use protocol::wire::{Happened, Limits, MAX_LINK, MAX_LINKS, MAX_SUMMARY, Report, StepFile};
use recipe::Builder;

/// What a log may be longer than its limit by: the mark that it was cut.
const LOG_SLACK: u64 = 64 << 10;
/// The longest name of a program, in characters.
const MAX_PROGRAM: usize = 64;
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 1000;
/// By how much a slave's clock may be before this one's, in milliseconds: a day.
const MAX_AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// A build as it was given to a slave.
#[derive(Debug)]
pub(crate) struct Assigned {
    /// The names of its steps, the first of which is bb's own, and whether they keep files.
    steps: Vec<(String, bool)>,
}

impl Assigned {
    /// What an assignment of this builder allows.
    pub(crate) fn of(builder: &Builder) -> Self {
        let own = std::iter::once(("fetch".to_owned(), false));
        let steps = builder.steps.iter().map(|step| (step.name.clone(), !step.artifacts.is_empty()));
        Self { steps: own.chain(steps).collect() }
    }

    fn step(&self, step: u32) -> Result<&(String, bool), String> {
        let known = usize::try_from(step).ok().and_then(|n| self.steps.get(n));
        known.ok_or_else(|| format!("the build has no step {step}, its last one is {}", self.steps.len() - 1))
    }

    /// Checks a report; what is free text in it is cut to a length.
    pub(super) fn check(&self, report: &mut Report, limits: &Limits, now_ms: i64) -> Result<(), String> {
        // Two for each step and one for the end.
        let most = 2 * self.steps.len();
        if usize::try_from(report.number).is_ok_and(|number| number > most) {
            return Err(format!("report {} of a build that has {} at most", report.number, most + 1));
        }
        report.at.0 = report.at.0.clamp(0, now_ms.saturating_add(MAX_AHEAD_MS));
        match &mut report.what {
            Happened::StepStarted { step, name } => {
                let (known, _) = self.step(*step)?;
                if name != known {
                    return Err(format!("step {step} is `{known}`, not `{}`", cut(name, 100)));
                }
            }
            Happened::StepFinished { step, log_len, reason, lacks, links, summary, tests, artifacts, .. } => {
                self.check_end(StepFile::Log(*step), *log_len, limits)?;
                if let Some(artifacts) = artifacts {
                    self.check_end(StepFile::Artifacts(*step), 0, limits)?;
                    let fine = artifacts.check(limits.artifact_bytes);
                    fine.map_err(|why| format!("the files that step {step} keeps: {why}"))?;
                }
                if links.len() > MAX_LINKS {
                    return Err(format!("{} links of step {step}, where {MAX_LINKS} are allowed", links.len()));
                }
                let long = |text: &str| text.chars().nth(MAX_LINK).is_some();
                if links.iter().any(|(name, url)| long(name) || long(url)) {
                    return Err(format!("a link of step {step} has more than {MAX_LINK} characters"));
                }
                let plain = |name: &str| {
                    name.chars().nth(MAX_PROGRAM).is_none()
                        && !name.chars().any(|c| c.is_control() || c.is_whitespace())
                };
                if lacks.as_deref().is_some_and(|name| !plain(name)) {
                    return Err(format!("what step {step} lacks is no program's name"));
                }
                if summary.len() > MAX_SUMMARY {
                    return Err(format!("the summary of step {step} has more than {MAX_SUMMARY} bytes"));
                }
                if let Some(Err(why)) = tests.as_deref().map(TestReport::check) {
                    return Err(format!("the tests of step {step}: {why}"));
                }
                *reason = reason.take().map(|text| cut(&text, MAX_REASON));
            }
            Happened::BuildFinished { reason, .. } => *reason = cut(reason, MAX_REASON),
        }
        Ok(())
    }

    /// Checks where a piece of a step's file ends.
    pub(super) fn check_end(&self, file: StepFile, end: u64, limits: &Limits) -> Result<(), String> {
        let (_, keeps) = self.step(file.step())?;
        let (what, most) = match file {
            StepFile::Log(_) => ("log", limits.log_bytes.saturating_add(LOG_SLACK)),
            StepFile::Artifacts(_) if !keeps => return Err(format!("step {} keeps no files", file.step())),
            StepFile::Artifacts(_) => ("files", limits.artifact_bytes),
        };
        if end > most {
            return Err(format!("the {what} of step {}: more than the {most} bytes that are allowed", file.step()));
        }
        Ok(())
    }
}

/// The beginning of a text.
pub(super) fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use protocol::artifacts::{Artifact, Artifacts};
    use protocol::wire::BuildRef;
    use protocol::{BuildId, BuildResult, Fence, UnixMs};

    const LIMITS: Limits = Limits { build_s: 1, silence_s: 1, log_bytes: 100, grace_s: 1, artifact_bytes: 10 };

    fn assigned_with(more: &str) -> Assigned {
        let text = format!("[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n{more}");
        let (recipe, _) = recipe::Recipe::parse(text.as_bytes(), ".bb.toml").unwrap();
        Assigned::of(&recipe.builders[0])
    }

    fn assigned() -> Assigned {
        assigned_with("")
    }

    fn report(number: u32, what: Happened) -> Report {
        Report { of: BuildRef { build: BuildId(1), fence: Fence(1) }, number, at: UnixMs(1), what }
    }

    fn finished(step: u32, log_len: u64, links: usize, link: usize, summary: usize) -> Happened {
        let link = ("n".repeat(link), "https://x/".to_owned());
        Happened::StepFinished {
            step,
            result: BuildResult::Success,
            exit_code: Some(0),
            log_len,
            reason: Some("r".repeat(5000)),
            lacks: Some("l".repeat(MAX_PROGRAM)),
            ran_ms: u64::MAX,
            links: vec![link; links],
            summary: "s".repeat(summary),
            tests: None,
            artifacts: None,
        }
    }

    #[test]
    fn what_an_honest_slave_says_is_taken_and_everything_beyond_is_not() {
        let check = |report: &mut Report| assigned().check(report, &LIMITS, 1000);
        let started = |step, name: &str| report(0, Happened::StepStarted { step, name: name.to_owned() });
        for (step, name, fine) in
            [(0, "fetch", true), (1, "test", true), (1, "fetch", false), (2, "test", false), (u32::MAX, "", false)]
        {
            assert_eq!(check(&mut started(step, name)).is_ok(), fine, "{step} {name}");
        }
        let full = 100 + LOG_SLACK;
        for (what, fine) in [
            (finished(1, full, MAX_LINKS, MAX_LINK, MAX_SUMMARY), true),
            (finished(2, 0, 0, 0, 0), false),
            (finished(1, full + 1, 0, 0, 0), false),
            (finished(1, 0, MAX_LINKS + 1, 1, 0), false),
            (finished(1, 0, 1, MAX_LINK + 1, 0), false),
            (finished(1, 0, 0, 0, MAX_SUMMARY + 1), false),
        ] {
            assert_eq!(check(&mut report(3, what)).is_ok(), fine);
        }
        let end =
            || Happened::BuildFinished { result: BuildResult::Failure, reason: "r".repeat(5000), handed_back: false };
        assert!(check(&mut report(5, end())).is_err(), "two steps are four reports and the end");
        let mut last = Report { at: UnixMs(i64::MAX), ..report(4, end()) };
        check(&mut last).unwrap();
        assert_eq!(last.at, UnixMs(1000 + MAX_AHEAD_MS));
        let Happened::BuildFinished { reason, .. } = last.what else { panic!() };
        assert_eq!(reason.len(), MAX_REASON);
        let end = |file, end| assigned().check_end(file, end, &LIMITS).is_ok();
        assert!(end(StepFile::Log(1), full) && !end(StepFile::Log(1), full + 1) && !end(StepFile::Log(2), 1));
    }

    #[test]
    fn files_are_kept_of_steps_whose_recipe_says_so_and_no_more_than_may_be() {
        let keeping = assigned_with("artifacts = \"doc/**\"\n");
        let end = |assigned: &Assigned, step, end| assigned.check_end(StepFile::Artifacts(step), end, &LIMITS).is_ok();
        assert!(end(&keeping, 1, 10) && !end(&keeping, 1, 11) && !end(&keeping, 0, 1) && !end(&assigned(), 1, 1));
        let told = |path: &str, bytes| {
            let Happened::StepFinished {
                step,
                result,
                exit_code,
                log_len,
                reason,
                lacks,
                ran_ms,
                links,
                summary,
                tests,
                ..
            } = finished(1, 0, 0, 0, 0)
            else {
                panic!()
            };
            let files = vec![Artifact { path: path.to_owned(), bytes }];
            let artifacts = Some(Box::new(Artifacts { files, notes: Vec::new() }));
            let what = Happened::StepFinished {
                step,
                result,
                exit_code,
                log_len,
                reason,
                lacks,
                ran_ms,
                links,
                summary,
                tests,
                artifacts,
            };
            report(3, what)
        };
        assert_eq!(keeping.check(&mut told("doc/a", 10), &LIMITS, 1000), Ok(()));
        for (path, bytes) in [("doc/a", 11), ("../a", 1), ("/etc/passwd", 1), ("doc/\0", 1)] {
            assert!(keeping.check(&mut told(path, bytes), &LIMITS, 1000).is_err(), "{path:?} {bytes}");
        }
        assert!(assigned().check(&mut told("doc/a", 1), &LIMITS, 1000).is_err());
    }
}
