//! From measurements to tests and intervals, where the unit is the run or a pair of runs.

use super::judge::Settings;
use super::measure::{Measured, Values};
use super::schema::{Claim, ClaimFound, Decision, Metric, Quantity, Unit};
use super::verdict::finding;
use crate::analysis::metrics::Better;
use crate::error::Result;
use crate::stats::bootstrap::Bootstrap;
use crate::stats::descriptive::{mean, variance};
use crate::stats::family::{self, Design, Divisions, Family, Matrix, Quantity as Statistic};
use crate::stats::groups::Groups;
use crate::stats::power::{self, POWER};

/// Divisions of a permutation test of sweeps of ordinary size, at most.
pub const PERMUTATIONS: usize = 20_000;
/// Resamples of an interval.
const RESAMPLES: usize = 20_000;
/// Pairs of runs looked at by one permutation test, and values of a family of tests, at most about.
const WORK: usize = 1_000_000_000;
const CELLS: usize = 40_000_000;

/// Every quantity tested, and what the family of tests says of its power.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    pub metrics: Vec<Metric>,
    /// The level of one two-sided t test that is as strict as the family; none where nothing can be found.
    pub level: Option<f64>,
    pub smallest_p: f64,
}

/// How the runs of two sides may be exchanged.
fn divisions(measured: &Measured, unit: Unit, tests: usize, seed: u64) -> Result<Divisions> {
    let runs = measured.decisions.len();
    let most = PERMUTATIONS.min(WORK / (runs * runs)).min(CELLS / tests.max(1)).max(999);
    Divisions::new(measured.first, runs, design(unit), most, seed)
}

fn design(unit: Unit) -> Design {
    if unit == Unit::Pairs { Design::Paired } else { Design::Free }
}

/// Tests all quantities together.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for sides of fewer than two runs.
pub fn tested(measured: &Measured, unit: Unit, settings: &Settings) -> Result<Tested> {
    let matrices: Vec<Matrix> = measured.pairs.iter().map(|(_, _, pairs)| Matrix::from(pairs)).collect();
    let mut asked: Vec<(Quantity, Statistic<'_>)> = measured
        .runs
        .iter()
        .map(|Values { quantity, of_runs, step }| (*quantity, Statistic::Mean { values: of_runs, step: *step }))
        .collect();
    for ((within, between, _), matrix) in measured.pairs.iter().zip(&matrices) {
        asked.extend(within.map(|quantity| (quantity, Statistic::Within(matrix))));
        asked.push((*between, Statistic::Excess(matrix)));
    }
    let statistics: Vec<Statistic<'_>> = asked.iter().map(|held| held.1).collect();
    let divisions = divisions(measured, unit, statistics.len(), settings.seed)?;
    let family = family::test(&statistics, &divisions);
    // Whether runs diverged is asked of other runs than the rest: the two families share the level by halves.
    let families = if measured.diverged.is_some() { 2.0 } else { 1.0 };
    let level = (1.0 - settings.confidence) / families;
    let scale = Scale::new(measured, unit, (&family, divisions.rank(level)), level, asked.len())?;
    let common = Common { measured, unit, settings, scale, smallest_p: families * divisions.smallest_p() };
    let mut metrics = Vec::new();
    for (place, (quantity, statistic)) in asked.iter().enumerate() {
        let p = (family.p[place], (families * family.corrected[place]).min(1.0));
        metrics.push(common.metric(*quantity, *statistic, place, p)?);
    }
    if let Some(sides) = &measured.diverged {
        metrics.push(diverged(sides, &common)?);
    }
    metrics.sort_by_key(|metric| metric.metric.order());
    Ok(Tested { metrics, level: common.scale.level, smallest_p: common.smallest_p })
}

/// What turns standard errors into intervals and detectable changes.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Half an interval in standard errors.
    critical: f64,
    /// The detectable change in standard deviations of a run (of a pair's difference).
    detectable: Option<f64>,
    level: Option<f64>,
}

impl Scale {
    fn new(
        measured: &Measured,
        unit: Unit,
        (family, rank): (&Family, usize),
        level: f64,
        tests: usize,
    ) -> Result<Self> {
        let (n, m) = (measured.first, measured.decisions.len() - measured.first);
        let of = |critical| match unit {
            Unit::Pairs => power::Design::of_pairs(n, critical),
            _ => power::Design::of_sides(n, m, critical),
        };
        let freedom = of(0.0).freedom;
        let Some(critical) = family.critical(level) else {
            // So few runs have no division rare enough; the interval is Bonferroni's, by Student's t.
            let critical = power::critical_t(level / tests.max(1) as f64, freedom)?;
            return Ok(Self { critical, detectable: None, level: None });
        };
        let detectable = Some(of(critical).of_rank(rank)?.detectable(freedom, POWER)?);
        Ok(Self { critical, detectable, level: Some(power::level_of_t(critical, freedom)?.max(1e-12)) })
    }
}

struct Common<'a> {
    measured: &'a Measured,
    unit: Unit,
    settings: &'a Settings,
    scale: Scale,
    smallest_p: f64,
}

impl Common<'_> {
    fn metric(&self, quantity: Quantity, statistic: Statistic<'_>, place: usize, p: (f64, f64)) -> Result<Metric> {
        let (first, runs) = (self.measured.first, self.measured.decisions.len());
        let order: Vec<usize> = (0..runs).collect();
        let design = design(self.unit);
        let halves = |values: &[f64]| [values[..first].to_vec(), values[first..].to_vec()];
        let around = |difference: f64, error: f64| {
            let half = self.scale.critical * error;
            (difference, difference - half, difference + half)
        };
        let detectable = |spread: f64| self.scale.detectable.map(|factor| factor * spread);
        let (means, between, interval, runs, detectable) = match statistic {
            Statistic::Mean { values, step } => {
                let (difference, error) = Statistic::difference(values, step, &order, first, design);
                let sides = halves(values);
                let spread = match self.unit {
                    Unit::Pairs => {
                        let pairs: Vec<f64> = sides[0].iter().zip(&sides[1]).map(|(a, b)| b - a).collect();
                        variance(&pairs).sqrt()
                    }
                    _ => pooled(&sides),
                };
                let means = [mean(&sides[0]), mean(&sides[1])];
                (means, None, around(difference, error), sides, detectable(spread))
            }
            Statistic::Within(matrix) => {
                let spread = matrix.spread(&order, first, design);
                let sides = halves(&spread.own);
                let difference = spread.within[1] - spread.within[0];
                let interval = around(difference, spread.error_of_change(first));
                // A run takes part in a mean of pairs twice as often as in a mean of runs.
                let detectable = detectable(2.0 * pooled(&sides)).filter(|_| self.unit != Unit::Pairs);
                (spread.within, None, interval, sides, detectable)
            }
            Statistic::Excess(matrix) => {
                let spread = matrix.spread(&order, first, design);
                let excess = self.measured.pairs.len() as f64;
                let bootstrap = Bootstrap {
                    resamples: RESAMPLES,
                    level: 1.0 - (1.0 - self.settings.confidence) / excess,
                    seed: self.settings.seed ^ place as u64,
                };
                let difference = spread.excess();
                let (mut low, mut high) = (difference, difference);
                if let Some((_, _, pairs)) = self.measured.pairs.iter().find(|held| held.1 == quantity) {
                    let interval = Groups::new(pairs, first)?.excess(&bootstrap)?;
                    (low, high) = (low + interval.low - interval.estimate, high + interval.high - interval.estimate);
                }
                (spread.within, Some(spread.between), (difference, low, high), Default::default(), None)
            }
        };
        Ok(self.judged(quantity, means, between, interval, p, runs, detectable))
    }

    #[allow(clippy::too_many_arguments)]
    fn judged(
        &self,
        metric: Quantity,
        [baseline, candidate]: [f64; 2],
        between: Option<f64>,
        (difference, low, high): (f64, f64, f64),
        (p, p_corrected): (f64, f64),
        [baseline_runs, candidate_runs]: [Vec<f64>; 2],
        detectable: Option<f64>,
    ) -> Metric {
        let tolerance = self.settings.tolerances.of(metric);
        let level = 1.0 - self.settings.confidence;
        // Stepping down finds more than intervals that hold all at once: a difference that is found has its sign.
        let found = p_corrected <= level;
        let (low, high) = match found && !metric.is_excess() {
            true if difference > 0.0 => (low.max(0.0), high),
            true => (low, high.min(0.0)),
            false => (low, high),
        };
        let can_be_found = self.smallest_p <= level;
        Metric {
            metric,
            baseline,
            candidate,
            between,
            difference,
            low,
            high,
            p,
            p_corrected,
            detectable,
            good: metric.good(),
            tolerance: tolerance.unwrap_or(0.0),
            finding: finding(metric, (low, difference, high), found, tolerance, can_be_found),
            baseline_runs,
            candidate_runs,
        }
    }
}

/// The standard deviation within both sides.
fn pooled(sides: &[Vec<f64>; 2]) -> f64 {
    let squares: f64 = sides.iter().map(|side| variance(side) * (side.len() as f64 - 1.0)).sum();
    (squares / (sides[0].len() + sides[1].len() - 2) as f64).max(0.0).sqrt()
}

/// Whether the share of runs that diverge differs: a test of its own, since the other quantities are of finite runs only.
fn diverged((before, after): &(Vec<f64>, Vec<f64>), common: &Common<'_>) -> Result<Metric> {
    let values = [before.as_slice(), after].concat();
    let (first, runs) = (before.len(), values.len());
    let divisions = Divisions::new(first, runs, Design::Free, PERMUTATIONS, common.settings.seed)?;
    let order: Vec<usize> = (0..runs).collect();
    let (difference, _) = Statistic::difference(&values, 0.0, &order, first, Design::Free);
    // A share of 0 has no spread. With a rounding error that outweighs every spread the statistic is the difference itself,
    // which orders divisions as Fisher's exact test does.
    let family = family::test(&[Statistic::Mean { values: &values, step: 1e6 }], &divisions);
    let p = (family.p[0], (2.0 * family.p[0]).min(1.0));
    // Agresti & Caffo's interval: one more run of either kind on each side.
    let added = |side: &[f64]| {
        let n = side.len() as f64 + 2.0;
        let share = (side.iter().sum::<f64>() + 1.0) / n;
        (share, share * (1.0 - share) / n)
    };
    let ((a, va), (b, vb)) = (added(before), added(after));
    let half = 2.241 * (va + vb).sqrt();
    let interval = (difference, (b - a - half).max(-1.0), (b - a + half).min(1.0));
    let sides = [before.clone(), after.clone()];
    Ok(common.judged(Quantity::Diverged, [mean(before), mean(after)], None, interval, p, sides, None))
}

/// What the runs say of each claim, one-sided.
///
/// # Errors
/// [`crate::error::Error::Usage`] for a quantity that a run does not have by itself.
pub fn claims(measured: &Measured, unit: Unit, settings: &Settings) -> Result<Vec<ClaimFound>> {
    let level = 1.0 - settings.confidence;
    // Keeping needs every claim, so each is tested at the whole level; one that is refuted discards.
    let against = level / settings.claims.len().max(1) as f64;
    settings
        .claims
        .iter()
        .map(|&claim| {
            let Claim { metric, margin } = claim;
            if !metric.is_of_runs() {
                return Err(crate::error::Error::Usage(format!(
                    "`{}` cannot be asked for with --better or --not-worse: it is no value of a single run; choose accuracy, nll, \
                     brier, ece or the accuracy of a class",
                    metric.name()
                )));
            }
            let Some(held) = measured.runs.iter().find(|held| held.quantity == metric) else {
                // Every run has the same value.
                let decision = if margin.is_some() { Decision::Keep } else { Decision::Undecided };
                return Ok(ClaimFound { claim, p: 1.0, p_against: 1.0, decision });
            };
            let divisions = divisions(measured, unit, 2, settings.seed)?;
            let sign = if metric.good() == Better::Lower { -1.0 } else { 1.0 };
            // Moved by the margin, the candidate has to be better.
            let moved = |turn: f64| -> Vec<f64> {
                let place = |(run, value): (usize, &f64)| {
                    turn * (sign * value + if run < measured.first { 0.0 } else { margin.unwrap_or(0.0) })
                };
                held.of_runs.iter().enumerate().map(place).collect()
            };
            let p = family::p_of_higher(&moved(1.0), held.step, &divisions);
            let p_against = family::p_of_higher(&moved(-1.0), held.step, &divisions);
            let decision = match (p <= level, p_against <= against) {
                (true, _) => Decision::Keep,
                (false, true) => Decision::Discard,
                (false, false) => Decision::Undecided,
            };
            Ok(ClaimFound { claim, p, p_against, decision })
        })
        .collect()
}
