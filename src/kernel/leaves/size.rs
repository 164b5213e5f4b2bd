//! What a network's passes take, counted while one example goes through it.

use burn::tensor::Tensor;

use crate::kernel::target::Target;
use crate::model::tap::{Gradient, Layout, Site, Tap};

/// Sizes of one example and one output.
#[derive(Debug, Default, Clone)]
pub struct Sizes {
    /// Values that operations with parameters are given, and that they give.
    inputs: usize,
    outputs: usize,
    /// Most values of an input laid out as windows.
    windows: usize,
    /// Multiply-adds of the operations with parameters.
    products: f64,
    /// For each parameter that is a sum over T positions of outer products: T, rows, columns.
    outer: Vec<[usize; 3]>,
    /// Values of the other parameters.
    others: usize,
}

impl Tap for Sizes {
    fn see(&mut self, site: Site, output: Tensor<3>, layout: Layout) -> Tensor<3> {
        if site.frozen {
            return output;
        }
        let [_, a, b] = output.dims();
        let (channels, positions) = if layout == Layout::ChannelsFirst { (a, b) } else { (b, a) };
        self.outputs += a * b;
        for (_, gradient) in &site.parts {
            match gradient {
                Gradient::Dense { inputs } => {
                    let size = inputs.dims()[2];
                    self.inputs += positions * size;
                    self.outer([positions, channels, size], 1);
                }
                Gradient::Conv { input, window } => {
                    let [_, inputs, height, width] = input.dims();
                    self.inputs += inputs * height * width;
                    let size = inputs / window.groups * window.kernel[0] * window.kernel[1];
                    self.outer([positions, channels, size], window.groups);
                }
                Gradient::Scale { .. } => {
                    self.inputs += a * b;
                    self.others += channels;
                }
                Gradient::Shift | Gradient::Token { .. } => self.others += channels,
                Gradient::Lookup { count, .. } => self.others += count.min(&positions) * channels,
                Gradient::Added => self.others += a * b,
            }
        }
        output
    }
}

impl Sizes {
    fn outer(&mut self, [positions, rows, columns]: [usize; 3], groups: usize) {
        self.windows = self.windows.max(positions * columns * groups);
        self.products += (positions * rows * columns) as f64;
        if groups == 1 {
            self.outer.push([positions, rows, columns]);
        } else {
            self.others += rows * columns;
        }
    }

    /// Bytes of a pass over n examples and S outputs, gradients being formed `block` bytes at a time, about.
    pub fn bytes(&self, examples: usize, outputs: usize, block: usize) -> usize {
        // What the reverse pass keeps and makes: the values between operations with parameters are about as many as theirs.
        let replicated = 4 * (4 * self.outputs + 2 * self.inputs);
        examples * (4 * (self.inputs + 2 * self.windows) + outputs * replicated) + 2 * block
    }

    /// Multiply-adds of the kernel of P examples and S outputs.
    pub fn operations(&self, examples: usize, outputs: usize) -> f64 {
        let (p, s) = (examples as f64, outputs as f64);
        let layers = self.outer.iter().map(|sizes| gram_and_formed(*sizes, examples, outputs, outputs));
        let layers: f64 = layers.map(|(gram, formed)| gram.min(formed)).sum();
        2.0 * p * s * self.products + layers + 0.5 * p * p * s * self.others as f64
    }
}

/// Multiply-adds of a layer by Gram matrices of its inputs and cotangents, and by forming the gradients (Novak 2022), for T positions and
/// a weight `[rows, columns]`, S outputs, and so many products between outputs for each pair of examples.
fn gram_and_formed(
    [positions, rows, columns]: [usize; 3],
    examples: usize,
    outputs: usize,
    products: usize,
) -> (f64, f64) {
    let [p, s, t, rows, columns, products] =
        [examples, outputs, positions, rows, columns, products].map(|size| size as f64);
    let pairs = 0.5 * p * p;
    (pairs * t * t * (columns + products * rows), p * s * t * rows * columns + pairs * products * rows * columns)
}

/// Whether Gram matrices of inputs and cotangents are the cheaper way.
pub(super) fn gram_is_cheaper(sizes: [usize; 3], examples: usize, outputs: usize, target: &Target) -> bool {
    let products = match target {
        Target::Projected { .. } => return false,
        Target::Full(_) => outputs * outputs,
        Target::Sum(_) | Target::Each(_) => outputs,
    };
    let (gram, formed) = gram_and_formed(sizes, examples, outputs, products);
    gram < formed
}
