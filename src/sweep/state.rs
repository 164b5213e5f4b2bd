//! How each run stands, as the files say: nothing is remembered anywhere else.

use serde::{Deserialize, Serialize};

use super::belongs::is_unusable;
use super::lease::{self, Holder, Tenure};
use crate::error::Result;
use crate::record::{RunDir, RunManifest, Status};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Not begun.
    Pending,
    /// A living process trains it.
    Running,
    /// Everything is recorded.
    Complete,
    /// It ended with an error.
    Failed,
    /// Its process has gone; it can go on from its last saved state.
    Interrupted,
}

impl RunState {
    /// Its name, as in `--json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One run as its files tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standpoint {
    pub run: usize,
    pub state: RunState,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Who trains it, where that is known.
    pub holder: Option<Holder>,
    /// What a failed run said last.
    pub errors: Vec<String>,
    /// Its manifest, where it is complete.
    pub manifest: Option<Box<RunManifest>>,
}

/// How the run in `dir` stands.
///
/// # Errors
/// Its files cannot be read. A manifest that is damaged or of another version makes the run `failed`, with the reason.
pub fn of(dir: &RunDir) -> Result<Standpoint> {
    let run = dir.index();
    let manifest = match RunManifest::read(dir) {
        Err(error) if is_unusable(&error) => Err(error.to_string()),
        read => Ok(read?),
    };
    // Of a complete run only the files that it lists are ever read.
    let linked = match &manifest {
        Ok(Some(manifest)) if manifest.status == Status::Complete => manifest.refuse_links(dir),
        _ => dir.refuse_links(),
    };
    if let Err(error) = linked {
        let errors = vec![error.to_string()];
        return Ok(Standpoint { run, state: RunState::Failed, attempt: 0, holder: None, errors, manifest: None });
    }
    let manifest = match manifest {
        Ok(Some(manifest)) if manifest.status == Status::Complete => {
            let (attempt, manifest) = (manifest.attempt, Some(Box::new(manifest)));
            return Ok(Standpoint {
                run,
                state: RunState::Complete,
                attempt,
                holder: None,
                errors: Vec::new(),
                manifest,
            });
        }
        manifest => manifest,
    };
    let (holder, lives) = match lease::tenure(dir)? {
        Tenure::Free => (None, false),
        Tenure::Held(holder) => (holder, true),
        Tenure::Abandoned(holder) => (Some(holder), false),
    };
    let mut attempt = holder.as_ref().map_or(0, |holder| holder.attempt);
    let (state, errors) = match manifest {
        _ if lives => (RunState::Running, Vec::new()),
        Ok(Some(manifest)) => {
            attempt = attempt.max(manifest.attempt);
            (RunState::Failed, manifest.errors)
        }
        Err(error) => (RunState::Failed, vec![error]),
        Ok(None) if holder.is_some() || dir.state().exists() => (RunState::Interrupted, Vec::new()),
        Ok(None) => (RunState::Pending, Vec::new()),
    };
    let holder = holder.filter(|_| lives).map(|holder| *holder);
    Ok(Standpoint { run, state, attempt, holder, errors, manifest: None })
}

#[cfg(test)]
mod tests {
    use super::super::lease::Lease;
    use super::*;
    use crate::record::testing::{fake_run, finish};
    use crate::record::{SweepDir, files, record_failure};

    #[test]
    fn a_run_goes_through_its_states() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SweepDir::new(folder.path()).run(0);
        let state = || of(&dir).unwrap().state;
        assert_eq!(state(), RunState::Pending);
        let lease = Lease::acquire(&dir).unwrap();
        let standpoint = of(&dir).unwrap();
        assert_eq!((standpoint.state, standpoint.attempt), (RunState::Running, 1));
        assert_eq!(standpoint.holder.unwrap().process.pid, std::process::id());
        drop(lease);
        assert_eq!(state(), RunState::Interrupted);

        let lease = Lease::acquire(&dir).unwrap();
        record_failure(&dir, lease.attempt(), vec!["first".into(), "last".into()]).unwrap();
        assert_eq!(state(), RunState::Running);
        drop(lease);
        let standpoint = of(&dir).unwrap();
        assert_eq!((standpoint.state, standpoint.attempt), (RunState::Failed, 2));
        assert_eq!(standpoint.errors, ["first", "last"]);

        let lease = Lease::acquire(&dir).unwrap();
        fake_run(&dir, lease.attempt(), &mut |epoch| epoch < 3).unwrap();
        drop(lease);
        assert_eq!(state(), RunState::Interrupted);

        let lease = Lease::acquire(&dir).unwrap();
        finish(&dir, lease.attempt()).unwrap();
        assert_eq!(state(), RunState::Complete);
        drop(lease);
        let standpoint = of(&dir).unwrap();
        assert_eq!((standpoint.state, standpoint.attempt), (RunState::Complete, 4));

        files::write(&dir.manifest(), b"{}").unwrap();
        let standpoint = of(&dir).unwrap();
        assert_eq!(standpoint.state, RunState::Failed);
        assert!(standpoint.errors[0].contains("run.json"), "{standpoint:?}");
    }
}
