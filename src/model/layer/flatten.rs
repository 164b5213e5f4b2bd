//! Several axes of an example as one.

use burn::tensor::Tensor;

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;

/// `[channels, height, width]` to `[features]`, or, from axis 2 on, to `[channels, positions]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten {
    /// The first axis that is flattened; the batch is axis 0, as in PyTorch.
    pub from: usize,
}

impl Describe for Flatten {
    const KINDS: &'static [Kind] = &[Kind {
        name: "flatten",
        aliases: &[],
        meaning: "All axes as one, or those from the second on.",
        argument: Some(Key::new("from", Takes::Whole(1, 2), Some("1"), "First axis that is flattened; the batch is axis 0.")),
        keys: &[],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let (from, input) = (item.whole("from"), builder.input);
        let output = match (from, input.axes()) {
            (2, [channels, rest @ ..]) => Shape::sequence(*channels, rest.iter().product()),
            _ => Shape::vector(input.values()),
        };
        Ok((Self { from }, output))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        x.reshape(at.output.batch(n))
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        code.line(&format!("x = x.flatten({})", self.from));
    }
}
