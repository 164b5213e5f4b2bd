//! Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 70,000 pictures of clothes of 28x28 pixels, as a harder MNIST.

use super::{Download, IDX, Package, PublishedFile, Set, each, file};

const PACKED: [PublishedFile; 4] = [
    file("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    file("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
    file("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
    file("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
];
const DOWNLOADS: [Download; 4] = each(
    PACKED,
    &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    ],
);

pub(super) const SET: Set = Set {
    name: "fashion-mnist",
    title: "Fashion-MNIST",
    classes: &["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"],
    per_class: [Some(6_000), Some(1_000)],
    packages: &[Package { of: "Debian", name: "dataset-fashion-mnist", folder: "/usr/share/datasets/fashion-mnist" }],
    folder: Some("data/fashion-mnist"),
    licence: "MIT",
    files: &[
        PACKED[0],
        PACKED[1],
        PACKED[2],
        PACKED[3],
        file("train-images-idx3-ubyte", 47_040_016, "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        file("train-labels-idx1-ubyte", 60_008, "9018921c3c673c538a1fc5bad174d6f9"),
        file("t10k-images-idx3-ubyte", 7_840_016, "8181f5470baa50b63fa0f6fddb340f0a"),
        file("t10k-labels-idx1-ubyte", 10_008, "15d484375f8d13e6eb1aabb0c3f46965"),
    ],
    downloads: &DOWNLOADS,
    ..IDX
};
