//! What a shell's last words say is not there on the slave, and the names of signals: pure.
//!
//! A step that ends with 127 or 126 (POSIX, Shell Command Language, 2.8.2) most often met a machine without a program
//! that its recipe counts on, for which the branch's author is seldom to blame.

/// How much of a step's output is kept to be looked at, in bytes.
pub(super) const TAIL: usize = 4 << 10;

/// The longest name of a program that is repeated, in characters.
const LONGEST: usize = 64;

/// How shells, `env` and `make` end the line that names what could not be run.
const NOT_THERE: [&str; 3] = [": command not found", ": not found", ": No such file or directory"];

/// The program that this slave lacks, from a step's exit code and the end of its output. None when the step ended for
/// another reason, and for a path (`./configure`), which is the project's own.
pub(super) fn program(exit_code: i32, tail: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(tail);
    // make ends with 2 whatever its recipe's line ended with, and says that.
    let by_make = || text.lines().rev().take(8).any(|line| line.starts_with("make") && line.ends_with(" Error 127"));
    if exit_code != 127 && !by_make() {
        return None;
    }
    text.lines().rev().take(16).find_map(named)
}

/// The program that a line names as not there.
fn named(line: &str) -> Option<String> {
    let line = line.trim_end();
    let what = match line.rsplit_once("command not found: ") {
        // zsh names it last.
        Some((_, name)) => name,
        None => {
            let before = NOT_THERE.iter().find_map(|end| line.strip_suffix(end))?;
            before.rsplit_once(": ").map_or(before, |(_, name)| name)
        }
    };
    let name = what.trim_matches(['\'', '"', '`', '‘', '’', ' ']);
    let plain = |c: char| c.is_alphanumeric() || "+-._@".contains(c);
    (!name.is_empty() && name.chars().count() <= LONGEST && name.chars().all(plain)).then(|| name.to_owned())
}

/// What is said of a slave that lacks a program.
pub(super) fn words(program: &str, exit_code: i32) -> String {
    format!(
        "this slave has no program `{program}` (exit code {exit_code}): its admin installs it, or gives it by `read_only` and by PATH below [env] in slave.toml"
    )
}

/// A signal by its name, `SIGSEGV`, or by its number where it has none.
pub(super) fn signal(number: i32) -> String {
    const NAMES: [(i32, &str); 19] = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL (an instruction that this processor does not have)"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT (it gave up by itself, as after a failed assertion)"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL (as when the machine is out of memory)"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGXFSZ, "SIGXFSZ (a file grew beyond the slave's limit)"),
        (libc::SIGSYS, "SIGSYS (a system call that the sandbox does not have, as of a 32-bit program)"),
        (libc::SIGVTALRM, "SIGVTALRM"),
    ];
    let name = NAMES.iter().find(|(n, _)| *n == number).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {number}"))
}

/// What an exit code says beyond itself: a shell ends with 128 and the number of the signal that its command died by.
pub(super) fn code(exit_code: i32) -> Option<String> {
    let number = exit_code.checked_sub(128).filter(|number| (1..=64).contains(number))?;
    Some(format!("exit code {exit_code}: its command died by {}", signal(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_the_words_of_every_shell() {
        for (line, expected) in [
            ("sh: 1: cmake: not found", "cmake"),
            ("/build/test.sh: 3: g++: not found", "g++"),
            ("sh: line 1: cmake: command not found", "cmake"),
            ("bash: cmake: command not found", "cmake"),
            ("sh: cmake: not found", "cmake"),
            ("sh: 1: exec: cmake: not found", "cmake"),
            ("zsh:1: command not found: cmake", "cmake"),
            ("env: 'python3': No such file or directory", "python3"),
            ("/usr/bin/env: ‘node’: No such file or directory", "node"),
        ] {
            assert_eq!(program(127, format!("compiling\n{line}\n").as_bytes()).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn make_is_believed_about_what_it_ran() {
        let by_shell =
            "/bin/sh: 1: cargo: not found\nmake[1]: *** [Makefile:2: check] Error 127\nmake: *** [all] Error 2\n";
        assert_eq!(program(2, by_shell.as_bytes()).as_deref(), Some("cargo"));
        let itself = "cargo test\nmake: cargo: No such file or directory\nmake: *** [Makefile:2: check] Error 127\n";
        assert_eq!(program(2, itself.as_bytes()).as_deref(), Some("cargo"));
        assert_eq!(program(2, b"cargo: not found\nmake: *** [Makefile:2: check] Error 1\n"), None);
    }

    #[test]
    fn what_is_the_projects_own_is_not_the_slaves_lack() {
        assert_eq!(program(127, b"sh: 1: ./configure: not found\n"), None);
        assert_eq!(program(127, b""), None);
        assert_eq!(program(1, b"page: not found\n"), None, "a test may print so and fail by itself");
        assert_eq!(program(127, b"sh: 1: \x1b[31m<b>: not found\n"), None, "markup is no program");
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal(11), "SIGSEGV");
        assert_eq!(signal(60), "signal 60");
        assert_eq!(code(139).as_deref(), Some("exit code 139: its command died by SIGSEGV"));
        assert_eq!((code(127), code(128), code(255)), (None, None, None));
    }
}
