//! Arrays written by NumPy are read as NumPy means them, and what we write is what NumPy reads.

use std::path::{Path, PathBuf};

use harness::arrays::{Array, ArrayView, Kind, Slice, Values, open_npz, read_npy, read_npy_f32, write_npy, write_npz};
use proptest::prelude::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name)
}

fn read(name: &str) -> Array {
    read_npy(&fixture(name)).unwrap()
}

/// 0, 1, …, 23, of shape (2, 3, 4), through `f`: what the fixtures hold.
fn base<T>(f: impl Fn(f64) -> T) -> Vec<T> {
    (0..24).map(|v| f(f64::from(v))).collect()
}

#[test]
fn every_type_order_and_byte_order_of_numpy() {
    let cube = vec![2, 3, 4];
    assert_eq!(read("c_f4.npy"), Array { shape: cube.clone(), values: Values::F32(base(|v| (v * 0.5) as f32)) });
    assert_eq!(read("fortran_f8.npy"), Array { shape: cube.clone(), values: Values::F64(base(|v| v - 7.25)) });
    assert_eq!(read("fortran_big_i2.npy"), Array { shape: cube, values: Values::I64(base(|v| v as i64 - 12)) });
    let halves = [0.0, 0.333_251_95, -2.0, 65_504.0, 5.960_464_5e-8, f32::INFINITY, f32::NEG_INFINITY];
    assert_eq!(read("half.npy"), Array { shape: vec![7], values: Values::F32(halves.to_vec()) });
    assert_eq!(read("bools.npy"), Array { shape: vec![2, 2], values: Values::U8(vec![1, 0, 0, 1]) });
    assert_eq!(read("u8.npy").values, Values::U8((0..=255).step_by(5).collect()));
    assert_eq!(read("u64.npy").values, Values::I64(vec![0, 1, i64::MAX]));
    assert_eq!(read("scalar.npy"), Array { shape: vec![], values: Values::F64(vec![2.5]) });
}

#[test]
fn reading_as_f32_is_reading_and_then_rounding() {
    for name in ["c_f4.npy", "fortran_f8.npy", "fortran_big_i2.npy", "half.npy", "bools.npy", "u8.npy", "u64.npy"] {
        let (shape, values) = read_npy_f32(&fixture(name)).unwrap();
        let array = read(name);
        assert_eq!(shape, array.shape, "{name}");
        assert_eq!(values, array.values.into_f32(), "{name}");
    }
    assert_eq!(read_npy_f32(&fixture("u64_too_large.npy")).unwrap().1, [0.0, 9_223_372_036_854_775_808.0]);
}

#[test]
fn archives_stored_deflated_and_streamed_hold_the_same() {
    for name in ["stored.npz", "compressed.npz", "streamed.npz"] {
        let npz = open_npz(&fixture(name)).unwrap();
        assert_eq!(npz.names().collect::<Vec<_>>(), ["logits", "labels", "wide"], "{name}");
        let header = npz.header("logits").unwrap();
        assert_eq!((header.shape, header.kind), (vec![2, 3, 4], Kind::F32), "{name}");
        assert_eq!(npz.get("logits").unwrap().values, Values::F32(base(|v| (v * 0.25) as f32)), "{name}");
        assert_eq!(npz.get("labels").unwrap().into_labels("labels").unwrap(), [0, 1, 2, 3], "{name}");
        assert_eq!(npz.get("wide").unwrap().values, Values::F64(base(|v| v * 1e-3)), "{name}");
        assert_eq!(npz.get_f32("wide").unwrap(), (vec![2, 3, 4], base(|v| (v * 1e-3) as f32)), "{name}");
    }
}

/// The bytes that NumPy was seen to read. `UPDATE_FIXTURES=1` writes them anew, to be looked at with NumPy.
#[test]
fn what_is_written_stays_what_numpy_has_read() {
    let folder = tempfile::tempdir().unwrap();
    let (logits, labels, wide) = (base(|v| (v * 0.25) as f32), [3u32, 1], base(|v| v * 1e-3));
    let arrays = [
        ("logits", ArrayView { shape: &[2, 3, 4], values: Slice::F32(&logits) }),
        ("labels", ArrayView { shape: &[2], values: Slice::U32(&labels) }),
        ("wide", ArrayView { shape: &[24], values: Slice::F64(&wide) }),
        ("classes", ArrayView { shape: &[], values: Slice::I64(&[-4]) }),
        ("none", ArrayView { shape: &[0, 5], values: Slice::U8(&[]) }),
    ];
    let [npz, npy] = ["ours.npz", "ours.npy"].map(|name| folder.path().join(name));
    write_npz(&npz, &arrays).unwrap();
    write_npy(&npy, arrays[0].1).unwrap();
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        for path in [&npz, &npy] {
            std::fs::copy(path, fixture(path.file_name().unwrap().to_str().unwrap())).unwrap();
        }
    }
    for path in [npz, npy] {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        assert!(std::fs::read(&path).unwrap() == std::fs::read(fixture(&name)).unwrap(), "{name} has changed");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file was left");
}

#[test]
fn labels_must_be_labels() {
    let labels = |shape: &[usize], values| Array { shape: shape.to_vec(), values }.into_labels("y.npy");
    assert_eq!(labels(&[2], Values::U8(vec![7, 0])).unwrap(), [7, 0]);
    for (shape, values, says) in [
        (&[2][..], Values::I64(vec![0, -1]), "holds label -1 at index 1"),
        (&[1], Values::I64(vec![1 << 32]), "holds label 4294967296 at index 0"),
        (&[2, 1], Values::I64(vec![0, 1]), "has shape (2, 1), but labels are of shape (N,); one-hot labels"),
        (&[], Values::I64(vec![0]), "has shape (), but"),
        (&[1], Values::F64(vec![1.0]), "is of type float64, but labels are integers"),
    ] {
        let message = labels(shape, values).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        shape in proptest::collection::vec(0usize..4, 0..4),
        names in proptest::collection::btree_set("[a-zé/ .]{1,8}", 1..4),
        seed: u32,
    ) {
        let total: usize = shape.iter().product();
        let values: Vec<f32> = (0..total as u32).map(|v| f32::from_bits(v.wrapping_mul(seed) & 0x7f7f_ffff)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let view = ArrayView { shape: &shape, values: Slice::F32(&values) };
        let arrays: Vec<(&str, ArrayView)> = names.iter().map(|name| (name.as_str(), view)).collect();
        write_npz(&path, &arrays).unwrap();
        let npz = open_npz(&path).unwrap();
        for name in &names {
            let array = npz.get(name).unwrap();
            prop_assert_eq!(&array.shape, &shape);
            prop_assert_eq!(array.values, Values::F32(values.clone()));
        }
    }

    #[test]
    fn a_flipped_bit_in_an_archive_never_panics_and_never_changes_values_unseen(place in 0usize..785, bit in 0u8..8) {
        for name in ["stored.npz", "compressed.npz"] {
            let good = open_npz(&fixture(name)).unwrap();
            let mut bytes = std::fs::read(fixture(name)).unwrap();
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.npz");
            std::fs::write(&path, bytes).unwrap();
            if let Ok(npz) = open_npz(&path) {
                for array in ["logits", "labels", "wide"] {
                    if let Ok(found) = npz.get(array) {
                        prop_assert_eq!(found, good.get(array).unwrap());
                    }
                }
            }
        }
    }
}
