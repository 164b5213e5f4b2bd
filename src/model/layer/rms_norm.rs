//! Root mean square normalisation (Zhang & Sennrich 2019).

use burn::tensor::Tensor;

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Role, Shape, TensorSpec};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::tap::{Gradient, Layout};

/// The features of a vector, or of each token, over the root of their mean square; no mean is taken off, nothing is added.
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNorm {
    /// Features.
    pub width: usize,
    /// Added to the mean square.
    pub epsilon: f64,
}

impl Describe for RmsNorm {
    const KINDS: &'static [Kind] = &[Kind {
        name: "rms-norm",
        aliases: &["rmsnorm"],
        meaning: "A vector's features, or each token's, over the root of their mean square.",
        argument: None,
        keys: &[Key::new("epsilon", Takes::Real(0.0, 1.0), Some("1.1920929e-7"), "Added to the mean square.")],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        match *builder.input.axes() {
            [width] | [_, width] => Ok((Self { width, epsilon: item.real("epsilon") }, builder.input)),
            _ => Err(builder.misfit("a vector or tokens [tokens, width]", "for images use { group-norm = 1 }")),
        }
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        vec![TensorSpec::constant("weight", self.width, Role::Spared, 1.0)]
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let dims = x.dims();
        let (n, positions) = (dims[0], at.input.values() / self.width);
        let rows = x.reshape([n * positions, self.width]);
        let size = (rows.clone() * rows.clone()).mean_dim(1).add_scalar(self.epsilon).sqrt();
        let normalised = rows / size;
        let out = (normalised.clone() * pass.vector(at, 0).reshape([1, self.width])).reshape(dims);
        if !pass.tapped() {
            return out;
        }
        let inputs = normalised.reshape([n, positions, self.width]);
        pass.tap(at, Layout::ChannelsLast, vec![("weight", Gradient::Scale { inputs })], out)
    }

    fn torch(&self, _: &Placed) -> String {
        format!("nn.RMSNorm({}, eps={:?})", self.width, self.epsilon)
    }
}
