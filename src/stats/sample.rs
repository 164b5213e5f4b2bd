//! A sorted finite sample and its empirical distribution function (ECDF).

use crate::error::{Error, Result};

/// A finite sample, sorted ascending; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Sorts `values`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are none or one is not finite.
    pub fn new(mut values: Vec<f64>) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::Invalid("an empirical distribution needs at least one value".into()));
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::Invalid(format!("value {i} of a sample is not finite")));
        }
        values.sort_unstable_by(f64::total_cmp);
        Ok(Self(values))
    }

    /// The values, ascending.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// How many values there are, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sample is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The step ECDF at `x`: the share of values ≤ x.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.0.partition_point(|&v| v <= x) as f64 / self.0.len() as f64
    }

    /// The step ECDF just left of `x`: the share of values < x.
    #[must_use]
    pub fn before(&self, x: f64) -> f64 {
        self.0.partition_point(|&v| v < x) as f64 / self.0.len() as f64
    }

    /// The ECDF linearly interpolated between its jumps: 0 left of the first value, 1 from the last one on, the step ECDF at
    /// each value (Banerjee 2025).
    #[must_use]
    pub fn interpolated_at(&self, x: f64) -> f64 {
        let upto = self.0.partition_point(|&v| v <= x);
        interpolate(&self.0, x, upto)
    }
}

/// The interpolated ECDF of the ascending `sorted` at `x`, of which `upto` values are ≤ x.
pub(super) fn interpolate(sorted: &[f64], x: f64, upto: usize) -> f64 {
    let n = sorted.len();
    if upto == 0 {
        return 0.0;
    }
    let Some(&right) = sorted.get(upto) else {
        return 1.0;
    };
    let left = sorted[upto - 1];
    let ties = sorted[upto..].iter().take_while(|&&v| v == right).count();
    (upto as f64 + ties as f64 * ((x - left) / (right - left))) / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecdf_counts_ties() {
        let s = Sample::new(vec![3.0, 1.0, 1.0, 2.0]).unwrap();
        assert_eq!([s.at(0.9), s.at(1.0), s.at(2.5), s.at(3.0)], [0.0, 0.5, 0.75, 1.0]);
        assert_eq!([s.before(1.0), s.before(3.0)], [0.0, 0.75]);
    }

    #[test]
    fn interpolation_meets_the_jumps() {
        let s = Sample::new(vec![0.0, 1.0, 1.0, 3.0]).unwrap();
        assert_eq!(s.interpolated_at(-1.0), 0.0);
        assert_eq!(s.interpolated_at(0.0), 0.25);
        assert_eq!(s.interpolated_at(0.5), 0.5);
        assert_eq!(s.interpolated_at(1.0), 0.75);
        assert_eq!(s.interpolated_at(2.0), 0.875);
        assert_eq!(s.interpolated_at(3.0), 1.0);
    }

    #[test]
    fn refuses_nothing_and_nan() {
        assert!(Sample::new(vec![]).is_err());
        assert!(Sample::new(vec![f64::INFINITY]).is_err());
    }
}
