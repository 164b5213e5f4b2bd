//! A table of keys for others: a JSON Schema for editors, and a reference for people.

use serde_json::{Map, Value as Json, json};

use super::check::{quoted, takes};
use super::nearest::join;
use super::toml::inline;
use super::{Fallback, Key, Kind, Shape};

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
    /// What it is for.
    pub meaning: String,
}

/// All keys in the order of the file; tables only where they can be left out.
pub(crate) fn docs(shape: &Shape) -> Vec<KeyDoc> {
    let mut rows = Vec::new();
    if let Shape::Table(keys) = shape {
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
        let value = key.fallback.value();
        let default = match (key.fallback, &value) {
            (Fallback::Required, _) => "required".to_owned(),
            (_, None) => "none".to_owned(),
            (_, Some(value)) => inline(value),
        };
        match &key.shape {
            Shape::Table(inner) => {
                if value.is_none() && !key.fallback.is_required() {
                    row(path.clone(), takes(&key.shape), default, key.meaning().to_owned());
                }
                describe(inner, &path, kind, rows);
            }
            Shape::Kinds { default, kinds, common } => {
                let default = default.map_or("required".to_owned(), |kind| format!("\"{kind}\""));
                let kinds_mean: String =
                    kinds.iter().map(|kind| format!(" `{}`: {}", kind.name, kind.meaning())).collect();
                let names = quoted(kinds.iter().map(|kind| kind.name));
                row(join(&path, "kind"), names, default, format!("{}{kinds_mean}", key.meaning()));
                describe(common, &path, None, rows);
                for kind in *kinds {
                    describe(kind.keys, &path, Some(kind.name), rows);
                }
            }
            _ => row(path, takes(&key.shape), default, key.meaning().to_owned()),
        }
    }
}

/// The reference of all keys as a Markdown table.
pub(crate) fn reference(shape: &Shape) -> String {
    let mut text = String::from("| key | takes | default | meaning |\n|---|---|---|---|\n");
    for row in docs(shape) {
        let kinds = if row.kinds.is_empty() { String::new() } else { format!(" ({})", row.kinds.join(", ")) };
        let default = match row.default.as_str() {
            word @ ("required" | "none") => word.to_owned(),
            value => format!("`{value}`"),
        };
        text += &format!("| `{}`{kinds} | {} | {default} | {} |\n", row.key, row.takes, row.meaning);
    }
    text
}

/// A JSON Schema (draft 7) of files of this shape, for editors that complete and check TOML by one.
pub(crate) fn schema(title: &str, shape: &Shape) -> Json {
    let mut schema = Map::from_iter([
        ("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#")),
        ("title".to_owned(), json!(title)),
    ]);
    if let Json::Object(shape) = shape_schema(shape) {
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
        Shape::File | Shape::Text => json!({ "type": "string", "minLength": 1 }),
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": shape_schema(of) }),
        Shape::Other(grammar) => grammar.schema(),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::List { of, min, max, unique } => json!({
            "type": "array", "items": shape_schema(of), "minItems": min, "maxItems": max, "uniqueItems": unique
        }),
        Shape::Table(keys) => table_schema(keys.iter(), None, ""),
        Shape::Kinds { default, kinds, common } => {
            let variant = |kind: &Kind| {
                let own = (kind.name, *default != Some(kind.name));
                table_schema(kind.keys.iter().chain(*common), Some(own), kind.meaning())
            };
            let variants: Vec<Json> = kinds.iter().map(variant).collect();
            json!({ "oneOf": variants })
        }
        Shape::ListOr { list, table } => json!({ "oneOf": [shape_schema(list), table_schema(table.iter(), None, "")] }),
    }
}

/// `kind`: its value, and whether it must be given.
fn table_schema<'a>(keys: impl Iterator<Item = &'a Key>, kind: Option<(&str, bool)>, meaning: &str) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if let Some((name, must)) = kind {
        properties.insert("kind".to_owned(), json!({ "const": name, "description": meaning }));
        required.extend(must.then_some("kind"));
    }
    for key in keys {
        let mut schema = shape_schema(&key.shape);
        schema["description"] = json!(key.meaning());
        if let Some(default) = key.fallback.value()
            && !default.is_object()
        {
            schema["default"] = default;
        }
        required.extend(key.fallback.is_required().then_some(key.name));
        properties.insert(key.name.to_owned(), schema);
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}
