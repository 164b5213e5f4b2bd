//! What a parameter is called elsewhere.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::arrays::file;
use crate::error::{Error, Result};
use crate::model::Plan;

/// No file of names is longer, in bytes.
const LONGEST_FILE: u64 = 1 << 20;
/// The key for all that no other key names.
const REST: &str = "*";

/// Names elsewhere by our names. A key is one of our dotted names (`c1.weight`) or the beginning of one (`c1`, `blocks.0`), which
/// its value takes the place of; the longest key that fits counts. The value of `*` is put before all other names. A name
/// that no key fits is the same elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    map: BTreeMap<String, String>,
}

impl Names {
    /// Reads the names from a TOML file of `ours = "theirs"`.
    ///
    /// # Errors
    /// `Invalid` if the file cannot be read or is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        const EXPECTED: &str = "a TOML file of names";
        let opened = file::open(path, EXPECTED)?;
        let place = file::shown(path);
        if opened.length > LONGEST_FILE {
            return Err(Error::Invalid(format!("{place} is longer than {} KiB: not {EXPECTED}", LONGEST_FILE >> 10)));
        }
        let mut text = String::new();
        opened.file.take(LONGEST_FILE).read_to_string(&mut text).map_err(|cause| file::broken(&place, &cause))?;
        Self::parse(&text, &place)
    }

    /// As [`Self::read`], from the text of the file; `place` names it in messages.
    ///
    /// # Errors
    /// `Invalid` if the text is not TOML or a value is not a text.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Error::Invalid(format!(
                "{place} is not TOML: {}; write a line like c1 = \"conv1\" for each name",
                error.message()
            ))
        })?;
        let mut map = BTreeMap::new();
        flatten("", &table, place, &mut map)?;
        Ok(Self { map })
    }

    /// What our parameter is called elsewhere.
    #[must_use]
    pub fn theirs(&self, ours: &str) -> String {
        let ends = std::iter::once(ours.len()).chain(ours.rmatch_indices('.').map(|(at, _)| at));
        for end in ends {
            if let Some(theirs) = self.map.get(&ours[..end]) {
                return format!("{theirs}{}", &ours[end..]);
            }
        }
        match self.map.get(REST).filter(|before| !before.is_empty()) {
            Some(before) => format!("{before}.{ours}"),
            None => ours.to_owned(),
        }
    }

    /// Refuses keys that none of the plan's names begins with: they are mistyped.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        let ours = plan.tensors();
        let fits = |key: &str| {
            key == REST
                || ours.iter().any(|(name, _)| {
                    name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
        };
        match self.map.keys().find(|key| !fits(key)) {
            None => Ok(()),
            Some(key) => Err(Error::Invalid(format!(
                "the names give one for {key:?}, which the model has not; it has {}",
                listed(ours.iter().map(|(name, _)| name.as_str()))
            ))),
        }
    }

    /// The names of a plain `torch.nn.Sequential`, whose layers are numbered: its n-th layer with parameters is the n-th of the
    /// model. None where the file's layers are not all numbers, or not as many as the model's.
    pub(super) fn numbered<'a>(plan: &Plan, theirs: impl Iterator<Item = &'a str>) -> Option<Self> {
        let layer = |name: &str| name.rsplit_once('.').map(|(layer, _)| layer.to_owned());
        let numbers: Option<Vec<usize>> = theirs.map(|name| layer(name)?.parse().ok()).collect();
        let mut numbers = numbers?;
        numbers.sort_unstable();
        numbers.dedup();
        let mut ours: Vec<String> = plan.tensors().iter().filter_map(|(name, _)| layer(name)).collect();
        ours.dedup();
        let map = ours.iter().cloned().zip(numbers.iter().map(usize::to_string)).collect();
        (ours.len() == numbers.len()).then_some(Self { map })
    }
}

/// Unquoted dots in a key make tables of tables.
fn flatten(before: &str, table: &toml::Table, place: &str, map: &mut BTreeMap<String, String>) -> Result<()> {
    for (key, value) in table {
        let name = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        match value {
            toml::Value::String(theirs) => {
                map.insert(name, theirs.clone());
            }
            toml::Value::Table(table) => flatten(&name, table, place, map)?,
            _ => {
                return Err(Error::Invalid(format!(
                    "{name} in {place} is not a name; write it like {key} = \"conv1\""
                )));
            }
        }
    }
    Ok(())
}

/// A few names, and how many more there are.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 8;
    let names: Vec<String> = names.map(|name| format!("`{}`", file::clean(name))).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count <= MOST => names.join(", "),
        count => format!("{} and {} more", names[..MOST].join(", "), count - MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Model;

    fn mlp() -> Plan {
        Plan::new(&Model::parse("kind = 'mlp', widths = [3]"), [1, 2, 2], 2).unwrap()
    }

    #[test]
    fn the_longest_key_that_fits_counts() {
        let text = "c1 = 'conv'\n'blocks.0' = 'layer1.0'\nblocks.1.c1.weight = 'odd'\n'*' = 'net'";
        let names = Names::parse(text, "names.toml").unwrap();
        assert_eq!(names.theirs("c1.weight"), "conv.weight");
        assert_eq!(names.theirs("c11.weight"), "net.c11.weight");
        assert_eq!(names.theirs("blocks.0.c1.weight"), "layer1.0.c1.weight");
        assert_eq!(names.theirs("blocks.1.c1.weight"), "odd");
        assert_eq!(names.theirs("blocks.1.c2.weight"), "net.blocks.1.c2.weight");
        assert_eq!(Names::default().theirs("fc.bias"), "fc.bias");
    }

    #[test]
    fn mistyped_keys_are_refused() {
        let check = |text: &str| Names::parse(text, "names.toml").unwrap().check(&mlp());
        assert_eq!(check("fc = 'last'\nfc1.weight = 'w'\n'*' = 'net'"), Ok(()));
        let message = check("fc2 = 'last'").unwrap_err().to_string();
        assert!(message.contains("\"fc2\"") && message.contains("`fc1.weight`"), "{message}");
        assert!(
            Names::parse("fc = 3", "names.toml").unwrap_err().to_string().contains("fc in names.toml is not a name")
        );
        assert!(Names::parse("fc 3", "names.toml").unwrap_err().to_string().contains("is not TOML"));
    }

    #[test]
    fn numbered_layers_are_taken_in_order() {
        let theirs = ["10.bias", "10.weight", "1.weight", "1.bias"];
        let names = Names::numbered(&mlp(), theirs.into_iter()).unwrap();
        assert_eq!((names.theirs("fc1.weight").as_str(), names.theirs("fc.bias").as_str()), ("1.weight", "10.bias"));
        assert_eq!(Names::numbered(&mlp(), ["1.weight", "head.weight"].into_iter()), None);
        assert_eq!(Names::numbered(&mlp(), ["1.weight"].into_iter()), None);
    }
}
