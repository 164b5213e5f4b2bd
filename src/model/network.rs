//! A network: the layers of a plan with their tensors on a device, and the ways to run it.

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

use super::layer::{Activation, BatchNorm, Conv, Layer, Placed, Residual, Role, TensorSpec};
use super::plan::Plan;
use super::tap::{Gradient, Layout, Site, Tap};
use super::weights::{HostTensor, transpose};
use crate::error::{Error, Result};
use crate::ops::{self, ConvNorm, ConvPool};
use crate::random::ByExample;

/// A network of any layers.
#[derive(Module, Debug)]
pub struct Network {
    /// The tensors of all layers, in their order.
    tensors: Vec<Held>,
    #[module(skip)]
    plan: Arc<Plan>,
}

/// A tensor on its device.
#[derive(Module, Debug)]
enum Held {
    /// A bias, scale or shift.
    Vector(Param<Tensor<1>>),
    /// A dense layer's `[in, out]`, a table's `[rows, columns]`.
    Matrix(Param<Tensor<2>>),
    /// A convolution's `[out, in / groups, height, width]`.
    Kernel(Param<Tensor<4>>),
    /// Never differentiated.
    Statistic(Tensor<1>),
}

/// Mean and biased variance of one batch in one batch norm, and the number of values per channel that they are from.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    /// Index of the running mean among the network's tensors; the running variance is next.
    pub mean_at: usize,
    /// Weight of the batch in the running statistics.
    pub momentum: f64,
    /// `[channels]`
    pub mean: Tensor<1>,
    /// `[channels]`, biased.
    pub var: Tensor<1>,
    /// Values per channel.
    pub count: usize,
}

/// What a training pass draws from and collects.
#[derive(Debug)]
pub struct Training {
    /// Dropout masks come from here.
    pub dropout: ByExample,
    /// One for each batch norm that is trained, in the order of the layers.
    pub statistics: Vec<BatchStatistics>,
}

/// How a network is run.
pub enum Mode<'a> {
    /// Batch norms use running statistics, nothing is dropped.
    Evaluate,
    /// Like `Evaluate`, with somebody looking at every parametric operation.
    Tapped(&'a mut dyn Tap),
    /// Batch norms use and collect the batch's statistics, dropout draws masks.
    Train(&'a mut Training),
}

impl Network {
    /// Builds a plan's network from weights by name.
    ///
    /// # Errors
    /// `Invalid` when a tensor is missing, unknown, or of another shape than the plan's.
    pub fn new(plan: &Plan, weights: Vec<HostTensor>, device: &Device) -> Result<Self> {
        let mut given: HashMap<String, HostTensor> = weights.into_iter().map(|t| (t.name.clone(), t)).collect();
        let mut tensors = Vec::new();
        let mut next_id = 1;
        for (place, name, spec) in plan.named_tensors() {
            let tensor = given.remove(&name).ok_or_else(|| {
                Error::Invalid(format!("tensor {name} is missing from the weights; add it or map its name"))
            })?;
            if tensor.shape != spec.shape || tensor.values.len() != spec.values() {
                return Err(Error::Invalid(format!(
                    "tensor {name} has shape {:?}, but the model needs {:?}; check that weights and model belong together",
                    tensor.shape, spec.shape
                )));
            }
            // An identity that is the same in every process, which the optimiser's saved state refers to.
            let id = ParamId::from(next_id);
            next_id += u64::from(spec.is_parameter());
            tensors.push(Held::new(tensor.values, &spec, id, !place.frozen, device));
        }
        match given.keys().min() {
            Some(name) => Err(Error::Invalid(format!(
                "tensor {name} belongs to no layer of this model; remove it or map its name"
            ))),
            None => Ok(Self { tensors, plan: Arc::new(plan.clone()) }),
        }
    }

    /// The layers with names and sizes.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Logits `[n, classes]` of examples `[n, channels, height, width]`.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>, mode: &mut Mode) -> Tensor<2> {
        let out = Pass { tensors: &self.tensors, mode }.list(&self.plan.layers, input);
        let [n, classes, _, _] = out.dims();
        out.reshape([n, classes])
    }

    /// Moves every batch norm's running statistics by what a training pass collected.
    pub fn update_statistics(&mut self, statistics: Vec<BatchStatistics>) {
        for BatchStatistics { mean_at, momentum, mean, var, count } in statistics {
            let unbias = count as f64 / (count.max(2) - 1) as f64;
            for (at, new) in [(mean_at, mean), (mean_at + 1, var.mul_scalar(unbias))] {
                if let Some(Held::Statistic(old)) = self.tensors.get_mut(at) {
                    *old = old.clone().mul_scalar(1.0 - momentum) + new.mul_scalar(momentum);
                }
            }
        }
    }

    /// Takes the tensors out, for an optimiser that works in place on what nobody else holds.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self { tensors: std::mem::take(&mut self.tensors), plan: self.plan.clone() }
    }

    /// Identities of the parameters that `choose` picks by their place, name and role.
    #[must_use]
    pub fn identities(&self, choose: impl Fn(&Placed, &TensorSpec) -> bool) -> Vec<ParamId> {
        let tensors = self.plan.named_tensors().into_iter().zip(&self.tensors);
        let chosen = tensors.filter(|((place, _, spec), _)| choose(place, spec));
        chosen.filter_map(|(_, held)| held.id()).collect()
    }

    /// All parameters and running statistics on the host, in forward order, under PyTorch's names and layouts.
    #[must_use]
    pub fn to_host(&self) -> Vec<HostTensor> {
        let tensors = self.plan.named_tensors().into_iter().zip(&self.tensors);
        tensors.map(|((_, name, spec), held)| HostTensor::new(name, spec.shape.clone(), held.values(&spec))).collect()
    }
}

impl Held {
    fn new(values: Vec<f32>, spec: &TensorSpec, id: ParamId, trained: bool, device: &Device) -> Self {
        fn parameter<const D: usize>(
            values: Vec<f32>,
            shape: [usize; D],
            id: ParamId,
            trained: bool,
            device: &Device,
        ) -> Param<Tensor<D>> {
            let mut parameter = Param::from_data(TensorData::new(values, shape), device);
            parameter.id = id;
            if trained { parameter } else { parameter.set_require_grad(false) }
        }
        let length = values.len();
        match (spec.shape.as_slice(), spec.role) {
            (_, Role::Statistic) => {
                Self::Statistic(Tensor::from_data(TensorData::new(values, [length]), &device.clone().inner()))
            }
            ([rows, columns], Role::Transposed) => {
                let values = transpose(&values, *rows, *columns);
                Self::Matrix(parameter(values, [*columns, *rows], id, trained, device))
            }
            ([rows, columns], _) | ([1, rows, columns], Role::Spared) => {
                Self::Matrix(parameter(values, [*rows, *columns], id, trained, device))
            }
            ([outputs, inputs, height, width], _) => {
                Self::Kernel(parameter(values, [*outputs, *inputs, *height, *width], id, trained, device))
            }
            // A convolution on sequences.
            ([outputs, inputs, window], _) => {
                Self::Kernel(parameter(values, [*outputs, *inputs, *window, 1], id, trained, device))
            }
            _ => Self::Vector(parameter(values, [length], id, trained, device)),
        }
    }

    fn id(&self) -> Option<ParamId> {
        match self {
            Self::Vector(parameter) => Some(parameter.id),
            Self::Matrix(parameter) => Some(parameter.id),
            Self::Kernel(parameter) => Some(parameter.id),
            Self::Statistic(_) => None,
        }
    }

    /// Its values in the layout of its specification.
    fn values(&self, spec: &TensorSpec) -> Vec<f32> {
        let data = match self {
            Self::Vector(parameter) => parameter.val().into_data(),
            Self::Matrix(parameter) => parameter.val().into_data(),
            Self::Kernel(parameter) => parameter.val().into_data(),
            Self::Statistic(tensor) => tensor.clone().into_data(),
        };
        // Every tensor is f32, and its data are as long as its shape says.
        let values: Vec<f32> = data.iter::<f32>().collect();
        match (spec.role, spec.shape.as_slice()) {
            (Role::Transposed, [rows, columns]) => transpose(&values, *columns, *rows),
            _ => values,
        }
    }
}

/// A network being run: what layers get at beside their input.
pub struct Pass<'a, 'm> {
    tensors: &'a [Held],
    /// How the network is run.
    pub mode: &'a mut Mode<'m>,
}

impl Pass<'_, '_> {
    /// A layer's tensor of one axis. Layers ask for what they said that they hold.
    ///
    /// # Panics
    /// If the layer holds no such tensor there: a mistake in the layer's file.
    #[must_use]
    pub fn vector(&self, at: &Placed, index: usize) -> Tensor<1> {
        match &self.tensors[at.first + index] {
            Held::Vector(parameter) => parameter.val(),
            _ => panic!("tensor {index} of {} is no vector", at.name),
        }
    }

    /// A layer's tensor of two axes: a dense layer's `[in, out]`, a table's `[rows, columns]`.
    ///
    /// # Panics
    /// As [`Self::vector`].
    #[must_use]
    pub fn matrix(&self, at: &Placed, index: usize) -> Tensor<2> {
        match &self.tensors[at.first + index] {
            Held::Matrix(parameter) => parameter.val(),
            _ => panic!("tensor {index} of {} is no matrix", at.name),
        }
    }

    /// A convolution's weight `[out, in / groups, height, width]`.
    ///
    /// # Panics
    /// As [`Self::vector`].
    #[must_use]
    pub fn kernel(&self, at: &Placed, index: usize) -> Tensor<4> {
        match &self.tensors[at.first + index] {
            Held::Kernel(parameter) => parameter.val(),
            _ => panic!("tensor {index} of {} is no convolution's weight", at.name),
        }
    }

    /// A running statistic.
    ///
    /// # Panics
    /// As [`Self::vector`].
    #[must_use]
    pub fn statistic(&self, at: &Placed, index: usize) -> Tensor<1> {
        match &self.tensors[at.first + index] {
            Held::Statistic(tensor) => tensor.clone(),
            _ => panic!("tensor {index} of {} is no statistic", at.name),
        }
    }

    /// Whether somebody looks at what layers give.
    #[must_use]
    pub fn tapped(&self) -> bool {
        matches!(self.mode, Mode::Tapped(_))
    }

    /// Shows what a layer gives to whoever looks, with a rule for each of its parameters; goes on with what comes back.
    #[must_use]
    pub fn tap(
        &mut self,
        at: &Placed,
        layout: Layout,
        parts: Vec<(&'static str, Gradient)>,
        out: Tensor<4>,
    ) -> Tensor<4> {
        let Mode::Tapped(tap) = self.mode else { return out };
        let shape = out.dims();
        let [n, first, second, third] = shape;
        let three = match (layout, at.output.axes().len()) {
            (Layout::ChannelsFirst, _) => [n, first, second * third],
            (Layout::ChannelsLast, 1) => [n, 1, first],
            (Layout::ChannelsLast, _) => [n, first, second * third],
        };
        tap.see(Site { layer: &at.name, parts, frozen: at.frozen }, out.reshape(three), layout).reshape(shape)
    }

    /// Layers one after the other. Where nobody looks at what is between them, neighbours are computed together.
    #[must_use]
    pub fn list(&mut self, mut layers: &[Placed], mut x: Tensor<4>) -> Tensor<4> {
        while let [place, rest @ ..] = layers {
            layers = rest;
            x = match &place.layer {
                Layer::Conv(conv) => self.conv(place, conv, &mut layers, x),
                Layer::BatchNorm(norm) if !self.tapped() => {
                    let relu = matches!(self.mode, Mode::Train(_)) && take_relu(&mut layers);
                    norm.normalise(place, x, relu, self)
                }
                Layer::Residual(residual) => self.residual(place, residual, &mut layers, x),
                _ => place.forward(x, self),
            };
        }
        x
    }

    /// A convolution, with what follows it done while its output is still in the cache: a batch norm and a relu while training,
    /// relu and pooling else.
    fn conv(&mut self, place: &Placed, conv: &Conv, layers: &mut &[Placed], x: Tensor<4>) -> Tensor<4> {
        let Some((stride, padding)) = conv.plain() else { return place.forward(x, self) };
        if let Some((at, norm)) = self.follows(conv, layers) {
            *layers = &layers[1..];
            let relu = take_relu(layers);
            return self.conv_norm((place, conv), (at, norm), x, None, relu);
        }
        if !self.tapped()
            && let [next, pool, rest @ ..] = layers
            && let (Layer::Activation(Activation::Relu), Layer::MaxPool(pool)) = (&next.layer, &pool.layer)
            && let Some(size) = pool.plain()
        {
            *layers = rest;
            let options = ConvPool { stride, padding, size };
            let bias = conv.bias.then(|| self.vector(place, 1));
            return ops::conv2d_relu_max_pool(x, self.kernel(place, 0), bias, options);
        }
        place.forward(x, self)
    }

    /// The batch norm that follows a convolution without a bias in training, if one does.
    fn follows<'l>(&self, conv: &Conv, layers: &'l [Placed]) -> Option<(&'l Placed, &'l BatchNorm)> {
        match layers {
            [at, ..] if matches!(self.mode, Mode::Train(_)) && !conv.bias && !at.frozen => match &at.layer {
                Layer::BatchNorm(norm) => Some((at, norm)),
                _ => None,
            },
            _ => None,
        }
    }

    fn conv_norm(
        &mut self,
        (place, conv): (&Placed, &Conv),
        (at, norm): (&Placed, &BatchNorm),
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        relu: bool,
    ) -> Tensor<4> {
        let (stride, padding) = (conv.window.stride[0], conv.window.padding[0]);
        let options = ConvNorm { stride, padding, epsilon: norm.epsilon, relu };
        let (scale, shift) = (self.vector(at, 0), self.vector(at, 1));
        let done = ops::conv2d_batch_norm(x, self.kernel(place, 0), scale, shift, residual, options);
        norm.collect(at, done, self)
    }

    /// A residual block, with the relu after it; the end of its body takes the sum with it where it can.
    fn residual(&mut self, place: &Placed, residual: &Residual, layers: &mut &[Placed], x: Tensor<4>) -> Tensor<4> {
        let kept = residual.kept(place, x.clone(), self);
        if let [body @ .., last, at] = residual.body.as_slice()
            && let Layer::Conv(conv) = &last.layer
            && conv.plain().is_some()
            && let Some((at, norm)) = self.follows(conv, std::slice::from_ref(at))
        {
            let x = self.list(body, x);
            let relu = take_relu(layers);
            return self.conv_norm((last, conv), (at, norm), x, Some(kept), relu);
        }
        let out = self.list(&residual.body, x);
        if !self.tapped() && take_relu(layers) { ops::add_relu(out, kept) } else { out + kept }
    }
}

/// Whether a relu is next: it is then taken, for the layer before it applies it to its own output, which spares a pass over the
/// memory.
fn take_relu(layers: &mut &[Placed]) -> bool {
    match layers {
        [next, rest @ ..] if matches!(next.layer, Layer::Activation(Activation::Relu)) => {
            *layers = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
