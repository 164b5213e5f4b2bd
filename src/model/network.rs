//! A network: the layers of a plan with their parameters on a device, and the ways to run it.

use std::collections::HashMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::layers::{
    BatchNorm, Conv, Dense, Dropout, Flatten, GlobalMeanPool, Layer, MaxPool, Nonlinearity, Residual, parameter,
};
use super::plan::{LayerPlan, Plan};
use super::tap::Tap;
use super::weights::{HostTensor, transpose};
use crate::error::{Error, Result};
use crate::ops::{self, BatchNormOutput};
use crate::random::ByExample;

/// A network of the zoo.
#[derive(Module, Debug)]
pub struct Network {
    pub layers: Vec<Layer>,
}

/// Mean and biased variance of one batch in one batch norm, and the number of values per channel that they are from.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    pub mean: Tensor<1>,
    pub var: Tensor<1>,
    pub count: usize,
}

/// What a training pass draws from and collects.
#[derive(Debug)]
pub struct Training {
    /// Dropout masks come from here.
    pub dropout: ByExample,
    /// One for each batch norm, in the order of the layers.
    pub statistics: Vec<BatchStatistics>,
}

/// How a network is run.
pub enum Mode<'a> {
    /// Batch norms use running statistics, nothing is dropped.
    Evaluate,
    /// Like `Evaluate`, with somebody looking at every parametric layer.
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
        let mut source =
            Source { tensors: weights.into_iter().map(|t| (t.name.clone(), t)).collect(), next_id: 1, device };
        let layers = source.layers(&plan.layers, plan.input)?.0;
        if let Some(name) = source.tensors.keys().min() {
            return Err(Error::Invalid(format!(
                "tensor {name} belongs to no layer of this model; remove it or map its name"
            )));
        }
        Ok(Self { layers })
    }

    /// Logits `[n, classes]` of examples `[n, channels, height, width]`.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>, mode: &mut Mode) -> Tensor<2> {
        let out = run(&self.layers, input, mode);
        let [n, classes, _, _] = out.dims();
        out.reshape([n, classes])
    }

    /// Moves every batch norm's running statistics by what a training pass collected.
    pub fn update_statistics(&mut self, statistics: Vec<BatchStatistics>) {
        let mut statistics = statistics.into_iter();
        self.each_batch_norm(&mut |norm| {
            if let Some(batch) = statistics.next() {
                norm.update(batch.mean, batch.var, batch.count);
            }
        });
    }

    fn each_batch_norm(&mut self, change: &mut impl FnMut(&mut BatchNorm)) {
        fn walk(layers: &mut [Layer], change: &mut impl FnMut(&mut BatchNorm)) {
            for layer in layers {
                match layer {
                    Layer::BatchNorm(norm) => change(norm),
                    Layer::Residual(residual) => walk(&mut residual.body, change),
                    _ => {}
                }
            }
        }
        walk(&mut self.layers, change);
    }

    /// Identities of the parameters that weight decay spares: biases, and scales and shifts of batch norms.
    #[must_use]
    pub fn undecayed(&self) -> Vec<burn::module::ParamId> {
        fn walk(layers: &[Layer], ids: &mut Vec<burn::module::ParamId>) {
            for layer in layers {
                match layer {
                    Layer::Conv(conv) => ids.extend(conv.bias.as_ref().map(|bias| bias.id)),
                    Layer::Dense(dense) => ids.push(dense.bias.id),
                    Layer::BatchNorm(norm) => ids.extend([norm.gamma.id, norm.beta.id]),
                    Layer::Residual(residual) => walk(&residual.body, ids),
                    _ => {}
                }
            }
        }
        let mut ids = Vec::new();
        walk(&self.layers, &mut ids);
        ids
    }

    /// All parameters and running statistics on the host, in forward order, under PyTorch's names and layouts.
    #[must_use]
    pub fn to_host(&self) -> Vec<HostTensor> {
        let mut out = Vec::new();
        to_host(&self.layers, &mut out);
        out
    }
}

fn run(mut layers: &[Layer], mut x: Tensor<4>, mode: &mut Mode) -> Tensor<4> {
    while let [layer, rest @ ..] = layers {
        layers = rest;
        x = match layer {
            Layer::Conv(conv) => match (rest, &mut *mode) {
                // Where nobody looks at what a convolution returns, what follows it is done while it is still in the cache.
                ([Layer::BatchNorm(norm), rest @ ..], Mode::Train(training)) if conv.bias.is_none() => {
                    layers = rest;
                    let relu = take_relu(&mut layers);
                    convolve_normalise(conv, norm, x, None, relu, training)
                }
                ([Layer::Activation(next), Layer::MaxPool(pool), rest @ ..], Mode::Train(_) | Mode::Evaluate)
                    if next.is_relu() =>
                {
                    layers = rest;
                    conv.relu_max_pool(x, pool.size)
                }
                _ => convolve(conv, x, mode),
            },
            Layer::Dense(dense) => match mode {
                Mode::Tapped(tap) => dense.tapped(x, *tap),
                _ => dense.forward(x),
            },
            Layer::BatchNorm(norm) => match mode {
                Mode::Evaluate => norm.evaluate(x),
                Mode::Tapped(tap) => norm.tapped(x, *tap),
                Mode::Train(training) => normalise(norm, x, take_relu(&mut layers), training),
            },
            Layer::Activation(nonlinearity) => nonlinearity.forward(x),
            Layer::MaxPool(pool) => pool.forward(x),
            Layer::GlobalMeanPool(pool) => pool.forward(x),
            Layer::Flatten(flatten) => flatten.forward(x),
            Layer::Dropout(dropout) => match mode {
                Mode::Train(training) => dropout.train(x, &mut training.dropout),
                _ => x,
            },
            Layer::Residual(residual) => {
                let kept = match &residual.shortcut {
                    Some(shortcut) => convolve(shortcut, x.clone(), mode),
                    None => x.clone(),
                };
                // The end of the body that can take the sum with it.
                let (body, end) = match residual.body.as_slice() {
                    [body @ .., Layer::Conv(conv), Layer::BatchNorm(norm)] if conv.bias.is_none() => {
                        (body, Some((conv, norm)))
                    }
                    body => (body, None),
                };
                let y = run(body, x, mode);
                let relu = take_relu(&mut layers);
                match (&mut *mode, end) {
                    (Mode::Train(training), Some((conv, norm))) => {
                        convolve_normalise(conv, norm, y, Some(kept), relu, training)
                    }
                    (mode, _) => {
                        let y = run(&residual.body[body.len()..], y, mode);
                        if relu { ops::add_relu(y, kept) } else { y + kept }
                    }
                }
            }
        };
    }
    x
}

/// Whether a rectifier is next: it is then taken, for the layer before it applies it to its own output, which spares a pass
/// over the memory.
fn take_relu(layers: &mut &[Layer]) -> bool {
    match layers {
        [Layer::Activation(next), rest @ ..] if next.is_relu() => {
            *layers = rest;
            true
        }
        _ => false,
    }
}

fn convolve(conv: &Conv, x: Tensor<4>, mode: &mut Mode) -> Tensor<4> {
    match mode {
        Mode::Tapped(tap) => conv.tapped(x, *tap),
        _ => conv.forward(x),
    }
}

fn normalise(norm: &BatchNorm, x: Tensor<4>, relu: bool, training: &mut Training) -> Tensor<4> {
    collect(norm.train(x, relu), training)
}

fn convolve_normalise(
    conv: &Conv,
    norm: &BatchNorm,
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    relu: bool,
    training: &mut Training,
) -> Tensor<4> {
    collect(norm.train_after(conv, x, residual, relu), training)
}

fn collect(BatchNormOutput { output, mean, var }: BatchNormOutput, training: &mut Training) -> Tensor<4> {
    let [n, _, height, width] = output.dims();
    training.statistics.push(BatchStatistics { mean: mean.inner(), var: var.inner(), count: n * height * width });
    output
}

/// Named tensors being handed to the layers that ask for them.
struct Source<'a> {
    tensors: HashMap<String, HostTensor>,
    next_id: u64,
    device: &'a Device,
}

impl Source<'_> {
    /// The layers of a plan for input of `shape`, and the shape of their output.
    fn layers(&mut self, plan: &[LayerPlan], mut shape: [usize; 3]) -> Result<(Vec<Layer>, [usize; 3])> {
        let mut layers = Vec::with_capacity(plan.len());
        for layer in plan {
            layers.push(match layer {
                LayerPlan::Conv { output, .. } => {
                    shape = *output;
                    Layer::Conv(self.conv(layer)?)
                }
                LayerPlan::BatchNorm { name, channels } => Layer::BatchNorm(BatchNorm {
                    name: name.clone(),
                    gamma: self.parameter(name, "weight", [*channels])?,
                    beta: self.parameter(name, "bias", [*channels])?,
                    running_mean: self.constant(name, "running_mean", *channels)?,
                    running_var: self.constant(name, "running_var", *channels)?,
                }),
                LayerPlan::Activation(kind) => Layer::Activation(Nonlinearity { kind: *kind }),
                LayerPlan::MaxPool(size) => {
                    shape = [shape[0], shape[1] / size, shape[2] / size];
                    Layer::MaxPool(MaxPool { size: *size })
                }
                LayerPlan::GlobalMeanPool => {
                    let positions = shape[1] * shape[2];
                    shape = [shape[0], 1, 1];
                    Layer::GlobalMeanPool(GlobalMeanPool { positions })
                }
                LayerPlan::Flatten => {
                    shape = [shape.iter().product(), 1, 1];
                    Layer::Flatten(Flatten { length: shape[0] })
                }
                LayerPlan::Dropout(probability) => Layer::Dropout(Dropout { probability: *probability }),
                LayerPlan::Dense { name, inputs, outputs } => {
                    shape = [*outputs, 1, 1];
                    let weight = self.take(name, "weight", &[*outputs, *inputs])?;
                    let weight = transpose(&weight, *outputs, *inputs);
                    Layer::Dense(Dense {
                        name: name.clone(),
                        weight: parameter(self.id(), weight, [*inputs, *outputs], self.device),
                        bias: self.parameter(name, "bias", [*outputs])?,
                    })
                }
                LayerPlan::Residual { body, shortcut } => {
                    let shortcut = shortcut.as_ref().map(|conv| self.conv(conv)).transpose()?;
                    let (body, after) = self.layers(body, shape)?;
                    shape = after;
                    Layer::Residual(Residual { shortcut, body })
                }
            });
        }
        Ok((layers, shape))
    }

    fn conv(&mut self, plan: &LayerPlan) -> Result<Conv> {
        let LayerPlan::Conv { name, input, output, kernel, stride, padding, bias } = plan else {
            return Err(Error::Unexpected("a shortcut that is no convolution".into()));
        };
        Ok(Conv {
            name: name.clone(),
            weight: self.parameter(name, "weight", [output[0], input[0], *kernel, *kernel])?,
            bias: bias.then(|| self.parameter(name, "bias", [output[0]])).transpose()?,
            stride: *stride,
            padding: *padding,
        })
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn parameter<const D: usize>(&mut self, layer: &str, part: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>> {
        let values = self.take(layer, part, &shape)?;
        Ok(parameter(self.id(), values, shape, self.device))
    }

    fn constant(&mut self, layer: &str, part: &str, length: usize) -> Result<Tensor<1>> {
        let values = self.take(layer, part, &[length])?;
        Ok(Tensor::<1>::from_data(TensorData::new(values, [length]), &self.device.clone().inner()))
    }

    fn take(&mut self, layer: &str, part: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let name = format!("{layer}.{part}");
        let tensor = self.tensors.remove(&name).ok_or_else(|| {
            Error::Invalid(format!("tensor {name} is missing from the weights; add it or map its name"))
        })?;
        if tensor.shape != shape || tensor.values.len() != shape.iter().product::<usize>() {
            return Err(Error::Invalid(format!(
                "tensor {name} has shape {:?}, but the model needs {shape:?}; check that weights and model belong together",
                tensor.shape
            )));
        }
        Ok(tensor.values)
    }
}

fn to_host(layers: &[Layer], out: &mut Vec<HostTensor>) {
    let conv = |conv: &Conv, out: &mut Vec<HostTensor>| {
        out.push(host(&conv.name, "weight", conv.weight.val()));
        out.extend(conv.bias.as_ref().map(|bias| host(&conv.name, "bias", bias.val())));
    };
    for layer in layers {
        match layer {
            Layer::Conv(layer) => conv(layer, out),
            Layer::Dense(dense) => {
                let [inputs, outputs] = dense.weight.val().dims();
                let weight = host(&dense.name, "weight", dense.weight.val());
                let values = transpose(&weight.values, inputs, outputs);
                out.push(HostTensor::new(weight.name, vec![outputs, inputs], values));
                out.push(host(&dense.name, "bias", dense.bias.val()));
            }
            Layer::BatchNorm(norm) => {
                out.push(host(&norm.name, "weight", norm.gamma.val()));
                out.push(host(&norm.name, "bias", norm.beta.val()));
                out.push(host(&norm.name, "running_mean", norm.running_mean.clone()));
                out.push(host(&norm.name, "running_var", norm.running_var.clone()));
            }
            Layer::Residual(residual) => {
                residual.shortcut.iter().for_each(|shortcut| conv(shortcut, out));
                to_host(&residual.body, out);
            }
            _ => {}
        }
    }
}

fn host<const D: usize>(layer: &str, part: &str, tensor: Tensor<D>) -> HostTensor {
    let shape = tensor.dims().to_vec();
    // Every parameter of the zoo is f32 and a tensor's data is as long as its shape says.
    let values = tensor.into_data().iter::<f32>().collect();
    HostTensor::new(format!("{layer}.{part}"), shape, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Activation, Model};
    use crate::model::init;
    use crate::random::Random;

    fn zoo() -> Vec<(Model, [usize; 3])> {
        let cnn = |batch_norm| Model::Cnn {
            channels: vec![3, 4],
            kernel: 3,
            pool: 2,
            batch_norm,
            head: vec![6],
            activation: Activation::Tanh,
            dropout: 0.25,
        };
        vec![
            (Model::Mlp { widths: vec![5, 4], activation: Activation::Gelu, dropout: 0.5 }, [1, 3, 3]),
            (cnn(false), [2, 9, 8]),
            (cnn(true), [2, 8, 8]),
            (Model::Resnet { depth: 8, width: 3 }, [3, 7, 7]),
        ]
    }

    fn build(model: &Model, shape: [usize; 3], device: &Device) -> (Plan, Network) {
        let plan = Plan::new(model, shape, 3).unwrap();
        let weights = init::draw(&plan, &mut Random::from_parts(3, "init", 0));
        let network = Network::new(&plan, weights, device).unwrap();
        (plan, network)
    }

    fn input(n: usize, [c, h, w]: [usize; 3], device: &Device) -> Tensor<4> {
        let mut random = Random::from_parts(5, "input", 0);
        let pixels: Vec<f32> = (0..n * c * h * w).map(|_| random.normal() as f32).collect();
        Tensor::from_data(TensorData::new(pixels, [n, c, h, w]), device)
    }

    #[test]
    fn weights_survive_the_way_to_the_host_and_back() {
        for (model, shape) in zoo() {
            let device = Device::flex();
            let (plan, network) = build(&model, shape, &device);
            let again = Network::new(&plan, network.to_host(), &device).unwrap();
            assert_eq!(network.to_host(), again.to_host());
            assert_eq!(burn::module::Module::num_params(&network), plan.parameters());
            let x = input(4, shape, &device);
            let (a, b) = (network.forward(x.clone(), &mut Mode::Evaluate), again.forward(x, &mut Mode::Evaluate));
            assert_eq!(a.dims(), [4, 3]);
            assert_eq!(a.into_data(), b.into_data());
        }
    }

    #[test]
    fn wrong_weights_are_refused_by_name() {
        let (plan, network) = build(&zoo()[0].0, [1, 3, 3], &Device::flex());
        let weights = network.to_host();
        let refusal = |weights: Vec<HostTensor>| Network::new(&plan, weights, &Device::flex()).unwrap_err().to_string();
        assert!(refusal(weights[1..].to_vec()).contains("fc1.weight is missing"));
        let mut reshaped = weights.clone();
        reshaped[0].shape = vec![9, 5];
        assert!(refusal(reshaped).contains("has shape [9, 5], but the model needs [5, 9]"));
        let mut extra = weights;
        extra.push(HostTensor::new("other", vec![1], vec![0.0]));
        assert!(refusal(extra).contains("tensor other belongs to no layer"));
    }

    #[test]
    fn running_statistics_move_as_in_pytorch() {
        let device = Device::flex().autodiff();
        let (_, mut network) = build(&zoo()[3].0, [3, 7, 7], &device);
        let mut training = Training { dropout: crate::random::ByExample::new(&[0; 32], 0), statistics: vec![] };
        let _ = network.forward(input(2, [3, 7, 7], &device), &mut Mode::Train(&mut training));
        let first = training.statistics[0].clone();
        network.update_statistics(training.statistics);
        let Layer::BatchNorm(norm) = &network.layers[1] else { panic!("the second layer is a batch norm") };
        let read = |t: Tensor<1>| t.into_data().iter::<f32>().collect::<Vec<_>>();
        let (mean, var) = (read(first.mean), read(first.var));
        for (running, batch) in read(norm.running_mean.clone()).iter().zip(mean) {
            assert!((running - 0.1 * batch).abs() < 1e-6);
        }
        for (running, batch) in read(norm.running_var.clone()).iter().zip(var) {
            assert!((running - (0.9 + 0.1 * batch * 98.0 / 97.0)).abs() < 1e-5);
        }
    }
}
