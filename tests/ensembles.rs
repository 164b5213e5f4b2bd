//! Choosing, exporting and applying ensembles, and attributing spread to its sources, as users do.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use harness::arrays::{ArrayView, Slice, open_npz, read_npy, write_npy};
use harness::config::{Data, DatasetKind};
use harness::data;
use harness::record::{RunReader, SweepDir};
use serde_json::Value;

fn harness(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).env("NO_COLOR", "1");
    command.output().expect("the program starts")
}

fn succeed(arguments: &[&str]) -> String {
    let output = harness(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "harness {arguments:?} ended with {}:\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Exit code and message of a call that must fail.
fn fail(arguments: &[&str]) -> (i32, String) {
    let output = harness(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "harness {arguments:?} panicked:\n{errors}");
    assert_eq!(errors.trim().lines().count(), 1, "one sentence: {errors}");
    (output.status.code().expect("no signal"), errors)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A small sweep on the embedded digits.
fn sweep(out: &Path, runs: &str, more: &[&str]) {
    let mut arguments = vec!["run", "configs/digits.toml", "--out", text(out), "--quiet", "--runs", runs];
    for set in ["train.epochs=2", "record.checkpoints=[1]", "record.kernel="].iter().chain(more).copied() {
        arguments.extend(["--set", set]);
    }
    succeed(&arguments);
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(arguments)).expect("JSON")
}

fn digits() -> Data {
    Data::whole(DatasetKind::Digits, None)
}

/// The evaluation images as their file holds them: `[500, 8, 8]`, 0 to 16.
fn pixels() -> Vec<u8> {
    let (loaded, scale) = (data::load(&digits()).unwrap(), data::input_scale(&digits()).unwrap());
    let raw = |value: &f32| (f64::from(*value) * scale.deviation[0] + scale.mean[0]).round() as u8;
    let pixels: Vec<u8> = loaded.eval.pixels.iter().map(raw).collect();
    assert_eq!(pixels.iter().max(), Some(&16));
    pixels
}

fn write_images(path: &Path, shape: &[usize]) {
    write_npy(path, ArrayView { shape, values: Slice::U8(&pixels()) }).unwrap();
}

/// The mean of the members' recorded probabilities, `[N, C]`.
fn mean_probabilities(root: &Path, runs: &[u64], epoch: usize, logits: bool) -> Vec<f64> {
    let mut mean: Vec<f64> = Vec::new();
    for &run in runs {
        let soft = RunReader::open(&SweepDir::new(root).run(run as usize)).unwrap().soft(epoch).unwrap();
        let rows = soft.logits.chunks_exact(soft.classes).flat_map(|row| {
            let total: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
            row.iter().map(|&z| if logits { f64::from(z) } else { f64::from(z).exp() / total }).collect::<Vec<f64>>()
        });
        let rows: Vec<f64> = rows.collect();
        mean.resize(rows.len(), 0.0);
        mean.iter_mut().zip(rows).for_each(|(m, p)| *m += p / runs.len() as f64);
    }
    mean
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().expect("a list").iter().map(|n| n.as_u64().expect("a number")).collect()
}

#[test]
fn what_is_chosen_is_exported_and_predicts_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("sweep"), folder.path().join("out"));
    sweep(&root, "5", &[]);
    assert!(root.join("analysis/ensembles.parquet").is_file() && root.join("report/ensembles.svg").is_file());
    let report = std::fs::read_to_string(root.join("report/report.md")).unwrap();
    assert!(report.contains("## Which runs to put together"), "{report}");
    succeed(&["verify", text(&root)]);

    let images = folder.path().join("x.npy");
    write_images(&images, &[500, 1, 8, 8]);
    for (strategy, logits) in [("greedy", false), ("random", true)] {
        let mut arguments =
            vec!["select", text(&root), "--strategy", strategy, "--size", "2", "--json", "--out", text(&out)];
        arguments.extend(logits.then_some("--logits"));
        let found = json(&arguments);
        assert_eq!(found["schema"], "harness.ensemble/1");
        assert_eq!(found["evidence"]["strategies"].as_array().unwrap().len(), 7);
        assert_eq!(found["evidence"]["sizes"].as_array().unwrap().len(), 5);
        let runs = numbers(&found["runs"]);
        assert_eq!(runs.len(), 2);
        let weights = std::fs::read_dir(&out).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".safetensors")
        });
        assert_eq!(weights.count(), 2, "nothing of an earlier choice is left");

        let ensemble = out.join("ensemble.json");
        let answer = folder.path().join("p.npz");
        succeed(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&images), "--out", text(&answer)]);
        let (shape, probabilities) = open_npz(&answer).unwrap().get_f32("probabilities").unwrap();
        assert_eq!(shape, [500, 10]);
        let mean = mean_probabilities(&root, &runs, 2, logits);
        for (row, expected) in probabilities.chunks(10).zip(mean.chunks(10)) {
            let total: f64 = if logits { expected.iter().map(|z| z.exp()).sum() } else { 1.0 };
            for (p, z) in row.iter().zip(expected) {
                let wanted = if logits { z.exp() / total } else { *z };
                assert!((f64::from(*p) - wanted).abs() < 1e-6, "{p} for {wanted}");
            }
        }
        // The same images flat and without a channel's axis.
        for shape in [&[500, 8, 8][..], &[500, 64]] {
            let (other, again) = (folder.path().join("y.npy"), folder.path().join("q.npy"));
            write_images(&other, shape);
            succeed(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&other), "--out", text(&again)]);
            assert_eq!(read_npy(&again).unwrap().values.into_f32(), probabilities);
        }
        let printed = json(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&images), "--json"]);
        let lines = succeed(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&images)]);
        assert_eq!(lines.lines().count(), 500);
        assert_eq!(lines.split('\t').nth(1).unwrap(), printed["decisions"][0].to_string());
    }
}

#[test]
fn a_temperature_is_exported_and_applied() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out, images) = (folder.path().join("sweep"), folder.path().join("out"), folder.path().join("x.npy"));
    sweep(&root, "3", &[]);
    write_images(&images, &[500, 8, 8]);
    let found = json(&["select", text(&root), "--strategy", "all", "--temperature", "--json", "--out", text(&out)]);
    let temperature = found["temperature"].as_f64().unwrap();
    assert!(temperature > 0.0 && temperature != 1.0, "{temperature}");
    let answer = folder.path().join("p.npy");
    let ensemble = out.join("ensemble.json");
    succeed(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&images), "--out", text(&answer)]);
    let probabilities = read_npy(&answer).unwrap().values.into_f64();
    for (row, mean) in probabilities.chunks(10).zip(mean_probabilities(&root, &[0, 1, 2], 2, false).chunks(10)) {
        let powers: Vec<f64> = mean.iter().map(|p| p.powf(1.0 / temperature)).collect();
        let total: f64 = powers.iter().sum();
        assert!(row.iter().zip(powers).all(|(p, power)| (p - power / total).abs() < 1e-6));
    }
    let (code, message) = fail(&["select", text(&root), "--strategy", "random", "--temperature"]);
    assert!(code == 2 && message.contains("temperature"), "{message}");
}

#[test]
fn weights_that_are_not_there_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("sweep"), folder.path().join("out"));
    sweep(&root, "2", &[]);
    let output = harness(&["select", text(&root), "--epoch", "1", "--out", text(&out)]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("record.weights = true"));
    let ensemble = out.join("ensemble.json");
    let images = folder.path().join("x.npy");
    write_images(&images, &[500, 8, 8]);
    let (code, message) = fail(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&images)]);
    assert!(code == 3 && message.contains("record.weights = true"), "{message}");

    // Soft decisions from elsewhere: a choice without weights.
    let exported = folder.path().join("logits.npz");
    succeed(&["export", text(&root), "--to", text(&exported)]);
    let found = json(&["select", text(&exported), "--json"]);
    assert_eq!(found["name"], "logits");
    assert!(found["members"].as_array().unwrap().is_empty());
    let swept = json(&["select", text(&root), "--json"]);
    assert_eq!(found["runs"], swept["runs"]);
    assert_eq!(found["evidence"], swept["evidence"]);
}

#[test]
fn bad_input_ends_with_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("sweep"), folder.path().join("out"));
    sweep(&root, "2", &[]);
    succeed(&["select", text(&root), "--strategy", "all", "--out", text(&out)]);
    let ensemble = out.join("ensemble.json");
    let (good, bad) = (folder.path().join("x.npy"), folder.path().join("bad.npy"));
    write_images(&good, &[500, 8, 8]);
    let predict = |inputs: &Path| fail(&["predict", "--ensemble", text(&ensemble), "--inputs", text(inputs)]);

    let floats = |values: &[f32], shape: &[usize]| {
        write_npy(&bad, ArrayView { shape, values: Slice::F32(values) }).unwrap();
        predict(&bad)
    };
    for (values, shape, say) in [
        (vec![0.0; 63], &[1, 7, 9][..], "[N, 1, 8, 8]"),
        (vec![0.0; 64], &[8, 8], "[N, 1, 8, 8]"),
        (vec![0.0; 64], &[1, 8, 8, 1], "channels come last"),
        (vec![], &[0, 8, 8], "at least one"),
        (vec![f32::NAN; 64], &[1, 64], "not finite"),
    ] {
        let (code, message) = floats(&values, shape);
        assert!(code == 3 && message.contains(say), "{say}: {message}");
    }
    write_npy(&bad, ArrayView { shape: &[1, 64], values: Slice::F64(&[1e300; 64]) }).unwrap();
    assert!(predict(&bad).1.contains("not finite"), "beyond float32");
    assert_eq!(predict(&folder.path().join("nowhere.npy")).0, 3);
    assert_eq!(predict(&ensemble).0, 3);

    let kept = std::fs::read_to_string(&ensemble).unwrap();
    // Whatever is changed, the file is not as it was written.
    let changes = [
        ("harness.ensemble/1", "harness.ensemble/2"),
        ("{", ""),
        ("\"temperature\": 1.0", "\"temperature\": -1.0"),
        ("model.toml", "../model.toml"),
        ("run-0001", "run-0009"),
        ("\"classes\": 10", "\"classes\": 9"),
    ];
    for (from, to) in changes {
        assert!(kept.contains(from), "{from}");
        std::fs::write(&ensemble, kept.replacen(from, to, 1)).unwrap();
        let (code, message) = predict(&good);
        assert_eq!(code, 6, "{from} → {to}: {message}");
    }
    // What never had a digest is none of ours, or another version's.
    for other in ["{\"schema\": \"harness.ensemble/2\"}", "{\"schema\": \"harness.run/1\"}", "{}", "[", ""] {
        std::fs::write(&ensemble, other).unwrap();
        let (code, message) = predict(&good);
        assert_eq!(code, 3, "{other}: {message}");
    }
    std::fs::write(&ensemble, &kept).unwrap();
    let weights = out.join("run-0001.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    assert_eq!(predict(&good).0, 6);

    let usage = fail(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&good), "--out", "p.txt"]);
    assert_eq!(usage.0, 2);
    assert_eq!(fail(&["select", text(&root), "--size", "3"]).0, 3);
    assert_eq!(fail(&["select", text(&root), "--labels", text(&good)]).0, 2);
    assert_eq!(fail(&["select", text(folder.path())]).0, 3);
}

/// A Python with PyTorch: the one that HARNESS_PYTHON names, or python3.
fn torch() -> Option<String> {
    let python = std::env::var("HARNESS_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import torch, numpy, tomllib"]).output();
    has.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn pytorch_predicts_the_same_for_the_whole_zoo() {
    let Some(python) = torch() else {
        println!("skipped: no Python with PyTorch (set HARNESS_PYTHON)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("x.npy");
    write_images(&images, &[500, 8, 8]);
    let zoo: [(&str, &[&str], &[&str]); 4] = [
        ("cnn", &[], &["--temperature"]),
        (
            "head",
            &["model.head=[12]", "model.activation=tanh", "model.dropout=0.2", "model.batch_norm=false"],
            &["--logits"],
        ),
        ("mlp", &["model={ kind = \"mlp\", widths = [20, 10], activation = \"gelu\", dropout = 0.1 }"], &[]),
        ("resnet", &["model={ kind = \"resnet\", depth = 8, width = 4 }"], &[]),
    ];
    for (name, sets, options) in zoo {
        let (root, out) = (folder.path().join(name), folder.path().join(format!("{name}-out")));
        sweep(&root, "2", sets);
        succeed(&[&["select", text(&root), "--strategy", "all", "--out", text(&out)][..], options].concat());
        let (ours, theirs) = (folder.path().join("ours.npy"), folder.path().join("theirs.npy"));
        let ensemble = out.join("ensemble.json");
        succeed(&["predict", "--ensemble", text(&ensemble), "--inputs", text(&images), "--out", text(&ours)]);
        let script = out.join("load_ensemble.py");
        let output = Command::new(&python).arg(&script).arg(&images).arg(&theirs).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let (a, b) = (read_npy(&ours).unwrap(), read_npy(&theirs).unwrap());
        assert_eq!(a.shape, b.shape);
        let distances = a.values.into_f64().into_iter().zip(b.values.into_f64()).map(|(a, b)| (a - b).abs());
        let largest = distances.fold(0.0, f64::max);
        println!("{name}: largest difference from PyTorch {largest:.1e}");
        assert!(largest < 1e-5, "{name}: {largest}");
    }
}

const SMALL: [&str; 8] = [
    "--quiet",
    "--set",
    "train.epochs=2",
    "--set",
    "record.checkpoints=[2]",
    "--set",
    "record.kernel.probes=20",
    "--json",
];

fn attribute(out: &Path, runs: &str) -> Value {
    json(&[&["attribute", "configs/digits.toml", "--runs", runs, "--out", text(out)][..], &SMALL].concat())
}

#[test]
fn the_parts_of_every_source_sum_to_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sources");
    let found = attribute(&root, "6");
    assert_eq!(found["schema"], "harness.attribution/1");
    let named = |table: &str, key: &str| -> Vec<String> {
        let rows = found[table].as_array().unwrap();
        rows.iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named("components", "source"), ["init", "order", "augment", "interaction", "total"]);
    assert_eq!(named("sources", "name"), ["all", "bit", "none"]);
    let parts = found["components"].as_array().unwrap();
    for quantity in ["churn", "probabilities", "accuracy", "kernel"] {
        let value = |place: usize| parts[place][quantity]["value"].as_f64().unwrap();
        let sum: f64 = (0..4).map(value).sum();
        assert!((sum - value(4)).abs() < 1e-9, "{quantity}: {sum} of {}", value(4));
    }
    let sources = found["sources"].as_array().unwrap();
    assert_eq!((&sources[0]["distinct"], &sources[2]["distinct"]), (&Value::from(6), &Value::from(1)), "{found}");
    assert_eq!(sources[2]["churn"]["value"], 0.0);
    assert!(parts[4]["churn"]["value"].as_f64() > sources[1]["churn"]["value"].as_f64());
    succeed(&["verify", text(&root.join("grid"))]);
    for file in ["attribution.json", "attribution.md", "attribution.html", "attribution.svg"] {
        assert!(root.join(file).is_file(), "{file}");
    }

    // Once more: nothing is trained.
    let run = SweepDir::new(&root.join("grid")).run(2).manifest();
    let before = std::fs::metadata(&run).unwrap().modified().unwrap();
    assert_eq!(attribute(&root, "6"), found);
    assert_eq!(std::fs::metadata(&run).unwrap().modified().unwrap(), before);
    let (code, message) = fail(&["attribute", "configs/digits.toml", "--runs", "6", "--out", text(&root), "--quiet"]);
    assert!(code == 3 && message.contains("train.epochs"), "{message}");
    let few = fail(&["attribute", "configs/digits.toml", "--runs", "3", "--out", text(&folder.path().join("few"))]);
    assert!(few.0 == 3 && few.1.contains("give at least 6"), "{}", few.1);
}

#[test]
fn a_gross_fault_is_found_and_the_certificate_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("certificate");
    let small = &SMALL[..5];
    let arguments =
        ["calibrate", "configs/digits.toml", "--runs", "9", "--size", "8", "--faulty", "1", "--out", text(&root)];
    let more = ["--faults", "labels-30,no-augmentation", "--set", "train.epochs=6", "--json"];
    let found = json(&[&arguments[..], small, &more].concat());
    assert_eq!((found["schema"].as_str(), found["sweeps"].as_u64()), (Some("harness.certificate/1"), Some(200)));
    let faults = found["faults"].as_array().unwrap();
    assert_eq!(faults[0]["fault"], "labels-30");
    assert!(faults[0]["found"].as_f64() > Some(0.5), "{found}");
    assert!(faults[0]["accuracy"].as_f64() < found["accuracy"].as_f64(), "{found}");
    assert!(root.join("certificate.md").is_file() && root.join("labels-30/sweep.json").is_file());
    let (code, message) = fail(&["calibrate", "configs/digits.toml", "--faults", "labels"]);
    assert!(code == 2 && message.contains("there is no fault labels"), "{message}");
}

#[cfg(unix)]
#[test]
fn an_attribution_that_is_stopped_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sources");
    let arguments = [&["attribute", "configs/digits.toml", "--runs", "6", "--out", text(&root)][..], &SMALL].concat();
    let mut stopped = 0;
    for patience in [100, 800, 2500] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_harness"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Signals are caught before anything is written.
        while !root.join("grid/sweep.json").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(patience));
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(75 | 0)), "{code:?}");
        stopped += usize::from(code == Some(75));
    }
    assert!(stopped > 0, "every attempt was finished before it could be stopped");
    let whole = folder.path().join("whole");
    assert_eq!(attribute(&root, "6"), attribute(&whole, "6"));
}
