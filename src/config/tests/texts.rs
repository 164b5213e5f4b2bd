//! The resolved file, hashes, differences, checkpoints.

use super::*;

fn full() -> Experiment {
    load_text(
        "name = \"full\"\n[data]\ndataset = \"cifar10\"\npath = \"a \\\"b\\\"\\\\c\\u007f\"\nclasses = [3, 5]\ntrain_limit = 100\neval_limit = 50\n\
         [model]\nkind = \"cnn\"\n[train]\noptimizer = { kind = \"adamw\" }\nschedule = { kind = \"step\", rate = 0.1, at = [2, 4] }\n\
         [record]\ncheckpoints = [4, 2]\nkernel = { kinds = [\"pseudo\", \"trace\"], probes = 10 }\n[analysis]\nclip = 15\n",
    )
    .unwrap()
}

/// Pins order and format: a change here changes the names of all sweeps.
#[test]
fn the_resolved_file_has_every_key_in_one_format() {
    let expected = r#"name = "full"

[data]
dataset = "cifar10"
path = "a \"b\"\\c\u007F"
classes = [3, 5]
train_limit = 100
eval_limit = 50
seed = 0
augment = { flip = false, crop = 0, cutout = 0 }

[model]
kind = "cnn"
channels = [32, 64]
kernel = 3
pool = 2
batch_norm = false
activation = "relu"
dropout = 0.0

[train]
epochs = 10
batch_size = 128
optimizer = { kind = "adamw", beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01 }
schedule = { kind = "step", rate = 0.1, at = [2, 4], factor = 0.1, warmup = 0.0 }
label_smoothing = 0.0
backend = "flex"

[sweep]
runs = 10
seed = 0
vary = ["init", "order", "augment", "dropout"]

[record]
checkpoints = [4, 2]
kernel = { kinds = ["pseudo", "trace"], probes = 10 }
weights = false
spectra = false

[analysis]
reference = "leave-one-out"
epsilon = 0.01
bootstraps = 100
clip = 15.0
literal = false
seed = 0

[flags]
alpha = 0.1
false_alarm = 0.05
"#;
    // Keys may join.
    let text = full().to_toml();
    let mut lines = text.lines();
    for line in expected.lines() {
        assert!(lines.any(|found| found == line), "{line} is not where it was in\n{text}");
    }
    assert_eq!(load_text(expected), Ok(full()));
    assert_eq!(full().hash(), blake3::hash(text.as_bytes()).to_hex().to_string());
}

/// A key, whether changing it makes finished runs worthless, and a change of it.
type Change = (&'static str, bool, fn(&mut Experiment));

fn changes() -> Vec<Change> {
    vec![
        ("name", false, |e| e.name = "other".to_owned()),
        ("sweep.runs", false, |e| e.sweep.runs = 20),
        ("analysis.epsilon", false, |e| e.analysis.epsilon = 0.05),
        ("analysis.clip", false, |e| e.analysis.clip = None),
        ("flags.outlier", false, |e| e.flags.outlier = Some(4.0)),
        ("sweep.vary", false, |e| e.sweep.vary.reverse()),
        ("record.checkpoints", false, |e| e.record.checkpoints = Checkpoints::At(vec![2, 4, 10])),
        ("record.kernel.kinds", false, |e| {
            e.record.kernel = Some(Kernel { kinds: vec![KernelKind::Trace, KernelKind::Pseudo], probes: 10 });
        }),
        ("sweep.vary", true, |e| e.sweep.vary.truncate(1)),
        ("record.checkpoints", true, |e| e.record.checkpoints = Checkpoints::At(vec![2])),
        ("record.weights", true, |e| e.record.weights = true),
        ("record.spectra", true, |e| e.record.spectra = true),
        ("sweep.seed", true, |e| e.sweep.seed = 1),
        ("data.seed", true, |e| e.data.seed = 1),
        ("data.classes", true, |e| e.data.classes = Some(vec![5, 3])),
        ("data.train_limit", true, |e| e.data.train_limit = None),
        ("train.batch_size", true, |e| e.train.batch_size = 64),
        ("train.backend", true, |e| e.train.backend = Backend::Wgpu),
        ("train.label_smoothing", true, |e| e.train.label_smoothing = 0.1),
        ("train.stall", false, |e| e.train.stall = Some(60)),
    ]
}

#[test]
fn hashes_tell_what_changed_and_what_must_be_trained_again() {
    let old = full();
    assert_eq!(diff(&old, &old), vec![]);
    for (key, training, change) in changes() {
        let mut new = old.clone();
        change(&mut new);
        assert_ne!(old.hash(), new.hash(), "{key}");
        assert_eq!(old.training_hash() != new.training_hash(), training, "{key}");
        let differences = diff(&old, &new);
        let found: Vec<_> =
            differences.iter().map(|difference| (difference.key.as_str(), difference.training)).collect();
        assert_eq!(found, vec![(key, training)]);
    }
}

#[test]
fn a_difference_has_both_values_in_toml() {
    let old = full();
    let mut new = old.clone();
    new.model = Model::parse("kind = 'resnet', depth = 8, width = 4");
    new.record.kernel = None;
    new.name = "new".to_owned();
    new.record.checkpoints = Checkpoints::Every { every: 2 };
    let shown: Vec<String> = diff(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "name: \"full\" -> \"new\"",
            "model.kind: \"cnn\" -> \"resnet\"",
            "model.depth: nothing -> 8",
            "model.width: nothing -> 4",
            "model.channels: [32, 64] -> nothing",
            "model.kernel: 3 -> nothing",
            "model.pool: 2 -> nothing",
            "model.batch_norm: false -> nothing",
            "model.activation: \"relu\" -> nothing",
            "model.dropout: 0.0 -> nothing",
            "record.checkpoints.every: nothing -> 2",
            "record.checkpoints: [4, 2] -> nothing",
            "record.kernel.kinds: [\"pseudo\", \"trace\"] -> nothing",
            "record.kernel.probes: 10 -> nothing",
        ]
    );
}

#[test]
fn checkpoints_are_ascending_and_end_with_the_last_epoch() {
    let epochs =
        |checkpoints: &str| small(&format!("[record]\ncheckpoints = {checkpoints}\n")).unwrap().checkpoint_epochs();
    assert_eq!(epochs("[]"), [10]);
    assert_eq!(epochs("[0]"), [0, 10]);
    assert_eq!(epochs("[10, 3, 0, 3]"), [0, 3, 10]);
    assert_eq!(epochs("{ every = 5 }"), [0, 5, 10]);
    assert_eq!(epochs("{ every = 4 }"), [0, 4, 8, 10]);
    assert_eq!(epochs("{ every = 99 }"), [0, 10]);
}

#[test]
fn code_that_skips_validation_gets_sensible_checkpoints_and_text() {
    let mut odd = full();
    odd.record.checkpoints = Checkpoints::Every { every: 0 };
    assert_eq!(odd.checkpoint_epochs(), (0..=10).collect::<Vec<_>>());
    odd.record.checkpoints = Checkpoints::At(vec![99]);
    assert_eq!(odd.checkpoint_epochs(), [10]);
    odd.train.label_smoothing = f64::NAN;
    assert!(odd.to_toml().contains("label_smoothing = nan\n"));
    let error = validate(&odd).unwrap_err().to_string();
    assert!(error.contains("train.label_smoothing takes a number in [0, 1), but is NaN"), "{error}");
}
