//! The manifests: `run.json`, written last of a run's files, and `sweep.json`. Both are JSON with a checksum (see
//! [`super::checksum`]).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checksum::{self, Schema};
use super::files::{self, Found, PlainFolders};
use super::identity::RunIdentity;
use super::layout::{RunDir, SweepDir};
use super::provenance::Provenance;
use super::wrong::Damage;
use crate::error::{Error, Result};

/// Name and version of `run.json`. Version 1 had no `identity`.
pub const RUN_SCHEMA: Schema = Schema { family: "harness.run", major: 1, minor: 1 };
/// Name and version of `sweep.json`. Version 1 had no `training`, and no digest of the data.
pub const SWEEP_SCHEMA: Schema = Schema { family: "harness.sweep", major: 1, minor: 1 };
/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 18;
/// No sweep has more runs, whatever its files say: as the experiment's own limit.
pub const MOST_RUNS: usize = 100_000;

/// A file with what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the directory of the manifest, with `/` between parts.
    pub path: String,
    /// Size in bytes.
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
    pub fn damage(&self, bytes: &[u8]) -> Option<Damage> {
        if bytes.len() as u64 != self.bytes {
            return Some(Damage::Size { found: bytes.len() as u64, written: self.bytes });
        }
        self.other_contents(&blake3::hash(bytes))
    }

    /// What is wrong with the file `path`, as far as can be seen without opening it; `None` if nothing is.
    #[must_use]
    pub fn visible_damage(&self, path: &Path) -> Option<Damage> {
        match files::look(path) {
            Ok(Found::File(bytes)) if bytes == self.bytes => None,
            Ok(Found::File(found)) => Some(Damage::Size { found, written: self.bytes }),
            Ok(Found::Nothing) => Some(Damage::Missing),
            Ok(Found::Folder) => Some(Damage::Odd("a folder")),
            Ok(Found::Odd(what)) => Some(Damage::Odd(what)),
            Err(error) => Some(Damage::Unreadable(error)),
        }
    }

    /// What is wrong with the file `path`, which is read piece by piece; `None` if nothing is.
    #[must_use]
    pub fn damage_at(&self, path: &Path) -> Option<Damage> {
        if let Some(damage) = self.visible_damage(path) {
            return Some(damage);
        }
        let mut hasher = blake3::Hasher::new();
        // Most files are small: no more memory is asked for than they have bytes.
        let room = usize::try_from(self.bytes).unwrap_or(usize::MAX).clamp(1, PIECE);
        let read = File::open(path).and_then(|file| {
            io::copy(&mut io::BufReader::with_capacity(room, file.take(self.bytes.saturating_add(1))), &mut hasher)
        });
        match read {
            Err(cause) => Some(Damage::Unreadable(Error::io("read", path, &cause))),
            Ok(_) => self.other_contents(&hasher.finalize()),
        }
    }

    fn other_contents(&self, found: &blake3::Hash) -> Option<Damage> {
        (found.to_hex().as_str() != self.blake3).then_some(Damage::Contents)
    }

    /// Refuses entries that name files outside the folder of the list `list`.
    pub(super) fn check_all(entries: &[Self], list: &Path) -> Result<()> {
        match entries.iter().find(|entry| !files::is_plain_relative(&entry.path)) {
            None => Ok(()),
            Some(entry) => Err(Error::Corrupt(format!(
                "{} lists {:?}, which is no file below its folder",
                list.display(),
                entry.path
            ))),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Trained and recorded to the end.
    Complete,
    /// Ended before its time; `errors` says why.
    Failed,
}

/// The seed of one random stream in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSeed {
    /// In hex.
    pub seed: String,
    /// Whether other runs have another.
    pub varies: bool,
}

/// What a run was and what came of it, as far as `train` knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Examples of the evaluation set.
    pub examples: usize,
    /// Number of classes C.
    pub classes: usize,
    /// Trainable parameters of the network.
    pub parameters: u64,
    /// Epochs trained.
    pub epochs: usize,
    /// The first epoch with a loss that is not finite.
    pub diverged: Option<usize>,
    /// By name of the stream.
    pub streams: BTreeMap<String, StreamSeed>,
    /// Seconds by phase, over all attempts: `train`, `evaluate`, `kernel` …
    pub timings: BTreeMap<String, f64>,
    /// Program, machine and time.
    pub provenance: Provenance,
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunManifest {
    /// Name and version of the format.
    pub schema: String,
    /// The run's index.
    pub run: usize,
    /// What it was trained for and on; none in files of version 1, and of a run that failed before it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<RunIdentity>,
    /// How it ended.
    pub status: Status,
    /// Which attempt at the run this was; the first is 1.
    pub attempt: u32,
    /// None if the run failed.
    pub outcome: Option<Outcome>,
    /// What a failed run said last.
    pub errors: Vec<String>,
    /// Every file of a complete run but the manifest itself, sorted by path; none for a failed one.
    pub files: Vec<FileEntry>,
    /// BLAKE3 of the file, in hex, where it does not say what the run belongs to.
    #[serde(skip)]
    pub digest: Option<String>,
}

/// `sweep.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepManifest {
    /// Name and version of the format.
    pub schema: String,
    /// The experiment's name.
    pub name: String,
    /// BLAKE3 of `experiment`, in hex.
    pub hash: String,
    /// BLAKE3 of what determines the bytes of a run, in hex, as the experiment had it when the sweep was made; none in files
    /// of version 1. Every run says for which one it was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<String>,
    /// Complete runs that were there when a sweep of version 1 was gone on with, by the BLAKE3 of their `run.json`: they do
    /// not say themselves what they belong to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub older: BTreeMap<usize, String>,
    /// How many runs it has.
    pub runs: usize,
    /// The resolved experiment as TOML; `experiment.toml` is its copy for people.
    pub experiment: String,
    /// Program, machine and time.
    pub provenance: Provenance,
}

impl RunManifest {
    /// The manifest of a run; `None` if it has none yet.
    ///
    /// # Errors
    /// As [`checksum::decode`]; `Corrupt` for a run behind a link and for files outside the run; the file cannot be read.
    pub fn read(dir: &RunDir) -> Result<Option<Self>> {
        let path = dir.manifest();
        files::refuse_links(&dir.sweep(), dir.root())?;
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        let mut manifest: Self = checksum::decode(&bytes, &RUN_SCHEMA, &path)?;
        if manifest.identity.is_none() {
            manifest.digest = Some(blake3::hash(&bytes).to_hex().to_string());
        }
        FileEntry::check_all(&manifest.files, &path)?;
        Ok(Some(manifest))
    }

    /// Refuses a run of which a file lies behind a link.
    ///
    /// # Errors
    /// `Corrupt` if a folder on the way is a link.
    pub fn refuse_links(&self, dir: &RunDir) -> Result<()> {
        let mut folders = PlainFolders::new(dir.root());
        self.files.iter().try_for_each(|entry| folders.check(&dir.root().join(&entry.path)))
    }

    /// Writes it into the run's directory.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn write(&self, dir: &RunDir) -> Result<()> {
        files::write(&dir.manifest(), &checksum::encode(self)?)
    }
}

impl SweepManifest {
    /// The manifest of a sweep; `None` if there is none.
    ///
    /// # Errors
    /// As [`checksum::decode`]; `Corrupt` where it contradicts itself or asks for more runs than a sweep can have; the file
    /// cannot be read.
    pub fn read(sweep: &SweepDir) -> Result<Option<Self>> {
        let path = sweep.manifest();
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        let manifest: Self = checksum::decode(&bytes, &SWEEP_SCHEMA, &path)?;
        let corrupt = |what: String| Err(Error::Corrupt(format!("{} contradicts itself: {what}", path.display())));
        if blake3::hash(manifest.experiment.as_bytes()).to_hex().as_str() != manifest.hash {
            return corrupt("its hash is not that of its experiment".into());
        }
        let table = manifest.experiment.parse::<toml::Table>().ok();
        let runs = table.and_then(|table| table.get("sweep")?.get("runs")?.as_integer());
        if runs.is_some_and(|runs| usize::try_from(runs) != Ok(manifest.runs)) {
            return corrupt(format!("it speaks of {} runs, and its experiment of another number", manifest.runs));
        }
        if manifest.runs > MOST_RUNS {
            return corrupt(format!("it speaks of {} runs, and a sweep has at most {MOST_RUNS}", manifest.runs));
        }
        Ok(Some(manifest))
    }

    /// Writes it into the sweep's directory.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn write(&self, sweep: &SweepDir) -> Result<()> {
        files::write(&sweep.manifest(), &checksum::encode(self)?)
    }

    /// BLAKE3 of the data that its runs are trained on, in hex, where it is known.
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        self.provenance.data_digest.as_deref()
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
        assert_eq!(entry.damage(b"abc"), None);
        assert_eq!(entry.damage(b"ab"), Some(Damage::Size { found: 2, written: 3 }));
        assert_eq!(entry.damage(b"abd"), Some(Damage::Contents));
    }

    #[test]
    fn a_file_is_checked_as_its_bytes_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soft.parquet");
        let entry = FileEntry::of("soft.parquet", b"abc");
        assert_eq!(entry.damage_at(&path), Some(Damage::Missing));
        for bytes in [b"abc".as_slice(), b"ab", b"abd", b"abcd", b""] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(entry.damage_at(&path), entry.damage(bytes));
            assert_eq!(entry.visible_damage(&path).is_none(), bytes.len() == 3);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = entry.damage_at(&path).unwrap().of("soft.parquet", "look");
        assert_eq!(error.to_string(), "soft.parquet is a folder where a file was written: it is not opened; look");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.is_corrupt() && cause.starts_with("is a folder"), "{cause}");
    }

    #[test]
    fn a_manifest_that_lists_files_outside_its_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SweepDir::new(folder.path()).run(0);
        files::create_folder(dir.root()).unwrap();
        for path in ["../0001/state", "/etc/passwd", ""] {
            let manifest = RunManifest {
                schema: RUN_SCHEMA.name(),
                run: 0,
                identity: None,
                status: Status::Complete,
                attempt: 1,
                outcome: None,
                errors: Vec::new(),
                files: vec![FileEntry::of(path, b"")],
                digest: None,
            };
            manifest.write(&dir).unwrap();
            assert!(matches!(RunManifest::read(&dir), Err(Error::Corrupt(_))), "{path:?}");
        }
    }

    #[test]
    fn a_sweep_whose_hash_or_size_is_made_up_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(folder.path());
        let good = super::super::testing::sweep_manifest("a = 1\n", 3);
        good.write(&sweep).unwrap();
        assert_eq!(SweepManifest::read(&sweep).unwrap().as_ref(), Some(&good));
        for bad in [
            SweepManifest { hash: "00".into(), ..good.clone() },
            SweepManifest { experiment: "a = 2\n".into(), ..good.clone() },
            SweepManifest { runs: 1 << 60, ..good.clone() },
            super::super::testing::sweep_manifest("[sweep]\nruns = 3\n", 4),
        ] {
            bad.write(&sweep).unwrap();
            assert!(matches!(SweepManifest::read(&sweep), Err(Error::Corrupt(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_failed_run_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SweepDir::new(folder.path()).run(3);
        files::create_folder(dir.root()).unwrap();
        assert_eq!(RunManifest::read(&dir).unwrap(), None);
        let manifest = RunManifest {
            schema: RUN_SCHEMA.name(),
            run: 3,
            identity: None,
            status: Status::Failed,
            attempt: 2,
            outcome: None,
            errors: vec!["no space left".into()],
            files: Vec::new(),
            digest: None,
        };
        manifest.write(&dir).unwrap();
        let read = RunManifest::read(&dir).unwrap().unwrap();
        assert!(read.digest.is_some());
        assert_eq!(RunManifest { digest: None, ..read }, manifest);
    }
}
