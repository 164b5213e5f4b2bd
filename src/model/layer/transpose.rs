//! The two axes of a sequence the other way round.

use burn::tensor::Tensor;

use super::keys::{Item, Kind};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;

/// `[tokens, width]` to `[width, tokens]`: what mixes over tokens stands between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transpose;

impl Describe for Transpose {
    const KINDS: &'static [Kind] = &[Kind {
        name: "transpose",
        aliases: &[],
        meaning: "Swaps the two axes of a sequence: tokens and width, or channels and length.",
        argument: None,
        keys: &[],
    }];

    fn build(_: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [tokens, width] = builder.sequence()?;
        Ok((Self, Shape::sequence(width, tokens)))
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        x.swap_dims(1, 2)
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        code.line("x = x.transpose(1, 2)");
    }
}
