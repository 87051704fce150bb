#![allow(clippy::unwrap_used)]
use super::*;

fn git() -> Git {
    Git::find(None).unwrap()
}

/// A run of a shell instead of git, to see what becomes of what it starts.
fn shell(script: &str) -> Run {
    git().bounded().config(format!("alias.sh=!{script}")).arg("sh")
}

#[tokio::test]
async fn a_failure_says_what_was_run_and_what_git_said() {
    let error = git().bounded().args(["cat-file", "-t", "nothing"]).output().await.err().unwrap();
    assert_eq!(error.code(), "git-failed");
    let words = error.to_string();
    assert!(
        words.ends_with("`git cat-file -t nothing` ended with exit code 128: Not a valid object name nothing"),
        "{words}"
    );
}

#[tokio::test]
async fn no_message_says_where_our_own_folders_are() {
    let temp = tempfile::tempdir().unwrap();
    let (mirror, scratch) =
        (temp.path().join("mirrors/heron.git"), temp.path().join("mirrors/heron.git/scratch/x.git"));
    std::fs::create_dir_all(&scratch).unwrap();
    for run in [
        git().bounded().repository(&mirror).args(["rev-parse", "x"]),
        git().bounded().repository(&scratch).own(&mirror).args(["push", "--"]).arg(&mirror),
        git().bounded().own(&mirror).arg("upload-pack").arg(&mirror),
        git().as_admin().repository(&mirror).arg("fetch").arg("origin"),
    ] {
        let words = run.output().await.err().unwrap().to_string();
        assert!(!words.contains(temp.path().to_str().unwrap()) && words.contains("…/"), "{words}");
    }
}

#[tokio::test]
async fn the_whole_group_is_killed_when_time_is_up_and_when_nobody_waits() {
    let temp = tempfile::tempdir().unwrap();
    let pid_file = temp.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", pid_file.display());
    let limits = RunLimits { wall: Duration::from_secs(1), ..RunLimits::default() };
    let error = shell(&script).limits(limits).output().await.err().unwrap();
    assert_eq!(error.code(), "git-timed-out");
    gone(&pid_file).await;

    let run = tokio::spawn(async move { shell(&script).output().await.err().map(|e| e.to_string()) });
    while !pid_file.exists() {
        tokio::task::yield_now().await;
    }
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    gone(&pid_file).await;
}

/// Waits until the process in the file is no more (or is a zombie that nobody has asked for yet).
async fn gone(pid_file: &Path) {
    let pid: i32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let stat = PathBuf::from(format!("/proc/{pid}/stat"));
    while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
        tokio::task::yield_now().await;
    }
    std::fs::remove_file(pid_file).unwrap();
}

#[tokio::test]
async fn output_and_files_have_limits() {
    let limits = RunLimits { output_bytes: 1000, file_bytes: 5000, ..RunLimits::default() };
    let error = shell("yes").limits(limits).output().await.err().unwrap();
    assert_eq!(error.code(), "git-output-too-long");
    let temp = tempfile::tempdir().unwrap();
    let script = format!("head -c 100000 /dev/zero > {}", temp.path().join("x").display());
    let error = shell(&script).limits(limits).output().await.err().unwrap();
    assert!(error.hit_file_limit(), "{error}");
    assert!(std::fs::metadata(temp.path().join("x")).unwrap().len() <= 5000);
    let limits = RunLimits { memory_bytes: 8 << 20, ..RunLimits::default() };
    let run = git().bounded().args(["hash-object", "--stdin-paths"]).limits(limits);
    assert!(run.output().await.is_ok());
    let large = temp.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(64 << 20).unwrap();
    let run = git().bounded().args(["hash-object", "--no-filters"]).arg(&large).limits(limits);
    assert!(run.output().await.is_ok(), "a mapped file counts as memory");
    let error = shell("head -c 64m /dev/zero | tail -c 64m").limits(limits).output().await.err().unwrap();
    assert_eq!(error.code(), "git-failed");
}

#[test]
fn the_admins_run_goes_to_no_other_repository() {
    for kept in ["PATH", "HOME", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_CONFIG_GLOBAL", "SSH_AUTH_SOCK"] {
        assert!(is_the_admins(kept.as_ref()), "{kept}");
    }
    for dropped in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_COUNT", "GIT_EXEC_PATH", "GIT_TRACE"] {
        assert!(!is_the_admins(dropped.as_ref()), "{dropped}");
    }
}

#[tokio::test]
async fn a_strangers_run_sees_nothing_of_our_environment() {
    let said = shell("env").output().await.unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("HOME=/dev/null/none"), "{text}");
    assert!(!text.contains("CARGO"), "{text}");
}
