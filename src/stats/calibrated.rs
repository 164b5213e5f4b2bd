//! What a perfectly calibrated network would score: the expected calibration error (ECE) when each decision is right with
//! exactly the probability that the network gave it.
//!
//! A calibrated network's ECE is not 0: of the few examples in a bin the share that is right departs from the confidence by
//! chance. An ECE says something only beside that (Vaicenavicius 2019). The number of right decisions in a bin is a sum of
//! independent ones of known probabilities; its law is computed by adding one example at a time, and drawn from.

use super::calibration::{BINS, bin_of};
use super::logits::{Logits, Real, argmax, softmax_into};
use super::rng::Stream;

/// Draws of the hits.
const DRAWS: usize = 1000;
/// Variance of a bin's hits from which on they are taken for normal; the law of fewer is exact.
const NORMAL: f64 = 400.0;
/// Chances below this are left out of a law.
const TINY: f64 = 1e-15;

/// The ECE of a calibrated network with the same confidences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated {
    /// Its mean over draws of the hits, in [0, 1].
    pub mean: f64,
    /// Its 95 % point: "badly calibrated" is said only beyond.
    pub high: f64,
    /// The chance that it is at least the ECE that was seen, (1 + #)/(1 + draws).
    pub p: f64,
}

/// Compares the equal-width ECE `seen` of `logits` with that of a calibrated network of the same confidences.
#[must_use]
pub fn calibrated<T: Real>(logits: &Logits<'_, T>, seen: f64, seed: u64) -> Calibrated {
    let mut p = vec![0.0; logits.classes()];
    let mut bins: Vec<Vec<f64>> = vec![Vec::new(); BINS];
    for (row, _) in logits.rows() {
        softmax_into(row, &mut p);
        let confidence = p[argmax(row)];
        bins[bin_of(confidence, BINS)].push(confidence);
    }
    let laws: Vec<Hits> = bins.iter().filter(|bin| !bin.is_empty()).map(|bin| Hits::of(bin)).collect();
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|draw| {
            let mut stream = Stream::new(seed, draw as u64);
            laws.iter().map(|law| (law.draw(&mut stream) - law.expected).abs()).sum::<f64>() / logits.examples() as f64
        })
        .collect();
    draws.sort_unstable_by(f64::total_cmp);
    // Equal numbers must count as equal whatever the order of their sums.
    let beyond = draws.iter().filter(|&&ece| ece >= seen - 1e-12).count();
    Calibrated {
        mean: super::descriptive::mean(&draws),
        high: super::descriptive::quantile_sorted(&draws, 0.95),
        p: (1 + beyond) as f64 / (1 + DRAWS) as f64,
    }
}

/// The law of the number of right decisions in a bin.
struct Hits {
    /// Σp, the number that the confidences promise.
    expected: f64,
    law: Law,
}

enum Law {
    /// The least number of hits, and the chance of at most that many, of at most one more, …
    Exact(usize, Vec<f64>),
    /// Standard deviation.
    Normal(f64),
}

impl Hits {
    fn of(confidences: &[f64]) -> Self {
        let expected = confidences.iter().sum();
        let variance: f64 = confidences.iter().map(|p| p * (1.0 - p)).sum();
        if variance > NORMAL {
            return Self { expected, law: Law::Normal(variance.sqrt()) };
        }
        // Chances of `least`, `least + 1`, … hits among the examples so far.
        let (mut least, mut chances) = (0, vec![1.0]);
        for &p in confidences {
            let mut before = 0.0;
            for chance in &mut chances {
                let own = *chance;
                *chance = own * (1.0 - p) + before * p;
                before = own;
            }
            chances.push(before * p);
            let tiny = chances.iter().take_while(|&&chance| chance < TINY).count();
            chances.drain(..tiny);
            least += tiny;
            while chances.last().is_some_and(|&chance| chance < TINY) {
                chances.pop();
            }
        }
        let mut sum = 0.0;
        chances.iter_mut().for_each(|chance| {
            sum += *chance;
            *chance = sum;
        });
        Self { expected, law: Law::Exact(least, chances) }
    }

    fn draw(&self, stream: &mut Stream) -> f64 {
        match &self.law {
            Law::Normal(spread) => self.expected + spread * stream.normal(),
            Law::Exact(least, upto) => {
                let total = upto.last().copied().unwrap_or(1.0);
                let u = stream.uniform() * total;
                (least + upto.partition_point(|&chance| chance <= u).min(upto.len().saturating_sub(1))) as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::calibration::calibration;
    use super::super::fixtures::close;
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Two examples of confidence 1/2 and 3/4: no hit 1/8, one 1/2, two 3/8.
        let hits = Hits::of(&[0.5, 0.75]);
        let Law::Exact(least, upto) = &hits.law else { panic!("two examples are not normal") };
        assert!(
            *least == 0 && close(upto[0], 0.125, 1e-15) && close(upto[1], 0.625, 1e-15) && close(upto[2], 1.0, 1e-15)
        );
        assert_eq!(hits.expected, 1.25);
        // One example of confidence 3/4: |1 − 3/4| three times in four, else 3/4.
        let z = [3f64.ln(), 0.0];
        let found = calibrated(&Logits::new(&z, &[0], 2).unwrap(), 0.75, 1);
        assert!(close(found.mean, 0.375, 0.03) && found.high == 0.75 && close(found.p, 0.25, 0.05), "{found:?}");
    }

    #[test]
    fn a_certain_network_has_no_noise() {
        let z = [900.0, 0.0, 0.0, 900.0];
        let found = calibrated(&Logits::new(&z, &[0, 1], 2).unwrap(), 0.0, 1);
        assert_eq!((found.mean, found.high, found.p), (0.0, 0.0, 1.0));
    }

    #[test]
    fn calibrated_networks_are_called_bad_one_time_in_twenty_and_others_always() {
        // Confidences between 1/2 and 1 on 400 examples; right with just that probability, and with too little.
        let (mut alarms, mut found) = (0, 0);
        for trial in 0..400 {
            let mut stream = Stream::new(8, trial);
            let confidences: Vec<f64> = (0..400).map(|_| 0.5 + 0.49 * stream.uniform()).collect();
            let z: Vec<f64> = confidences.iter().flat_map(|p| [(p / (1.0 - p)).ln(), 0.0]).collect();
            let mut judge = |factor: f64| {
                let labels: Vec<u32> = confidences.iter().map(|p| u32::from(stream.uniform() >= factor * p)).collect();
                let logits = Logits::new(&z, &labels, 2).unwrap();
                calibrated(&logits, calibration(&logits, BINS).ece, trial).p <= 0.05
            };
            alarms += u32::from(judge(1.0));
            found += u32::from(judge(0.8));
        }
        // 20 ± 3 · 4.4.
        assert!((7..=33).contains(&alarms) && found == 400, "{alarms} {found}");
    }
}
