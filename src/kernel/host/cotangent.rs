//! Gradients on their way back through one example: what is known of them at one place of the network, and the layers
//! without parameters that they still have to pass.
//!
//! Activations, pooling and flattening send each gradient to at most one place and multiply it by a factor that is the same
//! for all outputs. So they are not applied one by one to C gradients; they are composed into a route, which says for each
//! element at the far end where its gradient is found and what to multiply it by.

use std::borrow::Cow;

use super::forward::{Slopes, Step};
use super::network::Shape;

/// Gradients of S outputs with respect to a layer's output for one example, before `pending` layers are passed.
#[derive(Debug, Clone)]
pub(super) struct Cotangent<'v, 'r> {
    pub values: Cow<'v, [f32]>,
    pub layout: Layout,
    /// The nearest first.
    pub pending: Vec<&'r Step<'r>>,
}

/// Where the gradient of an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub shape: Shape,
    /// Distance between neighbouring positions, channels and outputs.
    pub position: usize,
    pub channel: usize,
    pub output: usize,
}

impl Layout {
    /// `[height · width, outputs, channels]`
    pub fn contiguous(shape: Shape, outputs: usize) -> Self {
        Self { shape, position: outputs * shape[0], channel: 1, output: shape[0] }
    }

    /// The same gradients seen before flattening, from `shape`.
    pub fn unflattened(self, shape: Shape) -> Self {
        let positions = shape[1] * shape[2];
        Self { shape, position: self.channel, channel: self.channel * positions, output: self.output }
    }
}

/// For each element `[positions, channels]` at the end of the pending layers: where its gradient for the first output is
/// among the values, and its factor; nothing arrives where the factor is 0.
#[derive(Debug, Default)]
pub(super) struct Route {
    pub sources: Vec<u32>,
    pub factors: Vec<f32>,
    spare: (Vec<u32>, Vec<f32>),
}

impl<'r> Cotangent<'_, 'r> {
    /// The same gradients, to be followed along another way.
    pub fn again(&self) -> Cotangent<'_, 'r> {
        Cotangent { values: Cow::Borrowed(&self.values), layout: self.layout, pending: self.pending.clone() }
    }

    /// The same cotangent with values of its own.
    pub fn into_owned(self) -> Cotangent<'static, 'r> {
        Cotangent { values: Cow::Owned(self.values.into_owned()), layout: self.layout, pending: self.pending }
    }

    /// Whether nothing is pending and the values are `[height · width, outputs, channels]`.
    pub fn has_arrived(&self, outputs: usize) -> bool {
        self.pending.is_empty() && self.layout == Layout::contiguous(self.layout.shape, outputs)
    }

    /// The shape at the end of the pending layers.
    pub fn shape(&self) -> Shape {
        match self.pending.last() {
            Some(Step::Slope { shape, .. }) => *shape,
            Some(Step::MaxPool { from, .. } | Step::GlobalMeanPool { from } | Step::Flatten { from }) => *from,
            None | Some(Step::Conv(_) | Step::Dense { .. } | Step::Residual { .. }) => self.layout.shape,
        }
    }

    /// Writes or adds the gradients `[height · width, outputs, channels]` at the end of the pending layers.
    pub fn arrive(&self, example: usize, outputs: usize, route: &mut Route, out: &mut [f32], add: bool) {
        route.compose(self, example);
        let channels = self.shape()[0];
        let moved = self.pending.iter().any(|step| matches!(step, Step::MaxPool { .. } | Step::GlobalMeanPool { .. }));
        let direct = self.layout.channel == 1 && !moved;
        let positions = route.sources.chunks_exact(channels).zip(route.factors.chunks_exact(channels));
        for (out, (sources, factors)) in out.chunks_exact_mut(outputs * channels).zip(positions) {
            for (s, out) in out.chunks_exact_mut(channels).enumerate() {
                let offset = s * self.layout.output;
                if !add {
                    out.fill(0.0);
                }
                if direct {
                    let values = &self.values[sources[0] as usize + offset..][..channels];
                    for ((out, factor), value) in out.iter_mut().zip(factors).zip(values) {
                        *out += factor * value;
                    }
                } else {
                    for ((out, factor), source) in out.iter_mut().zip(factors).zip(sources) {
                        *out += factor * self.values[*source as usize + offset];
                    }
                }
            }
        }
    }
}

impl Route {
    /// Follows the pending layers of `cotangent`, which belongs to `example`.
    pub fn compose(&mut self, cotangent: &Cotangent, example: usize) {
        let layout = cotangent.layout;
        let [channels, height, width] = layout.shape;
        self.sources.clear();
        for position in 0..height * width {
            let start = position * layout.position;
            self.sources.extend((0..channels).map(|channel| (start + channel * layout.channel) as u32));
        }
        self.factors.clear();
        self.factors.resize(self.sources.len(), 1.0);
        for step in &cotangent.pending {
            self.pass(step, example);
        }
    }

    fn pass(&mut self, step: &Step, example: usize) {
        let count = self.factors.len();
        match step {
            Step::Slope { slopes: Slopes::Mask(mask), .. } => {
                let mask = &mask[example * count..][..count];
                self.factors.iter_mut().zip(mask).for_each(|(f, &m)| *f = if m { *f } else { 0.0 });
            }
            Step::Slope { slopes: Slopes::Factors(slopes), .. } => {
                let slopes = &slopes[example * count..][..count];
                self.factors.iter_mut().zip(slopes).for_each(|(f, s)| *f *= s);
            }
            Step::MaxPool { from, winners } => {
                let winners = &winners[example * count..][..count];
                self.spread(from, |i, channels| std::iter::once(winners[i] as usize * channels + i % channels), 1.0);
            }
            Step::GlobalMeanPool { from } => {
                let positions = from[1] * from[2];
                let share = (positions as f32).recip();
                self.spread(from, |i, channels| (0..positions).map(move |p| p * channels + i), share);
            }
            // Flattening is a matter of layout; layers with parameters are never pending.
            Step::Flatten { .. } | Step::Conv(_) | Step::Dense { .. } | Step::Residual { .. } => {}
        }
    }

    /// Sends element i to each of `targets(i, channels)` of the shape `from`, times `share`.
    fn spread<I: Iterator<Item = usize>>(&mut self, from: &Shape, targets: impl Fn(usize, usize) -> I, share: f32) {
        let (sources, factors) = &mut self.spare;
        let count = from.iter().product();
        sources.clear();
        sources.resize(count, 0);
        factors.clear();
        factors.resize(count, 0.0);
        for (i, (source, factor)) in self.sources.iter().zip(&self.factors).enumerate() {
            for target in targets(i, from[0]) {
                sources[target] = *source;
                factors[target] = factor * share;
            }
        }
        std::mem::swap(&mut self.sources, sources);
        std::mem::swap(&mut self.factors, factors);
    }
}
