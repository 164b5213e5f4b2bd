//! Squeeze-and-excitation (Hu 2018).

use burn::tensor::Tensor;
use serde_json::json;

use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;

/// Each channel times a gate, which two 1x1 convolutions (`conv_reduce`, `conv_expand`) compute from the means of all channels.
#[derive(Debug, Clone, PartialEq)]
pub struct SqueezeExcite {
    /// The convolutions and what is between and after them.
    pub gate: Vec<Placed>,
}

impl Describe for SqueezeExcite {
    const KINDS: &'static [Kind] = &[Kind {
        name: "squeeze-excite",
        aliases: &["squeeze-excitation", "se"],
        meaning: "Multiplies each channel by a gate that is computed from the means of all; its convolutions are `conv_reduce` and `conv_expand`.",
        argument: Some(Key::new("channels", Takes::Whole(1, MOST), None, "Channels between the two convolutions.")),
        keys: &[
            Key::new("activation", Takes::Word(&["relu", "relu6", "silu", "gelu"]), Some("relu"), "Between the convolutions."),
            Key::new("gate", Takes::Word(&["sigmoid", "tanh"]), Some("sigmoid"), "What makes a gate of the outcome."),
        ],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [channels, _, _] = builder.image()?;
        let conv = |channels: usize, name: &str| json!({ "conv": channels, "kernel": 1, "name": name });
        let reduced = conv(item.whole("channels"), "conv_reduce");
        let entries = [reduced, json!(item.word("activation")), conv(channels, "conv_expand"), json!(item.word("gate"))];
        let input = builder.input;
        builder.input = [channels, 1, 1].into();
        let gate = builder.list("", &entries);
        builder.input = input;
        Ok((Self { gate: gate?.0 }, input))
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let means = x.clone().mean_dim(3).mean_dim(2);
        x * pass.list(&self.gate, means)
    }

    fn parts(&self) -> Vec<&[Placed]> {
        vec![&self.gate]
    }

    fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
        vec![&mut self.gate]
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        let input = code.variable();
        code.line(&format!("{input} = x"));
        code.line("x = x.mean((2, 3), keepdim=True)");
        code.list(&self.gate);
        code.line(&format!("x = {input} * x"));
    }
}
