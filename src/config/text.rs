//! An experiment as text: the resolved file, the hashes that name it, what differs between two.

use serde_json::Value as Json;

use super::{Checkpoints, Experiment};
use crate::keys::nearest::join;
use crate::keys::toml::{document, inline};

/// A key in which two experiments differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDiff {
    /// Dotted, as in `--set`.
    pub key: String,
    /// Its value in TOML, if the old experiment has it.
    pub old: Option<String>,
    /// Its value in TOML, if the new experiment has it.
    pub new: Option<String>,
    /// Whether the difference changes what a run writes, so that finished runs no longer belong to the experiment.
    pub training: bool,
}

impl std::fmt::Display for KeyDiff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} -> {}", self.key, text(&self.old), text(&self.new))
    }
}

impl Experiment {
    /// The resolved file: every key in one fixed order and format, so that equal experiments are equal to the byte.
    #[must_use]
    pub fn to_toml(&self) -> String {
        document(&self.json())
    }

    /// BLAKE3 of [`Experiment::to_toml`], 64 hex digits.
    #[must_use]
    pub fn hash(&self) -> String {
        blake3::hash(self.to_toml().as_bytes()).to_hex().to_string()
    }

    /// BLAKE3, 64 hex digits, of what determines the bytes that a run of a given index writes: data, model, training, root
    /// seed, streams that vary and what is recorded. The name, the number of runs and how runs are judged do not count, nor
    /// does the order in which streams, checkpoints and kernels are listed.
    #[must_use]
    pub fn training_hash(&self) -> String {
        blake3::hash(document(&self.training_json()).as_bytes()).to_hex().to_string()
    }

    /// The epochs after which a run is recorded, 0 being before training: ascending, each once, the last epoch always among
    /// them, none past it.
    #[must_use]
    pub fn checkpoint_epochs(&self) -> Vec<usize> {
        let last = self.train.epochs;
        let mut epochs: Vec<usize> = match &self.record.checkpoints {
            Checkpoints::At(epochs) => epochs.iter().copied().filter(|epoch| *epoch <= last).collect(),
            Checkpoints::Every { every } => (0..=last).step_by((*every).max(1)).collect(),
        };
        epochs.push(last);
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }

    pub(super) fn json(&self) -> Json {
        // Only a map with keys that are not strings, or a `Serialize` that reports an error, makes this fail; there is neither.
        serde_json::to_value(self).expect("an experiment is plain data")
    }

    /// The part of the experiment that determines what a run writes, lists without meaningful order sorted.
    fn training_json(&self) -> Json {
        let mut canonical = self.clone();
        canonical.sweep.vary.sort_unstable();
        canonical.record.checkpoints = Checkpoints::At(self.checkpoint_epochs());
        if let Some(kernel) = &mut canonical.record.kernel {
            kernel.kinds.sort_unstable();
        }
        let mut json = canonical.json();
        if let Some(tables) = json.as_object_mut() {
            tables.retain(|name, _| ["data", "model", "train", "sweep", "record"].contains(&name.as_str()));
            if let Some(sweep) = tables.get_mut("sweep").and_then(Json::as_object_mut) {
                sweep.retain(|name, _| name != "runs");
            }
            if let Some(train) = tables.get_mut("train").and_then(Json::as_object_mut) {
                train.retain(|name, _| name != "stall");
            }
        }
        json
    }
}

/// The keys in which two experiments differ, in the order of the file. Empty exactly where the experiments are equal.
#[must_use]
pub fn diff(old: &Experiment, new: &Experiment) -> Vec<KeyDiff> {
    let (before, after) = (leaves(&old.json()), leaves(&new.json()));
    let (trained, training) = (leaves(&old.training_json()), leaves(&new.training_json()));
    let find = |leaves: &[(String, String)], key: &str| {
        leaves.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(key, _)| find(&after, key).is_none());
    let mut differences: Vec<KeyDiff> = after
        .iter()
        .chain(gone)
        .map(|(key, _)| KeyDiff {
            key: key.clone(),
            old: find(&before, key),
            new: find(&after, key),
            training: find(&trained, parent_list(key)) != find(&training, parent_list(key)),
        })
        .filter(|difference| difference.old != difference.new)
        .collect();
    // Stable: what only the old experiment has goes to the end of its table.
    let table = |key: &str| key.split('.').next().map(str::to_owned);
    let tables: Vec<_> = after.iter().map(|(key, _)| table(key)).collect();
    differences.sort_by_key(|difference| {
        let own = table(&difference.key);
        tables.iter().position(|table| *table == own)
    });
    differences
}

/// `record.checkpoints.every` counts as `record.checkpoints`, which is a list in the training part.
fn parent_list(key: &str) -> &str {
    key.strip_suffix(".every").unwrap_or(key)
}

/// All values that are not tables, with dotted keys.
fn leaves(json: &Json) -> Vec<(String, String)> {
    fn collect(json: &Json, path: &str, found: &mut Vec<(String, String)>) {
        match json {
            Json::Object(table) => {
                for (name, value) in table {
                    collect(value, &join(path, name), found);
                }
            }
            value => found.push((path.to_owned(), inline(value))),
        }
    }
    let mut found = Vec::new();
    collect(json, "", &mut found);
    found
}
