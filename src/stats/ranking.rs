//! One global ranking of all runs' margins, which serves the leave-one-out reference of every run.

use rayon::prelude::*;

use super::margins::Margins;
use super::trimming::Plateaus;
use crate::error::{Error, Result};

/// All margins of M ≥ 2 runs sorted together, and where each run's own values stand among them. Takes one and a half times the
/// memory of the margins beside them, and three times while it is made.
#[derive(Debug, Clone)]
pub struct Ranking {
    examples: usize,
    /// All M·N margins, ascending.
    sorted: Vec<f64>,
    /// For each run, for its k-th smallest margin: how many pooled margins are smaller, `[M, N]`.
    lower: Vec<u32>,
    /// A bit for each pooled margin: whether it equals the next.
    tied: Vec<u64>,
}

impl Ranking {
    /// Ranks all margins, as [`Self::of`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two runs: there would be no reference.
    pub fn new(margins: &Margins<'_>) -> Result<Self> {
        Self::of(margins.values().to_vec(), margins.examples())
    }

    /// Ranks the margins `[M, N]` of runs on `examples` examples, none of them NaN: each run's are sorted, then all together by
    /// merging these, and each run's are looked up again in the order of all.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two runs: there would be no reference.
    pub fn of(mut own: Vec<f64>, examples: usize) -> Result<Self> {
        if own.len() < 2 * examples {
            return Err(Error::Invalid("a reference of the other runs needs at least two runs".into()));
        }
        own.par_chunks_mut(examples).for_each(|row| row.sort_unstable_by(f64::total_cmp));
        let mut sorted = own.clone();
        // The stable sort merges what is in order already.
        sorted.par_sort_by(f64::total_cmp);
        let mut lower = vec![0; own.len()];
        let runs = own.len() / examples;
        let mut done = vec![0; runs];
        for (number, stretch) in sorted.chunks(STRETCH).enumerate() {
            let rows = lower.par_chunks_mut(examples).zip(own.par_chunks(examples)).zip(&mut done);
            rows.with_min_len(RUNS_AT_ONCE).for_each(|((lower, row), done)| {
                let (lower, row) = (&mut lower[*done..], &row[*done..]);
                let within = stretch.last().map_or(0, |last| row.partition_point(|value| value <= last));
                look_up(&row[..within], stretch, number * STRETCH, runs, lower);
                *done += within;
            });
        }
        drop(own);
        let tied = tied_with_next(&sorted);
        Ok(Self { examples, sorted, lower, tied })
    }

    /// Number of runs M, at least 2.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.sorted.len() / self.examples
    }

    /// Number of examples N.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// All M·N margins, ascending.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// For each margin of a run, ascending: how many pooled margins are smaller.
    pub(super) fn lower(&self, run: usize) -> &[u32] {
        &self.lower[run * self.examples..][..self.examples]
    }

    /// For each distinct margin of a run, ascending.
    pub(super) fn distinct(&self, run: usize) -> impl Iterator<Item = Standing> + '_ {
        let lower = self.lower(run);
        let mut start = 0;
        std::iter::from_fn(move || {
            let &below = lower.get(start)?;
            let own_below = start;
            start += lower[start..].iter().take_while(|&&l| l == below).count();
            Some(Standing { below: below as usize, upto: self.upto(below as usize), own_below, own_upto: start })
        })
    }

    /// How many pooled margins are at most the one at `first`.
    fn upto(&self, first: usize) -> usize {
        let (mut word, bit) = (first / 64, first % 64);
        let ones = (self.tied[word] >> bit).trailing_ones() as usize;
        if ones < 64 - bit {
            return first + ones + 1;
        }
        loop {
            word += 1;
            let ones = self.tied.get(word).map_or(0, |bits| bits.trailing_ones() as usize);
            if ones < 64 {
                return 64 * word + ones + 1;
            }
        }
    }

    /// Fills `plateaus` with the run against the pooled margins of all other runs, both as step functions.
    pub(super) fn fill(&self, run: usize, plateaus: &mut Plateaus) {
        let own = self.examples as f64;
        let others = (self.sorted.len() - self.examples) as f64;
        plateaus.clear();
        for s in self.distinct(run) {
            plateaus.push(
                (s.below - s.own_below) as f64 / others,
                (s.upto - s.own_upto) as f64 / others,
                s.own_upto as f64 / own,
            );
        }
    }

    /// The run against the pooled margins of all other runs, both as step functions: its KS distance, curve and level.
    ///
    /// # Panics
    /// If `run` is not below M.
    #[must_use]
    pub fn plateaus(&self, run: usize) -> Plateaus {
        let mut plateaus = Plateaus::default();
        self.fill(run, &mut plateaus);
        plateaus
    }

    /// `f` of every run against the pooled margins of all others, in order of the runs; in parallel.
    pub fn map<R: Send>(&self, f: impl Fn(usize, &Plateaus) -> R + Sync) -> Vec<R> {
        (0..self.runs())
            .into_par_iter()
            .map_init(Plateaus::default, |plateaus, run| {
                self.fill(run, plateaus);
                f(run, plateaus)
            })
            .collect()
    }
}

/// Where one distinct margin of a run stands: counts of pooled and of own margins below it and up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub below: usize,
    pub upto: usize,
    pub own_below: usize,
    pub own_upto: usize,
}

/// Pooled margins that all runs are looked up in at a time: half a megabyte, so that a lookup finds them in the cache.
const STRETCH: usize = 1 << 16;

/// Runs that one task looks up at least.
const RUNS_AT_ONCE: usize = 16;

/// How many pooled margins are smaller than each of the ascending `row`, which lie about `stride` apart in this `stretch` of them;
/// `before` come before it.
fn look_up(row: &[f64], stretch: &[f64], before: usize, stride: usize, lower: &mut [u32]) {
    let mut at = 0;
    for (value, lower) in row.iter().zip(lower) {
        if stretch.get(at).is_some_and(|found| found < value) {
            let mut step = stride;
            while stretch.get(at + step).is_some_and(|found| found < value) {
                at += step;
                step *= 2;
            }
            let end = stretch.len().min(at + step);
            at += stretch[at..end].partition_point(|found| found < value);
        }
        // `Margins` guarantees that places fit.
        *lower = (before + at) as u32;
    }
}

fn tied_with_next(sorted: &[f64]) -> Vec<u64> {
    let word = |w: usize| {
        let values = &sorted[64 * w..sorted.len().min(64 * w + 65)];
        values.windows(2).enumerate().fold(0, |bits, (i, v)| bits | u64::from(v[0] == v[1]) << i)
    };
    (0..sorted.len().div_ceil(64)).into_par_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::Sample;
    use super::*;

    proptest! {
        #[test]
        fn equals_pooling_the_others(
            runs in 2usize..6,
            examples in 1usize..40,
            values in proptest::collection::vec(-8i32..8, 240),
            zero in prop::bool::ANY,
        ) {
            let values: Vec<f64> = values[..runs * examples].iter().map(|&v| if zero && v == 0 { -0.0 } else { f64::from(v) }).collect();
            let ranking = Ranking::new(&Margins::new(&values, runs, examples).unwrap()).unwrap();
            for m in 0..runs {
                let own = Sample::new(values[m * examples..][..examples].to_vec()).unwrap();
                let others = Sample::new([&values[..m * examples], &values[(m + 1) * examples..]].concat()).unwrap();
                prop_assert_eq!(ranking.plateaus(m), Plateaus::steps(&others, &own));
                prop_assert!(ranking.lower(m).iter().zip(own.values()).all(|(&i, v)| ranking.sorted()[i as usize] == *v));
            }
        }
    }

    #[test]
    fn ranks_across_tasks() {
        // Two tasks and a bit; a third of all margins are one value, the others come about forty times each.
        let (runs, examples) = (70, 4000);
        let values: Vec<f64> =
            (0..runs * examples).map(|i| f64::from((i as u32).wrapping_mul(2_654_435_761) >> 8) % 5003.0).collect();
        let values: Vec<f64> = values.into_iter().map(|v| if v < 1700.0 { 0.0 } else { v }).collect();
        let ranking = Ranking::new(&Margins::new(&values, runs, examples).unwrap()).unwrap();
        for m in [0, 35, 69] {
            let own = Sample::new(values[m * examples..][..examples].to_vec()).unwrap();
            let others = Sample::new([&values[..m * examples], &values[(m + 1) * examples..]].concat()).unwrap();
            assert_eq!(ranking.plateaus(m), Plateaus::steps(&others, &own));
        }
    }

    #[test]
    fn one_run_has_no_reference() {
        assert!(Ranking::new(&Margins::new(&[1.0, 2.0], 1, 2).unwrap()).is_err());
    }
}
