//! The empirical NTK and what is read off it.

pub mod alignment;
mod backward;
#[cfg(test)]
mod brute;
mod budget;
mod flow;
mod forward;
mod host;
pub mod kendall;
pub mod matrix;
mod packed;
pub mod projection;
mod snapshot;
pub mod spectrum;
pub mod surrogate;
mod target;
mod tile;
mod trunk;

pub use host::HostNetwork;
pub use snapshot::{Approximation, DEFAULT_BUDGET, Snapshot, approximate, full, projected, snapshot};
