//! `files.json`: what a folder of derived files (`analysis/`, `report/`) holds, so that damage to them is found too.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use super::layout::{self, SweepDir};
use super::manifest::FileEntry;
use super::sealed;
use crate::error::{Error, Result};

/// Name of the index.
pub const INDEX: &str = "files.json";
const SCHEMA: &str = "harness.files/1";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    schema: String,
    files: Vec<FileEntry>,
}

/// Lets `make` write the derived files of a sweep into `folder`, then lists every file below it in its `files.json`. Two processes
/// that finish the same sweep do this one after the other.
///
/// # Errors
/// Those of `make`; whatever the file system refuses; a name that is not text.
pub fn make(sweep: &SweepDir, folder: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let _alone = files::lock_folder(sweep.root());
    make(folder)?;
    write(folder)
}

pub(super) fn write(folder: &Path) -> Result<()> {
    files::remove_temporaries(folder)?;
    let mut entries = Vec::new();
    for path in files::walk(folder)? {
        let name = layout::relative(folder, &path)
            .ok_or_else(|| Error::Unexpected(format!("{} has a name that is not text", path.display())))?;
        if name != INDEX {
            entries.push(FileEntry::of(name, &files::read(&path)?));
        }
    }
    let index = Index { schema: SCHEMA.into(), files: entries };
    files::write(&folder.join(INDEX), &sealed::seal(&index)?)
}

/// What is wrong with the files below `folder`, as path and complaint; nothing if the folder does not exist.
pub(super) fn complaints(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let there = files::walk(folder)?;
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let path = folder.join(INDEX);
    let index: Index = match files::read_if_there(&path)?.map(|bytes| sealed::unseal(&bytes, SCHEMA, &path)) {
        None => return Ok(vec![(path, "is missing: the folder was not finished".into())]),
        Some(Err(error)) => return Ok(vec![(path, format!("cannot be used: {error}"))]),
        Some(Ok(index)) => index,
    };
    let mut found = Vec::new();
    for entry in &index.files {
        let path = folder.join(&entry.path);
        let complaint = match files::read_if_there(&path)? {
            None => Some("is missing".to_owned()),
            Some(bytes) => entry.complaint(&bytes),
        };
        found.extend(complaint.map(|complaint| (path, complaint)));
    }
    for file in there {
        let name = layout::relative(folder, &file).unwrap_or_default();
        if name != INDEX && !index.files.iter().any(|entry| entry.path == name) {
            found.push((file, super::verify::STRAY.into()));
        }
    }
    Ok(found)
}
