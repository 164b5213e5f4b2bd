//! What may be touched: only plain files are read, and no linked folder below a sweep is entered.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// A plain file of so many bytes.
    File(u64),
    /// A folder.
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

pub(super) fn odd(path: &Path, what: &str) -> Error {
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

/// Folders below `root` that were found to be plain, so that of many files in few folders each folder is looked at once.
#[derive(Debug)]
pub struct PlainFolders<'a> {
    root: &'a Path,
    plain: HashSet<PathBuf>,
}

impl<'a> PlainFolders<'a> {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(root: &'a Path) -> Self {
        Self { root, plain: HashSet::new() }
    }

    /// Refuses a file that lies behind a link; what the file itself is, whoever opens it sees.
    ///
    /// # Errors
    /// As [`refuse_links`].
    pub fn check(&mut self, file: &Path) -> Result<()> {
        let Some(folder) = file.parent().filter(|folder| !self.plain.contains(*folder)) else { return Ok(()) };
        refuse_links(self.root, folder)?;
        self.plain.insert(folder.to_path_buf());
        Ok(())
    }
}

/// Whether `path` stays below the folder that it is relative to: plain names with `/` between them.
#[must_use]
pub fn is_plain_relative(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && Path::new(path).is_relative()
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

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
}
