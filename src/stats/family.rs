//! Many permutation tests at once on the same divisions of the runs, corrected by step-down max-T (Westfall & Young 1993;
//! Romano & Wolf 2005). The statistics are studentised (Chung & Romano 2013), so that a test of means stays right where
//! the two sides vary by different amounts, and so that the statistics of different quantities share one scale.

use rayon::prelude::*;

use super::descriptive::{quantile_sorted, variance};
use super::pairs::Pairs;
use super::permutation::{binomial, division};
use super::rng::Stream;
use crate::error::{Error, Result};

/// The ways in which M runs are divided into a first and a second side; number 0 is the division as observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Divisions {
    first: usize,
    runs: usize,
    design: Design,
    count: usize,
    exact: bool,
    seed: u64,
}

/// What may be exchanged under the hypothesis of no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// Any run with any other.
    Free,
    /// Run i of the first side with run i of the second only.
    Paired,
}

impl Divisions {
    /// Divisions of `runs` runs of which `first` are the first side: all of them if there are at most `most`, otherwise
    /// `most` random ones and the one as observed (Phipson & Smyth 2010).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty side, sides of different size in a paired design, or no division at all.
    pub fn new(first: usize, runs: usize, design: Design, most: usize, seed: u64) -> Result<Self> {
        if first == 0 || first >= runs || most == 0 || (design == Design::Paired && 2 * first != runs) {
            return Err(Error::Invalid(format!(
                "a permutation test of {first} of {runs} runs with {most} permutations: both sides need a run (as many each, if \
                 they are paired), and the test a permutation"
            )));
        }
        let all = match design {
            Design::Free => binomial(runs, first),
            Design::Paired => u32::try_from(first).ok().and_then(|pairs| 1u64.checked_shl(pairs)),
        };
        let (count, exact) = match all {
            Some(all) if all <= most as u64 => (all as usize, true),
            _ => (most + 1, false),
        };
        Ok(Self { first, runs, design, count, exact, seed })
    }

    /// How many there are, the observed one included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether these are all.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// The smallest p-value that a statistic can have which does not tell the sides apart by their names: with sides of
    /// equal size every division has a mirror image that counts as well.
    #[must_use]
    pub fn smallest_p(&self) -> f64 {
        self.twins() as f64 / self.count as f64
    }

    /// Divisions that are equal but for the names of the sides: 2 where each has its mirror image, else 1.
    fn twins(&self) -> usize {
        1 + usize::from(self.exact && 2 * self.first == self.runs)
    }

    /// The rank, from the top, of the division that an observed one has to pass to be found at `level`, twins counted once: of all
    /// others `rank` − 1 may be as large. 0 where nothing can be found.
    #[must_use]
    pub fn rank(&self, level: f64) -> usize {
        (level * self.count as f64 + 1e-9).floor() as usize / self.twins()
    }

    /// Division number `place`: the runs of the first side, then those of the second.
    fn get(&self, place: usize) -> Vec<usize> {
        match self.design {
            Design::Free if self.exact => division(place as u64, self.first, self.runs),
            Design::Free => {
                let mut order: Vec<usize> = (0..self.runs).collect();
                if place > 0 {
                    Stream::new(self.seed, place as u64).shuffle(&mut order);
                    // Sorted, so that a side has one sum however it was drawn.
                    order[..self.first].sort_unstable();
                    order[self.first..].sort_unstable();
                }
                order
            }
            Design::Paired => {
                let mut order: Vec<usize> = (0..self.runs).collect();
                let mut stream = Stream::new(self.seed, place as u64);
                for pair in 0..self.first {
                    let swap = if self.exact { place >> pair & 1 == 1 } else { place > 0 && stream.below(2) == 1 };
                    if swap {
                        order.swap(pair, self.first + pair);
                    }
                }
                order
            }
        }
    }
}

/// What is tested on every division.
#[derive(Debug, Clone, Copy)]
pub enum Quantity<'a> {
    /// The mean of a value for each run.
    Mean {
        /// `[M]`.
        values: &'a [f64],
        /// The least step of a value, whose rounding error is part of its variance: runs that agree exactly are not infinitely
        /// sure.
        step: f64,
    },
    /// The mean distance of two runs of one side: is one side more spread out than the other?
    Within(&'a Matrix),
    /// The distance of runs of different sides over that of runs of one side: do the sides differ? Large only counts.
    Excess(&'a Matrix),
}

/// Distances of all pairs of runs as a full matrix `[M, M]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    runs: usize,
    values: Vec<f64>,
}

impl From<&Pairs> for Matrix {
    fn from(pairs: &Pairs) -> Self {
        let runs = pairs.runs();
        let mut values = vec![0.0; runs * runs];
        for (a, b, value) in pairs.iter() {
            values[a * runs + b] = value;
            values[b * runs + a] = value;
        }
        Self { runs, values }
    }
}

/// Distances of one division.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    /// For each run, in order of the division, its mean distance to the others of its side.
    pub own: Vec<f64>,
    /// Mean distance of two runs of the first side, of the second, and of one of each.
    pub within: [f64; 2],
    /// Of pairs with one run of each side.
    pub between: f64,
}

impl Spread {
    /// The mean between less the mean of both within: half the energy distance of Székely & Rizzo (2004).
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.between - 0.5 * (self.within[0] + self.within[1])
    }

    /// The standard error of the difference of the means within, from the first-order (Hájek) projection: a run takes part
    /// in a mean of pairs twice as often as in a mean of runs.
    #[must_use]
    pub fn error_of_change(&self, first: usize) -> f64 {
        let (a, b) = self.own.split_at(first);
        (4.0 * (variance(a) / a.len() as f64 + variance(b) / b.len() as f64)).sqrt()
    }
}

impl Matrix {
    /// Mean distances where the runs of `order` up to `first` are one side and the rest the other, two runs each at least.
    /// In a paired design the distance of a run to its partner counts nowhere.
    #[must_use]
    pub fn spread(&self, order: &[usize], first: usize, design: Design) -> Spread {
        let row = |run: usize| &self.values[run * self.runs..(run + 1) * self.runs];
        let (a, b) = order.split_at(first);
        let within = |side: &[usize]| -> Vec<f64> {
            let others = side.len().saturating_sub(1) as f64;
            side.iter().map(|&run| side.iter().map(|&other| row(run)[other]).sum::<f64>() / others).collect()
        };
        let (mut own, of_second) = (within(a), within(b));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let both = [mean(&own), mean(&of_second)];
        let mut sum: f64 = a.iter().map(|&run| b.iter().map(|&other| row(run)[other]).sum::<f64>()).sum();
        let mut count = a.len() * b.len();
        if design == Design::Paired {
            sum -= a.iter().zip(b).map(|(&run, &other)| row(run)[other]).sum::<f64>();
            count -= first;
        }
        own.extend(of_second);
        Spread { own, within: both, between: sum / count as f64 }
    }
}

impl Quantity<'_> {
    /// The difference of the second side's mean to the first's with its standard error, of one value for each run.
    #[must_use]
    pub fn difference(values: &[f64], step: f64, order: &[usize], first: usize, design: Design) -> (f64, f64) {
        let (a, b) = order.split_at(first);
        let moments = |of: &mut dyn Iterator<Item = f64>, count: usize| {
            let (mut sum, mut squares) = (0.0, 0.0);
            // Off the first value, so that large values of little spread lose no digits.
            let shift = values[order[0]];
            for value in of {
                sum += value - shift;
                squares += (value - shift) * (value - shift);
            }
            let n = count as f64;
            let mean = sum / n;
            (mean, ((squares - n * mean * mean) / (n - 1.0)).max(0.0) / n)
        };
        let rounding = step * step / 12.0 * (1.0 / a.len() as f64 + 1.0 / b.len() as f64);
        match design {
            Design::Free => {
                let (before, error) = moments(&mut a.iter().map(|&run| values[run]), a.len());
                let (after, other) = moments(&mut b.iter().map(|&run| values[run]), b.len());
                (after - before, (error + other + rounding).sqrt())
            }
            Design::Paired => {
                let shift = values[order[0]];
                let pairs = a.iter().zip(b).map(|(&before, &after)| values[after] - values[before] + shift);
                let (mean, error) = moments(&mut pairs.into_iter(), a.len());
                (mean, (error + rounding).sqrt())
            }
        }
    }

    /// The statistic on one division: large where the sides differ.
    fn statistic(self, order: &[usize], first: usize, design: Design) -> f64 {
        let ratio = |difference: f64, error: f64| match difference.abs() {
            0.0 => 0.0,
            size => size / error,
        };
        match self {
            Self::Mean { values, step } => {
                let (difference, error) = Self::difference(values, step, order, first, design);
                ratio(difference, error)
            }
            Self::Within(distances) => {
                let spread = distances.spread(order, first, design);
                let difference = spread.within[1] - spread.within[0];
                let floor = 1e-9 * spread.between.abs().max(f64::MIN_POSITIVE);
                ratio(difference, spread.error_of_change(first).max(floor))
            }
            Self::Excess(distances) => {
                let spread = distances.spread(order, first, design);
                let (n, m) = (first as f64, (order.len() - first) as f64);
                let pooled = ((n - 1.0) * spread.within[0] + (m - 1.0) * spread.within[1]) / (n + m - 2.0);
                // The root of the pseudo-F of a one-way layout of distances (Anderson 2001): these distances are squared
                // Euclidean ones in some space, in which the excess is the squared distance of the two means.
                let excess = 2.0 * n * m / (n + m) * spread.excess();
                if pooled > 0.0 { (1.0 + excess / pooled).max(0.0).sqrt() } else { 1.0 + excess.max(0.0) }
            }
        }
    }
}

/// The outcome of a family of tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// As observed, for each quantity.
    pub statistics: Vec<f64>,
    /// Of each test alone: the share of divisions whose statistic is at least as large, in (0, 1].
    pub p: Vec<f64>,
    /// Corrected for all tests together by step-down max-T.
    pub corrected: Vec<f64>,
    /// The largest statistic of each division, descending.
    largest: Vec<f64>,
    /// Divisions that are equal but for the names of the sides.
    twins: usize,
}

impl Family {
    /// The value that an observed statistic has to pass to be found at `level`: that of all divisions but the observed one and
    /// its mirror image fewer are as large than `level` allows. None if no statistic, however large, would be that rare.
    #[must_use]
    pub fn critical(&self, level: f64) -> Option<f64> {
        let allowed = (level * self.largest.len() as f64 + 1e-9).floor() as usize;
        self.largest.get(allowed.checked_sub(self.twins)?).copied()
    }
}

/// The p-value of the hypothesis that the second side's mean is not higher: one-sided, of one value for each run.
#[must_use]
pub fn p_of_higher(values: &[f64], step: f64, divisions: &Divisions) -> f64 {
    let signed: Vec<f64> = (0..divisions.count)
        .into_par_iter()
        .map(|place| {
            let order = divisions.get(place);
            let (difference, error) = Quantity::difference(values, step, &order, divisions.first, divisions.design);
            if difference == 0.0 { 0.0 } else { difference / error }
        })
        .collect();
    share_as_large(&signed)
}

/// The share of a column that is at least as large as its first value.
fn share_as_large(column: &[f64]) -> f64 {
    column.iter().filter(|&&value| at_least(value, column[0])).count() as f64 / column.len().max(1) as f64
}

/// Statistics within 1e-9 of each other, relatively, count as equal: the same sums in another order.
fn at_least(value: f64, limit: f64) -> bool {
    value >= limit - 1e-9 * limit.abs()
}

/// Tests every quantity on all divisions.
#[must_use]
pub fn test(quantities: &[Quantity<'_>], divisions: &Divisions) -> Family {
    let count = quantities.len();
    let rows: Vec<Vec<f64>> = (0..divisions.count)
        .into_par_iter()
        .map(|place| {
            let order = divisions.get(place);
            quantities.iter().map(|quantity| quantity.statistic(&order, divisions.first, divisions.design)).collect()
        })
        .collect();
    let mut columns: Vec<Vec<f64>> = (0..count).map(|q| rows.iter().map(|row| row[q]).collect()).collect();
    for (column, quantity) in columns.iter_mut().zip(quantities) {
        if matches!(quantity, Quantity::Excess(_)) {
            standardise(column);
        }
    }
    Family::of_columns(&columns, divisions.twins())
}

impl Family {
    /// From the statistics of each quantity on every division, the observed one first; all of one length. `twins` divisions each
    /// have the same statistics whatever is observed.
    #[must_use]
    pub fn of_columns(columns: &[Vec<f64>], twins: usize) -> Self {
        let (count, divisions) = (columns.len(), columns.first().map_or(0, Vec::len));
        let p: Vec<f64> = columns.par_iter().map(|column| share_as_large(column)).collect();
        // From the smallest statistic to the largest, the maximum over all up to it is held against it.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| columns[a][0].total_cmp(&columns[b][0]));
        let mut largest = vec![f64::NEG_INFINITY; divisions];
        let mut corrected = vec![0.0; count];
        for &q in &order {
            largest.iter_mut().zip(&columns[q]).for_each(|(held, &value)| *held = held.max(value));
            let observed = columns[q][0];
            let above = largest.iter().filter(|&&value| at_least(value, observed)).count();
            corrected[q] = above as f64 / divisions as f64;
        }
        // Nothing is surer than what differs more.
        let mut least = 0.0f64;
        for &q in order.iter().rev() {
            least = least.max(corrected[q]);
            corrected[q] = least;
        }
        largest.sort_unstable_by(|a, b| b.total_cmp(a));
        Self { statistics: columns.iter().map(|column| column[0]).collect(), p, corrected, largest, twins }
    }
}

/// Off the median, in units of the interquartile range over 1.349, so that statistics of any scale share that of a studentised
/// mean. Median and range are of all divisions, the observed one among them, so that the test stays exact.
fn standardise(column: &mut [f64]) {
    let mut sorted = column.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |q| quantile_sorted(&sorted, q);
    let (centre, range) = (at(0.5), (at(0.75) - at(0.25)) / 1.349);
    let scale = range.max(1e-9 * centre.abs()).max(1e-12);
    column.iter_mut().for_each(|value| *value = (*value - centre) / scale);
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::*;

    fn free(first: usize, runs: usize) -> Divisions {
        Divisions::new(first, runs, Design::Free, 20_000, 1).unwrap()
    }

    fn normal(stream: &mut Stream) -> f64 {
        (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0
    }

    #[test]
    fn worked_by_hand() {
        // 1 2 3 against 7 8 9: difference 6, error √(1/3 + 1/3); of 20 divisions this one and its mirror image are as large.
        let values = [1.0, 2.0, 3.0, 7.0, 8.0, 9.0];
        let found = test(&[Quantity::Mean { values: &values, step: 0.0 }], &free(3, 6));
        assert!(close(found.statistics[0], 6.0 / (2.0f64 / 3.0).sqrt(), 1e-12));
        assert_eq!((found.p[0], found.corrected[0], free(3, 6).smallest_p()), (0.1, 0.1, 0.1));
        assert_eq!((found.critical(0.05), free(3, 6).rank(0.05)), (None, 0));
        // At 20 % two pairs of mirror images may be as large: the next of them is 7, 8, 3 against 1, 2, 9 or its like.
        assert_eq!(free(3, 6).rank(0.2), 2);
        assert!(found.critical(0.2).unwrap() < found.statistics[0]);
        // Pairs 1 7, 2 8, 3 9 with differences of 6 without spread: rounding alone is their error; 2 of 8 sign changes.
        let paired = Divisions::new(3, 6, Design::Paired, 1000, 1).unwrap();
        let found = test(&[Quantity::Mean { values: &values, step: 0.6 }], &paired);
        assert!(close(found.statistics[0], 6.0 / (0.03f64 * 2.0 / 3.0).sqrt(), 1e-9) && found.p[0] == 0.25);
    }

    #[test]
    fn distances_worked_by_hand() {
        let place = [0.0f64, 2.0, 10.0, 11.0, 15.0];
        let matrix = Matrix::from(&Pairs::from_fn(5, |a, b| (place[a] - place[b]).abs()));
        let spread = matrix.spread(&[0, 1, 2, 3, 4], 2, Design::Free);
        // Between: 10, 11, 15, 8, 9, 13; within the second: 1, 5, 4.
        assert!(close(spread.between, 11.0, 1e-12) && close(spread.within[1], 10.0 / 3.0, 1e-12));
        assert!(close(spread.excess(), 11.0 - 8.0 / 3.0, 1e-12) && close(spread.own[4], 4.5, 1e-12));
        let found = test(&[Quantity::Excess(&matrix)], &free(2, 5));
        assert!(close(found.p[0], 0.1, 1e-12), "one of ten divisions");
        let four = Matrix::from(&Pairs::from_fn(4, |a, b| (place[a] - place[b]).abs()));
        let paired = four.spread(&[0, 1, 2, 3], 2, Design::Paired);
        assert!(close(paired.between, (11.0 + 8.0) / 2.0, 1e-12), "0 with 11 and 2 with 10");
    }

    #[test]
    fn step_down_by_hand() {
        // Two quantities of 2 against 2 runs, all six divisions: |t| of each, the maximum, and what stepping down leaves.
        let (a, b) = ([0.0, 1.0, 10.0, 12.0], [0.0, 3.0, 1.0, 2.5]);
        let quantities = [Quantity::Mean { values: &a, step: 0.0 }, Quantity::Mean { values: &b, step: 0.0 }];
        let found = test(&quantities, &free(2, 4));
        let plain: Vec<[f64; 2]> = (0..6)
            .map(|place| {
                let order = free(2, 4).get(place);
                let t = |v: &[f64; 4]| {
                    let side = |s: &[usize]| ((v[s[0]] + v[s[1]]) / 2.0, (v[s[0]] - v[s[1]]).powi(2) / 4.0);
                    let ((m, e), (n, f)) = (side(&order[..2]), side(&order[2..]));
                    (m - n).abs() / (e + f).sqrt()
                };
                [t(&a), t(&b)]
            })
            .collect();
        let count = |limit: f64, of: &dyn Fn(&[f64; 2]) -> f64| {
            plain.iter().filter(|t| of(t) >= limit - 1e-9).count() as f64 / 6.0
        };
        assert!(plain[0][0] > plain[0][1]);
        assert!(close(found.corrected[0], count(plain[0][0], &|t| t[0].max(t[1])), 1e-12));
        assert!(close(found.corrected[1], count(plain[0][1], &|t| t[1]).max(found.corrected[0]), 1e-12));
    }

    #[test]
    fn every_division_once_and_the_observed_first() {
        for design in [Design::Free, Design::Paired] {
            let divisions = Divisions::new(4, 8, design, 1000, 1).unwrap();
            let all: std::collections::HashSet<Vec<usize>> = (0..divisions.count()).map(|i| divisions.get(i)).collect();
            assert_eq!(all.len(), if design == Design::Free { 70 } else { 16 });
            assert!(divisions.is_exact() && divisions.get(0) == [0, 1, 2, 3, 4, 5, 6, 7]);
            let random = Divisions::new(4, 8, design, 10, 1).unwrap();
            assert!(!random.is_exact() && random.count() == 11 && random.get(0) == [0, 1, 2, 3, 4, 5, 6, 7]);
        }
        assert!(
            Divisions::new(0, 4, Design::Free, 10, 1).is_err() && Divisions::new(1, 4, Design::Paired, 10, 1).is_err()
        );
        assert!(
            Divisions::new(4, 4, Design::Free, 10, 1).is_err() && Divisions::new(2, 4, Design::Free, 0, 1).is_err()
        );
    }

    #[test]
    fn false_findings_are_as_rare_as_promised_and_a_shift_is_found() {
        let (mut alarms, mut found) = (0, 0);
        for seed in 0..300 {
            let mut stream = Stream::new(seed, 7);
            let mut columns: Vec<Vec<f64>> = (0..12).map(|_| (0..10).map(|_| normal(&mut stream)).collect()).collect();
            let points: Vec<(f64, f64)> = (0..10).map(|_| (normal(&mut stream), normal(&mut stream))).collect();
            let matrix = Matrix::from(&Pairs::from_fn(10, |a, b| {
                (points[a].0 - points[b].0).powi(2) + (points[a].1 - points[b].1).powi(2)
            }));
            let family = |columns: &[Vec<f64>]| {
                let mut quantities: Vec<Quantity<'_>> =
                    columns.iter().map(|values| Quantity::Mean { values, step: 0.0 }).collect();
                quantities.extend([Quantity::Within(&matrix), Quantity::Excess(&matrix)]);
                test(&quantities, &free(5, 10))
            };
            alarms += usize::from(family(&columns).corrected.iter().any(|&p| p <= 0.05));
            columns[3][5..].iter_mut().for_each(|value| *value += 8.0);
            found += usize::from(family(&columns).corrected[3] <= 0.05);
        }
        assert!((2..=26).contains(&alarms), "{alarms} of 300 at 5 %");
        assert!(found >= 285, "{found} of 300 by five runs a side, among 14 tests");
    }
}
