//! The empirical NTK and what is read off it.

pub mod alignment;
pub mod kendall;
pub mod matrix;
pub mod spectrum;
pub mod surrogate;
