//! All axes of an example as one.

use burn::tensor::Tensor;

use super::keys::{Item, Kind};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;

/// `[channels, height, width]` to `[features]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten;

impl Describe for Flatten {
    const KINDS: &'static [Kind] =
        &[Kind { name: "flatten", aliases: &[], meaning: "All axes as one.", argument: None, keys: &[] }];

    fn build(_: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        Ok((Self, Shape::vector(builder.input.values())))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        x.reshape(at.output.batch(n))
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        code.line("x = x.flatten(1)");
    }
}
