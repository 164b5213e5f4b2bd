//! Numbers over runs, with intervals.

use super::metrics::{METRICS, Over, Run, Summary, Unit};
use super::schema::{Estimate, Settings};
use crate::error::Result;
use crate::stats::bootstrap::Bootstrap;
use crate::stats::descriptive::{mean, std};
use crate::stats::intervals::{self, Bounds};

/// Resamples of an interval over runs; those of `alpha_hat` are `analysis.bootstraps`.
const RESAMPLES: usize = 2000;
/// Confidence of an interval.
pub const LEVEL: f64 = 0.95;

fn with(values: &[f64], bounds: Option<Bounds>) -> Result<Estimate> {
    let of_std = intervals::of_std(values, LEVEL)?;
    Ok(Estimate {
        mean: mean(values),
        std: (values.len() > 1).then(|| std(values)),
        low: bounds.map(|bounds| bounds.low),
        high: bounds.map(|bounds| bounds.high),
        std_low: of_std.map(|bounds| bounds.low),
        std_high: of_std.map(|bounds| bounds.high),
    })
}

/// How intervals over runs are resampled.
pub fn bootstrap(settings: &Settings) -> Bootstrap {
    Bootstrap { resamples: RESAMPLES, level: LEVEL, seed: settings.analysis.seed }
}

/// Mean and spread of one value per run.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for no values or one that is not finite.
pub fn estimate(values: &[f64], settings: &Settings) -> Result<Estimate> {
    with(values, intervals::of_mean(values, &bootstrap(settings))?)
}

/// Mean over pairs of runs, from each run's mean over its pairs with the others, and the spread of these. `least` is the least value that
/// there can be; the interval ends there.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for no values or one that is not finite.
pub fn estimate_of_pairs(run_means: &[f64], least: f64) -> Result<Estimate> {
    let mut estimate = with(run_means, intervals::of_mean_over_pairs(run_means, LEVEL)?)?;
    estimate.low = estimate.low.map(|low| low.max(least));
    Ok(estimate)
}

/// Fills the estimates of every metric that all of `runs` have.
///
/// # Errors
/// As [`estimate`].
pub fn fill(summary: &mut Summary, runs: &[Run], settings: &Settings) -> Result<()> {
    for metric in METRICS {
        let values: Vec<f64> = runs.iter().filter_map(metric.of).collect();
        *(metric.entry)(summary) = match metric.over {
            _ if values.is_empty() || values.len() < runs.len() => None,
            Over::Runs => Some(estimate(&values, settings)?),
            Over::Pairs => {
                Some(estimate_of_pairs(&values, if metric.unit == Unit::Share { 0.0 } else { f64::NEG_INFINITY })?)
            }
        };
    }
    Ok(())
}
