//! Two sets of runs against each other: is the candidate still the same procedure as the baseline?
//!
//! Every quantity is tested over runs, since runs are what varies: a studentised permutation test says whether the
//! difference could come from dividing the runs of one process at random. All quantities are tested on the same divisions
//! and corrected by step-down max-T, so that the chance of a false finding among them is at most 1 − confidence; intervals
//! are simultaneous, with the critical value of the same divisions. Start reading at [`compare`].

mod examples;
mod judge;
mod margins;
mod measure;
mod schema;
mod terms;
mod tested;
mod verdict;

pub use judge::{Settings, Tolerances, compare};
pub use measure::{Measured, Values, measured, of_classes};
pub use schema::*;
pub use terms::{Fixed, Terms};
pub use tested::{PERMUTATIONS, tested};

use super::input::Input;
use super::kernels::Snapshot;
use super::schema::LeftOut;
use crate::config::{Experiment, KeyDiff};

/// One set of runs as it comes into a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject<T> {
    /// The experiment's name, or that of a file.
    pub name: String,
    /// Where it was read from, as it was named.
    pub place: String,
    /// Soft decisions and labels.
    pub input: Input<T>,
    /// On which terms they were judged.
    pub terms: Terms,
    /// What only a sweep knows.
    pub sweep: Option<Swept>,
    /// What the reader should know besides, as sentences.
    pub notes: Vec<String>,
}

/// What a sweep knows besides soft decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Swept {
    /// The experiment of the sweep.
    pub experiment: Experiment,
    /// Epochs of training.
    pub epoch: usize,
    /// RFC 3339
    pub started: String,
    /// A digest of each run's weights, where they were kept.
    pub weights: Vec<(u32, String)>,
    /// Kernels of the runs at that checkpoint.
    pub kernels: Vec<Snapshot>,
    /// Runs that could not be read, with the reason.
    pub left_out: Vec<LeftOut>,
}

impl Swept {
    /// What the kernels are of: they can be compared only if this is the same.
    fn probes(&self) -> Option<(usize, u64)> {
        let kernel = self.experiment.record.kernel.as_ref()?;
        Some((kernel.probes, self.experiment.data.seed))
    }
}

impl From<KeyDiff> for ChangedKey {
    fn from(diff: KeyDiff) -> Self {
        Self { key: diff.key, baseline: diff.old, candidate: diff.new }
    }
}
