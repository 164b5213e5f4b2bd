//! What an experiment must be to its data.

use super::*;

#[test]
fn what_published_data_lack_is_known_before_they_are_read() {
    for (sets, message) in [
        (vec!["data.classes=[3,12]"], "data.classes names 12, but the data set digits has the classes 0 to 9"),
        (
            vec!["data.augment.crop=8"],
            "data.augment.crop is 8, but images of 8x8 can be padded by reflection by at most 7 pixels",
        ),
        (vec!["data.augment.cutout=9"], "data.augment.cutout is 9, larger than the images of 8x8"),
        (
            vec!["model={kind=\"cnn\",channels=[4,4,4,4]}"],
            "model.pool is 2, which shrinks images of 8x8 to nothing over 4 blocks; at most 3 fit",
        ),
        (
            vec!["model={kind=\"cnn\",channels=[4],pool=9}"],
            "model.pool is 9, which shrinks images of 8x8 to nothing over 1 blocks; at most 0 fit",
        ),
        (
            vec!["data={dataset=\"cifar10\",path=\"d\",classes=[1,2]}", "data.train_limit=10001"],
            "data.train_limit is 10,001, but there are only 10,000 training examples; leave it out to use them all",
        ),
        (
            vec!["data.eval_limit=9", "record.kernel="],
            "data.eval_limit is 9, fewer than the 10 classes; each needs an example",
        ),
        (vec!["record.kernel.probes=501"], "record.kernel.probes is 501, but the evaluation set has only 500 examples"),
        (vec!["record.kernel.probes=9"], "record.kernel.probes is 9, fewer than the 10 classes; each needs a probe"),
        (vec!["data.eval_limit=99"], "record.kernel.probes is 100, but the evaluation set has only 99 examples"),
        (
            vec!["model.widths=[1000000,1000000]"],
            "the model has 1000.1 billion parameters, more than the 1.07 billion that are supported; make it narrower",
        ),
    ] {
        let kernel = [vec!["record.kernel={probes=100}"], sets].concat();
        let lines = told_with(&kernel);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].ends_with(&format!(": {message}")), "{lines:?}");
    }
}

#[test]
fn data_that_are_read_decide() {
    let facts = Facts { shape: [3, 20, 10], classes: 4, train_len: 50, eval_len: 30 };
    let npz = |sets: &[&str]| {
        let base = ["data.dataset=npz", "data.path=x.npz"];
        small_with(&[&base[..], sets].concat()).unwrap()
    };
    let told = |sets: &[&str]| lines(validate_against_data(&npz(sets), &facts).map(|()| npz(sets)));
    assert_eq!(
        validate_against_data(&npz(&["data.train_limit=50", "data.augment.crop=9", "data.augment.cutout=10"]), &facts),
        Ok(())
    );
    assert_eq!(told(&["data.classes=[0,4]"]), ["data.classes names 4, but the data set npz has the classes 0 to 3"]);
    assert_eq!(
        told(&[
            "data.train_limit=51",
            "data.eval_limit=31",
            "data.augment.crop=10",
            "data.augment.cutout=11",
            "record.kernel.probes=31"
        ]),
        [
            "data.train_limit is 51, but there are only 50 training examples; leave it out to use them all",
            "data.eval_limit is 31, but there are only 30 evaluation examples; leave it out to use them all",
            "record.kernel.probes is 31, but the evaluation set has only 30 examples",
            "data.augment.crop is 10, but images of 20x10 can be padded by reflection by at most 9 pixels",
            "data.augment.cutout is 11, larger than the images of 20x10",
        ]
    );
    assert_eq!(
        told(&["record.kernel.probes=3"]),
        ["record.kernel.probes is 3, fewer than the 4 classes; each needs a probe"]
    );
    assert_eq!(
        told(&["model={kind=\"cnn\",channels=[4,4,4,4]}"]),
        ["model.pool is 2, which shrinks images of 20x10 to nothing over 4 blocks; at most 3 fit"]
    );
    let lonely = Facts { classes: 1, ..facts };
    assert_eq!(
        validate_against_data(&npz(&[]), &lonely).unwrap_err().to_string(),
        "the data set npz has 1 of the 2 classes that a classifier needs at least"
    );
    let huge = Facts { shape: [usize::MAX; 3], ..facts };
    // No overflow, whatever a header claims.
    for model in ["model.kind=mlp", "model.kind=cnn", "model.kind=resnet"] {
        let told = lines(validate_against_data(&npz(&[model]), &huge).map(|()| npz(&[model])));
        assert!(told.len() == 1 && told[0].contains("billion parameters"), "{told:?}");
    }
}
