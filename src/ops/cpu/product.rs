//! The two matrix products of a convolution, on the copies of [`super::planes`].
//!
//! Forward and input gradient: `out[m, p] = Σ_k a[m, k] · copies[offset_k + at(p)]`, registers along the positions `p`.
//! Weight gradient: `out[k, o] += Σ_p copies[offset_k + at(p)] · grad[p, o]`, registers along the output channels `o`.
//! Both keep a tile of the result in registers over the whole sum, so that it is written once.

use pulp::{Simd, WithSimd};

/// A matrix `[rows, depth]` cut into panels of rows; within a panel, the rows' values of one column lie together.
#[derive(Debug)]
pub struct Panels {
    values: Vec<f32>,
    rows: usize,
    depth: usize,
    tallest: usize,
}

impl Panels {
    /// Packs the matrix whose element is `at(row, column)`; panels are `tallest` (8 or 4) rows high, the last ones 4, 2 or 1.
    pub fn new(rows: usize, depth: usize, tallest: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = Vec::with_capacity(rows * depth);
        for (start, height) in heights(rows, tallest) {
            for column in 0..depth {
                values.extend((start..start + height).map(|row| at(row, column)));
            }
        }
        Self { values, rows, depth, tallest }
    }
}

/// Start and height of each panel.
fn heights(rows: usize, tallest: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let left = rows - start;
        let height = [8, 4, 2, 1].into_iter().find(|&h| h <= tallest && h <= left)?;
        start += height;
        Some((start - height, height))
    })
}

/// Height of the panels that suits a number of registers: 8 rows of 3 fill 32 registers, 4 of 3 fill 16.
pub fn tallest_panel(registers: usize) -> usize {
    if registers >= 32 { 8 } else { 4 }
}

/// Where the positions of an image lie in the copies of a channel.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
    /// From a row to the next; `columns`, unless these are whole registers.
    pub pitch: usize,
}

impl Grid {
    pub fn positions(&self) -> usize {
        self.rows * self.columns
    }

    /// Where the register of positions from `position` starts.
    #[inline(always)]
    fn at(&self, position: usize) -> usize {
        if self.pitch == self.columns {
            position
        } else {
            position / self.columns * self.pitch + position % self.columns
        }
    }
}

/// `out[m, p] = bias[m] + Σ_k matrix[m, k] · copies[offsets[k] + at(p)]` for all positions, rounded up to a whole register: as
/// many elements must follow the copies.
pub struct Forward<'a> {
    pub matrix: &'a Panels,
    pub offsets: &'a [u32],
    pub copies: &'a [f32],
    pub grid: Grid,
    pub bias: Option<&'a [f32]>,
    /// Length of a row of `out`: at least the positions, rounded up to whole registers.
    pub stride: usize,
    /// `[matrix.rows, stride]`
    pub out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut this = self;
        let registers = this.grid.positions().div_ceil(S::F32_LANES);
        if registers == 0 {
            return;
        }
        let last = this.offsets.iter().max().map_or(0, |&offset| offset as usize);
        let end = last + this.grid.at((registers - 1) * S::F32_LANES) + S::F32_LANES;
        assert!(end <= this.copies.len(), "a register reaches past the copies");
        let mut done = 0;
        while done < registers {
            // Never a single register at the end of several: 4 = 2 + 2, 5 = 3 + 2.
            match registers - done {
                1 => {
                    this.column::<S, 1>(simd, done);
                    done += 1;
                }
                2 | 4 => {
                    this.column::<S, 2>(simd, done);
                    done += 2;
                }
                _ => {
                    this.column::<S, 3>(simd, done);
                    done += 3;
                }
            }
        }
    }
}

impl Forward<'_> {
    /// All rows at the `V` registers of positions from the register `first`.
    #[inline(always)]
    fn column<S: Simd, const V: usize>(&mut self, simd: S, first: usize) {
        let start = first * S::F32_LANES;
        let at = std::array::from_fn(|v| self.grid.at(start + v * S::F32_LANES));
        let mut values = self.matrix.values.as_slice();
        for (row, height) in heights(self.matrix.rows, self.matrix.tallest) {
            let (panel, rest) = values.split_at(height * self.matrix.depth);
            values = rest;
            match height {
                8 => self.tile::<S, 8, V>(simd, panel, row, start, at),
                4 => self.tile::<S, 4, V>(simd, panel, row, start, at),
                2 => self.tile::<S, 2, V>(simd, panel, row, start, at),
                _ => self.tile::<S, 1, V>(simd, panel, row, start, at),
            }
        }
    }

    #[allow(unsafe_code)]
    #[inline(always)]
    fn tile<S: Simd, const H: usize, const V: usize>(
        &mut self,
        simd: S,
        panel: &[f32],
        row: usize,
        start: usize,
        at: [usize; V],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; H];
        for (weights, &offset) in panel.as_chunks::<H>().0.iter().zip(self.offsets) {
            let mut values = [simd.splat_f32s(0.0); V];
            for v in 0..V {
                // SAFETY: `with_simd` has checked that a register fits after the last offset and position. Checking each read
                // costs a fifth of the speed.
                values[v] =
                    unsafe { self.copies.as_ptr().add(offset as usize + at[v]).cast::<S::f32s>().read_unaligned() };
            }
            for h in 0..H {
                let weight = simd.splat_f32s(weights[h]);
                for v in 0..V {
                    sums[h][v] = simd.mul_add_e_f32s(weight, values[v], sums[h][v]);
                }
            }
        }
        let mut rows = self.out[row * self.stride..].chunks_exact_mut(self.stride);
        for h in 0..H {
            let bias = simd.splat_f32s(self.bias.map_or(0.0, |bias| bias[row + h]));
            let out = rows.next().unwrap_or_default();
            let (out, _) = S::as_mut_simd_f32s(&mut out[start..][..V * S::F32_LANES]);
            for v in 0..V {
                out[v] = simd.add_f32s(sums[h][v], bias);
            }
        }
    }
}

/// `out[k, o] += Σ_p copies[offsets[k] + at(p)] · grad[p, o]` for all positions.
pub struct WeightGradient<'a> {
    pub offsets: &'a [u32],
    pub copies: &'a [f32],
    pub grid: Grid,
    /// `[grid.positions(), width]`
    pub grad: &'a [f32],
    /// Output channels, rounded up to whole registers.
    pub width: usize,
    /// `[offsets.len(), width]`
    pub out: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut this = self;
        if this.grid.pitch == this.grid.columns {
            this.grid = Grid { rows: 1, columns: this.grid.positions(), pitch: this.grid.positions() };
        }
        let registers = this.width / S::F32_LANES;
        let mut done = 0;
        while done < registers {
            match (registers - done, S::REGISTER_COUNT >= 32) {
                (1, true) if this.in_runs() => {
                    this.column_of_runs::<S, 4>(simd, done);
                    done += 1;
                }
                (1, true) => {
                    this.column::<S, 12, 1>(simd, done);
                    done += 1;
                }
                (2, true) => {
                    this.column::<S, 12, 2>(simd, done);
                    done += 2;
                }
                (3, true) => {
                    this.column::<S, 8, 3>(simd, done);
                    done += 3;
                }
                (_, true) => {
                    this.column::<S, 6, 4>(simd, done);
                    done += 4;
                }
                (1, false) => {
                    this.column::<S, 9, 1>(simd, done);
                    done += 1;
                }
                (_, false) => {
                    this.column::<S, 6, 2>(simd, done);
                    done += 2;
                }
            }
        }
    }
}

impl WeightGradient<'_> {
    /// All taps for the `V` registers of output channels from the register `first`, in tiles of `H` taps.
    #[inline(always)]
    fn column<S: Simd, const H: usize, const V: usize>(&mut self, simd: S, first: usize) {
        for start in (0..self.offsets.len()).step_by(H) {
            // The last tile may be short of taps: it repeats its last one and keeps only the new sums.
            let count = H.min(self.offsets.len() - start);
            let offsets = std::array::from_fn(|h| self.offsets[start + h.min(count - 1)] as usize);
            let sums = self.tile::<S, H, V>(simd, offsets, first * S::F32_LANES);
            let out = self.out[start * self.width..].chunks_exact_mut(self.width).take(count);
            for (out, sums) in out.zip(sums) {
                let (out, _) = S::as_mut_simd_f32s(&mut out[first * S::F32_LANES..][..V * S::F32_LANES]);
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = simd.add_f32s(*out, sum);
                }
            }
        }
    }

    /// Whether the taps come in threes that lie side by side: those of a row of a 3x3 kernel, on padded copies.
    fn in_runs(&self) -> bool {
        let (runs, rest) = self.offsets.as_chunks::<3>();
        rest.is_empty() && runs.iter().all(|&[a, b, c]| (b, c) == (a + 1, a + 2))
    }

    /// [`Self::column`] of one register, in tiles of `B` runs of three taps. A value that is a tap of several positions is
    /// spread over a register once for four of them: with one register of channels, these loads are what limits the speed.
    #[inline(always)]
    fn column_of_runs<S: Simd, const B: usize>(&mut self, simd: S, register: usize) {
        let channel = register * S::F32_LANES;
        for start in (0..self.offsets.len()).step_by(3 * B) {
            let count = B.min((self.offsets.len() - start) / 3);
            let offsets = std::array::from_fn(|b| self.offsets[start + 3 * b.min(count - 1)] as usize);
            let sums = self.tile_of_runs::<S, B>(simd, offsets, channel);
            let out = self.out[start * self.width..].chunks_exact_mut(self.width);
            for (out, sum) in out.zip(sums.as_flattened()).take(3 * count) {
                let (out, _) = S::as_mut_simd_f32s(&mut out[channel..][..S::F32_LANES]);
                out[0] = simd.add_f32s(out[0], *sum);
            }
        }
    }

    #[inline(always)]
    fn tile_of_runs<S: Simd, const B: usize>(&self, simd: S, offsets: [usize; B], channel: usize) -> [[S::f32s; 3]; B] {
        let mut sums = [[simd.splat_f32s(0.0); 3]; B];
        let columns = self.grid.columns;
        for (row, grad) in self.grad.chunks_exact(columns * self.width).enumerate() {
            let copies = &self.copies[row * self.grid.pitch..];
            let lines: [&[f32]; B] = std::array::from_fn(|b| &copies[offsets[b]..][..columns + 2]);
            let mut x = 0;
            while x + 4 <= columns {
                // No closures here: they would not be compiled for the instruction set.
                let mut grads = [simd.splat_f32s(0.0); 4];
                for i in 0..4 {
                    grads[i] = S::as_simd_f32s(&grad[(x + i) * self.width + channel..][..S::F32_LANES]).0[0];
                }
                for b in 0..B {
                    let Some(line) = lines[b][x..].first_chunk::<6>() else { continue };
                    let mut taps = [simd.splat_f32s(0.0); 6];
                    for i in 0..6 {
                        taps[i] = simd.splat_f32s(line[i]);
                    }
                    for i in 0..4 {
                        for r in 0..3 {
                            sums[b][r] = simd.mul_add_e_f32s(taps[i + r], grads[i], sums[b][r]);
                        }
                    }
                }
                x += 4;
            }
            for x in x..columns {
                let grad = S::as_simd_f32s(&grad[x * self.width + channel..][..S::F32_LANES]).0[0];
                for b in 0..B {
                    for r in 0..3 {
                        sums[b][r] = simd.mul_add_e_f32s(simd.splat_f32s(lines[b][x + r]), grad, sums[b][r]);
                    }
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn tile<S: Simd, const H: usize, const V: usize>(
        &self,
        simd: S,
        offsets: [usize; H],
        channel: usize,
    ) -> [[S::f32s; V]; H] {
        let mut sums = [[simd.splat_f32s(0.0); V]; H];
        let columns = self.grid.columns;
        for (row, grad) in self.grad.chunks_exact(columns * self.width).enumerate() {
            let copies = &self.copies[row * self.grid.pitch..];
            let taps: [&[f32]; H] = std::array::from_fn(|h| &copies[offsets[h]..][..columns]);
            for x in 0..columns {
                let (grad, _) = S::as_simd_f32s(&grad[x * self.width + channel..][..V * S::F32_LANES]);
                for h in 0..H {
                    let tap = simd.splat_f32s(taps[h][x]);
                    for v in 0..V {
                        sums[h][v] = simd.mul_add_e_f32s(tap, grad[v], sums[h][v]);
                    }
                }
            }
        }
        sums
    }
}
