//! A convolution and the batch normalisation of its output, a residual and a rectifier: one block of a residual network.
//!
//! What the convolution of an image returns is still in the second-level cache when its moments are taken, and on the way back
//! the gradient of what it returned never reaches the memory at all: it is made image by image where both gradients of the
//! convolution use it. Of 14 passes over a tensor of activations, 10 remain.

use super::backward::ConvGradients;
use super::conv::Conv2d;
use super::norm::{Backward, BatchNorm, Channels, ParameterGradients, Statistics, moments, rectified};
use super::parallel::{each, each_pair};
use super::passes::ForwardPass;

/// `max(norm(conv(x)) + residual, 0)`, where the residual and the rectifier are optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvNorm {
    pub conv: Conv2d,
    pub relu: bool,
}

/// The gradients of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvNormGradients {
    pub conv: ConvGradients,
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
        let (group, in_len, out_len) = (pass.group(), self.conv.input_len(), self.conv.output_len());
        each_pair((convolved, group * out_len), (&mut planes, group * norm.channels), |n, out, planes| {
            pass.images(&input[n * group * in_len..][..out.len() / out_len * in_len], out);
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

    /// Sums over each plane, `[n, channels]`, of the gradient of a block and of its product with what was convolved, for
    /// [`Self::backward`].
    pub fn sums(&self, convolved: &[f32], channels: Channels, grad: &[f32], residual: bool) -> Vec<[f32; 2]> {
        let (norm, len) = (self.norm(residual), self.conv.output_len());
        let mut planes = vec![[0.0f32; 2]; convolved.len() / norm.positions];
        each(&mut planes, norm.channels, |n, planes| {
            let images = convolved[n * len..].chunks(norm.positions).zip(grad[n * len..].chunks(norm.positions));
            for (c, (plane, (x, g))) in planes.iter_mut().zip(images).enumerate() {
                *plane = norm.plane_sums(channels.of(c), x, g);
            }
        });
        planes
    }

    /// [`Self::sums`] for a block with a residual and a rectifier. Replaces the gradient by that of the sum before the
    /// rectifier, which is also the residual's. `out` is what came out of the block.
    pub fn rectified_sums(
        &self,
        convolved: &[f32],
        channels: Channels,
        out: &[f32],
        grad: &mut [f32],
    ) -> Vec<[f32; 2]> {
        let (norm, len) = (self.norm(true), self.conv.output_len());
        let mut planes = vec![[0.0f32; 2]; convolved.len() / norm.positions];
        each_pair((&mut planes, norm.channels), (grad, len), |n, planes, grad| {
            let images = convolved[n * len..].chunks(norm.positions).zip(out[n * len..].chunks(norm.positions));
            let grads = grad.chunks_mut(norm.positions);
            for (c, ((plane, g), (x, out))) in planes.iter_mut().zip(grads).zip(images).enumerate() {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (g, &y) in g.iter_mut().zip(out) {
                            *g = if y > 0.0 { *g } else { 0.0 };
                        }
                    },
                );
                *plane = norm.plane_sums(channels.of(c), x, g);
            }
        });
        planes
    }

    /// The gradients of input, weights, gamma and beta, from the sums of `grad` over planes. With a residual and a rectifier,
    /// `grad` has been through [`Self::rectified_sums`].
    ///
    /// `input` and `weight` are needed only for the gradient of the other.
    pub fn backward(
        &self,
        [input, weight]: [Option<&[f32]>; 2],
        convolved: &[f32],
        channels: Channels,
        grad: &[f32],
        planes: &[[f32; 2]],
        residual: bool,
    ) -> ConvNormGradients {
        let (norm, conv) = (self.norm(residual), &self.conv);
        let backward = Backward::join(planes, norm.positions, channels.deviation);
        let batch = convolved.len() / conv.output_len();
        let found = conv.backward(input, weight, batch, |n, out| {
            let len = conv.output_len();
            norm.image_gradient(&backward, channels, &convolved[n * len..][..len], &grad[n * len..][..len], out);
        });
        ConvNormGradients { conv: found, parameters: backward.parameters }
    }
}
