//! Networks of the same experiment that are known to be independent, as the measure of what independent networks share.

use super::Settings;
use super::read::{Outputs, Source, Subject};
use crate::lineage::Weights;
use crate::lineage::permuted::agreement;

/// Siblings, and what every pair of them has in common.
#[derive(Debug, Clone, Default)]
pub struct Siblings {
    weights: Vec<Weights>,
    outputs: Vec<Outputs>,
    /// Agreement statistic and share of every pair with weights.
    agreements: Vec<(f64, f64)>,
    churns: Vec<f64>,
    notes: Vec<String>,
}

impl Siblings {
    /// Compares all siblings with each other. Those that are the networks in question themselves must be left out by the
    /// caller.
    #[must_use]
    pub fn new(subjects: Vec<Subject>, settings: &Settings) -> Self {
        use rayon::prelude::*;
        let mut found = Self::default();
        for subject in subjects {
            match subject.source {
                Source::Weights(weights) => found.weights.push(weights),
                Source::Outputs(outputs) => found.outputs.push(outputs),
                // Their p-values are exact.
                Source::Activations(_) => {}
            }
        }
        let pairs: Vec<(usize, usize)> = pairs(found.weights.len());
        let weights = &found.weights;
        let agreements = pairs.par_iter().filter_map(|&(a, b)| {
            agreement(&weights[a], &weights[b], settings.seed).map(|found| (found.statistic(), found.share))
        });
        found.agreements = agreements.collect();
        if found.agreements.len() < pairs.len() {
            found.notes.push("Some siblings differ in shape from each other and were left out.".into());
        }
        found.churns = self::pairs(found.outputs.len())
            .into_iter()
            .filter_map(|(a, b)| found.outputs[a].churn(&found.outputs[b]))
            .collect();
        found
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.weights.len() + self.outputs.len()
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The largest agreement of two siblings.
    pub(super) fn largest_agreement(&self) -> Option<f64> {
        self.agreements.iter().map(|(_, share)| *share).max_by(f64::total_cmp)
    }

    /// The smallest soft churn of two siblings.
    pub(super) fn smallest_churn(&self) -> Option<f64> {
        self.churns.iter().copied().min_by(f64::total_cmp)
    }

    /// The agreement statistic of every pair among the siblings and of each of the two with each sibling; None where no
    /// sibling compares.
    pub(super) fn agreements(&self, one: &Weights, other: &Weights, settings: &Settings) -> Option<Vec<f64>> {
        let with = self
            .weights
            .iter()
            .flat_map(|sibling| [agreement(one, sibling, settings.seed), agreement(other, sibling, settings.seed)]);
        let with: Vec<f64> = with.flatten().map(|found| found.statistic()).collect();
        (!with.is_empty()).then(|| self.agreements.iter().map(|(statistic, _)| *statistic).chain(with).collect())
    }

    /// The same of soft churn, negated so that near is large.
    pub(super) fn churns(&self, a: &Outputs, b: &Outputs) -> Option<Vec<f64>> {
        let with = self.outputs.iter().flat_map(|sibling| [a.churn(sibling), b.churn(sibling)]);
        let with: Vec<f64> = with.flatten().collect();
        (!with.is_empty()).then(|| self.churns.iter().copied().chain(with).map(|churn| -churn).collect())
    }
}

fn pairs(n: usize) -> Vec<(usize, usize)> {
    (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect()
}
