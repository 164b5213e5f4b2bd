//! Defaults, file, environment, arguments.

use super::*;

fn env(variables: &[(&str, &str)], sets: &[&str]) -> Experiment {
    load_bytes(SMALL.as_bytes(), variables, sets).unwrap()
}

#[test]
fn each_layer_goes_over_the_one_before() {
    let file = format!("{SMALL}[train]\nepochs = 4\n");
    let variable: &[_] = &[("HARNESS_TRAIN__EPOCHS", "5")];
    let epochs = |text: &str, env, sets| load_bytes(text.as_bytes(), env, sets).unwrap().train.epochs;
    assert_eq!(epochs(SMALL, &[], &[]), 10);
    assert_eq!(epochs(&file, &[], &[]), 4);
    assert_eq!(epochs(&file, variable, &[]), 5);
    assert_eq!(epochs(&file, variable, &["train.epochs=6"]), 6);
    assert_eq!(epochs(&file, variable, &["train.epochs=6", "train.epochs=7"]), 7);
}

#[test]
fn values_are_toml_and_else_text() {
    let loaded = small_with(&[
        "train.optimizer.nesterov=true",
        "train.label_smoothing=1e-1",
        "train.batch_size=0x10",
        "sweep.vary=[\"bit\"]",
        "model.activation=tanh",
        "model.widths = [1_000, 2]",
        "data.augment={flip=true}",
        "data.augment.crop=2",
        "record.checkpoints.every=5",
        "record.kernel.probes=64",
        "name=\"quoted\"",
    ])
    .unwrap();
    assert_eq!(loaded.train.optimizer, Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 });
    assert_eq!((loaded.train.label_smoothing, loaded.train.batch_size), (0.1, 16));
    assert_eq!(loaded.sweep.vary, vec![Stream::Bit]);
    assert_eq!(loaded.model, Model::parse("kind = 'mlp', widths = [1000, 2], activation = 'tanh'"));
    assert_eq!(loaded.data.augment, Augment { flip: true, crop: 2, cutout: 0 });
    assert_eq!(loaded.record.checkpoints, Checkpoints::Every { every: 5 });
    assert_eq!(loaded.record.kernel, Some(Kernel { kinds: vec![KernelKind::Trace], probes: 64 }));
    assert_eq!(loaded.name, "quoted");
}

#[test]
fn names_and_paths_are_text_whatever_they_look_like() {
    for name in ["10", "1e5", "true", "2024-01-01", "1_000"] {
        assert_eq!(small_with(&[&format!("name={name}")]).unwrap().name, name);
    }
    let loaded = env(&[("HARNESS_DATA__PATH", "[odd] {path}=1"), ("HARNESS_DATA__DATASET", "npz")], &[]);
    assert_eq!(loaded.data.path.unwrap().to_str(), Some("[odd] {path}=1"));
}

#[test]
fn nothing_takes_a_key_out() {
    let file = format!("{SMALL}[train]\nepochs = 4\n[record]\nkernel = {{ probes = 10 }}\n[analysis]\nclip = 15\n");
    let sets = ["train.epochs=", "record.kernel=", "analysis.clip="];
    assert_eq!(load_bytes(file.as_bytes(), &[], &sets), load_text(SMALL));
    assert_eq!(load_bytes(file.as_bytes(), &[("HARNESS_TRAIN__EPOCHS", " ")], &sets[1..]), load_text(SMALL));
    assert!(small_with(&["name="]).unwrap_err().to_string().contains("\"name\" is missing"));
    assert!(small_with(&["train.epohcs="]).unwrap_err().to_string().contains("unknown key \"train.epohcs\""));
}

#[test]
fn another_kind_drops_the_keys_of_the_old_one() {
    let file = "name = \"x\"\n[data]\ndataset = \"digits\"\n[model]\nkind = \"resnet\"\ndepth = 14\nwidth = 8\n\
                [train]\noptimizer = { kind = \"adamw\", weight_decay = 0.5 }\nschedule = { kind = \"step\", rate = 1, at = [2] }\n";
    let with = |sets: &[&str]| load_bytes(file.as_bytes(), &[], sets).unwrap();
    assert_eq!(with(&["model.kind=mlp"]).model, Model::parse("kind = 'mlp'"));
    // The order of arguments does not matter to a kind.
    assert_eq!(with(&["model.widths=[3]", "model.kind=mlp"]), with(&["model.kind=mlp", "model.widths=[3]"]));
    // A key that both kinds have goes as well: it need not mean the same.
    assert_eq!(
        with(&["train.optimizer.kind=adam"]).train.optimizer,
        Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    );
    assert_eq!(
        with(&["train.schedule={kind=\"constant\",rate=0.5}"]).train.schedule,
        Schedule::Constant { rate: 0.5, warmup: 0.0 }
    );
    // The same kind again drops nothing.
    assert_eq!(
        with(&["model.kind=resnet", "model.width=4"]).model,
        Model::parse("kind = 'resnet', depth = 14, width = 4")
    );
    // A kind from the environment, its keys from arguments.
    let mixed = load_bytes(file.as_bytes(), &[("HARNESS_MODEL__KIND", "mlp")], &["model.widths=[3]"]).unwrap();
    assert_eq!(mixed.model, Model::parse("kind = 'mlp', widths = [3]"));
}

#[test]
fn keys_without_a_kind_belong_to_the_default_kind() {
    let loaded = small("[train]\noptimizer = { momentum = 0.5 }\nschedule = { peak = 0.2 }\n").unwrap();
    assert_eq!(loaded.train.optimizer, Optimizer::Sgd { momentum: 0.5, nesterov: false, weight_decay: 0.0 });
    assert_eq!(loaded.train.schedule, Schedule::OneCycle { peak: 0.2, warmup: 0.3, anneal: None, end: None });
    let over = format!("{SMALL}[train.optimizer]\nmomentum = 0.5\n");
    let changed = load_bytes(over.as_bytes(), &[], &["train.optimizer.kind=adam"]).unwrap();
    assert!(matches!(changed.train.optimizer, Optimizer::Adam { .. }));
    let kept = load_bytes(over.as_bytes(), &[], &["train.optimizer.kind=sgd"]).unwrap();
    assert_eq!(kept.train.optimizer, Optimizer::Sgd { momentum: 0.5, nesterov: false, weight_decay: 0.0 });
}

#[test]
fn a_list_and_a_table_replace_each_other() {
    let listed = format!("{SMALL}[record]\ncheckpoints = [0, 3]\n");
    let every = format!("{SMALL}[record]\ncheckpoints = {{ every = 3 }}\n");
    let load = |text: &str, set: &str| load_bytes(text.as_bytes(), &[], &[set]).unwrap().record.checkpoints;
    assert_eq!(load(&listed, "record.checkpoints.every=2"), Checkpoints::Every { every: 2 });
    assert_eq!(load(&every, "record.checkpoints=[1]"), Checkpoints::At(vec![1]));
}

#[test]
fn only_variables_that_can_be_keys_count() {
    let others: &[_] = &[
        ("HARNESS_JOBS", "many"),
        ("HARNESS", "x"),
        ("HOME", "/root"),
        ("HARNESS_TRAIN", "5"),
        ("TRAIN__EPOCHS", "3"),
    ];
    assert_eq!(env(others, &[]), load_text(SMALL).unwrap());
    assert_eq!(env(&[("HARNESS_NAME", "y")], &[]).name, "y");
    assert_eq!(env(&[("HARNESS_DATA__AUGMENT__CROP", "3")], &[]).data.augment.crop, 3);
}

#[test]
fn the_order_of_variables_does_not_matter() {
    let mut variables =
        vec![("HARNESS_TRAIN__OPTIMIZER__BETA1", "0.5"), ("HARNESS_TRAIN__OPTIMIZER", "{kind=\"adam\"}")];
    let one = env(&variables, &[]);
    variables.reverse();
    assert_eq!(one, env(&variables, &[]));
    assert_eq!(one.train.optimizer, Optimizer::Adam { beta1: 0.5, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 });
}
