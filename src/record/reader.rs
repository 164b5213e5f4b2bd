//! Reading complete runs, one or all of a sweep.

use std::path::Path;

use super::files;
use super::layout::{self, RunDir, SweepDir};
use super::manifest::{FileEntry, Outcome, RunManifest, Status, SweepManifest};
use super::metrics::{self, EpochMetrics};
use super::soft::SoftDecisions;
use super::tensors::Tensors;
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
        let name = dir.root().display();
        let manifest = RunManifest::read(&dir.manifest())?;
        let Some(mut manifest) = manifest else {
            return Err(Error::RunsFailed(format!("{name} is not complete; `harness resume` goes on with it")));
        };
        if manifest.run != dir.index() {
            return Err(Error::Corrupt(format!("{name} holds the manifest of run {}", manifest.run)));
        }
        match (manifest.status, manifest.outcome.take()) {
            (Status::Complete, Some(outcome)) => Ok(Self { dir: dir.clone(), manifest, outcome }),
            (Status::Complete, None) => Err(Error::Corrupt(format!("{name} is called complete without an outcome"))),
            (Status::Failed, _) => Err(Error::RunsFailed(format!(
                "{name} failed: {}",
                manifest.errors.last().map_or("it did not say why", String::as_str)
            ))),
        }
    }

    /// Which run this is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.dir.index()
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
        let bytes = files::read_if_there(&path)?
            .ok_or_else(|| Error::Corrupt(format!("{what} is missing; `harness verify --repair` forgets the run")))?;
        match entry.complaint(&bytes) {
            Some(complaint) => Err(Error::Corrupt(format!("{what} {complaint}"))),
            None => Ok(Some((bytes, what))),
        }
    }
}

/// A run that cannot take part, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub run: usize,
    pub why: Error,
}

/// Reads a sweep; broken runs are named and left out, and never break the others.
#[derive(Debug, Clone)]
pub struct SweepReader {
    dir: SweepDir,
    manifest: SweepManifest,
}

impl SweepReader {
    /// Opens the sweep in the directory `root`.
    ///
    /// # Errors
    /// `Invalid` if `root` is no sweep or one of another version of harness; `Corrupt` if `sweep.json` is damaged.
    pub fn open(root: &Path) -> Result<Self> {
        let dir = SweepDir::new(root);
        let manifest = SweepManifest::read(&dir.manifest())?.ok_or_else(|| {
            Error::Invalid(format!("{} is not the directory of a sweep: there is no sweep.json in it", root.display()))
        })?;
        Ok(Self { dir, manifest })
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

    /// The complete runs in order, and the others with the reason.
    #[must_use]
    pub fn runs(&self) -> (Vec<RunReader>, Vec<LeftOut>) {
        let (mut complete, mut left_out) = (Vec::new(), Vec::new());
        for run in 0..self.manifest.runs {
            match RunReader::open(&self.dir.run(run)) {
                Ok(reader) => complete.push(reader),
                Err(why) => left_out.push(LeftOut { run, why }),
            }
        }
        (complete, left_out)
    }
}
