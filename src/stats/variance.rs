//! How much of the variance of accuracy between runs is noise of a finite test set (Jordan 2024, arXiv 2304.01910).

use serde::Serialize;

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
    fn too_little_is_refused() {
        assert!(accuracy_variance(&[vec![0, 0]], &[0, 0]).is_err());
        assert!(accuracy_variance(&[vec![0], vec![0]], &[0]).is_err());
        assert!(accuracy_variance(&[vec![0, 0], vec![0]], &[0, 0]).is_err());
    }
}
