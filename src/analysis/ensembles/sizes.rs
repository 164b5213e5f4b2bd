//! The size curve: what an ensemble of K runs is worth, whichever K they are.

use rayon::prelude::*;

use super::super::schema::{Estimate, Settings};
use super::choose::{OUTCOME, fitted_temperature, read_outcomes, wrap, write_outcome};
use super::{EnsembleSize, Options};
use crate::error::Result;
use crate::stats::alpha_hat::{self, Protocol};
use crate::stats::descriptive::{mean, quantile, std};
use crate::stats::ensemble::random_orders;
use crate::stats::examples::Outcomes;
use crate::stats::logits::Real;
use crate::stats::subsets::Subsets;
use crate::stats::{Logits, Sample, margins, temperature};

/// Up to here every size is measured; beyond, sizes grow by a quarter of an octave.
const EVERY: usize = 32;
/// Additions of a run to an ensemble, about: larger sweeps get fewer orders.
const WORK: usize = 10_000;
/// Orders there are at least.
const FEWEST: usize = 20;
/// Numbers that are held at a time for the ensembles of several orders, about.
const HELD: usize = 1 << 22;

/// One ensemble, of one size and order.
struct Draw {
    accuracy: f64,
    nll: f64,
    ece: f64,
    alpha_hat: f64,
}

/// What is known of one subset: the first of an order and the last of another may be the same.
struct Known {
    accuracy: f64,
    nll: f64,
    ece: f64,
    /// Margins on the selection half.
    margins: Sample,
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
    let orders = random_orders(runs, count, options.seed);
    let (everyone, _) = subsets(runs, &[(0..runs).collect()], &[runs])?;
    let whole = known(&everyone, selection, held_out, options, settings)?.remove(0);
    let mut draws: Vec<Vec<Draw>> = Vec::with_capacity(count);
    let batch = orders_at_a_time(runs, &grid, selection, options);
    for (number, orders) in orders.chunks(batch).enumerate() {
        let (subsets, numbers) = subsets(runs, orders, &grid)?;
        let known = known(&subsets, selection, held_out, options, settings)?;
        let of_order = |(place, numbers): (usize, &Vec<usize>)| {
            // Each order draws its own examples.
            let seed = settings.analysis.seed.wrapping_add((number * batch + place) as u64);
            let protocol = Protocol {
                epsilon: settings.analysis.epsilon,
                bootstraps: 1,
                seed,
                literal: settings.analysis.literal,
            };
            let draw = |&number: &usize| {
                let Known { accuracy, nll, ece, margins } = &known[number];
                let alpha_hat = alpha_hat::between(margins, &whole.margins, &protocol)?.mean;
                Ok(Draw { accuracy: *accuracy, nll: *nll, ece: *ece, alpha_hat })
            };
            numbers.iter().map(draw).collect::<Result<Vec<Draw>>>()
        };
        draws.extend(numbers.par_iter().enumerate().map(of_order).collect::<Result<Vec<_>>>()?);
    }
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

/// How many orders are looked at together: the runs' predictions are computed once for all of them.
fn orders_at_a_time<T: Real>(runs: usize, grid: &[usize], selection: &[Logits<'_, T>], options: &Options) -> usize {
    let (examples, classes) = selection.first().map_or((1, 1), |first| (first.examples(), first.classes()));
    let of_one = examples * if options.temperature { 2 * classes } else { 1 + OUTCOME };
    // Few runs have few subsets, however many orders there are.
    let every = 1_usize.checked_shl(runs as u32).unwrap_or(usize::MAX);
    if every.saturating_mul(of_one) <= HELD { usize::MAX } else { (HELD / (of_one * grid.len())).max(1) }
}

/// The subsets of a few orders, and of each order the number of its subset of each size.
fn subsets(runs: usize, orders: &[Vec<usize>], grid: &[usize]) -> Result<(Subsets, Vec<Vec<usize>>)> {
    let mut subsets = Subsets::new(runs);
    let numbers = orders.iter().map(|order| subsets.add(order, grid)).collect::<Result<_>>()?;
    Ok((subsets, numbers))
}

/// What is known of each subset.
fn known<T: Real>(
    subsets: &Subsets,
    selection: &[Logits<'_, T>],
    held_out: &[Logits<'_, T>],
    options: &Options,
    settings: &Settings,
) -> Result<Vec<Known>> {
    let classes = selection.first().map_or(0, Logits::classes);
    let sample = |mut values: Vec<f64>| {
        if let Some(limit) = settings.analysis.clip {
            margins::clip(&mut values, limit);
        }
        Sample::new(values)
    };
    let of = |outcomes: &Outcomes, margins: Sample| Known {
        accuracy: outcomes.mean_accuracy(),
        nll: outcomes.mean_nll(),
        ece: outcomes.calibration_error(),
        margins,
    };
    if !options.temperature {
        let margin = |logits: &[f64], label: usize, out: &mut [f64]| out[0] = margins::label_margin(logits, label);
        let margins = subsets.each(selection, options.combination, 1, margin)?;
        let outcomes = subsets.each(held_out, options.combination, OUTCOME, write_outcome)?;
        let pairs = margins.into_par_iter().zip(outcomes);
        return pairs.map(|(margins, outcomes)| Ok(of(&read_outcomes(&outcomes), sample(margins)?))).collect();
    }
    // A temperature is fitted to all logits of an ensemble.
    let copy = |logits: &[f64], _: usize, out: &mut [f64]| out.copy_from_slice(logits);
    let fits = subsets.each(selection, options.combination, classes, copy)?;
    let measures = subsets.each(held_out, options.combination, classes, copy)?;
    let pairs = fits.par_iter().zip(&measures);
    pairs
        .map(|(fits, measures)| {
            let (fits, measures) = (wrap(fits, selection)?, wrap(measures, held_out)?);
            let scaled = temperature::scale(&measures, fitted_temperature(&fits)?.unwrap_or(1.0));
            Ok(of(&Outcomes::of(&wrap(&scaled, held_out)?), sample(margins::label_margins(&fits))?))
        })
        .collect()
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
