//! Comparisons, histories and the nightly job as users run them, on small sweeps of the embedded digits.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn harness(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).env("NO_COLOR", "1");
    let output = command.output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "harness {arguments:?} panicked:\n{errors}");
    output
}

/// Exit code, stdout and stderr.
fn outcome(arguments: &[&str]) -> (i32, String, String) {
    let output = harness(arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

/// Two epochs instead of fifteen.
const SHORT: [&str; 6] =
    ["--set", "train.epochs=2", "--set", "record.checkpoints=[0]", "--set", "record.kernel.probes=20"];

fn sweep(folder: &Path, name: &str, runs: &str, seed: u32, more: &[&str]) -> String {
    let out = folder.join(name).to_str().expect("text").to_owned();
    let seed = format!("sweep.seed={seed}");
    let mut arguments = vec!["run", "configs/digits.toml", "--out", &out, "--quiet", "--runs", runs, "--set", &seed];
    arguments.extend(SHORT);
    arguments.extend(more);
    let (code, _, errors) = outcome(&arguments);
    assert_eq!(code, 0, "{errors}");
    out
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn metric<'a>(comparison: &'a Value, name: &str) -> &'a Value {
    let metrics = comparison["metrics"].as_array().expect("metrics");
    metrics.iter().find(|metric| metric["metric"] == name).unwrap_or_else(|| panic!("no metric {name}"))
}

#[test]
fn halves_of_one_sweep_are_the_same_and_half_the_data_is_worse() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sweep(folder.path(), "pool", "16", 1, &[]);
    let half = sweep(folder.path(), "half", "8", 2, &["--set", "data.train_limit=400"]);

    let halves = ["compare", &pool, &pool, "--baseline-runs", "0-7", "--candidate-runs", "8-15"];
    let (code, text, errors) = outcome(&[halves.as_slice(), &["--json"]].concat());
    assert_eq!(code, 0, "{errors}{text}");
    let same = json(&text);
    assert_eq!((same["schema"].as_str(), same["verdict"].as_str()), (Some("harness.comparison/1"), Some("same")));
    assert_eq!(same["baseline"]["runs"], serde_json::json!([0, 1, 2, 3, 4, 5, 6, 7]));
    let (code, words, _) = outcome(&halves);
    assert!(code == 0 && words.starts_with("Same: ") && words.contains("margins_between"), "{words}");

    let pages = folder.path().join("pages");
    let against = ["compare", &pool, &half, "--baseline-runs", "0-7"];
    let (code, text, errors) = outcome(&[&against, &["--json", "--out", pages.to_str().unwrap()][..]].concat());
    assert_eq!(code, 5, "{text}");
    assert!(errors.contains("the candidate is worse: ") && errors.contains("accuracy"), "{errors}");
    let worse = json(&text);
    assert_eq!((worse["verdict"].as_str(), worse["red"].as_bool()), (Some("worse"), Some(true)));
    let accuracy = metric(&worse, "accuracy");
    assert!(accuracy["high"].as_f64() < Some(0.0) && accuracy["p_corrected"].as_f64() <= Some(0.05), "{accuracy}");
    assert_eq!(worse["changed"][0]["key"], "data.train_limit");
    assert!(worse["kernel_probes"] == 20 && metric(&worse, "kernels_between")["between"].as_f64() > Some(0.0));
    let written = std::fs::read_to_string(pages.join("compare.md")).unwrap();
    assert!(written.contains("**Worse: ") && written.contains("| `data.train_limit` | – | 400 |"), "{written}");
    for figure in ["differences.svg", "sides.svg", "margins.svg"] {
        assert!(written.contains(figure) && pages.join(figure).is_file());
    }
    assert_eq!(std::fs::read_to_string(pages.join("comparison.json")).unwrap(), text);

    // What is accepted or tolerated is not red.
    assert_eq!(outcome(&[&against, &["--accept", "worse"][..]].concat()).0, 0);
    let (code, text, _) = outcome(&[&against, &["--tolerance", "1000"][..]].concat());
    assert!(code == 0 && text.contains("stays within the tolerance") && text.contains("tolerated"), "{text}");

    // The same runs as files, as one array or one file per run, give the same numbers.
    let (one, other) = (folder.path().join("pool.npz"), folder.path().join("half.npz"));
    for (sweep, file) in [(&pool, &one), (&half, &other)] {
        assert_eq!(outcome(&["export", sweep, "--to", file.to_str().unwrap()]).0, 0);
    }
    let files = ["compare", one.to_str().unwrap(), other.to_str().unwrap(), "--baseline-runs", "0-7", "--json"];
    let (code, text, _) = outcome(&files);
    assert_eq!(code, 5);
    let of_files = json(&text);
    for name in ["accuracy", "nll", "ece", "churn_within", "soft_churn_between", "margins_between"] {
        assert_eq!(metric(&of_files, name)["difference"], metric(&worse, name)["difference"], "{name}");
    }
    assert_eq!(of_files["votes"], worse["votes"]);
    let loose = folder.path().join("loose");
    std::fs::create_dir(&loose).unwrap();
    for run in 0..8 {
        let soft = Path::new(&half).join(format!("runs/{run:04}/checkpoints/0002/soft.parquet"));
        std::fs::copy(soft, loose.join(format!("{run}.parquet"))).unwrap();
    }
    let mixed = ["compare", one.to_str().unwrap(), loose.to_str().unwrap(), "--baseline-runs", "0-7", "--json"];
    assert_eq!(metric(&json(&outcome(&mixed).1), "accuracy"), metric(&of_files, "accuracy"));
}

#[test]
fn what_is_not_comparable_says_in_what() {
    let folder = tempfile::tempdir().unwrap();
    let plain = sweep(folder.path(), "plain", "2", 1, &[]);
    let other = sweep(
        folder.path(),
        "other",
        "2",
        2,
        &["--set", "record.checkpoints=[0, 1]", "--set", "analysis.epsilon=0.05"],
    );
    let fewer = sweep(folder.path(), "fewer", "2", 3, &["--set", "data.eval_limit=200"]);

    let (code, _, message) = outcome(&["compare", &plain, &other]);
    assert_eq!(code, 7);
    assert!(message.contains("checkpoints (0, 2 against 0, 1, 2)"), "{message}");
    assert!(message.contains("analysis.epsilon (0.01 against 0.05)"), "{message}");
    let (code, text, _) = outcome(&["compare", &plain, &other, "--epoch", "2", "--epsilon", "0.01"]);
    assert!(code == 0 && text.contains("can hardly find anything"), "{text}");
    let (code, _, message) = outcome(&["compare", &plain, &fewer]);
    assert!(code == 7 && message.contains("test examples N (500 against 200)"), "{message}");

    let (code, _, message) = outcome(&["history", &plain, &other, &fewer, "--baseline", "2"]);
    assert_eq!(code, 7);
    assert!(message.contains("other differs in ") && message.contains("fewer differs in "), "{message}");

    let nowhere = folder.path().join("nowhere");
    assert_eq!(outcome(&["compare", &plain, nowhere.to_str().unwrap()]).0, 3);
    assert_eq!(outcome(&["compare", &plain, &plain, "--baseline-runs", "0-5"]).0, 3);
    assert_eq!(outcome(&["compare", &plain, &plain, "--baseline-runs", "0"]).0, 3);
    assert_eq!(outcome(&["compare", &plain, &plain, "--tolerance", "loss=1"]).0, 2);
    assert_eq!(outcome(&["history", nowhere.to_str().unwrap()]).0, 3);
    assert_eq!(outcome(&["history", &plain]).0, 3);
}

#[test]
fn a_week_of_nights() {
    let folder = tempfile::tempdir().unwrap();
    let nightly = folder.path().join("nightly");
    let place = nightly.to_str().unwrap().to_owned();
    let (junit, summary) = (folder.path().join("junit.xml"), folder.path().join("summary.md"));
    let night = |number: u32, more: &[&str]| {
        let out = nightly.join(format!("night-{number}"));
        let seed = format!("sweep.seed={number}");
        let mut arguments =
            vec!["run", "configs/digits.toml", "--out", out.to_str().unwrap(), "--quiet", "--runs", "6"];
        arguments.extend(["--set", &seed, "--against", &place]);
        arguments.extend(["--junit", junit.to_str().unwrap(), "--summary", summary.to_str().unwrap()]);
        arguments.extend(SHORT);
        arguments.extend(more);
        outcome(&arguments)
    };
    let (code, text, errors) = night(1, &[]);
    assert!(code == 0 && text.contains("Not compared: there is no earlier sweep"), "{text}{errors}");
    let (code, text, errors) = night(2, &[]);
    assert!(code == 0 && text.contains("Same: ") && text.contains("number 2"), "{text}{errors}");
    for number in 3..=6 {
        assert_eq!(night(number, &[]).0, 0);
    }
    assert!(nightly.join("night-6/report/history/history.md").is_file());
    let (code, text, errors) = night(7, &["--set", "data.train_limit=300"]);
    assert_eq!(code, 5, "{text}{errors}");
    assert!(text.contains("digits: red.") && text.contains("the newest sweep signals"), "{text}");
    let paragraph = std::fs::read_to_string(&summary).unwrap();
    assert!(paragraph.lines().count() == 1 && text.ends_with(&paragraph));
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("<failure type=\"worse\"") && xml.contains("<failure type=\"signal\""), "{xml}");
    let sweep = nightly.join("night-7");
    assert_eq!(outcome(&["verify", sweep.to_str().unwrap()]).0, 0, "what was added belongs to the sweep");

    let pages = folder.path().join("pages");
    let all = ["history", &place, "--baseline", "6", "--json", "--out", pages.to_str().unwrap()];
    let (code, text, _) = outcome(&all);
    assert_eq!(code, 5);
    let history = json(&text);
    assert_eq!(history["schema"], "harness.history/1");
    let charts: Vec<&str> = history["charts"].as_array().unwrap().iter().filter_map(|c| c["metric"].as_str()).collect();
    assert_eq!(charts, ["accuracy", "churn", "ece", "alpha_hat", "kernel_alignment"]);
    assert_eq!(history["sweeps"][6]["changed"][0], "data.train_limit");
    assert!(history["signals"].as_array().unwrap().iter().all(|signal| signal["sweep"] == 6), "{}", history["signals"]);
    for file in ["history.md", "values.svg", "steps.svg", "sums.svg", "history.json"] {
        assert!(pages.join(file).is_file(), "{file}");
    }
    let quiet: Vec<PathBuf> = (1..=6).map(|number| nightly.join(format!("night-{number}"))).collect();
    let mut arguments = vec!["history", "--baseline", "5"];
    arguments.extend(quiet.iter().map(|path| path.to_str().unwrap()));
    let (code, text, _) = outcome(&arguments);
    assert!(code == 0 && text.contains("the process is where the baseline had it"), "{text}");

    let (code, _, message) =
        outcome(&["run", "configs/digits.toml", "--out", "/nowhere/x", "--against", "/nowhere/else"]);
    assert!(code == 3 && message.contains("neither a sweep nor a folder"), "{message}");
}
