//! Two-dimensional convolution (cross-correlation, as every framework calls it) and its gradients, `f32`, NCHW.

use super::parallel::{each, with_scratch};
use super::planes::{Planes, Shift};
use super::product::{Forward, Panels, WeightGradient, slack, tallest_panel};
use super::simd::Instructions;

/// Images whose weight gradient is summed by one task: a fixed split, so that the order of the sum never depends on the threads.
const IMAGES_PER_SUM: usize = 16;
/// `f32` of the output gradient that are transposed and multiplied at a time: they stay in the first-level cache.
const GRADIENT_BLOCK: usize = 4096;

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

/// The taps of a phase of the input gradient and where their positions lie in the input.
struct Phase {
    planes: Planes,
    weights: Panels,
    /// First row and column of the phase, its height and width.
    at: [usize; 4],
}

impl Conv2d {
    /// Height and width of an output image.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|d| (self.input[d] + 2 * self.padding - self.kernel[d]) / self.stride + 1)
    }

    fn input_len(&self) -> usize {
        self.channels_in * self.input[0] * self.input[1]
    }

    fn output_len(&self) -> usize {
        self.channels_out * self.output()[0] * self.output()[1]
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// `out[n, o, y, x] = bias[o] + Σ weight[o, c, ky, kx] · input[n, c, stride·y + ky − padding, stride·x + kx − padding]`.
    pub fn forward(&self, input: &[f32], weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let planes = self.input_planes();
        let depth = self.channels_in * self.taps();
        let tallest = tallest_panel(self.instructions.registers());
        let matrix = Panels::new(self.channels_out, depth, tallest, |o, k| weight[o * depth + k]);
        let slack = slack(self.instructions.lanes());
        each(out, self.output_len(), |n, out| {
            with_scratch(planes.len() + slack, |copies| {
                planes.fill(&input[n * self.input_len()..][..self.input_len()], copies);
                let (offsets, positions) = (planes.offsets.as_slice(), planes.positions);
                self.instructions.run(Forward { matrix: &matrix, offsets, copies, positions, bias, out });
            });
        });
    }

    /// The gradient with respect to the input, `[n, channels_in, input]`, from that with respect to the output.
    pub fn input_gradient(&self, grad: &[f32], weight: &[f32], out: &mut [f32]) {
        let phases = self.phases(weight);
        let largest = phases.iter().map(|phase| phase.planes.len().max(phase.planes.positions)).max().unwrap_or(0);
        let slack = slack(self.instructions.lanes());
        let direct = self.stride == 1;
        let positions = if direct { 0 } else { self.input_len() };
        each(out, self.input_len(), |n, out| {
            let grad = &grad[n * self.output_len()..][..self.output_len()];
            with_scratch(largest + slack + positions, |scratch| {
                let (copies, phase_out) = scratch.split_at_mut(largest + slack);
                for phase in &phases {
                    phase.planes.fill(grad, copies);
                    let (matrix, offsets, positions) = (&phase.weights, &phase.planes.offsets, phase.planes.positions);
                    let len = self.channels_in * positions;
                    let target = if direct { &mut *out } else { &mut phase_out[..len] };
                    self.instructions.run(Forward { matrix, offsets, copies, positions, bias: None, out: target });
                    if !direct {
                        self.scatter(&phase_out[..len], phase.at, out);
                    }
                }
            });
        });
    }

    /// The gradient with respect to the weights, in their layout.
    pub fn weight_gradient(&self, input: &[f32], grad: &[f32], out: &mut [f32]) {
        let planes = self.input_planes();
        let depth = self.channels_in * self.taps();
        let lanes = self.instructions.lanes();
        let width = self.channels_out.next_multiple_of(lanes);
        let batch = input.len() / self.input_len().max(1);
        let block = (GRADIENT_BLOCK / width).max(1);
        let mut sums = vec![0.0; batch.div_ceil(IMAGES_PER_SUM) * depth * width];
        each(&mut sums, depth * width, |chunk, out| {
            with_scratch(planes.len() + slack(lanes) + block * width, |scratch| {
                let (copies, transposed) = scratch.split_at_mut(planes.len() + slack(lanes));
                for n in chunk * IMAGES_PER_SUM..batch.min((chunk + 1) * IMAGES_PER_SUM) {
                    planes.fill(&input[n * self.input_len()..][..self.input_len()], copies);
                    let grad = &grad[n * self.output_len()..][..self.output_len()];
                    for start in (0..planes.positions).step_by(block) {
                        let count = block.min(planes.positions - start);
                        let transposed = &mut transposed[..count * width];
                        transpose(grad, planes.positions, start, transposed, width);
                        self.instructions.run(WeightGradient {
                            offsets: &planes.offsets,
                            copies: &copies[start..],
                            grad: transposed,
                            width,
                            out,
                        });
                    }
                }
            });
        });
        for (o, out) in out.chunks_exact_mut(depth.max(1)).enumerate() {
            for (k, out) in out.iter_mut().enumerate() {
                *out = sums.chunks_exact(depth * width).map(|sums| sums[k * width + o]).sum();
            }
        }
    }

    /// The shifted copies of an input image on which forward and weight gradient run.
    fn input_planes(&self) -> Planes {
        let ([rows, columns], [kernel_rows, kernel_columns]) = (self.output(), self.kernel);
        let residues = self.stride.min(kernel_rows);
        let padding = self.padding.cast_signed();
        let shifts = (0..kernel_columns)
            .flat_map(|kx| (0..residues).map(move |residue| (kx, residue)))
            .map(|(kx, residue)| Shift {
                row: residue.cast_signed() - padding,
                column: kx.cast_signed() - padding,
                step: self.stride,
                rows: rows + (kernel_rows - 1 - residue) / self.stride,
                columns,
            })
            .collect();
        let taps: Vec<_> = (0..kernel_rows)
            .flat_map(|ky| (0..kernel_columns).map(move |kx| (ky, kx)))
            .map(|(ky, kx)| (kx * residues + ky % self.stride, ky / self.stride * columns))
            .collect();
        Planes::new([self.channels_in, self.input[0], self.input[1]], shifts, &taps, rows * columns)
    }

    /// The input gradient as convolutions of the output gradient, one for each residue of the input's row and column.
    ///
    /// The input's row `i` meets the tap `ky` in the output's row `(i + padding − ky) / stride`, where that is whole.
    fn phases(&self, weight: &[f32]) -> Vec<Phase> {
        let mut phases = Vec::new();
        for row in 0..self.stride.min(self.input[0]) {
            for column in 0..self.stride.min(self.input[1]) {
                phases.push(self.phase(weight, row, column));
            }
        }
        phases
    }

    fn phase(&self, weight: &[f32], row: usize, column: usize) -> Phase {
        let rows = (self.input[0] - row).div_ceil(self.stride);
        let columns = (self.input[1] - column).div_ceil(self.stride);
        let along = |at: usize, kernel: usize| -> Vec<(usize, isize)> {
            let meets = |k: usize| (at + self.padding).cast_signed() - k.cast_signed();
            let stride = self.stride.cast_signed();
            (0..kernel).filter(|&k| meets(k) % stride == 0).map(|k| (k, meets(k) / stride)).collect()
        };
        let (vertical, horizontal) = (along(row, self.kernel[0]), along(column, self.kernel[1]));
        let top = vertical.iter().map(|&(_, shift)| shift).min().unwrap_or(0);
        let bottom = vertical.iter().map(|&(_, shift)| shift).max().unwrap_or(0);
        let shifts = horizontal
            .iter()
            .map(|&(_, shift)| Shift {
                row: top,
                column: shift,
                step: 1,
                rows: rows + (bottom - top).unsigned_abs(),
                columns,
            })
            .collect();
        let mut taps = Vec::new();
        let mut kernel_taps = Vec::new();
        for &(ky, shift) in &vertical {
            for (number, &(kx, _)) in horizontal.iter().enumerate() {
                taps.push((number, (shift - top).unsigned_abs() * columns));
                kernel_taps.push(ky * self.kernel[1] + kx);
            }
        }
        let [height, width] = self.output();
        let planes = Planes::new([self.channels_out, height, width], shifts, &taps, rows * columns);
        let tallest = tallest_panel(self.instructions.registers());
        let weights = Panels::new(self.channels_in, self.channels_out * taps.len(), tallest, |c, k| {
            let (o, tap) = (k / taps.len(), kernel_taps[k % taps.len()]);
            weight[(o * self.channels_in + c) * self.taps() + tap]
        });
        Phase { planes, weights, at: [row, column, rows, columns] }
    }

    /// Spreads the positions of one phase over the input.
    fn scatter(&self, phase: &[f32], [row, column, rows, columns]: [usize; 4], out: &mut [f32]) {
        let [height, width] = self.input;
        for (phase, out) in phase.chunks_exact(rows * columns).zip(out.chunks_exact_mut(height * width)) {
            for (j, values) in phase.chunks_exact(columns).enumerate() {
                let out = &mut out[(row + j * self.stride) * width + column..];
                for (out, &value) in out.iter_mut().step_by(self.stride).zip(values) {
                    *out = value;
                }
            }
        }
    }
}

/// `out[p, o] = grad[o, start + p]` for as many positions as `out` holds; channels past the last one are 0.
fn transpose(grad: &[f32], positions: usize, start: usize, out: &mut [f32], width: usize) {
    let channels = grad.len() / positions;
    if channels < width {
        out.fill(0.0);
    }
    for (o, grad) in grad.chunks_exact(positions).enumerate() {
        for (out, &g) in out[o..].iter_mut().step_by(width).zip(&grad[start..]) {
            *out = g;
        }
    }
}
