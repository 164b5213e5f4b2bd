//! The operations on Flex with gradients: each records what its own backward pass needs, and no more.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex, TensorMetadata};
use burn::tensor::Shape;

use super::ConvNorm;
use super::cpu::conv::Conv2d;
use super::cpu::conv_norm;
use super::cpu::norm::{BatchNorm, Channels};
use super::cpu::pointwise::{self, Sgd};
use super::cpu::pool::{self, MaxPool};
use super::extension::{Maybe, Operations, composed};
use super::flex::{self, Values, all_f32, contiguous, floats, into_floats, tensor};

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

impl<C: CheckpointStrategy> Operations for Autodiff<Flex, C> {
    fn convolution(
        x: Tracked<C>,
        weight: Tracked<C>,
        bias: Maybe<Self>,
        stride: usize,
        padding: usize,
    ) -> Tracked<C> {
        if !all_f32([&x, &weight].into_iter().chain(bias.as_option()).map(|tensor| tensor.primitive())) {
            return composed::convolution::<Self>(x, weight, bias, stride, padding);
        }
        let conv = flex::shape_of(&x.shape(), &weight.shape(), stride, padding);
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (x, weight) = (contiguous(x), contiguous(weight));
        let (bias, bias_node) = bias.into_option().map(|bias| bias.into_parts()).unzip();
        let bias = bias.map(contiguous);
        let output = flex::convolve(&conv, &x, &weight, bias.as_ref());
        let state = Convolved {
            conv,
            x: weight_tracked.then_some(x),
            weight: x_tracked.then_some(weight),
        };
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

    fn convolution_input_grad(
        output_grad: Tracked<C>,
        weight: Tracked<C>,
        input_hw: [usize; 2],
        stride: usize,
        padding: usize,
    ) -> Tracked<C> {
        let (output_grad, weight) = (output_grad.into_primitive(), weight.into_primitive());
        Self::from_inner(Flex::convolution_input_grad(output_grad, weight, input_hw, stride, padding))
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

    fn maximum_pool_input_grad(x: Tracked<C>, output_grad: Tracked<C>, size: usize) -> Tracked<C> {
        Self::from_inner(Flex::maximum_pool_input_grad(x.into_primitive(), output_grad.into_primitive(), size))
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

    fn rectify(x: Tracked<C>) -> Tracked<C> {
        if !all_f32([x.primitive()]) {
            return composed::rectify::<Self>(x);
        }
        let (x, node) = x.into_parts();
        let output = Flex::rectify(x);
        match RectifyBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(output.clone(), output),
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
            OpsKind::Tracked(prep) => prep.finish(output.clone(), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn descend(value: Tracked<C>, grad: Tracked<C>, velocity: Tracked<C>, sgd: Sgd) -> (Tracked<C>, Tracked<C>) {
        let (grad, velocity) = (grad.into_primitive(), velocity.into_primitive());
        let (value, velocity) = Flex::descend(value.into_primitive(), grad, velocity, sgd);
        (Self::from_inner(value), Self::from_inner(velocity))
    }
}

/// What the backward pass of a convolution needs: the input for the weights' gradient, the weights for the input's.
#[derive(Debug, Clone)]
struct Convolved {
    conv: Conv2d,
    x: Option<Values>,
    weight: Option<Values>,
}

#[derive(Debug)]
struct ConvolutionBackward;

impl<const N: usize> Backward<Flex, N> for ConvolutionBackward {
    type State = Convolved;

    fn backward(self, ops: Ops<Convolved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let Convolved { conv, x, weight } = ops.state;
        for (place, node) in ops.parents.into_iter().enumerate() {
            let Some(node) = node else { continue };
            let gradient = match (place, &x, &weight) {
                (0, _, Some(weight)) => flex::input_gradient(&conv, &grad, weight),
                (1, Some(x), _) => flex::weight_gradient(&conv, x, &grad),
                (2, _, _) => flex::bias_gradient(&grad),
                _ => continue,
            };
            grads.register::<Flex>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct MaximumPoolBackward;

impl Backward<Flex, 1> for MaximumPoolBackward {
    type State = (MaxPool, Arc<Vec<u8>>, [usize; 2]);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let ([node], (pool, places, shape)) = (ops.parents, ops.state);
        if let Some(node) = node {
            grads.register::<Flex>(node.id, flex::pool_gradient(&pool, &grad, &places, shape));
        }
    }
}

/// What the channels of a batch were normalised with.
#[derive(Debug)]
struct Used {
    mean: Vec<f32>,
    deviation: Vec<f32>,
    gamma: Values,
    beta: Values,
}

impl Used {
    fn channels(&self) -> Channels<'_> {
        let (gamma, beta) = (floats(&self.gamma), floats(&self.beta));
        Channels { mean: &self.mean, deviation: &self.deviation, gamma, beta }
    }
}

#[derive(Debug)]
struct NormalisationBackward;

impl Backward<Flex, 3> for NormalisationBackward {
    type State = (BatchNorm, Values, Arc<Used>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let (norm, x, used) = ops.state;
        let mut out = vec![0.0; floats(&x).len()];
        let parameters = norm.backward(floats(&x), floats(&grad), used.channels(), &mut out);
        let gradients = [(out, x.shape()), (parameters.gamma, used.gamma.shape()), (parameters.beta, used.beta.shape())];
        for (node, (values, shape)) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
    }
}

/// What the backward pass of a block of a residual network needs.
#[derive(Debug, Clone)]
struct NormalisedConvolution {
    block: conv_norm::ConvNorm,
    x_shape: Shape,
    x: Option<Values>,
    weight: Option<Values>,
    convolved: Values,
    used: Arc<Used>,
    /// Where the gradient of a rectified sum does not vanish.
    output: Option<Values>,
}

/// With or without a residual, which is the fifth parent.
#[derive(Debug)]
struct NormalisedConvolutionBackward;

impl<const N: usize> Backward<Flex, N> for NormalisedConvolutionBackward {
    type State = NormalisedConvolution;

    fn backward(self, ops: Ops<NormalisedConvolution, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut grad = contiguous(grads.consume::<Flex>(&ops.node));
        let state = ops.state;
        if let Some(output) = state.output {
            let shape = grad.shape();
            let mut values = into_floats(grad);
            state.block.rectify_gradient(floats(&output), &mut values);
            grad = tensor(values, shape);
        }
        let (x, weight) = (state.x.as_ref().map(floats), state.weight.as_ref().map(floats));
        let (convolved, channels) = (floats(&state.convolved), state.used.channels());
        let found = state.block.backward(x, weight, convolved, channels, floats(&grad), N == 5);
        let conv = &state.block.conv;
        let weight_shape = Shape::new([conv.channels_out, conv.channels_in, conv.kernel[0], conv.kernel[1]]);
        let of_channels = Shape::new([conv.channels_out]);
        let gradients = [
            (found.input, state.x_shape),
            (found.weight, weight_shape),
            (found.parameters.gamma, of_channels.clone()),
            (found.parameters.beta, of_channels),
        ];
        let mut parents = ops.parents.into_iter();
        for ((values, shape), node) in gradients.into_iter().zip(parents.by_ref()) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
        if let Some(node) = parents.flatten().next() {
            grads.register::<Flex>(node.id, grad);
        }
    }
}

#[derive(Debug)]
struct GlobalMeanBackward;

impl Backward<Flex, 1> for GlobalMeanBackward {
    type State = [usize; 4];

    fn backward(self, ops: Ops<[usize; 4], 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let ([node], [n, channels, height, width]) = (ops.parents, ops.state);
        if let Some(node) = node {
            let mut out = vec![0.0; n * channels * height * width];
            pool::plane_means_backward(floats(&grad), height * width, &mut out);
            grads.register::<Flex>(node.id, tensor(out, ops.state));
        }
    }
}

/// The backward pass of a rectifier of one input, or of the sum of two; the state is its output.
#[derive(Debug)]
struct RectifyBackward;

impl<const N: usize> Backward<Flex, N> for RectifyBackward {
    type State = Values;

    fn backward(self, ops: Ops<Values, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let mut out = vec![0.0; floats(&grad).len()];
        pointwise::relu_backward(floats(&ops.state), floats(&grad), &mut out);
        let gradient = tensor(out, grad.shape());
        for node in ops.parents.into_iter().flatten() {
            grads.register::<Flex>(node.id, gradient.clone());
        }
    }
}
