//! The two halves of an evaluation set: one that chooses, one that measures.

use super::super::evidence::Evidence;
use super::super::independence::{Standing, standings};
use super::super::input::Input;
use crate::error::Result;
use crate::stats::Logits;
use crate::stats::ensemble::selection_half;
use crate::stats::logits::Real;

/// Fewer examples leave a half with too few to bootstrap.
const FEWEST: usize = 4;

/// The soft decisions of the distinct runs, divided by example.
pub struct Halves<T> {
    /// Of the distinct runs.
    pub indices: Vec<u32>,
    classes: usize,
    selection: Half<T>,
    held_out: Half<T>,
}

struct Half<T> {
    labels: Vec<u32>,
    /// `[runs][examples * classes]`
    runs: Vec<Vec<T>>,
}

impl<T: Real> Halves<T> {
    /// Divides class by class at random; nothing for fewer than two distinct runs or [`FEWEST`] examples.
    pub fn of(input: &Input<T>, evidence: &Evidence, seed: u64) -> Result<Option<Self>> {
        let standings = standings(input, evidence);
        let distinct = input.runs().iter().zip(standings).filter(|(_, standing)| *standing == Standing::Distinct);
        let distinct: Vec<_> = distinct.map(|(run, _)| run).collect();
        if distinct.len() < 2 || input.examples() < FEWEST {
            return Ok(None);
        }
        let chooses = selection_half(input.labels(), seed);
        let measures: Vec<bool> = chooses.iter().map(|&chosen| !chosen).collect();
        let half = |keep: &[bool]| -> Result<Half<T>> {
            let mut half = Half { labels: Vec::new(), runs: Vec::new() };
            for run in &distinct {
                let (values, labels) = input.soft(run)?.select(keep);
                half.runs.push(values);
                half.labels = labels;
            }
            Ok(half)
        };
        Ok(Some(Self {
            indices: distinct.iter().map(|run| run.index).collect(),
            classes: input.classes(),
            selection: half(&chooses)?,
            held_out: half(&measures)?,
        }))
    }

    /// The runs on the half that chooses.
    pub fn selection(&self) -> Result<Vec<Logits<'_, T>>> {
        self.selection.logits(self.classes)
    }

    /// The runs on the half that measures.
    pub fn held_out(&self) -> Result<Vec<Logits<'_, T>>> {
        self.held_out.logits(self.classes)
    }

    pub fn selection_examples(&self) -> usize {
        self.selection.labels.len()
    }

    pub fn held_out_examples(&self) -> usize {
        self.held_out.labels.len()
    }
}

impl<T: Real> Half<T> {
    fn logits(&self, classes: usize) -> Result<Vec<Logits<'_, T>>> {
        self.runs.iter().map(|values| Logits::new(values, &self.labels, classes)).collect()
    }
}
