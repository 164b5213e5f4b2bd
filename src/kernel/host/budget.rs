//! How much memory a pass takes, and so how many examples and outputs go into one.

use super::backward::Limits;
use super::example_backward::kept_values;
use super::network::{Conv, HostLayer, HostNetwork, Shape};
use crate::config::Activation;

/// Bytes of gradients that are formed at a time: enough for efficient products, little enough for the cache.
const BLOCK: usize = 4 << 20;

/// What a pass may take, and what it would.
#[derive(Debug)]
pub struct Budget<'n> {
    pub bytes: usize,
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

    /// Multiply-adds of the kernel of so many examples and outputs, about: two thirds of the gradients are not 0, and their products
    /// are one triangle; or Gram matrices, where these are cheaper.
    pub fn operations(&self, examples: usize, outputs: usize) -> f64 {
        let (p, s) = (examples as f64, outputs as f64);
        let mut total = 0.0;
        each_parametric(&self.network.layers, &mut |positions, rows, columns| {
            let [t, rows, columns] = [positions, rows, columns].map(|size| size as f64);
            let gram = 0.5 * p * p * t * t * (columns + s * rows);
            let formed = p * s * t * rows * columns * 2.0 / 3.0 + 0.5 * p * p * s * rows * columns;
            total += p * s * t * rows * columns * 2.0 / 3.0 + gram.min(formed);
        });
        total
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
    pub fn pass(&self, examples: usize, outputs: usize) -> usize {
        // The gradients at both ends of a segment, or on both sides of a dense layer.
        let edges = 2 * outputs * self.widest * 4;
        let scratch = outputs * (4 * self.widest + 2 * self.output) * 4;
        let threads = rayon::current_num_threads().min(examples);
        2 * BLOCK.min(self.bytes / 8)
            + examples * (self.recorded + edges + self.least_kept(outputs) + 4 * self.laid_out)
            + threads * scratch
    }
}

/// Calls `see` with positions, output channels and values of a window of every layer with parameters.
fn each_parametric(layers: &[HostLayer], see: &mut impl FnMut(usize, usize, usize)) {
    for layer in layers {
        match layer {
            HostLayer::Conv(conv) => see(conv.positions(), conv.output[0], conv.window()),
            HostLayer::Dense(dense) => see(1, dense.outputs, dense.inputs),
            HostLayer::Residual { body, shortcut } => {
                shortcut.iter().for_each(|conv| see(conv.positions(), conv.output[0], conv.window()));
                each_parametric(body, see);
            }
            _ => {}
        }
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
