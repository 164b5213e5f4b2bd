//! The 1-Wasserstein distance: the area between two ECDFs.

use rayon::prelude::*;

use super::descriptive::quantile_sorted;
use super::pairs::Pairs;
use super::ranking::Ranking;
use super::sample::Sample;
use crate::error::{Error, Result};

/// The 1-Wasserstein distance ∫|F − G| between two samples, in the unit of their values (Vallender 1974). O(n + m).
#[must_use]
pub fn distance(a: &Sample, b: &Sample) -> f64 {
    level(a, b, 0.0)
}

/// The 1-Wasserstein distance of every two runs, each given by its margins `[N]` in ascending order: the mean gap of their
/// order statistics, in the unit of the margins.
///
/// # Errors
/// [`Error::Invalid`] if there are no runs, or if lengths differ or are 0.
pub fn pairwise(ascending: &[Vec<f64>]) -> Result<Pairs> {
    let examples = ascending.first().map_or(0, Vec::len);
    if examples == 0 || ascending.iter().any(|row| row.len() != examples) {
        return Err(Error::Invalid("distances between runs need margins of the same examples for every run".into()));
    }
    Ok(Pairs::from_fn(ascending.len(), |a, b| {
        ascending[a].iter().zip(&ascending[b]).map(|(x, y)| (x - y).abs()).sum::<f64>() / examples as f64
    }))
}

/// The level ∫ max(0, |F₀ − F| − δ) dx of a candidate F against a reference F₀, in the unit of their values: the radius of the
/// smallest 1-Wasserstein ball around the reference that holds a law within the Kolmogorov distance δ of the candidate. At δ = 0
/// it is the 1-Wasserstein distance. O(n + m).
#[must_use]
pub fn level(reference: &Sample, candidate: &Sample, delta: f64) -> f64 {
    let (a, b) = (reference.values(), candidate.values());
    let (mut i, mut j, mut area) = (0, 0, 0.0);
    let mut x = a[0].min(b[0]);
    loop {
        i += a[i..].iter().take_while(|&&v| v <= x).count();
        j += b[j..].iter().take_while(|&&v| v <= x).count();
        let next = match (a.get(i), b.get(j)) {
            (Some(&u), Some(&v)) => u.min(v),
            (Some(&u), None) => u,
            (None, Some(&v)) => v,
            (None, None) => return area,
        };
        let gap = (i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs();
        area += (gap - delta).max(0.0) * (next - x);
        x = next;
    }
}

/// The 1-Wasserstein distance of every run to the pooled margins of all others, in order of the runs; see [`levels`].
#[must_use]
pub fn leave_one_out(ranking: &Ranking) -> Vec<f64> {
    levels(ranking, 0.0)
}

/// The [`level`] at `delta` of every run against the pooled margins of all others, in order of the runs.
///
/// Between two neighbouring margins of the candidate its ECDF is level and the reference rises, so where the reference is more
/// than δ below it, and where it is more than δ above, are two stretches of known ends, each a sum over the pooled margins in it,
/// which running sums give: O(N) for each run. Takes memory of once the margins.
#[must_use]
pub fn levels(ranking: &Ranking, delta: f64) -> Vec<f64> {
    let sorted = ranking.sorted();
    // Sums are of differences from the middle, to lose no digits.
    let middle = quantile_sorted(sorted, 0.5);
    let mut sums = Vec::with_capacity(sorted.len() + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for &v in sorted {
        sum += v - middle;
        sums.push(sum);
    }
    let (n, others) = (ranking.examples(), sorted.len() - ranking.examples());
    let stretches = Stretches { sorted, sums: &sums, middle, others: others as f64 };
    (0..ranking.runs())
        .into_par_iter()
        .map(|run| {
            // Own margins so far, the last of them, how many others are up to it, and where the next others begin.
            let (mut own, mut last, mut upto, mut start) = (0, f64::NAN, 0, 0);
            let mut area = 0.0;
            for s in ranking.distinct(run) {
                let x = sorted[s.below] - middle;
                let candidate = own as f64 / n as f64;
                area += stretches.area(start..s.below, upto, [last, x], [candidate - delta, candidate + delta]);
                (own, last, upto, start) = (s.own_upto, x, s.upto - s.own_upto, s.upto);
            }
            let end = sorted.last().map_or(last, |v| v - middle);
            area += stretches.area(start..sorted.len(), upto, [last, end], [1.0 - delta, 1.0 + delta]);
            area
        })
        .collect()
}

/// The pooled margins with their running sums, both as differences from the middle.
struct Stretches<'a> {
    sorted: &'a [f64],
    sums: &'a [f64],
    middle: f64,
    /// Number of margins of the other runs.
    others: f64,
}

impl Stretches<'_> {
    /// The area between the reference and the band [low, high] that it leaves, over a stretch [from, to] whose pooled margins
    /// `inside` are all of other runs, `upto` of which lie before it.
    fn area(&self, inside: std::ops::Range<usize>, upto: usize, ends: [f64; 2], band: [f64; 2]) -> f64 {
        let ([from, to], [low, high]) = (ends, band);
        let count = inside.len() as f64;
        let passed = |number: f64| (number - upto as f64).clamp(0.0, count + 1.0) as usize;
        // ∫ of the number of passed margins between the places of two of them, by parts.
        let integral = |(first, x): (usize, f64), (last, y): (usize, f64)| {
            let at = |passed: usize| (upto + passed) as f64;
            let between = self.sums[inside.start + last] - self.sums[inside.start + first];
            (at(last) * y - at(first) * x - between) / self.others
        };
        let mut area = 0.0;
        // Below the band until so many are passed.
        let turn = passed((low * self.others).ceil());
        if turn > 0 && from.is_finite() {
            let (last, end) = if turn > inside.len() {
                (inside.len(), to)
            } else {
                (turn, self.sorted[inside.start + turn - 1] - self.middle)
            };
            // The margin at the end itself is passed there, so it adds nothing.
            area += low * (end - from) - integral((0, from), (last, end));
        }
        // Above it from then on.
        let turn = passed((high * self.others).floor() + 1.0);
        if turn <= inside.len() {
            let start = if turn == 0 { from } else { self.sorted[inside.start + turn - 1] - self.middle };
            area += integral((turn, start), (inside.len(), to)) - high * (to - start);
        }
        area.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::super::margins::Margins;
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).unwrap()
    }

    #[test]
    fn worked_by_hand() {
        assert_eq!(distance(&sample(&[0.0, 1.0, 3.0]), &sample(&[5.0, 6.0, 8.0])), 5.0);
        assert_eq!(distance(&sample(&[0.0, 1.0]), &sample(&[0.0, 0.0, 1.0, 1.0])), 0.0);
        assert_eq!(distance(&sample(&[0.0]), &sample(&[-1.0, 1.0])), 1.0);
        assert!(pairwise(&[vec![0.0], vec![]]).is_err() && pairwise(&[]).is_err());
    }

    #[test]
    fn the_independent_cases_of_levels() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/verdicts.json");
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let numbers = |case: &serde_json::Value, key: &str| {
            sample(&case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>())
        };
        for case in all["wasserstein_level"].as_array().unwrap() {
            let (reference, candidate) = (numbers(case, "reference"), numbers(case, "candidate"));
            for (delta, expected) in case["at"].as_object().unwrap() {
                let found = level(&reference, &candidate, delta.parse().unwrap());
                assert!(close(found, expected.as_f64().unwrap(), 1e-9), "{delta}: {found}");
            }
        }
    }

    proptest! {
        #[test]
        fn of_equal_sizes_is_the_mean_gap_of_order_statistics(
            v in proptest::collection::vec((-100i32..100, -100i32..100), 1..50),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = v.iter().map(|&(a, b)| (f64::from(a) / 8.0, f64::from(b) / 8.0)).unzip();
            let (a, b) = (sample(&a), sample(&b));
            let gap = a.values().iter().zip(b.values()).map(|(x, y)| (x - y).abs()).sum::<f64>() / a.len() as f64;
            prop_assert!(close(distance(&a, &b), gap, 1e-12));
            prop_assert!(close(distance(&b, &a), gap, 1e-12));
            let both = pairwise(&[a.values().to_vec(), b.values().to_vec()]).unwrap();
            prop_assert!(close(both.get(0, 1), gap, 1e-12));
        }

        #[test]
        fn leaving_one_out_equals_pooling(
            runs in 2usize..6,
            examples in 1usize..40,
            values in proptest::collection::vec(-20i32..20, 240),
            shift in -30i32..30,
            delta in 0.0f64..0.5,
        ) {
            let mut values: Vec<f64> = values[..runs * examples].iter().map(|&v| f64::from(v) / 8.0).collect();
            values[..examples].iter_mut().for_each(|v| *v += f64::from(shift) / 8.0);
            let ranking = Ranking::new(&Margins::new(&values, runs, examples).unwrap()).unwrap();
            for (m, d) in leave_one_out(&ranking).into_iter().enumerate() {
                let others = [&values[..m * examples], &values[(m + 1) * examples..]].concat();
                let expected = distance(&sample(&values[m * examples..][..examples]), &sample(&others));
                prop_assert!(close(d, expected, 1e-12), "run {m}: {d} against {expected}");
            }
            for (m, found) in levels(&ranking, delta).into_iter().enumerate() {
                let others = [&values[..m * examples], &values[(m + 1) * examples..]].concat();
                let expected = level(&sample(&others), &sample(&values[m * examples..][..examples]), delta);
                prop_assert!(close(found, expected, 1e-10), "run {m} at {delta}: {found} against {expected}");
            }
        }
    }
}
