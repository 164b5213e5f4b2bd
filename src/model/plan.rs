//! From the `[model]` table to layers with names and sizes, without a tensor in sight.

use std::collections::BTreeSet;

use super::layer::{Builder, Initial, Layer, Placed, TensorSpec};
use super::shape::Shape;
use super::weights::HostTensor;
use super::zoo::{Initialisation, Model};
use crate::error::{Error, Result};
use crate::random::Random;

/// A whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// One example.
    pub input: Shape,
    /// Logits.
    pub classes: usize,
    /// The layers.
    pub layers: Vec<Placed>,
    /// Whether weights are drawn as PyTorch's layers draw them.
    pub torch_initial: bool,
}

impl Plan {
    /// Lays out `model` for examples of shape `[channels, height, width]` and that many classes.
    ///
    /// # Errors
    /// `Invalid` where layers do not fit together, or the last does not give one value for each class.
    pub fn new(model: &Model, input: [usize; 3], classes: usize) -> Result<Self> {
        let mut plan = Self::of_layers(&model.layers(input)?, input, classes)?;
        plan.torch_initial = model.start.init == Some(Initialisation::Torch);
        Ok(plan)
    }

    /// Lays out a list of layers as it is written in an experiment.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of_layers(entries: &[serde_json::Value], input: [usize; 3], classes: usize) -> Result<Self> {
        let plan = Self::of_any_outputs(entries, input, classes)?;
        let output = plan.layers.last().map_or(plan.input, |last| last.output);
        if output.axes() != [classes] {
            let last =
                plan.layers.last().map_or("nothing".to_owned(), |last| format!("layer {} ({})", last.name, last.kind));
            return Err(Error::Invalid(format!(
                "the last layer gives one value for each of {classes} classes, but {last} gives {output}; end with {{ dense = \"classes\" }}"
            )));
        }
        Ok(plan)
    }

    /// A model's layers where the number of classes is not known: one output.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn outline(model: &Model, input: [usize; 3]) -> Result<Self> {
        Self::of_any_outputs(&model.layers(input)?, input, 1)
    }

    fn of_any_outputs(entries: &[serde_json::Value], input: [usize; 3], classes: usize) -> Result<Self> {
        let mut tensors = 0;
        let input = Shape::from(input);
        let (layers, _) = Builder::new(input, classes, &mut tensors).list("", entries)?;
        let plan = Self { input, classes, layers, torch_initial: false };
        let mut names = BTreeSet::new();
        match plan.named_tensors().into_iter().find(|(_, name, _)| !names.insert(name.clone())) {
            Some((_, name, _)) => {
                Err(Error::Invalid(format!("two layers have a tensor {name}; give them different names")))
            }
            None => Ok(plan),
        }
    }

    /// Number of trainable parameters: weights, biases, scales and shifts.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.sum(&|place| place.parameters())
    }

    /// [`Self::parameters`] of the layers that are not frozen.
    #[must_use]
    pub fn trained_parameters(&self) -> usize {
        self.sum(&|place| if place.frozen { 0 } else { place.parameters() })
    }

    /// Name and shape of every tensor, layer by layer in forward order: parameters, and the running statistics of batch norms.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.named_tensors().into_iter().map(|(_, name, spec)| (name, spec.shape)).collect()
    }

    /// Every tensor with its place and its name.
    #[must_use]
    pub fn named_tensors(&self) -> Vec<(&Placed, String, TensorSpec)> {
        let mut all = Vec::new();
        self.visit(&mut |place| all.extend(place.named_tensors().into_iter().map(|(name, spec)| (place, name, spec))));
        all
    }

    /// The layer that gives the logits: the last that has parameters.
    #[must_use]
    pub fn head(&self) -> Option<&Placed> {
        let mut last = None;
        self.visit(&mut |place| {
            if matches!(place.layer, Layer::Dense(_)) {
                last = Some(place);
            }
        });
        last
    }

    /// Multiplications and additions of one forward pass of one example.
    #[must_use]
    pub fn flops(&self) -> f64 {
        let mut total = 0.0;
        self.visit(&mut |place| total += place.operations());
        total
    }

    /// Numbers that one example's forward pass leaves behind.
    #[must_use]
    pub fn activations(&self) -> usize {
        self.input.values().saturating_add(self.sum(&|place| place.activations()))
    }

    /// Whether anything in it is dropped while training.
    #[must_use]
    pub fn drops(&self) -> bool {
        let mut drops = false;
        self.visit(&mut |place| drops |= matches!(place.layer, Layer::Dropout(_)));
        drops
    }

    fn sum(&self, each: &dyn Fn(&Placed) -> usize) -> usize {
        let mut total: usize = 0;
        self.visit(&mut |place| total = total.saturating_add(each(place)));
        total
    }

    /// Calls `see` on every layer in the order of the tensors, on the parts of a layer before the layer itself.
    pub fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Placed)) {
        visit(&self.layers, see);
    }

    /// Leaves the layer of this name as it is in training, with all that it is made of; whether there is one.
    pub fn freeze(&mut self, name: &str) -> bool {
        let mut found = false;
        change(&mut self.layers, &mut |place| {
            let within = place.is_within(name);
            place.frozen |= within;
            found |= within;
        });
        found
    }

    /// Whether a layer has this name, or is part of one that has.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut found = false;
        self.visit(&mut |place| found |= place.is_within(name));
        found
    }

    /// The names of the layers with parameters, in words.
    #[must_use]
    pub fn known(&self) -> String {
        let mut names = Vec::new();
        self.visit(&mut |place| {
            if !place.layer.tensors().is_empty() {
                names.push(format!("`{}`", place.name));
            }
        });
        let more = names.len().saturating_sub(12);
        names.truncate(12);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("the model has {}{more}", names.join(", "))
    }

    /// Initial weights of every layer in forward order, drawn on the host, so that one seed gives the same network on every
    /// backend.
    ///
    /// Ours are uniform, which needs no transcendental function: the bits are the same on every machine.
    #[must_use]
    pub fn draw(&self, random: &mut Random) -> Vec<HostTensor> {
        let head = self.head().map(|head| head.first);
        let draw = |(place, name, spec): (&Placed, String, TensorSpec)| {
            let count = spec.values();
            let mut uniform =
                |bound: f64| (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect();
            let values = match spec.initial[usize::from(self.torch_initial)] {
                Initial::Constant(value) => vec![value; count],
                Initial::He(fan_in) => {
                    let numerator = if head == Some(place.first) { 1.0 } else { 6.0 };
                    uniform((numerator / fan_in as f64).sqrt())
                }
                Initial::Uniform(bound) => uniform(bound),
                Initial::Normal(deviation) => (0..count).map(|_| (random.normal() * deviation) as f32).collect(),
            };
            HostTensor::new(name, spec.shape, values)
        };
        self.named_tensors().into_iter().map(draw).collect()
    }
}

fn visit<'a>(layers: &'a [Placed], see: &mut impl FnMut(&'a Placed)) {
    for place in layers {
        place.layer.parts().into_iter().for_each(|part| visit(part, see));
        see(place);
    }
}

fn change(layers: &mut [Placed], with: &mut impl FnMut(&mut Placed)) {
    for place in layers {
        place.layer.parts_mut().into_iter().for_each(|part| change(part, with));
        with(place);
    }
}
