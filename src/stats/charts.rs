//! Pictures of a history of single values, one a night: limits of individual values and a weighted average (Montgomery,
//! Introduction to Statistical Quality Control, chapters 6 and 9). Verdicts come from [`super::evidence`].

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::descriptive::{mean, std};
use crate::error::{Error, Result};

/// What further values of a process are expected to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Centre line.
    pub centre: f64,
    /// Standard deviation from value to value.
    pub sigma: f64,
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
}

/// From the values of a period: one further value of the same normal process lies between `low` and `high` in 99.73 % of
/// cases, although centre and sigma are estimates: centre ∓ t √(1 + 1/n) sigma with n − 1 degrees of freedom. One value has
/// no limits but itself.
///
/// # Errors
/// [`Error::Invalid`] for no value.
pub fn limits(values: &[f64]) -> Result<Limits> {
    let count = values.len() as f64;
    let centre = mean(values);
    match values.len() {
        0 => Err(Error::Invalid("limits of no values".into())),
        1 => Ok(Limits { centre, sigma: 0.0, low: centre, high: centre }),
        _ => {
            let law = StudentsT::new(0.0, 1.0, count - 1.0).map_err(|cause| Error::Unexpected(cause.to_string()))?;
            let sigma = std(values);
            let reach = law.inverse_cdf(0.998_65) * (1.0 + 1.0 / count).sqrt() * sigma;
            Ok(Limits { centre, sigma, low: centre - reach, high: centre + reach })
        }
    }
}

/// The upper limit of ranges of two, in mean ranges.
const D4: f64 = 3.267;
/// Steps smaller than this many sigmas gather in no cumulative sum.
const SLACK: f64 = 0.5;

/// One point of a weighted average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Average {
    /// λx_i + (1 − λ)·previous, which starts at the centre.
    pub value: f64,
    /// Where the average of further values of the process lies, as the limits of single values.
    pub low: f64,
    /// High end of the interval.
    pub high: f64,
}

/// The exponentially weighted moving average (Roberts 1959); its limits widen towards √(λ/(2 − λ)) of those of single values.
/// Missing values leave it where it is.
#[must_use]
pub fn ewma(values: &[Option<f64>], limits: &Limits, lambda: f64) -> Vec<Option<Average>> {
    let (mut average, mut decay) = (limits.centre, 1.0);
    values
        .iter()
        .map(|value| {
            average += lambda * ((*value)? - average);
            decay *= (1.0 - lambda) * (1.0 - lambda);
            let reach = (limits.high - limits.centre) * (lambda / (2.0 - lambda) * (1.0 - decay)).sqrt();
            Some(Average { value: average, low: limits.centre - reach, high: limits.centre + reach })
        })
        .collect()
}

/// One point of the cumulative sums.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// What has gathered above the centre, in sigmas, at least 0.
    pub above: f64,
    /// What has gathered below the centre.
    pub below: f64,
}

/// The cumulative sums of what lies more than half a sigma off the centre (Page 1954); 0 where the process has no spread.
#[must_use]
pub fn cusum(values: &[Option<f64>], limits: &Limits) -> Vec<Option<Sums>> {
    let mut sums = Sums { above: 0.0, below: 0.0 };
    values
        .iter()
        .map(|value| {
            let off = (*value)? - limits.centre;
            let z = if limits.sigma > 0.0 { off / limits.sigma } else { 0.0 };
            sums = Sums { above: (sums.above + z - SLACK).max(0.0), below: (sums.below - z - SLACK).max(0.0) };
            Some(sums)
        })
        .collect()
}

/// |x_i − x_{i−1}| of each value and the one before it, where there are both.
#[must_use]
pub fn ranges(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut before = None;
    values
        .iter()
        .map(|&value| {
            let range = value.zip(before).map(|(own, before): (f64, f64)| (own - before).abs());
            before = value.or(before);
            range
        })
        .collect()
}

/// The limit that ranges of the values of a period rarely pass: 3.267 of their mean (Montgomery, chapter 6); 0 of fewer than two.
#[must_use]
pub fn range_limit(period: &[f64]) -> f64 {
    let ranges: Vec<f64> = period.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    if ranges.is_empty() { 0.0 } else { D4 * mean(&ranges) }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::*;

    #[test]
    fn limits_by_hand() {
        let found = limits(&[1.0, 2.0, 3.0]).unwrap();
        // t(2) at 99.865 % is 19.206.
        assert!(close(found.centre, 2.0, 1e-12) && close(found.sigma, 1.0, 1e-12));
        assert!(close(found.high - 2.0, 19.206 * (4.0f64 / 3.0).sqrt(), 0.01), "{}", found.high);
        assert_eq!(limits(&[5.0]).unwrap().high, 5.0);
        assert!(limits(&[]).is_err());
    }

    #[test]
    fn an_average_by_hand() {
        let limits = Limits { centre: 0.0, sigma: 1.0, low: -3.0, high: 3.0 };
        let found = ewma(&[Some(1.0), None, Some(2.0)], &limits, 0.5);
        let values: Vec<Option<f64>> = found.iter().map(|held| held.map(|held| held.value)).collect();
        assert_eq!(values, [Some(0.5), None, Some(1.25)]);
        // 3·√(1/3·(1 − 1/4)) = 1.5.
        assert!(close(found[0].unwrap().high, 1.5, 1e-12) && close(found[0].unwrap().low, -1.5, 1e-12));
    }

    #[test]
    fn sums_and_ranges_by_hand() {
        let limits = Limits { centre: 1.0, sigma: 2.0, low: 0.0, high: 2.0 };
        let found = cusum(&[Some(3.0), None, Some(4.0), Some(-1.0)], &limits);
        let above: Vec<Option<f64>> = found.iter().map(|held| held.map(|held| held.above)).collect();
        assert_eq!(above, [Some(0.5), None, Some(1.5), Some(0.0)]);
        assert_eq!(found[3].unwrap().below, 0.5);
        assert_eq!(ranges(&[Some(1.0), Some(3.0), None, Some(0.5)]), [None, Some(2.0), None, Some(2.5)]);
        assert!(close(range_limit(&[1.0, 3.0, 2.0, 6.0]), 3.267 * 7.0 / 3.0, 1e-12) && range_limit(&[1.0]) == 0.0);
    }
}
