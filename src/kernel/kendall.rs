//! Kendall's rank correlation, tau-b.

/// Kendall's τ_b of two samples `[n]` of equal length, in `[-1, 1]`: concordant less discordant pairs over the geometric mean
/// of the pairs not tied in `a` and not tied in `b` (Kendall 1945). O(n log n) by counting the exchanges of a merge sort
/// (Knight 1966). None if the lengths differ, a value is NaN, or one sample is constant: the correlation is not defined.
#[must_use]
pub fn tau_b(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.iter().chain(b).any(|v| v.is_nan()) {
        return None;
    }
    // Adding zero makes −0 equal to 0 under the total order.
    let mut pairs: Vec<(f64, f64)> = a.iter().zip(b).map(|(&x, &y)| (x + 0.0, y + 0.0)).collect();
    pairs.sort_unstable_by(|p, q| p.0.total_cmp(&q.0).then(p.1.total_cmp(&q.1)));
    let all = pair_count(pairs.len());
    let tied_a = ties(&pairs, |p, q| p.0 == q.0);
    let tied_both = ties(&pairs, |p, q| p == q);
    let mut values: Vec<f64> = pairs.iter().map(|p| p.1).collect();
    let discordant = exchanges(&mut values);
    // `values` is sorted now.
    let tied_b = ties(&values, |x, y| x == y);
    let (free_a, free_b) = (all - tied_a, all - tied_b);
    if free_a == 0 || free_b == 0 {
        return None;
    }
    let concordant = all + tied_both - tied_a - tied_b - discordant;
    let excess = concordant as f64 - discordant as f64;
    Some((excess / ((free_a as f64).sqrt() * (free_b as f64).sqrt())).clamp(-1.0, 1.0))
}

fn pair_count(n: usize) -> u64 {
    n as u64 * (n as u64).saturating_sub(1) / 2
}

/// Pairs within the groups of equal neighbours.
fn ties<T>(sorted: &[T], equal: impl Fn(&T, &T) -> bool) -> u64 {
    sorted.chunk_by(equal).map(|group| pair_count(group.len())).sum()
}

/// Sorts the values and counts the pairs that stood in descending order.
fn exchanges(values: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let (left, right) = values.split_at_mut(values.len() / 2);
    let mut count = exchanges(left) + exchanges(right);
    let (mut l, mut merged) = (0, Vec::with_capacity(left.len() + right.len()));
    for &r in right.iter() {
        while l < left.len() && left[l] <= r {
            merged.push(left[l]);
            l += 1;
        }
        count += (left.len() - l) as u64;
        merged.push(r);
    }
    merged.extend_from_slice(&left[l..]);
    values.copy_from_slice(&merged);
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, pair by pair.
    fn plain(a: &[f64], b: &[f64]) -> f64 {
        let (mut excess, mut free_a, mut free_b) = (0.0, 0.0, 0.0);
        for i in 0..a.len() {
            for j in 0..i {
                let sign = |x: f64, y: f64| f64::from(x > y) - f64::from(x < y);
                let (p, q) = (sign(a[i], a[j]), sign(b[i], b[j]));
                excess += p * q;
                free_a += p * p;
                free_b += q * q;
            }
        }
        excess / f64::sqrt(free_a * free_b)
    }

    #[test]
    fn by_hand() {
        assert_eq!(tau_b(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), Some(1.0));
        assert_eq!(tau_b(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        // Pairs: two concordant, one discordant.
        assert!((tau_b(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]).unwrap() - 1.0 / 3.0).abs() < 1e-15);
        // One pair tied in a: 5 concordant of 5 free in a and 6 in b.
        assert!((tau_b(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap() - 5.0 / 30f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn undefined_where_there_is_no_order() {
        for (a, b) in [(&[1.0, 1.0][..], &[1.0, 2.0][..]), (&[], &[]), (&[1.0], &[1.0]), (&[1.0, 2.0], &[1.0])] {
            assert_eq!(tau_b(a, b), None);
        }
        assert_eq!(tau_b(&[1.0, f64::NAN], &[1.0, 2.0]), None);
        assert_eq!(tau_b(&[0.0, -0.0], &[1.0, 2.0]), None);
    }

    proptest! {
        #[test]
        fn equals_the_definition(pairs in prop::collection::vec((-3i8..3, -3i8..3), 2..40)) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).unzip();
            match tau_b(&a, &b) {
                Some(tau) => prop_assert!((tau - plain(&a, &b)).abs() < 1e-12),
                None => prop_assert!(!plain(&a, &b).is_finite()),
            }
        }
    }
}
