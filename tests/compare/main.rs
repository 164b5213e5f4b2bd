//! Comparisons, histories and the nightly job as users run them, on small sweeps of the embedded digits.

use std::path::Path;
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
    assert_eq!(
        (same["schema"].as_str(), same["verdict"].as_str()),
        (Some("harness.comparison/1"), Some("no-change-found"))
    );
    assert!(same["decision"] == "undecided" && metric(&same, "accuracy")["detectable"].as_f64() > Some(0.0));
    assert_eq!(same["baseline"]["runs"], serde_json::json!([0, 1, 2, 3, 4, 5, 6, 7]));
    let (code, words, _) = outcome(&halves);
    assert!(code == 0 && words.starts_with("No change found ") && words.contains("margins_between"), "{words}");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("8 runs a side would have found a change of accuracy by "), "{words}");

    let pages = folder.path().join("pages");
    let against = ["compare", &pool, &half, "--baseline-runs", "0-7"];
    let (code, text, errors) = outcome(&[&against, &["--json", "--out", pages.to_str().unwrap()][..]].concat());
    assert_eq!(code, 5, "{text}");
    assert!(errors.contains("half is worse: accuracy, "), "{errors}");
    let worse = json(&text);
    assert_eq!((worse["verdict"].as_str(), worse["red"].as_bool()), (Some("worse"), Some(true)));
    assert_eq!(worse["decision"], "discard");
    let accuracy = metric(&worse, "accuracy");
    assert!(accuracy["high"].as_f64() <= Some(0.0) && accuracy["p_corrected"].as_f64() <= Some(0.05), "{accuracy}");
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
    assert!(code == 0 && text.starts_with("Equivalent: "), "{text}");
    // What is asked for decides, whatever else differs.
    assert_eq!(outcome(&[&against, &["--not-worse", "accuracy=0.9"][..]].concat()).0, 0);
    let (code, text, errors) = outcome(&[&against, &["--better", "accuracy"][..]].concat());
    assert!(
        code == 5 && text.contains("Decision: discard") && errors.contains("not what was asked for"),
        "{text}{errors}"
    );
    assert_eq!(outcome(&[&against, &["--better", "churn_between"][..]].concat()).0, 2);
    let (code, text, _) = outcome(&["compare", &pool, &half, &pool, "--json"]);
    let several = json(&text);
    assert!(code == 5 && several["schema"] == "harness.comparisons/1", "{text}");
    assert_eq!(several["comparisons"].as_array().map(Vec::len), Some(2));
    // Runs of one index of the same sweep are pairs; those of sweeps with other seeds are not.
    assert_eq!(outcome(&["compare", &pool, &half, "--pair", "seed"]).0, 7);
    // One model a side is compared example by example.
    let one = ["compare", &pool, &pool, "--baseline-runs", "0", "--candidate-runs", "1"];
    let (_, text, _) = outcome(&one);
    assert!(text.contains("these two models only"), "{text}");

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
    assert!(code == 8 && text.starts_with("Undecided: ") && text.contains("at least 4 runs a side"), "{text}");
    let (code, _, message) = outcome(&["compare", &plain, &fewer]);
    assert!(code == 7 && message.contains("test examples N (500 against 200)"), "{message}");

    let (code, text, message) = outcome(&["history", &plain, &other, &fewer]);
    assert_eq!(code, 7);
    assert!(
        text.contains("other is left out: ") && message.contains("test examples N (200 against 500)"),
        "{text}{message}"
    );

    let nowhere = folder.path().join("nowhere");
    assert_eq!(outcome(&["compare", &plain, nowhere.to_str().unwrap()]).0, 3);
    assert_eq!(outcome(&["compare", &plain, &plain, "--baseline-runs", "0-5"]).0, 3);
    assert_eq!(outcome(&["compare", &plain, &plain, "--baseline-runs", "0"]).0, 3);
    assert_eq!(outcome(&["compare", &plain, &plain, "--tolerance", "loss=1"]).0, 2);
    assert_eq!(outcome(&["history", nowhere.to_str().unwrap()]).0, 3);
    assert_eq!(outcome(&["history", &plain]).0, 0, "a first night");
    assert_eq!(outcome(&["power", &plain]).0, 3);
    assert_eq!(outcome(&["accept", &plain, "--undo"]).0, 3);
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
    assert!(code == 0 && text.contains("digits: first night."), "{text}{errors}");
    let (code, text, errors) = night(2, &[]);
    assert!(code == 8 && text.contains("1 of the 3 nights"), "{text}{errors}");
    assert_eq!(night(3, &[]).0, 8);
    for number in 4..=6 {
        let (code, text, errors) = night(number, &[]);
        assert!(code == 0 && text.contains("digits: green."), "{text}{errors}");
    }
    assert!(nightly.join("night-6/report/history/history.md").is_file());
    assert!(nightly.join("night-6/report/compare/compare.md").is_file());
    // A night that crashed and one that cannot be compared harm nobody.
    std::fs::remove_file(nightly.join("night-3/runs/0001/run.json")).unwrap();
    let (code, _, errors) = night(100, &["--set", "data.eval_limit=200"]);
    assert!(code == 7 && errors.contains("test examples N (200 against 500)"), "{errors}");
    let half = ["--set", "data.train_limit=300"];
    let (code, text, errors) = night(7, &half);
    assert_eq!(code, 5, "{text}{errors}");
    assert!(text.contains("digits: red. Red: ") || text.contains("digits: red.** Red: "), "{text}");
    assert!(text.contains("`data.train_limit` from nothing to 300"), "{text}");
    let paragraph = std::fs::read_to_string(&summary).unwrap();
    assert!(paragraph.lines().count() == 1 && text.ends_with(&paragraph));
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("<failure") && xml.contains("type=\"alarm\""), "{xml}");
    let sweep = nightly.join("night-7");
    assert_eq!(outcome(&["verify", sweep.to_str().unwrap()]).0, 0, "what was added belongs to the sweep");
    // The alarm stands, until the procedure is back.
    assert_eq!(night(8, &half).0, 5);
    let (code, text, errors) = night(9, &[]);
    assert!(code == 0 && text.contains("digits: green."), "{text}{errors}");
    let standings = |arguments: &[&str]| -> Vec<String> {
        let (_, text, errors) = outcome(&[&["history", &place, "--json"], arguments].concat());
        let found: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
        let nights = found["sweeps"].as_array().unwrap();
        nights.iter().map(|night| night["standing"].as_str().unwrap().to_owned()).collect()
    };
    let as_run = ["first", "undecided", "undecided", "undecided", "green", "green", "left-out", "red", "red", "green"];
    // Night 3 crashed afterwards, so that night 4 has one night less before it.
    assert_eq!(standings(&[]), as_run);
    // A wanted change ends the alarm once it is accepted, and is red again when that is taken back.
    assert_eq!(night(10, &half).0, 5);
    let tenth = nightly.join("night-10").to_str().unwrap().to_owned();
    assert_eq!(outcome(&["accept", &tenth, "--why", "half of the data is enough"]).0, 0);
    assert_eq!(outcome(&["verify", &tenth]).0, 0);
    let (code, text, errors) = night(11, &half);
    assert!(code == 0 && text.contains("digits: green.") && text.contains("1 accepted night"), "{text}{errors}");
    assert_eq!(outcome(&["accept", &tenth, "--undo"]).0, 0);
    assert_eq!(standings(&[]).last().map(String::as_str), Some("red"));
    assert_eq!(outcome(&["accept", &tenth]).0, 0);

    let pages = folder.path().join("pages");
    let (code, text, errors) = outcome(&["history", &place, "--json", "--out", pages.to_str().unwrap()]);
    assert_eq!(code, 0, "{errors}");
    let history = json(&text);
    assert_eq!(history["schema"], "harness.history/1");
    let charts: Vec<&str> = history["charts"].as_array().unwrap().iter().filter_map(|c| c["metric"].as_str()).collect();
    assert_eq!(charts[..6], ["accuracy", "nll", "ece", "churn", "kernel_alignment", "diverged"]);
    assert_eq!(history["signals"][0]["sweep"], 7, "{}", history["signals"]);
    for file in ["history.md", "values.svg", "evidence.svg", "history.json"] {
        assert!(pages.join(file).is_file(), "{file}");
    }

    // Pruned nights change no verdict.
    let before = standings(&[]);
    let (code, text, errors) = outcome(&["prune", &place, "--keep", "4"]);
    assert!(code == 0 && text.contains("nights were pruned"), "{text}{errors}");
    assert!(!nightly.join("night-1/runs").exists() && nightly.join("night-11/runs").exists());
    assert_eq!(standings(&[]), before);

    // Word is left on every exit.
    let files = ["--summary", summary.to_str().unwrap(), "--junit", junit.to_str().unwrap()];
    let wrong = ["run", "configs/digits.toml", "--out", &place, "--against", &place, "--set", "train.epochs=-1"];
    assert_eq!(outcome(&[&wrong[..], &files].concat()).0, 3);
    assert!(std::fs::read_to_string(&summary).unwrap().starts_with("**digits: not judged.**"));
    assert!(std::fs::read_to_string(&junit).unwrap().contains("<error"));
    let (code, _, message) =
        outcome(&["run", "configs/digits.toml", "--out", "/nowhere/x", "--against", "/nowhere/else"]);
    assert!(code == 3 && message.contains("neither a sweep nor a folder"), "{message}");
    let nowhere = ["--summary", "/proc/nowhere/summary.md"];
    let (code, _, message) = outcome(&[&wrong[..6], &nowhere].concat());
    assert!(code == 3 && message.contains("nothing was trained"), "{message}");
}

#[test]
fn what_a_sweep_can_show() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sweep(folder.path(), "pool", "8", 1, &[]);
    let (code, text, errors) = outcome(&["power", &pool, "--detect", "accuracy=0.05"]);
    assert!(code == 0 && text.starts_with("A change of accuracy by 5.00 points needs "), "{text}{errors}");
    let (_, text, _) = outcome(&["power", &pool, "--detect", "nll=0.02", "--json"]);
    let power = json(&text);
    assert_eq!((power["schema"].as_str(), power["runs"].as_u64()), (Some("harness.power/1"), Some(8)));
    let of = |name: &str| {
        let rows = power["metrics"].as_array().unwrap();
        rows.iter().find(|row| row["metric"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let accuracy: Vec<f64> =
        of("accuracy")["detectable"].as_array().unwrap().iter().map(|change| change.as_f64().unwrap()).collect();
    assert!(accuracy.is_sorted_by(|a, b| a > b), "more runs find smaller changes: {accuracy:?}");
    assert!(of("nll")["needed"][0][1].as_u64() >= Some(4));
    assert_eq!(outcome(&["power", &pool, "--detect", "loss=1"]).0, 2);
    assert_eq!(outcome(&["power", &pool, "--detect", "churn_between=0.1"]).0, 3);
}
