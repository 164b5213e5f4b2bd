//! What a night leaves besides its runs: that a person accepted it, and its values after its runs were pruned.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checksum::{self, Schema};
use super::files;
use crate::error::Result;

const ACCEPTED: Schema = Schema { family: "harness.accepted", major: 1, minor: 0 };
const NIGHT: Schema = Schema { family: "harness.night", major: 1, minor: 0 };

/// `accepted.json`: a person wants the procedure of this sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Name and version of the format.
    pub schema: String,
    /// When it was accepted.
    pub at: jiff::Timestamp,
    /// `user@host`
    pub by: String,
    /// The reason, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Accepted {
    /// Now, by this person.
    #[must_use]
    pub fn new(by: String, why: Option<String>) -> Self {
        Self { schema: ACCEPTED.name(), at: jiff::Timestamp::now(), by, why }
    }

    /// Reads `path`; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`checksum::decode`]; the file cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        files::read_if_there(path)?.map(|bytes| checksum::decode(&bytes, &ACCEPTED, path)).transpose()
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write(path, &checksum::encode(self)?)
    }
}

/// `night.json`: what a history needs of a sweep whose runs were pruned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NightValues {
    /// Name and version of the format.
    pub schema: String,
    /// Distinct finite runs.
    pub runs: usize,
    /// On which terms its numbers can be compared, as pairs of a field and its value.
    pub terms: Vec<(String, String)>,
    /// What made the runs: commit, data, machine, version.
    pub origin: Vec<(String, String)>,
    /// Each quantity and its values, one for each run or one for the night.
    pub values: Vec<(String, Vec<f64>)>,
    /// BLAKE3 of the soft decisions of each run, sorted.
    pub digests: Vec<String>,
    /// Why it is in no reference, if it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

impl NightValues {
    /// Reads `path`; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`checksum::decode`]; the file cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        files::read_if_there(path)?.map(|bytes| checksum::decode(&bytes, &NIGHT, path)).transpose()
    }

    /// Writes it to `path`.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn write(mut self, path: &Path) -> Result<()> {
        self.schema = NIGHT.name();
        files::write(path, &checksum::encode(&self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (accepted, night) = (folder.path().join("accepted.json"), folder.path().join("night.json"));
        assert_eq!((Accepted::read(&accepted).unwrap(), NightValues::read(&night).unwrap()), (None, None));
        let person = Accepted::new("me@here".into(), Some("wider".into()));
        person.write(&accepted).unwrap();
        assert_eq!(Accepted::read(&accepted).unwrap(), Some(person));
        let values =
            NightValues { runs: 2, values: vec![("accuracy".into(), vec![0.1, 0.2])], ..NightValues::default() };
        values.clone().write(&night).unwrap();
        assert_eq!(NightValues::read(&night).unwrap().unwrap().values, values.values);
        let text = std::fs::read_to_string(&night).unwrap().replace("0.2", "0.9");
        std::fs::write(&night, text).unwrap();
        assert!(NightValues::read(&night).is_err());
    }
}
