//! The kernels against their definitions, on each instruction set and each number of threads.

use proptest::prelude::*;

use super::conv::Conv2d;
use super::conv_norm::ConvNorm;
use super::conv_pool::ConvPool;
use super::descent::Adam;
use super::norm::{BatchNorm, Channels};
use super::pointwise;
use super::pool::MaxPool;
use super::reference::{convolution, differences, largest_difference, noise};
use super::simd::Instructions;

/// What a number may differ by, relative to the largest of its tensor.
const TOLERANCE: f64 = 1e-5;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn instructions() -> Vec<Instructions> {
    vec![
        Instructions::Detected,
        Instructions::Portable,
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2,
    ]
}

/// Output, input gradient and weight gradient.
fn run(conv: &Conv2d, input: &[f32], weight: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
    // Results must not depend on what the buffers held.
    let mut out = vec![f32::NAN; grad.len()];
    conv.forward(input, weight, None, &mut out);
    let found = conv.gradients(Some(input), Some(weight), grad);
    [out, found.input, found.weight]
}

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(work)
}

fn any_convolution() -> impl Strategy<Value = (usize, Conv2d)> {
    let sizes = (1usize..4, 1usize..20, 1usize..36, 1usize..20, 1usize..20);
    let kernel = prop::sample::select(vec![1usize, 2, 3, 5, 7]);
    (sizes, [kernel.clone(), kernel], 1usize..4, 0usize..8).prop_map(|((n, c, o, h, w), kernel, stride, padding)| {
        let input = [h.max(kernel[0]), w.max(kernel[1])];
        (
            n,
            Conv2d {
                channels_in: c,
                channels_out: o,
                input,
                kernel,
                stride,
                padding,
                instructions: Instructions::Detected,
            },
        )
    })
}

fn tensors(batch: usize, conv: &Conv2d) -> [Vec<f32>; 3] {
    let [rows, columns] = conv.output();
    [
        noise(batch * conv.channels_in * conv.input[0] * conv.input[1], 1),
        noise(conv.channels_out * conv.channels_in * conv.kernel[0] * conv.kernel[1], 2),
        noise(batch * conv.channels_out * rows * columns, 3),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn forward_is_the_definition((batch, conv) in any_convolution()) {
        let [input, weight, grad] = tensors(batch, &conv);
        let expected = convolution(&conv, &wide(&input), &wide(&weight));
        for instructions in instructions() {
            let [output, ..] = run(&Conv2d { instructions, ..conv }, &input, &weight, &grad);
            let difference = largest_difference(&output, &expected);
            prop_assert!(difference <= TOLERANCE, "{instructions:?}: {difference}");
        }
    }

    #[test]
    fn every_instruction_set_agrees((batch, conv) in any_convolution()) {
        let [input, weight, grad] = tensors(batch, &conv);
        let expected = run(&conv, &input, &weight, &grad);
        for instructions in instructions() {
            for (ours, expected) in run(&Conv2d { instructions, ..conv }, &input, &weight, &grad).iter().zip(&expected) {
                let difference = largest_difference(ours, &wide(expected));
                prop_assert!(difference <= TOLERANCE, "{instructions:?}: {difference}");
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits((batch, conv) in any_convolution(), more in 0usize..40) {
        let batch = batch + more;
        let [input, weight, grad] = tensors(batch, &conv);
        let bits = |threads| {
            with_threads(threads, || run(&conv, &input, &weight, &grad)).map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let one = bits(1);
        prop_assert_eq!(&one, &bits(2));
        prop_assert_eq!(&one, &bits(4));
    }
}

/// Convolutions that are computed at the points of tiles, on every instruction set.
fn any_winograd() -> impl Strategy<Value = (usize, Conv2d)> {
    (1usize..20, [8usize..40, 8usize..40], [3usize..20, 3usize..20], 0usize..3).prop_map(
        |(n, channels, input, padding)| {
            let [channels_in, channels_out] = channels.map(|c| if c > 16 { c.next_multiple_of(16) } else { c });
            let instructions = Instructions::Detected;
            (n, Conv2d { channels_in, channels_out, input, kernel: [3; 2], stride: 1, padding, instructions })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tiles_give_the_definition_and_its_gradients((batch, conv) in any_winograd()) {
        let [input, weight, grad] = tensors(batch, &conv);
        let expected = convolution(&conv, &wide(&input), &wide(&weight));
        let turned: Vec<f64> = (0..conv.channels_in * conv.channels_out * 9)
            .map(|i| {
                let (tap, o, c) = (8 - i % 9, i / 9 % conv.channels_out, i / 9 / conv.channels_out);
                f64::from(weight[(o * conv.channels_in + c) * 9 + tap])
            })
            .collect();
        // The gradient of the input is the convolution of that of the output with the kernels turned around.
        let [channels_in, channels_out] = [conv.channels_out, conv.channels_in];
        let back = Conv2d { channels_in, channels_out, input: conv.output(), padding: 2 - conv.padding, ..conv };
        let input_gradient = convolution(&back, &wide(&grad), &turned);
        // And that of the weights a convolution of the input's channels with the output gradient's.
        let swap = |values: &[f32], channels: usize| -> Vec<f64> {
            let plane = values.len() / batch / channels;
            let at = |c: usize, n: usize, p: usize| f64::from(values[(n * channels + c) * plane + p]);
            (0..channels).flat_map(|c| (0..batch).flat_map(move |n| (0..plane).map(move |p| (c, n, p)))).map(|(c, n, p)| at(c, n, p)).collect()
        };
        let across = Conv2d { channels_in: batch, kernel: conv.output(), ..conv };
        let swapped = convolution(&across, &swap(&input, conv.channels_in), &swap(&grad, conv.channels_out));
        let weight_gradient: Vec<f64> = (0..weight.len())
            .map(|i| {
                let (tap, c, o) = (i % 9, i / 9 % conv.channels_in, i / 9 / conv.channels_in);
                swapped[(c * conv.channels_out + o) * 9 + tap]
            })
            .collect();
        for instructions in instructions() {
            let results = run(&Conv2d { instructions, ..conv }, &input, &weight, &grad);
            for (what, ours, expected) in [("output", &results[0], &expected), ("input", &results[1], &input_gradient), ("weight", &results[2], &weight_gradient)] {
                let difference = largest_difference(ours, expected);
                prop_assert!(difference <= TOLERANCE, "{what} with {instructions:?}: {difference}");
            }
        }
        let bits = |threads| {
            with_threads(threads, || run(&conv, &input, &weight, &grad)).map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let one = bits(1);
        prop_assert_eq!(&one, &bits(2));
        prop_assert_eq!(&one, &bits(4));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_are_the_differences_of_the_definition(
        sizes in [1usize..3, 1usize..4, 1usize..4, 4usize..8, 4usize..8],
        kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3,
    ) {
        let [batch, channels_in, channels_out, height, width] = sizes;
        let input = [height, width];
        let conv = Conv2d { channels_in, channels_out, input, kernel: [kernel; 2], stride, padding, instructions: Instructions::Detected };
        let [input, weight, grad] = tensors(batch, &conv);
        let [x, w, g] = [wide(&input), wide(&weight), wide(&grad)];
        let [_, input_gradient, weight_gradient] = run(&conv, &input, &weight, &grad);
        let expected = differences(&x, &g, |x| convolution(&conv, x, &w));
        prop_assert!(largest_difference(&input_gradient, &expected) <= TOLERANCE);
        let expected = differences(&w, &g, |w| convolution(&conv, &x, w));
        prop_assert!(largest_difference(&weight_gradient, &expected) <= TOLERANCE);
    }

    #[test]
    fn the_gradient_of_a_normalised_batch_is_the_difference_of_the_definition(
        batch in 2usize..4, channels in 1usize..3, positions in 2usize..6, relu: bool,
    ) {
        let norm = BatchNorm { channels, positions, relu };
        let input = noise(batch * channels * positions, 1);
        let (gamma, beta, grad) = (noise(channels, 2), noise(channels, 3), noise(input.len(), 4));
        let statistics = norm.statistics(&input);
        let deviation = statistics.deviation(1e-3);
        let channels_of = Channels { mean: &statistics.mean, deviation: &deviation, gamma: &gamma, beta: &beta };
        let mut out = vec![f32::NAN; input.len()];
        let found = norm.backward(&input, &grad, channels_of, &mut out);
        let definition = |x: &[f64], gamma: &[f64], beta: &[f64]| -> Vec<f64> {
            let channel = |i: usize| i / positions % channels;
            let average = |f: &dyn Fn(usize) -> f64, c: usize| {
                (0..x.len()).filter(|&i| channel(i) == c).map(f).sum::<f64>() / (batch * positions) as f64
            };
            let means: Vec<f64> = (0..channels).map(|c| average(&|i| x[i], c)).collect();
            let vars: Vec<f64> = (0..channels).map(|c| average(&|i| (x[i] - means[c]).powi(2), c)).collect();
            let one = |i: usize| (x[i] - means[channel(i)]) / (vars[channel(i)] + 1e-3).sqrt() * gamma[channel(i)] + beta[channel(i)];
            (0..x.len()).map(|i| if relu { one(i).max(0.0) } else { one(i) }).collect()
        };
        // A rectifier has a kink, at which differences are no gradient.
        let plain = BatchNorm { relu: false, ..norm };
        let mut before = vec![f32::NAN; input.len()];
        plain.forward(&input, channels_of, &mut before);
        prop_assume!(!relu || before.iter().all(|y| y.abs() > 0.02));
        let [x, gamma, beta, grad] = [wide(&input), wide(&gamma), wide(&beta), wide(&grad)];
        for (ours, expected) in [
            (&found.gamma, differences(&gamma, &grad, |gamma| definition(&x, gamma, &beta))),
            (&found.beta, differences(&beta, &grad, |beta| definition(&x, &gamma, beta))),
        ] {
            prop_assert!(largest_difference(ours, &expected) < 1e-4);
        }
        let expected = differences(&x, &grad, |x| definition(x, &gamma, &beta));
        prop_assert!(largest_difference(&out, &expected) < 1e-3);
    }

    #[test]
    fn everything_else_gives_the_same_bits_on_any_number_of_threads(
        batch in 1usize..9, channels in 1usize..5, height in 4usize..12, width in 4usize..12, size in 1usize..4,
    ) {
        let (pool, norm) = (MaxPool { input: [height, width], size }, BatchNorm { channels, positions: height * width, relu: true });
        let input = noise(batch * channels * height * width, 1);
        let [rows, columns] = pool.output();
        let pooled_len = batch * channels * rows * columns;
        let (pooled_grad, grad) = (noise(pooled_len, 2), noise(input.len(), 3));
        let (gamma, beta) = (noise(channels, 4), noise(channels, 5));
        let run = || {
            let (mut pooled, mut places) = (vec![f32::NAN; pooled_len], vec![0; pooled_len]);
            let [mut unpooled, mut normed, mut back] = [(); 3].map(|()| vec![f32::NAN; input.len()]);
            pool.forward(&input, &mut pooled, &mut places);
            pool.backward(&pooled_grad, &places, &mut unpooled);
            let statistics = norm.statistics(&input);
            let deviation = statistics.deviation(1e-3);
            let channels = Channels { mean: &statistics.mean, deviation: &deviation, gamma: &gamma, beta: &beta };
            norm.forward(&input, channels, &mut normed);
            let gradients = norm.backward(&input, &grad, channels, &mut back);
            [pooled, unpooled, statistics.mean, statistics.var, normed, back, gradients.gamma, gradients.beta]
                .map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let one = with_threads(1, run);
        prop_assert_eq!(&one, &with_threads(2, run));
        prop_assert_eq!(&one, &with_threads(4, run));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_residual_block_gives_the_same_bits_on_any_number_of_threads((batch, conv) in any_convolution(), more in 0usize..40, relu: bool) {
        let (block, batch) = (ConvNorm { conv, relu }, batch + more);
        let [input, weight, grad] = tensors(batch, &conv);
        let (gamma, beta, residual) = (noise(conv.channels_out, 4), noise(conv.channels_out, 5), noise(grad.len(), 6));
        let run = || {
            let (mut convolved, mut out, mut grad) = (vec![f32::NAN; grad.len()], vec![f32::NAN; grad.len()], grad.clone());
            let statistics = block.convolve(&input, &weight, &mut convolved);
            let deviation = statistics.deviation(1e-3);
            let channels = Channels { mean: &statistics.mean, deviation: &deviation, gamma: &gamma, beta: &beta };
            block.normalise(&convolved, channels, Some(&residual), &mut out);
            let planes = if relu {
                block.rectified_sums(&convolved, channels, &out, &mut grad)
            } else {
                block.sums(&convolved, channels, &grad, true)
            };
            let back = |given| block.backward(given, &convolved, channels, &grad, &planes, true);
            let found = back([Some(&input), Some(&weight)]);
            let (only_weight, only_input) = (back([Some(&input), None]), back([None, Some(&weight)]));
            assert!(only_weight.conv.weight == found.conv.weight && only_weight.conv.input.is_empty());
            assert!(only_input.conv.input == found.conv.input && only_input.conv.weight.is_empty());
            let (conv, parameters) = (found.conv, found.parameters);
            [convolved, out, grad, statistics.mean, statistics.var, conv.input, conv.weight, parameters.gamma, parameters.beta]
                .map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let one = with_threads(1, run);
        prop_assert_eq!(&one, &with_threads(2, run));
        prop_assert_eq!(&one, &with_threads(4, run));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against the kernels that it is made of, bit by bit: fusing changes where numbers lie, not what they are.
    #[test]
    fn a_pooled_block_is_its_parts_on_any_number_of_threads(
        (batch, conv) in any_convolution(), more in 0usize..20, size in 1usize..4, biased: bool,
    ) {
        let [rows, columns] = conv.output();
        let (block, batch, size) = (ConvPool { conv, size: size.min(rows).min(columns) }, batch + more, size.min(rows).min(columns));
        let [input, weight, _] = tensors(batch, &conv);
        let bias = noise(conv.channels_out, 4);
        let bias = biased.then_some(bias.as_slice());
        let pool = MaxPool { input: [rows, columns], size };
        let positions: usize = pool.output().iter().product();
        let grad = noise(batch * conv.channels_out * positions, 5);
        let fused = || {
            let (mut out, mut places) = (vec![f32::NAN; grad.len()], vec![0; grad.len()]);
            block.forward(&input, &weight, bias, &mut out, &mut places);
            let (found, bias) = block.backward(Some(&input), Some(&weight), &places, &grad);
            let only_weight = block.backward(Some(&input), None, &places, &grad).0;
            assert!(only_weight.weight == found.weight && only_weight.input.is_empty());
            [out, found.input, found.weight, bias].map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let parts = || {
            let mut convolved = vec![f32::NAN; batch * conv.output_len()];
            conv.forward(&input, &weight, bias, &mut convolved);
            let mut rectified = vec![f32::NAN; convolved.len()];
            pointwise::relu(&convolved, f32::INFINITY, &mut rectified);
            let (mut out, mut places) = (vec![f32::NAN; grad.len()], vec![0; grad.len()]);
            pool.forward(&rectified, &mut out, &mut places);
            let (mut unpooled, mut back) = (vec![f32::NAN; convolved.len()], vec![f32::NAN; convolved.len()]);
            pool.backward(&grad, &places, &mut unpooled);
            pointwise::relu_backward(&rectified, f32::INFINITY, &unpooled, &mut back);
            let found = conv.gradients(Some(&input), Some(&weight), &back);
            let (to_input, to_weight) = (found.input, found.weight);
            let mut to_bias = vec![f32::NAN; conv.channels_out];
            pointwise::channel_sums(&back, rows * columns, &mut to_bias);
            (out, to_input, to_weight, to_bias)
        };
        let one = with_threads(1, fused);
        prop_assert_eq!(&one, &with_threads(2, fused));
        prop_assert_eq!(&one, &with_threads(4, fused));
        let (out, to_input, to_weight, to_bias) = parts();
        let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let [ours_out, ours_input, ours_weight, ours_bias] = one;
        prop_assert_eq!(ours_out, bits(out));
        prop_assert_eq!(ours_input, bits(to_input));
        prop_assert_eq!(ours_weight, bits(to_weight));
        // The sums of a bias run in another order.
        let ours_bias: Vec<f32> = ours_bias.into_iter().map(f32::from_bits).collect();
        prop_assert!(largest_difference(&ours_bias, &wide(&to_bias)) <= 1e-4);
    }

    /// Kingma & Ba 2015, algorithm 1, in `f64`, and the decoupled decay of Loshchilov & Hutter 2019, algorithm 2.
    #[test]
    fn adam_is_its_definition(len in 1usize..40_000, steps in 1u32..2000, decay in 0.0f64..0.1, decoupled: bool) {
        let (rate, [beta1, beta2], epsilon) = (0.01, [0.9, 0.999], 1e-8);
        let l2 = if decoupled { [0.0, decay] } else { [decay, 0.0] };
        let adam = Adam::new(rate, [beta1, beta2], epsilon, l2, steps);
        let (start, grad, m0) = (noise(len, 1), noise(len, 2), noise(len, 3));
        let v0: Vec<f32> = noise(len, 4).into_iter().map(f32::abs).collect();
        let run = || {
            let (mut m, mut v, mut value) = (m0.clone(), v0.clone(), start.clone());
            adam.step(&grad, [&mut m, &mut v], &mut value);
            [m, v, value]
        };
        let [m, v, value] = with_threads(1, run);
        prop_assert_eq!(&with_threads(4, run), &[m.clone(), v.clone(), value.clone()]);
        let expected = (0..len).map(|i| {
            let x = f64::from(start[i]);
            let g = f64::from(grad[i]) + l2[0] * x;
            let m = beta1 * f64::from(m0[i]) + (1.0 - beta1) * g;
            let v = beta2 * f64::from(v0[i]) + (1.0 - beta2) * g * g;
            let (m_hat, v_hat) = (m / (1.0 - beta1.powi(steps as i32)), v / (1.0 - beta2.powi(steps as i32)));
            (m, v, x - rate * l2[1] * x - rate * m_hat / (v_hat.sqrt() + epsilon))
        });
        let (m_expected, (v_expected, x_expected)): (Vec<_>, (Vec<_>, Vec<_>)) = expected.map(|(m, v, x)| (m, (v, x))).unzip();
        prop_assert!(largest_difference(&m, &m_expected) <= TOLERANCE);
        prop_assert!(largest_difference(&v, &v_expected) <= TOLERANCE);
        prop_assert!(largest_difference(&value, &x_expected) <= TOLERANCE);
    }
}

#[test]
fn a_bias_is_added_to_every_position_of_its_channel() {
    let conv = Conv2d {
        channels_in: 1,
        channels_out: 3,
        input: [5, 5],
        kernel: [3, 3],
        stride: 1,
        padding: 1,
        instructions: Instructions::Detected,
    };
    let [input, weight, _] = tensors(2, &conv);
    let (mut with, mut without) = (vec![0.0; 150], vec![0.0; 150]);
    conv.forward(&input, &weight, Some(&[1.0, 2.0, 4.0]), &mut with);
    conv.forward(&input, &weight, None, &mut without);
    for (i, (a, b)) in with.iter().zip(&without).enumerate() {
        assert_eq!(*a, b + [1.0, 2.0, 4.0][i / 25 % 3]);
    }
}

#[test]
fn the_first_of_equal_maxima_has_the_gradient_and_nan_wins() {
    let pool = MaxPool { input: [2, 5], size: 2 };
    let input = [1.0, 3.0, f32::NAN, 9.0, 7.0, 3.0, 2.0, 8.0, 8.0, 7.0];
    let (mut out, mut places, mut grad) = ([0.0; 2], [0; 2], [5.0; 10]);
    pool.forward(&input, &mut out, &mut places);
    assert_eq!(out[0], 3.0);
    assert!(out[1].is_nan());
    assert_eq!(places, [1, 0]);
    pool.backward(&[1.0, 2.0], &places, &mut grad);
    assert_eq!(grad, [0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}
