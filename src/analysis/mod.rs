//! From soft decisions and kernels of many runs to verdicts: which runs are atypical and why, how much of the spread
//! between runs is real. [`Input`] and [`Evidence`] are what comes in, [`Analysis`] is what comes out and what `report`
//! draws; [`analyze`] is the way between.

mod alone;
pub mod attribution;
pub mod certificate;
pub mod checkpoints;
pub mod comparison;
mod curves;
pub mod ensembles;
mod evidence;
pub mod files;
pub mod flags;
pub mod images;
mod independence;
mod input;
mod judge;
pub mod kernels;
pub mod last;
mod measured;
pub mod metrics;
pub mod nights;
pub mod numbers;
pub mod power;
mod reliability;
pub mod representations;
mod runs_table;
mod schema;
mod summary;
pub mod sweep;
pub mod tables;
#[cfg(test)]
mod tests;
pub mod tuning;
mod weights;

pub use ensembles::{EnsembleSize, Ensembles, Strategy, StrategyKind};
pub use evidence::{Evidence, KernelPair, RawSeries, RawSpectra, Related};
pub use images::Images;
pub use input::{Input, RunLogits};
pub use judge::analyze;
pub use schema::*;
