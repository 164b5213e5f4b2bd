//! `harness calibrate`: which faults the instrument would notice in this experiment.

use std::path::{Path, PathBuf};

use clap::Args;

use super::attribute::LocalArgs;
use super::print;
use super::show::ExperimentArgs;
use crate::error::{Error, Result};
use crate::report::certificate::{TEXT, text};
use crate::sweep::Stop;
use crate::workflow::calibrate::{Request, as_json, calibrate};

#[derive(Debug, Args)]
pub struct CalibrateArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The folder of all sweeps and of the result; by default sweeps/NAME-calibration
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Healthy runs to train; twice the experiment's runs by default
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(3..))]
    runs: Option<u32>,
    /// Runs to train with each fault
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    faulty: u32,
    /// Runs of each sweep that is put together and judged; by default the experiment's runs
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(2..))]
    size: Option<u32>,
    /// Faults to plant, such as labels-30,quarter-data; all by default
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    faults: Vec<String>,
    #[command(flatten)]
    local: LocalArgs,
    /// Print one JSON object, schema harness.certificate/1
    #[arg(long)]
    json: bool,
}

/// Trains what is missing, judges, and prints what was found how often.
///
/// # Errors
/// As [`calibrate`]; [`Error::RunsFailed`] when runs failed.
pub fn run(args: CalibrateArgs) -> Result<()> {
    let experiment = args.experiment.load()?;
    let root = args.out.unwrap_or_else(|| Path::new("sweeps").join(format!("{}-calibration", experiment.name)));
    let runs = experiment.sweep.runs;
    let request = Request {
        healthy: args.runs.map_or(2 * runs, |runs| runs as usize),
        faulty: args.faulty as usize,
        size: args.size.map_or(runs, |size| size as usize),
        faults: args.faults,
    };
    let stop = Stop::on_signals()?;
    let done = calibrate(&root, &experiment, &request, &args.local.with(&stop))?;
    if args.json {
        print(&as_json(&done.certificate)?)?;
    } else {
        print(&text(&done.certificate))?;
        print(&format!("{}\n", root.join(TEXT).display()))?;
    }
    match done.failures.as_slice() {
        [] => Ok(()),
        failures => Err(Error::RunsFailed(failures.join("; "))),
    }
}
