//! The `[data]` table of an experiment.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::DatasetKind;
use crate::keys::{Keyed, MILLION, SEED, SHARE, Shape, keys, set, whole};

const CLASS: Shape = whole(0, MILLION - 1);
const EXAMPLES: Shape = whole(1, MILLION * MILLION);
const PIXELS: Shape = whole(0, 65_535);

keys! {
    /// Random changes of the training images, drawn anew in every epoch from the `augment` stream.
    #[derive(Copy, Eq)]
    pub struct Augment {
        /// Mirror left to right with probability one half.
        flip: bool = false, Shape::Flag;
        /// Pad by this many reflected pixels, then crop back at a random place; 0 is off.
        crop: usize = 0, PIXELS;
        /// Side in pixels of a random square set to the mean; 0 is off.
        cutout: usize = 0, PIXELS;
    }
}

keys! {
    /// What the networks learn from and are judged on.
    pub struct Data {
        /// Which data set: `digits` is embedded in the program, `npz` is a file of your own.
        dataset: DatasetKind, DatasetKind::SHAPE;
        /// Folder of the files (npz: the file), from where the program is started; not for `digits`.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy")]
        path: Option<PathBuf> = None, Shape::File;
        /// The classes that are kept; labels are renumbered in this order. All when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        classes: Option<Vec<u32>> = None, set(&CLASS, 2, 10_000);
        /// At most this many training examples, class-balanced, chosen by `data.seed`.
        #[serde(skip_serializing_if = "Option::is_none")]
        train_limit: Option<usize> = None, EXAMPLES;
        /// At most this many evaluation examples, class-balanced, chosen by `data.seed`.
        #[serde(skip_serializing_if = "Option::is_none")]
        eval_limit: Option<usize> = None, EXAMPLES;
        /// Whether the values of each channel are standardised (the default); `false` leaves tokens and categories what they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standardise: Option<bool> = None, Shape::Flag;
        /// Chooses the examples of the limits and the probe set.
        seed: u64 = 0, SEED;
        /// Share of the training examples whose labels are shuffled among each other: a fault on purpose, to see what finds it.
        #[serde(skip_serializing_if = "Option::is_none")]
        label_noise: Option<f64> = None, SHARE;
        /// The class whose training examples get labels drawn from all classes: all of them, or the share `data.label_noise`.
        #[serde(skip_serializing_if = "Option::is_none")]
        noisy_class: Option<u32> = None, CLASS;
        /// Random changes of the training images, drawn anew in every epoch.
        augment: Augment = Augment::default(), Augment::SHAPE;
    }
}

impl Data {
    /// All of a data set: every class, no limit, no augmentation.
    #[must_use]
    pub fn whole(dataset: DatasetKind, path: Option<PathBuf>) -> Self {
        let augment = Augment::default();
        let (label_noise, noisy_class) = (None, None);
        Self {
            dataset,
            path,
            classes: None,
            train_limit: None,
            eval_limit: None,
            standardise: None,
            seed: 0,
            label_noise,
            noisy_class,
            augment,
        }
    }
}

/// A path read from an experiment file is Unicode; one that was put in by other code is written as nearly as TOML allows.
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}
