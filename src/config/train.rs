//! How one network is trained: optimiser, schedule, backend.

use std::collections::BTreeMap;

use crate::keys::{Keyed, LATER_EPOCH, MILLION, SHARE, Shape, above, at_least, keys, kinds, set, whole, words};

kinds! {
    /// The optimiser. Weight decay spares biases and the parameters of norms, unless `train.decay` says otherwise.
    pub enum Optimizer = "sgd" {
        /// Stochastic gradient descent with zero dampening.
        Sgd = "sgd" {
            /// Momentum; 0 is plain gradient descent.
            momentum: f64 = 0.9, SHARE;
            /// Nesterov's form of the momentum.
            nesterov: bool = false, Shape::Flag;
            /// Added to the gradient, times the weight.
            weight_decay: f64 = 0.0, at_least(0.0);
        }
        /// Adam with weight decay added to the gradient.
        Adam = "adam" {
            /// Decay of the mean of the gradients.
            beta1: f64 = 0.9, SHARE;
            /// Decay of the mean of the squared gradients.
            beta2: f64 = 0.999, SHARE;
            /// Added to the denominator.
            epsilon: f64 = 1e-8, above(0.0);
            /// Added to the gradient, times the weight.
            weight_decay: f64 = 0.0, at_least(0.0);
        }
        /// Adam with decoupled weight decay.
        Adamw = "adamw" {
            /// Decay of the mean of the gradients.
            beta1: f64 = 0.9, SHARE;
            /// Decay of the mean of the squared gradients.
            beta2: f64 = 0.999, SHARE;
            /// Added to the denominator.
            epsilon: f64 = 1e-8, above(0.0);
            /// Shrinks the weight by this share of the learning rate at each step.
            weight_decay: f64 = 0.01, at_least(0.0);
        }
    }
}

kinds! {
    /// The learning rate over training. `warmup` is the share of all steps over which it rises linearly from zero.
    pub enum Schedule = "one-cycle" {
        /// One rate.
        Constant = "constant" {
            /// The learning rate.
            rate: f64, at_least(0.0);
            /// Share of all steps over which the rate rises linearly from zero.
            warmup: f64 = 0.0, SHARE;
        }
        /// Multiplied by a factor at some epochs.
        Step = "step" {
            /// The learning rate.
            rate: f64, at_least(0.0);
            /// The epochs after which the rate is multiplied.
            at: Vec<usize>, set(&LATER_EPOCH, 1, 10_000);
            /// What the rate is multiplied by.
            factor: f64 = 0.1, above(0.0);
            /// Share of all steps over which the rate rises linearly from zero.
            warmup: f64 = 0.0, SHARE;
        }
        /// Half a cosine from `rate` to `end`.
        Cosine = "cosine" {
            /// The learning rate.
            rate: f64, at_least(0.0);
            /// The rate at the end.
            end: f64 = 0.0, at_least(0.0);
            /// Share of all steps over which the rate rises linearly from zero.
            warmup: f64 = 0.0, SHARE;
        }
        /// A straight line from `rate` to `end`.
        Linear = "linear" {
            /// The learning rate.
            rate: f64, at_least(0.0);
            /// The rate at the end.
            end: f64 = 0.0, at_least(0.0);
            /// Share of all steps over which the rate rises linearly from zero.
            warmup: f64 = 0.0, SHARE;
        }
        /// Up from `peak`/25, then down to `end` times `peak`. PyTorch's `OneCycleLR` without cycled momentum is `anneal = "cosine"`, `end = 4e-6`.
        OneCycle = "one-cycle" {
            /// The highest learning rate.
            peak: f64 = 0.1, at_least(0.0);
            /// Share of all steps over which the rate rises.
            warmup: f64 = 0.3, SHARE;
            /// Along which curve the rate rises and falls; straight lines when absent.
            #[serde(skip_serializing_if = "Option::is_none")]
            anneal: Option<Anneal> = None, Anneal::SHAPE;
            /// The share of `peak` that is left at the end; 1e-4 when absent.
            #[serde(skip_serializing_if = "Option::is_none")]
            end: Option<f64> = None, SHARE;
        }
    }
}

words! {
    /// A curve between two learning rates.
    pub enum Anneal {
        /// A straight line.
        Linear = "linear",
        /// Half a cosine.
        Cosine = "cosine",
    }
}

words! {
    /// Which parameters decay.
    pub enum Decay {
        /// Weights: neither biases nor the parameters of norms.
        Weights = "weights",
        /// All of them, as PyTorch's optimisers do unless told otherwise.
        All = "all",
    }
}

words! {
    /// What the tensors run on.
    pub enum Backend {
        /// Burn's CPU backend with our kernels.
        Flex = "flex",
        /// Burn's older CPU backend; a Cargo feature.
        Ndarray = "ndarray",
        /// A GPU, or software Vulkan; a Cargo feature.
        Wgpu = "wgpu",
    }
}

impl Backend {
    /// The environment variable that tells the process of a run which adapter of the backend is its own.
    pub const DEVICE_VARIABLE: &str = "HARNESS_DEVICE";
}

keys! {
    /// How one network is trained.
    pub struct Train {
        /// Passes over the training set.
        epochs: usize = 10, LATER_EPOCH;
        /// Examples per step.
        batch_size: usize = 128, whole(1, MILLION);
        /// The optimiser.
        optimizer: Optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 }, Optimizer::SHAPE;
        /// Which parameters decay: `weights`, which spares biases and the parameters of norms, or `all`; `weights` when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        decay: Option<Decay> = None, Decay::SHAPE;
        /// The learning rate over training.
        schedule: Schedule = Schedule::OneCycle { peak: 0.1, warmup: 0.3, anneal: None, end: None }, Schedule::SHAPE;
        /// Share of the target that is spread over all classes.
        label_smoothing: f64 = 0.0, SHARE;
        /// What the tensors run on; `ndarray` and `wgpu` are Cargo features.
        backend: Backend = Backend::Flex, Backend::SHAPE;
        /// Layers that stay as they are; a frozen batch norm uses its running statistics.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        freeze: Option<Vec<String>> = None, set(&Shape::Text, 1, 10_000);
        /// Factors of the learning rate by layer: `rates = { fc = 10.0 }`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rates: Option<BTreeMap<String, f64>> = None, Shape::Map(&at_least(0.0));
        /// Seconds without a step of training after which a run's process is taken for stuck, ended and counted as failed; ten
        /// times as long while it starts, records or saves; 0 waits for ever. Half an hour when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        stall: Option<usize> = None, whole(0, MILLION);
    }
}

impl Train {
    /// How long the process of a run may go without a step of training; none for ever.
    #[must_use]
    pub fn patience(&self) -> Option<std::time::Duration> {
        let seconds = self.stall.unwrap_or(30 * 60);
        (seconds > 0).then(|| std::time::Duration::from_secs(seconds as u64))
    }
}
