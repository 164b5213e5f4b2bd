//! Mean, standard deviation, quantiles: the few everyday numbers that everything else is built on.

/// The arithmetic mean; NaN for no values.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample variance with n − 1 in the denominator; NaN for fewer than two values.
#[must_use]
pub fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let m = mean(values);
    values.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / (values.len() - 1) as f64
}

/// The sample standard deviation with n − 1 in the denominator; NaN for fewer than two values.
#[must_use]
pub fn std(values: &[f64]) -> f64 {
    variance(values).sqrt()
}

/// The quantile of level `q` in [0, 1] of an ascending slice, linear between order statistics (type 7 of Hyndman & Fan 1996,
/// the default of R and NumPy); NaN for no values.
#[must_use]
pub fn quantile_sorted(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    let share = place - below as f64;
    if share == 0.0 { sorted[below] } else { sorted[below] + (sorted[above] - sorted[below]) * share }
}

/// The quantile of level `q` of values in any order; see [`quantile_sorted`].
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    quantile_sorted(&ascending(values), q)
}

/// The median; the mean of the middle two for an even number, NaN for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The median absolute deviation from the median, unscaled; NaN for no values.
#[must_use]
pub fn mad(values: &[f64]) -> f64 {
    let centre = median(values);
    median(&values.iter().map(|v| (v - centre).abs()).collect::<Vec<_>>())
}

/// A sorted copy.
#[must_use]
pub fn ascending(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let v = [4.0, 1.0, 3.0, 2.0, 10.0];
        assert_eq!(mean(&v), 4.0);
        assert_eq!(variance(&v), 12.5);
        assert_eq!(median(&v), 3.0);
        assert_eq!(mad(&v), 1.0);
        assert_eq!(quantile(&v, 0.875), 7.0);
        assert_eq!(quantile(&v, 1.0), 10.0);
        assert_eq!(median(&[1.0, 2.0]), 1.5);
    }

    #[test]
    fn too_few_values_are_nan() {
        assert!(mean(&[]).is_nan() && std(&[1.0]).is_nan() && median(&[]).is_nan() && mad(&[]).is_nan());
    }
}
