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
        let copied = &mut copy[top * columns..bottom * columns];
        let rows = source.chunks_exact(width).skip(first_row).step_by(self.step);
        let rows = rows.map(|row| row.get(first_column..).unwrap_or_default());
        // Rows of a common length are copied without a call, which would take longer than the copy.
        match (self.step, right - left, columns - (right - left)) {
            (1, 32, 2) => copy_rows::<32, 2>(rows, left, copied),
            (1, 16, 2) => copy_rows::<16, 2>(rows, left, copied),
            (step, ..) => {
                for (copy, row) in copied.chunks_exact_mut(columns).zip(rows) {
                    let (zeros, copy) = copy.split_at_mut(left);
                    let (copy, more_zeros) = copy.split_at_mut(right - left);
                    zeros.iter_mut().for_each(|zero| *zero = 0.0);
                    more_zeros.iter_mut().for_each(|zero| *zero = 0.0);
                    match step {
                        1 => copy.copy_from_slice(&row[..copy.len()]),
                        2 => every_second(row, copy),
                        _ => copy.iter_mut().zip(row.iter().step_by(step)).for_each(|(copy, &x)| *copy = x),
                    }
                }
            }
        }
    }
}

/// Copies rows of `LEN`, each moved to the right by `SHIFT`.
#[inline(always)]
fn shift_rows<const LEN: usize, const SHIFT: usize>(source: &[f32], copy: &mut [f32]) {
    for (copy, row) in copy.as_chunks_mut::<LEN>().0.iter_mut().zip(source.as_chunks::<LEN>().0) {
        *copy = std::array::from_fn(|i| if i < SHIFT { 0.0 } else { row[i - SHIFT] });
    }
}

/// Copies rows of `LEN`, each moved to the left by `SHIFT`.
#[inline(always)]
fn unshift_rows<const LEN: usize, const SHIFT: usize>(source: &[f32], copy: &mut [f32]) {
    for (copy, row) in copy.as_chunks_mut::<LEN>().0.iter_mut().zip(source.as_chunks::<LEN>().0) {
        *copy = std::array::from_fn(|i| if i + SHIFT < LEN { row[i + SHIFT] } else { 0.0 });
    }
}

/// Copies rows of `LEN` to rows of `LEN + GAP`, behind `left` zeros of the gap.
#[inline(always)]
fn copy_rows<'a, const LEN: usize, const GAP: usize>(
    rows: impl Iterator<Item = &'a [f32]>,
    left: usize,
    copy: &mut [f32],
) {
    // Read from the first value on, every row has its whole gap behind it; the last one lacks what came before the first.
    let (zeros, copy) = copy.split_at_mut(left);
    zeros.fill(0.0);
    for (copy, row) in copy.chunks_mut(LEN + GAP).zip(rows) {
        if let (Some((copy, gap)), Some(row)) = (copy.split_first_chunk_mut::<LEN>(), row.first_chunk::<LEN>()) {
            *copy = *row;
            match gap.first_chunk_mut::<GAP>() {
                Some(gap) => *gap = [0.0; GAP],
                None => gap.fill(0.0),
            }
        }
    }
}

/// Copies the even places of a row, whose last may be missing.
#[inline(always)]
fn every_second(row: &[f32], copy: &mut [f32]) {
    let (pairs, last) = row.as_chunks::<2>();
    for (copy, pair) in copy.iter_mut().zip(pairs) {
        *copy = pair[0];
    }
    if let (Some(copy), Some(&last)) = (copy.get_mut(pairs.len()), last.first()) {
        *copy = last;
    }
}

impl Copy {
    /// For rows as long as the source's: one long copy, then zeros over what crossed the end of a row.
    #[inline(always)]
    fn fill_whole_rows(&self, source: &[f32], columns: usize, copy: &mut [f32]) {
        match (columns, self.column) {
            (8, -1) => return shift_rows::<8, 1>(source, copy),
            (8, 0) => return copy.copy_from_slice(source),
            (8, 1) => return unshift_rows::<8, 1>(source, copy),
            _ => {}
        }
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
