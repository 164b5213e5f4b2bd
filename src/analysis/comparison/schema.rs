//! The result of a comparison: what `harness compare --json` prints.

use serde::{Deserialize, Serialize};

use super::super::schema::{Band, LeftOut};

/// Name and version of the contract.
pub const SCHEMA: &str = "harness.comparison/1";

/// Two sets of runs, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA`]
    pub schema: String,
    pub verdict: Verdict,
    /// Whether the verdict ends the program with exit code 5.
    pub red: bool,
    pub baseline: Side,
    pub candidate: Side,
    /// N
    pub examples: usize,
    /// C
    pub classes: usize,
    pub epsilon: f64,
    /// δ of the levels: √(ln(2/ε)/N).
    pub delta: f64,
    /// Chance that no interval and no corrected p-value misleads.
    pub confidence: f64,
    pub metrics: Vec<Metric>,
    pub margins: Margins,
    pub votes: Votes,
    /// The epoch at which the kernels were compared; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_probes: Option<usize>,
    /// Keys in which the two experiments differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChangedKey>,
    /// Sentences a reader should know before trusting a number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing differs by more than the tolerance, as far as so many runs can tell.
    Same,
    /// Whatever differs and has a direction differs for the better.
    Better,
    /// Whatever differs and has a direction differs for the worse.
    Worse,
    /// It differs, in quantities without a better or worse or in both directions.
    Different,
}

impl Verdict {
    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Different => "different",
        }
    }
}

/// One of the two sets of runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The experiment's name, or that of a file.
    pub name: String,
    /// Where it was read from, as it was named.
    pub place: String,
    /// BLAKE3 of the resolved experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<usize>,
    /// When the sweep was begun, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Indices of the runs that were compared.
    pub runs: Vec<u32>,
    /// Runs with logits that are not finite.
    pub diverged: Vec<u32>,
    /// Runs that repeat another run of the same side, bit for bit.
    pub duplicates: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A quantity that is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    Accuracy,
    Nll,
    Brier,
    Ece,
    /// Share of runs that diverged.
    Diverged,
    /// Mean churn of two runs of the same side.
    ChurnWithin,
    /// Mean soft churn of two runs of the same side.
    SoftChurnWithin,
    /// Mean 1 − CKA of the kernels of two runs of the same side.
    KernelsWithin,
    /// Churn between the sides, over that within.
    ChurnBetween,
    /// Soft churn between the sides, over that within.
    SoftChurnBetween,
    /// 1-Wasserstein distance of the margins of two runs, between over within.
    MarginsBetween,
    /// 1 − CKA of the kernels of two runs, between over within.
    KernelsBetween,
}

/// Which sign of a difference is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Good {
    Higher,
    Lower,
    /// Neither: only whether there is a difference can be said.
    Neither,
}

impl Quantity {
    /// As in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Nll => "nll",
            Self::Brier => "brier",
            Self::Ece => "ece",
            Self::Diverged => "diverged",
            Self::ChurnWithin => "churn_within",
            Self::SoftChurnWithin => "soft_churn_within",
            Self::KernelsWithin => "kernels_within",
            Self::ChurnBetween => "churn_between",
            Self::SoftChurnBetween => "soft_churn_between",
            Self::MarginsBetween => "margins_between",
            Self::KernelsBetween => "kernels_between",
        }
    }

    /// All there are, in the order of tables.
    pub const ALL: [Self; 12] = [
        Self::Accuracy,
        Self::Nll,
        Self::Brier,
        Self::Ece,
        Self::Diverged,
        Self::ChurnWithin,
        Self::SoftChurnWithin,
        Self::KernelsWithin,
        Self::ChurnBetween,
        Self::SoftChurnBetween,
        Self::MarginsBetween,
        Self::KernelsBetween,
    ];

    /// Which sign of a difference is good.
    #[must_use]
    pub fn good(self) -> Good {
        match self {
            Self::Accuracy => Good::Higher,
            Self::Nll | Self::Brier | Self::Ece | Self::Diverged | Self::ChurnWithin | Self::SoftChurnWithin => {
                Good::Lower
            }
            Self::KernelsWithin
            | Self::ChurnBetween
            | Self::SoftChurnBetween
            | Self::MarginsBetween
            | Self::KernelsBetween => Good::Neither,
        }
    }

    /// Whether the quantity is an excess of distances between the sides over those within.
    #[must_use]
    pub fn is_excess(self) -> bool {
        matches!(self, Self::ChurnBetween | Self::SoftChurnBetween | Self::MarginsBetween | Self::KernelsBetween)
    }
}

/// One quantity of the two sides and its difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub metric: Quantity,
    /// Mean over the runs of the baseline, or over its pairs.
    pub baseline: f64,
    pub candidate: f64,
    /// Mean over pairs of one run of each side; of an excess only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<f64>,
    /// Candidate less baseline; or between less the mean of both within.
    pub difference: f64,
    /// The simultaneous interval of the difference: all of them hold at once with the confidence of the comparison.
    pub low: f64,
    pub high: f64,
    /// Of a permutation test over runs.
    pub p: f64,
    /// Holm's correction over all metrics of the comparison.
    pub p_corrected: f64,
    pub good: Good,
    pub tolerance: f64,
    pub finding: Finding,
    /// The value of each run, in order of `runs` of its side: of a mean over pairs, the run's mean over its own; empty for an
    /// excess.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baseline_runs: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidate_runs: Vec<f64>,
}

/// What one metric says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The test or the interval leaves room for no difference.
    Same,
    /// There is a difference, but it need not be larger than the tolerance.
    Tolerated,
    Better,
    Worse,
    /// A difference without better or worse.
    Different,
}

/// The margins of all runs of one side against those of the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Margins {
    /// Kolmogorov–Smirnov distance of the pooled margins, [0, 1].
    pub ks: f64,
    /// 1-Wasserstein distance of the pooled margins, in units of the margin.
    pub wasserstein: f64,
    /// Exact share of the candidate's margins to be trimmed before they lie within δ of the baseline's.
    pub alpha_candidate: f64,
    /// The same with the sides exchanged.
    pub alpha_baseline: f64,
    /// The spread of the baseline: the larger of δ and the median KS distance of its runs from the others.
    pub delta_relative: f64,
    /// As `alpha_candidate`, within `delta_relative`.
    pub alpha_candidate_relative: f64,
    pub alpha_baseline_relative: f64,
    /// Places at which the ECDFs below are given.
    pub x: Vec<f64>,
    /// Quantiles over the runs of each side.
    pub baseline: Band,
    pub candidate: Band,
}

/// Examples on which the plurality votes of the two sides differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Votes {
    pub changed: usize,
    /// Of these, wrong before and right after.
    pub gained: usize,
    /// Of these, right before and wrong after.
    pub lost: usize,
    /// How many change in the mean when the same runs are divided at random.
    pub expected: f64,
    /// Share of such divisions in which as many change.
    pub p: f64,
    /// The surest changes first.
    pub examples: Vec<ChangedVote>,
}

/// An example on which the plurality vote changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedVote {
    pub example: usize,
    pub label: u32,
    pub baseline: u32,
    pub candidate: u32,
    /// Share of the baseline's runs that voted for `baseline`.
    pub baseline_share: f64,
    /// Share of the candidate's runs that voted for `candidate`.
    pub candidate_share: f64,
}

/// A key in which two experiments differ, with its values as TOML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedKey {
    pub key: String,
    pub baseline: Option<String>,
    pub candidate: Option<String>,
}

impl Comparison {
    /// The metric `quantity`, if it was tested.
    #[must_use]
    pub fn metric(&self, quantity: Quantity) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.metric == quantity)
    }

    /// Metrics that differ by more than their tolerance.
    pub fn beyond(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter().filter(|metric| !matches!(metric.finding, Finding::Same | Finding::Tolerated))
    }
}
