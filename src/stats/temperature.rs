//! Temperature scaling: one number that recalibrates a run without changing its decisions (Guo 2017, arXiv 1706.04599).

use serde::Serialize;

use super::logits::{Logits, Real, maximum};
use crate::error::{Error, Result};

/// The inverse temperatures that are considered: at the ends, predictions are all but uniform or all but certain.
const INVERSE: (f64, f64) = (1e-3, 1e3);

/// A fitted temperature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Temperature {
    /// The temperature T in [0.001, 1000] that logits are divided by; above 1 for an overconfident run.
    pub temperature: f64,
    /// NLL at T = 1, in nats.
    pub nll_before: f64,
    /// NLL at the fitted T, never larger.
    pub nll_after: f64,
}

/// Fits the temperature T that minimises the NLL of softmax(z/T).
///
/// The NLL is convex in 1/T; Newton steps that are kept inside a shrinking bracket find where its derivative is 0 to 1e-12. If
/// every example is right (or none better than chance) the minimum lies at an end of the range, and that end is returned.
///
/// # Errors
/// [`Error::Invalid`] if a logit is not finite.
pub fn fit<T: Real>(logits: &Logits<'_, T>) -> Result<Temperature> {
    if !logits.is_finite() {
        return Err(Error::Invalid("a temperature cannot be fitted to logits that are not finite".into()));
    }
    let before = at(logits, 1.0);
    let (mut low, mut high) = INVERSE;
    let inverse = if at(logits, low).slope >= 0.0 {
        low
    } else if at(logits, high).slope <= 0.0 {
        high
    } else {
        let mut inverse = 1.0;
        for _ in 0..200 {
            let here = at(logits, inverse);
            if here.slope > 0.0 {
                high = inverse
            } else {
                low = inverse
            }
            let newton = inverse - here.slope / here.curvature;
            // Outside the bracket, or not a number: halve the bracket, in logarithms as it spans decades.
            let next = if newton > low && newton < high { newton } else { (low * high).sqrt() };
            let moved = (next - inverse).abs();
            inverse = next;
            if moved <= 1e-12 * inverse {
                break;
            }
        }
        inverse
    };
    let after = at(logits, inverse).nll;
    if after > before.nll {
        // Only by rounding, when T = 1 is the minimum.
        return Ok(Temperature { temperature: 1.0, nll_before: before.nll, nll_after: before.nll });
    }
    Ok(Temperature { temperature: 1.0 / inverse, nll_before: before.nll, nll_after: after })
}

/// The logits divided by `temperature`, `[N, C]`, in f64.
#[must_use]
pub fn scale<T: Real>(logits: &Logits<'_, T>, temperature: f64) -> Vec<f64> {
    logits.rows().flat_map(|(row, _)| row).map(|&z| z.into() / temperature).collect()
}

/// Mean NLL at an inverse temperature, and its first two derivatives by it.
struct Point {
    nll: f64,
    slope: f64,
    curvature: f64,
}

fn at<T: Real>(logits: &Logits<'_, T>, inverse: f64) -> Point {
    let (mut nll, mut slope, mut curvature) = (0.0, 0.0, 0.0);
    for (row, y) in logits.rows() {
        let top = maximum(row);
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for &z in row {
            let z = z.into() - top;
            let e = (inverse * z).exp();
            sum += e;
            first += e * z;
            second += e * z * z;
        }
        let (mean, label) = (first / sum, row[y].into() - top);
        nll += sum.ln() - inverse * label;
        slope += mean - label;
        curvature += second / sum - mean * mean;
    }
    let n = logits.examples() as f64;
    Point { nll: nll / n, slope: slope / n, curvature: curvature / n }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::super::rng::Stream;
    use super::super::scores::scores;
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Logit 4 is right three times out of four: the best probability is 3/4, so 4/T = ln 3.
        let z = [4.0, 0.0].repeat(4);
        let t = fit(&Logits::new(&z, &[0, 0, 0, 1], 2).unwrap()).unwrap();
        assert!(close(t.temperature, 4.0 / 3f64.ln(), 1e-9), "{t:?}");
        assert!(close(t.nll_after, -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln()), 1e-12));
    }

    #[test]
    fn without_an_error_the_end_of_the_range() {
        let t = fit(&Logits::new(&[1.0, 0.0], &[0], 2).unwrap()).unwrap();
        assert_eq!(t.temperature, 1e-3);
        let t = fit(&Logits::new(&[1.0, 0.0], &[1], 2).unwrap()).unwrap();
        assert_eq!(t.temperature, 1e3);
        assert!(fit(&Logits::new(&[f32::NAN, 0.0], &[1], 2).unwrap()).is_err());
    }

    #[test]
    fn recovers_the_temperature_that_labels_were_drawn_at() {
        let mut stream = Stream::new(1, 0);
        let (mut z, mut labels) = (vec![], vec![]);
        for _ in 0..20_000 {
            let row = [0, 1, 2].map(|_| 6.0 * stream.uniform());
            let p = row.map(|z| (z / 2.5f64).exp());
            let draw = stream.uniform() * p.iter().sum::<f64>();
            labels.push(u32::from(draw > p[0]) + u32::from(draw > p[0] + p[1]));
            z.extend(row);
        }
        let t = fit(&Logits::new(&z, &labels, 3).unwrap()).unwrap();
        assert!(close(t.temperature, 2.5, 0.08), "{t:?}");
    }

    proptest! {
        #[test]
        fn no_other_temperature_is_better(
            rows in proptest::collection::vec((0u32..3, proptest::array::uniform3(-10.0f64..10.0)), 1..40),
        ) {
            let labels: Vec<u32> = rows.iter().map(|r| r.0).collect();
            let z: Vec<f64> = rows.iter().flat_map(|r| r.1).collect();
            let logits = Logits::new(&z, &labels, 3).unwrap();
            let t = fit(&logits).unwrap();
            let nll = |t: f64| scores(&Logits::new(&scale(&logits, t), &labels, 3).unwrap()).nll;
            prop_assert!(close(nll(t.temperature), t.nll_after, 1e-9));
            prop_assert!(t.nll_after <= t.nll_before);
            for factor in [0.5, 0.9, 1.1, 2.0] {
                let other = (t.temperature * factor).clamp(1e-3, 1e3);
                prop_assert!(t.nll_after <= nll(other) + 1e-9, "{t:?} {other}");
            }
        }
    }
}
