//! Operations on single values, and the sums of channels.

use super::norm::rectified;
use super::parallel::each;
use super::sum::sum;

/// `out = min(max(input, 0), most)`, `NaN` kept.
pub fn relu(input: &[f32], most: f32, out: &mut [f32]) {
    each_chunk(out, |at, out| {
        for (out, &x) in out.iter_mut().zip(&input[at..]) {
            let x = rectified(x);
            *out = if x > most { most } else { x };
        }
    });
}

/// The gradient of [`relu`], from its output.
pub fn relu_backward(output: &[f32], most: f32, grad: &[f32], out: &mut [f32]) {
    each_chunk(out, |at, out| {
        for (out, (&y, &g)) in out.iter_mut().zip(output[at..].iter().zip(&grad[at..])) {
            *out = if y > 0.0 && y < most { g } else { 0.0 };
        }
    });
}

/// `out = max(a + b, 0)`, `NaN` kept.
pub fn add_relu(a: &[f32], b: &[f32], out: &mut [f32]) {
    each_chunk(out, |at, out| {
        for (out, (&a, &b)) in out.iter_mut().zip(a[at..].iter().zip(&b[at..])) {
            *out = rectified(a + b);
        }
    });
}

/// Sum of each channel over images and positions; `out` has one element for each channel.
pub fn channel_sums(input: &[f32], positions: usize, out: &mut [f32]) {
    let channels = out.len();
    let mut planes = vec![0.0; input.len() / positions.max(1)];
    each(&mut planes, channels, |n, planes| {
        for (plane, values) in planes.iter_mut().zip(input[n * channels * positions..].chunks_exact(positions)) {
            *plane = sum(values);
        }
    });
    for (c, out) in out.iter_mut().enumerate() {
        *out = planes.iter().skip(c).step_by(channels).map(|&plane| f64::from(plane)).sum::<f64>() as f32;
    }
}

/// Values that one task works on.
const CHUNK: usize = 1 << 14;

/// Calls `work` with the start of each chunk of `out`.
fn each_chunk(out: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    each(out, CHUNK, |n, out| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || work(n * CHUNK, out),
        );
    });
}
