//! A learned token before all others.

use burn::tensor::Tensor;

use super::keys::{Item, Kind};
use super::{Builder, Describe, Initial, Placed, Role, Shape, TensorSpec};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;
use crate::model::tap::{Gradient, Layout};

/// `[tokens, width]` to `[tokens + 1, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassToken {
    /// Length of a token.
    pub width: usize,
}

impl Describe for ClassToken {
    const KINDS: &'static [Kind] = &[Kind {
        name: "class-token",
        aliases: &["cls-token"],
        meaning: "Puts a learned token before all others.",
        argument: None,
        keys: &[],
    }];

    fn build(_: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [tokens, width] = builder.sequence()?;
        Ok((Self { width }, Shape::sequence(tokens + 1, width)))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let initial = [Initial::Uniform(0.02 * 3.0_f64.sqrt()), Initial::Normal(0.02)];
        vec![TensorSpec::weight("", vec![1, 1, self.width], Role::Spared, initial)]
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        let token = pass.matrix(at, 0).reshape([1, 1, self.width, 1]).expand([n, 1, self.width, 1]);
        let out = Tensor::cat(vec![token, x], 1);
        if !pass.tapped() {
            return out;
        }
        pass.tap(at, Layout::ChannelsLast, vec![("", Gradient::Token { at: 0 })], out)
    }

    fn python(&self, at: &Placed, code: &mut Python) {
        let parameter = code.parameter(&at.name, &[1, 1, self.width]);
        code.line(&format!("x = torch.cat([{parameter}.expand(len(x), -1, -1), x], 1)"));
    }
}
