//! The two matrix products of a convolution, on the shifted copies of [`super::planes`].
//!
//! Forward and input gradient: `out[m, p] = Σ_k a[m, k] · copies[offset_k + p]`, vectors along the positions `p`.
//! Weight gradient: `out[k, o] += Σ_p copies[offset_k + p] · grad[p, o]`, vectors along the output channels `o`.
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

/// Height of the panels that suits a number of vector registers: 8 rows of 3 vectors fill 32 registers, 4 of 3 fill 16.
pub fn tallest_panel(registers: usize) -> usize {
    if registers >= 32 { 8 } else { 4 }
}

/// Longest read past the last position, in elements: copies must be followed by this many.
pub fn slack(lanes: usize) -> usize {
    3 * lanes
}

/// `out[m, p] = bias[m] + Σ_k matrix[m, k] · copies[offsets[k] + p]` for `p` in `0..positions`.
pub struct Forward<'a> {
    pub matrix: &'a Panels,
    pub offsets: &'a [u32],
    pub copies: &'a [f32],
    pub positions: usize,
    pub bias: Option<&'a [f32]>,
    /// `[matrix.rows, positions]`
    pub out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut this = self;
        let vectors = this.positions.div_ceil(S::F32_LANES);
        let mut done = 0;
        while done < vectors {
            let start = done * S::F32_LANES;
            // Never a single vector at the end of several: 4 = 2 + 2, 5 = 3 + 2.
            match vectors - done {
                1 => {
                    this.column::<S, 1>(simd, start);
                    done += 1;
                }
                2 | 4 => {
                    this.column::<S, 2>(simd, start);
                    done += 2;
                }
                _ => {
                    this.column::<S, 3>(simd, start);
                    done += 3;
                }
            }
        }
    }
}

impl Forward<'_> {
    /// All rows at the `V` vectors of positions from `start`.
    #[inline(always)]
    fn column<S: Simd, const V: usize>(&mut self, simd: S, start: usize) {
        let mut values = self.matrix.values.as_slice();
        for (row, height) in heights(self.matrix.rows, self.matrix.tallest) {
            let (panel, rest) = values.split_at(height * self.matrix.depth);
            values = rest;
            match height {
                8 => self.tile::<S, 8, V>(simd, panel, row, start),
                4 => self.tile::<S, 4, V>(simd, panel, row, start),
                2 => self.tile::<S, 2, V>(simd, panel, row, start),
                _ => self.tile::<S, 1, V>(simd, panel, row, start),
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const H: usize, const V: usize>(&mut self, simd: S, panel: &[f32], row: usize, start: usize) {
        let mut sums = [[simd.splat_f32s(0.0); V]; H];
        let copies = &self.copies[start..];
        for (weights, &offset) in panel.as_chunks::<H>().0.iter().zip(self.offsets) {
            let (vectors, _) = S::as_simd_f32s(&copies[offset as usize..][..V * S::F32_LANES]);
            for h in 0..H {
                let weight = simd.splat_f32s(weights[h]);
                for v in 0..V {
                    sums[h][v] = simd.mul_add_e_f32s(weight, vectors[v], sums[h][v]);
                }
            }
        }
        for h in 0..H {
            let bias = simd.splat_f32s(self.bias.map_or(0.0, |bias| bias[row + h]));
            let out = &mut self.out[(row + h) * self.positions..][..self.positions][start..];
            for (v, out) in out.chunks_mut(S::F32_LANES).take(V).enumerate() {
                simd.partial_store_f32s(out, simd.add_f32s(sums[h][v], bias));
            }
        }
    }
}

/// `out[k, o] += Σ_p copies[offsets[k] + p] · grad[p, o]` for `p` in `0..positions`.
pub struct WeightGradient<'a> {
    pub offsets: &'a [u32],
    pub copies: &'a [f32],
    /// `[positions, width]`
    pub grad: &'a [f32],
    /// Output channels, rounded up to whole vectors.
    pub width: usize,
    /// `[offsets.len(), width]`
    pub out: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut this = self;
        let vectors = this.width / S::F32_LANES;
        let mut done = 0;
        while done < vectors {
            match (vectors - done, S::REGISTER_COUNT >= 32) {
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
    /// All taps for the `V` vectors of output channels from vector `first`, in tiles of `H` taps.
    #[inline(always)]
    fn column<S: Simd, const H: usize, const V: usize>(&mut self, simd: S, first: usize) {
        let positions = self.grad.len() / self.width;
        for start in (0..self.offsets.len()).step_by(H) {
            // The last tile may be short of taps: it repeats its last one and keeps only the new sums.
            let count = H.min(self.offsets.len() - start);
            let rows: [&[f32]; H] =
                std::array::from_fn(|h| &self.copies[self.offsets[start + h.min(count - 1)] as usize..][..positions]);
            let sums = tile::<S, H, V>(simd, rows, &self.grad[first * S::F32_LANES..], self.width, positions);
            let out = self.out[start * self.width..].chunks_exact_mut(self.width).take(count);
            for (out, sums) in out.zip(sums) {
                let (out, _) = S::as_mut_simd_f32s(&mut out[first * S::F32_LANES..][..V * S::F32_LANES]);
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = simd.add_f32s(*out, sum);
                }
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const H: usize, const V: usize>(
    simd: S,
    rows: [&[f32]; H],
    grad: &[f32],
    width: usize,
    positions: usize,
) -> [[S::f32s; V]; H] {
    let mut sums = [[simd.splat_f32s(0.0); V]; H];
    let rows: [&[f32]; H] = std::array::from_fn(|h| &rows[h][..positions]);
    for p in 0..positions {
        let (grads, _) = S::as_simd_f32s(&grad[p * width..][..V * S::F32_LANES]);
        for h in 0..H {
            let x = simd.splat_f32s(rows[h][p]);
            for v in 0..V {
                sums[h][v] = simd.mul_add_e_f32s(x, grads[v], sums[h][v]);
            }
        }
    }
    sums
}
