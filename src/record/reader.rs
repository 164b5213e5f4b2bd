//! A whole sweep as its records tell it.

use std::path::Path;

use super::layout::SweepDir;
use super::manifest::SweepManifest;
use super::run::RunReader;
use crate::error::{Error, Result};

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
