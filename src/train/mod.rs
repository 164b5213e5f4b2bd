//! One run, start to end: its random streams, batches, optimiser and schedule, the loop, and what is recorded when.

pub mod batches;
pub mod device;
pub mod initial;
pub mod loss;
pub mod optimizer;
pub mod run;
pub mod schedule;
pub mod streams;
pub mod trainer;

#[cfg(test)]
mod fixtures;

pub use batches::load;
pub use trainer::{EpochMetrics, State, Trainer};
