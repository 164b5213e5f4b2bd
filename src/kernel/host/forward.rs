//! One forward pass in evaluation mode that keeps what the reverse pass needs: the input of every parametric layer, the
//! slope of every activation and the winner of every pooling window.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use rayon::prelude::*;
use statrs::function::erf::erf;

use super::network::{Conv, Dense, HostLayer, HostNetwork, Shape};
use crate::config::Activation;
use crate::error::{Error, Result};
use crate::kernel::matrix::view;
use crate::kernel::route::check_logits;

/// Rows of one matrix product of a convolution, about: its columns stay in the second-level cache.
const PRODUCT_ROWS: usize = 1024;

/// A forward pass over P examples, as the reverse pass reads it.
#[derive(Debug)]
pub struct Recording<'a> {
    pub examples: usize,
    pub steps: Vec<Step<'a>>,
    /// `[P, C]`
    pub logits: Arc<Vec<f32>>,
}

/// One layer and what was kept of it; values are `[P, height, width, channels]`.
#[derive(Debug)]
pub enum Step<'a> {
    Conv(ConvStep<'a>),
    Dense {
        dense: &'a Dense,
        input: Arc<Vec<f32>>,
    },
    /// Derivative of an activation at its input.
    Slope {
        shape: Shape,
        slopes: Slopes,
    },
    /// For each output, the position of the input that it was taken from.
    MaxPool {
        from: Shape,
        winners: Vec<u32>,
    },
    GlobalMeanPool {
        from: Shape,
    },
    Flatten {
        from: Shape,
    },
    Residual {
        body: Vec<Step<'a>>,
        shortcut: Option<ConvStep<'a>>,
    },
}

#[derive(Debug)]
pub struct ConvStep<'a> {
    pub conv: &'a Conv,
    pub input: Arc<Vec<f32>>,
}

impl Step<'_> {
    /// Whether it has anything to be trained.
    pub fn has_parameters(&self) -> bool {
        match self {
            Self::Conv(_) | Self::Dense { .. } => true,
            Self::Residual { body, shortcut } => shortcut.is_some() || body.iter().any(Self::has_parameters),
            Self::Slope { .. } | Self::MaxPool { .. } | Self::GlobalMeanPool { .. } | Self::Flatten { .. } => false,
        }
    }

    /// The shape of its input.
    pub fn input_shape(&self) -> Shape {
        match self {
            Self::Conv(step) => step.conv.input,
            Self::Dense { dense, .. } => [dense.inputs, 1, 1],
            Self::Slope { shape, .. } => *shape,
            Self::MaxPool { from, .. } | Self::GlobalMeanPool { from } | Self::Flatten { from } => *from,
            Self::Residual { body, .. } => body.first().map_or([0; 3], Self::input_shape),
        }
    }
}

/// Slopes of an activation.
#[derive(Debug)]
pub enum Slopes {
    /// 1 where set, else 0.
    Mask(Vec<bool>),
    Factors(Vec<f32>),
}

impl<'a> Recording<'a> {
    /// Runs the network on examples `[P, channels · height · width]`, channel outermost as a data set stores them.
    ///
    /// # Errors
    /// `Invalid` if a logit is not finite.
    pub fn new(network: &'a HostNetwork, pixels: &[f32]) -> Result<Self> {
        let examples = pixels.len() / network.example_len();
        let mut pass = Pass { examples, value: Arc::new(channels_last(pixels, network.input)), shape: network.input };
        let steps = pass.layers(&network.layers)?;
        if pass.shape != [network.classes, 1, 1] {
            return Err(Error::Invalid(format!(
                "the network's output has shape {:?}, not one value for each of {} classes",
                pass.shape, network.classes
            )));
        }
        check_logits(&pass.value, network.classes)?;
        Ok(Self { examples, steps, logits: pass.value })
    }
}

/// `[n, c, h, w]` to `[n, h, w, c]`.
fn channels_last(pixels: &[f32], [c, h, w]: Shape) -> Vec<f32> {
    let mut out = Vec::with_capacity(pixels.len());
    for image in pixels.chunks_exact(c * h * w) {
        for position in 0..h * w {
            out.extend(image.iter().skip(position).step_by(h * w));
        }
    }
    out
}

struct Pass {
    examples: usize,
    value: Arc<Vec<f32>>,
    shape: Shape,
}

impl Pass {
    fn layers<'a>(&mut self, layers: &'a [HostLayer]) -> Result<Vec<Step<'a>>> {
        layers.iter().map(|layer| self.layer(layer)).collect()
    }

    fn layer<'a>(&mut self, layer: &'a HostLayer) -> Result<Step<'a>> {
        let from = self.shape;
        Ok(match layer {
            HostLayer::Conv(conv) => Step::Conv(self.conv(conv)?),
            HostLayer::Dense(dense) => {
                expect(from, [dense.inputs, 1, 1])?;
                let out = run_dense(dense, &self.value, self.examples);
                Step::Dense { dense, input: self.becomes(out, [dense.outputs, 1, 1]) }
            }
            HostLayer::Activation(kind) => {
                let values: &mut Vec<f32> = Arc::make_mut(&mut self.value);
                let slopes = activate(*kind, values);
                Step::Slope { shape: from, slopes }
            }
            HostLayer::MaxPool(size) => {
                let to = [from[0], from[1] / size, from[2] / size];
                let (out, winners) = max_pool(&self.value, from, to, *size, self.examples);
                self.becomes(out, to);
                Step::MaxPool { from, winners }
            }
            HostLayer::GlobalMeanPool => {
                let [channels, height, width] = from;
                let mut out = vec![0.0; self.examples * channels];
                let positions = height * width;
                let images = self.value.chunks_exact(positions * channels);
                for (out, image) in out.chunks_exact_mut(channels).zip(images) {
                    for pixel in image.chunks_exact(channels) {
                        out.iter_mut().zip(pixel).for_each(|(o, v)| *o += v);
                    }
                    out.iter_mut().for_each(|o| *o /= positions as f32);
                }
                self.becomes(out, [channels, 1, 1]);
                Step::GlobalMeanPool { from }
            }
            HostLayer::Flatten => {
                let [channels, height, width] = from;
                // Flattened values stand channel outermost, as the dense layer's weights expect.
                let out = channels_last(&self.value, [height * width, channels, 1]);
                self.becomes(out, [channels * height * width, 1, 1]);
                Step::Flatten { from }
            }
            HostLayer::Residual { body, shortcut } => {
                let (input, shape) = (self.value.clone(), self.shape);
                let shortcut = shortcut.as_ref().map(|conv| self.conv(conv)).transpose()?;
                let (mut kept, fits) = match shortcut {
                    Some(_) => (std::mem::replace(&mut self.value, input), std::mem::replace(&mut self.shape, shape)),
                    None => (input, shape),
                };
                let body = self.layers(body)?;
                expect(self.shape, fits)?;
                let out: &mut Vec<f32> = Arc::make_mut(&mut self.value);
                out.iter_mut().zip(kept.iter()).for_each(|(o, v)| *o += v);
                drop(std::mem::take(&mut kept));
                Step::Residual { body, shortcut }
            }
        })
    }

    fn conv<'a>(&mut self, conv: &'a Conv) -> Result<ConvStep<'a>> {
        expect(self.shape, conv.input)?;
        let out = run_conv(conv, &self.value, self.examples);
        Ok(ConvStep { conv, input: self.becomes(out, conv.output) })
    }

    /// Goes on with `out`; returns what was there before.
    fn becomes(&mut self, out: Vec<f32>, shape: Shape) -> Arc<Vec<f32>> {
        self.shape = shape;
        std::mem::replace(&mut self.value, Arc::new(out))
    }
}

fn expect(got: Shape, needed: Shape) -> Result<()> {
    if got == needed {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "a layer needs input of shape {needed:?} but gets {got:?}: the plan does not fit together"
    )))
}

/// `[n, inputs]` to `[n, outputs]`.
fn run_dense(dense: &Dense, input: &[f32], examples: usize) -> Vec<f32> {
    let mut out = dense.bias.repeat(examples);
    let blocks = out.par_chunks_mut(64 * dense.outputs).zip(input.par_chunks(64 * dense.inputs));
    blocks.for_each(|(out, input)| {
        let rows = input.len() / dense.inputs;
        let weight = view(&dense.weight, dense.outputs, dense.inputs);
        let target = MatMut::from_row_major_slice_mut(out, rows, dense.outputs);
        matmul(target, Accum::Add, view(input, rows, dense.inputs), weight.transpose(), 1.0, Par::Seq);
    });
    out
}

fn run_conv(conv: &Conv, input: &[f32], examples: usize) -> Vec<f32> {
    let (channels, window, positions) = (conv.output[0], conv.window(), conv.positions());
    let image = conv.input.iter().product::<usize>();
    let block = PRODUCT_ROWS.div_ceil(positions);
    let mut out = vec![0.0; examples * positions * channels];
    let blocks = out.par_chunks_mut(block * positions * channels).zip(input.par_chunks(block * image));
    blocks.for_each_init(Vec::new, |columns, (out, images)| {
        let rows = images.len() / image * positions;
        columns.resize(rows * window, 0.0);
        for (columns, image) in columns.chunks_exact_mut(positions * window).zip(images.chunks_exact(image)) {
            windows(conv, image, columns, window);
        }
        let target = MatMut::from_row_major_slice_mut(out, rows, channels);
        let weight = view(&conv.weight, channels, window).transpose();
        matmul(target, Accum::Replace, view(columns, rows, window), weight, 1.0, Par::Seq);
        finish(conv, out);
    });
    out
}

/// Bias and batch norm, in place.
fn finish(conv: &Conv, out: &mut [f32]) {
    let channels = conv.output[0];
    if let Some(bias) = &conv.bias {
        out.chunks_exact_mut(channels).for_each(|row| row.iter_mut().zip(bias).for_each(|(v, b)| *v += b));
    }
    if let Some(norm) = &conv.norm {
        let affine: Vec<_> = (0..channels).map(|c| (norm.mean[c], norm.factor(c), norm.shift[c])).collect();
        for row in out.chunks_exact_mut(channels) {
            row.iter_mut().zip(&affine).for_each(|(v, (mean, factor, shift))| *v = (*v - mean) * factor + shift);
        }
    }
}

/// The windows of one image `[h, w, in]`, a row of k · k · in values (and whatever is behind, up to `stride`) for each
/// output position.
pub(super) fn windows(conv: &Conv, image: &[f32], rows: &mut [f32], stride: usize) {
    let [channels, height, width] = conv.input;
    let k = conv.kernel;
    let out_width = conv.output[2];
    for (position, row) in rows.chunks_exact_mut(stride).take(conv.positions()).enumerate() {
        let (top, left) = (position / out_width * conv.stride, position % out_width * conv.stride);
        // Columns of the window that lie in the image.
        let first = conv.padding.saturating_sub(left).min(k);
        let last = (width + conv.padding).saturating_sub(left).clamp(first, k);
        for (dy, line) in row.chunks_exact_mut(k * channels).take(k).enumerate() {
            let y = (top + dy).checked_sub(conv.padding).filter(|&y| y < height);
            let Some(y) = y.filter(|_| last > first) else {
                line.fill(0.0);
                continue;
            };
            let from = (y * width + left + first - conv.padding) * channels;
            line[..first * channels].fill(0.0);
            line[first * channels..last * channels].copy_from_slice(&image[from..][..(last - first) * channels]);
            line[last * channels..].fill(0.0);
        }
    }
}

/// Applies the activation in place and returns its slopes.
fn activate(kind: Activation, values: &mut [f32]) -> Slopes {
    let factors = |values: &mut [f32], each: fn(f32) -> (f32, f32)| {
        let slopes = values.par_iter_mut().map(|v| {
            let (value, slope) = each(*v);
            *v = value;
            slope
        });
        Slopes::Factors(slopes.collect())
    };
    match kind {
        Activation::Relu => Slopes::Mask(
            values
                .iter_mut()
                .map(|v| {
                    // A NaN stays, to be found at the logits.
                    let positive = *v > 0.0;
                    *v = if *v <= 0.0 { 0.0 } else { *v };
                    positive
                })
                .collect(),
        ),
        Activation::Tanh => factors(values, |x| {
            let y = x.tanh();
            (y, 1.0 - y * y)
        }),
        Activation::Gelu => factors(values, |x| {
            let x = f64::from(x);
            let cumulative = 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
            let density =
                (-0.5 * x * x).exp() * (0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
            ((x * cumulative) as f32, (cumulative + x * density) as f32)
        }),
    }
}

/// Maxima over windows side by side, and where each was; of equal values the first in row order wins, as in PyTorch.
fn max_pool(input: &[f32], from: Shape, to: Shape, size: usize, examples: usize) -> (Vec<f32>, Vec<u32>) {
    let [channels, height, width] = from;
    let length = to.iter().product::<usize>();
    let (mut out, mut winners) = (vec![0.0; examples * length], vec![0; examples * length]);
    let outs = out.par_chunks_exact_mut(length).zip(winners.par_chunks_exact_mut(length));
    outs.zip(input.par_chunks_exact(channels * height * width)).for_each(|((out, winners), image)| {
        let places = out.chunks_exact_mut(channels).zip(winners.chunks_exact_mut(channels));
        for (place, (out, winners)) in places.enumerate() {
            let (top, left) = (place / to[2] * size, place % to[2] * size);
            for cell in 0..size * size {
                let position = (top + cell / size) * width + left + cell % size;
                let pixel = &image[position * channels..][..channels];
                if cell == 0 {
                    out.copy_from_slice(pixel);
                    winners.fill(position as u32);
                    continue;
                }
                for ((best, winner), &v) in out.iter_mut().zip(winners.iter_mut()).zip(pixel) {
                    let better = v > *best;
                    *best = if better { v } else { *best };
                    *winner = if better { position as u32 } else { *winner };
                }
            }
        }
    });
    (out, winners)
}
