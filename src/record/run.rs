//! Writing one run: [`RunWriter`] keeps the promises of a run's directory that readers rely on.
//!
//! Order is what makes a run restartable: the files of a checkpoint are written before the state that lists them, the
//! manifest after everything, and the state is removed after the manifest. Whoever holds the run's lease may write, for as
//! long as the run's folder is the one that it began in and the sweep around it is still of the same experiment.

use std::collections::BTreeMap;

use super::files::{self, Anchor};
use super::identity::RunIdentity;
use super::layout::{self, RunDir, SweepDir};
use super::manifest::{FileEntry, Outcome, RUN_SCHEMA, RunManifest, Status, SweepManifest};
use super::metrics::{self, EpochMetrics};
use super::soft::SoftDecisions;
use super::state::{SavedState, StateFile};
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
                    if let Some(complaint) = manifest.identity.as_ref().and_then(|found| identity.complaint(found)) {
                        return Err(foreign(dir, &complaint));
                    }
                    tidy(dir)?;
                    return Ok(Begin::Complete);
                }
                // A failed run is tried again.
                files::remove(&dir.manifest())?;
            }
            // One whose manifest is damaged is made again.
            Err(Error::Corrupt(_)) => {
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

    /// Whether the run may still be written: its folder is the one that it began in, and `sweep.json`, if it is there, is of
    /// the same experiment.
    fn check(&self) -> Result<()> {
        self.anchor.check()?;
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
pub(super) fn foreign(dir: &RunDir, complaint: &str) -> Error {
    Error::Corrupt(format!(
        "{} {complaint}: move it away, and `harness resume` trains run {}",
        dir.root().display(),
        dir.index()
    ))
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
        Err(Error::Corrupt(why)) => return Ok(Saved::Unusable(why)),
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
    if let Some(complaint) = identity.complaint(&found) {
        return Ok(Saved::Unusable(format!("{name} {complaint}")));
    }
    for entry in &entries {
        let path = dir.root().join(&entry.path);
        files::refuse_links(&dir.sweep(), &path)?;
        if let Some(complaint) = entry.complaint_at(&path) {
            return Ok(Saved::Unusable(format!("{} {complaint}", path.display())));
        }
    }
    Ok(Saved::Usable(Box::new(state), entries))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::fault;
    use super::super::layout::SweepDir;
    use super::super::reader::RunReader;
    use super::super::testing::{array, begin, fake_run, finish, folder, identity, soft, sweep_manifest};
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
        assert!(matches!(begin(&dir, 2).unwrap(), Begin::Complete));
    }

    #[test]
    fn an_interrupted_run_goes_on_and_ends_with_the_same_bytes() {
        let folder = folder();
        let whole = SweepDir::new(&folder.path().join("whole")).run(3);
        finish(&whole, 1).unwrap();
        for stop in 1..=4 {
            let dir = SweepDir::new(&folder.path().join(stop.to_string())).run(3);
            fake_run(&dir, 1, &mut |epoch| epoch < stop).unwrap();
            match begin(&dir, 1).unwrap() {
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
        match begin(&dir, 2).unwrap() {
            Begin::Start(_, Some(why)) => assert!(why.contains("checkpoints/0002/soft.parquet"), "{why}"),
            begin => panic!("{begin:?}"),
        }
        assert!(!dir.checkpoints().exists() && !dir.state().exists());
    }

    #[test]
    fn a_state_of_another_run_experiment_or_data_is_not_used() {
        let folder = folder();
        let dir = run_in(folder.path());
        type Change = fn(&mut RunIdentity);
        let changes: [(Change, &str); 4] = [
            (|identity| identity.training = "ff".into(), "another experiment"),
            (|identity| identity.data = "ff".into(), "other data"),
            (|identity| identity.run = 4, "is of run 3"),
            (|identity| identity.streams.clear(), "other random streams"),
        ];
        for (change, expected) in changes {
            fake_run(&dir, 1, &mut |epoch| epoch < 3).unwrap();
            let mut other = identity(3);
            change(&mut other);
            match RunWriter::begin(&dir, 2, &other).unwrap() {
                Begin::Start(_, Some(why)) => assert!(why.contains(expected), "{why}"),
                begin => panic!("{expected}: {begin:?}"),
            }
            assert!(!dir.checkpoints().exists() && !dir.state().exists());
        }
    }

    #[test]
    fn a_complete_run_of_another_experiment_is_left_alone() {
        let folder = folder();
        let dir = run_in(folder.path());
        finish(&dir, 1).unwrap();
        let before = contents(&dir);
        let other = RunIdentity { training: "ff".into(), ..identity(3) };
        let error = RunWriter::begin(&dir, 2, &other).unwrap_err();
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("another experiment")), "{error}");
        assert_eq!(contents(&dir), before);
    }

    #[test]
    fn a_writer_whose_folder_was_replaced_writes_no_more() {
        let folder = folder();
        let dir = run_in(folder.path());
        fake_run(&dir, 1, &mut |epoch| epoch < 2).unwrap();
        let Begin::Resume(mut writer, state) = begin(&dir, 2).unwrap() else { panic!("there is a state") };
        std::fs::remove_dir_all(dir.root()).unwrap();
        std::fs::create_dir(dir.root()).unwrap();
        assert!(matches!(writer.soft(2, &soft(3, 2)), Err(Error::Invalid(_))));
        assert!(matches!(writer.save_state(&state), Err(Error::Invalid(_))));
        assert!(matches!(writer.fail(vec!["late".into()]), Err(Error::Invalid(_))));
        assert_eq!(files::walk(dir.root()).unwrap(), Vec::<std::path::PathBuf>::new());
    }

    #[test]
    fn a_writer_in_a_sweep_that_became_another_writes_no_more() {
        let folder = folder();
        let dir = run_in(folder.path());
        let sweep = SweepDir::new(folder.path());
        let own = SweepManifest { training: Some(identity(3).training), ..sweep_manifest("a = 1\n", 4) };
        own.write(&sweep).unwrap();
        fake_run(&dir, 1, &mut |epoch| epoch < 2).unwrap();
        let Begin::Resume(mut writer, state) = begin(&dir, 2).unwrap() else { panic!("there is a state") };
        writer.save_state(&state).unwrap();
        SweepManifest { training: Some("ff".into()), ..own }.write(&sweep).unwrap();
        assert!(matches!(writer.save_state(&state), Err(Error::Invalid(text)) if text.contains("another experiment")));
    }

    #[test]
    #[cfg(unix)]
    fn a_linked_run_is_neither_entered_nor_cleaned() {
        let folder = folder();
        let dir = run_in(folder.path());
        let other = SweepDir::new(&folder.path().join("other")).run(3);
        finish(&other, 1).unwrap();
        let before = contents(&other);
        files::create_folder(dir.root().parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(other.root(), dir.root()).unwrap();
        assert!(matches!(begin(&dir, 1), Err(Error::Corrupt(text)) if text.contains("a link")));
        assert!(forget(&dir).is_err() && tidy(&dir).is_err() && RunReader::open(&dir).is_err());
        std::fs::remove_file(dir.root()).unwrap();
        files::create_folder(dir.root()).unwrap();
        std::os::unix::fs::symlink(other.checkpoints(), dir.checkpoints()).unwrap();
        assert!(begin(&dir, 1).is_err() && forget(&dir).is_err());
        assert_eq!(contents(&other), before);
    }

    #[test]
    fn a_failed_run_keeps_its_state_and_is_tried_again() {
        let folder = folder();
        let dir = run_in(folder.path());
        fake_run(&dir, 1, &mut |epoch| epoch < 3).unwrap();
        match begin(&dir, 1).unwrap() {
            Begin::Resume(writer, _) => writer.fail(vec!["out of luck".into()]).unwrap(),
            begin => panic!("{begin:?}"),
        }
        let error = RunReader::open(&dir).unwrap_err();
        assert!(matches!(&error, Error::RunsFailed(text) if text.contains("out of luck")), "{error}");
        assert!(matches!(begin(&dir, 2).unwrap(), Begin::Resume(_, state) if state.epoch == 2));
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
