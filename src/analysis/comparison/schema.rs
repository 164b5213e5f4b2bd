//! The result of a comparison: what `harness compare --json` prints.

use std::borrow::Cow;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::super::metrics::{Better, Metric as Metrics, Unit as MetricUnit};
use super::super::schema::{Band, LeftOut};

/// Name and version of the contract.
pub const SCHEMA: &str = "harness.comparison/1";

/// Two sets of runs, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA`]
    pub schema: String,
    /// The verdict in one word.
    pub verdict: Verdict,
    /// Whether the verdict ends the program with exit code 5.
    pub red: bool,
    /// For a program that decides by itself.
    pub decision: Decision,
    /// Runs a side that would probably decide (four times in five, if the sides differ as they seem to), where it is undecided
    /// and so many would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_runs: Option<usize>,
    /// What the decision is made by, where superiority or non-inferiority was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimFound>,
    /// What was exchanged in the permutation tests.
    pub unit: Unit,
    /// The smallest p-value that so many runs can give; above 1 − confidence nothing can be found.
    pub smallest_p: f64,
    /// What is compared with.
    pub baseline: Side,
    /// What is judged.
    pub candidate: Side,
    /// N
    pub examples: usize,
    /// C
    pub classes: usize,
    /// Error level ε.
    pub epsilon: f64,
    /// δ of the levels: √(ln(2/ε)/N).
    pub delta: f64,
    /// Chance that no interval and no corrected p-value misleads.
    pub confidence: f64,
    /// One row for each quantity that was tested.
    pub metrics: Vec<Metric>,
    /// Margins of the two sides.
    pub margins: Margins,
    /// Plurality votes of the two sides.
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
    /// Something got worse, and accuracy not better.
    Worse,
    /// Something got better and nothing worse.
    Better,
    /// It differs, in quantities without a better or worse, or worse in some while accuracy is better.
    Different,
    /// Every quantity with a stated tolerance is shown to have changed by less, and no other is found to differ.
    Equivalent,
    /// No difference was found, by runs that could have found one.
    NoChangeFound,
    /// No change of any size could have been found, or an interval is wider than a stated tolerance.
    Undecided,
}

impl Verdict {
    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Different => "different",
            Self::Equivalent => "equivalent",
            Self::NoChangeFound => "no-change-found",
            Self::Undecided => "undecided",
        }
    }
}

/// Whether the candidate should take the place of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It was shown to be what was asked for (by default: better, or equivalent within the tolerance).
    Keep,
    /// It was shown not to be (by default: worse or different).
    Discard,
    /// Too little evidence: more runs would decide.
    Undecided,
}

impl Decision {
    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Discard => "discard",
            Self::Undecided => "undecided",
        }
    }
}

/// What the user wants shown of the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The quantity that the claim is about.
    pub metric: Quantity,
    /// It may be worse by less than this; nothing asks for better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

/// A claim and what the runs say of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClaimFound {
    /// What was claimed.
    #[serde(flatten)]
    pub claim: Claim,
    /// Of the one-sided permutation test that the claim is false.
    pub p: f64,
    /// Of the one-sided permutation test that it is true.
    pub p_against: f64,
    /// Whether the runs support it.
    pub decision: Decision,
}

/// What is exchanged under the hypothesis of no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Any run with any other.
    Runs,
    /// Runs of the same index.
    Pairs,
    /// The answers of the two models to one example: what is said holds for these two models only.
    Examples,
    /// The runs of a side share a random draw that the other side lacks: a sweep is the unit, and there is one a side.
    Sweeps,
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
    /// Epochs of training, where known.
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
    /// Runs that could not be read, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A quantity that is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Quantity {
    /// Share of examples that are classified correctly.
    Accuracy,
    /// Accuracy on the examples of one class.
    ClassAccuracy(u32),
    /// Mean negative log-likelihood, in nats.
    Nll,
    /// Mean squared distance of probabilities from the truth, summed over classes.
    Brier,
    /// Expected calibration error.
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

impl Quantity {
    /// As in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ClassAccuracy(class) => return Cow::Owned(format!("{CLASS}{class}")),
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
        })
    }

    /// All there are but those of classes, in the order of tables.
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

    /// The row of the table of metrics that says what its values are; none for what no run has.
    #[must_use]
    pub fn metric(self) -> Option<&'static Metrics> {
        Metrics::by_key(match self {
            Self::Accuracy | Self::ClassAccuracy(_) => "accuracy",
            Self::Nll => "nll",
            Self::Brier => "brier",
            Self::Ece => "ece",
            Self::ChurnWithin | Self::SoftChurnWithin | Self::ChurnBetween | Self::SoftChurnBetween => "churn",
            Self::MarginsBetween => "wasserstein",
            Self::KernelsWithin | Self::KernelsBetween => "kernel_cka",
            Self::Diverged => return None,
        })
    }

    /// Which sign of a difference is good.
    #[must_use]
    pub fn good(self) -> Better {
        match self.metric() {
            // Runs that are alike are neither good nor bad, only other than before.
            _ if self.is_excess() || self == Self::KernelsWithin => Better::Neither,
            Some(metric) => metric.better,
            None => Better::Lower,
        }
    }

    /// Whether values are shares, written in per cent.
    #[must_use]
    pub fn is_share(self) -> bool {
        self.metric().is_none_or(|metric| metric.unit == MetricUnit::Share)
    }

    /// Whether a run has a value of it by itself.
    #[must_use]
    pub fn is_of_runs(self) -> bool {
        matches!(self, Self::Accuracy | Self::ClassAccuracy(_) | Self::Nll | Self::Brier | Self::Ece)
    }

    /// Its place in tables.
    #[must_use]
    pub fn order(self) -> (usize, u32) {
        match self {
            Self::ClassAccuracy(class) => (Self::ALL.len(), class),
            _ => (Self::ALL.iter().position(|quantity| *quantity == self).unwrap_or_default(), 0),
        }
    }

    /// Whether the quantity is an excess of distances between the sides over those within.
    #[must_use]
    pub fn is_excess(self) -> bool {
        matches!(self, Self::ChurnBetween | Self::SoftChurnBetween | Self::MarginsBetween | Self::KernelsBetween)
    }
}

/// What comes before the class in the name of [`Quantity::ClassAccuracy`].
const CLASS: &str = "accuracy_of_class_";

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.name().into_owned()
    }
}

impl TryFrom<String> for Quantity {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let of_class = name.strip_prefix(CLASS).and_then(|class| class.parse().ok()).map(Self::ClassAccuracy);
        of_class.or_else(|| Self::ALL.into_iter().find(|quantity| quantity.name() == name)).ok_or_else(|| {
            let names: Vec<Cow<'_, str>> = Self::ALL.iter().map(|quantity| quantity.name()).collect();
            format!("there is no quantity `{name}`: choose one of {}, or {CLASS}0 and so on", names.join(", "))
        })
    }
}

/// One quantity of the two sides and its difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Which quantity.
    pub metric: Quantity,
    /// Mean over the runs of the baseline, or over its pairs.
    pub baseline: f64,
    /// Mean over the runs of the candidate.
    pub candidate: f64,
    /// Mean over pairs of one run of each side; of an excess only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<f64>,
    /// Candidate less baseline; or between less the mean of both within.
    pub difference: f64,
    /// The simultaneous interval of the difference: all of them hold at once with the confidence of the comparison.
    pub low: f64,
    /// High end of the interval of the difference.
    pub high: f64,
    /// Of a permutation test over runs.
    pub p: f64,
    /// Corrected for all metrics of the comparison: step-down max-T on the same permutations.
    pub p_corrected: f64,
    /// The change that so many runs would have found four times in five; absent where none would have been, and for an
    /// excess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// Which way is better.
    pub good: Better,
    /// As stated; 0 where none was.
    pub tolerance: f64,
    /// What the test found.
    pub finding: Finding,
    /// The value of each run, in order of `runs` of its side: of a mean over pairs, the run's mean over its own; empty for an
    /// excess.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baseline_runs: Vec<f64>,
    /// The values of the candidate, one for each run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidate_runs: Vec<f64>,
}

/// What one metric says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It got better.
    Better,
    /// It got worse.
    Worse,
    /// A difference without better or worse.
    Different,
    /// The interval lies inside the stated tolerance.
    Equivalent,
    /// No difference was found; this is not a proof that there is none.
    NoChangeFound,
    /// The interval reaches beyond the stated tolerance, or no change of any size could have been found.
    Undecided,
}

impl Finding {
    /// In words, as in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Different => "different",
            Self::Equivalent => "equivalent",
            Self::NoChangeFound => "no change found",
            Self::Undecided => "undecided",
        }
    }

    /// Whether it is a difference.
    #[must_use]
    pub fn is_difference(self) -> bool {
        matches!(self, Self::Better | Self::Worse | Self::Different)
    }
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
    /// Share of the baseline's margins to be trimmed to come within the spread of the baseline's own runs.
    pub alpha_baseline_relative: f64,
    /// Places at which the ECDFs below are given.
    pub x: Vec<f64>,
    /// Quantiles over the runs of each side.
    pub baseline: Band,
    /// Where the runs of the candidate lie.
    pub candidate: Band,
}

/// Examples on which the plurality votes of the two sides differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Votes {
    /// On how many examples the plurality vote changed.
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
    /// Index of the test example.
    pub example: usize,
    /// Index of the true class.
    pub label: u32,
    /// The class that the baseline's runs vote for.
    pub baseline: u32,
    /// The class that the candidate's runs vote for.
    pub candidate: u32,
    /// Share of the baseline's runs that voted for `baseline`.
    pub baseline_share: f64,
    /// Share of the candidate's runs that voted for `candidate`.
    pub candidate_share: f64,
}

/// A key in which two experiments differ, with its values as TOML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedKey {
    /// The key, with its table.
    pub key: String,
    /// Its value in the baseline; none where it is absent.
    pub baseline: Option<String>,
    /// Its value in the candidate; none where it is absent.
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
        self.metrics.iter().filter(|metric| metric.finding.is_difference())
    }

    /// What tables and figures show: every metric, but of the classes only those that differ (or do not lie within a
    /// stated tolerance), the surest first and 20 at most.
    #[must_use]
    pub fn shown(&self) -> Vec<&Metric> {
        let is_class = |metric: &Metric| matches!(metric.metric, Quantity::ClassAccuracy(_));
        let mut classes: Vec<&Metric> =
            self.metrics.iter().filter(|m| is_class(m) && m.finding.is_difference()).collect();
        classes.sort_by(|a, b| a.p_corrected.total_cmp(&b.p_corrected));
        self.metrics.iter().filter(|metric| !is_class(metric)).chain(classes.into_iter().take(20)).collect()
    }
}
