//! The strategies over many halvings of the evaluation set: one halving makes winners that the next one does not.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::super::evidence::Evidence;
use super::super::schema::Settings;
use super::choose::Predictions;
use super::halves::Pool;
use super::{Options, StrategyKind, choose};
use crate::error::{Error, Result};
use crate::stats::descriptive::{mean, variance};
use crate::stats::logits::Real;
use crate::stats::permutation::holm;

/// The strategies over several halvings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repetition {
    /// How many halvings of the examples.
    pub halvings: usize,
    /// One row for each way to choose.
    pub strategies: Vec<Repeated>,
    /// In which share of the halvings `greedy` took each run; runs that it never took are left out.
    pub greedy: Vec<(u32, f64)>,
}

/// One strategy against all runs together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Repeated {
    /// How it is called.
    pub name: StrategyKind,
    /// Mean over the halvings of its held-out negative log-likelihood less that of all runs together; below 0 it is better.
    pub difference: f64,
    /// Its standard error. Halvings share their examples: their variance counts 1/J + 1 times, not 1/J (Nadeau & Bengio 2003).
    pub error: f64,
    /// Two-sided, corrected for the number of strategies (Holm 1979).
    pub p: f64,
    /// Halvings in which it was better.
    pub better: usize,
}

/// Chooses `size` runs in every way on each of `halvings` halvings; none where there is nothing to divide.
///
/// # Errors
/// [`Error::Unexpected`] if Student's law refuses its degrees of freedom.
pub fn repeated<T: Real>(
    pool: &Pool<'_, T>,
    evidence: &Evidence,
    (options, settings): (&Options, &Settings),
    (predictions, size): (&Predictions<'_, T>, usize),
) -> Result<Option<Repetition>> {
    if options.halvings < 2 {
        return Ok(None);
    }
    let each: Vec<OfHalving> = (0..options.halvings as u64)
        .into_par_iter()
        .map(|number| {
            let halves = pool.halves(options.seed.wrapping_add(number));
            let selection = pool.on(&halves.selection)?;
            let judged = choose::judged(&selection, &pool.indices, evidence, settings)?;
            let (greedy, _) = choose::greedy(&selection, options)?;
            let taken = greedy.iter().take(size).map(|&place| pool.indices[place]).collect();
            let picks = choose::picks(&judged, greedy, choose::nearest(&selection), size);
            Ok((predictions.losses(&picks, &halves)?, taken))
        })
        .collect::<Result<_>>()?;
    let count = each.len() as f64;
    let law = StudentsT::new(0.0, 1.0, count - 1.0).map_err(|cause| Error::Unexpected(cause.to_string()))?;
    let of = |losses: &[(StrategyKind, f64)], name| losses.iter().find(|held| held.0 == name).map(|held| held.1);
    let mut strategies: Vec<Repeated> = Vec::new();
    for name in StrategyKind::EVERY.into_iter().filter(|name| *name != StrategyKind::All) {
        let differences: Vec<f64> =
            each.iter().filter_map(|(losses, _)| Some(of(losses, name)? - of(losses, StrategyKind::All)?)).collect();
        // A strategy that finds no run in some halvings is not compared.
        if differences.len() < each.len() {
            continue;
        }
        let (difference, error) = (mean(&differences), (variance(&differences) * (1.0 / count + 1.0)).sqrt());
        let p = if error > 0.0 { 2.0 * law.cdf(-(difference / error).abs()) } else { 1.0 };
        let better = differences.iter().filter(|difference| **difference < 0.0).count();
        strategies.push(Repeated { name, difference, error, p, better });
    }
    let corrected = holm(&strategies.iter().map(|held| held.p).collect::<Vec<f64>>());
    strategies.iter_mut().zip(corrected).for_each(|(held, p)| held.p = p);
    let mut runs: Vec<u32> = each.iter().flat_map(|(_, taken)| taken.iter().copied()).collect();
    runs.sort_unstable();
    let greedy = runs.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f64 / count)).collect();
    Ok(Some(Repetition { halvings: each.len(), strategies, greedy }))
}

/// The held-out losses of the strategies of one halving, and the runs that `greedy` took.
type OfHalving = (Vec<(StrategyKind, f64)>, Vec<u32>);
