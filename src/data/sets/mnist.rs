//! MNIST (LeCun, Cortes and Burges): 70,000 handwritten digits of 28x28 pixels.

use super::{Download, IDX, PublishedFile, Set, each, file};

const PACKED: [PublishedFile; 4] = [
    file("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    file("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
    file("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
    file("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
];
const DOWNLOADS: [Download; 4] =
    each(PACKED, &["http://yann.lecun.com/exdb/mnist", "https://ossci-datasets.s3.amazonaws.com/mnist"]);

pub(super) const SET: Set = Set {
    name: "mnist",
    title: "MNIST",
    folder: Some("data/mnist"),
    licence: "CC BY-SA 3.0",
    files: &[
        PACKED[0],
        PACKED[1],
        PACKED[2],
        PACKED[3],
        file("train-images-idx3-ubyte", 47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
        file("train-labels-idx1-ubyte", 60_008, "a25bea736e30d166cdddb491f175f624"),
        file("t10k-images-idx3-ubyte", 7_840_016, "2646ac647ad5339dbf082846283269ea"),
        file("t10k-labels-idx1-ubyte", 10_008, "27ae3e4e09519cfbb04c329615203637"),
    ],
    downloads: &DOWNLOADS,
    ..IDX
};
