//! From a [`Recipe`] to TOML, as a person would write it: what has its default is left out.

use crate::freeze::{Freeze, Said};
use crate::{Builder, History, LockAmount, OnFailure, Project, Recipe, Run, Step, When};
use changelog::{DatePolicy, FoldAt, IndentPolicy, Order, Place};
use std::fmt::Write;

impl Recipe {
    /// The recipe as `.bb.toml`; [`Recipe::parse`] reads the same recipe from it.
    ///
    /// Equal recipes give equal text and different ones different text, so that the text can stand for the recipe.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        project(&mut out, &self.project);
        if self.queue.every_commit {
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{gap}[queue]\nevery-commit = true\n");
        }
        for it in &self.queue.freezes {
            freeze(&mut out, it);
        }
        for item in &self.builders {
            if !out.is_empty() {
                out.push('\n');
            }
            builder(&mut out, item);
        }
        out
    }
}

fn freeze(out: &mut String, freeze: &Freeze) {
    let gap = if out.is_empty() { "" } else { "\n" };
    let _ = writeln!(out, "{gap}[[queue.freeze]]");
    for (key, said) in freeze.keys() {
        let value = match said {
            Said::Text(text) => quote(text),
            Said::Number(number) => number.to_string(),
        };
        line(out, key, &value);
    }
}

fn project(out: &mut String, project: &Project) {
    let simple = match project.named() {
        Some([one]) if one.scope.is_empty() => Some(one),
        Some(places) => {
            out.push_str("[project]\nchangelog = [\n");
            for place in places {
                let pairs =
                    settings(place, Some(places.len())).into_iter().map(|(key, value)| format!("{key} = {value}"));
                let _ = writeln!(out, "    {{ {} }},", pairs.collect::<Vec<_>>().join(", "));
            }
            out.push_str("]\n");
            return;
        }
        None => project.unnamed(),
    };
    let Some(place) = simple else { return };
    let mut of_project = vec![];
    if project.named().is_some() {
        of_project.push(("changelog", quote(&place.path)));
    }
    let (fragments, of_changelog): (Vec<_>, Vec<_>) =
        settings(place, None).into_iter().partition(|(key, _)| *key == "fragments");
    of_project.extend(fragments);
    for (name, pairs) in [("[project]", of_project), ("[changelog]", of_changelog)] {
        if !pairs.is_empty() {
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{name}");
            pairs.into_iter().for_each(|(key, value)| line(out, key, &value));
        }
    }
}

/// What is not as it is by default; path and scope too if it is to stand in one of so many tables.
fn settings(place: &Place, tables: Option<usize>) -> Vec<(&'static str, String)> {
    let default = Place::new(&place.path);
    let mut all = vec![];
    if let Some(tables) = tables {
        all.push(("path", quote(&place.path)));
        if tables == 1 || place.scope != default.scope {
            all.push(("scope", quote(&place.scope)));
        }
    }
    if place.rules.names != default.rules.names {
        all.push(("fragments", list(&place.rules.names)));
    }
    if place.rules.folder != default.rules.folder {
        all.push(("folder", quote(place.rules.folder.as_deref().unwrap_or_default())));
    }
    if let Some(format) = place.format {
        all.push(("format", quote(&format.to_string())));
    }
    if place.date == DatePolicy::Author {
        all.push(("date", quote("author")));
    }
    if place.indent == IndentPolicy::Adopt {
        all.push(("indent", quote("adopt")));
    }
    if place.order == Order::Arrival {
        all.push(("order", quote("arrival")));
    }
    if let Some(url) = &place.issue_url {
        all.push(("issue-url", quote(url)));
    }
    if place.when == FoldAt::Release {
        all.push(("fold", quote("release")));
    }
    if place.rules.types != default.rules.types {
        let pairs = place.rules.types.iter().map(|(name, heading)| format!("{} = {}", quote(name), quote(heading)));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        all.push(("types", if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {pairs} }}") }));
    }
    all
}

fn builder(out: &mut String, builder: &Builder) {
    out.push_str("[[builder]]\n");
    line(out, "name", &quote(&builder.name));
    if !builder.slaves.is_empty() {
        line(out, "slaves", &list(&builder.slaves));
    }
    if !builder.locks.is_empty() {
        let single = builder.locks.iter().all(|l| l.amount == LockAmount::Shares(1));
        let names: Vec<String> = builder.locks.iter().map(|l| l.name.clone()).collect();
        let table = || {
            let pairs = builder.locks.iter().map(|l| match l.amount {
                LockAmount::Shares(shares) => format!("{} = {shares}", quote(&l.name)),
                LockAmount::Exclusive => format!("{} = \"exclusive\"", quote(&l.name)),
            });
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        };
        line(out, "locks", &if single { list(&names) } else { table() });
    }
    if !builder.required {
        line(out, "required", "false");
    }
    if let History::Commits(commits) = builder.history {
        line(out, "history", &commits.to_string());
    }
    for item in &builder.steps {
        out.push('\n');
        step(out, item);
    }
}

fn step(out: &mut String, step: &Step) {
    out.push_str("[[builder.step]]\n");
    line(out, "name", &quote(&step.name));
    match &step.run {
        Run::Shell(text) if text.contains('\n') => line(out, "run", &quote_lines(text)),
        Run::Shell(text) => line(out, "run", &quote(text)),
        Run::Argv(words) => line(out, "run", &list(words)),
    }
    if let Some(seconds) = step.timeout_s {
        line(out, "timeout", &quote(&time(seconds)));
    }
    if !step.junit.is_empty() {
        line(out, "junit", &one_or_list(&step.junit));
    }
    if !step.artifacts.is_empty() {
        line(out, "artifacts", &one_or_list(&step.artifacts));
    }
    match step.when {
        When::OnSuccess => {}
        When::Always => line(out, "when", "\"always\""),
        When::OnFailure => line(out, "when", "\"on-failure\""),
    }
    match step.on_failure {
        OnFailure::Fail => {}
        OnFailure::Warn => line(out, "on_failure", "\"warn\""),
        OnFailure::Ignore => line(out, "on_failure", "\"ignore\""),
    }
    if !step.env.is_empty() {
        let pairs: Vec<String> = step.env.iter().map(|(name, value)| format!("{name} = {}", quote(value))).collect();
        line(out, "env", &format!("{{ {} }}", pairs.join(", ")));
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    // Writing to a string never fails.
    let _ = writeln!(out, "{key} = {value}");
}

fn one_or_list(items: &[String]) -> String {
    match items {
        [one] => quote(one),
        several => list(several),
    }
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|i| quote(i)).collect::<Vec<_>>().join(", "))
}

fn escape(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if c.is_control() => {
            let _ = write!(out, "\\u{:04X}", u32::from(c));
        }
        c => out.push(c),
    }
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    text.chars().for_each(|c| escape(&mut out, c));
    out.push('"');
    out
}

/// Text of several lines, in three quotes.
fn quote_lines(text: &str) -> String {
    let mut out = String::from("\"\"\"\n");
    for c in text.chars() {
        if c == '\n' { out.push('\n') } else { escape(&mut out, c) }
    }
    out.push_str("\"\"\"");
    out
}

/// `1h30m`: the way that timeouts are written.
fn time(mut seconds: u64) -> String {
    let mut out = String::new();
    for (unit, letter) in [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm'), (1, 's')] {
        if seconds >= unit {
            let _ = write!(out, "{}{letter}", seconds / unit);
            seconds %= unit;
        }
    }
    out
}
