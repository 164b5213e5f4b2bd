//! Mean over all positions of each channel.

use burn::tensor::Tensor;

use super::keys::{Item, Kind};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;
use crate::ops;

/// `[channels, height, width]` or `[channels, length]` to `[channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalMean;

impl Describe for GlobalMean {
    const KINDS: &'static [Kind] = &[Kind {
        name: "global-mean",
        aliases: &["global-avg-pool", "global-average-pool"],
        meaning: "Mean over all positions of each channel.",
        argument: None,
        keys: &[],
    }];

    fn build(_: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        match *builder.input.axes() {
            [channels, _] | [channels, _, _] => Ok((Self, Shape::vector(channels))),
            _ => Err(builder.misfit("images [channels, height, width] or sequences [channels, length]", "")),
        }
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        ops::global_mean_pool(x).reshape(at.output.batch(n))
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        code.line("x = x.flatten(2).mean(2)");
    }
}
