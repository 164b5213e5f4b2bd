//! Batch normalisation per channel (Ioffe & Szegedy 2015).

use burn::tensor::{Tensor, module};

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Role, Shape, TensorSpec};
use crate::error::Result;
use crate::model::network::{BatchStatistics, Mode, Pass};
use crate::model::tap::{Gradient, Layout};
use crate::ops::{self, BatchNormOutput};

/// Over the batch and all positions of each channel, the first axis of an example.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Weight of the newest batch in the running statistics.
    pub momentum: f64,
}

/// Places of its tensors.
const SCALE: usize = 0;
const SHIFT: usize = 1;
const MEAN: usize = 2;
const VARIANCE: usize = 3;

impl Describe for BatchNorm {
    const KINDS: &'static [Kind] = &[Kind {
        name: "batch-norm",
        aliases: &["batchnorm", "batch-norm2d", "batch-norm1d"],
        meaning: "Batch normalisation of each channel; evaluation and frozen layers use the running statistics.",
        argument: None,
        keys: &[
            Key::new("epsilon", Takes::Real(0.0, 1.0), Some("1e-5"), "Added to the variance."),
            Key::new("momentum", Takes::Real(0.0, 1.0), Some("0.1"), "Weight of the newest batch in the running statistics."),
        ],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let channels = builder.input.axes()[0];
        Ok((Self { channels, epsilon: item.real("epsilon"), momentum: item.real("momentum") }, builder.input))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let parts = [("weight", Role::Spared, 1.0), ("bias", Role::Spared, 0.0)];
        let statistics = [("running_mean", Role::Statistic, 0.0), ("running_var", Role::Statistic, 1.0)];
        let all = parts.into_iter().chain(statistics);
        all.map(|(part, role, value)| TensorSpec::constant(part, self.channels, role, value)).collect()
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        self.normalise(at, x, false, pass)
    }

    fn torch(&self, at: &Placed) -> String {
        let dimensions = if at.input.axes().len() == 3 { 2 } else { 1 };
        let epsilon = if self.epsilon == 1e-5 { String::new() } else { format!(", eps={:?}", self.epsilon) };
        let momentum = if self.momentum == 0.1 { String::new() } else { format!(", momentum={:?}", self.momentum) };
        format!("nn.BatchNorm{dimensions}d({}{epsilon}{momentum})", self.channels)
    }
}

impl BatchNorm {
    /// Normalises by the statistics of the batch while it is trained, by the running ones else; where `relu` says so, negative
    /// values become 0 in the same pass over the memory.
    pub fn normalise(&self, at: &Placed, x: Tensor<4>, relu: bool, pass: &mut Pass) -> Tensor<4> {
        let (scale, shift) = (pass.vector(at, SCALE), pass.vector(at, SHIFT));
        if matches!(pass.mode, Mode::Train(_)) && !at.frozen {
            let normalise = if relu { ops::batch_norm_relu } else { ops::batch_norm };
            return self.collect(at, normalise(x, scale, shift, self.epsilon), pass);
        }
        let (mean, variance) = (pass.statistic(at, MEAN), pass.statistic(at, VARIANCE));
        let kept = pass.tapped().then(|| x.clone());
        let mut out = module::batch_norm(x, scale, shift, mean.clone(), variance.clone(), self.epsilon);
        if let Some(x) = kept {
            let [n, ..] = x.dims();
            let deviation = variance.add_scalar(self.epsilon).sqrt().reshape([1, self.channels, 1, 1]);
            let normalised = (x - mean.reshape([1, self.channels, 1, 1])) / deviation;
            let inputs = normalised.reshape([n, self.channels, at.input.values() / self.channels]);
            let parts = vec![("weight", Gradient::Scale { inputs }), ("bias", Gradient::Shift)];
            out = pass.tap(at, Layout::ChannelsFirst, parts, out);
        }
        if relu { ops::relu(out) } else { out }
    }

    /// Keeps the statistics of a batch for the running ones.
    pub fn collect(&self, at: &Placed, done: BatchNormOutput, pass: &mut Pass) -> Tensor<4> {
        let BatchNormOutput { output, mean, var } = done;
        if let Mode::Train(training) = pass.mode {
            let [n, _, height, width] = output.dims();
            training.statistics.push(BatchStatistics {
                mean_at: at.first + MEAN,
                momentum: self.momentum,
                mean: mean.inner(),
                var: var.inner(),
                count: n * height * width,
            });
        }
        output
    }
}
