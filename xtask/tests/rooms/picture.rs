//! The picture of the rooms in the map of the code: a line is a floor, and a room imports only rooms of lines below its own.

use crate::house::House;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Stands before the picture, in the map.
const TITLE: &str = "Who may import whom";

/// What is wrong, a line each.
pub(crate) fn told(map: &str, house: &House, folder: &str) -> Vec<String> {
    let Some(floors) = floors(map) else { return vec![format!("docs/architecture.md: no picture after \"{TITLE}\"")] };
    let mut lines = Vec::new();
    let files = house.files();
    let rooms: BTreeSet<&str> = files.iter().filter_map(|file| room(file, folder)).collect();
    for room in rooms.iter().filter(|room| !floors.contains_key(*room)) {
        lines.push(format!("the room {room} of {folder} has no floor: docs/architecture.md, \"{TITLE}\""));
    }
    for room in floors.keys().filter(|room| !rooms.contains(*room)) {
        lines.push(format!("docs/architecture.md has a room {room}, which {folder} has not"));
    }
    for import in house.imports() {
        let (Some(from), Some(to)) = (room(&import.from, folder), room(&import.to, folder)) else { continue };
        let (Some(own), Some(other)) = (floors.get(from), floors.get(to)) else { continue };
        if from != to && other <= own {
            let place = if other == own { "beside" } else { "above" };
            lines.push(format!(
                "{}:{} imports {} ({}), and {to} stands {place} {from}",
                import.from.display(),
                import.line,
                import.to.display(),
                import.name
            ));
        }
    }
    lines
}

/// Of each room how many floors are above it.
fn floors<'a>(map: &'a str) -> Option<BTreeMap<&'a str, usize>> {
    let (_, after) = map.split_once(TITLE)?;
    let (_, picture) = after.split_once("```\n")?;
    let (picture, _) = picture.split_once("```")?;
    let rooms = |(floor, line): (usize, &'a str)| line.split_whitespace().map(move |room| (room, floor));
    Some(picture.lines().enumerate().flat_map(rooms).collect())
}

/// The room of a file: the folder, or the file's name alone.
fn room<'a>(file: &'a Path, folder: &str) -> Option<&'a str> {
    let inside = file.strip_prefix(folder).ok()?.to_str()?;
    let first = inside.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

#[test]
fn an_import_that_runs_up_or_sideways_is_told_with_both_files_and_the_line() {
    let house = crate::small(&[
        ("lib.rs", "mod low;\nmod high;\nmod other;\nmod lost;\nuse high::face;\n"),
        ("low.rs", "use crate::high::face;\n"),
        ("high/mod.rs", "mod front;\npub use front::face;\n"),
        ("high/front.rs", "use crate::other;\npub fn face() {\n    other::go();\n    crate::low::x();\n}\n"),
        ("other.rs", "pub fn go() {}\n"),
        ("lost.rs", ""),
    ]);
    let map = "## Who may import whom\n\nwords\n\n```\nlib\nhigh   other\nlow\ngone\n```\n";
    assert_eq!(
        told(map, &house, "small/src"),
        [
            "the room lost of small/src has no floor: docs/architecture.md, \"Who may import whom\"",
            "docs/architecture.md has a room gone, which small/src has not",
            "small/src/high/front.rs:3 imports small/src/other.rs (go), and other stands beside high",
            "small/src/low.rs:1 imports small/src/high/front.rs (face), and high stands above low",
        ]
    );
}
