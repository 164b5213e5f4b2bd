//! Two-dimensional convolution (cross-correlation, as every framework calls it) and its gradients, `f32`, NCHW.

use super::parallel::{each, with_scratch};
use super::planes::{Copy, Planes};
use super::product::{Forward, Grid, Panels, WeightGradient, tallest_panel};
use super::simd::Instructions;

/// Images whose weight gradient is summed by one task: a fixed split, so that the order of the sum never depends on the threads.
const IMAGES_PER_SUM: usize = 16;
/// `f32` of the output gradient that are transposed and multiplied at a time: they stay in the first-level cache.
const GRADIENT_BLOCK: usize = 1 << 14;

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

/// The part of an input gradient whose rows and columns have the same residues: a convolution of the output gradient.
struct Phase {
    weights: Panels,
    offsets: Vec<u32>,
    row: usize,
}

/// The taps `k` of one dimension that meet a residue, each with the shift from a position of the residue to the output's.
type Meetings = Vec<(usize, isize)>;

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
        let (planes, offsets) = self.input_planes();
        let (grid, lanes, depth) = (planes.grid(), self.instructions.lanes(), offsets.len());
        let tallest = tallest_panel(self.instructions.registers());
        let matrix = &Panels::new(self.channels_out, depth, tallest, |o, k| weight[o * depth + k]);
        let stride = grid.positions().next_multiple_of(lanes);
        each(out, self.output_len(), |n, out| {
            with_scratch(planes.len() + lanes + self.channels_out * stride, |scratch| {
                let (copies, padded) = scratch.split_at_mut(planes.len() + lanes);
                planes.fill(&input[n * self.input_len()..][..self.input_len()], copies);
                let target = if stride == grid.positions() { &mut *out } else { &mut *padded };
                self.instructions.run(Forward { matrix, offsets: &offsets, copies, grid, bias, stride, out: target });
                if stride > grid.positions() {
                    for (out, row) in out.chunks_exact_mut(grid.positions()).zip(padded.chunks_exact(stride)) {
                        out.copy_from_slice(&row[..grid.positions()]);
                    }
                }
            });
        });
    }

    /// The gradient with respect to the input, `[n, channels_in, input]`, from that with respect to the output.
    pub fn input_gradient(&self, grad: &[f32], weight: &[f32], out: &mut [f32]) {
        let (planes, phases) = self.phases(weight);
        let (grid, lanes) = (planes.grid(), self.instructions.lanes());
        let stride = grid.positions().next_multiple_of(lanes);
        let direct = self.stride == 1 && stride == grid.positions();
        let row_of_phases = self.stride.min(self.input[1]);
        let phase_len = self.channels_in * stride;
        each(out, self.input_len(), |n, out| {
            let grad = &grad[n * self.output_len()..][..self.output_len()];
            with_scratch(planes.len() + lanes + row_of_phases * phase_len, |scratch| {
                let (copies, results) = scratch.split_at_mut(planes.len() + lanes);
                planes.fill(grad, copies);
                for phases in phases.chunks(row_of_phases) {
                    for (phase, result) in phases.iter().zip(results.chunks_exact_mut(phase_len.max(1))) {
                        let (matrix, offsets) = (&phase.weights, phase.offsets.as_slice());
                        let target = if direct { &mut *out } else { result };
                        self.instructions.run(Forward {
                            matrix,
                            offsets,
                            copies,
                            grid,
                            bias: None,
                            stride,
                            out: target,
                        });
                    }
                    if !direct && let Some(first) = phases.first() {
                        let (row, results) = (first.row, &*results);
                        pulp::Arch::new().dispatch(|| self.interleave(results, stride, grid, row, out));
                    }
                }
            });
        });
    }

    /// The gradient with respect to the weights, in their layout.
    pub fn weight_gradient(&self, input: &[f32], grad: &[f32], out: &mut [f32]) {
        let (planes, offsets) = self.input_planes();
        let (grid, lanes, depth) = (planes.grid(), self.instructions.lanes(), offsets.len());
        let width = self.channels_out.next_multiple_of(lanes);
        let batch = input.len() / self.input_len().max(1);
        let block = (GRADIENT_BLOCK / (width * grid.columns)).clamp(1, grid.rows);
        let transposed_len = block * grid.columns * width;
        let mut sums = vec![0.0; batch.div_ceil(IMAGES_PER_SUM) * depth * width];
        each(&mut sums, depth * width, |chunk, out| {
            with_scratch(planes.len() + lanes + transposed_len, |scratch| {
                let (transposed, copies) = scratch.split_at_mut(transposed_len);
                for n in chunk * IMAGES_PER_SUM..batch.min((chunk + 1) * IMAGES_PER_SUM) {
                    planes.fill(&input[n * self.input_len()..][..self.input_len()], copies);
                    let grad = &grad[n * self.output_len()..][..self.output_len()];
                    for row in (0..grid.rows).step_by(block) {
                        let part = Grid { rows: block.min(grid.rows - row), ..grid };
                        let transposed = &mut transposed[..part.positions() * width];
                        transpose(grad, grid.positions(), row * grid.columns, transposed, width);
                        let copies = &copies[row * grid.pitch..];
                        let (offsets, grad) = (offsets.as_slice(), &*transposed);
                        self.instructions.run(WeightGradient { offsets, copies, grid: part, grad, width, out });
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

    /// The copies of an input image on which forward and weight gradient run, and where each tap starts in them.
    fn input_planes(&self) -> (Planes, Vec<u32>) {
        let ([rows, columns], [kernel_rows, kernel_columns]) = (self.output(), self.kernel);
        let padding = self.padding.cast_signed();
        let row_residues = self.stride.min(kernel_rows);
        // Padded copies differ by the residue of the column, shifted ones by the column itself.
        let padded = columns.is_multiple_of(self.instructions.lanes());
        let column_copies = if padded { self.stride.min(kernel_columns) } else { kernel_columns };
        let copies = (0..row_residues)
            .flat_map(|row| (0..column_copies).map(move |column| (row, column)))
            .map(|(row, column)| Copy {
                row: row.cast_signed() - padding,
                column: column.cast_signed() - padding,
                step: self.stride,
                rows: rows + (kernel_rows - 1 - row) / self.stride,
            })
            .collect();
        let taps: Vec<_> = (0..kernel_rows)
            .flat_map(|ky| (0..kernel_columns).map(move |kx| (ky, kx)))
            .map(|(ky, kx)| {
                let (column, shift) = if padded { (kx % self.stride, kx / self.stride) } else { (kx, 0) };
                (ky % self.stride * column_copies + column, [ky / self.stride, shift])
            })
            .collect();
        let pitch = if padded { columns + (kernel_columns - 1) / self.stride } else { columns };
        let planes =
            Planes { channels: self.channels_in, source: self.input, copies, pitch, positions: [rows, columns] };
        let offsets = planes.offsets(&taps);
        (planes, offsets)
    }

    /// The input gradient as convolutions of the output gradient, one for each residue of the input's row and column.
    ///
    /// The input's row `i` meets the tap `ky` in the output's row `(i + padding − ky) / stride`, where that is whole.
    fn phases(&self, weight: &[f32]) -> (Planes, Vec<Phase>) {
        let stride = self.stride.cast_signed();
        let along = |d: usize| -> Vec<Meetings> {
            (0..self.stride.min(self.input[d]))
                .map(|residue| {
                    let meets = |k: usize| (residue + self.padding).cast_signed() - k.cast_signed();
                    let taps = (0..self.kernel[d]).filter(|&k| meets(k) % stride == 0);
                    taps.map(|k| (k, meets(k) / stride)).collect()
                })
                .collect()
        };
        let (vertical, horizontal) = (along(0), along(1));
        let bounds = |meetings: &[Meetings]| {
            let shifts = meetings.iter().flatten().map(|&(_, shift)| shift);
            (shifts.clone().min().unwrap_or(0), shifts.max().unwrap_or(0))
        };
        let ((top, bottom), (left, right)) = (bounds(&vertical), bounds(&horizontal));
        let positions @ [rows, columns] = self.input.map(|size| size.div_ceil(self.stride));
        let padded = columns.is_multiple_of(self.instructions.lanes());
        let reach = (right - left).unsigned_abs();
        let copy = |column| Copy { row: top, column, step: 1, rows: rows + (bottom - top).unsigned_abs() };
        let planes = Planes {
            channels: self.channels_out,
            source: self.output(),
            copies: if padded { vec![copy(left)] } else { (left..=right).map(copy).collect() },
            pitch: if padded { columns + reach } else { columns },
            positions,
        };
        let mut phases = Vec::new();
        for (row, vertical) in vertical.iter().enumerate() {
            for horizontal in &horizontal {
                let pairs = || vertical.iter().flat_map(|v| horizontal.iter().map(move |h| (v, h)));
                let kernel_taps: Vec<usize> = pairs().map(|(&(ky, _), &(kx, _))| ky * self.kernel[1] + kx).collect();
                let place = |(&(_, v), &(_, h)): (&(usize, isize), &(usize, isize))| {
                    let (down, along) = ((v - top).unsigned_abs(), (h - left).unsigned_abs());
                    if padded { (0, [down, along]) } else { (along, [down, 0]) }
                };
                let taps: Vec<_> = pairs().map(place).collect();
                let tallest = tallest_panel(self.instructions.registers());
                let depth = self.channels_out * taps.len();
                let weights = Panels::new(self.channels_in, depth, tallest, |c, k| {
                    let (o, tap) = (k / taps.len(), kernel_taps[k % taps.len()]);
                    weight[(o * self.channels_in + c) * self.taps() + tap]
                });
                phases.push(Phase { weights, offsets: planes.offsets(&taps), row });
            }
        }
        (planes, phases)
    }

    /// Spreads the phases of one residue of the rows, one for each residue of the columns, over the input. The channels of a
    /// phase lie `stride` apart.
    #[inline(always)]
    fn interleave(&self, phases: &[f32], stride: usize, grid: Grid, row: usize, out: &mut [f32]) {
        let [height, width] = self.input;
        for (c, out) in out.chunks_exact_mut(height * width).enumerate() {
            let channel = |phase: usize| &phases[(phase * self.channels_in + c) * stride..][..grid.positions()];
            let rows = out.chunks_exact_mut(width).skip(row).step_by(self.stride);
            for (j, out) in rows.enumerate() {
                let line = |phase: usize| &channel(phase)[j * grid.columns..][..grid.columns];
                if self.stride == 2 && width.is_multiple_of(2) {
                    for (out, (&even, &odd)) in out.as_chunks_mut::<2>().0.iter_mut().zip(line(0).iter().zip(line(1))) {
                        *out = [even, odd];
                    }
                    continue;
                }
                for phase in 0..self.stride.min(width) {
                    for (out, &value) in out[phase..].iter_mut().step_by(self.stride).zip(line(phase)) {
                        *out = value;
                    }
                }
            }
        }
    }
}

impl Planes {
    fn grid(&self) -> Grid {
        Grid { rows: self.positions[0], columns: self.positions[1], pitch: self.pitch }
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
