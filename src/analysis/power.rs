//! What the runs of a sweep could show: the smallest change of each quantity that so many runs a side find four times in
//! five, and the runs that a given change needs.

use serde::{Deserialize, Serialize};

use super::comparison::{PERMUTATIONS, Quantity, Settings, Subject, Unit, measured, tested};
use super::schema::Analysis;
use crate::error::{Error, Result};
use crate::stats::descriptive::{mean, std};
use crate::stats::family::{self, Divisions};
use crate::stats::logits::Real;
use crate::stats::power::{self, Design, POWER};

/// Name and version of the contract.
pub const SCHEMA: &str = "harness.power/1";

/// Runs a side that the table shows besides those that are there.
const SIZES: [usize; 6] = [4, 5, 10, 20, 50, 100];
/// Tests of a comparison, about, where a sweep has too few runs to count them by halves.
const TESTS: f64 = 20.0;

/// What comparisons of sweeps like this one can see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// [`SCHEMA`]
    pub schema: String,
    /// How the sweep is called.
    pub name: String,
    /// Distinct finite runs that the spreads are estimated from.
    pub runs: usize,
    /// Of all tests of a comparison together.
    pub confidence: f64,
    /// How often a change of the size that is shown is found.
    pub power: f64,
    /// The level of one two-sided t test that is as strict as all tests together.
    pub level: f64,
    /// Runs a side, ascending.
    pub sizes: Vec<usize>,
    /// One row for each quantity.
    pub metrics: Vec<Row>,
}

/// One quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which quantity.
    pub metric: Quantity,
    /// Mean over the runs.
    pub mean: f64,
    /// Standard deviation of one run; of a mean over pairs, of its influence on it.
    pub std: f64,
    /// The change that is found, for each of `sizes`; `null` where so few runs can find none.
    pub detectable: Vec<Option<f64>>,
    /// Changes that were asked for, and the runs a side that find them; `null` beyond 10,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<(f64, Option<usize>)>,
}

/// The power of comparisons of sweeps like `subject`; `asked` are changes whose runs are wanted.
///
/// # Errors
/// [`Error::Invalid`] for fewer than four distinct finite runs, or a quantity that this sweep lacks.
pub fn power<T: Real>(subject: &Subject<T>, confidence: f64, asked: &[(Quantity, f64)], seed: u64) -> Result<Power> {
    let settings = Settings { confidence, seed, ..Settings::default() };
    let measured = measured(subject)?;
    let runs = measured.decisions.len();
    // Halves of the sweep tell how strict all tests together are: they share their noise.
    let strictness = tested(&measured, Unit::Runs, &settings)?.level.unwrap_or((1.0 - confidence) / TESTS);
    let mut sizes: Vec<usize> = SIZES.into_iter().chain([runs]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut rows: Vec<(Quantity, f64, f64)> =
        measured.runs.iter().map(|held| (held.quantity, mean(&held.of_runs), std(&held.of_runs))).collect();
    for (within, _, pairs) in &measured.pairs {
        if let Some(quantity) = within {
            // A run takes part in a mean of pairs twice as often as in a mean of runs.
            rows.push((*quantity, pairs.mean(), 2.0 * std(&pairs.run_means())));
        }
    }
    rows.sort_by_key(|row| row.0.order());
    // Few divisions allow fewer false findings than the level does.
    let allowed = |n: usize| -> Result<(usize, f64)> {
        let divisions = Divisions::new(n, 2 * n, family::Design::Free, PERMUTATIONS, 0)?;
        let rank = divisions.rank(1.0 - confidence);
        Ok((rank, rank as f64 * divisions.smallest_p()))
    };
    let of_halves = allowed(runs / 2)?.1;
    let known = runs as f64 - 1.0;
    let factors: Vec<Option<f64>> = sizes
        .iter()
        .map(|&n| {
            let (rank, share) = allowed(n)?;
            if rank == 0 {
                return Ok(None);
            }
            let level = if of_halves > 0.0 { strictness * share / of_halves } else { strictness };
            let critical = power::critical_t(level, 2.0 * n as f64 - 2.0)?;
            Design::of_sides(n, n, critical).of_rank(rank)?.detectable(known, POWER).map(Some)
        })
        .collect::<Result<_>>()?;
    let metrics = rows
        .into_iter()
        .map(|(metric, mean, std)| {
            let detectable = factors.iter().map(|factor| factor.map(|factor| factor * std)).collect();
            let needed = asked
                .iter()
                .filter(|held| held.0 == metric)
                .map(|&(_, change)| Ok((change, power::runs_needed(change / std, strictness, known)?)))
                .collect::<Result<Vec<_>>>()?;
            Ok(Row { metric, mean, std, detectable, needed })
        })
        .collect::<Result<Vec<Row>>>()?;
    if let Some((missing, _)) = asked.iter().find(|held| !metrics.iter().any(|row| row.metric == held.0)) {
        let names: Vec<String> = metrics.iter().map(|row| row.metric.into()).collect();
        return Err(Error::Invalid(format!(
            "the power for `{}` cannot be told from this sweep: choose one of {}",
            missing.name(),
            names.join(", ")
        )));
    }
    Ok(Power {
        schema: SCHEMA.to_owned(),
        name: subject.name.clone(),
        runs,
        confidence,
        power: POWER,
        level: strictness,
        sizes,
        metrics,
    })
}

/// What two sweeps of as many runs as an analysed one has without a flag would have shown, for the last line of its report: these runs,
/// the change of accuracy and that of the negative log-likelihood. None for fewer than four runs.
#[must_use]
pub fn of_analysis(analysis: &Analysis) -> Option<(usize, f64, f64)> {
    let (summary, healthy) = (&analysis.summary, &analysis.unflagged);
    // A faulty run would make every change look small beside it.
    let (runs, accuracy, nll) = match healthy {
        Some(held) => (held.runs, held.accuracy.std?, held.nll.std?),
        None => (analysis.independence.distinct, summary.accuracy.as_ref()?.std?, summary.nll.as_ref()?.std?),
    };
    if runs < power::fewest_runs(0.05) {
        return None;
    }
    let critical = power::critical_t(0.05 / TESTS, 2.0 * runs as f64 - 2.0).ok()?;
    let divisions = Divisions::new(runs, 2 * runs, family::Design::Free, PERMUTATIONS, 0).ok()?;
    let design = Design::of_sides(runs, runs, critical).of_rank(divisions.rank(0.05)).ok()?;
    let factor = design.detectable(runs as f64 - 1.0, POWER).ok()?;
    Some((runs, factor * accuracy, factor * nll))
}
