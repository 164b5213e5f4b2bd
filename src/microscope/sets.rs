//! Sets of embeddings with what is known of each sample.

use super::problem::Problem;
use crate::error::Result;

/// What is known of every sample: a topic, a class, a language.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub name: String,
    /// What each number stands for.
    pub values: Vec<String>,
    /// `[n]`, numbers of `values`, the samples in the order of [`Sets::rows`].
    pub of: Vec<u32>,
}

/// Two or more sets of embeddings of the same width, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Sets {
    pub names: Vec<String>,
    /// Samples of each set.
    pub sizes: Vec<usize>,
    /// Width of an embedding.
    pub width: usize,
    /// `[n, width]`, set after set.
    pub rows: Vec<f32>,
    pub labels: Vec<Label>,
    /// What each sample is called; empty: its number within its set.
    pub ids: Vec<String>,
    /// Whether row i of every set comes from the same prompt or image.
    pub pairs: bool,
}

impl Sets {
    /// Checks shapes and values.
    ///
    /// # Errors
    /// [`Problem`], as invalid input: for fewer than two sets, a set of fewer than four samples, unequal sizes of pairs, or values that are not finite; and
    /// for labels or ids of another number than the samples.
    pub fn checked(self) -> Result<Self> {
        if self.names.len() < 2 {
            return Err(Problem::OneSet.error());
        }
        let n: usize = self.sizes.iter().sum();
        debug_assert_eq!(n * self.width, self.rows.len());
        for (name, &size) in self.names.iter().zip(&self.sizes) {
            if size < 4 {
                return Err(Problem::FewSamples { name: name.clone(), size }.error());
            }
            if self.pairs && size != self.sizes[0] {
                let (first, first_size) = (self.names[0].clone(), self.sizes[0]);
                return Err(Problem::UnequalPairs { first, first_size, name: name.clone(), size }.error());
            }
        }
        if let Some(at) = self.rows.iter().position(|value| !value.is_finite()) {
            let (set, row) = self.place(at / self.width.max(1));
            let (name, value, column) = (self.names[set].clone(), self.rows[at], at % self.width.max(1));
            return Err(Problem::NotFinite { name, value, row, column }.error());
        }
        if let Some(label) = self.labels.iter().find(|label| label.of.len() != n) {
            return Err(Problem::Labels { name: label.name.clone(), known: label.of.len(), samples: n }.error());
        }
        if !self.ids.is_empty() && self.ids.len() != n {
            return Err(Problem::Ids { ids: self.ids.len(), samples: n }.error());
        }
        Ok(self)
    }

    /// All samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The set of each sample, `[n]`.
    #[must_use]
    pub fn of(&self) -> Vec<u32> {
        self.sizes.iter().enumerate().flat_map(|(set, &size)| std::iter::repeat_n(set as u32, size)).collect()
    }

    /// Where the samples of a set lie.
    #[must_use]
    pub fn range(&self, set: usize) -> std::ops::Range<usize> {
        let start: usize = self.sizes[..set].iter().sum();
        start..start + self.sizes[set]
    }

    /// Set and row within it of a sample.
    #[must_use]
    pub fn place(&self, sample: usize) -> (usize, usize) {
        let mut row = sample;
        for (set, &size) in self.sizes.iter().enumerate() {
            if row < size {
                return (set, row);
            }
            row -= size;
        }
        (self.sizes.len().saturating_sub(1), row)
    }

    /// What a sample is called.
    #[must_use]
    pub fn id(&self, sample: usize) -> String {
        self.ids.get(sample).cloned().unwrap_or_else(|| self.place(sample).1.to_string())
    }
}
