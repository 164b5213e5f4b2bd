//! Symmetric products: the inner products of the rows of a matrix with each other, one triangle of them, which is half of the work of
//! a general product.
//!
//! Rows are multiplied where they are, without being packed: a tile of 4 x 6 of their products (2 x 4 with 16 registers) is kept in
//! registers while it reads neighbouring values of ten rows. Products are in f32, over [`DEPTH`] values in as many partial sums as
//! a vector has lanes; their sums are in f64. The split of the work depends on the sizes only, and partial sums are added in a fixed
//! order: the bits do not depend on the number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Values of a row that are multiplied in one go.
const DEPTH: usize = 2048;
/// Columns of a piece of a block that is one task, at most.
const PIECE: usize = 4 * DEPTH;
/// Rows that are multiplied with all rows of a band before the next ones: they stay in the second-level cache. A multiple of six and
/// of four.
const PANEL: usize = 60;
/// Rows of the triangle that are one task.
const BAND: usize = 96;
/// Values of the partial sums of one product, at most: 16 MiB.
const PARTS: usize = 2 << 20;
/// Partial sums of one product, at most.
const MOST_PARTS: usize = 16;

/// A matrix `[n, columns]`, its rows `stride` values apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub columns: usize,
}

impl<'a> Block<'a> {
    /// The block cut into pieces of a few columns.
    fn pieces(&self) -> impl Iterator<Item = Block<'a>> {
        let Self { values, stride, columns } = *self;
        (0..columns).step_by(PIECE).map(move |first| Block {
            values: &values[first..],
            stride,
            columns: PIECE.min(columns - first),
        })
    }

    fn row(&self, row: usize, first: usize, columns: usize) -> &'a [f32] {
        &self.values[row * self.stride + first..][..columns]
    }
}

/// Adds to the lower triangle of each matrix `[n, n]` of `out` the products of the rows of its blocks: out[i, j] += Σ ⟨block[i], block[j]⟩
/// for j ≤ i.
pub(super) fn add_products(blocks: &[Vec<Block>], n: usize, out: &mut [f64]) {
    let arch = Arch::new();
    let most = if blocks.len() == 1 { (PARTS / (n * n)).min(MOST_PARTS) } else { 1 };
    if most <= 1 {
        out.par_chunks_mut(n * n).zip(blocks).for_each(|(out, blocks)| {
            let bands = out.par_chunks_mut(BAND * n).enumerate();
            bands.for_each(|(band, out)| arch.dispatch(Band { blocks, first: band * BAND, n, out }));
        });
        return;
    }
    // A small matrix: not its rows but pieces of the blocks are shared out.
    let pieces: Vec<Block> = blocks.iter().flatten().flat_map(Block::pieces).collect();
    let part = |pieces: &[Block]| {
        let mut part = vec![0.0; n * n];
        for (band, out) in part.chunks_mut(BAND * n).enumerate() {
            arch.dispatch(Band { blocks: pieces, first: band * BAND, n, out });
        }
        part
    };
    let parts: Vec<Vec<f64>> = pieces.par_chunks(pieces.len().div_ceil(most).max(1)).map(part).collect();
    for part in parts {
        out.iter_mut().zip(part).for_each(|(to, value)| *to += value);
    }
}

/// Some rows of the triangle, from `first` on.
struct Band<'a> {
    blocks: &'a [Block<'a>],
    first: usize,
    n: usize,
    /// `[rows, n]`
    out: &'a mut [f64],
}

impl WithSimd for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.tiles::<S, 4, 6>(simd) } else { self.tiles::<S, 2, 4>(simd) }
    }
}

impl Band<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const M: usize, const N: usize>(self, simd: S) {
        let Self { blocks, first, n, out } = self;
        let rows = out.len() / n;
        for block in blocks {
            for start in (0..block.columns).step_by(DEPTH) {
                let columns = DEPTH.min(block.columns - start);
                for panel in (0..first + rows).step_by(PANEL) {
                    for i in (0..rows).step_by(M).filter(|i| first + i + M > panel) {
                        let last = (first + i + M).min(first + rows);
                        // A tile that would reach past the last row repeats it.
                        let left: [&[f32]; M] =
                            std::array::from_fn(|m| block.row((first + i + m).min(last - 1), start, columns));
                        for j in (panel..last.min(panel + PANEL)).step_by(N) {
                            let right: [&[f32]; N] =
                                std::array::from_fn(|k| block.row((j + k).min(last - 1), start, columns));
                            let sums = tile::<S, M, N>(simd, left, right);
                            for (m, sums) in sums.iter().enumerate().take(rows - i) {
                                let end = (first + i + m + 1).clamp(j, j + N).min(panel + PANEL).max(j);
                                let row = &mut out[(i + m) * n..][..n];
                                row[j..end].iter_mut().zip(sums).for_each(|(to, sum)| *to += f64::from(*sum));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The inner products of M rows with N others, all of one length.
#[inline(always)]
fn tile<S: Simd, const M: usize, const N: usize>(simd: S, left: [&[f32]; M], right: [&[f32]; N]) -> [[f32; N]; M] {
    let count = left[0].len() / S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    let mut a: [&[S::f32s]; M] = [&[]; M];
    let mut b: [&[S::f32s]; N] = [&[]; N];
    for m in 0..M {
        a[m] = &S::as_simd_f32s(left[m]).0[..count];
    }
    for k in 0..N {
        b[k] = &S::as_simd_f32s(right[k]).0[..count];
    }
    for t in 0..count {
        let mut values = [simd.splat_f32s(0.0); M];
        for m in 0..M {
            values[m] = a[m][t];
        }
        for k in 0..N {
            let value = b[k][t];
            for m in 0..M {
                sums[m][k] = simd.mul_add_e_f32s(values[m], value, sums[m][k]);
            }
        }
    }
    let rest = count * S::F32_LANES;
    if rest < left[0].len() {
        for k in 0..N {
            let value = simd.partial_load_f32s(&right[k][rest..]);
            for m in 0..M {
                sums[m][k] = simd.mul_add_e_f32s(simd.partial_load_f32s(&left[m][rest..]), value, sums[m][k]);
            }
        }
    }
    let mut out = [[0.0; N]; M];
    for m in 0..M {
        for k in 0..N {
            out[m][k] = simd.reduce_sum_f32s(sums[m][k]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The lower triangle in f64.
    fn expected(values: &[f32], n: usize, stride: usize, first: usize, columns: usize, out: &mut [f64]) {
        for i in 0..n {
            for j in 0..=i {
                let row = |row: usize| &values[row * stride + first..][..columns];
                out[i * n + j] += row(i).iter().zip(row(j)).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            }
        }
    }

    #[test]
    fn products_of_rows_whatever_their_number_and_length() {
        let mut random = Random::from_parts(1, "gram", 0);
        for n in [1, 2, 5, 17, 96, 97, 200] {
            for columns in [1, 7, 16, 33, 1024, 1500, 2500] {
                let stride = columns * 2 + 3;
                let values: Vec<f32> = (0..n * stride).map(|_| random.uniform() as f32 - 0.3).collect();
                let block = |first: usize| Block { values: &values[first..], stride, columns };
                let mut sums = vec![0.25; n * n];
                let mut exact = sums.clone();
                add_products(&[vec![block(0), block(columns)]], n, &mut sums);
                expected(&values, n, stride, 0, columns, &mut exact);
                expected(&values, n, stride, columns, columns, &mut exact);
                let size = exact.iter().copied().fold(0.0, f64::max);
                for (at, (a, b)) in sums.iter().zip(&exact).enumerate() {
                    assert!((a - b).abs() <= 1e-6 * size, "{n} rows of {columns}: {a}, not {b} at {at}");
                }
                // Each in a matrix of its own.
                let mut each = vec![0.0; 2 * n * n];
                add_products(&[vec![block(0)], vec![block(columns)]], n, &mut each);
                let (one, two) = each.split_at(n * n);
                for ((a, b), sum) in one.iter().zip(two).zip(&sums) {
                    assert!((a + b - (sum - 0.25)).abs() <= 1e-6 * size);
                }
            }
        }
    }
}
