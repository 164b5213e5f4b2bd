//! The reverse pass: from the outputs to the first layer with parameters, all outputs of a pass at once, handing each
//! layer's gradients to the kernel in the making. Neither the first layer's input gradient nor any sum over examples of
//! weight gradients is formed.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use pulp::Arch;
use rayon::prelude::*;

use super::buffers::{Buffers, Spaces};
use super::flow::{Flow, Layout};
use super::forward::{ConvStep, Recording, Step, windows};
use super::host::{Conv, Dense};
use super::matrix::view;
use super::packed::Taps;
use super::target::{Pairs, Rows, Target};
use super::tile::Store;

/// One reverse pass over a recorded forward pass.
pub(super) struct Reverse<'r> {
    recording: &'r Recording<'r>,
    /// Outputs S that are followed.
    outputs: usize,
    /// Bytes that one block of gradients may take.
    block: usize,
    arch: Arch,
    /// `f32` values in one vector of this machine.
    lanes: usize,
    target: Target,
    buffers: Buffers,
    spaces: Spaces,
}

/// Where the input gradient of a convolution goes.
struct Towards<'a> {
    taps: Taps,
    /// `[examples, positions, outputs, channels]`
    values: &'a mut [f32],
    store: Store,
}

impl<'r> Reverse<'r> {
    /// Follows S linear combinations of the logits, `[S, C]`, and adds their gradients' inner products to `target`.
    pub fn run(recording: &'r Recording<'r>, combinations: &[f32], block: usize, target: Target) -> Target {
        let classes = recording.logits.len() / recording.examples;
        let outputs = combinations.len() / classes;
        let layout = Layout::contiguous([classes, 1, 1], outputs);
        let values = Arc::new(combinations.repeat(recording.examples));
        let arch = Arch::new();
        let (lanes, buffers, spaces) = (lanes(arch), Buffers::default(), Spaces::default());
        let mut pass = Self { recording, outputs, block, arch, lanes, target, buffers, spaces };
        pass.steps(&recording.steps, Flow { values, layout, pending: Vec::new() }, false);
        pass.target
    }

    /// Goes back through `steps`. Returns the gradient at their input where something `below` asks for it.
    fn steps(&mut self, steps: &'r [Step<'r>], mut flow: Flow<'r>, below: bool) -> Option<Flow<'r>> {
        for (index, step) in steps.iter().enumerate().rev() {
            let below = below || steps[..index].iter().any(has_parameters);
            if !below && !has_parameters(step) {
                return None;
            }
            flow = match step {
                Step::Slope { .. } | Step::MaxPool { .. } | Step::GlobalMeanPool { .. } => {
                    flow.pending.push(step);
                    flow
                }
                Step::Flatten { from } => {
                    let flow = self.arrived(flow);
                    Flow { layout: flow.layout.unflattened(*from), ..flow }
                }
                Step::Dense { dense, input } => self.dense(dense, input, flow, below)?,
                Step::Conv(conv) => self.conv(conv, flow, below, None)?,
                Step::Residual { body, shortcut } => self.residual(body, shortcut.as_ref(), flow, below)?,
            };
        }
        below.then_some(flow)
    }

    fn residual(
        &mut self,
        body: &'r [Step<'r>],
        shortcut: Option<&'r ConvStep<'r>>,
        flow: Flow<'r>,
        below: bool,
    ) -> Option<Flow<'r>> {
        let through_body = self.steps(body, flow.clone(), below);
        if let Some(shortcut) = shortcut {
            return self.conv(shortcut, flow, below, through_body);
        }
        let through_body = self.arrived(through_body?);
        let sum = self.gathered(&flow, Some(through_body));
        self.buffers.give(flow.values);
        Some(sum)
    }

    /// The flow with nothing pending, `[height · width, outputs, channels]` for each example.
    fn arrived(&mut self, flow: Flow<'r>) -> Flow<'r> {
        if flow.pending.is_empty() && flow.layout == Layout::contiguous(flow.layout.shape, self.outputs) {
            return flow;
        }
        let arrived = self.gathered(&flow, None);
        self.buffers.give(flow.values);
        arrived
    }

    /// What arrives at the end of `flow`, added to what has arrived `with` it.
    fn gathered(&mut self, flow: &Flow<'r>, with: Option<Flow<'r>>) -> Flow<'r> {
        let layout = Layout::contiguous(flow.shape(), self.outputs);
        let add = with.is_some();
        let mut values = match with {
            Some(with) => Arc::unwrap_or_clone(with.values),
            None => self.buffers.take(self.recording.examples * layout.example),
        };
        let examples = values.par_chunks_exact_mut(layout.example).enumerate();
        examples.for_each_init(
            || self.spaces.lend(),
            |space, (example, out)| flow.arrive(example, self.outputs, &mut space.route, out, add),
        );
        Flow { values: Arc::new(values), layout, pending: Vec::new() }
    }

    fn dense(&mut self, dense: &Dense, input: &[f32], flow: Flow<'r>, below: bool) -> Option<Flow<'r>> {
        let flow = self.arrived(flow);
        let (examples, outputs) = (self.recording.examples, self.outputs);
        if matches!(self.target, Target::Projected { .. }) {
            self.dense_rows(dense, input, &flow.values);
        } else {
            let pairs = Pairs { inputs: input, gradients: &flow.values, examples, positions: 1, outputs, bias: true };
            self.target.add_pairs(&pairs);
        }
        let values = below.then(|| {
            let mut values = self.buffers.take(examples * outputs * dense.inputs);
            let blocks = values.par_chunks_mut(128 * dense.inputs).zip(flow.values.par_chunks(128 * dense.outputs));
            blocks.for_each(|(out, gradients)| {
                let rows = gradients.len() / dense.outputs;
                let target = MatMut::from_row_major_slice_mut(out, rows, dense.inputs);
                let weight = view(&dense.weight, dense.outputs, dense.inputs);
                matmul(target, Accum::Replace, view(gradients, rows, dense.outputs), weight, 1.0, Par::Seq);
            });
            Arc::new(values)
        });
        self.buffers.give(flow.values);
        let layout = Layout::contiguous([dense.inputs, 1, 1], outputs);
        values.map(|values| Flow { values, layout, pending: Vec::new() })
    }

    /// Forms the gradients of a dense layer, a block of its outputs at a time: the weights into each, then its bias.
    fn dense_rows(&mut self, dense: &Dense, input: &[f32], gradients: &[f32]) {
        let (examples, outputs) = (self.recording.examples, self.outputs);
        let width = dense.inputs + 1;
        let each = self.channels_per_block(width, dense.outputs);
        let mut values = Vec::new();
        for first in (0..dense.outputs).step_by(each) {
            let count = each.min(dense.outputs - first);
            values.resize(examples * outputs * count * width, 0.0);
            let rows = values.par_chunks_exact_mut(count * width).enumerate();
            rows.for_each(|(row, out)| {
                let example = &input[row / outputs * dense.inputs..][..dense.inputs];
                let gradients = &gradients[row * dense.outputs + first..][..count];
                for (out, gradient) in out.chunks_exact_mut(width).zip(gradients) {
                    out.iter_mut().zip(example.iter().chain(&[1.0])).for_each(|(o, x)| *o = gradient * x);
                }
            });
            let offset = dense.offset + first * width;
            self.target.add_rows(&Rows { values: &values, examples, outputs, length: count * width, offset });
        }
    }

    /// Channels of which the gradients, `width` each, are formed at a time.
    fn channels_per_block(&self, width: usize, channels: usize) -> usize {
        let one = self.recording.examples * self.outputs * width * size_of::<f32>();
        let blocks = (one * channels).div_ceil(self.block.max(1)).clamp(1, channels);
        channels.div_ceil(blocks)
    }

    /// A convolution with its bias and norm; the input gradient is added to `with`.
    fn conv(&mut self, step: &ConvStep, flow: Flow<'r>, below: bool, with: Option<Flow<'r>>) -> Option<Flow<'r>> {
        let ConvStep { conv, input } = step;
        let layout = Layout::contiguous(conv.input, self.outputs);
        let store = if with.is_some() { Store::Add } else { Store::Replace };
        let mut values = match with {
            Some(with) => Arc::unwrap_or_clone(self.arrived(with).values),
            None => self.buffers.take(if below { self.recording.examples * layout.example } else { 0 }),
        };
        let towards = below.then(|| Towards { taps: Taps::new(conv), values: &mut values, store });
        if self.pairs_are_cheaper(conv) {
            self.conv_pairs(conv, input, &flow, towards);
        } else {
            self.conv_rows(conv, input, &flow, towards);
        }
        self.buffers.give(flow.values);
        below.then(|| Flow { values: Arc::new(values), layout, pending: Vec::new() })
    }

    /// Whether Gram matrices of inputs and gradients take fewer operations than gradients and their products (Novak 2022).
    fn pairs_are_cheaper(&self, conv: &Conv) -> bool {
        if matches!(self.target, Target::Projected { .. }) {
            return false;
        }
        let [examples, outputs, positions] =
            [self.recording.examples, self.outputs, conv.positions()].map(|v| v as f64);
        let [channels, window] = [conv.output[0], conv.window()].map(|v| v as f64);
        let pairs = 0.5 * examples * examples;
        let gradients = examples * outputs * positions * channels * window;
        let (products, contractions) = match self.target {
            Target::Full(_) => (outputs * outputs, outputs * outputs),
            _ => (outputs, outputs),
        };
        let form = gradients + pairs * products * channels * window;
        let contract = pairs * positions * positions * (window + contractions * channels);
        contract < form
    }

    /// Forms the gradients, a block of channels at a time; the first time round also the input gradient.
    fn conv_rows(&mut self, conv: &Conv, input: &[f32], flow: &Flow<'r>, mut towards: Option<Towards>) {
        let (examples, outputs, arch, lanes) = (self.recording.examples, self.outputs, self.arch, self.lanes);
        let image = conv.input.iter().product();
        let width = conv.per_channel();
        let each = self.channels_per_block(width, conv.output[0]);
        for first in (0..conv.output[0]).step_by(each) {
            let channels = first..(first + each).min(conv.output[0]);
            let length = channels.len() * width;
            let mut values = self.buffers.take(examples * outputs * length);
            let (taps, mut inward) = split(towards.take(), examples);
            let packed = if taps.is_some() { 0..conv.output[0] } else { channels.clone() };
            let rows = values.par_chunks_exact_mut(outputs * length).zip(input.par_chunks_exact(image));
            rows.zip(&mut inward).enumerate().for_each_init(
                || self.spaces.lend(),
                |space, (example, ((out, input), inward))| {
                    space.pack(conv, flow, example, outputs, &packed);
                    if let Some((taps, store)) = &taps {
                        space.input_gradient(arch, conv, taps, outputs, inward, *store);
                    }
                    space.weight_gradient(arch, lanes, conv, input, &channels, outputs, out, length);
                },
            );
            let offset = conv.offset + first * width;
            self.target.add_rows(&Rows { values: &values, examples, outputs, length, offset });
            self.buffers.give(Arc::new(values));
        }
    }

    /// Contracts Gram matrices of windows and gradients.
    fn conv_pairs(&mut self, conv: &Conv, input: &[f32], flow: &Flow<'r>, towards: Option<Towards>) {
        let (examples, outputs, arch) = (self.recording.examples, self.outputs, self.arch);
        let (channels, window, positions) = (conv.output[0], conv.window(), conv.positions());
        let image = conv.input.iter().product();
        let mut gradients = vec![0.0; examples * positions * outputs * channels];
        let mut inputs = vec![0.0; examples * positions * window];
        let others = conv.per_channel() - window;
        let mut rows = vec![0.0; examples * outputs * others * channels];
        let each = gradients
            .par_chunks_exact_mut(positions * outputs * channels)
            .zip(inputs.par_chunks_exact_mut(positions * window));
        let (taps, mut inward) = split(towards, examples);
        let each = each.zip(input.par_chunks_exact(image)).zip(&mut inward).enumerate();
        each.for_each_init(
            || self.spaces.lend(),
            |space, (example, (((gradients, columns), input), inward))| {
                flow.arrive(example, outputs, &mut space.route, gradients, false);
                windows(conv, input, columns, window);
                if let Some((taps, store)) = &taps {
                    space.pack(conv, flow, example, outputs, &(0..channels));
                    space.input_gradient(arch, conv, taps, outputs, inward, *store);
                }
            },
        );
        if others > 0 {
            let each = rows.par_chunks_exact_mut(outputs * others * channels);
            let each = each.zip(gradients.par_chunks_exact(positions * outputs * channels));
            each.zip(inputs.par_chunks_exact(positions * window)).for_each(|((rows, gradients), inputs)| {
                other_rows(conv, gradients, inputs, outputs, rows);
            });
            let length = others * channels;
            self.target.add_rows(&Rows { values: &rows, examples, outputs, length, offset: conv.offset });
        }
        if let Some(norm) = &conv.norm {
            let factors: Vec<f32> = (0..channels).map(|channel| norm.factor(channel)).collect();
            gradients
                .par_chunks_exact_mut(channels)
                .for_each(|row| row.iter_mut().zip(&factors).for_each(|(g, f)| *g *= f));
        }
        let (inputs, gradients) = (inputs.as_slice(), gradients.as_slice());
        self.target.add_pairs(&Pairs { inputs, gradients, examples, positions, outputs, bias: false });
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
                *to = sum * conv.norm.as_ref().map_or(1.0, |norm| norm.factor(channel));
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

/// The parts of an input gradient by example; empty ones where none is asked for.
fn split(towards: Option<Towards<'_>>, examples: usize) -> (Option<(Taps, Store)>, Vec<&mut [f32]>) {
    match towards {
        Some(Towards { taps, values, store }) => {
            let length = values.len() / examples;
            (Some((taps, store)), values.chunks_exact_mut(length).collect())
        }
        None => (None, (0..examples).map(|_| Default::default()).collect()),
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

fn has_parameters(step: &Step) -> bool {
    match step {
        Step::Conv(_) | Step::Dense { .. } => true,
        Step::Residual { body, shortcut } => shortcut.is_some() || body.iter().any(has_parameters),
        Step::Slope { .. } | Step::MaxPool { .. } | Step::GlobalMeanPool { .. } | Step::Flatten { .. } => false,
    }
}
