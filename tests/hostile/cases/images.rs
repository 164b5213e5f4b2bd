//! Hostile IDX files and CIFAR-10 batches.

use super::{Case, case, noise};
use crate::build::{Place, gzip, idx, idx_of, npy};

pub fn idx_cases() -> Vec<Case> {
    let images = Place::Idx("train-images-idx3-ubyte");
    let images_gz = Place::Idx("train-images-idx3-ubyte.gz");
    let header = Place::IdxHeader("train-images-idx3-ubyte");
    let header_gz = Place::IdxHeader("train-images-idx3-ubyte.gz");
    let labels = Place::IdxHeader("train-labels-idx1-ubyte");
    let labels_gz = Place::IdxHeader("t10k-labels-idx1-ubyte.gz");
    let sound = idx(&[5, 2, 3], 30);
    let many = idx(&[1000, 30, 40], 1_200_000);
    let zipped = gzip(&sound);
    let mut wrong_checksum = zipped.clone();
    let at = wrong_checksum.len() - 8;
    wrong_checksum[at] ^= 1;
    vec![
        case(&header, "wrong magic", "looks like text", b"this is no IDX file".to_vec()),
        case(&header, "labels for images", "has 1 axes, but an IDX file of images has 3", idx(&[30], 30)),
        case(&labels, "images for labels", "has 3 axes, but an IDX file of labels has 1", sound.clone()),
        case(&header, "floats", "IDX type 0x0d", idx_of(0x0d, &[5, 2, 3], &[0; 120])),
        case(&header, "three bytes", "holds 3 bytes", vec![0, 0, 8]),
        case(&header, "half a header", "ends within its header", sound[..10].to_vec()),
        case(
            &header,
            "one value too few",
            "is cut short: its header calls for 46 bytes, found 45",
            sound[..45].to_vec(),
        ),
        case(
            &header,
            "one byte too many",
            "has trailing bytes: its header calls for 46 bytes, found 47",
            [&sound[..], &[0]].concat(),
        ),
        case(&header, "four billion images", "is cut short", idx(&[u32::MAX, 2, 3], 30)),
        case(&header, "absurd product", "more than any file can hold", idx(&[u32::MAX, u32::MAX, u32::MAX], 30)),
        case(&header, "no images", "declares no values", idx(&[0, 2, 3], 0)),
        case(&header, "no rows", "declares no values", idx(&[5, 0, 3], 0)),
        case(&header, "fewer images than labels", "holds 5 labels, but", idx(&[4, 2, 3], 24)),
        case(
            &header,
            "images of another size",
            "training images of 3x2 pixels but test images of 2x3",
            idx(&[5, 3, 2], 30),
        ),
        case(&labels, "fewer labels than images", "holds 4 labels, but", idx(&[4], 4)),
        case(&labels, "label 10", "holds label 10 at index 3", idx_of(8, &[5], &[0, 1, 2, 10, 4])),
        case(&labels, "label 255", "holds label 255 at index 0", idx_of(8, &[5], &[255; 5])),
        case(&labels_gz, "gzipped label 11", "holds label 11 at index 2", gzip(&idx_of(8, &[3], &[0, 1, 11]))),
        case(&labels_gz, "gzipped labels cut short", "is cut short", gzip(&idx(&[3], 2))),
        case(&header_gz, "gzip of nothing", "holds 0 bytes", gzip(&[])),
        case(&header_gz, "gzip of text", "looks like text", gzip(b"this is no IDX file")),
        case(&header_gz, "gzip magic only", "ends too early", vec![0x1f, 0x8b]),
        case(&header_gz, "four billion gzipped images", "is cut short", gzip(&idx(&[u32::MAX, 2, 3], 30))),
        case(&images_gz, "gzip cut in half", "ends too early", zipped[..zipped.len() / 2].to_vec()),
        case(&images_gz, "gzip without its end", "ends too early", zipped[..zipped.len() - 4].to_vec()),
        case(&images_gz, "wrong gzip checksum", "is damaged", wrong_checksum),
        case(&images_gz, "bytes after the gzip", "has bytes after its 30 values", [&zipped[..], b"more"].concat()),
        case(&images_gz, "two gzips", "has bytes after its 30 values", [&zipped[..], &zipped[..]].concat()),
        case(
            &images_gz,
            "one value too few, gzipped",
            "is cut short: found 29 values, expected 30",
            gzip(&sound[..45]),
        ),
        case(
            &images_gz,
            "one value too many, gzipped",
            "has bytes after its 30 values",
            gzip(&[&sound[..], &[0]].concat()),
        ),
        case(
            &images_gz,
            "a bomb behind 30 values",
            "has bytes after its 30 values",
            gzip(&[&sound[..], &vec![0; 64 << 20]].concat()),
        ),
        case(&images_gz, "gzip of a gzip", "looks like a gzip file", gzip(&zipped)),
        Case {
            unpacks_to: 1 << 19,
            ..case(
                &images_gz,
                "declares more than it unpacks to",
                "is cut short: found 554288 values, expected 30000000",
                {
                    let mut bytes = idx(&[5, 2_000, 3_000], 0);
                    bytes.extend(vec![0; 1 << 19]);
                    gzip(&[&bytes[..], &noise(30_000)].concat())
                },
            )
        },
        case(&images, "an .npy file", "looks like an .npy array", npy("|u1", &[5, 2, 3], 30)),
        case(&header, "1.2 MB too long", "has trailing bytes", [&sound[..], &many[..]].concat()),
    ]
}

pub fn cifar_cases() -> Vec<Case> {
    let batch = Place::Cifar("data_batch_3.bin");
    let test = Place::Cifar("test_batch.bin");
    let record = |label: u8| {
        let mut bytes = vec![7; 3073];
        bytes[0] = label;
        bytes
    };
    vec![
        case(&batch, "one byte", "is 1 bytes long, but a CIFAR-10 batch is a multiple of 3073", vec![1]),
        case(&batch, "one byte too few", "is 3072 bytes long", vec![1; 3072]),
        case(&batch, "one byte too many", "is 3074 bytes long", vec![1; 3074]),
        case(&test, "label 10", "holds label 10 at index 0", record(10)),
        case(&batch, "label 255 in the second record", "holds label 255 at index 1", [record(1), record(255)].concat()),
        case(&batch, "10001 records", "holds 10001 records", vec![1; 3073 * 10_001]),
        case(&batch, "gzipped", "bytes long, but a CIFAR-10 batch", gzip(&record(1))),
        case(&batch, "a web page", "bytes long, but a CIFAR-10 batch", b"<html>404</html>".to_vec()),
    ]
}
