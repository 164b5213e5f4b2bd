//! Values that remember where they came from, and how one layer of them goes over another.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Key, Shape};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Line of the experiment file, from 1.
    Line(usize),
    /// Name of the environment variable.
    Variable(String),
    /// Position and text of the argument of `--set`.
    Argument(usize, String),
    /// The program itself.
    Nowhere,
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it was written.
    pub origin: Origin,
    /// What was written.
    pub value: Value,
}

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Real(f64),
    /// A string.
    Text(String),
    /// A date, or a number that no 128 bits hold: nothing that an experiment has a use for.
    Other(String),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(BTreeMap<String, Node>),
    /// An override without a value: takes the key out, so that its default holds.
    Unset,
}

impl Node {
    /// What the types were written as, from nowhere in particular.
    #[must_use]
    pub fn from_json(json: &Json) -> Self {
        let value = match json {
            // What JSON has for a number that is none.
            Json::Null => Value::Real(f64::NAN),
            Json::Bool(flag) => Value::Flag(*flag),
            Json::Number(number) => match (number.as_i128(), number.as_f64()) {
                (Some(whole), _) => Value::Whole(whole),
                (None, Some(real)) => Value::Real(real),
                (None, None) => Value::Other(number.to_string()),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(list) => Value::List(list.iter().map(Self::from_json).collect()),
            Json::Object(table) => {
                Value::Table(table.iter().map(|(name, value)| (name.clone(), Self::from_json(value))).collect())
            }
        };
        Self { origin: Origin::Nowhere, value }
    }
}

impl Value {
    /// How a message names the value.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Real(number) if number.is_finite() => format!("{number:?}"),
            Self::Real(number) => format!("{number}, which is not finite"),
            Self::Text(text) => quote(text),
            Self::Other(text) => shorten(text),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Unset => "nothing".to_owned(),
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Text in quotes, on one line and not too long for a message.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", shorten(text))
}

/// Text on one line, not too long for a message.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short.replace("\\\"", "\"").replace("\\'", "'")
}

/// Why a text is not TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// Reads a whole file.
pub(crate) fn parse_file(text: &str) -> Result<Node, SyntaxError> {
    let lines = Lines::new(text);
    let table = DeTable::parse(text).map_err(|error| syntax_error(&error, text))?;
    let origin = |span: std::ops::Range<usize>| Origin::Line(lines.number(span.start));
    Ok(Node { origin: Origin::Nowhere, value: convert_table(table.get_ref(), &origin) })
}

/// Reads one value, as it stands to the right of an equals sign.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Result<Node, SyntaxError> {
    let value = DeValue::parse(text).map_err(|error| syntax_error(&error, text))?;
    Ok(Node { origin: origin.clone(), value: convert(value.get_ref(), &|_| origin.clone()) })
}

fn syntax_error(error: &toml::de::Error, text: &str) -> SyntaxError {
    let start = error.span().map_or(0, |span| span.start);
    let rest = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
    let message = error.message().trim().replace('\n', ", ");
    let about_text = ["float", "quoted"].iter().any(|word| message.contains(word));
    // A bare word is read as the beginning of `inf` or of a number, and the parser says so.
    let what = match rest.chars().next() {
        None if about_text => "a value is missing",
        Some(first) if about_text && first.is_alphabetic() => "text needs quotes",
        _ => message.trim_end_matches(", expected nothing").trim_end_matches(", expected literal string"),
    };
    let place = if rest.is_empty() { String::new() } else { format!(", at {}", shorten(rest)) };
    SyntaxError { line: Lines::new(text).number(start), message: format!("{what}{place}") }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect())
    }

    /// The line, from 1, of a byte.
    fn number(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|start| *start <= byte)
    }
}

fn convert(value: &DeValue<'_>, origin: &dyn Fn(std::ops::Range<usize>) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.to_string()), Value::Whole),
        DeValue::Float(number) => {
            number.as_str().parse().map_or_else(|_| Value::Other(number.to_string()), Value::Real)
        }
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Other(date.to_string()),
        DeValue::Array(list) => Value::List(
            list.iter()
                .map(|item| Node { origin: origin(item.span()), value: convert(item.get_ref(), origin) })
                .collect(),
        ),
        DeValue::Table(table) => convert_table(table, origin),
    }
}

fn convert_table(table: &DeTable<'_>, origin: &dyn Fn(std::ops::Range<usize>) -> Origin) -> Value {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let node = Node { origin: origin(key.span()), value: convert(value.get_ref(), origin) };
        (key.get_ref().to_string(), node)
    };
    Value::Table(table.iter().map(entry).collect())
}

/// Lays `upper` over `lower`: tables are merged key by key, everything else is replaced. A table whose `kind` the upper
/// layer changes starts afresh, since the keys of one kind mean nothing to another.
pub(crate) fn overlay(lower: Node, upper: Node, shape: Option<&Shape>) -> Node {
    match (lower.value, upper.value) {
        (Value::Table(mut merged), Value::Table(above)) if !changes_kind(&merged, &above, shape) => {
            for (name, node) in above {
                let node = match merged.remove(&name) {
                    Some(old) => overlay(old, node, shape.and_then(|shape| child(shape, &name))),
                    None => node,
                };
                merged.insert(name, node);
            }
            Node { origin: lower.origin, value: Value::Table(merged) }
        }
        (_, value) => Node { origin: upper.origin, value },
    }
}

fn changes_kind(below: &BTreeMap<String, Node>, above: &BTreeMap<String, Node>, shape: Option<&Shape>) -> bool {
    match (shape, above.get("kind")) {
        (Some(Shape::Kinds { default, .. }), Some(kind)) => {
            effective_kind(Some(kind), *default) != effective_kind(below.get("kind"), *default)
        }
        _ => false,
    }
}

/// The kind that a table has, given its key `kind`.
fn effective_kind<'a>(node: Option<&'a Node>, default: Option<&'a str>) -> Option<&'a str> {
    match node.map(|node| &node.value) {
        None | Some(Value::Unset) => default,
        Some(value) => value.text(),
    }
}

/// What a key of a table takes, whatever the table's kind.
pub(crate) fn child<'a>(shape: &'a Shape, name: &str) -> Option<&'a Shape> {
    let find = |keys: &'a [Key]| keys.iter().find(|key| key.name == name).map(|key| &key.shape);
    match shape {
        Shape::Table(keys) => find(keys),
        Shape::ListOr { table, .. } => find(table),
        Shape::Kinds { kinds, common, .. } => kinds.iter().find_map(|kind| find(kind.keys)).or_else(|| find(common)),
        Shape::Map(of) => Some(of),
        _ => None,
    }
}
