//! What is made of the table of keys: defaults, reference, schema, suggestions.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::keys::check::{check, stand_in};
use crate::keys::nearest::{join, nearest_path, paths};
use crate::keys::{Fallback, Key};

/// A table of the file: where it is, its kind, its keys.
struct Table {
    path: String,
    kind: Option<&'static str>,
    keys: Vec<&'static Key>,
}

fn tables() -> Vec<Table> {
    let mut found = Vec::new();
    collect(&EXPERIMENT, "", &mut found);
    found
}

fn collect(shape: &'static Shape, path: &str, found: &mut Vec<Table>) {
    let mut table = |kind, keys: Vec<&'static Key>| {
        for key in &keys {
            collect(&key.shape, &join(path, key.name), found);
        }
        found.push(Table { path: path.to_owned(), kind, keys });
    };
    match shape {
        Shape::Table(keys) | Shape::ListOr { table: keys, .. } => table(None, keys.iter().collect()),
        Shape::Kinds { kinds, common, .. } => {
            for kind in *kinds {
                table(Some(kind.name), kind.keys.iter().chain(*common).collect());
            }
        }
        _ => {}
    }
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.sort();
    words
}

/// Writes `value` at a dotted path.
fn put(file: &mut Json, path: &str, value: Json) {
    let place = path.split('.').filter(|name| !name.is_empty()).fold(file, |json, name| {
        if !json.get(name).is_some_and(|inner| inner.is_object()) {
            json[name] = json!({});
        }
        &mut json[name]
    });
    *place = value;
}

#[test]
fn every_default_is_one_that_its_key_takes() {
    let mut checked = 0;
    for table in tables() {
        for key in &table.keys {
            let Some(value) = key.fallback.value() else { continue };
            let found = check(&Node::from_json(&value), &key.shape);
            assert!(found.problems.is_empty(), "{}.{}: {:?}", table.path, key.name, found.problems);
            assert_eq!(found.json, value, "{}.{}", table.path, key.name);
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} defaults were checked");
}

#[test]
fn every_kind_of_every_table_is_read_into_its_type() {
    for table in tables() {
        let mut file = stand_in(&EXPERIMENT);
        let mut own: Map<String, Json> = table.kind.map(|kind| ("kind".to_owned(), json!(kind))).into_iter().collect();
        let required = table.keys.iter().filter(|key| matches!(key.fallback, Fallback::Required));
        own.extend(required.map(|key| (key.name.to_owned(), stand_in(&key.shape))));
        put(&mut file, &table.path, Json::Object(own));
        let found = check(&Node::from_json(&file), &EXPERIMENT);
        assert!(found.problems.is_empty(), "{} {:?}: {:?}", table.path, table.kind, found.problems);
        let read: Experiment = serde_json::from_value(found.json).unwrap();
        // Everything that the type writes is a key of the table, and every default is there.
        let resolved = check(&Node::from_json(&read.json()), &EXPERIMENT);
        assert!(resolved.problems.is_empty(), "{} {:?}: {:?}", table.path, table.kind, resolved.problems);
        assert_eq!(resolved.json, read.json());
    }
}

#[test]
fn the_reference_lists_every_key() {
    let listed: Vec<String> = docs().into_iter().map(|row| row.key).collect();
    for table in tables() {
        for key in table.keys {
            let path = join(&table.path, key.name);
            let below = listed.iter().any(|row| row.starts_with(&format!("{path}.")));
            let inner = table.path == "record.checkpoints";
            assert!(listed.contains(&path) || below || inner, "{path}");
        }
    }
    let markdown = reference();
    assert_eq!(markdown.lines().count(), 2 + docs().len());
    assert!(
        markdown.contains(
            "| `train.epochs` | a whole number from 1 to 1,000,000 | `10` | Passes over the training set. |\n"
        )
    );
    assert!(markdown.contains("| `train.optimizer.beta1` (adam, adamw) | a number in [0, 1) | `0.9` |"));
    assert!(markdown.lines().all(|line| line.matches('|').count() == 5), "a cell has a bar of its own");
}

/// `UPDATE_DOCS=1 cargo test --release keys_md` writes it anew.
#[test]
fn keys_md_is_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys.md");
    let expected = format!(
        "# All keys of an experiment\n\nMade from the table of keys in the program; a test keeps it in step.\n\n{}",
        reference()
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/keys.md is behind: UPDATE_DOCS=1 cargo test --release keys_md");
}

#[test]
fn the_schema_has_every_key_and_its_range() {
    let schema = schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["required"], json!(["name", "data", "model"]));
    let train = &schema["properties"]["train"];
    assert_eq!(
        train["properties"]["epochs"],
        json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000, "description": "Passes over the training set.", "default": 10 })
    );
    let optimizers = train["properties"]["optimizer"]["oneOf"].as_array().unwrap();
    assert_eq!(optimizers[0]["required"], json!([]), "sgd is the default");
    assert_eq!(optimizers[1]["required"], json!(["kind"]));
    assert_eq!(optimizers[1]["properties"]["epsilon"]["exclusiveMinimum"], json!(0.0));
    assert_eq!(optimizers[1]["properties"]["beta1"]["exclusiveMaximum"], json!(1.0));
    for table in tables() {
        let found = variants(&schema, &table.path).into_iter().find(|object| match table.kind {
            Some(kind) => object["properties"]["kind"]["const"] == *kind,
            None => object["type"] == "object",
        });
        let properties = found.unwrap_or_else(|| panic!("{}", table.path))["properties"].as_object().unwrap();
        let own = table.kind.iter().map(|_| "kind").chain(table.keys.iter().map(|key| key.name));
        assert_eq!(sorted(properties.keys().map(String::as_str)), sorted(own), "{}", table.path);
    }
}

/// The schemas that a path may have.
fn variants<'a>(schema: &'a Json, path: &str) -> Vec<&'a Json> {
    let alternatives = |schema: &'a Json| schema["oneOf"].as_array().map_or(vec![schema], |list| list.iter().collect());
    path.split('.').filter(|name| !name.is_empty()).fold(vec![schema], |schemas, name| {
        schemas.into_iter().flat_map(|schema| alternatives(&schema["properties"][name])).collect()
    })
}

#[test]
fn a_slip_in_any_key_is_understood() {
    let known = paths(&EXPERIMENT);
    let mut slips = 0;
    for path in &known {
        let start = path.rfind('.').map_or(0, |dot| dot + 1);
        for at in start..path.len() - 1 {
            let mut slip = path.clone().into_bytes();
            slip.swap(at, at + 1);
            let slip = String::from_utf8(slip).unwrap();
            if slip != *path && !known.contains(&slip) {
                assert_eq!(nearest_path(&slip, known.iter().map(String::as_str)), Some(path.as_str()), "{slip}");
                slips += 1;
            }
        }
    }
    assert!(slips > 200, "only {slips} slips were tried");
}

#[test]
fn a_table_of_keys_names_each_once() {
    for table in tables() {
        let names: Map<String, Json> = table.keys.iter().map(|key| (key.name.to_owned(), Json::Null)).collect();
        assert_eq!(names.len(), table.keys.len(), "{}", table.path);
    }
}
