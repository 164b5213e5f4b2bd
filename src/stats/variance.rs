//! How much of the variance of accuracy between runs is noise of a finite test set (Jordan 2024, arXiv 2304.01910).

use serde::Serialize;

use statrs::distribution::{ChiSquared, ContinuousCDF as _};

use super::descriptive::variance;
use crate::error::{Error, Result};

/// The variance of accuracy between runs, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AccuracyVariance {
    /// Observed sample standard deviation of accuracy over the runs.
    pub std_observed: f64,
    /// The standard deviation that independent errors predict: √(N⁻² Σ e_i(1−e_i)), e_i the share of runs that are wrong on i.
    pub std_predicted_independent: f64,
    /// Unbiased estimate of the variance on an infinite test set; negative where noise alone explains more than was seen.
    pub variance_distribution: f64,
    /// Its square root, 0 where it is negative.
    pub std_distribution: f64,
    /// Number of runs M.
    pub runs: usize,
}

/// The share of the variance between runs that is noise of the test set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseShare {
    /// In [0, 1].
    pub estimate: f64,
    /// Low end of the 95 % interval.
    pub low: f64,
    /// High end of the 95 % interval.
    pub high: f64,
    /// The chance of at least the observed variance if every example were decided independently in each run.
    pub p: f64,
}

impl AccuracyVariance {
    /// The share of the observed variance that is noise of the test set, with an interval over runs of the confidence `level`;
    /// None where no variance was seen.
    ///
    /// The noise is a mean over many examples and known well; what few runs leave open is the variance between them, of which
    /// M − 1 times the observed over the true one follows χ² of M − 1 degrees. Under independent decisions the accuracy of a run
    /// is nearly normal, so the same law gives the p-value.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a level outside (0, 1).
    pub fn noise_share(&self, level: f64) -> Result<Option<NoiseShare>> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Invalid(format!("an interval at level {level}: a level between 0 and 1 is needed")));
        }
        let observed = self.std_observed * self.std_observed;
        if observed <= 0.0 {
            return Ok(None);
        }
        let freedom = (self.runs - 1) as f64;
        let law = ChiSquared::new(freedom).map_err(|cause| Error::Unexpected(cause.to_string()))?;
        let noise = (observed - self.variance_distribution).max(0.0);
        // At a true variance of observed·freedom/quantile.
        let at = |q: f64| (noise * law.inverse_cdf(q) / (freedom * observed)).clamp(0.0, 1.0);
        Ok(Some(NoiseShare {
            estimate: (noise / observed).clamp(0.0, 1.0),
            low: at(0.5 * (1.0 - level)),
            high: at(0.5 * (1.0 + level)),
            p: if noise > 0.0 { law.sf(freedom * observed / noise) } else { 0.0 },
        }))
    }
}

/// Takes the variance of accuracy apart, from the decisions `[N]` of each of M runs.
///
/// The distribution-wise variance is N/(N−1)·(Var(err) − N⁻² Σ Var(err_i)), with M−1 in each variance's denominator.
///
/// # Errors
/// [`Error::Invalid`] for fewer than two runs or examples, or if a number of decisions is not that of the labels.
pub fn accuracy_variance(decisions: &[Vec<u32>], labels: &[u32]) -> Result<AccuracyVariance> {
    let (runs, examples) = (decisions.len(), labels.len());
    if runs < 2 || examples < 2 {
        return Err(Error::Invalid(format!(
            "the variance between runs needs two runs and two examples at least, and there are {runs} and {examples}"
        )));
    }
    if let Some(m) = decisions.iter().position(|d| d.len() != examples) {
        return Err(Error::Invalid(format!("run {m} has {} decisions for {examples} labels", decisions[m].len())));
    }
    let (m, n) = (runs as f64, examples as f64);
    let errors: Vec<f64> =
        decisions.iter().map(|d| d.iter().zip(labels).filter(|(d, y)| d != y).count() as f64 / n).collect();
    let spread: f64 = (0..examples)
        .map(|i| {
            let e = decisions.iter().filter(|d| d[i] != labels[i]).count() as f64 / m;
            e * (1.0 - e)
        })
        .sum();
    let observed = variance(&errors);
    let variance_distribution = n / (n - 1.0) * (observed - spread * m / (m - 1.0) / (n * n));
    Ok(AccuracyVariance {
        std_observed: observed.sqrt(),
        std_predicted_independent: spread.sqrt() / n,
        variance_distribution,
        std_distribution: variance_distribution.max(0.0).sqrt(),
        runs,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::super::rng::Stream;
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Two runs, two examples; run 1 is wrong on example 0 only. Errors 0 and 1/2: variance 1/8. e = (1/2, 0).
        let v = accuracy_variance(&[vec![0, 0], vec![1, 0]], &[0, 0]).unwrap();
        assert!(close(v.std_observed, 0.125f64.sqrt(), 1e-15));
        assert!(close(v.std_predicted_independent, 0.25, 1e-15));
        assert!(close(v.variance_distribution, 0.0, 1e-15));
    }

    #[test]
    fn the_estimate_is_unbiased() {
        // Run m is wrong with probability p_m on each example alike, p_m = 0.1 or 0.3: the true variance is 0.01.
        let mut stream = Stream::new(4, 0);
        let labels = vec![0; 200];
        let estimates: Vec<f64> = (0..400)
            .map(|_| {
                let runs: Vec<Vec<u32>> = (0..10)
                    .map(|_| {
                        let p = if stream.below(2) == 0 { 0.1 } else { 0.3 };
                        labels.iter().map(|_| u32::from(stream.uniform() < p)).collect()
                    })
                    .collect();
                accuracy_variance(&runs, &labels).unwrap().variance_distribution
            })
            .collect();
        let mean = super::super::descriptive::mean(&estimates);
        assert!(close(mean, 0.01, 0.0005), "{mean}");
    }

    #[test]
    fn independent_errors_leave_nothing() {
        let mut stream = Stream::new(5, 0);
        let labels = vec![0; 5000];
        let runs: Vec<Vec<u32>> =
            (0..40).map(|_| labels.iter().map(|_| u32::from(stream.uniform() < 0.2)).collect()).collect();
        let v = accuracy_variance(&runs, &labels).unwrap();
        assert!((v.std_observed / v.std_predicted_independent - 1.0).abs() < 0.35, "{v:?}");
        assert!(v.std_distribution < 0.6 * v.std_observed, "{v:?}");
    }

    #[test]
    fn the_share_of_noise_is_covered_and_independence_is_rejected_one_time_in_twenty() {
        // Runs that are wrong with a chance of their own beside chance on each example: half of the variance is noise.
        let (examples, runs, chance) = (400, 8, 0.2);
        let noise = chance * (1.0 - chance) / f64::from(examples);
        let (mut covered, mut rejected) = (0, 0);
        for trial in 0..300 {
            let mut stream = Stream::new(21, trial);
            let labels = vec![0; examples as usize];
            let mut draw = |own: f64| -> Vec<Vec<u32>> {
                (0..runs)
                    .map(|_| {
                        let p = chance + own * stream.normal();
                        labels.iter().map(|_| u32::from(stream.uniform() < p)).collect()
                    })
                    .collect()
            };
            let mixed = accuracy_variance(&draw(noise.sqrt()), &labels).unwrap().noise_share(0.95).unwrap().unwrap();
            covered += u32::from(mixed.low <= 0.5 && 0.5 <= mixed.high);
            let independent = accuracy_variance(&draw(0.0), &labels).unwrap().noise_share(0.95).unwrap().unwrap();
            rejected += u32::from(independent.p <= 0.05);
        }
        // 285 ± 3 · 3.8, and 15 ± 3 · 3.8.
        assert!((273..=297).contains(&covered) && (4..=27).contains(&rejected), "{covered} {rejected}");
    }

    #[test]
    fn too_little_is_refused() {
        assert!(accuracy_variance(&[vec![0, 0]], &[0, 0]).is_err());
        assert!(accuracy_variance(&[vec![0], vec![0]], &[0]).is_err());
        assert!(accuracy_variance(&[vec![0, 0], vec![0]], &[0, 0]).is_err());
    }
}
