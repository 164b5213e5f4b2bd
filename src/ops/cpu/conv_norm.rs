//! A convolution and the batch normalisation of its output, a residual and a rectifier: one block of a residual network.
//!
//! What the convolution of an image returns is still in the second-level cache when its moments are taken, and on the way back
//! the gradient of what it returned never reaches the memory at all: it is made image by image where both gradients of the
//! convolution use it. Of 14 passes over a tensor of activations, 10 remain.

use super::conv::Conv2d;
use super::norm::{Backward, BatchNorm, Channels, ParameterGradients, Statistics, moments, rectified};
use super::parallel::{each, each_pair, with_scratch};
use super::passes::{ForwardPass, InputGradientPass, WeightGradientPass};

/// `max(norm(conv(x)) + residual, 0)`, where the residual and the rectifier are optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvNorm {
    pub conv: Conv2d,
    pub relu: bool,
}

/// The gradients of a block; those that were not asked for are empty.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvNormGradients {
    pub input: Vec<f32>,
    pub weight: Vec<f32>,
    pub parameters: ParameterGradients,
}

impl ConvNorm {
    fn norm(&self, residual: bool) -> BatchNorm {
        let [rows, columns] = self.conv.output();
        // With a residual, the sign of the normalised value does not say whether the rectifier let it through.
        BatchNorm { channels: self.conv.channels_out, positions: rows * columns, relu: self.relu && !residual }
    }

    /// Convolves a batch into `convolved`, and returns the statistics of that.
    pub fn convolve(&self, input: &[f32], weight: &[f32], convolved: &mut [f32]) -> Statistics {
        let (pass, norm) = (ForwardPass::new(self.conv, weight, None), self.norm(false));
        let mut planes = vec![[0.0f32; 2]; convolved.len() / norm.positions];
        each_pair((convolved, self.conv.output_len()), (&mut planes, norm.channels), |n, out, planes| {
            pass.image(&input[n * self.conv.input_len()..][..self.conv.input_len()], out);
            for (plane, values) in planes.iter_mut().zip(out.chunks_exact(norm.positions)) {
                *plane = moments(values);
            }
        });
        Statistics::join(&planes, norm.channels, norm.positions)
    }

    /// What comes out of the block, from what was convolved.
    pub fn normalise(&self, convolved: &[f32], channels: Channels, residual: Option<&[f32]>, out: &mut [f32]) {
        let (norm, relu) = (self.norm(residual.is_some()), self.relu);
        let Some(residual) = residual else {
            return norm.forward(convolved, channels, out);
        };
        each(out, self.conv.output_len(), |n, out| {
            let at = n * self.conv.output_len();
            let planes = convolved[at..].chunks(norm.positions).zip(residual[at..].chunks(norm.positions));
            for (c, (out, (x, residual))) in out.chunks_exact_mut(norm.positions).zip(planes).enumerate() {
                let of = channels.of(c);
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (out, (&x, &residual)) in out.iter_mut().zip(x.iter().zip(residual)) {
                            let value = of.apply(x) + residual;
                            *out = if relu { rectified(value) } else { value };
                        }
                    },
                );
            }
        });
    }

    /// Replaces the gradient of a block with a residual by that of the sum before the rectifier, which is also the residual's.
    /// `out` is what came out of the block.
    pub fn rectify_gradient(&self, out: &[f32], grad: &mut [f32]) {
        each(grad, self.conv.output_len(), |n, grad| {
            let out = &out[n * self.conv.output_len()..];
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (g, &y) in grad.iter_mut().zip(out) {
                        *g = if y > 0.0 { *g } else { 0.0 };
                    }
                },
            );
        });
    }

    /// The gradients of input, weights, gamma and beta. With a residual, `grad` has been through [`Self::rectify_gradient`].
    ///
    /// `input` and `weight` are needed only for the gradient of the other.
    pub fn backward(
        &self,
        input: Option<&[f32]>,
        weight: Option<&[f32]>,
        convolved: &[f32],
        channels: Channels,
        grad: &[f32],
        residual: bool,
    ) -> ConvNormGradients {
        let (norm, conv) = (self.norm(residual), &self.conv);
        let mut planes = vec![[0.0f32; 2]; convolved.len() / norm.positions];
        each(&mut planes, norm.channels, |n, planes| {
            let at = n * conv.output_len();
            let images = convolved[at..].chunks(norm.positions).zip(grad[at..].chunks(norm.positions));
            for (c, (plane, (x, g))) in planes.iter_mut().zip(images).enumerate() {
                *plane = norm.plane_sums(channels.of(c), x, g);
            }
        });
        let backward = Backward::join(&planes, norm.positions, channels.deviation);
        let batch = convolved.len() / conv.output_len();
        let to_weight = input.map(|input| (WeightGradientPass::new(*conv), input));
        let to_input = weight.map(|weight| InputGradientPass::new(*conv, weight));
        let mut sums = to_weight.as_ref().map_or(Vec::new(), |(pass, _)| pass.sums(batch));
        let mut input_grad = vec![0.0; if to_input.is_some() { batch * conv.input_len() } else { 0 }];
        let mut pieces = pieces(&mut sums, &mut input_grad, batch, conv.input_len());
        each(&mut pieces, 1, |chunk, pieces| {
            with_scratch(conv.output_len(), |gradient| {
                for piece in pieces {
                    let mut input_grads = piece.input_grad.chunks_exact_mut(conv.input_len());
                    for n in WeightGradientPass::images_of(chunk, 0..batch) {
                        let len = conv.output_len();
                        let (x, g) = (&convolved[n * len..][..len], &grad[n * len..][..len]);
                        norm.image_gradient(&backward, channels, x, g, gradient);
                        if let Some((pass, input)) = &to_weight {
                            pass.image(&input[n * conv.input_len()..][..conv.input_len()], gradient, piece.sums);
                        }
                        if let (Some(pass), Some(out)) = (&to_input, input_grads.next()) {
                            pass.image(gradient, out);
                        }
                    }
                }
            });
        });
        let mut weight_grad = Vec::new();
        if let Some((pass, _)) = &to_weight {
            weight_grad.resize(conv.channels_out * conv.channels_in * conv.taps(), 0.0);
            pass.join(&sums, &mut weight_grad);
        }
        ConvNormGradients { input: input_grad, weight: weight_grad, parameters: backward.parameters }
    }
}

/// What one task of the backward pass writes to.
struct Piece<'a> {
    sums: &'a mut [f32],
    input_grad: &'a mut [f32],
}

/// Cuts sums and input gradient by the chunks of a batch; either may be empty.
fn pieces<'a>(mut sums: &'a mut [f32], mut input_grad: &'a mut [f32], batch: usize, input_len: usize) -> Vec<Piece<'a>> {
    let chunks = WeightGradientPass::chunks(batch);
    let sums_len = sums.len() / chunks.max(1);
    (0..chunks)
        .map(|chunk| {
            let images = WeightGradientPass::images_of(chunk, 0..batch).count();
            let (piece, rest) = std::mem::take(&mut sums).split_at_mut(sums_len);
            sums = rest;
            let input_len = if input_grad.is_empty() { 0 } else { images * input_len };
            let (input_piece, rest) = std::mem::take(&mut input_grad).split_at_mut(input_len);
            input_grad = rest;
            Piece { sums: piece, input_grad: input_piece }
        })
        .collect()
}
