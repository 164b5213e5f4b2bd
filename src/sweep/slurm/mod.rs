//! Runs on a cluster with Slurm: an array of tasks, each of which trains one run, and a job that depends on all of them
//! for the analysis.
//!
//! Slurm's own accounting (`sacct`) is often missing, so what became of a run is read from the sweep's files as everywhere
//! else; `squeue` only adds what is still waiting or running, and `slurm/jobs.json` remembers what was submitted.

mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::status::SweepStatus;
use crate::error::{Error, Result};
use crate::record::checksum::{self, Schema};
use crate::record::verify::JOBS;
use crate::record::{SweepDir, files};

pub use script::Options;

/// Version 1 had no checksum and did not say where a job was submitted from.
const SCHEMA: Schema = Schema { family: "harness.slurm", major: 1, minor: 1 };
/// Slurm's own default.
const MAX_ARRAY_SIZE: usize = 1001;

/// One submitted job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: u64,
    /// The runs of an array; none for the analysis.
    pub runs: Vec<usize>,
    /// Run minus number of the task.
    pub offset: usize,
    pub submitted: Timestamp,
    /// The directory of the sweep that it trains: a copy of that sweep has its list of jobs, but not its jobs. None in files
    /// of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

/// `slurm/jobs.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Jobs {
    schema: String,
    jobs: Vec<Job>,
}

/// What is to be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Of the sweep.
    pub name: String,
    /// The harness program, as the nodes find it.
    pub program: PathBuf,
    pub runs: Vec<usize>,
    /// Commands for the job that waits for all tasks; none for no such job.
    pub analysis: Vec<Vec<String>>,
    pub options: Options,
}

/// The cluster that the commands `sbatch`, `squeue`, `scancel` and `scontrol` speak to.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// Instead of what the environment says.
    configuration: Option<PathBuf>,
}

impl Cluster {
    /// As the environment says.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the scripts into the sweep, submits the runs as arrays and the analysis as a job that waits for them, and
    /// returns the jobs in that order.
    ///
    /// # Errors
    /// `Usage` for options that cannot be passed on; `Unexpected` with Slurm's own words if it refuses. Jobs that were
    /// submitted before that stay, and are remembered.
    pub fn submit(&self, sweep: &SweepDir, what: &Submission) -> Result<Vec<Job>> {
        sweep.refuse_links()?;
        let folder = absolute(&sweep.slurm())?;
        let root = absolute(sweep.root())?;
        files::create_folder(&folder)?;
        let still_there = self.own_in_queue(sweep)?;
        let here = Some(place(sweep)?);
        let options = &what.options;
        let train = folder.join("train.sbatch");
        files::write(&train, script::train(&what.name, &root, &folder, &what.program, options)?.as_bytes())?;
        let limit = self.max_array_size();
        let mut submitted: Vec<Job> = Vec::new();
        for (offset, runs) in chunks(&what.runs, limit) {
            let tasks: Vec<usize> = runs.iter().map(|run| run - offset).collect();
            let concurrent = options.max_concurrent.map_or_else(String::new, |most| format!("%{}", most.max(1)));
            let mut arguments = vec![format!("--array={}{concurrent}", ranges(&tasks))];
            // The limit holds for one array: with a limit, one waits for the other.
            if let (Some(_), Some(before)) = (options.max_concurrent, submitted.last()) {
                arguments.push(format!("--dependency=afterany:{}", before.id));
            }
            let id = self.sbatch(&arguments, &train, &[offset.to_string()])?;
            submitted
                .push(self.remember(sweep, Job { id, runs, offset, submitted: Timestamp::now(), root: here.clone() })?);
        }
        if !what.analysis.is_empty() {
            let path = folder.join("analysis.sbatch");
            files::write(&path, script::analysis(&what.name, &folder, &what.analysis, options)?.as_bytes())?;
            // It waits for what was submitted before and still trains, too.
            let ids = still_there.into_iter().chain(submitted.iter().map(|job| job.id));
            let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
            let wait = (!ids.is_empty()).then(|| format!("--dependency=afterany:{}", ids.join(":")));
            let id = self.sbatch(&Vec::from_iter(wait), &path, &[])?;
            let job = Job { id, runs: Vec::new(), offset: 0, submitted: Timestamp::now(), root: here };
            submitted.push(self.remember(sweep, job)?);
        }
        Ok(submitted)
    }

    /// What Slurm says of the runs that it still has, as `PENDING (Resources)`.
    ///
    /// # Errors
    /// `Unexpected` if Slurm cannot be asked; `jobs.json` cannot be read.
    pub fn queue(&self, sweep: &SweepDir) -> Result<BTreeMap<usize, String>> {
        let jobs = own_jobs(sweep)?;
        let arrays: BTreeMap<u64, &Job> =
            jobs.iter().filter(|job| !job.runs.is_empty()).map(|job| (job.id, job)).collect();
        let mut queue = BTreeMap::new();
        for line in self.squeue(&jobs)? {
            let mut fields = line.split('|');
            let (Some(id), Some(task), Some(state)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let (Ok(id), Ok(task)) = (id.parse::<u64>(), task.parse::<usize>()) else { continue };
            if let Some(job) = arrays.get(&id) {
                let reason = fields.next().filter(|reason| !reason.is_empty() && *reason != "None");
                let text = reason.map_or_else(|| state.to_owned(), |reason| format!("{state} ({reason})"));
                queue.insert(job.offset.saturating_add(task), text);
            }
        }
        Ok(queue)
    }

    /// Adds to a sweep's status what Slurm says of its runs.
    ///
    /// # Errors
    /// As [`Cluster::queue`].
    pub fn merge(&self, sweep: &SweepDir, status: &mut SweepStatus) -> Result<()> {
        let queue = self.queue(sweep)?;
        for run in &mut status.runs {
            run.queue = queue.get(&run.run).cloned();
        }
        Ok(())
    }

    /// The jobs of the sweep that Slurm still has, in order.
    fn own_in_queue(&self, sweep: &SweepDir) -> Result<BTreeSet<u64>> {
        let lines = self.squeue(&own_jobs(sweep)?)?;
        Ok(lines.iter().filter_map(|line| line.split('|').next()?.parse().ok()).collect())
    }

    /// Cancels every job of the sweep that Slurm still has, and returns their numbers. Running tasks save their state. Jobs
    /// that were submitted from another directory, of which this one is a copy, are left alone.
    ///
    /// # Errors
    /// `Unexpected` with Slurm's own words if it refuses; `jobs.json` cannot be read.
    pub fn cancel(&self, sweep: &SweepDir) -> Result<Vec<u64>> {
        let there = self.own_in_queue(sweep)?;
        if there.is_empty() {
            return Ok(Vec::new());
        }
        self.call("scancel", there.iter().map(u64::to_string))?;
        Ok(there.into_iter().collect())
    }

    /// Lines `array or job|task|state|reason` of the jobs that Slurm still has.
    fn squeue(&self, jobs: &[Job]) -> Result<Vec<String>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let arguments = ["--noheader", "--array", "--format=%F|%K|%T|%r", &format!("--jobs={}", ids.join(","))];
        match self.call("squeue", arguments) {
            Ok(text) => Ok(text.lines().map(|line| line.trim().to_owned()).collect()),
            // It knows none of them any more.
            Err(Error::Unexpected(text)) if text.contains("Invalid job id") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn sbatch(&self, options: &[String], script: &Path, arguments: &[String]) -> Result<u64> {
        let script = script.to_str().ok_or_else(|| {
            Error::Usage(format!("Slurm cannot be given the path {}: choose a plainer one", script.display()))
        })?;
        let words = ["--parsable"].into_iter().chain(options.iter().map(String::as_str));
        let words = words.chain([script]).chain(arguments.iter().map(String::as_str));
        let text = self.call("sbatch", words)?;
        // `123`, or `123;cluster` where there are several.
        let id = text.trim().split(';').next().and_then(|id| id.parse().ok());
        id.ok_or_else(|| Error::Unexpected(format!("sbatch did not say which job it submitted, but {:?}", text.trim())))
    }

    /// One more than the largest number that a task of an array can have.
    fn max_array_size(&self) -> usize {
        let found = self.call("scontrol", ["show", "config"]).ok();
        let size = found.as_deref().and_then(|text| {
            text.lines()
                .find_map(|line| line.trim().strip_prefix("MaxArraySize")?.split_once('=')?.1.trim().parse().ok())
        });
        size.filter(|size| *size > 0).unwrap_or(MAX_ARRAY_SIZE)
    }

    fn call<S: AsRef<std::ffi::OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        let mut command = Command::new(program);
        command.args(arguments);
        if let Some(configuration) = &self.configuration {
            command.env("SLURM_CONF", configuration);
        }
        let output = command.output().map_err(|cause| {
            Error::Unexpected(format!("cannot run {program}: {cause}; is this a machine of a Slurm cluster?"))
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Err(Error::Unexpected(format!("{program} refused: {}", said.join("; "))))
    }

    fn remember(&self, sweep: &SweepDir, job: Job) -> Result<Job> {
        let mut jobs = read_jobs(sweep)?;
        jobs.push(job.clone());
        files::write(&jobs_file(sweep), &checksum::encode(&Jobs { schema: SCHEMA.name(), jobs })?)?;
        Ok(job)
    }
}

/// Whether jobs of the sweep were ever submitted to Slurm.
#[must_use]
pub fn was_used(sweep: &SweepDir) -> bool {
    jobs_file(sweep).exists()
}

fn jobs_file(sweep: &SweepDir) -> PathBuf {
    sweep.slurm().join(JOBS)
}

fn read_jobs(sweep: &SweepDir) -> Result<Vec<Job>> {
    let path = jobs_file(sweep);
    files::refuse_links(sweep.root(), &path)?;
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(Vec::new()) };
    let first = Schema { minor: 0, ..SCHEMA };
    if checksum::schema_of(&bytes).as_deref() == Some(first.name().as_str()) {
        let jobs: Jobs = serde_json::from_slice(&bytes)
            .map_err(|cause| Error::Invalid(format!("{} cannot be understood: {cause}", path.display())))?;
        return Ok(jobs.jobs);
    }
    checksum::decode::<Jobs>(&bytes, &SCHEMA, &path).map(|jobs| jobs.jobs)
}

/// The jobs that were submitted for the sweep in this very directory.
fn own_jobs(sweep: &SweepDir) -> Result<Vec<Job>> {
    let here = place(sweep)?;
    let mut jobs = read_jobs(sweep)?;
    // The first version did not say where: its script does.
    let script = files::read_if_there(&sweep.slurm().join("train.sbatch"))?.unwrap_or_default();
    let root = absolute(sweep.root())?;
    let named = script::quoted_path(&root).is_ok_and(|root| String::from_utf8_lossy(&script).contains(&root));
    jobs.retain(|job| job.root.as_ref().map_or(named, |root| *root == here));
    Ok(jobs)
}

/// The sweep's directory with every link on the way followed.
fn place(sweep: &SweepDir) -> Result<String> {
    let found = sweep.root().canonicalize().map_err(|cause| Error::io("find", sweep.root(), &cause))?;
    Ok(found.display().to_string())
}

/// The runs in groups that one array can count, each with what is to be added to a task's number.
fn chunks(runs: &[usize], limit: usize) -> Vec<(usize, Vec<usize>)> {
    let mut chunks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for run in BTreeSet::from_iter(runs) {
        chunks.entry(run / limit * limit).or_default().push(*run);
    }
    chunks.into_iter().collect()
}

/// `0-3,7` for sorted numbers.
fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text =
        |(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| Error::io("find", path, &cause))
}

#[cfg(test)]
mod tests;
