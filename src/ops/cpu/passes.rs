//! The three passes of a convolution, image by image: what does not depend on the image is prepared once.

use pulp::Arch;

use super::conv::Conv2d;
use super::geometry::Phase;
use super::layout::{Last, ToLast};
use super::parallel::with_scratch;
use super::planes::Planes;
use super::product::{Forward, Grid, Panels, WeightGradient, tallest_panel};
use super::winograd::{self, Winograd};

/// `f32` of the output gradient that are transposed and multiplied at a time: they stay in the second-level cache.
const GRADIENT_BLOCK: usize = 1 << 14;

/// From input images to their outputs.
#[derive(Debug)]
pub enum ForwardPass<'a> {
    Winograd(winograd::Forward),
    Direct(DirectForward<'a>),
}

impl<'a> ForwardPass<'a> {
    pub fn new(conv: Conv2d, weight: &[f32], bias: Option<&'a [f32]>) -> Self {
        match Winograd::new(conv) {
            Some(winograd) => Self::Winograd(winograd::Forward::new(winograd, weight, bias)),
            None => Self::Direct(DirectForward::new(conv, weight, bias)),
        }
    }

    /// Images that one task works on.
    pub fn group(&self) -> usize {
        match self {
            Self::Winograd(pass) => pass.group(),
            Self::Direct(_) => 1,
        }
    }

    /// Convolves some images, at most [`Self::group`].
    pub fn images(&self, input: &[f32], out: &mut [f32]) {
        match self {
            Self::Winograd(pass) => pass.images(input, out),
            Self::Direct(pass) => pass.image(input, out),
        }
    }
}

/// A tap at a time, on padded copies.
#[derive(Debug)]
pub struct DirectForward<'a> {
    conv: Conv2d,
    planes: Planes,
    offsets: Vec<u32>,
    matrix: Panels,
    bias: Option<&'a [f32]>,
}

impl<'a> DirectForward<'a> {
    fn new(conv: Conv2d, weight: &[f32], bias: Option<&'a [f32]>) -> Self {
        let (planes, offsets) = conv.input_planes();
        let (tallest, depth) = (tallest_panel(conv.instructions.registers()), offsets.len());
        let matrix = Panels::new(conv.channels_out, depth, tallest, |o, k| weight[o * depth + k]);
        Self { conv, planes, offsets, matrix, bias }
    }

    /// Convolves `input` into `out`.
    fn image(&self, input: &[f32], out: &mut [f32]) {
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
                let last = Last { columns: grid.columns, pitch: grid.columns * width, width };
                let (positions, start, count) = (grid.positions(), row * grid.columns, part.positions());
                Arch::new().dispatch(ToLast { planes: grad, positions, start, count, last, to: transposed });
                let (offsets, copies) = (self.offsets.as_slice(), &copies[row * grid.pitch..]);
                let product = WeightGradient { offsets, copies, grid: part, grad: transposed, width, out: sums };
                self.conv.instructions.run(product);
            }
        });
    }
}
