//! A trained network on the host: the plan's layers with their weights in the layouts that the kernel passes read.
//!
//! Images are kept with the channel innermost, `[height, width, channels]`, so that what a kernel window reads of one image
//! row is contiguous. A batch norm is folded into the convolution before it: in evaluation it is an affine map per channel.

use std::collections::HashMap;

use crate::config::Activation;
use crate::error::{Error, Result};
use crate::model::{HostTensor, Layer, Placed, Plan, layer};

/// Channels, height, width.
pub(super) type Shape = [usize; 3];

/// A network's layers with their weights, read once.
#[derive(Debug, Clone, PartialEq)]
pub struct HostNetwork {
    pub(super) input: Shape,
    pub(super) classes: usize,
    pub(super) layers: Vec<HostLayer>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum HostLayer {
    Conv(Conv),
    Dense(Dense),
    Activation(Activation),
    MaxPool(usize),
    GlobalMeanPool,
    Flatten,
    Residual { body: Vec<HostLayer>, shortcut: Option<Conv> },
}

/// A convolution of square kernels, with its bias and the batch norm after it, if any.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conv {
    pub input: Shape,
    pub output: Shape,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    /// `[out, k, k, in]`
    pub weight: Vec<f32>,
    pub bias: Option<Vec<f32>>,
    pub norm: Option<Norm>,
    /// Index of the layer's first parameter in the whole network.
    pub offset: usize,
}

impl Conv {
    /// Length of one window: k · k · in.
    pub fn window(&self) -> usize {
        self.kernel * self.kernel * self.input[0]
    }

    /// Parameters per output channel: the window, then bias, then the norm's scale and shift.
    pub fn per_channel(&self) -> usize {
        self.window() + usize::from(self.bias.is_some()) + 2 * usize::from(self.norm.is_some())
    }

    /// What the batch norm, if any, multiplies a channel by.
    pub fn factor(&self, channel: usize) -> f32 {
        self.norm.as_ref().map_or(1.0, |norm| norm.factor(channel))
    }

    /// Positions of the output.
    pub fn positions(&self) -> usize {
        self.output[1] * self.output[2]
    }
}

/// Batch norm in evaluation mode: scale · (z − mean) · inverse + shift, each `[channels]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    /// 1 / √(running variance + ε)
    pub inverse: Vec<f32>,
}

impl Norm {
    /// What a channel is multiplied by.
    pub fn factor(&self, channel: usize) -> f32 {
        self.scale[channel] * self.inverse[channel]
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    pub inputs: usize,
    pub outputs: usize,
    /// `[out, in]`
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub offset: usize,
}

impl HostNetwork {
    /// Puts together a plan and its weights under their PyTorch names (`c1.weight` `[out, in, k, k]`, `fc.weight` `[out, in]`, …).
    ///
    /// # Errors
    /// `Invalid` when a tensor is missing, of another shape than the plan's or not finite.
    pub fn new(plan: &Plan, weights: &[HostTensor]) -> Result<Option<Self>> {
        if !serves(&plan.layers) {
            return Ok(None);
        }
        let tensors = weights.iter().map(|t| (t.name.as_str(), t)).collect();
        let mut source = Source { tensors, parameters: 0 };
        let layers = source.layers(&plan.layers)?;
        Ok(Some(Self { input: plan.input.padded(), classes: plan.classes, layers }))
    }

    /// Values of one example.
    #[must_use]
    pub fn example_len(&self) -> usize {
        self.input.iter().product()
    }
}

/// Whether these are layers that the route knows: plain convolutions, each with at most one batch norm right after it, then dense
/// layers with nothing but activations between them; residual bodies hold something, and no dense layers; nothing is frozen.
fn serves(places: &[Placed]) -> bool {
    let dense = |place: &Placed| matches!(place.layer, Layer::Dense(_));
    let head = places.iter().position(dense).unwrap_or(places.len());
    let conv = |place: &Placed| matches!(&place.layer, Layer::Conv(conv) if conv.plain().is_some()) && !place.frozen;
    let within = |(at, place): (usize, &Placed)| match &place.layer {
        Layer::Conv(_) => conv(place),
        Layer::BatchNorm(_) => at > 0 && conv(&places[at - 1]) && !place.frozen,
        Layer::Activation(kind) => activation(*kind).is_some(),
        Layer::MaxPool(pool) => pool.plain().is_some(),
        Layer::GlobalMean(_) | Layer::Dropout(_) => true,
        Layer::Flatten(flatten) => flatten.from == 1,
        Layer::Residual(residual) => {
            let shortcut = match residual.shortcut.as_slice() {
                [] => residual.padded.is_none(),
                [one] => conv(one),
                _ => false,
            };
            shortcut && !residual.body.is_empty() && !residual.body.iter().any(dense) && serves(&residual.body)
        }
        _ => false,
    };
    let after = |place: &Placed| match &place.layer {
        Layer::Dense(dense) => dense.bias && place.input.axes().len() == 1 && !place.frozen,
        Layer::Activation(kind) => activation(*kind).is_some(),
        Layer::Dropout(_) => true,
        _ => false,
    };
    places[..head].iter().enumerate().all(within) && places[head..].iter().all(after)
}

/// The activations that the route knows.
fn activation(kind: layer::Activation) -> Option<Activation> {
    match kind {
        layer::Activation::Relu => Some(Activation::Relu),
        layer::Activation::Tanh => Some(Activation::Tanh),
        layer::Activation::Gelu => Some(Activation::Gelu),
        _ => None,
    }
}

fn not_implemented(place: &Placed) -> Error {
    Error::Unexpected(format!("the host route does not serve layer {} ({})", place.name, place.kind))
}

struct Source<'a> {
    tensors: HashMap<&'a str, &'a HostTensor>,
    parameters: usize,
}

impl Source<'_> {
    fn layers(&mut self, places: &[Placed]) -> Result<Vec<HostLayer>> {
        let mut layers: Vec<HostLayer> = Vec::with_capacity(places.len());
        for place in places {
            let layer = match &place.layer {
                Layer::Conv(_) => HostLayer::Conv(self.conv(place)?),
                Layer::BatchNorm(norm) => {
                    let norm = self.norm(&place.name, norm)?;
                    if let Some(HostLayer::Conv(conv)) = layers.last_mut() {
                        conv.norm = Some(norm);
                    }
                    continue;
                }
                Layer::Activation(kind) => {
                    HostLayer::Activation(activation(*kind).ok_or_else(|| not_implemented(place))?)
                }
                Layer::MaxPool(pool) => HostLayer::MaxPool(pool.plain().ok_or_else(|| not_implemented(place))?),
                Layer::GlobalMean(_) => HostLayer::GlobalMeanPool,
                Layer::Flatten(_) => HostLayer::Flatten,
                Layer::Dropout(_) => continue,
                Layer::Dense(dense) if dense.bias && place.input.axes().len() == 1 => HostLayer::Dense(Dense {
                    inputs: dense.inputs,
                    outputs: dense.outputs,
                    offset: self.parameters,
                    weight: self.parameter(&place.name, "weight", &[dense.outputs, dense.inputs])?,
                    bias: self.parameter(&place.name, "bias", &[dense.outputs])?,
                }),
                Layer::Residual(residual) if residual.padded.is_none() => {
                    let shortcut = match residual.shortcut.as_slice() {
                        [] => None,
                        [conv] => Some(self.conv(conv)?),
                        _ => return Err(not_implemented(place)),
                    };
                    HostLayer::Residual { body: self.layers(&residual.body)?, shortcut }
                }
                _ => return Err(not_implemented(place)),
            };
            layers.push(layer);
        }
        Ok(layers)
    }

    fn conv(&mut self, place: &Placed) -> Result<Conv> {
        let Layer::Conv(conv) = &place.layer else { return Err(not_implemented(place)) };
        let (stride, padding) = conv.plain().ok_or_else(|| not_implemented(place))?;
        let (name, kernel, bias) = (&place.name, &conv.window.kernel[0], &conv.bias);
        let (input, output) = (&place.input.padded(), &place.output.padded());
        let (offset, k, inputs) = (self.parameters, *kernel, input[0]);
        let published = self.parameter(name, "weight", &[output[0], inputs, k, k])?;
        let mut weight = Vec::with_capacity(published.len());
        for filter in published.chunks_exact(inputs * k * k) {
            for tap in 0..k * k {
                weight.extend(filter.iter().skip(tap).step_by(k * k));
            }
        }
        let bias = bias.then(|| self.parameter(name, "bias", &[output[0]])).transpose()?;
        let (input, output) = (*input, *output);
        Ok(Conv { input, output, kernel: k, stride, padding, weight, bias, norm: None, offset })
    }

    fn norm(&mut self, name: &str, norm: &layer::BatchNorm) -> Result<Norm> {
        let (channels, epsilon) = (norm.channels, norm.epsilon as f32);
        let variance = self.take(name, "running_var", &[channels])?;
        if let Some(v) = variance.iter().find(|&&v| v < 0.0) {
            return Err(Error::Invalid(format!("tensor {name}.running_var holds the negative variance {v}")));
        }
        Ok(Norm {
            scale: self.parameter(name, "weight", &[channels])?,
            shift: self.parameter(name, "bias", &[channels])?,
            mean: self.take(name, "running_mean", &[channels])?,
            inverse: variance.iter().map(|v| (v + epsilon).sqrt().recip()).collect(),
        })
    }

    fn parameter(&mut self, layer: &str, part: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let values = self.take(layer, part, shape)?;
        self.parameters += values.len();
        Ok(values)
    }

    fn take(&self, layer: &str, part: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let name = format!("{layer}.{part}");
        let invalid = |message: String| Err(Error::Invalid(message));
        let Some(tensor) = self.tensors.get(name.as_str()) else {
            return invalid(format!("tensor {name} is missing from the weights; add it or map its name"));
        };
        if tensor.shape != shape || tensor.values.len() != shape.iter().product::<usize>() {
            return invalid(format!(
                "tensor {name} has shape {:?}, but the model needs {shape:?}; check that weights and model belong together",
                tensor.shape
            ));
        }
        match tensor.values.iter().find(|v| !v.is_finite()) {
            Some(v) => invalid(format!("tensor {name} holds {v}: this network has diverged and has no kernel")),
            None => Ok(tensor.values.clone()),
        }
    }
}
