//! Copies of an image's channels on which a convolution finds every tap of a whole register of output positions in one read.
//!
//! The output positions of an image are numbered row by row. Two layouts serve, without building the columns of every tap
//! (`im2col`, which would copy each value `kernel height x kernel width` times):
//!
//! - *padded*: one copy of each channel with its zeros around it. A register of positions must not cross the end of a row, so
//!   this is for rows of whole registers.
//! - *shifted*: one copy for each horizontal shift (`kx`), without gaps between its rows, so that the values that a tap
//!   contributes to all positions lie next to each other, for rows of any length.
//!
//! A stride greater than 1 takes every stride-th row and column, with a copy for each residue.

/// One copy of a channel: its element `(j, i)` is the source's `(row + step * j, column + step * i)`, 0 outside of the source.
#[derive(Debug, Clone, Copy)]
pub struct Copy {
    pub row: isize,
    pub column: isize,
    pub step: usize,
    pub rows: usize,
}

/// The part of `0..count` whose `start + step * i` lies in `0..size`.
fn span(start: isize, step: usize, size: usize, count: usize) -> (usize, usize) {
    let first = if start < 0 { start.unsigned_abs().div_ceil(step) } else { 0 };
    let end = if start >= size.cast_signed() { 0 } else { size.saturating_add_signed(-start).div_ceil(step) };
    let first = first.min(count);
    (first, end.clamp(first, count))
}

impl Copy {
    /// Fills `copy`, in rows of `columns`, from `source` (`height x width`).
    #[inline(always)]
    fn fill(&self, source: &[f32], [height, width]: [usize; 2], columns: usize, copy: &mut [f32]) {
        let (top, bottom) = span(self.row, self.step, height, self.rows);
        let (left, right) = span(self.column, self.step, width, columns);
        copy[..top * columns].fill(0.0);
        copy[bottom * columns..].fill(0.0);
        if top == bottom {
            return;
        }
        let first_row = self.row.wrapping_add_unsigned(top * self.step).unsigned_abs();
        if self.step == 1 && columns == width && self.column.unsigned_abs() < width {
            let copied = &mut copy[top * columns..bottom * columns];
            self.fill_whole_rows(&source[first_row * width..][..copied.len()], columns, copied);
            return;
        }
        let first_column = self.column.wrapping_add_unsigned(left * self.step).unsigned_abs();
        let copied = copy[top * columns..bottom * columns].chunks_exact_mut(columns);
        let rows = source.chunks_exact(width).skip(first_row).step_by(self.step);
        for (copy, row) in copied.zip(rows) {
            let (zeros, copy) = copy.split_at_mut(left);
            let (copy, more_zeros) = copy.split_at_mut(right - left);
            zeros.iter_mut().for_each(|zero| *zero = 0.0);
            more_zeros.iter_mut().for_each(|zero| *zero = 0.0);
            let row = row.get(first_column..).unwrap_or_default();
            match self.step {
                1 => short_copy(&row[..copy.len()], copy),
                2 => {
                    let (pairs, last) = row.as_chunks::<2>();
                    for (copy, pair) in copy.iter_mut().zip(pairs) {
                        *copy = pair[0];
                    }
                    if let (Some(copy), Some(&last)) = (copy.get_mut(pairs.len()), last.first()) {
                        *copy = last;
                    }
                }
                step => {
                    for (copy, &x) in copy.iter_mut().zip(row.iter().step_by(step)) {
                        *copy = x;
                    }
                }
            }
        }
    }
}

impl Copy {
    /// For rows as long as the source's: one long copy, then zeros over what crossed the end of a row.
    fn fill_whole_rows(&self, source: &[f32], columns: usize, copy: &mut [f32]) {
        let shift = self.column.unsigned_abs();
        let kept = copy.len() - shift;
        let edge = if self.column >= 0 {
            copy[..kept].copy_from_slice(&source[shift..]);
            columns - shift
        } else {
            copy[shift..].copy_from_slice(&source[..kept]);
            0
        };
        for column in edge..edge + shift {
            for value in copy[column..].iter_mut().step_by(columns) {
                *value = 0.0;
            }
        }
    }
}

/// Copies a row; those of a common length without the call of a library function, which would take longer than the copy.
#[inline(always)]
fn short_copy(from: &[f32], to: &mut [f32]) {
    #[inline(always)]
    fn exactly<const N: usize>(from: &[f32], to: &mut [f32]) {
        if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
            *to = *from;
        }
    }
    match to.len() {
        7 => exactly::<7>(from, to),
        8 => exactly::<8>(from, to),
        15 => exactly::<15>(from, to),
        16 => exactly::<16>(from, to),
        31 => exactly::<31>(from, to),
        32 => exactly::<32>(from, to),
        _ => to.copy_from_slice(from),
    }
}

/// The copies of every channel of an image.
#[derive(Debug)]
pub struct Planes {
    pub channels: usize,
    /// Height and width of a channel of the source.
    pub source: [usize; 2],
    pub copies: Vec<Copy>,
    /// Length of a row of a copy.
    pub pitch: usize,
    /// Rows and columns of the positions.
    pub positions: [usize; 2],
}

impl Planes {
    /// Length of the copies of one channel.
    fn channel_len(&self) -> usize {
        self.copies.iter().map(|copy| copy.rows * self.pitch).sum()
    }

    /// Length of all copies of one image.
    pub fn len(&self) -> usize {
        self.channels * self.channel_len()
    }

    /// Start of each `(channel, tap)`, in that order. A tap is the number of its copy and the row and column there of the
    /// first position.
    pub fn offsets(&self, taps: &[(usize, [usize; 2])]) -> Vec<u32> {
        let starts: Vec<usize> = taps
            .iter()
            .map(|&(copy, [row, column])| {
                let before: usize = self.copies[..copy].iter().map(|copy| copy.rows).sum();
                (before + row) * self.pitch + column
            })
            .collect();
        let channels = (0..self.channels).map(|c| c * self.channel_len());
        channels.flat_map(|channel| starts.iter().map(move |start| (channel + start) as u32)).collect()
    }

    /// Fills `copies`, [`Self::len`] long, from one image `[channels, height, width]`.
    pub fn fill(&self, image: &[f32], copies: &mut [f32]) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut rest = copies;
                for channel in image.chunks_exact(self.source[0] * self.source[1]) {
                    for copy in &self.copies {
                        let (filled, more) = rest.split_at_mut(copy.rows * self.pitch);
                        copy.fill(channel, self.source, self.pitch, filled);
                        rest = more;
                    }
                }
            },
        );
    }
}
