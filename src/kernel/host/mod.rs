//! Route 1 (Novak 2022: structured derivatives and Jacobian contraction, per layer the cheaper): networks of square convolutions, each
//! with its batch norm, and dense layers at the end, followed back on the host with kernels of our own that leave out what is zero.
//!
//! Wins for convolutional networks with ReLU on a CPU: half of the gradients behind a ReLU and three quarters behind max pooling are
//! zero, the same ones for all outputs. Costs C times the multiply-adds of a forward pass for the gradients that flow back, as many
//! for those of the weights, and P² C / 2 multiply-adds per parameter for their products; where a layer has few positions T,
//! P² T² / 2 for each of its inputs and outputs instead.
//!
//! `network` holds the layers with their weights, `forward` records a pass, `backward` goes back through dense layers,
//! `example_backward` through convolutions, `cotangent` and `packed` are gradients on their way, `micro_kernel` the inner loops,
//! `budget` the memory that a pass takes.

mod backward;
mod budget;
mod cotangent;
mod example_backward;
mod forward;
mod micro_kernel;
mod network;
mod packed;
mod passes;

pub(super) use network::HostNetwork;
pub(super) use passes::HostPasses;
