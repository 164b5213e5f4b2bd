//! What the verbs of the command line do, as functions that other programs can call: open a sweep, train it, analyse it, write
//! its report. Nothing here parses arguments, prints to stdout or ends the process.
//!
//! | module | what it does |
//! |---|---|
//! | [`analyze`] | a sweep's directory to an [`Analysis`](crate::analysis::Analysis), its tables and its report |
//! | [`surrogate`] | a run's network and the linear models on its kernels that stand in for it |
//! | [`run`] | an experiment to a sweep's directory, and its runs trained on this machine |

pub mod analyze;
pub mod run;
pub mod surrogate;
