//! Runs on this machine: one process for each, so many side by side.
//!
//! A run's process is judged by the files it leaves, not by what it says: complete is what has its manifest. A process
//! that ends otherwise is tried again as often as asked, and its failure stops nobody else. A run that a process of
//! somebody else's trains is waited for, and taken over if that one dies.

mod child;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, Signal, System};

use super::belongs::Guard;
use super::progress::{Ended, Observer};
use super::state::{self, RunState};
use super::stop::{PARENT_VARIABLE, Stop};
use super::unit::ProgressLine;
use crate::config::Backend;
use crate::error::{Error, Result, exit, why};
use crate::record::{SweepDir, files, record_failure, tidy};
use child::{describe, listen};

/// How long to wait for news before looking around.
const TICK: Duration = Duration::from_millis(20);
/// How often to look at runs that somebody else trains.
const LOOK: Duration = Duration::from_millis(500);
/// How long the output of a process that has ended may still trickle in, if a child of its own holds it open.
const TRICKLE: Duration = Duration::from_secs(1);
/// How long after a request to stop a process that still runs is named.
const NAMED_AFTER: Duration = Duration::from_secs(10);
/// How many times longer than for a step a process may take to start, to record and to save.
const BETWEEN_STEPS: u32 = 10;
/// Lines of a process's errors that are kept.
const LINES: usize = 20;

/// How runs are executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Threads for each place; there are as many runs side by side as places.
    pub threads: Vec<usize>,
    /// Handed out to the places in turn as [`Backend::DEVICE_VARIABLE`]; none for CPUs.
    pub devices: Vec<String>,
    /// How often a run that failed is tried again.
    pub retries: u32,
    /// How long a process may take for one step of training before it is taken for stuck and ended; none for ever.
    pub stall: Option<Duration>,
}

/// A run that did not become complete, and what it said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub run: usize,
    pub errors: Vec<String>,
}

/// What became of the runs that were asked for, each list in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Of the sweep, for the command that goes on.
    pub root: PathBuf,
    pub complete: Vec<usize>,
    pub failed: Vec<Failure>,
    /// Stopped before they were complete, or not begun.
    pub interrupted: Vec<usize>,
    /// Those of `interrupted` that were not begun by this engine.
    pub not_begun: Vec<usize>,
}

impl Summary {
    /// Nothing if all runs are complete.
    ///
    /// # Errors
    /// `Interrupted` if some were stopped, else `RunsFailed` with the last error of each run that failed.
    pub fn check(&self) -> Result<()> {
        let last = |failure: &Failure| format!("run {}: {}", failure.run, why(&failure.errors));
        let failed: Vec<String> = self.failed.iter().map(last).collect();
        let failed = failed.join("; ");
        let count = |runs: usize| if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
        let go_on = format!("`harness resume {}`", self.root.display());
        if self.interrupted.is_empty() && self.failed.is_empty() {
            return Ok(());
        }
        if self.interrupted.is_empty() {
            return Err(Error::RunsFailed(format!(
                "{} failed ({failed}); {go_on} tries again",
                count(self.failed.len())
            )));
        }
        let was = |runs: usize| if runs == 1 { "was" } else { "were" };
        let mut parts = Vec::new();
        let stopped = self.interrupted.len().saturating_sub(self.not_begun.len());
        if stopped > 0 {
            parts.push(format!("{} {} stopped", count(stopped), was(stopped)));
        }
        if !self.not_begun.is_empty() {
            parts.push(format!("{} never began", count(self.not_begun.len())));
        }
        if !self.failed.is_empty() {
            parts.push(format!("{} failed ({failed})", count(self.failed.len())));
        }
        Err(Error::Interrupted(format!("{}: {go_on} goes on", parts.join(", "))))
    }
}

/// Makes `runs` of `sweep` complete: `command` gives the process that trains a run. Returns when every run is complete, has
/// failed or, once `stop` was asked, has stopped.
///
/// # Errors
/// The files of a run cannot be read.
pub fn execute(
    sweep: &SweepDir,
    runs: &[usize],
    command: impl Fn(usize) -> Command,
    options: &Options,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    stop.heed();
    let (sender, news) = mpsc::channel();
    let mut executor = Executor {
        sweep,
        options,
        stop,
        observer,
        command: &command,
        sender,
        queue: runs.iter().map(|run| (*run, 0)).collect(),
        elsewhere: Vec::new(),
        working: BTreeMap::new(),
        next_token: 0,
        summary: Summary { root: sweep.root().to_path_buf(), ..Summary::default() },
        guard: Guard::new(sweep)?,
    };
    let result = executor.run(&news);
    executor.observer.end();
    // If we leave early, dropping a process's standard input tells it that nobody waits any more.
    result?;
    let mut summary = executor.summary;
    summary.complete.sort_unstable();
    summary.interrupted.sort_unstable();
    summary.not_begun.sort_unstable();
    summary.failed.sort_by_key(|failure| failure.run);
    Ok(summary)
}

/// Removes what a process that died right after it completed a run has left there.
///
/// # Errors
/// The files of a run cannot be read or removed.
pub fn tidy_complete(sweep: &SweepDir) -> Result<()> {
    for run in sweep.indices()? {
        let dir = sweep.run(run);
        let leftovers = dir.state().exists() || dir.lease().exists();
        if leftovers && !files::is_locked(&dir.lock()) && state::of(&dir)?.state == RunState::Complete {
            tidy(&dir)?;
        }
    }
    Ok(())
}

/// The process of a run.
struct Worker {
    run: usize,
    place: usize,
    /// Attempts of ours before this one.
    tried: u32,
    child: Child,
    input: Option<ChildStdin>,
    /// What it said last on standard error.
    said: VecDeque<String>,
    /// Outputs that are still open.
    open: usize,
    ended: Option<(ExitStatus, Instant)>,
    /// When it was last heard of.
    heard: Instant,
    /// Whether it is in the middle of an epoch, and expected to make another step.
    steps: bool,
    /// Why we ended it, if we did.
    killed: Option<String>,
}

enum News {
    Output(String),
    Error(String),
    Closed,
}

struct Executor<'a, F> {
    sweep: &'a SweepDir,
    options: &'a Options,
    stop: &'a Stop,
    observer: &'a mut dyn Observer,
    command: &'a F,
    sender: Sender<(u64, News)>,
    /// Runs to begin, with the attempts of ours that failed.
    queue: VecDeque<(usize, u32)>,
    elsewhere: Vec<(usize, u32)>,
    working: BTreeMap<u64, Worker>,
    next_token: u64,
    summary: Summary,
    guard: Guard,
}

impl<F: Fn(usize) -> Command> Executor<'_, F> {
    fn run(&mut self, news: &Receiver<(u64, News)>) -> Result<()> {
        tidy_complete(self.sweep)?;
        self.observer.begin(self.queue.len());
        let mut told: Option<Instant> = None;
        let mut named = false;
        let mut looked = Instant::now();
        loop {
            if self.stop.asked() {
                if told.is_none() {
                    self.tell_to_stop();
                    told = Some(Instant::now());
                }
                let waiting: Vec<usize> =
                    self.queue.drain(..).chain(self.elsewhere.drain(..)).map(|held| held.0).collect();
                self.summary.not_begun.extend(&waiting);
                self.summary.interrupted.extend(waiting);
                if self.stop.insisted() {
                    self.end_all("was asked twice to stop");
                } else if !named && told.is_some_and(|at| at.elapsed() > NAMED_AFTER) {
                    self.name_the_slow();
                    named = true;
                }
            } else {
                self.fill_places()?;
            }
            if looked.elapsed() >= LOOK {
                if let Err(error) = self.guard.check() {
                    self.tell_to_stop();
                    return Err(error);
                }
                self.look_elsewhere()?;
                self.end_the_stuck();
                looked = Instant::now();
            }
            if self.queue.is_empty() && self.elsewhere.is_empty() && self.working.is_empty() {
                return Ok(());
            }
            if let Ok(item) = news.recv_timeout(TICK) {
                self.hear(item);
                for item in news.try_iter() {
                    self.hear(item);
                }
            }
            self.reap()?;
        }
    }

    fn fill_places(&mut self) -> Result<()> {
        while self.working.len() < self.options.threads.len().max(1) {
            let Some((run, tried)) = self.queue.pop_front() else { return Ok(()) };
            match state::of(&self.sweep.run(run))?.state {
                RunState::Complete => self.completed(run)?,
                RunState::Running => self.found_elsewhere(run, tried),
                RunState::Pending | RunState::Failed | RunState::Interrupted => self.start(run, tried),
            }
        }
        Ok(())
    }

    fn start(&mut self, run: usize, tried: u32) {
        let taken: Vec<usize> = self.working.values().map(|worker| worker.place).collect();
        let place = (0..).find(|place| !taken.contains(place)).unwrap_or_default();
        let threads = self.options.threads.get(place).copied().unwrap_or(1).to_string();
        let mut command = (self.command)(run);
        command.env("RAYON_NUM_THREADS", &threads).env("POLARS_MAX_THREADS", &threads).env(PARENT_VARIABLE, "1");
        if let Some(device) = self.options.devices.get(place % self.options.devices.len().max(1)) {
            command.env(Backend::DEVICE_VARIABLE, device);
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(cause) => {
                let program = command.get_program().display();
                return self.failed_attempt(run, tried, vec![format!("cannot start {program}: {cause}")]);
            }
        };
        let token = self.next_token;
        self.next_token += 1;
        let mut open = 0;
        if let Some(output) = child.stdout.take() {
            open += 1;
            listen(output, News::Output, token, self.sender.clone());
        }
        if let Some(errors) = child.stderr.take() {
            open += 1;
            listen(errors, News::Error, token, self.sender.clone());
        }
        let input = child.stdin.take();
        self.observer.started(run, tried + 1);
        let said = VecDeque::new();
        let worker = Worker {
            run,
            place,
            tried,
            child,
            input,
            said,
            open,
            ended: None,
            heard: Instant::now(),
            steps: false,
            killed: None,
        };
        self.working.insert(token, worker);
    }

    fn hear(&mut self, (token, news): (u64, News)) {
        let Some(worker) = self.working.get_mut(&token) else { return };
        match news {
            News::Output(line) => match ProgressLine::parse(&line) {
                Some(progress) => {
                    // After the last step of an epoch a run records, which may take its time.
                    (worker.heard, worker.steps) = (Instant::now(), progress.step < progress.steps);
                    self.observer.progress(worker.run, &progress);
                }
                None => self.observer.message(worker.run, &line),
            },
            News::Error(line) => {
                self.observer.message(worker.run, &line);
                if worker.said.len() == LINES {
                    worker.said.pop_front();
                }
                worker.said.push_back(line);
            }
            News::Closed => worker.open = worker.open.saturating_sub(1),
        }
    }

    /// Judges the processes that have ended.
    fn reap(&mut self) -> Result<()> {
        for worker in self.working.values_mut() {
            if worker.ended.is_none() {
                let ended = worker.child.try_wait().map_err(|cause| {
                    Error::Unexpected(format!("cannot wait for the process of run {}: {cause}", worker.run))
                })?;
                worker.ended = ended.map(|status| (status, Instant::now()));
            }
        }
        let quiet = |worker: &Worker| worker.ended.is_some_and(|(_, at)| worker.open == 0 || at.elapsed() > TRICKLE);
        let ended: Vec<u64> =
            self.working.iter().filter(|(_, worker)| quiet(worker)).map(|(token, _)| *token).collect();
        for token in ended {
            if let Some(worker) = self.working.remove(&token) {
                self.judge(worker)?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, worker: Worker) -> Result<()> {
        let run = worker.run;
        let dir = self.sweep.run(run);
        let Some((status, _)) = worker.ended else { return Ok(()) };
        self.guard.check()?;
        let found = state::of(&dir)?;
        let stopped = status.code() == Some(i32::from(exit::INTERRUPTED));
        match found.state {
            RunState::Complete => return self.completed(run),
            RunState::Running => {
                self.found_elsewhere(run, worker.tried);
                return Ok(());
            }
            RunState::Pending | RunState::Failed | RunState::Interrupted => {}
        }
        if self.stop.asked() || (stopped && worker.tried >= self.options.retries) {
            if let Some(why) = &worker.killed {
                let pid = worker.child.id();
                self.observer.message(run, &format!("its process {pid} {why} and was ended; its saved state is kept"));
            }
            self.summary.interrupted.push(run);
            self.observer.ended(run, Ended::Interrupted);
            return Ok(());
        }
        let mut errors = found.errors;
        if found.state != RunState::Failed {
            errors = worker.said.into();
            // The last line is what the sweep's own error quotes: what the process said, unless it was cut short.
            let place = if status.code().is_some() { 0 } else { errors.len() };
            let killed = worker.killed.as_ref().map(|why| format!("its process {why} and was ended"));
            errors.insert(place, killed.clone().unwrap_or_else(|| describe(status)));
            // A process that was killed leaves an interrupted run; one that gave up by itself or got stuck, a failed one.
            if (status.code().is_some() && !stopped) || worker.killed.is_some() {
                record_failure(&dir, found.attempt, errors.clone())
                    .unwrap_or_else(|error| errors.push(error.to_string()));
            }
        }
        self.failed_attempt(run, worker.tried, errors);
        Ok(())
    }

    fn failed_attempt(&mut self, run: usize, tried: u32, errors: Vec<String>) {
        if tried < self.options.retries {
            self.observer.ended(run, Ended::Retried(&errors));
            self.queue.push_back((run, tried + 1));
        } else {
            self.observer.ended(run, Ended::Failed(&errors));
            self.summary.failed.push(Failure { run, errors });
        }
    }

    /// Ends the processes that have made no step for longer than [`Options::stall`], or, while they start, record or save,
    /// for longer than [`BETWEEN_STEPS`] times that.
    fn end_the_stuck(&mut self) {
        let Some(limit) = self.options.stall else { return };
        for worker in self.working.values_mut() {
            let limit = if worker.steps { limit } else { BETWEEN_STEPS * limit };
            if worker.killed.is_none() && worker.heard.elapsed() > limit {
                let times = if worker.steps { String::new() } else { format!("{BETWEEN_STEPS} times ") };
                worker.killed = Some(format!("made no step for {} s ({times}train.stall)", limit.as_secs()));
                // One that cannot be killed has ended.
                let _ = worker.child.kill();
            }
        }
    }

    /// Ends every process that is left, which costs what it did since its last saved state.
    fn end_all(&mut self, why: &str) {
        for worker in self.working.values_mut() {
            if worker.killed.is_none() {
                worker.killed = Some(why.to_owned());
                let _ = worker.child.kill();
            }
        }
    }

    /// Says which processes have not stopped yet.
    fn name_the_slow(&mut self) {
        for worker in self.working.values() {
            let pid = worker.child.id();
            let text =
                format!("its process {pid} has not stopped yet; another Ctrl-C ends it, and its saved state is kept");
            self.observer.message(worker.run, &text);
        }
    }

    fn completed(&mut self, run: usize) -> Result<()> {
        self.guard.check()?;
        tidy(&self.sweep.run(run))?;
        self.observer.ended(run, Ended::Complete);
        self.summary.complete.push(run);
        Ok(())
    }

    fn found_elsewhere(&mut self, run: usize, tried: u32) {
        self.observer.ended(run, Ended::Elsewhere);
        self.elsewhere.push((run, tried));
    }

    fn look_elsewhere(&mut self) -> Result<()> {
        for (run, tried) in std::mem::take(&mut self.elsewhere) {
            match state::of(&self.sweep.run(run))?.state {
                RunState::Running => self.elsewhere.push((run, tried)),
                // What has gone on or ended in the meantime is looked at when its turn comes.
                _ => self.queue.push_front((run, tried)),
            }
        }
        Ok(())
    }

    /// Asks every process to save its state and end; each also sees its standard input close.
    fn tell_to_stop(&mut self) {
        let pids: Vec<Pid> = self.working.values().map(|worker| Pid::from_u32(worker.child.id())).collect();
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, ProcessRefreshKind::nothing());
        for pid in &pids {
            // One that cannot be signalled has ended, or lives on a system without signals.
            let _ = system.process(*pid).and_then(|process| process.kill_with(Signal::Term));
        }
        for worker in self.working.values_mut() {
            worker.input = None;
        }
    }
}
