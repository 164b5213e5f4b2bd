//! A vector for each token or category.

use burn::tensor::{Int, Tensor, module};

use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Initial, Placed, Role, Shape, TensorSpec};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;
use crate::model::tap::{Gradient, Layout};

/// Whole numbers, T of them in whatever axes, to `[T, width]`: a row of a table for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedding {
    /// Rows of the table.
    pub count: usize,
    /// Length of a row.
    pub width: usize,
}

impl Describe for Embedding {
    const KINDS: &'static [Kind] = &[Kind {
        name: "embedding",
        aliases: &[],
        meaning: "A learned vector for each token or category: the inputs are whole numbers, kept as f32.",
        argument: Some(Key::new("width", Takes::Whole(1, MOST), None, "Length of a vector.")),
        keys: &[Key::new("count", Takes::Whole(1, 1 << 24), None, "How many tokens or categories there are: inputs are 0 to count − 1.")],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let layer = Self { count: item.whole("count"), width: item.whole("width") };
        Ok((layer, Shape::sequence(builder.input.values(), layer.width)))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        // Of the variance 1/width, so that a vector's length is about 1.
        let initial = [Initial::Uniform((3.0 / self.width as f64).sqrt()), Initial::Normal(1.0)];
        vec![TensorSpec::weight("weight", vec![self.count, self.width], Role::Weight, initial)]
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        let tokens = at.input.values();
        // What is not one of the tokens counts as the nearest of them: an index outside of the table must not be read.
        let rows: Tensor<2, Int> = x.reshape([n, tokens]).detach().round().clamp(0.0, (self.count - 1) as f64).int();
        let out = module::embedding(pass.matrix(at, 0), rows.clone()).reshape(at.output.batch(n));
        if !pass.tapped() {
            return out;
        }
        pass.tap(at, Layout::ChannelsLast, vec![("weight", Gradient::Lookup { rows, count: self.count })], out)
    }

    fn python(&self, at: &Placed, code: &mut Python) {
        code.line("x = x.flatten(1).round().long()");
        code.module(&at.name, &format!("nn.Embedding({}, {})", self.count, self.width));
    }
}
