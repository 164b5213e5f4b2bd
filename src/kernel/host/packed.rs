//! The gradients of one example at one convolution's output, packed for the two inner loops: what is zero is left out.

use std::ops::Range;

use pulp::Arch;

use super::cotangent::{Cotangent, Route};
use super::forward::windows;
use super::micro_kernel::{Job, Run, SLACK, Store, Updates, pick_rows, sum_rows};
use super::network::Conv;
use crate::kernel::matrix::dot;

/// Working space of one thread, kept from example to example and from layer to layer.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub route: Route,
    by_position: Entries,
    pub by_channel: Entries,
    /// Channel of each entry by position.
    channels: Vec<u32>,
    /// Entries by position, in the order of those by channel.
    picks: Vec<u32>,
    /// Channels of one position that are not zero.
    found: Vec<u32>,
    sums: Vec<f32>,
    runs: Vec<Run>,
    jobs: Vec<Job>,
    spare: Vec<Vec<f32>>,
}

/// Gradients that are not zero, in groups (positions, or channels).
#[derive(Debug, Default, Clone)]
pub(super) struct Entries {
    /// `[entries, outputs]` and slack.
    gradients: Vec<f32>,
    /// What each entry is multiplied with, as an offset.
    places: Vec<u32>,
    /// `[groups + 1]`: where each group begins.
    starts: Vec<usize>,
}

/// How the weight gradient reads an input image: windows as runs of neighbouring values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Values in one run of neighbours.
    width: usize,
    /// Runs in one window, and the distance between them.
    runs: usize,
    pitch: usize,
    /// Distance between windows below each other, and side by side.
    step: [usize; 2],
    /// Values of an image, slack included.
    pub length: usize,
}

/// Filters as the input gradient reads them: `[k, k, out, in]`, times the batch norm's factor.
#[derive(Debug)]
pub(super) struct Taps(Vec<f32>);

impl Taps {
    pub fn new(conv: &Conv) -> Self {
        let ([inputs, ..], [outputs, ..]) = (conv.input, conv.output);
        let taps = conv.kernel * conv.kernel;
        let mut values = Vec::with_capacity(taps * outputs * inputs + SLACK);
        for tap in 0..taps {
            for out in 0..outputs {
                let factor = conv.factor(out);
                values.extend(conv.weight[(out * taps + tap) * inputs..][..inputs].iter().map(|w| w * factor));
            }
        }
        values.resize(values.len() + SLACK, 0.0);
        Self(values)
    }
}

impl Reading {
    /// Of the padded image; or of its windows laid out one by one, where the channels are so few that one row of a window leaves
    /// most of a vector of `lanes` empty.
    pub fn new(conv: &Conv, lanes: usize) -> Self {
        let [channels, height, width] = conv.input;
        let (k, padding, window) = (conv.kernel, conv.padding, conv.window());
        if window.div_ceil(lanes) < k * (k * channels).div_ceil(lanes) {
            let row = window.next_multiple_of(lanes);
            let (step, length) = ([row * conv.output[2], row], conv.positions() * row + SLACK);
            return Self { width: window, runs: 1, pitch: 0, step, length };
        }
        let line = (width + 2 * padding) * channels;
        let (step, length) = ([conv.stride * line, conv.stride * channels], (height + 2 * padding) * line + SLACK);
        Self { width: k * channels, runs: k, pitch: line, step, length }
    }

    /// Lays out an input `[h, w, in]`.
    pub fn fill(&self, conv: &Conv, input: &[f32], image: &mut [f32]) {
        if self.runs == 1 && self.pitch == 0 {
            windows(conv, input, image, self.step[1]);
            return;
        }
        image.fill(0.0);
        let [channels, _, width] = conv.input;
        let lines = image.chunks_exact_mut(self.pitch).skip(conv.padding);
        for (to, from) in lines.zip(input.chunks_exact(width * channels)) {
            to[conv.padding * channels..][..width * channels].copy_from_slice(from);
        }
    }
}

impl Scratch {
    /// A buffer of that length with anything in it.
    pub fn take(&mut self, length: usize) -> Vec<f32> {
        let place = self.spare.iter().position(|buffer| buffer.capacity() >= length);
        let mut buffer = place.map_or_else(|| Vec::with_capacity(length), |place| self.spare.swap_remove(place));
        buffer.resize(length, 0.0);
        buffer
    }

    /// Keeps a buffer for later.
    pub fn give(&mut self, buffer: Vec<f32>) {
        self.spare.push(buffer);
    }

    /// Packs the gradients of one example for `outputs` outputs, by position, as [`Self::input_gradient`] reads them. The batch
    /// norm's factor is not in them.
    pub fn pack(&mut self, conv: &Conv, cotangent: &Cotangent, example: usize, outputs: usize) {
        self.route.compose(cotangent, example);
        let stride = cotangent.layout.output;
        let (all, width, inputs) = (conv.output[0], conv.output[2], conv.input[0]);
        let count = self.route.factors.len();
        let Entries { gradients, places, starts } = &mut self.by_position;
        gradients.resize(count * outputs + SLACK, 0.0);
        places.resize(count, 0);
        self.channels.resize(count, 0);
        self.found.resize(all + 1, 0);
        starts.clear();
        starts.push(0);
        let mut total = 0;
        let positions = self.route.sources.chunks_exact(all).zip(self.route.factors.chunks_exact(all));
        for (position, (sources, factors)) in positions.enumerate() {
            // The filter of an entry depends on how far its column is from the column it sends to: see `input_gradient`.
            let column = ((position % width) * conv.stride * all) as u32;
            // Which channels are not zero is as good as random: no branch may depend on it.
            let mut found = 0;
            for (channel, factor) in factors.iter().enumerate() {
                self.found[found] = channel as u32;
                found += usize::from(*factor != 0.0);
            }
            let rows = gradients[total * outputs..].chunks_exact_mut(outputs);
            let entries = places[total..].iter_mut().zip(&mut self.channels[total..]).zip(rows);
            for (&channel, ((place, kept), row)) in self.found[..found].iter().zip(entries) {
                *place = channel.wrapping_sub(column).wrapping_mul(inputs as u32);
                *kept = channel;
                let factor = factors[channel as usize];
                let values = cotangent.values[sources[channel as usize] as usize..].chunks(stride);
                row.iter_mut().zip(values).for_each(|(to, values)| *to = values[0] * factor);
            }
            total += found;
            starts.push(total);
        }
        places.truncate(total);
        self.channels.truncate(total);
    }

    /// Reorders what `pack` left by channel, as [`Self::weight_gradient`] reads it.
    pub fn group(&mut self, arch: Arch, conv: &Conv, reading: &Reading, outputs: usize) {
        let Entries { gradients, places, starts } = &mut self.by_channel;
        starts.clear();
        starts.resize(conv.output[0] + 1, 0);
        self.channels.iter().for_each(|&channel| starts[channel as usize + 1] += 1);
        for channel in 0..conv.output[0] {
            starts[channel + 1] += starts[channel];
        }
        let total = self.channels.len();
        places.resize(total, 0);
        self.picks.resize(total, 0);
        let mut next = starts.clone();
        for (position, ends) in self.by_position.starts.windows(2).enumerate() {
            let [down, right] = [position / conv.output[2], position % conv.output[2]];
            let place = (down * reading.step[0] + right * reading.step[1]) as u32;
            for (entry, &channel) in (ends[0]..ends[1]).zip(&self.channels[ends[0]..ends[1]]) {
                let next = &mut next[channel as usize];
                places[*next] = place;
                self.picks[*next] = entry as u32;
                *next += 1;
            }
        }
        gradients.resize(total * outputs + SLACK, 0.0);
        pick_rows(arch, &self.by_position.gradients, outputs, &self.picks, gradients);
    }

    /// Gradients of the parameters of `channels` from their `entries` and the example's `image`: for each output, `stride`
    /// apart, and each channel the window, then bias, then the batch norm's scale and shift.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a different thing, and they do not belong together elsewhere"
    )]
    pub fn weight_gradient(
        &mut self,
        arch: Arch,
        conv: &Conv,
        reading: &Reading,
        image: &[f32],
        entries: &Entries,
        channels: Range<usize>,
        outputs: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let per_channel = conv.per_channel();
        let (runs, jobs) = (&mut self.runs, &mut self.jobs);
        runs.clear();
        jobs.clear();
        for (local, channel) in channels.clone().enumerate() {
            let (start, end) = (entries.starts[channel], entries.starts[channel + 1]);
            for run in 0..reading.runs {
                let out = local * per_channel + run * reading.width;
                jobs.push(Job { first: runs.len(), last: runs.len() + 1, out });
                runs.push(Run { start, end, base: (run * reading.pitch) as u32 });
            }
        }
        let updates = Updates {
            coefficients: &entries.gradients,
            outputs,
            places: &entries.places,
            values: image,
            runs,
            jobs,
            width: reading.width,
        };
        updates.sum(arch, out, stride, Store::Replace);
        if per_channel == conv.window() {
            return;
        }
        for (local, channel) in channels.enumerate() {
            let (start, end) = (entries.starts[channel], entries.starts[channel + 1]);
            sum_rows(arch, &entries.gradients[start * outputs..], end - start, outputs, &mut self.sums);
            other_gradients(conv, channel, &self.sums, &mut out[local * per_channel..], stride);
        }
    }

    /// Gradients `[h · w, outputs, in]` of an example's input (after `pack`), written or added.
    pub fn input_gradient(
        &mut self,
        arch: Arch,
        conv: &Conv,
        taps: &Taps,
        outputs: usize,
        out: &mut [f32],
        store: Store,
    ) {
        let ([inputs, height, width], [channels, out_height, out_width]) = (conv.input, conv.output);
        let (k, stride) = (conv.kernel, conv.stride);
        let (runs, jobs) = (&mut self.runs, &mut self.jobs);
        runs.clear();
        jobs.clear();
        for position in 0..height * width {
            // Output (y, x) reads input (y', x') at tap (y' + padding − stride · y, x' + padding − stride · x), if that is in the window.
            let (down, right) = (position / width + conv.padding, position % width + conv.padding);
            let reach =
                |at: usize, end: usize| ((at + 1).saturating_sub(k).div_ceil(stride), (at / stride + 1).min(end));
            let ((top, bottom), (left, end)) = (reach(down, out_height), reach(right, out_width));
            let first = runs.len();
            if left < end {
                runs.extend((top..bottom).map(|y| Run {
                    start: self.by_position.starts[y * out_width + left],
                    end: self.by_position.starts[y * out_width + end],
                    base: (((down - y * stride) * k + right) * channels * inputs) as u32,
                }));
            }
            let into = position * outputs * inputs;
            if runs.len() > first {
                jobs.push(Job { first, last: runs.len(), out: into });
            } else if store == Store::Replace {
                out[into..][..outputs * inputs].fill(0.0);
            }
        }
        let updates = Updates {
            coefficients: &self.by_position.gradients,
            outputs,
            places: &self.by_position.places,
            values: &taps.0,
            runs,
            jobs,
            width: inputs,
        };
        updates.sum(arch, out, inputs, store);
    }
}

/// Bias, scale and shift of one channel, from the sums `[outputs]` of its gradients and the gradients of its window, which are given
/// the batch norm's factor.
fn other_gradients(conv: &Conv, channel: usize, sums: &[f32], out: &mut [f32], stride: usize) {
    let window = conv.window();
    let filter = &conv.weight[channel * window..][..window];
    for (row, &sum) in out.chunks_mut(stride).zip(sums) {
        let (weights, mut others) = row[..conv.per_channel()].split_at_mut(window);
        let bias = conv.bias.as_ref().map(|bias| bias[channel]);
        if bias.is_some() {
            others[0] = sum * conv.factor(channel);
            others = &mut others[1..];
        }
        if let (Some(norm), [scale, shift]) = (&conv.norm, others) {
            // The sum over positions of gradient times convolution is the product of filter and filter gradient.
            let product = dot(weights, filter);
            *scale = (product + (bias.unwrap_or(0.0) - norm.mean[channel]) * sum) * norm.inverse[channel];
            *shift = sum;
            let factor = norm.factor(channel);
            weights.iter_mut().for_each(|g| *g *= factor);
        }
    }
}
