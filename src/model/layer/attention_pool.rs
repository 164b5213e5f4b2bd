//! One vector for a sequence: its tokens weighed by attention.

use burn::tensor::{Tensor, activation};

use super::dense::Dense;
use super::keys::{Item, Kind};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;

/// `[tokens, width]` to `[width]`: a dense layer `score` scores each token, a softmax over the tokens makes weights of the scores.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionPool {
    /// The dense layer.
    pub score: Vec<Placed>,
}

impl Describe for AttentionPool {
    const KINDS: &'static [Kind] = &[Kind {
        name: "attention-pool",
        aliases: &[],
        meaning: "The mean of the tokens, weighed by what a dense layer `score` makes of each.",
        argument: None,
        keys: &[],
    }];

    fn build(_: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [tokens, width] = builder.sequence()?;
        let dense = Dense { inputs: width, outputs: 1, bias: true };
        let score = builder.part("score", "dense", dense, builder.input, Shape::sequence(tokens, 1));
        Ok((Self { score: vec![score] }, Shape::vector(width)))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        let weights = activation::softmax(pass.list(&self.score, x.clone()), 1);
        (x * weights).sum_dim(1).reshape(at.output.batch(n))
    }

    fn parts(&self) -> Vec<&[Placed]> {
        vec![&self.score]
    }

    fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
        vec![&mut self.score]
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        let input = code.variable();
        code.line(&format!("{input} = x"));
        code.list(&self.score);
        code.line(&format!("x = ({input} * x.softmax(1)).sum(1)"));
    }
}
