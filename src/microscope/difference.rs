//! Do two sets of embeddings differ at all? One permutation test over several statistics, so that none need be chosen.
//!
//! Every statistic is read off the difference of the means of some features between the sets: MMD-FUSE (Biggs 2023) over
//! Gaussian and Laplace kernels by random features; and, for the standardised coordinates (with the norm), the whitened principal
//! components, and the squares of both, the largest difference and the sum of squared differences. Features do not look at
//! which set a sample is in, so under the null all assignments of samples to sets are equally likely, and the rank of the
//! observed one is a valid p-value: p = (1 + permutations at least as far out) / (1 + permutations).
//!
//! Samples are summed in an order that is drawn at random, so that the observed assignment is rounded like every other: where few samples
//! have anything in a coordinate many assignments tie in truth, and f32 decides between them.
//!
//! The statistics' ranks are combined in three ways, for differences that show in many of them or in one: the sum of −ln(rank share) over
//! all, over those of means, and the smallest rank. The smallest of these three's own ranks is ranked again among the same
//! permutations: exact, and without paying for their number more than their dependence asks.

use rayon::prelude::*;

use super::kernels::Kernels;
use super::linear::{BLOCK, Pca, Scale, add_product};
use crate::error::Result;
use crate::stats::rng::Stream;

/// What the test found.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Of all statistics together.
    pub p: f64,
    /// Of MMD-FUSE alone.
    pub p_fuse: f64,
    /// The statistic that spoke loudest.
    pub by: &'static str,
    pub permutations: usize,
}

/// How a test is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub permutations: usize,
    pub seed: u64,
    /// Whether row i of both sets belongs together: then only the two of a pair change places.
    pub pairs: bool,
    /// Whether kernels take part; without, the test is cheap.
    pub kernels: bool,
}

/// The stream that the order is drawn from; assignments are drawn from those of their numbers.
const ORDER: u64 = u64::MAX;
/// Most whitened components.
const COMPONENTS: usize = 128;

/// The p-value of rows `[n, width]`, the first `first` against the others.
///
/// # Errors
/// When an eigenvalue decomposition fails.
pub fn difference(rows: &[f32], width: usize, first: usize, options: Options) -> Result<Difference> {
    let n = rows.len() / width.max(1);
    let all: Vec<usize> = (0..n).collect();
    let scale = Scale::of(rows, width, &all);
    let pca = Pca::of(rows, width, COMPONENTS.min(n / 5).max(1), options.seed)?;
    let sample: Vec<usize> = (0..n).step_by((n / 4000).max(1)).collect();
    let kernels = options.kernels.then(|| Kernels::new(&scale.standardised(rows, &sample), width, options.seed));
    let groups = Groups::new(width, pca.len(), kernels.as_ref());
    let members = members(n, first, options);
    let order = order(n, first, options);
    let assignments = options.permutations + 1;
    // Of each assignment the sums of the features over the first set, [assignments, features].
    let mut sums = vec![0.0f64; assignments * groups.total];
    let mut totals = vec![0.0f64; groups.total];
    let mut squares = vec![0.0f64; groups.total];
    // So many rows that a block of features stays small.
    let block = (BLOCK * 4096 / groups.total.max(1)).clamp(64, BLOCK);
    for take in order.chunks(block) {
        let features = groups.features(rows, take, &scale, &pca, kernels.as_ref());
        for row in features.chunks_exact(groups.total) {
            for ((total, square), v) in totals.iter_mut().zip(&mut squares).zip(row) {
                *total += f64::from(*v);
                *square += f64::from(*v).powi(2);
            }
        }
        let mut indicator = vec![0.0f32; take.len() * assignments];
        for (row, &sample) in indicator.chunks_exact_mut(assignments).zip(take) {
            for (cell, member) in row.iter_mut().zip(&members) {
                *cell = f32::from(u8::from(member[sample / 64] >> (sample % 64) & 1 == 1));
            }
        }
        add_product(&mut sums, &indicator, &features, take.len(), assignments, groups.total);
    }
    let spread: Vec<f64> = totals
        .iter()
        .zip(&squares)
        .map(|(total, square)| (square / n as f64 - (total / n as f64).powi(2)).max(0.0).sqrt())
        .collect();
    let (na, nb) = (first as f64, (n - first) as f64);
    let statistics: Vec<Vec<f64>> = sums
        .par_chunks_exact(groups.total)
        .map(|sums| {
            let apart: Vec<f64> = sums.iter().zip(&totals).map(|(sum, total)| sum / na - (total - sum) / nb).collect();
            groups.statistics(&apart, &spread, kernels.as_ref(), na.min(nb))
        })
        .collect();
    Ok(ranked(&statistics, &groups.names(), options.permutations))
}

/// The samples in a random order; pairs side by side, each in a random order too. Relative to it the observed assignment is as random
/// as those that are drawn.
fn order(n: usize, first: usize, options: Options) -> Vec<usize> {
    let mut stream = Stream::new(options.seed, ORDER);
    if !options.pairs {
        let mut order: Vec<usize> = (0..n).collect();
        stream.shuffle(&mut order);
        return order;
    }
    let mut pairs: Vec<usize> = (0..first).collect();
    stream.shuffle(&mut pairs);
    let both = pairs.into_iter().flat_map(|i| if stream.below(2) == 0 { [i, first + i] } else { [first + i, i] });
    both.collect()
}

/// Bit i of each assignment: whether sample i is in the first set; the observed one first.
fn members(n: usize, first: usize, options: Options) -> Vec<Vec<u64>> {
    let words = n.div_ceil(64);
    let set = |bits: &mut [u64], i: usize| bits[i / 64] |= 1 << (i % 64);
    (0..=options.permutations)
        .into_par_iter()
        .map(|assignment| {
            let mut bits = vec![0u64; words];
            if assignment == 0 {
                (0..first).for_each(|i| set(&mut bits, i));
                return bits;
            }
            let mut stream = Stream::new(options.seed, assignment as u64);
            if options.pairs {
                (0..first).for_each(|i| set(&mut bits, if stream.below(2) == 0 { i } else { first + i }));
            } else {
                let mut order: Vec<u32> = (0..n as u32).collect();
                stream.shuffle(&mut order);
                order[..first].iter().for_each(|&i| set(&mut bits, i as usize));
            }
            bits
        })
        .collect()
}

/// The features side by side: coordinates and norm, their squares, components, their squares, kernels.
struct Groups {
    coordinates: usize,
    components: usize,
    total: usize,
}

/// Those of the statistics that are about means, by their places among [`Groups::names`].
const MEANS: [usize; 4] = [0, 1, 4, 5];

impl Groups {
    fn new(width: usize, components: usize, kernels: Option<&Kernels>) -> Self {
        let coordinates = width + 1;
        let kernels = kernels.map_or(0, |kernels| kernels.kernels.len() * Kernels::EACH);
        Self { coordinates, components, total: 2 * coordinates + 2 * components + kernels }
    }

    fn names(&self) -> Vec<&'static str> {
        vec![
            "largest difference of a coordinate",
            "differences of all coordinates",
            "largest difference of a coordinate's spread",
            "differences of all coordinates' spreads",
            "largest difference of a component",
            "differences of all components",
            "largest difference of a component's spread",
            "differences of all components' spreads",
            "MMD-FUSE",
        ]
    }

    fn features(&self, rows: &[f32], take: &[usize], scale: &Scale, pca: &Pca, kernels: Option<&Kernels>) -> Vec<f32> {
        let width = self.coordinates - 1;
        let standard = scale.standardised(rows, take);
        let scores = pca.scores(rows, take, true);
        let kernel = kernels.map(|kernels| kernels.features(&standard));
        let each = kernel.as_ref().map_or(0, |features| features.len() / take.len().max(1));
        let mut features = Vec::with_capacity(take.len() * self.total);
        for row in 0..take.len() {
            let coordinates = &standard[row * width..][..width];
            let norm = (coordinates.iter().map(|v| v * v).sum::<f32>() / width.max(1) as f32).sqrt();
            features.extend_from_slice(coordinates);
            features.push(norm);
            features.extend(coordinates.iter().map(|v| v * v));
            features.push(norm * norm);
            let components = &scores[row * self.components..][..self.components];
            features.extend_from_slice(components);
            features.extend(components.iter().map(|v| v * v));
            if let Some(kernel) = &kernel {
                features.extend_from_slice(&kernel[row * each..][..each]);
            }
        }
        features
    }

    /// Each statistic of one assignment, from its differences of means.
    fn statistics(&self, apart: &[f64], spread: &[f64], kernels: Option<&Kernels>, n: f64) -> Vec<f64> {
        let sizes = [self.coordinates, self.coordinates, self.components, self.components];
        let mut statistics = Vec::with_capacity(9);
        let mut at = 0;
        for size in sizes {
            let range = at..at + size;
            let scaled = apart[range.clone()]
                .iter()
                .zip(&spread[range])
                .map(|(apart, spread)| if *spread > 0.0 { (apart / spread).powi(2) } else { 0.0 });
            let (largest, sum) = scaled.fold((0.0f64, 0.0), |(largest, sum), t| (largest.max(t), sum + t));
            statistics.extend([largest, sum]);
            at += size;
        }
        if let Some(kernels) = kernels {
            // FUSE: a soft maximum over kernels of MMD² over its scale, λ = √(n(n − 1)).
            let lambda = (n * (n - 1.0)).sqrt();
            let values: Vec<f64> = kernels
                .kernels
                .iter()
                .enumerate()
                .map(|(i, (_, _, norm))| {
                    let own = &apart[at + i * Kernels::EACH..][..Kernels::EACH];
                    lambda * own.iter().map(|v| v * v).sum::<f64>() / norm
                })
                .collect();
            let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = values.iter().map(|v| (v - top).exp()).sum::<f64>() / values.len() as f64;
            statistics.push(top + mean.ln());
        }
        statistics
    }
}

/// For each assignment how many of them are at least as large, itself included; what differs by rounding only is as large.
fn ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut ranks = vec![0; values.len()];
    let mut place = 0;
    while let Some(value) = order.get(place).map(|&at| values[at]) {
        let least = value - 1e-9 * value.abs();
        let end = order[place..].iter().position(|&at| values[at] < least).map_or(order.len(), |more| place + more);
        order[place..end].iter().for_each(|&at| ranks[at] = end);
        place = end;
    }
    ranks
}

/// The rank of the observed assignment by the three combinations of the statistics' ranks.
fn ranked(statistics: &[Vec<f64>], names: &[&'static str], permutations: usize) -> Difference {
    let count = statistics.first().map_or(0, Vec::len);
    let assignments = statistics.len();
    let column = |s: usize| statistics.iter().map(|held| held[s]).collect::<Vec<f64>>();
    let by_statistic: Vec<Vec<usize>> = (0..count).map(|s| ranks(&column(s))).collect();
    let combined = |chosen: &dyn Fn(usize) -> bool, join: &dyn Fn(f64, f64) -> f64| -> Vec<usize> {
        let of = |assignment: usize| {
            let shares = by_statistic.iter().enumerate().filter(|(s, _)| chosen(*s));
            shares.map(|(_, ranks)| (assignments as f64 / ranks[assignment] as f64).ln()).fold(0.0, join)
        };
        ranks(&(0..assignments).map(of).collect::<Vec<f64>>())
    };
    let add = |a: f64, b: f64| a + b;
    let ways = [combined(&|_| true, &add), combined(&|s| MEANS.contains(&s), &add), combined(&|_| true, &f64::max)];
    // Several assignments have the same best rank; the one that lies farther out goes first, so that the smallest p-value there is can
    // be reached.
    let scales: Vec<(f64, f64)> = (0..count)
        .map(|s| {
            let values = column(s);
            let mean = values.iter().sum::<f64>() / assignments as f64;
            let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / assignments as f64;
            (mean, square.sqrt().max(f64::MIN_POSITIVE))
        })
        .collect();
    let best = |assignment: usize| ways.iter().map(|ranks| ranks[assignment]).min().unwrap_or(assignments);
    let farthest = |assignment: usize| {
        let each = statistics[assignment].iter().zip(&scales);
        each.map(|(value, (mean, scale))| (value - mean) / scale).fold(f64::NEG_INFINITY, f64::max)
    };
    let keys: Vec<(usize, f64)> = (0..assignments).map(|a| (best(a), -farthest(a))).collect();
    let observed = keys[0];
    let as_low = keys
        .iter()
        .filter(|key| key.0 < observed.0 || (key.0 == observed.0 && key.1 <= observed.1 + 1e-9 * observed.1.abs()))
        .count();
    let loudest = (0..count).min_by_key(|&s| by_statistic[s][0]).unwrap_or(0);
    let fuse = if count == names.len() { by_statistic[count - 1][0] } else { assignments };
    Difference {
        p: as_low as f64 / assignments as f64,
        p_fuse: fuse as f64 / assignments as f64,
        by: names.get(loudest).copied().unwrap_or(""),
        permutations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const OPTIONS: Options = Options { permutations: 199, seed: 1, pairs: false, kernels: true };

    fn rows(n: usize, width: usize, seed: u64, change: impl Fn(usize, usize, f64) -> f64) -> Vec<f32> {
        let mut random = Random::from_parts(seed, "rows", 0);
        (0..n * width).map(|i| change(i / width, i % width, random.normal()) as f32).collect()
    }

    #[test]
    fn halves_of_one_set_do_not_differ() {
        let trials = 200;
        let low = (0..trials)
            .into_par_iter()
            .filter(|&seed| {
                let rows = rows(40, 6, seed, |_, j, v| if j < 3 { v } else { v * v * v });
                difference(&rows, 6, 20, Options { permutations: 99, seed, ..OPTIONS }).unwrap().p <= 0.05
            })
            .count();
        // 10 expected; three standard errors are 9.
        assert!((1..=20).contains(&low), "{low} of {trials}");
    }

    #[test]
    fn coordinates_that_few_samples_have_do_not_differ_either() {
        // Two columns are 0 but for three samples each, and so in truth most assignments tie.
        let trials = 400;
        let low = (0..trials)
            .into_par_iter()
            .filter(|&seed| {
                let rows = rows(40, 3, 1000 + seed, |_, j, v| if j == 0 || v > 1.5 { v } else { 0.0 });
                difference(&rows, 3, 20, Options { permutations: 19, seed, kernels: false, ..OPTIONS }).unwrap().p
                    <= 0.05
            })
            .count();
        // At most 20 expected; three standard errors are 13.
        assert!((1..=33).contains(&low), "{low} of {trials}");
    }

    #[test]
    fn ranks_by_hand() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2, 4, 2, 3]);
        assert_eq!(ranks(&[1.0, 1.0 + 1e-12]), [2, 2]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn differences_of_every_kind_are_found() {
        let shift = rows(160, 8, 1, |i, j, v| if i >= 80 && j == 2 { v + 0.8 } else { v });
        let spread = rows(160, 8, 2, |i, _, v| if i >= 80 { v * 1.6 } else { v });
        // Same mean and spread of each coordinate: one sign against two.
        let shape = rows(400, 2, 3, |i, _, v| if i >= 200 { v.signum() * (1.0 + 0.1 * v) } else { v });
        for (rows, width, first) in [(shift, 8, 80), (spread, 8, 80), (shape, 2, 200)] {
            // Each of nine statistics is farthest out in some assignment, so that a difference that one of them sees cannot have p
            // below 9 in so many.
            let options = Options { permutations: 999, ..OPTIONS };
            let found = difference(&rows, width, first, options).unwrap();
            assert!(found.p <= 0.01, "{found:?}");
        }
    }

    #[test]
    fn pairs_find_what_lies_between_them() {
        // Each pair far from the others, the two a little apart.
        let n = 60;
        let base = rows(n, 4, 5, |_, _, v| 5.0 * v);
        let moved: Vec<f32> = base.iter().map(|v| v + 0.3).collect();
        let both = [base, moved].concat();
        let apart = difference(&both, 4, n, OPTIONS).unwrap();
        let paired = difference(&both, 4, n, Options { pairs: true, ..OPTIONS }).unwrap();
        assert!(paired.p <= 0.01 && apart.p > 0.1, "{paired:?} {apart:?}");
    }
}
