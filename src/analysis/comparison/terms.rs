//! On which terms numbers of two sets of runs can be compared: the same data, checkpoints, examples and thresholds.

use std::borrow::Cow;

use crate::analysis::input::Input;
use crate::config::Experiment;
use crate::error::{Error, Result};
use crate::stats::logits::Real;

/// Fields that must agree, each with its value in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms(Vec<(Cow<'static, str>, String)>);

/// What the caller fixes for both sides, so that the sides need not agree on it themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Whether the user chose the checkpoint.
    pub epoch: bool,
    /// Whether the user chose ε.
    pub epsilon: bool,
    /// Whether the user chose the clip.
    pub clip: bool,
}

impl Terms {
    /// Of any soft decisions: the examples, the classes, the labels.
    #[must_use]
    pub fn of_input<T: Real>(input: &Input<T>) -> Self {
        Self::of_labels(input.labels(), input.classes())
    }

    fn of_labels(labels: &[u32], classes: usize) -> Self {
        let mut hasher = blake3::Hasher::new();
        labels.iter().for_each(|label| {
            hasher.update(&label.to_le_bytes());
        });
        let digest = hasher.finalize().to_hex();
        Self(vec![
            ("test examples N".into(), labels.len().to_string()),
            ("classes C".into(), classes.to_string()),
            ("labels (BLAKE3)".into(), digest.as_str()[..16].to_owned()),
        ])
    }

    /// Of a sweep as well: which data were read and judged on, what was recorded, how it is judged. How much of the data
    /// was trained on, how, and with which network may differ: that is what is compared.
    #[must_use]
    pub fn and_sweep(mut self, experiment: &Experiment, epoch: usize, data_digest: Option<&str>, fixed: Fixed) -> Self {
        let data = &experiment.data;
        let mut add = |field: &'static str, value: String| self.0.push((field.into(), value));
        add("data.dataset", data.dataset.name().to_owned());
        add("data.classes", data.classes.as_ref().map_or_else(|| "all".to_owned(), |classes| format!("{classes:?}")));
        if let Some(digest) = data_digest {
            add("data (BLAKE3)", digest.chars().take(16).collect());
        }
        if !fixed.epoch {
            let epochs: Vec<String> = experiment.checkpoint_epochs().iter().map(usize::to_string).collect();
            add("checkpoints", epochs.join(", "));
        }
        add("judged epoch", epoch.to_string());
        if !fixed.epsilon {
            add("analysis.epsilon", experiment.analysis.epsilon.to_string());
        }
        if !fixed.clip {
            let clip = experiment.analysis.clip.map_or_else(|| "none".to_owned(), |clip| clip.to_string());
            add("analysis.clip", clip);
        }
        self
    }

    /// Further fields, of a history say.
    #[must_use]
    pub fn and(mut self, field: &'static str, value: String) -> Self {
        self.0.push((field.into(), value));
        self
    }

    /// As pairs of a field and its value, for a record.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(field, value)| (field.to_string(), value.clone())).collect()
    }

    /// From a record.
    #[must_use]
    pub fn of_fields(fields: Vec<(String, String)>) -> Self {
        Self(fields.into_iter().map(|(field, value)| (field.into(), value)).collect())
    }

    /// The fields that both sides have and do not agree on, as `field (own value against the other's)`.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let of_other = |field: &str| other.0.iter().find(|held| held.0 == field).map(|held| &held.1);
        let pairs = self.0.iter().filter_map(|(field, own)| Some((field, own, of_other(field)?)));
        pairs
            .filter(|(_, own, other)| own != other)
            .map(|(field, own, other)| format!("{field} ({own} against {other})"))
            .collect()
    }

    /// Passes if no field differs; `own` and `others` name the two.
    ///
    /// # Errors
    /// [`Error::NotComparable`] with every field that differs.
    pub fn check(&self, other: &Self, own: &str, others: &str) -> Result<()> {
        let fields = self.differing(other);
        if fields.is_empty() {
            return Ok(());
        }
        Err(Error::NotComparable(format!(
            "{own} and {others} are not comparable: they differ in {}",
            fields.join("; ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::input::RunLogits;

    fn terms(labels: &[u32]) -> Terms {
        let run = RunLogits { index: 0, logits: vec![0.0f32; labels.len() * 3] };
        Terms::of_input(&Input::new(labels.to_vec(), 3, vec![run]).unwrap())
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let (a, b, c) = (terms(&[0, 1, 2]), terms(&[0, 1, 1]), terms(&[0, 1]));
        assert!(a.differing(&a).is_empty() && a.check(&a, "A", "B").is_ok());
        assert!(a.differing(&b)[0].starts_with("labels (BLAKE3) ("));
        assert_eq!(a.differing(&c)[0], "test examples N (3 against 2)");
        let one = a.clone().and("checkpoints", "0, 5".into());
        let other = a.clone().and("checkpoints", "0, 10".into());
        let message = one.check(&other, "old", "new").unwrap_err();
        assert_eq!(message.exit_code(), crate::error::exit::NOT_COMPARABLE);
        assert_eq!(
            message.to_string(),
            "old and new are not comparable: they differ in checkpoints (0, 5 against 0, 10)"
        );
        assert!(one.differing(&a).is_empty(), "a file knows of no checkpoints");
    }
}
