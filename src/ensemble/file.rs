//! `ensemble.json`: the chosen runs, how they are combined, and the evidence for the choice.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::analysis::Ensembles;
use crate::error::{Error, Result};
use crate::record::{FileEntry, checksum, files};
use crate::stats::ensemble::Combination;

/// Name and version of the format, also of what `harness select --json` prints.
pub const SCHEMA: &str = "harness.ensemble/1";
/// Name of the file.
pub const ENSEMBLE: &str = "ensemble.json";
/// No file is longer, in bytes.
const LONGEST: u64 = 64 << 20;

/// A chosen ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnsembleFile {
    /// [`SCHEMA`]
    pub schema: String,
    /// The experiment's name, or that of a file.
    pub name: String,
    /// BLAKE3 of the resolved experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The epoch whose weights these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<usize>,
    /// How the runs were chosen.
    pub strategy: String,
    /// Their indices.
    pub runs: Vec<u32>,
    /// C
    pub classes: usize,
    /// What the members' predictions are averaged as.
    pub combination: Combination,
    /// The mean's logits (logarithms of mean probabilities, or mean logits) are divided by this before the softmax.
    pub temperature: f64,
    /// The model file, beside this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Size and digest of the model file; none in files of the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_file: Option<FileEntry>,
    /// The members' weights, in the order of `runs`, beside this file; empty where they could not be exported.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Why there are no weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_weights: Option<String>,
    /// What was compared, and with which result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Ensembles>,
}

/// The weights of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its index.
    pub run: u32,
    /// A safetensors file, by name, with its size and digest.
    #[serde(flatten)]
    pub file: FileEntry,
}

impl EnsembleFile {
    /// As pretty JSON.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|cause| Error::Unexpected(format!("cannot write an ensemble as JSON: {cause}")))?;
        text.push('\n');
        Ok(text)
    }

    /// The bytes of the file: as [`EnsembleFile::to_json`], with a checksum.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>> {
        checksum::encode(self)
    }

    /// Refuses a model file beside the ensemble that is not the one it was written with.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it has changed or is another ensemble's.
    pub fn check_model(&self, folder: &Path) -> Result<()> {
        let Some(entry) = &self.model_file else { return Ok(()) };
        let path = folder.join(&entry.path);
        match entry.damage_at(&path) {
            None => Ok(()),
            Some(damage) => Err(damage.of(path.display(), "")),
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not there, not an ensemble of this version, or contradicts itself; [`Error::Corrupt`] if it
    /// is not as it was written.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = read_limited(path, LONGEST, "an ensemble file")?;
        let invalid = |what: String| Error::Invalid(format!("{shown} is not an ensemble that can be read: {what}"));
        if checksum::is_damaged(&bytes) {
            return Err(Error::Corrupt(format!("{shown} is not as it was written: its digest does not match")));
        }
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|cause| invalid(cause.to_string()))?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) => return Err(invalid(format!("its schema is {other:?}, and this version reads {SCHEMA:?}"))),
            None => return Err(invalid(format!("it has no key `schema` that says {SCHEMA:?}"))),
        }
        let has_digest = value.get("digest").is_some();
        let found: Self = serde_json::from_value(value).map_err(|cause| invalid(cause.to_string()))?;
        // The first version had neither a digest of its own nor one of its model file.
        if (has_digest || found.model_file.is_some()) && !checksum::intact(&bytes) {
            return Err(Error::Corrupt(format!(
                "{shown} is not as it was written: its digest is cut or in another place"
            )));
        }
        if !(found.temperature > 0.0 && found.temperature.is_finite()) {
            return Err(invalid(format!("its temperature is {}, but temperatures are positive", found.temperature)));
        }
        if found.runs.is_empty() || found.classes < 2 {
            return Err(invalid(format!("it names {} runs and {} classes", found.runs.len(), found.classes)));
        }
        let members: Vec<u32> = found.members.iter().map(|member| member.run).collect();
        if !members.is_empty() && members != found.runs {
            return Err(invalid("its members are not its runs".into()));
        }
        let model_file = found.model_file.iter().map(|entry| &entry.path);
        let names = found.members.iter().map(|member| &member.file.path).chain(&found.model).chain(model_file);
        if let Some(name) = names.into_iter().find(|name| !is_plain(name)) {
            return Err(invalid(format!("{name:?} is not the name of a file beside it")));
        }
        Ok(found)
    }
}

/// The bytes of a file that must not be longer than `longest`.
pub fn read_limited(path: &Path, longest: u64, what: &str) -> Result<Vec<u8>> {
    let shown = path.display();
    let invalid = |cause: std::io::Error| Error::Invalid(format!("cannot read {shown} as {what}: {cause}"));
    // Looked at before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(invalid)?.is_file() {
        return Err(Error::Invalid(format!(
            "{shown} is not a file, but {what} is expected; give the path of the file"
        )));
    }
    let file = File::open(path).map_err(invalid)?;
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes).map_err(invalid)?;
    if bytes.len() as u64 > longest {
        return Err(Error::Invalid(format!("{shown} is longer than {} MiB: not {what}", longest >> 20)));
    }
    Ok(bytes)
}

/// The bytes of a member's file, which must be as they were written.
///
/// # Errors
/// [`Error::Invalid`] if the file is missing, [`Error::Corrupt`] if it has changed.
pub fn read_member(folder: &Path, entry: &FileEntry) -> Result<Vec<u8>> {
    let path = folder.join(&entry.path);
    let bytes = files::read_if_there(&path)?.ok_or_else(|| {
        Error::Invalid(format!("{} is missing, though the ensemble names it; copy the whole folder", path.display()))
    })?;
    match entry.damage(&bytes) {
        Some(damage) => Err(damage.of(path.display(), "")),
        None => Ok(bytes),
    }
}

/// Whether `name` is that of a file in the same folder.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}
