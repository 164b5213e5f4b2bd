//! How often a healthy sweep carries a flag, and how often a planted fault is found.

use std::collections::BTreeMap;

use harness::analysis::flags::{FlagKind, judged};
use harness::analysis::{Input, Run, Settings};

use super::pool::{self, Random};

const SIZES: [usize; 9] = [3, 5, 6, 7, 8, 10, 20, 50, 100];

fn flagged(sweep: &Input<f32>) -> Vec<Run> {
    let soft: Vec<_> = sweep.runs().iter().map(|run| sweep.soft(run).unwrap()).collect();
    let indices: Vec<u32> = sweep.runs().iter().map(|run| run.index).collect();
    judged(&soft, &indices, &Settings::default()).unwrap()
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn healthy_sweeps_carry_a_flag_as_often_as_stated() {
    for name in pool::healthy() {
        count(&name);
    }
}

fn count(name: &str) {
    let pool = pool::read(name);
    let sweeps: usize = std::env::var("SWEEPS").ok().and_then(|count| count.parse().ok()).unwrap_or(1000);
    println!("{name}: healthy sweeps of {} runs, {sweeps} of each size; flagged at 5 %, by kind", pool.runs().len());
    // Sweeps of more than half of the pool are hardly different ones.
    for size in SIZES.into_iter().filter(|&size| 2 * size <= pool.runs().len()) {
        let mut random = Random::new(size as u64);
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let mut alarms = 0;
        for _ in 0..sweeps {
            let runs = flagged(&pool::sweep(&pool, &random.choose(pool.runs().len(), size), &[]));
            let mut of_sweep: Vec<&str> =
                runs.iter().flat_map(|run| run.flags.iter().map(|flag| flag.flag.name())).collect();
            of_sweep.sort_unstable();
            of_sweep.dedup();
            alarms += usize::from(!of_sweep.is_empty());
            of_sweep.into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
        }
        println!("M = {size:3}: {:5.1} %  {kinds:?}", 100.0 * alarms as f64 / sweeps as f64);
        // Within three standard errors of the stated 5 %.
        let allowed = 0.05 + 3.0 * (0.05 * 0.95 / sweeps as f64).sqrt();
        assert!(alarms as f64 <= allowed * sweeps as f64, "too many at M = {size}");
    }
}

/// The logits of every faulty run, with the class that it lost where it lost one.
fn faults(kind: &str) -> Vec<(usize, Vec<f32>)> {
    let of = |name: &str, class: usize| -> Vec<(usize, Vec<f32>)> {
        let pool = pool::read(name);
        pool.runs().iter().map(|run| (class, run.logits.clone())).collect()
    };
    match kind {
        "class" => (0..10).flat_map(|class| of(&format!("faults_class_{class}.npz"), class)).collect(),
        _ => of(&format!("faults_{kind}.npz"), 0),
    }
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn planted_faults_are_found() {
    let pool = pool::read("clean_logits.npz");
    println!("one faulty run among M − 1 healthy ones, 20 sweeps for each faulty run; found, and named first by");
    // The least share that must be found at M = 8.
    for (kind, least) in [("noise30", 1.0), ("quarter", 0.9), ("class", 1.0), ("half", 0.0), ("noise10", 0.0)] {
        let faults = faults(kind);
        for size in [6, 8, 10, 20] {
            let mut random = Random::new(7);
            let (mut found, mut named, mut others, mut all) = (0, 0, 0, 0);
            let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
            for (class, fault) in &faults {
                for _ in 0..20 {
                    let places = random.choose(pool.runs().len(), size - 1);
                    let runs = flagged(&pool::sweep(&pool, &places, &[fault]));
                    let faulty = &runs[size - 1];
                    found += usize::from(faulty.is_flagged());
                    others += usize::from(runs[..size - 1].iter().any(Run::is_flagged));
                    let class = format!("class {class} ");
                    named += usize::from(
                        faulty.flags.iter().any(|flag| flag.flag == FlagKind::Class && flag.why.contains(&class)),
                    );
                    faulty.flags.iter().for_each(|flag| *kinds.entry(flag.flag.name()).or_default() += 1);
                    all += 1;
                }
            }
            let percent = |count: usize| 100.0 * count as f64 / all as f64;
            println!(
                "{kind:8} M = {size:2}: found {:5.1} %, healthy runs flagged beside it {:4.1} %, by {kinds:?}",
                percent(found),
                percent(others)
            );
            if kind == "class" {
                println!("         the class is named in {:5.1} %", percent(named));
            }
            if size == 8 {
                assert!(found as f64 >= least * all as f64, "{kind}: too few found");
                assert!(kind != "class" || named == all, "the class must be named");
            }
        }
    }
}
