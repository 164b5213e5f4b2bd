//! Batch normalisation in training mode (Ioffe & Szegedy 2015), alone or followed by a rectifier.
//!
//! Over a batch `[n, channels, positions]`, with the mean and the biased variance of each channel over images and positions:
//! `y = gamma · (x − mean) / sqrt(var + epsilon) + beta`.
//!
//! Every sum runs over one plane (one channel of one image) at a time, which stays in the first-level cache, and the planes' sums
//! are joined in `f64` in the order of the images: one pass over the memory, the same bits for any number of threads, and no
//! cancellation between large sums.

use super::parallel::each;
use super::sum::{sum, sum_of, sums_of, vectorized};

/// A batch of `channels` planes of `positions` values for each image, normalised channel by channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchNorm {
    pub channels: usize,
    pub positions: usize,
    /// Whether negative results are replaced by 0.
    pub relu: bool,
}

/// What the channels of a batch are normalised with, one value for each channel.
#[derive(Debug, Clone, Copy)]
pub struct Channels<'a> {
    pub mean: &'a [f32],
    /// `sqrt(var + epsilon)`
    pub deviation: &'a [f32],
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
}

/// How the values of one channel are normalised.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    pub mean: f32,
    pub scale: f32,
    pub beta: f32,
}

impl Channels<'_> {
    pub fn of(&self, channel: usize) -> Affine {
        let scale = self.gamma[channel] / self.deviation[channel];
        Affine { mean: self.mean[channel], scale, beta: self.beta[channel] }
    }
}

impl Affine {
    #[inline(always)]
    pub fn apply(&self, x: f32) -> f32 {
        (x - self.mean) * self.scale + self.beta
    }
}

/// The negative replaced by 0, `NaN` kept.
#[inline(always)]
pub fn rectified(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// What the backward pass returns besides the input's gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterGradients {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

/// Mean and biased variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    pub mean: Vec<f32>,
    pub var: Vec<f32>,
}

impl Statistics {
    /// Joins the [`moments`] of planes of `positions` values, `[n, channels]`, channel by channel.
    ///
    /// Chan, Golub & LeVeque 1983: without the cancellation of raw sums of squares.
    pub fn join(planes: &[[f32; 2]], channels: usize, positions: usize) -> Self {
        let count = positions as f64;
        let joined = (0..channels).map(|c| {
            let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for &[plane_mean, plane_squares] in planes.iter().skip(c).step_by(channels) {
                let delta = f64::from(plane_mean) - mean;
                squares += f64::from(plane_squares) + delta * delta * n * count / (n + count);
                n += count;
                mean += delta * count / n;
            }
            (mean as f32, (squares / n) as f32)
        });
        let (mean, var) = joined.unzip();
        Self { mean, var }
    }

    /// `sqrt(var + epsilon)` of each channel.
    pub fn deviation(&self, epsilon: f64) -> Vec<f32> {
        self.var.iter().map(|&v| (f64::from(v) + epsilon).sqrt() as f32).collect()
    }
}

/// Mean of the values and the sum of their squared distances from it.
pub fn moments(values: &[f32]) -> [f32; 2] {
    let mean = sum(values) / values.len() as f32;
    let squares = vectorized(
        #[inline(always)]
        || sum_of(values.as_chunks(), |x| (x - mean) * (x - mean)),
    );
    [mean, squares]
}

/// The gradient of a normalisation from two sums over each channel: of the gradient `g` of what was normalised, and of
/// `g · (x − mean)`.
#[derive(Debug)]
pub struct Backward {
    pub parameters: ParameterGradients,
    /// Mean of `g`, and its slope over `x − mean`.
    slopes: Vec<[f32; 2]>,
}

impl Backward {
    /// Joins the sums over planes, `[n, channels]`, channel by channel.
    pub fn join(planes: &[[f32; 2]], positions: usize, deviation: &[f32]) -> Self {
        let channels = deviation.len();
        let count = (planes.len() / channels.max(1) * positions) as f64;
        let mut parameters = ParameterGradients { gamma: Vec::new(), beta: Vec::new() };
        let mut slopes = Vec::new();
        for (c, &deviation) in deviation.iter().enumerate() {
            let total = |part: usize| -> f64 {
                planes.iter().skip(c).step_by(channels).map(|plane| f64::from(plane[part])).sum()
            };
            let (sum, product, deviation) = (total(0), total(1), f64::from(deviation));
            parameters.beta.push(sum as f32);
            parameters.gamma.push((product / deviation) as f32);
            slopes.push([(sum / count) as f32, (product / count / (deviation * deviation)) as f32]);
        }
        Self { parameters, slopes }
    }

    /// The gradient with respect to `x` of the plane of a channel, from that of what was normalised, `masked` where that was not
    /// what came out.
    #[inline(always)]
    pub fn plane(
        &self,
        channel: usize,
        of: Affine,
        x: &[f32],
        grad: &[f32],
        out: &mut [f32],
        masked: impl Fn(f32) -> bool,
    ) {
        let [shift, slope] = self.slopes[channel];
        for (out, (&x, &g)) in out.iter_mut().zip(x.iter().zip(grad)) {
            let g = if masked(x) { 0.0 } else { g };
            *out = of.scale * (g - shift - (x - of.mean) * slope);
        }
    }
}

impl BatchNorm {
    fn image(&self) -> usize {
        self.channels * self.positions
    }

    /// Mean and biased variance of each channel.
    pub fn statistics(&self, input: &[f32]) -> Statistics {
        let mut planes = vec![[0.0f32; 2]; input.len() / self.positions.max(1)];
        each(&mut planes, self.channels, |n, planes| {
            let image = &input[n * self.image()..][..self.image()];
            for (plane, values) in planes.iter_mut().zip(image.chunks_exact(self.positions)) {
                *plane = moments(values);
            }
        });
        Statistics::join(&planes, self.channels, self.positions)
    }

    /// Normalises `input`.
    pub fn forward(&self, input: &[f32], channels: Channels, out: &mut [f32]) {
        each(out, self.image(), |n, out| {
            let image = &input[n * self.image()..][..self.image()];
            for (c, (x, y)) in image.chunks_exact(self.positions).zip(out.chunks_exact_mut(self.positions)).enumerate()
            {
                let (of, relu) = (channels.of(c), self.relu);
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (y, &x) in y.iter_mut().zip(x) {
                            let value = of.apply(x);
                            *y = if relu { rectified(value) } else { value };
                        }
                    },
                );
            }
        });
    }

    /// The gradients with respect to input, gamma and beta.
    pub fn backward(&self, input: &[f32], grad: &[f32], channels: Channels, out: &mut [f32]) -> ParameterGradients {
        let mut planes = vec![[0.0f32; 2]; input.len() / self.positions.max(1)];
        each(&mut planes, self.channels, |n, planes| {
            let at = n * self.image();
            let image = input[at..][..self.image()].chunks_exact(self.positions);
            let grads = grad[at..][..self.image()].chunks_exact(self.positions);
            for (c, (plane, (x, g))) in planes.iter_mut().zip(image.zip(grads)).enumerate() {
                *plane = self.plane_sums(channels.of(c), x, g);
            }
        });
        let backward = Backward::join(&planes, self.positions, channels.deviation);
        each(out, self.image(), |n, out| {
            let at = n * self.image();
            self.image_gradient(&backward, channels, &input[at..][..self.image()], &grad[at..][..self.image()], out);
        });
        backward.parameters
    }

    /// Sums over one plane for [`Backward::join`].
    pub fn plane_sums(&self, of: Affine, x: &[f32], grad: &[f32]) -> [f32; 2] {
        let relu = self.relu;
        let (sum, product) = vectorized(
            #[inline(always)]
            || {
                sums_of(x, grad, |x, g| {
                    let g = if relu && of.apply(x) <= 0.0 { 0.0 } else { g };
                    (g, g * (x - of.mean))
                })
            },
        );
        [sum, product]
    }

    /// The gradient with respect to one image.
    pub fn image_gradient(
        &self,
        backward: &Backward,
        channels: Channels,
        input: &[f32],
        grad: &[f32],
        out: &mut [f32],
    ) {
        let planes = input.chunks_exact(self.positions).zip(grad.chunks_exact(self.positions));
        for (c, (out, (x, g))) in out.chunks_exact_mut(self.positions).zip(planes).enumerate() {
            let (of, relu) = (channels.of(c), self.relu);
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || backward.plane(c, of, x, g, out, |x| relu && of.apply(x) <= 0.0),
            );
        }
    }
}
