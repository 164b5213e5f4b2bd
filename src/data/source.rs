//! What a reader hands over: a data set as its files hold it, before selection and standardisation.

use std::path::PathBuf;

use super::Data;
use super::stored::Stored;
use crate::error::{Error, Result};

/// A data set as read.
#[derive(Debug)]
pub(super) struct Source {
    /// Channels, height, width of one example.
    pub shape: [usize; 3],
    pub classes: Vec<String>,
    pub train: Part,
    pub eval: Part,
    /// The group of each training example, where the files say so.
    pub groups: Option<Vec<u32>>,
    /// BLAKE3 in hex of what was read, after gzip.
    pub digest: String,
}

/// One part of a data set.
#[derive(Debug)]
pub(super) struct Part {
    pub pixels: Pixels,
    /// Each below the number of classes.
    pub labels: Vec<u32>,
}

/// Pixels in the order of the examples, row-major `[channels, height, width]` each.
#[derive(Debug)]
pub(super) enum Pixels {
    /// Blocks of whole examples, so that each can go as soon as it has been converted.
    Bytes(Vec<Vec<u8>>),
    /// Bytes that stay in the files.
    Stored(Stored),
    /// Finite.
    Floats(Vec<f32>),
}

/// A data set without its pixels.
#[derive(Debug)]
pub(super) struct Outline {
    pub shape: [usize; 3],
    pub classes: Vec<String>,
    pub train: Vec<u32>,
    pub eval: Vec<u32>,
}

/// Reads everything; what the files hold as plain bytes stays there if the files of one part have more than `in_memory` bytes.
pub(super) fn read(data: &Data, in_memory: u64) -> Result<Source> {
    let set = data.dataset.set();
    (set.read)(&path(data)?, &set.class_names(), in_memory)
}

/// Reads the labels, and of the pixels only what says how many there are.
pub(super) fn outline(data: &Data) -> Result<Outline> {
    let set = data.dataset.set();
    (set.outline)(&path(data)?, &set.class_names())
}

/// The path of the experiment, or where the data set is expected; nothing for what is embedded.
fn path(data: &Data) -> Result<PathBuf> {
    let set = data.dataset.set();
    match (&data.path, set.folder) {
        (Some(path), _) => Ok(path.clone()),
        (None, Some(usual)) => Ok(PathBuf::from(usual)),
        (None, None) if set.shape.is_some() => Ok(PathBuf::new()),
        (None, None) => {
            Err(Error::Invalid(format!("the data set `{0}` needs a path, so set data.path to an .{0} file", set.name)))
        }
    }
}

/// Checks that a folder is there, and otherwise says how it gets there.
pub(super) fn check_folder(folder: &std::path::Path, contents: &str, names: &str) -> Result<()> {
    use crate::arrays::file;
    match std::fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => {
            Err(file::invalid(folder, format!("is a file, but a folder with {contents} is expected; give the folder")))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Err(file::invalid(
            folder,
            format!(
                "does not exist, but a folder with {contents} is expected; run `harness data fetch {names}` or set data.path"
            ),
        )),
        Err(cause) => Err(file::unreadable(folder, &format!("a folder with {contents}"), &cause)),
    }
}
