//! `harness` measures how reproducible a training procedure is: it trains many runs of one experiment, records what each
//! decides and how it generalises, and says which runs are atypical and how much of the variability is real.
//!
//! ```text
//! config ─► sweep ─► train (one run) ─► record ─► analysis ─► report
//!             │          │                ▲           ▲
//!           local /    model, data,     kernel      stats (pure maths, no files, no Burn)
//!           Slurm      ops              (eNTK)
//! ```
//!
//! | room | its one job | may use |
//! |---|---|---|
//! | [`cli`] | one file per verb; parse, call, print, exit code | everything |
//! | [`config`] | the experiment: types, defaults, overrides, checks, schema | – |
//! | [`data`] | data sets: readers, splits, augmentation, probes | config, arrays, random |
//! | [`arrays`] | NumPy files that others wrote or will read | – |
//! | [`model`] | the zoo, as plans, initial weights and Burn modules | config, ops, random |
//! | [`ops`] | the operations that models spend their time in, with our own kernels on CPUs | – |
//! | [`train`] | one run, start to end: streams, optimiser, schedule, loop, checkpoints | data, model, record, kernel |
//! | [`kernel`] | eNTK, its spectrum, alignment, projections, surrogates; networks from elsewhere | model, record, stats |
//! | [`record`] | what is on disk: layout, manifests, formats, digests, atomic writes | – |
//! | [`sweep`] | many runs: directory, leases, local processes, Slurm, status | config, record |
//! | [`stats`] | ECDFs, trimming, churn, calibration, bootstrap, outliers, tests, charts: pure maths | – |
//! | [`analysis`] | records to tables to verdicts: runs, pairs, checkpoints, flags, ensembles | record, stats, kernel |
//! | [`ensemble`] | a chosen ensemble as files, and applying it to new inputs | data, model, train, record, analysis |
//! | [`report`] | Markdown and figures from what `analysis` found | analysis |

pub mod analysis;
pub mod arrays;
pub mod cli;
pub mod config;
pub mod data;
pub mod ensemble;
pub mod error;
pub mod kernel;
pub mod keys;
pub mod lineage;
pub mod model;
pub mod ops;
pub mod random;
pub mod record;
pub mod report;
pub mod stats;
pub mod sweep;
pub mod train;
pub mod workflow;
