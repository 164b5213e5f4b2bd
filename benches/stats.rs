//! How fast the statistics are, as ratios to what they cannot do without, and how much memory they take.
//!
//! `cargo bench --bench stats` prints the ratios first (medians of alternating rounds, so that both sides see the same machine)
//! and then divan's timings of single functions. `RAYON_NUM_THREADS` sets the threads of both sides.

use std::hint::black_box;
use std::time::{Duration, Instant};

use harness::stats::alpha_hat::Protocol;
use harness::stats::rng::Stream;
use harness::stats::trimming::Plateaus;
use harness::stats::{Logits, Margins, Ranking, Sample, alpha, alpha_hat, calibration, churn, scores, wasserstein};
use rayon::prelude::*;

const ROUNDS: usize = 5;

fn main() {
    if !std::env::args().any(|a| a == "--bench") {
        // `cargo test --all-targets` only asks whether this builds and starts.
        return;
    }
    println!("{} threads", rayon::current_num_threads());
    exact_alpha();
    published_alpha_hat();
    soft_churn();
    divan::main();
}

/// Standard normal margins `[runs, examples]`; each run is shifted by a little of its own.
fn margins(runs: usize, examples: usize) -> Vec<f64> {
    (0..runs)
        .into_par_iter()
        .flat_map_iter(|m| {
            let mut stream = Stream::new(1, m as u64);
            let shift = 0.1 * stream.uniform();
            (0..examples).map(move |_| {
                let (u, v) = (1.0 - stream.uniform(), stream.uniform());
                shift + (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            })
        })
        .collect()
}

fn time<R>(f: impl FnOnce() -> R) -> Duration {
    let start = Instant::now();
    black_box(f());
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// The most memory this process has had so far, in MB, where the system says.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// Every run's exact levels against one parallel sort of all margins. Target: at most 3 times; memory at most 4 times the data.
fn exact_alpha() {
    let (runs, examples) = (1000, 10_000);
    let values = margins(runs, examples);
    let all = || {
        let margins = Margins::new(&values, runs, examples).expect("margins are finite");
        alpha::leave_one_out(&Ranking::new(&margins).expect("there are two runs"), 0.01).expect("epsilon is in range")
    };
    black_box(all());
    if let Some(peak) = peak_mb() {
        let data = (values.len() * size_of::<f64>()) as f64 / 1e6;
        println!(
            "exact alpha, {runs} x {examples}: peak memory {peak:.0} MB, {:.2} times the data of {data:.0} MB",
            peak * 1.048_576 / data
        );
    }
    let (mut ours, mut sorts) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        ours.push(time(all));
        let mut copy = values.clone();
        sorts.push(time(|| copy.par_sort_unstable_by(f64::total_cmp)));
    }
    let (ours, sort) = (median(ours), median(sorts));
    println!("exact alpha, {runs} x {examples}: {ours:.3} s, {:.2} times one parallel sort ({sort:.3} s)", ours / sort);
}

/// Target: under 20 s on two cores.
fn published_alpha_hat() {
    let (runs, examples) = (100, 10_000);
    let values = margins(runs, examples);
    let protocol = Protocol { epsilon: 0.01, bootstraps: 100, seed: 1, literal: false };
    let margins = Margins::new(&values, runs, examples).expect("margins are finite");
    let ranking = Ranking::new(&margins).expect("there are two runs");
    let t = median((0..ROUNDS).map(|_| time(|| alpha_hat::leave_one_out(&ranking, &protocol))).collect());
    println!(
        "alpha_hat, {runs} x {examples}, 100 bootstraps: {t:.3} s, {:.3} ms for each bootstrap of a run",
        t / 10.0
    );
}

/// All pairs of 100 runs, in terms of the softmax of all logits that it contains.
fn soft_churn() {
    let (runs, examples, classes) = (100, 10_000, 10);
    let z: Vec<f32> = margins(runs, examples * classes).into_iter().map(|v| v as f32).collect();
    let labels: Vec<u32> = (0..examples).map(|i| (i % classes) as u32).collect();
    let views: Vec<_> =
        z.chunks(examples * classes).map(|z| Logits::new(z, &labels, classes).expect("the shape is right")).collect();
    let (mut pairs, mut each) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        pairs.push(time(|| churn::pairwise_soft(&views)));
        each.push(time(|| views.par_iter().map(scores::scores).collect::<Vec<_>>()));
    }
    let (pairs, each) = (median(pairs), median(each));
    println!(
        "soft churn of 4,950 pairs, {examples} x {classes}: {pairs:.3} s, {:.2} times the scores of all runs ({each:.3} s)",
        pairs / each
    );
}

/// Timings of single functions, by divan.
mod single {
    use divan::Bencher;

    use super::*;

    const EXAMPLES: usize = 10_000;

    fn sample(values: &[f64], run: usize, n: usize, shift: f64) -> Sample {
        Sample::new(values[run * EXAMPLES..][..n].iter().map(|v| v + shift).collect()).expect("values are finite")
    }

    #[divan::bench]
    fn ranking_100_x_10000(bencher: Bencher) {
        let values = margins(100, EXAMPLES);
        let margins = Margins::new(&values, 100, EXAMPLES).expect("margins are finite");
        bencher.bench_local(|| Ranking::new(&margins));
    }

    #[divan::bench]
    fn exact_alpha_100_x_10000(bencher: Bencher) {
        let values = margins(100, EXAMPLES);
        let margins = Margins::new(&values, 100, EXAMPLES).expect("margins are finite");
        let ranking = Ranking::new(&margins).expect("there are two runs");
        bencher.bench_local(|| alpha::leave_one_out(&ranking, 0.01));
    }

    #[divan::bench]
    fn wasserstein_100_x_10000(bencher: Bencher) {
        let values = margins(100, EXAMPLES);
        let margins = Margins::new(&values, 100, EXAMPLES).expect("margins are finite");
        let ranking = Ranking::new(&margins).expect("there are two runs");
        bencher.bench_local(|| wasserstein::leave_one_out(&ranking));
    }

    #[divan::bench]
    fn level_of_one_shifted_run(bencher: Bencher) {
        let values = margins(2, EXAMPLES);
        let (reference, candidate) = (sample(&values, 0, EXAMPLES, 0.0), sample(&values, 1, EXAMPLES, 0.3));
        bencher.bench_local(|| Plateaus::steps(&reference, &candidate).level(0.05));
    }

    #[divan::bench]
    fn grid_level_of_one_bootstrap_of_1000(bencher: Bencher) {
        let values = margins(2, EXAMPLES);
        let (reference, candidate) = (sample(&values, 0, 1000, 0.0), sample(&values, 1, 1000, 0.5));
        bencher.bench_local(|| Plateaus::interpolated(&reference, &candidate).grid_level(0.074));
    }

    #[divan::bench]
    fn scores_and_calibration_10000_x_10(bencher: Bencher) {
        let z: Vec<f32> = margins(10, EXAMPLES).into_iter().map(|v| v as f32).collect();
        let labels: Vec<u32> = (0..EXAMPLES as u32).map(|i| i % 10).collect();
        let logits = Logits::new(&z, &labels, 10).expect("the shape is right");
        bencher.bench_local(|| (scores::scores(&logits), calibration::calibration(&logits, 15)));
    }
}
