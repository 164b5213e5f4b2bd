//! `harness run`: trains a sweep, analyses it and writes its report.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::analyze::{self, SettingsArgs};
use super::show::ExperimentArgs;
use super::{differing_keys, plan, print};
use crate::config::{self, Data, Experiment, Facts};
use crate::data;
use crate::error::{Error, Result};
use crate::model::Plan;
use crate::record::{Origin, Provenance, SweepDir};
use crate::report::words;
use crate::sweep::{self, Definition, Machine, Opened, RunState, Stop, local, progress};
use crate::train::device;

/// How runs are carried out; shared by `run` and `resume`.
#[derive(Debug, Clone, Args)]
pub struct ExecutionArgs {
    /// Runs side by side; by default as many as cores and memory allow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// How often a run that failed is tried again
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Memory that all runs together may use, in GiB
    #[arg(long, value_name = "GIB")]
    memory: Option<f64>,
    /// Where the report goes; by default into the sweep's directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

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
}

pub fn run(mut args: RunArgs) -> Result<()> {
    if let Some(runs) = args.runs {
        args.experiment.sets.push(format!("sweep.runs={runs}"));
    }
    let experiment = args.experiment.load()?;
    check_against_data(&experiment)?;
    let root = args.out.unwrap_or_else(|| Path::new("sweeps").join(&experiment.name));
    if args.dry_run {
        return print(&plan::describe(&experiment, &root)?);
    }
    let sweep = SweepDir::new(&root);
    let wanted = Definition {
        name: experiment.name.clone(),
        hash: experiment.hash(),
        toml: experiment.to_toml(),
        runs: experiment.sweep.runs,
    };
    let provenance = Provenance::now(Origin {
        data_digest: None,
        backend: device::name(experiment.train.backend).into(),
        device: device::describe(experiment.train.backend)?,
        threads: Machine::detect().cores,
    });
    match sweep::open_or_create(&sweep, &wanted, provenance, differing_keys)? {
        Opened::Created => {}
        Opened::Found => anstream::eprintln!("{} is there already; only what is missing is done", root.display()),
        Opened::Enlarged(runs) => {
            anstream::eprintln!("{} had {runs} runs; it gets {} more", root.display(), wanted.runs - runs);
        }
    }
    carry_out(&sweep, &experiment, &args.execution)
}

/// Checks the experiment against the data that it names, without reading all of them: every problem in one go.
fn check_against_data(experiment: &Experiment) -> Result<()> {
    let unlimited = Data { train_limit: None, eval_limit: None, ..experiment.data.clone() };
    let whole = data::facts(&Data { classes: None, ..unlimited.clone() })?;
    // A class that the data lack is the check's to report, together with everything else.
    let kept = data::facts(&unlimited).unwrap_or_else(|_| whole.clone());
    config::validate_against_data(
        experiment,
        &Facts { shape: whole.shape, classes: whole.classes.len(), train_len: kept.train_len, eval_len: kept.eval_len },
    )
}

/// Trains every run that is not complete, then analyses and reports what there is.
pub(super) fn carry_out(sweep: &SweepDir, experiment: &Experiment, args: &ExecutionArgs) -> Result<()> {
    let stop = Stop::on_signals()?;
    // Runs that another process trains are among them: they are waited for, and taken over if it dies.
    let mut missing = Vec::new();
    for run in 0..experiment.sweep.runs {
        if sweep::of(&sweep.run(run))?.state != RunState::Complete {
            missing.push(run);
        }
    }
    let machine = Machine::detect();
    let cap = args.memory.map(|gib| (gib * f64::from(1 << 30)) as u64);
    let jobs = match args.jobs {
        Some(jobs) => jobs as usize,
        None => machine.jobs(missing.len(), memory_per_run(experiment)?, cap),
    };
    let options = local::Options { threads: machine.threads(jobs), devices: Vec::new(), retries: args.retries };
    let program = std::env::current_exe()
        .map_err(|cause| Error::Unexpected(format!("cannot find this program's own file: {cause}")))?;
    let command = |run: usize| {
        let mut command = Command::new(&program);
        command.arg("train-run").arg("--sweep").arg(sweep.root()).arg("--index").arg(run.to_string());
        command
    };
    let mut observer = progress::observer(args.quiet);
    let summary = local::execute(sweep, &missing, command, &options, &stop, observer.as_mut())?;
    let none_complete = summary.complete.is_empty() && missing.len() == experiment.sweep.runs;
    if stop.asked() || none_complete {
        return summary.check();
    }
    let analysis = analyze::of_sweep(sweep.root(), None, &SettingsArgs::default())?;
    let folder = analyze::write(sweep, &analysis, args.report.as_deref())?;
    print(&format!("{}\n{}\n", words::headline(&analysis), folder.join("report.md").display()))?;
    summary.check()
}

/// Bytes that one run needs, roughly: the data, the network and the activations of a batch.
fn memory_per_run(experiment: &Experiment) -> Result<u64> {
    let facts = data::facts(&experiment.data)?;
    let plan = Plan::new(&experiment.model, facts.shape, facts.classes.len())?;
    let pixels: usize = facts.shape.iter().product();
    let data = (facts.train_len + facts.eval_len) * pixels;
    // Weights, gradients, optimiser state; activations with their gradients and what Burn keeps beside them.
    let network = 6 * plan.parameters() + 6 * experiment.train.batch_size.max(256) * plan.activations();
    Ok(4 * (2 * data + network) as u64 + (100 << 20))
}
