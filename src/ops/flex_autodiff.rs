//! The operations on Flex with gradients: each records what its own backward pass needs, and no more.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex, TensorMetadata};

use super::cpu::conv_pool;
use super::cpu::descent::{Adam, Sgd};
use super::cpu::pool::MaxPool;
use super::extension::{Maybe, Operations, composed};
use super::flex::{self, Convolution, all_f32, contiguous};
use super::flex_backward::{
    Connected, ConvolutionBackward, Convolved, DenseBackward, GlobalMeanBackward, MaximumPoolBackward,
    NormalisationBackward, NormalisedConvolution, NormalisedConvolutionBackward, PooledConvolution,
    PooledConvolutionBackward, RectifyBackward, Used,
};
use super::{ConvNorm, ConvPool, Window};

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

impl<C: CheckpointStrategy> Operations for Autodiff<Flex, C> {
    fn convolution(x: Tracked<C>, weight: Tracked<C>, bias: Maybe<Self>, window: Window) -> Tracked<C> {
        let ours = all_f32([&x, &weight].into_iter().chain(bias.as_option()).map(|tensor| tensor.primitive()));
        let Some(conv) = Convolution::of(&x.shape(), &weight.shape(), window).filter(|_| ours) else {
            return composed::convolution::<Self>(x, weight, bias, window);
        };
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (x, weight) = (contiguous(x), contiguous(weight));
        let (bias, bias_node) = bias.into_option().map(|bias| bias.into_parts()).unzip();
        let bias = bias.map(contiguous);
        let output = flex::convolve(&conv, &x, &weight, bias.as_ref());
        let state = Convolved { conv, x: weight_tracked.then_some(x), weight: x_tracked.then_some(weight) };
        match bias_node {
            Some(bias_node) => {
                match ConvolutionBackward.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(state, output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                }
            }
            None => match ConvolutionBackward.prepare::<C>([x_node, weight_node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
        }
    }

    fn maximum_pool(x: Tracked<C>, size: usize) -> Tracked<C> {
        if !all_f32([x.primitive()]) || size > MaxPool::LARGEST {
            return composed::maximum_pool::<Self>(x, size);
        }
        let (x, node) = x.into_parts();
        let [n, channels, height, width] = x.shape().dims();
        let (output, places) = flex::pool_maxima(&contiguous(x), size);
        let pool = MaxPool { input: [height, width], size };
        match MaximumPoolBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((pool, Arc::new(places), [n, channels]), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn batch_normalisation(
        x: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        epsilon: f64,
        relu: bool,
    ) -> (Tracked<C>, Tracked<C>, Tracked<C>) {
        if !all_f32([x.primitive(), gamma.primitive(), beta.primitive()]) {
            return composed::batch_normalisation::<Self>(x, gamma, beta, epsilon, relu);
        }
        let (x, x_node) = x.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
        let norm = flex::norm_of(&x.shape(), relu);
        let done = flex::normalise(norm, &x, &gamma, &beta, epsilon);
        let used = Used { mean: done.statistics.mean.clone(), deviation: done.deviation.clone(), gamma, beta };
        let (output, mean, var) = done.into_tensors();
        let prep = NormalisationBackward.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful();
        let output = match prep {
            OpsKind::Tracked(prep) => prep.finish((norm, x, Arc::new(used)), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(var))
    }

    fn convolution_normalisation(
        x: Tracked<C>,
        weight: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        residual: Maybe<Self>,
        options: ConvNorm,
    ) -> (Tracked<C>, Tracked<C>, Tracked<C>) {
        let all = [&x, &weight, &gamma, &beta].into_iter().chain(residual.as_option());
        if !all_f32(all.map(|tensor| tensor.primitive())) {
            return composed::convolution_normalisation::<Self>(x, weight, gamma, beta, residual, options);
        }
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let ((gamma, gamma_node), (beta, beta_node)) = (gamma.into_parts(), beta.into_parts());
        let (residual, residual_node) = residual.into_option().map(|residual| residual.into_parts()).unzip();
        let (x, weight, gamma, beta) = (contiguous(x), contiguous(weight), contiguous(gamma), contiguous(beta));
        let residual = residual.map(contiguous);
        let (convolved, done) = flex::convolve_normalise(&x, &weight, [&gamma, &beta], residual.as_ref(), options);
        let used = Used { mean: done.statistics.mean.clone(), deviation: done.deviation.clone(), gamma, beta };
        let (output, mean, var) = done.into_tensors();
        let state = NormalisedConvolution {
            block: flex::block_of(&x.shape(), &weight.shape(), options),
            x_shape: x.shape(),
            x: weight_tracked.then_some(x),
            weight: x_tracked.then_some(weight),
            convolved,
            used: Arc::new(used),
            output: (residual.is_some() && options.relu).then(|| output.clone()),
        };
        let output = match residual_node {
            Some(node) => {
                let nodes = [x_node, weight_node, gamma_node, beta_node, node];
                match NormalisedConvolutionBackward.prepare::<C>(nodes).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(state, output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                }
            }
            None => {
                let nodes = [x_node, weight_node, gamma_node, beta_node];
                match NormalisedConvolutionBackward.prepare::<C>(nodes).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(state, output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                }
            }
        };
        (output, Self::from_inner(mean), Self::from_inner(var))
    }

    fn convolution_pool(x: Tracked<C>, weight: Tracked<C>, bias: Maybe<Self>, options: ConvPool) -> Tracked<C> {
        let all = [&x, &weight].into_iter().chain(bias.as_option());
        if !all_f32(all.map(|tensor| tensor.primitive())) || options.size > conv_pool::ConvPool::LARGEST {
            return composed::convolution_pool::<Self>(x, weight, bias, options);
        }
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_option().map(|bias| bias.into_parts()).unzip();
        let (x, weight, bias) = (contiguous(x), contiguous(weight), bias.map(contiguous));
        let block = flex::pooling_block_of(&x.shape(), &weight.shape(), options);
        let (output, places) = flex::convolve_pool(&block, &x, &weight, bias.as_ref());
        let state = PooledConvolution {
            block,
            x_shape: x.shape(),
            x: weight_tracked.then_some(x),
            weight: x_tracked.then_some(weight),
            places: Arc::new(places),
        };
        match bias_node {
            Some(bias_node) => {
                let nodes = [x_node, weight_node, bias_node];
                match PooledConvolutionBackward.prepare::<C>(nodes).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish(state, output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                }
            }
            None => match PooledConvolutionBackward.prepare::<C>([x_node, weight_node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
        }
    }

    fn dense(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>) -> Tracked<C> {
        if !all_f32([x.primitive(), weight.primitive(), bias.primitive()]) {
            return composed::dense::<Self>(x, weight, bias);
        }
        let layer = flex::dense_of(&x.shape(), &weight.shape());
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
        let output = flex::connect(&layer, &x, &weight, &bias);
        let state = Connected { layer, x: weight_tracked.then_some(x), weight: x_tracked.then_some(weight) };
        match DenseBackward.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn global_mean(x: Tracked<C>) -> Tracked<C> {
        if !all_f32([x.primitive()]) {
            return composed::global_mean::<Self>(x);
        }
        let (x, node) = x.into_parts();
        let shape = x.shape().dims();
        let output = Flex::global_mean(x);
        match GlobalMeanBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(shape, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn rectify(x: Tracked<C>, most: f32) -> Tracked<C> {
        if !all_f32([x.primitive()]) {
            return composed::rectify::<Self>(x, most);
        }
        let (x, node) = x.into_parts();
        let output = Flex::rectify(x, most);
        match RectifyBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((output.clone(), most), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn add_rectify(a: Tracked<C>, b: Tracked<C>) -> Tracked<C> {
        if !all_f32([a.primitive(), b.primitive()]) {
            return composed::add_rectify::<Self>(a, b);
        }
        let (a, a_node) = a.into_parts();
        let (b, b_node) = b.into_parts();
        let output = Flex::add_rectify(a, b);
        match RectifyBackward.prepare::<C>([a_node, b_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((output.clone(), f32::INFINITY), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn descend(value: Tracked<C>, grad: Tracked<C>, velocity: Tracked<C>, sgd: Sgd) -> (Tracked<C>, Tracked<C>) {
        let (grad, velocity) = (grad.into_primitive(), velocity.into_primitive());
        let (value, velocity) = Flex::descend(value.into_primitive(), grad, velocity, sgd);
        (Self::from_inner(value), Self::from_inner(velocity))
    }

    fn adapt(
        value: Tracked<C>,
        grad: Tracked<C>,
        first: Tracked<C>,
        second: Tracked<C>,
        adam: Adam,
    ) -> (Tracked<C>, Tracked<C>, Tracked<C>) {
        let (value, grad) = (value.into_primitive(), grad.into_primitive());
        let (value, first, second) = Flex::adapt(value, grad, first.into_primitive(), second.into_primitive(), adam);
        (Self::from_inner(value), Self::from_inner(first), Self::from_inner(second))
    }
}
