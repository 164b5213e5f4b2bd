//! Looking at data before it is used: which format it is in, whether it is what was published, and how many examples of
//! each class it holds.

use std::io::Read;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use super::sets::{DatasetKind, Set};
use super::source::Source;
use super::{idx, sets};
use crate::arrays::file::{self, invalid};
use crate::error::Result;

/// What was found at a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The format, in words.
    pub format: &'static str,
    /// Channels, height, width of one example; `None` where there are labels only.
    pub shape: Option<[usize; 3]>,
    /// A name for each class, in label order; empty where there are images only.
    pub classes: Vec<String>,
    /// Training and evaluation part, or what one file holds.
    pub parts: Vec<PartCounts>,
    /// Every file that was read.
    pub files: Vec<FileCheck>,
}

/// One part of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCounts {
    /// `train`, `evaluation`, or what one file holds.
    pub name: &'static str,
    /// Number of examples.
    pub examples: usize,
    /// Number of examples of each class, in label order.
    pub per_class: Vec<usize>,
}

/// One file, held against the published checksums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// In hex.
    pub md5: String,
    /// Whether it is as published.
    pub verdict: Verdict,
}

/// How a file compares with what was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Byte for byte the published file of this data set.
    Published(&'static str),
    /// Name and length of a published file of this data set, but other bytes.
    Differs(&'static str),
    /// No published file is like it.
    Unknown,
}

impl Report {
    /// The data set that every file was published with, if they all were with one.
    #[must_use]
    pub fn published(&self) -> Option<&'static str> {
        let (first, rest) = self.files.split_first()?;
        let Verdict::Published(name) = first.verdict else { return None };
        rest.iter().all(|file| file.verdict == first.verdict).then_some(name)
    }

    /// Files of which name and length are published but not the bytes.
    pub fn differing(&self) -> impl Iterator<Item = &FileCheck> {
        self.files.iter().filter(|file| matches!(file.verdict, Verdict::Differs(_)))
    }
}

/// Looks at a folder of IDX files or CIFAR-10 batches, at one such file, or at an `.npz` data set.
///
/// # Errors
/// [`Error::Invalid`](crate::error::Error::Invalid) if nothing known is there or it cannot be read in whole. Files that
/// differ from the published ones are no error here: see [`Report::differing`].
pub fn check(path: &Path) -> Result<Report> {
    let metadata = std::fs::metadata(path).map_err(|cause| file::unreadable(path, "a data set", &cause))?;
    if metadata.is_dir() { check_folder(path) } else { check_file(path) }
}

fn check_folder(folder: &Path) -> Result<Report> {
    // Files that are published gzipped may have been unpacked.
    fn there<'a>(folder: &Path, name: &'a str) -> Option<&'a str> {
        let names = [name, name.strip_suffix(".gz").unwrap_or(name)];
        names.into_iter().find(|name| folder.join(name).symlink_metadata().is_ok())
    }
    let candidates: Vec<&Set> =
        Set::published().filter(|set| set.files.iter().any(|file| there(folder, file.name).is_some())).collect();
    let Some(first) = candidates.first() else { return Err(idx::unknown_folder(folder)) };
    let mut files: Vec<PathBuf> =
        first.files.iter().filter_map(|file| Some(folder.join(there(folder, file.name)?))).collect();
    files.dedup();
    let files = check_files(files.into_iter())?;
    // Some have files of the same names.
    let published = |set: &&&Set| files.iter().all(|file| file.verdict == Verdict::Published(set.name));
    let set = candidates.iter().find(published).unwrap_or(first);
    Ok(of_source(&(set.read)(folder, &set.class_names(), u64::MAX)?, set.format, files))
}

fn check_file(path: &Path) -> Result<Report> {
    let mut opened = file::open(path, "a data set")?;
    let mut start = Vec::new();
    (&mut opened.file).take(16).read_to_end(&mut start).map_err(|cause| file::broken(&file::shown(path), &cause))?;
    let files = || check_files(std::iter::once(path.to_path_buf()));
    if start.starts_with(b"PK") {
        return Ok(of_source(&sets::npz::read(path)?, "npz", files()?));
    }
    let mut unhashed = blake3::Hasher::new();
    let (format, shape, classes, part) = match idx::recognise(path) {
        Some(contents @ idx::Contents::Images) => {
            let images = idx::Idx::open(path, contents)?;
            let shape = images.image_shape();
            let examples = images.values(&mut unhashed)?.len() / shape.iter().product::<usize>().max(1);
            ("IDX images", Some(shape), Vec::new(), PartCounts { name: "images", examples, per_class: Vec::new() })
        }
        Some(contents @ idx::Contents::Labels) => {
            let classes = DatasetKind::Mnist.set().class_names();
            let labels = idx::Idx::open(path, contents)?.labels(classes.len(), &mut unhashed)?;
            let part = count("labels", &labels, classes.len());
            ("IDX labels", None, classes, part)
        }
        None if path.extension().is_some_and(|extension| extension == "bin") => {
            let cifar = DatasetKind::Cifar10.set();
            let classes = cifar.class_names();
            let (_, labels) = sets::cifar10::batch(path, classes.len(), &mut unhashed)?;
            let part = count("batch", &labels, classes.len());
            (cifar.format, cifar.shape, classes, part)
        }
        None => {
            let found = file::looks_like(&start);
            let what = format!(
                "looks like {found}, but an IDX file, a CIFAR-10 batch (.bin) or an .npz data set is expected; give the path of one"
            );
            return Err(invalid(path, what));
        }
    };
    Ok(Report { format, shape, classes, parts: vec![part], files: files()? })
}

fn of_source(source: &Source, format: &'static str, files: Vec<FileCheck>) -> Report {
    let classes = source.classes.len();
    let parts = vec![count("train", &source.train.labels, classes), count("evaluation", &source.eval.labels, classes)];
    Report { format, shape: Some(source.shape), classes: source.classes.clone(), parts, files }
}

fn count(name: &'static str, labels: &[u32], classes: usize) -> PartCounts {
    let mut per_class = vec![0; classes];
    for &label in labels {
        if let Some(count) = per_class.get_mut(label as usize) {
            *count += 1;
        }
    }
    PartCounts { name, examples: labels.len(), per_class }
}

fn check_files(paths: impl Iterator<Item = PathBuf>) -> Result<Vec<FileCheck>> {
    paths
        .map(|path| {
            let (bytes, md5) = md5_of(&path)?;
            let verdict = verdict(&path, bytes, &md5);
            Ok(FileCheck { path, bytes, md5, verdict })
        })
        .collect()
}

/// IDX files that are not gzipped all have the same lengths, whatever they show: there only the checksum can tell, and what
/// is unknown may well be sound.
fn verdict(path: &Path, bytes: u64, md5: &str) -> Verdict {
    let known = || Set::published().flat_map(|set| set.files.iter().map(move |file| (set.name, file)));
    if let Some((set, _)) = known().find(|(_, file)| file.md5 == md5) {
        return Verdict::Published(set);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let like = known().find(|(_, file)| file.name == name && file.bytes == bytes && name.contains('.'));
    like.map_or(Verdict::Unknown, |(set, _)| Verdict::Differs(set))
}

/// Length and MD5 in hex of a file.
pub(super) fn md5_of(path: &Path) -> Result<(u64, String)> {
    let broken = |cause| file::broken(&file::shown(path), &cause);
    let opened = file::open(path, "a file")?;
    let mut file = opened.file.take(opened.length);
    let (mut hasher, mut bytes) = (Md5::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer).map_err(broken)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { break };
        hasher.update(chunk);
        bytes += chunk.len() as u64;
    }
    Ok((bytes, hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_of_rfc_1321() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "message digest").unwrap();
        assert_eq!(md5_of(&path).unwrap(), (14, "f96b697d7cb7938d525a2f31aaf161d0".to_string()));
    }

    #[test]
    fn verdicts() {
        let known = DatasetKind::FashionMnist.set().files[0];
        assert_eq!(verdict(Path::new("a/b"), 1, known.md5), Verdict::Published("fashion-mnist"));
        assert_eq!(verdict(&Path::new("a").join(known.name), known.bytes, "0"), Verdict::Differs("fashion-mnist"));
        assert_eq!(verdict(&Path::new("a").join(known.name), known.bytes + 1, "0"), Verdict::Unknown);
        let unpacked = DatasetKind::Mnist.set().files[4];
        assert_eq!(verdict(Path::new(unpacked.name), unpacked.bytes, "0"), Verdict::Unknown);
    }
}
