//! Networks that were trained elsewhere: their weights under the names that they have there.
//!
//! Layouts are PyTorch's, which are ours ([`crate::model::weights`]). A file of names says what a parameter is called elsewhere.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::arrays::file;
use crate::error::{Error, Result};
use crate::model::weights::{self, Names};
use crate::model::{HostTensor, Model, Plan};

/// No file of names is longer, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// Reads the weights of `model` for examples `[channels, height, width]`. The number of outputs is that of the last dense layer.
///
/// # Errors
/// `Invalid`, before any computation, if the file cannot be read, a tensor is missing, of another shape than the model needs, not
/// finite, or one that the model has no place for.
pub fn read_weights(model: &Model, input: [usize; 3], path: &Path, names: &Names) -> Result<(Plan, Vec<HostTensor>)> {
    let given = weights::read(path)?;
    // Names do not depend on the number of outputs.
    let outline = Plan::outline(model, input)?;
    names.check(&outline, "the file of names")?;
    let plan = Plan::new(model, input, given.classes(&outline, names)?)?;
    let weights = given.fit(&plan, names, None)?;
    Ok((plan, weights))
}

/// Reads names from a TOML file of `ours = "theirs"`.
///
/// # Errors
/// `Invalid` if the file cannot be read or is no such file.
pub fn read_names(path: &Path) -> Result<Names> {
    const EXPECTED: &str = "a TOML file of names";
    let opened = file::open(path, EXPECTED)?;
    let place = file::shown(path);
    if opened.length > LONGEST_FILE {
        return Err(Error::Invalid(format!("{place} is longer than {} KiB: not {EXPECTED}", LONGEST_FILE >> 10)));
    }
    let mut text = String::new();
    opened.file.take(LONGEST_FILE).read_to_string(&mut text).map_err(|cause| file::broken(&place, &cause))?;
    parse_names(&text, &place)
}

/// As [`read_names`], from the text of the file; `place` names it in messages.
fn parse_names(text: &str, place: &str) -> Result<Names> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Error::Invalid(format!(
            "{place} is not TOML: {}; write a line like c1 = \"conv1\" for each name",
            error.message()
        ))
    })?;
    let mut map = BTreeMap::new();
    flatten("", &table, place, &mut map)?;
    Ok(map.into())
}

/// Unquoted dots in a key make tables of tables.
fn flatten(before: &str, table: &toml::Table, place: &str, map: &mut BTreeMap<String, String>) -> Result<()> {
    for (key, value) in table {
        let name = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        match value {
            toml::Value::String(theirs) => {
                map.insert(name, theirs.clone());
            }
            toml::Value::Table(table) => flatten(&name, table, place, map)?,
            _ => {
                return Err(Error::Invalid(format!(
                    "{name} in {place} is not a name; write it like {key} = \"conv1\""
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_dots_or_without() {
        let text = "c1 = 'conv'\n'blocks.0' = 'layer1.0'\nblocks.1.c1.weight = 'odd'\n'*' = 'net'";
        let names = parse_names(text, "names.toml").unwrap();
        assert_eq!(names.theirs("blocks.1.c1.weight"), "odd");
        assert_eq!(names.theirs("blocks.0.c1.weight"), "layer1.0.c1.weight");
        let refusal = |text: &str| parse_names(text, "names.toml").unwrap_err().to_string();
        assert!(refusal("fc = 3").contains("fc in names.toml is not a name"));
        assert!(refusal("fc 3").contains("is not TOML"));
    }
}
