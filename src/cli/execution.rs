//! How the runs of a sweep are carried out: on this machine or by Slurm; shared by `run` and `resume`.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};

use super::analyze::{self, SettingsArgs};
use super::{print, say};
use crate::config::{Backend, Experiment};
use crate::data;
use crate::error::{Error, Result};
use crate::model::Plan;
use crate::record::{self, SweepDir, SweepManifest};
use crate::report::words;
use crate::sweep::slurm::{self, Cluster, Submission};
use crate::sweep::{self, Finding, Lease, Machine, RunState, Stop, local, progress};
use crate::train::device::{self, Adapter};

/// Who starts the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Executor {
    /// This process, on this machine
    Local,
    /// Slurm: an array of runs, then a job for the analysis
    Slurm,
    /// Nobody: only the sweep's directory is made, for an engine that calls train-run itself
    None,
}

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
    /// The wgpu adapters that runs are handed in turn, such as discrete:0,discrete:1; by default every discrete GPU, else
    /// the best adapter there is
    #[arg(long, value_name = "ADAPTER", value_delimiter = ',')]
    devices: Vec<Adapter>,
    /// Where the report goes; by default into the sweep's directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Who starts the processes
    #[arg(long, value_enum, default_value_t = Executor::Local)]
    executor: Executor,
    #[command(flatten)]
    slurm: SlurmArgs,
}

/// What is asked of a cluster; what is not given is left to its defaults.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Slurm")]
struct SlurmArgs {
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[arg(long, value_name = "NAME")]
    qos: Option<String>,
    /// Time limit of one run, as Slurm writes it: 02:00:00
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Such as gpu:1
    #[arg(long, value_name = "WHAT")]
    gres: Option<String>,
    /// Memory of one run: 4G
    #[arg(long, value_name = "SIZE")]
    mem: Option<String>,
    /// Cores, and threads, of one run
    #[arg(long, value_name = "N", default_value_t = 1)]
    cpus: usize,
    /// Runs that may train at the same time
    #[arg(long, value_name = "N")]
    max_concurrent: Option<usize>,
}

impl ExecutionArgs {
    /// Whether the runs are carried out here, so that they are there afterwards.
    pub fn is_local(&self) -> bool {
        self.executor == Executor::Local
    }
}

/// Trains every run that is not complete, then analyses and reports what there is; or has a cluster do both.
pub fn carry_out(sweep: &SweepDir, experiment: &Experiment, args: &ExecutionArgs) -> Result<()> {
    match args.executor {
        Executor::Local => locally(sweep, experiment, args).map_err(resumable),
        Executor::Slurm => on_cluster(sweep, experiment, args),
        Executor::None => print(&format!(
            "{}: call `harness train-run --sweep {} --index I` for I from 0 to {}\n",
            sweep.root().display(),
            sweep.root().display(),
            experiment.sweep.runs.saturating_sub(1)
        )),
    }
}

/// What the system refuses while a sweep is under way, such as room on the disk, costs nothing that is finished.
fn resumable(error: Error) -> Error {
    match error {
        Error::Unexpected(why) => {
            Error::Interrupted(format!("{why}; nothing that is finished is lost, and `harness resume` goes on"))
        }
        error => error,
    }
}

/// Forgets the complete runs of which a file is damaged, so that they are trained again.
///
/// # Errors
/// `Corrupt` if a run belongs to another experiment, to other data or seeds: that one is nobody's to remove but the user's.
fn prepare(sweep: &SweepDir, experiment: &Experiment) -> Result<()> {
    let Some(manifest) = SweepManifest::read(sweep)? else { return Ok(()) };
    let mut strangers = Vec::new();
    for finding in sweep::inspect(sweep, &manifest, experiment)? {
        match finding {
            Finding::Damaged { run, what } => {
                say(&format!("run {run} is damaged and is trained again: {what}"));
                let _lease = Lease::acquire(&sweep.run(run))?;
                record::forget(&sweep.run(run))?;
            }
            Finding::Foreign { run, what } => strangers.push(format!("run {run} {what}")),
        }
    }
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Error::Corrupt(format!(
        "{} holds runs that are not its own ({}): move their folders away, and `harness resume` trains them",
        sweep.root().display(),
        strangers.join("; ")
    )))
}

fn locally(sweep: &SweepDir, experiment: &Experiment, args: &ExecutionArgs) -> Result<()> {
    let stop = Stop::on_signals()?;
    let local = Local {
        jobs: args.jobs,
        retries: args.retries,
        memory: args.memory,
        devices: &args.devices,
        quiet: args.quiet,
        stop: &stop,
    };
    let summary = train(sweep, experiment, &local)?;
    let unfinished = summary.failed.len() + summary.interrupted.len();
    if stop.asked() || (summary.complete.is_empty() && unfinished == experiment.sweep.runs) {
        return summary.check();
    }
    let analysis = analyze::of_sweep(sweep.root(), None, &SettingsArgs::default())?;
    let folder = analyze::write(sweep, &analysis, args.report.as_deref())?;
    print(&format!("{}\n{}", words::headline(&analysis), super::report_files(&folder)))?;
    summary.check()
}

/// How runs are trained on this machine.
pub(super) struct Local<'a> {
    /// Runs side by side; as many as cores and memory allow when absent.
    pub jobs: Option<u32>,
    pub retries: u32,
    /// In GiB, for all runs together.
    pub memory: Option<f64>,
    /// Adapters to hand out; the backend's own choice when empty.
    pub devices: &'a [Adapter],
    pub quiet: bool,
    pub stop: &'a Stop,
}

/// Trains every run of the sweep that is not complete, each in a process of its own.
pub(super) fn train(sweep: &SweepDir, experiment: &Experiment, how: &Local) -> Result<local::Summary> {
    prepare(sweep, experiment)?;
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
    let options = local::Options { threads: machine.threads(jobs), devices, retries: how.retries, stall: None };
    let program = own_program()?;
    let command = |run: usize| {
        let mut command = Command::new(&program);
        command.arg("train-run").arg("--sweep").arg(sweep.root()).arg("--index").arg(run.to_string());
        command
    };
    let mut observer = progress::observer(how.quiet);
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

fn on_cluster(sweep: &SweepDir, experiment: &Experiment, args: &ExecutionArgs) -> Result<()> {
    let program = own_program()?;
    let root = std::path::absolute(sweep.root()).map_err(|cause| Error::io("find", sweep.root(), &cause))?;
    let text = |path: &Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            Error::Usage(format!("{} cannot be written into a batch script: its name is not text", path.display()))
        })
    };
    let mut report = vec![text(&program)?, "report".into(), text(&root)?];
    if let Some(folder) = &args.report {
        let folder = std::path::absolute(folder).map_err(|cause| Error::io("find", folder, &cause))?;
        report.extend(["--report".into(), text(&folder)?]);
    }
    let SlurmArgs { partition, account, qos, time, gres, mem, cpus, max_concurrent } = args.slurm.clone();
    let options = slurm::Options {
        partition,
        account,
        qos,
        time,
        gres,
        memory: mem,
        cpus,
        max_concurrent,
        ..slurm::Options::default()
    };
    prepare(sweep, experiment)?;
    let cluster = Cluster::new();
    let queued = cluster.queue(sweep)?;
    let mut runs = sweep::missing(sweep, experiment.sweep.runs)?;
    let missing = runs.len();
    runs.retain(|run| !queued.contains_key(run));
    if runs.len() < missing {
        say(&format!(
            "{} of {missing} missing runs are queued already and are not submitted again",
            missing - runs.len()
        ));
        if runs.is_empty() {
            return print("nothing is left to submit; `harness status` shows the queue\n");
        }
    }
    let what = Submission { name: experiment.name.clone(), program, runs, analysis: vec![report], options };
    for job in cluster.submit(sweep, &what)? {
        match job.runs.len() {
            0 => print(&format!("job {}: analysis and report\n", job.id))?,
            count => print(&format!("job {}: {count} runs\n", job.id))?,
        }
    }
    Ok(())
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|cause| Error::Unexpected(format!("cannot find this program's own file: {cause}")))
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
