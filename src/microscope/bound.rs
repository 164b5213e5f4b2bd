//! λ̂: at least so large a share of the samples differs (Michel 2020), from scores of samples that the scoring never saw.

use statrs::distribution::{Beta, ContinuousCDF};

/// Shares of the training scores at which thresholds are tried.
const SHARES: [f64; 10] = [0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.7, 0.8, 0.9, 0.95];

/// A lower bound on the total variation between two laws, valid with probability 1 − ε, from scores that are high for the
/// second. No share of the samples below it can account for the difference.
///
/// For every t, F₁(t) − F₂(t) is at most the total variation. Half of ε goes to all t at once: max_t [F̂₁(t) − F̂₂(t)] less the two terms of
/// Dvoretzky, Kiefer and Wolfowitz, √(ln(4/ε)/2n) each. The other half goes to at most ten thresholds chosen beforehand on `training` scores, with
/// exact binomial bounds (Clopper & Pearson): sharper where few samples differ a lot. The larger is returned, at least 0.
#[must_use]
pub fn differs_at_least(first: &[f64], second: &[f64], training: &[f64], epsilon: f64) -> f64 {
    if first.is_empty() || second.is_empty() {
        return 0.0;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (one, two) = (sorted(first), sorted(second));
    let below = |sorted: &[f64], t: f64| sorted.partition_point(|v| *v <= t);
    let (n1, n2) = (one.len() as f64, two.len() as f64);
    let term = |n: f64| ((4.0 / epsilon).ln() / (2.0 * n)).sqrt();
    let gap = |t: &f64| below(&one, *t) as f64 / n1 - below(&two, *t) as f64 / n2;
    let everywhere = one.iter().chain(&two).map(gap).fold(0.0, f64::max) - term(n1) - term(n2);
    let chosen = sorted(training);
    let each = epsilon / 2.0 / SHARES.len() as f64 / 2.0;
    let at_chosen = SHARES
        .iter()
        .filter_map(|share| chosen.get(((chosen.len() as f64 - 1.0) * share).max(0.0) as usize))
        .map(|t| {
            let low = at_least(below(&one, *t), one.len(), each);
            let high = 1.0 - at_least(two.len() - below(&two, *t), two.len(), each);
            low - high
        })
        .fold(0.0, f64::max);
    everywhere.max(at_chosen).max(0.0)
}

/// The lower bound of Clopper and Pearson on a probability, at one-sided level ε.
#[must_use]
pub fn at_least(hits: usize, n: usize, epsilon: f64) -> f64 {
    if hits == 0 || n == 0 {
        return 0.0;
    }
    Beta::new(hits as f64, (n - hits + 1) as f64).map_or(0.0, |beta| beta.inverse_cdf(epsilon))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn by_hand() {
        // All 8 of 8: the bound solves p⁸ = 0.05.
        assert!((at_least(8, 8, 0.05) - 0.05f64.powf(0.125)).abs() < 1e-6);
        assert_eq!((at_least(0, 8, 0.05), at_least(0, 0, 0.05)), (0.0, 0.0));
        // Perfectly apart with 1000 each: no more can be said than the terms allow, and no less.
        let (low, high) = (vec![0.0; 1000], vec![1.0; 1000]);
        let training: Vec<f64> = [vec![0.0; 50], vec![1.0; 50]].concat();
        let found = differs_at_least(&low, &high, &training, 0.05);
        assert!((0.97..1.0).contains(&found), "{found}");
        assert_eq!(differs_at_least(&high, &low, &training, 0.05), 0.0);
    }

    #[test]
    fn never_more_than_was_planted_too_often() {
        // A share of the second set is moved far; the bound may exceed the share in 5 % of the trials.
        for share in [0.0, 0.1, 0.5] {
            let trials = 400;
            let mut exceeded = 0;
            let mut random = Random::from_parts(1, "mixture", (share * 100.0) as u64);
            let mut mean = 0.0;
            for _ in 0..trials {
                let mut draw = |share: f64| random.normal() + if random.uniform() < share { 4.0 } else { 0.0 };
                let first: Vec<f64> = (0..200).map(|_| draw(0.0)).collect();
                let second: Vec<f64> = (0..200).map(|_| draw(share)).collect();
                let training: Vec<f64> = (0..100).map(|i| draw(if i < 50 { 0.0 } else { share })).collect();
                let found = differs_at_least(&first, &second, &training, 0.05);
                exceeded += usize::from(found > share);
                mean += found / f64::from(trials);
            }
            assert!(exceeded <= 33, "{share}: {exceeded} of {trials}");
            if share > 0.2 {
                assert!(mean > 0.4 * share, "{share}: mean bound {mean}");
            }
        }
    }
}
