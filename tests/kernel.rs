//! `harness kernel` as users drive it: PyTorch's own networks and numbers, and input that does not fit together.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::arrays;
use harness::record::Tensors;
use serde_json::Value;

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kernels").join(name);
    path.to_str().expect("text").to_owned()
}

fn harness(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(arguments).env("NO_COLOR", "1").output().expect("the program starts")
}

/// `kernel compute` on a fixture, with what is given in place of its files and more arguments.
fn compute(name: &str, instead: &[(&str, &str)], more: &[&str]) -> Output {
    let mut arguments = vec!["kernel".to_owned(), "compute".to_owned()];
    let files = [("--model", "toml"), ("--weights", "safetensors"), ("--inputs", "inputs.npy")];
    for (option, extension) in files {
        let given = instead.iter().find(|(known, _)| *known == option).map(|(_, path)| (*path).to_owned());
        arguments.extend([option.to_owned(), given.unwrap_or_else(|| fixture(&format!("{name}.{extension}")))]);
    }
    if name == "resnet" && !more.contains(&"--map") {
        arguments.extend(["--map".to_owned(), fixture("resnet.names.toml")]);
    }
    arguments.extend(more.iter().map(|&argument| argument.to_owned()));
    harness(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn succeed(name: &str, more: &[&str]) -> String {
    let output = compute(name, &[], more);
    assert!(output.status.success(), "{name} {more:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The message of a call that must end with exit code 3 and one sentence.
fn refused(name: &str, instead: &[(&str, &str)], more: &[&str]) -> String {
    let output = compute(name, instead, more);
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(3), "{name} {instead:?} {more:?}: {message}");
    assert!(message.starts_with("error: ") && message.trim_end().lines().count() == 1, "{message}");
    message
}

fn relative(ours: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(ours.len(), exact.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = square(&mut ours.iter().zip(exact).map(|(&a, b)| f64::from(a) - b));
    (difference / square(&mut exact.iter().copied())).sqrt()
}

/// `[P, P]`: the sum over those pairs of outputs that count.
fn contract(full: &[f64], outputs: usize, counts: impl Fn(usize, usize) -> bool) -> Vec<f64> {
    let side = full.len().isqrt();
    let p = side / outputs;
    let mut out = vec![0.0; p * p];
    for (at, value) in full.iter().enumerate() {
        let (row, column) = (at / side, at % side);
        if counts(row % outputs, column % outputs) {
            out[row / outputs * p + column / outputs] += value;
        }
    }
    out
}

#[test]
fn pytorch_has_the_same_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let networks = [
        ("mlp", "host"),
        ("cnn", "host"),
        ("resnet", "host"),
        ("vit", "leaves"),
        ("depthwise", "leaves"),
        ("dilated", "leaves"),
    ];
    for (name, route) in networks {
        let out = folder.path().join(format!("{name}.safetensors"));
        let kinds = "trace,pseudo,conjugate,full,projected,estimate,embedding";
        let out_text = out.to_str().unwrap();
        let text =
            succeed(name, &["--kinds", kinds, "--out", out_text, "--json", "--samples", "4000", "--memory", "64"]);
        let report: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&report["schema"], &report["examples"], &report["outputs"]),
            (&"harness.kernel/1".into(), &6.into(), &4.into())
        );
        let kernels = report["kernels"].as_array().unwrap();
        assert_eq!(kernels.len(), 7);
        for kernel in kernels {
            let follows = kernel["kind"] != "conjugate" && kernel["kind"] != "embedding";
            assert_eq!(kernel["route"], if follows { route.into() } else { Value::Null }, "{name}: {kernel}");
        }
        assert_eq!(kernels[3]["shape"], serde_json::json!([24, 24]));
        let rank = kernels[0]["effective_rank"].as_f64().unwrap();
        assert!((1.0..=6.0).contains(&rank), "{rank}");

        let tensors = Tensors::decode(&std::fs::read(&out).unwrap(), "kernels").unwrap();
        let exact = arrays::read_npy(Path::new(&fixture(&format!("{name}.full.npy")))).unwrap().values.into_f64();
        let logits = arrays::read_npy(Path::new(&fixture(&format!("{name}.logits.npy")))).unwrap().values.into_f64();
        let ours = |kind: &str| tensors.f32(kind).unwrap().1;
        let trace = contract(&exact, 4, |a, b| a == b);
        let errors = [
            relative(ours("logits"), &logits),
            relative(ours("trace"), &trace),
            relative(ours("pseudo"), &contract(&exact, 4, |_, _| true)),
            relative(ours("full"), &exact),
        ];
        println!("{name}: relative errors of logits, trace, pseudo and full kernel {errors:?}");
        assert!(errors.iter().all(|&error| error < 1e-5), "{name}: {errors:?}");
        let estimates = [relative(ours("projected"), &trace), relative(ours("estimate"), &trace)];
        assert!(estimates.iter().all(|&error| error < 0.1), "{name}: {estimates:?}");
    }
}

#[test]
fn a_table_for_people() {
    let text = succeed("cnn", &["--kinds", "trace,pseudo"]);
    assert!(text.starts_with("1354 parameters, 6 inputs of 3x9x9, 4 outputs\n"), "{text}");
    assert!(text.contains("effective rank") && text.contains("6x6"), "{text}");
    assert!(text.contains("trace") && text.contains("pseudo") && !text.contains("full"), "{text}");
}

#[test]
fn what_does_not_fit_together_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let array = |name: &str, shape: &[usize], values: arrays::Slice| {
        let path = folder.path().join(name);
        arrays::write_npy(&path, arrays::ArrayView { shape, values }).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let says = |message: String, part: &str| assert!(message.contains(part), "{message}\ndoes not say {part:?}");

    // Inputs.
    let grey = array("grey.npy", &[2, 9, 9], arrays::Slice::F32(&[0.5; 162]));
    says(refused("cnn", &[("--inputs", &grey)], &[]), "layer c1 (conv) needs [5, 1, 5, 5] for inputs of 1x9x9");
    let small = array("small.npy", &[1, 3, 1, 1], arrays::Slice::F32(&[0.5; 3]));
    says(refused("cnn", &[("--inputs", &small)], &[]), "model.pool is 2");
    let flat = array("flat.npy", &[6], arrays::Slice::F32(&[0.5; 6]));
    says(refused("cnn", &[("--inputs", &flat)], &[]), "have shape [6], but [P, channels, height, width]");
    let none = array("none.npy", &[0, 3, 9, 9], arrays::Slice::F32(&[]));
    says(refused("cnn", &[("--inputs", &none)], &[]), "there is no example");
    let whole = array("whole.npy", &[1, 3, 9, 9], arrays::Slice::I64(&[1; 243]));
    says(refused("cnn", &[("--inputs", &whole)], &[]), "are of type int64, but floats are needed");
    let mut values = [0.5_f32; 486];
    values[300] = f32::NAN;
    let nan = array("nan.npy", &[2, 3, 9, 9], arrays::Slice::F32(&values));
    says(refused("cnn", &[("--inputs", &nan)], &[]), "example 1 of the inputs");
    says(refused("cnn", &[("--inputs", "/nowhere/x.npy")], &[]), "does not exist, but an .npy file is expected");

    // Weights.
    says(
        refused("cnn", &[("--weights", &fixture("mlp.safetensors"))], &[]),
        "holds no tensor `fc.weight`, the weight of the outputs; it holds `1.bias`",
    );
    says(refused("mlp", &[("--weights", &fixture("cnn.safetensors"))], &[]), "[9, 243]");
    says(refused("resnet", &[], &["--map", &fixture("cnn.toml")]), "is not a name");
    let good = std::fs::read(fixture("cnn.safetensors")).unwrap();
    let cut = file("cut.safetensors", &good[..good.len() - 4]);
    says(refused("cnn", &[("--weights", &cut)], &[]), "is not a sound safetensors file");
    let empty = file("empty.safetensors", b"");
    says(refused("cnn", &[("--weights", &empty)], &[]), "is empty");
    says(refused("cnn", &[("--weights", folder.path().to_str().unwrap())], &[]), "is a directory");
    let mut infinite = good.clone();
    let at = infinite.len() - 4;
    infinite[at..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let infinite = file("infinite.safetensors", &infinite);
    says(refused("cnn", &[("--weights", &infinite)], &[]), "`fc.bias` in");
    let mut negative = Tensors::new();
    for (name, shape, value) in Tensors::decode(&without_counters(&good), "weights").unwrap().iter() {
        let value = if name == "b1.running_var" { vec![-1.0_f32; 5].into() } else { value.clone() };
        negative.insert(name, shape, value).unwrap();
    }
    let negative = file("negative.safetensors", &negative.encode().unwrap());
    says(refused("cnn", &[("--weights", &negative)], &[]), "negative variance");

    // Model, names, sizes.
    let odd = file("odd.toml", b"[model]\nkind = \"cnn\"\nchanels = [5, 6]\n");
    says(refused("cnn", &[("--model", &odd)], &[]), "odd.toml:3: ");
    let less =
        file("less.toml", b"[model]\nkind = \"cnn\"\nchannels = [5]\nkernel = 5\nbatch_norm = true\nhead = [7]\n");
    says(refused("cnn", &[("--model", &less)], &[]), "`fc1.weight` in");
    let no_norm = file("bare.toml", b"[model]\nkind = \"cnn\"\nchannels = [5, 6]\nkernel = 5\nhead = [7]\n");
    says(refused("cnn", &[("--model", &no_norm)], &[]), "holds no tensor `c1.bias`");
    let names = file("names.toml", b"c9 = \"conv\"\n");
    says(refused("cnn", &[], &["--map", &names]), "gives a name for \"c9\"");
    says(refused("cnn", &[], &["--memory", "0"]), "a memory budget of 0 MiB is too small");
    says(refused("cnn", &[], &["--kinds", "projected", "--dimensions", "4000000000"]), "use fewer dimensions");
    says(refused("cnn", &[], &["--out", "/nowhere/k.safetensors"]), "is no folder to write kernels into");
}

/// The file without PyTorch's counters of batches, which are of a type that records do not have.
fn without_counters(bytes: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut kept = Tensors::new();
    for (name, entry) in header.as_object().unwrap().iter().filter(|(_, entry)| entry["dtype"] == "F32") {
        let number = |value: &Value| value.as_u64().unwrap() as usize;
        let shape: Vec<usize> = entry["shape"].as_array().unwrap().iter().map(number).collect();
        let place = |i: usize| 8 + length + number(&entry["data_offsets"][i]);
        let values: Vec<f32> =
            bytes[place(0)..place(1)].as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        kept.insert(name.as_str(), &shape, values).unwrap();
    }
    kept.encode().unwrap()
}

/// The quick start's experiment, cut down to two short runs.
fn small_sweep(out: &str, more: &[&str]) {
    let experiment = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/digits.toml");
    let mut arguments = vec!["run", experiment.to_str().unwrap(), "--out", out, "--quiet", "--runs", "2"];
    for set in ["train.epochs=3", "record.checkpoints=[0]", "record.kernel.probes=20"].iter().chain(more) {
        arguments.extend(["--set", set]);
    }
    let output = harness(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_surrogate_stands_in_for_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let (sweep, out) = (folder.path().join("sweep"), folder.path().join("surrogate"));
    let (sweep, out) = (sweep.to_str().unwrap(), out.to_str().unwrap());
    small_sweep(sweep, &["record.weights=true"]);
    let arguments =
        ["kernel", "surrogate", sweep, "--run", "1", "--train", "200", "--test", "150", "--json", "--out", out];
    let run = |more: &[&str]| {
        let output = harness(&[&arguments[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let report = run(&["--top", "4", "--rows", "5"]);
    let number = |key: &str| report[key].as_f64().unwrap();
    assert_eq!((&report["epoch"], &report["train"], &report["test"]), (&3.into(), &200.into(), &150.into()));
    assert!(number("gradient_norm") < 1e-6);
    assert!((number("tad") - (number("surrogate_accuracy") - number("network_accuracy"))).abs() < 1e-12);
    // Every kind of kernel but the full one, the explained one first, whose numbers stand at the top too.
    let kinds = report["kinds"].as_array().unwrap();
    let names: Vec<&str> = kinds.iter().map(|row| row["kernel"].as_str().unwrap()).collect();
    assert_eq!(names, ["trace", "pseudo", "conjugate", "embedding", "projected", "estimate"]);
    assert!(["tad", "tau", "r_miss", "loss"].iter().all(|key| kinds[0][key] == report[key]), "{report}");
    // The two that estimate the trace kernel come near to it.
    for row in &kinds[4..] {
        assert!((row["surrogate_accuracy"].as_f64().unwrap() - number("surrogate_accuracy")).abs() < 0.1, "{report}");
    }
    // A network that learned something, and a stand-in that follows it.
    assert!(number("network_accuracy") > 0.8 && number("tad").abs() < 0.1 && number("tau") > 0.3, "{report}");
    let rows = report["attribution"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    // Those that the network gets wrong come first, the surest of them before the others.
    let wrong = |row: &Value| row["network"] != row["label"];
    assert!(wrong(&rows[0]), "{report}");
    assert!(rows.is_sorted_by_key(|row| !wrong(row)), "{report}");
    for row in rows {
        let sizes: Vec<f64> =
            row["weighs_most"].as_array().unwrap().iter().map(|w| w["contribution"].as_f64().unwrap().abs()).collect();
        assert!(sizes.len() == 4 && sizes.is_sorted_by(|a, b| a >= b), "{row}");
    }
    let svg = std::fs::read_to_string(Path::new(out).join("attribution.svg")).unwrap();
    assert_eq!(svg.matches("<image").count(), 5 * 5);
    for name in ["surrogate.json", "attribution.parquet"] {
        assert!(Path::new(out).join(name).is_file());
    }
    assert_eq!(run(&["--top", "4", "--rows", "5"]), report);
    let chosen =
        run(&["--explain", "17,3", "--checkpoint", "0", "--kernel", "conjugate", "--kinds", "trace,embedding"]);
    let kinds = chosen["kinds"].as_array().unwrap().iter().map(|row| row["kernel"].as_str().unwrap());
    assert_eq!(kinds.collect::<Vec<_>>(), ["conjugate", "trace", "embedding"]);
    assert_eq!((&chosen["epoch"], &chosen["attribution"][0]["example"]), (&0.into(), &17.into()));

    let refused = |arguments: &[&str], part: &str| {
        let output = harness(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{message}");
        assert!(message.contains(part) && message.trim_end().lines().count() == 1, "{message}");
    };
    refused(&["kernel", "surrogate", sweep, "--run", "2"], "its runs are 0 to 1");
    refused(&["kernel", "surrogate", sweep, "--run", "0", "--kernel", "full"], "no one row for each example");
    refused(&["kernel", "surrogate", sweep, "--run", "0", "--checkpoint", "2"], "record.weights = true");
    refused(&["kernel", "surrogate", sweep, "--run", "0", "--explain", "5000"], "no evaluation example 5000");
    refused(&["kernel", "surrogate", out, "--run", "0"], "is not the directory of a sweep");
}

#[test]
fn singular_values_are_recorded_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("sweep");
    let sweep = sweep.to_str().unwrap();
    small_sweep(sweep, &["record.spectra=true"]);
    let output = harness(&["analyze", sweep, "--json"]);
    let analysis: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checkpoints = analysis["weight_spectra"].as_array().unwrap();
    assert_eq!(checkpoints.iter().map(|held| held["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 3]);
    let layers = checkpoints[1]["layers"].as_array().unwrap();
    assert_eq!(layers.last().unwrap()["layer"], "fc");
    for layer in layers {
        assert_eq!(layer["runs"].as_array().unwrap().len(), 2);
        let norm = layer["runs"][0]["norm"].as_f64().unwrap();
        assert!(norm > 0.0 && layer["runs"][0]["stable_rank"].as_f64().unwrap() >= 1.0, "{layer}");
    }
    assert!(Path::new(sweep).join("report/weights.svg").is_file());
    assert!(harness(&["verify", sweep]).status.success());
}
