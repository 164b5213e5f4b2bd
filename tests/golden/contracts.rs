//! The keys of every JSON object that the program prints: others read them, so none may go.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::{harness, inputs};

/// The name of the file in `contracts/` and the call that prints the object.
const CALLS: &[(&str, &[&str])] = &[
    ("analysis", &["analyze", "a", "--json"]),
    ("comparison", &["compare", "a", "b", "--json"]),
    ("history", &["history", "a", "b", "c", "d", "--baseline", "3", "--json"]),
    ("selection", &["select", "a", "--json"]),
    ("status", &["status", "a", "--json"]),
    ("list", &["list", ".", "--json"]),
    ("data-list", &["data", "--json", "list"]),
    ("data-check", &["data", "--json", "check", "set.npz"]),
    ("surrogate", &["kernel", "surrogate", "a", "--run", "0", "--train", "60", "--json"]),
];

#[test]
fn no_key_of_a_contract_is_gone() {
    let folder = inputs();
    data_set(&folder.path().join("set.npz"));
    for (copy, of) in [("c", "a"), ("d", "b")] {
        copy_folder(&folder.path().join(of), &folder.path().join(copy));
    }
    let mut missing = Vec::new();
    for (name, call) in CALLS {
        let called = harness(folder.path(), call);
        let value: Value = serde_json::from_str(&called.stdout)
            .unwrap_or_else(|error| panic!("harness {call:?}: {error}\n{}{}", called.stdout, called.stderr));
        let mut keys = BTreeSet::new();
        outline(&value, "", &mut keys);
        missing.extend(compare(name, &keys));
    }
    assert!(missing.is_empty(), "keys of contracts are gone:\n{}", missing.join("\n"));
}

/// The keys of a contract that are gone. New ones are told about, or with `GOLDEN_CONTRACTS=update` written down.
fn compare(name: &str, found: &BTreeSet<String>) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/contracts/{name}.txt"));
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let stored: BTreeSet<String> = stored.lines().map(str::to_owned).collect();
    if std::env::var_os("GOLDEN_CONTRACTS").is_some_and(|what| what == "update") {
        let all: Vec<&str> = stored.union(found).map(String::as_str).collect();
        std::fs::write(&path, all.join("\n") + "\n").expect("written");
    } else {
        assert!(!stored.is_empty(), "{} is not there: make it with GOLDEN_CONTRACTS=update", path.display());
        for new in found.difference(&stored) {
            println!("not in the contract yet: {name}: {new}");
        }
    }
    stored.difference(found).map(|gone| format!("{name}: {gone}")).collect()
}

/// The paths of all keys, `runs[].accuracy`; the value of `schema` is part of the contract.
fn outline(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                // What is named after data (epochs, examples, classes, runs) is no key.
                let key = if key.chars().all(|c| c.is_ascii_digit()) { "<number>" } else { key };
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                match value {
                    Value::String(schema) if key == "schema" => keys.insert(format!("{path} = {schema}")),
                    _ => keys.insert(path.clone()),
                };
                outline(value, &path, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| outline(item, &format!("{path}[]"), keys)),
        _ => {}
    }
}

/// A data set of eight images of two classes.
fn data_set(path: &Path) {
    use harness::arrays::{ArrayView, Slice, write_npz};
    let pixels: Vec<u8> = (0..8 * 16).map(|i| (i % 251) as u8).collect();
    let labels: Vec<i64> = (0..8).map(|i| i % 2).collect();
    let images = ArrayView { shape: &[8, 4, 4], values: Slice::U8(&pixels) };
    let classes = ArrayView { shape: &[8], values: Slice::I64(&labels) };
    write_npz(path, &[("x_train", images), ("y_train", classes), ("x_test", images), ("y_test", classes)])
        .expect("written");
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
