//! Where the taps of a convolution find their values: the copies of [`super::planes`] for each pass.

use super::conv::Conv2d;
use super::planes::{Copy, Planes};
use super::product::{Grid, Panels, tallest_panel};

/// The part of an input gradient whose rows and columns have the same residues: a convolution of the output gradient.
#[derive(Debug)]
pub struct Phase {
    pub weights: Panels,
    pub offsets: Vec<u32>,
    /// Residue of the rows.
    pub row: usize,
}

/// The taps `k` of one dimension that meet a residue, each with the shift from a position of the residue to the output's.
type Meetings = Vec<(usize, isize)>;

impl Conv2d {
    /// The copies of an input image on which forward and weight gradient run, and where each tap starts in them.
    pub fn input_planes(&self) -> (Planes, Vec<u32>) {
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
    pub fn phases(&self, weight: &[f32]) -> (Planes, Vec<Phase>) {
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
}

impl Planes {
    /// The positions, and where they lie in a copy.
    pub fn grid(&self) -> Grid {
        Grid { rows: self.positions[0], columns: self.positions[1], pitch: self.pitch }
    }
}
