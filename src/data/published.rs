//! The data sets that the program knows by name: where they are published, which files they are, and their checksums.

use crate::config::DatasetKind;

/// A data set that others published.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    pub kind: DatasetKind,
    /// As the experiment file calls it.
    pub name: &'static str,
    pub title: &'static str,
    /// Channels, height, width of one example.
    pub shape: [usize; 3],
    /// Name of each class, in label order.
    pub classes: &'static [&'static str],
    pub train_len: usize,
    pub eval_len: usize,
    /// Where it is expected if the experiment gives no path; `None` for what is embedded.
    pub folder: Option<&'static str>,
    pub licence: &'static str,
    /// What is read.
    pub files: &'static [PublishedFile],
    /// What is downloaded, and from where.
    pub downloads: &'static [Download],
}

/// A file that is read, as published.
#[derive(Debug, Clone, Copy)]
pub struct PublishedFile {
    pub name: &'static str,
    pub bytes: u64,
    /// In hex.
    pub md5: &'static str,
}

/// A file that is downloaded.
#[derive(Debug, Clone, Copy)]
pub struct Download {
    pub file: PublishedFile,
    /// Addresses of the folder that holds it, the publisher's first.
    pub bases: &'static [&'static str],
    /// Whether it is a `.tar.gz` of the files that are read, rather than one of them.
    pub archive: bool,
}

const fn file(name: &'static str, bytes: u64, md5: &'static str) -> PublishedFile {
    PublishedFile { name, bytes, md5 }
}

const DIGIT_NAMES: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// 1,797 digits of 8x8 pixels, embedded.
pub const DIGITS: Published = Published {
    kind: DatasetKind::Digits,
    name: "digits",
    title: "Optical Recognition of Handwritten Digits",
    shape: [1, 8, 8],
    classes: DIGIT_NAMES,
    train_len: 1_297,
    eval_len: 500,
    folder: None,
    licence: "CC BY 4.0",
    files: &[],
    downloads: &[],
};

const MNIST_GZ: [PublishedFile; 4] = [
    file("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    file("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
    file("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
    file("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
];
const MNIST_BASES: &[&str] = &["http://yann.lecun.com/exdb/mnist", "https://ossci-datasets.s3.amazonaws.com/mnist"];

/// LeCun, Cortes and Burges: 70,000 handwritten digits.
pub const MNIST: Published = Published {
    kind: DatasetKind::Mnist,
    name: "mnist",
    title: "MNIST",
    shape: [1, 28, 28],
    classes: DIGIT_NAMES,
    train_len: 60_000,
    eval_len: 10_000,
    folder: Some("data/mnist"),
    licence: "CC BY-SA 3.0",
    files: &[
        MNIST_GZ[0],
        MNIST_GZ[1],
        MNIST_GZ[2],
        MNIST_GZ[3],
        file("train-images-idx3-ubyte", 47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
        file("train-labels-idx1-ubyte", 60_008, "a25bea736e30d166cdddb491f175f624"),
        file("t10k-images-idx3-ubyte", 7_840_016, "2646ac647ad5339dbf082846283269ea"),
        file("t10k-labels-idx1-ubyte", 10_008, "27ae3e4e09519cfbb04c329615203637"),
    ],
    downloads: &[
        Download { file: MNIST_GZ[0], bases: MNIST_BASES, archive: false },
        Download { file: MNIST_GZ[1], bases: MNIST_BASES, archive: false },
        Download { file: MNIST_GZ[2], bases: MNIST_BASES, archive: false },
        Download { file: MNIST_GZ[3], bases: MNIST_BASES, archive: false },
    ],
};

const FASHION_GZ: [PublishedFile; 4] = [
    file("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    file("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
    file("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
    file("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
];
const FASHION_BASES: &[&str] = &[
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
];

/// Xiao, Rasul and Vollgraf (2017): 70,000 pictures of clothes, as a harder MNIST.
pub const FASHION_MNIST: Published = Published {
    kind: DatasetKind::FashionMnist,
    name: "fashion-mnist",
    title: "Fashion-MNIST",
    shape: [1, 28, 28],
    classes: &["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"],
    train_len: 60_000,
    eval_len: 10_000,
    folder: Some("data/fashion-mnist"),
    licence: "MIT",
    files: &[
        FASHION_GZ[0],
        FASHION_GZ[1],
        FASHION_GZ[2],
        FASHION_GZ[3],
        file("train-images-idx3-ubyte", 47_040_016, "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        file("train-labels-idx1-ubyte", 60_008, "9018921c3c673c538a1fc5bad174d6f9"),
        file("t10k-images-idx3-ubyte", 7_840_016, "8181f5470baa50b63fa0f6fddb340f0a"),
        file("t10k-labels-idx1-ubyte", 10_008, "15d484375f8d13e6eb1aabb0c3f46965"),
    ],
    downloads: &[
        Download { file: FASHION_GZ[0], bases: FASHION_BASES, archive: false },
        Download { file: FASHION_GZ[1], bases: FASHION_BASES, archive: false },
        Download { file: FASHION_GZ[2], bases: FASHION_BASES, archive: false },
        Download { file: FASHION_GZ[3], bases: FASHION_BASES, archive: false },
    ],
};

/// Krizhevsky (2009): 60,000 colour pictures of 32x32 pixels.
pub const CIFAR10: Published = Published {
    kind: DatasetKind::Cifar10,
    name: "cifar10",
    title: "CIFAR-10",
    shape: [3, 32, 32],
    classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    train_len: 50_000,
    eval_len: 10_000,
    folder: Some("data/cifar-10-batches-bin"),
    licence: "none stated; cite Krizhevsky 2009",
    files: &[
        file("data_batch_1.bin", 30_730_000, "5dd7e06a14cb22eb9f671a540d1b7c25"),
        file("data_batch_2.bin", 30_730_000, "5ea93a67294ea407fff1d09f752e9692"),
        file("data_batch_3.bin", 30_730_000, "942cd6a4bcdd0dd3c604fbe906cb4421"),
        file("data_batch_4.bin", 30_730_000, "ae636b3ba5c66a11e91e8cb52e771fcb"),
        file("data_batch_5.bin", 30_730_000, "53f37980c15c3d472c316c40844f3f0d"),
        file("test_batch.bin", 30_730_000, "803d5f7f4d78ea53de84dbe85f74fb6d"),
    ],
    downloads: &[Download {
        file: file("cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530"),
        bases: &["https://www.cs.toronto.edu/~kriz"],
        archive: true,
    }],
};

/// All of them, the embedded one first.
pub const ALL: [&Published; 4] = [&DIGITS, &MNIST, &FASHION_MNIST, &CIFAR10];

/// The published data set of this kind; `None` for `npz`, which is anyone's.
#[must_use]
pub fn published(kind: DatasetKind) -> Option<&'static Published> {
    ALL.into_iter().find(|published| published.kind == kind)
}
