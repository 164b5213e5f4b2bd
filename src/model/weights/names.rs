//! What a tensor is called in a file.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::model::Plan;

/// The key for all that no other key names.
const REST: &str = "*";

/// Names in a file by our names. A key is one of our dotted names (`c1.weight`) or the beginning of one (`c1`, `blocks.0`), which
/// its value takes the place of; the longest key that fits counts. The value of `*` is put before all other names. A name
/// that no key fits is the same in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    map: BTreeMap<String, String>,
}

impl From<BTreeMap<String, String>> for Names {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self { map }
    }
}

impl Names {
    /// Whether no name differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// What our tensor is called in the file.
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

    /// Refuses keys that none of the plan's names begins with: they are mistyped. `key` is what a message calls the names.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self, plan: &Plan, key: &str) -> Result<()> {
        let ours = plan.tensors();
        let begins =
            |name: &str, key: &str| name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let fits = |key: &str| key == REST || ours.iter().any(|(name, _)| begins(name, key));
        match self.map.keys().find(|key| !fits(key)) {
            None => Ok(()),
            Some(name) => Err(Error::Invalid(format!(
                "{key} gives a name for {name:?}, which the model has not; it has {}",
                listed(ours.iter().map(|(name, _)| name.as_str()))
            ))),
        }
    }

    /// The names of a plain `torch.nn.Sequential`, whose layers are numbered: its n-th layer with tensors is the n-th of the
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

/// A few names, and how many more there are.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 8;
    let names: Vec<String> = names.map(|name| format!("`{}`", name.escape_debug())).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count <= MOST => names.join(", "),
        count => format!("{} and {} more", names[..MOST].join(", "), count - MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    fn names(pairs: &[(&str, &str)]) -> Names {
        let owned = pairs.iter().map(|(ours, theirs)| ((*ours).to_owned(), (*theirs).to_owned()));
        Names::from(owned.collect::<BTreeMap<_, _>>())
    }

    fn mlp() -> Plan {
        Plan::new(&Model::parse("kind = 'mlp', widths = [3]"), [1, 2, 2], 2).unwrap()
    }

    #[test]
    fn the_longest_key_that_fits_counts() {
        let names = names(&[("c1", "conv"), ("blocks.0", "layer1.0"), ("blocks.1.c1.weight", "odd"), ("*", "net")]);
        assert_eq!(names.theirs("c1.weight"), "conv.weight");
        assert_eq!(names.theirs("c11.weight"), "net.c11.weight");
        assert_eq!(names.theirs("blocks.0.c1.weight"), "layer1.0.c1.weight");
        assert_eq!(names.theirs("blocks.1.c1.weight"), "odd");
        assert_eq!(names.theirs("blocks.1.c2.weight"), "net.blocks.1.c2.weight");
        assert_eq!(Names::default().theirs("fc.bias"), "fc.bias");
    }

    #[test]
    fn mistyped_keys_are_refused() {
        let fits = names(&[("fc", "last"), ("fc1.weight", "w"), ("*", "net")]);
        assert_eq!(fits.check(&mlp(), "model.map"), Ok(()));
        let message = names(&[("fc2", "last")]).check(&mlp(), "model.map").unwrap_err().to_string();
        assert!(message.starts_with("model.map") && message.contains("\"fc2\"") && message.contains("`fc1.weight`"));
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
