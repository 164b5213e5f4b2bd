//! JSON files that vouch for themselves: the last key, `digest`, is the BLAKE3 of every byte before it, so that a flipped
//! bit anywhere in the file is noticed. `schema` names what the file is and its version.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

const HEX: usize = 64;
const BEFORE: &str = ",\n  \"digest\": \"";
const AFTER: &str = "\"\n}\n";

/// `value`, which must be an object with at least one key, as pretty JSON with its seal.
///
/// # Errors
/// `value` cannot be written as a JSON object.
pub fn seal<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::Unexpected(format!("cannot write a manifest as JSON: {cause}")))?;
    let body = text
        .strip_suffix("\n}")
        .ok_or_else(|| Error::Unexpected("cannot write a manifest as JSON: it is not an object".into()))?;
    let digest = blake3::hash(body.as_bytes()).to_hex();
    Ok(format!("{body}{BEFORE}{digest}{AFTER}").into_bytes())
}

/// The object in `bytes`, read from `path`, of the given schema such as `harness.run/1`.
///
/// # Errors
/// `Invalid` for another schema or another version of it and for a key that is not known; `Corrupt` for a file that is
/// not as it was written.
pub fn unseal<T: DeserializeOwned>(bytes: &[u8], schema: &str, path: &Path) -> Result<T> {
    let name = path.display();
    let body = match sealed_body(bytes) {
        Some(body) => format!("{body}\n}}"),
        None => {
            if let Some(found) = schema_of(bytes) {
                check_schema(&found, schema, path)?;
            }
            return Err(Error::Corrupt(format!(
                "{name} is not as it was written: its digest does not match; `harness verify` says what else is damaged"
            )));
        }
    };
    match schema_of(body.as_bytes()) {
        Some(found) => check_schema(&found, schema, path)?,
        None => return Err(Error::Invalid(format!("{name} does not say what it is: the key `schema` is missing"))),
    }
    serde_json::from_str(&body).map_err(|cause| Error::Invalid(format!("{name} cannot be understood: {cause}")))
}

/// Whether the seal of a file that [`seal`] made is intact.
#[must_use]
pub fn intact(bytes: &[u8]) -> bool {
    sealed_body(bytes).is_some()
}

fn sealed_body(bytes: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(bytes).ok()?.strip_suffix(AFTER)?;
    let (rest, digest) = rest.split_at_checked(rest.len().checked_sub(HEX)?)?;
    let body = rest.strip_suffix(BEFORE)?;
    (blake3::hash(body.as_bytes()).to_hex().as_str() == digest).then_some(body)
}

fn schema_of(bytes: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    Some(value.get("schema")?.as_str()?.to_owned())
}

fn check_schema(found: &str, wanted: &str, path: &Path) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    let family = |schema: &str| schema.split_once('/').map(|(family, _)| family.to_owned());
    let name = path.display();
    Err(Error::Invalid(if family(found) == family(wanted) {
        format!(
            "{name} has the schema {found}, and this version of harness reads {wanted}: use the version that wrote it"
        )
    } else {
        format!("{name} holds {found:?} where {wanted} was expected")
    }))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        schema: String,
        values: Vec<f64>,
    }

    fn example() -> Example {
        Example { schema: "harness.example/1".into(), values: vec![0.1, 2.0] }
    }

    fn open(bytes: &[u8]) -> Result<Example> {
        unseal(bytes, "harness.example/1", Path::new("example.json"))
    }

    #[test]
    fn a_sealed_file_is_json_and_reads_back() {
        let bytes = seal(&example()).unwrap();
        assert_eq!(open(&bytes).unwrap(), example());
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["digest"].as_str().unwrap().len(), HEX);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = seal(&example()).unwrap();
        for position in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(open(&flipped).is_err(), "bit {position}");
            assert!(!intact(&flipped), "bit {position}");
        }
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn other_versions_and_unknown_keys_are_named() {
        let mut later = serde_json::json!({"schema": "harness.example/2", "new": 1});
        let message = open(&seal(&later).unwrap()).unwrap_err();
        assert!(matches!(&message, Error::Invalid(text) if text.contains("harness.example/2")), "{message}");
        let unsealed = serde_json::to_vec(&later).unwrap();
        assert!(matches!(open(&unsealed).unwrap_err(), Error::Invalid(text) if text.contains("harness.example/2")));
        later = serde_json::json!({"schema": "harness.example/1", "values": [], "colour": "red"});
        let message = open(&seal(&later).unwrap()).unwrap_err();
        assert!(matches!(&message, Error::Invalid(text) if text.contains("`colour`")), "{message}");
        later = serde_json::json!({"values": []});
        assert!(open(&seal(&later).unwrap()).unwrap_err().to_string().contains("`schema`"));
        later = serde_json::json!({"schema": "other.thing/1"});
        assert!(open(&seal(&later).unwrap()).unwrap_err().to_string().contains("other.thing/1"));
    }
}
