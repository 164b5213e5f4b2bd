//! Reading complete runs, one or all of a sweep.

use std::path::Path;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::files;
use super::identity::Expected;
use super::layout::{self, RunDir, SweepDir};
use super::manifest::{FileEntry, Outcome, RunManifest, Status, SweepManifest};
use super::metrics::{self, EpochMetrics};
use super::run::foreign;
use super::soft::SoftDecisions;
use super::tensors::Tensors;
use super::wrong::Damage;
use crate::error::{Error, Result};

/// Reads a complete run; every file is checked against the manifest before it is believed.
#[derive(Debug, Clone)]
pub struct RunReader {
    dir: RunDir,
    manifest: RunManifest,
    outcome: Outcome,
}

impl RunReader {
    /// Opens a complete run.
    ///
    /// # Errors
    /// `RunsFailed` if it is not complete, `Corrupt` or `Invalid` if its manifest cannot be used.
    pub fn open(dir: &RunDir) -> Result<Self> {
        Self::open_in(dir, &mut Expected::default())
    }

    /// Opens a complete run that belongs to what is expected of the runs of a sweep.
    fn open_in(dir: &RunDir, expected: &mut Expected) -> Result<Self> {
        let name = dir.root().display();
        let manifest = RunManifest::read(dir)?;
        let Some(mut manifest) = manifest else {
            // Metrics come right before the manifest, and the lease goes right after it.
            if dir.metrics().exists() && !dir.lease().exists() {
                return Err(Error::Corrupt(format!("{name} has lost its run.json; `harness resume` trains it again")));
            }
            return Err(Error::RunsFailed(format!("{name} is not complete; `harness resume` goes on with it")));
        };
        if let Some(stranger) =
            (manifest.status == Status::Complete).then(|| expected.stranger(&manifest, dir.index())).flatten()
        {
            return Err(foreign(dir, stranger));
        }
        match (manifest.status, manifest.outcome.take()) {
            (Status::Complete, Some(outcome)) => Ok(Self { dir: dir.clone(), manifest, outcome }),
            (Status::Complete, None) => Err(Error::Corrupt(format!("{name} is called complete without an outcome"))),
            (Status::Failed, _) => {
                Err(Error::RunsFailed(format!("{name} failed: {}", crate::error::why(&manifest.errors))))
            }
        }
    }

    /// Which run this is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.dir.index()
    }

    /// Whether every file is as it was written, but for weights, which are large and checked when they are read.
    fn check(&self) -> Result<()> {
        let weights = |path: &str| matches!(layout::parse_checkpoint_file(path), Some((_, layout::WEIGHTS)));
        self.manifest.refuse_links(&self.dir)?;
        for entry in self.manifest.files.iter().filter(|entry| !weights(&entry.path)) {
            let path = self.dir.root().join(&entry.path);
            if let Some(damage) = entry.damage_at(&path) {
                return Err(damage.of(path.display(), "`harness resume` trains the run again"));
            }
        }
        Ok(())
    }

    /// What it was and what came of it.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Every file but the manifest, sorted by path.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.manifest.files
    }

    /// Epochs of which the soft decisions are recorded, in order.
    #[must_use]
    pub fn epochs(&self) -> Vec<usize> {
        self.epochs_with(layout::SOFT)
    }

    /// Epochs of which the file `name` is recorded, in order.
    #[must_use]
    pub fn epochs_with(&self, name: &str) -> Vec<usize> {
        let listed = self.manifest.files.iter().filter_map(|entry| layout::parse_checkpoint_file(&entry.path));
        let mut epochs: Vec<usize> = listed.filter(|(_, file)| *file == name).map(|(epoch, _)| epoch).collect();
        epochs.sort_unstable();
        epochs
    }

    /// The soft decisions after `epoch` epochs.
    ///
    /// # Errors
    /// `Invalid` if they are not recorded; `Corrupt` if the file is damaged or does not fit the manifest.
    pub fn soft(&self, epoch: usize) -> Result<SoftDecisions> {
        let file = layout::checkpoint_file(epoch, layout::SOFT);
        let (bytes, what) = self.wanted(&file)?;
        let soft = SoftDecisions::decode(&bytes, &what)?;
        if (soft.examples, soft.classes) != (self.outcome.examples, self.outcome.classes) {
            return Err(Error::Corrupt(format!(
                "{what} holds {} examples of {} classes, and its manifest says {} of {}",
                soft.examples, soft.classes, self.outcome.examples, self.outcome.classes
            )));
        }
        Ok(soft)
    }

    /// The kernels after `epoch` epochs, if they are recorded.
    ///
    /// # Errors
    /// `Corrupt` if the file is damaged.
    pub fn kernel(&self, epoch: usize) -> Result<Option<Tensors>> {
        self.tensors(&layout::checkpoint_file(epoch, layout::KERNEL))
    }

    /// The singular values of the weight matrices after `epoch` epochs, if they are recorded: `[k]` of each layer, largest
    /// first, under its name; the note is a JSON list of the layers in forward order.
    ///
    /// # Errors
    /// `Corrupt` if the file is damaged.
    pub fn spectra(&self, epoch: usize) -> Result<Option<Tensors>> {
        self.tensors(&layout::checkpoint_file(epoch, layout::SPECTRA))
    }

    /// The weights after `epoch` epochs, if they are recorded.
    ///
    /// # Errors
    /// `Corrupt` if the file is damaged.
    pub fn weights(&self, epoch: usize) -> Result<Option<Tensors>> {
        self.tensors(&layout::checkpoint_file(epoch, layout::WEIGHTS))
    }

    /// How training went.
    ///
    /// # Errors
    /// `Corrupt` if the file is damaged.
    pub fn metrics(&self) -> Result<Vec<EpochMetrics>> {
        let (bytes, what) = self.wanted("metrics.parquet")?;
        metrics::decode(&bytes, &what)
    }

    fn tensors(&self, file: &str) -> Result<Option<Tensors>> {
        self.bytes(file)?.map(|(bytes, what)| Tensors::decode(&bytes, &what)).transpose()
    }

    fn wanted(&self, file: &str) -> Result<(Vec<u8>, String)> {
        let missing = || Error::Invalid(format!("{file} is not recorded in {}", self.dir.root().display()));
        self.bytes(file)?.ok_or_else(missing)
    }

    /// The bytes of a file of the manifest with its name for messages; `None` if the manifest does not list it.
    fn bytes(&self, file: &str) -> Result<Option<(Vec<u8>, String)>> {
        let Some(entry) = self.manifest.files.iter().find(|entry| entry.path == file) else { return Ok(None) };
        let path = self.dir.root().join(file);
        let what = path.display().to_string();
        files::refuse_links(&self.dir.sweep(), &path)?;
        let remedy = "`harness resume` trains the run again";
        let bytes = files::read_if_there(&path)?.ok_or_else(|| Damage::Missing.of(&what, remedy))?;
        match entry.damage(&bytes) {
            Some(damage) => Err(damage.of(what, remedy)),
            None => Ok(Some((bytes, what))),
        }
    }
}

/// A run that cannot take part, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The run's index.
    pub run: usize,
    /// The reason.
    pub why: Error,
}

/// Reads a sweep; broken runs are named and left out, and never break the others.
#[derive(Debug, Clone)]
pub struct SweepReader {
    dir: SweepDir,
    manifest: SweepManifest,
    /// Read once: a run that was intact a moment ago is not read as a whole again.
    runs: OnceLock<(Vec<RunReader>, Vec<LeftOut>)>,
}

impl SweepReader {
    /// Opens the sweep in the directory `root`.
    ///
    /// # Errors
    /// `Invalid` if `root` is no sweep or one of another version of harness; `Corrupt` if `sweep.json` is damaged.
    pub fn open(root: &Path) -> Result<Self> {
        let dir = SweepDir::new(root);
        let manifest = SweepManifest::read(&dir)?.ok_or_else(|| no_manifest(&dir))?;
        let copy = files::read_if_there(&dir.experiment())?;
        if copy.is_some_and(|copy| !same_but_for_runs(manifest.experiment.as_bytes(), &copy)) {
            return Err(Error::Corrupt(format!(
                "{} is not the experiment in its sweep.json: one of them was changed or belongs to another sweep; `harness \
                 verify` says more",
                dir.experiment().display()
            )));
        }
        Ok(Self { dir, manifest, runs: OnceLock::new() })
    }

    /// Where it lies.
    #[must_use]
    pub fn dir(&self) -> &SweepDir {
        &self.dir
    }

    /// `sweep.json`.
    #[must_use]
    pub fn manifest(&self) -> &SweepManifest {
        &self.manifest
    }

    /// The complete runs in order, every file of which is as it was written, and the others with the reason: a run is taken
    /// whole or not at all.
    #[must_use]
    pub fn runs(&self) -> (Vec<RunReader>, Vec<LeftOut>) {
        self.runs.get_or_init(|| self.read_runs()).clone()
    }

    /// The complete run `only`, or all complete runs in order where none is named.
    ///
    /// # Errors
    /// `Corrupt` where one of these cannot be relied on; `Invalid` where there is none.
    pub fn chosen(&self, only: Option<usize>) -> Result<Vec<RunReader>> {
        let root = self.dir.root().display();
        let Some(run) = only else {
            let (runs, left_out) = self.runs();
            return match left_out.into_iter().find(|held| held.why.is_corrupt()) {
                Some(held) => Err(Error::Corrupt(format!("run {}: {}", held.run, held.why))),
                None if runs.is_empty() => Err(Error::Invalid(format!("{root} has no complete run"))),
                None => Ok(runs),
            };
        };
        if run >= self.manifest.runs {
            let runs = self.manifest.runs;
            return Err(Error::Invalid(format!("there is no run {run} in {root}: its {runs} runs are counted from 0")));
        }
        let reader = self.run(run)?;
        reader.check()?;
        Ok(vec![reader])
    }

    fn read_runs(&self) -> (Vec<RunReader>, Vec<LeftOut>) {
        let (mut complete, mut left_out) = (Vec::new(), Vec::new());
        let mut expected = Expected::of(&self.manifest);
        for run in 0..self.manifest.runs {
            match RunReader::open_in(&self.dir.run(run), &mut expected) {
                Ok(reader) => complete.push(reader),
                Err(why) => left_out.push(LeftOut { run, why }),
            }
        }
        let checked: Vec<Result<()>> = complete.par_iter().map(RunReader::check).collect();
        let mut intact = Vec::with_capacity(complete.len());
        for (reader, checked) in complete.into_iter().zip(checked) {
            match checked {
                Ok(()) => intact.push(reader),
                Err(why) => left_out.push(LeftOut { run: reader.index(), why }),
            }
        }
        left_out.sort_by_key(|held| held.run);
        (intact, left_out)
    }

    /// The complete run `run`.
    ///
    /// # Errors
    /// As [`RunReader::open`]; `Corrupt` if what lies there belongs to another experiment or was trained on other data.
    pub fn run(&self, run: usize) -> Result<RunReader> {
        RunReader::open_in(&self.dir.run(run), &mut Expected::of(&self.manifest))
    }
}

/// The error of a directory without a `sweep.json`.
pub(crate) fn no_manifest(sweep: &SweepDir) -> Error {
    let root = sweep.root().display();
    if sweep.is_there() {
        return Error::Corrupt(format!(
            "{root} has lost its sweep.json: `harness verify --repair {root}` writes it again from experiment.toml"
        ));
    }
    Error::Invalid(format!("{root} is not the directory of a sweep: there is no sweep.json in it"))
}

/// Whether two resolved experiments differ in the number of runs at most, as they do between the two writes that enlarge a
/// sweep.
pub(super) fn same_but_for_runs(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let lines = |text: &[u8]| -> Vec<Vec<u8>> { text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect() };
    let (one, other) = (lines(one), lines(other));
    one.len() == other.len()
        && one.iter().zip(&other).all(|(a, b)| a == b || (a.starts_with(b"runs = ") && b.starts_with(b"runs = ")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{finish, folder, identity, sweep_manifest};
    use super::super::{RUN_SCHEMA, RunIdentity};
    use super::*;

    fn sweep(folder: &Path, runs: usize) -> SweepDir {
        let sweep = SweepDir::new(&folder.join("sweep"));
        for run in 0..runs {
            finish(&sweep.run(run), 1).unwrap();
        }
        let manifest =
            SweepManifest { training: Some(identity(0).training), ..sweep_manifest("a = 1\nruns = 3\n", runs) };
        manifest.write(&sweep).unwrap();
        sweep
    }

    fn change(sweep: &SweepDir, run: usize, change: impl FnOnce(&mut RunManifest)) {
        let dir = sweep.run(run);
        let mut manifest = RunManifest::read(&dir).unwrap().unwrap();
        change(&mut manifest);
        manifest.write(&dir).unwrap();
    }

    #[test]
    fn runs_of_other_experiments_and_data_are_left_out_by_name() {
        let folder = folder();
        let sweep = sweep(folder.path(), 4);
        change(&sweep, 1, |run| run.identity = Some(RunIdentity { training: "ff".into(), ..identity(1) }));
        change(&sweep, 2, |run| run.outcome.as_mut().unwrap().provenance.data_digest = Some("ff".into()));
        let other = sweep.run(0);
        std::fs::copy(other.manifest(), sweep.run(3).manifest()).unwrap();
        let reader = SweepReader::open(sweep.root()).unwrap();
        let (runs, left_out) = reader.runs();
        assert_eq!(runs.iter().map(RunReader::index).collect::<Vec<_>>(), [0]);
        let why: Vec<String> = left_out.iter().map(|run| run.why.to_string()).collect();
        for (why, expected) in why.iter().zip(["another experiment", "data", "is of run 0"]) {
            assert!(why.contains(expected), "{why}");
        }
        assert!(left_out.iter().all(|run| run.why.is_corrupt()));
        assert!(reader.run(1).is_err() && reader.run(0).is_ok());
    }

    #[test]
    fn a_newer_minor_version_is_read() {
        let folder = folder();
        let sweep = sweep(folder.path(), 1);
        let dir = sweep.run(0);
        let text = String::from_utf8(files::read(&dir.manifest()).unwrap()).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["schema"] = "harness.run/1.9".into();
        value["mood"] = "good".into();
        value.as_object_mut().unwrap().remove("digest");
        files::write(&dir.manifest(), &super::super::checksum::encode(&value).unwrap()).unwrap();
        let (runs, left_out) = SweepReader::open(sweep.root()).unwrap().runs();
        assert_eq!((runs.len(), left_out.len()), (1, 0));
        assert_eq!(runs[0].epochs(), [0, 2, 4]);
        let error = super::super::testing::begin(&dir, 2).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(text) if text.contains("1.9") && text.contains(&RUN_SCHEMA.name())),
            "{error}"
        );
    }

    #[test]
    fn a_sweep_whose_two_texts_differ_is_refused() {
        let folder = folder();
        let sweep = sweep(folder.path(), 1);
        files::write(&sweep.experiment(), b"a = 1\nruns = 2\n").unwrap();
        SweepReader::open(sweep.root()).unwrap();
        files::write(&sweep.experiment(), b"a = 2\nruns = 3\n").unwrap();
        assert!(matches!(SweepReader::open(sweep.root()), Err(Error::Corrupt(_))));
        std::fs::remove_file(sweep.manifest()).unwrap();
        let error = SweepReader::open(sweep.root()).unwrap_err();
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("verify --repair")), "{error}");
    }
}
