//! The two inner loops of the reverse pass: short lists of rank-one updates held in registers.
//!
//! Both add up, over a list of entries, the outer product of up to twelve coefficients (the gradients of as many outputs)
//! with up to eight vectors, so that each entry costs M + N loads for M · N multiply-adds. The lists hold only what is not
//! zero: behind a ReLU about half of the gradients, behind max pooling a quarter at most, the same for all outputs.
//! One thread of a 2023 server core (AVX-512) does 110 to 180 GFLOP/s here, against 160 for `gemm` on 512-cubes.

use pulp::{Arch, Simd, WithSimd};

/// Room that has to follow the last value that is named: vectors are loaded whole and their tails ignored.
pub(super) const SLACK: usize = 64;

/// Outputs of one tile at most.
const MOST_ROWS: usize = 12;

/// Sums of outer products over lists of entries: out[job, s, j] (+)= Σ_e coefficients[e, s] · values[place(e) + j].
#[derive(Clone, Copy)]
pub(super) struct Updates<'a> {
    /// `[entries, outputs]`
    pub coefficients: &'a [f32],
    pub outputs: usize,
    /// Where the values of each entry begin, before the run's base is added (wrapping).
    pub places: &'a [u32],
    /// Longer by [`SLACK`] than what the places name.
    pub values: &'a [f32],
    pub runs: &'a [Run],
    pub jobs: &'a [Job],
    /// Values j of each sum.
    pub width: usize,
}

/// Neighbouring entries `start..end`, with what is added to their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub start: usize,
    pub end: usize,
    pub base: u32,
}

/// One sum `[outputs, width]`: the runs `first..last`, to be put at `out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    pub first: usize,
    pub last: usize,
    pub out: usize,
}

/// What happens to the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Replace,
    /// Add to what is there.
    Add,
}

impl Updates<'_> {
    /// Does all jobs; the rows of each output are `stride` apart.
    pub fn sum(&self, arch: Arch, out: &mut [f32], stride: usize, store: Store) {
        arch.dispatch(All { updates: self, out, stride, store });
    }
}

struct All<'a> {
    updates: &'a Updates<'a>,
    out: &'a mut [f32],
    stride: usize,
    store: Store,
}

impl WithSimd for All<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { updates, out, stride, store } = self;
        let tiles = tiles::<S>(updates.outputs, updates.width);
        for job in updates.jobs {
            let runs = &updates.runs[job.first..job.last];
            let out = &mut out[job.out..];
            for &Place { first, shift, rows, columns } in &tiles {
                macro_rules! run {
                    ($m:literal, $n:literal) => {
                        simd.vectorize(Tile::<$m, $n> { updates, runs, first, shift, out: &mut *out, stride, store })
                    };
                }
                macro_rules! each_size {
                    ($($m:literal)*) => {
                        match (rows, columns) {
                            $(($m, 1) => run!($m, 1), ($m, 2) => run!($m, 2), ($m, 3) => run!($m, 3), ($m, 4) => run!($m, 4),)*
                            (1, 8) => run!(1, 8),
                            (2, 8) => run!(2, 8),
                            (3, 8) => run!(3, 8),
                            _ => unreachable!("no tile of {rows}x{columns} is planned"),
                        }
                    };
                }
                each_size!(1 2 3 4 5 6 7 8 9 10 11 12);
            }
        }
    }
}

/// A tile of a sum: outputs from `first`, values from `shift`.
struct Place {
    first: usize,
    shift: usize,
    rows: usize,
    columns: usize,
}

/// Covers a sum by tiles that its registers hold, rows split evenly. A tile of rows · vectors sums takes about half a cycle for
/// each of them and two besides for an entry, and at least the four that an addition takes: the cheapest width per vector wins.
fn tiles<S: Simd>(outputs: usize, width: usize) -> Vec<Place> {
    let registers = if S::REGISTER_COUNT >= 32 { 24 } else { 12 };
    let vectors = width.div_ceil(S::F32_LANES);
    let rows_of = |columns: usize| {
        let most = (registers / columns).min(MOST_ROWS);
        outputs.div_ceil(outputs.div_ceil(most))
    };
    let cost = |columns: usize| {
        let rows = rows_of(columns);
        let one = |rows: usize| ((rows * columns).max(8) + 4) as f64;
        let rest = if outputs.is_multiple_of(rows) { 0.0 } else { one(outputs % rows) };
        ((outputs / rows) as f64 * one(rows) + rest) / columns as f64
    };
    let mut tiles = Vec::new();
    let mut done = 0;
    while done < vectors {
        let sizes = [1, 2, 3, 4, 8].into_iter().filter(|&n| n <= vectors - done && (n < 8 || rows_of(n) <= 3));
        let columns = sizes.min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or(1);
        let rows = rows_of(columns);
        for first in (0..outputs).step_by(rows) {
            tiles.push(Place { first, shift: done * S::F32_LANES, rows: rows.min(outputs - first), columns });
        }
        done += columns;
    }
    tiles
}

struct Tile<'a, const M: usize, const N: usize> {
    updates: &'a Updates<'a>,
    runs: &'a [Run],
    first: usize,
    shift: usize,
    out: &'a mut [f32],
    stride: usize,
    store: Store,
}

impl<const M: usize, const N: usize> WithSimd for Tile<'_, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let Updates { coefficients, outputs, places, values, width, .. } = *self.updates;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        for run in self.runs {
            let base = run.base.wrapping_add(self.shift as u32);
            let entries = &coefficients[run.start * outputs..run.end * outputs];
            for (row, place) in entries.chunks_exact(outputs).zip(&places[run.start..run.end]) {
                let row = &row[self.first..self.first + M];
                let from = &values[base.wrapping_add(*place) as usize..][..N * lanes];
                let mut vectors = [simd.splat_f32s(0.0); N];
                for (vector, from) in vectors.iter_mut().zip(from.chunks_exact(lanes)) {
                    *vector = load::<S>(from);
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
            let row = &mut self.out[(self.first + i) * self.stride..][self.shift..width];
            for (to, sum) in row.chunks_mut(lanes).zip(sums) {
                let add = |to: &[f32], sum| match self.store {
                    Store::Replace => sum,
                    Store::Add => simd.add_f32s(sum, simd.partial_load_f32s(to)),
                };
                if to.len() == lanes {
                    to.copy_from_slice(bytemuck::cast_slice(&[add(to, *sum)]));
                } else {
                    simd.partial_store_f32s(to, add(to, *sum));
                }
            }
        }
    }
}

/// One whole vector.
#[inline(always)]
fn load<S: Simd>(from: &[f32]) -> S::f32s {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&from[..S::F32_LANES]))
}

/// Copies rows `[outputs]` of `from` to `to`, in the order of `picks`. Both have to be longer by [`SLACK`] than their rows.
pub(super) fn pick_rows(arch: Arch, from: &[f32], outputs: usize, picks: &[u32], to: &mut [f32]) {
    arch.dispatch(Pick { from, outputs, picks, to });
}

struct Pick<'a> {
    from: &'a [f32],
    outputs: usize,
    picks: &'a [u32],
    to: &'a mut [f32],
}

impl WithSimd for Pick<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let lanes = S::F32_LANES;
        for (index, &pick) in self.picks.iter().enumerate() {
            // What a whole vector writes past its row, the next row overwrites.
            for part in (0..self.outputs).step_by(lanes) {
                let vector = load::<S>(&self.from[pick as usize * self.outputs + part..]);
                let to = &mut self.to[index * self.outputs + part..][..lanes];
                to.copy_from_slice(bytemuck::cast_slice(&[vector]));
            }
        }
    }
}

/// Sums of rows `[n, outputs]`; `rows` has to be longer by [`SLACK`].
pub(super) fn sum_rows(arch: Arch, rows: &[f32], n: usize, outputs: usize, sums: &mut Vec<f32>) {
    sums.clear();
    sums.resize(outputs, 0.0);
    arch.dispatch(SumRows { rows, n, outputs, sums });
}

struct SumRows<'a> {
    rows: &'a [f32],
    n: usize,
    outputs: usize,
    sums: &'a mut [f32],
}

impl WithSimd for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        for (part, to) in self.sums.chunks_mut(lanes).enumerate() {
            let mut sum = simd.splat_f32s(0.0);
            for row in 0..self.n {
                sum = simd.add_f32s(sum, load::<S>(&self.rows[row * self.outputs + part * lanes..]));
            }
            simd.partial_store_f32s(to, sum);
        }
    }
}
