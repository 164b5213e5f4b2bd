//! Is a matching of units the identity more often, or more nearly, than chance would have it? Under the null a matching of n
//! units with m is a uniformly random injection; both statistics here have their distribution under exactly that null.

use std::sync::OnceLock;

use statrs::function::beta::beta_reg;
use statrs::function::gamma::ln_gamma;

/// What a matching says, with one-sided p-values (large means more like the identity).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Identity {
    /// Spearman's ρ between the units and the ranks of their partners, in `[−1, 1]`.
    pub rho: f64,
    /// p-value by rank correlation.
    pub p_rho: f64,
    /// How many units are matched with the unit of the same number.
    pub fixed: usize,
    /// p-value by the number of units that are matched with themselves.
    pub p_fixed: f64,
}

impl Identity {
    /// Of a matching of n units with partners in 0..m, all different, n ≤ m.
    #[must_use]
    pub fn of(matching: &[usize], m: usize) -> Self {
        let n = matching.len();
        let fixed = matching.iter().enumerate().filter(|(unit, partner)| *unit == **partner).count();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_unstable_by_key(|&unit| matching[unit]);
        // The sum of squared differences of ranks: `order[rank]` is the unit whose partner has that rank.
        let sum: u64 = order.iter().enumerate().map(|(rank, &unit)| (rank.abs_diff(unit) as u64).pow(2)).sum();
        let cubic = (n * n * n - n) as f64;
        let rho = if n < 2 { 0.0 } else { 1.0 - 6.0 * sum as f64 / cubic };
        Self { rho, p_rho: p_of_rho(sum, n), fixed, p_fixed: p_of_fixed(fixed, n, m) }
    }

    /// One p-value from both statistics: twice the smaller (Bonferroni), at most 1.
    #[must_use]
    pub fn p(&self) -> f64 {
        (2.0 * self.p_rho.min(self.p_fixed)).min(1.0)
    }
}

/// Up to this many units all permutations are counted.
const COUNTED: usize = 11;

/// P(Σd² ≤ `sum`) for a uniformly random permutation of n: by counting up to 11 units; beyond by a symmetric beta distribution
/// on (−s, s) with the variance 1/(n − 1) and the kurtosis of ρ (Kendall 1962), never below 1/n!.
fn p_of_rho(sum: u64, n: usize) -> f64 {
    if n < 2 {
        return 1.0;
    }
    if n <= COUNTED {
        static TABLES: [OnceLock<Vec<f64>>; COUNTED + 1] = [const { OnceLock::new() }; COUNTED + 1];
        let table = TABLES[n].get_or_init(|| cumulative(n));
        return table.get(sum as usize).copied().unwrap_or(1.0);
    }
    let size = n as f64;
    let rho = 1.0 - 6.0 * sum as f64 / (size * (size * size - 1.0));
    let fourth = 3.0 * (25.0 * size.powi(3) - 38.0 * size.powi(2) - 35.0 * size + 72.0)
        / (25.0 * size * (size + 1.0) * (size - 1.0).powi(3));
    let excess = fourth * (size - 1.0).powi(2) - 3.0;
    let shape = (-6.0 / excess - 3.0) / 2.0;
    let scale = ((2.0 * shape + 1.0) / (size - 1.0)).sqrt();
    // Half a step: sums of squared differences are even.
    let step = 6.0 / (size * (size * size - 1.0));
    let tail = beta_reg(shape, shape, ((1.0 - (rho - step) / scale) / 2.0).clamp(0.0, 1.0));
    tail.max((-ln_gamma(size + 1.0)).exp()).min(1.0)
}

/// Entry s: the share of permutations of n with Σd² ≤ s. Position by position, over the sets of values used up.
fn cumulative(n: usize) -> Vec<f64> {
    let most = n * (n * n - 1) / 3;
    let mut ways: Vec<Vec<f64>> = vec![Vec::new(); 1 << n];
    ways[0] = vec![1.0];
    for used in 0..(1usize << n) {
        let from = std::mem::take(&mut ways[used]);
        if used + 1 == 1 << n {
            let mut total = 0.0;
            let all: f64 = from.iter().sum();
            return (0..=most)
                .map(|s| {
                    total += from.get(s).copied().unwrap_or(0.0);
                    total / all
                })
                .collect();
        }
        let position = used.count_ones() as usize;
        for value in (0..n).filter(|value| used >> value & 1 == 0) {
            let added = position.abs_diff(value).pow(2);
            let to = &mut ways[used | 1 << value];
            if to.len() < from.len() + added {
                to.resize(from.len() + added, 0.0);
            }
            to[added..].iter_mut().zip(&from).for_each(|(to, from)| *to += from);
        }
    }
    vec![1.0]
}

/// P(at least `fixed` of n units keep their number) for a random injection into 0..m: by inclusion and exclusion,
/// Σ_{j ≥ k} (−1)^{j−k} C(j−1, k−1) C(n, j) (m−j)!/m!.
fn p_of_fixed(fixed: usize, n: usize, m: usize) -> f64 {
    if fixed == 0 {
        return 1.0;
    }
    let ln_factorial = |k: usize| ln_gamma(k as f64 + 1.0);
    let ln_choose = |a: usize, b: usize| ln_factorial(a) - ln_factorial(b) - ln_factorial(a - b);
    // Terms fall like 1/j!: fifty of them are exact.
    let terms = (fixed..=n.min(fixed + 50)).map(|j| {
        let size = ln_choose(j - 1, fixed - 1) + ln_choose(n, j) + ln_factorial(m - j) - ln_factorial(m);
        if (j - fixed).is_multiple_of(2) { size.exp() } else { -size.exp() }
    });
    terms.sum::<f64>().clamp(f64::MIN_POSITIVE, 1.0)
}

/// Fisher's combination of independent p-values: P(χ² with 2k degrees of freedom ≥ −2 Σ ln p), 1 for none. Conservative where
/// the p-values are discrete.
#[must_use]
pub fn fisher(p: &[f64]) -> f64 {
    let half: f64 = p.iter().map(|p| -p.max(f64::MIN_POSITIVE).ln()).sum();
    if p.is_empty() || half <= 0.0 {
        return 1.0;
    }
    // e^{−x} Σ_{i<k} xⁱ/i!, in logarithms.
    let logs: Vec<f64> = (0..p.len()).map(|i| i as f64 * half.ln() - ln_gamma(i as f64 + 1.0) - half).collect();
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log = top + logs.iter().map(|log| (log - top).exp()).sum::<f64>().ln();
    log.exp().clamp(f64::MIN_POSITIVE, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::rng::Stream;
    use super::*;

    #[test]
    fn by_hand() {
        // Of the six permutations of three, Σd² is 0, 2, 2, 6, 6, 8.
        let shares: Vec<f64> = [0, 2, 6, 8].iter().map(|&s| p_of_rho(s, 3) * 6.0).collect();
        assert!(shares.iter().zip([1.0, 3.0, 5.0, 6.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{shares:?}");
        // Fixed points of the permutations of four: 9 have none, 8 one, 6 two, 1 four.
        for (fixed, share) in [(0, 24.0), (1, 15.0), (2, 7.0), (3, 1.0), (4, 1.0)] {
            assert!(
                (p_of_fixed(fixed, 4, 4) * 24.0 - share).abs() < 1e-9,
                "{fixed}: {}",
                p_of_fixed(fixed, 4, 4) * 24.0
            );
        }
        // Injections of {0, 1} into {0, 1, 2}: (0,1) fixes both, (0,2) and (2,1) one.
        assert!((p_of_fixed(1, 2, 3) - 0.5).abs() < 1e-12 && (p_of_fixed(2, 2, 3) - 1.0 / 6.0).abs() < 1e-12);
        // χ² with 4 degrees beyond −2 ln(0.05²): x e^{-x} + e^{-x} at x = −ln 0.0025.
        let x = -(0.0025f64.ln());
        assert!((fisher(&[0.05, 0.05]) - (x * (-x).exp() + (-x).exp())).abs() < 1e-15);
        assert_eq!((fisher(&[]), fisher(&[1.0, 1.0])), (1.0, 1.0));
        assert!((fisher(&[0.3]) - 0.3).abs() < 1e-15);
    }

    #[test]
    fn identity_is_as_unlikely_as_it_is() {
        let all: Vec<usize> = (0..10).collect();
        let found = Identity::of(&all, 10);
        assert_eq!((found.rho, found.fixed), (1.0, 10));
        assert!((found.p_rho * 3_628_800.0 - 1.0).abs() < 1e-9 && (found.p_fixed * 3_628_800.0 - 1.0).abs() < 1e-6);
        let long: Vec<usize> = (0..500).collect();
        assert!(Identity::of(&long, 500).p() < 1e-300);
        assert_eq!(Identity::of(&[0], 1).p(), 1.0);
    }

    #[test]
    fn the_beta_continues_the_counts() {
        // The two ways agree where both can be had, at twelve units, over the tail that decides.
        let counts = cumulative(12);
        for p in [0.1, 0.05, 0.01, 1e-3, 1e-4] {
            let sum = counts.iter().position(|&share| share >= p).unwrap() & !1;
            let (exact, near) = (counts[sum], p_of_rho(sum as u64, 12));
            // Far out the beta is on the safe side.
            let most = if p >= 0.01 { 1.05 } else { 2.5 };
            assert!((0.95..most).contains(&(near / exact)), "{p}: {near} for {exact}");
        }
    }

    #[test]
    fn p_values_are_right_for_random_matchings() {
        let mut stream = Stream::new(3, 0);
        for (n, m) in [(8, 8), (16, 16), (33, 33), (20, 27)] {
            let draws = 20_000;
            let mut below = [0usize; 2];
            for _ in 0..draws {
                let mut partners: Vec<usize> = (0..m).collect();
                stream.shuffle(&mut partners);
                let found = Identity::of(&partners[..n], m);
                below[0] += usize::from(found.p_rho <= 0.05);
                below[1] += usize::from(found.p() <= 0.05);
            }
            let share = |count: usize| count as f64 / draws as f64;
            assert!((0.035..0.0545).contains(&share(below[0])), "{n} of {m}: {}", share(below[0]));
            assert!(share(below[1]) < 0.0545, "{n} of {m}: {}", share(below[1]));
        }
    }
}
