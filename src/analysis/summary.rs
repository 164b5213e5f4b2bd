//! Numbers over runs, with intervals.

use super::schema::{Estimate, Settings};
use crate::error::Result;
use crate::stats::Pairs;
use crate::stats::bootstrap::{Bootstrap, Interval};
use crate::stats::descriptive::std;

/// Resamples of an interval over runs; those of `alpha_hat` are `analysis.bootstraps`.
const RESAMPLES: usize = 2000;
/// Confidence of an interval.
const LEVEL: f64 = 0.95;

/// How intervals over runs are made.
pub fn bootstrap(settings: &Settings) -> Bootstrap {
    Bootstrap { resamples: RESAMPLES, level: LEVEL, seed: settings.analysis.seed }
}

fn with_std(interval: Interval, values: &[f64]) -> Estimate {
    let std = (values.len() > 1).then(|| std(values));
    Estimate { mean: interval.estimate, std, low: interval.low, high: interval.high }
}

/// Mean and spread of one value per run.
///
/// # Errors
/// As [`Bootstrap::interval`].
pub fn estimate(values: &[f64], settings: &Settings) -> Result<Estimate> {
    Ok(with_std(bootstrap(settings).mean(values)?, values))
}

/// Mean over pairs, with an interval from resampled runs, and the spread of the runs' own means.
///
/// # Errors
/// As [`Bootstrap::mean_of_pairs`].
pub fn estimate_of_pairs(pairs: &Pairs, settings: &Settings) -> Result<Estimate> {
    Ok(with_std(bootstrap(settings).mean_of_pairs(pairs)?, &pairs.run_means()))
}
