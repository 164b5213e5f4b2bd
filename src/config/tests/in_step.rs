//! The table of keys says the same as the types.

use serde_json::{Map, Value as Json, json};

use super::super::check::stand_in;
use super::super::keys::{EXPERIMENT, Fallback, Key, Shape};
use super::super::nearest::{join, nearest_path, paths};
use super::*;

/// A table of the file: where it is, its keys, its kind, and the smallest file that has it.
struct Table {
    path: String,
    keys: &'static [Key],
    kinds: Option<(&'static str, Vec<&'static str>)>,
    file: Json,
}

fn tables() -> Vec<Table> {
    let mut found = Vec::new();
    collect(&EXPERIMENT, "", &stand_in(&EXPERIMENT), &mut found);
    found
}

fn collect(shape: &'static Shape, path: &str, file: &Json, found: &mut Vec<Table>) {
    match shape {
        Shape::Table(keys) | Shape::ListOr { table: keys, .. } => {
            let mut file = file.clone();
            let table = place(&mut file, path);
            if !table.is_object() || matches!(shape, Shape::ListOr { .. }) {
                *table = required(keys);
            }
            inside(keys, path, &file, found);
            found.push(Table { path: path.to_owned(), keys, kinds: None, file });
        }
        Shape::Kinds { kinds, .. } => {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
            for kind in *kinds {
                let mut file = file.clone();
                let mut table = required(kind.keys);
                table["kind"] = json!(kind.name);
                *place(&mut file, path) = table;
                inside(kind.keys, path, &file, found);
                found.push(Table {
                    path: path.to_owned(),
                    keys: kind.keys,
                    kinds: Some((kind.name, names.clone())),
                    file,
                });
            }
        }
        _ => {}
    }
}

fn inside(keys: &'static [Key], path: &str, file: &Json, found: &mut Vec<Table>) {
    for key in keys {
        collect(&key.shape, &join(path, key.name), file, found);
    }
}

fn required(keys: &[Key]) -> Json {
    let required = keys.iter().filter(|key| key.fallback == Fallback::Required);
    Json::Object(required.map(|key| (key.name.to_owned(), stand_in(&key.shape))).collect())
}

/// The value at a dotted path, made where it is not there.
fn place<'a>(file: &'a mut Json, path: &str) -> &'a mut Json {
    path.split('.').filter(|name| !name.is_empty()).fold(file, |json, name| {
        if json.get(name).is_none() {
            json[name] = json!({});
        }
        &mut json[name]
    })
}

fn read(file: &Json) -> std::result::Result<Experiment, String> {
    serde_json::from_value(file.clone()).map_err(|error| error.to_string())
}

/// The words in backticks after "expected".
fn expected(error: &str) -> Vec<String> {
    let (_, list) = error.split_once("expected").unwrap_or_else(|| panic!("no list in {error}"));
    let mut words: Vec<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    words.sort();
    words
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.sort();
    words
}

#[test]
fn every_table_has_the_keys_of_its_type() {
    let tables = tables();
    assert_eq!(tables.len(), 8 + 1 + 3 + 3 + 5 + 1, "a table is missing from this test");
    for table in tables {
        let mut file = table.file.clone();
        assert!(read(&file).is_ok(), "{}: {:?}", table.path, read(&file));
        place(&mut file, &table.path)["zzz"] = json!(1);
        let own = sorted(table.keys.iter().map(|key| key.name));
        if table.path == "record.checkpoints" {
            // Behind `untagged`, serde does not say which keys there are.
            assert_eq!(own, ["every"]);
            continue;
        }
        let error = read(&file).unwrap_err();
        assert!(error.contains("unknown field `zzz`"), "{}: {error}", table.path);
        assert_eq!(expected(&error), own, "{}", table.path);
    }
}

#[test]
fn every_default_is_that_of_its_type() {
    let mut compared = 0;
    for table in tables() {
        let mut resolved = read(&table.file).unwrap().json();
        let resolved = place(&mut resolved, &table.path);
        for key in table.keys {
            let path = join(&table.path, key.name);
            match (key.fallback, resolved.get(key.name)) {
                (Fallback::Is(text), Some(value)) => {
                    assert_eq!(schema::toml_value(text).as_ref(), Some(value), "{path}");
                    compared += 1;
                }
                (Fallback::Absent, value) => assert_eq!(value, None, "{path}"),
                (Fallback::Required | Fallback::Inner, Some(value)) => {
                    if let Shape::Kinds { default: Some(default), .. } = &key.shape {
                        assert_eq!(value["kind"], json!(default), "{path}");
                    }
                }
                (fallback, None) => panic!("{path} is {fallback:?} but has no value"),
            }
        }
    }
    assert!(compared > 40, "only {compared} defaults were compared");
}

#[test]
fn every_choice_has_the_words_of_its_type() {
    let mut compared = 0;
    for table in tables() {
        let mut choices: Vec<(String, Json, Vec<String>)> = Vec::new();
        for key in table.keys {
            match &key.shape {
                Shape::Choice(words) => {
                    choices.push((key.name.to_owned(), json!("zzz"), sorted(words.iter().copied())))
                }
                Shape::List { of: Shape::Choice(words), .. } => {
                    choices.push((key.name.to_owned(), json!(["zzz"]), sorted(words.iter().copied())));
                }
                _ => {}
            }
        }
        if let Some((_, kinds)) = &table.kinds {
            choices.push(("kind".to_owned(), json!("zzz"), sorted(kinds.iter().copied())));
        }
        for (name, value, words) in choices {
            let mut file = table.file.clone();
            place(&mut file, &table.path)[&name] = value;
            let error = read(&file).unwrap_err();
            assert!(error.contains("unknown variant `zzz`"), "{}.{name}: {error}", table.path);
            assert_eq!(expected(&error), words, "{}.{name}", table.path);
            compared += 1;
        }
    }
    assert!(compared > 15, "only {compared} choices were compared");
}

#[test]
fn names_of_data_sets_are_those_of_the_file() {
    use DatasetKind::{Cifar10, Digits, FashionMnist, Mnist, Npz};
    for kind in [Digits, Mnist, FashionMnist, Cifar10, Npz] {
        assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.name()));
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
        let found = variants(&schema, &table.path).into_iter().find(|object| match &table.kinds {
            Some((kind, _)) => object["properties"]["kind"]["const"] == *kind,
            None => object["type"] == "object",
        });
        let properties = found.unwrap_or_else(|| panic!("{}", table.path))["properties"].as_object().unwrap();
        let own = table.kinds.iter().map(|_| "kind").chain(table.keys.iter().map(|key| key.name));
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
