//! The empirical NTK and what is read off it.
//!
//! [`Jacobians`] is a trained network of which kernels are taken: it chooses among three routes (`host`, `leaves`, `examples`: each says
//! when it wins and what it costs), which all do what `route` asks and put their products into a `target`. `alignment`, `spectrum`
//! and `surrogate` read the kernels; `external` brings networks that were trained with another program.

pub mod alignment;
#[cfg(test)]
mod brute;
mod examples;
pub mod external;
mod gram;
mod host;
mod jacobians;
mod kind;
#[cfg(test)]
mod layer_tests;
mod leaves;
pub mod matrix;
pub mod projection;
mod route;
pub mod spectrum;
pub mod study;
pub mod surrogate;
mod target;
#[cfg(test)]
mod tests;

pub use jacobians::{Computed, DEFAULT_BUDGET, Jacobians, Route};
pub use kind::{Draw, Kind};
