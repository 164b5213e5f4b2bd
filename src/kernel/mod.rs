//! The empirical NTK and what is read off it.

pub mod alignment;
mod backward;
#[cfg(test)]
mod brute;
mod budget;
pub mod elsewhere;
mod flow;
mod forward;
mod host;
pub mod matrix;
mod packed;
pub mod projection;
mod snapshot;
pub mod spectrum;
pub mod study;
pub mod surrogate;
mod target;
#[cfg(test)]
mod tests;
mod tile;
mod trunk;

pub use host::HostNetwork;
pub use snapshot::{Approximation, DEFAULT_BUDGET, Snapshot, approximate, full, projected, snapshot};
