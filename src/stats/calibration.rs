//! Whether probabilities mean what they say: the reliability table and three expected calibration errors (ECE).

use serde::Serialize;

use super::logits::{Logits, Real, argmax, softmax_into};

/// The number of bins that every ECE of the project uses.
pub const BINS: usize = 15;

/// Classes whose bins are held at a time: of a million classes they would take many times the room of the logits.
const CLASSES: usize = 1 << 11;

/// One row of the reliability table: the examples whose top probability lies in (low, high] (the first bin is closed at 0).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Lower end of its confidences.
    pub low: f64,
    /// Upper end of its confidences.
    pub high: f64,
    /// Number of examples in the bin.
    pub count: u64,
    /// Their mean top probability; NaN if there are none.
    pub confidence: f64,
    /// The share of them that is decided right; NaN if there are none.
    pub accuracy: f64,
}

/// Calibration of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Equal-width ECE in [0, 1]: Σ (count/N)·|accuracy − confidence| (Naeini 2015).
    pub ece: f64,
    /// Equal-mass ECE in [0, 1]: bins of ⌊N/15⌋ or ⌈N/15⌉ examples in order of confidence (Nixon 2019).
    pub ece_adaptive: f64,
    /// Class-wise ECE in [0, 1]: mean over the classes of the equal-width ECE of p_c against 1{c = y} (Kull 2019).
    pub ece_classwise: f64,
    /// The equal-width bins that `ece` sums over.
    pub bins: Vec<Bin>,
}

impl Calibration {
    /// The standard deviation of the equal-width ECE of a perfectly calibrated network with these confidences, from one
    /// draw of the hits to the next: √((1 − 2/π) Σ p(1 − p))/N, as each bin's gap is the size of a nearly normal number.
    #[must_use]
    pub fn noise(&self) -> f64 {
        let filled = || self.bins.iter().filter(|bin| bin.count > 0);
        let variance: f64 = filled().map(|bin| bin.count as f64 * bin.confidence * (1.0 - bin.confidence)).sum();
        let examples: u64 = filled().map(|bin| bin.count).sum();
        ((1.0 - std::f64::consts::FRAC_2_PI) * variance).sqrt() / examples.max(1) as f64
    }
}

/// ECEs and reliability table of one run, all with `bins` bins ([`BINS`] by convention).
///
/// # Panics
/// If `bins` is 0.
#[must_use]
pub fn calibration<T: Real>(logits: &Logits<'_, T>, bins: usize) -> Calibration {
    assert!(bins > 0, "calibration needs at least one bin");
    let classes = logits.classes();
    let mut top = Tally::new(bins);
    let mut by_class = vec![Tally::new(bins); classes.min(CLASSES)];
    let (mut points, mut log_sums) = (Vec::with_capacity(logits.examples()), Vec::with_capacity(logits.examples()));
    let mut p = vec![0.0; classes];
    for (row, y) in logits.rows() {
        log_sums.push(softmax_into(row, &mut p));
        let choice = argmax(row);
        top.add(p[choice], choice == y);
        points.push((p[choice], choice == y));
        for (c, (tally, &p)) in by_class.iter_mut().zip(&p).enumerate() {
            tally.add(p, c == y);
        }
    }
    let mut errors: f64 = by_class.iter().map(Tally::error).sum();
    for start in (CLASSES..classes).step_by(CLASSES) {
        by_class = vec![Tally::new(bins); CLASSES.min(classes - start)];
        for ((row, y), log_sum) in logits.rows().zip(&log_sums) {
            for (c, (tally, &z)) in (start..).zip(by_class.iter_mut().zip(&row[start..])) {
                tally.add((z.into() - log_sum).exp(), c == y);
            }
        }
        errors += by_class.iter().map(Tally::error).sum::<f64>();
    }
    Calibration {
        ece: top.error(),
        ece_adaptive: equal_mass(points, bins),
        ece_classwise: errors / classes as f64,
        bins: top.table(),
    }
}

/// Which of `bins` equal-width bins (lo, hi] holds the probability `p`; the first is closed at 0.
pub(super) fn bin_of(p: f64, bins: usize) -> usize {
    let (last, edge) = (bins - 1, |i: usize| i as f64 / bins as f64);
    // The product may round to the wrong side of an edge; the comparisons decide. NaN goes to the first bin.
    let i = ((p * bins as f64).ceil() as usize).saturating_sub(1).min(last);
    if i > 0 && p <= edge(i) {
        i - 1
    } else if i < last && p > edge(i + 1) {
        i + 1
    } else {
        i
    }
}

/// Counts and sums of equal-width bins.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// The lower edge of each bin, and 1.
    edges: Vec<f64>,
    counts: Vec<u64>,
    confidence: Vec<f64>,
    hits: Vec<u64>,
}

impl Tally {
    pub(super) fn new(bins: usize) -> Self {
        let edges = (0..=bins).map(|i| i as f64 / bins as f64).collect();
        Self { edges, counts: vec![0; bins], confidence: vec![0.0; bins], hits: vec![0; bins] }
    }

    pub(super) fn add(&mut self, p: f64, hit: bool) {
        let i = bin_of(p, self.counts.len());
        self.counts[i] += 1;
        self.confidence[i] += p;
        self.hits[i] += u64::from(hit);
    }

    pub(super) fn error(&self) -> f64 {
        let gaps = self.confidence.iter().zip(&self.hits).map(|(c, &h)| (h as f64 - c).abs());
        gaps.sum::<f64>() / self.counts.iter().sum::<u64>() as f64
    }

    fn table(&self) -> Vec<Bin> {
        (0..self.counts.len())
            .map(|i| {
                let count = self.counts[i] as f64;
                Bin {
                    low: self.edges[i],
                    high: self.edges[i + 1],
                    count: self.counts[i],
                    confidence: self.confidence[i] / count,
                    accuracy: self.hits[i] as f64 / count,
                }
            })
            .collect()
    }
}

/// The equal-mass ECE of (confidence, right) points. Points of equal confidence share their mean hit rate, so that no order
/// among them matters.
fn equal_mass(mut points: Vec<(f64, bool)>, bins: usize) -> f64 {
    points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let n = points.len();
    let mut smooth = Vec::with_capacity(n);
    for group in points.chunk_by(|a, b| a.0 == b.0) {
        let rate = group.iter().filter(|p| p.1).count() as f64 / group.len() as f64;
        smooth.extend(group.iter().map(|p| p.0 - rate));
    }
    // The first n mod bins bins have one more.
    let (size, larger) = (n / bins, n % bins);
    let (mut rest, mut sum) = (smooth.as_slice(), 0.0);
    for b in 0..bins {
        let (bin, after) = rest.split_at(size + usize::from(b < larger));
        sum += bin.iter().sum::<f64>().abs();
        rest = after;
    }
    sum / n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::{close, ensemble_cases};
    use super::super::scores::scores;
    use super::*;

    /// Two-class logits of probability `p` for class 0.
    fn row(p: f64) -> [f64; 2] {
        [(p / (1.0 - p)).ln(), 0.0]
    }

    #[test]
    fn worked_by_hand() {
        // Confidences 0.6, 0.6, 0.8, 0.9; the first wrong, in two bins: only (0.5, 1] is filled.
        let z = [row(0.6), row(0.6), row(0.8), row(0.9)].concat();
        let c = calibration(&Logits::new(&z, &[1, 0, 0, 0], 2).unwrap(), 2);
        assert!(close(c.ece, 0.025, 1e-12), "|3/4 - 0.725|");
        assert_eq!((c.bins[0].count, c.bins[1].count, c.bins[1].accuracy), (0, 4, 0.75));
        assert!(c.bins[0].confidence.is_nan());
        // Equal mass: {0.6, 0.6} with one right, {0.8, 0.9} with both.
        assert!(close(c.ece_adaptive, 0.5 * 0.1 + 0.5 * 0.15, 1e-12));
        // Class 0 as above; class 1 has p of 0.4, 0.4, 0.2, 0.1 in the lower bin, one of them right.
        assert!(close(c.ece_classwise, 0.025, 1e-12));
    }

    #[test]
    fn edges_belong_to_the_bin_below() {
        let mut t = Tally::new(15);
        for i in 0..=15 {
            t.add(f64::from(i) / 15.0, true);
        }
        assert_eq!(t.counts, [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        t.add(f64::from_bits((1.0f64 / 15.0).to_bits() + 1), true);
        assert_eq!(t.counts[1], 2);
    }

    #[test]
    fn classes_beyond_those_held_at_a_time_count_alike() {
        let (classes, examples) = (2 * CLASSES + 7, 3);
        let z: Vec<f64> = (0..examples * classes).map(|place| ((place * 37) % 11) as f64).collect();
        let labels = [5, CLASSES as u32 + 3, 2 * CLASSES as u32 + 6];
        let logits = Logits::new(&z, &labels, classes).unwrap();
        let mut tallies = vec![Tally::new(BINS); classes];
        let mut p = vec![0.0; classes];
        for (row, y) in logits.rows() {
            softmax_into(row, &mut p);
            tallies.iter_mut().zip(&p).enumerate().for_each(|(class, (tally, &p))| tally.add(p, class == y));
        }
        let expected = tallies.iter().map(Tally::error).sum::<f64>() / classes as f64;
        assert!(close(calibration(&logits, BINS).ece_classwise, expected, 1e-15) && expected > 0.0);
    }

    #[test]
    fn certainty_is_in_the_last_bin() {
        let z = [200.0, 0.0, 0.0, 200.0];
        let c = calibration(&Logits::new(&z, &[0, 1], 2).unwrap(), BINS);
        assert_eq!((c.ece, c.ece_adaptive, c.bins[14].count), (0.0, 0.0, 2));
        let c = calibration(&Logits::new(&z, &[1, 0], 2).unwrap(), BINS);
        assert!(close(c.ece, 1.0, 1e-12) && close(c.ece_classwise, 1.0, 1e-12));
    }

    #[test]
    fn the_independent_cases() {
        for case in ensemble_cases() {
            for (z, theirs) in case.flat().iter().zip(&case.runs) {
                let logits = Logits::new(z, &case.labels, case.classes()).unwrap();
                assert!(close(calibration(&logits, BINS).ece, theirs.ece, 1e-9));
                let s = scores(&logits);
                assert!(close(s.accuracy, theirs.accuracy, 1e-9));
                assert!(close(s.nll, theirs.nll, 1e-9));
                assert!(close(s.brier, theirs.brier, 1e-9));
            }
        }
    }

    proptest! {
        #[test]
        fn is_a_share_and_does_not_see_order_or_constants(
            rows in proptest::collection::vec((0u32..3, proptest::array::uniform3(-32i32..32), -50i32..50), 1..80),
            certain in 0usize..3,
        ) {
            let labels: Vec<u32> = rows.iter().map(|r| r.0).collect();
            let mut z: Vec<f64> = rows.iter().flat_map(|r| r.1).map(|v| f64::from(v) / 8.0).collect();
            z[certain] = 800.0;
            let base = calibration(&Logits::new(&z, &labels, 3).unwrap(), BINS);
            for e in [base.ece, base.ece_adaptive, base.ece_classwise] {
                prop_assert!((0.0..=1.0).contains(&e), "{base:?}");
            }
            // Eighths plus eighths are exact, so nothing may change at all.
            let shifted: Vec<f64> = z.chunks(3).zip(&rows).flat_map(|(z, r)| [0, 1, 2].map(|k| z[k] + f64::from(r.2) / 8.0)).collect();
            let same = calibration(&Logits::new(&shifted, &labels, 3).unwrap(), BINS);
            prop_assert_eq!((base.ece, base.ece_adaptive, base.ece_classwise), (same.ece, same.ece_adaptive, same.ece_classwise));
            let reversed: Vec<f64> = z.chunks(3).rev().flatten().copied().collect();
            let labels: Vec<u32> = labels.into_iter().rev().collect();
            let other = calibration(&Logits::new(&reversed, &labels, 3).unwrap(), BINS);
            prop_assert!(close(base.ece, other.ece, 1e-12));
            prop_assert!(close(base.ece_adaptive, other.ece_adaptive, 1e-12));
            prop_assert!(close(base.ece_classwise, other.ece_classwise, 1e-12));
        }
    }
}
