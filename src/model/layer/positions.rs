//! Learned positions.

use burn::tensor::Tensor;

use super::keys::{Item, Kind};
use super::{Builder, Describe, Initial, Placed, Role, Shape, TensorSpec};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;
use crate::model::tap::{Gradient, Layout};

/// A vector for each position, added to the token there: `[tokens, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// Positions.
    pub tokens: usize,
    /// Length of a token.
    pub width: usize,
}

impl Describe for Positions {
    const KINDS: &'static [Kind] = &[Kind {
        name: "positions",
        aliases: &["position-embedding"],
        meaning: "Adds a learned vector to the token at each position.",
        argument: None,
        keys: &[],
    }];

    fn build(_: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [tokens, width] = builder.sequence()?;
        Ok((Self { tokens, width }, builder.input))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        // The variance of a normal draw of deviation 0.02.
        let initial = [Initial::Uniform(0.02 * 3.0_f64.sqrt()), Initial::Normal(0.02)];
        vec![TensorSpec::weight("", vec![1, self.tokens, self.width], Role::Spared, initial)]
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let out = x + pass.matrix(at, 0).reshape([1, self.tokens, self.width, 1]);
        if !pass.tapped() {
            return out;
        }
        pass.tap(at, Layout::ChannelsLast, vec![("", Gradient::Added)], out)
    }

    fn python(&self, at: &Placed, code: &mut Python) {
        let parameter = code.parameter(&at.name, &[1, self.tokens, self.width]);
        code.line(&format!("x = x + {parameter}"));
    }
}
