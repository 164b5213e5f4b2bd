//! The kernels behind [`crate::ops`], over plain slices.
//!
//! A convolution with 3x3 kernels at a stride of 1, which is most of what networks do, runs at the points of Winograd's tiles, with a
//! quarter of the multiplications ([`winograd`]); its matrix products ([`multiply`]) read their factors where they lie.
//! Any other works image by image: the image is copied once, padded (`planes`), so that every tap of a register of positions is
//! one read, and the product (`product`) keeps a tile of the result in registers over the whole sum. What stays in the
//! cache decides the rest: batch norm, rectifier and pooling take the output of an image while it is there ([`conv_norm`],
//! [`conv_pool`]), and the gradient of that output is made image by image where both gradients of the convolution use it
//! (`backward`). Where every channel has a kernel of its own there is no product ([`depthwise`]). Buffers go from one step to the next ([`buffers`]), optimisers work in place ([`descent`]).
//!
//! Where a step of ResNet-20 at batch 128 goes on one core (AVX-512, EPYC of the Zen 5 family), by samples of `perf`: 19 % products at
//! the tiles' points, 8 % their transforms, 21 % copies to channels last and back (bound by reading activations that no cache
//! holds), 20 % passes of norms, residuals and rectifiers over such activations, 11 % the five convolutions that are not 3x3 with a
//! stride of 1 or have three channels, 13 % page faults and clearing (the start of the process included). What would make it
//! faster is fewer passes over the activations, not fewer operations.
//!
//! `unsafe` are, each with its reason: reads and writes of registers whose bounds are checked once (`product`, `multiply`, `layout`,
//! the transforms of `winograd`), a prefetch, and the call of `gemm` ([`dense`]). To run the tests under AddressSanitizer:
//! `RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target x86_64-unknown-linux-gnu --lib ops::cpu`.

mod backward;
pub mod buffers;
pub mod conv;
pub mod conv_norm;
pub mod conv_pool;
pub mod dense;
pub mod depthwise;
pub mod descent;
mod geometry;
pub mod heap;
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
