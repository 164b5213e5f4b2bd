//! How often a comparison finds what is not there, and whether it finds what it promises.

use std::collections::BTreeMap;

use harness::analysis::comparison::{
    Comparison, Finding, Metric, Quantity, Settings, Subject, Terms, Unit, Verdict, compare, measured, tested,
};
use harness::analysis::{Input, RunLogits};

use super::pool::{self, Random};

fn subject(input: Input<f32>, place: &str) -> Subject<f32> {
    Subject {
        name: "pool".into(),
        place: place.into(),
        terms: Terms::of_input(&input),
        input,
        sweep: None,
        notes: Vec::new(),
    }
}

fn found(before: Input<f32>, after: Input<f32>) -> Comparison {
    compare(&subject(before, "before"), &subject(after, "after"), &Settings::default()).unwrap()
}

fn rounds(default: usize) -> usize {
    std::env::var("ROUNDS").ok().and_then(|count| count.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn halves_of_one_pool_differ_as_rarely_as_stated() {
    let pool = pool::read("clean_logits.npz");
    let rounds = rounds(1000);
    println!(
        "sweeps of one pool of {} runs, {rounds} pairs of each size, at 5 % ± {:.1} % (one standard error); by quantity",
        pool.runs().len(),
        100.0 * (0.05 * 0.95 / rounds as f64).sqrt()
    );
    for size in [3, 4, 5, 8, 10, 20] {
        let mut random = Random::new(size as u64);
        let (mut different, mut outside) = (0, 0);
        let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut by: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..rounds {
            let places = random.choose(pool.runs().len(), 2 * size);
            let found = found(pool::sweep(&pool, &places[..size], &[]), pool::sweep(&pool, &places[size..], &[]));
            *verdicts.entry(found.verdict.name()).or_default() += 1;
            different += usize::from(matches!(found.verdict, Verdict::Worse | Verdict::Better | Verdict::Different));
            for metric in found.metrics.iter().filter(|metric| metric.finding.is_difference()) {
                *by.entry(metric.metric.into()).or_default() += 1;
            }
            let scalars = found.metrics.iter().filter(|metric| !metric.metric.is_excess());
            outside += usize::from(scalars.into_iter().any(|metric| metric.low > 0.0 || metric.high < 0.0));
        }
        let percent = |count: usize| 100.0 * count as f64 / rounds as f64;
        println!(
            "{size:2} against {size:2}: {:4.1} % differ, {:4.1} % with an interval beside 0; {verdicts:?} {by:?}",
            percent(different),
            percent(outside)
        );
        let allowed = 0.05 + 3.0 * (0.05 * 0.95 / rounds as f64).sqrt();
        assert!(different as f64 <= allowed * rounds as f64);
    }
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn what_is_promised_is_found_four_times_in_five() {
    let pool = pool::read("clean_logits.npz");
    let rounds = rounds(400);
    println!(
        "a change as large as two other sweeps promised, planted in every run of one side; found in {rounds} rounds"
    );
    const QUANTITIES: [Quantity; 3] = [Quantity::Accuracy, Quantity::Nll, Quantity::ClassAccuracy(8)];
    for size in [4, 5, 8, 10, 20] {
        let mut random = Random::new(100 + size as u64);
        let mut of_quantity: [(usize, Vec<f64>); 3] = Default::default();
        for _ in 0..rounds {
            let places = random.choose(pool.runs().len(), 4 * size);
            let [other, own] = [&places[..2 * size], &places[2 * size..]]
                .map(|places| measured(&subject(pool::sweep(&pool, places, &[]), "made")).unwrap());
            let promises = tested(&other, Unit::Runs, &Settings::default()).unwrap().metrics;
            for (quantity, (hits, promised)) in QUANTITIES.into_iter().zip(&mut of_quantity) {
                let of = |metrics: &[Metric]| metrics.iter().find(|metric| metric.metric == quantity).cloned();
                let Some(change) = of(&promises).and_then(|metric| metric.detectable) else { continue };
                let mut planted = own.clone();
                let first = planted.first;
                let Some(values) = planted.runs.iter_mut().find(|held| held.quantity == quantity) else { continue };
                values.of_runs[first..].iter_mut().for_each(|value| *value -= change);
                let metrics = tested(&planted, Unit::Runs, &Settings::default()).unwrap().metrics;
                promised.push(change);
                *hits += usize::from(of(&metrics).is_some_and(|metric| metric.finding.is_difference()));
            }
        }
        for (quantity, (hits, promised)) in QUANTITIES.into_iter().zip(&mut of_quantity) {
            promised.sort_unstable_by(f64::total_cmp);
            let (share, made) = (*hits as f64 / promised.len().max(1) as f64, promised.len());
            let error = (0.16 / made.max(1) as f64).sqrt();
            println!(
                "{size:2} against {size:2}, {}: {:5.1} ± {:.1} % of {made} promised changes found, median size {:.4}",
                quantity.name(),
                100.0 * share,
                100.0 * error,
                promised.get(made / 2).copied().unwrap_or(f64::NAN)
            );
            assert!(
                (share - 0.8).abs() <= 0.05 + 3.0 * error,
                "{share} of changes of {} in {size} runs",
                quantity.name()
            );
        }
    }
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn real_faults_are_found() {
    let pool = pool::read("clean_logits.npz");
    println!("healthy sweeps against faulty ones, 50 pairs of each size: verdicts");
    let show = |name: &str, size: usize, verdicts: &BTreeMap<&str, usize>| {
        println!("{name}, {size} against {size}: {verdicts:?}");
    };
    for kind in ["noise30", "noise10", "half", "quarter"] {
        let faults = pool::read(&format!("faults_{kind}.npz"));
        for size in [3, 4, 5, 6] {
            let mut random = Random::new(3);
            let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
            for _ in 0..50 {
                let (healthy, faulty) =
                    (random.choose(pool.runs().len(), size), random.choose(faults.runs().len(), size));
                let found = found(pool::sweep(&pool, &healthy, &[]), pool::sweep(&faults, &faulty, &[]));
                *verdicts.entry(found.verdict.name()).or_default() += 1;
            }
            show(kind, size, &verdicts);
        }
    }
    // A class that was never learned: it is never chosen.
    for size in [3, 5] {
        let mut random = Random::new(4);
        let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut named = 0;
        for round in 0..50 {
            let places = random.choose(pool.runs().len(), 2 * size);
            let lost = round % pool.classes();
            let runs = places[size..].iter().zip(0..).map(|(&place, index)| {
                let mut logits = pool.runs()[place].logits.clone();
                logits.iter_mut().skip(lost).step_by(pool.classes()).for_each(|logit| *logit = -30.0);
                RunLogits { index, logits }
            });
            let after = Input::new(pool.labels().to_vec(), pool.classes(), runs.collect()).unwrap();
            let found = found(pool::sweep(&pool, &places[..size], &[]), after);
            *verdicts.entry(found.verdict.name()).or_default() += 1;
            let class = found.metric(Quantity::ClassAccuracy(lost as u32));
            named += usize::from(class.is_some_and(|metric| metric.finding == Finding::Worse));
        }
        show("a class never learned", size, &verdicts);
        println!("  its accuracy is found worse in {named} of 50");
        assert_eq!(named, if size == 5 { 50 } else { 0 });
    }
}
