//! Where the difference between runs comes from: components of variation from a partial grid of seeds.
//!
//! A run is a function f(s₁, …, s_k) of the levels (seeds) of k sources of randomness. Many distances between runs are half a
//! squared distance of some description of theirs: churn is ½‖d − d′‖² of one-hot decisions, ½‖p − p′‖² is that of the
//! probabilities, ½(a − a′)² that of accuracy, 1 − CKA that of normalised kernels. For all of these the mean T over pairs of runs that differ
//! in everything is the whole variance, and the mean T_s over pairs that share the level of source s alone is what is left
//! of it once s is held: T − T_s = Var(E[f | s]), the main effect of s (the first-order index of Sobol 1993). What the main
//! effects leave of T is interaction: sources that matter together only. One source at one base network measures a main
//! effect and its interactions with that base, and so depends on the base (Pecher 2024).

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::pairs::Pairs;
use crate::error::{Error, Result};

/// Confidence of the intervals.
const LEVEL: f64 = 0.95;

/// The levels of every run of a partial grid: `sources` columns, a row for each run. Two runs share the level of at most one
/// source, and every level of every source is used equally often, at least twice (once where there is one source only).
///
/// Run (a, b) has level (a + s·b) mod L of source s, for a < L and b < R ≤ L with L prime and at least `sources`. Of the sizes with
/// L·R ≤ `runs` the one with the most degrees of freedom (L − 1)(R − 1) is taken, so that no source is known from few levels or
/// from few pairs only.
///
/// # Errors
/// [`Error::Invalid`] where so few runs cannot make a grid: two levels used twice need four runs, and more sources need more.
pub fn grid(sources: usize, runs: usize) -> Result<Vec<Vec<u64>>> {
    if sources == 1 && runs >= 2 {
        return Ok((0..runs as u64).map(|level| vec![level]).collect());
    }
    let primes = (2..=runs).filter(|&l| l >= sources && (2..l).take_while(|d| d * d <= l).all(|d| l % d != 0));
    let sizes = primes.filter(|&l| l * 2 <= runs).map(|l| (l, (runs / l).min(l)));
    let Some((levels, uses)) = sizes.max_by_key(|&(l, r)| ((l - 1) * (r - 1), l)).filter(|_| sources > 0) else {
        return Err(Error::Invalid(format!(
            "{runs} runs are too few to tell {sources} sources of randomness apart: give at least {}",
            2 * (sources.max(2)..).find(|&l| (2..l).all(|d| l % d != 0)).unwrap_or(2)
        )));
    };
    let row = |place: usize| {
        let (a, b) = (place % levels, place / levels);
        (0..sources).map(|source| ((a + source * b) % levels) as u64).collect()
    };
    Ok((0..levels * uses).map(row).collect())
}

/// A part of the whole, in the unit of the distance, with its 95 % interval. A main effect is not negative, but its estimate can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// The value found.
    pub value: f64,
    /// Low end of the interval.
    pub low: f64,
    /// High end of the interval.
    pub high: f64,
}

/// The parts of a distance between runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// T: the mean distance of two runs that differ in every source.
    pub total: Part,
    /// T − T_s for each source, in the order of the levels.
    pub sources: Vec<Part>,
    /// T less the parts of all sources: what sources do together only, and whatever no source stands for.
    pub interaction: Part,
}

/// The values of all parts, without intervals.
struct Values {
    total: f64,
    sources: Vec<f64>,
}

impl Values {
    fn interaction(&self) -> f64 {
        self.total - self.sources.iter().sum::<f64>()
    }
}

/// Splits the mean distance of runs into the parts of their sources. `levels` holds a row for each run of `pairs`, with the run's
/// level of every source; runs that share two levels or more tell nothing that is used. With
/// one source everything is its part.
///
/// Intervals are those of Student's t with the jackknife's variance: each level of a source is left out in turn, with all runs
/// that have it, and the variances of all sources add up, since levels of different sources are drawn independently.
///
/// # Errors
/// [`Error::Invalid`] where rows are of different length or not as many as runs, where no two runs differ in everything, or
/// where no two runs share one source alone.
pub fn components(pairs: &Pairs, levels: &[Vec<u64>]) -> Result<Components> {
    let sources = levels.first().map_or(0, Vec::len);
    if levels.len() != pairs.runs() || levels.iter().any(|row| row.len() != sources) || sources == 0 {
        return Err(Error::Invalid(format!(
            "{} runs need a row of levels each, with a level for every source",
            pairs.runs()
        )));
    }
    let whole = values(pairs, levels, |_| true).ok_or_else(|| {
        Error::Invalid(
            "the runs do not tell the sources apart: some two runs have to differ in every source, and for each source some two to \
             share it alone"
                .into(),
        )
    })?;
    // Every estimate without one level, by source.
    let left_out: Vec<Vec<Values>> = (0..sources)
        .map(|source| {
            let mut names: Vec<u64> = levels.iter().map(|row| row[source]).collect();
            names.sort_unstable();
            names.dedup();
            names.iter().filter_map(|&name| values(pairs, levels, |run| levels[run][source] != name)).collect()
        })
        .collect();
    let part = |of: &dyn Fn(&Values) -> f64| {
        let value = of(&whole);
        let (mut variance, mut fewest) = (0.0, usize::MAX);
        for replicates in &left_out {
            let held: Vec<f64> = replicates.iter().map(of).collect();
            let n = held.len() as f64;
            let mean = held.iter().sum::<f64>() / n;
            variance += (n - 1.0) / n * held.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            fewest = fewest.min(held.len());
        }
        let half = student(fewest) * variance.sqrt();
        Part { value, low: value - half, high: value + half }
    };
    Ok(Components {
        total: part(&|v| v.total),
        sources: (0..sources).map(|source| part(&move |v: &Values| v.sources[source])).collect(),
        interaction: part(&Values::interaction),
    })
}

/// The parts from the runs that `kept` keeps; nothing where a mean would be over no pair.
fn values(pairs: &Pairs, levels: &[Vec<u64>], kept: impl Fn(usize) -> bool) -> Option<Values> {
    let sources = levels.first()?.len();
    // Sum and number of pairs: of those that share nothing, then of those that share each source alone.
    let mut sums = vec![(0.0, 0u32); sources + 1];
    for (a, b, distance) in pairs.iter().filter(|&(a, b, _)| kept(a) && kept(b)) {
        let mut shared = (0..sources).filter(|&source| levels[a][source] == levels[b][source]);
        let place = match (shared.next(), shared.next()) {
            (None, _) => 0,
            (Some(source), None) => source + 1,
            (Some(_), Some(_)) => continue,
        };
        sums[place].0 += distance;
        sums[place].1 += 1;
    }
    let mean =
        |place: usize| Some(sums[place]).filter(|&(_, count)| count > 0).map(|(sum, count)| sum / f64::from(count));
    let total = mean(0)?;
    let main = |source: usize| if sources == 1 { Some(total) } else { Some(total - mean(source + 1)?) };
    Some(Values { total, sources: (0..sources).map(main).collect::<Option<_>>()? })
}

/// The 97.5 % point of Student's t for the jackknife over so many levels; infinite where one level says nothing of the spread.
fn student(levels: usize) -> f64 {
    let freedom = levels.saturating_sub(1) as f64;
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(0.5 + LEVEL / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Stream;
    use proptest::prelude::*;
    use statrs::distribution::Normal;

    fn normal(stream: &mut Stream) -> f64 {
        Normal::standard().inverse_cdf(stream.uniform().clamp(1e-12, 1.0 - 1e-12))
    }

    #[test]
    fn grids_share_at_most_one_source_and_use_every_level_equally() {
        for (sources, runs, size) in
            [(2, 4, 4), (3, 10, 10), (4, 20, 20), (5, 30, 28), (3, 25, 25), (2, 60, 55), (1, 7, 7)]
        {
            let grid = grid(sources, runs).unwrap();
            assert_eq!(grid.len(), size, "{sources} of {runs}");
            for (place, one) in grid.iter().enumerate() {
                for other in &grid[..place] {
                    assert!(one.iter().zip(other).filter(|(a, b)| a == b).count() <= 1);
                }
            }
            for source in 0..sources {
                let mut uses = std::collections::BTreeMap::new();
                grid.iter().for_each(|row| *uses.entry(row[source]).or_insert(0) += 1);
                assert!(sources == 1 || uses.values().all(|&n| n >= 2 && n * uses.len() == size), "{uses:?}");
            }
            assert_eq!(grid[0], vec![0; sources]);
        }
        for (sources, runs) in [(2, 3), (3, 5), (0, 10), (1, 1)] {
            assert!(matches!(grid(sources, runs), Err(Error::Invalid(_))), "{sources} of {runs}");
        }
    }

    #[test]
    fn main_effects_and_interaction_by_hand() {
        // f = (a, b, a·b) over levels ±1 of both: each coordinate has variance 1, so ½‖f − f′‖² splits into 1, 1 and 1 where
        // every pair of levels is equally frequent. Two levels differ always where pairs do: squared differences are 4.
        let levels: Vec<Vec<u64>> = (0..4).map(|run| vec![run % 2, run / 2]).collect();
        let describe = |row: &[u64]| {
            let [a, b] = [row[0] as f64 * 2.0 - 1.0, row[1] as f64 * 2.0 - 1.0];
            [a, b, a * b]
        };
        let distance = |a: usize, b: usize| {
            let (x, y) = (describe(&levels[a]), describe(&levels[b]));
            0.5 * x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>()
        };
        let found = values(&Pairs::from_fn(4, distance), &levels, |_| true).unwrap();
        // Pairs that differ in both differ by 2 in a and b, not in a·b: ½(4 + 4). Those that share a differ in b and a·b.
        assert_eq!((found.total, found.sources.as_slice(), found.interaction()), (4.0, &[0.0, 0.0][..], 4.0));
    }

    /// One coordinate for each source and one for their product, with these variances, over freshly drawn levels.
    fn simulated(seed: u64, levels: &[Vec<u64>], variances: [f64; 3]) -> Pairs {
        let drawn = |place: u64| normal(&mut Stream::new(seed, place));
        let value = |run: usize| {
            let (a, b) = (levels[run][0], levels[run][1]);
            let effect = |k: u64, place: u64| variances[k as usize].sqrt() * drawn(1_000_000 * k + place);
            [effect(0, a), effect(1, b), effect(2, 1000 * a + b)]
        };
        let values: Vec<[f64; 3]> = (0..levels.len()).map(value).collect();
        Pairs::from_fn(levels.len(), |a, b| 0.5 * (0..3).map(|k| (values[a][k] - values[b][k]).powi(2)).sum::<f64>())
    }

    /// Over many drawn grids the estimates are right on average, and intervals hold what they promise.
    #[test]
    fn estimates_are_unbiased_and_covered() {
        const TRIALS: u32 = 2000;
        let levels = grid(2, 49).unwrap();
        let truth = [3.0, 1.0, 0.5];
        let (mut sums, mut covered) = ([0.0; 4], [0u32; 4]);
        for trial in 0..TRIALS {
            let found = components(&simulated(u64::from(trial), &levels, truth), &levels).unwrap();
            let parts = [found.sources[0], found.sources[1], found.interaction, found.total];
            for (k, (part, truth)) in parts.iter().zip([3.0, 1.0, 0.5, 4.5]).enumerate() {
                sums[k] += part.value;
                covered[k] += u32::from(part.low <= truth && truth <= part.high);
            }
        }
        let means = sums.map(|sum| sum / f64::from(TRIALS));
        for (mean, truth) in means.iter().zip([3.0, 1.0, 0.5, 4.5]) {
            assert!((mean - truth).abs() < 0.05 * truth.max(1.0), "{means:?}");
        }
        // One coordinate a source is the hardest case: variances of seven normal values.
        let shares = covered.map(|n| f64::from(n) / f64::from(TRIALS));
        assert!(shares.iter().all(|share| *share > 0.80), "{shares:?}");
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(seed: u64, sources in 2usize..4, runs in 10usize..30) {
            let levels = grid(sources, runs).unwrap();
            let mut stream = Stream::new(seed, 0);
            let values: Vec<f64> = levels.iter().map(|_| normal(&mut stream)).collect();
            let pairs = Pairs::from_fn(levels.len(), |a, b| 0.5 * (values[a] - values[b]).powi(2));
            let found = components(&pairs, &levels).unwrap();
            let sum = found.sources.iter().map(|part| part.value).sum::<f64>() + found.interaction.value;
            prop_assert!((sum - found.total.value).abs() < 1e-12);
        }
    }
}
