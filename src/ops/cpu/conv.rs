//! Two-dimensional convolution (cross-correlation, as every framework calls it) and its gradients, `f32`, NCHW.

use super::parallel::each;
use super::passes::{ForwardPass, InputGradientPass, WeightGradientPass};
use super::simd::Instructions;

/// The shape of a convolution: weights `[channels_out, channels_in, kernel height, kernel width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    pub channels_in: usize,
    pub channels_out: usize,
    /// Height and width of an input image.
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: usize,
    /// Zeros around the image, on each side.
    pub padding: usize,
    pub instructions: Instructions,
}

impl Conv2d {
    /// Height and width of an output image.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|d| (self.input[d] + 2 * self.padding - self.kernel[d]) / self.stride + 1)
    }

    /// Number of values of an input image.
    pub fn input_len(&self) -> usize {
        self.channels_in * self.input[0] * self.input[1]
    }

    /// Number of values of an output image.
    pub fn output_len(&self) -> usize {
        self.channels_out * self.output()[0] * self.output()[1]
    }

    /// Number of values of a kernel for one input and one output channel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// `out[n, o, y, x] = bias[o] + Σ weight[o, c, ky, kx] · input[n, c, stride·y + ky − padding, stride·x + kx − padding]`.
    pub fn forward(&self, input: &[f32], weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let pass = ForwardPass::new(*self, weight, bias);
        each(out, self.output_len(), |n, out| pass.image(&input[n * self.input_len()..][..self.input_len()], out));
    }

    /// The gradient with respect to the input, `[n, channels_in, input]`, from that with respect to the output.
    pub fn input_gradient(&self, grad: &[f32], weight: &[f32], out: &mut [f32]) {
        let pass = InputGradientPass::new(*self, weight);
        each(out, self.input_len(), |n, out| pass.image(&grad[n * self.output_len()..][..self.output_len()], out));
    }

    /// The gradient with respect to the weights, in their layout.
    pub fn weight_gradient(&self, input: &[f32], grad: &[f32], out: &mut [f32]) {
        let pass = WeightGradientPass::new(*self);
        let mut sums = pass.sums(input.len() / self.input_len().max(1));
        each(&mut sums, pass.sums_len(), |chunk, sums| {
            let images = input.chunks(self.input_len()).zip(grad.chunks(self.output_len()));
            for (input, grad) in WeightGradientPass::images_of(chunk, images) {
                pass.image(input, grad, sums);
            }
        });
        pass.join(&sums, out);
    }
}
