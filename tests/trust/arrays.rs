//! Arrays that somebody else wrote: thousands of classes, columns and headers that were not foreseen.

use std::fs;
use std::path::Path;

use harness::arrays::{ArrayView, Slice, write_npy, write_npz};

use crate::kit::{call, counted, expect, program, text};

/// Somebody's data set of `[N, 1, 4, 4]` images, two thirds of it to train on.
pub fn data(path: &Path, pixels: &[f32], labels: &[i64]) {
    let cut = labels.len() * 2 / 3;
    let (train, test) = (cut, labels.len() - cut);
    let (x, y) = (pixels.split_at(cut * 16), labels.split_at(cut));
    let arrays = [
        ("x_train", ArrayView { shape: &[train, 1, 4, 4], values: Slice::F32(x.0) }),
        ("y_train", ArrayView { shape: &[train], values: Slice::I64(y.0) }),
        ("x_test", ArrayView { shape: &[test, 1, 4, 4], values: Slice::F32(x.1) }),
        ("y_test", ArrayView { shape: &[test], values: Slice::I64(y.1) }),
    ];
    write_npz(path, &arrays).unwrap();
}

/// Images of the digits' shape.
pub fn images(path: &Path, count: usize) {
    let pixels: Vec<f32> = (0..count * 64).map(|place| (place % 16) as f32).collect();
    write_npy(path, ArrayView { shape: &[count, 1, 8, 8], values: Slice::F32(&pixels) }).unwrap();
}

/// Soft decisions `[runs, examples, classes]`, of which each run is fairly sure of one class.
fn decisions(path: &Path, runs: usize, examples: usize, classes: usize) {
    let mut state = 1_u64;
    let mut draw = || {
        // Knuth's linear congruential generator: any noise will do.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let labels: Vec<i64> = (0..examples).map(|example| (example % classes) as i64).collect();
    let mut logits = Vec::with_capacity(runs * examples * classes);
    for _ in 0..runs {
        for label in &labels {
            let decided = if draw() < 0.8 { *label as usize } else { (draw() * classes as f32) as usize % classes };
            logits.extend((0..classes).map(|class| draw() * 4.0 + if class == decided { 8.0 } else { 0.0 }));
        }
    }
    let arrays = [
        ("logits", ArrayView { shape: &[runs, examples, classes], values: Slice::F32(&logits) }),
        ("labels", ArrayView { shape: &[examples], values: Slice::I64(&labels) }),
    ];
    write_npz(path, &arrays).unwrap();
}

/// Point 3.
#[test]
fn a_thousand_classes_are_analysed_and_chosen_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.npz");
    for (runs, examples, classes) in [(5, 40, 1000), (5, 30, 500), (2, 2, 20_000), (300, 2, 3)] {
        decisions(&path, runs, examples, classes);
        let said = expect(0, &["analyze", text(&path), "--json"]);
        assert_eq!(counted(&said).len(), runs);
    }
    decisions(&path, 5, 40, 1000);
    expect(0, &["select", text(&path)]);
    // In so many seconds of computing and KiB of memory, of which the program itself takes 20 MiB and the file 40 and 48 MB.
    decisions(&path, 5, 2000, 1000);
    for verb in ["analyze", "select"] {
        within(30, 400_000, &[verb, text(&path)]);
    }
    decisions(&path, 3, 4, 1_000_000);
    within(30, 700_000, &["analyze", text(&path)]);
}

/// Calls the program, which must end well within so many seconds of a processor and KiB of address space.
#[cfg(target_os = "linux")]
fn within(seconds: u32, memory: u32, arguments: &[&str]) {
    let limits = format!("ulimit -t {seconds} && ulimit -v {memory} && exec \"$0\" \"$@\"");
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(limits).arg(program()).args(arguments);
    // Each thread reserves room that it does not use.
    command.env("MALLOC_ARENA_MAX", "1").env("RAYON_NUM_THREADS", "2").env("POLARS_MAX_THREADS", "2");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?} within {seconds} s and {memory} KiB: {output:?}");
}

#[cfg(not(target_os = "linux"))]
fn within(_seconds: u32, _memory: u32, arguments: &[&str]) {
    expect(0, arguments);
}

/// Point 13.
#[test]
fn odd_columns_and_headers_get_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    // Columns of decimal numbers, by pyarrow.
    let decimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decimal.parquet");
    let said = expect(3, &["analyze", text(&decimal)]);
    assert!(said.err.contains("decimal.parquet"), "{}", said.err);
    // Nobody waits for a pipe, nor reads a device to its end.
    for name in ["pipe.parquet", "pipe.npz"] {
        let pipe = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(expect(3, &["analyze", text(&pipe)]).err.contains("a pipe or a device"));
    }
    // One name twice: readers differ in which of the two they take.
    let twice = folder.path().join("twice.safetensors");
    let tensor = r#""w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}"#;
    let header = format!("{{{tensor},{tensor}}}");
    fs::write(&twice, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat()).unwrap();
    let said = call(&["lineage", text(&twice), text(&twice)]);
    assert!(said.code == 3 && said.err.contains("twice"), "{said:?}");
}
