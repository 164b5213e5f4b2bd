//! Rows of the table of verdicts that went wrong once, made anew through the program: made soft decisions in, words and exit codes out.

use std::path::Path;
use std::process::Command;

use harness::arrays::{ArrayView, Slice, write_npy, write_npz};
use serde_json::Value;

use super::pool::Random;

const EXAMPLES: usize = 600;
const CLASSES: usize = 10;

fn outcome(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_harness")).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (run.status.code().unwrap(), text(run.stdout), text(run.stderr))
}

/// The logits of one run: hard examples are hard for every run, and each run has noise of its own. `lost` is a class that it never
/// chooses.
fn run(seed: u64, lost: Option<usize>) -> Vec<f32> {
    let (mut hard, mut own) = (Random::new(1), Random::new(1000 + seed));
    let mut logits = Vec::with_capacity(EXAMPLES * CLASSES);
    for example in 0..EXAMPLES {
        let ease = 4.0 + 2.0 * hard.normal();
        for class in 0..CLASSES {
            let right = if class == example % CLASSES { ease } else { 0.0 };
            let value = if lost == Some(class) { -30.0 } else { right + 0.7 * own.normal() };
            logits.push(value as f32);
        }
    }
    logits
}

fn labels() -> Vec<i64> {
    (0..EXAMPLES).map(|example| (example % CLASSES) as i64).collect()
}

/// A file of the runs of these seeds.
fn npz(folder: &Path, name: &str, seeds: std::ops::Range<u64>, lost: Option<usize>) {
    let runs = (seeds.end - seeds.start) as usize;
    let logits: Vec<f32> = seeds.flat_map(|seed| run(seed, lost)).collect();
    let arrays = [
        ("logits", ArrayView { shape: &[runs, EXAMPLES, CLASSES], values: Slice::F32(&logits) }),
        ("labels", ArrayView { shape: &[EXAMPLES], values: Slice::I64(&labels()) }),
    ];
    write_npz(&folder.join(name), &arrays).unwrap();
}

#[test]
fn a_class_that_was_never_learned_is_found_by_five_runs_and_open_by_three() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (runs, expected) in [(5, "worse"), (3, "undecided")] {
        npz(at, "before.npz", 0..runs, None);
        npz(at, "after.npz", 100..100 + runs, Some(8));
        let (code, text, errors) = outcome(at, &["compare", "before.npz", "after.npz", "--json"]);
        let found: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
        assert_eq!((found["verdict"].as_str(), code), (Some(expected), if runs == 5 { 5 } else { 8 }), "{runs} runs");
        let metrics = found["metrics"].as_array().unwrap();
        let class = metrics.iter().find(|metric| metric["metric"] == "accuracy_of_class_8").unwrap();
        assert_eq!(class["finding"], if runs == 5 { "worse" } else { "undecided" });
    }
    let (_, text, _) = outcome(at, &["compare", "before.npz", "after.npz"]);
    assert!(text.starts_with("Undecided: "), "{text}");
}

#[test]
fn softmax_given_as_logits_is_refused_with_the_flag_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut values: Vec<f32> = (0..6).flat_map(|seed| run(seed, None)).collect();
    for row in values.chunks_mut(CLASSES) {
        let sum: f32 = row.iter().map(|z| z.exp()).sum();
        row.iter_mut().for_each(|z| *z = z.exp() / sum);
    }
    write_npy(&at.join("p.npy"), ArrayView { shape: &[6, EXAMPLES, CLASSES], values: Slice::F32(&values) }).unwrap();
    write_npy(&at.join("y.npy"), ArrayView { shape: &[EXAMPLES], values: Slice::I64(&labels()) }).unwrap();
    let (code, text, errors) = outcome(at, &["analyze", "p.npy", "--labels", "y.npy"]);
    assert!(code == 3 && text.is_empty(), "{text}");
    assert!(errors.contains("holds probabilities, not logits") && errors.contains("`--probabilities`"), "{errors}");
    let (code, _, errors) = outcome(at, &["analyze", "p.npy", "--labels", "y.npy", "--probabilities", "--json"]);
    assert_eq!(code, 0, "{errors}");
}

#[test]
fn runs_are_called_as_their_files_and_sorted_as_people_count() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_npy(&at.join("y.npy"), ArrayView { shape: &[EXAMPLES], values: Slice::I64(&labels()) }).unwrap();
    let names: Vec<String> = (0..12).map(|seed| format!("seed{seed}.npy")).collect();
    for (seed, name) in names.iter().enumerate() {
        // Seed 2 lost a class.
        let logits = run(seed as u64, (seed == 2).then_some(8));
        let view = ArrayView { shape: &[EXAMPLES, CLASSES], values: Slice::F32(&logits) };
        write_npy(&at.join(name), view).unwrap();
    }
    // As a shell would give them: seed0, seed1, seed10, seed11, seed2, …
    let mut given: Vec<&str> = names.iter().map(String::as_str).collect();
    given.sort_unstable();
    let arguments = [&["analyze"], given.as_slice(), &["--labels", "y.npy", "--json"]].concat();
    let (code, text, errors) = outcome(at, &arguments);
    assert_eq!(code, 0, "{errors}");
    let found: Value = serde_json::from_str(&text).unwrap();
    let runs = found["runs"].as_array().unwrap();
    let called: Vec<&str> = runs.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(called, (0..12).map(|seed| format!("seed{seed}")).collect::<Vec<_>>());
    for (place, run) in runs.iter().enumerate() {
        let flags: Vec<&str> =
            run["flags"].as_array().unwrap().iter().filter_map(|flag| flag["flag"].as_str()).collect();
        assert_eq!(!flags.is_empty(), place == 2, "{flags:?}");
        assert_eq!(flags.contains(&"class"), place == 2);
    }
    let why = runs[2]["flags"].as_array().unwrap().iter().find(|flag| flag["flag"] == "class").unwrap()["why"].clone();
    assert!(why.as_str().unwrap().starts_with("it gets 0.00 % of class 8 right"), "{why}");
}

/// Two classes, a third of the examples beyond every doubt, as in the published setting: with `clip` these margins are equal.
#[test]
fn levels_that_contradict_each_other_are_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let labels: Vec<i64> = (0..EXAMPLES).map(|example| (example % 2) as i64).collect();
    let mut hard = Random::new(1);
    let ease: Vec<f64> = (0..EXAMPLES).map(|_| 8.0 + 12.0 * hard.normal()).collect();
    let logits: Vec<f32> = (0..6)
        .flat_map(|seed| {
            let mut own = Random::new(50 + seed);
            let margins: Vec<f64> = ease.iter().map(|ease| ease + own.normal()).collect();
            margins
                .into_iter()
                .zip(&labels)
                .flat_map(|(m, y)| if *y == 0 { [m, 0.0] } else { [0.0, m] })
                .collect::<Vec<_>>()
        })
        .map(|z| z as f32)
        .collect();
    write_npy(&at.join("z.npy"), ArrayView { shape: &[6, EXAMPLES, 2], values: Slice::F32(&logits) }).unwrap();
    write_npy(&at.join("y.npy"), ArrayView { shape: &[EXAMPLES], values: Slice::I64(&labels) }).unwrap();
    let analyzed = |more: &[&str]| {
        let arguments = [&["analyze", "z.npy", "--labels", "y.npy", "--clip", "15"], more].concat();
        let (code, json, errors) = outcome(at, &[arguments.as_slice(), &["--json"]].concat());
        assert_eq!(code, 0, "{errors}");
        outcome(at, &[arguments.as_slice(), &["--out", "report"]].concat());
        let found: Value = serde_json::from_str(&json).unwrap();
        let runs: Vec<(f64, f64)> = found["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| (run["alpha"].as_f64().unwrap(), run["alpha_hat"].as_f64().unwrap()))
            .collect();
        (runs, std::fs::read_to_string(at.join("report/report.md")).unwrap())
    };
    let (runs, report) = analyzed(&["--literal"]);
    assert!(runs.iter().all(|&(exact, hat)| exact == 0.0 && hat >= 0.49), "{runs:?}");
    assert!(report.contains("The two contradict each other for 6 of the runs"), "{report}");
    assert!(report.contains("it is blind here"), "{report}");
    let (runs, report) = analyzed(&[]);
    assert!(runs.iter().all(|&(exact, hat)| exact == 0.0 && hat < 0.1), "{runs:?}");
    assert!(!report.contains("contradict") && !report.contains("blind"), "{report}");
}
