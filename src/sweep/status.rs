//! A sweep at a glance: what `harness status` shows.

use jiff::Timestamp;
use serde::Serialize;

use super::state::{self, RunState};
use crate::error::Result;
use crate::record::{Expected, FileEntry, RunDir, RunManifest, SavedState, SweepDir, SweepManifest, files};

/// Name and version of the JSON.
pub const SCHEMA: &str = "harness.status/1";

/// A whole sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SweepStatus {
    pub schema: &'static str,
    pub name: String,
    pub hash: String,
    pub counts: Counts,
    pub runs: Vec<RunStatus>,
}

/// How many runs are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub pending: usize,
    pub running: usize,
    pub complete: usize,
    pub failed: usize,
    pub interrupted: usize,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunStatus {
    pub run: usize,
    pub state: RunState,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Epochs that are recorded or saved.
    pub epoch: usize,
    /// Where it is trained.
    pub host: Option<String>,
    pub pid: Option<u32>,
    pub since: Option<Timestamp>,
    /// What a batch system says of it: `PENDING (Resources)`.
    pub queue: Option<String>,
    /// The last thing that a failed run said.
    pub error: Option<String>,
}

impl Counts {
    fn of(runs: &[RunStatus]) -> Self {
        let count = |state| runs.iter().filter(|run| run.state == state).count();
        Self {
            pending: count(RunState::Pending),
            running: count(RunState::Running),
            complete: count(RunState::Complete),
            failed: count(RunState::Failed),
            interrupted: count(RunState::Interrupted),
        }
    }
}

/// How `sweep` stands, as its files say.
///
/// # Errors
/// The files cannot be read.
pub fn status(sweep: &SweepDir, manifest: &SweepManifest) -> Result<SweepStatus> {
    let mut expected = Expected::of(manifest);
    let runs = (0..manifest.runs).map(|run| run_status(&sweep.run(run), &mut expected)).collect::<Result<Vec<_>>>()?;
    Ok(SweepStatus {
        schema: SCHEMA,
        name: manifest.name.clone(),
        hash: manifest.hash.clone(),
        counts: Counts::of(&runs),
        runs,
    })
}

/// The runs that are neither complete nor under way.
///
/// # Errors
/// The files cannot be read.
pub fn missing(sweep: &SweepDir, runs: usize) -> Result<Vec<usize>> {
    let mut missing = Vec::new();
    for run in 0..runs {
        if !matches!(state::of(&sweep.run(run))?.state, RunState::Complete | RunState::Running) {
            missing.push(run);
        }
    }
    Ok(missing)
}

fn run_status(dir: &RunDir, expected: &mut Expected) -> Result<RunStatus> {
    let mut found = state::of(dir)?;
    let mut epoch = None;
    if found.state == RunState::Complete {
        let manifest = found.manifest.take();
        if let Some(why) = manifest.as_ref().and_then(|manifest| unreliable(dir, manifest, expected)) {
            found.state = RunState::Failed;
            found.errors.push(why);
        }
        epoch = manifest.and_then(|manifest| manifest.outcome).map(|outcome| outcome.epochs);
    } else if let Ok(Some(bytes)) = files::read_if_there(&dir.state()) {
        // A state that cannot be used is as good as none; the run will start anew.
        epoch = SavedState::decode(&bytes, &dir.state()).ok().map(|file| file.state.epoch);
    }
    Ok(RunStatus {
        run: dir.index(),
        state: found.state,
        attempt: found.attempt,
        epoch: epoch.unwrap_or_default(),
        host: found.holder.as_ref().map(|holder| holder.process.host.clone()),
        pid: found.holder.as_ref().map(|holder| holder.process.pid),
        since: found.holder.as_ref().map(|holder| holder.since),
        queue: None,
        error: found.errors.pop(),
    })
}

/// Why a run that calls itself complete is not, as far as can be seen without reading its files.
fn unreliable(dir: &RunDir, manifest: &RunManifest, expected: &mut Expected) -> Option<String> {
    if let Some(stranger) = expected.stranger(manifest, dir.index()) {
        return Some(format!("it {stranger}"));
    }
    let visible = |entry: &FileEntry| {
        entry.visible_damage(&dir.root().join(&entry.path)).map(|damage| format!("{} {damage}", entry.path))
    };
    let damage = manifest.files.iter().find_map(visible)?;
    Some(format!("it is damaged: {damage}; `harness resume` trains it again"))
}
