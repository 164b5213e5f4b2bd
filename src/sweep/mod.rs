//! Many runs of one experiment: the directory of a sweep, who trains which run, and the engines that make all runs
//! complete, on this machine (`local`) or on a cluster (`slurm`).
//!
//! Everything that matters is on disk: an engine looks at how each run stands (`state`), starts a process for what is
//! missing, and may be killed at any moment. The process of a run takes the run's [`Lease`], so that engines need not
//! know of each other.

mod belongs;
mod create;
mod lease;
pub mod local;
mod machine;
mod process;
pub mod progress;
pub mod slurm;
mod state;
mod status;
mod stop;
#[cfg(test)]
mod testing;
mod unit;

pub use belongs::{Finding, identity, inspect};
pub use create::{Definition, Opened, open, open_or_create, same_data};
pub use lease::Lease;
pub use machine::Machine;
pub use state::{RunState, of};
pub use status::{Counts, SweepStatus, missing, status};
pub use stop::Stop;
pub use unit::{ProgressLine, Reporter};
