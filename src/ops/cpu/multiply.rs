//! Matrix products of factors as they lie: a tile of the result stays in registers over the whole sum, a register of the right
//! factor's columns is read at a time, and the left factor's values are spread over registers one by one. Nothing is packed, so
//! this is for factors (or parts of them) that the caches hold.

#![allow(
    clippy::needless_range_loop,
    reason = "iterators take closures, which would not be compiled for the instruction set"
)]

use pulp::{Simd, WithSimd};

/// Rows and columns of a result, and the terms of the sum that each of its elements is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub rows: usize,
    pub depth: usize,
    /// A multiple of the lanes of a register.
    pub width: usize,
}

/// A factor whose element lies `[a, b]` times its place from its start, and from one product to the next `step` further on.
#[derive(Debug, Clone, Copy)]
pub struct Factor<'a> {
    pub values: &'a [f32],
    pub strides: [usize; 2],
    pub step: usize,
}

/// `out[r, o] = Σ_d left[r, d] · right[d, o]` for each of `count` products, added to what `out` holds where `add` says so. The
/// columns of `right` and `out` must be neighbours. The order of a sum depends on nothing but its depth.
pub struct Multiply<'a> {
    pub count: usize,
    pub size: Size,
    pub left: Factor<'a>,
    /// From one row of `right` to the next.
    pub right: (&'a [f32], usize),
    pub right_step: usize,
    /// From one row of `out` to the next.
    pub out: (&'a mut [f32], usize),
    pub out_step: usize,
    pub add: bool,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut this = self;
        let Size { rows, depth, width } = this.size;
        if this.count == 0 || rows == 0 || width == 0 {
            return;
        }
        let (last, ends) = (this.count - 1, [rows - 1, depth.max(1) - 1]);
        let left_end = last * this.left.step + ends[0] * this.left.strides[0] + ends[1] * this.left.strides[1] + 1;
        let right_end = last * this.right_step + ends[1] * this.right.1 + width;
        let out_end = last * this.out_step + ends[0] * this.out.1 + width;
        assert!(width.is_multiple_of(S::F32_LANES), "a product has whole registers of columns");
        assert!(depth == 0 || left_end <= this.left.values.len(), "the left factor is too short");
        assert!(depth == 0 || right_end <= this.right.0.len(), "the right factor is too short");
        assert!(out_end <= this.out.0.len(), "the result is too short");
        for product in 0..this.count {
            let registers = width / S::F32_LANES;
            let mut done = 0;
            while done < registers {
                match (registers - done, S::REGISTER_COUNT >= 32) {
                    (1, _) => done += this.columns::<S, 1>(simd, product, done),
                    (3, true) => done += this.columns::<S, 3>(simd, product, done),
                    (2, true) | (_, false) => done += this.columns::<S, 2>(simd, product, done),
                    (_, true) => done += this.columns::<S, 4>(simd, product, done),
                }
            }
        }
    }
}

impl Multiply<'_> {
    /// All rows at the `V` registers of columns from the register `first`; returns `V`.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, product: usize, first: usize) -> usize {
        let tallest = match (V, S::REGISTER_COUNT >= 32) {
            (1, true) => 16,
            (2 | 3, true) | (1, false) => 8,
            _ => 6,
        };
        let at = first * S::F32_LANES;
        let mut row = 0;
        while row < self.size.rows {
            let most = tallest.min(self.size.rows - row);
            row += match most {
                16.. => self.tile::<S, 16, V>(simd, product, row, at),
                8.. => self.tile::<S, 8, V>(simd, product, row, at),
                6.. => self.tile::<S, 6, V>(simd, product, row, at),
                4.. => self.tile::<S, 4, V>(simd, product, row, at),
                2.. => self.tile::<S, 2, V>(simd, product, row, at),
                _ => self.tile::<S, 1, V>(simd, product, row, at),
            };
        }
        V
    }

    /// `H` rows from `row`, `V` registers of columns from `at`; returns `H`.
    #[allow(unsafe_code)]
    #[inline(always)]
    fn tile<S: Simd, const H: usize, const V: usize>(
        &mut self,
        simd: S,
        product: usize,
        row: usize,
        at: usize,
    ) -> usize {
        let mut sums = [[simd.splat_f32s(0.0); V]; H];
        let [left_row, left_depth] = self.left.strides;
        // SAFETY: `with_simd` has compared the ends of both factors with the lengths of their slices. Checking each read costs a
        // fifth of the speed.
        unsafe {
            let left = self.left.values.as_ptr().add(product * self.left.step + row * left_row);
            let right = self.right.0.as_ptr().add(product * self.right_step + at);
            for d in 0..self.size.depth {
                let mut values = [simd.splat_f32s(0.0); V];
                for v in 0..V {
                    let from = right.add(d * self.right.1 + v * S::F32_LANES);
                    values[v] = from.cast::<S::f32s>().read_unaligned();
                }
                for h in 0..H {
                    let value = simd.splat_f32s(*left.add(h * left_row + d * left_depth));
                    for v in 0..V {
                        sums[h][v] = simd.mul_add_e_f32s(value, values[v], sums[h][v]);
                    }
                }
            }
        }
        // SAFETY: `with_simd` has compared the end of the result with the length of its slice.
        unsafe {
            let out = self.out.0.as_mut_ptr().add(product * self.out_step + row * self.out.1 + at);
            for h in 0..H {
                for v in 0..V {
                    let to = out.add(h * self.out.1 + v * S::F32_LANES).cast::<S::f32s>();
                    let sum = sums[h][v];
                    to.write_unaligned(if self.add { simd.add_f32s(to.read_unaligned(), sum) } else { sum });
                }
            }
        }
        H
    }
}
