//! Which runs to put together, and how many. [`ensembles`] chooses on one half of the evaluation set, the *selection
//! half*, and quotes every number on the other, the *held-out half*, so that no number profits from the choice.

mod choose;
mod halves;
mod repeated;
mod sizes;
pub mod table;

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::input::Input;
use super::schema::{Estimate, Settings};
use crate::error::{Error, Result};
use crate::stats::ensemble::Combination;
use crate::stats::logits::Real;
use choose::Predictions;
use halves::Pool;
pub use repeated::{Repeated, Repetition};

/// How ensembles are made and chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What the members' predictions are averaged as.
    pub combination: Combination,
    /// Whether a temperature is fitted to each ensemble, on the selection half.
    pub temperature: bool,
    /// Divides the evaluation set into halves and draws random subsets.
    pub seed: u64,
    /// Members of the strategies that need a number. When absent, the recommended size; where there is none, as many as make
    /// the negative log-likelihood of greedy selection smallest.
    pub size: Option<usize>,
    /// Halvings over which the strategies are compared; fewer than two: only the one that the numbers are of.
    pub halvings: usize,
}

/// A way of choosing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyKind {
    /// Every distinct run.
    All,
    /// Those without a flag on the selection half.
    Unflagged,
    /// The most accurate; ties: the smaller negative log-likelihood.
    BestAccuracy,
    /// Those of the smallest exact α against the others; ties: the smaller KS distance.
    LowestAlpha,
    /// One after the other the run that lowers the ensemble's negative log-likelihood most (Caruana 2004).
    Greedy,
    /// The single run nearest to the ensemble of all.
    Single,
    /// Any runs: what the others must beat.
    Random,
}

impl StrategyKind {
    /// All of them, in the order in which they are shown.
    pub const EVERY: [Self; 7] =
        [Self::All, Self::Unflagged, Self::BestAccuracy, Self::LowestAlpha, Self::Greedy, Self::Single, Self::Random];

    /// As on the command line and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Unflagged => "unflagged",
            Self::BestAccuracy => "best-accuracy",
            Self::LowestAlpha => "lowest-alpha",
            Self::Greedy => "greedy",
            Self::Single => "single",
            Self::Random => "random",
        }
    }
}

/// Which runs to put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ensembles {
    /// Divided the evaluation set and drew the random subsets.
    pub seed: u64,
    /// How members are averaged.
    pub combination: Combination,
    /// Examples that chose, and examples on which the numbers were measured.
    pub selection: usize,
    /// How many examples measure, the others choose.
    pub held_out: usize,
    /// One row for each way to choose.
    pub strategies: Vec<Strategy>,
    /// Random ensembles by size.
    pub sizes: Vec<EnsembleSize>,
    /// The limit that α̂'s interval must stay under: `flags.alpha`.
    pub limit: f64,
    /// The smallest size of `sizes` whose α̂ interval stays under the limit.
    pub recommended: Option<usize>,
    /// The smallest size of `sizes` at which the regret of 39 in 40 subsets is below one standard error, over the examples, of the
    /// negative log-likelihood of all runs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_regret: Option<usize>,
    /// The strategies over several halvings, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repetition>,
    /// Sentences a reader should know before trusting a number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One way of choosing runs. Intervals are 95 % bootstrap intervals over the held-out examples; those of `random` are the
/// middle 95 % of random subsets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strategy {
    /// How it chooses.
    pub name: StrategyKind,
    /// Ascending; in the order of their choice for `greedy`. Empty for `random`, which stands for many choices.
    pub runs: Vec<u32>,
    /// Number of runs chosen.
    pub size: usize,
    /// Fitted on the selection half; `null` where none was asked for or none can be (no decision is wrong there), and for
    /// `random`.
    pub temperature: Option<f64>,
    /// Accuracy on the examples that measure.
    pub accuracy: Estimate,
    /// Nats.
    pub nll: Estimate,
    /// Calibration error on the examples that measure.
    pub ece: Estimate,
    /// By how much its negative log-likelihood exceeds that of all runs together, example by example: below 0 it is
    /// better. `null` for `all` and `random`.
    pub nll_against_all: Option<Estimate>,
}

/// Ensembles of one size: mean over random subsets, their standard deviation, and their middle 95 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnsembleSize {
    /// Number of members K.
    pub size: usize,
    /// On the held-out half, like the two below.
    pub accuracy: Estimate,
    /// Nats.
    pub nll: Estimate,
    /// Calibration error over random ensembles.
    pub ece: Estimate,
    /// Trimming level by the published protocol on the selection half, of the ensemble's margins against those of the
    /// ensemble of all runs; each bootstrap draws a subset and the examples.
    pub alpha_hat: Estimate,
    /// Held-out negative log-likelihood less that of the ensemble of all runs, subset by subset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regret: Option<Estimate>,
}

impl Ensembles {
    /// The entry of a strategy, if it could choose.
    #[must_use]
    pub fn strategy(&self, kind: StrategyKind) -> Option<&Strategy> {
        self.strategies.iter().find(|held| held.name == kind)
    }
}

/// Ensembles of the distinct runs of `input`, chosen in every way; none when there are fewer than two such runs, or fewer
/// than four examples to divide.
///
/// # Errors
/// [`Error::Invalid`] for a size that there are not enough distinct runs for, or settings out of range.
pub fn ensembles<T: Real>(
    input: &Input<T>,
    evidence: &Evidence,
    options: &Options,
    settings: &Settings,
) -> Result<Option<Ensembles>> {
    let Some(pool) = Pool::of(input, evidence) else { return Ok(None) };
    let (runs, halves) = (pool.indices.len(), pool.halves(options.seed));
    let (selection, held_out) = (pool.on(&halves.selection)?, pool.on(&halves.held_out)?);
    if let Some(size) = options.size.filter(|size| *size == 0 || *size > runs) {
        return Err(Error::Invalid(format!("an ensemble of {size} cannot be chosen from {runs} distinct runs")));
    }
    let judged = choose::judged(&selection, &pool.indices, evidence, settings)?;
    let (greedy, own_size) = choose::greedy(&selection, options)?;
    let wanted: Vec<usize> = options.size.into_iter().chain([own_size]).collect();
    let sizes = sizes::curve(&selection, &held_out, &wanted, options, settings)?;
    let limit = settings.flags.alpha;
    let recommended =
        sizes.iter().find(|size| size.alpha_hat.high.is_some_and(|high| high < limit)).map(|size| size.size);
    let size = options.size.or(recommended).unwrap_or(own_size);
    let picks = choose::picks(&judged, greedy, choose::nearest(&selection), size);
    let predictions = Predictions::new(&pool, options);
    let error = predictions.error_of_all(&halves)?;
    let cheap = |held: &&EnsembleSize| held.regret.is_some_and(|regret| regret.high.is_some_and(|high| high < error));
    let by_regret = sizes.iter().find(cheap).map(|held| held.size);
    let repeated = repeated::repeated(&pool, evidence, (options, settings), (&predictions, size))?;
    let mut strategies = predictions.measured(&picks, &halves, settings)?;
    for strategy in &mut strategies {
        strategy.runs = strategy.runs.iter().filter_map(|&place| pool.indices.get(place as usize).copied()).collect();
    }
    if let Some(EnsembleSize { accuracy, nll, ece, .. }) = sizes.iter().find(|held| held.size == size) {
        strategies.push(Strategy {
            name: StrategyKind::Random,
            runs: Vec::new(),
            size,
            temperature: None,
            accuracy: *accuracy,
            nll: *nll,
            ece: *ece,
            nll_against_all: None,
        });
    }
    let mut notes = Vec::new();
    if !strategies.iter().any(|held| held.name == StrategyKind::Unflagged) {
        notes.push("Every run is flagged on the selection half, so there is no ensemble of unflagged runs.".to_owned());
    }
    let unfitted = strategies.iter().filter(|held| held.name != StrategyKind::Random && held.temperature.is_none());
    let unfitted: Vec<String> = unfitted.map(|held| format!("`{}`", held.name.name())).collect();
    if options.temperature && !unfitted.is_empty() {
        notes.push(format!(
            "No temperature can be fitted to {}: no decision on the selection half is wrong, so nothing says how sure is too \
             sure.",
            unfitted.join(", ")
        ));
    }
    if recommended.is_some_and(|size| 2 * size > runs) {
        notes.push(format!(
            "The recommended size is more than half of the {runs} runs, so every such ensemble shares most of its members \
             with the reference: train more runs to be sure of it."
        ));
    }
    Ok(Some(Ensembles {
        seed: options.seed,
        combination: options.combination,
        selection: halves.selection.examples.len(),
        held_out: halves.held_out.examples.len(),
        strategies,
        sizes,
        limit,
        recommended,
        by_regret,
        repeated,
        notes,
    }))
}

#[cfg(test)]
mod tests;
