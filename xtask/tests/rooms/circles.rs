//! Circles: files that import one another in a loop.

use crate::house::{House, Import};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// What is wrong, a line each: of every circle the imports that tie it.
pub(crate) fn told(house: &House) -> Vec<String> {
    let imports = house.imports();
    let mut lines = Vec::new();
    for circle in circles(&imports) {
        lines.push(format!(
            "{} files import one another in a circle; move what two of them need below both:",
            circle.len()
        ));
        let ties: Vec<&Import> =
            imports.iter().filter(|import| circle.contains(&import.from) && circle.contains(&import.to)).collect();
        // One line for each two files: the first place, and all that is taken.
        for pair in ties.chunk_by(|one, other| (&one.from, &one.to) == (&other.from, &other.to)) {
            let Some(first) = pair.iter().min_by_key(|import| import.line) else { continue };
            let names: BTreeSet<&str> = pair.iter().map(|import| import.name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            let (from, to) = (first.from.display(), first.to.display());
            lines.push(format!("  {from}:{} imports {to} ({})", first.line, names.join(", ")));
        }
    }
    lines
}

/// Each circle's files.
fn circles(imports: &BTreeSet<Import>) -> Vec<BTreeSet<PathBuf>> {
    let mut next: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for import in imports {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: BTreeMap<&Path, BTreeSet<&Path>> = next.keys().map(|file| (*file, reached(&next, file))).collect();
    let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (file, others) in &reached {
        if !others.contains(file) || circles.iter().any(|circle| circle.contains(*file)) {
            continue;
        }
        let back = |other: &&Path| reached.get(other).is_some_and(|of| of.contains(file));
        circles.push(others.iter().copied().filter(back).map(Path::to_owned).collect());
    }
    circles
}

/// All that a file imports, straight or through others.
fn reached<'a>(next: &BTreeMap<&'a Path, BTreeSet<&'a Path>>, file: &Path) -> BTreeSet<&'a Path> {
    let (mut seen, mut ahead) = (BTreeSet::new(), VecDeque::from([file]));
    while let Some(file) = ahead.pop_front() {
        for other in next.get(file).into_iter().flatten() {
            if seen.insert(*other) {
                ahead.push_back(*other);
            }
        }
    }
    seen
}

#[test]
fn a_circle_is_told_with_both_files_and_the_line() {
    let house = crate::small(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub use c::end;\n"),
        ("a.rs", "// use crate::c;\nuse crate::b::{self, Thing};\npub fn run() -> Thing { b::go() }\n"),
        ("b/mod.rs", "mod deep;\npub use deep::Thing;\npub fn go() -> Thing { deep::make(\"crate::c::x\") }\n"),
        (
            "b/deep.rs",
            "pub struct Thing;\npub fn make(_: &str) -> Thing {\n    super::super::c::end();\n    Thing\n}\n",
        ),
        ("c.rs", "use super::a;\npub fn end() {\n    a::run();\n}\n#[cfg(test)]\nmod tests { use crate::b; }\n"),
    ]);
    let told = told(&house);
    assert_eq!(
        told,
        [
            "3 files import one another in a circle; move what two of them need below both:",
            "  small/src/a.rs:2 imports small/src/b/deep.rs (Thing)",
            "  small/src/b/deep.rs:3 imports small/src/c.rs (end)",
            "  small/src/c.rs:3 imports small/src/a.rs (run)",
        ]
    );
}

#[test]
fn a_module_and_what_it_is_made_of_are_no_circle() {
    let house = crate::small(&[
        ("lib.rs", "mod a;\npub use a::one;\npub struct Error;\nfn two() { a::one(); }\n"),
        ("a.rs", "use super::Error;\npub fn one() -> Error { Error }\n"),
    ]);
    assert_eq!(told(&house), Vec::<String>::new());
}
