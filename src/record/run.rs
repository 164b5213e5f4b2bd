//! Writing one run: [`RunWriter`] keeps the promises of a run's directory that readers rely on.
//!
//! Order is what makes a run restartable: the files of a checkpoint are written before the state that vouches for them,
//! the manifest after everything, and the state is removed after the manifest. Whoever holds the run's lease may write.

use std::collections::BTreeMap;

use super::files;
use super::layout::{self, RunDir};
use super::manifest::{FileEntry, Outcome, RUN_SCHEMA, RunManifest, Status};
use super::metrics::{self, EpochMetrics};
use super::soft::SoftDecisions;
use super::state::State;
use super::tensors::Tensors;
use crate::error::{Error, Result};

/// How a run begins.
#[derive(Debug)]
pub enum Begin {
    /// There is nothing to do.
    Complete,
    /// From the start. The text says why a saved state could not be used, if there was one.
    Start(RunWriter, Option<String>),
    /// From a saved state.
    Resume(RunWriter, Box<State>),
}

/// Writes the files of one run.
#[derive(Debug)]
pub struct RunWriter {
    dir: RunDir,
    attempt: u32,
    files: BTreeMap<String, FileEntry>,
}

impl RunWriter {
    /// Looks at what is there, sweeps up what an earlier attempt left, and begins attempt number `attempt`. A saved state
    /// is used only if it and every file that it vouches for are intact; otherwise the run starts anew.
    ///
    /// # Errors
    /// `Invalid` if another version of harness wrote the run; whatever the file system refuses.
    pub fn begin(dir: &RunDir, attempt: u32) -> Result<Begin> {
        files::create_folder(dir.root())?;
        match RunManifest::read(&dir.manifest()) {
            Ok(Some(manifest)) if manifest.status == Status::Complete => {
                tidy(dir)?;
                return Ok(Begin::Complete);
            }
            // A failed run is tried again, and one whose manifest is damaged is made again.
            Ok(Some(_)) | Err(Error::Corrupt(_)) => {
                files::remove(&dir.manifest())?;
            }
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        files::remove_temporaries(dir.root())?;
        let mut writer = Self { dir: dir.clone(), attempt, files: BTreeMap::new() };
        let why = match saved_state(dir)? {
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
    pub fn save_state(&mut self, state: &State) -> Result<()> {
        files::write(&self.dir.state(), &state.encode(self.files.values().cloned().collect())?)
    }

    /// Completes the run: metrics, then the manifest; then the state is no longer needed.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn finish(mut self, metrics: &[EpochMetrics], mut outcome: Outcome) -> Result<()> {
        let bytes = metrics::encode(metrics)?;
        self.file(self.dir.metrics(), &bytes)?;
        outcome.provenance.ended = Some(jiff::Timestamp::now());
        let manifest = RunManifest {
            schema: RUN_SCHEMA.into(),
            run: self.dir.index(),
            status: Status::Complete,
            attempt: self.attempt,
            outcome: Some(outcome),
            errors: Vec::new(),
            files: self.files.into_values().collect(),
        };
        manifest.write(&self.dir.manifest())?;
        tidy(&self.dir)
    }

    /// Records that the run failed; its state stays, so that another attempt goes on from there.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn fail(self, errors: Vec<String>) -> Result<()> {
        record_failure(&self.dir, self.attempt, errors)
    }

    fn checkpoint_file(&mut self, epoch: usize, name: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.dir.checkpoint(epoch);
        files::create_folder(&folder)?;
        self.file(folder.join(name), bytes)
    }

    fn file(&mut self, path: std::path::PathBuf, bytes: &[u8]) -> Result<()> {
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
    if matches!(RunManifest::read(&dir.manifest()), Ok(Some(manifest)) if manifest.status == Status::Complete) {
        return Ok(());
    }
    files::create_folder(dir.root())?;
    let manifest = RunManifest {
        schema: RUN_SCHEMA.into(),
        run: dir.index(),
        status: Status::Failed,
        attempt,
        outcome: None,
        errors,
        files: Vec::new(),
    };
    manifest.write(&dir.manifest())
}

/// Removes from a complete run what only an unfinished one needs.
///
/// # Errors
/// Whatever the file system refuses.
pub fn tidy(dir: &RunDir) -> Result<()> {
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
    Usable(Box<State>, Vec<FileEntry>),
    Unusable(String),
}

fn saved_state(dir: &RunDir) -> Result<Saved> {
    let Some(bytes) = files::read_if_there(&dir.state())? else { return Ok(Saved::None) };
    let (state, entries) = match State::decode(&bytes, &dir.state().display().to_string()) {
        Ok(read) => read,
        Err(error) => return Ok(Saved::Unusable(error.to_string())),
    };
    for entry in &entries {
        if let Some(complaint) = complaint(dir, entry)? {
            let path = dir.root().join(&entry.path);
            return Ok(Saved::Unusable(format!("{} {complaint}", path.display())));
        }
    }
    Ok(Saved::Usable(Box::new(state), entries))
}

/// What is wrong with a file on disk; `None` if nothing is.
pub(super) fn complaint(dir: &RunDir, entry: &FileEntry) -> Result<Option<String>> {
    Ok(match files::read_if_there(&dir.root().join(&entry.path))? {
        None => Some("is missing".into()),
        Some(bytes) => entry.complaint(&bytes),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::fault;
    use super::super::layout::SweepDir;
    use super::super::reader::RunReader;
    use super::super::testing::{array, fake_run, finish, folder, soft};
    use super::*;

    /// The bytes of all files of a run but the manifest, whose times differ.
    fn contents(dir: &RunDir) -> Vec<(String, Vec<u8>)> {
        let files = files::walk(dir.root()).unwrap().into_iter().filter(|path| *path != dir.manifest());
        files.map(|path| (dir.relative(&path).unwrap(), files::read(&path).unwrap())).collect()
    }

    fn run_in(folder: &Path) -> RunDir {
        SweepDir::new(folder).run(3)
    }

    #[test]
    fn a_run_reads_back() {
        let folder = folder();
        let dir = run_in(folder.path());
        assert!(matches!(RunReader::open(&dir), Err(Error::RunsFailed(_))));
        finish(&dir, 1).unwrap();
        let run = RunReader::open(&dir).unwrap();
        assert_eq!(run.epochs(), [0, 2, 4]);
        assert_eq!(run.epochs_with(layout::WEIGHTS), [4]);
        assert_eq!(run.soft(2).unwrap(), soft(3, 2));
        assert_eq!(run.kernel(4).unwrap(), Some(array(3, 4)));
        assert_eq!(run.weights(0).unwrap(), None);
        assert_eq!(run.metrics().unwrap().len(), 4);
        assert!(run.soft(1).unwrap_err().to_string().contains("not recorded"));
        assert!(run.outcome().provenance.ended.is_some());
        assert!(!dir.state().exists());
        assert!(matches!(RunWriter::begin(&dir, 2).unwrap(), Begin::Complete));
    }

    #[test]
    fn an_interrupted_run_goes_on_and_ends_with_the_same_bytes() {
        let folder = folder();
        let whole = SweepDir::new(&folder.path().join("whole")).run(3);
        finish(&whole, 1).unwrap();
        for stop in 1..=4 {
            let dir = SweepDir::new(&folder.path().join(stop.to_string())).run(3);
            fake_run(&dir, 1, &mut |epoch| epoch < stop).unwrap();
            match RunWriter::begin(&dir, 1).unwrap() {
                Begin::Start(_, why) if stop == 1 => assert_eq!(why, None),
                Begin::Resume(_, state) => assert_eq!(state.epoch, stop - 1),
                begin => panic!("stop {stop}: {begin:?}"),
            }
            finish(&dir, 2).unwrap();
            assert_eq!(contents(&dir), contents(&whole), "stop {stop}");
        }
    }

    #[test]
    fn a_state_is_not_used_when_a_file_it_vouches_for_is_damaged() {
        let folder = folder();
        let dir = run_in(folder.path());
        fake_run(&dir, 1, &mut |epoch| epoch < 4).unwrap();
        let broken = dir.checkpoint(2).join(layout::SOFT);
        let mut bytes = files::read(&broken).unwrap();
        bytes[40] ^= 1;
        files::write(&broken, &bytes).unwrap();
        match RunWriter::begin(&dir, 2).unwrap() {
            Begin::Start(_, Some(why)) => assert!(why.contains("checkpoints/0002/soft.parquet"), "{why}"),
            begin => panic!("{begin:?}"),
        }
        assert!(!dir.checkpoints().exists() && !dir.state().exists());
    }

    #[test]
    fn a_failed_run_keeps_its_state_and_is_tried_again() {
        let folder = folder();
        let dir = run_in(folder.path());
        fake_run(&dir, 1, &mut |epoch| epoch < 3).unwrap();
        match RunWriter::begin(&dir, 1).unwrap() {
            Begin::Resume(writer, _) => writer.fail(vec!["out of luck".into()]).unwrap(),
            begin => panic!("{begin:?}"),
        }
        let error = RunReader::open(&dir).unwrap_err();
        assert!(matches!(&error, Error::RunsFailed(text) if text.contains("out of luck")), "{error}");
        assert!(matches!(RunWriter::begin(&dir, 2).unwrap(), Begin::Resume(_, state) if state.epoch == 2));
        assert!(!dir.manifest().exists());
        finish(&dir, 2).unwrap();
        record_failure(&dir, 3, vec!["too late".into()]).unwrap();
        RunReader::open(&dir).unwrap();
    }

    #[test]
    fn a_failure_at_any_operation_is_made_good_by_another_attempt() {
        let folder = folder();
        let whole = SweepDir::new(&folder.path().join("whole")).run(3);
        finish(&whole, 1).unwrap();
        for kind in ["short", "space", "rename", "any"] {
            let mut at = 1;
            loop {
                let dir = SweepDir::new(&folder.path().join(format!("{kind}-{at}"))).run(3);
                let (result, seen) = fault::testing::with(&format!("{kind}:{at}"), || finish(&dir, 1));
                assert_eq!(result.is_err(), seen >= at, "{kind}:{at}");
                if seen < at {
                    break;
                }
                finish(&dir, 2).unwrap();
                assert_eq!(contents(&dir), contents(&whole), "{kind}:{at}");
                at += 1;
            }
            assert!(at > 10, "{kind} met only {} operations", at - 1);
        }
    }
}
