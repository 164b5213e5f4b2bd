//! Mean over the tokens of a sequence.

use burn::tensor::Tensor;

use super::keys::{Item, Kind};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;

/// `[tokens, width]` to `[width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenMean;

impl Describe for TokenMean {
    const KINDS: &'static [Kind] =
        &[Kind { name: "token-mean", aliases: &["mean-tokens"], meaning: "Mean over the tokens.", argument: None, keys: &[] }];

    fn build(_: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [_, width] = builder.sequence()?;
        Ok((Self, Shape::vector(width)))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        x.mean_dim(1).reshape(at.output.batch(n))
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        code.line("x = x.mean(1)");
    }
}
