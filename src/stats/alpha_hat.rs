//! The trimming level by the published protocol (Banerjee 2025): bootstrapped, interpolated reference, a grid of levels.
//!
//! In each bootstrap the candidate is N/2 draws of its own margins and the reference N/2 draws of the pooled margins of the
//! reference runs. Draws are places in the sorted samples, shared by all runs of a bootstrap (as published), so nothing is
//! sorted again for a run, and the result does not depend on the order of runs or of examples.

use rayon::prelude::*;
use serde::Serialize;

use super::alpha::confidence;
use super::descriptive::{ascending, mean, quantile, std};
use super::margins::Margins;
use super::ranking::Ranking;
use super::rng::Stream;
use super::sample::Sample;
use super::trimming::{CEILING, Plateaus};
use crate::error::{Error, Result};

/// Share of a draw from which on equal values are an atom, where an ECDF jumps; ties of draws with replacement are far below.
pub const ATOM: f64 = 0.01;
/// An atom has at least so many values.
const LEAST_ATOM: usize = 10;

/// Draws that are held at a time, for all bootstraps together.
const DRAWS: usize = 1 << 22;

/// How `alpha_hat` is estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Protocol {
    /// Confidence parameter ε of the threshold, in (0, 1).
    pub epsilon: f64,
    /// Number of bootstraps B, at least 1.
    pub bootstraps: usize,
    /// Root of the draws.
    pub seed: u64,
    /// Whether the reference is interpolated through atoms too, by the letter of the published protocol. Otherwise it jumps at
    /// values that at least [`ATOM`] of a draw share.
    pub literal: bool,
}

/// The estimated level of one run. Never compare levels of different N or ε.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlphaHat {
    /// Mean over the bootstraps of the smallest level of the grid that suffices, in [0, 0.5]; read 0.5 as "≥ 0.50".
    pub mean: f64,
    /// The 2.5 % point of the bootstraps.
    pub low: f64,
    /// The 97.5 % point of the bootstraps.
    pub high: f64,
    /// Share of bootstraps in which no level of the grid sufficed.
    pub at_ceiling: f64,
    /// Half the width of the 95 % interval that the finite number of bootstraps leaves `mean` in, 1.96·sd/√B; 0 for one.
    pub error: f64,
    /// An interval over examples: what other test sets of this size would give. Each bootstrap draws half of the examples, so
    /// it spreads √2 times too wide, and its quantiles are drawn in by that (the m-out-of-n bootstrap).
    pub over_examples: (f64, f64),
}

impl AlphaHat {
    fn of(levels: &[f64]) -> Self {
        let (centre, low, high) = (mean(levels), quantile(levels, 0.025), quantile(levels, 0.975));
        let narrow = |end: f64| (centre + (end - centre) * std::f64::consts::FRAC_1_SQRT_2).clamp(0.0, CEILING);
        let spread = if levels.len() > 1 { std(levels) } else { 0.0 };
        Self {
            mean: centre,
            low,
            high,
            error: 1.96 * spread / (levels.len() as f64).sqrt(),
            over_examples: (narrow(low), narrow(high)),
            at_ceiling: levels.iter().filter(|&&a| a == CEILING).count() as f64 / levels.len() as f64,
        }
    }
}

/// The threshold δ = √(ln(2/ε)/n) + 1/n of samples of n = ⌊N/2⌋.
///
/// # Errors
/// [`Error::Invalid`] for fewer than two examples or ε outside (0, 1).
pub fn threshold(examples: usize, epsilon: f64) -> Result<f64> {
    if examples < 2 {
        return Err(Error::Invalid(format!("alpha_hat halves the examples, and there are {examples}")));
    }
    let half = (examples / 2) as f64;
    Ok((confidence(epsilon)? / half).sqrt() + 1.0 / half)
}

/// Every run against the pooled margins of all others, in order of the runs.
///
/// # Errors
/// [`Error::Invalid`] for no bootstraps, fewer than two examples, or ε outside (0, 1).
pub fn leave_one_out(ranking: &Ranking, protocol: &Protocol) -> Result<Vec<AlphaHat>> {
    let delta = protocol.check(ranking.examples())?;
    let pool = ranking.sorted().len() - ranking.examples();
    let contest = |run| Contest {
        draws: 0,
        candidate: ranking.lower(run).iter().map(|&i| ranking.sorted()[i as usize]).collect(),
        pool: Pool::Others(Others::new(ranking, run)),
    };
    Ok(protocol.estimate(delta, ranking.examples(), &[pool], ranking.runs(), contest))
}

/// Every run against the pooled margins of the runs of the other half, in order of the runs; `second[m]` says whether run m
/// is in the second half. See [`random_halves`].
///
/// # Errors
/// [`Error::Invalid`] for a wrong number of entries, an empty half, no bootstraps, fewer than two examples, or ε outside (0, 1).
pub fn split_half(margins: &Margins<'_>, second: &[bool], protocol: &Protocol) -> Result<Vec<AlphaHat>> {
    let delta = protocol.check(margins.examples())?;
    let (runs, examples) = (margins.runs(), margins.examples());
    if second.len() != runs || second.iter().all(|&s| s) || !second.contains(&true) {
        return Err(Error::Invalid(format!("{runs} runs cannot be judged by halves: both need at least one run")));
    }
    let pools = [true, false].map(|half| {
        let mut pool: Vec<f64> =
            margins.rows().zip(second).filter(|&(_, &s)| s == half).flat_map(|(row, _)| row).copied().collect();
        pool.par_sort_unstable_by(f64::total_cmp);
        pool
    });
    let contest = |run: usize| {
        let half = usize::from(second[run]);
        let row = &margins.values()[run * examples..][..examples];
        Contest { draws: half, candidate: ascending(row), pool: Pool::Sorted(&pools[half]) }
    };
    Ok(protocol.estimate(delta, examples, &[pools[0].len(), pools[1].len()], runs, contest))
}

/// One candidate, an ensemble say, against a pool of any size; the candidate's size is N.
///
/// # Errors
/// [`Error::Invalid`] for no bootstraps, fewer than two examples, a pool of 2³² values or more, or ε outside (0, 1).
pub fn between(candidate: &Sample, pool: &Sample, protocol: &Protocol) -> Result<AlphaHat> {
    let delta = protocol.check(candidate.len())?;
    if u32::try_from(candidate.len().max(pool.len())).is_err() {
        return Err(Error::Invalid("a pool of margins must have fewer than 2^32 values: take fewer runs".into()));
    }
    let contest = |_| Contest { draws: 0, candidate: candidate.values().to_vec(), pool: Pool::Sorted(pool.values()) };
    let mut estimates = protocol.estimate(delta, candidate.len(), &[pool.len()], 1, contest);
    Ok(estimates.remove(0))
}

/// A random division of `runs` runs into halves, the first of ⌈runs/2⌉: true for runs of the second.
#[must_use]
pub fn random_halves(runs: usize, seed: u64) -> Vec<bool> {
    let mut second: Vec<bool> = (0..runs).map(|m| m >= runs.div_ceil(2)).collect();
    Stream::new(seed, u64::MAX).shuffle(&mut second);
    second
}

impl Protocol {
    fn check(&self, examples: usize) -> Result<f64> {
        if self.bootstraps == 0 {
            return Err(Error::Invalid("alpha_hat needs at least one bootstrap".into()));
        }
        threshold(examples, self.epsilon)
    }

    /// Estimates `contests` candidates of `examples` margins each; contest number i uses the draws for `pools[i.draws]`, a
    /// pool's size.
    fn estimate<'a>(
        &self,
        delta: f64,
        examples: usize,
        pools: &[usize],
        contests: usize,
        contest: impl Fn(usize) -> Contest<'a> + Sync,
    ) -> Vec<AlphaHat> {
        let mut levels = vec![Vec::with_capacity(self.bootstraps); contests];
        let batch = (DRAWS / examples).clamp(1, self.bootstraps);
        for start in (0..self.bootstraps).step_by(batch) {
            let batch = start..self.bootstraps.min(start + batch);
            let draws: Vec<Vec<Draw>> = pools
                .iter()
                .map(|&pool| batch.clone().into_par_iter().map(|b| Draw::new(self.seed, b, examples, pool)).collect())
                .collect();
            levels.par_iter_mut().enumerate().for_each(|(i, levels)| {
                let contest = contest(i);
                levels.par_extend(
                    draws[contest.draws]
                        .par_iter()
                        .map_init(Work::default, |work, draw| work.level(&contest, draw, delta, self.literal)),
                );
            });
        }
        levels.iter().map(|levels| AlphaHat::of(levels)).collect()
    }
}

/// The draws of one bootstrap: ascending places in the sorted candidate and in the sorted pool.
struct Draw {
    candidate: Vec<u32>,
    reference: Vec<u32>,
}

impl Draw {
    fn new(seed: u64, bootstrap: usize, examples: usize, pool: usize) -> Self {
        let mut stream = Stream::new(seed, bootstrap as u64);
        let mut draw = |n: usize| {
            let mut places: Vec<u32> = (0..examples / 2).map(|_| stream.index(n) as u32).collect();
            places.sort_unstable();
            places
        };
        Self { candidate: draw(examples), reference: draw(pool) }
    }
}

/// A candidate and what it is compared with.
struct Contest<'a> {
    /// Which of the lists of draws is for a pool of this size.
    draws: usize,
    /// The candidate's margins, ascending.
    candidate: Vec<f64>,
    pool: Pool<'a>,
}

/// Where reference margins are drawn from.
enum Pool<'a> {
    /// An ascending pool.
    Sorted(&'a [f64]),
    /// The margins of all runs but one.
    Others(Others<'a>),
}

/// The sorted margins of all runs but one, looked up in those of all runs.
struct Others<'a> {
    sorted: &'a [f64],
    /// For each own margin, ascending: how many of the others' are smaller. One entry more, beyond all places.
    before: Vec<u32>,
    /// For each 2^`shift` places: how many entries of `before` are smaller than the first of them.
    starts: Vec<u32>,
    shift: u32,
}

impl<'a> Others<'a> {
    fn new(ranking: &'a Ranking, run: usize) -> Self {
        let (sorted, examples) = (ranking.sorted(), ranking.examples());
        let mut before = Vec::with_capacity(examples + 1);
        for s in ranking.distinct(run) {
            before.resize(s.own_upto, (s.below - s.own_below) as u32);
        }
        before.push(u32::MAX);
        // About four stretches of places for each own margin, so that most hold none.
        let shift = ((sorted.len() - examples) / (4 * examples)).max(1).ilog2();
        let mut starts = Vec::new();
        for (k, &b) in before[..examples].iter().enumerate() {
            while starts.len() << shift <= b as usize {
                starts.push(k as u32);
            }
        }
        starts.resize(((sorted.len() - examples) >> shift) + 1, examples as u32);
        Self { sorted, before, starts, shift }
    }

    fn at(&self, place: u32) -> f64 {
        // Of equal margins the own ones count as first.
        let mut own = self.starts[(place >> self.shift) as usize] as usize;
        while self.before[own] <= place {
            own += 1;
        }
        self.sorted[place as usize + own]
    }
}

/// Space that bootstraps share.
#[derive(Default)]
struct Work {
    candidate: Vec<f64>,
    reference: Vec<f64>,
    plateaus: Plateaus,
}

impl Work {
    /// The level of one bootstrap.
    fn level(&mut self, contest: &Contest<'_>, draw: &Draw, delta: f64, literal: bool) -> f64 {
        self.candidate.clear();
        self.candidate.extend(draw.candidate.iter().map(|&place| contest.candidate[place as usize]));
        self.reference.clear();
        match &contest.pool {
            Pool::Sorted(pool) => self.reference.extend(draw.reference.iter().map(|&place| pool[place as usize])),
            Pool::Others(others) => self.reference.extend(draw.reference.iter().map(|&place| others.at(place))),
        }
        if literal {
            self.plateaus.fill_interpolated(&self.reference, &self.candidate);
        } else {
            let atom = ((self.reference.len() as f64 * ATOM).ceil() as usize).max(LEAST_ATOM);
            self.plateaus.fill_with_atoms(&self.reference, &self.candidate, atom);
        }
        self.plateaus.grid_level(delta)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::*;

    /// Standard normal by the Box–Muller transform.
    fn normal(stream: &mut Stream) -> f64 {
        let (u, v) = (1.0 - stream.uniform(), stream.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    fn normals(stream: &mut Stream, n: usize, shift: f64) -> Sample {
        Sample::new((0..n).map(|_| normal(stream) + shift).collect()).unwrap()
    }

    const PROTOCOL: Protocol = Protocol { epsilon: 0.01, bootstraps: 20, seed: 5, literal: false };

    #[test]
    fn the_null_is_level_zero() {
        let delta = threshold(2000, 0.01).unwrap();
        let mut stream = Stream::new(11, 0);
        // The expected rate is 99.1 %, so 200 trials alone would be a matter of luck.
        let trials = 5000;
        let zero = (0..trials)
            .filter(|_| {
                let (r, c) = (normals(&mut stream, 1000, 0.0), normals(&mut stream, 1000, 0.0));
                Plateaus::interpolated(&r, &c).grid_level(delta) == 0.0
            })
            .count();
        assert!(zero * 100 >= trials * 99, "{zero} of {trials}");
    }

    #[test]
    fn half_a_standard_deviation_is_a_third() {
        let delta = threshold(2000, 0.01).unwrap();
        let mut stream = Stream::new(12, 0);
        let levels: Vec<f64> = (0..40)
            .map(|_| {
                let (r, c) = (normals(&mut stream, 1000, 0.0), normals(&mut stream, 1000, 0.5));
                Plateaus::interpolated(&r, &c).grid_level(delta)
            })
            .collect();
        assert!(close(mean(&levels), 0.37, 0.03), "{}", mean(&levels));
    }

    #[test]
    fn the_whole_protocol_finds_the_shifted_run() {
        let mut stream = Stream::new(13, 0);
        let margins: Vec<f64> =
            (0..5).flat_map(|m| normals(&mut stream, 2000, if m == 1 { 0.5 } else { 0.0 }).values().to_vec()).collect();
        let margins = Margins::new(&margins, 5, 2000).unwrap();
        let one_out = leave_one_out(&Ranking::new(&margins).unwrap(), &PROTOCOL).unwrap();
        let halves = split_half(&margins, &[false, false, false, true, true], &PROTOCOL).unwrap();
        for levels in [one_out, halves] {
            for (m, a) in levels.iter().enumerate() {
                assert!(a.low <= a.mean && a.mean <= a.high);
                assert!(if m == 1 { a.mean > 0.2 } else { a.mean < 0.1 }, "run {m}: {a:?}");
            }
        }
    }

    #[test]
    fn a_run_far_away_is_at_the_ceiling() {
        let mut stream = Stream::new(14, 0);
        let a = between(&normals(&mut stream, 500, 9.0), &normals(&mut stream, 5000, 0.0), &PROTOCOL).unwrap();
        assert_eq!((a.mean, a.low, a.high, a.at_ceiling), (CEILING, CEILING, CEILING, 1.0));
    }

    proptest! {
        #[test]
        fn leaving_one_out_draws_from_the_others(values in proptest::collection::vec(-6i32..6, 4 * 25)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let margins = Margins::new(&values, 4, 25).unwrap();
            let ranking = Ranking::new(&margins).unwrap();
            let levels = leave_one_out(&ranking, &PROTOCOL).unwrap();
            for m in 0..4 {
                let own = Sample::new(values[m * 25..][..25].to_vec()).unwrap();
                let others = Sample::new([&values[..m * 25], &values[(m + 1) * 25..]].concat()).unwrap();
                prop_assert_eq!(&levels[m], &between(&own, &others, &PROTOCOL).unwrap());
                let lookup = Others::new(&ranking, m);
                prop_assert!((0..75).map(|place| lookup.at(place)).eq(others.values().iter().copied()));
            }
        }
    }

    #[test]
    fn one_thread_gives_the_same_bytes() {
        let mut stream = Stream::new(15, 0);
        let values: Vec<f64> = (0..6 * 400).map(|_| normal(&mut stream)).collect();
        let run = || {
            let margins = Margins::new(&values, 6, 400).unwrap();
            leave_one_out(&Ranking::new(&margins).unwrap(), &PROTOCOL).unwrap()
        };
        let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        assert_eq!(pool(1).install(run), pool(4).install(run));
    }

    #[test]
    fn halves_are_halves() {
        let second = random_halves(7, 1);
        assert_eq!(second.iter().filter(|&&s| s).count(), 3);
        assert_ne!(random_halves(40, 1), random_halves(40, 2));
        let margins = [0.0; 4];
        let margins = Margins::new(&margins, 2, 2).unwrap();
        assert!(split_half(&margins, &[false, false], &PROTOCOL).is_err());
        assert!(split_half(&margins, &[true], &PROTOCOL).is_err());
        assert!(threshold(1, 0.01).is_err());
    }
}
