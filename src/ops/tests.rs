//! The operations against Burn's own, on the same tensors, forward and backward.

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::cpu::reference::{largest_difference, noise};
use super::extension::{Maybe, composed};
use super::{Adam, BatchNormOutput, ConvNorm, ConvPool, Sgd, Window, adam_step, add_relu, batch_norm, batch_norm_relu};
use super::{conv2d, conv2d_batch_norm, conv2d_relu_max_pool, dense};
use super::{global_mean_pool, max_pool2d, relu, relu6, sgd_step};

/// What a number may differ by, relative to the largest of its tensor.
const TOLERANCE: f64 = 1e-5;

fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(noise(shape.iter().product(), seed), shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

fn assert_close<const D: usize>(what: &str, actual: Tensor<D>, expected: Tensor<D>) {
    assert_within(TOLERANCE, what, actual, expected);
}

fn assert_within<const D: usize>(tolerance: f64, what: &str, actual: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(actual.dims(), expected.dims(), "{what}");
    let expected: Vec<f64> = values(expected).into_iter().map(f64::from).collect();
    let difference = largest_difference(&values(actual), &expected);
    assert!(difference <= tolerance, "{what} differs by {difference}");
}

/// For sums of many terms around 1, which can cancel to almost nothing: relative to at least 1.
fn assert_sums_close(what: &str, actual: Tensor<1>, expected: Tensor<1>) {
    let (actual, expected) = (values(actual), values(expected));
    assert_eq!(actual.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f32, |scale, x| scale.max(x.abs()));
    for (a, e) in actual.iter().zip(&expected) {
        assert!(f64::from((a - e).abs()) <= TOLERANCE * f64::from(scale), "{what}: {a} is not {e}");
    }
}

/// Compares two functions of a batch and of two vectors, and their gradients for a random output gradient.
fn assert_same(
    batch: [usize; 4],
    vectors: usize,
    ours: impl Fn(Tensor<4>, Tensor<1>, Tensor<1>) -> Tensor<4>,
    burns: impl Fn(Tensor<4>, Tensor<1>, Tensor<1>) -> Tensor<4>,
) {
    let device = Device::flex().autodiff();
    let run = |function: &dyn Fn(Tensor<4>, Tensor<1>, Tensor<1>) -> Tensor<4>| {
        let x = random(batch, 1, &device).require_grad();
        let (a, b) = (random([vectors], 2, &device).require_grad(), random([vectors], 3, &device).require_grad());
        let output = function(x.clone(), a.clone(), b.clone());
        let grads = (output.clone() * random(output.dims(), 4, &device)).sum().backward();
        (output.inner(), x.grad(&grads), a.grad(&grads), b.grad(&grads))
    };
    let (ours, burns) = (run(&ours), run(&burns));
    assert_close("output", ours.0, burns.0);
    assert_close("input gradient", ours.1.expect("tracked"), burns.1.expect("tracked"));
    for (what, ours, burns) in [("first", ours.2, burns.2), ("second", ours.3, burns.3)] {
        match (ours, burns) {
            (Some(ours), Some(burns)) => assert_sums_close(what, ours, burns),
            (ours, burns) => assert_eq!(ours.is_some(), burns.is_some(), "{what} gradient"),
        }
    }
}

fn burns_convolution(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, window: Window) -> Tensor<4> {
    let bias = Maybe::from(bias.map(Tensor::into_dispatch));
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(composed::convolution::<Dispatch>(x, weight, bias, window))
}

/// Compares output and gradients for channels `[n, in, out]` and images of these sides.
fn assert_convolution_is_burns(
    [batch, channels_in, channels_out]: [usize; 3],
    [height, width]: [usize; 2],
    window: Window,
    with_bias: bool,
) {
    let device = Device::flex().autodiff();
    let [kh, kw] = window.kernel;
    let run = |burns: bool| {
        let x = random([batch, channels_in, height, width], 1, &device).require_grad();
        let weight = random([channels_out, channels_in / window.groups, kh, kw], 2, &device).require_grad();
        let bias = with_bias.then(|| random([channels_out], 3, &device).require_grad());
        let function = if burns { burns_convolution } else { conv2d };
        let output = function(x.clone(), weight.clone(), bias.clone(), window);
        let grads = (output.clone() * random(output.dims(), 4, &device)).sum().backward();
        let bias = bias.map(|bias| bias.grad(&grads).expect("tracked"));
        (output.inner(), x.grad(&grads).expect("tracked"), weight.grad(&grads).expect("tracked"), bias)
    };
    let (ours, burns) = (run(false), run(true));
    assert_close("output", ours.0, burns.0);
    assert_close("input gradient", ours.1, burns.1);
    assert_close("weight gradient", ours.2, burns.2);
    if let (Some(ours), Some(burns)) = (ours.3, burns.3) {
        assert_sums_close("bias gradient", ours, burns);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolution_is_burns(
        batch in 1usize..4, channels_in in 1usize..20, channels_out in 1usize..36, sides in [7usize..20, 7usize..20],
        kernel in prop::sample::select(vec![1usize, 3, 5, 7]), stride in 1usize..4, padding in 0usize..4, with_bias: bool,
    ) {
        let window =
            Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2], dilation: [1; 2], groups: 1 };
        assert_convolution_is_burns([batch, channels_in, channels_out], sides, window, with_bias);
    }

    #[test]
    fn depthwise_convolution_is_burns(
        batch in 1usize..4, channels in 2usize..20, sides in [7usize..40, 7usize..40], kernel in [1usize..6, 1usize..6],
        stride in [1usize..4, 1usize..4], padding in [0usize..7, 0usize..7], dilation in [1usize..3, 1usize..3], with_bias: bool,
    ) {
        let window = Window { kernel, stride, padding, dilation, groups: channels };
        prop_assume!(window.output(sides).is_some());
        assert_convolution_is_burns([batch, channels, channels], sides, window, with_bias);
    }

    #[test]
    fn relu6_is_burns(batch in 1usize..4, channels in 1usize..6, sides in [5usize..20, 5usize..20]) {
        let shape = [batch, channels, sides[0], sides[1]];
        assert_same(shape, 1, |x, _, _| relu6(x * 9.0), |x, _, _| (x * 9.0).clamp(0.0, 6.0));
    }

    #[test]
    fn pooling_is_burns(
        batch in 1usize..4, channels in 1usize..6, height in 5usize..20, width in 5usize..20, size in 1usize..6,
    ) {
        let shape = [batch, channels, height, width];
        let burns = |x: Tensor<4>| Tensor::from_dispatch(composed::maximum_pool::<Dispatch>(x.into_dispatch(), size));
        assert_same(shape, 1, |x, _, _| max_pool2d(x, size), |x, _, _| burns(x));
        let burns = |x: Tensor<4>| Tensor::from_dispatch(composed::global_mean::<Dispatch>(x.into_dispatch()));
        let wide = |x: Tensor<2>| x.reshape([batch, channels, 1, 1]);
        assert_same(shape, 1, |x, _, _| wide(global_mean_pool(x)), |x, _, _| wide(burns(x)));
    }

    #[test]
    fn batch_norm_is_burns(
        batch in 1usize..5, channels in 1usize..9, height in 1usize..12, width in 2usize..12, rectified: bool, epsilon in 1e-6f64..1e-1,
    ) {
        let ours = |x, gamma, beta| {
            if rectified { batch_norm_relu(x, gamma, beta, epsilon) } else { batch_norm(x, gamma, beta, epsilon) }.output
        };
        let shape = [batch, channels, height, width];
        let of_burn = |x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, rectified| {
            let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
            Tensor::from_dispatch(composed::batch_normalisation::<Dispatch>(x, gamma, beta, epsilon, rectified).0)
        };
        let device = Device::flex();
        let [gamma, beta] = [2, 3].map(|seed| random([channels], seed, &device));
        let before: Vec<f32> = values::<4>(of_burn(random(shape, 1, &device), gamma, beta, false));
        // A rectifier has a kink, where the last bits decide between a gradient and none.
        prop_assume!(!rectified || before.iter().all(|y| y.abs() > 1e-5));
        let burns = |x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>| of_burn(x, gamma, beta, rectified);
        assert_same(shape, channels, ours, burns);
    }

    #[test]
    fn a_residual_block_is_burns_and_its_parts(
        batch in 2usize..20, channels_in in 1usize..8, channels_out in 1usize..20, height in 3usize..18, width in 3usize..18,
        kernel in prop::sample::select(vec![1usize, 3]), stride in 1usize..3, residual: bool, rectified: bool,
    ) {
        let device = Device::flex().autodiff();
        let options = ConvNorm { stride, padding: kernel / 2, epsilon: 1e-3, relu: rectified };
        let composed = |x: Tensor<4>, w: Tensor<4>, a: Tensor<1>, b: Tensor<1>, residual: Option<Tensor<4>>, options| {
            let residual = Maybe::from(residual.map(Tensor::into_dispatch));
            let (x, w, a, b) = (x.into_dispatch(), w.into_dispatch(), a.into_dispatch(), b.into_dispatch());
            BatchNormOutput::new(composed::convolution_normalisation::<Dispatch>(x, w, a, b, residual, options))
        };
        let parts = |x, w: Tensor<4>, a, b, residual: Option<Tensor<4>>, options: ConvNorm| {
            let window = Window::square(&w.shape(), options.stride, options.padding);
            let x = conv2d(x, w, None, window);
            match residual {
                None if options.relu => batch_norm_relu(x, a, b, options.epsilon),
                None => batch_norm(x, a, b, options.epsilon),
                Some(residual) => {
                    let done = batch_norm(x, a, b, options.epsilon);
                    let output = if options.relu { add_relu(done.output, residual) } else { done.output + residual };
                    BatchNormOutput { output, ..done }
                }
            }
        };
        type Block = dyn Fn(Tensor<4>, Tensor<4>, Tensor<1>, Tensor<1>, Option<Tensor<4>>, ConvNorm) -> BatchNormOutput;
        let run = |block: &Block, options: ConvNorm| {
            let x = random([batch, channels_in, height, width], 1, &device).require_grad();
            let weight = random([channels_out, channels_in, kernel, kernel], 2, &device).require_grad();
            let gamma = random([channels_out], 3, &device).require_grad();
            let beta = random([channels_out], 4, &device).require_grad();
            let shape = burns_convolution(x.clone(), weight.clone(), None, Window::square(&weight.shape(), stride, kernel / 2)).dims();
            let residual = residual.then(|| random(shape, 5, &device).require_grad());
            let done = block(x.clone(), weight.clone(), gamma.clone(), beta.clone(), residual.clone(), options);
            // What is used twice has its gradient twice, and nobody may write into the other's.
            let other = residual.clone().map_or(done.output.clone(), |residual| done.output.clone() + residual);
            let grads = (other * random(shape, 6, &device)).sum().backward();
            let residual = residual.map(|residual| residual.grad(&grads).expect("tracked"));
            let vectors = [done.mean, done.var].map(Tensor::inner);
            let parameters = [gamma, beta].map(|tensor| tensor.grad(&grads).expect("tracked"));
            let kernels = [x, weight].map(|tensor| tensor.grad(&grads).expect("tracked"));
            (done.output.inner(), vectors.into_iter().chain(parameters), kernels.into_iter().chain(residual))
        };
        // A rectifier has a kink, where the last bits decide between a gradient and none: against Burn without it.
        let smooth = ConvNorm { relu: false, ..options };
        let pairs = [
            (TOLERANCE, run(&conv2d_batch_norm, smooth), run(&composed, smooth)),
            (0.0, run(&conv2d_batch_norm, options), run(&parts, options)),
        ];
        for (tolerance, ours, theirs) in pairs {
            assert_within(tolerance, "output", ours.0, theirs.0);
            if tolerance == 0.0 {
                // Sums over a channel can cancel to almost nothing, so that only equality can be asked for.
                ours.1.zip(theirs.1).for_each(|(ours, theirs)| assert_within(0.0, "a vector", ours, theirs));
            }
            // The gradients of a norm are small differences of large numbers, in Burn's arithmetic as in ours.
            for (ours, theirs) in ours.2.zip(theirs.2) {
                assert_within(10.0 * tolerance, "a gradient", ours, theirs);
            }
        }
    }

    #[test]
    fn a_pooled_block_is_its_parts(
        batch in 1usize..4, channels_in in 1usize..8, channels_out in 1usize..20, height in 7usize..18, width in 7usize..18,
        kernel in prop::sample::select(vec![1usize, 3, 5]), size in 1usize..4, with_bias: bool,
    ) {
        let device = Device::flex().autodiff();
        let options = ConvPool { stride: 1, padding: kernel / 2, size };
        let parts = |x: Tensor<4>, w: Tensor<4>, bias: Option<Tensor<1>>, options: ConvPool| {
            let window = Window::square(&w.shape(), options.stride, options.padding);
            max_pool2d(relu(conv2d(x, w, bias, window)), options.size)
        };
        let run = |fused: bool| {
            let x = random([batch, channels_in, height, width], 1, &device).require_grad();
            let weight = random([channels_out, channels_in, kernel, kernel], 2, &device).require_grad();
            let bias = with_bias.then(|| random([channels_out], 3, &device).require_grad());
            let block = if fused { conv2d_relu_max_pool } else { parts };
            let output = block(x.clone(), weight.clone(), bias.clone(), options);
            let grads = (output.clone() * random(output.dims(), 4, &device)).sum().backward();
            let bias = bias.map(|bias| bias.grad(&grads).expect("tracked"));
            (output.inner(), x.grad(&grads).expect("tracked"), weight.grad(&grads).expect("tracked"), bias)
        };
        let (fused, parts) = (run(true), run(false));
        assert_within(0.0, "output", fused.0, parts.0);
        assert_within(0.0, "input gradient", fused.1, parts.1);
        assert_within(0.0, "weight gradient", fused.2, parts.2);
        prop_assert_eq!(fused.3.is_some(), with_bias);
        if let (Some(fused), Some(parts)) = (fused.3, parts.3) {
            assert_sums_close("bias gradient", fused, parts);
        }
    }

    #[test]
    fn a_dense_layer_is_burns(rows in 1usize..40, inputs in 1usize..300, outputs in 1usize..60, tracked: bool) {
        let device = Device::flex().autodiff();
        let run = |burns: bool| {
            let x = random([rows, inputs], 1, &device).set_require_grad(tracked);
            let weight = random([inputs, outputs], 2, &device).require_grad();
            let bias = random([outputs], 3, &device).require_grad();
            let (a, b, c) = (x.clone(), weight.clone(), bias.clone());
            let output = if burns {
                let (a, b, c) = (a.into_dispatch(), b.into_dispatch(), c.into_dispatch());
                Tensor::<2>::from_dispatch(composed::dense::<Dispatch>(a, b, c))
            } else {
                dense(a, b, c)
            };
            let grads = (output.clone() * random([rows, outputs], 4, &device)).sum().backward();
            let of_parameters = (weight.grad(&grads).expect("tracked"), bias.grad(&grads).expect("tracked"));
            (output.inner(), x.grad(&grads), of_parameters)
        };
        let (ours, burns) = (run(false), run(true));
        assert_close("output", ours.0, burns.0);
        prop_assert_eq!(ours.1.is_some(), tracked);
        if let (Some(ours), Some(burns)) = (ours.1, burns.1) {
            assert_close("input gradient", ours, burns);
        }
        assert_close("weight gradient", ours.2.0, burns.2.0);
        assert_sums_close("bias gradient", ours.2.1, burns.2.1);
    }

    #[test]
    fn adam_is_burns(len in 1usize..40_000, steps in 1u32..100, decay in 0.0f64..0.1, decoupled: bool) {
        let adam = Adam::new(0.01, [0.9, 0.999], 1e-8, if decoupled { [0.0, decay] } else { [decay, 0.0] }, steps);
        let device = Device::flex();
        let tensors = || [1, 2, 3, 4].map(|seed| random([len], seed, &device).abs());
        let [value, grad, first, second] = tensors();
        let ours = adam_step(value, grad, [first, second], adam);
        let [value, grad, first, second] = tensors().map(Tensor::into_dispatch);
        let burns = composed::adapt::<Dispatch>(value, grad, first, second, adam);
        let [first, second] = ours.1;
        assert_close("value", ours.0, Tensor::from_dispatch(burns.0));
        assert_close("first moment", first, Tensor::from_dispatch(burns.1));
        assert_close("second moment", second, Tensor::from_dispatch(burns.2));
    }

    #[test]
    fn descent_is_burns(len in 1usize..40_000, momentum in 0.0f32..1.0, nesterov: bool, weight_decay in 0.0f32..0.1, shared: bool) {
        let sgd = Sgd { learning_rate: 0.3, momentum, nesterov, weight_decay };
        let device = Device::flex();
        let tensors = || [1, 2, 3].map(|seed| random([len], seed, &device));
        let [value, grad, velocity] = tensors();
        let held = shared.then(|| (value.clone(), velocity.clone()));
        let ours = sgd_step(value, grad, velocity, sgd);
        let [value, grad, velocity] = tensors().map(Tensor::into_dispatch);
        let burns = composed::descend::<Dispatch>(value, grad, velocity, sgd);
        assert_close("value", ours.0, Tensor::from_dispatch(burns.0));
        assert_close("velocity", ours.1, Tensor::from_dispatch(burns.1));
        if let Some((value, velocity)) = held {
            let [before, _, velocity_before] = tensors();
            prop_assert_eq!(values(value), values(before));
            prop_assert_eq!(values(velocity), values(velocity_before));
        }
    }

    #[test]
    fn rectifiers_are_burns(shape in [1usize..4, 1usize..6, 1usize..90, 1usize..90]) {
        assert_same(shape, 1, |x, _, _| relu(x), |x, _, _| burn::tensor::activation::relu(x));
        let other = |x: Tensor<4>| x.clone().powi_scalar(2) - x * 0.7;
        let burns = |x: Tensor<4>| burn::tensor::activation::relu(x.clone() + other(x));
        assert_same(shape, 1, |x, _, _| add_relu(x.clone(), other(x)), |x, _, _| burns(x));
    }
}

#[test]
fn statistics_of_a_batch_are_returned_without_gradients() {
    let device = Device::flex().autodiff();
    let x =
        Tensor::<4>::from_data([[[[1.0, 2.0]], [[0.0, 0.0]]], [[[3.0, 6.0]], [[1.0, 1.0]]]], &device).require_grad();
    let ones = Tensor::<1>::ones([2], &device);
    let done = batch_norm(x, ones.clone(), ones, 0.0);
    assert_eq!(values(done.mean.clone()), [3.0, 0.5]);
    assert_eq!(values(done.var.clone()), [3.5, 0.25]);
    assert!(!done.mean.is_require_grad() && !done.var.is_require_grad());
}

#[test]
fn what_is_not_tracked_has_no_gradient() {
    let device = Device::flex().autodiff();
    let x = random([2, 3, 6, 6], 1, &device);
    let weight = random([4, 3, 3, 3], 2, &device).require_grad();
    let window = Window::square(&weight.shape(), 1, 1);
    let grads = conv2d(x.clone(), weight.clone(), None, window).sum().backward();
    assert!(x.grad(&grads).is_none() && weight.grad(&grads).is_some());
    let (x, weight) = (x.require_grad(), random([4, 3, 3, 3], 2, &device));
    let grads = conv2d(x.clone(), weight.clone(), None, window).sum().backward();
    assert!(x.grad(&grads).is_some() && weight.grad(&grads).is_none());
}

#[test]
fn views_and_other_types_are_taken_as_they_are() {
    let device = Device::flex();
    let x = random([5, 8, 6, 2], 1, &device).swap_dims(1, 3).slice(1..4);
    let weight = random([3, 3, 2, 4], 2, &device).swap_dims(0, 3);
    let weight = weight.swap_dims(1, 2).slice([0..4, 0..2]);
    let window = Window::square(&weight.shape(), 1, 1);
    let expected = burns_convolution(x.clone(), weight.clone(), None, window);
    assert_close("of views", conv2d(x.clone(), weight.clone(), None, window), expected);
    let double = burn::tensor::FloatDType::F64;
    let output = conv2d(x.clone().cast(double), weight.clone().cast(double), None, window);
    assert_eq!(output.dtype(), burn::tensor::DType::F64);
    assert_close("in f64", output.cast(burn::tensor::FloatDType::F32), conv2d(x, weight, None, window));
}
