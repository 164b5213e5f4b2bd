//! The three passes of a convolution, image by image: what does not depend on the image is prepared once.

use super::conv::Conv2d;
use super::geometry::Phase;
use super::parallel::with_scratch;
use super::planes::Planes;
use super::product::{Forward, Grid, Panels, WeightGradient, tallest_panel};

/// Images whose weight gradient is summed by one task: a fixed split, so that the order of the sum never depends on the threads.
const IMAGES_PER_SUM: usize = 16;
/// `f32` of the output gradient that are transposed and multiplied at a time: they stay in the second-level cache.
const GRADIENT_BLOCK: usize = 1 << 14;

/// From an input image to its output.
#[derive(Debug)]
pub struct ForwardPass<'a> {
    conv: Conv2d,
    planes: Planes,
    offsets: Vec<u32>,
    matrix: Panels,
    bias: Option<&'a [f32]>,
}

impl<'a> ForwardPass<'a> {
    pub fn new(conv: Conv2d, weight: &[f32], bias: Option<&'a [f32]>) -> Self {
        let (planes, offsets) = conv.input_planes();
        let (tallest, depth) = (tallest_panel(conv.instructions.registers()), offsets.len());
        let matrix = Panels::new(conv.channels_out, depth, tallest, |o, k| weight[o * depth + k]);
        Self { conv, planes, offsets, matrix, bias }
    }

    /// Convolves `input` into `out`.
    pub fn image(&self, input: &[f32], out: &mut [f32]) {
        let (grid, lanes) = (self.planes.grid(), self.conv.instructions.lanes());
        let (positions, stride) = (grid.positions(), grid.positions().next_multiple_of(lanes));
        with_scratch(self.planes.len() + lanes + self.conv.channels_out * stride, |scratch| {
            let (copies, padded) = scratch.split_at_mut(self.planes.len() + lanes);
            self.planes.fill(input, copies);
            let target = if stride == positions { &mut *out } else { &mut *padded };
            let (matrix, offsets, bias) = (&self.matrix, self.offsets.as_slice(), self.bias);
            self.conv.instructions.run(Forward { matrix, offsets, copies, grid, bias, stride, out: target });
            if stride > positions {
                for (out, row) in out.chunks_exact_mut(positions).zip(padded.chunks_exact(stride)) {
                    out.copy_from_slice(&row[..positions]);
                }
            }
        });
    }
}

/// From the gradient of an output image to that of its input.
#[derive(Debug)]
pub struct InputGradientPass {
    conv: Conv2d,
    planes: Planes,
    phases: Vec<Phase>,
}

impl InputGradientPass {
    pub fn new(conv: Conv2d, weight: &[f32]) -> Self {
        let (planes, phases) = conv.phases(weight);
        Self { conv, planes, phases }
    }

    /// The gradient of an input image into `out`.
    pub fn image(&self, grad: &[f32], out: &mut [f32]) {
        let (grid, lanes) = (self.planes.grid(), self.conv.instructions.lanes());
        let stride = grid.positions().next_multiple_of(lanes);
        let direct = self.conv.stride == 1 && stride == grid.positions();
        let row_of_phases = self.conv.stride.min(self.conv.input[1]);
        let phase_len = self.conv.channels_in * stride;
        with_scratch(self.planes.len() + lanes + row_of_phases * phase_len, |scratch| {
            let (copies, results) = scratch.split_at_mut(self.planes.len() + lanes);
            self.planes.fill(grad, copies);
            for phases in self.phases.chunks(row_of_phases) {
                for (phase, result) in phases.iter().zip(results.chunks_exact_mut(phase_len)) {
                    let (matrix, offsets) = (&phase.weights, phase.offsets.as_slice());
                    let target = if direct { &mut *out } else { result };
                    let product = Forward { matrix, offsets, copies, grid, bias: None, stride, out: target };
                    self.conv.instructions.run(product);
                }
                if !direct && let Some(first) = phases.first() {
                    let results = &*results;
                    pulp::Arch::new().dispatch(
                        #[inline(always)]
                        || self.interleave(results, stride, grid, first.row, out),
                    );
                }
            }
        });
    }

    /// Spreads the phases of one residue of the rows, one for each residue of the columns, over the input. The channels of a
    /// phase lie `stride` apart.
    #[inline(always)]
    fn interleave(&self, phases: &[f32], stride: usize, grid: Grid, row: usize, out: &mut [f32]) {
        let [height, width] = self.conv.input;
        for (c, out) in out.chunks_exact_mut(height * width).enumerate() {
            let channel = |phase: usize| &phases[(phase * self.conv.channels_in + c) * stride..][..grid.positions()];
            let rows = out.chunks_exact_mut(width).skip(row).step_by(self.conv.stride);
            for (j, out) in rows.enumerate() {
                let line = |phase: usize| &channel(phase)[j * grid.columns..][..grid.columns];
                if self.conv.stride == 2 && width.is_multiple_of(2) {
                    for (out, (&even, &odd)) in out.as_chunks_mut::<2>().0.iter_mut().zip(line(0).iter().zip(line(1))) {
                        *out = [even, odd];
                    }
                    continue;
                }
                for phase in 0..self.conv.stride.min(width) {
                    for (out, &value) in out[phase..].iter_mut().step_by(self.conv.stride).zip(line(phase)) {
                        *out = value;
                    }
                }
            }
        }
    }
}

/// From an input image and the gradient of its output to the gradient of the weights.
#[derive(Debug)]
pub struct WeightGradientPass {
    conv: Conv2d,
    planes: Planes,
    offsets: Vec<u32>,
    /// Output channels, rounded up to whole registers.
    width: usize,
}

impl WeightGradientPass {
    pub fn new(conv: Conv2d) -> Self {
        let (planes, offsets) = conv.input_planes();
        Self { conv, planes, offsets, width: conv.channels_out.next_multiple_of(conv.instructions.lanes()) }
    }

    /// Length of the sums of a chunk of images.
    pub fn sums_len(&self) -> usize {
        self.offsets.len() * self.width
    }

    /// Sums for each chunk of a batch, at 0.
    pub fn sums(&self, batch: usize) -> Vec<f32> {
        vec![0.0; Self::chunks(batch) * self.sums_len()]
    }

    /// Number of chunks of a batch.
    pub fn chunks(batch: usize) -> usize {
        batch.div_ceil(IMAGES_PER_SUM)
    }

    /// The images of a chunk.
    pub fn images_of<T>(chunk: usize, images: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        images.skip(chunk * IMAGES_PER_SUM).take(IMAGES_PER_SUM)
    }

    /// Adds an image to the sums of its chunk.
    pub fn image(&self, input: &[f32], grad: &[f32], sums: &mut [f32]) {
        let (grid, width) = (self.planes.grid(), self.width);
        let block = (GRADIENT_BLOCK / (width * grid.columns)).clamp(1, grid.rows);
        let transposed_len = block * grid.columns * width;
        with_scratch(transposed_len + self.planes.len(), |scratch| {
            let (transposed, copies) = scratch.split_at_mut(transposed_len);
            self.planes.fill(input, copies);
            for row in (0..grid.rows).step_by(block) {
                let part = Grid { rows: block.min(grid.rows - row), ..grid };
                let transposed = &mut transposed[..part.positions() * width];
                transpose(grad, grid.positions(), row * grid.columns, transposed, width);
                let (offsets, copies) = (self.offsets.as_slice(), &copies[row * grid.pitch..]);
                let product = WeightGradient { offsets, copies, grid: part, grad: transposed, width, out: sums };
                self.conv.instructions.run(product);
            }
        });
    }

    /// The gradient of the weights, in their layout, from the sums of all chunks.
    pub fn join(&self, sums: &[f32], out: &mut [f32]) {
        let depth = self.offsets.len();
        for (o, out) in out.chunks_exact_mut(depth).enumerate() {
            for (k, out) in out.iter_mut().enumerate() {
                *out = sums.chunks_exact(self.sums_len()).map(|sums| sums[k * self.width + o]).sum();
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
    let count = out.len() / width;
    let mut channel = 0;
    // Four channels at a time, four positions at a time: each is one register, read and written whole.
    while channel + 4 <= channels {
        let rows: [&[f32]; 4] = std::array::from_fn(|i| &grad[(channel + i) * positions + start..][..count]);
        let blocks = rows.map(|row| row.as_chunks::<4>().0);
        let (quads, last) = out.split_at_mut(count / 4 * 4 * width);
        for (i, out) in quads.chunks_exact_mut(4 * width).enumerate() {
            let block: [[f32; 4]; 4] = std::array::from_fn(|row| blocks[row][i]);
            for (p, out) in out.chunks_exact_mut(width).enumerate() {
                out[channel..][..4].copy_from_slice(&[block[0][p], block[1][p], block[2][p], block[3][p]]);
            }
        }
        for (p, out) in (count / 4 * 4..).zip(last.chunks_exact_mut(width)) {
            for i in 0..4 {
                out[channel + i] = rows[i][p];
            }
        }
        channel += 4;
    }
    for channel in channel..channels {
        let row = &grad[channel * positions + start..][..count];
        for (out, &g) in out[channel..].iter_mut().step_by(width).zip(row) {
            *out = g;
        }
    }
}
