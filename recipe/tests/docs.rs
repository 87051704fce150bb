//! The reference of recipes, `docs/recipes.md`, is true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use recipe::{Recipe, Run, guess};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes.md");
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The page's blocks of code in a language.
fn blocks(language: &str) -> Vec<String> {
    let (page, fence) = (page(), format!("```{language}\n"));
    page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// What stands in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_recipe_on_the_page_is_good() {
    let recipes = blocks("toml");
    assert!(recipes.len() >= 2);
    for text in recipes {
        let (_, warnings) = Recipe::parse(text.as_bytes(), ".bb.toml").unwrap_or_else(|e| panic!("{e}"));
        assert!(warnings.is_empty(), "{text}");
    }
}

#[test]
fn every_key_has_its_row() {
    let page = page();
    let wrong = "x = 1\n[project]\nx = 1\n[changelog]\nx = 1\n[[builder]]\nx = 1\n[[builder.step]]\nx = 1\n";
    let error = Recipe::parse(wrong.as_bytes(), ".bb.toml").unwrap_err();
    let unknown: Vec<_> = error.problems.iter().filter(|p| p.found.starts_with("unknown key")).collect();
    assert_eq!(unknown.len(), 5);
    // The first is of the recipe's own keys, which are headings.
    for key in unknown[1..].iter().flat_map(|p| quoted(&p.expected)) {
        assert!(page.contains(&format!("\n| `{key}` |")), "`{key}` has no row in docs/recipes.md");
    }
}

#[test]
fn the_error_on_the_page_is_what_is_said() {
    let text = "[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"make\"\ntimout = \"20m\"\n";
    let said = Recipe::parse(text.as_bytes(), ".bb.toml").unwrap_err().to_string();
    assert_eq!(blocks("text"), [format!("{said}\n")]);
}

/// The text that a row's first column says a file has.
fn text_of(file: &str, row: &str) -> String {
    match file {
        "Makefile" if row.contains("target `check`") => "check:\n",
        "Makefile" if row.contains("target `test`") => "test:\n",
        "Makefile" => "all:\n",
        "package.json" => r#"{"scripts": {"test": "x"}}"#,
        "Cargo.toml" if row.contains("workspace") => "[workspace]\n",
        "CMakeLists.txt" if row.contains("enables tests") => "enable_testing()\n",
        _ => "",
    }
    .to_owned()
}

#[test]
fn every_guess_on_the_page_is_made() {
    let page = page();
    let table = page.split("| files at the root | steps |\n").nth(1).unwrap();
    let rows: Vec<&str> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 30);
    for row in rows {
        let columns: Vec<&str> = row.split(" | ").collect();
        let [files, steps] = columns[..] else { panic!("{row}") };
        // A target or a script is quoted, too; it is no file.
        let names: Vec<&str> = quoted(files).into_iter().filter(|name| !["check", "test"].contains(name)).collect();
        let guess = guess(&names, &|name| Some(text_of(name, files))).unwrap_or_else(|| panic!("no guess: {row}"));
        let commands = guess.recipe.builders[0].steps.iter().map(|step| match &step.run {
            Run::Shell(text) => text.clone(),
            Run::Argv(words) => words.join(" "),
        });
        assert_eq!(commands.collect::<Vec<_>>(), quoted(steps), "{row}");
    }
}
