//! The published data sets in full, where they are at hand beside the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::config::{Data, DatasetKind};
use harness::data::check::check;
use harness::data::load;

/// The folder with the published files; `None`, with a message, where it is absent.
fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} is absent", folder.display());
    None
}

fn data(dataset: DatasetKind, path: PathBuf) -> Data {
    Data::whole(dataset, Some(path))
}

#[test]
fn fashion_mnist() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fashion-mnist");
    let loaded = load(&data(DatasetKind::FashionMnist, folder.clone())).unwrap();
    assert_eq!((loaded.train.len(), loaded.eval.len(), loaded.shape), (60_000, 10_000, [1, 28, 28]));
    // NumPy: mean 72.94035223214286, standard deviation 90.02118235130526; the first pixel is empty.
    assert!((f64::from(loaded.train.pixels[0]) + 0.810_257_656_331_318_6).abs() < 1e-7);
    let report = check(&folder).unwrap();
    assert_eq!(report.published(), Some("fashion-mnist"));
    assert_eq!(report.parts[0].per_class, [6000; 10]);
    assert_eq!(report.parts[1].per_class, [1000; 10]);
}

#[test]
fn cifar10() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("sh").arg(shared.join("unpack.sh")).arg(folder.path()).output().unwrap();
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    let folder = folder.path().join("cifar-10-batches-bin");
    let loaded = load(&data(DatasetKind::Cifar10, folder.clone())).unwrap();
    assert_eq!((loaded.train.len(), loaded.eval.len(), loaded.shape), (50_000, 10_000, [3, 32, 32]));
    // NumPy: means 125.30691805, 122.95039414, 113.86538318, standard deviations 62.99321928, 62.08870764, 66.70489964.
    let near = |found: f32, expected: f64| assert!((f64::from(found) - expected).abs() < 1e-6, "{found} {expected}");
    near(loaded.train.pixels[0], -1.052_604_05);
    near(loaded.train.pixels[1024], -0.981_666_34);
    near(loaded.train.pixels[2050], -1.062_371_51);
    near(*loaded.train.pixels.last().unwrap(), 0.706_614_01);
    let report = check(&folder).unwrap();
    assert_eq!(report.published(), Some("cifar10"));
    assert_eq!(report.parts[0].per_class, [5000; 10]);

    // One flipped bit, and it is no longer the published file.
    let path = folder.join("data_batch_3.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let report = check(&folder).unwrap();
    assert_eq!(report.published(), None);
    assert_eq!(report.differing().map(|file| file.path.clone()).collect::<Vec<_>>(), [path]);
}
