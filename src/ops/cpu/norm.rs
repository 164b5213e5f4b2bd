//! Batch normalisation in training mode (Ioffe & Szegedy 2015), alone or followed by a rectifier.
//!
//! Over a batch `[n, channels, positions]`, with the mean and the biased variance of each channel over images and positions:
//! `y = gamma · (x − mean) / sqrt(var + epsilon) + beta`.
//!
//! Every sum runs over one plane (one channel of one image) at a time, which stays in the first-level cache, and the planes' sums
//! are joined in `f64` in the order of the images: one pass over the memory, the same bits for any number of threads, and no
//! cancellation between large sums.

use super::parallel::each;
use super::sum::{sum, sum_of, sums_of};

/// A batch of `channels` planes of `positions` values for each image, normalised channel by channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchNorm {
    pub channels: usize,
    pub positions: usize,
    /// Whether negative results are replaced by 0.
    pub relu: bool,
}

/// What the backward pass returns besides the input's gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterGradients {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

impl BatchNorm {
    fn image(&self) -> usize {
        self.channels * self.positions
    }

    /// Mean and biased variance of each channel.
    pub fn statistics(&self, input: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut planes = vec![[0.0f32; 2]; input.len() / self.positions.max(1)];
        each(&mut planes, self.channels, |n, planes| {
            let image = &input[n * self.image()..][..self.image()];
            for (plane, values) in planes.iter_mut().zip(image.chunks_exact(self.positions)) {
                *plane = plane_moments(values);
            }
        });
        let count = self.positions as f64;
        let moments = (0..self.channels).map(|c| {
            // Chan, Golub & LeVeque 1983: joins the moments of parts without the cancellation of raw sums of squares.
            let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for &[plane_mean, plane_squares] in planes.iter().skip(c).step_by(self.channels) {
                let delta = f64::from(plane_mean) - mean;
                squares += f64::from(plane_squares) + delta * delta * n * count / (n + count);
                n += count;
                mean += delta * count / n;
            }
            (mean as f32, (squares / n) as f32)
        });
        moments.unzip()
    }

    /// Normalises `input` with the given statistics.
    pub fn forward(&self, input: &[f32], [mean, deviation, gamma, beta]: [&[f32]; 4], out: &mut [f32]) {
        each(out, self.image(), |n, out| {
            let image = &input[n * self.image()..][..self.image()];
            for (c, (x, y)) in image.chunks_exact(self.positions).zip(out.chunks_exact_mut(self.positions)).enumerate()
            {
                let (mean, scale, beta) = (mean[c], gamma[c] / deviation[c], beta[c]);
                let relu = self.relu;
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (y, &x) in y.iter_mut().zip(x) {
                            let value = (x - mean) * scale + beta;
                            *y = if relu && value < 0.0 { 0.0 } else { value };
                        }
                    },
                );
            }
        });
    }

    /// The gradients with respect to input, gamma and beta.
    pub fn backward(
        &self,
        input: &[f32],
        grad: &[f32],
        [mean, deviation, gamma, beta]: [&[f32]; 4],
        out: &mut [f32],
    ) -> ParameterGradients {
        let mut planes = vec![[0.0f32; 2]; input.len() / self.positions.max(1)];
        let positive = |x: f32, c: usize| !self.relu || (x - mean[c]) * (gamma[c] / deviation[c]) + beta[c] > 0.0;
        each(&mut planes, self.channels, |n, planes| {
            let at = n * self.image();
            let image = input[at..][..self.image()].chunks_exact(self.positions);
            let grads = grad[at..][..self.image()].chunks_exact(self.positions);
            for (c, (plane, (x, g))) in planes.iter_mut().zip(image.zip(grads)).enumerate() {
                let mean = mean[c];
                let (sum, product) = pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        sums_of(x, g, |x, g| {
                            let g = if positive(x, c) { g } else { 0.0 };
                            (g, g * (x - mean))
                        })
                    },
                );
                *plane = [sum, product];
            }
        });
        let total = |c: usize, part: usize| -> f64 {
            planes.iter().skip(c).step_by(self.channels).map(|plane| f64::from(plane[part])).sum()
        };
        let sums: Vec<[f64; 2]> = (0..self.channels).map(|c| [total(c, 0), total(c, 1)]).collect();
        let count = (planes.len() / self.channels.max(1) * self.positions) as f64;
        each(out, self.image(), |n, out| {
            let at = n * self.image();
            let image = input[at..][..self.image()].chunks_exact(self.positions);
            let grads = grad[at..][..self.image()].chunks_exact(self.positions);
            for (c, (out, (x, g))) in out.chunks_exact_mut(self.positions).zip(image.zip(grads)).enumerate() {
                let mean = mean[c];
                let scale = gamma[c] / deviation[c];
                let shift = (sums[c][0] / count) as f32;
                let slope = (sums[c][1] / count / (f64::from(deviation[c]) * f64::from(deviation[c]))) as f32;
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (out, (&x, &g)) in out.iter_mut().zip(x.iter().zip(g)) {
                            let g = if positive(x, c) { g } else { 0.0 };
                            *out = scale * (g - shift - (x - mean) * slope);
                        }
                    },
                );
            }
        });
        ParameterGradients {
            gamma: sums.iter().zip(deviation).map(|(s, &d)| (s[1] / f64::from(d)) as f32).collect(),
            beta: sums.iter().map(|s| s[0] as f32).collect(),
        }
    }
}

/// Mean of the values and the sum of their squared distances from it.
fn plane_moments(values: &[f32]) -> [f32; 2] {
    let mean = sum(values) / values.len() as f32;
    let squares = pulp::Arch::new().dispatch(
        #[inline(always)]
        || sum_of(values.as_chunks(), |x| (x - mean) * (x - mean)),
    );
    [mean, squares]
}

/// `out = max(input, 0)`, `NaN` kept.
pub fn relu(input: &[f32], out: &mut [f32]) {
    each_chunk(out, |at, out| {
        for (out, &x) in out.iter_mut().zip(&input[at..]) {
            *out = if x < 0.0 { 0.0 } else { x };
        }
    });
}

/// The gradient of [`relu`], from its output.
pub fn relu_backward(output: &[f32], grad: &[f32], out: &mut [f32]) {
    each_chunk(out, |at, out| {
        for (out, (&y, &g)) in out.iter_mut().zip(output[at..].iter().zip(&grad[at..])) {
            *out = if y > 0.0 { g } else { 0.0 };
        }
    });
}

/// Calls `work` with the start of each piece of `out` of a length that suits the caches.
fn each_chunk(out: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    const LEN: usize = 1 << 14;
    each(out, LEN, |n, out| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || work(n * LEN, out),
        )
    });
}

/// `out = max(a + b, 0)`, `NaN` kept.
pub fn add_relu(a: &[f32], b: &[f32], out: &mut [f32]) {
    each_chunk(out, |at, out| {
        for (out, (&a, &b)) in out.iter_mut().zip(a[at..].iter().zip(&b[at..])) {
            *out = if a + b < 0.0 { 0.0 } else { a + b };
        }
    });
}

/// Sum of each channel over images and positions; `out` has one element for each channel.
pub fn channel_sums(input: &[f32], positions: usize, out: &mut [f32]) {
    let channels = out.len();
    let mut planes = vec![0.0; input.len() / positions.max(1)];
    each(&mut planes, channels, |n, planes| {
        for (plane, values) in planes.iter_mut().zip(input[n * channels * positions..].chunks_exact(positions)) {
            *plane = sum(values);
        }
    });
    for (c, out) in out.iter_mut().enumerate() {
        *out = planes.iter().skip(c).step_by(channels).map(|&plane| f64::from(plane)).sum::<f64>() as f32;
    }
}
