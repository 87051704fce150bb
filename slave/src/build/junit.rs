//! The JUnit files that a step leaves behind: which tests failed. They are a stranger's words in a stranger's folder: what is
//! read is bounded, no link is followed, and nothing that a document defines for itself is expanded.

mod document;

use super::find::find;
use crate::work::Slot;
use protocol::tested::{MAX_NOTE, MAX_NOTES, TestReport, cut};
use std::io::Read as _;
use std::path::Path;

/// Bytes of one file, and of all of a step.
const MAX_FILE: u64 = 16 << 20;
const MAX_ALL: u64 = 128 << 20;

/// Reads the files that match a step's patterns. Only to be called when nothing of the step runs any more.
pub(super) async fn read(slot: &Slot, patterns: &[String]) -> Option<TestReport> {
    if patterns.is_empty() {
        return None;
    }
    let (work, patterns) = (slot.work(), patterns.to_vec());
    tokio::task::spawn_blocking(move || read_in(&work, &patterns)).await.ok()
}

fn read_in(work: &Path, patterns: &[String]) -> TestReport {
    let mut report = TestReport::default();
    let found = find(work, patterns);
    found.notes.iter().for_each(|text| note(&mut report, text));
    let mut left = MAX_ALL;
    for path in &found.paths {
        let Some(file) = found.open(path) else { continue };
        let most = MAX_FILE.min(left);
        let mut bytes = Vec::new();
        match file.take(most + 1).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > most => {
                let limit = if most == MAX_FILE { MAX_FILE >> 20 } else { MAX_ALL >> 20 };
                note(&mut report, &format!("{path} is not read: there are more than {limit} MiB of it"));
            }
            Ok(_) => {
                left -= bytes.len() as u64;
                // Tests print whatever they print.
                if let Err(why) = document::read(&String::from_utf8_lossy(&bytes), path, &mut report) {
                    note(&mut report, &format!("{path}: {why}"));
                }
            }
            Err(error) => note(&mut report, &format!("{path} can't be read: {error}")),
        }
    }
    report
}

/// Adds what could not be read, while there is room for it.
fn note(report: &mut TestReport, text: &str) {
    if report.notes.len() < MAX_NOTES {
        report.notes.push(cut(text, MAX_NOTE).to_owned());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn report(files: &[(&str, &str)], patterns: &[&str]) -> TestReport {
        let work = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = work.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        read_in(work.path(), &patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    const ONE: &str = r#"<testsuite name="spool"><testcase classname="spool" name="full"><failure message="left 1">at spool.c:118 &lt;here&gt;</failure></testcase><testcase name="fine"/></testsuite>"#;

    #[test]
    fn failing_tests_are_found_by_name_in_all_files_that_match() {
        let files = [("target/a.xml", ONE), ("target/deep/b.xml", ONE), ("other/c.xml", ONE), ("target/a.txt", ONE)];
        let one = report(&files, &["target/*.xml"]);
        assert_eq!((one.passed, one.failed, one.skipped), (1, 1, 0));
        assert_eq!(one.failing[0].name, "spool.full");
        assert_eq!(one.failing[0].text, "left 1\nat spool.c:118 <here>");
        assert_eq!(one.notes, Vec::<String>::new());
        assert_eq!(report(&files, &["target/**/*.xml"]).failed, 2);
        assert_eq!(report(&files, &["**/*.xml", "target/a.xml"]).failed, 3, "each file once");
        assert_eq!(report(&files, &["target/a.xml", "nothing-*.xml"]).notes, ["no file matches `nothing-*.xml`"]);
    }

    #[test]
    fn nothing_outside_of_the_work_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.xml"), ONE).unwrap();
        let work = tempfile::tempdir().unwrap();
        symlink(outside.path().join("secret.xml"), work.path().join("link.xml")).unwrap();
        symlink(outside.path(), work.path().join("folder")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            work.path().join("pipe.xml"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        for pattern in ["*.xml", "**/*.xml", "folder/*.xml", "folder/secret.xml", "link.xml", "../*/secret.xml"] {
            let read = read_in(work.path(), &[pattern.to_owned()]);
            assert_eq!((read.all(), read.notes.len()), (0, 1), "{pattern}: {read:?}");
        }
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let endless =
            format!("{}<testcase name='late'/></testsuite>", ONE.replace("</testsuite>", &" ".repeat(17 << 20)));
        let long = report(&[("a.xml", &endless)], &["*.xml"]);
        assert_eq!(
            (long.all(), long.notes),
            (0, vec!["a.xml is not read: there are more than 16 MiB of it".to_owned()])
        );
        let many: String = (0..100_000).map(|n| format!("<testcase name='t{n}'><error/></testcase>")).collect();
        let many = report(&[("a.xml", &format!("<testsuite>{many}</testsuite>"))], &["*.xml"]);
        assert_eq!((many.failed, many.check()), (100_000, Ok(())));
    }
}
