//! `harness resume`: does what is missing of a sweep.

use std::path::PathBuf;

use clap::Args;

use super::execution::{ExecutionArgs, carry_out};
use crate::config;
use crate::error::Result;
use crate::sweep;
use crate::workflow::run::differing_keys;

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The sweep's directory
    sweep: PathBuf,
    #[command(flatten)]
    execution: ExecutionArgs,
}

pub fn run(args: &ResumeArgs) -> Result<()> {
    let (dir, _) = sweep::open(&args.sweep, differing_keys)?;
    let experiment = config::read_back(&dir.experiment())?;
    carry_out(&dir, &experiment, &args.execution)
}
