//! The gradients of one example at one convolution's output, packed for the two inner loops: what is zero is left out.

use std::ops::Range;

use pulp::Arch;

use super::flow::{Flow, Route};
use super::forward::windows;
use super::host::Conv;
use super::matrix::dot;
use super::tile::{Job, Run, SLACK, Store, Updates, pick_rows, sum_rows};

/// Working space of one thread, kept from example to example and from layer to layer.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub route: Route,
    by_position: Entries,
    by_channel: Entries,
    image: Image,
    /// Entries by position, in the order of those by channel.
    picks: Vec<u32>,
    /// Channel of each entry by position, less the first channel packed.
    channels: Vec<u32>,
    /// Channels of one position that are not zero.
    found: Vec<u32>,
    sums: Vec<f32>,
    runs: Vec<Run>,
    jobs: Vec<Job>,
}

/// Gradients that are not zero, in groups (positions, or channels).
#[derive(Debug, Default)]
struct Entries {
    /// `[entries, outputs]` and slack.
    gradients: Vec<f32>,
    /// What each entry is multiplied with, as an offset.
    places: Vec<u32>,
    /// `[groups + 1]`: where each group begins.
    starts: Vec<usize>,
}

/// An image as the weight gradient reads it: windows as runs of neighbouring values.
#[derive(Debug, Default)]
struct Image {
    values: Vec<f32>,
    /// Values in one run of neighbours.
    width: usize,
    /// Runs in one window, and the distance between them.
    runs: usize,
    pitch: usize,
    /// Distance between windows below each other, and side by side.
    step: [usize; 2],
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
                let factor = conv.norm.as_ref().map_or(1.0, |norm| norm.factor(out));
                values.extend(conv.weight[(out * taps + tap) * inputs..][..inputs].iter().map(|w| w * factor));
            }
        }
        values.resize(values.len() + SLACK, 0.0);
        Self(values)
    }
}

impl Scratch {
    /// Packs the gradients of one example for `outputs` outputs, by position, as [`Self::input_gradient`] reads them; only those of
    /// `channels`. The batch norm's factor is not yet in them.
    pub fn pack(&mut self, conv: &Conv, flow: &Flow, example: usize, outputs: usize, channels: &Range<usize>) {
        self.route.compose(flow, example);
        let (values, stride) = (flow.example(example), flow.layout.output);
        let reach = (outputs - 1) * stride + 1;
        let (all, width, inputs) = (conv.output[0], conv.output[2], conv.input[0]);
        let Entries { gradients, places, starts } = &mut self.by_position;
        gradients.resize(self.route.factors.len() * outputs + SLACK, 0.0);
        starts.clear();
        starts.push(0);
        places.resize(self.route.factors.len(), 0);
        self.channels.resize(self.route.factors.len(), 0);
        self.found.resize(all, 0);
        let mut count = 0;
        let positions = self.route.sources.chunks_exact(all).zip(self.route.factors.chunks_exact(all));
        for (position, (sources, factors)) in positions.enumerate() {
            // The filter of an entry depends on how far its column is from the column it sends to: see `input_gradient`.
            let column = ((position % width) * conv.stride * all) as u32;
            // Which channels are not zero is as good as random: no branch may depend on it.
            let mut found = 0;
            for channel in channels.clone() {
                self.found[found] = channel as u32;
                found += usize::from(factors[channel] != 0.0);
            }
            let rows = gradients[count * outputs..].chunks_exact_mut(outputs);
            let entries = places[count..].iter_mut().zip(&mut self.channels[count..]).zip(rows);
            for (&channel, ((place, local), row)) in self.found[..found].iter().zip(entries) {
                *place = channel.wrapping_sub(column).wrapping_mul(inputs as u32);
                *local = channel - channels.start as u32;
                let factor = factors[channel as usize];
                let values = values[sources[channel as usize] as usize..][..reach].chunks(stride);
                row.iter_mut().zip(values).for_each(|(to, values)| *to = values[0] * factor);
            }
            count += found;
            starts.push(count);
        }
        places.truncate(count);
        self.channels.truncate(count);
    }

    /// Reorders what `pack` left of `channels`, which it was called with or are the first of them, by channel.
    fn group(&mut self, arch: Arch, conv: &Conv, outputs: usize, count: usize) {
        let Entries { gradients, places, starts } = &mut self.by_channel;
        starts.clear();
        starts.resize(count + 1, 0);
        for &channel in self.channels.iter().filter(|&&channel| (channel as usize) < count) {
            starts[channel as usize + 1] += 1;
        }
        for channel in 0..count {
            starts[channel + 1] += starts[channel];
        }
        let total = starts[count];
        places.resize(total, 0);
        self.picks.resize(total, 0);
        let mut next = starts.clone();
        for position in 0..conv.positions() {
            let [down, right] = [position / conv.output[2], position % conv.output[2]];
            let place = (down * self.image.step[0] + right * self.image.step[1]) as u32;
            for entry in self.by_position.starts[position]..self.by_position.starts[position + 1] {
                let channel = self.channels[entry] as usize;
                if channel < count {
                    places[next[channel]] = place;
                    self.picks[next[channel]] = entry as u32;
                    next[channel] += 1;
                }
            }
        }
        gradients.resize(total * outputs + SLACK, 0.0);
        pick_rows(arch, &self.by_position.gradients, outputs, &self.picks, gradients);
    }

    /// Lays out an input `[h, w, in]` for [`Self::weight_gradient`]: padded, or window by window where the channels are so few
    /// that one row of a window leaves most of a vector empty.
    fn set_image(&mut self, conv: &Conv, input: &[f32], lanes: usize) {
        let [channels, height, width] = conv.input;
        let (k, padding) = (conv.kernel, conv.padding);
        let image = &mut self.image;
        image.width = k * channels;
        if conv.window().div_ceil(lanes) < k * image.width.div_ceil(lanes) {
            image.width = conv.window();
            (image.runs, image.pitch) = (1, 0);
            let row = image.width.next_multiple_of(lanes);
            image.step = [row * conv.output[2], row];
            image.values.resize(conv.positions() * row + SLACK, 0.0);
            windows(conv, input, &mut image.values, row);
            return;
        }
        let line = (width + 2 * padding) * channels;
        (image.runs, image.pitch) = (k, line);
        image.step = [conv.stride * line, conv.stride * channels];
        image.values.clear();
        image.values.resize((height + 2 * padding) * line + SLACK, 0.0);
        let lines = image.values.chunks_exact_mut(line).skip(padding);
        for (to, from) in lines.zip(input.chunks_exact(width * channels)) {
            to[padding * channels..][..width * channels].copy_from_slice(from);
        }
    }

    /// Gradients of the parameters of `channels` for one example with this input, after `pack` of these channels or of more with
    /// the same first: for each output, `stride` apart, and each channel the window, then bias, then the batch norm's scale and shift.
    #[expect(clippy::too_many_arguments, reason = "one call site; each is a different thing")]
    pub fn weight_gradient(
        &mut self,
        arch: Arch,
        lanes: usize,
        conv: &Conv,
        input: &[f32],
        channels: &Range<usize>,
        outputs: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        self.set_image(conv, input, lanes);
        self.group(arch, conv, outputs, channels.len());
        let per_channel = conv.per_channel();
        let (runs, jobs) = (&mut self.runs, &mut self.jobs);
        runs.clear();
        jobs.clear();
        for (local, ends) in self.by_channel.starts.windows(2).enumerate() {
            for run in 0..self.image.runs {
                let out = local * per_channel + run * self.image.width;
                jobs.push(Job { first: runs.len(), last: runs.len() + 1, out });
                runs.push(Run { start: ends[0], end: ends[1], base: (run * self.image.pitch) as u32 });
            }
        }
        let updates = Updates {
            coefficients: &self.by_channel.gradients,
            outputs,
            places: &self.by_channel.places,
            values: &self.image.values,
            runs,
            jobs,
            width: self.image.width,
        };
        updates.sum(arch, out, stride, Store::Replace);
        if per_channel == conv.window() {
            return;
        }
        for (local, channel) in channels.clone().enumerate() {
            let (start, end) = (self.by_channel.starts[local], self.by_channel.starts[local + 1]);
            sum_rows(arch, &self.by_channel.gradients[start * outputs..], end - start, outputs, &mut self.sums);
            other_gradients(conv, channel, &self.sums, &mut out[local * per_channel..], stride);
        }
    }

    /// Gradients `[h · w, outputs, in]` of an example's input (after `pack` of all channels), written or added.
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
            jobs.push(Job { first, last: runs.len(), out: position * outputs * inputs });
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
            others[0] = sum * conv.norm.as_ref().map_or(1.0, |norm| norm.factor(channel));
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
