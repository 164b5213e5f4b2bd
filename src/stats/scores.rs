//! Accuracy, negative log-likelihood and Brier score of one run.

use serde::Serialize;

use super::logits::{Logits, Real, argmax, maximum};

/// How good one run's soft decisions are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// Share of examples whose largest logit is the label's, in [0, 1]; ties go to the lowest class.
    pub accuracy: f64,
    /// Mean of −log p_y in nats, at least 0.
    pub nll: f64,
    /// Mean of Σ_c (p_c − 1{c = y})², in [0, 2] (Brier 1950).
    pub brier: f64,
}

/// The scores of one run over its N examples. NaN logits give NaN scores, never a panic.
#[must_use]
pub fn scores<T: Real>(logits: &Logits<'_, T>) -> Scores {
    let n = logits.examples() as f64;
    let mut p = vec![0.0; logits.classes()];
    let (mut hits, mut nll, mut brier) = (0u64, 0.0, 0.0);
    for (row, y) in logits.rows() {
        hits += u64::from(argmax(row) == y);
        let top = maximum(row);
        let mut sum = 0.0;
        for (p, &z) in p.iter_mut().zip(row) {
            *p = (z.into() - top).exp();
            sum += *p;
        }
        nll += sum.ln() - (row[y].into() - top);
        let mut squares = 0.0;
        for (c, p) in p.iter().enumerate() {
            let error = p / sum - f64::from(u8::from(c == y));
            squares += error * error;
        }
        brier += squares;
    }
    Scores { accuracy: hits as f64 / n, nll: nll / n, brier: brier / n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Probabilities (3/4, 1/4) and (1/2, 1/2), labels 0 and 1: the tie counts for class 0, so it is wrong.
        let z = [3f64.ln(), 0.0, 7.0, 7.0];
        let s = scores(&Logits::new(&z, &[0, 1], 2).unwrap());
        assert_eq!(s.accuracy, 0.5);
        assert!((s.nll - 0.5 * ((4f64 / 3.0).ln() + 2f64.ln())).abs() < 1e-15);
        assert!((s.brier - 0.5 * (0.125 + 0.5)).abs() < 1e-15);
    }

    #[test]
    fn confident_errors_stay_finite() {
        let s = scores(&Logits::new(&[2000.0f32, 0.0], &[1], 2).unwrap());
        assert_eq!((s.accuracy, s.nll, s.brier), (0.0, 2000.0, 2.0));
    }

    #[test]
    fn nan_gives_nan() {
        let s = scores(&Logits::new(&[f32::NAN, 0.0], &[1], 2).unwrap());
        assert!(s.nll.is_nan() && s.brier.is_nan());
    }
}
