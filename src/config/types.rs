//! The types of an experiment, as the rest of the program sees it. `keys` describes the same keys for people, editors and
//! messages; a test keeps the two in step.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::learning::{Model, Train};

/// A whole experiment, resolved: every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names the sweep's directory: letters, digits, `-`, `_` and `.`.
    pub name: String,
    pub data: Data,
    pub model: Model,
    #[serde(default)]
    pub train: Train,
    #[serde(default)]
    pub sweep: Sweep,
    #[serde(default)]
    pub record: Record,
    #[serde(default)]
    pub analysis: Analysis,
    #[serde(default)]
    pub flags: Flags,
}

/// Which data set is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetKind {
    /// 1,797 handwritten digits of 8x8, embedded in the program.
    Digits,
    Mnist,
    FashionMnist,
    Cifar10,
    /// `x_train`, `y_train`, `x_test`, `y_test` of anyone's.
    Npz,
}

impl DatasetKind {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
            Self::Npz => "npz",
        }
    }
}

/// What the networks learn from and are judged on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dataset: DatasetKind,
    /// Folder (IDX, CIFAR-10) or file (npz), relative to the working directory; none for `digits`.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "lossy")]
    pub path: Option<PathBuf>,
    /// The classes kept; labels are renumbered in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<u32>>,
    /// At most this many training examples, class-balanced, chosen by `seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// At most this many evaluation examples, class-balanced, chosen by `seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_limit: Option<usize>,
    /// Chooses the examples of the limits and the probe set.
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub augment: Augment,
}

/// A path read from an experiment file is Unicode; one that was put in by other code is written as nearly as TOML allows.
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

/// Random changes of the training images, drawn anew in every epoch from the `augment` stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirror left to right with probability one half.
    pub flip: bool,
    /// Pad by this many reflected pixels on each side, then crop back at a random place.
    pub crop: usize,
    /// Side in pixels of a random square set to the mean.
    pub cutout: usize,
}

/// A source of randomness of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Initial weights.
    Init,
    /// Order of the examples.
    Order,
    /// Flips, crops and cutouts.
    Augment,
    /// Dropout masks.
    Dropout,
    /// The lowest mantissa bit of one initial weight is flipped in every run but run 0.
    Bit,
}

/// How many runs, and what differs between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sweep {
    pub runs: usize,
    /// Root of every random stream.
    pub seed: u64,
    /// The streams that differ between runs; the others are shared.
    pub vary: Vec<Stream>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { runs: 10, seed: 0, vary: vec![Stream::Init, Stream::Order, Stream::Augment, Stream::Dropout] }
    }
}

/// The epochs at which a run is recorded; the last epoch always is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Checkpoints {
    /// These epochs; 0 is before training.
    At(Vec<usize>),
    /// Epoch 0 and every so many epochs.
    Every { every: usize },
}

/// Which kernel of the network is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelKind {
    /// Σ_c of the inner products of the gradients of output c.
    Trace,
    /// Inner products of the gradients of the sum of the outputs.
    Pseudo,
    /// Gram matrix of the last hidden activations.
    Conjugate,
}

impl KernelKind {
    /// As in the file, and as the array is called in `kernel.safetensors`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Pseudo => "pseudo",
            Self::Conjugate => "conjugate",
        }
    }
}

/// The empirical NTK snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kernel {
    pub kinds: Vec<KernelKind>,
    /// Class-balanced examples of the evaluation set on which the kernel is computed.
    pub probes: usize,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { kinds: vec![KernelKind::Trace], probes: 128 }
    }
}

/// What is kept of every run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    pub checkpoints: Checkpoints,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// Keep the weights at every checkpoint, not only at the last.
    pub weights: bool,
    /// Record the singular values of every weight matrix at every checkpoint.
    pub spectra: bool,
}

impl Default for Record {
    fn default() -> Self {
        Self { checkpoints: Checkpoints::At(vec![0]), kernel: None, weights: false, spectra: false }
    }
}

/// What a run is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// All other runs.
    #[default]
    LeaveOneOut,
    /// The half of the runs that it does not belong to.
    SplitHalf,
}

/// How runs are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Analysis {
    pub reference: Reference,
    /// The chance that a healthy run's ECDF leaves the band by itself (Dvoretzky–Kiefer–Wolfowitz).
    pub epsilon: f64,
    /// Bootstrap resamples for `alpha_hat` and for intervals.
    pub bootstraps: usize,
    /// Margins of at least this size are set to 0, as Banerjee 2025 does; off when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// `alpha_hat` by the letter of the published protocol: its reference is interpolated through atoms too.
    pub literal: bool,
    /// Seed of the bootstraps.
    pub seed: u64,
}

impl Default for Analysis {
    fn default() -> Self {
        Self { reference: Reference::LeaveOneOut, epsilon: 0.01, bootstraps: 100, clip: None, literal: false, seed: 0 }
    }
}

/// When a run is called atypical.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flags {
    /// Limit of `alpha_relative`.
    pub alpha: f64,
    /// Chance that a sweep of healthy runs has a flagged one, in (0, 1): the limits of all outlier flags follow from it.
    pub false_alarm: f64,
    /// A limit of the modified z-score in place of the computed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier: Option<f64>,
}

impl Default for Flags {
    fn default() -> Self {
        Self { alpha: 0.1, false_alarm: 0.05, outlier: None }
    }
}
