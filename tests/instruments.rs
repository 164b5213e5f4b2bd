//! `harness lineage` and `harness microscope` as users drive them: verdicts, JSON contracts, exit codes, what is written.

use std::path::Path;
use std::process::{Command, Output};

use harness::arrays::{ArrayView, Slice, write_npy};
use harness::random::Random;
use harness::record::Tensors;
use serde_json::Value;

fn harness(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness")).args(arguments).current_dir(folder).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}

fn keys(value: &Value, wanted: &[&str]) {
    for key in wanted {
        assert!(value.get(key).is_some(), "{key} is missing from {value}");
    }
}

/// A network of random weights that learned one thing after the other: each gives every layer a direction of its own and a little noise, but
/// for four units that it does not need.
fn network(folder: &Path, name: &str, seed: u64, learned: &[u64]) {
    let mut random = Random::from_parts(seed, "w", 0);
    let mut tensors = Tensors::new();
    for (layer, shape) in [("0.weight", [24, 30]), ("2.weight", [20, 24]), ("4.weight", [5, 20])] {
        let mut values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| random.normal() as f32).collect();
        for &thing in learned {
            let mut change = Random::from_parts(seed, layer, thing);
            let up: Vec<f64> = (0..shape[0]).map(|_| change.normal()).collect();
            let across: Vec<f64> = (0..shape[1]).map(|_| change.normal()).collect();
            let idle = thing as usize % 4;
            for (i, v) in values.iter_mut().enumerate().filter(|(i, _)| i / shape[1] % 5 != idle) {
                *v += (0.8 * up[i / shape[1]] * across[i % shape[1]] + 0.2 * change.normal()) as f32;
            }
        }
        tensors.insert(layer, &shape, values).unwrap();
    }
    std::fs::write(folder.join(name), tensors.encode().unwrap()).unwrap();
}

fn embeddings(folder: &Path, name: &str, seed: u64, shift: f64) {
    let (n, d) = (80, 6);
    let mut random = Random::from_parts(seed, "e", 0);
    let values: Vec<f32> =
        (0..n * d).map(|i| (random.normal() + if i % d == 0 { shift } else { 0.0 }) as f32).collect();
    write_npy(&folder.join(name), ArrayView { shape: &[n, d], values: Slice::F32(&values) }).unwrap();
}

#[test]
fn lineage_of_two_and_of_many() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    network(at, "c.safetensors", 1, &[0, 1, 2]);
    network(at, "b.safetensors", 1, &[0, 1]);
    network(at, "a.safetensors", 1, &[0]);
    network(at, "e.safetensors", 1, &[0, 7]);
    network(at, "d.safetensors", 2, &[0]);
    let related = harness(at, &["lineage", "a.safetensors", "b.safetensors", "--json"]);
    assert_eq!(related.status.code(), Some(0));
    let found = json(&related);
    keys(&found, &["schema", "verdict", "p_value", "method", "layers", "shared_init"]);
    assert_eq!((found["schema"].as_str(), found["verdict"].as_str()), (Some("harness.lineage/1"), Some("related")));
    keys(&found["layers"][0], &["layer", "statistic", "p_value"]);
    let copies = ["lineage", "a.safetensors", "a.safetensors", "a.safetensors", "--json"];
    assert_eq!(json(&harness(at, &copies))["networks"], serde_json::json!(["a", "a (2)", "a (3)"]));
    let same = harness(at, &["lineage", "a.safetensors", "a.safetensors", "--tree"]);
    let said = String::from_utf8_lossy(&same.stdout).into_owned();
    assert!(said.contains("hold the same hidden weights") && said.contains("direction not told"), "{said}");
    let unrelated = json(&harness(at, &["lineage", "a.safetensors", "d.safetensors", "--json"]));
    assert_eq!(unrelated["verdict"], "unrelated");
    let all = ["lineage", "c.safetensors", "b.safetensors", "a.safetensors", "e.safetensors", "d.safetensors"];
    let tree = harness(at, &[&all[..], &["--tree", "--json", "--out", "out"]].concat());
    let edges: Vec<(String, String)> = json(&tree)["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| (edge["parent"].as_str().unwrap().to_owned(), edge["child"].as_str().unwrap().to_owned()))
        .collect();
    let mut directed: Vec<[&str; 2]> = edges.iter().map(|(parent, child)| [parent.as_str(), child.as_str()]).collect();
    directed.sort_unstable();
    assert_eq!(directed, [["a", "b"], ["a", "e"], ["b", "c"]]);
    for file in ["lineage.md", "lineage.json", "tree.svg", "tree.dot"] {
        assert!(at.join("out").join(file).exists(), "{file}");
    }
    let dot = std::fs::read_to_string(at.join("out/tree.dot")).unwrap();
    assert!(dot.matches(" -> ").count() == 3, "{dot}");
}

#[test]
fn lineage_refuses_what_it_cannot_compare() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    network(at, "a.safetensors", 1, &[0]);
    std::fs::write(at.join("b.safetensors"), b"nothing").unwrap();
    let mut other = Tensors::new();
    other.insert("x.weight", &[3, 9], vec![1.0_f32; 27]).unwrap();
    other.insert("y.weight", &[2, 3], vec![1.0_f32; 6]).unwrap();
    std::fs::write(at.join("c.safetensors"), other.encode().unwrap()).unwrap();
    std::fs::write(at.join("d.pt"), b"PK").unwrap();
    let cases = [
        (&["lineage", "a.safetensors"][..], 2),
        (&["lineage", "a.safetensors", "none.safetensors"], 3),
        (&["lineage", "a.safetensors", "b.safetensors"], 3),
        (&["lineage", "a.safetensors", "d.pt"], 3),
        (&["lineage", "a.safetensors", "c.safetensors"], 7),
        (&["lineage", "a.safetensors", "a.safetensors", "--level", "2"], 2),
    ];
    for (arguments, code) in cases {
        let output = harness(at, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn outputs_alone_need_siblings() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (i, name) in ["a", "b", "s0", "s1", "s2", "s3", "s4"].iter().enumerate() {
        // b is a with a little noise; the siblings agree with neither.
        embeddings(
            at,
            &format!("{name}.npy"),
            if *name == "b" { 0 } else { i as u64 },
            if *name == "b" { 0.1 } else { 0.0 },
        );
    }
    let alone = harness(at, &["lineage", "a.npy", "b.npy"]);
    assert_eq!(alone.status.code(), Some(8));
    let with = ["lineage", "a.npy", "b.npy", "--json", "--siblings", "s0.npy", "s1.npy", "s2.npy", "s3.npy", "s4.npy"];
    let found = json(&harness(at, &with));
    assert_eq!((found["verdict"].as_str(), found["method"].as_str()), (Some("related"), Some("outputs")));
    assert!((found["p_value"].as_f64().unwrap() - 1.0 / 21.0).abs() < 1e-12);
    // A sibling decides no more alike than siblings do: that does not make it independent.
    let with = ["lineage", "a.npy", "s0.npy", "--siblings", "s1.npy", "s2.npy", "s3.npy", "s4.npy", "b.npy", "s5.npy"];
    embeddings(at, "s5.npy", 17, 0.0);
    let other = harness(at, &with);
    assert_eq!(other.status.code(), Some(8), "{}", String::from_utf8_lossy(&other.stderr));
    assert!(String::from_utf8_lossy(&other.stdout).starts_with("undecided"));
}

#[test]
fn microscope_says_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    embeddings(at, "a.npy", 1, 0.0);
    embeddings(at, "b.npy", 2, 2.5);
    embeddings(at, "c.npy", 3, 0.0);
    let labels: String = (0..80).map(|i| if i % 2 == 0 { "even\n" } else { "odd\n" }).collect();
    std::fs::write(at.join("l.txt"), labels).unwrap();
    let quick = ["--permutations", "199", "--json"];
    let arguments =
        [&["microscope", "a.npy", "b.npy", "--labels", "l.txt", "l.txt", "--out", "out"][..], &quick].concat();
    let found = json(&harness(at, &arguments));
    keys(&found, &["schema", "sets", "p_value", "classifier", "differs_at_least", "clusters", "components"]);
    keys(&found["classifier"], &["accuracy", "low", "high", "e_value"]);
    keys(&found["sets"][0], &["name", "n"]);
    keys(&found["clusters"], &["adjusted_rand"]);
    assert_eq!(
        (found["schema"].as_str(), found["verdict"].as_str()),
        (Some("harness.microscope/1"), Some("different"))
    );
    assert!(found["differs_at_least"].as_f64().unwrap() > 0.2);
    for file in ["microscope.md", "microscope.html", "microscope.json", "places.svg", "scores.svg"] {
        assert!(at.join("out").join(file).exists(), "{file}");
    }
    let same = json(&harness(at, &[&["microscope", "a.npy", "c.npy"][..], &quick].concat()));
    assert_eq!((same["verdict"].as_str(), same["differs_at_least"].as_f64()), (Some("no difference found"), Some(0.0)));
    let three = json(&harness(at, &[&["microscope", "a.npy", "b.npy", "c.npy"][..], &quick].concat()));
    assert_eq!(three["pairs"].as_array().unwrap().len(), 3);
    let aligned = [&["microscope", "a.npy", "b.npy", "--pairs", "--align", "map.safetensors"][..], &quick].concat();
    let aligned = json(&harness(at, &aligned));
    assert!(at.join("map.safetensors").exists() && aligned["alignments"][0]["after"].is_number());
    let huge = [f32::MAX, -f32::MAX].repeat(240);
    write_npy(&at.join("huge.npy"), ArrayView { shape: &[80, 6], values: Slice::F32(&huge) }).unwrap();
    write_npy(&at.join("narrow.npy"), ArrayView { shape: &[10, 2], values: Slice::F32(&[0.5; 20]) }).unwrap();
    let cases = [
        (&["microscope", "a.npy"][..], 2),
        (&["microscope", "a.npy", "none.npy"], 3),
        (&["microscope", "a.npy", "narrow.npy"], 7),
        (&["microscope", "a.npy", "b.npy", "--align", "m.safetensors"], 2),
        (&["microscope", "a.npy", "b.npy", "--pairs", "--align", "m.npy"], 2),
        (&["microscope", "a.npy", "huge.npy"], 3),
        (&["microscope", "a.npy", "b.npy", "--labels", "l.txt"], 2),
    ];
    for (arguments, code) in cases {
        let output = harness(at, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_sweep_is_its_own_microscope() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/digits.toml");
    let run = ["run", config.to_str().unwrap(), "--out", "s", "--quiet", "--runs", "3", "--set", "train.epochs=2"];
    let more = ["--set", "record.checkpoints=[1,2]", "--set", "record.weights=true"];
    let done = harness(at, &[&run[..], &more].concat());
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(harness(at, &["embed", "s", "--out", "last.npz"]).status.success());
    assert!(harness(at, &["embed", "s", "--epoch", "1", "--out", "first.npz"]).status.success());
    assert!(harness(at, &["embed", "s", "--run", "0", "--out", "one.npz"]).status.success());
    let report = ["report", "s", "--report", "r", "--embeddings", "last.npz", "first.npz"];
    assert!(harness(at, &report).status.success());
    let text = std::fs::read_to_string(at.join("r/report.md")).unwrap();
    let section = text.split("## Representations").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).collect();
    // Two checkpoints, three runs, five examples of the run that is least like the others; a head each, and its line.
    assert_eq!(rows.len(), 2 + 3 + 5 + 2 * 3, "{section}");
    assert!(
        rows[2].starts_with("| 1 | ") && rows[3].starts_with("| 2 | ") && rows[3].ends_with(" 1.000 |"),
        "{section}"
    );
    let without = harness(at, &["report", "s", "--report", "r"]);
    assert!(without.status.success());
    assert!(!std::fs::read_to_string(at.join("r/report.md")).unwrap().contains("## Representations"));
    embeddings(at, "a.npy", 1, 0.0);
    for (file, code) in [("one.npz", 3), ("a.npy", 3), ("none.npz", 3)] {
        let output = harness(at, &["report", "s", "--report", "r", "--embeddings", file]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains("error: "), "{file}: {said}");
    }
}
