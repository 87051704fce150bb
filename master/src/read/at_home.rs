//! The lines that do at home what a build did: plain git and a shell, each word quoted.

use protocol::wire::Assignment;
use recipe::{Run, Step, When};
use std::fmt::Write as _;
use tracker::text::{is_hidden, shell_word};

/// The lines: get the candidate, say what a step is told, and each step's command. `url` is where the master is reached.
pub(super) fn lines(url: &str, assignment: &Assignment) -> Vec<String> {
    let Assignment { of, project, git_path, git_ref, commit, builder, env, .. } = assignment;
    let folder = format!("{project}-{}", of.build);
    let mut lines = vec![
        format!("git clone --quiet --no-checkout {} {folder} && cd {folder}", word(&format!("{url}{git_path}"))),
        format!("git fetch --quiet origin {} && git checkout --quiet --detach {commit}", word(git_ref)),
    ];
    let own = [
        ("CI", "true".to_owned()),
        ("BB_BUILD", of.build.to_string()),
        ("BB_BUILDER", builder.name.clone()),
        ("BB_COMMIT", commit.to_string()),
        ("BB_CANDIDATE", commit.to_string()),
        ("BB_LINKS", "/dev/null".to_owned()),
        ("BB_SUMMARY", "/dev/null".to_owned()),
    ];
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    let said = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    lines.push(format!("export{}", variables(said.chain(own))));
    lines.extend(builder.steps.iter().map(step));
    lines
}

/// ` A=1 B='two words'`
fn variables<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    all.fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, " {name}={}", word(value));
        text
    })
}

fn step(step: &Step) -> String {
    let env = match step.env.is_empty() {
        true => String::new(),
        false => format!("env{} ", variables(step.env.iter().map(|(name, value)| (name.as_str(), value.as_str())))),
    };
    let run = match &step.run {
        Run::Shell(text) => format!("sh -euc {}", word(text.trim_end())),
        argv @ Run::Argv(_) => command(argv),
    };
    let when = match step.when {
        When::OnSuccess => "",
        When::Always => ", whether those before it failed or not",
        When::OnFailure => ", only after a failure",
    };
    format!("{env}{run} # {}{when}", step.name)
}

/// A step's command as it is read.
pub(super) fn command(run: &Run) -> String {
    match run {
        Run::Shell(text) => text.clone(),
        Run::Argv(words) => words.iter().map(|it| word(it)).collect::<Vec<_>>().join(" "),
    }
}

/// A word for a POSIX shell, in which nothing is hidden: it is pasted into a terminal.
fn word(text: &str) -> String {
    let hidden = |c: char| c != '\n' && c != '\t' && is_hidden(c);
    if !text.contains(hidden) {
        return shell_word(text);
    }
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            c if hidden(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(shown, "\\0{byte:03o}");
                }
            }
            c => shown.push(c),
        }
    }
    format!("\"$(printf %b {})\"", shell_word(&shown))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn said_by_sh(line: &str) -> String {
        let output = Command::new("sh").args(["-euc", line]).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn a_step(run: Run, env: &[(&str, &str)]) -> Step {
        let toml = "[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n";
        let (mut recipe, _) = recipe::Recipe::parse(toml.as_bytes(), ".bb.toml").unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Step { run, env, ..recipe.builders.remove(0).steps.remove(0) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_shell_takes_every_word_back_and_no_terminal_is_steered(
            text in "([ -~]|[\\n\\t\u{1b}\u{7}\u{202e}ä'\"\\\\$`%])*[!-~]",
        ) {
            let line = word(&text);
            prop_assert!(!line.chars().any(|c| c != '\n' && c != '\t' && is_hidden(c)), "{line:?}");
            prop_assert_eq!(said_by_sh(&format!("printf %s {line}")), text);
        }

        #[test]
        fn a_step_gets_its_words_and_variables_and_nothing_else_runs(
            value in "[ -~]{0,12}", argument in "[ -~]{0,12}",
        ) {
            let argv = Run::Argv(vec!["printf".to_owned(), "%s|".to_owned(), argument.clone()]);
            let line = step(&a_step(argv, &[]));
            prop_assert_eq!(said_by_sh(&line), format!("{argument}|"));
            let text = Run::Shell("printf %s \"$FLAVOUR\"".to_owned());
            prop_assert_eq!(said_by_sh(&step(&a_step(text, &[("FLAVOUR", &value)]))), value);
        }
    }

    #[test]
    fn a_step_of_several_lines_stays_one_command() {
        let line = step(&a_step(Run::Shell("echo one\necho two # 'not' a word\n".to_owned()), &[("A", "x y")]));
        assert_eq!(said_by_sh(&line), "one\ntwo\n");
        assert!(line.starts_with("env A='x y' sh -euc '") && line.ends_with("# test"), "{line}");
    }
}
