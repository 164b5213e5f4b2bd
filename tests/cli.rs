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
    assert!(page.contains("\"images\":{\"channels\":1,\"height\":8,\"width\":8"), "no pictures of examples");
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

#[test]
fn every_optimiser_schedule_and_model_trains() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 5] = [
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
    ];
    for (i, sets) in cases.iter().enumerate() {
        let sweep = folder.path().join(i.to_string());
        let mut more = vec!["--runs", "2"];
        sets.iter().for_each(|set| more.extend(["--set", set]));
        small_sweep(&sweep, &more);
        let accuracy = analysis(&sweep)["summary"]["accuracy"]["mean"].as_f64().unwrap();
        assert!(accuracy > 0.3, "{sets:?} reach only {accuracy} after two epochs");
    }
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

#[test]
fn the_readme_lists_every_key() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let reference = harness::config::reference();
    assert!(readme.trim_end().ends_with(reference.trim_end()), "replace the table under \"All keys\" by:\n{reference}");
}
