//! The operations that our models spend their time in, as a Burn backend extension: on Flex, Burn's CPU backend, they run on
//! kernels of our own with their own backward passes; every other backend uses Burn's operations.
//!
//! All of them are deterministic: the same bits for any number of threads, in any process, whatever runs beside. How fast they
//! are, and how fast they could be: `cpu`.

use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::{Shape, Tensor};

pub(crate) mod cpu;
mod extension;
mod flex;
mod flex_autodiff;
mod flex_backward;

use extension::{Maybe, Operations};

pub use cpu::descent::{Adam, Sgd};
pub use cpu::heap::keep_freed;

/// How a convolution reads its input, `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// Zeros around the image, on each side.
    pub padding: [usize; 2],
    /// Distance between what neighbouring weights see.
    pub dilation: [usize; 2],
    /// Parts of the channels that do not mix.
    pub groups: usize,
}

impl Window {
    /// That of weights `[channels_out, channels_in, kh, kw]`, the same along both axes, neither dilated nor in groups.
    fn square(weight: &Shape, stride: usize, padding: usize) -> Self {
        let [_, _, height, width] = weight.dims();
        Self { kernel: [height, width], stride: [stride; 2], padding: [padding; 2], dilation: [1; 2], groups: 1 }
    }

    /// Height and width of what images of this size become; None where one is smaller than the kernel.
    fn output(&self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let side = |size: usize, d: usize| {
            let reach = self.dilation[d] * self.kernel[d].checked_sub(1)? + 1;
            Some((size + 2 * self.padding[d]).checked_sub(reach)? / self.stride[d] + 1)
        };
        Some([side(height, 0)?, side(width, 1)?])
    }
}

/// Two-dimensional convolution (cross-correlation), differentiable in `x`, `weight` and `bias`.
///
/// `x` is `[n, channels_in, h, w]`, `weight` is `[channels_out, channels_in/groups, kh, kw]`, `bias` is `[channels_out]`; the result
/// is `[n, channels_out, rows, columns]` with `rows = (h + 2·padding − dilation·(kh − 1) − 1)/stride + 1`, rounded down. Gradients
/// are computed only for what is tracked.
///
/// # Panics
/// If the shapes do not fit together, a stride is 0 or the padded image is smaller than the kernel.
#[must_use]
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, window: Window) -> Tensor<4> {
    assert_bias(output_shape(&x, &weight, window), bias.as_ref());
    let bias = Maybe::from(bias.map(Tensor::into_dispatch));
    Tensor::from_dispatch(Dispatch::convolution(x.into_dispatch(), weight.into_dispatch(), bias, window))
}

fn output_shape(x: &Tensor<4>, weight: &Tensor<4>, window: Window) -> [usize; 4] {
    let ([n, channels, h, w], [channels_out, channels_in, kh, kw]) = (x.dims(), weight.dims());
    assert_eq!(
        channels,
        channels_in * window.groups,
        "the input and the weights of a convolution must have the same channels"
    );
    assert_eq!([kh, kw], window.kernel, "the weights of a convolution must have the size of its kernel");
    assert!(!window.stride.contains(&0), "the stride of a convolution must be at least 1");
    let [rows, columns] = window
        .output([h, w])
        .expect("a convolution needs an image of at least the size of its kernel, padding included");
    [n, channels_out, rows, columns]
}

fn assert_bias([_, channels_out, ..]: [usize; 4], bias: Option<&Tensor<1>>) {
    let fits = bias.is_none_or(|bias| bias.dims() == [channels_out]);
    assert!(fits, "a convolution needs one bias for each output channel");
}

/// Maximum over windows of `size x size` that do not overlap, differentiable; rows and columns that do not fill a window are left
/// out. `[n, channels, h, w]` becomes `[n, channels, h/size, w/size]`.
///
/// The gradient of a window goes to its first maximum, row by row.
///
/// # Panics
/// If `size` is 0 or larger than the image.
#[must_use]
pub fn max_pool2d(x: Tensor<4>, size: usize) -> Tensor<4> {
    assert_pool(x.dims(), size);
    Tensor::from_dispatch(Dispatch::maximum_pool(x.into_dispatch(), size))
}

fn assert_pool([_, _, h, w]: [usize; 4], size: usize) {
    assert!(size > 0 && h >= size && w >= size, "a pooling window must be at least 1 and at most the image");
}

/// A normalised batch and the statistics that it was normalised with.
#[derive(Debug, Clone)]
pub struct BatchNormOutput {
    /// Of the shape of the input.
    pub output: Tensor<4>,
    /// Mean of each channel, `[channels]`, detached.
    pub mean: Tensor<1>,
    /// Biased variance of each channel, `[channels]`, detached.
    pub var: Tensor<1>,
}

/// Batch normalisation in training mode (Ioffe & Szegedy 2015), differentiable in `x`, `gamma` and `beta`:
/// `gamma · (x − mean) / sqrt(var + epsilon) + beta`, with the mean and the *biased* variance of each channel over the batch.
///
/// `x` is `[n, channels, h, w]`, `gamma` and `beta` are `[channels]`.
///
/// # Panics
/// If the shapes do not fit together.
#[must_use]
pub fn batch_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> BatchNormOutput {
    normalise(x, gamma, beta, epsilon, false)
}

/// [`batch_norm`] followed by a rectifier, in one pass over the memory.
///
/// # Panics
/// If the shapes do not fit together.
#[must_use]
pub fn batch_norm_relu(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> BatchNormOutput {
    normalise(x, gamma, beta, epsilon, true)
}

fn normalise(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64, relu: bool) -> BatchNormOutput {
    assert_channels(x.dims()[1], &gamma, &beta);
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    BatchNormOutput::new(Dispatch::batch_normalisation(x, gamma, beta, epsilon, relu))
}

impl BatchNormOutput {
    fn new((output, mean, var): (DispatchTensor, DispatchTensor, DispatchTensor)) -> Self {
        Self {
            output: Tensor::from_dispatch(output),
            mean: Tensor::from_dispatch(mean).detach(),
            var: Tensor::from_dispatch(var).detach(),
        }
    }
}

fn assert_channels(channels: usize, gamma: &Tensor<1>, beta: &Tensor<1>) {
    assert!(
        gamma.dims() == [channels] && beta.dims() == [channels],
        "batch normalisation needs one gamma and one beta for each channel"
    );
}

/// How [`conv2d_batch_norm`] convolves and normalises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvNorm {
    /// From one window to the next.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether a rectifier follows.
    pub relu: bool,
}

/// [`conv2d`] without a bias, [`batch_norm`] of what it returns, then the optional residual added and the optional rectifier: a
/// block of a residual network in fewer passes over the memory, differentiable in all tensors.
///
/// `residual` has the shape of the output. The statistics are those of the convolution's output.
///
/// # Panics
/// If the shapes do not fit together.
#[must_use]
pub fn conv2d_batch_norm(
    x: Tensor<4>,
    weight: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    residual: Option<Tensor<4>>,
    options: ConvNorm,
) -> BatchNormOutput {
    let shape = output_shape(&x, &weight, Window::square(&weight.shape(), options.stride, options.padding));
    assert_channels(shape[1], &gamma, &beta);
    if let Some(residual) = &residual {
        assert_eq!(residual.dims(), shape, "a residual must have the shape of what it is added to");
    }
    let residual = Maybe::from(residual.map(Tensor::into_dispatch));
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
    BatchNormOutput::new(Dispatch::convolution_normalisation(x, weight, gamma, beta, residual, options))
}

/// How [`conv2d_relu_max_pool`] convolves and pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvPool {
    /// From one window to the next.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Side of the pooling windows.
    pub size: usize,
}

/// [`conv2d`], [`relu`] of what it returns, then [`max_pool2d`]: a block of a plain convolutional network, of which only the
/// maxima reach the memory; differentiable in all tensors.
///
/// # Panics
/// If the shapes do not fit together, or the window is larger than the image.
#[must_use]
pub fn conv2d_relu_max_pool(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvPool) -> Tensor<4> {
    let shape = output_shape(&x, &weight, Window::square(&weight.shape(), options.stride, options.padding));
    assert_pool(shape, options.size);
    assert_bias(shape, bias.as_ref());
    let bias = Maybe::from(bias.map(Tensor::into_dispatch));
    Tensor::from_dispatch(Dispatch::convolution_pool(x.into_dispatch(), weight.into_dispatch(), bias, options))
}

/// `x · weight + bias`, differentiable in all three: `x` is `[n, inputs]`, `weight` is `[inputs, outputs]`, `bias` is
/// `[outputs]`.
///
/// # Panics
/// If the shapes do not fit together.
#[must_use]
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let ([_, columns], [inputs, outputs]) = (x.dims(), weight.dims());
    assert_eq!(columns, inputs, "a dense layer needs one row of weights for each input");
    assert_eq!(bias.dims(), [outputs], "a dense layer needs one bias for each output");
    Tensor::from_dispatch(Dispatch::dense(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()))
}

/// Mean of each channel of each image, differentiable: `[n, channels, h, w]` becomes `[n, channels]`.
#[must_use]
pub fn global_mean_pool(x: Tensor<4>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::global_mean(x.into_dispatch()))
}

/// `max(x, 0)`, differentiable; the gradient at 0 is 0.
#[must_use]
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::rectify(x.into_dispatch(), f32::INFINITY))
}

/// `min(max(x, 0), 6)`, differentiable; the gradient at 0 and at 6 is 0.
#[must_use]
pub fn relu6<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::rectify(x.into_dispatch(), 6.0))
}

/// `max(a + b, 0)`, differentiable, for tensors of one shape: the end of a residual block in one pass over the memory.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn add_relu<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    assert_eq!(a.dims(), b.dims(), "a residual must have the shape of what it is added to");
    Tensor::from_dispatch(Dispatch::add_rectify(a.into_dispatch(), b.into_dispatch()))
}

/// One step of stochastic gradient descent for plain tensors of one shape, in one pass over the memory, in place where nobody
/// else holds them. `velocity` is 0 before the first step. Returns the new value and the new velocity.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn sgd_step<const D: usize>(
    value: Tensor<D>,
    grad: Tensor<D>,
    velocity: Tensor<D>,
    sgd: Sgd,
) -> (Tensor<D>, Tensor<D>) {
    assert!(
        value.dims() == grad.dims() && value.dims() == velocity.dims(),
        "a parameter, its gradient and its velocity must have the same shape"
    );
    let (grad, velocity) = (grad.into_dispatch(), velocity.into_dispatch());
    let (value, velocity) = Dispatch::descend(value.into_dispatch(), grad, velocity, sgd);
    (Tensor::from_dispatch(value), Tensor::from_dispatch(velocity))
}

/// One step of Adam or AdamW for plain tensors of one shape, in one pass over the memory, in place where nobody else holds
/// them. Both `moments` are 0 before the first step. Returns the new value and the new moments.
///
/// # Panics
/// If the shapes differ.
#[must_use]
pub fn adam_step<const D: usize>(
    value: Tensor<D>,
    grad: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
    adam: Adam,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    assert!(
        value.dims() == grad.dims() && value.dims() == first.dims() && value.dims() == second.dims(),
        "a parameter, its gradient and its moments must have the same shape"
    );
    let (value, grad) = (value.into_dispatch(), grad.into_dispatch());
    let (value, first, second) = Dispatch::adapt(value, grad, first.into_dispatch(), second.into_dispatch(), adam);
    (Tensor::from_dispatch(value), [first, second].map(Tensor::from_dispatch))
}

/// A buffer of `len` values, whatever they are, for a tensor that one of these operations takes: its backward pass gives the
/// buffer to the next step.
#[must_use]
pub fn buffer(len: usize) -> Vec<f32> {
    cpu::buffers::take(len)
}

/// Gives the buffers that steps of training pass on to each other back to the system: for when something else begins.
pub fn free_buffers() {
    cpu::buffers::free();
}

#[cfg(test)]
mod tests;
