//! The extension trait, and the operations composed of Burn's for the backends that have no kernels of ours.

#![cfg_attr(feature = "ndarray", allow(deprecated, reason = "ndarray is kept on purpose, to compare with"))]

use burn::backend::ops::ConvOptions;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType, TensorMetadata, backend_extension};
use burn::tensor::Shape;

use super::cpu::descent::{Adam, Sgd};
use super::{ConvNorm, ConvPool, Window};

/// An `Option` that an extension can take.
#[derive(ExtensionType)]
pub enum Maybe<B: Backend> {
    Some(FloatTensor<B>),
    None,
}

impl<B: Backend> Maybe<B> {
    pub fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Some(tensor) => Some(tensor),
            Self::None => None,
        }
    }

    pub fn as_option(&self) -> Option<&FloatTensor<B>> {
        match self {
            Self::Some(tensor) => Some(tensor),
            Self::None => None,
        }
    }
}

impl<B: Backend> From<Option<FloatTensor<B>>> for Maybe<B> {
    fn from(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Self::None, Self::Some)
    }
}

/// The operations of [`crate::ops`] on primitives; shapes have been checked there.
#[backend_extension(Flex, NdArray: cfg(feature = "ndarray"), Cube: cfg(feature = "wgpu"), Autodiff)]
pub trait Operations: Backend {
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        composed::convolution::<Self>(x, weight, bias, window)
    }

    fn maximum_pool(x: FloatTensor<Self>, size: usize) -> FloatTensor<Self> {
        composed::maximum_pool::<Self>(x, size)
    }

    fn batch_normalisation(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::batch_normalisation::<Self>(x, gamma, beta, epsilon, relu)
    }

    fn convolution_normalisation(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        #[extension_type] residual: Maybe<Self>,
        options: ConvNorm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::convolution_normalisation::<Self>(x, weight, gamma, beta, residual, options)
    }

    fn convolution_pool(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
        options: ConvPool,
    ) -> FloatTensor<Self> {
        composed::convolution_pool::<Self>(x, weight, bias, options)
    }

    fn dense(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::dense::<Self>(x, weight, bias)
    }

    fn global_mean(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::global_mean::<Self>(x)
    }

    fn rectify(x: FloatTensor<Self>, most: f32) -> FloatTensor<Self> {
        composed::rectify::<Self>(x, most)
    }

    fn add_rectify(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::add_rectify::<Self>(a, b)
    }

    fn descend(
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        sgd: Sgd,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::descend::<Self>(value, grad, velocity, sgd)
    }

    fn adapt(
        value: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        adam: Adam,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::adapt::<Self>(value, grad, first, second, adam)
    }
}

#[cfg(any(feature = "ndarray", feature = "wgpu"))]
mod others {
    use burn::backend::Autodiff;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;

    use super::Operations;

    #[cfg(feature = "ndarray")]
    impl Operations for burn::backend::NdArray {}
    #[cfg(feature = "ndarray")]
    impl<C: CheckpointStrategy> Operations for Autodiff<burn::backend::NdArray, C> {}
    #[cfg(feature = "wgpu")]
    impl Operations for burn::backend::Cube {}
    #[cfg(feature = "wgpu")]
    impl<C: CheckpointStrategy> Operations for Autodiff<burn::backend::Cube, C> {}
}

/// The operations made of Burn's own, for any backend, differentiable where that is.
pub mod composed {
    use super::*;

    pub fn convolution<B: Backend>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Maybe<B>,
        window: Window,
    ) -> FloatTensor<B> {
        let Window { stride, padding, dilation, groups, .. } = window;
        B::conv2d(x, weight, bias.into_option(), ConvOptions::new(stride, padding, dilation, groups))
    }

    pub fn maximum_pool<B: Backend>(x: FloatTensor<B>, size: usize) -> FloatTensor<B> {
        B::max_pool2d(x, [size; 2], [size; 2], [0; 2], [1; 2], false)
    }

    pub fn batch_normalisation<B: Backend>(
        x: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let channels = x.shape()[1];
        let mean_of = |x| B::float_mean_dim(B::float_mean_dim(B::float_mean_dim(x, 3), 2), 0);
        let wide = |x| B::float_reshape(x, Shape::new([1, channels, 1, 1]));
        let narrow = |x| B::float_reshape(x, Shape::new([channels]));
        let mean = mean_of(x.clone());
        let centred = B::float_sub(x, mean.clone());
        let var = mean_of(B::float_mul(centred.clone(), centred.clone()));
        let deviation = B::float_sqrt(B::float_add_scalar(var.clone(), epsilon.into()));
        let scaled = B::float_mul(B::float_div(centred, deviation), wide(gamma));
        let output = B::float_add(scaled, wide(beta));
        (if relu { B::relu(output) } else { output }, narrow(mean), narrow(var))
    }

    pub fn dense<B: Backend>(x: FloatTensor<B>, weight: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
        B::linear(x, weight, Some(bias))
    }

    pub fn global_mean<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
        let shape = x.shape();
        let means = B::float_mean_dim(B::float_mean_dim(x, 3), 2);
        B::float_reshape(means, Shape::new([shape[0], shape[1]]))
    }

    pub fn rectify<B: Backend>(x: FloatTensor<B>, most: f32) -> FloatTensor<B> {
        if most.is_finite() { B::float_clamp(x, 0.0.into(), most.into()) } else { B::relu(x) }
    }

    pub fn add_rectify<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        B::relu(B::float_add(a, b))
    }

    pub fn convolution_normalisation<B: Backend>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        residual: Maybe<B>,
        options: ConvNorm,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let window = Window::square(&weight.shape(), options.stride, options.padding);
        let convolved = convolution::<B>(x, weight, Maybe::None, window);
        let (output, mean, var) = batch_normalisation::<B>(convolved, gamma, beta, options.epsilon, false);
        let output = match residual {
            Maybe::Some(residual) => B::float_add(output, residual),
            Maybe::None => output,
        };
        (if options.relu { B::relu(output) } else { output }, mean, var)
    }

    pub fn convolution_pool<B: Backend>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Maybe<B>,
        options: ConvPool,
    ) -> FloatTensor<B> {
        let window = Window::square(&weight.shape(), options.stride, options.padding);
        let convolved = convolution::<B>(x, weight, bias, window);
        maximum_pool::<B>(B::relu(convolved), options.size)
    }

    pub fn adapt<B: Backend>(
        value: FloatTensor<B>,
        grad: FloatTensor<B>,
        first: FloatTensor<B>,
        second: FloatTensor<B>,
        adam: Adam,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let times = |tensor: FloatTensor<B>, factor: f32| B::float_mul_scalar(tensor, factor.into());
        let blend = |old, new, [kept, taken]: [f32; 2]| B::float_add(times(old, kept), times(new, taken));
        let grad = B::float_add(grad, times(value.clone(), adam.decay));
        let first = blend(first, grad.clone(), adam.first);
        let second = blend(second, B::float_mul(grad.clone(), grad), adam.second);
        let root = times(B::float_sqrt(second.clone()), adam.root);
        let step = B::float_div(times(first.clone(), adam.rate), B::float_add_scalar(root, adam.epsilon.into()));
        (B::float_sub(times(value, adam.kept), step), first, second)
    }

    pub fn descend<B: Backend>(
        value: FloatTensor<B>,
        grad: FloatTensor<B>,
        velocity: FloatTensor<B>,
        sgd: Sgd,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let times = |tensor: FloatTensor<B>, factor: f32| B::float_mul_scalar(tensor, factor.into());
        let grad = B::float_add(grad, times(value.clone(), sgd.weight_decay));
        let velocity = B::float_add(times(velocity, sgd.momentum), grad.clone());
        let direction =
            if sgd.nesterov { B::float_add(grad, times(velocity.clone(), sgd.momentum)) } else { velocity.clone() };
        (B::float_sub(value, times(direction, sgd.learning_rate)), velocity)
    }
}
