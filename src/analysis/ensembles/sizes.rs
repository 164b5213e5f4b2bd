//! The size curve: what an ensemble of K runs is worth, whichever K they are.

use rayon::prelude::*;

use super::super::schema::{Estimate, Settings};
use super::choose::{fitted_temperature, wrap};
use super::{EnsembleSize, Options};
use crate::error::Result;
use crate::stats::alpha_hat::{self, Protocol};
use crate::stats::calibration::{BINS, calibration};
use crate::stats::descriptive::{mean, quantile, std};
use crate::stats::ensemble::{Ensemble, mean_prediction, random_orders};
use crate::stats::logits::Real;
use crate::stats::scores::scores;
use crate::stats::{Logits, Sample, margins};

/// Up to here every size is measured; beyond, sizes grow by a quarter of an octave.
const EVERY: usize = 32;
/// Additions of a run to an ensemble, about: larger sweeps get fewer orders.
const WORK: usize = 10_000;
/// Orders there are at least.
const FEWEST: usize = 20;

/// One ensemble.
struct Draw {
    accuracy: f64,
    nll: f64,
    ece: f64,
    alpha_hat: f64,
}

/// The curve from 1 to all runs, with the sizes `wanted` in it. Runs are added to the mean in random orders, as many as
/// there are bootstraps; each size of each order is one random subset, whose α̂ is one bootstrap.
pub fn curve<T: Real>(
    selection: &[Logits<'_, T>],
    held_out: &[Logits<'_, T>],
    wanted: &[usize],
    options: &Options,
    settings: &Settings,
) -> Result<Vec<EnsembleSize>> {
    let runs = selection.len();
    let grid = grid(runs, wanted);
    let count = settings.analysis.bootstraps.min((WORK / runs.max(1)).max(FEWEST));
    let everyone: Vec<usize> = (0..runs).collect();
    let whole = mean_prediction(selection, &everyone, options.combination)?;
    let reference = sample(&wrap(&whole, selection)?, settings)?;
    let draws: Vec<Vec<Draw>> = random_orders(runs, count, options.seed)
        .par_iter()
        .enumerate()
        .map(|(place, order)| {
            // Each order draws its own examples.
            let seed = settings.analysis.seed.wrapping_add(place as u64);
            let protocol = Protocol {
                epsilon: settings.analysis.epsilon,
                bootstraps: 1,
                seed,
                literal: settings.analysis.literal,
            };
            along(order, &grid, selection, held_out, &reference, options, settings, &protocol)
        })
        .collect::<Result<_>>()?;
    Ok(grid
        .iter()
        .enumerate()
        .map(|(place, &size)| {
            // The last ensemble of each order is that of all runs.
            let over = |value: &dyn Fn(&Draw, &Draw) -> f64| {
                let pairs = draws.iter().filter_map(|order| Some((order.get(place)?, order.last()?)));
                let values: Vec<f64> = pairs.map(|(draw, all)| value(draw, all)).collect();
                Estimate {
                    mean: mean(&values),
                    std: (values.len() > 1).then(|| std(&values)),
                    low: Some(quantile(&values, 0.025)),
                    high: Some(quantile(&values, 0.975)),
                    std_low: None,
                    std_high: None,
                }
            };
            EnsembleSize {
                size,
                accuracy: over(&|draw, _| draw.accuracy),
                nll: over(&|draw, _| draw.nll),
                ece: over(&|draw, _| draw.ece),
                alpha_hat: over(&|draw, _| draw.alpha_hat),
                regret: Some(over(&|draw, all| draw.nll - all.nll)),
            }
        })
        .collect())
}

/// The ensembles of the first K runs of an order, for every K of the grid.
#[allow(clippy::too_many_arguments, reason = "everything that one order of the curve depends on")]
fn along<T: Real>(
    order: &[usize],
    grid: &[usize],
    selection: &[Logits<'_, T>],
    held_out: &[Logits<'_, T>],
    reference: &Sample,
    options: &Options,
    settings: &Settings,
    protocol: &Protocol,
) -> Result<Vec<Draw>> {
    let (Some(first), Some(other)) = (selection.first(), held_out.first()) else { return Ok(Vec::new()) };
    let mut chooses = Ensemble::new(options.combination, first);
    let mut measures = Ensemble::new(options.combination, other);
    let mut draws = Vec::with_capacity(grid.len());
    for (place, &run) in order.iter().enumerate() {
        chooses.add(&selection[run])?;
        measures.add(&held_out[run])?;
        if grid.binary_search(&(place + 1)).is_err() {
            continue;
        }
        let (inner, mut outer) = (chooses.logits(), measures.logits());
        let inner = wrap(&inner, selection)?;
        let alpha_hat = alpha_hat::between(&sample(&inner, settings)?, reference, protocol)?.mean;
        if options.temperature {
            let fitted = fitted_temperature(&inner)?.unwrap_or(1.0);
            outer.iter_mut().for_each(|z| *z /= fitted);
        }
        let outer = wrap(&outer, held_out)?;
        let scores = scores(&outer);
        let ece = calibration(&outer, BINS).ece;
        draws.push(Draw { accuracy: scores.accuracy, nll: scores.nll, ece, alpha_hat });
    }
    Ok(draws)
}

/// The margins of one prediction, clipped if so set.
fn sample(logits: &Logits<'_, f64>, settings: &Settings) -> Result<Sample> {
    let mut values = margins::label_margins(logits);
    if let Some(limit) = settings.analysis.clip {
        margins::clip(&mut values, limit);
    }
    Sample::new(values)
}

/// The sizes that are measured, ascending.
fn grid(runs: usize, wanted: &[usize]) -> Vec<usize> {
    let mut sizes: Vec<usize> = (1..=runs.min(EVERY)).collect();
    let mut size = EVERY as f64;
    while size < runs as f64 {
        size *= 2f64.powf(0.25);
        sizes.push((size.round() as usize).min(runs));
    }
    sizes.extend(wanted);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_small_size_and_a_few_large_ones() {
        assert_eq!(grid(5, &[3]), [1, 2, 3, 4, 5]);
        let sizes = grid(1000, &[777]);
        assert_eq!(sizes[..EVERY], (1..=EVERY).collect::<Vec<_>>());
        assert!(sizes.contains(&777) && sizes.last() == Some(&1000) && sizes.len() < 60, "{sizes:?}");
    }
}
