//! Route 1 as the kernels use it.

use super::backward::reverse;
use super::budget::Budget;
use super::forward::Recording;
use super::network::HostNetwork;
use crate::error::Result;
use crate::kernel::route::{Passes, Recorded, check_probes, most_examples, most_outputs};
use crate::kernel::target::Target;

/// A network on the host with the memory that a pass may take, in bytes.
pub struct HostPasses {
    network: HostNetwork,
    budget: usize,
}

struct Recorder<'n> {
    recording: Recording<'n>,
    budget: Budget<'n>,
}

impl HostPasses {
    pub fn new(network: HostNetwork, budget: usize) -> Self {
        Self { network, budget }
    }

    /// Multiply-adds of the kernel of P examples and S outputs: what is 0 is left out.
    pub fn operations(&self, examples: usize, outputs: usize) -> f64 {
        Budget::new(&self.network, self.budget).operations(examples, outputs)
    }
}

impl Passes for HostPasses {
    fn examples_at_once(&self, wanted: usize, outputs: usize) -> Result<usize> {
        let budget = Budget::new(&self.network, self.budget);
        most_examples(wanted, self.budget, |examples| budget.pass(examples, outputs))
    }

    fn record<'a>(&'a self, pixels: &'a [f32]) -> Result<Box<dyn Recorded + 'a>> {
        check_probes(pixels, self.network.input)?;
        let recording = Recording::new(&self.network, pixels)?;
        Ok(Box::new(Recorder { recording, budget: Budget::new(&self.network, self.budget) }))
    }
}

impl Recorded for Recorder<'_> {
    fn examples(&self) -> usize {
        self.recording.examples
    }

    fn outputs_at_once(&self, wanted: usize) -> usize {
        most_outputs(wanted, self.budget.bytes, |outputs| self.budget.pass(self.recording.examples, outputs))
    }

    fn reverse(&self, combinations: &[f32], target: &mut Target) {
        let outputs = combinations.len() / (self.recording.logits.len() / self.recording.examples);
        let limits = self.budget.limits(self.recording.examples, outputs);
        reverse(&self.recording, combinations, limits, target);
    }
}
