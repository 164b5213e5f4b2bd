//! CIFAR-10 (Krizhevsky 2009): 60,000 colour pictures of 32x32 pixels. Its binary version is records of a label and 3 x 32 x 32 pixels, planes of red, green and blue
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::super::idx::check_labels;
use super::super::source::{Outline, Part, Pixels, Source, check_folder};
use super::super::stored::{Block, Stored};
use super::{Download, Set, file as published};
use crate::arrays::file::{self, Opened, invalid, shown};
use crate::error::Result;

pub(super) const SET: Set = Set {
    name: "cifar10",
    title: "CIFAR-10",
    shape: Some(SHAPE),
    classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    train_len: 50_000,
    eval_len: 10_000,
    per_class: [Some(5_000), Some(1_000)],
    folder: Some("data/cifar-10-batches-bin"),
    licence: "none stated; cite Krizhevsky 2009",
    packages: &[],
    files: &[
        published("data_batch_1.bin", 30_730_000, "5dd7e06a14cb22eb9f671a540d1b7c25"),
        published("data_batch_2.bin", 30_730_000, "5ea93a67294ea407fff1d09f752e9692"),
        published("data_batch_3.bin", 30_730_000, "942cd6a4bcdd0dd3c604fbe906cb4421"),
        published("data_batch_4.bin", 30_730_000, "ae636b3ba5c66a11e91e8cb52e771fcb"),
        published("data_batch_5.bin", 30_730_000, "53f37980c15c3d472c316c40844f3f0d"),
        published("test_batch.bin", 30_730_000, "803d5f7f4d78ea53de84dbe85f74fb6d"),
    ],
    downloads: &[Download {
        file: published("cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530"),
        bases: &["https://www.cs.toronto.edu/~kriz"],
        archive: true,
    }],
    format: "CIFAR-10 binary",
    read,
    outline,
};

const SHAPE: [usize; 3] = [3, 32, 32];

const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const EVAL: [&str; 1] = ["test_batch.bin"];

const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = PIXELS + 1;
/// Records in a published batch.
const MOST_RECORDS: u64 = 10_000;

/// Records that are read at once.
const CHUNK: usize = 256;

/// Reads the six batches from a folder. `classes` names the classes, in label order. The pixels of a part whose files have
/// more than `in_memory` bytes stay there.
fn read(folder: &Path, classes: &[String], in_memory: u64) -> Result<Source> {
    check(folder)?;
    let mut hasher = blake3::Hasher::new();
    let mut part = |names: &[&str]| {
        let mut all_labels = Vec::new();
        // A file that cannot be looked at is reported when it is opened.
        let length = |name: &&str| std::fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len());
        if names.iter().map(length).sum::<u64>() > in_memory {
            let mut blocks = Vec::new();
            for name in names {
                let (block, labels) = stored(&folder.join(name), classes.len(), &mut hasher)?;
                blocks.push(block);
                all_labels.extend(labels);
            }
            return Ok(Part { pixels: Pixels::Stored(Stored(blocks)), labels: all_labels });
        }
        let mut blocks = Vec::new();
        for name in names {
            let (pixels, labels) = batch(&folder.join(name), classes.len(), &mut hasher)?;
            blocks.push(pixels);
            all_labels.extend(labels);
        }
        Ok(Part { pixels: Pixels::Bytes(blocks), labels: all_labels })
    };
    let (train, eval) = (part(&TRAIN)?, part(&EVAL)?);
    let digest = hasher.finalize().to_hex().to_string();
    Ok(Source { shape: SHAPE, classes: classes.to_vec(), train, eval, groups: None, digest })
}

/// Reads the labels of the six batches, and nothing of their pixels.
fn outline(folder: &Path, classes: &[String]) -> Result<Outline> {
    check(folder)?;
    let part = |names: &[&str]| {
        let mut all_labels = Vec::new();
        for name in names {
            all_labels.extend(labels(&folder.join(name), classes.len())?);
        }
        Ok(all_labels)
    };
    Ok(Outline { shape: SHAPE, classes: classes.to_vec(), train: part(&TRAIN)?, eval: part(&EVAL)? })
}

fn check(folder: &Path) -> Result<()> {
    check_folder(folder, "CIFAR-10's six binary batches", "cifar10")
}

/// Opens a batch; the number of its records follows from its length.
fn open(path: &Path) -> Result<(Opened, usize)> {
    let opened = file::open(path, "a CIFAR-10 batch")?;
    let length = opened.length;
    let records = length / RECORD as u64;
    if length % RECORD as u64 != 0 {
        let what = format!(
            "is {length} bytes long, but a CIFAR-10 batch is a multiple of {RECORD}, {} as published; copy or download it again",
            MOST_RECORDS * RECORD as u64
        );
        return Err(invalid(path, what));
    }
    if records > MOST_RECORDS {
        let what = format!(
            "holds {records} records, but a CIFAR-10 batch has at most {MOST_RECORDS}; copy or download it again"
        );
        return Err(invalid(path, what));
    }
    Ok((opened, records as usize))
}

/// Pixels and labels of one batch.
pub(in crate::data) fn batch(path: &Path, classes: usize, hasher: &mut blake3::Hasher) -> Result<(Vec<u8>, Vec<u32>)> {
    let (mut opened, records) = open(path)?;
    let mut pixels = Vec::new();
    file::reserve(&mut pixels, records * PIXELS, records * PIXELS, &shown(path))?;
    let labels = scan(&mut opened, path, classes, hasher, &mut |image| pixels.extend_from_slice(image))?;
    Ok((pixels, labels))
}

/// The places of the pixels, and the labels, of one batch.
fn stored(path: &Path, classes: usize, hasher: &mut blake3::Hasher) -> Result<(Block, Vec<u32>)> {
    let (mut opened, records) = open(path)?;
    let labels = scan(&mut opened, path, classes, hasher, &mut |_| ())?;
    Ok((Block::new(opened.file, path, records, 1, RECORD as u64)?, labels))
}

/// Reads a whole batch, hands the pixels of each record to `each`, and returns the labels.
fn scan(
    opened: &mut Opened,
    path: &Path,
    classes: usize,
    hasher: &mut blake3::Hasher,
    each: &mut dyn FnMut(&[u8]),
) -> Result<Vec<u32>> {
    let mut labels = Vec::new();
    let mut chunk = Vec::new();
    let mut left = opened.length;
    while left > 0 {
        chunk.clear();
        let wanted = left.min((CHUNK * RECORD) as u64);
        let read = (&mut opened.file).take(wanted).read_to_end(&mut chunk);
        if (read.map_err(|cause| file::broken(&shown(path), &cause))? as u64) < wanted {
            return Err(invalid(path, "was cut short while it was read; wait until it is complete"));
        }
        hasher.update(&chunk);
        for [label, pixels @ ..] in chunk.as_chunks::<RECORD>().0 {
            labels.push(*label);
            each(pixels);
        }
        left -= wanted;
    }
    check_labels(&labels, classes, path)?;
    Ok(labels.into_iter().map(u32::from).collect())
}

/// The labels of one batch.
fn labels(path: &Path, classes: usize) -> Result<Vec<u32>> {
    let (Opened { mut file, .. }, records) = open(path)?;
    let mut labels = vec![0; records];
    for (record, label) in labels.iter_mut().enumerate() {
        file.seek(SeekFrom::Start((record * RECORD) as u64))
            .and_then(|_| file.read_exact(std::slice::from_mut(label)))
            .map_err(|cause| file::broken(&shown(path), &cause))?;
    }
    check_labels(&labels, classes, path)?;
    Ok(labels.into_iter().map(u32::from).collect())
}
