//! `harness` measures how reproducible a training procedure is: it trains many runs of one experiment, records what each
//! decides and how it generalises, and says which runs are atypical and how much of the variability is real.
//!
//! The program of the same name is this library with a command line. What its verbs do can be called from [`workflow`]:
//!
//! ```no_run
//! use harness::record::SweepDir;
//! use harness::workflow::analyze::{Changes, of_sweep, write};
//!
//! # fn main() -> Result<(), harness::error::Error> {
//! let root = std::path::Path::new("sweeps/digits");
//! let analysis = of_sweep(root, None, &Changes::default())?;
//! for run in analysis.runs.iter().filter(|run| run.is_flagged()) {
//!     println!("run {} is atypical: {}", run.run, run.flags[0].why);
//! }
//! let written = write(&SweepDir::new(root), &analysis, None)?;
//! println!("{}", written.folder.join("report.html").display());
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms
//!
//! ```text
//! config ─► sweep ─► train (one run) ─► record ─► analysis ─► report
//!             │          │                ▲           ▲
//!           local /    model, data,     kernel      stats (pure maths, no files, no Burn)
//!           Slurm      ops              (eNTK)
//! ```
//!
//! Each room has one job and uses only rooms below it; a test (`tests/map.rs`) holds every `use crate::` against this table,
//! lowest first.
//!
//! | room | its one job | may use |
//! |---|---|---|
//! | [`error`] | the error that reaches a user, and exit codes | – |
//! | [`random`] | named streams of random numbers | – |
//! | `keys` | tables of keys: types, defaults, checks, schema and reference from one description | – |
//! | [`arrays`] | NumPy files that others wrote or will read | – |
//! | [`record`] | what is on disk: layout, manifests, formats, digests, atomic writes | – |
//! | [`stats`] | ECDFs, trimming, churn, calibration, bootstrap, outliers, tests, charts: slices in, plain structs out | – |
//! | `ops` | the operations that models spend their time in, with our own kernels on CPUs | – |
//! | [`data`] | data sets: readers, splits, augmentation, probes | keys, arrays, random |
//! | `model` | layers, architectures, networks, and weights from elsewhere | arrays, keys, ops, random |
//! | [`config`] | the experiment: all its tables of keys, overrides, checks | keys, data, model |
//! | `kernel` | eNTK, its spectrum, alignment, projections, surrogates; external networks | arrays, config, model, ops, random, stats |
//! | `sweep` | many runs: directory, leases, local processes, Slurm, status | config, record |
//! | [`train`] | one run, start to end: streams, optimiser, schedule, loop, checkpoints | config, data, kernel, model, ops, random, record |
//! | [`analysis`] | records to tables to verdicts: runs, pairs, checkpoints, flags, ensembles | arrays, config, kernel, record, stats |
//! | `ensemble` | a chosen ensemble as files, and applying it to new inputs | analysis, arrays, config, data, model, record, stats, train |
//! | [`lineage`] | is this network descended from that one? | stats |
//! | `microscope` | what tells these sets of samples apart? | random, stats |
//! | `report` | Markdown, page and figures from what was found | analysis, config, lineage, microscope, record, stats |
//! | [`workflow`] | what the verbs do, as functions | everything below |
//! | [`cli`] | one file per verb: parse, call, print, exit code | everything below |

#![warn(missing_docs)]

pub mod analysis;
pub mod arrays;
pub mod cli;
pub mod config;
pub mod data;
pub(crate) mod ensemble;
pub mod error;
pub(crate) mod kernel;
pub(crate) mod keys;
pub mod lineage;
pub(crate) mod microscope;
pub(crate) mod model;
pub(crate) mod ops;
pub mod random;
pub mod record;
pub(crate) mod report;
pub mod stats;
pub(crate) mod sweep;
pub mod train;
pub mod workflow;
