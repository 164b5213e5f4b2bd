//! The kernels behind [`crate::ops`], over plain slices.

pub mod conv;
pub mod norm;
mod parallel;
mod planes;
pub mod pool;
mod product;
#[cfg(test)]
pub mod reference;
pub mod simd;
mod sum;
#[cfg(test)]
mod tests;
