//! `harness run`: trains a sweep, analyses it and writes its report.

use std::path::{Path, PathBuf};

use clap::Args;

use super::execution::{ExecutionArgs, carry_out};
use super::nightly::NightlyArgs;
use super::show::ExperimentArgs;
use super::{plan, print};
use crate::config::Experiment;
use crate::error::{Error, Result};
use crate::record::SweepDir;
use crate::sweep::{self, Opened};
use crate::workflow::run::{check_against_data, open};

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The sweep's directory; by default sweeps/NAME
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Number of runs, instead of the experiment's
    #[arg(long, value_name = "M")]
    runs: Option<usize>,
    /// Only say what would be done: runs, steps, parameters, time and disk
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    execution: ExecutionArgs,
    #[command(flatten)]
    nightly: NightlyArgs,
}

pub fn run(args: RunArgs) -> Result<()> {
    if !args.nightly.is_asked() || args.dry_run {
        return train(args, &mut false);
    }
    let nightly = args.nightly.clone();
    nightly.begin()?;
    // Until the experiment is read nobody knows what it is called.
    let name = args.experiment.experiment.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut judged = false;
    let outcome = train(args, &mut judged);
    if let (Err(error), false) = (&outcome, judged) {
        nightly.failed(&name, error);
    }
    outcome
}

/// Everything that `run` does; `judged` becomes true as soon as the night's own files say what came of it.
fn train(mut args: RunArgs, judged: &mut bool) -> Result<()> {
    if let Some(runs) = args.runs {
        args.experiment.sets.push(format!("sweep.runs={runs}"));
    }
    let experiment = args.experiment.load()?;
    check_against_data(&experiment)?;
    let root = args.out.unwrap_or_else(|| Path::new("sweeps").join(&experiment.name));
    if args.dry_run {
        return print(&plan::describe(&experiment, &root)?);
    }
    if args.nightly.is_asked() && !args.execution.is_local() {
        return Err(Error::Usage(
            "`--against` judges the sweep as soon as it is trained, which Slurm does later: run `harness compare` when it is done".into(),
        ));
    }
    args.nightly.check(&root)?;
    let (sweep, opened) = open(&root, &experiment)?;
    match opened {
        Opened::Created => {}
        Opened::Found => super::say(&format!("{} is there already; only what is missing is done", root.display())),
        Opened::Enlarged(runs) => {
            super::say(&format!("{} had {runs} runs; it gets {} more", root.display(), experiment.sweep.runs - runs));
        }
    }
    let trained = carry_out(&sweep, &experiment, &args.execution);
    match trained {
        // Failed runs are left out of the comparison, and reported after it.
        Ok(()) | Err(Error::RunsFailed(_)) if args.nightly.is_asked() && any_complete(&sweep, &experiment)? => {
            *judged = true;
            let found = args.nightly.judge(&root, &experiment.name);
            trained.and(found)
        }
        _ => trained,
    }
}

fn any_complete(sweep: &SweepDir, experiment: &Experiment) -> Result<bool> {
    Ok(sweep::missing(sweep, experiment.sweep.runs)?.len() < experiment.sweep.runs)
}
