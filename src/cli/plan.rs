//! What `harness run --dry-run` says: how much there is to do, and about how long it takes on this machine.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::config::Experiment;
use crate::error::{Error, Result};
use crate::sweep::Machine;
use crate::sweep::progress::human;
use crate::train::{self, Trainer};

/// Training steps that are timed, after one that is not.
const TIMED_STEPS: usize = 4;

/// The plan as lines of text. Reads the data and times a few steps of training.
pub fn describe(experiment: &Experiment, root: &Path) -> Result<String> {
    let data = train::load(experiment)?;
    let mut trainer = Trainer::new(experiment, &data, 0)?;
    let parameters = trainer.plan().parameters();
    let (runs, epochs) = (experiment.sweep.runs, experiment.train.epochs);
    let per_epoch = trainer.steps_per_epoch();
    let checkpoints = experiment.checkpoint_epochs();

    let (mut started, mut timed) = (Instant::now(), 0);
    // Interrupting the epoch is how only a few of its steps are made; the trainer is not used for training afterwards.
    let stopped = trainer.train_epoch(&mut |step| {
        if step == 1 {
            started = Instant::now();
        }
        timed = step - 1;
        step <= TIMED_STEPS
    });
    match stopped {
        Err(Error::Interrupted(_)) | Ok(_) => {}
        Err(error) => return Err(error),
    }
    let step = started.elapsed().as_secs_f64() / timed.max(1) as f64;
    let started = Instant::now();
    trainer.evaluate()?;
    let evaluation = started.elapsed().as_secs_f64();
    let seconds = runs as f64 * (step * (per_epoch * epochs) as f64 + evaluation * checkpoints.len() as f64);
    let jobs = Machine::detect().cores.min(runs).max(1);

    let soft = 4 * data.eval.len() * (data.classes.len() + 1) * checkpoints.len();
    let kernels =
        experiment.record.kernel.as_ref().map_or(0, |k| 4 * k.kinds.len() * k.probes * k.probes * checkpoints.len());
    let weights = 4 * parameters * if experiment.record.weights { checkpoints.len() } else { 1 };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<12} {value}");
    };
    line("sweep", format!("{} in {}", experiment.name, root.display()));
    line(
        "data",
        format!(
            "{} training and {} evaluation examples of {:?}, {} classes",
            data.train.len(),
            data.eval.len(),
            data.shape,
            data.classes.len()
        ),
    );
    line("model", format!("{parameters} parameters, {:.1} MFLOP an example", trainer.plan().flops() / 1e6));
    line(
        "runs",
        format!("{runs} of {epochs} epochs, {} steps each, {} in all", epochs * per_epoch, runs * epochs * per_epoch),
    );
    line("checkpoints", format!("{} a run, at epochs {checkpoints:?}", checkpoints.len()));
    line(
        "time",
        format!("about {} with {jobs} runs side by side, kernels not counted", human(Duration::from_secs_f64(seconds))),
    );
    line("disk", format!("about {:.1} MB", (runs * (soft + kernels + weights)) as f64 / 1e6));
    Ok(text)
}
