//! The layers of the zoo as Burn modules: what each holds and what it does to a batch.
//!
//! Activations travel as `[batch, channels, height, width]` throughout; after flattening, height and width are 1.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData, activation, module};

use super::tap::{Gradient, Layout, Site, Tap, Window};
use crate::config::Activation;
use crate::ops::{self, BatchNormOutput, ConvNorm};

fn see(tap: &mut dyn Tap, layer: &str, parts: Vec<(&'static str, Gradient)>, out: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = out.dims();
    tap.see(Site { layer, parts }, out.reshape([n, c, h * w]), Layout::ChannelsFirst).reshape([n, c, h, w])
}

impl Conv {
    pub fn tapped(&self, x: Tensor<4>, tap: &mut dyn Tap) -> Tensor<4> {
        let [_, _, k, _] = self.weight.dims();
        let window = Window {
            kernel: [k; 2],
            stride: [self.stride; 2],
            padding: [self.padding; 2],
            dilation: [1; 2],
            groups: 1,
        };
        let mut parts = vec![("weight", Gradient::Conv { input: x.clone(), window })];
        parts.extend(self.bias.is_some().then_some(("bias", Gradient::Shift)));
        see(tap, &self.name, parts, self.forward(x))
    }
}

impl BatchNorm {
    pub fn tapped(&self, x: Tensor<4>, tap: &mut dyn Tap) -> Tensor<4> {
        let values = self.normalised(x.clone());
        let [n, c, h, w] = values.dims();
        let parts =
            vec![("weight", Gradient::Scale { inputs: values.reshape([n, c, h * w]) }), ("bias", Gradient::Shift)];
        see(tap, &self.name, parts, self.evaluate(x))
    }
}

impl Dense {
    pub fn tapped(&self, x: Tensor<4>, tap: &mut dyn Tap) -> Tensor<4> {
        let [n, inputs, _, _] = x.dims();
        let parts =
            vec![("weight", Gradient::Dense { inputs: x.clone().reshape([n, 1, inputs]) }), ("bias", Gradient::Shift)];
        see(tap, &self.name, parts, self.forward(x))
    }
}

/// Added to a batch norm's variance, as PyTorch does.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;
/// Weight of the newest batch in a batch norm's running statistics, as in PyTorch.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Any layer of a network.
#[allow(clippy::large_enum_variant, reason = "a network has a few dozen layers, and they are not moved about")]
#[derive(Module, Debug)]
pub enum Layer {
    Conv(Conv),
    BatchNorm(BatchNorm),
    Activation(Nonlinearity),
    MaxPool(MaxPool),
    GlobalMeanPool(GlobalMeanPool),
    Flatten(Flatten),
    Dropout(Dropout),
    Dense(Dense),
    Residual(Residual),
}

/// Square two-dimensional convolution.
#[derive(Module, Debug)]
pub struct Conv {
    /// Stable name, such as `c1`.
    pub name: String,
    /// `[out, in, k, k]`
    pub weight: Param<Tensor<4>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
    pub stride: usize,
    pub padding: usize,
}

impl Conv {
    /// `[n, in, h, w]` to `[n, out, h', w']`.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        ops::conv2d(input, self.weight.val(), self.bias.as_ref().map(Param::val), self.stride, self.padding)
    }

    /// [`Self::forward`], rectified, and the maxima of windows of `size x size`, in one go.
    #[must_use]
    pub fn relu_max_pool(&self, input: Tensor<4>, size: usize) -> Tensor<4> {
        let options = ops::ConvPool { stride: self.stride, padding: self.padding, size };
        ops::conv2d_relu_max_pool(input, self.weight.val(), self.bias.as_ref().map(Param::val), options)
    }
}

/// Batch normalisation per channel (Ioffe & Szegedy 2015).
#[derive(Module, Debug)]
pub struct BatchNorm {
    pub name: String,
    /// Scale, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub beta: Param<Tensor<1>>,
    /// `[channels]`, what evaluation uses; never differentiated.
    pub running_mean: Tensor<1>,
    /// `[channels]`, unbiased.
    pub running_var: Tensor<1>,
}

impl BatchNorm {
    /// Normalises by the running statistics: an affine map per channel.
    #[must_use]
    pub fn evaluate(&self, input: Tensor<4>) -> Tensor<4> {
        let (mean, var) = (self.running_mean.clone(), self.running_var.clone());
        module::batch_norm(input, self.gamma.val(), self.beta.val(), mean, var, BATCH_NORM_EPSILON)
    }

    /// The activation that `gamma` multiplies: the input with the running mean taken off, over the running deviation.
    #[must_use]
    pub fn normalised(&self, input: Tensor<4>) -> Tensor<4> {
        let [channels] = self.running_mean.dims();
        let mean = self.running_mean.clone().reshape([1, channels, 1, 1]);
        let deviation = self.running_var.clone().add_scalar(BATCH_NORM_EPSILON).sqrt().reshape([1, channels, 1, 1]);
        (input - mean) / deviation
    }

    /// Normalises by the statistics of the batch, and rectifies what comes out where `relu` says so: one pass over memory
    /// does both.
    #[must_use]
    pub fn train(&self, input: Tensor<4>, relu: bool) -> BatchNormOutput {
        let normalise = if relu { ops::batch_norm_relu } else { ops::batch_norm };
        normalise(input, self.gamma.val(), self.beta.val(), BATCH_NORM_EPSILON)
    }

    /// What [`Self::train`] makes of the output of a convolution without a bias, with a residual added before it is rectified,
    /// in one go.
    #[must_use]
    pub fn train_after(
        &self,
        conv: &Conv,
        input: Tensor<4>,
        residual: Option<Tensor<4>>,
        relu: bool,
    ) -> BatchNormOutput {
        let options = ConvNorm { stride: conv.stride, padding: conv.padding, epsilon: BATCH_NORM_EPSILON, relu };
        let (weight, gamma, beta) = (conv.weight.val(), self.gamma.val(), self.beta.val());
        ops::conv2d_batch_norm(input, weight, gamma, beta, residual, options)
    }

    /// Moves the running statistics towards those of a batch of `count` values per channel.
    pub fn update(&mut self, mean: Tensor<1>, var: Tensor<1>, count: usize) {
        let unbias = count as f64 / (count.max(2) - 1) as f64;
        let blend = |old: &Tensor<1>, new: Tensor<1>| {
            old.clone().mul_scalar(1.0 - BATCH_NORM_MOMENTUM) + new.mul_scalar(BATCH_NORM_MOMENTUM)
        };
        self.running_mean = blend(&self.running_mean, mean);
        self.running_var = blend(&self.running_var, var.mul_scalar(unbias));
    }
}

/// A non-linearity, element by element.
#[derive(Module, Debug)]
pub struct Nonlinearity {
    #[module(skip)]
    pub kind: Activation,
}

impl Nonlinearity {
    /// Whether it is the one that other layers can apply to their own output.
    #[must_use]
    pub fn is_relu(&self) -> bool {
        self.kind == Activation::Relu
    }

    #[must_use]
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self.kind {
            Activation::Relu => ops::relu(input),
            Activation::Tanh => activation::tanh(input),
            Activation::Gelu => activation::gelu(input),
        }
    }
}

/// Maximum over square windows side by side; a remainder at the edge is dropped.
#[derive(Module, Debug)]
pub struct MaxPool {
    pub size: usize,
}

impl MaxPool {
    #[must_use]
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        ops::max_pool2d(input, self.size)
    }
}

/// Mean over all positions: `[n, c, h, w]` to `[n, c, 1, 1]`.
#[derive(Module, Debug)]
pub struct GlobalMeanPool {
    /// Positions averaged over, for the reverse pass.
    pub positions: usize,
}

impl GlobalMeanPool {
    #[must_use]
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [n, channels, _, _] = input.dims();
        ops::global_mean_pool(input).reshape([n, channels, 1, 1])
    }
}

/// `[n, c, h, w]` to `[n, c·h·w, 1, 1]`.
#[derive(Module, Debug)]
pub struct Flatten {
    /// Length of a flattened example.
    pub length: usize,
}

impl Flatten {
    #[must_use]
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [n, _, _, _] = input.dims();
        input.reshape([n, self.length, 1, 1])
    }
}

/// Inverted dropout: kept inputs are scaled by 1/(1 − p) while training, nothing happens in evaluation.
#[derive(Module, Debug)]
pub struct Dropout {
    pub probability: f64,
}

impl Dropout {
    /// Multiplies by a mask drawn on the host.
    #[must_use]
    pub fn train(&self, input: Tensor<4>, random: &mut crate::random::ByExample) -> Tensor<4> {
        let shape = input.dims();
        let each = shape[1] * shape[2] * shape[3];
        let keep = (1.0 / (1.0 - self.probability)) as f32;
        // A uniform value takes two words.
        let offset = random.reserve(2 * each as u64);
        let mut mask = Vec::with_capacity(shape[0] * each);
        for place in 0..shape[0] {
            let stream = random.at(place, offset);
            mask.extend((0..each).map(|_| if stream.uniform() < self.probability { 0.0 } else { keep }));
        }
        let mask = Tensor::<4>::from_data(TensorData::new(mask, shape), &input.device());
        input * mask
    }
}

/// Fully connected layer.
#[derive(Module, Debug)]
pub struct Dense {
    pub name: String,
    /// `[in, out]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    /// `[n, in, 1, 1]` to `[n, out, 1, 1]`.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [n, inputs, _, _] = input.dims();
        let out = ops::dense(input.reshape([n, inputs]), self.weight.val(), self.bias.val());
        let [_, outputs] = out.dims();
        out.reshape([n, outputs, 1, 1])
    }
}

/// The body's output plus its input (He 2016); a 1x1 convolution fits the input where the shapes differ.
#[derive(Module, Debug)]
pub struct Residual {
    pub shortcut: Option<Conv>,
    pub body: Vec<Layer>,
}

/// A trainable parameter with an identity that is the same in every process, which the optimiser's saved state refers to.
pub(crate) fn parameter<const D: usize>(
    id: u64,
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    let mut parameter = Param::from_data(TensorData::new(values, shape), device);
    parameter.id = ParamId::from(id);
    parameter
}
