//! Hostile arrays, archives of arrays, and data sets in them.

use std::path::Path;

use super::{Case, case, noise};
use crate::build::{Member, Place, dataset, gzip, npy, npy_header, npy_of, npy_text, zip, zip_with};

pub fn npy_cases() -> Vec<Case> {
    let place = Place::Npy;
    let npy_case = |name, says, bytes| case(&place, name, says, bytes);
    let fixture = |name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name)).unwrap()
    };
    let version = |major: u8, length: u32| {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([major, 0]);
        bytes.extend(length.to_le_bytes());
        bytes
    };
    let sound = npy("<f4", &[3, 2], 24);
    let f4 = |shape: &str| npy_header("'<f4'", shape);
    vec![
        npy_case("one byte", "too short for an .npy array", vec![0x93]),
        npy_case("magic only", "too short for an .npy array", b"\x93NUMPY".to_vec()),
        npy_case("half a header", "too short for an .npy array", sound[..40].to_vec()),
        npy_case("version 9", "has an .npy header that cannot be read", version(9, 0)),
        npy_case("a header of 4 GB", "declares an .npy header of 4294967295 bytes", version(2, u32::MAX)),
        npy_case("a header of 64 KB", "declares an .npy header of 65535 bytes", npy_text(&" ".repeat(65_535))),
        npy_case("header text missing", "too short", version(2, 100)),
        npy_case("one value too few", "is cut short: found", sound[..sound.len() - 4].to_vec()),
        npy_case("one byte too few", "is cut short: found", sound[..sound.len() - 1].to_vec()),
        npy_case("one byte too many", "has trailing bytes: found", [&sound[..], &[0]].concat()),
        npy_case("two arrays in one", "has trailing bytes: found", [&sound[..], &sound[..]].concat()),
        npy_case("a terabyte declared", "is cut short: found", f4("(274877906944,)")),
        npy_case("absurd product", "more values than any file can hold", f4("(4294967296, 4294967296, 4)")),
        npy_case("absurd length", "more values than any file can hold", f4("(99999999999999999999,)")),
        npy_case("negative length", "has an .npy header that cannot be read", f4("(-1,)")),
        npy_case("length is a word", "has an .npy header that cannot be read", f4("(many,)")),
        npy_case("shape is a number", "has an .npy header that cannot be read", f4("3")),
        npy_case("shape of 40 axes", "has more than 32 axes", f4(&format!("({})", "1,".repeat(40)))),
        npy_case("no dictionary", "has an .npy header that cannot be read", npy_text("hello\n")),
        npy_case("no end", "has an .npy header that cannot be read", npy_text("{'descr': '<f4'")),
        npy_case("string without an end", "has an .npy header that cannot be read", npy_text("{'descr")),
        npy_case(
            "a key missing",
            "has an .npy header that cannot be read",
            npy_text("{'descr': '<f4', 'shape': (1,)}"),
        ),
        npy_case("a key twice", "has an .npy header that cannot be read", npy_text("{'shape': (1,), 'shape': (1,)}")),
        npy_case("a key too many", "has an .npy header that cannot be read", npy_text("{'extra': 1}")),
        npy_case(
            "text after the end",
            "has an .npy header that cannot be read",
            npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x"),
        ),
        npy_case("order is a number", "has an .npy header that cannot be read", npy_text("{'fortran_order': 1}")),
        npy_case(
            "brackets without an end",
            "holds a structured array",
            npy_text(&format!("{{'descr': {}", "[".repeat(9_000))),
        ),
        npy_case(
            "brackets 4000 deep",
            "holds a structured array",
            npy_header(&format!("{}{}", "[".repeat(4_000), "]".repeat(4_000)), "(1,)"),
        ),
        npy_case(
            "not UTF-8",
            "has an .npy header that cannot be read",
            [&b"\x93NUMPY\x01\x00\x04\x00"[..], b"{'\xff'"].concat(),
        ),
        npy_case(
            "control characters in a key",
            "has an .npy header that cannot be read",
            npy_text("{'a\nb\x1b[31m': 1}"),
        ),
        npy_case("pickled objects", "holds pickled Python objects", fixture("objects.npy")),
        npy_case("structured", "holds a structured array", fixture("structured.npy")),
        npy_case("text values", "holds text", fixture("text.npy")),
        npy_case("complex values", "holds complex numbers", fixture("complex.npy")),
        npy_case("dates", "holds dates", fixture("dates.npy")),
        npy_case("raw records", "holds raw records", npy("|V8", &[1], 8)),
        npy_case("long doubles", "elements of a type that is not read", npy("<f16", &[1], 16)),
        npy_case("no type", "has an .npy header that cannot be read", npy("", &[1], 4)),
        npy_case(
            "a type of 40 digits",
            "has an .npy header that cannot be read",
            npy(&format!("<f{}", "4".repeat(40)), &[1], 4),
        ),
        npy_case("a zip archive", "looks like a zip archive", zip(&[Member::stored("x.npy", &sound)])),
        npy_case(
            "a pickle",
            "looks like a Python pickle",
            b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00K\x01.".to_vec(),
        ),
        npy_case("a web page", "looks like a web page", b"<!DOCTYPE html><html>404</html>".to_vec()),
        npy_case("text", "looks like text", b"1.0, 2.0, 3.0\n".to_vec()),
        npy_case("an HDF5 file", "looks like an HDF5 file", b"\x89HDF\r\n\x1a\n\0\0\0\0".to_vec()),
        npy_case("gzipped", "looks like a gzip file", gzip(&sound)),
    ]
}

pub fn npz_cases() -> Vec<Case> {
    let place = Place::Npz("x");
    let npz_case = |name, says, bytes| case(&place, name, says, bytes);
    let sound = npy("<f4", &[3, 2], 24);
    let stored = || Member::stored("x.npy", &sound);
    let deflated = || Member::deflated("x.npy", &sound);
    let archive = zip(&[stored()]);
    let big = npy("<f4", &[1 << 20], 1 << 22);
    let long = npy_header("'<f4'", "(262144,)");
    let huge_header = npy_header("'<f4'", "(1073741823,)");
    let lies = |member: Member, size: u32| Member { size, ..member };
    // A zip64 field with sizes and an offset beyond everything.
    let zip64 =
        [&[1, 0, 24, 0][..], &u64::MAX.to_le_bytes(), &u64::MAX.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
    let wide = Member { size: u32::MAX, compressed: u32::MAX, extra: zip64, ..stored() };
    vec![
        npz_case("an .npy file", "looks like an .npy array", sound.clone()),
        npz_case("a gzip file", "looks like a gzip file", gzip(&sound)),
        npz_case("two bytes", "is a zip archive that cannot be read", b"PK".to_vec()),
        npz_case("cut in half", "is a zip archive that cannot be read", archive[..archive.len() / 2].to_vec()),
        npz_case("end cut off", "is a zip archive that cannot be read", archive[..archive.len() - 1].to_vec()),
        npz_case("bytes after the end", "goes on after its end", [&archive[..], &[0]].concat()),
        npz_case("only the start repeated", "is a zip archive that cannot be read", b"PK\x03\x04".repeat(50)),
        npz_case("an empty archive", "without any .npy array", zip(&[])),
        npz_case("no array inside", "without any .npy array", zip(&[Member::stored("data.pkl", b"x")])),
        npz_case("another name", "has no array `x`; it holds `y`, so save", zip(&[Member::stored("y.npy", &sound)])),
        npz_case("the name twice", "holds an array twice", zip(&[stored(), stored()])),
        npz_case("name is not UTF-8", "without any .npy array", zip(&[Member { name: vec![0xff, 0xfe], ..stored() }])),
        npz_case(
            "names disagree",
            "is a zip archive that cannot be read",
            zip(&[Member { local_name: b"y.npy".to_vec(), ..stored() }]),
        ),
        npz_case("encrypted", "is a zip archive that cannot be read", zip(&[Member { flags: 1, ..stored() }])),
        npz_case("method 14", "compression method not supported", zip(&[Member { method: 14, ..stored() }])),
        npz_case("wrong checksum", "is damaged", zip(&[Member { crc: 7, ..stored() }])),
        npz_case("wrong checksum, deflated", "is damaged", zip(&[Member { crc: 7, ..deflated() }])),
        npz_case("stored with two sizes", "bytes in the archive hold at most", zip(&[lies(stored(), 4_000_000)])),
        npz_case(
            "runs beyond the end",
            "has trailing bytes",
            zip(&[Member { size: 1 << 30, compressed: 1 << 30, ..stored() }]),
        ),
        npz_case("zip64 beyond everything", "is a zip archive that cannot be read", zip(&[wide])),
        npz_case(
            "zip64 field missing",
            "bytes in the archive hold at most",
            zip(&[Member { size: u32::MAX, ..stored() }]),
        ),
        npz_case(
            "directory beyond the end",
            "is a zip archive that cannot be read",
            zip_with(&[stored()], |end| end.offset += 100),
        ),
        npz_case(
            "directory too long",
            "directory of another size",
            zip_with(&[stored()], |end| end.size = u32::MAX - 1),
        ),
        npz_case("directory is elsewhere", "than it declares", zip_with(&[stored()], |end| end.offset -= 1)),
        npz_case(
            "60000 members declared",
            "is a zip archive that cannot be read",
            zip_with(&[stored()], |end| end.members = 60_000),
        ),
        npz_case(
            "a member too few",
            "directory of another size",
            zip_with(&[stored(), Member::stored("y.npy", &sound)], |end| end.members = 1),
        ),
        npz_case(
            "zip64 directory missing",
            "is a zip archive that cannot be read",
            zip_with(&[stored()], |end| end.members = u16::MAX),
        ),
        npz_case(
            "comment beyond the end",
            "is a zip archive that cannot be read",
            zip_with(&[stored()], |end| end.comment = 500),
        ),
        npz_case(
            "a gigabyte in 24 bytes",
            "bytes in the archive hold at most",
            zip(&[lies(Member::deflated("x.npy", &[0; 24]), 1 << 30)]),
        ),
        npz_case("header calls for more", "is cut short: found", zip(&[Member::deflated("x.npy", &huge_header)])),
        npz_case(
            "header calls for less",
            "has trailing bytes",
            zip(&[Member::deflated("x.npy", &[&sound[..], &[0; 9]].concat())]),
        ),
        npz_case(
            "unpacks to less than declared",
            "ends too early",
            zip(&[lies(
                Member::deflated("x.npy", &[&long[..], &noise(8_000)].concat()),
                (long.len() + (1 << 20)) as u32,
            )]),
        ),
        npz_case(
            "unpacks to more than declared",
            "larger than its declared",
            zip(&[lies(Member::deflated("x.npy", &[&sound[..], &big[..]].concat()), sound.len() as u32)]),
        ),
        npz_case(
            "not deflate",
            "is damaged",
            zip(&[Member { method: 8, size: sound.len() as u32, ..Member::stored("x.npy", &[0xff; 60]) }]),
        ),
        npz_case(
            "no .npy inside",
            "does not start like an .npy array",
            zip(&[Member::stored("x.npy", b"not an array at all")]),
        ),
        npz_case("too short inside", "too short for an .npy array", zip(&[Member::stored("x.npy", b"\x93NUM")])),
        npz_case("pickled inside", "`x` in", zip(&[Member::stored("x.npy", &npy("|O", &[1], 30))])),
    ]
}

pub fn dataset_cases() -> Vec<Case> {
    let place = Place::Dataset;
    let dataset_case = |name, says, changes: &[(&str, Option<Vec<u8>>)]| case(&place, name, says, dataset(changes));
    let floats = |special: f32, at: usize| {
        let values: Vec<u8> = (0..24).flat_map(|v| if v == at { special } else { v as f32 }.to_le_bytes()).collect();
        Some(npy_of("<f4", &[6, 4], &values))
    };
    let doubles: Vec<u8> = (0..24).flat_map(|v| if v == 7 { 1e300f64 } else { 1.0 }.to_le_bytes()).collect();
    let labels = |labels: [i64; 6]| Some(npy_of("<i8", &[6], &labels.map(i64::to_le_bytes).concat()));
    vec![
        dataset_case(
            "x_test missing",
            "has no array `x_test`; it holds `x_train`, `y_train`, `y_test`",
            &[("x_test", None)],
        ),
        dataset_case("y_train missing", "has no array `y_train`", &[("y_train", None)]),
        dataset_case("NaN", "holds NaN at index [1, 2]", &[("x_train", floats(f32::NAN, 6))]),
        dataset_case("infinity", "holds inf at index [5, 3]", &[("x_train", floats(f32::INFINITY, 23))]),
        dataset_case(
            "minus infinity in the test part",
            "holds -inf at index [0, 0]",
            &[("x_test", floats(f32::NEG_INFINITY, 0))],
        ),
        dataset_case(
            "beyond float32",
            "finite numbers within float32",
            &[("x_train", Some(npy_of("<f8", &[6, 4], &doubles)))],
        ),
        dataset_case("one axis", "has 1 axes", &[("x_train", Some(npy("<f4", &[6], 24)))]),
        dataset_case("five axes", "has 5 axes", &[("x_train", Some(npy("<f4", &[6, 1, 1, 1, 4], 96)))]),
        dataset_case("no features", "holds nothing", &[("x_train", Some(npy("<f4", &[6, 0], 0)))]),
        dataset_case("no examples", "holds nothing", &[("x_train", Some(npy("<f4", &[0, 4], 0)))]),
        dataset_case("parts of two shapes", "save both alike", &[("x_test", Some(npy("<f4", &[6, 5], 120)))]),
        dataset_case(
            "channels last",
            "seems to have its channels last",
            &[("x_train", Some(npy("|u1", &[6, 8, 8, 3], 6 * 192)))],
        ),
        dataset_case(
            "too few labels",
            "holds 5 labels, but `x_train` holds 6 examples",
            &[("y_train", Some(npy("<i8", &[5], 40)))],
        ),
        dataset_case("too many test labels", "holds 7 labels", &[("y_test", Some(npy("<i8", &[7], 56)))]),
        dataset_case("one-hot labels", "one-hot labels", &[("y_train", Some(npy("<i8", &[6, 3], 144)))]),
        dataset_case(
            "labels are floats",
            "is of type float64, but labels are integers",
            &[("y_train", Some(npy("<f8", &[6], 48)))],
        ),
        dataset_case("negative label", "holds label -1 at index 2", &[("y_train", labels([0, 1, -1, 2, 0, 1]))]),
        dataset_case(
            "label of 2^40",
            "holds label 1099511627776 at index 5",
            &[("y_train", labels([0, 1, 2, 2, 0, 1 << 40]))],
        ),
        dataset_case("four billion classes", "none of class 3", &[("y_train", labels([0, 1, 2, 2, 0, 4_294_967_295]))]),
        dataset_case("a class without examples", "none of class 1", &[("y_train", labels([0, 2, 2, 2, 0, 2]))]),
        dataset_case("one class", "holds one class only", &[("y_train", labels([0; 6]))]),
        dataset_case(
            "a test label that training lacks",
            "holds label 3 at index 1",
            &[("y_test", labels([0, 3, 1, 2, 0, 1]))],
        ),
        dataset_case("object labels", "`y_test` in", &[("y_test", Some(npy("|O", &[6], 48)))]),
        dataset_case(
            "absurd images",
            "is cut short",
            &[("x_train", Some(npy_header("'<f4'", "(6, 1000000, 1000000)")))],
        ),
    ]
}
