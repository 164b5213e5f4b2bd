//! The ready experiments, and files that are none.

use super::*;

fn ready(name: &str) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
    load(&path, std::iter::empty(), &[]).unwrap()
}

#[test]
fn every_ready_experiment_loads_and_is_named_after_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in &names {
        assert_eq!(format!("{}.toml", ready(name).name), *name);
    }
    for expected in ["cifar.toml", "cifar2.toml", "digits.toml", "fashion.toml"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is missing");
    }
}

#[test]
fn the_quick_start_records_kernels_at_three_checkpoints_at_least() {
    let digits = ready("digits.toml");
    assert_eq!(digits.sweep.runs, 10);
    assert!(digits.checkpoint_epochs().len() >= 3);
    assert!(digits.record.kernel.is_some());
}

#[test]
fn cifar2_is_the_published_setting() {
    let cifar2 = ready("cifar2.toml");
    assert_eq!(cifar2.data.classes, Some(vec![0, 1]));
    assert_eq!(cifar2.train.epochs, 50);
    assert_eq!(cifar2.train.batch_size, 32);
    assert_eq!(cifar2.train.schedule, Schedule::Constant { rate: 1e-3, warmup: 0.0 });
    assert_eq!(cifar2.train.optimizer, Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 });
}

#[test]
fn ready_experiments_can_be_cut_to_one_epoch() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for name in ["cifar.toml", "cifar2.toml", "digits.toml", "fashion.toml"] {
        let sets = ["sweep.runs=2".to_owned(), "train.epochs=1".to_owned()];
        let cut = load(&folder.join(name), std::iter::empty(), &sets).unwrap();
        assert_eq!((cut.sweep.runs, cut.checkpoint_epochs()), (2, vec![0, 1]));
    }
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    for path in ["no/such/file.toml", env!("CARGO_MANIFEST_DIR")] {
        let error = load(Path::new(path), std::iter::empty(), &[]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot read the experiment {path}: ")), "{error}");
        assert_eq!(error.exit_code(), crate::error::exit::INVALID);
    }
}

#[test]
fn a_long_file_and_one_that_is_not_text_are_refused() {
    let long = vec![b'\n'; LONGEST_FILE as usize + 1];
    assert_eq!(
        load_bytes(&long, &[], &[]),
        Err(Error::Invalid("x.toml is longer than 256 KiB: not an experiment file".to_owned()))
    );
    assert_eq!(
        load_bytes(b"name = \"x\"\n\xff", &[], &[]),
        Err(Error::Invalid("x.toml:2: an experiment file is UTF-8 text, and this is not".to_owned()))
    );
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_no_harm() {
    let text = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    assert_eq!(load_text(&text), load_text(SMALL));
    let wrong = format!("{text}foo = 1\r\n");
    assert!(load_text(&wrong).unwrap_err().to_string().starts_with("x.toml:6: unknown key"));
}

fn read_back_text(text: &str) -> Result<Experiment> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    read_back(file.path())
}

#[test]
fn a_resolved_file_reads_back_equal_whatever_its_backend() {
    for name in ["cifar.toml", "cifar2.toml", "digits.toml", "fashion.toml"] {
        let mut experiment = ready(name);
        assert_eq!(read_back_text(&experiment.to_toml()), Ok(experiment.clone()));
        assert_eq!(from_stored(&experiment.to_toml(), Path::new("sweep.json")), Ok(experiment.clone()));
        for backend in [Backend::Ndarray, Backend::Wgpu] {
            experiment.train.backend = backend;
            assert_eq!(read_back_text(&experiment.to_toml()), Ok(experiment.clone()));
        }
    }
}

#[test]
fn a_damaged_resolved_file_is_corrupt_and_a_missing_one_is_not() {
    for text in ["name = ", "", &ready("digits.toml").to_toml().replace("runs = 10", "runs = 0")] {
        assert!(matches!(read_back_text(text), Err(Error::Corrupt(_))), "{text}");
    }
    let name = Path::new("sweep.json");
    assert_eq!(
        from_stored("name = ", name),
        Err(Error::Corrupt(
            "the experiment of a sweep is damaged: sweep.json:1: this is not TOML: a value is missing".to_owned()
        ))
    );
    assert!(matches!(read_back(Path::new("no/such/file.toml")), Err(Error::Invalid(_))));
}
