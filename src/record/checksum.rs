//! JSON files with a checksum: the last key, `digest`, is the BLAKE3 of every byte before it, so that a flipped bit
//! anywhere in the file is noticed. `schema` names what the file is and its version, as `harness.run/1.1`.
//!
//! Versions: a reader takes every file of its own major version, also one of a newer minor version, and passes over keys
//! that it does not know. A writer changes nothing of a newer minor version ([`Schema::refuse_newer`]), since it would
//! drop those keys.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, exit};

const HEX: usize = 64;
const FIRST: &str = "{\n  \"schema\": \"";
const BEFORE: &str = ",\n  \"digest\": \"";
const AFTER: &str = "\"\n}\n";

/// What a file is, and the newest version that this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// `harness.run`
    pub family: &'static str,
    /// Another one means something else under the same keys.
    pub major: u32,
    /// A newer one has more keys.
    pub minor: u32,
}

impl Schema {
    /// As files write it: `harness.run/1.1`, and `harness.run/1` for the minor version 0.
    #[must_use]
    pub fn name(&self) -> String {
        match self.minor {
            0 => format!("{}/{}", self.family, self.major),
            minor => format!("{}/{}.{minor}", self.family, self.major),
        }
    }

    /// The minor version of `found`, if a reader of this schema can read it.
    fn minor_of(&self, found: &str) -> Option<u32> {
        let (major, minor) = match found.strip_prefix(self.family)?.strip_prefix('/')?.split_once('.') {
            Some((major, minor)) => (major, minor.parse().ok()?),
            None => (found.strip_prefix(self.family)?.strip_prefix('/')?, 0),
        };
        (major.parse() == Ok(self.major)).then_some(minor)
    }

    /// Whether `found` names a newer minor version than this program writes.
    #[must_use]
    pub fn is_newer(&self, found: &str) -> bool {
        self.minor_of(found).is_some_and(|minor| minor > self.minor)
    }

    /// Refuses to change what a newer version wrote: keys that this version does not know would be lost.
    ///
    /// # Errors
    /// `Invalid` if `found`, the schema of the file `path`, is newer.
    pub fn refuse_newer(&self, found: &str, path: &Path) -> Result<()> {
        if !self.is_newer(found) {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "{} was written by a newer version of harness (schema {found}): this one can read it, but only that version can go on with it (here {} is known)",
            path.display(),
            self.name()
        )))
    }

    /// Refuses a file that this version cannot read.
    ///
    /// # Errors
    /// `Invalid` if `found` is another family or another major version.
    pub fn check(&self, found: &str, path: &Path) -> Result<()> {
        if self.minor_of(found).is_some() {
            return Ok(());
        }
        let name = path.display();
        let wanted = self.name();
        Err(Error::Invalid(if found.split('/').next() == Some(self.family) {
            format!(
                "{name} has the schema {found}, and this version of harness reads {wanted}: use the version that wrote it"
            )
        } else {
            format!("{name} holds {found:?} where {wanted} was expected")
        }))
    }
}

/// `value`, which must be an object with at least one key, as pretty JSON with its checksum.
///
/// # Errors
/// `value` cannot be written as a JSON object.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::Unexpected(format!("cannot write a file as JSON: {cause}")))?;
    let body = text
        .strip_suffix("\n}")
        .ok_or_else(|| Error::Unexpected("cannot write a file as JSON: it is not an object".into()))?;
    let digest = blake3::hash(body.as_bytes()).to_hex();
    Ok(format!("{body}{BEFORE}{digest}{AFTER}").into_bytes())
}

/// The object in `bytes`, read from `path`, of the given schema or a newer minor version of it.
///
/// # Errors
/// `Invalid` for another schema or major version and for values that cannot be understood; `Corrupt` for a file that is
/// not as it was written.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], schema: &Schema, path: &Path) -> Result<T> {
    let name = path.display();
    let found = schema_of(bytes);
    let check = || found.as_ref().map_or(Ok(()), |found| schema.check(found, path));
    if !intact(bytes) {
        // What never had a digest may be another version's, or somebody else's; what has one says so itself.
        if parts(bytes).is_none() {
            check()?;
        }
        return Err(Error::Corrupt(format!(
            "{name} is not as it was written: its digest does not match; `harness verify` says what else is damaged"
        )));
    }
    check()?;
    if found.is_none() {
        return Err(Error::Invalid(format!("{name} does not say what it is: the key `schema` is missing")));
    }
    serde_json::from_slice(bytes)
        .map_err(|cause| Error::caused(exit::INVALID, format!("{name} cannot be understood: {cause}"), cause))
}

/// Whether the checksum of a file that [`encode`] made is intact.
#[must_use]
pub fn intact(bytes: &[u8]) -> bool {
    parts(bytes).is_some_and(|(body, digest)| blake3::hash(body.as_bytes()).to_hex().as_str() == digest)
}

/// Whether a file has a checksum, and it does not fit.
#[must_use]
pub fn is_damaged(bytes: &[u8]) -> bool {
    parts(bytes).is_some() && !intact(bytes)
}

/// What the digest is of, and the digest.
fn parts(bytes: &[u8]) -> Option<(&str, &str)> {
    let rest = std::str::from_utf8(bytes).ok()?.strip_suffix(AFTER)?;
    let (rest, digest) = rest.split_at_checked(rest.len().checked_sub(HEX)?)?;
    Some((rest.strip_suffix(BEFORE)?, digest))
}

/// The value of the key `schema` of a JSON object.
#[must_use]
pub fn schema_of(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    // It is the first key of what we write, and need not be looked for.
    let first = bytes.strip_prefix(FIRST.as_bytes()).and_then(|rest| rest.split(|&byte| byte == b'"').next());
    match first.and_then(|first| std::str::from_utf8(first).ok()) {
        Some(first) if !first.contains('\\') => Some(first.to_owned()),
        _ => serde_json::from_slice::<Head>(bytes).ok().map(|head| head.schema),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema { family: "harness.example", major: 1, minor: 1 };

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Example {
        schema: String,
        values: Vec<f64>,
    }

    fn example() -> Example {
        Example { schema: SCHEMA.name(), values: vec![0.1, 2.0] }
    }

    fn open(bytes: &[u8]) -> Result<Example> {
        decode(bytes, &SCHEMA, Path::new("example.json"))
    }

    #[test]
    fn a_file_is_json_and_reads_back() {
        let bytes = encode(&example()).unwrap();
        assert_eq!(open(&bytes).unwrap(), example());
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["digest"].as_str().unwrap().len(), HEX);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = encode(&example()).unwrap();
        for position in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(open(&flipped).is_err(), "bit {position}");
            assert!(!intact(&flipped), "bit {position}");
            let text = String::from_utf8_lossy(&bytes);
            // Also in its schema: what has a digest that does not fit is damaged, not of another version.
            if position / 8 < text.find("values").unwrap() && std::str::from_utf8(&flipped).is_ok() {
                assert!(open(&flipped).unwrap_err().is_corrupt(), "bit {position}");
            }
        }
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn other_major_versions_and_families_are_named() {
        let mut later = serde_json::json!({"schema": "harness.example/2", "new": 1});
        let message = open(&encode(&later).unwrap()).unwrap_err();
        assert!(matches!(&message, Error::Invalid(text) if text.contains("harness.example/2")), "{message}");
        let without = serde_json::to_vec(&later).unwrap();
        assert!(matches!(open(&without).unwrap_err(), Error::Invalid(text) if text.contains("harness.example/2")));
        later = serde_json::json!({"values": []});
        assert!(open(&encode(&later).unwrap()).unwrap_err().to_string().contains("`schema`"));
        for other in ["other.thing/1", "harness.example2/1", "harness.example/one", "harness.example"] {
            later = serde_json::json!({"schema": other, "values": []});
            assert!(open(&encode(&later).unwrap()).unwrap_err().to_string().contains(other), "{other}");
        }
    }

    #[test]
    fn newer_minor_versions_are_read_and_not_written() {
        let newer = serde_json::json!({"schema": "harness.example/1.7", "values": [1.0], "colour": "red"});
        assert_eq!(open(&encode(&newer).unwrap()).unwrap().values, [1.0]);
        let older = serde_json::json!({"schema": "harness.example/1", "values": [1.0]});
        assert_eq!(open(&encode(&older).unwrap()).unwrap().values, [1.0]);
        let path = Path::new("example.json");
        for (found, newer) in
            [("harness.example/1", false), ("harness.example/1.1", false), ("harness.example/1.2", true)]
        {
            assert_eq!(SCHEMA.is_newer(found), newer, "{found}");
            assert_eq!(SCHEMA.refuse_newer(found, path).is_err(), newer, "{found}");
        }
        let message = SCHEMA.refuse_newer("harness.example/1.12", path).unwrap_err().to_string();
        assert!(
            message.contains("harness.example/1.12") && message.contains("harness.example/1.1)")
                || message.contains("harness.example/1.1 "),
            "{message}"
        );
    }
}
