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

/// How they end the line that names what is there and can't be executed, the longest first.
const NOT_EXECUTABLE: [&str; 9] = [
    ": cannot execute binary file: Exec format error",
    ": cannot execute binary file",
    ": cannot execute: required file not found",
    ": cannot execute: Permission denied",
    ": cannot execute",
    ": bad interpreter: No such file or directory",
    ": bad interpreter: Permission denied",
    ": Exec format error",
    ": Permission denied",
];

/// Folders of the machine itself: what lies there is no project's own.
const OF_MACHINE: [&str; 6] = ["/usr/", "/bin/", "/sbin/", "/opt/", "/lib/", "/nix/"];

/// The program that this slave lacks, or can't execute, from a step's exit code and the end of its output. None when the
/// step ended for another reason, and for a path (`./configure`), which is the project's own.
pub(super) fn program(exit_code: i32, tail: &[u8]) -> Option<String> {
    found(exit_code, tail, |what, _| {
        let of_machine = |path: &str| OF_MACHINE.iter().any(|folder| path.starts_with(folder));
        let what = if of_machine(what) { what.rsplit_once('/').map_or(what, |(_, name)| name) } else { what };
        is_name(what, "").then(|| what.to_owned())
    })
}

/// What is said of a file of the project's own (`./configure`) that is not there or can't be executed, from a step's exit code and
/// the end of its output.
pub(super) fn own(exit_code: i32, tail: &[u8]) -> Option<String> {
    let code = if matches!(exit_code, 126 | 127) { format!(" (exit code {exit_code})") } else { String::new() };
    found(exit_code, tail, |path, is_there| {
        if !path.contains('/') || !is_name(path, "/") {
            return None;
        }
        Some(if is_there {
            format!(
                "`{path}` can't be executed{code}: it lacks the executable bit, is made for another machine, or its first line names what is not there"
            )
        } else {
            format!("`{path}` is not there{code}, or the program that its first line names is not")
        })
    })
}

/// What the line that tells it names, as `wanted` takes it; with whether it is there, and can't be executed.
fn found(exit_code: i32, tail: &[u8], wanted: impl Fn(&str, bool) -> Option<String>) -> Option<String> {
    let text = String::from_utf8_lossy(tail);
    // make ends with 2 whatever its recipe's line ended with, and says that.
    let by_make = |code: i32| {
        let ends = format!(" Error {code}");
        exit_code == code || text.lines().rev().take(8).any(|line| line.starts_with("make") && line.ends_with(&ends))
    };
    let mut last = text.lines().rev().take(16);
    if by_make(126) {
        // What `make` could not run itself it tells with 127.
        last.find_map(|line| wanted(named(line, &NOT_EXECUTABLE)?, true))
    } else if by_make(127) {
        last.find_map(|line| match named(line, &NOT_THERE) {
            Some(what) => wanted(what, false),
            None => wanted(named(line, &NOT_EXECUTABLE)?, true),
        })
    } else {
        None
    }
}

/// What a line with one of these ends names.
fn named<'l>(line: &'l str, ends: &[&str]) -> Option<&'l str> {
    let line = line.trim_end();
    // zsh names it last.
    let last = ["command not found: ", "permission denied: "].iter().find_map(|words| line.rsplit_once(words));
    let what = match last {
        Some((_, name)) => name,
        None => {
            let before = ends.iter().find_map(|end| line.strip_suffix(end))?;
            before.rsplit_once(": ").map_or(before, |(_, name)| name)
        }
    };
    Some(what.trim_matches(['\'', '"', '`', '‘', '’', ' ']))
}

/// Whether it can be repeated as a name: of letters, digits and few signs, these among them.
fn is_name(what: &str, signs: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "+-._@".contains(c) || signs.contains(c);
    !what.is_empty() && what.chars().count() <= LONGEST && what.chars().all(plain)
}

/// What is said of a slave that lacks a program.
pub(super) fn words(program: &str, exit_code: i32) -> String {
    if exit_code == 126 {
        return format!(
            "this slave can't execute the program `{program}` (exit code 126): its admin mends its permissions, installs one for this machine, or gives another by `read_only` and by PATH below [env] in slave.toml"
        );
    }
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

/// What an exit code may say beyond itself: a shell, and bubblewrap, end with 128 and the number of the signal that their
/// command died by. A script that ends so by its own word (`exit 137`) looks the same from here, so that it is no more
/// than likened to a death: only [`signal`] of a process that was seen to die by one says that it did.
pub(super) fn code(exit_code: i32) -> Option<String> {
    let number = exit_code.checked_sub(128).filter(|number| (1..=64).contains(number))?;
    Some(format!("exit code {exit_code}, as of a command that dies by {}", signal(number)))
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
    fn what_is_there_and_can_t_be_executed_is_named_too() {
        for (line, expected) in [
            ("sh: 1: cmake: Permission denied", "cmake"),
            ("sh: 1: exec: cmake: Permission denied", "cmake"),
            ("bash: line 1: /usr/bin/cmake: Permission denied", "cmake"),
            ("bash: /opt/tools/bin/cc: cannot execute binary file: Exec format error", "cc"),
            ("bash: line 3: cmake: cannot execute: required file not found", "cmake"),
            ("bash: ./test.sh: /usr/bin/zsh: bad interpreter: No such file or directory", "zsh"),
            ("env: ‘node’: Permission denied", "node"),
            ("zsh:1: permission denied: cmake", "cmake"),
        ] {
            let found = program(126, format!("compiling\n{line}\n").as_bytes()).unwrap_or_default();
            assert_eq!(found, expected, "{line}");
        }
        let by_make = "sh: 1: cargo: Permission denied\nmake: *** [Makefile:2: check] Error 126\n";
        assert_eq!(program(2, by_make.as_bytes()).as_deref(), Some("cargo"));
        let by_make = "make: cargo: Permission denied\nmake: *** [Makefile:2: check] Error 127\n";
        assert_eq!(program(2, by_make.as_bytes()).as_deref(), Some("cargo"));
        assert!(words("cmake", 126).contains("can't execute the program `cmake`"));
        for own in
            ["sh: 1: ./configure: Permission denied", "sh: 1: /build/x.sh: Permission denied", "Permission denied"]
        {
            assert_eq!(program(126, own.as_bytes()), None, "{own}");
        }
        assert_eq!(program(1, b"sh: 1: cmake: Permission denied"), None, "it may be a test's own words");
    }

    #[test]
    fn a_file_of_the_project_s_own_is_named_too() {
        let said = |code, line: &str| own(code, line.as_bytes()).unwrap_or_default();
        for line in ["sh: 1: ./test.sh: Permission denied", "bash: line 1: ./test.sh: Permission denied"] {
            assert!(said(126, line).starts_with("`./test.sh` can't be executed (exit code 126): it lacks"), "{line}");
        }
        for line in ["sh: 1: ./test.sh: not found", "env: ‘./test.sh’: No such file or directory"] {
            let words = "`./test.sh` is not there (exit code 127), or the program that its first line names is not";
            assert_eq!(said(127, line), words);
        }
        let by_make = "make: ./test.sh: Permission denied\nmake: *** [Makefile:2: check] Error 127\n";
        assert!(said(2, by_make).starts_with("`./test.sh` can't be executed: it lacks"), "{}", said(2, by_make));
        for (code, line) in [(1, "sh: 1: ./test.sh: not found"), (127, "sh: 1: cmake: not found"), (127, "")] {
            assert_eq!(own(code, line.as_bytes()), None, "{line}");
        }
        assert_eq!(own(127, b"sh: 1: ./\x1b[31m<b>: not found\n"), None, "markup is no name");
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
        assert_eq!(code(139).as_deref(), Some("exit code 139, as of a command that dies by SIGSEGV"));
        assert_eq!((code(127), code(128), code(255)), (None, None, None));
    }
}
