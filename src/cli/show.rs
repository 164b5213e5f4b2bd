//! `harness show`: the resolved experiment.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::config;
use crate::error::Result;

/// An experiment file and what overrides it; shared by every verb that takes one.
#[derive(Debug, Clone, Args)]
pub struct ExperimentArgs {
    /// The experiment file (TOML)
    pub experiment: PathBuf,
    /// Override one key, as in `--set train.epochs=5`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

impl ExperimentArgs {
    /// Reads, overrides and checks the experiment.
    ///
    /// # Errors
    /// `Invalid`, naming every problem.
    pub fn load(&self) -> Result<config::Experiment> {
        config::load(&self.experiment, config::environment(), &self.sets)
    }
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
}

pub fn run(args: &ShowArgs) -> Result<()> {
    print(&args.experiment.load()?.to_toml())
}
