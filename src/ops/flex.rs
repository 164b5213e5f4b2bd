//! The operations on Flex: tensors in, kernels over slices, tensors out. What is not `f32` is left to Burn.

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape, TensorData};

use super::cpu::conv::Conv2d;
use super::cpu::dense::Dense;
use super::cpu::depthwise::Depthwise;
use super::cpu::descent::{Adam, Sgd};
use super::cpu::norm::{BatchNorm, Channels, Statistics};
use super::cpu::pool::{self, MaxPool};
use super::cpu::simd::Instructions;
use super::cpu::{buffers, conv_norm, conv_pool, pointwise};
use super::extension::{Maybe, Operations, composed};
use super::{ConvNorm, ConvPool, Window};

/// A tensor of Flex.
pub type Values = FloatTensor<Flex>;

impl Operations for Flex {
    fn convolution(x: Values, weight: Values, bias: Maybe<Flex>, window: Window) -> Values {
        let conv = Convolution::of(&x.shape(), &weight.shape(), window);
        let Some(conv) = conv.filter(|_| all_f32([&x, &weight].into_iter().chain(bias.as_option()))) else {
            return composed::convolution::<Flex>(x, weight, bias, window);
        };
        let bias = bias.into_option().map(contiguous);
        convolve(&conv, &contiguous(x), &contiguous(weight), bias.as_ref())
    }

    fn maximum_pool(x: Values, size: usize) -> Values {
        if !all_f32([&x]) || size > MaxPool::LARGEST {
            return composed::maximum_pool::<Flex>(x, size);
        }
        pool_maxima(&contiguous(x), size).0
    }

    fn batch_normalisation(
        x: Values,
        gamma: Values,
        beta: Values,
        epsilon: f64,
        relu: bool,
    ) -> (Values, Values, Values) {
        if !all_f32([&x, &gamma, &beta]) {
            return composed::batch_normalisation::<Flex>(x, gamma, beta, epsilon, relu);
        }
        let norm = norm_of(&x.shape(), relu);
        normalise(norm, &contiguous(x), &contiguous(gamma), &contiguous(beta), epsilon).into_tensors()
    }

    fn convolution_normalisation(
        x: Values,
        weight: Values,
        gamma: Values,
        beta: Values,
        residual: Maybe<Flex>,
        options: ConvNorm,
    ) -> (Values, Values, Values) {
        if !all_f32([&x, &weight, &gamma, &beta].into_iter().chain(residual.as_option())) {
            return composed::convolution_normalisation::<Flex>(x, weight, gamma, beta, residual, options);
        }
        let residual = residual.into_option().map(contiguous);
        let parameters = [&contiguous(gamma), &contiguous(beta)];
        convolve_normalise(&contiguous(x), &contiguous(weight), parameters, residual.as_ref(), options).1.into_tensors()
    }

    fn convolution_pool(x: Values, weight: Values, bias: Maybe<Flex>, options: ConvPool) -> Values {
        let all = [&x, &weight].into_iter().chain(bias.as_option());
        if !all_f32(all) || options.size > conv_pool::ConvPool::LARGEST {
            return composed::convolution_pool::<Flex>(x, weight, bias, options);
        }
        let block = pooling_block_of(&x.shape(), &weight.shape(), options);
        let bias = bias.into_option().map(contiguous);
        convolve_pool(&block, &contiguous(x), &contiguous(weight), bias.as_ref()).0
    }

    fn dense(x: Values, weight: Values, bias: Values) -> Values {
        if !all_f32([&x, &weight, &bias]) {
            return composed::dense::<Flex>(x, weight, bias);
        }
        let layer = dense_of(&x.shape(), &weight.shape());
        connect(&layer, &contiguous(x), &contiguous(weight), &contiguous(bias))
    }

    fn global_mean(x: Values) -> Values {
        if !all_f32([&x]) {
            return composed::global_mean::<Flex>(x);
        }
        let [n, channels, height, width] = x.shape().dims();
        let mut means = vec![0.0; n * channels];
        pool::plane_means(floats(&contiguous(x)), height * width, &mut means);
        tensor(means, [n, channels])
    }

    fn rectify(x: Values, most: f32) -> Values {
        if !all_f32([&x]) {
            return composed::rectify::<Flex>(x, most);
        }
        let x = contiguous(x);
        let mut out = buffers::take(floats(&x).len());
        pointwise::relu(floats(&x), most, &mut out);
        tensor(out, x.shape())
    }

    fn add_rectify(a: Values, b: Values) -> Values {
        if !all_f32([&a, &b]) {
            return composed::add_rectify::<Flex>(a, b);
        }
        let (a, b) = (contiguous(a), contiguous(b));
        let mut out = buffers::take(floats(&a).len());
        pointwise::add_relu(floats(&a), floats(&b), &mut out);
        tensor(out, a.shape())
    }

    fn descend(value: Values, grad: Values, velocity: Values, sgd: Sgd) -> (Values, Values) {
        if !all_f32([&value, &grad, &velocity]) {
            return composed::descend::<Flex>(value, grad, velocity, sgd);
        }
        let (shape, grad) = (value.shape(), contiguous(grad));
        let (mut value, mut velocity) = (into_floats(value), into_floats(velocity));
        sgd.step(floats(&grad), &mut velocity, &mut value);
        recycle(grad);
        (tensor(value, shape.clone()), tensor(velocity, shape))
    }

    fn adapt(value: Values, grad: Values, first: Values, second: Values, adam: Adam) -> (Values, Values, Values) {
        if !all_f32([&value, &grad, &first, &second]) {
            return composed::adapt::<Flex>(value, grad, first, second, adam);
        }
        let (shape, grad) = (value.shape(), contiguous(grad));
        let [mut value, mut first, mut second] = [value, first, second].map(into_floats);
        adam.step(floats(&grad), [&mut first, &mut second], &mut value);
        recycle(grad);
        (tensor(value, shape.clone()), tensor(first, shape.clone()), tensor(second, shape))
    }
}

/// Whether our kernels can work on the tensors.
pub fn all_f32<'a>(tensors: impl IntoIterator<Item = &'a Values>) -> bool {
    tensors.into_iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// The tensor with its elements in order, without a gap.
pub fn contiguous(tensor: Values) -> Values {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The elements of a tensor that came out of [`contiguous`].
///
/// # Panics
/// If it did not, or is not `f32`.
pub fn floats(tensor: &Values) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor of f32")
}

/// The elements of a tensor, without a copy where nobody else holds them.
pub fn into_floats(tensor: Values) -> Vec<f32> {
    let tensor = contiguous(tensor);
    if !tensor.is_unique() {
        return floats(&tensor).to_vec();
    }
    match tensor.into_data().into_bytes().try_into_vec() {
        Ok(values) => values,
        Err(bytes) => bytemuck::pod_collect_to_vec(&bytes),
    }
}

/// Keeps the buffer of a tensor for the next one, if nobody else holds it.
pub fn recycle(tensor: Values) {
    if tensor.is_unique()
        && tensor.is_contiguous()
        && let Ok(values) = tensor.into_data().into_bytes().try_into_vec()
    {
        buffers::give(values);
    }
}

/// A tensor from its elements.
pub fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Values {
    Flex::float_from_data(TensorData::new(values, shape), &Default::default())
}

/// A convolution that our kernels compute.
#[derive(Debug, Clone, Copy)]
pub enum Convolution {
    /// Every output channel reads every input channel.
    Mixing(Conv2d),
    Depthwise(Depthwise),
}

impl Convolution {
    /// Of an input with weights; None where Burn's backend has to.
    pub fn of(input: &Shape, weight: &Shape, window: Window) -> Option<Self> {
        let ([_, channels, height, width], [channels_out, ..]) = (input.dims::<4>(), weight.dims::<4>());
        let Window { kernel, stride, padding, dilation, groups } = window;
        if groups == channels && channels_out == channels && channels > 1 {
            return Some(Self::Depthwise(Depthwise {
                channels,
                input: [height, width],
                kernel,
                stride,
                padding,
                dilation,
            }));
        }
        let same = stride[0] == stride[1] && padding[0] == padding[1];
        (same && dilation == [1, 1] && groups == 1)
            .then(|| Self::Mixing(shape_of(input, weight, stride[0], padding[0])))
    }

    /// Channels, height and width of an output image.
    fn output(&self) -> [usize; 3] {
        let (channels, [rows, columns]) = match self {
            Self::Mixing(conv) => (conv.channels_out, conv.output()),
            Self::Depthwise(conv) => (conv.channels, conv.output()),
        };
        [channels, rows, columns]
    }
}

/// The convolution of an input with weights, the same along both axes.
pub fn shape_of(input: &Shape, weight: &Shape, stride: usize, padding: usize) -> Conv2d {
    let ([_, channels_in, height, width], [channels_out, _, kh, kw]) = (input.dims(), weight.dims());
    let instructions = Instructions::Detected;
    Conv2d { channels_in, channels_out, input: [height, width], kernel: [kh, kw], stride, padding, instructions }
}

pub fn convolve(conv: &Convolution, x: &Values, weight: &Values, bias: Option<&Values>) -> Values {
    let ([channels, rows, columns], n) = (conv.output(), x.shape()[0]);
    let mut out = buffers::take(n * channels * rows * columns);
    let (x, weight, bias) = (floats(x), floats(weight), bias.map(floats));
    match conv {
        Convolution::Mixing(conv) => conv.forward(x, weight, bias, &mut out),
        Convolution::Depthwise(conv) => conv.forward(x, weight, bias, &mut out),
    }
    tensor(out, [n, channels, rows, columns])
}

/// The gradients of a convolution with respect to input (where `weight` is given) and weights (where `x` is given); what was not
/// asked for is empty.
pub fn gradients(conv: &Convolution, x: Option<&Values>, weight: Option<&Values>, grad: &Values) -> [Values; 2] {
    let batch = if weight.is_some() { grad.shape()[0] } else { 0 };
    match conv {
        Convolution::Mixing(conv) => {
            let [height, width] = conv.input;
            let found = conv.gradients(x.map(floats), weight.map(floats), floats(grad));
            let channels_out = if x.is_some() { conv.channels_out } else { 0 };
            [
                tensor(found.input, [batch, conv.channels_in, height, width]),
                tensor(found.weight, [channels_out, conv.channels_in, conv.kernel[0], conv.kernel[1]]),
            ]
        }
        Convolution::Depthwise(conv) => {
            let [height, width] = conv.input;
            let mut to_input = buffers::take(batch * conv.channels * height * width);
            if let Some(weight) = weight {
                conv.input_gradient(floats(weight), floats(grad), &mut to_input);
            }
            let to_weight = x.map_or_else(Vec::new, |x| conv.weight_gradient(floats(x), floats(grad)));
            let channels = if x.is_some() { conv.channels } else { 0 };
            [
                tensor(to_input, [batch, conv.channels, height, width]),
                tensor(to_weight, [channels, 1, conv.kernel[0], conv.kernel[1]]),
            ]
        }
    }
}

/// Sum of each channel of an output gradient.
pub fn bias_gradient(grad: &Values) -> Values {
    let [_, channels, height, width] = grad.shape().dims();
    let mut out = vec![0.0; channels];
    pointwise::channel_sums(floats(grad), height * width, &mut out);
    tensor(out, [channels])
}

/// The pooled tensor and the place of each maximum in its window.
pub fn pool_maxima(x: &Values, size: usize) -> (Values, Vec<u8>) {
    let [n, channels, height, width] = x.shape().dims();
    let pool = MaxPool { input: [height, width], size };
    let [rows, columns] = pool.output();
    let len = n * channels * rows * columns;
    let (mut out, mut places) = (buffers::take(len), vec![0; len]);
    pool.forward(floats(x), &mut out, &mut places);
    (tensor(out, [n, channels, rows, columns]), places)
}

pub fn pool_gradient(pool: &MaxPool, grad: &Values, places: &[u8], [n, channels]: [usize; 2]) -> Values {
    let [height, width] = pool.input;
    let mut out = buffers::take(n * channels * height * width);
    pool.backward(floats(grad), places, &mut out);
    tensor(out, [n, channels, height, width])
}

/// A normalised batch and what its backward pass needs.
pub struct Normalised {
    pub output: Values,
    pub statistics: Statistics,
    /// `sqrt(var + epsilon)` of each channel.
    pub deviation: Vec<f32>,
}

impl Normalised {
    /// Output, mean and variance.
    pub fn into_tensors(self) -> (Values, Values, Values) {
        let channels = [self.deviation.len()];
        (self.output, tensor(self.statistics.mean, channels), tensor(self.statistics.var, channels))
    }
}

pub fn normalise(norm: BatchNorm, x: &Values, gamma: &Values, beta: &Values, epsilon: f64) -> Normalised {
    let statistics = norm.statistics(floats(x));
    let deviation = statistics.deviation(epsilon);
    let channels = Channels { mean: &statistics.mean, deviation: &deviation, gamma: floats(gamma), beta: floats(beta) };
    let mut out = buffers::take(floats(x).len());
    norm.forward(floats(x), channels, &mut out);
    Normalised { output: tensor(out, x.shape()), statistics, deviation }
}

pub fn norm_of(x: &Shape, relu: bool) -> BatchNorm {
    let [_, channels, height, width] = x.dims();
    BatchNorm { channels, positions: height * width, relu }
}

/// What was convolved, and that normalised.
pub fn convolve_normalise(
    x: &Values,
    weight: &Values,
    [gamma, beta]: [&Values; 2],
    residual: Option<&Values>,
    options: ConvNorm,
) -> (Values, Normalised) {
    let block = block_of(&x.shape(), &weight.shape(), options);
    let ([rows, columns], n) = (block.conv.output(), x.shape()[0]);
    let shape = [n, block.conv.channels_out, rows, columns];
    let mut convolved = buffers::take(shape.iter().product());
    let statistics = block.convolve(floats(x), floats(weight), &mut convolved);
    let deviation = statistics.deviation(options.epsilon);
    let channels = Channels { mean: &statistics.mean, deviation: &deviation, gamma: floats(gamma), beta: floats(beta) };
    let mut out = buffers::take(convolved.len());
    block.normalise(&convolved, channels, residual.map(floats), &mut out);
    (tensor(convolved, shape), Normalised { output: tensor(out, shape), statistics, deviation })
}

pub fn block_of(x: &Shape, weight: &Shape, options: ConvNorm) -> conv_norm::ConvNorm {
    conv_norm::ConvNorm { conv: shape_of(x, weight, options.stride, options.padding), relu: options.relu }
}

/// The maxima of what was convolved, and their places.
pub fn convolve_pool(
    block: &conv_pool::ConvPool,
    x: &Values,
    weight: &Values,
    bias: Option<&Values>,
) -> (Values, Vec<u8>) {
    let [rows, columns] = block.output();
    let shape = [x.shape()[0], block.conv.channels_out, rows, columns];
    let len = shape.iter().product();
    let (mut out, mut places) = (buffers::take(len), vec![0; len]);
    block.forward(floats(x), floats(weight), bias.map(floats), &mut out, &mut places);
    (tensor(out, shape), places)
}

pub fn pooling_block_of(x: &Shape, weight: &Shape, options: ConvPool) -> conv_pool::ConvPool {
    conv_pool::ConvPool { conv: shape_of(x, weight, options.stride, options.padding), size: options.size }
}

pub fn dense_of(x: &Shape, weight: &Shape) -> Dense {
    let ([rows, _], [inputs, outputs]) = (x.dims(), weight.dims());
    Dense { rows, inputs, outputs }
}

pub fn connect(layer: &Dense, x: &Values, weight: &Values, bias: &Values) -> Values {
    let mut out = buffers::take(layer.rows * layer.outputs);
    layer.forward(floats(x), floats(weight), floats(bias), &mut out);
    tensor(out, [layer.rows, layer.outputs])
}
