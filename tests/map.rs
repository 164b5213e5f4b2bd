//! The map of rooms in `src/lib.rs` says the truth: every `crate::` in a room leads to a room that it may use, which stands
//! above it in the table, so that there are no circles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const EVERYTHING: &str = "everything below";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rooms of the table, lowest first, each with the rooms that it may use.
fn map(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut rooms: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_start_matches("//!").split('|').map(str::trim).collect();
        let [_, name, _, uses, _] = cells.as_slice() else { continue };
        // Rooms that others may call are links.
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        let uses = match *uses {
            EVERYTHING => rooms.iter().map(|(room, _)| room.clone()).collect(),
            "–" => BTreeSet::new(),
            list => list.split(',').map(|room| room.trim().to_owned()).collect(),
        };
        rooms.push((name.to_owned(), uses));
    }
    rooms
}

/// The rooms that each room uses, with a file and line that does. Code that is compiled for tests only does not count.
fn arrows() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut arrows: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                if name != "tests" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && !["tests.rs", "testing.rs", "fixtures.rs"].contains(&name.as_str()) {
                let inside = path.strip_prefix(source()).expect("inside").to_path_buf();
                let room = inside.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
                let room = room.trim_end_matches(".rs").to_owned();
                if ["lib", "main"].contains(&room.as_str()) {
                    continue;
                }
                let text = read(&path);
                // The indentation of an item that is compiled for tests only, until its end.
                let mut tests_only: Option<usize> = None;
                for (number, line) in text.lines().enumerate() {
                    let code = line.split("//").next().unwrap_or_default();
                    let indent = line.len() - line.trim_start().len();
                    if let Some(outer) = tests_only {
                        if indent == outer && (line.trim() == "}" || line.ends_with(';')) {
                            tests_only = None;
                        }
                        continue;
                    }
                    if line.trim() == "#[cfg(test)]" {
                        tests_only = Some(indent);
                        continue;
                    }
                    for used in used(code).into_iter().filter(|used| *used != room) {
                        let place = format!("src/{}:{}", inside.display(), number + 1);
                        arrows.entry(room.clone()).or_default().entry(used).or_insert(place);
                    }
                }
            }
        }
    }
    arrows
}

/// What follows each `crate::` of a line.
fn used(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let macro_name = at > 0 && code[..at].ends_with('$');
        let rest = &code[at + "crate::".len()..];
        assert!(!rest.starts_with('{'), "write one `use` for each room: {code}");
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !macro_name && !name.is_empty() {
            found.push(name);
        }
    }
    found
}

#[test]
fn every_use_goes_to_a_room_below_that_the_map_allows() {
    let map = map(&read(&source().join("lib.rs")));
    let order: Vec<&String> = map.iter().map(|(room, _)| room).collect();
    let mut wrong = Vec::new();
    for (place, (room, uses)) in map.iter().enumerate() {
        for used in uses {
            if !order[..place].contains(&used) {
                wrong.push(format!("the map lets {room} use {used}, which does not stand above it"));
            }
        }
    }
    let arrows = arrows();
    for (room, uses) in &arrows {
        let Some((_, allowed)) = map.iter().find(|(name, _)| name == room) else {
            wrong.push(format!("src/{room} has no row in the map of src/lib.rs"));
            continue;
        };
        // Whoever fails does so with an `Error`.
        for (used, place) in uses.iter().filter(|(used, _)| *used != "error" && !allowed.contains(*used)) {
            wrong.push(format!("{place}: {room} uses {used}, which the map does not allow"));
        }
    }
    for (room, allowed) in &map {
        let missing = |used: &&String| !arrows.get(room).is_some_and(|uses| uses.contains_key(*used));
        if !["workflow", "cli"].contains(&room.as_str()) {
            for used in allowed.iter().filter(missing) {
                wrong.push(format!("the map lets {room} use {used}, but it does not"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(map.len() > 15, "the map has {} rooms only", map.len());
}

#[test]
fn uses_are_found_in_a_line() {
    assert_eq!(used("use crate::config::{A, B}; crate::data::facts(x); $crate::keys::x"), ["config", "data"]);
    let map = map("//! | [`a`] | x | – |\n//! | [`b`] | y | a |\n//! | [`c`] | z | everything below |\n");
    assert_eq!(map[2].1, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}
