//! How often 95 % intervals over runs hold the truth, by the number of runs: on normal numbers, and on sweeps drawn from a pool
//! of real runs, whose own mean is the truth.

use harness::stats::bootstrap::Bootstrap;
use harness::stats::churn::{self, Votes};
use harness::stats::descriptive::{mean, std};
use harness::stats::intervals::{Bounds, of_mean, of_mean_over_pairs, of_share, of_std};
use harness::stats::scores::scores;

use super::pool::{self, Random};

const SIZES: [usize; 6] = [2, 3, 5, 8, 10, 20];
const TRIALS: usize = 2000;
const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 1000, level: 0.95, seed: 1 };

/// Counts how often an interval is there and holds `truth`.
#[derive(Default)]
struct Count {
    held: usize,
    made: usize,
}

impl Count {
    fn add(&mut self, bounds: Option<Bounds>, truth: f64) {
        if let Some(bounds) = bounds {
            self.made += 1;
            self.held += usize::from(bounds.low <= truth && truth <= bounds.high);
        }
    }

    fn show(&self) -> String {
        if self.made == 0 {
            "   none".to_owned()
        } else {
            format!("{:6.1}%", 100.0 * self.held as f64 / self.made as f64)
        }
    }

    /// Within 93 to 97 %, give or take three standard errors of the count.
    fn check(&self, what: &str, size: usize) {
        let share = self.held as f64 / self.made.max(1) as f64;
        let slack = 3.0 * (0.05f64 * 0.95 / self.made.max(1) as f64).sqrt();
        assert!(self.made == 0 || (0.93 - slack..=0.97 + slack).contains(&share), "{what} at M = {size}: {share}");
    }
}

#[test]
#[ignore = "counts for minutes: tests/slow.sh verdicts"]
fn intervals_cover() {
    let pool = pool::read("clean_logits.npz");
    let soft: Vec<_> = pool.runs().iter().map(|run| pool.soft(run).unwrap()).collect();
    let all: Vec<_> = soft.iter().map(scores).collect();
    let decisions: Vec<Vec<u32>> = soft.iter().map(churn::decisions).collect();
    let churn_truth = Votes::of(&decisions).unwrap().mean_churn();
    let accuracy: Vec<f64> = all.iter().map(|scores| scores.accuracy).collect();
    let loss: Vec<f64> = all.iter().map(|scores| scores.nll).collect();
    println!("coverage of 95 % intervals over runs, {TRIALS} sweeps of each size");
    println!("      normal        accuracy       loss           churn");
    println!("  M   mean    std    mean    std    mean    std    mean");
    for size in SIZES {
        let mut random = Random::new(size as u64);
        let mut counts: [Count; 7] = Default::default();
        for trial in 0..TRIALS {
            let bootstrap = Bootstrap { seed: trial as u64, ..BOOTSTRAP };
            let normal: Vec<f64> = (0..size).map(|_| random.normal()).collect();
            counts[0].add(of_mean(&normal, &bootstrap).unwrap(), 0.0);
            counts[1].add(of_std(&normal, 0.95).unwrap(), 1.0);
            let places = random.choose(pool.runs().len(), size);
            for (at, values) in [(2, &accuracy), (4, &loss)] {
                let chosen: Vec<f64> = places.iter().map(|&place| values[place]).collect();
                counts[at].add(of_mean(&chosen, &bootstrap).unwrap(), mean(values));
                counts[at + 1].add(of_std(&chosen, 0.95).unwrap(), std(values));
            }
            let rows: Vec<Vec<u32>> = places.iter().map(|&place| decisions[place].clone()).collect();
            let churns = Votes::of(&rows).unwrap().churn_of_runs(&rows);
            counts[6].add(of_mean_over_pairs(&churns, 0.95).unwrap(), churn_truth);
        }
        println!("{size:3} {}", counts.iter().map(Count::show).collect::<Vec<_>>().join(""));
        for (count, what) in counts.iter().zip(["mean", "std", "accuracy", "its std", "loss", "its std", "churn"]) {
            count.check(what, size);
        }
    }
}

#[test]
#[ignore = "counts for minutes: tests/slow.sh verdicts"]
fn shares_are_covered() {
    for (trials, share) in [(10, 0.1), (20, 0.5), (100, 0.02), (1000, 0.3)] {
        let mut random = Random::new(trials as u64);
        let mut count = Count::default();
        for _ in 0..TRIALS {
            let hits = (0..trials).filter(|_| random.uniform() < share).count();
            count.add(Some(of_share(hits, trials, 0.95).unwrap()), share);
        }
        println!("Wilson, {trials} trials of {share}: {}", count.show());
        // A share of few trials takes few values, so its coverage jumps.
        assert!(count.held * 100 >= 91 * count.made, "{trials} trials of {share}");
    }
}
