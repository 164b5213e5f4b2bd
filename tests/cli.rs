//! The program as users drive it: small sweeps on the embedded digits, real data where it is there, bad input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::record::SweepReader;
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
    (output.status.code().expect("no signal"), errors)
}

/// A sweep of the quick start's experiment, cut down.
fn small_sweep(out: &Path, more: &[&str]) {
    let out = out.to_str().expect("text");
    let mut arguments = vec!["run", "configs/digits.toml", "--out", out, "--quiet"];
    for set in ["train.epochs=2", "record.checkpoints=[0, 1]", "record.kernel.probes=20"] {
        arguments.extend(["--set", set]);
    }
    arguments.extend(more);
    succeed(&arguments);
}

/// Contents of every file of the runs whose bytes must not depend on when or how they were made.
fn recorded(sweep: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![sweep.join("runs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if folder.parent().is_some_and(|parent| parent.ends_with("checkpoints")) {
                let name = path.strip_prefix(sweep).expect("inside").to_path_buf();
                files.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

fn analysis(sweep: &Path) -> Value {
    serde_json::from_str(&succeed(&["analyze", sweep.to_str().expect("text"), "--json"])).expect("JSON")
}

fn has_flag(analysis: &Value, run: usize, flag: &str) -> bool {
    analysis["runs"][run]["flags"].as_array().expect("flags").iter().any(|found| found["flag"] == flag)
}

#[test]
fn the_same_sweep_has_the_same_bytes_whatever_runs_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    small_sweep(&one, &["--runs", "3", "--jobs", "1"]);
    small_sweep(&two, &["--runs", "3", "--jobs", "2"]);
    let files = recorded(&one);
    // Three checkpoints with soft decisions and kernel, and the last weights, of three runs.
    assert_eq!(files.len(), 3 * (3 * 2 + 1));
    assert!(files == recorded(&two), "the bytes differ");
    assert!(one.join("report/report.md").is_file());
    let page = std::fs::read_to_string(one.join("report/report.html")).unwrap();
    assert!(page.contains("<img alt=\"\" src=\"data:image/png;base64,"), "no pictures of examples");
    let all: Vec<&[u8]> = files
        .iter()
        .filter(|(path, _)| path.ends_with("0002/soft.parquet"))
        .map(|(_, bytes)| bytes.as_slice())
        .collect();
    assert!(all[0] != all[1] && all[1] != all[2], "different runs decide differently");
}

#[test]
fn a_finished_sweep_is_kept_enlarged_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("sweep");
    let name = sweep.to_str().unwrap();
    small_sweep(&sweep, &["--runs", "1"]);
    let before = recorded(&sweep);
    small_sweep(&sweep, &["--runs", "2"]);
    let after = recorded(&sweep);
    assert_eq!(after.len(), 2 * before.len());
    assert!(before.iter().all(|(path, bytes)| after[path] == *bytes), "the finished run was changed");

    let (code, message) = fail(&["run", "configs/digits.toml", "--out", name, "--set", "train.epochs=3"]);
    assert_eq!(code, 3);
    assert!(message.contains("train.epochs"), "{message}");

    // Tables of other settings are the sweep's own too.
    succeed(&["analyze", name, "--epsilon", "0.2"]);
    succeed(&["verify", name]);
    let victim = sweep.join("runs/0001/checkpoints/0001/soft.parquet");
    let mut bytes = std::fs::read(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&victim, bytes).unwrap();
    let output = harness(&["verify", name]);
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stdout).contains("runs/0001/checkpoints/0001/soft.parquet"));
    succeed(&["verify", name, "--repair"]);
    succeed(&["resume", name, "--quiet"]);
    assert!(recorded(&sweep) == after, "the repaired run has other bytes");
}

#[test]
fn two_engines_at_the_same_moment_train_every_run_once() {
    let folder = tempfile::tempdir().unwrap();
    let (alone, shared) = (folder.path().join("alone"), folder.path().join("shared"));
    small_sweep(&alone, &["--runs", "4"]);
    small_sweep(&shared, &["--runs", "4", "--executor", "none"]);
    assert!(!shared.join("runs/0000").exists(), "only the directory was asked for");
    let engines: Vec<_> = (0..2)
        .map(|_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
            command.arg("resume").arg(&shared).args(["--jobs", "2", "--quiet"]).env("NO_COLOR", "1");
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    for engine in engines {
        let output = engine.wait_with_output().expect("ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(recorded(&alone) == recorded(&shared), "the bytes differ");
    for run in 0..4 {
        let manifest = std::fs::read(shared.join(format!("runs/{run:04}/run.json"))).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        assert_eq!(manifest["attempt"], 1, "run {run} was trained once");
    }
    succeed(&["verify", shared.to_str().expect("text")]);
}

#[test]
fn an_export_holds_what_the_runs_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("sweep");
    small_sweep(&sweep, &["--runs", "2"]);
    let (npz, arrays) = (folder.path().join("all.npz"), folder.path().join("arrays"));
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    for to in [&npz, &arrays] {
        succeed(&["export", &text(&sweep), "--to", &text(to)]);
    }
    let (shape, logits) = harness::arrays::read_npy_f32(&arrays.join("logits.npy")).unwrap();
    let reader = SweepReader::open(&sweep).unwrap();
    let runs = reader.runs().0;
    let soft: Vec<_> = runs.iter().map(|run| run.soft(2).unwrap()).collect();
    assert_eq!(shape, [2, soft[0].examples, soft[0].classes]);
    assert!(logits == [soft[0].logits.as_slice(), &soft[1].logits].concat());
    let (shape, kernels) = harness::arrays::read_npy_f32(&arrays.join("kernel_trace.npy")).unwrap();
    assert_eq!(shape, [2, 20, 20]);
    assert_eq!(kernels[400..], *runs[1].kernel(2).unwrap().unwrap().f32("trace").unwrap().1);
    let archive = harness::arrays::open_npz(&npz).unwrap();
    assert_eq!(archive.get_f32("logits").unwrap().1, logits);
    let judged = succeed(&["analyze", &text(&npz), "--json"]);
    let judged: Value = serde_json::from_str(&judged).expect("JSON");
    assert_eq!(judged["runs"][1]["accuracy"], analysis(&sweep)["runs"][1]["accuracy"]);
}

#[test]
fn one_flipped_bit_is_enough_to_end_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("bit");
    small_sweep(&sweep, &["--runs", "3", "--set", "sweep.vary=[\"bit\"]", "--set", "record.weights=true"]);
    let reader = SweepReader::open(&sweep).unwrap();
    let (runs, _) = reader.runs();
    let weights = |run: usize, epoch: usize| -> Vec<u32> {
        let tensors = runs[run].weights(epoch).unwrap().expect("weights");
        let names: Vec<String> = tensors.iter().map(|(name, _, _)| name.to_owned()).collect();
        names
            .iter()
            .flat_map(|name| tensors.f32(name).unwrap().1.iter().map(|w| w.to_bits()).collect::<Vec<_>>())
            .collect()
    };
    for run in 1..3 {
        let bits: u32 = weights(0, 0).iter().zip(weights(run, 0)).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(bits, 1, "run {run} starts one bit away from run 0");
        let changed = weights(0, 2).iter().zip(weights(run, 2)).filter(|(a, b)| *a != b).count();
        assert!(changed > weights(0, 2).len() / 2, "only {changed} weights of run {run} differ from run 0 in the end");
    }
    assert!(!has_flag(&analysis(&sweep), 1, "duplicate"));
}

#[test]
fn without_a_source_of_randomness_all_runs_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("none");
    small_sweep(&sweep, &["--runs", "3", "--set", "sweep.vary=[]"]);
    let analysis = analysis(&sweep);
    assert!(!has_flag(&analysis, 0, "duplicate"));
    assert!(has_flag(&analysis, 1, "duplicate") && has_flag(&analysis, 2, "duplicate"));
    let report = std::fs::read_to_string(sweep.join("report/report.md")).unwrap();
    assert!(report.lines().take(4).any(|line| line.contains("3 runs, 1 distinct")), "{report}");
}

/// Between them every optimiser, schedule, model, augmentation and source of randomness.
fn kinds_of_training() -> [Vec<&'static str>; 6] {
    let cases: [&[&str]; 6] = [
        &[
            "train.optimizer={ kind = \"adam\", weight_decay = 1e-4 }",
            "train.schedule={ kind = \"constant\", rate = 1e-2, warmup = 0.1 }",
        ],
        &[
            "train.optimizer={ kind = \"adamw\" }",
            "train.schedule={ kind = \"cosine\", rate = 1e-2 }",
            "model.dropout=0.2",
        ],
        &["model={ kind = \"mlp\", widths = [32], dropout = 0.1 }", "train.schedule={ kind = \"linear\", rate = 0.1 }"],
        &[
            "model={ kind = \"resnet\", depth = 8, width = 8 }",
            "train.label_smoothing=0.1",
            "data.augment={ flip = true, crop = 1, cutout = 2 }",
        ],
        &[
            "train.optimizer={ kind = \"sgd\" }",
            "train.schedule={ kind = \"step\", rate = 0.1, at = [1] }",
            "model.activation=\"gelu\"",
        ],
        &["train.optimizer={ kind = \"sgd\", momentum = 0.9, nesterov = true }"],
    ];
    cases.map(|sets| sets.iter().flat_map(|set| ["--set", set]).collect())
}

#[test]
fn every_optimiser_schedule_and_model_trains_and_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = 0;
    for (i, sets) in kinds_of_training().into_iter().enumerate() {
        let (whole, cut) = (folder.path().join(format!("whole-{i}")), folder.path().join(format!("cut-{i}")));
        small_sweep(&whole, &[vec!["--runs", "1"], sets.clone()].concat());
        let accuracy = analysis(&whole)["summary"]["accuracy"]["mean"].as_f64().unwrap();
        assert!(accuracy > 0.3, "{sets:?} reach only {accuracy} after two epochs");

        small_sweep(&cut, &[vec!["--runs", "1", "--executor", "none"], sets.clone()].concat());
        let start = || {
            let mut run = Command::new(env!("CARGO_BIN_EXE_harness"));
            run.args(["train-run", "--index", "0", "--sweep"]).arg(&cut);
            run.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            run.spawn().expect("the program starts")
        };
        // Killed as soon as there is a state to go on from; one that is faster than that is trained to its end.
        let mut run = start();
        while !cut.join("runs/0000/state").exists() && run.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        run.kill().unwrap();
        killed += usize::from(!run.wait().unwrap().success());
        assert!(start().wait().unwrap().success(), "{sets:?}: the run does not go on");
        assert!(recorded(&whole) == recorded(&cut), "{sets:?}: the bytes differ");
    }
    assert!(killed > 0, "every run was finished before it could be killed");
}

#[test]
fn mistakes_get_a_sentence_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/digits.toml")).unwrap();
    std::fs::write(&file, text.replacen("[train]\n", "[train]\nepoch = 3\n", 1)).unwrap();
    let mine = file.to_str().unwrap();
    let (code, message) = fail(&["show", mine]);
    assert_eq!(code, 3);
    assert!(message.contains("mine.toml:") && message.contains("train.epochs"), "{message}");

    let missing = folder.path().join("none");
    let missing = missing.to_str().unwrap();
    let digits = "configs/digits.toml";
    for (arguments, expected, part) in [
        (vec!["show", missing], 3, "none"),
        (vec!["show"], 2, "Usage"),
        (vec!["resume", missing], 3, "sweep.json"),
        (vec!["status", missing], 3, "sweep.json"),
        (vec!["analyze", missing], 3, "none"),
        (vec!["run", digits, "--out", missing, "--set", "sweep.runs=0"], 3, "sweep.runs"),
        (vec!["run", digits, "--out", missing, "--set", "record.checkpoints=[99]"], 3, "99"),
        (vec!["run", digits, "--out", missing, "--set", "data.classes=[1, 17]"], 3, "17"),
        (vec!["run", digits, "--out", missing, "--set", "data.augment.crop=40"], 3, "crop"),
        (vec!["run", digits, "--out", missing, "--set", "record.kernel.probes=100000"], 3, "probes"),
        (vec!["run", digits, "--out", missing, "--set", "nonsense"], 2, "nonsense"),
        (vec!["train-run", "--sweep", missing, "--index", "0"], 3, "sweep.json"),
        (vec!["export", missing, "--to", "x.txt"], 2, ".npz"),
    ] {
        let (code, message) = fail(&arguments);
        assert_eq!(code, expected, "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
    }
    // Every problem in one go.
    let (_, message) = fail(&["show", digits, "--set", "sweep.runs=0", "--set", "train.batch_size=0"]);
    assert!(message.contains("sweep.runs") && message.contains("train.batch_size"), "{message}");
}

#[test]
fn a_backend_that_was_not_built_is_named_with_its_feature() {
    if cfg!(feature = "ndarray") {
        println!("skipped: this program was built with ndarray");
        return;
    }
    let (code, message) = fail(&["show", "configs/digits.toml", "--set", "train.backend=\"ndarray\""]);
    assert_eq!(code, 3);
    assert!(message.contains("--features ndarray"), "{message}");
}

/// The folder of real data beside the repository; its CIFAR-10 is packed, and unpacked here once.
fn shared_data(folder: &Path) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !shared.is_dir() {
        println!("skipped: there is no ../shared/data beside the repository");
        return None;
    }
    let target = folder.join("data");
    let unpacked = Command::new("sh").arg(shared.join("unpack.sh")).arg(&target).output().expect("sh starts");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    Some(target)
}

#[test]
fn published_data_train_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let Some(data) = shared_data(folder.path()) else { return };
    for (config, path) in
        [("fashion", "fashion-mnist"), ("cifar", "cifar-10-batches-bin"), ("cifar2", "cifar-10-batches-bin")]
    {
        let (config, out) = (format!("configs/{config}.toml"), folder.path().join(config));
        let path = format!("data.path=\"{}\"", data.join(path).display());
        let mut arguments = vec!["run", config.as_str(), "--out", out.to_str().unwrap(), "--quiet", "--runs", "2"];
        let cuts =
            ["train.epochs=1", "record.checkpoints=[]", "data.train_limit=500", "data.eval_limit=200", path.as_str()];
        cuts.iter().for_each(|set| arguments.extend(["--set", set]));
        arguments.extend(["--set", "record.kernel={ probes = 20 }"]);
        succeed(&arguments);
        let analysis = analysis(&out);
        assert_eq!(analysis["runs"].as_array().unwrap().len(), 2, "{config}");
        assert!(out.join("report/report.md").is_file(), "{config}");
    }
}
