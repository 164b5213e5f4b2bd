//! Anyone's data set: an `.npz` file with `x_train`, `y_train`, `x_test`, `y_test` and perhaps `groups_train`.

use std::path::Path;

use super::super::source::{Outline, Part, Pixels, Source};
use super::Set;
use crate::arrays::{Header, Kind, Npz, Values, file, open_npz};
use crate::error::{Error, Result};

pub(super) const SET: Set = Set {
    name: "npz",
    title: "a file of your own",
    shape: None,
    classes: &[],
    train_len: 0,
    eval_len: 0,
    per_class: [None, None],
    folder: None,
    licence: "",
    packages: &[],
    files: &[],
    downloads: &[],
    format: "npz",
    read: |path, _, _| read(path),
    outline: |path, _| outline(path),
};

const TRAIN: [&str; 2] = ["x_train", "y_train"];
const EVAL: [&str; 2] = ["x_test", "y_test"];
const GROUPS: &str = "groups_train";

/// Reads both parts.
pub(in crate::data) fn read(path: &Path) -> Result<Source> {
    let npz = open_npz(path)?;
    let outline = outline_of(&npz)?;
    let train = Part { pixels: pixels(&npz, TRAIN[0])?, labels: outline.train };
    let eval = Part { pixels: pixels(&npz, EVAL[0])?, labels: outline.eval };
    let opened = file::open(path, "an .npz file")?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&opened.file).map_err(|cause| file::broken(&file::shown(path), &cause))?;
    let digest = hasher.finalize().to_hex().to_string();
    let groups = groups(&npz, train.labels.len())?;
    Ok(Source { shape: outline.shape, classes: outline.classes, train, eval, groups, digest })
}

/// The group of each training example, where there are any: those of one group (the images of a patient, say) belong together.
fn groups(npz: &Npz, examples: usize) -> Result<Option<Vec<u32>>> {
    if !npz.contains(GROUPS) {
        return Ok(None);
    }
    let place = npz.place(GROUPS);
    let groups = npz.get(GROUPS)?.into_labels(&place)?;
    if groups.len() == examples {
        return Ok(Some(groups));
    }
    Err(Error::Invalid(format!(
        "{place} holds {} groups, but `{}` holds {examples} examples; save one number for each example",
        groups.len(),
        TRAIN[0]
    )))
}

/// Reads the labels of both parts, and the headers of the images.
fn outline(path: &Path) -> Result<Outline> {
    outline_of(&open_npz(path)?)
}

fn outline_of(npz: &Npz) -> Result<Outline> {
    let (shape, train) = part(npz, TRAIN)?;
    let (eval_shape, eval) = part(npz, EVAL)?;
    if shape != eval_shape {
        return Err(Error::Invalid(format!(
            "{} holds examples of shape {eval_shape:?}, but those of x_train are of shape {shape:?}; save both alike",
            npz.place(EVAL[0])
        )));
    }
    let classes = count_classes(npz, &train, &eval)?;
    Ok(Outline { shape, classes: (0..classes).map(|class| class.to_string()).collect(), train, eval })
}

/// The shape of one example, and the labels.
fn part(npz: &Npz, [images, labels]: [&str; 2]) -> Result<([usize; 3], Vec<u32>)> {
    let header = npz.header(images)?;
    let labels_header = npz.header(labels)?;
    let shape = example_shape(&header, &npz.place(images))?;
    let (found, expected) = (labels_header.shape.first(), header.shape.first());
    if labels_header.shape.len() == 1 && found != expected {
        return Err(Error::Invalid(format!(
            "{} holds {} labels, but `{images}` holds {} examples; save one label for each example",
            npz.place(labels),
            found.copied().unwrap_or_default(),
            expected.copied().unwrap_or_default()
        )));
    }
    Ok((shape, npz.get(labels)?.into_labels(&npz.place(labels))?))
}

/// `[N, D]`, `[N, H, W]` or `[N, C, H, W]` as channels, height and width.
fn example_shape(header: &Header, place: &str) -> Result<[usize; 3]> {
    let shape = match header.shape.as_slice() {
        &[_, features] => [1, 1, features],
        &[_, height, width] => [1, height, width],
        &[_, channels, height, width] => [channels, height, width],
        axes => {
            return Err(Error::Invalid(format!(
                "{place} has {} axes, but [N, D], [N, H, W] or [N, C, H, W] is expected; reshape it",
                axes.len()
            )));
        }
    };
    if header.elements == 0 {
        return Err(Error::Invalid(format!(
            "{place} has shape {:?} and so holds nothing; save at least one example",
            header.shape
        )));
    }
    let [channels, height, width] = shape;
    if matches!(width, 1 | 3 | 4) && channels > 4 && height == channels {
        return Err(Error::Invalid(format!(
            "{place} seems to have its channels last, but [N, C, H, W] is expected; save it with .transpose(0, 3, 1, 2)"
        )));
    }
    Ok(shape)
}

/// One more than the highest label; every class must occur in the training part.
fn count_classes(npz: &Npz, train: &[u32], eval: &[u32]) -> Result<usize> {
    let highest = train.iter().max().map_or(0, |&label| label as usize);
    // There are no more classes than examples, or some class has none.
    let mut counts = vec![0usize; (highest + 1).min(train.len())];
    for &label in train {
        if let Some(count) = counts.get_mut(label as usize) {
            *count += 1;
        }
    }
    let missing = counts.iter().position(|&count| count == 0).or((highest >= counts.len()).then_some(counts.len()));
    if let Some(missing) = missing {
        return Err(Error::Invalid(format!(
            "{} holds labels up to {highest} but none of class {missing}; number the classes from 0 without gaps",
            npz.place(TRAIN[1])
        )));
    }
    if counts.len() < 2 {
        return Err(Error::Invalid(format!(
            "{} holds one class only, but at least two are expected",
            npz.place(TRAIN[1])
        )));
    }
    if let Some(index) = eval.iter().position(|&label| label as usize > highest) {
        let label = eval.get(index).copied().unwrap_or_default();
        return Err(Error::Invalid(format!(
            "{} holds label {label} at index {index}, but the labels of `{}` end at {highest}; train on every class",
            npz.place(EVAL[1]),
            TRAIN[1]
        )));
    }
    Ok(counts.len())
}

fn pixels(npz: &Npz, name: &str) -> Result<Pixels> {
    if matches!(npz.header(name)?.kind, Kind::U8 | Kind::Bool)
        && let Values::U8(bytes) = npz.get(name)?.values
    {
        return Ok(Pixels::Bytes(vec![bytes]));
    }
    let (shape, values) = npz.get_f32(name)?;
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let (value, mut rest) = (values.get(index).copied().unwrap_or_default(), index);
        let mut at: Vec<usize> = shape.iter().rev().map(|&length| (rest % length, rest /= length).0).collect();
        at.reverse();
        return Err(Error::Invalid(format!(
            "{} holds {value} at index {at:?}, but finite numbers within float32 are expected; replace it",
            npz.place(name)
        )));
    }
    Ok(Pixels::Floats(values))
}
