//! `harness resume`: does what is missing of a sweep.

use std::path::{Path, PathBuf};

use clap::Args;

use super::execution::{ExecutionArgs, carry_out};
use crate::config::{self, Experiment};
use crate::error::{Error, Result};
use crate::record::SweepDir;
use crate::sweep;
use crate::workflow::run::{differing_keys, open};

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The sweep's directory
    sweep: PathBuf,
    #[command(flatten)]
    execution: ExecutionArgs,
}

pub fn run(args: &ResumeArgs) -> Result<()> {
    let experiment = stored(&args.sweep)?;
    let (dir, _) = open(&args.sweep, &experiment)?;
    carry_out(&dir, &experiment, &args.execution)
}

/// The experiment of the sweep in `root`; one that has lost its `sweep.json` still has its `experiment.toml`.
///
/// # Errors
/// `Usage` for a file, such as the experiment that a sweep was made of; `Invalid` if there is no sweep; as [`sweep::open`].
pub(super) fn stored(root: &Path) -> Result<Experiment> {
    if root.is_file() {
        return Err(Error::Usage(format!(
            "{} is a file, and `resume` takes the directory of a sweep, such as sweeps/NAME; `harness run {0}` begins or \
             continues the sweep of an experiment",
            root.display()
        )));
    }
    let dir = SweepDir::new(root);
    match sweep::open(root, differing_keys) {
        Err(error) if error.is_corrupt() && dir.refuse_links().is_ok() && dir.experiment().is_file() => {}
        opened => {
            opened?;
        }
    }
    config::read_back(&dir.experiment())
}
