//! Control charts over a history of single values, one per night say: individuals and moving range, Western Electric rules,
//! EWMA and CUSUM (Montgomery, Introduction to Statistical Quality Control, chapters 5, 6 and 9).

use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::descriptive::mean;
use crate::error::{Error, Result};

/// The mean range of two normal values in standard deviations.
const D2: f64 = 1.128;

/// The upper control limit of ranges of two, in mean ranges.
const D4: f64 = 3.267;

/// What a process is expected to do, from a period in which it was in control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baseline {
    /// The centre line: the mean of the period.
    pub centre: f64,
    /// The standard deviation from night to night: mean moving range / 1.128, which a slow drift does not inflate.
    pub sigma: f64,
    /// The mean of |x_i − x_{i−1}| over the period.
    pub mean_range: f64,
}

impl Baseline {
    /// From the values of the baseline period, in order of time.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two values or one that is not finite.
    pub fn new(values: &[f64]) -> Result<Self> {
        if values.len() < 2 {
            return Err(Error::Invalid(format!(
                "a control chart needs a baseline of two values at least, not {}",
                values.len()
            )));
        }
        check(values)?;
        let mean_range = mean(&moving_ranges(values));
        Ok(Self { centre: mean(values), sigma: mean_range / D2, mean_range })
    }

    /// The limits of single values: centre ∓ 3 sigma.
    #[must_use]
    pub fn limits(&self) -> (f64, f64) {
        (self.centre - 3.0 * self.sigma, self.centre + 3.0 * self.sigma)
    }

    /// The upper limit of moving ranges: 3.267 mean ranges.
    #[must_use]
    pub fn range_limit(&self) -> f64 {
        D4 * self.mean_range
    }

    /// The same with sigma and mean range widened for a period of only `count` values, so that one further value of the same
    /// process lies beyond three sigmas as rarely as the normal law says (0.27 %), although centre and sigma are estimates:
    /// the 99.865 % point of Student's t, whose degrees of freedom are those of a mean moving range, 0.88 (n − 1) (Patnaik
    /// 1950), times √(1 + 1/n), over 3.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two values.
    pub fn widened(self, count: usize) -> Result<Self> {
        if count < 2 {
            return Err(Error::Invalid(format!("a baseline of {count} values has no spread to widen")));
        }
        let freedom = 0.88 * (count - 1) as f64;
        let t = StudentsT::new(0.0, 1.0, freedom).map_err(|e| Error::Unexpected(e.to_string()))?;
        let factor = t.inverse_cdf(0.998_65) * (1.0 + 1.0 / count as f64).sqrt() / 3.0;
        Ok(Self { sigma: self.sigma * factor, mean_range: self.mean_range * factor, ..self })
    }

    /// How many sigmas `x` is off the centre; infinite for any other value if sigma is 0.
    fn standardised(&self, x: f64) -> f64 {
        let off = x - self.centre;
        if off == 0.0 { 0.0 } else { off / self.sigma }
    }
}

fn check(values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(Error::Invalid(format!("value {i} of a control chart is not finite"))),
        None => Ok(()),
    }
}

/// |x_i − x_{i−1}| of consecutive values, one fewer than there are values.
#[must_use]
pub fn moving_ranges(values: &[f64]) -> Vec<f64> {
    values.windows(2).map(|w| (w[1] - w[0]).abs()).collect()
}

/// The rules of the Western Electric handbook (1956). Each speaks of points on one side of the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// One point beyond three sigmas.
    BeyondThreeSigma,
    /// Two of three consecutive points beyond two sigmas.
    TwoOfThreeBeyondTwo,
    /// Four of five consecutive points beyond one sigma.
    FourOfFiveBeyondOne,
    /// Eight consecutive points on one side.
    EightOnOneSide,
}

/// A point at which a rule was met: the last of the points that the rule speaks of, and one of those it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Signal {
    pub index: usize,
    pub rule: Rule,
    /// Whether the points lie above the centre.
    pub above: bool,
}

/// Every point of `values` at which a Western Electric rule is met, in order.
///
/// # Errors
/// [`Error::Invalid`] if a value is not finite.
pub fn western_electric(values: &[f64], baseline: &Baseline) -> Result<Vec<Signal>> {
    check(values)?;
    let z: Vec<f64> = values.iter().map(|&x| baseline.standardised(x)).collect();
    let rules = [
        (Rule::BeyondThreeSigma, 1, 1, 3.0),
        (Rule::TwoOfThreeBeyondTwo, 2, 3, 2.0),
        (Rule::FourOfFiveBeyondOne, 4, 5, 1.0),
        (Rule::EightOnOneSide, 8, 8, 0.0),
    ];
    let mut signals = Vec::new();
    for (index, &last) in z.iter().enumerate() {
        let above = last > 0.0;
        let side = if above { 1.0 } else { -1.0 };
        for (rule, count, window, limit) in rules {
            let recent = &z[(index + 1).saturating_sub(window)..=index];
            let beyond = recent.iter().filter(|&&z| side * z > limit).count();
            if side * last > limit && beyond >= count {
                signals.push(Signal { index, rule, above });
            }
        }
    }
    Ok(signals)
}

/// One point of an EWMA chart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ewma {
    /// The weighted average λx_i + (1−λ)·previous, which starts at the centre.
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Whether the average is outside its limits.
    pub signal: bool,
}

/// The exponentially weighted moving average (Roberts 1959) of `values` with weight `lambda` in (0, 1] and limits of `width`
/// sigmas of the average itself, which widen towards their final distance; 0.2 and 2.86 are usual.
///
/// # Errors
/// [`Error::Invalid`] if a value is not finite or a parameter out of range.
pub fn ewma(values: &[f64], baseline: &Baseline, lambda: f64, width: f64) -> Result<Vec<Ewma>> {
    check(values)?;
    if !(lambda > 0.0 && lambda <= 1.0 && width > 0.0) {
        return Err(Error::Invalid(format!(
            "an EWMA chart of weight {lambda} and width {width}: 0 < weight ≤ 1 and 0 < width"
        )));
    }
    let mut value = baseline.centre;
    let mut decay = 1.0;
    let points = values.iter().map(|&x| {
        value += lambda * (x - value);
        decay *= (1.0 - lambda) * (1.0 - lambda);
        let reach = width * baseline.sigma * (lambda / (2.0 - lambda) * (1.0 - decay)).sqrt();
        let (low, high) = (baseline.centre - reach, baseline.centre + reach);
        Ewma { value, low, high, signal: value < low || value > high }
    });
    Ok(points.collect())
}

/// One point of a CUSUM chart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cusum {
    /// What has gathered above the centre, in sigmas, at least 0.
    pub above: f64,
    /// What has gathered below the centre, in sigmas, at least 0.
    pub below: f64,
    /// Whether either exceeds the decision interval.
    pub signal: bool,
}

/// The tabular cumulative sums (Page 1954) of `values` with `slack` and `decision` interval in sigmas; 0.5 and 5 find shifts of
/// one sigma in about ten points.
///
/// # Errors
/// [`Error::Invalid`] if a value is not finite, the slack negative, or the interval not positive.
pub fn cusum(values: &[f64], baseline: &Baseline, slack: f64, decision: f64) -> Result<Vec<Cusum>> {
    check(values)?;
    if !(slack >= 0.0 && decision > 0.0) {
        return Err(Error::Invalid(format!(
            "a CUSUM chart of slack {slack} and interval {decision}: 0 ≤ slack and 0 < interval"
        )));
    }
    let (mut above, mut below) = (0.0f64, 0.0f64);
    let points = values.iter().map(|&x| {
        let z = baseline.standardised(x);
        // After an infinite sum nothing is finite again: sigma is 0 and the process has moved.
        above = if above.is_infinite() { above } else { (above + z - slack).max(0.0) };
        below = if below.is_infinite() { below } else { (below - z - slack).max(0.0) };
        Cusum { above, below, signal: above > decision || below > decision }
    });
    Ok(points.collect())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::*;

    /// Centre 10, sigma 1: mean moving range 1.128.
    fn unit() -> Baseline {
        let b = Baseline::new(&[10.0 - 0.564, 10.0 + 0.564, 10.0 - 0.564, 10.0 + 0.564]).unwrap();
        assert!(close(b.centre, 10.0, 1e-12) && close(b.sigma, 1.0, 1e-12));
        b
    }

    fn rules(values: &[f64]) -> Vec<(usize, Rule, bool)> {
        western_electric(values, &unit()).unwrap().into_iter().map(|s| (s.index, s.rule, s.above)).collect()
    }

    #[test]
    fn limits_by_hand() {
        let b = Baseline::new(&[1.0, 3.0, 2.0, 6.0]).unwrap();
        assert_eq!(moving_ranges(&[1.0, 3.0, 2.0, 6.0]), [2.0, 1.0, 4.0]);
        assert!(close(b.sigma, 7.0 / 3.0 / 1.128, 1e-12));
        let (low, high) = b.limits();
        // The textbook factor 2.66 = 3/1.128.
        assert!(close(high, 3.0 + 2.66 * 7.0 / 3.0, 2e-3) && close(low, 3.0 - 2.66 * 7.0 / 3.0, 2e-3));
        assert!(close(b.range_limit(), 3.267 * 7.0 / 3.0, 1e-12));
        assert!(Baseline::new(&[1.0]).is_err() && Baseline::new(&[1.0, f64::NAN]).is_err());
    }

    #[test]
    fn short_periods_have_wider_limits() {
        let factor = |count| unit().widened(count).unwrap().sigma;
        // By numerical integration of the density of Student's t.
        for (count, expected) in [(5, 2.76), (10, 1.50), (20, 1.20), (30, 1.13)] {
            assert!(close(factor(count), expected, 0.01), "{count}: {}", factor(count));
        }
        assert!(close(factor(100_000), 1.0, 1e-3) && unit().widened(1).is_err());
        assert!(close(unit().widened(10).unwrap().range_limit(), unit().range_limit() * factor(10), 1e-9));
    }

    #[test]
    fn each_rule_alone() {
        assert_eq!(
            rules(&[10.0, 13.1, 10.0, 6.9]),
            [(1, Rule::BeyondThreeSigma, true), (3, Rule::BeyondThreeSigma, false)]
        );
        assert_eq!(rules(&[12.5, 10.0, 12.5]), [(2, Rule::TwoOfThreeBeyondTwo, true)]);
        assert_eq!(rules(&[12.5, 7.5, 10.0]), [], "not on one side");
        assert_eq!(rules(&[8.5, 8.5, 10.5, 8.5, 8.5]), [(4, Rule::FourOfFiveBeyondOne, false)]);
        assert_eq!(rules(&[10.5; 8]), [(7, Rule::EightOnOneSide, true)]);
        assert_eq!(rules(&[10.5; 7]), []);
        assert_eq!(rules(&[10.0; 20]), []);
    }

    #[test]
    fn ewma_by_hand() {
        let e = ewma(&[11.0, 12.0], &unit(), 0.2, 3.0).unwrap();
        assert!(close(e[0].value, 10.2, 1e-12) && close(e[1].value, 10.56, 1e-12));
        assert!(close(e[0].high, 10.0 + 3.0 * 0.2, 1e-12), "one point alone has lambda sigma");
        assert!(close(e[1].high, 10.0 + 3.0 * (0.04f64 + 0.04 * 0.64).sqrt(), 1e-12));
        assert!(!e[0].signal && !e[1].signal);
        let shifted = ewma(&[11.5; 10], &unit(), 0.2, 3.0).unwrap();
        assert!(shifted.iter().any(|p| p.signal), "a shift that no single point shows");
        assert!(ewma(&[1.0], &unit(), 0.0, 3.0).is_err() && ewma(&[f64::NAN], &unit(), 0.2, 3.0).is_err());
    }

    #[test]
    fn cusum_by_hand() {
        let c = cusum(&[11.0, 9.0, 12.0], &unit(), 0.5, 5.0).unwrap();
        let sums: Vec<(f64, f64)> = c.iter().map(|p| (p.above, p.below)).collect();
        for (ours, expected) in sums.iter().zip([(0.5, 0.0), (0.0, 0.5), (1.5, 0.0)]) {
            assert!(close(ours.0, expected.0, 1e-12) && close(ours.1, expected.1, 1e-12), "{sums:?}");
        }
        let first = cusum(&[11.0; 20], &unit(), 0.5, 5.0).unwrap().iter().position(|p| p.signal);
        assert!(matches!(first, Some(9..=11)), "half a sigma gathers each night: {first:?}");
        assert!(cusum(&[1.0], &unit(), -0.1, 5.0).is_err() && cusum(&[1.0], &unit(), 0.5, 0.0).is_err());
    }

    #[test]
    fn a_constant_baseline_signals_any_change() {
        let b = Baseline::new(&[0.5, 0.5, 0.5]).unwrap();
        assert!(western_electric(&[0.5, 0.5], &b).unwrap().is_empty());
        assert_eq!(western_electric(&[0.5, 0.6], &b).unwrap()[0].rule, Rule::BeyondThreeSigma);
        let c = cusum(&[0.5, 0.6, 0.4, 0.5], &b, 0.5, 5.0).unwrap();
        assert_eq!(c.iter().map(|p| p.signal).collect::<Vec<_>>(), [false, true, true, true]);
        assert!(c.iter().all(|p| !p.above.is_nan() && !p.below.is_nan()));
        assert!(ewma(&[0.5, 0.6], &b, 0.2, 3.0).unwrap()[1].signal);
    }
}
