//! How much memory a pass takes, and so how many examples and outputs go into one.

use super::backward::Limits;
use super::host::{Conv, HostLayer, HostNetwork, Shape};
use super::trunk::kept_values;
use crate::config::Activation;
use crate::error::{Error, Result};

/// Bytes of gradients that are formed at a time: enough for efficient products, little enough for the cache.
const BLOCK: usize = 4 << 20;

/// What a pass may take, and what it would.
#[derive(Debug)]
pub(super) struct Budget<'n> {
    bytes: usize,
    network: &'n HostNetwork,
    /// Bytes that the forward pass keeps of each example.
    recorded: usize,
    /// Most values between two layers behind the first one with parameters.
    widest: usize,
    /// Most values in the output of a convolution.
    output: usize,
    /// Most values of an example's input as a gradient reads it.
    laid_out: usize,
}

impl<'n> Budget<'n> {
    pub fn new(network: &'n HostNetwork, bytes: usize) -> Self {
        let mut sizes = Sizes::default();
        sizes.layers(&network.layers, network.input);
        let recorded = sizes.recorded + 4 * network.example_len();
        Self { bytes, network, recorded, widest: sizes.widest, output: sizes.output, laid_out: sizes.laid_out }
    }

    /// What a pass over so many examples and outputs may use.
    pub fn limits(&self, examples: usize, outputs: usize) -> Limits {
        let least = examples * self.least_kept(outputs);
        let spare = self.bytes.saturating_sub(self.pass(examples, outputs));
        Limits { block: BLOCK.min(self.bytes / 8), kept: least + spare / 2 }
    }

    /// Bytes that have to be kept of one example for that part of the network which cannot be divided.
    fn least_kept(&self, outputs: usize) -> usize {
        let one = |conv: &Conv| 4 * kept_values(conv, outputs);
        let layer = |layer: &HostLayer| -> usize {
            match layer {
                HostLayer::Conv(conv) => one(conv),
                HostLayer::Residual { body, shortcut } => {
                    let body = body.iter().map(|layer| match layer {
                        HostLayer::Conv(conv) => one(conv),
                        _ => 0,
                    });
                    body.sum::<usize>() + shortcut.as_ref().map_or(0, one)
                }
                _ => 0,
            }
        };
        self.network.layers.iter().map(layer).max().unwrap_or(0)
    }

    /// Bytes that a pass over so many examples and outputs takes at least, about, the kernel itself apart.
    fn pass(&self, examples: usize, outputs: usize) -> usize {
        // The gradients at both ends of a segment, or on both sides of a dense layer.
        let edges = 2 * outputs * self.widest * 4;
        let scratch = outputs * (4 * self.widest + 2 * self.output) * 4;
        let threads = rayon::current_num_threads().min(examples);
        2 * BLOCK.min(self.bytes / 8)
            + examples * (self.recorded + edges + self.least_kept(outputs) + 4 * self.laid_out)
            + threads * scratch
    }

    /// How many of `wanted` outputs to follow at a time.
    pub fn outputs(&self, examples: usize, wanted: usize) -> usize {
        let most = (1..=wanted).rev().find(|&outputs| self.pass(examples, outputs) <= self.bytes).unwrap_or(1);
        // Passes of equal size.
        wanted.div_ceil(wanted.div_ceil(most))
    }

    /// How many of `wanted` examples fit into a pass that follows so many outputs at once at least.
    pub fn examples(&self, wanted: usize, outputs: usize) -> Result<usize> {
        if self.pass(wanted, outputs) <= self.bytes {
            return Ok(wanted);
        }
        let most = (2..wanted).rev().find(|&examples| self.pass(examples, outputs) <= self.bytes);
        most.ok_or_else(|| {
            Error::Invalid(format!(
                "a memory budget of {} MiB is too small for the kernel of this network, which needs at least {} MiB",
                self.bytes >> 20,
                (self.pass(wanted.min(2), outputs) >> 20) + 1
            ))
        })
    }
}

/// Sizes per example, gathered layer by layer.
#[derive(Debug, Default)]
struct Sizes {
    recorded: usize,
    widest: usize,
    output: usize,
    laid_out: usize,
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
        self.parametric(conv.input.iter().product());
        self.output = self.output.max(conv.output.iter().product());
        // The padded image; or its windows, where the channels are few or few positions make a contraction the cheaper way.
        let ([channels, height, width], around) = (conv.input, 2 * conv.padding);
        let padded = (height + around) * (width + around) * channels;
        let by_window = conv.kernel * channels < 16 || conv.positions() <= 64;
        let windows = if by_window { conv.positions() * conv.window().next_multiple_of(16) } else { 0 };
        self.laid_out = self.laid_out.max(padded).max(windows);
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
