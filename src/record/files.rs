//! The write layer: every file of a sweep is written to a temporary name in its own folder, synced and renamed, and the
//! folder is synced, so that a reader finds the old bytes or the new ones and never half of either, whatever happens.
//!
//! And what may be touched at all: only plain files are read, no linked folder below a sweep is entered
//! ([`refuse_links`]), and a process that has lost its folder to another notices it ([`Anchor`]).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::fault::{self, Operation, Verdict};
use crate::error::{Error, Result};

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

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// A plain file of so many bytes.
    File(u64),
    Folder,
    /// Something that is never opened, in words: a link, a pipe, a device, a file of holes.
    Odd(&'static str),
}

/// A file that claims this much ...
const LONG: u64 = 64 << 20;
/// ... and of which less than one part in so many lies on the disk, has no end that anybody wrote.
const HOLES: u64 = 1000;

/// Looks at `path` without opening it or following a link.
///
/// # Errors
/// Whatever the file system refuses, other than that nothing is there.
pub fn look(path: &Path) -> Result<Found> {
    let found = match fs::symlink_metadata(path) {
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Found::Nothing);
        }
        found => found.map_err(|cause| Error::io("look at", path, &cause))?,
    };
    let kind = found.file_type();
    Ok(if kind.is_symlink() {
        Found::Odd("a link")
    } else if kind.is_dir() {
        Found::Folder
    } else if !kind.is_file() {
        Found::Odd("a pipe, a socket or a device")
    } else if on_disk(&found).saturating_mul(HOLES) < found.len() && found.len() > LONG {
        Found::Odd("a file of holes")
    } else {
        Found::File(found.len())
    })
}

/// Bytes that a file takes on the disk.
#[cfg(unix)]
fn on_disk(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(found).saturating_mul(512)
}

#[cfg(not(unix))]
fn on_disk(found: &fs::Metadata) -> u64 {
    found.len()
}

/// The bytes of `path`, or `None` if there is no such file.
///
/// # Errors
/// `Corrupt` if something else than a plain file is there, which is not opened; whatever the file system refuses.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match look(path)? {
        Found::Nothing => Ok(None),
        Found::File(_) => match fs::read(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|cause| Error::io("read", path, &cause)),
        },
        Found::Folder => Err(odd(path, "a folder")),
        Found::Odd(what) => Err(odd(path, what)),
    }
}

fn odd(path: &Path, what: &str) -> Error {
    Error::Corrupt(format!("{} is {what} where a plain file was written: it is not opened", path.display()))
}

/// The bytes of `path`.
///
/// # Errors
/// As [`read_if_there`]; there is no such file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_if_there(path)?.ok_or_else(|| Error::io("read", path, &io::ErrorKind::NotFound.into()))
}

/// Refuses a path on which a link lies between `root` and the path itself: what is written or removed behind a link would
/// be somebody else's. That `root` is reached through links is its owner's business.
///
/// # Errors
/// `Corrupt` if a folder on the way, or `path` itself, is a link or no folder.
pub fn refuse_links(root: &Path, path: &Path) -> Result<()> {
    let Ok(below) = path.strip_prefix(root) else { return Ok(()) };
    let mut at = root.to_path_buf();
    for part in below.components() {
        at.push(part);
        match look(&at)? {
            Found::Nothing => return Ok(()),
            Found::Folder => {}
            // The last part may be a file; one that must not be opened is refused when it is read.
            Found::File(_) if at == path => {}
            found => {
                let what = if let Found::Odd(what) = found { what } else { "a file" };
                return Err(Error::Corrupt(format!(
                    "{} is {what} where a folder of the sweep was made: nothing behind it is read, written or removed; \
                     to keep a sweep elsewhere, link its whole directory",
                    at.display()
                )));
            }
        }
    }
    Ok(())
}

/// Whether `path` stays below the folder that it is relative to: plain names with `/` between them.
#[must_use]
pub fn is_plain_relative(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && Path::new(path).is_relative()
}

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
    #[cfg(unix)]
    fn only_plain_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), b"contents").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("endless")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        File::create(at("holes")).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_if_there(&at("file")).unwrap().unwrap(), b"contents");
        assert_eq!(read_if_there(&at("nothing")).unwrap(), None);
        for name in ["link", "endless", "folder", "pipe", "holes"] {
            assert!(matches!(read_if_there(&at(name)), Err(Error::Corrupt(text)) if text.contains(name)), "{name}");
        }
        for name in ["link", "endless", "folder", "pipe"] {
            assert!(open_lock(&at(name)).is_err() && !is_locked(&at(name)), "{name}");
        }
        open_lock(&at("lock")).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn links_below_the_root_are_refused_and_links_to_the_root_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (root, other) = (folder.path().join("sweep"), folder.path().join("other"));
        create_folder(&root.join("runs/0000")).unwrap();
        create_folder(&other).unwrap();
        fs::write(root.join("runs/0000/state"), b"").unwrap();
        std::os::unix::fs::symlink(&other, root.join("runs/0001")).unwrap();
        std::os::unix::fs::symlink(&root, folder.path().join("linked")).unwrap();
        refuse_links(&root, &root.join("runs/0000/state")).unwrap();
        refuse_links(&root, &root.join("runs/0007/checkpoints")).unwrap();
        let linked = folder.path().join("linked");
        refuse_links(&linked, &linked.join("runs/0000/state")).unwrap();
        for path in ["runs/0001", "runs/0001/state", "runs/0000/state/deeper"] {
            assert!(matches!(refuse_links(&root, &root.join(path)), Err(Error::Corrupt(_))), "{path}");
        }
        fs::write(other.join("thesis.txt"), b"mine").unwrap();
        assert_eq!(walk(&root.join("runs/0001")).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(remove_temporaries(&root.join("runs/0001")).unwrap(), 0);
    }

    #[test]
    fn paths_that_lead_out_are_not_plain() {
        for good in ["soft.parquet", "checkpoints/0001/soft.parquet", "..hidden", "a..b"] {
            assert!(is_plain_relative(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/.", "a\\b", "a\0"] {
            assert!(!is_plain_relative(bad), "{bad:?}");
        }
    }

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
