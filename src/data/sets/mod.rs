//! The data sets that the program knows by name, one file each: what they are, where they are published, their checksums, and
//! how their files are read. To add one: its file, and its line in `sets!` below.

pub(super) mod cifar10;
mod digits;
mod fashion_mnist;
mod mnist;
pub(super) mod npz;

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::source::{Outline, Source};
use crate::error::Result;
use crate::keys::{Keyed, Shape};

/// A data set that the program knows.
#[derive(Debug, Clone, Copy)]
pub struct Set {
    /// As the experiment file calls it.
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// Channels, height, width of one example; `None` where the files say it.
    pub shape: Option<[usize; 3]>,
    /// Name of each class, in label order; none where the files say how many there are.
    pub classes: &'static [&'static str],
    /// Training examples.
    pub train_len: usize,
    /// Evaluation examples.
    pub eval_len: usize,
    /// Training and evaluation examples of each class, where all classes have equally many.
    pub per_class: [Option<usize>; 2],
    /// Where it is expected if the experiment gives no path; `None` for what is embedded and for files of one's own.
    pub folder: Option<&'static str>,
    /// Under which terms it may be used.
    pub licence: &'static str,
    /// Where a Linux distribution has it as a package, and the folder that the package fills.
    pub packages: &'static [Package],
    /// What is read.
    pub files: &'static [PublishedFile],
    /// What is downloaded, and from where.
    pub downloads: &'static [Download],
    /// The format of the files, in words.
    pub(in crate::data) format: &'static str,
    /// Reads everything; parts of more than so many bytes stay in their files if these are not packed.
    pub(in crate::data) read: fn(&Path, &[String], u64) -> Result<Source>,
    /// Reads labels and headers only.
    pub(in crate::data) outline: fn(&Path, &[String]) -> Result<Outline>,
}

/// A file that is read, as published.
#[derive(Debug, Clone, Copy)]
pub struct PublishedFile {
    /// Its name in its folder.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Its checksum in hex.
    pub md5: &'static str,
}

/// A file that is downloaded.
#[derive(Debug, Clone, Copy)]
pub struct Download {
    /// Which.
    pub file: PublishedFile,
    /// Addresses of the folder that holds it, the publisher's first.
    pub bases: &'static [&'static str],
    /// Whether it is a `.tar.gz` of the files that are read, rather than one of them.
    pub archive: bool,
}

/// A package of a Linux distribution.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Which distribution.
    pub of: &'static str,
    /// What is installed.
    pub name: &'static str,
    /// The folder of the files afterwards.
    pub folder: &'static str,
}

/// Declares [`DatasetKind`]: a variant and a module each.
macro_rules! sets {
    ($($variant:ident = $module:ident,)*) => {
        /// Which data set is read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum DatasetKind {
            $(#[doc = concat!("`", stringify!($module), "`")] $variant,)*
        }

        impl DatasetKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            const WORDS: &'static [&'static str] = &[$($module::SET.name),*];

            /// What is known of it.
            #[must_use]
            pub fn set(self) -> &'static Set {
                match self {
                    $(Self::$variant => { const SET: &Set = &$module::SET; SET })*
                }
            }
        }
    };
}

sets! {
    Digits = digits,
    Mnist = mnist,
    FashionMnist = fashion_mnist,
    Cifar10 = cifar10,
    Npz = npz,
}

impl DatasetKind {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.set().name
    }

    /// The data set of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl Keyed for DatasetKind {
    const SHAPE: Shape = Shape::Choice(Self::WORDS);
}

impl Serialize for DatasetKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for DatasetKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::of(&name).ok_or_else(|| serde::de::Error::unknown_variant(&name, Self::WORDS))
    }
}

impl Set {
    /// The data sets that others published, the embedded one first.
    pub fn published() -> impl Iterator<Item = &'static Self> {
        DatasetKind::ALL.iter().map(|kind| kind.set()).filter(|set| set.shape.is_some())
    }

    /// How many training and evaluation examples there are of `kept` classes, at most where classes differ; `None` where
    /// the files say it.
    #[must_use]
    pub fn lengths(&self, kept: Option<usize>) -> Option<[usize; 2]> {
        self.shape?;
        let all = [self.train_len, self.eval_len];
        let of =
            |part: usize| kept.and_then(|kept| Some(kept.saturating_mul(self.per_class[part]?))).unwrap_or(all[part]);
        Some([of(0), of(1)])
    }

    /// The names of the classes, owned.
    pub(in crate::data) fn class_names(&self) -> Vec<String> {
        self.classes.iter().map(ToString::to_string).collect()
    }
}

const fn file(name: &'static str, bytes: u64, md5: &'static str) -> PublishedFile {
    PublishedFile { name, bytes, md5 }
}

const DIGIT_NAMES: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// What MNIST and its like have in common.
const IDX: Set = Set {
    name: "",
    title: "",
    shape: Some([1, 28, 28]),
    classes: DIGIT_NAMES,
    train_len: 60_000,
    eval_len: 10_000,
    per_class: [None, None],
    folder: None,
    licence: "",
    packages: &[],
    files: &[],
    downloads: &[],
    format: "IDX",
    read: super::idx::read,
    outline: super::idx::outline,
};

/// The downloads of four files that are published one by one.
const fn each(files: [PublishedFile; 4], bases: &'static [&'static str]) -> [Download; 4] {
    let [a, b, c, d] = files;
    [
        Download { file: a, bases, archive: false },
        Download { file: b, bases, archive: false },
        Download { file: c, bases, archive: false },
        Download { file: d, bases, archive: false },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lengths() {
        for &kind in DatasetKind::ALL {
            assert_eq!(DatasetKind::of(kind.name()), Some(kind));
        }
        let cifar = DatasetKind::Cifar10.set();
        assert_eq!(cifar.lengths(None), Some([50_000, 10_000]));
        assert_eq!(cifar.lengths(Some(2)), Some([10_000, 2_000]));
        assert_eq!(DatasetKind::Digits.set().lengths(Some(2)), Some([1_297, 100]), "its classes are not equally large");
        assert_eq!(DatasetKind::Npz.set().lengths(None), None);
        for set in Set::published() {
            assert!(set.per_class[0].is_none_or(|each| each * set.classes.len() == set.train_len), "{}", set.name);
            assert!(set.per_class[1].is_none_or(|each| each * set.classes.len() == set.eval_len), "{}", set.name);
        }
    }
}
