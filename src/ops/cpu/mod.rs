//! The kernels behind [`crate::ops`], over plain slices.
//!
//! A convolution works image by image. The image is copied once, padded (`planes`), so that every tap of a register of
//! positions is one read; the product (`product`) then keeps a tile of the result in registers over the whole sum. What
//! stays in the cache decides the rest: batch norm, rectifier and pooling take the output of an image while it is there
//! ([`conv_norm`], [`conv_pool`]), and the gradient of that output is made image by image where both gradients of the
//! convolution use it (`backward`). Buffers go from one step to the next ([`buffers`]), optimisers work in place ([`descent`]).
//!
//! What that is worth, on one core of a Xeon with AVX-512 on which `gemm` multiplies 512-cubes at 192 GFLOP/s and a copy
//! moves 30 GB/s (read and written), for one step at batch 128 of 3x32x32, ten classes, SGD with momentum:
//!
//! | network | operations | at that peak | bytes | at that bandwidth | step | share of the sum of both |
//! |---|---|---|---|---|---|---|
//! | mlp (512, 512) | 1.0 GFLOP | 5.3 ms | 0.06 GB | 2 ms | 9 ms | 81 % |
//! | cnn (32, 64) | 4.1 GFLOP | 21 ms | 0.03 GB | 1 ms | 36 ms | 61 % |
//! | ResNet-20 | 31 GFLOP | 163 ms | 1.2 GB | 40 ms | 352 ms | 58 % |
//!
//! Operations are those of the definitions (multiply and add count two; no input gradient for the first layer), bytes those of
//! tensors that do not fit the second-level cache, each time that one is read or written, estimated; steps are the fastest seen
//! (`benches/train.rs`). The convolutions alone run at 100 to 160 GFLOP/s from 16 channels on (3x3, stride 1), at 50 to 130 from
//! three channels.
//!
//! Two places are `unsafe`, each with its reason: reads of registers whose bounds are checked once (`product`), and the call of
//! `gemm` ([`dense`]). The tests pass under AddressSanitizer
//! (`RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target x86_64-unknown-linux-gnu --lib ops::cpu`).

mod backward;
pub mod buffers;
pub mod conv;
pub mod conv_norm;
pub mod conv_pool;
pub mod dense;
pub mod descent;
mod geometry;
mod layout;
mod multiply;
pub mod norm;
mod parallel;
mod passes;
mod planes;
pub mod pointwise;
pub mod pool;
mod product;
#[cfg(test)]
pub mod reference;
pub mod simd;
mod sum;
#[cfg(test)]
mod tests;
mod winograd;
