//! A trained network on the host: the plan's layers with their weights in the layouts that the kernel passes read.
//!
//! Images are kept with the channel innermost, `[height, width, channels]`, so that what a kernel window reads of one image
//! row is contiguous. A batch norm is folded into the convolution before it: in evaluation it is an affine map per channel.

use std::collections::HashMap;

use crate::config::Activation;
use crate::error::{Error, Result};
use crate::model::{HostTensor, LayerPlan, Plan};

/// Added to a batch norm's variance, as in PyTorch.
const BATCH_NORM_EPSILON: f32 = 1e-5;

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
        Ok(Some(Self { input: plan.input, classes: plan.classes, layers }))
    }

    /// Values of one example.
    #[must_use]
    pub fn example_len(&self) -> usize {
        self.input.iter().product()
    }
}

/// Whether these are layers that the route knows: convolutions, each with at most one batch norm right after it, then dense layers with
/// nothing but activations between them; residual bodies hold something, and no dense layers.
fn serves(plans: &[LayerPlan]) -> bool {
    let dense = |plan: &LayerPlan| matches!(plan, LayerPlan::Dense { .. });
    let head = plans.iter().position(dense).unwrap_or(plans.len());
    let after =
        |plan: &LayerPlan| matches!(plan, LayerPlan::Dense { .. } | LayerPlan::Activation(_) | LayerPlan::Dropout(_));
    let normed = |at: usize| {
        !matches!(plans[at], LayerPlan::BatchNorm { .. }) || at > 0 && matches!(plans[at - 1], LayerPlan::Conv { .. })
    };
    let within = |plan: &LayerPlan| match plan {
        LayerPlan::Residual { body, .. } => !body.is_empty() && !body.iter().any(dense) && serves(body),
        _ => true,
    };
    (0..plans.len()).all(normed) && plans[..head].iter().all(within) && plans[head..].iter().all(after)
}

struct Source<'a> {
    tensors: HashMap<&'a str, &'a HostTensor>,
    parameters: usize,
}

impl Source<'_> {
    fn layers(&mut self, plans: &[LayerPlan]) -> Result<Vec<HostLayer>> {
        let mut layers: Vec<HostLayer> = Vec::with_capacity(plans.len());
        for plan in plans {
            let layer = match plan {
                LayerPlan::Conv { .. } => HostLayer::Conv(self.conv(plan)?),
                LayerPlan::BatchNorm { name, channels } => {
                    let norm = self.norm(name, *channels)?;
                    if let Some(HostLayer::Conv(conv)) = layers.last_mut() {
                        conv.norm = Some(norm);
                    }
                    continue;
                }
                LayerPlan::Activation(kind) => HostLayer::Activation(*kind),
                LayerPlan::MaxPool(size) => HostLayer::MaxPool(*size),
                LayerPlan::GlobalMeanPool => HostLayer::GlobalMeanPool,
                LayerPlan::Flatten => HostLayer::Flatten,
                LayerPlan::Dropout(_) => continue,
                LayerPlan::Dense { name, inputs, outputs } => HostLayer::Dense(Dense {
                    inputs: *inputs,
                    outputs: *outputs,
                    offset: self.parameters,
                    weight: self.parameter(name, "weight", &[*outputs, *inputs])?,
                    bias: self.parameter(name, "bias", &[*outputs])?,
                }),
                LayerPlan::Residual { body, shortcut } => {
                    let shortcut = shortcut.as_ref().map(|plan| self.conv(plan)).transpose()?;
                    HostLayer::Residual { body: self.layers(body)?, shortcut }
                }
            };
            layers.push(layer);
        }
        Ok(layers)
    }

    fn conv(&mut self, plan: &LayerPlan) -> Result<Conv> {
        let LayerPlan::Conv { name, input, output, kernel, stride, padding, bias } = plan else {
            return Err(Error::Unexpected("a shortcut that is no convolution".into()));
        };
        let (offset, k, inputs) = (self.parameters, *kernel, input[0]);
        let published = self.parameter(name, "weight", &[output[0], inputs, k, k])?;
        let mut weight = Vec::with_capacity(published.len());
        for filter in published.chunks_exact(inputs * k * k) {
            for tap in 0..k * k {
                weight.extend(filter.iter().skip(tap).step_by(k * k));
            }
        }
        let bias = bias.then(|| self.parameter(name, "bias", &[output[0]])).transpose()?;
        let (input, output, stride, padding) = (*input, *output, *stride, *padding);
        Ok(Conv { input, output, kernel: k, stride, padding, weight, bias, norm: None, offset })
    }

    fn norm(&mut self, name: &str, channels: usize) -> Result<Norm> {
        let variance = self.take(name, "running_var", &[channels])?;
        if let Some(v) = variance.iter().find(|&&v| v < 0.0) {
            return Err(Error::Invalid(format!("tensor {name}.running_var holds the negative variance {v}")));
        }
        Ok(Norm {
            scale: self.parameter(name, "weight", &[channels])?,
            shift: self.parameter(name, "bias", &[channels])?,
            mean: self.take(name, "running_mean", &[channels])?,
            inverse: variance.iter().map(|v| (v + BATCH_NORM_EPSILON).sqrt().recip()).collect(),
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
