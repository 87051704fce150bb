//! The demo's repositories: the official one, and three authors' beside it.

use crate::error::CliError;
use std::path::Path;
use tracker::sample::{Author, Sample};

/// An author's branch.
pub(super) struct Branch {
    /// Who.
    pub(super) author: &'static str,
    /// The repository.
    pub(super) url: String,
    /// The branch there.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) what: &'static str,
}

/// All of them.
pub(super) struct Repositories {
    /// The official repository.
    pub(super) official: String,
    /// One that is good.
    pub(super) good: Branch,
    /// One whose test fails.
    pub(super) failing: Branch,
    /// One that conflicts with mainline.
    pub(super) conflicting: Branch,
}

impl Repositories {
    /// What was made, a line each.
    pub(super) fn listing(&self) -> String {
        let all = [&self.good, &self.failing, &self.conflicting];
        let lines = all.map(|b| format!("  {:<10} branch {:<16} {}\n", b.author, b.name, b.what));
        format!("  {:<10} the official repository, mainline `main`\n{}", "heron.git", lines.concat())
    }
}

/// Built and tested by a shell alone: a demo asks for nothing that a machine may lack.
const BUILD: &str = "set -e\ncp greet.sh greet\nchmod +x greet\n";
const GREET: &str = "#!/bin/sh\n# Greets whoever is named.\nname=${1:-world}\necho \"Hello, $name.\"\n";
const TEST: &str = "set -e\ntest \"$(./greet heron)\" = \"Hello, heron.\"\ntest \"$(./greet)\" = \"Hello, world.\"\necho all tests passed\n";
const RECIPE: &str = "[project]\nchangelog = \"ChangeLog\"\n\n[[builder]]\nname = \"check\"\n\n[[builder.step]]\nname = \"build\"\nrun = \"sh build.sh\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"for test in tests/*.sh; do sh $test; done\"\ntimeout = \"5m\"\n";
const CHANGELOG: &str = "2026-10-05  Olga Reed  <olga@heron.example>\n\n\t* greet.sh: Greet the world when nobody is named.\n\n2026-10-01  Olga Reed  <olga@heron.example>\n\n\t* greet.sh: New.\n\t* tests/greet.sh: New.\n";

const fn author(name: &'static str, email: &'static str, when: i64) -> Author<'static> {
    Author { name, email, when }
}

/// Makes all of them in a folder.
pub(super) fn make(folder: &Path) -> Result<Repositories, CliError> {
    let text = |path: &Path| {
        path.to_str()
            .map(ToOwned::to_owned)
            .ok_or_else(|| CliError::new(format!("the path {} is not UTF-8", path.display())))
    };
    let official = folder.join("heron.git");
    let olga = author("Olga Reed", "olga@heron.example", 1_790_000_000);
    let main = Sample::create(&official)?;
    let files = [
        ("build.sh", Some(BUILD)),
        ("greet.sh", Some(GREET)),
        ("tests/greet.sh", Some(TEST)),
        (".bb.toml", Some(RECIPE)),
        ("ChangeLog", Some(CHANGELOG)),
        ("README", Some("heron greets.\n")),
    ];
    main.commit("main", olga, "Greet whoever is named", &files)?;

    let at = |name: &str| folder.join(format!("{name}.git"));
    let [ines, samir, jun] = ["ines", "samir", "jun"].map(|name| Sample::copy(&official, &at(name)));
    let (ines, samir, jun) = (ines?, samir?, jun?);
    // Mainline goes on after the authors have taken their copies.
    let moved = GREET.replace("Hello", "Good day");
    let tested = TEST.replace("Hello", "Good day");
    main.commit("main", olga, "Greet more politely", &[("greet.sh", Some(&moved)), ("tests/greet.sh", Some(&tested))])?;

    let docs = "2026-10-07  Ines Alder  <ines@ines.example>\n\n\t* doc/greet.txt: New: how to greet.\n\t* README: Point to it.\n";
    ines.commit(
        "explain-greet",
        author("Ines Alder", "ines@ines.example", 1_790_100_000),
        "Explain how to greet",
        &[
            ("doc/greet.txt", Some("greet NAME\n\nGreets NAME, or the world.\n")),
            ("README", Some("heron greets; doc/greet.txt says how.\n")),
            ("repo.ChangeLog", Some(docs)),
        ],
    )?;
    let broken = "set -e\ntest \"$(./greet heron)\" = \"Good day, heron.\"\ntest \"$(./greet --loud heron)\" = \"GOOD DAY, HERON.\"\n";
    samir.commit(
        "loud-greeting",
        author("Samir Naik", "samir@samir.example", 1_790_110_000),
        "Ask for a loud greeting",
        &[("tests/loud.sh", Some(broken))],
    )?;
    let french = GREET.replace("Hello", "Bonjour");
    jun.commit(
        "french-greeting",
        author("Jun Mori", "jun@jun.example", 1_790_120_000),
        "Greet in French",
        &[("greet.sh", Some(&french)), ("tests/greet.sh", Some(&TEST.replace("Hello", "Bonjour")))],
    )?;
    let branch = |author, name, what| Ok::<_, CliError>(Branch { author, url: text(&at(author))?, name, what });
    Ok(Repositories {
        official: text(&official)?,
        good: branch("ines", "explain-greet", "good, with a repo.ChangeLog")?,
        failing: branch("samir", "loud-greeting", "its test fails")?,
        conflicting: branch("jun", "french-greeting", "conflicts with what mainline did since")?,
    })
}
