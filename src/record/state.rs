//! The saved state of an unfinished run, in one file: a safetensors file whose note holds the counters, and whose first
//! characters of the note are the BLAKE3 of the whole file (with zeros in their place).

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checksum::Schema;
use super::identity::RunIdentity;
use super::manifest::FileEntry;
use super::metrics::{self, EpochMetrics};
use super::tensors::Tensors;
use crate::error::{Error, Result};

/// Version 1 did not say what the run belongs to.
const SCHEMA: Schema = Schema { family: "harness.state", major: 1, minor: 1 };
const HEX: usize = 64;
/// Where the digest lies: after the length of the header and the opening of the note.
const DIGEST_AT: usize = 8 + r#"{"__metadata__":{"harness":""#.len();

/// All that a run needs to go on after `epoch` epochs as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SavedState {
    /// Epochs that are done.
    pub epoch: usize,
    /// One for each of them.
    pub metrics: Vec<EpochMetrics>,
    /// Stream positions, steps and the like. Whole numbers and texts only: JSON does not keep every bit of a fraction,
    /// which belongs among the tensors.
    pub counters: Value,
    /// Weights, statistics of norms, tensors of the optimiser.
    pub tensors: Tensors,
}

/// What a state file holds besides the state.
#[derive(Debug, Clone, PartialEq)]
pub struct StateFile {
    /// The state itself.
    pub state: SavedState,
    /// The run that it is of; none in files of version 1.
    pub identity: Option<RunIdentity>,
    /// Those that the run has recorded so far.
    pub files: Vec<FileEntry>,
    /// Whether a newer version of harness wrote it.
    pub newer: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    schema: String,
    #[serde(default)]
    identity: Option<RunIdentity>,
    epoch: usize,
    counters: Value,
    files: Vec<FileEntry>,
}

impl SavedState {
    /// The bytes of the state file of the run `identity`; `files` are those that the run has recorded so far.
    pub(super) fn encode(&self, identity: &RunIdentity, files: Vec<FileEntry>) -> Result<Vec<u8>> {
        let note = Note {
            schema: SCHEMA.name(),
            identity: Some(identity.clone()),
            epoch: self.epoch,
            counters: self.counters.clone(),
            files,
        };
        let note = serde_json::to_string(&note)
            .map_err(|cause| Error::Unexpected(format!("cannot write the state of a run as JSON: {cause}")))?;
        let mut tensors = self.tensors.clone();
        metrics::store(&self.metrics, &mut tensors)?;
        tensors.set_note(format!("{} {note}", "0".repeat(HEX)));
        let mut bytes = tensors.encode()?;
        let digest = blake3::hash(&bytes).to_hex();
        match bytes.get_mut(DIGEST_AT..DIGEST_AT + HEX) {
            Some(place) if place.iter().all(|byte| *byte == b'0') => place.copy_from_slice(digest.as_bytes()),
            _ => return Err(Error::Unexpected("the digest of a run's state has no place in its file".into())),
        }
        Ok(bytes)
    }

    /// Reads a state file; `path` names it in messages.
    ///
    /// # Errors
    /// `Corrupt` if it is not as it was written or names files outside its run, `Invalid` if another version wrote it.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<StateFile> {
        let what = path.display().to_string();
        if !intact(bytes) {
            return Err(Error::Corrupt(format!("{what} is not as it was written: its digest does not match")));
        }
        let mut tensors = Tensors::decode(bytes, &what)?;
        let invalid = |cause: String| Error::Invalid(format!("{what} cannot be understood: {cause}"));
        let note = tensors.note().and_then(|note| note.get(HEX + 1..)).unwrap_or_default();
        let note: Note = serde_json::from_str(note).map_err(|cause| invalid(cause.to_string()))?;
        SCHEMA.check(&note.schema, path)?;
        FileEntry::check_all(&note.files, path)?;
        let metrics = metrics::restore(&mut tensors)?;
        tensors.clear_note();
        let state = Self { epoch: note.epoch, metrics, counters: note.counters, tensors };
        Ok(StateFile { state, identity: note.identity, files: note.files, newer: SCHEMA.is_newer(&note.schema) })
    }
}

fn intact(bytes: &[u8]) -> bool {
    let place = DIGEST_AT..DIGEST_AT + HEX;
    let (Some(before), Some(digest), Some(after)) =
        (bytes.get(..place.start), bytes.get(place.clone()), bytes.get(place.end..))
    else {
        return false;
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&[b'0'; HEX]).update(after);
    hasher.finalize().to_hex().as_bytes() == digest
}

#[cfg(test)]
mod tests {
    use super::super::testing::{identity, state as example};
    use super::*;

    fn decode(bytes: &[u8]) -> Result<StateFile> {
        SavedState::decode(bytes, Path::new("state"))
    }

    #[test]
    fn a_state_reads_back_with_its_files() {
        let files = vec![FileEntry::of("checkpoints/0000/soft.parquet", b"soft")];
        let bytes = example(3).encode(&identity(3), files.clone()).unwrap();
        let expected = StateFile { state: example(3), identity: Some(identity(3)), files, newer: false };
        assert_eq!(decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn files_outside_the_run_are_refused() {
        let bytes = example(1).encode(&identity(1), vec![FileEntry::of("../0000/state", b"")]).unwrap();
        assert!(matches!(decode(&bytes), Err(Error::Corrupt(_))));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = example(2).encode(&identity(2), Vec::new()).unwrap();
        for position in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(matches!(decode(&flipped), Err(Error::Corrupt(_))), "bit {position}");
        }
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "length {length}");
        }
    }
}
