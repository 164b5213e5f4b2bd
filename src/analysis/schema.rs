//! The result of an analysis: what `harness analyze --json` prints and `analysis/summary.json` holds.
//! The fields up to `summary` are a contract, `harness.analysis/1`; the sections after it are there when there is something
//! to say. A number that does not exist (of a diverged run, or of a lone run without a reference) is `null`.

use serde::{Deserialize, Serialize};

use super::ensembles::Ensembles;
pub use super::flags::{Flag, FlagKind, Limits};
pub use super::metrics::{Run, Summary};
use super::tuning::Tuning;

/// Name and version of the contract.
pub const SCHEMA: &str = "harness.analysis/1";

/// Everything that was found about a set of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// [`SCHEMA`]
    pub schema: String,
    /// N
    pub examples: usize,
    /// C
    pub classes: usize,
    /// The chance that a healthy run leaves the band of the reference by itself.
    pub epsilon: f64,
    /// δ of `alpha`: √(ln(2/ε)/N).
    pub delta: f64,
    /// δ_M of `alpha_relative`: the larger of δ and the median leave-one-out KS distance of the runs.
    pub delta_relative: Option<f64>,
    /// The runs, in order of their index.
    pub runs: Vec<Run>,
    /// Every two runs whose soft decisions are finite.
    pub pairs: Vec<Pair>,
    /// Means and spreads over the runs.
    pub summary: Summary,

    /// The same over the distinct runs without a flag; absent where none is flagged, or all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unflagged: Option<Unflagged>,
    /// What was analysed.
    pub source: Source,
    /// How it was judged.
    pub settings: Settings,
    /// How many runs there are really.
    pub independence: Independence,
    /// Sentences a reader should know before trusting a number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What a run had to pass to be flagged; absent where there are too few runs to judge outliers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How much of each class each run gets right; two distinct runs and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes_right: Option<ClassesRight>,
    /// α of one class against the rest; more than two classes only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_class: Vec<PerClass>,
    /// Accuracy's variance between runs, taken apart; two distinct runs and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Distributions of margins, on a common grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margins: Option<Curves>,
    /// Distances by trimming level, on a common grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trimming: Option<Curves>,
    /// Reliability curves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliability: Option<Reliability>,
    /// The examples on which a run stands alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alone: Vec<Alone>,
    /// Loss, accuracy, … of every run after each epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub training: Vec<Series>,
    /// Accuracy, churn, … of every run at each checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recorded: Vec<Series>,
    /// Alignment, effective rank, … of every run's kernel at each checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_training: Vec<Series>,
    /// One entry for each checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<Checkpoint>,
    /// One entry for each checkpoint with kernels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<KernelCheckpoint>,
    /// The same of other kinds than the trace kernel, kind by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_kernels: Vec<KernelCheckpoint>,
    /// Where the experiment records spectra.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weight_spectra: Vec<WeightCheckpoint>,
    /// Ensembles of runs, where labels and runs allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensembles: Option<Ensembles>,
    /// Where training started from weights of a file: what it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,
}

/// Two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The run with the lower index.
    pub a: u32,
    /// The run with the higher index.
    pub b: u32,
    /// Share of examples decided differently, [0, 1].
    pub churn: f64,
    /// Mean total variation distance of the probabilities, [0, 1].
    pub soft_churn: f64,
    /// Share of examples that `a` has wrong and `b` right, [0, 1].
    pub win: f64,
    /// Share of examples that `a` has right and `b` wrong, [0, 1].
    pub loss: f64,
    /// Centred alignment of the two kernels at the last checkpoint, [-1, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cka: Option<f64>,
}

/// Mean and standard deviation (n − 1) over runs, with 95 % intervals. `docs/definitions.md` says how they are made and how
/// often they cover.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Mean over the runs.
    pub mean: f64,
    /// Of one run rather than of the mean; `null` for a single run.
    pub std: Option<f64>,
    /// Of the mean; `null` where there are too few runs.
    pub low: Option<f64>,
    /// High end of the 95 % interval of the mean.
    pub high: Option<f64>,
    /// Of the standard deviation; `null` where there are too few runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std_low: Option<f64>,
    /// High end of the 95 % interval of the standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std_high: Option<f64>,
}

/// Multiplicity of fewer runs than there are: of those that nobody could tell apart by their loss, and of a stated number, so
/// that sweeps of different size compare.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Multiplicity {
    /// Runs whose loss is within one standard error (over the examples) of the smallest.
    pub near_equal: usize,
    /// Share of examples on which these do not all agree; `null` for a single one.
    pub ambiguity_near_equal: Option<f64>,
    /// The stated number of runs, and the ambiguity that so many have in the mean; `null` where there are fewer.
    pub rarefied_to: usize,
    /// The ambiguity that so many runs have in the mean; none where there are fewer.
    pub ambiguity_rarefied: Option<f64>,
}

/// Rashomon capacity over the test examples, in bits (Hsu & Calmon 2022): 0 where all runs give the same probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RashomonCapacity {
    /// Mean over the examples, in bits.
    pub mean: f64,
    /// Median over the examples, in bits.
    pub median: f64,
    /// Quantile 0.9, in bits.
    pub q90: f64,
    /// Quantile 0.99, in bits.
    pub q99: f64,
    /// Of the most contested example, in bits.
    pub max: f64,
}

/// The fact that says which streams of randomness differ between the runs, as a list.
pub const VARIES: &str = "varies between runs";

/// What was analysed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The experiment's name, or that of a file.
    pub name: String,
    /// BLAKE3 of the resolved experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The epoch whose soft decisions are judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<usize>,
    /// Names of the classes, in label order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Facts about how the runs were made, in the order in which they should be shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// Runs that were left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A named fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// As the report shows it.
    pub value: String,
}

/// A run that could not be analysed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The run's index.
    pub run: u32,
    /// A fragment that fits after "was left out: ".
    pub why: String,
    /// Whether it is complete but cannot be relied on: damaged, or of another experiment or other data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
}

impl LeftOut {
    /// The run `run`, which this error kept out.
    #[must_use]
    pub fn new(run: u32, error: &crate::error::Error) -> Self {
        Self { run, why: error.to_string(), damaged: error.is_corrupt() }
    }
}

/// How runs were judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The table `[analysis]` of the experiment.
    pub analysis: crate::config::Analysis,
    /// The table `[flags]` of the experiment.
    pub flags: crate::config::Flags,
}

/// Whether the runs were independent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Independence {
    /// Runs analysed.
    pub runs: usize,
    /// Those of finite logits that differ from each other.
    pub distinct: usize,
    /// Those with a NaN or an infinity.
    pub diverged: usize,
    /// Runs whose soft decisions are bit-equal, the lowest index first; only groups of two and more.
    pub groups: Vec<Vec<u32>>,
}

/// Headline numbers over the distinct runs without a flag.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Unflagged {
    /// How many runs carry no flag.
    pub runs: usize,
    /// Their accuracy.
    pub accuracy: Estimate,
    /// Their negative log-likelihood, in nats.
    pub nll: Estimate,
    /// Their calibration error.
    pub ece: Estimate,
    /// Over the pairs of these runs; `null` for a single one.
    pub churn: Option<Estimate>,
}

/// Share of right decisions by class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassesRight {
    /// Examples of each class, `[C]`.
    pub examples: Vec<usize>,
    /// One row for each run.
    pub runs: Vec<RunClasses>,
}

/// One run's share of right decisions by class, `[C]`; `null` for a class without examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunClasses {
    /// The run's index.
    pub run: u32,
    /// Share of each class that the run gets right, `[C]`; none for a class without examples.
    pub accuracy: Vec<Option<f64>>,
}

/// One-vs-rest levels of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PerClass {
    /// The run's index.
    pub run: u32,
    /// Exact α at δ on the one-vs-rest margin of each class, `[C]`.
    pub alpha: Vec<f64>,
    /// The class of the largest level; ties: the one further by KS.
    pub worst_class: u32,
    /// Exact α on that class against the rest.
    pub worst_alpha: f64,
    /// KS distance on that class's margin.
    pub worst_ks: f64,
}

/// How much of the variance of accuracy between runs is noise of a finite test set (Jordan 2024).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Standard deviation of accuracy over the runs.
    pub std_observed: f64,
    /// What independent errors of each example would give.
    pub std_predicted_independent: f64,
    /// What would remain on an infinite test set.
    pub std_distribution: f64,
    /// Share of the observed variance that is noise of the test set, [0, 1]; `null` where no variance was seen.
    pub noise_share: Option<f64>,
    /// Its 95 % interval over runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_share_low: Option<f64>,
    /// High end of its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_share_high: Option<f64>,
    /// The chance of at least the observed variance if each example were decided independently in each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub independent_p: Option<f64>,
}

/// Quantiles over the typical runs (distinct, not flagged; all distinct ones when fewer than two are left) at each place
/// of a curve: 5 %, 50 % and 95 %, linear interpolation; `null` where no typical run has a value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Lower edge, one value for each place of the grid.
    pub low: Vec<Option<f64>>,
    /// Middle.
    pub median: Vec<Option<f64>>,
    /// Upper edge.
    pub high: Vec<Option<f64>>,
}

/// One value of a curve per place, for every distinct run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// Places on the horizontal axis, increasing.
    pub x: Vec<f64>,
    /// Where the typical runs lie.
    pub band: Band,
    /// One curve for each run.
    pub runs: Vec<Curve>,
}

/// One run's curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The run's index.
    pub run: u32,
    /// A value for each place, `null` where there is none.
    pub y: Vec<Option<f64>>,
}

/// A named quantity over the epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// As in the tables: `eval_accuracy`, `effective_rank`, …
    pub name: String,
    /// One curve for each run, over epochs.
    pub curves: Curves,
}

/// How sure a run is against how right it is, in 15 equal-width bins of the top probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Bounds of the bins, one more than bins.
    pub edges: Vec<f64>,
    /// Share of all decisions of the typical runs in each bin.
    pub share: Vec<f64>,
    /// Accuracy in each bin over the typical runs, and at which mean confidence; bins that hold fewer than five of a
    /// run's decisions in their mean are left out: `bins` names those kept.
    pub bins: Vec<usize>,
    /// Mean confidence of each bin.
    pub confidence: Vec<f64>,
    /// Where the typical runs lie.
    pub band: Band,
    /// One curve for each run.
    pub runs: Vec<RunReliability>,
}

/// The reliability table of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReliability {
    /// The run's index.
    pub run: u32,
    /// Examples in each bin.
    pub count: Vec<u64>,
    /// Mean top probability in each bin; `null` where empty.
    pub confidence: Vec<Option<f64>>,
    /// Share of right decisions in each bin; `null` where empty.
    pub accuracy: Vec<Option<f64>>,
}

/// Where one run decides as no other does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alone {
    /// The run's index.
    pub run: u32,
    /// On how many examples no other distinct run decides the same.
    pub count: usize,
    /// Of these, how many it has right.
    pub right: usize,
    /// The surest of them, by the probability of its decision.
    pub examples: Vec<AloneExample>,
}

/// An example on which a run stands alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AloneExample {
    /// Index of the test example.
    pub example: usize,
    /// Index of the true class.
    pub label: u32,
    /// What the run decides.
    pub decision: u32,
    /// The plurality vote of the other runs; ties: lowest class.
    pub others: u32,
    /// The run's probability of its decision.
    pub probability: f64,
}

/// The soft decisions of all runs at one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Epochs of training at this checkpoint.
    pub epoch: usize,
    /// Accuracy over the runs.
    pub accuracy: Option<Estimate>,
    /// Negative log-likelihood over the runs, in nats.
    pub nll: Option<Estimate>,
    /// Calibration error over the runs.
    pub ece: Option<Estimate>,
    /// Mean share of examples that two runs decide differently.
    pub mean_churn: Option<f64>,
    /// Share of examples on which at least one run departs from the plurality vote.
    pub ambiguity: Option<f64>,
    /// One entry for each run.
    pub runs: Vec<CheckpointRun>,
}

/// One run at one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRun {
    /// The run's index.
    pub run: u32,
    /// Share of the test examples that are classified correctly.
    pub accuracy: Option<f64>,
    /// Mean negative log-likelihood, in nats.
    pub nll: Option<f64>,
    /// Expected calibration error, in shares (0 to 1).
    pub ece: Option<f64>,
    /// Mean share of the test examples on which another run decides otherwise.
    pub churn: Option<f64>,
    /// Exact trimming level.
    pub alpha: Option<f64>,
    /// KS distance of its margins from those of the other runs.
    pub ks: Option<f64>,
}

/// The kernels of all runs at one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelCheckpoint {
    /// Epochs of training at this checkpoint.
    pub epoch: usize,
    /// `trace`, `pseudo`, `conjugate`, …
    #[serde(default = "trace")]
    pub kind: String,
    /// P
    pub probes: usize,
    /// Mean centred alignment of all pairs of distinct runs.
    pub mean_cka: Option<f64>,
    /// Eigenvalues of the cosine-normalised kernel over the typical runs, largest first.
    pub eigenvalues: Band,
    /// One entry for each run.
    pub runs: Vec<KernelRun>,
}

/// The kind of kernels that say none.
fn trace() -> String {
    "trace".to_owned()
}

/// The kernel of one run at one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelRun {
    /// The run's index.
    pub run: u32,
    /// Of the cosine-normalised kernel, largest first, `[P]`.
    pub eigenvalues: Vec<f64>,
    /// (Σλ)²/Σλ², between 1 and P.
    pub effective_rank: f64,
    /// Share of the largest eigenvalue in their sum, [0, 1].
    pub top_share: f64,
    /// Centred alignment with the labels of the probes, [-1, 1].
    pub alignment: Option<f64>,
    /// Mean centred alignment with the kernels of the other distinct runs.
    pub mean_cka: Option<f64>,
    /// Centred alignment with the run's own kernel at the last checkpoint.
    pub cka_to_last: Option<f64>,
    /// KS distance of the eigenvalues from those of the other runs.
    pub spectrum_ks: Option<f64>,
    /// Exact α at δ = √(ln(2/ε)/P) of the eigenvalues against those of the other runs.
    pub spectrum_alpha: Option<f64>,
    /// 1-Wasserstein distance of the logarithms of the eigenvalues from those of the other runs.
    #[serde(default)]
    pub spectrum_wasserstein: Option<f64>,
    /// The modified z-score furthest from 0 among the C largest eigenvalues, by their logarithms; from six runs on.
    #[serde(default)]
    pub top_score: Option<f64>,
    /// Directions beyond the largest eigenvalue of the run's first recorded kernel, both centred: what was learned.
    #[serde(default)]
    pub risen: Option<usize>,
    /// Mean cosine of the eigenvectors of these directions (of the largest one where there are none) to the classes, [0, 1].
    #[serde(default)]
    pub label_cosine: Option<f64>,
}

/// The weight matrices of all runs at one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightCheckpoint {
    /// Epochs of training at this checkpoint.
    pub epoch: usize,
    /// In forward order.
    pub layers: Vec<LayerSpectrum>,
}

/// The weight matrix of one layer, `[out, in]` or `[out, in · k · k]`, at one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSpectrum {
    /// The layer's name.
    pub layer: String,
    /// Singular values over the typical runs, largest first.
    pub singular_values: Band,
    /// One entry for each run.
    pub runs: Vec<LayerRun>,
}

/// The weight matrix of one layer of one run at one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRun {
    /// The run's index.
    pub run: u32,
    /// The largest singular value.
    pub norm: f64,
    /// Σσ² / σ₁², at least 1: how many directions as strong as the strongest would hold all weights.
    pub stable_rank: f64,
    /// Singular values beyond the largest one at the first recorded epoch: directions that were learned.
    #[serde(default)]
    pub risen: Option<usize>,
    /// The exponent of the tail of the eigenvalues σ² (Hill 1975); small where it is heavy.
    #[serde(default)]
    pub tail_exponent: Option<f64>,
    /// ‖W − W₀‖/‖W₀‖ (Frobenius), W₀ the weights at epoch 0; where both were recorded.
    #[serde(default)]
    pub moved: Option<f64>,
}

impl Band {
    /// Every bound there is.
    pub fn bounds(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        self.low.iter().chain(&self.high).copied().flatten()
    }
}

impl CheckpointRun {
    /// A run of which nothing is known at this epoch.
    #[must_use]
    pub fn empty(run: u32) -> Self {
        Self { run, accuracy: None, nll: None, ece: None, churn: None, alpha: None, ks: None }
    }
}
