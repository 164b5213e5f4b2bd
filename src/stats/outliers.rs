//! The modified z-score, which one bad run cannot hide from.

use super::descriptive::{mad, median};

/// 0.6745·|x − median|/MAD of each value (Iglewicz & Hoaglin 1993). Where MAD = 0 it is 0 for x = median and infinite
/// for any other x. NaN values, and all values of a slice that contains one, get NaN.
#[must_use]
pub fn modified_z_scores(values: &[f64]) -> Vec<f64> {
    if values.iter().any(|v| v.is_nan()) {
        return vec![f64::NAN; values.len()];
    }
    let (centre, spread) = (median(values), mad(values));
    values
        .iter()
        .map(|v| {
            let off = (v - centre).abs();
            if off == 0.0 { 0.0 } else { 0.6745 * off / spread }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let z = modified_z_scores(&[1.0, 2.0, 3.0, 4.0, 10.0]);
        let expected = [2.0, 1.0, 0.0, 1.0, 7.0].map(|off| 0.6745 * off);
        assert!(z.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{z:?}");
    }

    #[test]
    fn no_spread_flags_only_what_differs() {
        assert_eq!(modified_z_scores(&[5.0, 5.0, 5.0, 5.1]), [0.0, 0.0, 0.0, f64::INFINITY]);
        assert_eq!(modified_z_scores(&[5.0]), [0.0]);
        assert!(modified_z_scores(&[1.0, f64::NAN])[0].is_nan());
    }
}
