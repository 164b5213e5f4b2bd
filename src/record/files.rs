//! The write layer: every file of a sweep is written to a temporary name in its own folder, synced and renamed, and the
//! folder is synced, so that a reader finds the old bytes or the new ones and never half of either, whatever happens.
//!
//! And what may be touched at all: only plain files are read, no linked folder below a sweep is entered
//! ([`refuse_links`]), and a process that has lost its folder to another notices it ([`Anchor`]).

mod hold;
mod look;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::{self, Operation, Verdict};
use crate::error::{Error, Result};

pub use hold::{Anchor, can_write, file_system_time, is_locked, lock_folder, open_lock};
pub use look::{Found, PlainFolders, is_plain_relative, look, read, read_if_there, refuse_links};

const TEMPORARY: &str = ".tmp";

/// Writes `bytes` to `path`, replacing what was there, in one step that a crash cannot split. The folder must exist.
///
/// # Errors
/// Whatever the file system refuses; then the old file, if any, is untouched (only when the sync of the folder fails is
/// the new one already in place), and the temporary file is gone unless its removal failed too.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_name(path);
    let written = write_temporary(&temporary, bytes).and_then(|()| {
        fault::check(Operation::Rename)?;
        fs::rename(&temporary, path)
    });
    if let Err(cause) = written {
        // The first failure is the one to report; a temporary that stays is swept up by `remove_temporaries`.
        let _ = fs::remove_file(&temporary);
        return Err(Error::io("write", path, &cause));
    }
    sync_folder(&folder_of(path)).map_err(|cause| Error::io("sync the folder of", path, &cause))
}

fn write_temporary(temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    fault::check(Operation::Create)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    let half = || bytes.get(..bytes.len() / 2).unwrap_or_default();
    match fault::check(Operation::Write)? {
        Verdict::Proceed => file.write_all(bytes)?,
        Verdict::Short => {
            file.write_all(half())?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Verdict::ShortAbort => {
            file.write_all(half())?;
            std::process::abort();
        }
    }
    fault::check(Operation::Sync)?;
    file.sync_all()
}

/// Creates `path` and the folders above it that are missing, each of them synced into its parent.
///
/// # Errors
/// Whatever the file system refuses.
pub fn create_folder(path: &Path) -> Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        let made = fault::check(Operation::Folder).and_then(|_| fs::create_dir(folder));
        match made {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(cause) => return Err(Error::io("create the folder", folder, &cause)),
            Ok(()) => {
                sync_folder(&folder_of(folder)).map_err(|cause| Error::io("sync the folder of", folder, &cause))?;
            }
        }
    }
    Ok(())
}

/// Removes the file `path`; says whether there was one.
///
/// # Errors
/// Whatever the file system refuses, other than that nothing is there.
pub fn remove(path: &Path) -> Result<bool> {
    let removed = fault::check(Operation::Remove).and_then(|_| fs::remove_file(path));
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(Error::io("remove", path, &cause)),
        Ok(()) => {
            sync_folder(&folder_of(path)).map_err(|cause| Error::io("sync the folder of", path, &cause))?;
            Ok(true)
        }
    }
}

/// Removes the folder `path` with everything in it; says whether there was one.
///
/// # Errors
/// Whatever the file system refuses, other than that nothing is there.
pub fn remove_folder(path: &Path) -> Result<bool> {
    let removed = fault::check(Operation::Remove).and_then(|_| fs::remove_dir_all(path));
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(Error::io("remove", path, &cause)),
        Ok(()) => {
            sync_folder(&folder_of(path)).map_err(|cause| Error::io("sync the folder of", path, &cause))?;
            Ok(true)
        }
    }
}

/// Removes what writers that died have left below `folder`, and says how many files that were. Only the one that owns
/// the folder may call it: a temporary file of a living writer would go too.
///
/// # Errors
/// Whatever the file system refuses.
pub fn remove_temporaries(folder: &Path) -> Result<usize> {
    let mut removed = 0;
    for path in walk(folder)? {
        if is_temporary(&path) && remove(&path)? {
            removed += 1;
        }
    }
    Ok(removed)
}

/// As [`remove_temporaries`], but only what lies directly in `folder`.
///
/// # Errors
/// Whatever the file system refuses.
pub fn remove_temporaries_in(folder: &Path) -> Result<()> {
    for entry in entries(folder)? {
        if is_temporary(&entry.path()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether an unfinished file lies directly in `folder`.
///
/// # Errors
/// Whatever the file system refuses.
pub fn has_temporaries_in(folder: &Path) -> Result<bool> {
    Ok(entries(folder)?.iter().any(|entry| is_temporary(&entry.path())))
}

/// Whether `path` is named like an unfinished file of the write layer.
#[must_use]
pub fn is_temporary(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

/// All files below `folder`, sorted; none if the folder does not exist or is itself a link. Links are listed, never
/// followed.
///
/// # Errors
/// Whatever the file system refuses.
pub fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if fs::symlink_metadata(folder).is_ok_and(|kind| !kind.is_dir()) {
        return Ok(found);
    }
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in entries(&folder)? {
            let kind = entry.file_type().map_err(|cause| Error::io("read", &entry.path(), &cause))?;
            if kind.is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    Ok(found)
}

/// What lies directly in `folder`, in no order; nothing if the folder does not exist.
pub(super) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    let listed = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(Iterator::collect),
    };
    listed.map_err(|cause| Error::io("list", folder, &cause))
}

fn temporary_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    folder_of(path).join(format!(".{name}.{}-{number}{TEMPORARY}", std::process::id()))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fault::check(Operation::SyncFolder)?;
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot sync a folder; there the rename itself is the promise.
        Err(cause) if matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Elsewhere a folder cannot be opened as a file; the rename itself is the promise.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    fault::check(Operation::SyncFolder).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::fault::testing;
    use super::*;

    const OLD: &[u8] = b"the old bytes";
    const NEW: &[u8] = b"the new bytes, which are more";

    #[test]
    fn a_failure_at_any_operation_leaves_the_old_file_or_the_new_one() {
        for kind in ["short", "space", "rename", "any"] {
            for old in [None, Some(OLD)] {
                let mut at = 1;
                loop {
                    let folder = tempfile::tempdir().unwrap();
                    let path = folder.path().join("soft.parquet");
                    if let Some(old) = old {
                        write(&path, old).unwrap();
                    }
                    let (result, seen) = testing::with(&format!("{kind}:{at}"), || write(&path, NEW));
                    let now = read_if_there(&path).unwrap();
                    if seen < at {
                        assert_eq!(now.as_deref(), Some(NEW));
                        result.unwrap();
                        assert!(at > 1, "{kind} met no operation");
                        break;
                    }
                    // Only the sync of the folder comes after the new file is in place.
                    let synced_late = kind == "any" && at == 5;
                    assert_eq!(now.as_deref(), if synced_late { Some(NEW) } else { old }, "{kind}:{at}");
                    let error = result.unwrap_err();
                    assert_eq!(error.exit_code(), crate::error::exit::UNEXPECTED);
                    assert!(error.to_string().contains("soft.parquet"), "{error}");
                    assert_eq!(walk(folder.path()).unwrap().len(), usize::from(now.is_some()), "{kind}:{at}");
                    at += 1;
                }
            }
        }
    }

    #[test]
    fn folders_are_created_whole_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        let (result, _) = testing::with("any:3", || create_folder(&deep));
        assert!(result.is_err());
        assert!(folder.path().join("a").is_dir() && !deep.exists());
        create_folder(&deep).unwrap();
        create_folder(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(folder.path().join("file"), b"").unwrap();
        assert!(create_folder(&folder.path().join("file/below")).is_err());
    }

    #[test]
    fn stale_temporaries_are_found_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        create_folder(&folder.path().join("checkpoints/0010")).unwrap();
        let kept = folder.path().join("checkpoints/0010/soft.parquet");
        write(&kept, NEW).unwrap();
        for left in ["checkpoints/0010/.soft.parquet.17-3.tmp", ".run.json.1-0.tmp"] {
            fs::write(folder.path().join(left), b"half").unwrap();
        }
        assert_eq!(remove_temporaries(folder.path()).unwrap(), 2);
        assert_eq!(walk(folder.path()).unwrap(), [kept]);
        assert_eq!(remove_temporaries(&folder.path().join("nowhere")).unwrap(), 0);
    }

    #[test]
    fn removing_says_whether_something_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(!remove(&path).unwrap());
        write(&path, OLD).unwrap();
        assert!(remove(&path).unwrap());
        assert!(!remove_folder(&folder.path().join("checkpoints")).unwrap());
    }
}
