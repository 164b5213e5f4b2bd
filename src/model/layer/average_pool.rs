//! Mean over windows.

use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Tensor, module};

use super::keys::{Item, Kind};
use super::max_pool::{KEYS, MaxPool, WINDOW, windows};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;

/// Windows as those of [`MaxPool`]; zeros of the padding count, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool(pub MaxPool);

impl Describe for AveragePool {
    const KINDS: &'static [Kind] = &[Kind {
        name: "average-pool",
        aliases: &["avg-pool", "avgpool", "avg-pool2d", "avg-pool1d"],
        meaning: "Mean over windows of each channel; zeros of the padding count.",
        argument: Some(WINDOW),
        keys: KEYS,
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let (windows, output) = windows(item, builder)?;
        Ok((Self(windows), output))
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        let MaxPool { kernel, stride, padding } = self.0;
        let options = AvgPoolOptions::new(kernel).with_stride(stride).with_padding(padding).with_count_include_pad(true);
        module::avg_pool2d(x, options)
    }

    fn torch(&self, at: &Placed) -> String {
        self.0.torch_as("Avg", at)
    }
}
