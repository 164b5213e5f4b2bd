//! `harness model` and weights from elsewhere as users drive them: what is listed and shown, PyTorch's networks beside ours, fine-tuning
//! that is killed and resumed, and one sentence for everything that does not fit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use harness::arrays::{ArrayView, Slice, read_npy, write_npy};
use harness::random::Random;
use harness::record::{Tensors, Values};
use serde_json::Value;

const EXPERIMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/digits.toml");

fn command(at: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(arguments).current_dir(at);
    command
}

fn harness(at: &Path, arguments: &[&str]) -> Output {
    command(at, arguments).output().unwrap()
}

fn succeed(at: &Path, arguments: &[&str]) -> String {
    let output = harness(at, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A small network of every architecture for images of 1x8x8, as the `[model]` table.
fn networks() -> Vec<(&'static str, &'static str)> {
    vec![
        ("mlp", "widths = [9, 7], activation = 'gelu'"),
        ("cnn", "channels = [4, 6], batch_norm = true, hidden = [5]"),
        ("resnet", "depth = 8, width = 3, shortcut = 'conv-norm'"),
        ("densenet", "growth = 3, stages = [2, 1]"),
        ("vit", "patch = 2, width = 8, depth = 2, heads = 2"),
        ("mlp-mixer", "patch = 2, width = 6, depth = 1"),
        (
            "mobilenet",
            "stem = 4, channels = [4, 6], repeats = [1, 2], strides = [1, 2], windows = [3, 5], expansions = [1, 2], head_width = 8, padding = 'same'",
        ),
        ("text", "vocabulary = 17, width = 4, pool = 'attention', positions = true, hidden = [5]"),
        (
            "layers",
            "layers = [{ conv = 6, kernel = [3, 2], padding = 1 }, { group-norm = 3 }, 'silu', { residual = [{ conv = 6, padding = 1, groups = \
             'depthwise', bias = false }, 'batch-norm', 'relu6'] }, { squeeze-excite = 2 }, { branches = [[{ conv = 2, kernel = 1 }], []], join = \
             'concatenate' }, { max-pool = 3, stride = 2, padding = 1 }, { patches = 1, width = 8 }, 'class-token', 'positions', { attention = 2, fused = \
             false }, 'rms-norm', { leaky-relu = 0.2 }, 'attention-pool', { dense = 'classes' }]",
        ),
    ]
}

fn table(kind: &str, keys: &str) -> String {
    format!("model={{ kind = '{kind}', {keys} }}")
}

#[test]
fn everything_that_there_is_is_listed() {
    let here = Path::new(".");
    let text = succeed(here, &["model", "list"]);
    let json: Value = serde_json::from_str(&succeed(here, &["model", "list", "--json"])).unwrap();
    assert_eq!(json["schema"], "harness.models/1");
    let names = |list: &str, key: &str| -> Vec<String> {
        json[list].as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    let (kinds, layers) = (names("architectures", "kind"), names("layers", "layer"));
    assert!(kinds.len() >= 9 && layers.len() >= 32, "{} and {}", kinds.len(), layers.len());
    assert!(kinds.iter().chain(&layers).all(|name| text.contains(name.as_str())));
    let shown: Vec<&str> = networks().iter().map(|(kind, _)| *kind).collect();
    assert!(kinds.iter().all(|kind| shown.contains(&kind.as_str())), "{kinds:?} are not all tested below");
}

#[test]
fn every_architecture_is_shown() {
    for (kind, keys) in networks() {
        let arguments = ["model", "show", EXPERIMENT, "--set", &table(kind, keys)];
        let text = succeed(Path::new("."), &arguments);
        let json: Value =
            serde_json::from_str(&succeed(Path::new("."), &[&arguments[..], &["--json"]].concat())).unwrap();
        let layers = json["layers"].as_array().unwrap();
        let sum: u64 = layers.iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
        assert_eq!(json["parameters"], sum, "{kind}");
        assert!(json["operations"].as_f64().unwrap() > 0.0, "{kind}");
        assert!(layers.iter().all(|layer| text.contains(layer["name"].as_str().unwrap())), "{kind}");
        assert_eq!(layers.last().unwrap()["output"], serde_json::json!([10]), "{kind}");
    }
}

/// A Python with PyTorch: the one that HARNESS_PYTHON names, or python3.
fn torch() -> Option<String> {
    let python = std::env::var("HARNESS_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import torch, numpy, safetensors"]).output();
    has.is_ok_and(|output| output.status.success()).then_some(python)
}

/// The logits that `harness kernel compute` finds for x.npy.
fn logits(at: &Path, weights: &str) -> Vec<f64> {
    let arguments = [
        "kernel",
        "compute",
        "--model",
        "model.toml",
        "--weights",
        weights,
        "--inputs",
        "x.npy",
        "--kinds",
        "conjugate",
        "--out",
        "k.safetensors",
    ];
    succeed(at, &arguments);
    let tensors = Tensors::decode(&std::fs::read(at.join("k.safetensors")).unwrap(), "k.safetensors").unwrap();
    let (_, _, Values::F32(values)) = tensors.iter().find(|(name, ..)| *name == "logits").unwrap() else {
        panic!("f32")
    };
    values.iter().map(|v| f64::from(*v)).collect()
}

#[test]
fn the_printed_module_is_the_same_network() {
    let Some(python) = torch() else {
        println!("skipped: no Python with PyTorch (set HARNESS_PYTHON)");
        return;
    };
    for (kind, keys) in networks() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let model = table(kind, keys);
        let tokens = kind == "text";
        let mut random = Random::from_parts(1, "x", 0);
        let values: Vec<f32> = (0..20 * 64)
            .map(|_| if tokens { random.uniform_below(17) as f32 } else { random.normal() as f32 })
            .collect();
        write_npy(&at.join("x.npy"), ArrayView { shape: &[20, 1, 8, 8], values: Slice::F32(&values) }).unwrap();
        let lines: toml::Table = toml::from_str(&model).unwrap();
        std::fs::write(at.join("model.toml"), toml::to_string(&lines).unwrap()).unwrap();
        std::fs::write(at.join("net.py"), succeed(at, &["model", "show", EXPERIMENT, "--set", &model, "--torch"]))
            .unwrap();
        // What a short sweep keeps. Pixels of digits are tokens too.
        let sets =
            ["--runs", "1", "--quiet", "--set", &model, "--set", "train.epochs=1", "--set", "record.weights=true"];
        let plain = ["--set", "data.standardise=false", "--set", "data.augment={}"];
        let run = [&["run", EXPERIMENT, "--out", "sweep"][..], &sets, if tokens { &plain[..] } else { &[] }].concat();
        succeed(at, &run);
        std::fs::copy(at.join("sweep/runs/0000/checkpoints/0001/weights.safetensors"), at.join("ours.safetensors"))
            .unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/network.py");
        let output = Command::new(&python).args([script, "net.py", "."]).current_dir(at).output().unwrap();
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        let theirs = |name: &str| read_npy(&at.join(name)).unwrap().values.into_f64();
        for (weights, name) in
            [("ours.safetensors", "ours.npy"), ("theirs.pt", "theirs.npy"), ("theirs_legacy.pt", "theirs.npy")]
        {
            let (ours, theirs) = (logits(at, weights), theirs(name));
            assert_eq!(ours.len(), theirs.len(), "{kind}");
            let size = theirs.iter().fold(0.0f64, |size, v| size.max(v.abs()));
            let apart = ours.iter().zip(&theirs).fold(0.0f64, |apart, (a, b)| apart.max((a - b).abs())) / size;
            println!("{kind}, {weights}: {apart:.1e}");
            assert!(size > 0.0 && apart < 1e-5, "{kind}, {weights}: {apart:e}");
        }
        // Training starts from PyTorch's file as it is.
        let from = ["--set", "model.weights='theirs.pt'", "--set", "record.checkpoints=[0]"];
        succeed(
            at,
            &[&["run", EXPERIMENT, "--out", "tuned"][..], &sets, if tokens { &plain[..] } else { &[] }, &from].concat(),
        );
        std::fs::copy(at.join("tuned/runs/0000/checkpoints/0000/weights.safetensors"), at.join("start.safetensors"))
            .unwrap();
        assert_eq!(logits(at, "start.safetensors"), logits(at, "theirs.pt"), "{kind}");
    }
}

#[test]
fn two_architectures_are_compared_by_what_they_decide_by() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, width) in [("narrow", 12), ("wide", 48)] {
        let sets = [
            format!("model={{ kind = 'mlp', widths = [{width}] }}"),
            "record.weights=true".into(),
            "train.epochs=4".into(),
        ];
        let mut arguments = vec!["run", EXPERIMENT, "--out", name, "--runs", "3", "--quiet"];
        sets.iter().for_each(|set| arguments.extend(["--set", set.as_str()]));
        succeed(at, &arguments);
    }
    let by = |what: &str, sides: [&str; 2]| -> Value {
        let arguments = ["compare", "--by", what, sides[0], sides[1], "--examples", "60", "--json"];
        serde_json::from_str(&succeed(at, &arguments)).unwrap()
    };
    let found = by("attribution", ["narrow", "wide"]);
    assert_eq!(
        (found["schema"].as_str(), found["between"]["pairs"].as_u64()),
        (Some("harness.attributions/1"), Some(9))
    );
    for part in ["within_first", "within_second", "between"] {
        for number in ["overlap", "fidelity", "agreement"] {
            let value = found[part][number].as_f64().unwrap();
            assert!((0.0..1.0).contains(&value), "{part}, {number}: {value}");
        }
    }
    // A sweep decides by its own examples: every run is among those of the other side.
    let same = by("attribution", ["wide", "wide"]);
    let (within, between) = (&same["within_first"]["overlap"], &same["between"]["overlap"]);
    assert_eq!(same["within_first"], same["within_second"]);
    assert!(between.as_f64() > within.as_f64(), "{same}");
    assert_eq!(by("representation", ["narrow", "wide"])["schema"], "harness.representations/1");
    let text = succeed(at, &["compare", "--by", "attribution", "narrow", "wide", "--examples", "60"]);
    assert!(text.contains("within the second") && text.contains("permutation of runs"), "{text}");
    assert_eq!(harness(at, &["compare", "--by", "attribution", "narrow", "wide", "wide"]).status.code(), Some(2));
}

/// What the quick start trains to tell the digits 0 to 4 apart, where `configs/finetune.toml` looks for it.
fn pretrained(at: &Path) {
    let sets = ["--set", "name=digits-low", "--set", "data.classes=[0,1,2,3,4]", "--runs", "1", "--quiet"];
    succeed(at, &[&["run", EXPERIMENT][..], &sets].concat());
}

fn finetune() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/configs/finetune.toml").to_owned()
}

/// Every file of checkpoints, by its path.
fn results(sweep: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![sweep.join("runs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.components().any(|part| part.as_os_str() == "checkpoints") {
                found.insert(path.strip_prefix(sweep).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn fine_tuning_over_ten_seeds_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pretrained(at);
    succeed(at, &["run", &finetune(), "--out", "whole", "--quiet"]);
    let mut killed =
        command(at, &["run", &finetune(), "--out", "killed", "--quiet"]).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let done = |run: usize| at.join(format!("killed/runs/{run:04}/manifest.json")).exists();
    while !(0..10).any(done) && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    succeed(at, &["resume", "killed", "--quiet"]);
    let (whole, killed) = (results(&at.join("whole")), results(&at.join("killed")));
    assert!(whole.len() >= 10 * 2 * 3, "{} files", whole.len());
    assert_eq!(whole.keys().collect::<Vec<_>>(), killed.keys().collect::<Vec<_>>());
    assert!(whole.iter().all(|(path, bytes)| killed[path] == *bytes));
    let analysis: Value = serde_json::from_str(&succeed(at, &["analyze", "killed", "--json"])).unwrap();
    // ‖Δw‖/‖w₀‖ of each run.
    let moved = |name: &str| -> Vec<f64> {
        let layers = analysis["tuning"]["layers"].as_array().unwrap();
        let layer = layers.iter().find(|layer| layer["layer"] == name).unwrap();
        layer["change"].as_array().unwrap().iter().map(|change| change[1].as_f64().unwrap()).collect()
    };
    assert_eq!((moved("c1"), moved("b1")), (vec![0.0; 10], vec![0.0; 10]));
    assert!(moved("c2").iter().zip(moved("fc")).all(|(c2, fc)| *c2 > 0.0 && fc > *c2));
    let runs = analysis["runs"].as_array().unwrap();
    let related = |run: &Value| run["flags"].as_array().unwrap().iter().any(|flag| flag["flag"] == "related");
    assert!(!runs.iter().any(related), "runs that start from one file share an ancestor on purpose");
    // Where it came from: by weights, and by what its units do on any images.
    let mut random = Random::from_parts(2, "x", 0);
    let values: Vec<f32> = (0..100 * 64).map(|_| random.uniform_below(17) as f32).collect();
    write_npy(&at.join("x.npy"), ArrayView { shape: &[100, 8, 8], values: Slice::F32(&values) }).unwrap();
    for (more, method) in [(&[][..], "weights"), (&["--inputs", "x.npy"][..], "activations")] {
        let arguments = [&["lineage", "sweeps/digits-low:0", "killed:3", "--json"][..], more].concat();
        let found: Value = serde_json::from_str(&succeed(at, &arguments)).unwrap();
        assert_eq!((found["verdict"].as_str(), found["method"].as_str()), (Some("related"), Some(method)));
    }
    let file = harness(at, &["lineage", "x.npy", "killed:3", "--inputs", "x.npy"]);
    assert_eq!(file.status.code(), Some(3), "{}", String::from_utf8_lossy(&file.stderr));
    let report = std::fs::read_to_string(at.join("killed/report/report.md")).unwrap();
    assert!(report.contains("## What fine-tuning changed"));
}

#[test]
fn weights_that_do_not_fit_are_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pretrained(at);
    let config = finetune();
    let refused = |sets: &[&str], wanted: &[&str]| {
        let mut arguments = vec!["run", &config, "--out", "refused", "--quiet"];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        let output = harness(at, &arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{sets:?}: {message}");
        assert!(wanted.iter().all(|part| message.contains(part)), "{sets:?}: {message}");
        assert!(!at.join("refused").exists(), "{sets:?} left something behind");
    };
    refused(&["model.weights='nowhere.pt'"], &["nowhere.pt"]);
    refused(&["model.weights='sweeps/digits-low/sweep.json'"], &["sweep.json", "neither a safetensors file nor"]);
    refused(&["model.head='keep'", "data.classes=[5,6,7]"], &["`fc.weight`", "[5, ", "needs [3, "]);
    refused(&["model.channels=[16,24]"], &["`c2.weight`", "needs [24, 16, 3, 3]"]);
    refused(&["model.channels=[16,32,32]"], &["holds no tensor `c3.weight`"]);
    refused(&["model.batch_norm=false", "train.freeze=['c1']"], &["c1.bias"]);
    refused(&["model.map={ c9 = 'x' }"], &["model.map", "\"c9\"", "`c1.weight`"]);
    refused(&["model.map={ c1 = 'x' }"], &["`x.weight`, the model's `c1.weight`"]);
    refused(&["model.digest='00'"], &["is not the file", "not 00"]);
    refused(&["train.freeze=['c7']"], &["train.freeze names \"c7\"", "`c1`"]);
    refused(&["train.rates={ fx = 2.0 }"], &["train.rates names \"fx\""]);
    refused(&["train.freeze=['c1','b1','c2','b2','fc']"], &["leaves nothing to be trained"]);
}
