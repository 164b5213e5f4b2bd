//! IDX, the format of MNIST and Fashion-MNIST, gzipped or not: two zero bytes, a type (8 is unsigned bytes), the number of
//! axes, the length of each axis (four bytes, highest first), then the values (<http://yann.lecun.com/exdb/mnist>).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::source::{Outline, Part, Pixels, Source, check_folder};
use super::stored::{Block, Stored};
use crate::arrays::file::{self, invalid, shown};
use crate::error::{Error, Result};

/// The four files, as published: images and labels of each part.
const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const EVAL: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Deflate shrinks by less than this factor (zlib's technical notes).
const DEFLATE_RATIO: u64 = 1032;
/// Up to this ratio, what a gzipped header declares is allocated at once; beyond, memory follows what arrives.
const USUAL_RATIO: u64 = 8;
/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Reads both parts from a folder. `classes` names the classes, in label order. Images of more than `in_memory` bytes stay in
/// their file, unless it is gzipped.
pub(super) fn read(folder: &Path, classes: &[String], in_memory: u64) -> Result<Source> {
    check(folder)?;
    let mut hasher = blake3::Hasher::new();
    let mut part = |[images, labels]: [&str; 2]| {
        let (images, labels) = (find(folder, images)?, find(folder, labels)?);
        let images = Idx::open(&images, Contents::Images)?;
        let labels = Idx::open(&labels, Contents::Labels)?;
        check_counts(&images, &labels)?;
        let shape = images.image_shape();
        let pixels = match images.bytes {
            Bytes::Plain(_) if images.length > in_memory => Pixels::Stored(Stored(vec![images.stored(&mut hasher)?])),
            _ => Pixels::Bytes(vec![images.values(&mut hasher)?]),
        };
        Ok((shape, Part { pixels, labels: labels.labels(classes.len(), &mut hasher)? }))
    };
    let (shape, train) = part(TRAIN)?;
    let (eval_shape, eval) = part(EVAL)?;
    check_shapes(folder, shape, eval_shape)?;
    let digest = hasher.finalize().to_hex().to_string();
    Ok(Source { shape, classes: classes.to_vec(), train, eval, groups: None, digest })
}

/// Reads the labels of both parts, and the headers of the images.
pub(super) fn outline(folder: &Path, classes: &[String]) -> Result<Outline> {
    check(folder)?;
    let part = |[images, labels]: [&str; 2]| {
        let (images, labels) = (find(folder, images)?, find(folder, labels)?);
        let images = Idx::open(&images, Contents::Images)?;
        let labels = Idx::open(&labels, Contents::Labels)?;
        check_counts(&images, &labels)?;
        Ok((images.image_shape(), labels.labels(classes.len(), &mut blake3::Hasher::new())?))
    };
    let (shape, train) = part(TRAIN)?;
    let (eval_shape, eval) = part(EVAL)?;
    check_shapes(folder, shape, eval_shape)?;
    Ok(Outline { shape, classes: classes.to_vec(), train, eval })
}

fn check(folder: &Path) -> Result<()> {
    check_folder(folder, "MNIST's four IDX files", "fashion-mnist")
}

/// The file of this name in the folder, gzipped or not.
fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let (plain, gzipped) = (folder.join(name), folder.join(format!("{name}.gz")));
    if plain.symlink_metadata().is_ok() {
        return Ok(plain);
    }
    if gzipped.symlink_metadata().is_ok() {
        return Ok(gzipped);
    }
    Err(invalid(folder, format!("has neither {name} nor {name}.gz; put the file there as it is published")))
}

fn check_counts(images: &Idx, labels: &Idx) -> Result<()> {
    let (found, expected) = (labels.axes.first(), images.axes.first());
    if found == expected {
        return Ok(());
    }
    let count = |axes: Option<&usize>| axes.copied().unwrap_or_default();
    Err(invalid(
        &labels.path,
        format!(
            "holds {} labels, but {} holds {} images; take both files from one source",
            count(found),
            shown(&images.path),
            count(expected)
        ),
    ))
}

fn check_shapes(folder: &Path, train: [usize; 3], eval: [usize; 3]) -> Result<()> {
    if train == eval {
        return Ok(());
    }
    let ([_, h, w], [_, eh, ew]) = (train, eval);
    Err(invalid(
        folder,
        format!("has training images of {h}x{w} pixels but test images of {eh}x{ew}; take both from one source"),
    ))
}

/// What a file is expected to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Images,
    Labels,
}

impl Contents {
    fn axes(self) -> usize {
        match self {
            Self::Images => 3,
            Self::Labels => 1,
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Images => "an IDX file of images",
            Self::Labels => "an IDX file of labels",
        }
    }
}

/// The bytes of a file, unpacked if it is gzipped.
enum Bytes {
    Plain(BufReader<File>),
    Gzipped(Box<GzDecoder<BufReader<File>>>),
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzipped(reader) => reader.read(buffer),
        }
    }
}

/// A file of which the header has been read and held against the length of the file.
pub(super) struct Idx {
    path: PathBuf,
    bytes: Bytes,
    /// Bytes of the file itself.
    length: u64,
    header: Vec<u8>,
    axes: Vec<usize>,
    /// Product of `axes`.
    total: usize,
}

impl Idx {
    /// Opens a file and checks its header.
    pub(super) fn open(path: &Path, contents: Contents) -> Result<Self> {
        let expected = contents.described();
        let opened = file::open(path, expected)?;
        let mut reader = BufReader::with_capacity(1 << 16, opened.file);
        let start = reader.fill_buf().map_err(|cause| file::broken(&shown(path), &cause))?;
        let gzipped = start.starts_with(&[0x1f, 0x8b]);
        let mut bytes = if gzipped { Bytes::Gzipped(Box::new(GzDecoder::new(reader))) } else { Bytes::Plain(reader) };
        let mut header = Vec::new();
        let header_length = 4 + 4 * contents.axes();
        (&mut bytes)
            .take(header_length as u64)
            .read_to_end(&mut header)
            .map_err(|cause| file::broken(&shown(path), &cause))?;
        let axes = parse(&header, contents, path)?;
        let absurd = || {
            let lengths = axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
            invalid(path, format!("declares {lengths} bytes, more than any file can hold; copy or download it again"))
        };
        let total = axes.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis)).ok_or_else(absurd)?;
        let needed = (total as u64).checked_add(header_length as u64).ok_or_else(absurd)?;
        let most = if gzipped { opened.length.saturating_mul(DEFLATE_RATIO) } else { opened.length };
        if needed > most || (!gzipped && needed < most) {
            let relation = if needed > most { "is cut short" } else { "has trailing bytes" };
            let found = if gzipped { format!("at most {most}") } else { most.to_string() };
            let what =
                format!("{relation}: its header calls for {needed} bytes, found {found}; copy or download it again");
            return Err(invalid(path, what));
        }
        Ok(Self { path: path.to_path_buf(), bytes, length: opened.length, header, axes, total })
    }

    /// One channel, height, width.
    pub(super) fn image_shape(&self) -> [usize; 3] {
        match self.axes.as_slice() {
            &[_, height, width] => [1, height, width],
            _ => [0; 3],
        }
    }

    /// Reads the values, and checks that they end where they should.
    pub(super) fn values(mut self, hasher: &mut blake3::Hasher) -> Result<Vec<u8>> {
        let place = shown(&self.path);
        let mut values = Vec::new();
        let usual = usize::try_from(self.length.saturating_mul(USUAL_RATIO)).unwrap_or(usize::MAX);
        file::reserve(&mut values, self.total.min(usual), self.total, &place)?;
        while values.len() < self.total {
            let count = (self.total - values.len()).min(CHUNK);
            file::reserve(&mut values, count, self.total, &place)?;
            let read = (&mut self.bytes).take(count as u64).read_to_end(&mut values);
            if read.map_err(|cause| file::broken(&place, &cause))? < count {
                return Err(self.cut_short(values.len()));
            }
        }
        self.check_end()?;
        hasher.update(&self.header);
        hasher.update(&values);
        Ok(values)
    }

    /// Reads the images of a file that is not gzipped without keeping them: where they are.
    fn stored(mut self, hasher: &mut blake3::Hasher) -> Result<Block> {
        let mut chunk = Vec::new();
        let mut found = 0;
        hasher.update(&self.header);
        while found < self.total {
            chunk.clear();
            let count = (self.total - found).min(CHUNK);
            let read = (&mut self.bytes).take(count as u64).read_to_end(&mut chunk);
            found += read.map_err(|cause| file::broken(&shown(&self.path), &cause))?;
            if chunk.len() < count {
                return Err(self.cut_short(found));
            }
            hasher.update(&chunk);
        }
        self.check_end()?;
        let size = self.image_shape().iter().product::<usize>();
        let file = match self.bytes {
            Bytes::Plain(reader) => reader.into_inner(),
            Bytes::Gzipped(decoder) => decoder.into_inner().into_inner(),
        };
        Block::new(file, &self.path, self.total / size, self.header.len() as u64, size as u64)
    }

    fn cut_short(&self, found: usize) -> Error {
        let expected = self.total;
        let what = format!("is cut short: found {found} values, expected {expected}; copy or download it again");
        invalid(&self.path, what)
    }

    /// Checks that nothing follows the values.
    fn check_end(&mut self) -> Result<()> {
        let place = shown(&self.path);
        // Reading on to the end also verifies gzip's own checksum.
        let mut beyond = self.bytes.read(&mut [0]).map_err(|cause| file::broken(&place, &cause))?;
        if let Bytes::Gzipped(decoder) = &mut self.bytes {
            beyond += decoder.get_mut().fill_buf().map_err(|cause| file::broken(&place, &cause))?.len();
        }
        if beyond != 0 {
            let what = format!("has bytes after its {} values; copy or download it again", self.total);
            return Err(invalid(&self.path, what));
        }
        Ok(())
    }

    /// Reads the values as labels, each below `classes`.
    pub(super) fn labels(self, classes: usize, hasher: &mut blake3::Hasher) -> Result<Vec<u32>> {
        let path = self.path.clone();
        let labels = self.values(hasher)?;
        check_labels(&labels, classes, &path)?;
        Ok(labels.into_iter().map(u32::from).collect())
    }
}

/// Checks that every label is below the number of classes.
pub(super) fn check_labels(labels: &[u8], classes: usize, path: &Path) -> Result<()> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(()),
        Some(index) => Err(invalid(
            path,
            format!(
                "holds label {} at index {index}, but labels are below {classes}; copy or download it again",
                labels.get(index).copied().unwrap_or_default()
            ),
        )),
    }
}

/// The axes of a header.
fn parse(header: &[u8], contents: Contents, path: &Path) -> Result<Vec<usize>> {
    let expected = contents.described();
    let axes_expected = contents.axes();
    let Some((magic, lengths)) = header.split_first_chunk::<4>() else {
        return Err(invalid(
            path,
            format!("holds {} bytes, but {expected} is expected; copy or download it again", header.len()),
        ));
    };
    let &[0, 0, kind, axes] = magic else {
        let found = file::looks_like(header);
        return Err(invalid(
            path,
            format!("looks like {found}, but {expected} is expected; copy or download it again"),
        ));
    };
    if kind != 8 {
        return Err(invalid(
            path,
            format!("holds values of IDX type {kind:#04x}, but {expected} has type 0x08, bytes; convert it"),
        ));
    }
    if usize::from(axes) != axes_expected {
        let what = format!(
            "has {axes} axes, but {expected} has {axes_expected}; check that images and labels are not mixed up"
        );
        return Err(invalid(path, what));
    }
    let (lengths, rest) = lengths.as_chunks::<4>();
    if lengths.len() != axes_expected || !rest.is_empty() {
        return Err(invalid(
            path,
            format!("ends within its header, but {expected} is expected; copy or download it again"),
        ));
    }
    let lengths: Vec<usize> = lengths.iter().map(|&bytes| u32::from_be_bytes(bytes) as usize).collect();
    if lengths.contains(&0) {
        return Err(invalid(
            path,
            format!("declares no values, but {expected} is expected; copy or download it again"),
        ));
    }
    Ok(lengths)
}

/// Whether the file is IDX, gzipped or not, and of what; nothing that cannot be read is.
pub(super) fn recognise(path: &Path) -> Option<Contents> {
    let mut start = Vec::new();
    let mut reader = BufReader::new(File::open(path).ok()?);
    if reader.fill_buf().ok()?.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(reader).take(4).read_to_end(&mut start).ok()?;
    } else {
        reader.take(4).read_to_end(&mut start).ok()?;
    }
    match start.as_slice() {
        [0, 0, _, 3] => Some(Contents::Images),
        [0, 0, _, 1] => Some(Contents::Labels),
        _ => None,
    }
}

/// The one-sentence error of a folder where nothing is recognised lists these.
pub(super) fn unknown_folder(folder: &Path) -> Error {
    invalid(
        folder,
        "holds neither MNIST's four IDX files (train-images-idx3-ubyte …) nor CIFAR-10's six batches (data_batch_1.bin …); \
         give the folder that holds them",
    )
}
