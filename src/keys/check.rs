//! Holds a tree of values against the table of keys: unknown and missing keys, wrong types, values out of range.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::nearest::{join, listed, nearest_path, nearest_word, paths};
use super::node::{Node, Origin, Value, quote};
use super::problem::Problem;
use super::{Key, Kind, Shape};

/// Past so many problems, unknown keys get no suggestion any more: the file is not an experiment at all.
const MOST_SUGGESTIONS: usize = 200;

/// What came of it.
pub(crate) struct Checked {
    /// The sound part, complete enough to be read as an experiment: where a required key has a problem, some sound value
    /// stands in for it. Only of use where `problems` is empty, or for keys that are not `doubtful`.
    pub json: Json,
    pub problems: Vec<Problem>,
    /// Keys whose value is not what the user meant.
    doubtful: BTreeSet<String>,
    origins: BTreeMap<String, Origin>,
}

impl Checked {
    /// Puts in problems that were found while the layers were read.
    pub fn precede(&mut self, earlier: Vec<Problem>) {
        self.doubtful.extend(earlier.iter().flat_map(|problem| problem.keys.iter().cloned()));
        self.problems.splice(0..0, earlier);
    }

    /// Adds problems found later: each gets its place, and those that only follow from an earlier one are left out.
    pub fn add(&mut self, later: Vec<Problem>) {
        for mut problem in later {
            if problem.keys.iter().any(|key| self.is_doubtful(key)) {
                continue;
            }
            problem.origin = problem.keys.iter().find_map(|key| self.origins.get(key).cloned());
            self.problems.push(problem);
        }
    }

    fn is_doubtful(&self, key: &str) -> bool {
        let within = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
        self.doubtful.iter().any(|bad| within(key, bad) || within(bad, key))
    }
}

/// Checks a tree of values against what it should be; what is not given gets its default.
pub(crate) fn check(tree: &Node, shape: &Shape) -> Checked {
    let mut walk =
        Walk { problems: Vec::new(), doubtful: BTreeSet::new(), origins: BTreeMap::new(), known: paths(shape) };
    let json = walk.value(tree, shape, "").unwrap_or(Json::Null);
    Checked { json, problems: walk.problems, doubtful: walk.doubtful, origins: walk.origins }
}

struct Walk {
    problems: Vec<Problem>,
    doubtful: BTreeSet<String>,
    origins: BTreeMap<String, Origin>,
    /// All paths, for suggestions.
    known: Vec<String>,
}

impl Walk {
    /// The value in the form that the types are read from; `None` where it is not sound or not there.
    fn value(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<Json> {
        self.origins.insert(path.to_owned(), node.origin.clone());
        match (shape, &node.value) {
            (_, Value::Unset) => None,
            (Shape::Table(keys) | Shape::ListOr { table: keys, .. }, Value::Table(entries)) => {
                Some(Json::Object(self.table(entries, &Keys::plain(keys), path, &node.origin)))
            }
            (Shape::Kinds { default, kinds, common }, Value::Table(entries)) => {
                self.kinds(entries, *default, (kinds, common), path, &node.origin)
            }
            (Shape::Map(of), Value::Table(entries)) => {
                let inside = entries
                    .iter()
                    .filter_map(|(name, node)| Some((name.clone(), self.value(node, of, &join(path, name))?)));
                Some(Json::Object(inside.collect()))
            }
            (Shape::Other(grammar), _) => {
                let mut wrong = Vec::new();
                let json = grammar.check(node, path, &mut wrong);
                wrong.into_iter().for_each(|(origin, message)| self.report(&origin, path, message));
                Some(json)
            }
            (Shape::List { of, min, max, unique }, Value::List(items))
            | (Shape::ListOr { list: Shape::List { of, min, max, unique }, .. }, Value::List(items)) => {
                self.list(items, of, (*min, *max), *unique, path, &node.origin)
            }
            _ => {
                let sound = scalar(shape, &node.value);
                if sound.is_none() {
                    self.wrong(node, shape, path, path);
                }
                sound
            }
        }
    }

    fn report(&mut self, origin: &Origin, path: &str, message: String) {
        self.doubtful.insert(path.to_owned());
        self.problems.push(Problem::at(origin.clone(), vec![path.to_owned()], message));
    }

    fn wrong(&mut self, node: &Node, shape: &Shape, path: &str, label: &str) {
        let mut message = format!("{label} takes {}, but is {}", takes(shape), node.value.describe());
        if let (Shape::Choice(words), Some(text)) = (shape, node.value.text())
            && let Some(near) = nearest_word(text, words.iter().copied())
        {
            message += &format!("; did you mean \"{near}\"?");
        }
        if let (Shape::Kinds { kinds, .. }, Some(text)) = (shape, node.value.text())
            && kinds.iter().any(|kind| kind.name == text)
        {
            message += &format!("; write {path}.kind = {}", quote(text));
        }
        self.report(&node.origin, path, message);
    }

    fn table(
        &mut self,
        entries: &BTreeMap<String, Node>,
        keys: &Keys<'_>,
        path: &str,
        origin: &Origin,
    ) -> Map<String, Json> {
        let mut sound = Map::new();
        for (name, node) in entries {
            if !keys.has(name) {
                self.unknown(node, keys, path, name);
            }
        }
        for key in keys.all() {
            let inner = join(path, key.name);
            let given = entries.get(key.name).filter(|node| node.value != Value::Unset);
            let mut json = given.and_then(|node| self.value(node, &key.shape, &inner));
            if json.is_none() && key.fallback.is_required() {
                if given.is_none() && !self.doubtful.contains(&inner) {
                    let need = keys.kind.map_or(String::new(), |kind| format!(", which kind = \"{kind}\" needs"));
                    let message = format!("the key \"{inner}\" is missing{need}; it takes {}", takes(&key.shape));
                    let place = entries.get("kind").map_or(origin, |kind| &kind.origin);
                    self.report(place, &inner, message);
                }
                json = Some(stand_in(&key.shape));
            }
            let json = json.or_else(|| key.fallback.value());
            if let Some(json) = json {
                sound.insert(key.name.to_owned(), json);
            }
        }
        sound
    }

    fn kinds(
        &mut self,
        entries: &BTreeMap<String, Node>,
        default: Option<&str>,
        (kinds, common): (&[Kind], &[Key]),
        path: &str,
        origin: &Origin,
    ) -> Option<Json> {
        let inner = join(path, "kind");
        let names = || kinds.iter().map(|kind| kind.name);
        let given = entries.get("kind").filter(|node| node.value != Value::Unset);
        let name = match (given, default) {
            (Some(node), _) => match node.value.text().filter(|text| names().any(|name| name == *text)) {
                Some(name) => name,
                None => {
                    let mut message = format!("{inner} takes {}, but is {}", quoted(names()), node.value.describe());
                    if let Some(near) = node.value.text().and_then(|text| nearest_word(text, names())) {
                        message += &format!("; did you mean \"{near}\"?");
                    }
                    self.report(&node.origin, &inner, message);
                    self.doubtful.insert(path.to_owned());
                    return None;
                }
            },
            (None, Some(default)) => default,
            (None, None) => {
                let message = format!("the key \"{inner}\" is missing; it takes {}", quoted(names()));
                self.report(origin, &inner, message);
                self.doubtful.insert(path.to_owned());
                return None;
            }
        };
        if let Some(node) = given {
            self.origins.insert(inner, node.origin.clone());
        }
        let kind = kinds.iter().find(|kind| kind.name == name)?;
        let keys = Keys { table: kind.keys, common, kind: Some(kind.name), kinds };
        let mut sound = Map::from_iter([("kind".to_owned(), Json::from(kind.name))]);
        sound.extend(self.table(entries, &keys, path, origin));
        Some(Json::Object(sound))
    }

    fn list(
        &mut self,
        items: &[Node],
        of: &Shape,
        (min, max): (usize, usize),
        unique: bool,
        path: &str,
        origin: &Origin,
    ) -> Option<Json> {
        let few = items.len() < min;
        if few || items.len() > max {
            let (bound, count) = if few { ("least", min) } else { ("most", max) };
            let entries = if count == 1 { "entry" } else { "entries" };
            let has = if items.is_empty() { "is empty".to_owned() } else { format!("has {}", items.len()) };
            let message = format!("{path} takes at {bound} {} {entries}, but {has}", grouped(count as u64));
            self.report(origin, path, message);
            return None;
        }
        let before = self.problems.len();
        let mut sound = Vec::with_capacity(items.len());
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            match scalar(of, &item.value) {
                None => self.wrong(item, of, path, &format!("entry {} of {path}", index + 1)),
                Some(json) => {
                    if unique && !seen.insert(json.to_string()) {
                        let message = format!("{path} names {} more than once", item.value.describe());
                        self.report(&item.origin, path, message);
                    }
                    sound.push(json);
                }
            }
        }
        (self.problems.len() == before).then_some(Json::Array(sound))
    }

    fn unknown(&mut self, node: &Node, keys: &Keys<'_>, path: &str, name: &str) {
        let full = join(path, name);
        let shown = quote(&full);
        let others: Vec<&str> = keys.kinds.iter().filter(|kind| has(kind.keys, name)).map(|kind| kind.name).collect();
        let suggest = self.problems.len() < MOST_SUGGESTIONS;
        let message = if let (Some(kind), false) = (keys.kind, others.is_empty()) {
            let others = listed_quoted(others.iter().copied(), "and");
            format!("unknown key {shown} for {path}.kind = \"{kind}\"; it belongs to {others}")
        } else if let Some(near) = nearest_path(&full, self.known.iter().map(String::as_str).filter(|_| suggest)) {
            self.doubtful.insert(near.to_owned());
            format!("unknown key {shown}; did you mean \"{near}\"?")
        } else {
            let place = if path.is_empty() { "an experiment".to_owned() } else { path.to_owned() };
            format!("unknown key {shown}; {place} has the keys {}", listed(keys.names().into_iter(), "and"))
        };
        self.problems.push(Problem::at(node.origin.clone(), vec![full], message));
    }
}

/// The keys that a table may have.
struct Keys<'a> {
    table: &'a [Key],
    /// Those that other kinds have as well.
    common: &'a [Key],
    /// Where the table has a kind: which, and which others there are.
    kind: Option<&'a str>,
    kinds: &'a [Kind],
}

impl<'a> Keys<'a> {
    fn plain(table: &'a [Key]) -> Self {
        Self { table, common: &[], kind: None, kinds: &[] }
    }

    fn all(&self) -> impl Iterator<Item = &'a Key> + use<'a> {
        self.table.iter().chain(self.common)
    }

    fn has(&self, name: &str) -> bool {
        self.all().any(|key| key.name == name) || (self.kind.is_some() && name == "kind")
    }

    fn names(&self) -> Vec<&'a str> {
        self.kind.iter().map(|_| "kind").chain(self.all().map(|key| key.name)).collect()
    }
}

fn has(keys: &[Key], name: &str) -> bool {
    keys.iter().any(|key| key.name == name)
}

/// A value that is neither list nor table, if it is what the key takes.
fn scalar(shape: &Shape, value: &Value) -> Option<Json> {
    match (shape, value) {
        (Shape::Flag, Value::Flag(flag)) => Some(Json::from(*flag)),
        (Shape::Whole { min, max }, Value::Whole(number)) => {
            u64::try_from(*number).ok().filter(|number| (*min..=*max).contains(number)).map(Json::from)
        }
        (Shape::Odd { max }, Value::Whole(number)) => {
            u64::try_from(*number).ok().filter(|number| number % 2 == 1 && number <= max).map(Json::from)
        }
        (Shape::Real(range), Value::Real(number)) => range.contains(*number).then(|| Json::from(*number)),
        (Shape::Real(range), Value::Whole(number)) => {
            let number = *number as f64;
            range.contains(number).then(|| Json::from(number))
        }
        (Shape::Name, Value::Text(text)) => is_name(text).then(|| Json::from(text.as_str())),
        (Shape::File, Value::Text(text)) => {
            (!text.is_empty() && !text.contains('\0')).then(|| Json::from(text.as_str()))
        }
        (Shape::Text, Value::Text(text)) => (!text.trim().is_empty()).then(|| Json::from(text.as_str())),
        (Shape::Choice(words), Value::Text(text)) => words.contains(&text.as_str()).then(|| Json::from(text.as_str())),
        _ => None,
    }
}

const LONGEST_NAME: usize = 100;

/// Whether a text can name a directory on every system and in every shell.
fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// A sound value, to go on checking with where a required one is not there.
pub(crate) fn stand_in(shape: &Shape) -> Json {
    match shape {
        Shape::Flag => Json::from(false),
        Shape::Whole { min, .. } => Json::from(*min),
        Shape::Odd { .. } => Json::from(1),
        Shape::Real(range) => {
            let high = if range.high.is_finite() { range.high } else { range.low + 2.0 };
            Json::from(f64::midpoint(range.low, high))
        }
        Shape::Name | Shape::File | Shape::Text => Json::from("unnamed"),
        Shape::Map(_) => Json::Object(Map::new()),
        Shape::Other(grammar) => grammar.stand_in(),
        Shape::Choice(words) => Json::from(words.first().copied().unwrap_or_default()),
        Shape::List { of, min, .. } => Json::Array(vec![stand_in(of); *min]),
        Shape::ListOr { list, .. } => stand_in(list),
        Shape::Table(keys) => Json::Object(stand_in_table(keys)),
        Shape::Kinds { kinds, .. } => {
            let kind = kinds.first();
            let mut table = Map::from_iter([("kind".to_owned(), Json::from(kind.map_or("", |kind| kind.name)))]);
            table.extend(kind.map(|kind| stand_in_table(kind.keys)).unwrap_or_default());
            Json::Object(table)
        }
    }
}

fn stand_in_table(keys: &[Key]) -> Map<String, Json> {
    let required = keys.iter().filter(|key| key.fallback.is_required());
    required.map(|key| (key.name.to_owned(), stand_in(&key.shape))).collect()
}

/// What a key takes, in words.
pub(crate) fn takes(shape: &Shape) -> String {
    match shape {
        Shape::Flag => "true or false".to_owned(),
        Shape::Whole { min, max } => format!("a whole number from {} to {}", grouped(*min), grouped(*max)),
        Shape::Odd { max } => format!("an odd whole number from 1 to {}", grouped(*max)),
        Shape::Real(range) => match (range.high.is_finite(), range.low_included) {
            (true, true) => format!("a number in [{}, {})", range.low, range.high),
            (true, false) => format!("a number in ({}, {})", range.low, range.high),
            (false, true) => format!("a number of at least {}", range.low),
            (false, false) => format!("a number above {}", range.low),
        },
        Shape::Name => format!(
            "a name of at most {LONGEST_NAME} letters, digits, `-`, `_` and `.` that begins with a letter or a digit"
        ),
        Shape::File => "a path".to_owned(),
        Shape::Text => "a text".to_owned(),
        Shape::Map(of) => format!("a table of names, each with {}", takes(of)),
        Shape::Other(grammar) => grammar.takes(),
        Shape::Choice(words) => quoted(words.iter().copied()),
        Shape::List { of: Shape::Choice(words), .. } => {
            format!("a list of {}", listed_quoted(words.iter().copied(), "and"))
        }
        Shape::List { of: Shape::Whole { min, max }, .. } => {
            format!("a list of whole numbers from {} to {}", grouped(*min), grouped(*max))
        }
        Shape::List { .. } => "a list".to_owned(),
        Shape::Table(keys) => {
            format!("a table with the keys {}", listed(keys.iter().map(|key| key.name), "and"))
        }
        Shape::Kinds { kinds, .. } => {
            format!("a table whose key kind is {}", quoted(kinds.iter().map(|kind| kind.name)))
        }
        Shape::ListOr { list, table } => {
            let keys = table.iter().map(|key| format!("{} = …", key.name)).collect::<Vec<_>>().join(", ");
            format!("{}, or {{ {keys} }}", takes(list))
        }
    }
}

/// `"a", "b" or "c"`
pub(crate) fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    listed_quoted(words, "or")
}

fn listed_quoted<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    listed(words.iter().map(String::as_str), last)
}

/// Digits in groups of three: 1,000,000.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
