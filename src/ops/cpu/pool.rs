//! Pooling over square windows that do not overlap, and over whole images.

use super::parallel::{each, each_pair};

/// Windows of `size x size` at a stride of `size`; rows and columns that do not fill a window are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Height and width of an input image.
    pub input: [usize; 2],
    /// At most 16, so that a place in a window fits a byte.
    pub size: usize,
}

impl MaxPool {
    /// Largest `size`.
    pub const LARGEST: usize = 16;

    /// Height and width of an output image.
    pub fn output(&self) -> [usize; 2] {
        self.input.map(|d| d / self.size)
    }

    /// The maximum of each window and its place there (`row * size + column`, the first of equals). `NaN` counts as the largest.
    pub fn forward(&self, input: &[f32], out: &mut [f32], places: &mut [u8]) {
        let [height, width] = self.input;
        let [rows, columns] = self.output();
        each_pair((out, rows * columns), (places, rows * columns), |plane, out, places| {
            self.plane(&input[plane * height * width..][..height * width], out, places);
        });
    }

    /// [`Self::forward`] for one channel of one image.
    pub fn plane(&self, input: &[f32], out: &mut [f32], places: &mut [u8]) {
        let ([_, width], [_, columns]) = (self.input, self.output());
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = out.chunks_exact_mut(columns).zip(places.chunks_exact_mut(columns));
                for ((out, places), input) in rows.zip(input.chunks_exact(width * self.size)) {
                    self.row(input, out, places);
                }
            },
        );
    }

    #[inline(always)]
    fn row(&self, input: &[f32], out: &mut [f32], places: &mut [u8]) {
        let width = self.input[1];
        if self.size == 2 {
            let (upper, lower) = input.split_at(width);
            let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
            for ((out, place), (&[a, b], &[c, d])) in out.iter_mut().zip(places).zip(pairs) {
                let (top, top_place) = larger((a, 0), (b, 1));
                let (bottom, bottom_place) = larger((c, 2), (d, 3));
                (*out, *place) = larger((top, top_place), (bottom, bottom_place));
            }
            return;
        }
        for (x, (out, place)) in out.iter_mut().zip(places).enumerate() {
            let mut best = (input[x * self.size], 0);
            for row in 0..self.size {
                for column in 0..self.size {
                    let value = input[row * width + x * self.size + column];
                    best = larger(best, (value, (row * self.size + column) as u8));
                }
            }
            (*out, *place) = best;
        }
    }

    /// The gradient with respect to the input: each window's goes to the place of its maximum.
    pub fn backward(&self, grad: &[f32], places: &[u8], out: &mut [f32]) {
        let [height, width] = self.input;
        let [rows, columns] = self.output();
        each(out, height * width, |plane, out| {
            let grad = &grad[plane * rows * columns..][..rows * columns];
            let places = &places[plane * rows * columns..][..rows * columns];
            self.plane_back(grad, places, out);
        });
    }

    /// [`Self::backward`] for one channel of one image. A place outside of the window has no gradient.
    pub fn plane_back(&self, grad: &[f32], places: &[u8], out: &mut [f32]) {
        let ([_, width], [rows, columns]) = (self.input, self.output());
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let (windows, left_out) = out.split_at_mut(rows * self.size * width);
                left_out.fill(0.0);
                let windows = windows.chunks_exact_mut(self.size * width);
                let grads = grad.chunks_exact(columns).zip(places.chunks_exact(columns));
                for (out, (grad, places)) in windows.zip(grads) {
                    self.row_back(grad, places, out);
                }
            },
        );
    }

    #[inline(always)]
    fn row_back(&self, grad: &[f32], places: &[u8], out: &mut [f32]) {
        let width = self.input[1];
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let (windows, left_out) = out.split_at_mut(grad.len() * self.size);
            left_out.fill(0.0);
            let first = (row * self.size) as u8;
            if self.size == 2 {
                for ((out, &g), &place) in windows.as_chunks_mut::<2>().0.iter_mut().zip(grad).zip(places) {
                    *out = [if place == first { g } else { 0.0 }, if place == first + 1 { g } else { 0.0 }];
                }
                continue;
            }
            for ((out, &g), &place) in windows.chunks_exact_mut(self.size).zip(grad).zip(places) {
                for (column, out) in out.iter_mut().enumerate() {
                    *out = if usize::from(place) == row * self.size + column { g } else { 0.0 };
                }
            }
        }
    }
}

/// The second of two values where it is greater or `NaN`, else the first.
#[inline(always)]
fn larger(first: (f32, u8), second: (f32, u8)) -> (f32, u8) {
    if second.0 > first.0 || second.0.is_nan() { second } else { first }
}

/// Mean of each plane of `len` values.
pub fn plane_means(input: &[f32], len: usize, out: &mut [f32]) {
    for (out, plane) in out.iter_mut().zip(input.chunks_exact(len)) {
        *out = super::sum::sum(plane) / len as f32;
    }
}

/// The gradient of [`plane_means`] with respect to its input.
pub fn plane_means_backward(grad: &[f32], len: usize, out: &mut [f32]) {
    for (out, &grad) in out.chunks_exact_mut(len).zip(grad) {
        out.fill(grad / len as f32);
    }
}
