//! Both gradients of a convolution from a gradient of its output that is made image by image and never reaches the memory.

use super::buffers;
use super::conv::Conv2d;
use super::parallel::{each, with_scratch};
use super::passes::{InputGradientPass, WeightGradientPass};

/// The gradients of a convolution; one that was not asked for is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvGradients {
    pub input: Vec<f32>,
    pub weight: Vec<f32>,
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
        let to_weight = input.map(|input| (WeightGradientPass::new(*self), input));
        let to_input = weight.map(|weight| InputGradientPass::new(*self, weight));
        let mut sums = to_weight.as_ref().map_or(Vec::new(), |(pass, _)| pass.sums(batch));
        let mut input_grad = buffers::take(if to_input.is_some() { batch * self.input_len() } else { 0 });
        let mut pieces = pieces(&mut sums, &mut input_grad, batch, self.input_len());
        each(&mut pieces, 1, |chunk, pieces| {
            with_scratch(self.output_len(), |output_grad| {
                for piece in pieces {
                    let mut input_grads = piece.input_grad.chunks_exact_mut(self.input_len());
                    for n in WeightGradientPass::images_of(chunk, 0..batch) {
                        gradient(n, output_grad);
                        if let Some((pass, input)) = &to_weight {
                            pass.image(&input[n * self.input_len()..][..self.input_len()], output_grad, piece.sums);
                        }
                        if let (Some(pass), Some(out)) = (&to_input, input_grads.next()) {
                            pass.image(output_grad, out);
                        }
                    }
                }
            });
        });
        let mut weight_grad = Vec::new();
        if let Some((pass, _)) = &to_weight {
            weight_grad.resize(self.channels_out * self.channels_in * self.taps(), 0.0);
            pass.join(&sums, &mut weight_grad);
        }
        ConvGradients { input: input_grad, weight: weight_grad }
    }
}

/// What one task of the backward pass writes to.
struct Piece<'a> {
    sums: &'a mut [f32],
    input_grad: &'a mut [f32],
}

/// Cuts sums and input gradient by the chunks of a batch; either may be empty.
fn pieces<'a>(
    mut sums: &'a mut [f32],
    mut input_grad: &'a mut [f32],
    batch: usize,
    input_len: usize,
) -> Vec<Piece<'a>> {
    let chunks = WeightGradientPass::chunks(batch);
    let sums_len = sums.len() / chunks.max(1);
    (0..chunks)
        .map(|chunk| {
            let images = WeightGradientPass::images_of(chunk, 0..batch).count();
            let (piece, rest) = std::mem::take(&mut sums).split_at_mut(sums_len);
            sums = rest;
            let input_len = if input_grad.is_empty() { 0 } else { images * input_len };
            let (input_piece, rest) = std::mem::take(&mut input_grad).split_at_mut(input_len);
            input_grad = rest;
            Piece { sums: piece, input_grad: input_piece }
        })
        .collect()
}
