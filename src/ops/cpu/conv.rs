//! Two-dimensional convolution (cross-correlation, as every framework calls it) and its gradients, `f32`, NCHW.

use super::parallel::each;
use super::passes::ForwardPass;
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
        let group = pass.group();
        let inputs = |n: usize, count: usize| &input[n * group * self.input_len()..][..count * self.input_len()];
        each(out, group * self.output_len(), |n, out| pass.images(inputs(n, out.len() / self.output_len()), out));
    }
}
