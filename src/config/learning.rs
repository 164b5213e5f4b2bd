//! The types of what learns and how: architecture, optimiser, schedule, backend.

use serde::{Deserialize, Serialize};

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
        #[serde(default = "default_momentum")]
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

fn default_momentum() -> f64 {
    0.9
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
        #[serde(default = "default_peak")]
        peak: f64,
        #[serde(default = "default_one_cycle_warmup")]
        warmup: f64,
    },
}

fn default_step_factor() -> f64 {
    0.1
}
fn default_peak() -> f64 {
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

impl Backend {
    /// The environment variable that tells the process of a run which adapter of the backend is its own.
    pub const DEVICE_VARIABLE: &str = "HARNESS_DEVICE";
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
            optimizer: Optimizer::Sgd { momentum: default_momentum(), nesterov: false, weight_decay: 0.0 },
            schedule: Schedule::OneCycle { peak: default_peak(), warmup: default_one_cycle_warmup() },
            label_smoothing: 0.0,
            backend: Backend::Flex,
        }
    }
}
