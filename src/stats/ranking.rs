//! One global ranking of all runs' margins, which serves the leave-one-out reference of every run.

use rayon::prelude::*;

use super::margins::Margins;
use super::trimming::Plateaus;
use crate::error::{Error, Result};

/// Runs whose margins are ranked by one task; bounds the memory of sorted copies.
const RUNS_PER_TASK: usize = 64;

/// Pooled values looked at together, so that searches stay in the first-level cache.
const WINDOW: usize = 2048;

/// All margins of M ≥ 2 runs sorted together, and where each run's own values stand among them. Needs memory of twice the
/// margins beside them, and little more while it is made.
#[derive(Debug, Clone)]
pub struct Ranking {
    examples: usize,
    /// All M·N margins, ascending.
    sorted: Vec<f64>,
    /// For each run, for its k-th smallest margin: how many pooled margins are smaller, `[M, N]`.
    lower: Vec<u32>,
    /// And how many are smaller or equal.
    upper: Vec<u32>,
}

impl Ranking {
    /// Ranks all margins: one parallel sort of all, one of each run, and a search for each value within a window.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two runs: there would be no reference.
    pub fn new(margins: &Margins<'_>) -> Result<Self> {
        if margins.runs() < 2 {
            return Err(Error::Invalid("a reference of the other runs needs at least two runs".into()));
        }
        let examples = margins.examples();
        let mut sorted = margins.values().to_vec();
        sorted.par_sort_unstable_by(f64::total_cmp);
        let mut lower = vec![0u32; sorted.len()];
        let mut upper = vec![0u32; sorted.len()];
        let task = examples * RUNS_PER_TASK;
        lower.par_chunks_mut(task).zip(upper.par_chunks_mut(task)).zip(margins.values().par_chunks(task)).for_each(
            |((lower, upper), values)| {
                let mut rows = values.to_vec();
                rows.chunks_exact_mut(examples).for_each(|row| row.sort_unstable_by(f64::total_cmp));
                rank(&sorted, &rows, examples, lower, upper);
            },
        );
        Ok(Self { examples, sorted, lower, upper })
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
        let upper = &self.upper[run * self.examples..][..self.examples];
        let mut start = 0;
        std::iter::from_fn(move || {
            let &below = lower.get(start)?;
            let own_below = start;
            start += lower[start..].iter().take_while(|&&l| l == below).count();
            Some(Standing { below: below as usize, upto: upper[own_below] as usize, own_below, own_upto: start })
        })
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
        plateaus.finish();
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

/// Ranks the ascending `rows` of a few runs among `sorted`, which holds all their values.
fn rank(sorted: &[f64], rows: &[f64], examples: usize, lower: &mut [u32], upper: &mut [u32]) {
    let runs = rows.len() / examples;
    let mut done = vec![0usize; runs];
    let mut place = vec![0usize; runs];
    for end in (WINDOW..sorted.len()).step_by(WINDOW).chain([sorted.len()]) {
        let last = sorted[end - 1];
        for m in 0..runs {
            let row = &rows[m * examples..][..examples];
            let (low, up) = (&mut lower[m * examples..][..examples], &mut upper[m * examples..][..examples]);
            let mut at = place[m];
            let mut k = done[m];
            while k < examples && row[k] <= last {
                let x = row[k];
                // A value that equals the one before stands where that one stands: `at` is at its first equal.
                at += sorted[at..end].partition_point(|&v| v < x);
                // `Margins` guarantees that positions fit.
                low[k] = at as u32;
                up[k] = if k > 0 && row[k - 1] == x { up[k - 1] } else { after(sorted, at, x) as u32 };
                k += 1;
            }
            done[m] = k;
            place[m] = at;
        }
    }
}

/// The first place after `at` whose value exceeds `x`, given that `sorted[at]` equals it: doubling steps, as ties are few.
fn after(sorted: &[f64], at: usize, x: f64) -> usize {
    let (mut from, mut step) = (at + 1, 1);
    while sorted.get(from + step - 1).is_some_and(|&v| v <= x) {
        from += step;
        step *= 2;
    }
    let to = sorted.len().min(from + step);
    from + sorted[from..to].partition_point(|&v| v <= x)
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
    fn ranks_across_windows() {
        let (runs, examples) = (70, 150);
        let values: Vec<f64> = (0..runs * examples).map(|i| f64::from((i as u32 * 7919) % 5003 / 3)).collect();
        let ranking = Ranking::new(&Margins::new(&values, runs, examples).unwrap()).unwrap();
        for m in [0, 63, 64, 69] {
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
