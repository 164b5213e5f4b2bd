//! The reverse pass through convolutions, one example at a time, so that the gradients in flight stay in the cache.
//!
//! An inner product needs the gradients of two examples at once. So each walk leaves behind, for every convolution, whatever
//! is the least: the gradients of its parameters, or the packed gradients of its output, from which those are formed
//! later, a block of channels for all examples at a time; or, where few positions make it the cheaper way, the gradients
//! of its output as they are, whose Gram matrix is contracted with that of the windows. What does not fit into memory is done
//! in segments of the network, with the gradients at the border kept for all examples.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use pulp::Arch;
use rayon::prelude::*;

use super::backward::Limits;
use super::cotangent::{Cotangent, Layout};
use super::forward::{ConvStep, Step, windows};
use super::micro_kernel::Store;
use super::network::Conv;
use super::packed::{Entries, Reading, Scratch, Taps};
use crate::kernel::matrix::view;
use crate::kernel::target::{Pairs, Rows, Target};

/// Gradients of all examples at a border between segments: `[P, …]`, each example in this layout.
#[derive(Debug)]
pub(super) struct Edge {
    pub layout: Layout,
    pub values: Vec<f32>,
}

pub(super) struct ExampleBackward<'t> {
    examples: usize,
    outputs: usize,
    limits: Limits,
    target: &'t mut Target,
    arch: Arch,
    /// `f32` values in one vector of this machine.
    lanes: usize,
    spaces: Mutex<Vec<Scratch>>,
}

/// A convolution of a segment, and how its gradients are kept.
struct Site<'r> {
    step: &'r ConvStep<'r>,
    way: Way,
    reading: Reading,
    taps: Taps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The gradients of the parameters, `[outputs, parameters]`.
    Formed,
    /// The gradients of the output, packed by channel.
    Packed,
    /// The gradients of the output, `[positions, outputs, channels]`.
    Plain,
}

/// What one walk leaves of one convolution.
enum Kept<'k> {
    Values(&'k mut [f32]),
    Packed(Entries),
}

impl<'t> ExampleBackward<'t> {
    pub fn new(examples: usize, outputs: usize, limits: Limits, target: &'t mut Target) -> Self {
        let arch = Arch::new();
        Self { examples, outputs, limits, target, arch, lanes: lanes(arch), spaces: Mutex::default() }
    }

    /// Goes back through `steps` from the gradients at their end.
    pub fn run(&mut self, steps: &[Step], mut edge: Edge) {
        let mut end = steps.len();
        while steps[..end].iter().any(Step::has_parameters) {
            let start = self.segment_start(&steps[..end]);
            let below = steps[..start].iter().any(Step::has_parameters);
            edge = self.segment(&steps[start..end], &edge, below);
            end = start;
        }
    }

    /// Where the longest segment at the end of `steps` begins of which everything can be kept.
    fn segment_start(&self, steps: &[Step]) -> usize {
        let mut kept = 0;
        for (index, step) in steps.iter().enumerate().rev() {
            let one: usize = convolutions(std::slice::from_ref(step)).map(|c| kept_values(c.conv, self.outputs)).sum();
            kept += one * self.examples * size_of::<f32>();
            if kept > self.limits.kept && index + 1 < steps.len() {
                return index + 1;
            }
        }
        0
    }

    /// Walks every example back through `steps`, then adds up what the walks left. Returns the gradients at the input.
    fn segment(&mut self, steps: &[Step], edge: &Edge, below: bool) -> Edge {
        let (examples, outputs) = (self.examples, self.outputs);
        let sites: Vec<Site> = convolutions(steps).map(|step| self.site(step)).collect();
        let mut buffers: Vec<Vec<f32>> = sites.iter().map(|site| vec![0.0; examples * site.length(outputs)]).collect();
        let layout = Layout::contiguous(steps.first().map_or([0; 3], Step::input_shape), outputs);
        let length = if below { layout.shape.iter().product::<usize>() * outputs } else { 0 };
        let mut values = vec![0.0; examples * length];
        let mut kept: Vec<Vec<Kept>> = (0..examples).map(|_| Vec::with_capacity(sites.len())).collect();
        for (site, buffer) in sites.iter().zip(&mut buffers) {
            let mut parts = buffer.chunks_exact_mut(site.length(outputs).max(1));
            for kept in &mut kept {
                kept.push(parts.next().map_or_else(|| Kept::Packed(Entries::default()), Kept::Values));
            }
        }
        let mut inputs: Vec<&mut [f32]> = match length {
            0 => (0..examples).map(|_| Default::default()).collect(),
            _ => values.chunks_exact_mut(length).collect(),
        };
        let size = edge.values.len() / examples;
        kept.par_iter_mut().zip(&mut inputs).enumerate().for_each(|(example, (kept, input))| {
            let mut scratch = self.lend();
            let values = Cow::Borrowed(&edge.values[example * size..][..size]);
            let cotangent = Cotangent { values, layout: edge.layout, pending: Vec::new() };
            let mut walk =
                Walk { outputs, arch: self.arch, example, scratch: &mut scratch, sites: &sites, kept, next: 0 };
            if let Some(cotangent) = walk.steps(steps, cotangent, below) {
                cotangent.arrive(example, outputs, &mut walk.scratch.route, input, false);
                walk.release(cotangent);
            }
            self.return_space(scratch);
        });
        let mut packed: Vec<Vec<Entries>> = sites.iter().map(|_| Vec::new()).collect();
        for (index, left) in kept.into_iter().flat_map(|kept| kept.into_iter().enumerate()) {
            if let Kept::Packed(entries) = left {
                packed[index].push(entries);
            }
        }
        for ((site, buffer), packed) in sites.iter().zip(buffers).zip(packed) {
            match site.way {
                Way::Formed => {
                    let length = buffer.len() / (examples * outputs);
                    let offset = site.step.conv.offset;
                    self.target.add_rows(&Rows { values: &buffer, examples, outputs, length, offset });
                }
                Way::Packed => self.form(site, &packed),
                Way::Plain => self.contract(site.step, buffer),
            }
        }
        Edge { layout, values }
    }

    fn lend(&self) -> Scratch {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn return_space(&self, scratch: Scratch) {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }

    fn site<'r>(&self, step: &'r ConvStep<'r>) -> Site<'r> {
        let conv = step.conv;
        // About two thirds of the gradients behind a ReLU are not zero.
        let packed = conv.positions() * conv.output[0] * (self.outputs + 1) * 2 / 3;
        let formed = self.outputs * conv.output[0] * conv.per_channel();
        let way = match self.contraction_is_cheaper(conv) {
            true => Way::Plain,
            false if formed <= packed => Way::Formed,
            false => Way::Packed,
        };
        Site { step, way, reading: Reading::new(conv, self.lanes), taps: Taps::new(conv) }
    }

    /// Whether Gram matrices of windows and gradients take fewer operations than gradients and their products (Novak 2022).
    fn contraction_is_cheaper(&self, conv: &Conv) -> bool {
        let [examples, outputs, positions] = [self.examples, self.outputs, conv.positions()].map(|v| v as f64);
        let [channels, window] = [conv.output[0], conv.window()].map(|v| v as f64);
        let pairs = 0.5 * examples * examples;
        // Products between outputs that a pair of examples needs.
        let products = match self.target {
            Target::Projected { .. } => return false,
            Target::Full(_) => outputs * outputs,
            Target::Sum(_) | Target::Each(_) => outputs,
        };
        let form = examples * outputs * positions * channels * window + pairs * products * channels * window;
        let contract = pairs * positions * positions * (window + products * channels);
        contract < form
    }

    /// Forms the gradients of a convolution from what was packed for each example, a block of channels at a time.
    fn form(&mut self, site: &Site, packed: &[Entries]) {
        let (examples, outputs, arch) = (self.examples, self.outputs, self.arch);
        let Site { step: ConvStep { conv, input }, reading, .. } = site;
        let pixels = conv.input.iter().product();
        let mut images = vec![0.0; examples * reading.length];
        let each = images.par_chunks_exact_mut(reading.length).zip(input.par_chunks_exact(pixels));
        each.for_each(|(image, input)| reading.fill(conv, input, image));
        let width = conv.per_channel();
        let one = examples * outputs * width * size_of::<f32>();
        let blocks = conv.output[0].div_ceil((self.limits.block / one).max(1));
        let each = conv.output[0].div_ceil(blocks);
        let mut values = Vec::new();
        for first in (0..conv.output[0]).step_by(each) {
            let channels = first..(first + each).min(conv.output[0]);
            let length = channels.len() * width;
            values.resize(examples * outputs * length, 0.0);
            let rows = values.par_chunks_exact_mut(outputs * length).zip(images.par_chunks_exact(reading.length));
            rows.zip(packed).for_each(|((out, image), entries)| {
                let mut scratch = self.lend();
                scratch.weight_gradient(arch, conv, reading, image, entries, channels.clone(), outputs, out, length);
                self.return_space(scratch);
            });
            let offset = conv.offset + first * width;
            self.target.add_rows(&Rows { values: &values, examples, outputs, length, offset });
        }
    }

    /// Contracts Gram matrices of windows and of gradients `[P, positions, outputs, channels]`.
    fn contract(&mut self, step: &ConvStep, mut gradients: Vec<f32>) {
        let (examples, outputs) = (self.examples, self.outputs);
        let ConvStep { conv, input } = step;
        let (channels, window, positions) = (conv.output[0], conv.window(), conv.positions());
        let mut inputs = vec![0.0; examples * positions * window];
        let each = inputs.par_chunks_exact_mut(positions * window);
        let pixels = conv.input.iter().product();
        each.zip(input.par_chunks_exact(pixels)).for_each(|(rows, input)| windows(conv, input, rows, window));
        let others = conv.per_channel() - window;
        if others > 0 {
            let length = others * channels;
            let mut rows = vec![0.0; examples * outputs * length];
            let each = rows.par_chunks_exact_mut(outputs * length);
            let each = each.zip(gradients.par_chunks_exact(positions * outputs * channels));
            each.zip(inputs.par_chunks_exact(positions * window)).for_each(|((rows, gradients), inputs)| {
                other_rows(conv, gradients, inputs, outputs, rows);
            });
            self.target.add_rows(&Rows { values: &rows, examples, outputs, length, offset: conv.offset });
        }
        if conv.norm.is_some() {
            let factors: Vec<f32> = (0..channels).map(|channel| conv.factor(channel)).collect();
            let rows = gradients.par_chunks_exact_mut(channels);
            rows.for_each(|row| row.iter_mut().zip(&factors).for_each(|(g, f)| *g *= f));
        }
        let (inputs, gradients) = (inputs.as_slice(), gradients.as_slice());
        self.target.add_pairs(&Pairs { inputs, gradients, examples, positions, outputs, bias: false });
    }
}

impl Site<'_> {
    /// Values that a walk writes to a buffer; none where it packs.
    fn length(&self, outputs: usize) -> usize {
        let conv = self.step.conv;
        match self.way {
            Way::Formed => outputs * conv.output[0] * conv.per_channel(),
            Way::Packed => 0,
            Way::Plain => conv.positions() * outputs * conv.output[0],
        }
    }
}

/// Values that are kept of one example's gradients at a convolution, at most.
pub(super) fn kept_values(conv: &Conv, outputs: usize) -> usize {
    let formed = outputs * conv.per_channel();
    let packed = (outputs + 1) * conv.positions();
    conv.output[0] * formed.min(packed)
}

/// The convolutions of `steps` in the order in which a walk meets them.
fn convolutions<'r>(steps: &'r [Step<'r>]) -> Box<dyn Iterator<Item = &'r ConvStep<'r>> + 'r> {
    Box::new(steps.iter().rev().flat_map(|step| -> Box<dyn Iterator<Item = &'r ConvStep<'r>> + 'r> {
        match step {
            Step::Conv(conv) => Box::new(std::iter::once(conv)),
            Step::Residual { body, shortcut } => Box::new(convolutions(body).chain(shortcut)),
            _ => Box::new(std::iter::empty()),
        }
    }))
}

/// One example's way back.
struct Walk<'w, 'r, 'k> {
    outputs: usize,
    arch: Arch,
    example: usize,
    scratch: &'w mut Scratch,
    sites: &'w [Site<'r>],
    kept: &'w mut [Kept<'k>],
    /// Index of the next site to be met.
    next: usize,
}

impl<'r> Walk<'_, 'r, '_> {
    /// Goes back through `steps`. Returns the gradient at their input where something `below` asks for it.
    fn steps<'v>(
        &mut self,
        steps: &'r [Step<'r>],
        mut cotangent: Cotangent<'v, 'r>,
        below: bool,
    ) -> Option<Cotangent<'v, 'r>> {
        for (index, step) in steps.iter().enumerate().rev() {
            let below = below || steps[..index].iter().any(Step::has_parameters);
            if !below && !step.has_parameters() {
                return None;
            }
            cotangent = match step {
                Step::Slope { .. } | Step::MaxPool { .. } | Step::GlobalMeanPool { .. } => {
                    cotangent.pending.push(step);
                    cotangent
                }
                Step::Flatten { from } => {
                    let cotangent = self.arrived(cotangent);
                    Cotangent { layout: cotangent.layout.unflattened(*from), ..cotangent }
                }
                Step::Conv(_) => {
                    let next = self.conv(&cotangent, below, None);
                    self.release(cotangent);
                    next?
                }
                Step::Residual { body, shortcut } => {
                    let through_body = self.steps(body, cotangent.again(), below).map(Cotangent::into_owned);
                    let next = match (shortcut, through_body) {
                        (Some(_), with) => self.conv(&cotangent, below, with),
                        (None, Some(with)) => Some(self.join(&cotangent, with)),
                        (None, None) => None,
                    };
                    self.release(cotangent);
                    next?
                }
                Step::Dense { .. } => unreachable!("a host network has dense layers at its end only"),
            };
        }
        below.then_some(cotangent)
    }

    /// The cotangent with nothing pending, `[height · width, outputs, channels]`.
    fn arrived<'v>(&mut self, cotangent: Cotangent<'v, 'r>) -> Cotangent<'v, 'r> {
        if cotangent.has_arrived(self.outputs) {
            return cotangent;
        }
        let layout = Layout::contiguous(cotangent.shape(), self.outputs);
        let mut values = self.scratch.take(layout.shape.iter().product::<usize>() * self.outputs);
        cotangent.arrive(self.example, self.outputs, &mut self.scratch.route, &mut values, false);
        self.release(cotangent);
        Cotangent { values: Cow::Owned(values), layout, pending: Vec::new() }
    }

    /// What arrives at the end of `cotangent`, added to `with`.
    fn join(&mut self, cotangent: &Cotangent<'_, 'r>, with: Cotangent<'static, 'r>) -> Cotangent<'static, 'r> {
        let with = self.arrived(with);
        let mut values = with.values.into_owned();
        cotangent.arrive(self.example, self.outputs, &mut self.scratch.route, &mut values, true);
        Cotangent { values: Cow::Owned(values), layout: with.layout, pending: Vec::new() }
    }

    /// Keeps the memory of a cotangent that nobody needs any more.
    fn release(&mut self, cotangent: Cotangent) {
        if let Cow::Owned(values) = cotangent.values {
            self.scratch.give(values);
        }
    }

    /// The next convolution: leaves what is to be kept of it; its input gradient is added to `with`.
    fn conv(
        &mut self,
        cotangent: &Cotangent<'_, 'r>,
        below: bool,
        with: Option<Cotangent<'static, 'r>>,
    ) -> Option<Cotangent<'static, 'r>> {
        let (outputs, arch, example) = (self.outputs, self.arch, self.example);
        let Site { step: ConvStep { conv, input }, way, reading, taps } = &self.sites[self.next];
        let with = with.map(|with| self.arrived(with));
        let kept = &mut self.kept[self.next];
        self.next += 1;
        let scratch = &mut *self.scratch;
        if below || *way != Way::Plain {
            scratch.pack(conv, cotangent, example, outputs);
        }
        let next = below.then(|| {
            let layout = Layout::contiguous(conv.input, outputs);
            let (mut values, store) = match with {
                Some(with) => (with.values.into_owned(), Store::Add),
                None => (scratch.take(conv.input.iter().product::<usize>() * outputs), Store::Replace),
            };
            scratch.input_gradient(arch, conv, taps, outputs, &mut values, store);
            Cotangent { values: Cow::Owned(values), layout, pending: Vec::new() }
        });
        match (kept, way) {
            (Kept::Values(out), Way::Plain) => cotangent.arrive(example, outputs, &mut scratch.route, out, false),
            (Kept::Values(out), _) => {
                scratch.group(arch, conv, reading, outputs);
                let pixels = conv.input.iter().product::<usize>();
                let (mut image, entries) = (scratch.take(reading.length), std::mem::take(&mut scratch.by_channel));
                reading.fill(conv, &input[example * pixels..][..pixels], &mut image);
                let stride = conv.output[0] * conv.per_channel();
                scratch.weight_gradient(arch, conv, reading, &image, &entries, 0..conv.output[0], outputs, out, stride);
                scratch.by_channel = entries;
                scratch.give(image);
            }
            (Kept::Packed(entries), _) => {
                scratch.group(arch, conv, reading, outputs);
                entries.clone_from(&scratch.by_channel);
            }
        }
        next
    }
}

/// The gradients of bias, scale and shift of one example, `[outputs, others, channels]`, from the gradients at the norm's output
/// `[positions, outputs, channels]` and the windows `[positions, window]`.
fn other_rows(conv: &Conv, gradients: &[f32], inputs: &[f32], outputs: usize, rows: &mut [f32]) {
    let (channels, window, positions) = (conv.output[0], conv.window(), conv.positions());
    let others = conv.per_channel() - window;
    let mut convolved = vec![0.0; if conv.norm.is_some() { positions * channels } else { 0 }];
    if conv.norm.is_some() {
        let weight = view(&conv.weight, channels, window).transpose();
        let target = MatMut::from_row_major_slice_mut(&mut convolved, positions, channels);
        matmul(target, Accum::Replace, view(inputs, positions, window), weight, 1.0, Par::Seq);
    }
    for (s, rows) in rows.chunks_exact_mut(others * channels).enumerate() {
        for channel in 0..channels {
            let gradient = gradients.iter().skip(s * channels + channel).step_by(outputs * channels);
            let sum: f32 = gradient.clone().sum();
            let mut parts = rows.iter_mut().skip(channel).step_by(channels);
            let bias = conv.bias.as_ref().map(|bias| bias[channel]);
            if let Some(to) = bias.and_then(|_| parts.next()) {
                *to = sum * conv.factor(channel);
            }
            if let (Some(norm), Some(scale), Some(shift)) = (&conv.norm, parts.next(), parts.next()) {
                let centred = convolved.iter().skip(channel).step_by(channels);
                let offset = bias.unwrap_or(0.0) - norm.mean[channel];
                *scale = gradient.zip(centred).map(|(g, z)| g * (z + offset)).sum::<f32>() * norm.inverse[channel];
                *shift = sum;
            }
        }
    }
}

/// `f32` values in one vector of this machine.
fn lanes(arch: Arch) -> usize {
    struct Lanes;
    impl pulp::WithSimd for Lanes {
        type Output = usize;
        fn with_simd<S: pulp::Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Lanes)
}
