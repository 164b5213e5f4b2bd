//! Depthwise convolution: every channel has a kernel of its own. `f32`, NCHW.
//!
//! Both the output and the input's gradient are correlations of planes: the plane is copied once, padded, so that every tap of a
//! register of outputs is one read. With a stride of s columns, a row is stored as s rows of every s-th value, so that the reads stay
//! in order. The input's gradient correlates the output's gradient, spread apart by the stride, with the reversed kernel.

use super::parallel::{each, with_scratch};

/// Values of the widest register.
const LANES: usize = 16;

/// The shape of a depthwise convolution: weights `[channels, 1, kernel height, kernel width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depthwise {
    pub channels: usize,
    /// Height and width of an input image, and in the same order all that follows.
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Zeros around the image, on each side.
    pub padding: [usize; 2],
    /// Distance of the taps.
    pub dilation: [usize; 2],
}

impl Depthwise {
    /// Height and width of an output image.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|d| (self.input[d] + 2 * self.padding[d] - self.reach(d)) / self.stride[d] + 1)
    }

    /// Rows or columns that a kernel covers.
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// `out[n, c, y, x] = bias[c] + Σ weight[c, 0, ky, kx] · input[n, c, s·y + d·ky − p, s·x + d·kx − p]`.
    pub fn forward(&self, input: &[f32], weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let [height, width] = self.input;
        let [rows, columns] = self.output();
        let padded = Padded::new([height + 2 * self.padding[0], width + 2 * self.padding[1]], self.stride[1]);
        each(out, rows * columns, |plane, out| {
            let channel = plane % self.channels;
            let image = &input[plane * height * width..][..height * width];
            let kernel = &weight[channel * self.taps()..][..self.taps()];
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            with_scratch(padded.len(), |space| {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        padded.fill(image, width, self.padding.map(|p| p as isize), [1, 1], space);
                        out.fill(bias);
                        self.correlate((&padded, space), |tap| kernel[tap], self.stride[0], columns, out);
                    },
                );
            });
        });
    }

    /// The gradient with respect to the input.
    pub fn input_gradient(&self, weight: &[f32], grad: &[f32], out: &mut [f32]) {
        let [height, width] = self.input;
        let [rows, columns] = self.output();
        let before = [0, 1].map(|d| self.reach(d) as isize - 1 - self.padding[d] as isize);
        let padded = Padded::new([height + self.reach(0) - 1, width + self.reach(1) - 1], 1);
        each(out, height * width, |plane, out| {
            let grad = &grad[plane * rows * columns..][..rows * columns];
            let kernel = &weight[plane % self.channels * self.taps()..][..self.taps()];
            with_scratch(padded.len(), |space| {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        padded.fill(grad, columns, before, self.stride, space);
                        out.fill(0.0);
                        self.correlate((&padded, space), |tap| kernel[kernel.len() - 1 - tap], 1, width, out);
                    },
                );
            });
        });
    }

    /// The gradient with respect to the weights, `[channels, 1, kernel height, kernel width]`.
    pub fn weight_gradient(&self, input: &[f32], grad: &[f32]) -> Vec<f32> {
        let ([height, width], [rows, columns], taps) = (self.input, self.output(), self.taps());
        let padded = Padded::new([height + 2 * self.padding[0], width + 2 * self.padding[1]], self.stride[1]);
        let wide = columns.next_multiple_of(LANES);
        let planes = input.len() / (height * width);
        let mut of_planes = vec![0.0; planes * taps];
        each(&mut of_planes, taps, |plane, out| {
            let image = &input[plane * height * width..][..height * width];
            let grad = &grad[plane * rows * columns..][..rows * columns];
            with_scratch(padded.len() + rows * wide, |space| {
                let (space, grads) = space.split_at_mut(padded.len());
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        padded.fill(image, width, self.padding.map(|p| p as isize), [1, 1], space);
                        for (to, from) in grads.chunks_exact_mut(wide).zip(grad.chunks_exact(columns)) {
                            to[..columns].copy_from_slice(from);
                            to[columns..].fill(0.0);
                        }
                        for (tap, out) in out.iter_mut().enumerate() {
                            *out = self.tap_gradient((&padded, space), grads, wide, tap);
                        }
                    },
                );
            });
        });
        let mut sums = vec![0.0; self.channels * taps];
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum = of_planes.iter().skip(at).step_by(self.channels * taps).map(|&value| f64::from(value)).sum::<f64>()
                as f32;
        }
        sums
    }

    /// Where a tap begins in the stored rows: the row, and the place in it.
    #[inline(always)]
    fn place(&self, padded: &Padded, tap: usize) -> [usize; 2] {
        let [ky, kx] = [tap / self.kernel[1], tap % self.kernel[1]];
        let column = kx * self.dilation[1];
        [ky * self.dilation[0], column % padded.phases * padded.length + column / padded.phases]
    }

    /// Adds the sum over all taps to each value of rows of `columns`, which are `stride` stored rows apart.
    #[inline(always)]
    fn correlate(
        &self,
        (padded, space): (&Padded, &[f32]),
        weight: impl Fn(usize) -> f32,
        stride: usize,
        columns: usize,
        out: &mut [f32],
    ) {
        for (y, out) in out.chunks_exact_mut(columns).enumerate() {
            for (block, out) in out.chunks_mut(LANES).enumerate() {
                let mut sums = [0.0; LANES];
                sums[..out.len()].copy_from_slice(out);
                for tap in 0..self.taps() {
                    let [row, at] = self.place(padded, tap);
                    let values = &space[(y * stride + row) * padded.row() + at + block * LANES..][..LANES];
                    let factor = weight(tap);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += factor * value;
                    }
                }
                out.copy_from_slice(&sums[..out.len()]);
            }
        }
    }

    /// Σ grad · input over the places that a tap reads.
    #[inline(always)]
    fn tap_gradient(&self, (padded, space): (&Padded, &[f32]), grads: &[f32], wide: usize, tap: usize) -> f32 {
        let [row, at] = self.place(padded, tap);
        // Rows in turn, so that a sum need not wait for the one before.
        let mut sums = [[0.0; LANES]; 2];
        for (y, grads) in grads.chunks_exact(wide).enumerate() {
            let values = &space[(y * self.stride[0] + row) * padded.row() + at..][..wide];
            let sums = &mut sums[y % 2];
            for (grads, values) in grads.as_chunks::<LANES>().0.iter().zip(values.as_chunks::<LANES>().0) {
                for (sum, (g, v)) in sums.iter_mut().zip(grads.iter().zip(values)) {
                    *sum += g * v;
                }
            }
        }
        sums[0].iter().zip(&sums[1]).map(|(a, b)| a + b).sum()
    }
}

/// How a padded plane is stored: each row as `phases` rows of every `phases`-th value, with room for reads of whole registers.
struct Padded {
    size: [usize; 2],
    phases: usize,
    /// Of one of the rows of every `phases`-th value.
    length: usize,
}

impl Padded {
    fn new(size: [usize; 2], phases: usize) -> Self {
        Self { size, phases, length: size[1].div_ceil(phases) + LANES }
    }

    fn row(&self) -> usize {
        self.phases * self.length
    }

    fn len(&self) -> usize {
        self.size[0] * self.row()
    }

    /// Puts the image, `step` rows and columns apart from `first` on, into zeros; what lies outside is left out.
    #[inline(always)]
    fn fill(&self, image: &[f32], width: usize, first: [isize; 2], step: [usize; 2], space: &mut [f32]) {
        space.fill(0.0);
        for (y, values) in image.chunks_exact(width).enumerate() {
            let row = first[0] + (y * step[0]) as isize;
            let Some(row) = usize::try_from(row).ok().filter(|&row| row < self.size[0]) else { continue };
            let out = &mut space[row * self.row()..][..self.row()];
            if let (1, 1, Ok(first)) = (self.phases, step[1], usize::try_from(first[1])) {
                out[first..first + width].copy_from_slice(values);
                continue;
            }
            for (x, &value) in values.iter().enumerate() {
                let column = usize::try_from(first[1] + (x * step[1]) as isize);
                if let Ok(column) = column
                    && column < self.size[1]
                {
                    out[column % self.phases * self.length + column / self.phases] = value;
                }
            }
        }
    }
}
