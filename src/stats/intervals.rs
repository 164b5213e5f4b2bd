//! Confidence intervals over runs: of a mean, of a standard deviation, of a mean over pairs, of a share. How often each covers
//! the truth at few runs is measured by `tests/verdicts` and stated in `docs/definitions.md`.

use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal, StudentsT};

use super::bootstrap::{Bootstrap, check};
use super::descriptive::{mean, std};
use crate::error::{Error, Result};

/// Below so many runs a resample holds too few different values, and Student's t is used.
const RESAMPLED_FROM: usize = 8;

/// The ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Low end of the interval.
    pub low: f64,
    /// High end of the interval.
    pub high: f64,
}

impl Bounds {
    fn around(centre: f64, half: f64) -> Self {
        Self { low: centre - half, high: centre + half }
    }
}

/// The interval of the mean of one value per run: Student's t below eight runs, the expanded bootstrap of [`Bootstrap::mean`]
/// from there. None for a single run.
///
/// # Errors
/// As [`Bootstrap::mean`].
pub fn of_mean(values: &[f64], bootstrap: &Bootstrap) -> Result<Option<Bounds>> {
    check(values)?;
    if values.len() < 2 {
        return Ok(None);
    }
    if values.len() < RESAMPLED_FROM {
        let half = student(values.len() - 1, bootstrap.level)? * std(values) / (values.len() as f64).sqrt();
        return Ok(Some(Bounds::around(mean(values), half)));
    }
    let found = bootstrap.mean(values)?;
    Ok(Some(Bounds { low: found.low, high: found.high }))
}

/// The interval of the standard deviation of one value per run, from the χ² distribution of its square. None for fewer than
/// three runs: from two it spans a factor of 70.
///
/// # Errors
/// [`Error::Invalid`] for no values, one that is not finite, or a level outside (0, 1).
pub fn of_std(values: &[f64], level: f64) -> Result<Option<Bounds>> {
    check(values)?;
    check_level(level)?;
    if values.len() < 3 {
        return Ok(None);
    }
    let freedom = (values.len() - 1) as f64;
    let law = ChiSquared::new(freedom).map_err(|cause| Error::Unexpected(cause.to_string()))?;
    let at = |q: f64| std(values) * (freedom / law.inverse_cdf(q)).sqrt();
    Ok(Some(Bounds { low: at(0.5 * (1.0 + level)), high: at(0.5 * (1.0 - level)) }))
}

/// The interval of a mean over all pairs of M runs, a U-statistic, from each run's mean over its M − 1 pairs: the jackknife,
/// which leaves out one run at a time, with Student's t of M − 1 degrees (Arvesen 1969). Leaving out run m moves the mean by
/// 2(c̄ − c_m)/(M − 2), so the standard error is 2(M − 1)/(M − 2)·s_c/√M. None for fewer than three runs.
///
/// # Errors
/// [`Error::Invalid`] for no values, one that is not finite, or a level outside (0, 1).
pub fn of_mean_over_pairs(run_means: &[f64], level: f64) -> Result<Option<Bounds>> {
    check(run_means)?;
    if run_means.len() < 3 {
        return Ok(None);
    }
    let runs = run_means.len() as f64;
    let error = 2.0 * (runs - 1.0) / (runs - 2.0) * std(run_means) / runs.sqrt();
    Ok(Some(Bounds::around(mean(run_means), student(run_means.len() - 1, level)? * error)))
}

/// The interval of a share of which `hits` of `trials` were seen (Wilson 1927); all of [0, 1] for no trials.
///
/// # Errors
/// [`Error::Invalid`] for more hits than trials or a level outside (0, 1).
pub fn of_share(hits: usize, trials: usize, level: f64) -> Result<Bounds> {
    check_level(level)?;
    if hits > trials {
        return Err(Error::Invalid(format!("{hits} of {trials} is no share")));
    }
    if trials == 0 {
        return Ok(Bounds { low: 0.0, high: 1.0 });
    }
    let z = Normal::standard().inverse_cdf(0.5 * (1.0 + level));
    let (n, share) = (trials as f64, hits as f64 / trials as f64);
    let scale = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / scale;
    let half = z / scale * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    // Rounding must not leave the range, nor miss its ends.
    let low = if hits == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if hits == trials { 1.0 } else { (centre + half).min(1.0) };
    Ok(Bounds { low, high })
}

/// The two-sided point of Student's t for a confidence `level`.
///
/// # Errors
/// [`Error::Invalid`] for a level outside (0, 1).
pub fn student(freedom: usize, level: f64) -> Result<f64> {
    check_level(level)?;
    let law = StudentsT::new(0.0, 1.0, freedom as f64).map_err(|cause| Error::Unexpected(cause.to_string()))?;
    Ok(law.inverse_cdf(0.5 * (1.0 + level)))
}

fn check_level(level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(Error::Invalid(format!("an interval at level {level}: a level between 0 and 1 is needed")))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::super::pairs::Pairs;
    use super::super::rng::Stream;
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 500, level: 0.95, seed: 3 };

    #[test]
    fn worked_by_hand() {
        // 1, 2, 3: t of two degrees is 4.3027, the standard error 1/√3.
        let mean = of_mean(&[1.0, 2.0, 3.0], &BOOTSTRAP).unwrap().unwrap();
        assert!(close(mean.low, 2.0 - 4.302_652_7 / 3f64.sqrt(), 1e-6) && close(mean.low + mean.high, 4.0, 1e-12));
        // χ² of two degrees: −2 ln(0.025) and −2 ln(0.975).
        let std = of_std(&[1.0, 2.0, 3.0], 0.95).unwrap().unwrap();
        assert!(
            close(std.low, (2.0f64 / 7.377_759).sqrt(), 1e-6) && close(std.high, (2.0f64 / 0.050_635_6).sqrt(), 1e-4)
        );
        // 8 of 10 (Wilson): 0.4902 to 0.9433.
        let share = of_share(8, 10, 0.95).unwrap();
        assert!(close(share.low, 0.490_16, 1e-5) && close(share.high, 0.943_32, 1e-5), "{share:?}");
        assert_eq!(of_share(0, 0, 0.95).unwrap(), Bounds { low: 0.0, high: 1.0 });
        assert!(of_share(0, 9, 0.95).unwrap().low == 0.0 && of_share(9, 9, 0.95).unwrap().high == 1.0);
    }

    #[test]
    fn the_jackknife_leaves_out_one_run_at_a_time() {
        let pairs = Pairs::from_fn(5, |a, b| ((3 * a + 7 * b) % 11) as f64);
        let without = |out: usize| {
            let kept: Vec<f64> = pairs.iter().filter(|p| p.0 != out && p.1 != out).map(|p| p.2).collect();
            mean(&kept)
        };
        let left: Vec<f64> = (0..5).map(without).collect();
        let error = (left.iter().map(|v| (v - mean(&left)).powi(2)).sum::<f64>() * 4.0 / 5.0).sqrt();
        let found = of_mean_over_pairs(&pairs.run_means(), 0.95).unwrap().unwrap();
        assert!(close(0.5 * (found.high - found.low), student(4, 0.95).unwrap() * error, 1e-9));
        assert!(close(0.5 * (found.high + found.low), pairs.mean(), 1e-9));
    }

    #[test]
    fn too_few_runs_have_no_interval() {
        assert_eq!(of_mean(&[1.0], &BOOTSTRAP).unwrap(), None);
        assert_eq!(of_std(&[1.0, 2.0], 0.95).unwrap(), None);
        assert_eq!(of_mean_over_pairs(&[0.1, 0.1], 0.95).unwrap(), None);
        assert!(of_mean(&[], &BOOTSTRAP).is_err() && of_std(&[f64::NAN, 1.0, 2.0], 0.95).is_err());
        assert!(of_std(&[1.0, 2.0, 3.0], 1.0).is_err() && of_share(3, 2, 0.95).is_err());
    }

    #[test]
    fn means_and_deviations_are_covered_as_often_as_they_say() {
        for runs in [3, 5, 10] {
            let (mut means, mut stds) = (0, 0);
            for trial in 0..1000 {
                let mut stream = Stream::new(5, trial);
                let values: Vec<f64> = (0..runs).map(|_| stream.normal()).collect();
                let found = of_mean(&values, &BOOTSTRAP).unwrap().unwrap();
                means += u32::from(found.low <= 0.0 && 0.0 <= found.high);
                let found = of_std(&values, 0.95).unwrap().unwrap();
                stds += u32::from(found.low <= 1.0 && 1.0 <= found.high);
            }
            // 950 ± 3 · 6.9, and the bootstrap a little less.
            assert!((925..=975).contains(&means) && (929..=971).contains(&stds), "{runs}: {means} {stds}");
        }
    }
}
