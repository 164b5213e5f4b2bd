//! `harness` measures how reproducible a training procedure is: it trains many runs of one experiment, records what each
//! decides and how it generalises, and says which runs are atypical and how much of the variability is real.

pub mod analysis;
pub mod arrays;
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod kernel;
pub mod model;
pub mod ops;
pub mod random;
pub mod record;
pub mod report;
pub mod stats;
pub mod sweep;
pub mod train;
