//! Kendall's rank correlation.

use crate::error::{Error, Result};

/// Kendall's τ_b of two equally long slices, in [−1, 1]; NaN if either is constant. Ties are corrected for (Kendall 1945).
///
/// O(n log n): sort by the first, count the exchanges that sort the second (Knight 1966).
///
/// # Errors
/// [`Error::Invalid`] if the lengths differ or are below 2, or if a value is NaN.
pub fn tau_b(x: &[f64], y: &[f64]) -> Result<f64> {
    if x.len() != y.len() || x.len() < 2 {
        return Err(Error::Invalid(format!(
            "a rank correlation needs two equally long lists of at least two numbers, and these have {} and {}",
            x.len(),
            y.len()
        )));
    }
    if let Some(i) = x.iter().zip(y).position(|(a, b)| a.is_nan() || b.is_nan()) {
        return Err(Error::Invalid(format!("pair {i} of a rank correlation is not a number")));
    }
    // Adding zero makes one of the two zeros, which are equal but would be sorted apart.
    let mut points: Vec<(f64, f64)> = x.iter().zip(y).map(|(&a, &b)| (a + 0.0, b + 0.0)).collect();
    points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let tied_x = tied(points.chunk_by(|a, b| a.0 == b.0));
    let tied_both = tied(points.chunk_by(|a, b| a == b));
    let mut second: Vec<f64> = points.into_iter().map(|p| p.1).collect();
    let discordant = inversions(&mut second, &mut vec![0.0; x.len()]);
    let tied_y = tied(second.chunk_by(|a, b| a == b));
    let all = pairs(x.len());
    // Concordant minus discordant: all pairs but the tied ones are one or the other.
    let balance = (all + tied_both) as f64 - (tied_x + tied_y) as f64 - 2.0 * discordant as f64;
    // Rounding must not leave the range.
    Ok((balance / ((all - tied_x) as f64).sqrt() / ((all - tied_y) as f64).sqrt()).clamp(-1.0, 1.0))
}

fn pairs(n: usize) -> u64 {
    let n = n as u64;
    n * n.saturating_sub(1) / 2
}

fn tied<'a, T: 'a>(groups: impl Iterator<Item = &'a [T]>) -> u64 {
    groups.map(|g| pairs(g.len())).sum()
}

/// Sorts `values` by merging and counts the pairs that were in descending order.
fn inversions(values: &mut [f64], work: &mut [f64]) -> u64 {
    let n = values.len();
    if n < 2 {
        return 0;
    }
    let (left, right) = values.split_at_mut(n / 2);
    let mut count = inversions(left, work) + inversions(right, work);
    let (mut i, mut j) = (0, 0);
    for slot in &mut work[..n] {
        if j == right.len() || (i < left.len() && left[i] <= right[j]) {
            *slot = left[i];
            i += 1;
        } else {
            *slot = right[j];
            j += 1;
            count += (left.len() - i) as u64;
        }
    }
    values.copy_from_slice(&work[..n]);
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::*;

    #[test]
    fn worked_by_hand() {
        assert!(close(tau_b(&[1.0, 2.0, 3.0], &[5.0, 6.0, 9.0]).unwrap(), 1.0, 1e-15));
        assert!(close(tau_b(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]).unwrap(), -1.0, 1e-15));
        // 4 concordant, 1 discordant, 1 tie in y: 3/√(6·5).
        let t = tau_b(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 3.0]).unwrap();
        assert!(close(t, 3.0 / 30f64.sqrt(), 1e-15), "{t}");
        assert!(tau_b(&[1.0, 1.0], &[1.0, 2.0]).unwrap().is_nan());
        assert!(tau_b(&[1.0], &[1.0]).is_err() && tau_b(&[1.0, f64::NAN], &[1.0, 2.0]).is_err());
        assert!(close(tau_b(&[0.0, -0.0, 1.0], &[1.0, 1.0, 2.0]).unwrap(), 1.0, 1e-15), "both zeros are one value");
    }

    proptest! {
        #[test]
        fn equals_counting_all_pairs(v in proptest::collection::vec((0i32..12, 0i32..12), 2..60)) {
            let (x, y): (Vec<f64>, Vec<f64>) = v.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
            let (mut balance, mut untied_x, mut untied_y) = (0i64, 0i64, 0i64);
            for (i, a) in v.iter().enumerate() {
                for b in &v[..i] {
                    balance += i64::from((a.0 - b.0).signum() * (a.1 - b.1).signum());
                    untied_x += i64::from(a.0 != b.0);
                    untied_y += i64::from(a.1 != b.1);
                }
            }
            let expected = balance as f64 / (untied_x as f64).sqrt() / (untied_y as f64).sqrt();
            let ours = tau_b(&x, &y).unwrap();
            prop_assert!(close(ours, expected, 1e-12) || (ours.is_nan() && expected.is_nan()), "{ours} {expected}");
        }
    }
}
