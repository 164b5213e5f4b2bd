//! Two groups of runs, the first runs and the rest, seen through the distances of their pairs: how far apart pairs lie
//! within each group and between the groups, with a bootstrap interval over runs of how far they lie apart.

use serde::Serialize;

use super::bootstrap::{Bootstrap, Interval};
use super::descriptive::mean;
use super::pairs::Pairs;
use crate::error::{Error, Result};

/// Distances of all pairs of runs, of which runs 0..`first` are one group and the rest the other; two runs each at least.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    distances: &'a Pairs,
    first: usize,
}

/// Mean distances of pairs of different runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Means {
    /// Over pairs of the first group.
    pub within_first: f64,
    /// Over pairs of the second group.
    pub within_second: f64,
    /// Over pairs with one of each.
    pub between: f64,
}

impl Means {
    /// The mean between less the mean of both within: half the energy distance of Székely & Rizzo (2004). Its expectation
    /// is 0 if both groups come from one process; a sample's may be negative.
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.between - 0.5 * (self.within_first + self.within_second)
    }
}

impl<'a> Groups<'a> {
    /// # Errors
    /// [`Error::Invalid`] if a group has fewer than two runs, or a distance is not finite.
    pub fn new(distances: &'a Pairs, first: usize) -> Result<Self> {
        if first < 2 || first + 2 > distances.runs() {
            return Err(Error::Invalid(format!(
                "{first} of {} runs as a group: either group needs two runs for a distance within it",
                distances.runs()
            )));
        }
        if let Some((a, b, _)) = distances.iter().find(|pair| !pair.2.is_finite()) {
            return Err(Error::Invalid(format!("the distance of runs {a} and {b} is not finite")));
        }
        Ok(Self { distances, first })
    }

    /// Mean distances within and between the groups.
    #[must_use]
    pub fn means(&self) -> Means {
        let own = self.run_means();
        let within = |range: std::ops::Range<usize>| mean(&own[range].iter().map(|run| run.0).collect::<Vec<f64>>());
        Means {
            within_first: within(0..self.first),
            within_second: within(self.first..own.len()),
            between: mean(&own[..self.first].iter().map(|run| run.1).collect::<Vec<f64>>()),
        }
    }

    /// For each run its mean distance to the others of its group, and to the other group.
    fn run_means(&self) -> Vec<(f64, f64)> {
        let runs = self.distances.runs();
        let mut sums = vec![(0.0, 0.0); runs];
        for (a, b, value) in self.distances.iter() {
            let same = (a < self.first) == (b < self.first);
            for run in [a, b] {
                if same { sums[run].0 += value } else { sums[run].1 += value }
            }
        }
        let sizes = |run: usize| {
            if run < self.first { (self.first, runs - self.first) } else { (runs - self.first, self.first) }
        };
        (0..runs)
            .map(|run| {
                let (own, other) = sizes(run);
                (sums[run].0 / (own - 1) as f64, sums[run].1 / other as f64)
            })
            .collect()
    }

    /// The interval of [`Means::excess`], each group resampled: a bootstrap of its first-order (Hájek) projection, to which
    /// a run contributes how far it lies from the other group less how far it lies from its own, twice removed from the
    /// mean. So resamples need no pairs of a run with itself, and take O(M).
    ///
    /// # Errors
    /// As [`Bootstrap::interval`].
    pub fn excess(&self, bootstrap: &Bootstrap) -> Result<Interval> {
        let own: Vec<f64> = self.run_means().into_iter().map(|(within, between)| between - within).collect();
        let (a, b) = own.split_at(self.first);
        // Half the sum of the two means is the excess; the influence of a run on it is its whole deviation.
        let (centre, excess) = (mean(a) + mean(b), self.means().excess());
        let interval = bootstrap.two_samples(a, b, |a, b| mean(a) + mean(b) - centre)?;
        Ok(Interval { estimate: excess, low: excess + interval.low, high: excess + interval.high })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::super::rng::Stream;
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 2000, level: 0.95, seed: 3 };

    fn apart(places: &[f64]) -> Pairs {
        Pairs::from_fn(places.len(), |a, b| (places[a] - places[b]).abs())
    }

    #[test]
    fn worked_by_hand() {
        let pairs = apart(&[0.0, 2.0, 10.0, 11.0, 15.0]);
        let groups = Groups::new(&pairs, 2).unwrap();
        let means = groups.means();
        // Between: 10, 11, 15, 8, 9, 13; within the second: 1, 5, 4.
        assert!(close(means.within_first, 2.0, 1e-12) && close(means.within_second, 10.0 / 3.0, 1e-12));
        assert!(close(means.between, 11.0, 1e-12));
        assert!(close(means.excess(), 11.0 - 8.0 / 3.0, 1e-12));
    }

    #[test]
    fn groups_of_one_and_missing_distances_are_refused() {
        let pairs = apart(&[0.0, 1.0, 2.0]);
        assert!(Groups::new(&pairs, 1).is_err() && Groups::new(&pairs, 2).is_err());
        assert!(Groups::new(&apart(&[0.0, 1.0, 2.0, f64::NAN]), 2).is_err());
    }

    /// Runs as points of a plane, so that distances are of a metric; the second group around (`shift`, 0), `scale` as wide.
    fn clouds(seed: u64, shift: f64, scale: f64) -> Pairs {
        let mut stream = Stream::new(seed, 0);
        let mut normal = || (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0;
        let points: Vec<(f64, f64)> = (0..20)
            .map(|run| if run < 10 { (normal(), normal()) } else { (scale * normal() + shift, scale * normal()) })
            .collect();
        Pairs::from_fn(20, |a, b| (points[a].0 - points[b].0).hypot(points[a].1 - points[b].1))
    }

    #[test]
    fn intervals_cover_what_large_groups_have() {
        // Many groups stand for the processes.
        let many: Vec<f64> =
            (1000..1400).map(|seed| Groups::new(&clouds(seed, 2.0, 1.5), 10).unwrap().means().excess()).collect();
        let excess = mean(&many);
        let covered = (0..200)
            .filter(|&seed| {
                let pairs = clouds(seed, 2.0, 1.5);
                let interval = Groups::new(&pairs, 10).unwrap().excess(&BOOTSTRAP).unwrap();
                interval.low <= excess && excess <= interval.high
            })
            .count();
        assert!(covered >= 178, "{covered} of 200 at 95 %");
    }

    proptest! {
        #[test]
        fn means_follow_the_definition(places in proptest::collection::vec(-50i32..50, 4..9), first in 2usize..3) {
            let places: Vec<f64> = places.iter().map(|&v| f64::from(v)).collect();
            let pairs = apart(&places);
            let means = Groups::new(&pairs, first).unwrap().means();
            let plain = |keep: fn(bool, bool) -> bool| {
                let kept = pairs.iter().filter(|&(a, b, _)| keep(a < first, b < first));
                mean(&kept.map(|pair| pair.2).collect::<Vec<f64>>())
            };
            prop_assert!(close(means.within_first, plain(|a, b| a && b), 1e-12));
            prop_assert!(close(means.within_second, plain(|a, b| !a && !b), 1e-12));
            prop_assert!(close(means.between, plain(|a, b| a != b), 1e-12));
        }
    }
}
