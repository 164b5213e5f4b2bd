//! The distinct runs, and the two halves of their evaluation set: one that chooses, one that measures. Nothing is copied but the
//! numbers of the examples.

use super::super::evidence::Evidence;
use super::super::independence::{Standing, standings};
use super::super::input::{Input, RunLogits};
use crate::error::Result;
use crate::stats::Logits;
use crate::stats::ensemble::selection_half;
use crate::stats::logits::Real;

/// Fewer examples leave a half with too few to bootstrap.
const FEWEST: usize = 4;

/// The distinct runs of an input.
pub struct Pool<'a, T> {
    input: &'a Input<T>,
    runs: Vec<&'a RunLogits<T>>,
    /// Of the distinct runs.
    pub indices: Vec<u32>,
}

/// An evaluation set divided by example.
pub struct Halves {
    /// The half that chooses.
    pub selection: Half,
    /// The half that measures.
    pub held_out: Half,
}

/// Some of the examples of an evaluation set.
pub struct Half {
    /// Ascending.
    pub examples: Vec<u32>,
    labels: Vec<u32>,
}

impl<'a, T: Real> Pool<'a, T> {
    /// Nothing for fewer than two distinct runs or [`FEWEST`] examples.
    pub fn of(input: &'a Input<T>, evidence: &Evidence) -> Option<Self> {
        let standings = standings(input, evidence);
        let distinct = input.runs().iter().zip(standings).filter(|(_, standing)| *standing == Standing::Distinct);
        let runs: Vec<_> = distinct.map(|(run, _)| run).collect();
        let indices = runs.iter().map(|run| run.index).collect();
        (runs.len() > 1 && input.examples() >= FEWEST).then_some(Self { input, runs, indices })
    }

    /// The runs on all examples.
    pub fn all(&self) -> Result<Vec<Logits<'_, T>>> {
        self.runs.iter().map(|run| self.input.soft(run)).collect()
    }

    /// The runs on one half.
    pub fn on<'h>(&'h self, half: &'h Half) -> Result<Vec<Logits<'h, T>>> {
        let view =
            |run: &&'h RunLogits<T>| Logits::of_rows(&run.logits, &half.examples, &half.labels, self.input.classes());
        self.runs.iter().map(view).collect()
    }

    /// Divides class by class at random.
    pub fn halves(&self, seed: u64) -> Halves {
        let chooses = selection_half(self.input.labels(), seed);
        let half = |which: bool| {
            let examples: Vec<u32> =
                (0..).zip(&chooses).filter(|(_, chooses)| **chooses == which).map(|(example, _)| example).collect();
            let labels = examples.iter().map(|&example| self.input.labels()[example as usize]).collect();
            Half { examples, labels }
        };
        Halves { selection: half(true), held_out: half(false) }
    }
}
