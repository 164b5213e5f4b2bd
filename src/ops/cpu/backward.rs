//! Both gradients of a convolution from a gradient of its output that is made image by image and never reaches the memory.

use pulp::Arch;

use super::buffers;
use super::conv::Conv2d;
use super::layout::{FromLast, Last};
use super::parallel::{each, with_scratch};
use super::passes::{InputGradientPass, WeightGradientPass};
use super::winograd::{self, Winograd};

/// Images whose weight gradient is summed by one task: a fixed split, so that the order of the sum never depends on the threads.
const IMAGES_PER_SUM: usize = 8;

/// The gradients of a convolution; one that was not asked for is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvGradients {
    pub input: Vec<f32>,
    pub weight: Vec<f32>,
}

/// From input images and the gradients of their outputs to the gradients that were asked for.
enum Pass {
    Winograd(winograd::Backward),
    Direct(Option<WeightGradientPass>, Option<InputGradientPass>),
}

impl Pass {
    /// Images that are taken at once.
    fn group(&self) -> usize {
        match self {
            Self::Winograd(pass) => pass.group().min(IMAGES_PER_SUM),
            Self::Direct(..) => 1,
        }
    }
}

impl Conv2d {
    /// The gradients with respect to weights (where `input` is given) and input (where `weight` is given) of a batch;
    /// `gradient` writes that with respect to the output of an image, by its number.
    pub fn backward(
        &self,
        input: Option<&[f32]>,
        weight: Option<&[f32]>,
        batch: usize,
        gradient: impl Fn(usize, &mut [f32]) + Sync,
    ) -> ConvGradients {
        let pass = match Winograd::new(*self) {
            Some(winograd) => Pass::Winograd(winograd::Backward::new(winograd, input.is_some(), weight)),
            None => Pass::Direct(
                input.map(|_| WeightGradientPass::new(*self)),
                weight.map(|weight| InputGradientPass::new(*self, weight)),
            ),
        };
        let (group, chunks) = (pass.group(), batch.div_ceil(IMAGES_PER_SUM));
        let sums_len = if input.is_some() { self.channels_in * self.taps() * self.sums_width() } else { 0 };
        let mut sums = buffers::take(chunks * sums_len);
        let mut input_grad = buffers::take(if weight.is_some() { batch * self.input_len() } else { 0 });
        let mut pieces = pieces(&mut sums, &mut input_grad, chunks, IMAGES_PER_SUM * self.input_len());
        each(&mut pieces, 1, |chunk, pieces| {
            for piece in pieces {
                let images = chunk * IMAGES_PER_SUM..batch.min((chunk + 1) * IMAGES_PER_SUM);
                self.chunk(&pass, group, images, input.unwrap_or_default(), piece, &gradient);
            }
        });
        let weight_grad = if input.is_some() { self.join(&mut sums, sums_len) } else { Vec::new() };
        buffers::give(sums);
        ConvGradients { input: input_grad, weight: weight_grad }
    }

    /// The gradients of [`Self::forward`], from that of its output.
    pub fn gradients(&self, input: Option<&[f32]>, weight: Option<&[f32]>, grad: &[f32]) -> ConvGradients {
        let len = self.output_len();
        self.backward(input, weight, grad.len() / len, |n, out| out.copy_from_slice(&grad[n * len..][..len]))
    }

    fn chunk(
        &self,
        pass: &Pass,
        group: usize,
        images: std::ops::Range<usize>,
        input: &[f32],
        piece: &mut Piece,
        gradient: &impl Fn(usize, &mut [f32]),
    ) {
        let (len, input_len) = (self.output_len(), self.input_len());
        let first = images.start;
        let mut groups = |work: Work| {
            with_scratch(group * len, |grads| {
                for start in images.clone().step_by(group) {
                    let count = group.min(images.end - start);
                    let grads = &mut grads[..count * len];
                    for (n, grad) in (start..).zip(grads.chunks_exact_mut(len)) {
                        gradient(n, grad);
                    }
                    let place = (start - first) * input_len;
                    let input = input.get(start * input_len..(start + count) * input_len).unwrap_or_default();
                    let input_grad = piece.input_grad.get_mut(place..place + count * input_len).unwrap_or_default();
                    work(start == first, input, grads, input_grad);
                }
            });
        };
        match pass {
            Pass::Winograd(pass) => pass.with_sums(piece.sums, |sums| {
                groups(&mut |first, input, grads, input_grad| pass.images(first, input, grads, sums, input_grad));
            }),
            Pass::Direct(to_weight, to_input) => {
                piece.sums.fill(0.0);
                groups(&mut |_, input, grad, input_grad| {
                    if let Some(pass) = to_weight {
                        pass.image(input, grad, piece.sums);
                    }
                    if let Some(pass) = to_input {
                        pass.image(grad, input_grad);
                    }
                });
            }
        }
    }

    /// Output channels of the sums of a weight gradient, rounded up to whole registers.
    fn sums_width(&self) -> usize {
        self.channels_out.next_multiple_of(self.instructions.lanes())
    }

    /// The gradient of the weights, in their layout, from the sums of all chunks, `[channels_in, taps, sums_width]` each.
    fn join(&self, sums: &mut [f32], len: usize) -> Vec<f32> {
        let (depth, width) = (self.channels_in * self.taps(), self.sums_width());
        let mut out = vec![0.0; self.channels_out * depth];
        let (first, others) = sums.split_at_mut(len.min(sums.len()));
        for other in others.chunks_exact(len) {
            for (sum, &value) in first.iter_mut().zip(other) {
                *sum += value;
            }
        }
        let last = Last { columns: 1, pitch: width, width };
        Arch::new().dispatch(FromLast { from: first, last, planes: &mut out, positions: depth });
        out
    }
}

/// Takes the images of a group (and whether they are the first of their chunk), the gradients of their outputs, and where those of
/// the images go.
type Work<'a> = &'a mut dyn FnMut(bool, &[f32], &[f32], &mut [f32]);

/// What one task of the backward pass writes to.
struct Piece<'a> {
    sums: &'a mut [f32],
    input_grad: &'a mut [f32],
}

/// Cuts sums and input gradient by the chunks of a batch; either may be empty.
fn pieces<'a>(
    mut sums: &'a mut [f32],
    mut input_grad: &'a mut [f32],
    chunks: usize,
    input_len: usize,
) -> Vec<Piece<'a>> {
    let sums_len = sums.len() / chunks.max(1);
    (0..chunks)
        .map(|_| {
            let (piece, rest) = std::mem::take(&mut sums).split_at_mut(sums_len);
            sums = rest;
            let input_len = input_len.min(input_grad.len());
            let (input_piece, rest) = std::mem::take(&mut input_grad).split_at_mut(input_len);
            input_grad = rest;
            Piece { sums: piece, input_grad: input_piece }
        })
        .collect()
}
