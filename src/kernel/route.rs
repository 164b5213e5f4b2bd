//! What every route to a kernel can do: make a recorded pass over some examples, and follow outputs back through it.

use super::target::Target;
use crate::error::{Error, Result};

/// A network as a route sees it.
pub(super) trait Passes: Sync {
    /// How many of `wanted` examples fit into memory if at least so many outputs are followed at once.
    ///
    /// # Errors
    /// `Invalid` if two do not, saying what is needed.
    fn examples_at_once(&self, wanted: usize, outputs: usize) -> Result<usize>;

    /// Runs the network on examples `[n, channels · height · width]` in evaluation mode.
    ///
    /// # Errors
    /// `Invalid` if the values are not whole examples or not finite, or the network's outputs are not.
    fn record<'a>(&'a self, pixels: &'a [f32]) -> Result<Box<dyn Recorded + 'a>>;
}

/// A forward pass over n examples.
pub(super) trait Recorded {
    fn examples(&self) -> usize;

    /// How many of `wanted` outputs fit into memory at once.
    fn outputs_at_once(&self, wanted: usize) -> usize;

    /// Follows S linear combinations of the logits, `[S, C]`, back and adds the inner products of their gradients to `target`.
    fn reverse(&self, combinations: &[f32], target: &mut Target);
}

/// The number of examples in `pixels`.
///
/// # Errors
/// `Invalid` if there is none, the values are not whole examples of this shape, or one is not finite.
pub(super) fn check_probes(pixels: &[f32], input: [usize; 3]) -> Result<usize> {
    let length = input.iter().product();
    if pixels.is_empty() || length == 0 || !pixels.len().is_multiple_of(length) {
        return Err(Error::Invalid(format!(
            "{} values are not examples of shape {input:?}, which is what the network takes",
            pixels.len()
        )));
    }
    match pixels.iter().position(|v| !v.is_finite()) {
        None => Ok(pixels.len() / length),
        Some(at) => {
            Err(Error::Invalid(format!("example {} of the probes holds the value {}", at / length, pixels[at])))
        }
    }
}

/// Refuses logits `[n, C]` that are not finite.
pub(super) fn check_logits(logits: &[f32], classes: usize) -> Result<()> {
    match logits.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::Invalid(format!(
            "the network gives {} for example {}: it has diverged, or its inputs are not finite",
            logits[at],
            at / classes
        ))),
    }
}

/// How many of `wanted` examples fit, if `bytes` says what so many take; the message names what two need.
///
/// # Errors
/// `Invalid` if two do not fit.
pub(super) fn most_examples(wanted: usize, budget: usize, bytes: impl Fn(usize) -> usize) -> Result<usize> {
    if bytes(wanted) <= budget {
        return Ok(wanted);
    }
    let most = (2..wanted).rev().find(|&examples| bytes(examples) <= budget);
    most.ok_or_else(|| {
        Error::Invalid(format!(
            "a memory budget of {} MiB is too small for the kernel of this network, which needs at least {} MiB",
            budget >> 20,
            (bytes(wanted.min(2)) >> 20) + 1
        ))
    })
}

/// How many of `wanted` outputs fit, in passes of about equal size.
pub(super) fn most_outputs(wanted: usize, budget: usize, bytes: impl Fn(usize) -> usize) -> usize {
    let most = (1..=wanted).rev().find(|&outputs| bytes(outputs) <= budget).unwrap_or(1);
    wanted.div_ceil(wanted.div_ceil(most))
}
