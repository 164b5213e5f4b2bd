//! The cases that an independent program computed, read from `tests/fixtures`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
pub struct TrimmedKs {
    pub alpha: f64,
    pub step: f64,
    pub interpolated: f64,
}

#[derive(Deserialize)]
pub struct Level {
    pub delta: f64,
    pub alpha: f64,
}

#[derive(Deserialize)]
pub struct TrimmingCase {
    pub reference: Vec<f64>,
    pub candidate: Vec<f64>,
    pub trimmed_ks: Vec<TrimmedKs>,
    pub level: Vec<Level>,
}

#[derive(Deserialize)]
pub struct ExpectedRun {
    pub accuracy: f64,
    pub nll: f64,
    pub brier: f64,
    pub ece: f64,
    pub churn: f64,
    pub ks: f64,
    pub alpha: f64,
    pub alpha_relative: f64,
}

#[derive(Deserialize)]
pub struct EnsembleCase {
    pub logits: Vec<Vec<Vec<f64>>>,
    pub labels: Vec<u32>,
    pub runs: Vec<ExpectedRun>,
    pub delta: f64,
    pub delta_relative: f64,
    pub epsilon: f64,
    pub ambiguity: f64,
}

impl EnsembleCase {
    /// The logits of each run, `[N, C]`.
    pub fn flat(&self) -> Vec<Vec<f64>> {
        self.logits.iter().map(|run| run.concat()).collect()
    }

    pub fn classes(&self) -> usize {
        self.logits[0][0].len()
    }
}

pub fn trimming_cases() -> Vec<TrimmingCase> {
    read("trimming.json")
}

pub fn ensemble_cases() -> Vec<EnsembleCase> {
    read("ensembles.json")
}

fn read<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let cases: Vec<T> = serde_json::from_str(&text).expect(&path);
    assert!(!cases.is_empty());
    cases
}

/// Whether two numbers differ by at most `tolerance`.
pub fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}
