//! Writing one run: [`RunWriter`] keeps the promises of a run's directory that readers rely on.
//!
//! Order is what makes a run restartable: the files of a checkpoint are written before the state that lists them, the
//! manifest after everything, and the state is removed after the manifest. Whoever holds the run's lease may write, for as
//! long as the run's folder is the one that it began in and the sweep around it is still of the same experiment.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::files::{self, Anchor};
use super::identity::RunIdentity;
use super::layout::{self, RunDir, SweepDir};
use super::manifest::{FileEntry, Outcome, RUN_SCHEMA, RunManifest, Status, SweepManifest};
use super::metrics::{self, EpochMetrics};
use super::soft::SoftDecisions;
use super::state::{SavedState, StateFile};
use super::tensors::Tensors;
use super::wrong::Stranger;
use crate::error::{Error, Result, exit};

/// How a run begins.
#[derive(Debug)]
pub enum Begin {
    /// There is nothing to do.
    Complete,
    /// From the start. The text says why a saved state could not be used, if there was one.
    Start(RunWriter, Option<String>),
    /// From a saved state.
    Resume(RunWriter, Box<SavedState>),
}

/// Writes the files of one run.
#[derive(Debug)]
pub struct RunWriter {
    dir: RunDir,
    attempt: u32,
    identity: RunIdentity,
    anchor: Anchor,
    files: BTreeMap<String, FileEntry>,
}

impl RunWriter {
    /// Looks at what is there, sweeps up what an earlier attempt left, and begins attempt number `attempt` at the run that
    /// `identity` names. A saved state is used only if it is of this very run and it and every file that it lists are
    /// intact; otherwise the run starts anew.
    ///
    /// # Errors
    /// `Invalid` if a newer version of harness wrote the run; `Corrupt` if it lies behind a link, or a run of another
    /// experiment lies in its place, which is left alone; whatever the file system refuses.
    pub fn begin(dir: &RunDir, attempt: u32, identity: &RunIdentity) -> Result<Begin> {
        dir.refuse_links()?;
        files::create_folder(dir.root())?;
        match RunManifest::read(dir) {
            Ok(Some(manifest)) => {
                RUN_SCHEMA.refuse_newer(&manifest.schema, &dir.manifest())?;
                if manifest.status == Status::Complete {
                    if let Some(stranger) = manifest.identity.as_ref().and_then(|found| identity.stranger(found)) {
                        return Err(foreign(dir, stranger));
                    }
                    tidy(dir)?;
                    return Ok(Begin::Complete);
                }
                // A failed run is tried again.
                files::remove(&dir.manifest())?;
            }
            // One whose manifest is damaged is made again.
            Err(error) if error.is_corrupt() => {
                files::remove(&dir.manifest())?;
            }
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        files::remove_temporaries(dir.root())?;
        let anchor = Anchor::new(dir.root())?;
        let mut writer = Self { dir: dir.clone(), attempt, identity: identity.clone(), anchor, files: BTreeMap::new() };
        let why = match saved_state(dir, identity)? {
            Saved::Usable(state, entries) => {
                writer.files = entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
                return Ok(Begin::Resume(writer, state));
            }
            Saved::None => None,
            Saved::Unusable(why) => Some(why),
        };
        files::remove(&dir.state())?;
        files::remove_folder(&dir.checkpoints())?;
        files::remove(&dir.metrics())?;
        Ok(Begin::Start(writer, why))
    }

    /// Whether the run may still be written: its folder is the one that it began in, nobody has begun a later attempt, and
    /// `sweep.json`, if it is there, is of the same experiment.
    fn check(&self) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Holder {
            attempt: u32,
        }
        self.anchor.check()?;
        // As after this machine stood still for longer than its heartbeat is waited for.
        let lease = files::read_if_there(&self.dir.lease()).ok().flatten();
        let complete = || matches!(RunManifest::read(&self.dir), Ok(Some(found)) if found.status == Status::Complete);
        if lease.is_none() && complete() {
            return Err(Error::Interrupted(format!(
                "run {} was finished by another process, and this one writes nothing more",
                self.dir.index()
            )));
        }
        let holder = lease.and_then(|bytes| serde_json::from_slice::<Holder>(&bytes).ok());
        if let Some(later) = holder.filter(|holder| holder.attempt > self.attempt) {
            return Err(Error::Interrupted(format!(
                "run {} was taken over by another process (attempt {}), and this one (attempt {}) writes nothing more",
                self.dir.index(),
                later.attempt,
                self.attempt
            )));
        }
        let sweep = SweepDir::new(&self.dir.sweep());
        match SweepManifest::read(&sweep) {
            Ok(Some(manifest)) if manifest.training.as_ref().is_some_and(|found| *found != self.identity.training) => {
                Err(Error::Invalid(format!(
                    "{} holds another experiment now than run {} began with, and nothing more of it is written there",
                    sweep.root().display(),
                    self.dir.index()
                )))
            }
            // A `sweep.json` that is damaged or missing can be made again, and the run stays what it is.
            _ => Ok(()),
        }
    }

    /// The directory that it writes to.
    #[must_use]
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Records the soft decisions after `epoch` epochs.
    ///
    /// # Errors
    /// As [`SoftDecisions::encode`] and [`files::write`].
    pub fn soft(&mut self, epoch: usize, soft: &SoftDecisions) -> Result<()> {
        self.checkpoint_file(epoch, layout::SOFT, &soft.encode()?)
    }

    /// Records the kernels after `epoch` epochs.
    ///
    /// # Errors
    /// As [`Tensors::encode`] and [`files::write`].
    pub fn kernel(&mut self, epoch: usize, kernel: &Tensors) -> Result<()> {
        self.checkpoint_file(epoch, layout::KERNEL, &kernel.encode()?)
    }

    /// Records the singular values of the weight matrices after `epoch` epochs.
    ///
    /// # Errors
    /// As [`Tensors::encode`] and [`files::write`].
    pub fn spectra(&mut self, epoch: usize, spectra: &Tensors) -> Result<()> {
        self.checkpoint_file(epoch, layout::SPECTRA, &spectra.encode()?)
    }

    /// Records the weights after `epoch` epochs.
    ///
    /// # Errors
    /// As [`Tensors::encode`] and [`files::write`].
    pub fn weights(&mut self, epoch: usize, weights: &Tensors) -> Result<()> {
        self.checkpoint_file(epoch, layout::WEIGHTS, &weights.encode()?)
    }

    /// Saves the state, after the files of the checkpoint of the same epoch if there is one.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn save_state(&mut self, state: &SavedState) -> Result<()> {
        self.check()?;
        files::write(&self.dir.state(), &state.encode(&self.identity, self.files.values().cloned().collect())?)
    }

    /// Completes the run: metrics, then the manifest; then the state is no longer needed.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn finish(mut self, metrics: &[EpochMetrics], mut outcome: Outcome) -> Result<()> {
        let bytes = metrics::encode(metrics)?;
        self.file(self.dir.metrics(), &bytes)?;
        outcome.provenance.ended = Some(jiff::Timestamp::now());
        self.check()?;
        let manifest = RunManifest {
            schema: RUN_SCHEMA.name(),
            run: self.dir.index(),
            identity: Some(self.identity),
            status: Status::Complete,
            attempt: self.attempt,
            outcome: Some(outcome),
            errors: Vec::new(),
            files: self.files.into_values().collect(),
            digest: None,
        };
        manifest.write(&self.dir)?;
        tidy(&self.dir)
    }

    /// Records that the run failed; its state stays, so that another attempt goes on from there.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn fail(self, errors: Vec<String>) -> Result<()> {
        self.check()?;
        record_failure(&self.dir, self.attempt, errors)
    }

    fn checkpoint_file(&mut self, epoch: usize, name: &str, bytes: &[u8]) -> Result<()> {
        self.check()?;
        let folder = self.dir.checkpoint(epoch);
        files::create_folder(&folder)?;
        self.file(folder.join(name), bytes)
    }

    fn file(&mut self, path: std::path::PathBuf, bytes: &[u8]) -> Result<()> {
        self.check()?;
        files::write(&path, bytes)?;
        let relative = self
            .dir
            .relative(&path)
            .ok_or_else(|| Error::Unexpected(format!("{} does not belong to the run", path.display())))?;
        self.files.insert(relative.clone(), FileEntry::of(relative, bytes));
        Ok(())
    }
}

/// Records that attempt number `attempt` of a run failed, for a process that could not do so itself. A complete run stays
/// complete.
///
/// # Errors
/// As [`files::write`].
pub fn record_failure(dir: &RunDir, attempt: u32, errors: Vec<String>) -> Result<()> {
    if matches!(RunManifest::read(dir), Ok(Some(manifest)) if manifest.status == Status::Complete) {
        return Ok(());
    }
    dir.refuse_links()?;
    files::create_folder(dir.root())?;
    let manifest = RunManifest {
        schema: RUN_SCHEMA.name(),
        run: dir.index(),
        identity: None,
        status: Status::Failed,
        attempt,
        outcome: None,
        errors,
        files: Vec::new(),
        digest: None,
    };
    manifest.write(dir)
}

/// Forgets a run, so that it is trained again. Whoever calls it holds the run's lock, or knows that nobody does.
///
/// # Errors
/// `Corrupt` if it lies behind a link; whatever the file system refuses.
pub fn forget(dir: &RunDir) -> Result<()> {
    dir.refuse_links()?;
    // The manifest goes first: without it nobody takes the run for complete.
    files::remove(&dir.manifest())?;
    files::remove(&dir.state())?;
    files::remove_folder(&dir.checkpoints())?;
    files::remove(&dir.metrics()).map(|_| ())
}

/// The error that says that what lies in the place of a run is not the run.
pub fn foreign(dir: &RunDir, stranger: Stranger) -> Error {
    let (root, run) = (dir.root().display(), dir.index());
    let sentence = format!("{root} {stranger}: move it away, and `harness resume` trains run {run}");
    Error::caused(exit::CORRUPT, sentence, stranger)
}

/// Removes from a complete run what only an unfinished one needs.
///
/// # Errors
/// Whatever the file system refuses.
pub fn tidy(dir: &RunDir) -> Result<()> {
    dir.refuse_links()?;
    files::remove_temporaries(dir.root())?;
    files::remove(&dir.state())?;
    for path in files::walk(dir.root())? {
        if dir.is_claim(&path) {
            files::remove(&path)?;
        }
    }
    files::remove(&dir.lease()).map(|_| ())
}

enum Saved {
    None,
    Usable(Box<SavedState>, Vec<FileEntry>),
    Unusable(String),
}

fn saved_state(dir: &RunDir, identity: &RunIdentity) -> Result<Saved> {
    let path = dir.state();
    let bytes = match files::read_if_there(&path) {
        Err(error) if error.is_corrupt() => return Ok(Saved::Unusable(error.to_string())),
        read => read?,
    };
    let Some(bytes) = bytes else { return Ok(Saved::None) };
    let StateFile { state, identity: found, files: entries, newer } = match SavedState::decode(&bytes, &path) {
        Ok(read) => read,
        Err(error) => return Ok(Saved::Unusable(error.to_string())),
    };
    let name = path.display();
    if newer {
        return Err(Error::Invalid(format!(
            "{name} was saved by a newer version of harness: go on with that one, or remove the file to train the run anew"
        )));
    }
    let Some(found) = found else {
        let why = format!("{name} was saved by an older version of harness, which did not say for which experiment");
        return Ok(Saved::Unusable(why));
    };
    if let Some(stranger) = identity.stranger(&found) {
        return Ok(Saved::Unusable(format!("{name} {stranger}")));
    }
    for entry in &entries {
        let path = dir.root().join(&entry.path);
        files::refuse_links(&dir.sweep(), &path)?;
        if let Some(damage) = entry.damage_at(&path) {
            return Ok(Saved::Unusable(format!("{} {damage}", path.display())));
        }
    }
    Ok(Saved::Usable(Box::new(state), entries))
}
