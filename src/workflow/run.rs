//! From an experiment to a sweep's directory, and its runs trained on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::{self, Backend, Data, Experiment, Facts};
use crate::data;
use crate::error::{Error, Result};
use crate::record::{self, Origin, Provenance, SweepDir, SweepManifest};
use crate::sweep::{self, Definition, Finding, Lease, Machine, Opened, RunState, Stop, local, progress};
use crate::train::{
    self,
    device::{self, Adapter},
};

/// Makes the sweep of an experiment in the directory `root`, or finds it there; its data must still be the same.
///
/// # Errors
/// [`Error::Invalid`] where a sweep of another experiment or of other data is there; as `sweep::open_or_create`.
pub fn open(root: &Path, experiment: &Experiment) -> Result<(SweepDir, Opened)> {
    let sweep = SweepDir::new(root);
    let experiment = &experiment.pinned()?;
    let wanted = Definition {
        name: experiment.name.clone(),
        hash: experiment.hash(),
        training: experiment.training_hash(),
        toml: experiment.to_toml(),
        runs: experiment.sweep.runs,
    };
    let provenance = Provenance::now(Origin {
        data_digest: Some(train::load(experiment)?.digest),
        backend: device::name(experiment.train.backend).into(),
        device: device::describe(experiment.train.backend)?,
        threads: Machine::detect().cores,
    });
    let opened = sweep::open_or_create(&sweep, &wanted, provenance, differing_keys)?;
    Ok((sweep, opened))
}

/// Checks the experiment against the data that it names, without reading all of them: every problem in one go; then the file of
/// weights that training starts from.
///
/// # Errors
/// [`Error::Invalid`] with a line for each problem, or where the data or the weights cannot be read or do not fit.
pub fn check_against_data(experiment: &Experiment) -> Result<()> {
    let unlimited = Data { train_limit: None, eval_limit: None, ..experiment.data.clone() };
    let whole = data::facts(&Data { classes: None, ..unlimited.clone() })?;
    // A class that the data lack is the check's to report, together with everything else.
    let kept = data::facts(&unlimited).unwrap_or_else(|_| whole.clone());
    config::validate_against_data(
        experiment,
        &Facts { shape: whole.shape, classes: whole.classes.len(), train_len: kept.train_len, eval_len: kept.eval_len },
    )?;
    let start = &experiment.model.start;
    start.tensors(&experiment.plan(kept.shape, kept.classes.len())?).map(drop)
}

/// The keys that change what runs write in which two experiments, as sweeps store them, differ.
///
/// # Errors
/// [`Error::Corrupt`] where a stored experiment is none.
pub fn differing_keys(old: &str, new: &str) -> Result<Vec<String>> {
    let stored = |text| config::from_stored(text, Path::new("sweep.json"));
    let (old, new) = (stored(old)?, stored(new)?);
    Ok(config::diff(&old, &new)
        .into_iter()
        .filter(|difference| difference.training)
        .map(|difference| difference.key)
        .collect())
}

/// How runs are trained on this machine.
pub struct Local<'a> {
    /// Runs side by side; as many as cores and memory allow when absent.
    pub jobs: Option<u32>,
    /// How often a run that failed is tried again.
    pub retries: u32,
    /// In GiB, for all runs together.
    pub memory: Option<f64>,
    /// Adapters to hand out; the backend's own choice when empty.
    pub devices: &'a [Adapter],
    /// Show no progress on stderr.
    pub quiet: bool,
    /// What ends the training early.
    pub stop: &'a Stop,
}

/// Forgets the complete runs of which a file is damaged, so that they are trained again: each with what was found.
///
/// # Errors
/// [`Error::Corrupt`] if a run belongs to another experiment, to other data or seeds: that one is nobody's to remove but the
/// user's.
pub fn prepare(sweep: &SweepDir, experiment: &Experiment) -> Result<Vec<(usize, String)>> {
    let Some(manifest) = SweepManifest::read(sweep)? else { return Ok(Vec::new()) };
    let (mut strangers, mut damaged) = (Vec::new(), Vec::new());
    for finding in sweep::inspect(sweep, &manifest, experiment)? {
        match finding {
            Finding::Damaged { run, file, damage } => {
                damaged.push((run, format!("it is damaged and is trained again: {file} {damage}")));
            }
            Finding::Foreign { run, stranger } => strangers.push(format!("run {run} {stranger}")),
        }
    }
    if !strangers.is_empty() {
        return Err(Error::Corrupt(format!(
            "{} holds runs that are not its own ({}): move their folders away, and `harness resume` trains them",
            sweep.root().display(),
            strangers.join("; ")
        )));
    }
    for (run, _) in &damaged {
        let _lease = Lease::acquire(&sweep.run(*run))?;
        record::forget(&sweep.run(*run))?;
    }
    Ok(damaged)
}

/// Trains every run of the sweep that is not complete, each in a process of its own.
///
/// # Errors
/// [`Error::Usage`] for adapters of another backend; [`Error::Unexpected`] when the system refuses. Runs that fail are no
/// error but part of the summary.
pub fn train(sweep: &SweepDir, experiment: &Experiment, how: &Local) -> Result<local::Summary> {
    let mut observer = progress::observer(how.quiet);
    for (run, what) in prepare(sweep, experiment)? {
        observer.message(run, &what);
    }
    // Runs that another process trains are among them: they are waited for, and taken over if it dies.
    let mut missing = Vec::new();
    for run in 0..experiment.sweep.runs {
        if sweep::of(&sweep.run(run))?.state != RunState::Complete {
            missing.push(run);
        }
    }
    let machine = Machine::detect();
    let cap = how.memory.map(|gib| (gib * f64::from(1 << 30)) as u64);
    let devices = adapters(experiment.train.backend, how.devices)?;
    let jobs = match how.jobs {
        Some(jobs) => jobs as usize,
        // Two runs on one adapter would share its memory, of which nothing is known.
        None if !devices.is_empty() => devices.len().min(missing.len()).max(1),
        None => machine.jobs(missing.len(), memory_per_run(experiment)?, cap),
    };
    let options = local::Options {
        threads: machine.threads(jobs),
        devices,
        retries: how.retries,
        stall: experiment.train.patience(),
    };
    let program = own_program()?;
    let command = |run: usize| {
        let mut command = Command::new(&program);
        command.arg("train-run").arg("--sweep").arg(sweep.root()).arg("--index").arg(run.to_string());
        command
    };
    local::execute(sweep, &missing, command, &options, how.stop, observer.as_mut())
}

/// The adapters for the processes of runs, as they are handed out.
fn adapters(backend: Backend, asked: &[Adapter]) -> Result<Vec<String>> {
    let pool = if asked.is_empty() { device::pool(backend)? } else { asked.to_vec() };
    if pool.is_empty() || backend == Backend::Wgpu {
        return Ok(pool.iter().map(Adapter::to_string).collect());
    }
    Err(Error::Usage(format!(
        "`--devices` names wgpu adapters, but train.backend is \"{}\"; set train.backend=\"wgpu\" or leave it out",
        device::name(backend)
    )))
}

/// The file of this program, which the process of a run is started from.
///
/// # Errors
/// [`Error::Unexpected`] when the system does not say.
pub fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|cause| Error::Unexpected(format!("cannot find this program's own file: {cause}")))
}

/// Bytes that one run needs, roughly: the data, the network and the activations of a batch.
fn memory_per_run(experiment: &Experiment) -> Result<u64> {
    let facts = data::facts(&experiment.data)?;
    let plan = experiment.plan(facts.shape, facts.classes.len())?;
    let pixels: usize = facts.shape.iter().product();
    let data = (facts.train_len + facts.eval_len) * pixels;
    // Weights, gradients, optimiser state; activations with their gradients and what Burn keeps beside them.
    let network = 6 * plan.parameters() + 6 * experiment.train.batch_size.max(256) * plan.activations();
    Ok(4 * (2 * data + network) as u64 + (100 << 20))
}
