//! Pools of runs and random sweeps of them.

use std::path::PathBuf;

use harness::analysis::files::{self, AnyInput, Reading};
use harness::analysis::{Input, RunLogits};

/// The folder of pools, `HARNESS_POOLS`: `clean_logits.npz` and `faults_KIND.npz`.
pub fn folder() -> PathBuf {
    PathBuf::from(
        std::env::var("HARNESS_POOLS").expect("HARNESS_POOLS names the folder of pools: run tests/slow.sh verdicts"),
    )
}

/// Every pool of healthy runs, `*_logits.npz`, by name.
pub fn healthy() -> Vec<String> {
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with("_logits.npz")).collect();
    names.sort();
    names
}

/// The runs of a file of single precision.
pub fn read(name: &str) -> Input<f32> {
    let path = folder().join(name);
    match files::read(&[path], &Reading::default()).unwrap().input {
        AnyInput::F32(input) => input,
        AnyInput::F64(_) => panic!("{name} is of double precision"),
    }
}

/// The runs at `places` of a pool, then `more`, as one sweep.
pub fn sweep(pool: &Input<f32>, places: &[usize], more: &[&[f32]]) -> Input<f32> {
    let own = places.iter().map(|&place| pool.runs()[place].logits.as_slice());
    let runs = own.chain(more.iter().copied()).zip(0..);
    let runs = runs.map(|(logits, index)| RunLogits { index, logits: logits.to_vec() }).collect();
    Input::new(pool.labels().to_vec(), pool.classes(), runs).unwrap()
}

/// A small random generator, so that counts repeat (Steele 2014, splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// `count` different places below `n`.
    pub fn choose(&mut self, n: usize, count: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..n).collect();
        for place in 0..count {
            let other = place + self.below(n - place);
            places.swap(place, other);
        }
        places.truncate(count);
        places
    }
}
