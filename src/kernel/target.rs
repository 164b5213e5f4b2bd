//! Where the reverse pass puts its gradients together: the sums of inner products that make up a kernel.
//!
//! A layer hands over either its gradients themselves (rows), or its inputs and output gradients, whose Gram matrices give
//! the same inner products without any gradient being formed (pairs): with T positions, ⟨Σ_t g_t x_tᵀ, Σ_u g'_u x'_uᵀ⟩ =
//! Σ_{t,u} ⟨g_t, g'_u⟩ ⟨x_t, x'_u⟩. Products are in f32, sums of products in f64. Every split of the work is fixed, and partial
//! sums are added in a fixed order: the bits do not depend on the number of threads. Only one triangle is computed.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::gram::{Block, add_products};
use super::matrix::{dot, view};
use super::projection::Signs;

/// Rows of one Gram matrix of pairs, about.
const PAIR_ROWS: usize = 256;

/// A kernel in the making, over P examples and S outputs. Of symmetric matrices the lower triangle is made; nothing is said of what
/// stands above it.
#[derive(Debug)]
pub(super) enum Target {
    /// `[P, P]`: the sum over outputs.
    Sum(Vec<f64>),
    /// `[S, P, P]`: each output by itself.
    Each(Vec<f64>),
    /// `[P · S, P · S]`: every output with every other, the output innermost.
    Full(Vec<f64>),
    /// `[P · S, K]`: the gradients times a random sign matrix.
    Projected { signs: Signs, values: Vec<f32> },
}

/// Gradients `[examples, outputs, length]` of neighbouring parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub examples: usize,
    pub outputs: usize,
    pub length: usize,
    /// Index of the first of these parameters in the network.
    pub offset: usize,
}

/// Inputs and output gradients of a layer: `[examples · positions, window]` and `[examples · positions, outputs, channels]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairs<'a> {
    pub inputs: &'a [f32],
    pub gradients: &'a [f32],
    pub examples: usize,
    pub positions: usize,
    pub outputs: usize,
    /// A parameter for each channel that is added to every position: as if each input had one more value, which is 1. Only for
    /// layers of one position.
    pub bias: bool,
}

impl Target {
    /// The kernel, or the projected gradients.
    pub fn into_values(self) -> Vec<f64> {
        match self {
            Self::Sum(values) | Self::Each(values) | Self::Full(values) => values,
            Self::Projected { values, .. } => values.into_iter().map(f64::from).collect(),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Sum(values) | Self::Each(values) | Self::Full(values) => values.len(),
            Self::Projected { values, .. } => values.len(),
        }
    }

    /// Adds what was summed elsewhere, value by value.
    pub fn add_values(&mut self, more: &[f32]) {
        match self {
            Self::Sum(values) | Self::Each(values) | Self::Full(values) => {
                values.iter_mut().zip(more).for_each(|(to, value)| *to += f64::from(*value));
            }
            Self::Projected { values, .. } => values.iter_mut().zip(more).for_each(|(to, value)| *to += value),
        }
    }

    /// Adds the inner products of gradients.
    pub fn add_rows(&mut self, rows: &Rows) {
        let Rows { values, examples, outputs, length, offset } = *rows;
        let of_output = |output: usize| -> Block {
            Block { values: &values[output * length..], stride: outputs * length, columns: length }
        };
        match self {
            // The outputs of an example lie side by side: one long row.
            Self::Sum(kernel) => {
                let block = Block { values, stride: outputs * length, columns: outputs * length };
                add_products(&[vec![block]], examples, kernel);
            }
            Self::Each(kernels) => {
                let blocks: Vec<Vec<Block>> = (0..outputs).map(|output| vec![of_output(output)]).collect();
                add_products(&blocks, examples, kernels);
            }
            Self::Full(kernel) => {
                let block = Block { values, stride: length, columns: length };
                add_products(&[vec![block]], examples * outputs, kernel);
            }
            Self::Projected { signs, values: projected } => signs.add_product(values, length, offset, projected),
        }
    }

    /// Adds the inner products of the gradients that inputs and output gradients make up. A projection needs rows.
    pub fn add_pairs(&mut self, pairs: &Pairs) {
        let Pairs { examples: p, positions, outputs: s, .. } = *pairs;
        let block = PAIR_ROWS.div_ceil(positions).min(p);
        let blocks = p.div_ceil(block);
        let tiles: Vec<[usize; 2]> = (0..blocks).flat_map(|i| (0..=i).map(move |j| [i * block, j * block])).collect();
        let (kernel, side, each) = match self {
            Self::Sum(kernel) => (kernel, p, 1),
            Self::Each(kernels) => (kernels, p, s),
            Self::Full(kernel) => (kernel, p * s, s * s),
            Self::Projected { .. } => return,
        };
        let full = side > p;
        // For each tile the blocks of the sum, of each output, or of each pair of outputs.
        let parts: Vec<Vec<f64>> =
            tiles.par_iter().map(|&[row, column]| pairs.tile(row, column, block, each, full)).collect();
        for (&[row, column], part) in tiles.iter().zip(&parts) {
            let (height, width) = (block.min(p - row), block.min(p - column));
            for (index, part) in part.chunks_exact(height * width).enumerate() {
                for (i, values) in part.chunks_exact(width).enumerate() {
                    for (j, value) in values.iter().enumerate() {
                        let (mut a, mut b, mut start) = (row + i, column + j, index * p * p);
                        if full {
                            (a, b, start) = (a * s + index / s, b * s + index % s, 0);
                        }
                        kernel[start + a * side + b] += value;
                    }
                }
            }
        }
    }
}

impl Pairs<'_> {
    /// The inner products of the examples from `row` on with those from `column` on, `block` of each: `[each, block, block]`.
    fn tile(&self, row: usize, column: usize, block: usize, each: usize, full: bool) -> Vec<f64> {
        let Self { positions, outputs, .. } = *self;
        let (height, width) = (block.min(self.examples - row), block.min(self.examples - column));
        let window = self.inputs.len() / (self.examples * positions);
        let mut inputs = vec![f32::from(u8::from(self.bias)); height * width * positions * positions];
        let (rows, columns) = (height * positions, width * positions);
        let input = |first: usize, count: usize| {
            view(&self.inputs[first * positions * window..][..count * window], count, window)
        };
        let target = MatMut::from_row_major_slice_mut(&mut inputs, rows, columns);
        matmul(target, Accum::Add, input(row, rows), input(column, columns).transpose(), 1.0, Par::Seq);
        let channels = self.gradients.len() / (self.examples * positions * outputs);
        let mut gradients = vec![0.0f32; inputs.len()];
        let mut out = Vec::with_capacity(each * height * width);
        for index in 0..each {
            let (first, second, length) = match (each, full) {
                (1, _) => (0, 0, outputs * channels),
                (_, false) => (index, index, channels),
                (_, true) => (index / outputs, index % outputs, channels),
            };
            let gradient = |example: usize, count: usize, output: usize| {
                let stride = outputs * channels;
                let from = example * positions * stride + output * channels;
                let values = &self.gradients[from..][..(count - 1) * stride + length];
                MatRef::from_row_major_slice_with_stride(values, count, length, stride)
            };
            let target = MatMut::from_row_major_slice_mut(&mut gradients, rows, columns);
            let (left, right) = (gradient(row, rows, first), gradient(column, columns, second));
            matmul(target, Accum::Replace, left, right.transpose(), 1.0, Par::Seq);
            for i in 0..height {
                for j in 0..width {
                    let lines = (i * positions..(i + 1) * positions).map(|line| line * columns + j * positions);
                    let sum = |at: usize| {
                        let (x, g) = (&inputs[at..][..positions], &gradients[at..][..positions]);
                        f64::from(dot(x, g))
                    };
                    out.push(lines.map(sum).sum());
                }
            }
        }
        out
    }
}
