//! Fully connected layer, over the last axis.

use burn::tensor::Tensor;

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Initial, Placed, Role, Shape, TensorSpec};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::tap::{Gradient, Layout};
use crate::ops;

/// `y = W x + b` of `[features]`, or of each token of `[tokens, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Length of the last axis.
    pub inputs: usize,
    /// What it becomes.
    pub outputs: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Describe for Dense {
    const KINDS: &'static [Kind] = &[Kind {
        name: "dense",
        aliases: &["linear"],
        meaning: "Fully connected, over the last axis.",
        argument: Some(Key::new("outputs", Takes::WholeOrWord(&["classes"]), None, "Outputs; `classes` is their number in the data.")),
        keys: &[Key::new("bias", Takes::Flag, Some("true"), "Whether a bias is added.")],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let outputs = item.whole_if("outputs").unwrap_or(builder.classes);
        let (inputs, output) = match *builder.input.axes() {
            [inputs] => (inputs, Shape::vector(outputs)),
            [tokens, inputs] => (inputs, Shape::sequence(tokens, outputs)),
            _ => {
                let advice = "put \"flatten\" or \"global-mean\" before it";
                return Err(builder.misfit("a vector or tokens [tokens, width]", advice));
            }
        };
        Ok((Self { inputs, outputs, bias: item.flag("bias") }, output))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let initial = [Initial::He(self.inputs), Initial::torch(self.inputs)];
        let mut all = vec![TensorSpec::weight("weight", vec![self.outputs, self.inputs], Role::Transposed, initial)];
        if self.bias {
            all.push(TensorSpec::spared("bias", self.outputs, 0.0, Initial::torch(self.inputs)));
        }
        all
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let [n, ..] = x.dims();
        let positions = at.input.values() / self.inputs.max(1);
        let weight = pass.matrix(at, 0);
        let rows = x.reshape([n * positions, self.inputs]);
        let kept = pass.tapped().then(|| rows.clone());
        let out = match self.bias {
            true => ops::dense(rows, weight, pass.vector(at, 1)),
            false => rows.matmul(weight),
        };
        let out = out.reshape(at.output.batch(n));
        let Some(rows) = kept else { return out };
        let inputs = rows.reshape([n, positions, self.inputs]);
        let mut parts = vec![("weight", Gradient::Dense { inputs })];
        parts.extend(self.bias.then_some(("bias", Gradient::Shift)));
        pass.tap(at, Layout::ChannelsLast, parts, out)
    }

    fn operations(&self, at: &Placed) -> f64 {
        2.0 * at.output.values() as f64 * self.inputs as f64
    }

    fn torch(&self, _: &Placed) -> String {
        let bias = if self.bias { "" } else { ", bias=False" };
        format!("nn.Linear({}, {}{bias})", self.inputs, self.outputs)
    }
}
