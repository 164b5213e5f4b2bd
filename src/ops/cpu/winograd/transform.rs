//! From tiles to points and back, a register of channels at a time.
//!
//! The matrices are those of Toom and Cook for the points 0, ±3/4, ±3/2 and ∞ (Winograd 1980; Lavin & Gray 2016 take 0, ±1, ±2
//! and ∞): all constants are exact, and the error of a convolution is a quarter of that with Lavin & Gray's.

#![allow(
    clippy::needless_range_loop,
    reason = "iterators take closures, which would not be compiled for the instruction set"
)]

use pulp::{Simd, WithSimd};

/// The squares of the finite points other than 0, and their sum and product.
const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// A linear map of `I` values to `O`, applied to the columns and then to the rows of a square.
pub trait Line<const I: usize, const O: usize>: Copy {
    fn apply<S: Simd>(self, simd: S, x: [S::f32s; I]) -> [S::f32s; O];
}

/// `Bᵀ`: of an input tile.
#[derive(Debug, Clone, Copy)]
pub struct Input;
/// `G`: of a kernel.
#[derive(Debug, Clone, Copy)]
pub struct Kernel;
/// `Aᵀ`: to an output tile.
#[derive(Debug, Clone, Copy)]
pub struct Output;
/// `A`: of the gradient of an output tile.
#[derive(Debug, Clone, Copy)]
pub struct OutputGradient;
/// `B`: to the gradient of an input tile.
#[derive(Debug, Clone, Copy)]
pub struct InputGradient;
/// `Gᵀ`: to the gradient of a kernel.
#[derive(Debug, Clone, Copy)]
pub struct KernelGradient;

/// `k · x + plus`
#[inline(always)]
fn times<S: Simd>(simd: S, k: f32, x: S::f32s, plus: S::f32s) -> S::f32s {
    simd.mul_add_e_f32s(simd.splat_f32s(k), x, plus)
}

/// `k · x`
#[inline(always)]
fn scaled<S: Simd>(simd: S, k: f32, x: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.splat_f32s(k), x)
}

impl Line<6, 6> for Input {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: [S::f32s; 6]) -> [S::f32s; 6] {
        let (even_a, odd_a) = (times(simd, -B2, x[2], x[4]), times(simd, -B2, x[1], x[3]));
        let (even_b, odd_b) = (times(simd, -A2, x[2], x[4]), times(simd, -A2, x[1], x[3]));
        [
            times(simd, A2 * B2, x[0], times(simd, -A2 - B2, x[2], x[4])),
            times(simd, A, odd_a, even_a),
            times(simd, -A, odd_a, even_a),
            times(simd, B, odd_b, even_b),
            times(simd, -B, odd_b, even_b),
            times(simd, A2 * B2, x[1], times(simd, -A2 - B2, x[3], x[5])),
        ]
    }
}

impl Line<3, 6> for Kernel {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: [S::f32s; 3]) -> [S::f32s; 6] {
        let (even_a, even_b) = (times(simd, A2, x[2], x[0]), times(simd, B2, x[2], x[0]));
        let (scale_a, scale_b) = (1.0 / (2.0 * A2 * (A2 - B2)), 1.0 / (2.0 * B2 * (B2 - A2)));
        [
            scaled(simd, 1.0 / (A2 * B2), x[0]),
            scaled(simd, scale_a, times(simd, A, x[1], even_a)),
            scaled(simd, scale_a, times(simd, -A, x[1], even_a)),
            scaled(simd, scale_b, times(simd, B, x[1], even_b)),
            scaled(simd, scale_b, times(simd, -B, x[1], even_b)),
            x[2],
        ]
    }
}

impl Line<6, 4> for Output {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: [S::f32s; 6]) -> [S::f32s; 4] {
        let (sum_a, difference_a) = (simd.add_f32s(x[1], x[2]), simd.sub_f32s(x[1], x[2]));
        let (sum_b, difference_b) = (simd.add_f32s(x[3], x[4]), simd.sub_f32s(x[3], x[4]));
        [
            simd.add_f32s(x[0], simd.add_f32s(sum_a, sum_b)),
            times(simd, A, difference_a, scaled(simd, B, difference_b)),
            times(simd, A2, sum_a, scaled(simd, B2, sum_b)),
            times(simd, A * A2, difference_a, times(simd, B * B2, difference_b, x[5])),
        ]
    }
}

impl Line<4, 6> for OutputGradient {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: [S::f32s; 4]) -> [S::f32s; 6] {
        let (even_a, odd_a) = (times(simd, A2, x[2], x[0]), times(simd, A2, x[3], x[1]));
        let (even_b, odd_b) = (times(simd, B2, x[2], x[0]), times(simd, B2, x[3], x[1]));
        [
            x[0],
            times(simd, A, odd_a, even_a),
            times(simd, -A, odd_a, even_a),
            times(simd, B, odd_b, even_b),
            times(simd, -B, odd_b, even_b),
            x[3],
        ]
    }
}

impl Line<6, 6> for InputGradient {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: [S::f32s; 6]) -> [S::f32s; 6] {
        let (sum_a, difference_a) = (simd.add_f32s(x[1], x[2]), simd.sub_f32s(x[1], x[2]));
        let (sum_b, difference_b) = (simd.add_f32s(x[3], x[4]), simd.sub_f32s(x[3], x[4]));
        [
            scaled(simd, A2 * B2, x[0]),
            times(simd, -A * B2, difference_a, times(simd, -A2 * B, difference_b, scaled(simd, A2 * B2, x[5]))),
            times(simd, -A2 - B2, x[0], times(simd, -B2, sum_a, scaled(simd, -A2, sum_b))),
            times(simd, A, difference_a, times(simd, B, difference_b, scaled(simd, -A2 - B2, x[5]))),
            simd.add_f32s(x[0], simd.add_f32s(sum_a, sum_b)),
            x[5],
        ]
    }
}

impl Line<6, 3> for KernelGradient {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: [S::f32s; 6]) -> [S::f32s; 3] {
        let (scale_a, scale_b) = (1.0 / (2.0 * A2 * (A2 - B2)), 1.0 / (2.0 * B2 * (B2 - A2)));
        let sum_a = scaled(simd, scale_a, simd.add_f32s(x[1], x[2]));
        let difference_a = scaled(simd, scale_a, simd.sub_f32s(x[1], x[2]));
        let sum_b = scaled(simd, scale_b, simd.add_f32s(x[3], x[4]));
        let difference_b = scaled(simd, scale_b, simd.sub_f32s(x[3], x[4]));
        [
            times(simd, 1.0 / (A2 * B2), x[0], simd.add_f32s(sum_a, sum_b)),
            times(simd, A, difference_a, scaled(simd, B, difference_b)),
            times(simd, A2, sum_a, times(simd, B2, sum_b, x[5])),
        ]
    }
}

/// Squares of `[rows, columns, width]` values, channels last: those of one image after those of another.
#[derive(Debug, Clone, Copy)]
pub struct Squares {
    /// Rows and columns of squares in an image.
    pub squares: [usize; 2],
    /// From a square to the next, in rows and in columns.
    pub apart: usize,
    /// Rows and columns of values in an image.
    pub size: [usize; 2],
    /// Channels, whole registers.
    pub width: usize,
}

impl Squares {
    /// Length of an image.
    pub fn len(&self) -> usize {
        self.size[0] * self.size[1] * self.width
    }

    /// From a row of values to the next.
    fn pitch(&self) -> usize {
        self.size[1] * self.width
    }

    /// Where the first value of a square lies.
    #[inline(always)]
    fn corner(&self, square: usize) -> usize {
        let [rows, columns] = self.squares;
        let (image, row, column) = (square / (rows * columns), square / columns % rows, square % columns);
        image * self.len() + row * self.apart * self.pitch() + column * self.apart * self.width
    }
}

/// The values of some squares at the 36 points: `[point, square, width]`, points `step` apart.
#[derive(Debug, Clone, Copy)]
pub struct Points {
    /// The first square, and how many there are.
    pub first: usize,
    pub count: usize,
    pub step: usize,
}

/// Squares of `I x I` to points.
pub struct Spread<'a, L, const I: usize> {
    pub line: L,
    pub squares: Squares,
    pub from: &'a [f32],
    pub points: Points,
    pub to: &'a mut [f32],
}

impl<L: Line<I, 6>, const I: usize> WithSimd for Spread<'_, L, I> {
    type Output = ();

    #[allow(unsafe_code)]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { line, squares, from, points: Points { first, count, step }, to } = self;
        let (width, pitch) = (squares.width, squares.pitch());
        assert!(35 * step + count * width <= to.len(), "the points are too short");
        for square in 0..count {
            let corner = &from[squares.corner(first + square)..];
            assert!((I - 1) * (pitch + width) + width <= corner.len(), "a square reaches past its image");
            for at in (0..width).step_by(S::F32_LANES) {
                let mut half = [[simd.splat_f32s(0.0); I]; 6];
                for j in 0..I {
                    let mut column = [simd.splat_f32s(0.0); I];
                    for i in 0..I {
                        // SAFETY: the end of the square has just been compared with that of the slice.
                        column[i] = unsafe { read::<S>(corner, i * pitch + j * width + at) };
                    }
                    let column = line.apply(simd, column);
                    for i in 0..6 {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..6 {
                    let row = line.apply(simd, half[i]);
                    for j in 0..6 {
                        // SAFETY: the end of the last point has been compared with that of the slice.
                        unsafe { write::<S>(to, (6 * i + j) * step + square * width + at, row[j]) };
                    }
                }
            }
        }
    }
}

/// What the values of squares are added to.
#[derive(Debug, Clone, Copy)]
pub enum Onto<'a> {
    Nothing,
    /// What lies there.
    Old,
    /// A value for each channel.
    Channels(&'a [f32]),
}

/// Points to squares of `O x O`.
pub struct Gather<'a, L, const O: usize> {
    pub line: L,
    pub squares: Squares,
    pub from: &'a [f32],
    pub points: Points,
    pub onto: Onto<'a>,
    pub to: &'a mut [f32],
}

impl<L: Line<6, O>, const O: usize> WithSimd for Gather<'_, L, O> {
    type Output = ();

    #[allow(unsafe_code)]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { line, squares, from, points: Points { first, count, step }, onto, to } = self;
        let (width, pitch) = (squares.width, squares.pitch());
        assert!(35 * step + count * width <= from.len(), "the points are too short");
        if let Onto::Channels(values) = onto {
            assert!(width <= values.len(), "every channel needs a value");
        }
        for square in 0..count {
            let corner = &mut to[squares.corner(first + square)..];
            assert!((O - 1) * (pitch + width) + width <= corner.len(), "a square reaches past its image");
            for at in (0..width).step_by(S::F32_LANES) {
                let mut half = [[simd.splat_f32s(0.0); 6]; O];
                for j in 0..6 {
                    let mut column = [simd.splat_f32s(0.0); 6];
                    for i in 0..6 {
                        // SAFETY: the end of the last point has been compared with that of the slice.
                        column[i] = unsafe { read::<S>(from, (6 * i + j) * step + square * width + at) };
                    }
                    let column = line.apply(simd, column);
                    for i in 0..O {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..O {
                    let row = line.apply(simd, half[i]);
                    for j in 0..O {
                        let place = i * pitch + j * width + at;
                        // SAFETY: the end of the square, and that of the channels, have been compared with those of the slices.
                        unsafe {
                            let value = match onto {
                                Onto::Nothing => row[j],
                                Onto::Old => simd.add_f32s(read::<S>(corner, place), row[j]),
                                Onto::Channels(values) => simd.add_f32s(row[j], read::<S>(values, at)),
                            };
                            write::<S>(corner, place, value);
                        }
                    }
                }
            }
        }
    }
}

/// The register at a place.
///
/// # Safety
/// A register must fit between the place and the end of the slice.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn read<S: Simd>(from: &[f32], at: usize) -> S::f32s {
    debug_assert!(at + S::F32_LANES <= from.len());
    // SAFETY: by the caller.
    unsafe { from.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
}

/// Writes a register to a place.
///
/// # Safety
/// As [`read`].
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn write<S: Simd>(to: &mut [f32], at: usize, value: S::f32s) {
    debug_assert!(at + S::F32_LANES <= to.len());
    // SAFETY: by the caller.
    unsafe { to.as_mut_ptr().add(at).cast::<S::f32s>().write_unaligned(value) }
}
