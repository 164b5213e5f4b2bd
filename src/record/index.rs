//! `files.json`: what a folder of derived files (`analysis/`, `report/`) holds and from which runs it was made, so that
//! damage to it, and the loss of a run that was once complete, are found too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::checksum::{self, Schema};
use super::files::{self, Found};
use super::layout::{self, SweepDir};
use super::manifest::{FileEntry, RunManifest, Status};
use super::wrong::Damage;
use crate::error::{Error, Result};

/// Name of the index.
pub const INDEX: &str = "files.json";
/// Version 1 did not list the runs.
const SCHEMA: Schema = Schema { family: "harness.files", major: 1, minor: 1 };

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    schema: String,
    /// The runs that were complete when the files were made.
    #[serde(default)]
    runs: Vec<usize>,
    files: Vec<FileEntry>,
}

/// Lets `make` write the derived files of a sweep into `folder`, then lists every file below it in its `files.json`. Two
/// processes that finish or mend the same sweep do this one after the other.
///
/// # Errors
/// Those of `make`; `Corrupt` if the folder is a link; whatever the file system refuses; a name that is not text.
pub fn make(sweep: &SweepDir, folder: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    sweep.refuse_links()?;
    files::refuse_links(sweep.root(), folder)?;
    let _alone = files::lock_folder(sweep.root());
    let strays = strays(folder)?;
    make(folder)?;
    write(sweep, folder, &strays)
}

/// Files below `folder` that its index does not list, with what tells whether they were written since; none without an
/// index.
fn strays(folder: &Path) -> Result<BTreeMap<PathBuf, Option<SystemTime>>> {
    let Ok(Some(index)) = load(folder) else { return Ok(BTreeMap::new()) };
    let listed: BTreeSet<PathBuf> = index.files.iter().map(|entry| folder.join(&entry.path)).collect();
    let unlisted = files::walk(folder)?.into_iter().filter(|path| !listed.contains(path));
    Ok(unlisted
        .map(|path| {
            let at = written_at(&path);
            (path, at)
        })
        .collect())
}

fn written_at(path: &Path) -> Option<SystemTime> {
    std::fs::symlink_metadata(path).and_then(|found| found.modified()).ok()
}

/// Lists what lies below `folder` but for `strays` that are as they were: somebody else's notes stay theirs.
pub(super) fn write(sweep: &SweepDir, folder: &Path, strays: &BTreeMap<PathBuf, Option<SystemTime>>) -> Result<()> {
    files::remove_temporaries(folder)?;
    let mut entries = Vec::new();
    for path in files::walk(folder)? {
        if strays.get(&path).is_some_and(|at| *at == written_at(&path)) {
            continue;
        }
        let name = layout::relative(folder, &path)
            .ok_or_else(|| Error::Unexpected(format!("{} has a name that is not text", path.display())))?;
        // What is no plain file was not made by us: `verify` names it as a stray.
        if name != INDEX && matches!(files::look(&path)?, Found::File(_)) {
            entries.push(FileEntry::of(name, &files::read(&path)?));
        }
    }
    let complete =
        |run: &usize| matches!(RunManifest::read(&sweep.run(*run)), Ok(Some(run)) if run.status == Status::Complete);
    let runs = sweep.indices()?.into_iter().filter(complete).collect();
    store(folder, &Index { schema: SCHEMA.name(), runs, files: entries })
}

fn store(folder: &Path, index: &Index) -> Result<()> {
    files::write(&folder.join(INDEX), &checksum::encode(index)?)
}

/// The index of a folder; `None` if it has none.
fn load(folder: &Path) -> Result<Option<Index>> {
    let path = folder.join(INDEX);
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
    let index: Index = checksum::decode(&bytes, &SCHEMA, &path)?;
    FileEntry::check_all(&index.files, &path)?;
    Ok(Some(index))
}

/// The bytes of the derived file `name` in `folder`, if it is there and as it was written: a derived file that was changed is
/// made again rather than believed.
///
/// # Errors
/// Whatever the file system refuses.
pub fn read(folder: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let Ok(Some(index)) = load(folder) else { return Ok(None) };
    let Some(entry) = index.files.into_iter().find(|entry| entry.path == name) else { return Ok(None) };
    let Ok(bytes) = files::read_if_there(&folder.join(name)) else { return Ok(None) };
    Ok(bytes.filter(|bytes| entry.damage(bytes).is_none()))
}

/// What is wrong with a derived file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is not as it was written, or missing.
    Damaged,
    /// Nothing lists it.
    Stray,
    /// The index itself cannot be used.
    Index,
}

/// What is wrong with the files below `folder`, as path and complaint; nothing if the folder does not exist.
pub(super) fn complaints(folder: &Path) -> Result<Vec<(PathBuf, String, Wrong)>> {
    let there = files::walk(folder)?;
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let path = folder.join(INDEX);
    let index = match load(folder) {
        Ok(Some(index)) => index,
        Ok(None) => return Ok(vec![(path, "is missing: the folder was not finished".into(), Wrong::Index)]),
        Err(error) => return Ok(vec![(path, format!("cannot be used: {error}"), Wrong::Index)]),
    };
    let mut found = Vec::new();
    for entry in &index.files {
        let path = folder.join(&entry.path);
        let linked = files::refuse_links(folder, &path).err().map(Damage::Unreadable);
        let damage = linked.or_else(|| entry.damage_at(&path));
        found.extend(damage.map(|damage| (path, damage.to_string(), Wrong::Damaged)));
    }
    let listed: BTreeSet<&str> = index.files.iter().map(|entry| entry.path.as_str()).collect();
    for file in there {
        let name = layout::relative(folder, &file).unwrap_or_default();
        if name != INDEX && !listed.contains(name.as_str()) {
            found.push((file, super::verify::STRAY.into(), Wrong::Stray));
        }
    }
    Ok(found)
}

/// The runs from which the files of `folder` were made; none where nobody can say.
pub(super) fn sources(folder: &Path) -> Vec<usize> {
    load(folder).ok().flatten().map(|index| index.runs).unwrap_or_default()
}

/// Makes the index of `folder` again, whose checksum does not fit, as far as it can still be understood: a file whose digest is
/// listed is as it was written, and one whose digest differs is removed. Of an index that says nothing any more, the tables of
/// an analysis go with it, since the analysis makes them again; whatever else lies there stays.
pub(super) fn mend(folder: &Path, is_analysis: bool) -> Result<()> {
    let path = folder.join(INDEX);
    let bytes = files::read_if_there(&path).ok().flatten();
    let old: Option<Index> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(mut index) = old.filter(|index| FileEntry::check_all(&index.files, &path).is_ok()) else {
        if files::look(&path)? != Found::Folder {
            files::remove(&path)?;
        }
        let table =
            |path: &PathBuf| path.extension().is_some_and(|end| end == "parquet") || path.ends_with("summary.json");
        for path in files::walk(folder)?.iter().filter(|path| is_analysis && table(path)) {
            files::remove(path)?;
        }
        return Ok(());
    };
    let mut whole = Vec::with_capacity(index.files.len());
    for entry in index.files {
        let path = folder.join(&entry.path);
        let linked = files::refuse_links(folder, &path).is_err();
        match entry.damage_at(&path) {
            None if !linked => whole.push(entry),
            Some(Damage::Size { .. } | Damage::Contents) if !linked => drop(files::remove(&path)?),
            _ => {}
        }
    }
    index.files = whole;
    index.schema = SCHEMA.name();
    store(folder, &index)
}

/// Takes files that are gone, and runs that were forgotten, out of the index of `folder`.
pub(super) fn drop_entries(folder: &Path, gone: &BTreeSet<PathBuf>, forgotten: &BTreeSet<usize>) -> Result<()> {
    let Ok(Some(mut index)) = load(folder) else { return Ok(()) };
    SCHEMA.refuse_newer(&index.schema, &folder.join(INDEX))?;
    let before = (index.files.len(), index.runs.len());
    index.files.retain(|entry| !gone.contains(&folder.join(&entry.path)));
    index.runs.retain(|run| !forgotten.contains(run));
    if before == (index.files.len(), index.runs.len()) { Ok(()) } else { store(folder, &index) }
}
