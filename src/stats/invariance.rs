//! What must hold for every statistic at once: no dependence on the order of runs or examples, on constants added to an
//! example's logits, or on the number of threads.

use proptest::prelude::*;

use super::alpha_hat::Protocol;
use super::bootstrap::Bootstrap;
use super::ensemble::Combination;
use super::fixtures::close;
use super::margins::label_margins;
use super::rng::Stream;
use super::*;

const CLASSES: usize = 3;

/// A statistic's name and its value for each run.
type OfRuns = Vec<(&'static str, Vec<f64>)>;
/// A statistic's name and its value for all runs together.
type OfAll = Vec<(&'static str, f64)>;

/// Everything that one run, or all of them, can be said to be, by name; runs in the order given.
fn everything(runs: &[Vec<f64>], labels: &[u32]) -> (OfRuns, OfAll) {
    let n = labels.len();
    let views: Vec<_> = runs.iter().map(|z| Logits::new(z, labels, CLASSES).unwrap()).collect();
    let margins: Vec<f64> = views.iter().flat_map(label_margins).collect();
    let margins = Margins::new(&margins, runs.len(), n).unwrap();
    let ranking = Ranking::new(&margins).unwrap();
    let exact = alpha::leave_one_out(&ranking, 0.3).unwrap();
    let protocol = Protocol { epsilon: 0.3, bootstraps: 10, seed: 1, literal: false };
    let hat = alpha_hat::leave_one_out(&ranking, &protocol).unwrap();
    let ovr = alpha::one_vs_rest(&views, 0.3).unwrap();
    let scores: Vec<_> = views.iter().map(scores::scores).collect();
    let calibration: Vec<_> = views.iter().map(|v| calibration::calibration(v, 15)).collect();
    let decisions: Vec<_> = views.iter().map(churn::decisions).collect();
    let hard = churn::pairwise(&decisions).unwrap();
    let soft = churn::pairwise_soft(&views).unwrap();
    let accuracy: Vec<f64> = scores.iter().map(|s| s.accuracy).collect();
    let per_run = vec![
        ("accuracy", accuracy.clone()),
        ("nll", scores.iter().map(|s| s.nll).collect()),
        ("brier", scores.iter().map(|s| s.brier).collect()),
        ("ece", calibration.iter().map(|c| c.ece).collect()),
        ("ece_adaptive", calibration.iter().map(|c| c.ece_adaptive).collect()),
        ("ece_classwise", calibration.iter().map(|c| c.ece_classwise).collect()),
        ("ks", exact.runs.iter().map(|r| r.ks).collect()),
        ("alpha", exact.runs.iter().map(|r| r.alpha).collect()),
        ("alpha_relative", exact.runs.iter().map(|r| r.alpha_relative).collect()),
        ("alpha_hat", hat.iter().map(|a| a.mean).collect()),
        ("alpha_hat_high", hat.iter().map(|a| a.high).collect()),
        ("worst_class", ovr.iter().map(|o| o.worst_ks).collect()),
        ("wasserstein", wasserstein::leave_one_out(&ranking)),
        ("churn", hard.run_means()),
        ("soft_churn", soft.run_means()),
        ("outlier", outliers::robust_scores(&accuracy, 0.0)),
        ("temperature", views.iter().map(|v| temperature::fit(v).unwrap().nll_after).collect()),
    ];
    let multiplicity = churn::multiplicity(&decisions, &churn::Votes::of(&decisions).unwrap());
    let variance = variance::accuracy_variance(&decisions, labels).unwrap();
    let rashomon = rashomon::rashomon(&views).unwrap();
    let bootstrap = Bootstrap { resamples: 50, level: 0.95, seed: 2 };
    let interval = bootstrap.mean(&accuracy).unwrap();
    let greedy = ensemble::greedy(&views, 2, Combination::Probabilities).unwrap();
    let overall = vec![
        ("delta_relative", exact.delta_relative),
        ("ambiguity", multiplicity.ambiguity),
        ("discrepancy", multiplicity.discrepancy),
        ("std_observed", variance.std_observed),
        ("std_predicted", variance.std_predicted_independent),
        ("variance_distribution", variance.variance_distribution),
        ("rashomon", rashomon.mean),
        ("rashomon_q90", rashomon.q90),
        ("accuracy_low", interval.low),
        ("accuracy_high", interval.high),
        ("greedy", greedy[1].nll),
    ];
    (per_run, overall)
}

/// Logits in sixteenths, so that adding sixteenths to them is exact; the first run lies apart from the others.
fn runs_and_labels() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<u32>)> {
    (3usize..6, 4usize..30).prop_flat_map(|(runs, examples)| {
        let logits = proptest::collection::vec(-48i32..48, examples * CLASSES);
        let runs = proptest::collection::vec(logits, runs).prop_map(|runs| {
            let value = |m: usize, v: i32| f64::from(if m == 0 { 2 * v } else { v }) / 16.0;
            runs.into_iter().enumerate().map(|(m, z)| z.into_iter().map(|v| value(m, v)).collect()).collect()
        });
        (runs, proptest::collection::vec(0u32..CLASSES as u32, examples))
    })
}

proptest! {
    #[test]
    fn order_and_constants_do_not_matter((runs, labels) in runs_and_labels(), seed in 0u64..1000) {
        let (per_run, overall) = everything(&runs, &labels);
        let mut stream = Stream::new(seed, 0);
        let mut order: Vec<usize> = (0..runs.len()).collect();
        let mut examples: Vec<usize> = (0..labels.len()).collect();
        stream.shuffle(&mut order);
        stream.shuffle(&mut examples);
        let mut row = |m: usize, i: usize| {
            let constant = f64::from(stream.below(64)) / 16.0;
            [0, 1, 2].map(|c| runs[m][i * CLASSES + c] + constant)
        };
        let other: Vec<Vec<f64>> = order.iter().map(|&m| examples.iter().flat_map(|&i| row(m, i)).collect()).collect();
        let other_labels: Vec<u32> = examples.iter().map(|&i| labels[i]).collect();
        let (other_per_run, other_overall) = everything(&other, &other_labels);
        for ((name, values), (_, others)) in per_run.iter().zip(&other_per_run) {
            for (place, &m) in order.iter().enumerate() {
                let (a, b) = (values[m], others[place]);
                prop_assert!(close(a, b, 1e-9) || a == b || (a.is_nan() && b.is_nan()), "{name} of run {m}: {a} and {b}");
            }
        }
        for (&(name, a), &(_, b)) in overall.iter().zip(&other_overall) {
            prop_assert!(close(a, b, 1e-9), "{name}: {a} and {b}");
        }
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let mut stream = Stream::new(6, 0);
    let labels: Vec<u32> = (0..700).map(|_| stream.below(3)).collect();
    let runs: Vec<Vec<f64>> = (0..7).map(|_| (0..700 * CLASSES).map(|_| 6.0 * stream.uniform()).collect()).collect();
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (per_run, overall) = pool.install(|| everything(&runs, &labels));
        let of_runs = per_run.into_iter().flat_map(|(_, values)| values);
        of_runs.chain(overall.into_iter().map(|(_, v)| v)).map(f64::to_bits).collect::<Vec<_>>()
    };
    let one = bits(1);
    assert_eq!(one, bits(3));
    assert_eq!(one, bits(8));
}
