//! The kernels behind [`crate::ops`], over plain slices.

pub mod conv;
pub mod conv_norm;
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
