//! The two inner loops of the reverse pass: short lists of rank-one updates held in registers.
//!
//! Both add up, over a list of entries, the outer product of up to twelve coefficients (the gradients of as many outputs)
//! with up to four vectors, so that each entry costs M + N loads for M · N multiply-adds. The lists hold only what is not
//! zero: behind a ReLU about half of the gradients, behind max pooling a quarter at most, the same for all outputs.
//! One thread of a 2023 server core (AVX-512) does 110 to 180 GFLOP/s here, against 160 for `gemm` on 512-cubes.

use pulp::{Arch, Simd, WithSimd};

/// Room that has to follow the last value which an entry may name: vectors are loaded whole and their tails ignored.
pub(super) const SLACK: usize = 64;

/// Outputs of one tile at most.
const MOST_ROWS: usize = 12;

/// Sums of outer products over a list of entries: out[s, j] (+)= Σ_e coefficients[e, s] · values[at(e) + j].
pub(super) struct Updates<'a> {
    /// `[entries, outputs]`
    pub coefficients: &'a [f32],
    pub outputs: usize,
    /// Where the values of each entry begin, before the run's base is added (wrapping).
    pub places: &'a [u32],
    /// Which entries count, as runs `[start, end)` with the base that is added to their places.
    pub runs: &'a [Run],
    /// Longer by [`SLACK`] than what the places name.
    pub values: &'a [f32],
}

/// Neighbouring entries with one base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub start: usize,
    pub end: usize,
    pub base: u32,
}

/// What happens to the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// Overwrite.
    Replace,
    /// Add to what is there.
    Add,
}

impl Updates<'_> {
    /// Writes `[outputs, width]` sums to `out`, whose rows are `stride` apart.
    pub fn sum(&self, arch: Arch, out: &mut [f32], stride: usize, width: usize, store: Store) {
        arch.dispatch(All { updates: self, out, stride, width, store });
    }
}

struct All<'a> {
    updates: &'a Updates<'a>,
    out: &'a mut [f32],
    stride: usize,
    width: usize,
    store: Store,
}

impl WithSimd for All<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { updates, out, stride, width, store } = self;
        let vectors = width.div_ceil(S::F32_LANES);
        let mut done = 0;
        while done < vectors {
            let (most, columns) = tile_size::<S>(updates.outputs, vectors - done);
            let shift = done * S::F32_LANES;
            let mut first = 0;
            while first < updates.outputs {
                let rows = most.min(updates.outputs - first);
                macro_rules! run {
                    ($m:literal, $n:literal) => {
                        simd.vectorize(Tile::<$m, $n> { updates, first, shift, out: &mut *out, stride, width, store })
                    };
                }
                macro_rules! each_size {
                    ($($m:literal)*) => {
                        match (rows, columns) {
                            $(($m, 1) => run!($m, 1), ($m, 2) => run!($m, 2), ($m, 3) => run!($m, 3), ($m, 4) => run!($m, 4),)*
                            (1, 8) => run!(1, 8),
                            (2, 8) => run!(2, 8),
                            (3, 8) => run!(3, 8),
                            _ => unreachable!("tile_size returned {rows}x{columns}"),
                        }
                    };
                }
                each_size!(1 2 3 4 5 6 7 8 9 10 11 12);
                first += rows;
            }
            done += columns;
        }
    }
}

/// Rows and vectors of a tile: as many sums as the registers hold, rows split evenly. An entry costs a tile about half a
/// cycle for each sum and two cycles besides, so the largest tile is the best one.
fn tile_size<S: Simd>(outputs: usize, vectors: usize) -> (usize, usize) {
    let registers = if S::REGISTER_COUNT >= 32 { 24 } else { 12 };
    let mut best = (1, 1);
    for columns in [1, 2, 3, 4, 8].into_iter().filter(|&columns| columns <= vectors) {
        let rows = (registers / columns).min(MOST_ROWS).max(1);
        let rows = outputs.div_ceil(outputs.div_ceil(rows));
        if rows * columns > best.0 * best.1 {
            best = (rows, columns);
        }
    }
    best
}

/// One block of the sums.
struct Tile<'a, 'b, const M: usize, const N: usize> {
    updates: &'a Updates<'b>,
    /// First output of the tile.
    first: usize,
    /// First column of the tile.
    shift: usize,
    out: &'a mut [f32],
    stride: usize,
    width: usize,
    store: Store,
}

impl<const M: usize, const N: usize> WithSimd for Tile<'_, '_, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let Updates { coefficients, outputs, places, runs, values } = *self.updates;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        for run in runs {
            let base = run.base.wrapping_add(self.shift as u32);
            let entries = &coefficients[run.start * outputs..run.end * outputs];
            for (row, place) in entries.chunks_exact(outputs).zip(&places[run.start..run.end]) {
                let row = &row[self.first..self.first + M];
                let from = &values[base.wrapping_add(*place) as usize..][..N * lanes];
                let mut vectors = [simd.splat_f32s(0.0); N];
                for (vector, from) in vectors.iter_mut().zip(from.chunks_exact(lanes)) {
                    *vector = bytemuck::pod_read_unaligned(bytemuck::cast_slice(from));
                }
                for i in 0..M {
                    let coefficient = simd.splat_f32s(row[i]);
                    for j in 0..N {
                        sums[i][j] = simd.mul_add_e_f32s(coefficient, vectors[j], sums[i][j]);
                    }
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let row = &mut self.out[(self.first + i) * self.stride..][..self.width];
            for (to, sum) in row[self.shift..].chunks_mut(lanes).zip(sums) {
                let sum = match self.store {
                    Store::Replace => *sum,
                    Store::Add => simd.add_f32s(*sum, simd.partial_load_f32s(to)),
                };
                simd.partial_store_f32s(to, sum);
            }
        }
    }
}
