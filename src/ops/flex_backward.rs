//! The backward passes of the operations on Flex. Each gives the buffers that die with it to the next ones.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;

use super::cpu::dense::Dense;
use super::cpu::norm::{BatchNorm, Channels};
use super::cpu::pool::{self, MaxPool};
use super::cpu::{buffers, conv_norm, conv_pool, pointwise};
use super::flex::{self, Convolution, Values, contiguous, floats, into_floats, recycle, tensor};

/// What the backward pass of a convolution needs: the input for the weights' gradient, the weights for the input's.
#[derive(Debug, Clone)]
pub struct Convolved {
    pub conv: Convolution,
    pub x: Option<Values>,
    pub weight: Option<Values>,
}

#[derive(Debug)]
pub struct ConvolutionBackward;

impl<const N: usize> Backward<Flex, N> for ConvolutionBackward {
    type State = Convolved;

    fn backward(self, ops: Ops<Convolved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let Convolved { conv, x, weight } = ops.state;
        let [to_input, to_weight] = flex::gradients(&conv, x.as_ref(), weight.as_ref(), &grad);
        let to_bias = (N > 2).then(|| flex::bias_gradient(&grad));
        for (node, gradient) in ops.parents.into_iter().zip([to_input, to_weight].into_iter().chain(to_bias)) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
        x.into_iter().chain([grad]).for_each(recycle);
    }
}

#[derive(Debug)]
pub struct MaximumPoolBackward;

impl Backward<Flex, 1> for MaximumPoolBackward {
    type State = (MaxPool, Arc<Vec<u8>>, [usize; 2]);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let ([node], (pool, places, shape)) = (ops.parents, ops.state);
        if let Some(node) = node {
            grads.register::<Flex>(node.id, flex::pool_gradient(&pool, &grad, &places, shape));
        }
        recycle(grad);
    }
}

/// What the channels of a batch were normalised with.
#[derive(Debug)]
pub struct Used {
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
    pub gamma: Values,
    pub beta: Values,
}

impl Used {
    fn channels(&self) -> Channels<'_> {
        let (gamma, beta) = (floats(&self.gamma), floats(&self.beta));
        Channels { mean: &self.mean, deviation: &self.deviation, gamma, beta }
    }
}

#[derive(Debug)]
pub struct NormalisationBackward;

impl Backward<Flex, 3> for NormalisationBackward {
    type State = (BatchNorm, Values, Arc<Used>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let (norm, x, used) = ops.state;
        let mut out = buffers::take(floats(&x).len());
        let parameters = norm.backward(floats(&x), floats(&grad), used.channels(), &mut out);
        let gradients =
            [(out, x.shape()), (parameters.gamma, used.gamma.shape()), (parameters.beta, used.beta.shape())];
        for (node, (values, shape)) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
    }
}

/// What the backward pass of a block of a residual network needs.
#[derive(Debug, Clone)]
pub struct NormalisedConvolution {
    pub block: conv_norm::ConvNorm,
    pub x_shape: Shape,
    pub x: Option<Values>,
    pub weight: Option<Values>,
    pub convolved: Values,
    pub used: Arc<Used>,
    /// Where the gradient of a rectified sum does not vanish.
    pub output: Option<Values>,
}

/// With or without a residual, which is the fifth parent.
#[derive(Debug)]
pub struct NormalisedConvolutionBackward;

impl<const N: usize> Backward<Flex, N> for NormalisedConvolutionBackward {
    type State = NormalisedConvolution;

    fn backward(self, ops: Ops<NormalisedConvolution, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut grad = contiguous(grads.consume::<Flex>(&ops.node));
        let state = ops.state;
        let (convolved, channels) = (floats(&state.convolved), state.used.channels());
        let planes = match state.output {
            Some(output) => {
                let (shape, mut values) = (grad.shape(), into_floats(grad));
                let planes = state.block.rectified_sums(convolved, channels, floats(&output), &mut values);
                grad = tensor(values, shape);
                recycle(output);
                planes
            }
            None => state.block.sums(convolved, channels, floats(&grad), N == 5),
        };
        let of_conv = [state.x.as_ref().map(floats), state.weight.as_ref().map(floats)];
        let found = state.block.backward(of_conv, convolved, channels, floats(&grad), &planes, N == 5);
        let conv = &state.block.conv;
        let weight_shape = Shape::new([conv.channels_out, conv.channels_in, conv.kernel[0], conv.kernel[1]]);
        let of_channels = Shape::new([conv.channels_out]);
        let gradients = [
            (found.conv.input, state.x_shape),
            (found.conv.weight, weight_shape),
            (found.parameters.gamma, of_channels.clone()),
            (found.parameters.beta, of_channels),
        ];
        let mut parents = ops.parents.into_iter();
        for ((values, shape), node) in gradients.into_iter().zip(parents.by_ref()) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
        state.x.into_iter().chain([state.convolved]).for_each(recycle);
        match parents.flatten().next() {
            Some(node) => grads.register::<Flex>(node.id, grad),
            None => recycle(grad),
        }
    }
}

/// What the backward pass of a block of a plain network needs.
#[derive(Debug, Clone)]
pub struct PooledConvolution {
    pub block: conv_pool::ConvPool,
    pub x_shape: Shape,
    pub x: Option<Values>,
    pub weight: Option<Values>,
    pub places: Arc<Vec<u8>>,
}

/// With or without a bias, which is the third parent.
#[derive(Debug)]
pub struct PooledConvolutionBackward;

impl<const N: usize> Backward<Flex, N> for PooledConvolutionBackward {
    type State = PooledConvolution;

    fn backward(self, ops: Ops<PooledConvolution, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let state = ops.state;
        let (x, weight) = (state.x.as_ref().map(floats), state.weight.as_ref().map(floats));
        let (found, bias) = state.block.backward(x, weight, &state.places, floats(&grad));
        let conv = &state.block.conv;
        let weight_shape = Shape::new([conv.channels_out, conv.channels_in, conv.kernel[0], conv.kernel[1]]);
        let of_channels = Shape::new([conv.channels_out]);
        let gradients = [(found.input, state.x_shape), (found.weight, weight_shape), (bias, of_channels)];
        state.x.into_iter().chain([grad]).for_each(recycle);
        for ((values, shape), node) in gradients.into_iter().zip(ops.parents) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
    }
}

/// What the backward pass of a dense layer needs.
#[derive(Debug, Clone)]
pub struct Connected {
    pub layer: Dense,
    pub x: Option<Values>,
    pub weight: Option<Values>,
}

#[derive(Debug)]
pub struct DenseBackward;

impl Backward<Flex, 3> for DenseBackward {
    type State = Connected;

    fn backward(self, ops: Ops<Connected, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let Connected { layer, x, weight } = ops.state;
        let Dense { rows, inputs, outputs } = layer;
        let [x_node, weight_node, bias_node] = ops.parents;
        if let (Some(node), Some(weight)) = (x_node, weight) {
            let mut out = buffers::take(rows * inputs);
            layer.input_gradient(floats(&grad), floats(&weight), &mut out);
            grads.register::<Flex>(node.id, tensor(out, [rows, inputs]));
        }
        if let (Some(node), Some(x)) = (weight_node, &x) {
            let mut out = buffers::take(inputs * outputs);
            layer.weight_gradient(floats(x), floats(&grad), &mut out);
            grads.register::<Flex>(node.id, tensor(out, [inputs, outputs]));
        }
        if let Some(node) = bias_node {
            grads.register::<Flex>(node.id, tensor(layer.bias_gradient(floats(&grad)), [outputs]));
        }
        x.into_iter().chain([grad]).for_each(recycle);
    }
}

#[derive(Debug)]
pub struct GlobalMeanBackward;

impl Backward<Flex, 1> for GlobalMeanBackward {
    type State = [usize; 4];

    fn backward(self, ops: Ops<[usize; 4], 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let ([node], [n, channels, height, width]) = (ops.parents, ops.state);
        if let Some(node) = node {
            let mut out = buffers::take(n * channels * height * width);
            pool::plane_means_backward(floats(&grad), height * width, &mut out);
            grads.register::<Flex>(node.id, tensor(out, ops.state));
        }
    }
}

/// The backward pass of a rectifier of one input, or of the sum of two; the state is its output.
#[derive(Debug)]
pub struct RectifyBackward;

impl<const N: usize> Backward<Flex, N> for RectifyBackward {
    /// The output and its upper limit.
    type State = (Values, f32);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let mut out = buffers::take(floats(&grad).len());
        let (output, most) = ops.state;
        pointwise::relu_backward(floats(&output), most, floats(&grad), &mut out);
        let gradient = tensor(out, grad.shape());
        [output, grad].into_iter().for_each(recycle);
        for node in ops.parents.into_iter().flatten() {
            grads.register::<Flex>(node.id, gradient.clone());
        }
    }
}
