//! How the runs of a sweep are carried out: on this machine or by Slurm; shared by `run` and `resume`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{print, say};
use crate::config::Experiment;
use crate::error::{Error, Result, exit};
use crate::record::SweepDir;
use crate::report::words;
use crate::sweep::slurm::{self, Cluster, Submission};
use crate::sweep::{self, Stop};
use crate::train::device::Adapter;
use crate::workflow::analyze::{self, Changes};
use crate::workflow::run::{Local, own_program, prepare, train};

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
    match error.exit_code() {
        exit::UNEXPECTED => {
            Error::Interrupted(format!("{error}; nothing that is finished is lost, and `harness resume` goes on"))
        }
        _ => error,
    }
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
    let analysis = analyze::of_sweep(sweep.root(), None, &Changes::default())?;
    let written = analyze::write(sweep, &analysis, args.report.as_deref())?;
    super::remark(&written);
    print(&format!("{}\n{}", words::headline(&analysis), super::report_files(&written.folder)))?;
    summary.check()
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
    for (run, what) in prepare(sweep, experiment)? {
        say(&format!("run {run}: {what}"));
    }
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
