//! Which of M runs lies apart from the others, and how often one does by chance.
//!
//! A run's modified z-score is 0.6745·(x − median)/scale, where the scale is the larger of the median absolute deviation (MAD)
//! and 0.6745 times the standard deviation that N examples alone give the quantity (Iglewicz & Hoaglin 1993, with a floor).
//! One bad run cannot hide from median and MAD, but with few runs the MAD itself is uncertain, so a fixed limit cries wolf:
//! the largest of six healthy scores exceeds 3.5 in most sweeps. [`limit`] gives the value that the largest |score| over all
//! runs and quantities of a healthy (normal) ensemble exceeds with the stated probability.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use statrs::function::erf::erfc;

use super::descriptive::{mad, median};
use super::rng::Stream;
use crate::error::{Error, Result};

/// The third quartile of the standard normal distribution, which makes a MAD comparable with a standard deviation.
pub const QUARTILE: f64 = 0.6745;

/// Below so many runs the MAD says next to nothing, and no score is judged.
pub const FEWEST: usize = 6;

/// Normal draws that a limit is computed from, about.
const DRAWS: usize = 1_000_000;

/// 0.6745·(x − median)/max(MAD, 0.6745·`floor`) of each value, signed; `floor` is the standard deviation below which nothing
/// can be told apart. A value equal to the median has score 0 whatever the scale. NaN values, and all values of a slice that
/// contains one, get NaN.
#[must_use]
pub fn robust_scores(values: &[f64], floor: f64) -> Vec<f64> {
    if values.iter().any(|v| v.is_nan()) {
        return vec![f64::NAN; values.len()];
    }
    let (centre, scale) = (median(values), scale(values, floor));
    let score = |v: &f64| if *v == centre { 0.0 } else { QUARTILE * (v - centre) / scale };
    values.iter().map(score).collect()
}

/// max(MAD, 0.6745·`floor`): what a score of 0.6745 is worth in the unit of the values.
#[must_use]
pub fn scale(values: &[f64], floor: f64) -> f64 {
    mad(values).max(QUARTILE * floor)
}

/// The largest |score| of normal ensembles of M runs, as a tail probability that is smooth down to any depth.
///
/// Of a drawn ensemble only its most extreme runs are integrated out: given the others, the median and the MAD no longer
/// depend on how far out these are, so the chance that they pass the limit is a ratio of normal tails.
#[derive(Debug)]
pub struct LargestScore {
    draws: Vec<Inner>,
    /// Limits that were computed already, by the bits of their chance.
    known: Mutex<BTreeMap<u64, f64>>,
}

/// What one draw says of the limits that its extremes must pass.
#[derive(Debug, Clone, Copy)]
struct Inner {
    /// The largest value but one; the largest is beyond it.
    inner_top: f64,
    /// Median and MAD with the largest run at infinity.
    centre: f64,
    mad: f64,
    /// The second smallest value, and the MAD with both the largest and the smallest run at infinity.
    inner_bottom: f64,
    mad_both: f64,
}

impl LargestScore {
    /// For ensembles of `runs` runs; always the same draws, which are made once in a process.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than [`FEWEST`] runs.
    pub fn of(runs: usize) -> Result<Arc<Self>> {
        static KNOWN: Mutex<BTreeMap<usize, Arc<LargestScore>>> = Mutex::new(BTreeMap::new());
        // A thread that died while it held the lock left the map as it was.
        if let Some(held) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&runs) {
            return Ok(Arc::clone(held));
        }
        let made = Arc::new(Self::new(runs)?);
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(runs, Arc::clone(&made));
        Ok(made)
    }

    fn new(runs: usize) -> Result<Self> {
        if runs < FEWEST {
            return Err(Error::Invalid(format!(
                "outliers are judged among at least {FEWEST} runs, and there are {runs}"
            )));
        }
        let count = (DRAWS / runs).clamp(200, 8_000);
        let mut stream = Stream::new(0x6f75_746c, runs as u64);
        let mut values = vec![0.0; runs];
        let draws = (0..count)
            .map(|_| {
                values.fill_with(|| stream.normal());
                values.sort_unstable_by(f64::total_cmp);
                let (inner_bottom, inner_top) = (values[1], values[runs - 2]);
                let smallest = values[0];
                values[runs - 1] = f64::INFINITY;
                let centre = median(&values);
                let mad_one = mad(&values);
                values[0] = f64::NEG_INFINITY;
                let mad_both = mad(&values);
                values[0] = smallest;
                Inner { inner_top, centre, mad: mad_one, inner_bottom, mad_both }
            })
            .collect();
        Ok(Self { draws, known: Mutex::default() })
    }

    /// The chance that some |score| of one quantity exceeds `limit`; meant for limits of 2 and more.
    #[must_use]
    pub fn beyond(&self, limit: f64) -> f64 {
        let mean = self.draws.iter().map(|draw| draw.beyond(limit)).sum::<f64>() / self.draws.len() as f64;
        mean.clamp(0.0, 1.0)
    }

    /// The limit that some |score| of `quantities` independent quantities exceeds with probability `false_alarm`.
    #[must_use]
    pub fn limit(&self, quantities: usize, false_alarm: f64) -> f64 {
        let each = share(false_alarm, quantities);
        if let Some(&held) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&each.to_bits()) {
            return held;
        }
        // A chance above one half means a limit below any that is of use.
        let (mut low, mut high) = (2f64.ln(), 1e6f64.ln());
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            if self.beyond(middle.exp()) > each { low = middle } else { high = middle }
        }
        let limit = (0.5 * (low + high)).exp();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(each.to_bits(), limit);
        limit
    }
}

impl Inner {
    fn beyond(&self, limit: f64) -> f64 {
        // Both ends are alike, so the chance of either is twice that of one, less that of both at once.
        let top = self.centre + limit * self.mad / QUARTILE;
        let one = tail(top.max(self.inner_top)) / tail(self.inner_top);
        let reach = limit * self.mad_both / QUARTILE;
        let above = tail((self.centre + reach).max(self.inner_top)) / tail(self.inner_top);
        let below = tail((reach - self.centre).max(-self.inner_bottom)) / tail(-self.inner_bottom);
        2.0 * one - above * below
    }
}

/// The chance that each of `count` independent events may have for one of them to happen with chance `all`.
#[must_use]
pub fn share(all: f64, count: usize) -> f64 {
    -((-all).ln_1p() / count.max(1) as f64).exp_m1()
}

/// The chance that a standard normal number exceeds `x`.
fn tail(x: f64) -> f64 {
    0.5 * erfc(x * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let z = robust_scores(&[1.0, 2.0, 3.0, 4.0, 10.0], 0.0);
        let expected = [-2.0, -1.0, 0.0, 1.0, 7.0].map(|off| QUARTILE * off);
        assert!(z.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{z:?}");
        // The floor is the larger scale: 7/2.
        let z = robust_scores(&[1.0, 2.0, 3.0, 4.0, 10.0], 2.0);
        assert!((z[4] - 3.5).abs() < 1e-12, "{z:?}");
    }

    #[test]
    fn no_spread_and_no_floor_still_have_scores() {
        assert_eq!(robust_scores(&[5.0, 5.0, 5.0, 5.1], 0.0), [0.0, 0.0, 0.0, f64::INFINITY]);
        assert_eq!(robust_scores(&[5.0], 0.0), [0.0]);
        assert!(robust_scores(&[1.0, f64::NAN], 0.0)[0].is_nan());
        // One example of 600: one deviation, not infinitely many.
        let accuracy = [0.9, 0.9, 0.9, 0.9, 0.9, 0.9 - 1.0 / 600.0];
        let z = robust_scores(&accuracy, 1.0 / 600.0);
        assert!((z[5] + 1.0).abs() < 1e-9, "{z:?}");
    }

    #[test]
    fn limits_are_those_of_simulated_ensembles() {
        // Five quantities at 5 %: quantiles of 200,000 and more simulated sweeps by an independent program.
        for (runs, expected) in [(6, 10.0), (8, 7.9), (10, 6.92), (20, 5.21), (50, 4.47), (100, 4.29)] {
            let found = LargestScore::new(runs).unwrap().limit(5, 0.05);
            assert!((found / expected - 1.0).abs() < 0.03, "{runs} runs: {found} instead of {expected}");
        }
        assert!(LargestScore::of(5).is_err());
    }

    #[test]
    fn the_false_alarm_rate_is_as_stated() {
        // Fresh ensembles, counted.
        let (runs, quantities, sweeps) = (8, 3, 4000);
        let limit = LargestScore::new(runs).unwrap().limit(quantities, 0.05);
        let mut stream = Stream::new(99, 0);
        let alarms = (0..sweeps)
            .filter(|_| {
                (0..quantities).any(|_| {
                    let values: Vec<f64> = (0..runs).map(|_| stream.normal()).collect();
                    robust_scores(&values, 0.0).iter().any(|z| z.abs() > limit)
                })
            })
            .count();
        // 200 ± 3 · 13.8.
        assert!((158..=242).contains(&alarms), "{alarms} of {sweeps}");
    }

    #[test]
    fn deep_tails_are_smooth() {
        let largest = LargestScore::new(8).unwrap();
        let limits: Vec<f64> = [5, 50, 500, 5000].map(|quantities| largest.limit(quantities, 0.05)).to_vec();
        assert!(limits.windows(2).all(|pair| pair[1] > 1.1 * pair[0] && pair[1] < 4.0 * pair[0]), "{limits:?}");
        assert!((share(0.05, 1) - 0.05).abs() < 1e-15 && (share(0.05, 5) - 0.010_206).abs() < 1e-6);
    }
}
