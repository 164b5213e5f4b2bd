//! The whole analysis against an independent program's numbers, and what it owes to every input.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// One ensemble of the fixtures, with what an independent program says of it.
#[derive(Deserialize)]
struct Case {
    logits: Vec<Vec<Vec<f64>>>,
    labels: Vec<u32>,
    runs: Vec<Expected>,
    delta: f64,
    delta_relative: f64,
    epsilon: f64,
    ambiguity: f64,
}

#[derive(Deserialize)]
struct Expected {
    accuracy: f64,
    nll: f64,
    brier: f64,
    ece: f64,
    churn: f64,
    ks: f64,
    alpha: f64,
    alpha_relative: f64,
}

fn cases() -> Vec<Case> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ensembles.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn input(case: &Case) -> Input<f64> {
    let classes = case.logits[0][0].len();
    let runs = case.logits.iter().zip(0..).map(|(run, index)| RunLogits { index, logits: run.concat() });
    Input::new(case.labels.clone(), classes, runs.collect()).unwrap()
}

fn settings(epsilon: f64) -> Settings {
    let mut settings = Settings::default();
    settings.analysis.epsilon = epsilon;
    settings.analysis.bootstraps = 20;
    settings
}

fn close(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or(f64::NAN);
    assert!((found - expected).abs() <= 1e-9, "{what}: {found} instead of {expected}");
}

#[test]
fn the_independent_cases() {
    for case in cases() {
        let found = analyze(&input(&case), Evidence::default(), settings(case.epsilon)).unwrap();
        close(Some(found.delta), case.delta, "delta");
        close(found.delta_relative, case.delta_relative, "delta_relative");
        close(found.summary.ambiguity, case.ambiguity, "ambiguity");
        assert_eq!(found.runs.len(), case.runs.len());
        for (run, expected) in found.runs.iter().zip(&case.runs) {
            close(run.accuracy, expected.accuracy, "accuracy");
            close(run.nll, expected.nll, "nll");
            close(run.brier, expected.brier, "brier");
            close(run.ece, expected.ece, "ece");
            close(run.churn, expected.churn, "churn");
            close(run.ks, expected.ks, "ks");
            close(run.alpha, expected.alpha, "alpha");
            close(run.alpha_relative, expected.alpha_relative, "alpha_relative");
        }
        let churns: f64 = found.pairs.iter().map(|pair| pair.churn).sum();
        close(found.summary.mean_churn, churns / found.pairs.len() as f64, "mean churn");
    }
}

#[test]
fn repeated_and_diverged_runs_change_no_number_of_the_others() {
    let case = &cases()[1];
    let plain = analyze(&input(case), Evidence::default(), settings(0.01)).unwrap();
    let mut runs = input(case).runs().to_vec();
    let count = runs.len() as u32;
    runs.push(RunLogits { index: count, logits: runs[1].logits.clone() });
    let mut broken = runs[0].logits.clone();
    broken[7] = f64::INFINITY;
    runs.push(RunLogits { index: count + 1, logits: broken });
    let classes = case.logits[0][0].len();
    let more =
        analyze(&Input::new(case.labels.clone(), classes, runs).unwrap(), Evidence::default(), settings(0.01)).unwrap();
    assert_eq!(more.runs[..count as usize], plain.runs[..]);
    assert_eq!(more.summary, plain.summary);
    assert_eq!(more.margins, plain.margins);
    assert_eq!((more.independence.runs, more.independence.distinct), (count as usize + 2, count as usize));
    assert_eq!(more.independence.groups, [vec![1, count]]);
    let copy = &more.runs[count as usize];
    assert_eq!((copy.accuracy, copy.ks), (plain.runs[1].accuracy, plain.runs[1].ks));
    assert!(copy.has(FlagKind::Duplicate) && copy.flags.len() == 1);
    let diverged = &more.runs[count as usize + 1];
    assert_eq!(diverged.accuracy, None);
    assert_eq!((diverged.flags[0].flag, diverged.flags[0].value), (FlagKind::Diverged, 1.0));
    let with_original = more.pairs.iter().find(|pair| (pair.a, pair.b) == (1, count)).unwrap();
    assert_eq!((with_original.churn, with_original.soft_churn), (0.0, 0.0));
    assert!(more.pairs.iter().all(|pair| pair.b != count + 1), "a diverged run has no pairs");
}

#[test]
fn one_run_has_scores_but_nothing_to_be_compared_with() {
    let case = &cases()[0];
    let runs = vec![input(case).runs()[0].clone()];
    let found =
        analyze(&Input::new(case.labels.clone(), 2, runs).unwrap(), Evidence::default(), settings(0.01)).unwrap();
    close(found.runs[0].accuracy, case.runs[0].accuracy, "accuracy");
    assert_eq!((found.runs[0].alpha, found.runs[0].churn, found.delta_relative), (None, None, None));
    assert!(found.pairs.is_empty() && found.margins.is_none() && !found.notes.is_empty());
}

#[test]
fn nothing_but_diverged_runs_is_still_an_answer() {
    let runs =
        vec![RunLogits { index: 0, logits: vec![f64::NAN; 4] }, RunLogits { index: 1, logits: vec![f64::NAN; 4] }];
    let found = analyze(&Input::new(vec![0, 1], 2, runs).unwrap(), Evidence::default(), settings(0.01)).unwrap();
    assert_eq!((found.independence.distinct, found.independence.diverged), (0, 2));
    assert!(found.runs.iter().all(|run| run.has(FlagKind::Diverged)) && found.summary.accuracy.is_none());
}

#[test]
fn settings_out_of_range_are_refused() {
    let input = input(&cases()[0]);
    let refused =
        |settings| matches!(analyze(&input, Evidence::default(), settings), Err(crate::error::Error::Invalid(_)));
    assert!(refused(settings(0.0)) && refused(settings(1.0)) && refused(settings(f64::NAN)));
    let mut none = settings(0.01);
    none.analysis.bootstraps = 0;
    assert!(refused(none));
}

#[test]
fn threads_change_no_bit() {
    let input = input(&cases()[2]);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| analyze(&input, Evidence::default(), settings(0.01)).unwrap());
        serde_json::to_string(&found).unwrap()
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn the_contract_of_the_schema_comes_first_and_is_complete() {
    let found = analyze(&input(&cases()[0]), Evidence::default(), settings(0.01)).unwrap();
    let json = serde_json::to_value(&found).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let contract = ["schema", "examples", "classes", "epsilon", "delta", "delta_relative", "runs", "pairs", "summary"];
    assert_eq!(keys(&json)[..contract.len()], contract);
    assert_eq!(json["schema"], "harness.analysis/1");
    let run = [
        "run",
        "accuracy",
        "nll",
        "brier",
        "ece",
        "ece_adaptive",
        "churn",
        "alpha",
        "alpha_relative",
        "alpha_hat",
        "alpha_hat_low",
        "alpha_hat_high",
        "ks",
        "wasserstein",
        "flags",
    ];
    // More may stand between them.
    let found: Vec<String> = keys(&json["runs"][0]).into_iter().filter(|key| run.contains(&key.as_str())).collect();
    assert_eq!(found, run);
    assert_eq!(keys(&json["pairs"][0])[..4], ["a", "b", "churn", "soft_churn"]);
    for key in ["mean_churn", "ambiguity", "discrepancy", "std_predicted_independent", "std_distribution"] {
        assert!(json["summary"][key].is_number(), "{key}");
    }
    for key in &run[1..=9] {
        assert_eq!(keys(&json["summary"][key])[..4], ["mean", "std", "low", "high"], "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn adding_a_constant_to_the_logits_of_an_example_changes_nothing(
        logits in prop::collection::vec(-4.0..4.0f64, 4 * 12 * 3), shifts in prop::collection::vec(-8.0..8.0f64, 12),
    ) {
        let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
        let make = |shifted: bool| {
            let runs = logits.chunks_exact(36).zip(0..).map(|(run, index)| {
                let shift = |i: usize| if shifted { shifts[i / 3] } else { 0.0 };
                RunLogits { index, logits: run.iter().enumerate().map(|(i, z)| z + shift(i)).collect() }
            });
            analyze(&Input::new(labels.clone(), 3, runs.collect()).unwrap(), Evidence::default(), settings(0.05)).unwrap()
        };
        let (plain, shifted) = (make(false), make(true));
        for (a, b) in plain.runs.iter().zip(&shifted.runs) {
            prop_assert_eq!(a.accuracy, b.accuracy);
            prop_assert!((a.nll.unwrap() - b.nll.unwrap()).abs() < 1e-9);
            prop_assert!((a.ks.unwrap() - b.ks.unwrap()).abs() < 1e-9);
            prop_assert!((a.wasserstein.unwrap() - b.wasserstein.unwrap()).abs() < 1e-9);
        }
        prop_assert_eq!(plain.summary.mean_churn, shifted.summary.mean_churn);
    }

    #[test]
    fn every_run_has_its_place_and_shares_are_shares(
        logits in prop::collection::vec(prop::sample::select(vec![-1.0, 0.0, 0.5, 2.0, f64::NAN]), 5 * 6 * 2),
    ) {
        let runs = logits.chunks_exact(12).zip(0..).map(|(run, index)| RunLogits { index, logits: run.to_vec() });
        let input = Input::new(vec![0, 1, 0, 1, 1, 0], 2, runs.collect()).unwrap();
        let found = analyze(&input, Evidence::default(), settings(0.05)).unwrap();
        prop_assert_eq!(found.runs.iter().map(|run| run.run).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        for run in &found.runs {
            for share in [run.accuracy, run.ece, run.churn, run.alpha, run.alpha_relative, run.alpha_hat, run.ks] {
                prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{:?}", run);
            }
        }
        let copies: usize = found.independence.groups.iter().map(|group| group.len() - 1).sum();
        prop_assert_eq!(found.independence.distinct + found.independence.diverged + copies, 5);
    }
}
