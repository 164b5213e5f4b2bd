//! Data sets in memory: readers of the published formats, class subsets and limits, standardisation, augmentation.
//!
//! A reader hands over a `Source`: bytes or floats as the files hold them, checked against the length of the file. What the
//! experiment keeps of it is chosen by `select`, turned into standardised `f32` by `standardise`, and ends as a
//! [`Dataset`]. [`sets`] knows the data sets with a name; [`fetch`] downloads them and [`check`] compares.

mod augment;
pub mod check;
pub mod fetch;
mod idx;
mod images;
mod noise;
mod pictures;
mod select;
pub mod sets;
mod source;
mod standardise;
mod stored;
mod table;

pub use augment::augment;
pub use images::{Compact, Images};
pub use pictures::{Pictures, pictures};
pub use sets::DatasetKind;
pub use table::{Augment, Data};

use crate::error::Result;
use source::{Outline, Pixels, Source};
use standardise::Standardisation;

/// Labelled images of one shape, pixels as `f32`, row-major `[len, channels, height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Split<P = Vec<f32>> {
    /// `[len * channels * height * width]`, or [`Images`] of that size.
    pub pixels: P,
    /// `[len]`, each below the number of classes.
    pub labels: Vec<u32>,
}

/// A data set ready for training: standardised per channel by the mean and deviation of the training part.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset<P = Vec<f32>> {
    /// Channels, height, width of one example.
    pub shape: [usize; 3],
    /// A name for each class, in label order.
    pub classes: Vec<String>,
    /// What networks learn from.
    pub train: Split<P>,
    /// What they are judged on.
    pub eval: Split<P>,
    /// The group of each training example, where the data say so: the `data` stream draws whole groups.
    pub groups: Option<Vec<u32>>,
    /// BLAKE3 in hex of all bytes of the files that were read, after gzip: names the data in provenance, whichever way it
    /// is packed and whatever is kept of it.
    pub digest: String,
}

/// What is known of a data set without reading its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFacts {
    /// Channels, height, width of one example.
    pub shape: [usize; 3],
    /// A name for each class, in label order.
    pub classes: Vec<String>,
    /// Training examples.
    pub train_len: usize,
    /// Evaluation examples.
    pub eval_len: usize,
}

impl<P> Split<P> {
    /// Number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Reads a data set, keeps the classes and examples that the experiment asks for (in the order of the files), and
/// standardises each channel by mean and deviation of the training examples that are kept.
///
/// # Errors
/// [`Error::Invalid`](crate::error::Error::Invalid) if a file is missing or is not what its format calls for, or nothing is
/// kept; [`Error::Unexpected`](crate::error::Error::Unexpected) if the machine fails.
pub fn load(data: &Data) -> Result<Dataset> {
    load_as(data, u64::MAX, |standardisation, pixels, indices, shape| standardisation.apply(pixels, indices, shape))
}

/// [`load`], in a quarter of the memory where the files hold bytes: for training, which takes a batch at a time. Parts of
/// more than `in_memory` bytes stay in their files, where these are not packed, and take no memory at all.
///
/// # Errors
/// As [`load`].
pub fn load_compact(data: &Data, in_memory: u64) -> Result<Dataset<Compact>> {
    load_as(data, in_memory, Compact::new)
}

fn load_as<P>(
    data: &Data,
    in_memory: u64,
    standardised: impl Fn(&Standardisation, Pixels, &[usize], [usize; 3]) -> Result<P>,
) -> Result<Dataset<P>> {
    let Source { shape, classes, train, eval, groups, digest } = source::read(data, in_memory)?;
    let kept = select::kept_classes(data, classes.len())?;
    let chosen = select::select(&train.labels, &kept, data.train_limit, data.seed, "train")?;
    let chosen_eval = select::select(&eval.labels, &kept, data.eval_limit, data.seed, "eval")?;
    let standardisation = standardisation(data, &train.pixels, &chosen.indices, shape)?;
    let train = Split {
        pixels: standardised(&standardisation, train.pixels, &chosen.indices, shape)?,
        labels: noise::with_noise(chosen.labels, data, kept.len()),
    };
    let eval = Split {
        pixels: standardised(&standardisation, eval.pixels, &chosen_eval.indices, shape)?,
        labels: chosen_eval.labels,
    };
    let groups = groups.map(|all| chosen.indices.iter().map(|&index| all[index]).collect());
    Ok(Dataset { shape, classes: kept_names(&classes, &kept), train, eval, groups, digest })
}

/// What the experiment asks for: mean and deviation of the training examples that are kept, or nothing.
fn standardisation(data: &Data, pixels: &Pixels, indices: &[usize], shape: [usize; 3]) -> Result<Standardisation> {
    match data.standardise {
        Some(false) => Ok(Standardisation::none(shape[0])),
        _ => Standardisation::of(pixels, indices, shape),
    }
}

/// How pixels as the files hold them become what networks see: (pixel − mean) / deviation, channel by channel.
#[derive(Debug, Clone, PartialEq)]
pub struct InputScale {
    /// Channels, height, width of one example.
    pub shape: [usize; 3],
    /// A name for each class, in label order.
    pub classes: Vec<String>,
    /// Of the training examples that are kept, one for each channel, in units of the files' pixels.
    pub mean: Vec<f64>,
    /// Positive.
    pub deviation: Vec<f64>,
    /// As in [`Dataset::digest`].
    pub digest: String,
}

/// The standardisation that [`load`] applies, for those who have to apply it elsewhere.
///
/// # Errors
/// As [`load`].
pub fn input_scale(data: &Data) -> Result<InputScale> {
    let Source { shape, classes, train, digest, .. } = source::read(data, u64::MAX)?;
    let kept = select::kept_classes(data, classes.len())?;
    let chosen = select::select(&train.labels, &kept, data.train_limit, data.seed, "train")?;
    let (mean, deviation) =
        standardisation(data, &train.pixels, &chosen.indices, shape)?.channels().iter().copied().unzip();
    Ok(InputScale { shape, classes: kept_names(&classes, &kept), mean, deviation, digest })
}

/// Reads what can be known without the pixels: labels and headers only. Lengths and classes are those that [`load`] keeps.
///
/// # Errors
/// As [`load`], as far as the labels and headers show it.
pub fn facts(data: &Data) -> Result<DataFacts> {
    let Outline { shape, classes, train, eval } = source::outline(data)?;
    let kept = select::kept_classes(data, classes.len())?;
    let length =
        |labels: &[u32], limit, part| select::select(labels, &kept, limit, data.seed, part).map(|s| s.labels.len());
    Ok(DataFacts {
        shape,
        train_len: length(&train, data.train_limit, "train")?,
        eval_len: length(&eval, data.eval_limit, "eval")?,
        classes: kept_names(&classes, &kept),
    })
}

/// The evaluation examples on which the eNTK is computed: `probes` of them (all, if there are fewer), class-balanced, chosen
/// by the seed, ascending. The same for every run and every epoch.
#[must_use]
pub fn probe_set<P>(dataset: &Dataset<P>, probes: usize, seed: u64) -> Vec<usize> {
    select::balanced(&dataset.eval.labels, dataset.classes.len(), probes, seed, "data.probes")
}

/// At most `count` examples of a split of `classes` classes, class-balanced, chosen by the seed, ascending.
#[must_use]
pub fn subset(split: &Split, classes: usize, count: usize, seed: u64) -> Vec<usize> {
    select::balanced(&split.labels, classes, count, seed, "data.subset")
}

fn kept_names(classes: &[String], kept: &[u32]) -> Vec<String> {
    kept.iter().filter_map(|&class| classes.get(class as usize).cloned()).collect()
}
