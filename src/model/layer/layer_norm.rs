//! Layer normalisation (Ba 2016).

use burn::tensor::Tensor;

use super::group_norm::normalised;
use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Role, Shape, TensorSpec};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::tap::{Gradient, Layout};

/// Over the features of a vector, or of each token.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Features.
    pub width: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Describe for LayerNorm {
    const KINDS: &'static [Kind] = &[Kind {
        name: "layer-norm",
        aliases: &["layernorm"],
        meaning: "Normalisation of a vector's features, or of each token's.",
        argument: None,
        keys: &[Key::new("epsilon", Takes::Real(0.0, 1.0), Some("1e-5"), "Added to the variance.")],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        match *builder.input.axes() {
            [width] | [_, width] => Ok((Self { width, epsilon: item.real("epsilon") }, builder.input)),
            _ => Err(builder.misfit("a vector or tokens [tokens, width]", "for images use { group-norm = 1 }")),
        }
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let parts = [("weight", 1.0), ("bias", 0.0)];
        parts.map(|(part, value)| TensorSpec::constant(part, self.width, Role::Spared, value)).into()
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let dims = x.dims();
        let (n, positions) = (dims[0], at.input.values() / self.width);
        let normalised = normalised(x.reshape([n * positions, self.width]), self.epsilon);
        let features = |values: Tensor<1>| values.reshape([1, self.width]);
        let out = normalised.clone() * features(pass.vector(at, 0)) + features(pass.vector(at, 1));
        let out = out.reshape(dims);
        if !pass.tapped() {
            return out;
        }
        let inputs = normalised.reshape([n, positions, self.width]);
        let parts = vec![("weight", Gradient::Scale { inputs }), ("bias", Gradient::Shift)];
        pass.tap(at, Layout::ChannelsLast, parts, out)
    }

    fn torch(&self, _: &Placed) -> String {
        let epsilon = if self.epsilon == 1e-5 { String::new() } else { format!(", eps={:?}", self.epsilon) };
        format!("nn.LayerNorm({}{epsilon})", self.width)
    }
}
