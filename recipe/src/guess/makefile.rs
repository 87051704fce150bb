//! The targets of a Makefile, as far as they stand there in plain text.

/// Whether a Makefile has a rule for a target. Variables and included files are not looked into.
pub(super) fn has_target(text: &str, target: &str) -> bool {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut in_define = false;
    for line in joined.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        match first {
            "define" => in_define = true,
            "endef" => in_define = false,
            _ => {}
        }
        // A tab begins a command of the rule before.
        if in_define || line.starts_with('\t') || line.trim_start().starts_with('#') {
            continue;
        }
        let Some((targets, rest)) = line.split_once(':') else { continue };
        let assigns = rest.trim_start_matches(':').starts_with('=') || targets.contains('=');
        if !assigns && targets.split_whitespace().any(|t| t == target) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_and_what_only_looks_like_one_is_not() {
        for text in ["check:", "check: all", "check::\n", "all check test:", "a: b\n\nall \\\n  check: x", "check:;x"] {
            assert!(has_target(text, "check"), "{text}");
        }
        for text in [
            "",
            "check := 1",
            "check ::= 1",
            "check :::= 1",
            ".PHONY: check",
            "# check: x",
            "all:\n\tcheck: x",
            "x = check: y",
            "check-all: x",
            "define x\ncheck: y\nendef",
            "check",
        ] {
            assert!(!has_target(text, "check"), "{text}");
        }
    }
}
