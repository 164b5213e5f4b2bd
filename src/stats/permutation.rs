//! What permutation tests are made of: every division of runs into two sets, and Holm's correction for several tests.

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
pub(super) fn binomial(n: usize, k: usize) -> Option<u64> {
    (0..k.min(n - k)).try_fold(1u64, |c, i| Some(c.checked_mul((n - i) as u64)? / (i as u64 + 1)))
}

/// The division number `rank` of 0..n into k and n − k elements, both ascending (combinatorial number system).
pub(super) fn division(mut rank: u64, k: usize, n: usize) -> Vec<usize> {
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
    fn divisions_are_all_different() {
        let all: HashSet<Vec<usize>> = (0..35).map(|rank| division(rank, 3, 7)).collect();
        assert_eq!(all.len(), 35);
        assert!(all.iter().all(|d| d[..3].is_sorted() && d[3..].is_sorted() && HashSet::<_>::from_iter(d).len() == 7));
        assert_eq!(binomial(20, 10), Some(184_756));
        assert_eq!(binomial(500, 250), None);
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
}
