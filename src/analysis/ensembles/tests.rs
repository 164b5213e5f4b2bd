//! Choices and numbers on small made-up sweeps.

use super::super::input::RunLogits;
use super::*;
use crate::stats::ensemble::selection_half;
use crate::stats::rng::Stream;

const CLASSES: usize = 3;

fn labels(examples: u32) -> Vec<u32> {
    (0..examples).map(|i| i % CLASSES as u32).collect()
}

/// Runs of given skill: the larger, the more the label's logit stands out of noise of the run's own.
fn runs(labels: &[u32], skills: &[f64], seed: u64) -> Vec<RunLogits<f64>> {
    let row = |stream: &mut Stream, y: u32, skill: f64| -> Vec<f64> {
        (0..CLASSES as u32).map(|c| 4.0 * stream.uniform() + if c == y { skill } else { 0.0 }).collect()
    };
    skills
        .iter()
        .enumerate()
        .map(|(run, &skill)| {
            let mut stream = Stream::new(seed, run as u64);
            let logits = labels.iter().flat_map(|&y| row(&mut stream, y, skill)).collect();
            RunLogits { index: 10 * run as u32, logits }
        })
        .collect()
}

fn found(runs: Vec<RunLogits<f64>>, labels: &[u32], options: &Options) -> Ensembles {
    let input = Input::new(labels.to_vec(), CLASSES, runs).unwrap();
    ensembles(&input, &Evidence::default(), options, &Settings::default()).unwrap().unwrap()
}

fn chosen(found: &Ensembles) -> Vec<(StrategyKind, Vec<u32>)> {
    found.strategies.iter().map(|held| (held.name, held.runs.clone())).collect()
}

#[test]
fn every_strategy_chooses_what_it_says() {
    let labels = labels(600);
    // Run 40 knows nothing, run 20 most.
    let options = Options { size: Some(2), ..Options::default() };
    let found = found(runs(&labels, &[2.0, 2.1, 4.0, 1.9, 0.0, 2.0], 1), &labels, &options);
    let of = |kind| &found.strategy(kind).unwrap().runs;
    assert_eq!(of(StrategyKind::All), &[0, 10, 20, 30, 40, 50]);
    assert!(!of(StrategyKind::Unflagged).contains(&40), "{found:?}");
    assert!(of(StrategyKind::BestAccuracy).contains(&20) && of(StrategyKind::BestAccuracy).len() == 2);
    assert!(!of(StrategyKind::LowestAlpha).contains(&40) && !of(StrategyKind::LowestAlpha).contains(&20));
    assert_eq!(of(StrategyKind::Greedy)[0], 20);
    assert!(of(StrategyKind::Random).is_empty() && found.strategy(StrategyKind::Random).unwrap().size == 2);
    let nll = |kind| found.strategy(kind).unwrap().nll.mean;
    assert!(nll(StrategyKind::BestAccuracy) < nll(StrategyKind::Random));
    let against = found.strategy(StrategyKind::BestAccuracy).unwrap().nll_against_all.unwrap();
    let expected = nll(StrategyKind::BestAccuracy) - nll(StrategyKind::All);
    assert!(
        (against.mean - expected).abs() < 1e-12 && against.low.unwrap() < expected && expected < against.high.unwrap()
    );
}

#[test]
fn the_held_out_half_has_no_part_in_the_choice() {
    let labels = labels(200);
    let before = runs(&labels, &[1.0, 1.5, 0.5, 1.2, 2.0], 2);
    let chooses = selection_half(&labels, 0);
    let mut after = before.clone();
    for run in &mut after {
        for (row, _) in run.logits.chunks_exact_mut(CLASSES).zip(&chooses).filter(|(_, chooses)| !**chooses) {
            row.reverse();
        }
    }
    let options = Options { temperature: true, ..Options::default() };
    let (a, b) = (found(before, &labels, &options), found(after, &labels, &options));
    assert_eq!(chosen(&a), chosen(&b));
    assert_eq!(a.recommended, b.recommended);
    let temperatures = |found: &Ensembles| found.strategies.iter().map(|held| held.temperature).collect::<Vec<_>>();
    assert_eq!(temperatures(&a), temperatures(&b));
    assert!(
        a.strategies.iter().zip(&b.strategies).all(|(a, b)| a.nll.mean != b.nll.mean),
        "the numbers are from there"
    );
}

#[test]
fn numbers_are_those_of_the_mean_prediction() {
    let labels = labels(101);
    let made = runs(&labels, &[1.0, 1.4, 1.2], 3);
    let found = found(made.clone(), &labels, &Options::default());
    assert_eq!((found.selection, found.held_out), (51, 50));
    let chooses = selection_half(&labels, 0);
    let (mut nll, mut right, mut examples) = (0.0, 0, 0);
    for (i, &y) in labels.iter().enumerate().filter(|(i, _)| !chooses[*i]) {
        let mut mean = [0.0; CLASSES];
        for run in &made {
            let z = &run.logits[i * CLASSES..][..CLASSES];
            let total: f64 = z.iter().map(|z| z.exp()).sum();
            mean.iter_mut().zip(z).for_each(|(m, z)| *m += z.exp() / total / 3.0);
        }
        nll -= mean[y as usize].ln();
        right += usize::from((0..CLASSES).all(|c| mean[c] <= mean[y as usize]));
        examples += 1;
    }
    let all = found.strategy(StrategyKind::All).unwrap();
    assert!((all.nll.mean - nll / f64::from(examples)).abs() < 1e-12);
    assert!((all.accuracy.mean - right as f64 / f64::from(examples)).abs() < 1e-12);
    let last = found.sizes.last().unwrap();
    assert!(last.size == 3 && (last.nll.mean - all.nll.mean).abs() < 1e-12 && last.nll.std.unwrap() < 1e-12);
    assert!(last.alpha_hat.mean <= 0.01, "an ensemble is itself: {:?}", last.alpha_hat);
}

#[test]
fn runs_that_are_alike_need_no_company_and_runs_that_are_not_need_much() {
    let labels = labels(2000);
    let one = runs(&labels, &[1.0], 4).remove(0).logits;
    // The same decisions but for a hair: one run is as good as all.
    let alike = (0..6).map(|run| {
        let logits = one.iter().map(|z| z + 1e-6 * f64::from(run) * z).collect();
        RunLogits { index: run as u32, logits }
    });
    assert_eq!(found(alike.collect(), &labels, &Options::default()).recommended, Some(1));
    // Noise of each run's own, of which the mean has less: a single run's margins spread wider.
    let apart = found(runs(&labels, &[1.0; 8], 5), &labels, &Options::default());
    assert!(apart.recommended.is_none_or(|size| size > 1), "{:?}", apart.sizes);
    let levels: Vec<f64> = apart.sizes.iter().map(|held| held.alpha_hat.mean).collect();
    assert!(levels[0] > 0.1 && levels[0] > levels[3] && levels[3] >= levels[7], "{levels:?}");
}

#[test]
fn without_an_error_no_temperature_is_fitted() {
    let labels = labels(60);
    let options = Options { temperature: true, ..Options::default() };
    let found = found(runs(&labels, &[9.0, 9.0, 9.0], 7), &labels, &options);
    assert!(found.strategies.iter().all(|held| held.temperature.is_none()));
    let all = found.strategy(StrategyKind::All).unwrap();
    assert!(all.nll.mean > 1e-6, "as at temperature 1, not certain: {:?}", all.nll);
    assert!(found.notes.iter().any(|note| note.contains("No temperature can be fitted")), "{:?}", found.notes);
}

#[test]
fn too_little_to_choose_from() {
    let few = labels(3);
    let of = |runs: Vec<RunLogits<f64>>, labels: &[u32], options: &Options| {
        let input = Input::new(labels.to_vec(), CLASSES, runs).unwrap();
        ensembles(&input, &Evidence::default(), options, &Settings::default())
    };
    assert_eq!(of(runs(&few, &[1.0, 1.0], 1), &few, &Options::default()).unwrap(), None);
    let labels = labels(30);
    assert_eq!(of(runs(&labels, &[1.0], 1), &labels, &Options::default()).unwrap(), None);
    let mut repeated = runs(&labels, &[1.0, 1.0], 1);
    repeated[1].logits = repeated[0].logits.clone();
    assert_eq!(of(repeated, &labels, &Options::default()).unwrap(), None, "one run twice is one run");
    for size in [0, 3] {
        let refused = of(runs(&labels, &[1.0, 1.0], 1), &labels, &Options { size: Some(size), ..Options::default() });
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}

#[test]
fn threads_do_not_matter_and_the_table_holds_it_all() {
    let labels = labels(120);
    let options = Options { temperature: true, ..Options::default() };
    let make = || found(runs(&labels, &[1.0, 1.5, 0.5, 1.2], 6), &labels, &options);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let ensembles = make();
    assert_eq!(one.install(make), ensembles);
    let bytes = crate::record::table::encode(table::columns(&ensembles)).unwrap();
    let back = crate::record::table::decode(&bytes, "ensembles").unwrap();
    assert_eq!(back.height(), ensembles.strategies.len() + ensembles.sizes.len());
    assert_eq!(back.column("nll").unwrap().f64().unwrap().get(0), Some(ensembles.strategies[0].nll.mean));
}
