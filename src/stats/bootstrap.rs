//! Confidence intervals over runs, by resampling the runs (Efron 1979).
//!
//! Sweeps are small, and the plain percentile interval of n values is too short by about √((n−1)/n) and by the difference of
//! Student's t from the normal. Intervals here take the percentiles that make up for both (the expanded percentile interval,
//! Hesterberg 2015, arXiv 1411.5279, section 4.2).

use rayon::prelude::*;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};

use super::descriptive::{ascending, mean, quantile_sorted};
use super::pairs::Pairs;
use super::rng::Stream;
use crate::error::{Error, Result};

/// An estimate with a confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The value found.
    pub estimate: f64,
    /// Low end of the interval.
    pub low: f64,
    /// High end of the interval.
    pub high: f64,
}

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples, at least 1; a few thousand.
    pub resamples: usize,
    /// Confidence level in (0, 1), 0.95 by convention.
    pub level: f64,
    /// Root of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// The interval of `statistic` over `values`, one for each run. Does not depend on their order. With one value the interval
    /// is that value's own statistic.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no values, one that is not finite, no resamples, or a level outside (0, 1).
    pub fn interval(&self, values: &[f64], statistic: impl Fn(&[f64]) -> f64 + Sync) -> Result<Interval> {
        check(values)?;
        let values = ascending(values);
        let estimate = statistic(&values);
        let (low, high) = self.resample(values.len(), estimate, |stream, work: &mut Vec<f64>| {
            work.clear();
            work.extend(values.iter().map(|_| values[stream.index(values.len())]));
            statistic(work)
        })?;
        Ok(Interval { estimate, low, high })
    }

    /// The interval of `statistic(a, b)`, a difference say, over two sets of runs that are resampled separately.
    ///
    /// # Errors
    /// As [`Self::interval`], for either set.
    pub fn two_samples(
        &self,
        a: &[f64],
        b: &[f64],
        statistic: impl Fn(&[f64], &[f64]) -> f64 + Sync,
    ) -> Result<Interval> {
        check(a)?;
        check(b)?;
        let (a, b) = (ascending(a), ascending(b));
        let estimate = statistic(&a, &b);
        let (low, high) =
            self.resample(a.len().min(b.len()), estimate, |stream, work: &mut (Vec<f64>, Vec<f64>)| {
                work.0.clear();
                work.0.extend(a.iter().map(|_| a[stream.index(a.len())]));
                work.1.clear();
                work.1.extend(b.iter().map(|_| b[stream.index(b.len())]));
                statistic(&work.0, &work.1)
            })?;
        Ok(Interval { estimate, low, high })
    }

    /// The interval of the mean over pairs of runs, mean churn say: runs are resampled, and pairs of a run with itself are left
    /// out of a resample's mean.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two runs, a value that is not finite, no resamples, or a level outside (0, 1).
    pub fn mean_of_pairs(&self, pairs: &Pairs) -> Result<Interval> {
        let runs = pairs.runs();
        if runs < 2 {
            return Err(Error::Invalid("a mean over pairs of runs needs at least two runs".into()));
        }
        check(&pairs.iter().map(|p| p.2).collect::<Vec<_>>())?;
        let estimate = pairs.mean();
        let (low, high) = self.resample(runs, estimate, |stream, counts: &mut Vec<f64>| {
            counts.clear();
            counts.resize(runs, 0.0);
            (0..runs).for_each(|_| counts[stream.index(runs)] += 1.0);
            let (mut sum, mut weight) = (0.0, 0.0);
            for (a, b, value) in pairs.iter() {
                let w = counts[a] * counts[b];
                sum += w * value;
                weight += w;
            }
            // All draws of one run, which has no pair: nothing was learnt.
            if weight == 0.0 { estimate } else { sum / weight }
        })?;
        Ok(Interval { estimate, low, high })
    }

    /// Low and high of `draw`, for samples of (at least) `n`; draws that give NaN are left out.
    fn resample<W: Default + Send>(
        &self,
        n: usize,
        estimate: f64,
        draw: impl Fn(&mut Stream, &mut W) -> f64 + Sync,
    ) -> Result<(f64, f64)> {
        if self.resamples == 0 || !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::Invalid(format!(
                "a bootstrap of {} resamples at level {}: one resample and a level between 0 and 1 are needed",
                self.resamples, self.level
            )));
        }
        if n < 2 {
            return Ok((estimate, estimate));
        }
        let draws: Vec<f64> = (0..self.resamples)
            .into_par_iter()
            .map_init(W::default, |work, i| draw(&mut Stream::new(self.seed, i as u64), work))
            .collect();
        let sorted = ascending(&draws.into_iter().filter(|d| !d.is_nan()).collect::<Vec<_>>());
        let tail = expanded_tail(n, self.level)?;
        Ok((quantile_sorted(&sorted, tail), quantile_sorted(&sorted, 1.0 - tail)))
    }

    /// The interval of the mean; see [`Self::interval`].
    ///
    /// # Errors
    /// As [`Self::interval`].
    pub fn mean(&self, values: &[f64]) -> Result<Interval> {
        self.interval(values, mean)
    }
}

/// The percentile that an interval of n values starts at: Φ(√(n/(n−1))·t), t the same percentile of Student's t with n−1
/// degrees of freedom.
fn expanded_tail(n: usize, level: f64) -> Result<f64> {
    let freedom = (n - 1) as f64;
    let unexpected = |e: statrs::distribution::StudentsTError| Error::Unexpected(e.to_string());
    let t = StudentsT::new(0.0, 1.0, freedom).map_err(unexpected)?.inverse_cdf(0.5 * (1.0 - level));
    Ok(Normal::standard().cdf(t * (n as f64 / freedom).sqrt()))
}

/// Refuses no value, and one that is not finite.
pub(super) fn check(values: &[f64]) -> Result<()> {
    if values.is_empty() {
        return Err(Error::Invalid("an interval over runs needs at least one run".into()));
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(m) => Err(Error::Invalid(format!("value {m} is not finite: leave that run out of the interval"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::descriptive::{median, std};
    use super::super::fixtures::close;
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 2000, level: 0.95, seed: 3 };

    #[test]
    fn the_tail_is_that_of_the_paper() {
        // Hesterberg 2015, table 1: for n = 10 the one-sided 0.025 becomes 0.0086, for n = 40 it becomes 0.0203 or so.
        assert!(close(expanded_tail(10, 0.95).unwrap(), 0.008_58, 2e-4));
        assert!(close(expanded_tail(100_000, 0.95).unwrap(), 0.025, 1e-5));
    }

    #[test]
    fn covers_the_mean_about_as_often_as_it_says() {
        let mut stream = Stream::new(1, 0);
        let covered = (0..400)
            .filter(|_| {
                let values: Vec<f64> = (0..10).map(|_| (0..6).map(|_| stream.uniform()).sum::<f64>()).collect();
                let i = Bootstrap { resamples: 1000, ..BOOTSTRAP }.mean(&values).unwrap();
                i.low <= 3.0 && 3.0 <= i.high
            })
            .count();
        assert!((368..=392).contains(&covered), "{covered} of 400 at 95 %");
    }

    #[test]
    fn order_and_threads_do_not_matter() {
        let values = [0.3, 0.9, 0.1, 0.5, 0.45, 0.2];
        let mut reversed = values;
        reversed.reverse();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        for statistic in [mean, std, median] {
            let a = BOOTSTRAP.interval(&values, statistic).unwrap();
            assert_eq!(a, one.install(|| BOOTSTRAP.interval(&reversed, statistic)).unwrap());
            assert!(a.low < a.estimate && a.estimate < a.high);
        }
    }

    #[test]
    fn two_samples_see_a_difference() {
        let (a, b) = ([1.0, 1.1, 0.9, 1.05, 0.95], [2.0, 2.1, 1.9, 2.05]);
        let i = BOOTSTRAP.two_samples(&a, &b, |a, b| mean(b) - mean(a)).unwrap();
        assert!(close(i.estimate, 1.0125, 1e-12) && i.low > 0.7 && i.high < 1.3, "{i:?}");
    }

    #[test]
    fn pairs_leave_a_run_and_itself_out() {
        let same = Pairs::from_rows(vec![vec![0.2, 0.2, 0.2], vec![0.2, 0.2], vec![0.2], vec![]]);
        let i = BOOTSTRAP.mean_of_pairs(&same).unwrap();
        assert!(close(i.low, 0.2, 1e-12) && close(i.high, 0.2, 1e-12), "{i:?}");
    }

    #[test]
    fn little_or_broken_input() {
        let one = BOOTSTRAP.mean(&[2.0]).unwrap();
        assert_eq!(one, Interval { estimate: 2.0, low: 2.0, high: 2.0 });
        assert!(BOOTSTRAP.mean(&[]).is_err() && BOOTSTRAP.mean(&[f64::NAN]).is_err());
        assert!(Bootstrap { resamples: 0, ..BOOTSTRAP }.mean(&[1.0]).is_err());
        assert!(Bootstrap { level: 1.0, ..BOOTSTRAP }.mean(&[1.0]).is_err());
        assert!(BOOTSTRAP.mean_of_pairs(&Pairs::from_rows(vec![vec![]])).is_err());
    }
}
