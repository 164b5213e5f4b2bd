//! `harness kernel`: the empirical NTK of networks from elsewhere, and surrogates of the runs of a sweep.

mod compute;
mod surrogate;

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};

use crate::error::Result;
use crate::kernel::Kind;

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.describe()))
    }
}

#[derive(Debug, Args)]
pub struct KernelArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Kernels of a network that was trained elsewhere, such as in PyTorch
    Compute(compute::ComputeArgs),
    /// Stand in for a run's network by a linear model on its kernel, and say which training examples its decisions rest on
    Surrogate(surrogate::SurrogateArgs),
}

/// Runs the verb.
///
/// # Errors
/// As the actions.
pub fn run(args: &KernelArgs) -> Result<()> {
    match &args.action {
        Action::Compute(args) => compute::run(args),
        Action::Surrogate(args) => surrogate::run(args),
    }
}
