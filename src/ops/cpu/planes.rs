//! Shifted copies of an image's channels, on which every tap of a convolution is one contiguous read.
//!
//! A convolution of stride 1 reads, for the output row `y` and the tap `(ky, kx)`, the input row `y + ky` shifted by `kx`. If each
//! channel is copied once for every horizontal shift (`kx`), without a gap between its rows, then the values that one tap
//! contributes to *all* output positions of an image lie next to each other: a product of matrices can run over them without
//! building the columns of every tap (`im2col`), that is with `kernel width` copies rather than `kernel height x kernel width`.
//! A stride greater than 1 takes every stride-th row and column, with a copy for each residue of the row.

/// One shifted copy of a channel: its element `(j, i)` is the source's `(row + step * j, column + step * i)`, 0 outside of the source.
#[derive(Debug, Clone, Copy)]
pub struct Shift {
    pub row: isize,
    pub column: isize,
    pub step: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Shift {
    /// Fills `copy` (`rows x columns`) from `source` (`height x width`).
    pub fn fill(&self, source: &[f32], height: usize, width: usize, copy: &mut [f32]) {
        let (first, end) = span(self.row, self.step, height, self.rows);
        copy[..first * self.columns].fill(0.0);
        copy[end * self.columns..].fill(0.0);
        let inside = &mut copy[first * self.columns..end * self.columns];
        if inside.is_empty() {
            return;
        }
        let top = self.row.wrapping_add_unsigned(first * self.step).unsigned_abs();
        if self.step == 1 && self.columns == width && self.column.unsigned_abs() < width {
            self.fill_whole_rows(&source[top * width..][..inside.len()], inside);
            return;
        }
        let (left, right) = span(self.column, self.step, width, self.columns);
        let start = self.column.wrapping_add_unsigned(left * self.step).unsigned_abs();
        for (row, values) in inside.chunks_exact_mut(self.columns).enumerate() {
            values[..left].fill(0.0);
            values[right..].fill(0.0);
            if left < right {
                let from = &source[(top + row * self.step) * width + start..];
                for (value, &x) in values[left..right].iter_mut().zip(from.iter().step_by(self.step)) {
                    *value = x;
                }
            }
        }
    }

    /// The common case of rows as long as the source's: one long copy, then zeros over what crossed the edge of a row.
    fn fill_whole_rows(&self, source: &[f32], copy: &mut [f32]) {
        let shift = self.column.unsigned_abs();
        let kept = copy.len() - shift;
        if self.column >= 0 {
            copy[..kept].copy_from_slice(&source[shift..]);
        } else {
            copy[shift..].copy_from_slice(&source[..kept]);
        }
        let edge = if self.column >= 0 { self.columns - shift } else { 0 };
        for zeros in 0..shift {
            for value in copy[edge + zeros..].iter_mut().step_by(self.columns) {
                *value = 0.0;
            }
        }
    }
}

/// The part of `0..count` whose `start + step * i` lies in `0..size`.
fn span(start: isize, step: usize, size: usize, count: usize) -> (usize, usize) {
    let first = if start < 0 { start.unsigned_abs().div_ceil(step) } else { 0 };
    let room = size.saturating_add_signed(-start);
    let end = if start >= 0 && start.unsigned_abs() >= size { 0 } else { room.div_ceil(step) };
    let first = first.min(count);
    (first, end.clamp(first, count))
}

/// The shifted copies of every channel of an image, and where each tap of each channel starts in them.
#[derive(Debug)]
pub struct Planes {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub shifts: Vec<Shift>,
    /// Start of the copy for each `(channel, tap)`, in that order.
    pub offsets: Vec<u32>,
    /// Positions that are read from each offset.
    pub positions: usize,
}

impl Planes {
    /// Lays out the copies. `taps` gives for each tap the number of its shift and how many elements into that copy it starts.
    pub fn new(
        [channels, height, width]: [usize; 3],
        shifts: Vec<Shift>,
        taps: &[(usize, usize)],
        positions: usize,
    ) -> Self {
        let mut starts = vec![0];
        for shift in &shifts {
            starts.push(starts[starts.len() - 1] + shift.rows * shift.columns);
        }
        let channel_len = starts[shifts.len()];
        let offsets = (0..channels)
            .flat_map(|c| taps.iter().map(move |&(shift, skip)| (c, shift, skip)))
            .map(|(c, shift, skip)| (c * channel_len + starts[shift] + skip) as u32)
            .collect();
        Self { channels, height, width, shifts, offsets, positions }
    }

    /// Length of all copies of one image.
    pub fn len(&self) -> usize {
        self.channels * self.shifts.iter().map(|s| s.rows * s.columns).sum::<usize>()
    }

    /// Fills `copies`, [`Self::len`] long, from one image `[channels, height, width]`.
    pub fn fill(&self, image: &[f32], mut copies: &mut [f32]) {
        for channel in image.chunks_exact(self.height * self.width) {
            for shift in &self.shifts {
                let (copy, rest) = copies.split_at_mut(shift.rows * shift.columns);
                shift.fill(channel, self.height, self.width, copy);
                copies = rest;
            }
        }
    }
}
