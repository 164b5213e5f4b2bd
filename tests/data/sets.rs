//! The data sets as experiments get them, on committed excerpts of the published files.

use std::path::{Path, PathBuf};

use harness::arrays::{ArrayView, Slice, write_npz};
use harness::config::{Data, DatasetKind};
use harness::data::check::{Verdict, check};
use harness::data::{DataFacts, Dataset, facts, load, probe_set};
use harness::error::Error;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn data(dataset: DatasetKind, path: Option<PathBuf>) -> Data {
    Data::whole(dataset, path)
}

fn digits() -> Data {
    data(DatasetKind::Digits, None)
}

fn per_class(labels: &[u32], classes: usize) -> Vec<usize> {
    (0..classes).map(|class| labels.iter().filter(|&&label| label as usize == class).count()).collect()
}

/// Facts and data agree, and the training part is standardised.
fn sound(data: &Data) -> Dataset {
    let loaded = load(data).unwrap();
    let DataFacts { shape, classes, train_len, eval_len } = facts(data).unwrap();
    assert_eq!((shape, &classes), (loaded.shape, &loaded.classes));
    assert_eq!((train_len, eval_len), (loaded.train.len(), loaded.eval.len()));
    let example: usize = shape.iter().product();
    assert_eq!(loaded.train.pixels.len(), train_len * example);
    assert_eq!(loaded.eval.pixels.len(), eval_len * example);
    let plane = shape[1] * shape[2];
    for channel in 0..shape[0] {
        let values: Vec<f64> =
            loaded.train.pixels.chunks(plane).skip(channel).step_by(shape[0]).flatten().map(|&v| v.into()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
        assert!(
            mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5,
            "channel {channel}: mean {mean}, variance {variance}"
        );
    }
    loaded
}

#[test]
fn digits_are_embedded_and_split() {
    let loaded = sound(&digits());
    assert_eq!((loaded.shape, loaded.train.len(), loaded.eval.len()), ([1, 8, 8], 1297, 500));
    assert_eq!(per_class(&loaded.eval.labels, 10), [50; 10]);
    assert_eq!(loaded.classes[9], "9");
    assert_eq!(loaded.digest.len(), 64);
    assert_eq!(load(&digits()).unwrap(), loaded);
}

#[test]
fn classes_are_kept_and_renumbered_in_the_order_given() {
    let all = load(&digits()).unwrap();
    let two = sound(&Data { classes: Some(vec![8, 3]), ..digits() });
    assert_eq!(two.classes, ["8", "3"]);
    assert_eq!(two.eval.labels.len(), 100);
    let expected: Vec<u32> = all
        .train
        .labels
        .iter()
        .filter_map(|&label| [8, 3].iter().position(|&c| c == label))
        .map(|c| c as u32)
        .collect();
    assert_eq!(two.train.labels, expected);
    assert_eq!(two.digest, all.digest);
}

#[test]
fn limits_are_balanced_and_follow_the_seed() {
    let limited = |seed| Data { train_limit: Some(103), eval_limit: Some(20), seed, ..digits() };
    let (one, two) = (sound(&limited(1)), sound(&limited(2)));
    assert_eq!(per_class(&one.train.labels, 10), [11, 11, 11, 10, 10, 10, 10, 10, 10, 10]);
    assert_eq!(per_class(&one.eval.labels, 10), [2; 10]);
    assert_ne!(one.train.pixels, two.train.pixels);
    assert_eq!(load(&limited(1)).unwrap(), one);
    let more = sound(&Data { train_limit: Some(10_000), ..digits() });
    assert_eq!(more.train.len(), 1297);
}

#[test]
fn the_probe_set_is_balanced_and_fixed() {
    let loaded = load(&digits()).unwrap();
    let probes = probe_set(&loaded, 64, 5);
    let labels: Vec<u32> = probes.iter().map(|&index| loaded.eval.labels[index]).collect();
    assert_eq!(per_class(&labels, 10), [7, 7, 7, 7, 6, 6, 6, 6, 6, 6]);
    assert!(probes.is_sorted_by(|a, b| a < b));
    assert_eq!(probes, probe_set(&loaded, 64, 5));
    assert_ne!(probes, probe_set(&loaded, 64, 6));
    assert_eq!(probe_set(&loaded, 10_000, 5), (0..500).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for (wrong, says) in [
        (Data { classes: Some(vec![3, 10]), ..digits() }, "names class 10, but the data has classes 0 to 9"),
        (Data { classes: Some(vec![3, 3]), ..digits() }, "names class 3 twice"),
        (Data { classes: Some(vec![3]), ..digits() }, "keeps 1 classes"),
        (Data { train_limit: Some(0), ..digits() }, "raise data.train_limit"),
        (Data { eval_limit: Some(0), ..digits() }, "raise data.eval_limit"),
        (data(DatasetKind::Npz, None), "set data.path"),
        (data(DatasetKind::Cifar10, Some("no/such".into())), "run `harness data fetch cifar10`"),
    ] {
        for outcome in [load(&wrong).map(drop), facts(&wrong).map(drop)] {
            let Err(Error::Invalid(message)) = outcome else { panic!("{wrong:?} was accepted") };
            assert!(message.contains(says), "{message}");
        }
    }
}

#[test]
fn cifar10_excerpt() {
    let folder = fixture("cifar-10-batches-bin");
    let loaded = sound(&data(DatasetKind::Cifar10, Some(folder.clone())));
    assert_eq!((loaded.shape, loaded.train.len(), loaded.eval.len()), ([3, 32, 32], 50, 10));
    // The first ten labels of data_batch_1.bin and of test_batch.bin: frog, truck, truck, deer, …; cat, ship, ship, ….
    assert_eq!(loaded.train.labels[..10], [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
    assert_eq!(loaded.eval.labels, [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
    // Standardisation undone, the pixels are those of the file, labels left out.
    let bytes = std::fs::read(folder.join("data_batch_1.bin")).unwrap();
    let plane = |values: &[f32]| values[..1024].to_vec();
    let (red, first) = (plane(&loaded.train.pixels), &bytes[1..1025]);
    let scale = (f64::from(first[0]) - f64::from(first[1])) / f64::from(red[0] - red[1]);
    for (standard, &byte) in red.iter().zip(first) {
        let back = f64::from(standard - red[0]) * scale + f64::from(first[0]);
        assert!((back - f64::from(byte)).abs() < 1e-3);
    }
}

#[test]
fn fashion_mnist_excerpt_gzipped_or_not() {
    let folder = fixture("fashion-mnist");
    let loaded = sound(&data(DatasetKind::FashionMnist, Some(folder.clone())));
    assert_eq!((loaded.shape, loaded.train.len(), loaded.eval.len()), ([1, 28, 28], 100, 50));
    assert_eq!(loaded.train.labels[..8], [9, 0, 0, 3, 0, 2, 7, 2]);
    assert_eq!(loaded.eval.labels[..8], [9, 2, 1, 1, 6, 1, 4, 6]);
    assert_eq!(loaded.classes[9], "ankle boot");
    let plain = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let mut unpacked = std::fs::File::create(plain.path().join(path.file_stem().unwrap())).unwrap();
        let mut packed = flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap());
        std::io::copy(&mut packed, &mut unpacked).unwrap();
    }
    assert_eq!(sound(&data(DatasetKind::FashionMnist, Some(plain.path().to_path_buf()))), loaded);
}

#[test]
fn an_npz_of_anyone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let npz = || data(DatasetKind::Npz, Some(path.clone()));
    let x: Vec<f64> = (0..24).map(|v| f64::from(v) * 1.5 - 3.0).collect();
    let bytes: Vec<u8> = (0..24).collect();
    let labels = [0i64, 1, 2, 0];
    for (shape, expected) in [(&[4, 6][..], [1, 1, 6]), (&[4, 3, 2], [1, 3, 2]), (&[4, 2, 3, 1], [2, 3, 1])] {
        let y = ArrayView { shape: &[4], values: Slice::I64(&labels) };
        let mut seen = Vec::new();
        for values in [Slice::F64(&x), Slice::U8(&bytes)] {
            let images = ArrayView { shape, values };
            write_npz(&path, &[("x_train", images), ("y_train", y), ("x_test", images), ("y_test", y)]).unwrap();
            let loaded = sound(&npz());
            assert_eq!((loaded.shape, loaded.classes.len()), (expected, 3));
            assert_eq!(loaded.train, loaded.eval);
            seen.push(loaded);
        }
        // One is a linear function of the other, so standardised they are the same.
        assert!(seen[0].train.pixels.iter().zip(&seen[1].train.pixels).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_ne!(seen[0].digest, seen[1].digest);
    }
}

#[test]
fn excerpts_are_counted_and_are_not_the_published_files() {
    let report = check(&fixture("cifar-10-batches-bin")).unwrap();
    assert_eq!((report.format, report.shape, report.published()), ("CIFAR-10 binary", Some([3, 32, 32]), None));
    assert!(report.files.iter().all(|file| file.verdict == Verdict::Unknown && file.bytes == 30_730));
    assert_eq!(report.parts[1].per_class, [1, 2, 0, 2, 0, 0, 3, 0, 2, 0]);
    let report = check(&fixture("fashion-mnist")).unwrap();
    assert_eq!((report.format, report.parts[0].examples, report.files.len()), ("IDX", 100, 4));
    let labels = check(&fixture("fashion-mnist").join("train-labels-idx1-ubyte.gz")).unwrap();
    assert_eq!((labels.format, labels.parts[0].per_class.iter().sum::<usize>()), ("IDX labels", 100));
    let images = check(&fixture("fashion-mnist").join("t10k-images-idx3-ubyte.gz")).unwrap();
    assert_eq!((images.format, images.shape, images.parts[0].examples), ("IDX images", Some([1, 28, 28]), 50));
    let batch = check(&fixture("cifar-10-batches-bin").join("test_batch.bin")).unwrap();
    assert_eq!((batch.format, batch.parts[0].examples), ("CIFAR-10 binary", 10));
}
