//! Route 3: the gradients of every example by themselves, through any Burn module: one forward and one reverse pass for each example and
//! output, then the products of all of it.
//!
//! Wins never, where another route applies; it asks nothing of the layers, so it is what the others are checked with, and the last
//! resort for a module that does not show its operations. Costs P S forward and reverse passes of a single example, P² S / 2
//! multiply-adds per parameter, and the memory of all gradients: P S values for each parameter.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::route::{Passes, Recorded, check_logits, check_probes, most_examples, most_outputs};
use super::target::{Rows, Target};
use crate::error::Result;

/// A module that is run on single examples.
pub struct ExamplePasses<M, F> {
    /// On a device with automatic differentiation; parameters that require no gradient do not count.
    pub module: M,
    /// Logits `[1, C]` of an example `[1, channels, height, width]`.
    pub forward: F,
    pub input: [usize; 3],
    pub classes: usize,
    pub device: Device,
    /// Bytes of gradients at a time.
    pub budget: usize,
}

struct Recording<'a, M, F> {
    passes: &'a ExamplePasses<M, F>,
    pixels: &'a [f32],
    examples: usize,
}

impl<M: Module + Sync, F: Fn(&M, Tensor<4>) -> Tensor<2> + Sync> ExamplePasses<M, F> {
    fn logits(&self, pixels: &[f32]) -> Tensor<2> {
        let [channels, height, width] = self.input;
        let data = TensorData::new(pixels.to_vec(), [1, channels, height, width]);
        (self.forward)(&self.module, Tensor::from_data(data, &self.device))
    }

    fn bytes(&self, examples: usize, outputs: usize) -> usize {
        examples * outputs * self.module.num_params() * size_of::<f32>()
    }
}

impl<M: Module + Sync, F: Fn(&M, Tensor<4>) -> Tensor<2> + Sync> Passes for ExamplePasses<M, F> {
    fn examples_at_once(&self, wanted: usize, outputs: usize) -> Result<usize> {
        most_examples(wanted, self.budget, |examples| self.bytes(examples, outputs))
    }

    fn record<'a>(&'a self, pixels: &'a [f32]) -> Result<Box<dyn Recorded + 'a>> {
        let examples = check_probes(pixels, self.input)?;
        let length = pixels.len() / examples;
        let logits = |pixels: &[f32]| self.logits(pixels).into_data().iter::<f32>().collect::<Vec<_>>();
        let all: Vec<f32> = pixels.chunks_exact(length).flat_map(logits).collect();
        check_logits(&all, self.classes)?;
        Ok(Box::new(Recording { passes: self, pixels, examples }))
    }
}

impl<M: Module + Sync, F: Fn(&M, Tensor<4>) -> Tensor<2> + Sync> Recorded for Recording<'_, M, F> {
    fn examples(&self) -> usize {
        self.examples
    }

    fn outputs_at_once(&self, wanted: usize) -> usize {
        most_outputs(wanted, self.passes.budget, |outputs| self.passes.bytes(self.examples, outputs))
    }

    fn reverse(&self, combinations: &[f32], target: &mut Target) {
        let ExamplePasses { module, classes, device, .. } = self.passes;
        let mut values = Vec::new();
        for pixels in self.pixels.chunks_exact(self.pixels.len() / self.examples) {
            for combination in combinations.chunks_exact(*classes) {
                let weights = TensorData::new(combination.to_vec(), [1, *classes]);
                let output = (self.passes.logits(pixels) * Tensor::from_data(weights, device)).sum();
                let gradients = output.backward();
                module.visit(&mut Collect { gradients: &gradients, seen: HashSet::new(), values: &mut values });
            }
        }
        let outputs = combinations.len() / classes;
        let length = values.len() / (self.examples * outputs);
        target.add_rows(&Rows { values: &values, examples: self.examples, outputs, length, offset: 0 });
    }
}

/// Puts the gradients of all parameters one after the other; a parameter that stands in two places counts once.
struct Collect<'g> {
    gradients: &'g Gradients,
    seen: HashSet<ParamId>,
    values: &'g mut Vec<f32>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if !value.is_require_grad() || !self.seen.insert(param.id) {
            return;
        }
        match value.grad(self.gradients) {
            Some(gradient) => self.values.extend(gradient.into_data().iter::<f32>()),
            None => self.values.extend(std::iter::repeat_n(0.0, value.shape().num_elements())),
        }
    }
}
