//! Multi-head self-attention (Vaswani 2017).

use burn::tensor::{Tensor, activation};

use super::dense::Dense;
use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::{Error, Result};
use crate::model::network::Pass;
use crate::model::python::Python;

/// Scaled dot products of queries and keys, after a softmax, weigh the values; `[tokens, width]` stays what it is.
///
/// Dense layers make queries, keys and values, together (`qkv`, rows in this order, as PyTorch's ViTs have it) or apart (`q`,
/// `k`, `v`), and `proj` mixes the heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Heads.
    pub heads: usize,
    /// `qkv`, or `q`, `k`, `v`.
    pub inputs: Vec<Placed>,
    /// `proj`
    pub output: Vec<Placed>,
}

impl Describe for Attention {
    const KINDS: &'static [Kind] = &[Kind {
        name: "attention",
        aliases: &["self-attention", "multi-head-attention"],
        meaning: "Multi-head self-attention; its dense layers are `qkv` (or `q`, `k`, `v`) and `proj`.",
        argument: Some(Key::new("heads", Takes::Whole(1, 4096), None, "Heads; they divide the width.")),
        keys: &[
            Key::new("fused", Takes::Flag, Some("true"), "One dense layer `qkv`, or three."),
            Key::new("bias", Takes::Flag, Some("true"), "Whether queries, keys and values have a bias."),
        ],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [tokens, width] = builder.sequence()?;
        let heads = item.whole("heads");
        if !width.is_multiple_of(heads) {
            return Err(Error::Invalid(format!(
                "layer {} (attention) has {heads} heads, which do not divide the width {width}",
                builder.name
            )));
        }
        let bias = item.flag("bias");
        let names: &[(&str, usize)] = if item.flag("fused") { &[("qkv", 3)] } else { &[("q", 1), ("k", 1), ("v", 1)] };
        let dense = |builder: &mut Builder, name: &str, outputs: usize, bias: bool| {
            let layer = Dense { inputs: width, outputs, bias };
            builder.part(name, "dense", layer, builder.input, Shape::sequence(tokens, outputs))
        };
        let inputs = names.iter().map(|(name, times)| dense(builder, name, times * width, bias)).collect();
        let output = vec![dense(builder, "proj", width, true)];
        Ok((Self { heads, inputs, output }, builder.input))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let [n, tokens, width, _] = x.dims();
        let each = width / self.heads;
        let joined: Vec<Tensor<4>> = self.inputs.iter().map(|dense| dense.forward(x.clone(), pass)).collect();
        let heads = |values: Tensor<4>| values.reshape([n, tokens, self.heads, each]).swap_dims(1, 2);
        let [query, key, value] = match <[Tensor<4>; 3]>::try_from(joined) {
            Ok(apart) => apart.map(heads),
            Err(joined) => {
                let joined = joined.into_iter().next().unwrap_or(x);
                [0, 1, 2].map(|part| heads(joined.clone().narrow(2, part * width, width)))
            }
        };
        let scores = query.mul_scalar(1.0 / (each as f64).sqrt()).matmul(key.swap_dims(2, 3));
        let mixed = activation::softmax(scores, 3).matmul(value);
        pass.list(&self.output, mixed.swap_dims(1, 2).reshape(at.input.batch(n)))
    }

    fn operations(&self, at: &Placed) -> f64 {
        4.0 * at.input.values() as f64 * at.input.axes()[0] as f64
    }

    fn activations(&self, at: &Placed) -> usize {
        2 * self.heads * at.input.axes()[0].pow(2)
    }

    fn parts(&self) -> Vec<&[Placed]> {
        vec![&self.inputs, &self.output]
    }

    fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
        vec![&mut self.inputs, &mut self.output]
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        let input = code.variable();
        code.line(&format!("{input} = x"));
        let mut parts = Vec::new();
        for dense in &self.inputs {
            code.line(&format!("x = {input}"));
            dense.python(code);
            parts.push(code.variable());
            code.line(&format!("{} = x", parts[parts.len() - 1]));
        }
        let apart = match parts.as_slice() {
            [joined] => format!("{joined}.chunk(3, -1)"),
            parts => parts.join(", "),
        };
        code.line(&format!("q, k, v = (part.unflatten(-1, ({}, -1)).transpose(1, 2) for part in ({apart}))", self.heads));
        code.line("x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)");
        code.list(&self.output);
    }
}
