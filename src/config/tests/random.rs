//! Whatever comes in.

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::*;
use crate::keys::check::check;
use crate::keys::{Fallback, Key};

/// Any value that a key takes.
fn any_value(shape: &'static Shape) -> BoxedStrategy<Json> {
    match shape {
        Shape::Flag => any::<bool>().prop_map(Json::from).boxed(),
        Shape::Whole { min, max } => prop_oneof![*min..=*max, *min..=(*max).min(min + 20)].prop_map(Json::from).boxed(),
        Shape::Odd { max } => (0..=(max - 1) / 2).prop_map(|half| Json::from(2 * half + 1)).boxed(),
        Shape::Real(range) => {
            let range = *range;
            let high = if range.high.is_finite() { range.high } else { 1e300 };
            prop_oneof![range.low..high, Just(range.low), Just(high / 3.0)]
                .prop_filter("the low end", move |x| range.contains(*x))
                .prop_map(Json::from)
                .boxed()
        }
        Shape::Name => "[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}".prop_map(Json::from).boxed(),
        Shape::File => "\\PC{1,20}|[\"\\\\\t\n\r\u{7f}é]{1,5}".prop_map(Json::from).boxed(),
        Shape::Choice(words) => proptest::sample::select(*words).prop_map(Json::from).boxed(),
        Shape::List { of, min, max, unique } => {
            let list = proptest::collection::vec(any_value(of), *min..=(*max).min(6));
            let unique = *unique;
            list.prop_filter("an entry twice", move |list| {
                !unique || (1..list.len()).all(|at| !list[..at].contains(&list[at]))
            })
            .prop_map(Json::from)
            .boxed()
        }
        Shape::Table(keys) => any_table(keys, None),
        Shape::ListOr { list, table } => prop_oneof![any_value(list), any_table(table, None)].boxed(),
        Shape::Text => "[a-z]{1,20}".prop_map(Json::from).boxed(),
        Shape::Map(of) => proptest::collection::hash_map("[a-z]{1,5}", any_value(of), 0..3)
            .prop_map(|map| Json::Object(map.into_iter().collect()))
            .boxed(),
        // What has a grammar of its own has tests of its own.
        Shape::Other(grammar) => Just(grammar.stand_in()).boxed(),
        Shape::Kinds { kinds, common, .. } => {
            let variants: Vec<_> = kinds
                .iter()
                .map(|kind| {
                    let whole = (any_table(kind.keys, Some(kind.name)), any_table(common, None));
                    whole.prop_map(|(own, more)| merged(own, more)).boxed()
                })
                .collect();
            proptest::strategy::Union::new(variants).boxed()
        }
    }
}

fn merged(mut one: Json, other: Json) -> Json {
    if let (Some(one), Json::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

fn any_table(keys: &'static [Key], kind: Option<&'static str>) -> BoxedStrategy<Json> {
    let start = Just(kind.map(|kind| ("kind".to_owned(), Json::from(kind))).into_iter().collect::<Map<_, _>>()).boxed();
    keys.iter()
        .fold(start, |table, key| {
            let value = any_value(&key.shape);
            let value = match key.fallback {
                Fallback::Required => value.prop_map(Some).boxed(),
                _ => proptest::option::weighted(0.7, value).boxed(),
            };
            (table, value)
                .prop_map(|(mut table, value)| {
                    table.extend(value.map(|value| (key.name.to_owned(), value)));
                    table
                })
                .boxed()
        })
        .prop_map(Json::Object)
        .boxed()
}

fn any_experiment() -> impl Strategy<Value = Experiment> {
    any_value(&EXPERIMENT).prop_map(|json| {
        let checked = check(&Node::from_json(&json), &EXPERIMENT);
        assert!(checked.problems.is_empty(), "{:?}", checked.problems);
        serde_json::from_value(checked.json).unwrap()
    })
}

proptest! {
    #[test]
    fn text_and_back_is_the_same(experiment in any_experiment()) {
        let text = experiment.to_toml();
        let checked = check(&node::parse_file(&text).unwrap(), &EXPERIMENT);
        prop_assert_eq!(checked.problems, vec![]);
        let again: Experiment = serde_json::from_value(checked.json).unwrap();
        prop_assert_eq!(&again, &experiment);
        prop_assert_eq!(again.hash(), experiment.hash());
        prop_assert_eq!(again.training_hash(), experiment.training_hash());
        // Another reader of TOML agrees.
        prop_assert_eq!(toml::from_str::<Experiment>(&text).unwrap(), experiment);
    }

    #[test]
    fn differences_are_empty_for_equals_only(a in any_experiment(), b in any_experiment()) {
        prop_assert_eq!(diff(&a, &a), vec![]);
        prop_assert_eq!(diff(&a, &b).is_empty(), a == b);
        let trained = diff(&a, &b).iter().any(|difference| difference.training);
        prop_assert_eq!(trained, a.training_hash() != b.training_hash());
    }

    #[test]
    fn the_number_of_runs_and_the_analysis_do_not_touch_finished_runs(a in any_experiment(), b in any_experiment()) {
        let mut other = a.clone();
        other.sweep.runs = b.sweep.runs;
        other.analysis = b.analysis;
        other.flags = b.flags;
        other.name = b.name;
        prop_assert_eq!(a.training_hash(), other.training_hash());
    }

    #[test]
    fn checkpoints_are_ascending_and_end_with_the_last(experiment in any_experiment()) {
        prop_assume!(experiment.train.epochs < 10_000);
        let epochs = experiment.checkpoint_epochs();
        prop_assert!(epochs.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(epochs.last(), Some(&experiment.train.epochs));
    }

    /// What passes is valid, what does not is told with a place; nothing panics.
    #[test]
    fn damaged_files_are_told_about(
        name in proptest::sample::select(vec!["cifar", "cifar2", "digits", "fashion"]),
        at in any::<proptest::sample::Index>(),
        cut in 0_usize..5,
        put in "[ -~\n]{0,5}",
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("configs/{name}.toml"));
        let mut text = std::fs::read_to_string(path).unwrap();
        let start = at.index(text.len());
        text.replace_range(start..(start + cut).min(text.len()), &put);
        match load_text(&text) {
            Ok(experiment) => prop_assert_eq!(validate(&experiment), Ok(())),
            Err(Error::Invalid(message)) => prop_assert!(message.lines().all(|line| line.starts_with("x.toml:"))),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn any_bytes_and_overrides_do_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        set in "\\PC{0,40}",
        key in "[a-z_.]{1,20}",
        variable in "[A-Z_]{0,20}",
    ) {
        let _ = load_bytes(&bytes, &[], &[]);
        let _ = small_with(&[&set, &format!("{key}={set}")]);
        let _ = load_bytes(SMALL.as_bytes(), &[(&format!("HARNESS_{variable}"), &set)], &[]);
    }
}
