//! One predictor's outcomes, example by example, and intervals over examples: what another test set of this size from the
//! same source would give. (Intervals over runs, which say what another training would give, are `bootstrap`'s.)

use rayon::prelude::*;

use super::bootstrap::{Bootstrap, Interval};
use super::calibration::{BINS, Tally};
use super::descriptive::{ascending, mean, quantile_sorted};
use super::logits::{Logits, Real, argmax};
use super::rng::Stream;
use crate::error::{Error, Result};

/// What one predictor makes of one example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Whether the decision is right.
    pub hit: bool,
    /// −log p_y in nats.
    pub nll: f64,
    /// Top probability.
    pub confidence: f64,
}

impl Outcome {
    /// The outcome of the logits `row` for an example of this label. NaN logits give a NaN outcome.
    #[must_use]
    pub fn of<T: Real>(row: &[T], label: usize) -> Self {
        let choice = argmax(row);
        let top: f64 = row[choice].into();
        let sum: f64 = row.iter().map(|&z| (z.into() - top).exp()).sum();
        Self { hit: choice == label, nll: top + sum.ln() - row[label].into(), confidence: 1.0 / sum }
    }
}

/// What one predictor, a run or an ensemble, makes of each of N examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    /// 1 where the decision is right, else 0, `[N]`.
    hits: Vec<f64>,
    /// −log p_y in nats, `[N]`.
    nll: Vec<f64>,
    /// Top probability, `[N]`.
    confidence: Vec<f64>,
}

impl Outcomes {
    /// The outcomes of one run's or ensemble's logits. NaN logits give NaN outcomes, which the intervals refuse.
    #[must_use]
    pub fn of<T: Real>(logits: &Logits<'_, T>) -> Self {
        logits.rows().map(|(row, label)| Outcome::of(row, label)).collect()
    }

    /// Those of `examples`, in this order.
    ///
    /// # Panics
    /// If one of them is not below N.
    #[must_use]
    pub fn select(&self, examples: &[u32]) -> Self {
        let of = |values: &[f64]| examples.iter().map(|&example| values[example as usize]).collect();
        Self { hits: of(&self.hits), nll: of(&self.nll), confidence: of(&self.confidence) }
    }

    /// Accuracy in [0, 1].
    #[must_use]
    pub fn mean_accuracy(&self) -> f64 {
        mean(&self.hits)
    }

    /// Expected calibration error in [0, 1], 15 equal-width bins.
    #[must_use]
    pub fn calibration_error(&self) -> f64 {
        self.ece_of(0..self.hits.len())
    }

    /// Accuracy in [0, 1] with its interval over examples.
    ///
    /// # Errors
    /// As [`Bootstrap::interval`].
    pub fn accuracy(&self, bootstrap: &Bootstrap) -> Result<Interval> {
        bootstrap.mean(&self.hits)
    }

    /// Mean negative log-likelihood in nats with its interval over examples.
    ///
    /// # Errors
    /// As [`Bootstrap::interval`].
    pub fn nll(&self, bootstrap: &Bootstrap) -> Result<Interval> {
        bootstrap.mean(&self.nll)
    }

    /// Mean negative log-likelihood in nats.
    #[must_use]
    pub fn mean_nll(&self) -> f64 {
        mean(&self.nll)
    }

    /// The standard error of the mean negative log-likelihood over the examples, in nats; 0 for a single example.
    #[must_use]
    pub fn nll_error(&self) -> f64 {
        let n = self.nll.len();
        if n < 2 { 0.0 } else { super::descriptive::std(&self.nll) / (n as f64).sqrt() }
    }

    /// By how much the mean negative log-likelihood exceeds that of `other` on the same examples, with the interval of the
    /// paired differences: much narrower than that of either.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of examples, otherwise as [`Bootstrap::interval`].
    pub fn nll_difference(&self, other: &Self, bootstrap: &Bootstrap) -> Result<Interval> {
        if self.nll.len() != other.nll.len() {
            return Err(Error::Invalid(format!(
                "{} examples cannot be paired with {}",
                self.nll.len(),
                other.nll.len()
            )));
        }
        let differences: Vec<f64> = self.nll.iter().zip(&other.nll).map(|(a, b)| a - b).collect();
        bootstrap.mean(&differences)
    }

    /// Expected calibration error in [0, 1] (15 equal-width bins) with its interval over examples.
    ///
    /// Resampling adds noise to every bin and so raises the ECE of each resample above the estimate; the interval therefore
    /// is the spread of the resamples about their own mean, laid around the estimate and cut at 0 and 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] for outcomes that are not finite, no resamples, or a level outside (0, 1).
    pub fn ece(&self, bootstrap: &Bootstrap) -> Result<Interval> {
        let Bootstrap { resamples, level, seed } = *bootstrap;
        // The same checks as for every other interval.
        Bootstrap { resamples: resamples.min(1), ..*bootstrap }.mean(&self.confidence)?;
        let n = self.hits.len();
        let estimate = self.calibration_error();
        let draws: Vec<f64> = (0..resamples)
            .into_par_iter()
            .map(|i| {
                let mut stream = Stream::new(seed, i as u64);
                self.ece_of((0..n).map(|_| stream.index(n)))
            })
            .collect();
        let (centre, sorted) = (mean(&draws), ascending(&draws));
        let bound = |q: f64| (estimate + quantile_sorted(&sorted, q) - centre).clamp(0.0, 1.0);
        let tail = 0.5 * (1.0 - level);
        Ok(Interval { estimate, low: bound(tail).min(estimate), high: bound(1.0 - tail).max(estimate) })
    }

    fn ece_of(&self, examples: impl Iterator<Item = usize>) -> f64 {
        let mut tally = Tally::new(BINS);
        examples.for_each(|i| tally.add(self.confidence[i], self.hits[i] > 0.0));
        tally.error()
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(all: I) -> Self {
        let mut outcomes = Self { hits: Vec::new(), nll: Vec::new(), confidence: Vec::new() };
        for Outcome { hit, nll, confidence } in all {
            outcomes.hits.push(f64::from(u8::from(hit)));
            outcomes.nll.push(nll);
            outcomes.confidence.push(confidence);
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::calibration::calibration;
    use super::super::fixtures::close;
    use super::super::scores::scores;
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 500, level: 0.95, seed: 1 };

    #[test]
    fn worked_by_hand() {
        // Probabilities of the label 3/4 and 1/4: one right, one wrong.
        let z = [3f64.ln(), 0.0, 3f64.ln(), 0.0];
        let outcomes = Outcomes::of(&Logits::new(&z, &[0, 1], 2).unwrap());
        assert_eq!(outcomes.hits, [1.0, 0.0]);
        assert!(close(outcomes.nll[0], (4f64 / 3.0).ln(), 1e-15) && close(outcomes.nll[1], 4f64.ln(), 1e-15));
        assert_eq!(outcomes.confidence, [0.75, 0.75]);
        assert!(close(outcomes.ece(&BOOTSTRAP).unwrap().estimate, 0.25, 1e-15), "|1/2 − 3/4|");
        let better = Outcomes::of(&Logits::new(&[9.0, 0.0, 0.0, 9.0], &[0, 1], 2).unwrap());
        let difference = better.nll_difference(&outcomes, &BOOTSTRAP).unwrap();
        assert!(difference.estimate < 0.0 && difference.high < 0.0);
        let longer = Outcomes::of(&Logits::new(&[0.0; 6], &[0, 1, 0], 2).unwrap());
        assert!(longer.nll_difference(&better, &BOOTSTRAP).is_err());
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        let outcomes = Outcomes::of(&Logits::new(&[f64::NAN, 0.0], &[0], 2).unwrap());
        assert!(outcomes.nll(&BOOTSTRAP).is_err() && outcomes.ece(&BOOTSTRAP).is_err());
        let outcomes = Outcomes::of(&Logits::new(&[1.0, 0.0], &[0], 2).unwrap());
        assert!(outcomes.ece(&Bootstrap { resamples: 0, ..BOOTSTRAP }).is_err());
        assert!(outcomes.ece(&Bootstrap { level: 1.0, ..BOOTSTRAP }).is_err());
    }

    #[test]
    fn intervals_cover_the_truth_about_as_often_as_they_say() {
        // A calibrated predictor of accuracy 0.8 on 200 examples, 200 times.
        let covered = (0..200u64)
            .filter(|&trial| {
                let mut stream = Stream::new(7, trial);
                let labels: Vec<u32> = (0..200).map(|_| u32::from(stream.uniform() >= 0.8)).collect();
                let z = [4f64.ln(), 0.0].repeat(200);
                let outcomes = Outcomes::of(&Logits::new(&z, &labels, 2).unwrap());
                let i = outcomes.accuracy(&BOOTSTRAP).unwrap();
                i.low <= 0.8 && 0.8 <= i.high
            })
            .count();
        assert!((180..=199).contains(&covered), "{covered} of 200 at 95 %");
    }

    proptest! {
        #[test]
        fn means_are_those_of_the_scores(
            rows in proptest::collection::vec((0u32..3, proptest::array::uniform3(-6.0f64..6.0)), 2..60),
        ) {
            let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let z: Vec<f64> = rows.iter().flat_map(|row| row.1).collect();
            let logits = Logits::new(&z, &labels, 3).unwrap();
            let (outcomes, scores) = (Outcomes::of(&logits), scores(&logits));
            for (interval, value) in [
                (outcomes.accuracy(&BOOTSTRAP).unwrap(), scores.accuracy),
                (outcomes.nll(&BOOTSTRAP).unwrap(), scores.nll),
                (outcomes.ece(&BOOTSTRAP).unwrap(), calibration(&logits, BINS).ece),
            ] {
                prop_assert!(close(interval.estimate, value, 1e-9));
                prop_assert!(interval.low <= value + 1e-9 && value <= interval.high + 1e-9, "{:?}", interval);
            }
        }
    }
}
