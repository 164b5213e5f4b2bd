//! JSON values as TOML, in one fixed format.

use serde_json::{Map, Value as Json};

/// A TOML document: plain keys first, then a section for each table, in which deeper tables stand inline.
pub(crate) fn document(json: &Json) -> String {
    let empty = Map::new();
    let root = json.as_object().unwrap_or(&empty);
    let mut text = String::new();
    for (name, value) in root.iter().filter(|(_, value)| !value.is_object()) {
        text += &format!("{name} = {}\n", inline(value));
    }
    for (name, table) in root.iter().filter_map(|(name, value)| Some((name, value.as_object()?))) {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &format!("[{name}]\n");
        for (name, value) in table {
            text += &format!("{name} = {}\n", inline(value));
        }
    }
    text
}

/// A value on one line of TOML.
pub(crate) fn inline(json: &Json) -> String {
    match json {
        // What JSON has for a number that is none.
        Json::Null => "nan".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float:?}"),
            _ => number.to_string(),
        },
        Json::String(text) => string(text),
        Json::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Json::Object(table) if table.is_empty() => "{}".to_owned(),
        Json::Object(table) => {
            let keys: Vec<String> = table.iter().map(|(name, value)| format!("{name} = {}", inline(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
    }
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
