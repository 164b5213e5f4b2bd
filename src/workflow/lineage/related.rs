//! Runs of a sweep that should be independent and are not.

use rayon::prelude::*;

use super::read::layers;
use crate::analysis::Related;
use crate::error::Result;
use crate::lineage::Weights;
use crate::lineage::ancestry::by_weights;
use crate::record::{RunReader, layout};
use crate::stats::permutation::holm;

/// Corrected p-values at most this name a pair.
const LEVEL: f64 = 0.01;
/// Sweeps whose pairs would take more than about so many steps of matching units are not looked at (half a minute or so).
const MOST: f64 = 3e10;

/// Each run whose last recorded weights share an ancestor with those of an earlier run although the runs draw their initial weights
/// themselves: what a comparison bit by bit misses after one step. None where weights are not recorded, or the initial weights are
/// shared on purpose.
///
/// # Errors
/// [`crate::error::Error::Corrupt`] for damaged weights.
pub fn related(runs: &[RunReader]) -> Result<Vec<Related>> {
    let mut held: Vec<(usize, Weights)> = Vec::new();
    for run in runs {
        let drawn = run.outcome().streams.get("init").is_some_and(|stream| stream.varies);
        let Some(&last) = run.epochs_with(layout::WEIGHTS).last() else { continue };
        if let (true, Some(tensors)) = (drawn, run.weights(last)?) {
            held.push((run.index(), Weights::new(run.index().to_string(), layers(tensors))));
        }
    }
    let pairs: Vec<(usize, usize)> = (0..held.len()).flat_map(|a| (a + 1..held.len()).map(move |b| (a, b))).collect();
    let steps: f64 = held.first().map_or(0.0, |(_, weights)| {
        weights.layers.iter().map(|l| (l.units * l.units) as f64 * (l.units + l.row()) as f64).sum()
    });
    if steps * pairs.len() as f64 > MOST {
        return Ok(Vec::new());
    }
    let found: Vec<f64> = pairs
        .par_iter()
        .map(|&(a, b)| by_weights(&held[a].1, &held[b].1, 0).map_or(f64::NAN, |found| found.p))
        .collect();
    let mut named: Vec<Related> = Vec::new();
    for (&(a, b), p) in pairs.iter().zip(holm(&found)).filter(|(_, p)| *p <= LEVEL) {
        let (run, to) = (held[b].0 as u32, held[a].0 as u32);
        if named.iter().all(|known| known.run != run) {
            named.push(Related { run, to, p, limit: LEVEL });
        }
    }
    named.sort_by_key(|found| found.run);
    Ok(named)
}
