//! Imports run down only: no file stands in a circle of imports, and no room of the master imports one above it or beside
//! it. The order of the rooms is the picture in docs/architecture.md, read from there, so that map and code can't differ.
#![allow(clippy::unwrap_used, clippy::panic)]

mod circles;
mod house;
mod picture;
mod tokens;

use house::House;
use std::path::{Path, PathBuf};

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The crates, by their folders; the command's own is the project itself.
const CRATES: [&str; 11] =
    ["", "changelog", "gate", "recipe", "protocol", "tracker", "listener", "master", "slave", "testkit", "xtask"];

#[test]
fn no_file_stands_in_a_circle() {
    let found: Vec<String> = CRATES.iter().flat_map(|of| circles::told(&House::read(&root(), of))).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_masters_rooms_import_downwards_only() {
    let map = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let found = picture::told(&map, &House::read(&root(), "master"), "master/src");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// A crate of a few files.
fn small(files: &[(&str, &str)]) -> House {
    let folder = testkit::folder();
    for (name, text) in files {
        let path = folder.path().join("small/src").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    House::read(folder.path(), "small")
}
