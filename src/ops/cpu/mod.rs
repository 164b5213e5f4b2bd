//! The kernels behind [`crate::ops`], over plain slices.

mod backward;
pub mod buffers;
pub mod conv;
pub mod conv_norm;
pub mod conv_pool;
pub mod dense;
pub mod descent;
mod geometry;
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
