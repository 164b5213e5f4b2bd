//! What an analysis starts from: the labels of the evaluation set and the logits of each run, checked.

use std::collections::HashMap;

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
    ids: Option<Vec<i64>>,
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
        let input = Self { labels, classes, runs, ids: None };
        if let Some(first) = input.runs.first() {
            input.soft(first)?;
        }
        Ok(input)
    }

    /// The same with the ids `[N]` of the examples, by which those of two files are paired.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is not one for each example, or two are equal.
    pub fn with_ids(self, ids: Vec<i64>) -> Result<Self> {
        if ids.len() != self.labels.len() {
            return Err(Error::Invalid(format!("there are {} ids for {} examples", ids.len(), self.labels.len())));
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Invalid(format!("the id {} belongs to two examples", pair[0])));
        }
        Ok(Self { ids: Some(ids), ..self })
    }

    /// The ids `[N]` of the examples, where their file has any.
    #[must_use]
    pub fn ids(&self) -> Option<&[i64]> {
        self.ids.as_deref()
    }

    /// Only the examples at `places`, in their order.
    fn at(&self, places: &[usize]) -> Result<Self> {
        let of_run = |run: &RunLogits<T>| RunLogits {
            index: run.index,
            logits: places.iter().flat_map(|&i| &run.logits[i * self.classes..][..self.classes]).copied().collect(),
        };
        let labels = places.iter().map(|&place| self.labels[place]).collect();
        let kept = Self::new(labels, self.classes, self.runs.iter().map(of_run).collect())?;
        match &self.ids {
            Some(ids) => kept.with_ids(places.iter().map(|&place| ids[place]).collect()),
            None => Ok(kept),
        }
    }

    /// Both with the examples that they have in common by their ids, in the order of the first; none where they lack ids, or have the
    /// same in the same order.
    ///
    /// # Errors
    /// [`Error::NotComparable`] when no example is in both.
    pub fn paired(&self, other: &Self) -> Result<Option<(Self, Self)>> {
        let (Some(own), Some(others)) = (&self.ids, &other.ids) else { return Ok(None) };
        if own == others {
            return Ok(None);
        }
        let places: HashMap<i64, usize> = others.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let (first, second): (Vec<usize>, Vec<usize>) =
            own.iter().enumerate().filter_map(|(place, id)| Some((place, *places.get(id)?))).unzip();
        if first.is_empty() {
            return Err(Error::NotComparable("the ids of the two have no example in common".into()));
        }
        Ok(Some((self.at(&first)?, other.at(&second)?)))
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
        let ids = self.ids.take();
        let kept = Self::new(self.labels, self.classes, self.runs)?;
        Ok(Self { ids, ..kept })
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
    fn examples_pair_by_their_ids() {
        let of = |labels: &[u32], ids: &[i64], logits: &[f32]| {
            Input::new(labels.to_vec(), 2, vec![run(0, logits)]).unwrap().with_ids(ids.to_vec()).unwrap()
        };
        let one = of(&[0, 1, 1], &[7, 3, 5], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let other = of(&[1, 0], &[5, 7], &[9.0, 8.0, 7.0, 6.0]);
        let (a, b) = one.paired(&other).unwrap().unwrap();
        assert_eq!(
            (a.ids().unwrap(), a.labels(), b.labels()),
            ([7i64, 5].as_slice(), [0, 1].as_slice(), [0, 1].as_slice())
        );
        assert_eq!((&a.runs()[0].logits, &b.runs()[0].logits), (&vec![0.0, 1.0, 4.0, 5.0], &vec![7.0, 6.0, 9.0, 8.0]));
        assert!(one.paired(&one.clone()).unwrap().is_none());
        assert!(matches!(one.paired(&of(&[0], &[9], &[0.0, 1.0])), Err(Error::NotComparable(_))));
        assert!(one.clone().with_ids(vec![1, 1, 2]).unwrap_err().to_string().contains("id 1 belongs to two"));
        assert!(one.with_ids(vec![1]).is_err());
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
