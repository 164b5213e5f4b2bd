//! Running a network with a zero at every operation with parameters.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, s};

use super::rules::{Parameter, Use};
use super::size::{Sizes, gram_is_cheaper};
use super::sums::{Sums, host, on_host};
use crate::error::{Error, Result};
use crate::kernel::route::{Passes, Recorded, check_logits, check_probes, most_examples, most_outputs};
use crate::kernel::target::Target;
use crate::model::tap::{Gradient, Layout, Site, Tap};
use crate::model::{Mode, Network};

/// Bytes of gradients that are formed at a time: on the host enough for efficient products and little enough for the caches, on a
/// device enough to keep it busy.
const HOST_BLOCK: usize = 8 << 20;
const DEVICE_BLOCK: usize = 64 << 20;

/// A network that is followed back through leaves.
pub struct LeafPasses {
    network: Network,
    /// Channels, height, width of an example.
    input: [usize; 3],
    classes: usize,
    device: Device,
    sizes: Sizes,
    budget: usize,
}

/// Examples on the device, `[n, channels, height, width]`.
struct Recording<'a> {
    passes: &'a LeafPasses,
    examples: Tensor<4>,
}

/// Puts a zero at every place that is seen.
#[derive(Default)]
struct Leaves {
    places: Vec<Place>,
}

/// An operation as it was seen.
struct Place {
    /// Name of each parameter, and the rule for it.
    parts: Vec<(String, Gradient)>,
    zero: Tensor<3>,
    layout: Layout,
}

impl Tap for Leaves {
    fn see(&mut self, site: Site, output: Tensor<3>, layout: Layout) -> Tensor<3> {
        if site.frozen {
            return output;
        }
        let zero = Tensor::zeros(output.dims(), &output.device()).require_grad();
        let parts = site.parts.into_iter().map(|(part, gradient)| (format!("{}.{part}", site.layer), gradient));
        self.places.push(Place { parts: parts.collect(), zero: zero.clone(), layout });
        output + zero
    }
}

/// Keeps the outputs of all operations with parameters, and the input of the last dense layer.
#[derive(Default)]
struct Outputs {
    /// `[n, values]`
    all: Vec<Tensor<2>>,
    last: Option<Tensor<2>>,
}

impl Tap for Outputs {
    fn see(&mut self, site: Site, output: Tensor<3>, _: Layout) -> Tensor<3> {
        let dense = site.parts.iter().find_map(|(_, gradient)| match gradient {
            Gradient::Dense { inputs } => Some(inputs.clone()),
            _ => None,
        });
        self.last = dense.map(|inputs| inputs.flatten(1, 2)).or(self.last.take());
        self.all.push(output.clone().flatten(1, 2));
        output
    }
}

impl LeafPasses {
    /// Of a network on a device with automatic differentiation; `budget` bounds the bytes of a pass, about.
    pub fn new(network: Network, input: [usize; 3], classes: usize, device: Device, budget: usize) -> Self {
        let network = network.no_grad();
        let mut sizes = Sizes::default();
        let [channels, height, width] = input;
        let one = Tensor::zeros([1, channels, height, width], &device);
        let _ = network.forward(one, &mut Mode::Tapped(&mut sizes));
        Self { network, input, classes, device, sizes, budget }
    }

    /// Multiply-adds of the kernel of P examples and S outputs.
    pub fn operations(&self, examples: usize, outputs: usize) -> f64 {
        self.sizes.operations(examples, outputs)
    }

    /// Logits `[n, C]`.
    ///
    /// # Errors
    /// As [`Passes::record`].
    pub fn logits(&self, pixels: &[f32]) -> Result<Vec<f32>> {
        check_probes(pixels, self.input)?;
        let length = self.input.iter().product::<usize>();
        let at_once = (self.budget / self.sizes.bytes(1, 1, 0).max(1)).max(1);
        let mut logits = Vec::new();
        for pixels in pixels.chunks(at_once * length) {
            logits.extend(host(self.network.forward(self.examples(pixels)?, &mut Mode::Evaluate)));
        }
        check_logits(&logits, self.classes)?;
        Ok(logits)
    }

    /// What the network makes of the examples on the way, each `[n, values]`: the outputs of all operations with parameters, or the
    /// input of the last dense layer.
    ///
    /// # Errors
    /// As [`Passes::record`], and `Invalid` where there is no dense layer.
    pub fn hidden(&self, pixels: &[f32], all: bool) -> Result<Vec<Vec<f32>>> {
        let mut outputs = Outputs::default();
        let _ = self.network.forward(self.examples(pixels)?, &mut Mode::Tapped(&mut outputs));
        if all {
            return Ok(outputs.all.into_iter().map(host).collect());
        }
        let last = outputs.last.ok_or_else(|| {
            Error::Invalid("the network ends without a dense layer, so it has no last hidden activations".into())
        })?;
        Ok(vec![host(last)])
    }

    /// `[n, channels, height, width]`
    fn examples(&self, pixels: &[f32]) -> Result<Tensor<4>> {
        let n = check_probes(pixels, self.input)?;
        let [channels, height, width] = self.input;
        Ok(Tensor::from_data(TensorData::new(pixels.to_vec(), [n, channels, height, width]), &self.device))
    }

    fn block(&self) -> usize {
        let most = if on_host(&self.device) { HOST_BLOCK } else { DEVICE_BLOCK };
        most.min(self.budget / 8)
    }

    /// Every parameter of S combinations of the logits `[S, C]` of these examples, with what its gradients are made of.
    fn parameters(&self, examples: &Tensor<4>, combinations: &[f32]) -> Vec<Parameter> {
        let [n, ..] = examples.dims();
        let outputs = combinations.len() / self.classes;
        // The first example for all outputs, then the second: p · S + s.
        let mut leaves = Leaves::default();
        let [_, channels, height, width] = examples.dims();
        let copies = examples.clone().unsqueeze_dim::<5>(1).expand([n, outputs, channels, height, width]);
        let copies = copies.reshape([n * outputs, channels, height, width]);
        let logits = self.network.forward(copies, &mut Mode::Tapped(&mut leaves));
        let weights = combinations.repeat(n);
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [outputs * n, self.classes]), &self.device);
        let mut gradients = (logits * weights).sum().backward();
        let mut parameters: Vec<Parameter> = Vec::new();
        for Place { parts, zero, layout } in leaves.places {
            // No gradient: the network's outputs do not depend on it.
            let Some(gradient) = zero.grad_remove(&mut gradients) else { continue };
            let [_, a, b] = gradient.dims();
            let gradient = gradient.reshape([n, outputs, a, b]);
            let cotangent = match layout {
                Layout::ChannelsFirst => gradient,
                Layout::ChannelsLast => gradient.swap_dims(2, 3),
            };
            for (name, gradient) in parts {
                let one = Use { gradient: first(gradient, outputs, layout), cotangent: cotangent.clone() };
                match parameters.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.uses.push(one),
                    None => parameters.push(Parameter { name, uses: vec![one], offset: 0 }),
                }
            }
        }
        let mut offset = 0;
        for parameter in &mut parameters {
            parameter.offset = offset;
            offset += parameter.len();
        }
        parameters
    }
}

/// What belongs to the examples, for the first of the outputs, without its history; scaled values as `[n, channels, T]`.
fn first(gradient: Gradient, outputs: usize, layout: Layout) -> Gradient {
    let step = outputs as isize;
    match gradient {
        Gradient::Dense { inputs } => Gradient::Dense { inputs: inputs.inner().slice(s![..;step]) },
        Gradient::Conv { input, window } => Gradient::Conv { input: input.inner().slice(s![..;step]), window },
        Gradient::Scale { inputs } => {
            let inputs = inputs.inner().slice(s![..;step]);
            let inputs = if layout == Layout::ChannelsFirst { inputs } else { inputs.swap_dims(1, 2) };
            Gradient::Scale { inputs }
        }
        Gradient::Lookup { rows, count } => Gradient::Lookup { rows: rows.inner().slice(s![..;step]), count },
        Gradient::Shift | Gradient::Added | Gradient::Token { .. } => gradient,
    }
}

impl Passes for LeafPasses {
    fn examples_at_once(&self, wanted: usize, outputs: usize) -> Result<usize> {
        most_examples(wanted, self.budget, |examples| self.sizes.bytes(examples, outputs, self.block()))
    }

    fn record<'a>(&'a self, pixels: &'a [f32]) -> Result<Box<dyn Recorded + 'a>> {
        Ok(Box::new(Recording { passes: self, examples: self.examples(pixels)? }))
    }
}

impl Recorded for Recording<'_> {
    fn examples(&self) -> usize {
        self.examples.dims()[0]
    }

    fn outputs_at_once(&self, wanted: usize) -> usize {
        let LeafPasses { sizes, budget, .. } = self.passes;
        most_outputs(wanted, *budget, |outputs| sizes.bytes(self.examples(), outputs, self.passes.block()))
    }

    fn reverse(&self, combinations: &[f32], target: &mut Target) {
        let (n, outputs) = (self.examples(), combinations.len() / self.passes.classes);
        let whole = matches!(target, Target::Projected { .. });
        let mut sums = Sums::new(target, &self.passes.device);
        for parameter in self.passes.parameters(&self.examples, combinations) {
            if let Some((inputs, cotangent)) = parameter.as_outer() {
                let [_, _, channels, positions] = cotangent.dims();
                if gram_is_cheaper([positions, channels, inputs.dims()[2]], n, outputs, sums.target()) {
                    sums.add_outer(inputs, cotangent);
                    continue;
                }
            }
            let former = parameter.former(whole);
            let one = n * outputs * former.width * size_of::<f32>();
            let each = (self.passes.block() / one.max(1)).clamp(1, former.units.max(1));
            for start in (0..former.units).step_by(each) {
                let units = start..(start + each).min(former.units);
                sums.add_rows(former.form(units), parameter.offset + start * former.width);
            }
        }
        sums.finish();
    }
}
