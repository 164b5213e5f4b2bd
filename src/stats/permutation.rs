//! Permutation tests between two sets of runs, and Holm's correction for several of them.

use rayon::prelude::*;
use serde::Serialize;

use super::pairs::Pairs;
use super::rng::Stream;
use crate::error::{Error, Result};

/// The outcome of a permutation test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Permutation {
    /// The statistic of the runs as they are.
    pub statistic: f64,
    /// The share of divisions whose statistic is at least as large, in (0, 1].
    pub p: f64,
    /// Whether every division was looked at, rather than random ones.
    pub exact: bool,
}

/// Tests whether runs 0..`first` and `first..runs` are exchangeable: `statistic(a, b)` of the two sets of run indices, large
/// when they differ (take an absolute value for a two-sided test), is compared with that of other divisions into the same sizes.
///
/// All divisions are looked at if there are at most `permutations`. Otherwise that many random ones are, and
/// p = (1 + those at least as large)/(1 + permutations), which never understates it (Phipson & Smyth 2010). Statistics within
/// 1e-9 of each other, relatively, count as equal: the same sums in another order.
///
/// # Errors
/// [`Error::Invalid`] for an empty set, no permutations, or a statistic of the runs as they are that is NaN.
pub fn permutation_test(
    first: usize,
    runs: usize,
    permutations: usize,
    seed: u64,
    statistic: impl Fn(&[usize], &[usize]) -> f64 + Sync,
) -> Result<Permutation> {
    if first == 0 || first >= runs || permutations == 0 {
        return Err(Error::Invalid(format!(
            "a permutation test of {first} of {runs} runs with {permutations} permutations: both sets need a run, and the test a \
             permutation"
        )));
    }
    let all: Vec<usize> = (0..runs).collect();
    let observed = statistic(&all[..first], &all[first..]);
    if observed.is_nan() {
        return Err(Error::Invalid("the statistic of a permutation test is not a number".into()));
    }
    let limit = observed - 1e-9 * observed.abs();
    let as_large = |order: &[usize]| statistic(&order[..first], &order[first..]) >= limit;
    if let Some(divisions) = binomial(runs, first).filter(|&d| d <= permutations as u64) {
        let count = (0..divisions).into_par_iter().filter(|&rank| as_large(&division(rank, first, runs))).count();
        return Ok(Permutation { statistic: observed, p: count as f64 / divisions as f64, exact: true });
    }
    let count = (0..permutations)
        .into_par_iter()
        .filter(|&i| {
            let mut order = all.clone();
            Stream::new(seed, i as u64).shuffle(&mut order);
            // Sorted, so that a set has one statistic however it was drawn.
            order[..first].sort_unstable();
            order[first..].sort_unstable();
            as_large(&order)
        })
        .count();
    Ok(Permutation { statistic: observed, p: (1 + count) as f64 / (1 + permutations) as f64, exact: false })
}

/// Two-sided permutation test of the difference of means between two sets of values, one for each run.
///
/// # Errors
/// As [`permutation_test`].
pub fn difference_of_means(a: &[f64], b: &[f64], permutations: usize, seed: u64) -> Result<Permutation> {
    let values = [a, b].concat();
    let mean = |of: &[usize]| of.iter().map(|&m| values[m]).sum::<f64>() / of.len() as f64;
    permutation_test(a.len(), values.len(), permutations, seed, |a, b| (mean(b) - mean(a)).abs())
}

/// Permutation test of whether pairs between the sets 0..`first` and the rest are further apart than pairs within them, churn
/// say: twice the mean between, less the mean within each set (the energy statistic, Székely & Rizzo 2004). Pairs of a run with
/// itself are left out of the means, and a set of one run has no distance within.
///
/// # Errors
/// As [`permutation_test`].
pub fn between_and_within(distances: &Pairs, first: usize, permutations: usize, seed: u64) -> Result<Permutation> {
    let within = |of: &[usize]| {
        let pairs = of.iter().enumerate().flat_map(|(i, &a)| of[..i].iter().map(move |&b| distances.get(a, b)));
        pairs.sum::<f64>() / (of.len() * of.len().saturating_sub(1) / 2).max(1) as f64
    };
    permutation_test(first, distances.runs(), permutations, seed, |a, b| {
        let between: f64 = a.iter().flat_map(|&a| b.iter().map(move |&b| distances.get(a, b))).sum();
        2.0 * between / (a.len() * b.len()) as f64 - within(a) - within(b)
    })
}

/// Holm's step-down correction (Holm 1979): p-values, each in [0, 1], that may be compared with one level for all. Returned in
/// the order given; NaN stays NaN and counts as no test.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![f64::NAN; p.len()];
    let mut largest = 0.0f64;
    for (place, &i) in order.iter().enumerate() {
        largest = largest.max(((order.len() - place) as f64 * p[i]).min(1.0));
        corrected[i] = largest;
    }
    corrected
}

/// n over k, if it fits.
fn binomial(n: usize, k: usize) -> Option<u64> {
    (0..k.min(n - k)).try_fold(1u64, |c, i| Some(c.checked_mul((n - i) as u64)? / (i as u64 + 1)))
}

/// The division number `rank` of 0..n into k and n − k elements, both ascending (combinatorial number system).
fn division(mut rank: u64, k: usize, n: usize) -> Vec<usize> {
    let (mut chosen, mut rest) = (Vec::with_capacity(n), Vec::with_capacity(n - k));
    for element in 0..n {
        let need = k - chosen.len();
        // Of the divisions left, those in which this element is chosen come first.
        let with = if need == 0 { 0 } else { binomial(n - element - 1, need - 1).unwrap_or(u64::MAX) };
        if rank < with {
            chosen.push(element);
        } else {
            rank -= with;
            rest.push(element);
        }
    }
    chosen.append(&mut rest);
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::fixtures::close;
    use super::*;

    #[test]
    fn worked_by_hand() {
        // 3 against 3, perfectly apart: of 20 divisions this one and its mirror image are as large.
        let t = difference_of_means(&[1.0, 2.0, 3.0], &[7.0, 8.0, 9.0], 1000, 1).unwrap();
        assert_eq!(t, Permutation { statistic: 6.0, p: 0.1, exact: true });
        let same = difference_of_means(&[0.1, 0.2, 0.3], &[0.3, 0.1, 0.2], 1000, 1).unwrap();
        assert_eq!(same.p, 1.0);
    }

    #[test]
    fn divisions_are_all_different() {
        let all: HashSet<Vec<usize>> = (0..35).map(|rank| division(rank, 3, 7)).collect();
        assert_eq!(all.len(), 35);
        assert!(all.iter().all(|d| d[..3].is_sorted() && d[3..].is_sorted() && HashSet::<_>::from_iter(d).len() == 7));
        assert_eq!(binomial(20, 10), Some(184_756));
        assert_eq!(binomial(500, 250), None);
    }

    #[test]
    fn random_permutations_come_close_to_all_of_them() {
        let a: Vec<f64> = (0..8).map(|i| f64::from(i * i % 11)).collect();
        let b: Vec<f64> = (0..8).map(|i| f64::from(i * 7 % 11) + 2.0).collect();
        let exact = difference_of_means(&a, &b, 20_000, 1).unwrap();
        let random = difference_of_means(&a, &b, 12_000, 1).unwrap();
        assert!(exact.exact && !random.exact);
        assert!(close(exact.p, random.p, 0.02), "{} {}", exact.p, random.p);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(random, one.install(|| difference_of_means(&a, &b, 12_000, 1)).unwrap());
    }

    #[test]
    fn false_alarms_are_as_rare_as_promised() {
        let mut stream = Stream::new(2, 0);
        let alarms = (0..400)
            .filter(|_| {
                let mut draw = || (0..5).map(|_| stream.uniform()).collect::<Vec<_>>();
                difference_of_means(&draw(), &draw(), 1000, 1).unwrap().p <= 0.05
            })
            .count();
        assert!((6..=34).contains(&alarms), "{alarms} of 400 at 5 %");
    }

    #[test]
    fn distances_between_count_against_distances_within() {
        let place = [0.0f64, 1.0, 2.0, 10.0, 11.0, 12.0];
        let rows = |p: &[f64]| (0..p.len()).map(|a| (a + 1..p.len()).map(|b| (p[a] - p[b]).abs()).collect()).collect();
        let t = between_and_within(&Pairs::from_rows(rows(&place)), 3, 1000, 1).unwrap();
        assert!(close(t.statistic, 20.0 - 4.0 / 3.0 - 4.0 / 3.0, 1e-12));
        assert_eq!(t.p, 0.1);
        let single = between_and_within(&Pairs::from_rows(rows(&place[..4])), 1, 1000, 1).unwrap();
        assert!(single.p >= 0.25);
    }

    #[test]
    fn holm_by_hand() {
        let c = holm(&[0.01, 0.04, 0.03, f64::NAN, 0.5]);
        assert!(
            close(c[0], 0.04, 1e-15) && close(c[2], 0.09, 1e-15) && close(c[1], 0.09, 1e-15) && close(c[4], 0.5, 1e-15)
        );
        assert!(c[3].is_nan() && holm(&[]).is_empty());
        assert_eq!(holm(&[0.7, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn empty_sets_are_refused() {
        assert!(difference_of_means(&[], &[1.0], 10, 1).is_err());
        assert!(difference_of_means(&[1.0], &[], 10, 1).is_err());
        assert!(difference_of_means(&[1.0], &[2.0], 0, 1).is_err());
        assert!(difference_of_means(&[f64::NAN], &[2.0], 10, 1).is_err());
    }
}
