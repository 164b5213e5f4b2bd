//! A convolution, a rectifier and the maxima of windows: one block of a plain convolutional network.
//!
//! What the convolution of an image returns stays in the second-level cache until its maxima are taken: only these reach the
//! memory, with a byte for each that says where in its window it was. On the way back the gradient of what the convolution
//! returned is made from them image by image.

use super::backward::ConvGradients;
use super::conv::Conv2d;
use super::parallel::{each, each_pair, with_scratch};
use super::passes::ForwardPass;
use super::pool::MaxPool;
use super::sum::{sum_pairs, vectorized};

/// `max over windows(max(conv(x) + bias, 0))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvPool {
    pub conv: Conv2d,
    /// Windows of `size x size`, side by side.
    pub size: usize,
}

/// The place of a maximum that the rectifier did not let through.
const SILENT: u8 = u8::MAX;

impl ConvPool {
    /// Largest `size`: all places but `SILENT` are those of values.
    pub const LARGEST: usize = 15;

    fn pool(&self) -> MaxPool {
        MaxPool { input: self.conv.output(), size: self.size }
    }

    /// Height and width of an output image.
    pub fn output(&self) -> [usize; 2] {
        self.pool().output()
    }

    fn positions(&self) -> usize {
        self.output().iter().product()
    }

    /// The maxima and their places, for [`Self::backward`]. `NaN` is kept.
    pub fn forward(&self, input: &[f32], weight: &[f32], bias: Option<&[f32]>, out: &mut [f32], places: &mut [u8]) {
        let (pass, pool, positions) = (ForwardPass::new(self.conv, weight, bias), self.pool(), self.positions());
        let [rows, columns] = self.conv.output();
        let image = self.conv.channels_out * positions;
        let (group, in_len, out_len) = (pass.group(), self.conv.input_len(), self.conv.output_len());
        each_pair((out, group * image), (places, group * image), |n, out, places| {
            let count = out.len() / image;
            with_scratch(count * out_len, |convolved| {
                pass.images(&input[n * group * in_len..][..count * in_len], convolved);
                let pooled = out.chunks_exact_mut(positions).zip(places.chunks_exact_mut(positions));
                for ((out, places), convolved) in pooled.zip(convolved.chunks_exact(rows * columns)) {
                    pool.plane(convolved, out, places);
                    rectify(out, places);
                }
            });
        });
    }

    /// The gradients with respect to weights (where `input` is given), input (where `weight` is given) and bias.
    pub fn backward(
        &self,
        input: Option<&[f32]>,
        weight: Option<&[f32]>,
        places: &[u8],
        grad: &[f32],
    ) -> (ConvGradients, Vec<f32>) {
        let (pool, positions, channels) = (self.pool(), self.positions(), self.conv.channels_out);
        let [rows, columns] = self.conv.output();
        let image = channels * positions;
        let batch = grad.len() / image;
        let gradients = self.conv.backward(input, weight, batch, |n, out| {
            let pooled = grad[n * image..][..image].chunks_exact(positions);
            let pooled = pooled.zip(places[n * image..][..image].chunks_exact(positions));
            for (out, (grad, places)) in out.chunks_exact_mut(rows * columns).zip(pooled) {
                pool.plane_back(grad, places, out);
            }
        });
        let mut planes = vec![0.0f32; batch * channels];
        each(&mut planes, channels, |n, planes| {
            let pooled = grad[n * image..][..image].chunks_exact(positions);
            let pooled = pooled.zip(places[n * image..][..image].chunks_exact(positions));
            for (plane, (grad, places)) in planes.iter_mut().zip(pooled) {
                *plane = vectorized(
                    #[inline(always)]
                    || sum_pairs(grad, places, |&grad, &place| if place == SILENT { 0.0 } else { grad }),
                );
            }
        });
        let bias =
            (0..channels).map(|c| planes.iter().skip(c).step_by(channels).map(|&sum| f64::from(sum)).sum::<f64>());
        (gradients, bias.map(|sum| sum as f32).collect())
    }
}

/// Replaces what is not positive by 0, and its place by one that has no gradient.
fn rectify(maxima: &mut [f32], places: &mut [u8]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (maximum, place) in maxima.iter_mut().zip(places) {
                *place = if *maximum > 0.0 { *place } else { SILENT };
                *maximum = if *maximum < 0.0 { 0.0 } else { *maximum };
            }
        },
    );
}
