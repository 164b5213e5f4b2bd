//! Layers as they are written down: `"relu"`, or a table whose key is the layer's name and whose value says the most
//! important thing about it, with further keys beside it: `{ conv = 32, kernel = 3, padding = 1 }`.

use serde_json::{Map, Value as Json, json};

/// What a layer is called, what its own key takes, and which other keys it has.
#[derive(Debug)]
pub struct Kind {
    /// As it is written.
    pub name: &'static str,
    /// Other names that people know it by.
    pub aliases: &'static [&'static str],
    /// For users.
    pub meaning: &'static str,
    /// What the key of the layer's own name takes; None where there is nothing to say but the name.
    pub argument: Option<Key>,
    /// The other keys.
    pub keys: &'static [Key],
}

/// One key of a layer.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What holds where it is not given, as JSON; None where it must be given, `null` where nothing holds.
    pub default: Option<&'static str>,
    /// For users.
    pub meaning: &'static str,
}

/// What a key takes.
#[derive(Debug)]
pub enum Takes {
    /// A whole number of at least the first and at most the second.
    Whole(u64, u64),
    /// Such a number for height and width together, or `[height, width]`.
    Pair(u64, u64),
    /// A number of at least the first and less than the second.
    Real(f64, f64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number of at least 1, or one of these words.
    WholeOrWord(&'static [&'static str]),
    /// Such a number for height and width together, `[height, width]`, or one of these words.
    PairOrWord(u64, u64, &'static [&'static str]),
    /// A list of layers.
    Layers,
    /// A list of layers, or one of these words.
    LayersOrWord(&'static [&'static str]),
    /// A list of lists of layers.
    Branches,
}

/// No kernel, stride or width that anybody means is larger.
pub const MOST: u64 = 1_000_000;

impl Key {
    /// A key of a layer.
    #[must_use]
    pub const fn new(name: &'static str, takes: Takes, default: Option<&'static str>, meaning: &'static str) -> Self {
        Self { name, takes, default, meaning }
    }
}

/// A layer that was written down, with all its keys.
#[derive(Debug, Clone)]
pub struct Item {
    /// Which layer.
    pub kind: &'static Kind,
    /// The stable name that was given to it.
    pub name: Option<String>,
    values: Map<String, Json>,
}

/// The key that gives a layer its name.
const NAME: &str = "name";

impl Item {
    /// Reads one entry of a list of layers.
    ///
    /// # Errors
    /// One sentence.
    pub fn read(entry: &Json, kinds: &[&'static Kind]) -> Result<Self, String> {
        let find = |word: &str| kinds.iter().find(|kind| kind.name == word || kind.aliases.contains(&word));
        let table = match entry {
            Json::String(word) => {
                let kind = find(word).ok_or_else(|| unknown(word, kinds))?;
                return Self::complete(kind, &Map::new(), None);
            }
            Json::Object(table) => table,
            other => {
                return Err(format!(
                    "a layer is a word or a table like {{ conv = 32, kernel = 3 }}, but this is {other}"
                ));
            }
        };
        let mut named = table.keys().filter_map(|key| find(key).map(|kind| (key, *kind)));
        let (word, kind) = match (named.next(), table.keys().next()) {
            (Some(found), _) => found,
            (None, Some(first)) => return Err(unknown(first, kinds)),
            (None, None) => {
                return Err(
                    "a layer is a word or a table like { conv = 32, kernel = 3 }, but this table is empty".into()
                );
            }
        };
        // `{ residual = […], conv = … }` names two layers; a key of the layer may be another's name.
        if let Some((other, _)) = named.find(|(key, _)| !kind.keys.iter().any(|known| known.name == key.as_str())) {
            return Err(format!(
                "one table describes one layer, but this has `{word}` and `{other}`; write {{ … }}, {{ … }}"
            ));
        }
        Self::complete(kind, table, Some(word))
    }

    fn complete(kind: &'static Kind, given: &Map<String, Json>, word: Option<&str>) -> Result<Self, String> {
        let mut values = Map::new();
        let mut name = None;
        for (key, value) in given {
            if Some(key.as_str()) == word {
                continue;
            }
            if key == NAME {
                match value.as_str().filter(|text| is_name(text)) {
                    Some(text) => name = Some(text.to_owned()),
                    None => {
                        return Err(format!(
                            "the name of a layer takes letters, digits, `_`, `-` and dots between them, but is {value}"
                        ));
                    }
                }
                continue;
            }
            let Some(known) = kind.keys.iter().find(|known| known.name == key) else {
                return Err(unknown_key(kind, key));
            };
            if !fits(&known.takes, value) {
                return Err(format!("{key} of {} takes {}, but is {value}", kind.name, takes(&known.takes)));
            }
            values.insert(key.clone(), value.clone());
        }
        let argument = word.and_then(|word| given.get(word));
        match (&kind.argument, argument) {
            (None, None | Some(Json::Bool(true))) => {}
            (None, Some(other)) => {
                return Err(format!("{} takes no value but true, but is {other}; write \"{}\"", kind.name, kind.name));
            }
            // A layer whose own value has a default may stand as a bare word, or as `true` beside other keys.
            (Some(key), None | Some(Json::Bool(true)))
                if key.default.is_some() && !matches!(key.takes, Takes::Flag) => {}
            (Some(key), None) => {
                return Err(format!("{} takes {}: write {{ {} = … }}", kind.name, takes(&key.takes), kind.name));
            }
            (Some(key), Some(value)) => {
                if !fits(&key.takes, value) {
                    return Err(format!("{} takes {} ({}), but is {value}", kind.name, takes(&key.takes), key.meaning));
                }
                values.insert(key.name.to_owned(), value.clone());
            }
        }
        for key in kind.argument.iter().chain(kind.keys) {
            if values.contains_key(key.name) {
                continue;
            }
            let Some(default) = key.default else {
                return Err(format!("{} needs the key {}, which takes {}", kind.name, key.name, takes(&key.takes)));
            };
            let default = self::default(default);
            if default != Json::Null {
                values.insert(key.name.to_owned(), default);
            }
        }
        Ok(Self { kind, name, values })
    }

    /// Whether a key is the layer's own name.
    #[must_use]
    pub fn is_own_word(&self, key: &str) -> bool {
        self.kind.name == key || self.kind.aliases.contains(&key)
    }

    /// A whole number; 0 where it is not there.
    #[must_use]
    pub fn whole(&self, key: &str) -> usize {
        self.values.get(key).and_then(Json::as_u64).unwrap_or(0) as usize
    }

    /// A whole number, if there is one.
    #[must_use]
    pub fn whole_if(&self, key: &str) -> Option<usize> {
        self.values.get(key).and_then(Json::as_u64).map(|value| value as usize)
    }

    /// `[height, width]`, if there are any.
    #[must_use]
    pub fn pair_if(&self, key: &str) -> Option<[usize; 2]> {
        match self.values.get(key)? {
            Json::Array(pair) => match pair.as_slice() {
                [height, width] => Some([height.as_u64()? as usize, width.as_u64()? as usize]),
                _ => None,
            },
            both => both.as_u64().map(|both| [both as usize; 2]),
        }
    }

    /// `[height, width]`; zeros where it is not there.
    #[must_use]
    pub fn pair(&self, key: &str) -> [usize; 2] {
        self.pair_if(key).unwrap_or([0; 2])
    }

    /// A number; 0 where it is not there.
    #[must_use]
    pub fn real(&self, key: &str) -> f64 {
        self.values.get(key).and_then(Json::as_f64).unwrap_or(0.0)
    }

    /// Whether a flag is set.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.values.get(key).and_then(Json::as_bool).unwrap_or(false)
    }

    /// A word; empty where there is none.
    #[must_use]
    pub fn word(&self, key: &str) -> &str {
        self.values.get(key).and_then(Json::as_str).unwrap_or("")
    }

    /// A list; empty where there is none.
    #[must_use]
    pub fn list(&self, key: &str) -> &[Json] {
        self.values.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
    }
}

/// A default as a value: what is not JSON is a word.
#[must_use]
pub fn default(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn is_name(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)))
}

fn fits(takes: &Takes, value: &Json) -> bool {
    let whole = |value: &Json, low: u64, high: u64| value.as_u64().is_some_and(|n| (low..=high).contains(&n));
    let pair = |low, high| match value {
        Json::Array(pair) => pair.len() == 2 && pair.iter().all(|side| whole(side, low, high)),
        both => whole(both, low, high),
    };
    let word = |words: &[&str]| value.as_str().is_some_and(|word| words.contains(&word));
    match takes {
        Takes::Whole(low, high) => whole(value, *low, *high),
        Takes::Pair(low, high) => pair(*low, *high),
        Takes::Real(low, high) => value.as_f64().is_some_and(|x| x >= *low && x < *high),
        Takes::Flag => value.is_boolean(),
        Takes::Word(words) => word(words),
        Takes::WholeOrWord(words) => whole(value, 1, MOST) || word(words),
        Takes::PairOrWord(low, high, words) => pair(*low, *high) || word(words),
        Takes::Layers => value.is_array(),
        Takes::LayersOrWord(words) => value.is_array() || word(words),
        Takes::Branches => value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(Json::is_array)),
    }
}

/// What a key takes, in words.
#[must_use]
pub fn takes(takes: &Takes) -> String {
    let words = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ");
    match takes {
        Takes::Whole(low, _) => format!("a whole number of at least {low}"),
        Takes::Pair(low, _) => format!("a whole number of at least {low}, or [height, width]"),
        Takes::Real(low, high) if high.is_finite() => format!("a number in [{low}, {high})"),
        Takes::Real(low, _) => format!("a number of at least {low}"),
        Takes::Flag => "true or false".into(),
        Takes::Word(all) => words(all),
        Takes::WholeOrWord(all) => format!("a whole number of at least 1, or {}", words(all)),
        Takes::PairOrWord(low, _, all) => {
            format!("a whole number of at least {low}, [height, width] or {}", words(all))
        }
        Takes::Layers => "a list of layers".into(),
        Takes::LayersOrWord(all) => format!("a list of layers, or {}", words(all)),
        Takes::Branches => "a list of lists of layers".into(),
    }
}

fn unknown(word: &str, kinds: &[&'static Kind]) -> String {
    let names = || kinds.iter().flat_map(|kind| [kind.name].into_iter().chain(kind.aliases.iter().copied()));
    match nearest(word, names()) {
        Some(near) => format!("there is no layer \"{word}\"; did you mean \"{near}\"?"),
        None => format!("there is no layer \"{word}\"; `harness model list` shows all"),
    }
}

fn unknown_key(kind: &Kind, key: &str) -> String {
    let names = || kind.keys.iter().map(|key| key.name).chain([NAME]);
    match nearest(key, names()) {
        Some(near) => format!("{} has no key \"{key}\"; did you mean \"{near}\"?", kind.name),
        None => format!("{} has no key \"{key}\"; it has {}", kind.name, names().collect::<Vec<_>>().join(", ")),
    }
}

/// The word that is most like what was written, if one is.
fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    let likeness = |other: &str| strsim::jaro_winkler(&word, other);
    words
        .map(|other| (likeness(other), other))
        .filter(|(like, _)| *like > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
