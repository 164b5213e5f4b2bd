//! The keys of an experiment file for others: a JSON Schema for editors, and the reference table of the README.

use serde_json::{Map, Value as Json, json};

use super::check::{quoted, takes};
use super::keys::{EXPERIMENT, Fallback, Key, Shape};
use super::nearest::join;

/// One key, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDoc {
    /// Dotted, as in `--set`.
    pub key: String,
    /// The kinds of its table that have it; none where the table has no kind.
    pub kinds: Vec<&'static str>,
    /// What it takes, in words.
    pub takes: String,
    /// Its default as TOML, `required`, or `none` where the feature is off by default.
    pub default: String,
    pub meaning: String,
}

/// All keys in the order of the file; tables only where they can be left out.
#[must_use]
pub fn docs() -> Vec<KeyDoc> {
    let mut rows = Vec::new();
    if let Shape::Table(keys) = &EXPERIMENT {
        describe(keys, "", None, &mut rows);
    }
    rows
}

fn describe(keys: &[Key], prefix: &str, kind: Option<&'static str>, rows: &mut Vec<KeyDoc>) {
    for key in keys {
        let path = join(prefix, key.name);
        let mut row = |key: String, takes: String, default: String, meaning: String| {
            let new = KeyDoc { key, kinds: kind.into_iter().collect(), takes, default, meaning };
            // A key that means the same to several kinds is one row.
            match rows.iter_mut().find(|row| KeyDoc { kinds: new.kinds.clone(), ..(*row).clone() } == new) {
                Some(same) => same.kinds.extend(kind),
                None => rows.push(new),
            }
        };
        let default = match key.fallback {
            Fallback::Required => "required".to_owned(),
            Fallback::Absent => "none".to_owned(),
            Fallback::Is(toml) => toml.to_owned(),
            Fallback::Inner => String::new(),
        };
        match &key.shape {
            Shape::Table(inner) => {
                if key.fallback == Fallback::Absent {
                    row(path.clone(), takes(&key.shape), default, key.meaning.to_owned());
                }
                describe(inner, &path, kind, rows);
            }
            Shape::Kinds { default, kinds } => {
                let default = default.map_or("required".to_owned(), |kind| format!("\"{kind}\""));
                let kinds_mean: String =
                    kinds.iter().map(|kind| format!(" `{}`: {}", kind.name, kind.meaning)).collect();
                let names = quoted(kinds.iter().map(|kind| kind.name));
                row(join(&path, "kind"), names, default, format!("{}{kinds_mean}", key.meaning));
                for kind in *kinds {
                    describe(kind.keys, &path, Some(kind.name), rows);
                }
            }
            _ => row(path, takes(&key.shape), default, key.meaning.to_owned()),
        }
    }
}

/// The reference of all keys as a Markdown table.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from("| key | takes | default | meaning |\n|---|---|---|---|\n");
    for row in docs() {
        let kinds = if row.kinds.is_empty() { String::new() } else { format!(" ({})", row.kinds.join(", ")) };
        let default = match row.default.as_str() {
            word @ ("required" | "none") => word.to_owned(),
            value => format!("`{value}`"),
        };
        text += &format!("| `{}`{kinds} | {} | {default} | {} |\n", row.key, row.takes, row.meaning);
    }
    text
}

/// A JSON Schema (draft 7) of experiment files, for editors that complete and check TOML by one.
#[must_use]
pub fn schema() -> Json {
    let mut schema = Map::from_iter([
        ("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#")),
        ("title".to_owned(), json!("harness experiment")),
    ]);
    if let Json::Object(shape) = shape_schema(&EXPERIMENT) {
        schema.extend(shape);
    }
    Json::Object(schema)
}

fn shape_schema(shape: &Shape) -> Json {
    match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Odd { max } => {
            json!({ "type": "integer", "minimum": 1, "maximum": max, "not": { "multipleOf": 2 } })
        }
        Shape::Real(range) => {
            let low = if range.low_included { "minimum" } else { "exclusiveMinimum" };
            let mut schema = json!({ "type": "number", low: range.low });
            if range.high.is_finite() {
                schema["exclusiveMaximum"] = json!(range.high);
            }
            schema
        }
        Shape::Name => json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$" }),
        Shape::File => json!({ "type": "string", "minLength": 1 }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::List { of, min, max, unique } => json!({
            "type": "array", "items": shape_schema(of), "minItems": min, "maxItems": max, "uniqueItems": unique
        }),
        Shape::Table(keys) => table_schema(keys, None, ""),
        Shape::Kinds { default, kinds } => {
            let variants: Vec<Json> = kinds
                .iter()
                .map(|kind| table_schema(kind.keys, Some((kind.name, *default != Some(kind.name))), kind.meaning))
                .collect();
            json!({ "oneOf": variants })
        }
        Shape::ListOr { list, table } => json!({ "oneOf": [shape_schema(list), table_schema(table, None, "")] }),
    }
}

/// `kind`: its value, and whether it must be given.
fn table_schema(keys: &[Key], kind: Option<(&str, bool)>, meaning: &str) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if let Some((name, must)) = kind {
        properties.insert("kind".to_owned(), json!({ "const": name, "description": meaning }));
        required.extend(must.then_some("kind"));
    }
    for key in keys {
        let mut schema = shape_schema(&key.shape);
        schema["description"] = json!(key.meaning);
        if let Fallback::Is(text) = key.fallback
            && let Some(default) = toml_value(text)
        {
            schema["default"] = default;
        }
        required.extend((key.fallback == Fallback::Required).then_some(key.name));
        properties.insert(key.name.to_owned(), schema);
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A default of the table of keys as JSON.
pub(super) fn toml_value(text: &str) -> Option<Json> {
    let table: Map<String, Json> = toml::from_str(&format!("value = {text}")).ok()?;
    table.get("value").cloned()
}
