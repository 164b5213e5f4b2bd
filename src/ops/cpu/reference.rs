//! The definitions in `f64`, as slow as they are plain, for the tests.

use super::conv::Conv2d;

/// Values in -1..1 that look random, the same for a seed.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Largest difference, relative to the largest of what is expected (or 1e-30); infinite if a number is missing or none.
pub fn largest_difference(actual: &[f32], expected: &[f64]) -> f64 {
    if actual.len() != expected.len() {
        return f64::INFINITY;
    }
    let scale = expected.iter().fold(1e-30, |scale: f64, x| scale.max(x.abs()));
    let differences = actual.iter().zip(expected).map(|(&a, e)| (f64::from(a) - e).abs());
    differences.map(|d| if d.is_nan() { f64::INFINITY } else { d }).fold(0.0, f64::max) / scale
}

/// The convolution by its definition.
pub fn convolution(conv: &Conv2d, input: &[f64], weight: &[f64]) -> Vec<f64> {
    let ([height, width], [rows, columns], [kh, kw]) = (conv.input, conv.output(), conv.kernel);
    let batch = input.len() / (conv.channels_in * height * width);
    let inside =
        |at: usize, k: usize, size: usize| (at * conv.stride + k).checked_sub(conv.padding).filter(|&i| i < size);
    let mut out = Vec::with_capacity(batch * conv.channels_out * rows * columns);
    for n in 0..batch {
        for o in 0..conv.channels_out {
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let mut sum = 0.0;
                for c in 0..conv.channels_in {
                    for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                        if let (Some(i), Some(j)) = (inside(y, ky, height), inside(x, kx, width)) {
                            sum += input[((n * conv.channels_in + c) * height + i) * width + j]
                                * weight[((o * conv.channels_in + c) * kh + ky) * kw + kx];
                        }
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

/// The gradient of `Σ grad · function(at)` by central differences; exact up to rounding where the function is linear.
pub fn differences(at: &[f64], grad: &[f64], function: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    const STEP: f64 = 1e-3;
    let loss = |at: &[f64]| -> f64 { function(at).iter().zip(grad).map(|(y, g)| y * g).sum() };
    let mut moved = at.to_vec();
    (0..at.len())
        .map(|i| {
            moved[i] = at[i] + STEP;
            let above = loss(&moved);
            moved[i] = at[i] - STEP;
            let below = loss(&moved);
            moved[i] = at[i];
            (above - below) / (2.0 * STEP)
        })
        .collect()
}
