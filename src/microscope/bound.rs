//! λ̂: at least so large a share of the samples differs (Michel 2020), from scores of samples that the scoring never saw.

use statrs::distribution::{Beta, ContinuousCDF, Normal};

/// Of ε, what goes to all thresholds at once.
const EVERYWHERE: f64 = 0.2;

/// A lower bound on the total variation between two laws, valid with probability 1 − ε, from scores that are high for the
/// second. No share of the samples below it can account for the difference.
///
/// For every t, F₁(t) − F₂(t) is at most the total variation. Most of ε goes to one threshold, chosen on `training` scores (of the first
/// set, of the second) that are no part of `first` and `second`: exact binomial bounds on both shares (Clopper & Pearson) at half of it each.
/// A fifth of ε goes to all t at once: max_t [F̂₁(t) − F̂₂(t)] less the two terms of Dvoretzky, Kiefer and Wolfowitz, √(ln(2/ε′)/2n) each with ε′ half
/// of it, in case the choice was poor. The larger is returned, at least 0.
#[must_use]
pub fn differs_at_least(first: &[f64], second: &[f64], training: [&[f64]; 2], epsilon: f64) -> f64 {
    if first.is_empty() || second.is_empty() {
        return 0.0;
    }
    let (one, two) = (sorted(first), sorted(second));
    let (n1, n2) = (one.len() as f64, two.len() as f64);
    let term = |n: f64| ((4.0 / (EVERYWHERE * epsilon)).ln() / (2.0 * n)).sqrt();
    let gap = |t: &f64| below(&one, *t) as f64 / n1 - below(&two, *t) as f64 / n2;
    let everywhere = one.iter().chain(&two).map(gap).fold(0.0, f64::max) - term(n1) - term(n2);
    let each = (1.0 - EVERYWHERE) * epsilon / 2.0;
    let at_chosen = threshold(training, (n1, n2), each).map_or(0.0, |t| {
        let low = at_least(below(&one, t), one.len(), each);
        let high = 1.0 - at_least(two.len() - below(&two, t), two.len(), each);
        low - high
    });
    everywhere.max(at_chosen).max(0.0)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn below(sorted: &[f64], t: f64) -> usize {
    sorted.partition_point(|v| *v <= t)
}

/// Where `training` promises the largest bound from n₁ and n₂ other scores at one-sided level `each`, by the normal approximation with one hit and
/// one miss added to each share.
fn threshold(training: [&[f64]; 2], (n1, n2): (f64, f64), each: f64) -> Option<f64> {
    let [one, two] = training.map(sorted);
    let z = Normal::standard().inverse_cdf(1.0 - each);
    let promised = |t: f64| {
        let share = |of: &[f64]| (below(of, t) as f64 + 1.0) / (of.len() as f64 + 2.0);
        let (p, q) = (share(&one), share(&two));
        let error = |p: f64, n: f64| z * (p * (1.0 - p) / n).sqrt() + 1.0 / n;
        p - q - error(p, n1) - error(q, n2)
    };
    one.iter().chain(&two).copied().max_by(|a, b| promised(*a).total_cmp(&promised(*b)))
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
        let training: [&[f64]; 2] = [&[0.0; 50], &[1.0; 50]];
        let found = differs_at_least(&low, &high, training, 0.05);
        // Both shares are bounded by 0.02^(1/1000).
        assert!((found - (2.0 * 0.02f64.powf(0.001) - 1.0)).abs() < 1e-6, "{found}");
        assert_eq!(differs_at_least(&high, &low, training, 0.05), 0.0);
        // Nothing to choose a threshold from: all at once.
        let term = ((4.0f64 / 0.01).ln() / 2000.0).sqrt();
        assert!((differs_at_least(&low, &high, [&[], &[]], 0.05) - (1.0 - 2.0 * term)).abs() < 1e-12);
    }

    #[test]
    fn never_more_than_was_planted_too_often() {
        // A share of the second set is moved; far, or so little that the bound stays well below it. The bound may exceed the share in 5 %.
        for (case, (share, shift, least)) in
            [(0.0, 4.0, 0.0), (0.1, 6.0, 0.12), (0.3, 4.0, 0.5), (0.5, 4.0, 0.6), (0.5, 1.0, 0.0)]
                .into_iter()
                .enumerate()
        {
            let trials = 400;
            let mut exceeded = 0;
            let mut random = Random::from_parts(1, "mixture", case as u64);
            let mut mean = 0.0;
            for _ in 0..trials {
                let mut draw = |n: usize, share: f64| -> Vec<f64> {
                    let one = |_| random.normal() + if random.uniform() < share { shift } else { 0.0 };
                    (0..n).map(one).collect()
                };
                let (first, second) = (draw(200, 0.0), draw(200, share));
                let training = [draw(50, 0.0), draw(50, share)];
                let found = differs_at_least(&first, &second, [&training[0], &training[1]], 0.05);
                exceeded += usize::from(found > share);
                mean += found / f64::from(trials);
            }
            assert!(exceeded <= 33, "{share}: {exceeded} of {trials}");
            assert!(mean >= least * share, "{share}: mean bound {mean}");
        }
    }
}
