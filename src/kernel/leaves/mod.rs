//! Route 2: any network, on whatever device it trains on. A zero is added to the output of every operation with parameters; its
//! gradient is the gradient there, and one reverse pass gives it for all examples at once (they do not meet in evaluation mode).
//! What the layer was given and that gradient make up the gradients of the layer's parameters, by a rule that the layer's file
//! names (see [`crate::model::tap`]). Gradients of weights, summed over examples, are never formed.
//!
//! Wins wherever route 1 does not apply, and on GPUs, which would else wait for the host. Costs for S outputs S forward passes, S reverse
//! passes and S times the operations of one more forward pass for the gradients of each example (Jacobian contraction), and
//! P² S / 2 multiply-adds per parameter for their products; or, where a dense layer or a convolution without groups has T
//! positions and it is cheaper, P² T² / 2 for each of its inputs and outputs (structured derivatives, Novak 2022). A
//! weight that is used twice sums its gradients before they are multiplied.
//!
//! `rules` has the gradients, `pass` runs the network, `sums` puts the products together, `size` counts what it all takes.

mod pass;
mod rules;
mod size;
mod sums;
#[cfg(test)]
mod tests;

pub(super) use pass::LeafPasses;
pub(super) use sums::on_host;
