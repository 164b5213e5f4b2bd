//! Margins: one scalar soft decision for each example (design, section 4).

use rayon::prelude::*;

use super::logits::{Logits, Real, log_odds, maximum};
use crate::error::{Error, Result};

/// The margins `[M, N]` of M runs on N examples, row after row, borrowed and known to be finite.
#[derive(Debug, Clone, Copy)]
pub struct Margins<'a> {
    values: &'a [f64],
    examples: usize,
}

impl<'a> Margins<'a> {
    /// Wraps `values` of `runs` times `examples`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no runs or no examples, if the number of values is wrong or at least 2³², or if a value
    /// is not finite.
    pub fn new(values: &'a [f64], runs: usize, examples: usize) -> Result<Self> {
        if runs == 0 || examples == 0 {
            return Err(Error::Invalid(format!("{runs} runs of {examples} margins: at least one of each is needed")));
        }
        if runs.checked_mul(examples) != Some(values.len()) {
            return Err(Error::Invalid(format!("{} margins are not {runs} runs of {examples} examples", values.len())));
        }
        if u32::try_from(values.len()).is_err() {
            return Err(Error::Invalid(format!(
                "{runs} runs of {examples} margins are too many to rank together: take fewer runs or examples"
            )));
        }
        let is_finite = |run: &[f64]| run.iter().fold(true, |all, v| all & v.is_finite());
        if let Some(run) = values.par_chunks(examples).position_first(|run| !is_finite(run)) {
            let first = values[run * examples..].iter().position(|v| !v.is_finite()).unwrap_or_default();
            let i = run * examples + first;
            return Err(Error::Invalid(format!(
                "the margin of run {} on example {} is not finite: leave that run out",
                i / examples,
                i % examples
            )));
        }
        Ok(Self { values, examples })
    }

    /// Number of runs M, at least 1.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.values.len() / self.examples
    }

    /// Number of examples N, at least 1.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// All margins `[M, N]`, row after row.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The margins of each run, in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.examples)
    }
}

/// The label margin of each example, `[N]`: z₁ − z₀ for two classes, the log-odds of the label
/// z_y − log Σ_{k≠y} exp z_k for more.
#[must_use]
pub fn label_margins<T: Real>(logits: &Logits<'_, T>) -> Vec<f64> {
    logits.rows().map(|(z, y)| label_margin(z, y)).collect()
}

/// The label margin of one example with the logits `row` `[C]`.
///
/// # Panics
/// If `label` is not below C.
#[must_use]
pub fn label_margin<T: Real>(row: &[T], label: usize) -> f64 {
    log_odds(row, if row.len() == 2 { 1 } else { label })
}

/// The one-vs-rest margin of `class` on each example, `[N]`: z_c − log Σ_{k≠c} exp z_k.
///
/// # Panics
/// If `class` is not below C.
#[must_use]
pub fn class_margins<T: Real>(logits: &Logits<'_, T>, class: usize) -> Vec<f64> {
    assert!(class < logits.classes(), "class {class} of {}", logits.classes());
    logits.rows().map(|(z, _)| log_odds(z, class)).collect()
}

/// The largest logit t and log Σ_k exp(z_k − t) of each example, `[N]`: what [`fill_class_margins`] shares between the classes. Apart, so
/// that a constant added to all logits of an example changes no bit of a margin and breaks no tie.
#[must_use]
pub fn log_sums<T: Real>(logits: &Logits<'_, T>) -> Vec<(f64, f64)> {
    let of_row = |(z, _): (&[T], usize)| {
        let top = maximum(z);
        (top, z.iter().map(|&z| (z.into() - top).exp()).sum::<f64>().ln())
    };
    logits.rows().map(of_row).collect()
}

/// [`class_margins`] of `class` into `margins` `[N]`, given the [`log_sums`] `[N]`: log p − log(1 − p) from log p = (z_c − t) − sum takes
/// two functions an example, where leaving the class out of the sum takes C. A class with more than half of the probability is
/// still left out, since 1 − p has no digits there.
///
/// # Panics
/// If `class` is not below C.
pub fn fill_class_margins<T: Real>(logits: &Logits<'_, T>, class: usize, sums: &[(f64, f64)], margins: &mut [f64]) {
    for (((z, _), (top, sum)), margin) in logits.rows().zip(sums).zip(margins) {
        let log_p = (z[class].into() - top) - sum;
        *margin = if log_p > -std::f64::consts::LN_2 { log_odds(z, class) } else { log_p - (-log_p.exp()).ln_1p() };
    }
}

/// The share, in [0, 1], of margins with |m| ≥ `limit`; 0 for none.
#[must_use]
pub fn share_beyond(margins: &[f64], limit: f64) -> f64 {
    if margins.is_empty() {
        return 0.0;
    }
    margins.iter().filter(|m| m.abs() >= limit).count() as f64 / margins.len() as f64
}

/// Sets every margin with |m| ≥ `limit` to 0, as the authors of Banerjee 2025 do with `limit` = 15.
pub fn clip(margins: &mut [f64], limit: f64) {
    for m in margins.iter_mut().filter(|m| m.abs() >= limit) {
        *m = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_take_the_difference() {
        let z = [1.0f32, 3.5, 2.0, -1.0];
        let l = Logits::new(&z, &[0, 1], 2).unwrap();
        assert_eq!(label_margins(&l), [2.5, -3.0]);
        assert_eq!(class_margins(&l, 0), [-2.5, 3.0]);
    }

    #[test]
    fn more_classes_take_log_odds() {
        let z = [2f64.ln(), 3f64.ln(), 5f64.ln()];
        let l = Logits::new(&z, &[2], 3).unwrap();
        assert!(label_margins(&l)[0].abs() < 1e-15, "5 against 2 + 3");
        assert!((class_margins(&l, 0)[0] - (2f64 / 8.0).ln()).abs() < 1e-15);
    }

    #[test]
    fn shared_sums_give_the_same_margins() {
        let mut stream = super::super::rng::Stream::new(3, 0);
        for (classes, scale) in [(3, 1.0), (10, 30.0), (200, 5.0), (4, 2000.0)] {
            let z: Vec<f32> = (0..50 * classes).map(|_| ((stream.uniform() - 0.5) * scale) as f32).collect();
            let l = Logits::new(&z, &[0; 50], classes).unwrap();
            let (sums, mut margins) = (log_sums(&l), vec![0.0; 50]);
            for class in 0..classes {
                fill_class_margins(&l, class, &sums, &mut margins);
                for (ours, exact) in margins.iter().zip(class_margins(&l, class)) {
                    assert!((ours - exact).abs() <= 1e-12 * scale.max(exact.abs()), "{ours} / {exact}");
                }
            }
        }
    }

    #[test]
    fn clipping_is_inclusive() {
        let mut m = [14.9, 15.0, -15.0, -20.0, 1.0];
        assert_eq!(share_beyond(&m, 15.0), 0.6);
        clip(&mut m, 15.0);
        assert_eq!(m, [14.9, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn margins_must_be_finite_and_fit() {
        assert!(Margins::new(&[1.0, f64::NAN], 1, 2).unwrap_err().to_string().contains("run 0 on example 1"));
        assert!(Margins::new(&[1.0, 2.0], 2, 2).is_err());
        assert!(Margins::new(&[], 0, 2).is_err());
        assert!(Margins::new(&[1.0, 2.0], 2, 1).is_ok());
    }
}
