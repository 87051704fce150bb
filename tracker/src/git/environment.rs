//! The environment and configuration of a run: our own for whatever a stranger has a hand in, the admin's for the official
//! repository.

use std::ffi::OsStr;

/// What a run finds of our own environment.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Environment {
    /// Nothing but `PATH`.
    Empty,
    /// The admin's, for the official repository alone; but for what would lead git to another repository.
    Admin,
}

/// Keeps a stranger's bytes from choosing anything: no configuration but ours, no prompts, no helpers, no other repository.
pub(super) const BOUNDED_ENV: [(&str, &str); 17] = [
    ("LC_ALL", "C.UTF-8"),
    // No such folder can ever be, so no .netrc, .gitconfig or key is found in it.
    ("HOME", "/dev/null/none"),
    ("XDG_CONFIG_HOME", "/dev/null/none"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
    ("GIT_PROTOCOL_FROM_USER", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_ADVICE", "0"),
    ("GIT_CEILING_DIRECTORIES", "/"),
    ("GIT_ALLOW_PROTOCOL", ""),
];

pub(super) const BOUNDED_CONFIG: [&str; 20] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=false",
    "core.askPass=",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "credential.helper=",
    "transfer.fsckObjects=true",
    "fetch.unpackLimit=1",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "http.proxy=",
    "protocol.version=2",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "init.templateDir=",
    "init.defaultBranch=main",
];

/// No prompts, and no other configuration is touched: the admin's credentials and proxies are why this environment is used.
pub(super) const ADMIN_ENV: [(&str, &str); 7] = [
    ("LC_ALL", "C.UTF-8"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("SSH_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_ADVICE", "0"),
];

pub(super) const ADMIN_CONFIG: [&str; 4] =
    ["gc.auto=0", "maintenance.auto=false", "submodule.recurse=false", "core.fsmonitor=false"];

/// Whether a variable may reach a run for the official repository: all but those of git that would lead it elsewhere.
pub(super) fn is_the_admins(name: &OsStr) -> bool {
    const KEPT: [&str; 7] = ["SSH", "SSL_", "ASKPASS", "HTTP_", "PROXY_", "CONFIG_GLOBAL", "CONFIG_SYSTEM"];
    match name.to_string_lossy().strip_prefix("GIT_") {
        Some(rest) => KEPT.iter().any(|kept| rest.starts_with(kept)),
        None => true,
    }
}
