//! The reverse pass: from the outputs to the first layer with parameters, all outputs of a pass at once, handing each
//! layer's gradients to the kernel in the making. Neither the first layer's input gradient nor any sum over examples of
//! weight gradients is formed.
//!
//! The dense layers at the end of a network, its head, are followed layer by layer for all examples together, the
//! layers before them example by example (see `example_backward`).

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use rayon::prelude::*;

use super::cotangent::Layout;
use super::example_backward::{Edge, ExampleBackward};
use super::forward::{Recording, Slopes, Step};
use super::network::Dense;
use crate::kernel::matrix::view;
use crate::kernel::target::{Pairs, Rows, Target};

/// What a reverse pass may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of gradients that are formed at a time.
    pub block: usize,
    /// Bytes of packed gradients that are kept at a time.
    pub kept: usize,
}

/// Follows S linear combinations of the logits, `[S, C]`, back through a recorded forward pass and adds their gradients' inner
/// products to `target`.
pub(super) fn reverse(recording: &Recording, combinations: &[f32], limits: Limits, target: &mut Target) {
    let classes = recording.logits.len() / recording.examples;
    let outputs = combinations.len() / classes;
    let mut head = Head { examples: recording.examples, outputs, limits, target };
    let mut gradients = combinations.repeat(recording.examples);
    let mut shape = [classes, 1, 1];
    for (index, step) in recording.steps.iter().enumerate().rev() {
        let before = &recording.steps[..index];
        match step {
            Step::Dense { dense, input } => {
                head.add(dense, input, &gradients);
                if !before.iter().any(Step::has_parameters) {
                    break;
                }
                gradients = head.input_gradient(dense, &gradients);
                shape = [dense.inputs, 1, 1];
            }
            Step::Slope { slopes, .. } => head.slope(slopes, &mut gradients),
            _ => {
                let edge = Edge { layout: Layout::contiguous(shape, outputs), values: gradients };
                let mut convolutions = ExampleBackward::new(recording.examples, outputs, limits, head.target);
                convolutions.run(&recording.steps[..=index], edge);
                break;
            }
        }
    }
}

struct Head<'t> {
    examples: usize,
    outputs: usize,
    limits: Limits,
    target: &'t mut Target,
}

impl Head<'_> {
    /// Adds the kernel of a dense layer with input `[P, inputs]` and gradients `[P, S, outputs]`.
    fn add(&mut self, dense: &Dense, input: &[f32], gradients: &[f32]) {
        let (examples, outputs) = (self.examples, self.outputs);
        if !matches!(self.target, Target::Projected { .. }) {
            self.target.add_pairs(&Pairs { inputs: input, gradients, examples, positions: 1, outputs, bias: true });
            return;
        }
        // A projection needs the gradients themselves: for each of the layer's outputs the weights, then the bias.
        let width = dense.inputs + 1;
        let each = (self.limits.block / (examples * outputs * width * size_of::<f32>())).clamp(1, dense.outputs);
        let mut values = Vec::new();
        for first in (0..dense.outputs).step_by(each) {
            let count = each.min(dense.outputs - first);
            values.resize(examples * outputs * count * width, 0.0);
            let rows = values.par_chunks_exact_mut(count * width).enumerate();
            rows.for_each(|(row, out)| {
                let example = &input[row / outputs * dense.inputs..][..dense.inputs];
                let gradients = &gradients[row * dense.outputs + first..][..count];
                for (out, gradient) in out.chunks_exact_mut(width).zip(gradients) {
                    out.iter_mut().zip(example.iter().chain(&[1.0])).for_each(|(o, x)| *o = gradient * x);
                }
            });
            let offset = dense.offset + first * width;
            self.target.add_rows(&Rows { values: &values, examples, outputs, length: count * width, offset });
        }
    }

    /// `[P, S, outputs]` to `[P, S, inputs]`.
    fn input_gradient(&self, dense: &Dense, gradients: &[f32]) -> Vec<f32> {
        let mut values = vec![0.0; self.examples * self.outputs * dense.inputs];
        let blocks = values.par_chunks_mut(128 * dense.inputs).zip(gradients.par_chunks(128 * dense.outputs));
        blocks.for_each(|(out, gradients)| {
            let rows = gradients.len() / dense.outputs;
            let target = MatMut::from_row_major_slice_mut(out, rows, dense.inputs);
            let weight = view(&dense.weight, dense.outputs, dense.inputs);
            matmul(target, Accum::Replace, view(gradients, rows, dense.outputs), weight, 1.0, Par::Seq);
        });
        values
    }

    /// Passes an activation between dense layers.
    fn slope(&self, slopes: &Slopes, gradients: &mut [f32]) {
        let length = gradients.len() / self.examples;
        let width = length / self.outputs;
        gradients.par_chunks_exact_mut(length).enumerate().for_each(|(example, gradients)| {
            for row in gradients.chunks_exact_mut(width) {
                match slopes {
                    Slopes::Mask(mask) => {
                        let mask = &mask[example * width..][..width];
                        row.iter_mut().zip(mask).for_each(|(g, &m)| *g = if m { *g } else { 0.0 });
                    }
                    Slopes::Factors(factors) => {
                        let factors = &factors[example * width..][..width];
                        row.iter_mut().zip(factors).for_each(|(g, f)| *g *= f);
                    }
                }
            }
        });
    }
}
