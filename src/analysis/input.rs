//! What an analysis starts from: the labels of the evaluation set and the logits of each run, checked.

use crate::error::{Error, Result};
use crate::stats::Logits;
use crate::stats::logits::Real;

/// The soft decisions of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLogits<T = f32> {
    /// The run's index in its sweep, or its place in the file.
    pub index: u32,
    /// `[N, C]`, row-major.
    pub logits: Vec<T>,
}

/// Soft decisions of several runs on one evaluation set, in the precision in which they were recorded. Made by
/// [`Input::new`], which checks them.
#[derive(Debug, Clone, PartialEq)]
pub struct Input<T = f32> {
    labels: Vec<u32>,
    classes: usize,
    runs: Vec<RunLogits<T>>,
}

impl<T: Real> Input<T> {
    /// `labels` `[N]`, each below `classes`; every run's logits `[N, classes]`; indices strictly increasing.
    /// Non-finite logits are allowed here: such a run is called diverged and takes no part in any reference.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no example, fewer than two classes, no run, a label out of range, a run of
    /// another shape, or an index that is repeated or out of order.
    pub fn new(labels: Vec<u32>, classes: usize, runs: Vec<RunLogits<T>>) -> Result<Self> {
        if runs.is_empty() {
            return Err(Error::Invalid("there are no runs to analyse".into()));
        }
        for pair in runs.windows(2) {
            if let [before, after] = pair
                && before.index >= after.index
            {
                return Err(Error::Invalid(format!(
                    "run {} comes after run {}: indices must increase",
                    after.index, before.index
                )));
            }
        }
        let expected = labels.len().checked_mul(classes);
        if let Some(run) = runs.iter().find(|run| Some(run.logits.len()) != expected) {
            return Err(Error::Invalid(format!(
                "run {} has {} logits, but {} examples of {classes} classes make {}: all runs must be recorded on the same \
                 examples",
                run.index,
                run.logits.len(),
                labels.len(),
                labels.len().saturating_mul(classes)
            )));
        }
        let input = Self { labels, classes, runs };
        if let Some(first) = input.runs.first() {
            input.soft(first)?;
        }
        Ok(input)
    }

    /// Only the runs of these indices.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an index is not among them, or none is asked for.
    pub fn only(mut self, indices: &std::collections::BTreeSet<u32>) -> Result<Self> {
        if let Some(missing) = indices.iter().find(|&&index| !self.runs.iter().any(|run| run.index == index)) {
            return Err(Error::Invalid(format!("there is no run {missing} to choose among {} runs", self.runs.len())));
        }
        self.runs.retain(|run| indices.contains(&run.index));
        Self::new(self.labels, self.classes, self.runs)
    }

    /// `[N]`
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// N
    #[must_use]
    pub fn examples(&self) -> usize {
        self.labels.len()
    }

    /// C
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// In order of their indices.
    #[must_use]
    pub fn runs(&self) -> &[RunLogits<T>] {
        &self.runs
    }

    /// One run's logits with the labels.
    ///
    /// # Errors
    /// [`Error::Invalid`] for labels or shapes that [`Input::new`] would refuse.
    pub fn soft<'a>(&'a self, run: &'a RunLogits<T>) -> Result<Logits<'a, T>> {
        Logits::new(&run.logits, &self.labels, self.classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(index: u32, logits: &[f32]) -> RunLogits {
        RunLogits { index, logits: logits.to_vec() }
    }

    fn refused(labels: &[u32], classes: usize, runs: Vec<RunLogits>) -> String {
        match Input::new(labels.to_vec(), classes, runs) {
            Err(Error::Invalid(message)) => message,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn every_malformed_input_is_refused_with_its_place() {
        let good = [0.0, 1.0, 2.0, 3.0];
        assert!(refused(&[], 2, vec![run(0, &[])]).contains("no examples"));
        assert!(refused(&[0, 0], 1, vec![run(0, &[0.0, 0.0])]).contains("at least two"));
        assert!(refused(&[0, 1], 2, vec![]).contains("no runs"));
        assert!(refused(&[0, 2], 2, vec![run(0, &good)]).contains("label 2 of example 1"));
        assert!(refused(&[0, 1], 2, vec![run(0, &good), run(7, &good[..3])]).contains("run 7 has 3 logits"));
        assert!(refused(&[0, 1], 2, vec![run(3, &good), run(3, &good)]).contains("indices must increase"));
    }

    #[test]
    fn some_of_the_runs() {
        let good = [0.0, 1.0, 2.0, 3.0];
        let input = Input::new(vec![0, 1], 2, vec![run(0, &good), run(4, &good), run(7, &good)]).unwrap();
        let kept = input.clone().only(&[4, 7].into()).unwrap();
        assert_eq!(kept.runs().iter().map(|run| run.index).collect::<Vec<_>>(), [4, 7]);
        assert!(input.clone().only(&[5].into()).unwrap_err().to_string().contains("no run 5"));
        assert!(input.only(&[].into()).is_err());
    }
}
