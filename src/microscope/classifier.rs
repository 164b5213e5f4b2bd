//! A held-out classifier between two sets: how often it is right, with an interval, and how strong the evidence is.

use super::linear::{Pca, add_product, eigen, product};
use super::problem::Problem;
use crate::error::Result;
use crate::random::Random;

/// What the classifier is worth on samples that it has not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Mean over both sets of the share told right; 0.5 is chance.
    pub accuracy: f64,
    /// 95 % interval.
    pub low: f64,
    pub high: f64,
    /// Product of the bets of a gambler who knows the classifier, against chance; under the null its mean is 1, and
    /// P(≥ 1/ε) ≤ ε.
    pub e_value: f64,
    /// A score of every sample by a classifier that has not seen it, high for the second set, `[n]`.
    pub scores: Vec<f64>,
    /// Scores and sets of the held-out half alone, and of what the classifier was tuned on.
    pub held_out: Vec<(f64, bool)>,
    pub training: Vec<(f64, bool)>,
}

/// Ridge parameters that are tried, over the mean eigenvalue of the features' covariance.
const RIDGES: [f64; 5] = [1e-4, 1e-2, 1e-1, 1.0, 10.0];
/// Most components as features, and most of them squared.
const LINEAR: usize = 256;
const SQUARED: usize = 64;

/// Trains on one half and judges on the other; `rows` `[n, width]`, the first `first` of the first set. With `pairs` both of
/// a pair are in the same half, and the bets are on which of the two is which.
///
/// # Errors
/// When an eigenvalue decomposition fails.
pub fn judged(rows: &[f32], width: usize, first: usize, pairs: bool, seed: u64) -> Result<Judged> {
    let n = rows.len() / width.max(1);
    let all: Vec<usize> = (0..n).collect();
    let pca = Pca::of(rows, width, LINEAR.min(n / 6).max(1), seed)?;
    let scores = pca.scores(rows, &all, true);
    let features = Features::new(scores, pca.len());
    let halves = halves(n, first, pairs, seed);
    let is_second = |sample: usize| sample >= first;
    let mut of_all = vec![0.0; n];
    let mut tuned = Vec::new();
    for (train, test) in [(0, 1), (1, 0)] {
        let model = Model::fit(&features, &halves[train], &is_second, seed)?;
        for (&sample, score) in halves[test].iter().zip(model.scores(&features, &halves[test])) {
            of_all[sample] = score;
        }
        if train == 0 {
            tuned = model.validation;
        }
    }
    let held: Vec<usize> = halves[1].clone();
    let held_out: Vec<(f64, bool)> = held.iter().map(|&i| (of_all[i], is_second(i))).collect();
    let (accuracy, low, high) = accuracy(&held_out);
    let e_value = if pairs {
        let couples = held.iter().filter(|&&i| i < first).map(|&i| of_all[first + i] - of_all[i]);
        e_of_pairs(&couples.collect::<Vec<_>>())
    } else {
        e_of(&held_out)
    };
    Ok(Judged { accuracy, low, high, e_value, scores: of_all, held_out, training: tuned })
}

/// Two halves of the samples, each with half of either set.
fn halves(n: usize, first: usize, pairs: bool, seed: u64) -> [Vec<usize>; 2] {
    let mut random = Random::from_parts(seed, "halves", 0);
    let mut halves = [Vec::new(), Vec::new()];
    let mut deal = |range: std::ops::Range<usize>| {
        let mut order: Vec<usize> = range.collect();
        random.shuffle(&mut order);
        order
    };
    let one = deal(0..first);
    let two: Vec<usize> = if pairs { one.iter().map(|i| first + i).collect() } else { deal(first..n) };
    for order in [one, two] {
        let middle = order.len() / 2;
        halves[0].extend(&order[..middle]);
        halves[1].extend(&order[middle..]);
    }
    halves
}

/// Whitened components, and the squares of the leading ones.
struct Features {
    rows: Vec<f32>,
    length: usize,
    linear: usize,
}

impl Features {
    fn new(scores: Vec<f32>, r: usize) -> Self {
        let squared = r.min(SQUARED);
        let length = r + squared;
        let mut rows = Vec::with_capacity(scores.len() / r * length);
        for row in scores.chunks_exact(r) {
            rows.extend_from_slice(row);
            // Far samples must not rule: squares are cut at five deviations.
            rows.extend(row[..squared].iter().map(|v| (v * v - 1.0).min(24.0)));
        }
        Self { rows, length, linear: r }
    }

    fn take(&self, samples: &[usize], length: usize) -> Vec<f32> {
        samples.iter().flat_map(|&i| self.rows[i * self.length..][..length].iter().copied()).collect()
    }
}

/// A ridge discriminant; scores are calibrated log-odds.
struct Model {
    weights: Vec<f32>,
    length: usize,
    middle: f64,
    slope: f64,
    shift: f64,
    /// Scores and sets of the samples that it was tuned on.
    validation: Vec<(f64, bool)>,
}

impl Model {
    /// Fits on three quarters of `train`, chooses features and ridge and calibrates on the rest.
    fn fit(features: &Features, train: &[usize], second: &impl Fn(usize) -> bool, seed: u64) -> Result<Self> {
        let mut order = train.to_vec();
        Random::from_parts(seed, "inner", 0).shuffle(&mut order);
        let (tune, fit) = order.split_at(order.len() / 4);
        let mut best: Option<(f64, Vec<f32>, usize, f64, f64, f64)> = None;
        let mut lengths = vec![features.linear, features.length];
        lengths.dedup();
        for length in lengths {
            let rows = features.take(fit, length);
            let (direction, vectors, values, middle) = discriminant(&rows, length, fit, second)?;
            let tuning = features.take(tune, length);
            let mean = values.iter().sum::<f64>() / length as f64;
            for ridge in RIDGES {
                let weights = solved(&direction, &vectors, &values, ridge * mean.max(1e-12));
                let raw: Vec<f64> =
                    product(&tuning, &weights, tune.len(), length, 1).into_iter().map(f64::from).collect();
                let centre: f64 = middle.iter().zip(&weights).map(|(m, w)| m * f64::from(*w)).sum();
                let pairs: Vec<(f64, bool)> =
                    raw.iter().zip(tune).map(|(score, &i)| (score - centre, second(i))).collect();
                let (slope, shift, loss) = logistic(&pairs);
                if best.as_ref().is_none_or(|held| loss < held.0) {
                    best = Some((loss, weights, length, centre, slope, shift));
                }
            }
        }
        let Some((_, weights, length, middle, slope, shift)) = best else {
            return Err(Problem::NotConverged("a classifier of the embeddings").error());
        };
        let mut model = Self { weights, length, middle, slope, shift, validation: Vec::new() };
        model.validation = model.scores(features, tune).into_iter().zip(tune.iter().map(|&i| second(i))).collect();
        Ok(model)
    }

    fn scores(&self, features: &Features, samples: &[usize]) -> Vec<f64> {
        let rows = features.take(samples, self.length);
        let raw = product(&rows, &self.weights, samples.len(), self.length, 1);
        raw.into_iter().map(|score| self.slope * (f64::from(score) - self.middle) + self.shift).collect()
    }
}

/// Difference of the sets' means, eigenvectors and eigenvalues of the covariance within sets, and the middle of the means.
type Discriminant = (Vec<f64>, Vec<Vec<f64>>, Vec<f64>, Vec<f64>);

fn discriminant(
    rows: &[f32],
    length: usize,
    samples: &[usize],
    second: &impl Fn(usize) -> bool,
) -> Result<Discriminant> {
    let mut means = [vec![0.0f64; length], vec![0.0f64; length]];
    let mut counts = [0.0f64; 2];
    for (row, &sample) in rows.chunks_exact(length).zip(samples) {
        let set = usize::from(second(sample));
        counts[set] += 1.0;
        means[set].iter_mut().zip(row).for_each(|(mean, v)| *mean += f64::from(*v));
    }
    for (mean, count) in means.iter_mut().zip(counts) {
        mean.iter_mut().for_each(|v| *v /= count.max(1.0));
    }
    let within: Vec<f32> = rows
        .chunks_exact(length)
        .zip(samples)
        .flat_map(|(row, &sample)| {
            let mean = &means[usize::from(second(sample))];
            row.iter().zip(mean).map(|(v, mean)| (f64::from(*v) - mean) as f32)
        })
        .collect();
    let mut covariance = vec![0.0; length * length];
    add_product(&mut covariance, &within, &within, samples.len(), length, length);
    covariance.iter_mut().for_each(|v| *v /= samples.len().max(1) as f64);
    let (values, vectors) = eigen(&covariance, length)?;
    let direction = means[1].iter().zip(&means[0]).map(|(b, a)| b - a).collect();
    let middle = means[1].iter().zip(&means[0]).map(|(b, a)| (a + b) / 2.0).collect();
    Ok((direction, vectors, values, middle))
}

/// (covariance + ridge)⁻¹ direction.
fn solved(direction: &[f64], vectors: &[Vec<f64>], values: &[f64], ridge: f64) -> Vec<f32> {
    let mut weights = vec![0.0f64; direction.len()];
    for (vector, value) in vectors.iter().zip(values) {
        let along: f64 = vector.iter().zip(direction).map(|(v, d)| v * d).sum();
        let factor = along / (value.max(0.0) + ridge);
        weights.iter_mut().zip(vector).for_each(|(w, v)| *w += factor * v);
    }
    weights.into_iter().map(|w| w as f32).collect()
}

/// Slope (at least 0) and shift of the log-odds by a score, by Newton's method with a little ridge on the slope, and the mean loss,
/// both sets weighted alike.
fn logistic(pairs: &[(f64, bool)]) -> (f64, f64, f64) {
    let seconds = pairs.iter().filter(|(_, second)| *second).count() as f64;
    let firsts = pairs.len() as f64 - seconds;
    if seconds == 0.0 || firsts == 0.0 {
        return (0.0, 0.0, std::f64::consts::LN_2);
    }
    let scale = (pairs.iter().map(|(s, _)| s * s).sum::<f64>() / pairs.len() as f64).sqrt();
    if scale <= 0.0 {
        return (0.0, 0.0, std::f64::consts::LN_2);
    }
    let weight = |second: bool| if second { 0.5 / seconds } else { 0.5 / firsts };
    let penalty = 0.5 / pairs.len() as f64;
    let (mut a, mut b) = (0.0f64, 0.0f64);
    for _ in 0..50 {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (penalty * a, 0.0, penalty, 0.0, 1e-12);
        for &(score, second) in pairs {
            let s = score / scale;
            let p = 1.0 / (1.0 + (-(a * s + b)).exp());
            let (w, error) = (weight(second), p - f64::from(u8::from(second)));
            let curve = w * (p * (1.0 - p)).max(1e-9);
            ga += w * error * s;
            gb += w * error;
            haa += curve * s * s;
            hab += curve * s;
            hbb += curve;
        }
        let determinant = haa * hbb - hab * hab;
        if determinant <= 0.0 {
            break;
        }
        let (da, db) = ((hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant);
        let step = (1.0f64).min(4.0 / (da.abs() + db.abs()).max(1e-12));
        a -= step * da;
        b -= step * db;
        if da.abs() + db.abs() < 1e-9 {
            break;
        }
    }
    let a = a.max(0.0);
    let loss = pairs.iter().map(|&(score, second)| {
        let z = a * score / scale + b;
        weight(second) * (1.0 + (if second { -z } else { z }).exp()).ln()
    });
    (a / scale, b, loss.sum())
}

/// Mean share told right, with an interval: Wilson's of either set put together (Newcombe 1998).
fn accuracy(held_out: &[(f64, bool)]) -> (f64, f64, f64) {
    let mut shares = [(0.0f64, 0.0f64); 2];
    for &(score, second) in held_out {
        // A score of exactly 0 is half right.
        let right = match score.total_cmp(&0.0) {
            std::cmp::Ordering::Equal => 0.5,
            order => f64::from(u8::from((order == std::cmp::Ordering::Greater) == second)),
        };
        let held = &mut shares[usize::from(second)];
        *held = (held.0 + right, held.1 + 1.0);
    }
    let wilson = |(hits, n): (f64, f64)| {
        let z = 1.959_963_984_540_054_f64;
        let n = n.max(1.0);
        let p = hits / n;
        let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        (p, centre - half, centre + half)
    };
    let [(p1, l1, u1), (p2, l2, u2)] = shares.map(wilson);
    let middle = (p1 + p2) / 2.0;
    let low = middle - 0.5 * ((p1 - l1).powi(2) + (p2 - l2).powi(2)).sqrt();
    let high = middle + 0.5 * ((u1 - p1).powi(2) + (u2 - p2).powi(2)).sqrt();
    (middle, low.max(0.0), high.min(1.0))
}

/// How much of the classifier's word a gambler takes; the e-value is the mean over these.
const TRUST: [f64; 4] = [0.1, 0.3, 0.6, 1.0];

/// The e-value of samples in a random order: each bet is the classifier's probability against the share of that set
/// among the samples left, which is the exact chance when the sets were dealt at random.
fn e_of(held_out: &[(f64, bool)]) -> f64 {
    let mut order: Vec<usize> = (0..held_out.len()).collect();
    Random::from_parts(held_out.len() as u64, "bets", 0).shuffle(&mut order);
    let log = |trust: f64| {
        let mut left = [0.0f64; 2];
        held_out.iter().for_each(|(_, second)| left[usize::from(*second)] += 1.0);
        let mut log = 0.0;
        for &i in &order {
            let (score, second) = held_out[i];
            let odds = (trust * score.clamp(-30.0, 30.0)).exp();
            let chance = left[1] / (left[0] + left[1]);
            let said = chance * odds / (chance * odds + 1.0 - chance);
            let (said, chance) = if second { (said, chance) } else { (1.0 - said, 1.0 - chance) };
            if chance > 0.0 {
                log += (said / chance).max(1e-300).ln();
            }
            left[usize::from(second)] -= 1.0;
        }
        log
    };
    mean_of_exponentials(&TRUST.map(log))
}

/// The same of pairs: which of the two is of the second set, by the difference of their scores; chance is a half.
fn e_of_pairs(differences: &[f64]) -> f64 {
    let log = |trust: f64| {
        let bet = |d: &f64| std::f64::consts::LN_2 - (1.0 + (-trust * d.clamp(-30.0, 30.0)).exp()).ln();
        differences.iter().map(bet).sum::<f64>()
    };
    mean_of_exponentials(&TRUST.map(log))
}

fn mean_of_exponentials(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = logs.iter().map(|log| (log - top).exp()).sum::<f64>() / logs.len() as f64;
    (top + mean.ln()).exp().min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, shift: f64, seed: u64) -> Vec<f32> {
        let mut random = Random::from_parts(seed, "rows", 0);
        (0..n * 5).map(|i| (random.normal() + if i / 5 >= n / 2 && i % 5 == 1 { shift } else { 0.0 }) as f32).collect()
    }

    #[test]
    fn a_shift_is_learned() {
        let found = judged(&rows(400, 2.0, 1), 5, 200, false, 0).unwrap();
        // Two normals two deviations apart: 0.841 at best.
        assert!((0.78..0.9).contains(&found.accuracy), "{}", found.accuracy);
        assert!(found.low < 0.841 && found.high > 0.841 && found.e_value > 1e6);
        assert_eq!(found.scores.len(), 400);
    }

    #[test]
    fn nothing_is_no_evidence() {
        let mut large = 0;
        let mut covered = 0;
        for seed in 0..100 {
            let found = judged(&rows(80, 0.0, seed), 5, 40, seed % 2 == 0, seed).unwrap();
            large += usize::from(found.e_value >= 10.0);
            covered += usize::from((found.low..=found.high).contains(&0.5));
        }
        // At most one in ten may reach 10; three standard errors above.
        assert!(large <= 19 && covered >= 87, "{large} {covered}");
    }

    #[test]
    fn bets_by_hand() {
        // Nothing said: nothing won. A sure difference of one: trust t wins 2σ(t).
        assert!((e_of(&[(0.0, true), (0.0, false)]) - 1.0).abs() < 1e-12);
        let expected = TRUST.iter().map(|t| 2.0 / (1.0 + (-t).exp())).sum::<f64>() / 4.0;
        assert!((e_of_pairs(&[1.0]) - expected).abs() < 1e-12);
        // The mean of an e-value over all ways to deal the sets is 1: scores 1, −1 and 2, one of the three in the second set.
        let scores = [1.0, -1.0, 2.0];
        let mean: f64 = (0..3).map(|s| e_of(&[0, 1, 2].map(|i| (scores[i], i == s)))).sum::<f64>() / 3.0;
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
    }
}
