//! The gradients of one example at one convolution's output, packed for the two inner loops: what is zero is left out.

use super::flow::{Flow, Route};
use super::forward::windows;
use super::host::Conv;
use super::tile::{Run, SLACK, Store, Updates};

/// Working space of one thread, kept from example to example.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub route: Route,
    by_position: Entries,
    by_channel: Entries,
    image: Image,
}

/// Gradients that are not zero, in groups (positions, or channels).
#[derive(Debug, Default)]
struct Entries {
    /// `[entries, outputs]`
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
    /// Distance between windows side by side, and below each other.
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
    /// Packs the gradients of one example, for `outputs` outputs, by position: what [`Self::input_gradient`] reads. The batch
    /// norm's factor is not yet in them.
    pub fn pack_positions(&mut self, conv: &Conv, flow: &Flow, example: usize, outputs: usize) {
        self.route.compose(flow, example);
        let values = flow.example(example);
        let channels = conv.output[0];
        let (width, inputs) = (conv.output[2], conv.input[0]);
        let Entries { gradients, places, starts } = &mut self.by_position;
        gradients.clear();
        places.clear();
        starts.clear();
        starts.push(0);
        let positions = self.route.sources.chunks_exact(channels).zip(self.route.factors.chunks_exact(channels));
        for (position, (sources, factors)) in positions.enumerate() {
            // The filter row of an entry depends on how far its column is from the column it sends to: see `input_gradient`.
            let column = ((position % width) * conv.stride * channels) as u32;
            for (channel, (&source, &factor)) in sources.iter().zip(factors).enumerate() {
                if factor != 0.0 {
                    places.push((channel as u32).wrapping_sub(column).wrapping_mul(inputs as u32));
                    let gradient = values[source as usize..].iter().step_by(flow.layout.output);
                    gradients.extend(gradient.take(outputs).map(|v| v * factor));
                }
            }
            starts.push(places.len());
        }
    }

    /// Packs by channel, those of `channels` only: what [`Self::weight_gradient`] reads.
    pub fn pack_channels(&mut self, conv: &Conv, flow: &Flow, example: usize, outputs: usize, channels: &[usize; 2]) {
        self.route.compose(flow, example);
        let values = flow.example(example);
        let [first, last] = *channels;
        let positions = self.route.factors.chunks_exact(conv.output[0]);
        let Entries { gradients, places, starts } = &mut self.by_channel;
        starts.clear();
        starts.resize(last - first + 1, 0);
        for factors in positions {
            for (count, factor) in starts[1..].iter_mut().zip(&factors[first..last]) {
                *count += usize::from(*factor != 0.0);
            }
        }
        for channel in 1..starts.len() {
            starts[channel] += starts[channel - 1];
        }
        let total = starts[last - first];
        gradients.resize(total * outputs, 0.0);
        places.resize(total, 0);
        let mut next = starts.clone();
        let positions =
            self.route.sources.chunks_exact(conv.output[0]).zip(self.route.factors.chunks_exact(conv.output[0]));
        for (position, (sources, factors)) in positions.enumerate() {
            let [down, right] = [position / conv.output[2], position % conv.output[2]];
            let place = (down * self.image.step[0] + right * self.image.step[1]) as u32;
            for ((next, &source), &factor) in next.iter_mut().zip(&sources[first..last]).zip(&factors[first..last]) {
                if factor != 0.0 {
                    places[*next] = place;
                    let gradient = values[source as usize..].iter().step_by(flow.layout.output);
                    let row = &mut gradients[*next * outputs..][..outputs];
                    row.iter_mut().zip(gradient).for_each(|(to, v)| *to = v * factor);
                    *next += 1;
                }
            }
        }
    }

    /// Lays out an input `[h, w, in]` for [`Self::weight_gradient`]: padded, or window by window where the channels are so few
    /// that one row of a window leaves most of a vector empty.
    pub fn set_image(&mut self, conv: &Conv, input: &[f32], lanes: usize) {
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
        let lines = image.values.chunks_exact_mut(line.max(1)).skip(padding);
        for (to, from) in lines.zip(input.chunks_exact(width * channels)) {
            to[padding * channels..][..width * channels].copy_from_slice(from);
        }
    }

    /// Gradients of the parameters of the packed channel number `channel` (after `set_image` and `pack_channels`): for each output,
    /// `stride` apart, the window, then bias, then the batch norm's scale and shift.
    pub fn weight_gradient(
        &self,
        arch: pulp::Arch,
        conv: &Conv,
        channels: &[usize; 2],
        outputs: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let per_channel = conv.per_channel();
        let entries = &self.by_channel;
        let window = conv.window();
        for channel in channels[0]..channels[1] {
            let local = channel - channels[0];
            let out = &mut out[local * per_channel..];
            let (start, end) = (entries.starts[local], entries.starts[local + 1]);
            for run in 0..self.image.runs {
                let updates = Updates {
                    coefficients: &entries.gradients,
                    outputs,
                    places: &entries.places,
                    runs: &[Run { start, end, base: (run * self.image.pitch) as u32 }],
                    values: &self.image.values,
                };
                let out = &mut out[run * self.image.width..];
                updates.sum(arch, out, stride, self.image.width, Store::Replace);
            }
            if per_channel > window {
                let gradients = &entries.gradients[start * outputs..end * outputs];
                self.other_gradients(conv, channel, gradients, outputs, out, stride);
            }
        }
    }

    /// Bias, scale and shift of one channel, from the sums of its gradients and the finished gradients of its window.
    fn other_gradients(
        &self,
        conv: &Conv,
        channel: usize,
        gradients: &[f32],
        outputs: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let window = conv.window();
        let filter = &conv.weight[channel * window..][..window];
        for (s, row) in out.chunks_mut(stride).take(outputs).enumerate() {
            let sum: f32 = gradients.iter().skip(s).step_by(outputs).sum();
            let (weights, mut others) = row[..conv.per_channel()].split_at_mut(window);
            let bias = conv.bias.as_ref().map(|bias| bias[channel]);
            if bias.is_some() {
                others[0] = sum * conv.norm.as_ref().map_or(1.0, |norm| norm.factor(channel));
                others = &mut others[1..];
            }
            if let (Some(norm), [scale, shift]) = (&conv.norm, others) {
                // The sum over positions of gradient times convolution is the product of filter and filter gradient.
                let product: f32 = weights.iter().zip(filter).map(|(g, w)| g * w).sum();
                *scale = (product + (bias.unwrap_or(0.0) - norm.mean[channel]) * sum) * norm.inverse[channel];
                *shift = sum;
                let factor = norm.factor(channel);
                weights.iter_mut().for_each(|g| *g *= factor);
            }
        }
    }

    /// Gradients `[h · w, outputs, in]` of an example's input (after `pack_positions`), written or added.
    pub fn input_gradient(
        &self,
        arch: pulp::Arch,
        conv: &Conv,
        taps: &Taps,
        outputs: usize,
        out: &mut [f32],
        add: bool,
    ) {
        let ([inputs, _, width], [channels, out_height, out_width]) = (conv.input, conv.output);
        let (k, stride) = (conv.kernel, conv.stride);
        let mut runs = Vec::with_capacity(k);
        for (position, out) in out.chunks_exact_mut(outputs * inputs).enumerate() {
            // Output (y, x) reads input (y', x') at tap (y' + padding − stride · y, x' + padding − stride · x), if that is in the window.
            let (down, right) = (position / width + conv.padding, position % width + conv.padding);
            let reach =
                |at: usize, end: usize| ((at + 1).saturating_sub(k).div_ceil(stride), (at / stride + 1).min(end));
            let ((top, bottom), (left, end)) = (reach(down, out_height), reach(right, out_width));
            runs.clear();
            if left < end {
                runs.extend((top..bottom).map(|y| Run {
                    start: self.by_position.starts[y * out_width + left],
                    end: self.by_position.starts[y * out_width + end],
                    base: (((down - y * stride) * k + right) * channels * inputs) as u32,
                }));
            }
            let updates = Updates {
                coefficients: &self.by_position.gradients,
                outputs,
                places: &self.by_position.places,
                runs: &runs,
                values: &taps.0,
            };
            updates.sum(arch, out, inputs, inputs, if add { Store::Add } else { Store::Replace });
        }
    }
}
