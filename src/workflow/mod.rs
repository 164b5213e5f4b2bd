//! What the verbs of the command line do, as functions that other programs can call: open a sweep, train it, analyse it, write
//! its report. Nothing here parses arguments, prints to stdout or ends the process.
//!
//! | module | what it does |
//! |---|---|
//! | [`analyze`] | a sweep's directory to an [`Analysis`](crate::analysis::Analysis), its tables and its report |
//! | [`attribute`](mod@attribute) | an experiment to the sources of the difference between its runs |
//! | [`attribution_of`] | two sweeps to the training examples that their runs decide by |
//! | [`calibrate`](mod@calibrate) | an experiment to what its instrument sees of planted faults |
//! | [`compare`] | two sets of runs to a comparison and its files |
//! | [`nights`] | a folder of nights to their history, a new night's standing, and what is kept of old ones |
//! | [`power`] | a sweep to the changes that its runs can show |
//! | [`embed`] | a sweep's networks to embeddings, and how alike its runs' representations are |
//! | [`lineage`] | files of weights or a sweep's runs to who descends from whom |
//! | [`microscope`] | files of embeddings to what tells them apart |
//! | [`run`] | an experiment to a sweep's directory, and its runs trained on this machine |
//! | [`surrogate`] | a run's network and the linear models on its kernels that stand in for it |

pub mod analyze;
pub mod attribute;
pub mod attribution_of;
pub mod calibrate;
pub mod compare;
pub mod embed;
pub mod lineage;
pub mod microscope;
pub mod nights;
pub mod pictures;
pub mod power;
pub mod run;
pub mod surrogate;
