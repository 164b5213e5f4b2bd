//! One token of a sequence.

use burn::tensor::Tensor;

use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;

/// `[tokens, width]` to the `[width]` of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeToken {
    /// Which, from 0.
    pub at: usize,
}

impl Describe for TakeToken {
    const KINDS: &'static [Kind] = &[Kind {
        name: "take-token",
        aliases: &[],
        meaning: "One token of a sequence, such as the class token.",
        argument: Some(Key::new("at", Takes::Whole(0, MOST), Some("0"), "Which, from 0.")),
        keys: &[],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [tokens, width] = builder.sequence()?;
        let at = item.whole("at");
        if at >= tokens {
            return Err(builder.misfit(&format!("at least {} tokens", at + 1), ""));
        }
        Ok((Self { at }, Shape::vector(width)))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        x.narrow(1, self.at, 1).reshape(at.output.batch(n))
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        code.line(&format!("x = x[:, {}]", self.at));
    }
}
