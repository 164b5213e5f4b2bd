//! The experiment: one TOML file that says which data, which model, how it is trained, what differs between runs,
//! what is recorded and how runs are judged. This file holds the types; the others read, override and check them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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

/// What the networks learn from and are judged on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dataset: DatasetKind,
    /// Folder (IDX, CIFAR-10) or file (npz); none for `digits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// The non-linearity of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    #[default]
    Relu,
    Tanh,
    Gelu,
}

/// The architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Model {
    /// Dense layers of the given hidden widths.
    Mlp {
        #[serde(default = "default_widths")]
        widths: Vec<usize>,
        #[serde(default)]
        activation: Activation,
        #[serde(default)]
        dropout: f64,
    },
    /// Blocks of convolution, optional batch norm, activation and max pooling; then dense layers.
    Cnn {
        /// Output channels of each block.
        #[serde(default = "default_channels")]
        channels: Vec<usize>,
        /// Side of the square kernel; padding keeps the size.
        #[serde(default = "default_kernel_size")]
        kernel: usize,
        /// Side and stride of max pooling after each block; 1 is none.
        #[serde(default = "default_pool")]
        pool: usize,
        #[serde(default)]
        batch_norm: bool,
        /// Hidden widths of the dense head.
        #[serde(default)]
        head: Vec<usize>,
        #[serde(default)]
        activation: Activation,
        /// Dropout before every dense layer.
        #[serde(default)]
        dropout: f64,
    },
    /// Residual network for small images, `depth` = 6n + 2 layers, `width` channels in the first stage.
    Resnet {
        #[serde(default = "default_depth")]
        depth: usize,
        #[serde(default = "default_width")]
        width: usize,
    },
}

fn default_widths() -> Vec<usize> {
    vec![128]
}
fn default_channels() -> Vec<usize> {
    vec![32, 64]
}
fn default_kernel_size() -> usize {
    3
}
fn default_pool() -> usize {
    2
}
fn default_depth() -> usize {
    20
}
fn default_width() -> usize {
    16
}

/// The optimiser. Weight decay spares biases and the parameters of norms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent; dampening is zero, as in PyTorch.
    Sgd {
        #[serde(default)]
        momentum: f64,
        #[serde(default)]
        nesterov: bool,
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam with weight decay added to the gradient.
    Adam {
        #[serde(default = "default_beta1")]
        beta1: f64,
        #[serde(default = "default_beta2")]
        beta2: f64,
        #[serde(default = "default_adam_epsilon")]
        epsilon: f64,
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay.
    Adamw {
        #[serde(default = "default_beta1")]
        beta1: f64,
        #[serde(default = "default_beta2")]
        beta2: f64,
        #[serde(default = "default_adam_epsilon")]
        epsilon: f64,
        #[serde(default = "default_adamw_decay")]
        weight_decay: f64,
    },
}

fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.999
}
fn default_adam_epsilon() -> f64 {
    1e-8
}
fn default_adamw_decay() -> f64 {
    1e-2
}

/// The learning rate over training. `warmup` is the share of all steps over which it rises linearly from zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    Constant {
        rate: f64,
        #[serde(default)]
        warmup: f64,
    },
    /// Multiplied by `factor` at each of the epochs `at`.
    Step {
        rate: f64,
        at: Vec<usize>,
        #[serde(default = "default_step_factor")]
        factor: f64,
        #[serde(default)]
        warmup: f64,
    },
    /// Half a cosine from `rate` to `end`.
    Cosine {
        rate: f64,
        #[serde(default)]
        end: f64,
        #[serde(default)]
        warmup: f64,
    },
    /// A straight line from `rate` to `end`.
    Linear {
        rate: f64,
        #[serde(default)]
        end: f64,
        #[serde(default)]
        warmup: f64,
    },
    /// Straight up from `peak`/25 over `warmup`, then straight down to `peak`/10,000.
    OneCycle {
        peak: f64,
        #[serde(default = "default_one_cycle_warmup")]
        warmup: f64,
    },
}

fn default_step_factor() -> f64 {
    0.1
}
fn default_one_cycle_warmup() -> f64 {
    0.3
}

/// What the tensors run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    #[default]
    Flex,
    Ndarray,
    Wgpu,
}

/// How one network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    pub epochs: usize,
    pub batch_size: usize,
    pub optimizer: Optimizer,
    pub schedule: Schedule,
    pub label_smoothing: f64,
    pub backend: Backend,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 128,
            optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
            schedule: Schedule::OneCycle { peak: 0.1, warmup: 0.3 },
            label_smoothing: 0.0,
            backend: Backend::Flex,
        }
    }
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
}

impl Default for Record {
    fn default() -> Self {
        Self { checkpoints: Checkpoints::At(vec![0]), kernel: None, weights: false }
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
    /// Seed of the bootstraps.
    pub seed: u64,
}

impl Default for Analysis {
    fn default() -> Self {
        Self { reference: Reference::LeaveOneOut, epsilon: 0.01, bootstraps: 100, clip: None, seed: 0 }
    }
}

/// When a run is called atypical.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flags {
    /// Limit of `alpha_relative`.
    pub alpha: f64,
    /// Limit of the modified z-score.
    pub outlier: f64,
}

impl Default for Flags {
    fn default() -> Self {
        Self { alpha: 0.1, outlier: 3.5 }
    }
}
