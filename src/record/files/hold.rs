//! Whose a folder is: locks, the folder that a process began in, and the clock of its file system.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::look::odd;
use super::{Found, look, temporary_name};
use crate::error::{Error, Result};

/// A folder that must stay the one that it was: the process that holds it notices when the folder was removed, moved away
/// or replaced by another of the same name.
#[derive(Debug)]
pub struct Anchor {
    path: PathBuf,
    /// Held open, so that its number cannot be given to another folder.
    held: File,
}

impl Anchor {
    /// Holds on to `path` as it is now.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn new(path: &Path) -> Result<Self> {
        let held = File::open(path).map_err(|cause| Error::io("open the folder", path, &cause))?;
        Ok(Self { path: path.to_path_buf(), held })
    }

    /// # Errors
    /// `Invalid` if another folder, or none, lies at the path now.
    pub fn check(&self) -> Result<()> {
        if self.is_still_there() {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "{} is no longer the folder that this process began in: it was moved, removed or replaced, and nothing more is written there",
            self.path.display()
        )))
    }

    #[cfg(unix)]
    fn is_still_there(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let number = |found: fs::Metadata| (found.dev(), found.ino());
        let (held, now) = (self.held.metadata().map(number), fs::metadata(&self.path).map(number));
        matches!((held, now), (Ok(held), Ok(now)) if held == now)
    }

    #[cfg(not(unix))]
    fn is_still_there(&self) -> bool {
        self.held.metadata().is_ok() && self.path.is_dir()
    }
}

/// Waits until no other process holds the lock of `folder` and takes it until the result is dropped. Nothing is locked where
/// the file system knows no locks.
#[must_use]
pub fn lock_folder(folder: &Path) -> Option<File> {
    File::open(folder).and_then(|folder| folder.lock().map(|()| folder)).ok()
}

/// Whether a living process holds the lock `path`; `false` where there is no such file or the file system knows no locks.
#[must_use]
pub fn is_locked(path: &Path) -> bool {
    matches!(look(path), Ok(Found::File(_)))
        && File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Opens the lock file `path`, which is made if it is not there; nothing is locked yet.
///
/// # Errors
/// `Corrupt` if something else than a plain file is there; whatever the file system refuses.
pub fn open_lock(path: &Path) -> Result<File> {
    match look(path)? {
        Found::Nothing | Found::File(_) => {}
        Found::Folder => return Err(odd(path, "a folder")),
        Found::Odd(what) => return Err(odd(path, what)),
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    opened.map_err(|cause| Error::io("open the lock", path, &cause))
}

/// Whether files can be made in `folder`.
#[must_use]
pub fn can_write(folder: &Path) -> bool {
    let probe = temporary_name(&folder.join("probe"));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    // One that stays is swept up by `remove_temporaries`.
    let _ = fs::remove_file(&probe);
    made.is_ok()
}

/// The time as the file system of `folder` has it, which on a shared disk need not be this machine's; this machine's where
/// nothing can be written there.
#[must_use]
pub fn file_system_time(folder: &Path) -> SystemTime {
    let probe = temporary_name(&folder.join("clock"));
    let time = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)
        .and_then(|mut file| file.write_all(b".").and_then(|()| file.sync_all()).and_then(|()| file.metadata()))
        .and_then(|found| found.modified());
    // One that stays is swept up by `remove_temporaries`.
    let _ = fs::remove_file(&probe);
    time.unwrap_or_else(|_| SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_folder_that_was_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sweep");
        fs::create_dir(&path).unwrap();
        let anchor = Anchor::new(&path).unwrap();
        anchor.check().unwrap();
        fs::remove_dir(&path).unwrap();
        assert!(matches!(anchor.check(), Err(Error::Invalid(_))));
        fs::create_dir(&path).unwrap();
        assert!(matches!(anchor.check(), Err(Error::Invalid(_))));
    }
}
