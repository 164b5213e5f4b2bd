//! `harness` measures how reproducible a training procedure is: it trains many runs of one experiment, records what each
//! decides and how it generalises, and says which runs are atypical and how much of the variability is real.
//!
//! ```text
//! config ─► sweep ─► train (one run) ─► record ─► analysis ─► report
//!             │          │                ▲           ▲
//!           local /    model, data,     kernel      stats (pure maths, no files, no Burn)
//!           Slurm      random, ops      (eNTK)
//! ```
//!
//! Each room may use those below it in this list, and says in its own first paragraph what lives there and why.

pub mod cli;

pub mod report;

pub mod analysis;

pub mod sweep;

pub mod train;

pub mod kernel;

pub mod record;

pub mod model;

pub mod analysis;
pub mod arrays;
pub mod cli;
pub mod config;
pub mod data;

pub mod arrays;
pub mod config;
pub mod error;
pub mod ops;
pub mod random;
pub mod kernel;
pub mod model;
pub mod ops;
pub mod random;
pub mod record;
pub mod report;
pub mod stats;
