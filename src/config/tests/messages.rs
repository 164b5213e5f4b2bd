//! What a user is told, word by word.

use super::*;
use crate::model::zoo::{Architecture, Cnn, Start};

/// The lines of the message about `SMALL` and more.
fn told(more: &str) -> Vec<String> {
    lines(small(more))
}

/// The lines of the message about a whole file.
fn told_of(text: &str) -> Vec<String> {
    lines(load_text(text))
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest() {
    for (more, message) in [
        ("[train]\nepoch = 5\n", "x.toml:7: unknown key \"train.epoch\"; did you mean \"train.epochs\"?"),
        ("[train]\nepcohs = 5\n", "x.toml:7: unknown key \"train.epcohs\"; did you mean \"train.epochs\"?"),
        ("[train]\nbatch = 5\n", "x.toml:7: unknown key \"train.batch\"; did you mean \"train.batch_size\"?"),
        ("[train]\nruns = 5\n", "x.toml:7: unknown key \"train.runs\"; did you mean \"sweep.runs\"?"),
        ("[train]\noptimiser = {}\n", "x.toml:7: unknown key \"train.optimiser\"; did you mean \"train.optimizer\"?"),
        ("[trian]\nepochs = 5\n", "x.toml:6: unknown key \"trian\"; did you mean \"train\"?"),
        ("epochs = 5\n", "x.toml:6: unknown key \"model.epochs\"; did you mean \"train.epochs\"?"),
        (
            "[train]\n\n# a comment\nlr = 5\n",
            "x.toml:9: unknown key \"train.lr\"; train has the keys epochs, batch_size, optimizer, decay, schedule, label_smoothing, backend, freeze, rates and stall",
        ),
        (
            "[colour]\n",
            "x.toml:6: unknown key \"colour\"; an experiment has the keys name, data, model, train, sweep, record, analysis and flags",
        ),
        (
            "depth = 20\n",
            "x.toml:6: unknown key \"model.depth\" for model.kind = \"mlp\"; it belongs to \"resnet\", \"vit\" and \"mlp-mixer\"",
        ),
        (
            "[train.schedule]\nrate = 1\n",
            "x.toml:7: unknown key \"train.schedule.rate\" for train.schedule.kind = \"one-cycle\"; it belongs to \"constant\", \"step\", \"cosine\" and \"linear\"",
        ),
        (
            "[record]\ncheckpoints = { evry = 2 }\n",
            "x.toml:7: unknown key \"record.checkpoints.evry\"; did you mean \"record.checkpoints.every\"?",
        ),
    ] {
        assert_eq!(told(more), [message]);
    }
}

#[test]
fn a_wrong_type_is_refused_with_its_line() {
    const WHOLE: &str = "x.toml:7: train.epochs takes a whole number from 1 to 1,000,000, but is";
    for (value, is) in [
        ("\"ten\"", "\"ten\""),
        ("10.0", "10.0"),
        ("true", "true"),
        ("[1]", "a list"),
        ("{ a = 1 }", "a table"),
        ("1979-05-27", "1979-05-27"),
        ("-1", "-1"),
        ("0", "0"),
        ("1000001", "1000001"),
        ("9223372036854775808", "9223372036854775808"),
        ("inf", "inf, which is not finite"),
    ] {
        assert_eq!(told(&format!("[train]\nepochs = {value}\n")), [format!("{WHOLE} {is}")]);
    }
    for (more, message) in [
        (
            "[train]\noptimizer = \"adam\"\n",
            "x.toml:7: train.optimizer takes a table whose key kind is \"sgd\", \"adam\" or \"adamw\", but is \"adam\"; write train.optimizer.kind = \"adam\"",
        ),
        (
            "[train.optimizer]\nkind = \"adm\"\n",
            "x.toml:7: train.optimizer.kind takes \"sgd\", \"adam\" or \"adamw\", but is \"adm\"; did you mean \"adam\"?",
        ),
        (
            "[train.optimizer]\nkind = 1\n",
            "x.toml:7: train.optimizer.kind takes \"sgd\", \"adam\" or \"adamw\", but is 1",
        ),
        (
            "[sweep]\nvary = [\n  \"init\",\n  \"ordre\",\n]\n",
            "x.toml:9: entry 2 of sweep.vary takes \"init\", \"order\", \"augment\", \"dropout\", \"data\", \"rounding\" or \"bit\", but is \"ordre\"; did you mean \"order\"?",
        ),
        (
            "[record]\ncheckpoints = 5\n",
            "x.toml:7: record.checkpoints takes a list of whole numbers from 0 to 1,000,000, or { every = … }, but is 5",
        ),
        (
            "[record]\nkernel = true\n",
            "x.toml:7: record.kernel takes a table with the keys kinds and probes, but is true",
        ),
        ("[record]\nweights = 1\n", "x.toml:7: record.weights takes true or false, but is 1"),
        ("[[flags]]\n", "x.toml:6: flags takes a table with the keys alpha, false_alarm and outlier, but is a list"),
    ] {
        assert_eq!(told(more), [message]);
    }
}

#[test]
fn every_range_is_kept() {
    for (key, value, takes) in [
        ("train.batch_size", "0", "a whole number from 1 to 1,000,000"),
        ("sweep.runs", "0", "a whole number from 1 to 100,000"),
        ("sweep.seed", "-1", "a whole number from 0 to 9,223,372,036,854,775,807"),
        ("train.label_smoothing", "1", "a number in [0, 1)"),
        ("train.optimizer.momentum", "1.0", "a number in [0, 1)"),
        ("train.optimizer.weight_decay", "-0.1", "a number of at least 0"),
        ("train.schedule.peak", "-1", "a number of at least 0"),
        ("train.schedule.warmup", "1.0", "a number in [0, 1)"),
        ("model.dropout", "1.0", "a number in [0, 1)"),
        ("model.dropout", "-0.1", "a number in [0, 1)"),
        ("analysis.epsilon", "0", "a number in (0, 1)"),
        ("analysis.epsilon", "1", "a number in (0, 1)"),
        ("analysis.bootstraps", "0", "a whole number from 1 to 1,000,000"),
        ("analysis.clip", "0", "a number above 0"),
        ("flags.alpha", "1", "a number in [0, 1)"),
        ("flags.outlier", "0", "a number above 0"),
        ("record.checkpoints.every", "0", "a whole number from 1 to 1,000,000"),
        ("record.kernel.probes", "1", "a whole number from 2 to 100,000"),
        ("data.train_limit", "0", "a whole number from 1 to 1,000,000,000,000"),
    ] {
        let set = format!("{key}={value}");
        assert_eq!(told_with(&[&set]), [format!("--set {set}: {key} takes {takes}, but is {value}")]);
    }
    for (key, value, is) in [("train.schedule.peak", "nan", "NaN"), ("analysis.epsilon", "1e999", "inf")] {
        let message = &told_with(&[&format!("{key}={value}")])[0];
        assert!(message.ends_with(&format!("but is {is}, which is not finite")), "{message}");
    }
    assert_eq!(
        told("widths = [1, 0, 2000000]\n"),
        [
            "x.toml:6: entry 2 of model.widths takes a whole number from 1 to 1,000,000, but is 0",
            "x.toml:6: entry 3 of model.widths takes a whole number from 1 to 1,000,000, but is 2000000",
        ]
    );
    for (classes, message) in [
        ("[]", "data.classes takes at least 2 entries, but is empty"),
        ("[1]", "data.classes takes at least 2 entries, but has 1"),
        ("[1, 2, 1]", "data.classes names 1 more than once"),
    ] {
        let set = format!("data.classes={classes}");
        assert_eq!(told_with(&[&set]), [format!("--set {set}: {message}")]);
    }
    assert_eq!(told_with(&["sweep.vary=[\"init\",\"init\"]"]).len(), 1);
    assert_eq!(
        told_with(&["record.kernel.kinds=[]"]),
        ["--set record.kernel.kinds=[]: record.kernel.kinds takes at least 1 entry, but is empty"]
    );
    for name in ["../x", ".x", "-x", "a b", "a/b", "é", ""] {
        assert!(told_with(&[&format!("name=\"{name}\"")])[0].contains("name takes a name of at most 100 letters"));
    }
    assert!(told_with(&[&format!("name={}", "a".repeat(101))])[0].ends_with("…\""));
}

#[test]
fn combinations_that_make_no_sense_are_refused() {
    for (sets, message) in [
        (
            vec!["data.path=here"],
            "--set data.path=here: data.path is given, but the data set digits is embedded in the program; leave data.path out",
        ),
        (
            vec!["data.dataset=mnist"],
            "--set data.dataset=mnist: data.path is missing; the data set mnist needs the folder of its files",
        ),
        (
            vec!["data.dataset=npz"],
            "--set data.dataset=npz: data.path is missing; the data set npz needs the path of its file",
        ),
        (
            vec!["record.checkpoints=[0,10,11]"],
            "--set record.checkpoints=[0,10,11]: record.checkpoints names epoch 11, but training ends after epoch 10 (train.epochs)",
        ),
        (
            vec!["record.checkpoints=[5,6,7,8,9,10]", "train.epochs=4"],
            "--set record.checkpoints=[5,6,7,8,9,10]: record.checkpoints names 6 epochs from 5 on, but training ends after epoch 4 (train.epochs)",
        ),
        (
            vec!["train.optimizer.nesterov=true", "train.optimizer.momentum=0"],
            "--set train.optimizer.nesterov=true: train.optimizer.nesterov needs a momentum above 0, but train.optimizer.momentum is 0",
        ),
        (
            vec!["train.schedule={kind=\"step\",rate=1,at=[9,10,20]}"],
            "--set train.schedule={kind=\"step\",rate=1,at=[9,10,20]}: train.schedule.at names epochs 10 and 20, which has no effect: training ends after epoch 10 (train.epochs)",
        ),
        (
            vec!["model.kind=resnet", "model.depth=21"],
            "--set model.depth=21: model.depth takes 6n + 2 layers, but is 21; the nearest are 20 or 26",
        ),
        (
            vec!["model.kind=cnn", "model.kernel=4"],
            "--set model.kernel=4: model.kernel takes an odd whole number from 1 to 63, but is 4",
        ),
        (
            vec!["train.schedule.kind=constant"],
            "--set train.schedule.kind=constant: the key \"train.schedule.rate\" is missing, which kind = \"constant\" needs; it takes a number of at least 0",
        ),
    ] {
        assert_eq!(told_with(&sets), [message]);
    }
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn a_backend_that_was_not_built_names_its_feature() {
    assert_eq!(
        told("[train]\nbackend = \"wgpu\"\n"),
        [
            "x.toml:7: train.backend is \"wgpu\", which this program was built without; build it with cargo build --release --features wgpu"
        ]
    );
}

#[cfg(not(feature = "ndarray"))]
#[test]
fn an_older_backend_that_was_not_built_names_its_feature() {
    assert!(told_with(&["train.backend=ndarray"])[0].ends_with("cargo build --release --features ndarray"));
}

#[test]
fn all_problems_are_told_in_the_order_of_the_layers() {
    let text = "data = { dataset = \"cifar10\", classes = [1, 12] }\nname = \"a b\"\n[train]\nepochs = 0\nlr = 1\n\
                [sweep]\nruns = 0\n[model]\nkind = \"cnn\"\nkernel = 4\n";
    let env = [("HARNESS_FLAGS__ALPHA", "2"), ("HARNESS_RECORD__KERNEL__PROBE", "3")];
    let told = lines(load_bytes(text.as_bytes(), &env, &["sweep.vary=[\"bits\"]", "analysis.epsilon=2"]));
    let starts = [
        "x.toml:1: data.path is missing",
        "x.toml:1: data.classes names 12",
        "x.toml:2: name takes",
        "x.toml:4: train.epochs takes",
        "x.toml:5: unknown key \"train.lr\"",
        "x.toml:7: sweep.runs takes",
        "x.toml:10: model.kernel takes",
        "HARNESS_FLAGS__ALPHA: flags.alpha takes",
        "HARNESS_RECORD__KERNEL__PROBE: unknown key",
        "--set sweep.vary=[\"bits\"]: entry 1 of sweep.vary takes",
        "--set analysis.epsilon=2: analysis.epsilon takes",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (line, start) in told.iter().zip(starts) {
        assert!(line.starts_with(start), "{line} is not {start}");
    }
}

#[test]
fn what_only_follows_from_another_problem_is_not_told() {
    // With the default of 10 epochs, checkpoint 20 would be too late.
    for train in ["[train]\nepoch = 20\n", "[trian]\nepochs = 20\n", "[train]\nepochs = \"20\"\n", "train = 20\n"] {
        let root = format!("{train}[record]\ncheckpoints = [20]\n");
        let text = if train.starts_with('[') {
            format!("{SMALL}{root}")
        } else {
            format!("{train}{SMALL}[record]\ncheckpoints = [20]\n")
        };
        assert_eq!(told_of(&text).len(), 1, "{text}");
    }
    let path = "name = \"x\"\ndata = { dataset = \"mnist\", path = 5 }\nmodel = { kind = \"mlp\" }\n";
    assert_eq!(told_of(path), ["x.toml:2: data.path takes a path, but is 5"]);
    assert_eq!(
        lines(load_bytes(SMALL.as_bytes(), &[("HARNESS_TRAIN__EPOCHS", "[20")], &["record.checkpoints=[20]"])).len(),
        1
    );
}

#[test]
fn missing_keys_are_named_with_what_they_take() {
    let told = told_of("");
    assert_eq!(told.len(), 3);
    assert!(told[0].starts_with("x.toml: the key \"name\" is missing; it takes a name"));
    assert!(told[1].starts_with("x.toml: the key \"data\" is missing; it takes a table with the keys dataset, path,"));
    assert_eq!(
        told[2],
        "x.toml: the key \"model\" is missing; it takes a table whose key kind is \"mlp\", \"cnn\", \"resnet\", \"densenet\", \"vit\", \"mlp-mixer\", \"mobilenet\", \"text\" or \"layers\""
    );
    assert_eq!(
        told_of("name = \"x\"\n[data]\n[model]\nwidths = [3]\n"),
        [
            "x.toml:2: the key \"data.dataset\" is missing; it takes \"digits\", \"mnist\", \"fashion-mnist\", \"cifar10\" or \"npz\"",
            "x.toml:3: the key \"model.kind\" is missing; it takes \"mlp\", \"cnn\", \"resnet\", \"densenet\", \"vit\", \"mlp-mixer\", \"mobilenet\", \"text\" or \"layers\"",
        ]
    );
}

#[test]
fn what_is_not_toml_gets_one_sentence_with_a_line() {
    for (text, message) in [
        ("\nname = \"x\nb = 2\n", "x.toml:2: this is not TOML: invalid basic string, expected `\"`"),
        ("name = x\n", "x.toml:1: this is not TOML: text needs quotes, at x"),
        ("a = 1\nvary = [init]\n", "x.toml:2: this is not TOML: text needs quotes, at init]"),
        ("a =\n", "x.toml:1: this is not TOML: a value is missing"),
        ("a = 1\na = 2\n", "x.toml:2: this is not TOML: duplicate key, at a = 2"),
        ("[a\n", "x.toml:1: this is not TOML: unclosed table, expected `]`"),
        ("a = 01\n", "x.toml:1: this is not TOML: unexpected leading zero, at 01"),
    ] {
        assert_eq!(told_of(text), [message]);
    }
    let deep = format!("a = {}", "[".repeat(10_000));
    assert_eq!(told_of(&deep).len(), 1);
    assert_eq!(
        told_with(&["sweep.vary=[init]"]),
        ["--set sweep.vary=[init]: this is not a TOML value: text needs quotes, at init]"]
    );
}

#[test]
fn a_malformed_argument_is_a_usage_error() {
    for argument in ["train.epochs", "=5", "train..epochs=5", ".epochs=5", "tr ain=5", "\"train\"=5"] {
        match small_with(&[argument]) {
            Err(Error::Usage(text)) => assert!(text.contains("write --set key=value"), "{text}"),
            other => panic!("{argument}: {other:?}"),
        }
    }
}

#[test]
fn a_malformed_variable_is_named() {
    let told = lines(load_bytes(SMALL.as_bytes(), &[("HARNESS_TRAIN____EPOCHS", "1")], &[]));
    assert_eq!(
        told,
        [
            "HARNESS_TRAIN____EPOCHS: the name has an empty key; write one double underscore between keys, as in HARNESS_TRAIN__EPOCHS"
        ]
    );
}

#[test]
fn a_message_stays_readable_however_much_is_wrong() {
    let many: String = (0..5_000).map(|key| format!("k{key} = 1\n")).collect();
    let told = told_of(&many);
    assert_eq!(told.len(), 51);
    assert_eq!(told[50], "… and 4953 more");
    let long = told_with(&[&format!("train.backend={}", "x\n".repeat(1_000))]);
    assert_eq!(long.len(), 1);
    assert!(long[0].len() < 300, "{}", long[0]);
}

#[test]
fn validation_of_made_experiments_says_the_same() {
    let mut experiment = load_text(SMALL).unwrap();
    assert_eq!(validate(&experiment), Ok(()));
    experiment.sweep.runs = 0;
    experiment.sweep.seed = u64::MAX;
    experiment.train.optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: true, weight_decay: f64::INFINITY };
    experiment.record.checkpoints = Checkpoints::At(vec![usize::MAX]);
    experiment.model = Model {
        architecture: Architecture::Cnn(Cnn {
            channels: vec![usize::MAX; 3],
            kernel: usize::MAX,
            pool: 0,
            batch_norm: true,
            hidden: Some(vec![usize::MAX]),
            activation: Activation::Relu,
            dropout: 0.0,
        }),
        start: Start::default(),
    };
    let told = lines(validate(&experiment).map(|()| experiment));
    for key in [
        "sweep.runs",
        "sweep.seed",
        "train.optimizer.nesterov",
        "record.checkpoints",
        "model.channels",
        "model.kernel",
        "model.pool",
        "model.hidden",
    ] {
        assert!(told.iter().any(|line| line.contains(key)), "{key} is not in {told:#?}");
    }
}

#[test]
fn a_program_can_ask_what_is_wrong_and_where() {
    let error = load_bytes_as_they_are(format!("{SMALL}[train]\nepochs = 0\n").as_bytes()).unwrap_err();
    let Error::Caused { source, .. } = &error else { panic!("{error:?}") };
    let problems = source.downcast_ref::<crate::keys::problem::Problems>().unwrap();
    assert_eq!(problems.list.len(), 1);
    assert_eq!(problems.list[0].keys, ["train.epochs"]);
    assert_eq!(problems.list[0].origin, Some(crate::keys::node::Origin::Line(7)));
}
