//! The manifests: `run.json`, written last of a run's files, and `sweep.json`. Both are sealed JSON (see `sealed`).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use super::provenance::Provenance;
use super::sealed;
use crate::error::Result;

/// Name and version of `run.json`.
pub const RUN_SCHEMA: &str = "harness.run/1";
/// Name and version of `sweep.json`.
pub const SWEEP_SCHEMA: &str = "harness.sweep/1";

/// A file with what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Relative to the directory of the manifest, with `/` between parts.
    pub path: String,
    pub bytes: u64,
    /// In hex.
    pub blake3: String,
}

impl FileEntry {
    /// The entry of a file that holds `bytes`.
    #[must_use]
    pub fn of(path: impl Into<String>, bytes: &[u8]) -> Self {
        Self { path: path.into(), bytes: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string() }
    }

    /// What is wrong with `bytes` as the contents of this file; `None` if nothing is.
    #[must_use]
    pub fn complaint(&self, bytes: &[u8]) -> Option<String> {
        if bytes.len() as u64 != self.bytes {
            return Some(format!("holds {} bytes where {} were written", bytes.len(), self.bytes));
        }
        let same = blake3::hash(bytes).to_hex().as_str() == self.blake3;
        (!same).then(|| "does not have the contents that were written: its BLAKE3 digest differs".into())
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Complete,
    Failed,
}

/// The seed of one random stream in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSeed {
    /// In hex.
    pub seed: String,
    /// Whether other runs have another.
    pub varies: bool,
}

/// What a run was and what came of it, as far as `train` knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Examples of the evaluation set.
    pub examples: usize,
    pub classes: usize,
    /// Trainable parameters of the network.
    pub parameters: u64,
    pub epochs: usize,
    /// The first epoch with a loss that is not finite.
    pub diverged: Option<usize>,
    /// By name of the stream.
    pub streams: BTreeMap<String, StreamSeed>,
    /// Seconds by phase, over all attempts: `train`, `evaluate`, `kernel` …
    pub timings: BTreeMap<String, f64>,
    pub provenance: Provenance,
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunManifest {
    pub schema: String,
    pub run: usize,
    pub status: Status,
    /// Which attempt at the run this was; the first is 1.
    pub attempt: u32,
    /// None if the run failed.
    pub outcome: Option<Outcome>,
    /// What a failed run said last.
    pub errors: Vec<String>,
    /// Every file of a complete run but the manifest itself, sorted by path; none for a failed one.
    pub files: Vec<FileEntry>,
}

/// `sweep.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepManifest {
    pub schema: String,
    pub name: String,
    /// BLAKE3 of the resolved experiment, in hex.
    pub hash: String,
    /// How many runs it has.
    pub runs: usize,
    /// The resolved experiment as TOML; `experiment.toml` is its copy for people.
    pub experiment: String,
    pub provenance: Provenance,
}

impl RunManifest {
    /// Reads `path`; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`sealed::unseal`]; the file cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        files::read_if_there(path)?.map(|bytes| sealed::unseal(&bytes, RUN_SCHEMA, path)).transpose()
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write(path, &sealed::seal(self)?)
    }
}

impl SweepManifest {
    /// Reads `path`; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`sealed::unseal`]; the file cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        files::read_if_there(path)?.map(|bytes| sealed::unseal(&bytes, SWEEP_SCHEMA, path)).transpose()
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write(path, &sealed::seal(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_size_from_contents() {
        let entry = FileEntry::of("checkpoints/0001/soft.parquet", b"abc");
        // BLAKE3 of "abc", from the published test vectors of its reference implementation.
        assert_eq!(entry.blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        assert_eq!(entry.complaint(b"abc"), None);
        assert!(entry.complaint(b"ab").unwrap().contains("2 bytes where 3"));
        assert!(entry.complaint(b"abd").unwrap().contains("BLAKE3"));
    }

    #[test]
    fn a_failed_run_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        assert_eq!(RunManifest::read(&path).unwrap(), None);
        let manifest = RunManifest {
            schema: RUN_SCHEMA.into(),
            run: 3,
            status: Status::Failed,
            attempt: 2,
            outcome: None,
            errors: vec!["no space left".into()],
            files: Vec::new(),
        };
        manifest.write(&path).unwrap();
        assert_eq!(RunManifest::read(&path).unwrap(), Some(manifest));
    }
}
