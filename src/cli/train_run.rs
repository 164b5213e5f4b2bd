//! `harness train-run`: the unit of work. One run of a sweep, from wherever it stands to its end; what local processes,
//! Slurm array tasks and Kubernetes indexed jobs all call.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Experiment};
use crate::error::{Error, Result};
use crate::record::{Begin, RunManifest, RunWriter, Status, SweepDir, SweepManifest, foreign, tidy};
use crate::sweep::{self, Lease, ProgressLine, Reporter, Stop};
use crate::train;
use crate::train::run::{Job, execute};
use crate::workflow::run::{differing_keys, open};

#[derive(Debug, Args)]
pub struct TrainRunArgs {
    /// The sweep's directory
    #[arg(long, value_name = "DIR")]
    sweep: PathBuf,
    /// Which run; taken from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX where it is not given
    #[arg(long, value_name = "I")]
    index: Option<usize>,
    /// Added to the index, for arrays that cannot count far enough
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: usize,
}

pub fn run(args: &TrainRunArgs) -> Result<()> {
    let index = match args.index {
        Some(index) => index,
        None => index_from_environment()?,
    };
    let index = index.checked_add(args.offset).ok_or_else(|| {
        Error::Usage(format!("--index {index} and --offset {} together are no run's number", args.offset))
    })?;
    let stop = Stop::on_signals()?;
    let (dir, manifest) = sweep::open(&args.sweep, differing_keys)?;
    if index >= manifest.runs {
        return Err(Error::Usage(format!(
            "there is no run {index} in {}: its runs are 0 to {}",
            args.sweep.display(),
            manifest.runs.saturating_sub(1)
        )));
    }
    let experiment = config::read_back(&dir.experiment())?;
    // A sweep of an older version first learns what its runs belong to.
    let manifest = match manifest.training {
        Some(_) => manifest,
        None => {
            open(&args.sweep, &experiment)?;
            sweep::open(&args.sweep, differing_keys)?.1
        }
    };
    let run_dir = dir.run(index);
    let lease = Lease::acquire(&run_dir)?;
    if matches!(RunManifest::read(&run_dir), Ok(Some(found)) if found.status == Status::Complete) {
        return complete(&dir, &manifest, &experiment, index);
    }
    let data = train::load(&experiment)?;
    sweep::same_data(&dir, manifest.data(), Some(&data.digest))?;
    let identity = sweep::identity(&manifest, &experiment, &data.digest, index);
    let begun = RunWriter::begin(&run_dir, lease.attempt(), &identity)?;
    if let Begin::Start(_, Some(why)) = &begun {
        super::say(&format!("run {index} starts anew: {why}"));
    }
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads =
        std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0).unwrap_or(threads);
    let job = Job { experiment: &experiment, data: &data, run: index, threads };
    let mut reporter = Reporter::new();
    execute(&job, begun, &|| stop.asked(), &mut |at| {
        let progress = ProgressLine {
            epoch: at.epoch,
            epochs: at.epochs,
            step: at.step,
            steps: at.steps,
            loss: at.trained.map(|(loss, _)| loss),
            accuracy: at.trained.map(|(_, accuracy)| accuracy),
        };
        reporter.report(progress, &mut std::io::stdout());
    })
}

/// A run that is complete needs nothing more, if it is this sweep's.
fn complete(dir: &SweepDir, manifest: &SweepManifest, experiment: &Experiment, index: usize) -> Result<()> {
    let run = dir.run(index);
    if let Some(found) = RunManifest::read(&run)?.and_then(|found| found.identity) {
        let data = manifest.data().unwrap_or(&found.data);
        if let Some(stranger) = sweep::identity(manifest, experiment, data, index).stranger(&found) {
            return Err(foreign(&run, stranger));
        }
    }
    tidy(&run)
}

fn index_from_environment() -> Result<usize> {
    for name in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
        if let Ok(value) = std::env::var(name) {
            return value.parse().map_err(|_| Error::Usage(format!("{name} is {value:?}, which is no run's number")));
        }
    }
    Err(Error::Usage("no run was named: give --index, or set SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX".into()))
}
