//! How much memory a pass takes, and so how many examples and outputs go into one.

use super::host::{Conv, HostLayer, HostNetwork, Shape};
use crate::config::Activation;
use crate::error::{Error, Result};

/// Share of the budget that one block of gradients may take, and its bounds in bytes: large enough for efficient products,
/// small enough for the last-level cache.
const BLOCK_SHARE: usize = 8;
const BLOCK_BYTES: [usize; 2] = [1 << 20, 16 << 20];

/// What one pass may take, and what it would.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    /// Bytes that the forward pass keeps of each example.
    recorded: usize,
    /// Bytes of gradients in flight for each example and output.
    gradients: usize,
    /// Bytes of working space of each thread for each output.
    scratch: usize,
    threads: usize,
}

impl Budget {
    pub fn new(network: &HostNetwork, bytes: usize) -> Self {
        let mut sizes = Sizes::default();
        sizes.layers(&network.layers, network.input);
        // The gradients behind a block, within its body, and those that arrive through it.
        let gradients = 3 * sizes.widest * 4 + sizes.contracted * 4;
        let scratch = sizes.output * 2 * 4;
        let recorded = sizes.recorded + 4 * network.example_len();
        Self { bytes, recorded, gradients, scratch, threads: rayon::current_num_threads() }
    }

    /// Bytes that one block of gradients may take.
    pub fn block(&self) -> usize {
        (self.bytes / BLOCK_SHARE).clamp(BLOCK_BYTES[0], BLOCK_BYTES[1])
    }

    /// Bytes that a pass over so many examples and outputs takes, about, the kernel itself apart.
    fn pass(&self, examples: usize, outputs: usize) -> usize {
        self.block() + examples * (self.recorded + outputs * self.gradients) + self.threads * outputs * self.scratch
    }

    /// How many of `wanted` outputs to follow at a time.
    pub fn outputs(&self, examples: usize, wanted: usize) -> usize {
        let most = (1..=wanted).rev().find(|&outputs| self.pass(examples, outputs) <= self.bytes).unwrap_or(1);
        // Passes of equal size.
        wanted.div_ceil(wanted.div_ceil(most))
    }

    /// How many of `wanted` examples fit into a pass that follows one output.
    pub fn examples(&self, wanted: usize) -> Result<usize> {
        if self.pass(wanted, 1) <= self.bytes {
            return Ok(wanted);
        }
        let most = (2..wanted).rev().find(|&examples| self.pass(examples, 1) <= self.bytes);
        most.ok_or_else(|| {
            Error::Invalid(format!(
                "a memory budget of {} MiB is too small for the kernel of this network, which needs at least {} MiB",
                self.bytes >> 20,
                (self.pass(2, 1) >> 20) + 1
            ))
        })
    }
}

/// Sizes per example, gathered layer by layer.
#[derive(Debug, Default)]
struct Sizes {
    recorded: usize,
    /// Most values in the input of a layer with parameters, the first such layer apart.
    widest: usize,
    /// Most values in the output of a convolution.
    output: usize,
    /// Most values that a contraction of Gram matrices lays out.
    contracted: usize,
    behind_first: bool,
}

impl Sizes {
    fn layers(&mut self, layers: &[HostLayer], mut shape: Shape) -> Shape {
        for layer in layers {
            shape = self.layer(layer, shape);
        }
        shape
    }

    fn layer(&mut self, layer: &HostLayer, shape: Shape) -> Shape {
        let count: usize = shape.iter().product();
        match layer {
            HostLayer::Conv(conv) => self.conv(conv),
            HostLayer::Dense(dense) => {
                self.parametric(dense.inputs);
                [dense.outputs, 1, 1]
            }
            HostLayer::Activation(Activation::Relu) => {
                self.recorded += count;
                shape
            }
            HostLayer::Activation(_) => {
                self.recorded += 4 * count;
                shape
            }
            HostLayer::MaxPool(size) => {
                let to = [shape[0], shape[1] / size, shape[2] / size];
                self.recorded += 4 * to.iter().product::<usize>();
                to
            }
            HostLayer::GlobalMeanPool => [shape[0], 1, 1],
            HostLayer::Flatten => [count, 1, 1],
            HostLayer::Residual { body, shortcut } => {
                if let Some(conv) = shortcut {
                    self.conv(conv);
                }
                self.layers(body, shape)
            }
        }
    }

    fn conv(&mut self, conv: &Conv) -> Shape {
        let count = |shape: &Shape| shape.iter().product::<usize>();
        self.parametric(count(&conv.input));
        self.output = self.output.max(count(&conv.output));
        // Only few positions make contraction the cheaper way.
        if conv.positions() <= 64 {
            self.contracted = self.contracted.max(conv.positions() * conv.window() + count(&conv.output));
        }
        conv.output
    }

    fn parametric(&mut self, inputs: usize) {
        self.recorded += 4 * inputs;
        if self.behind_first {
            self.widest = self.widest.max(inputs);
        }
        self.behind_first = true;
    }
}
