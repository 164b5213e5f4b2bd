//! What is known of the runs of a sweep besides their last soft decisions.

use std::collections::HashMap;

use super::schema::{Checkpoint, Fact, KernelCheckpoint, LeftOut};

/// One value per place and run, before anybody knows which runs are typical.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawSeries {
    /// As in the tables: `loss`, `effective_rank`, …
    pub name: String,
    /// Epochs, increasing.
    pub x: Vec<f64>,
    /// Run and its value at each epoch.
    pub runs: Vec<(u32, Vec<Option<f64>>)>,
}

/// Centred alignment of the last kernels of two runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelPair {
    /// One of the two.
    pub a: u32,
    /// The other.
    pub b: u32,
    /// Debiased centred kernel alignment, at most 1.
    pub cka: f64,
}

/// A run and the singular values of one of its matrices, largest first.
pub type RunSpectrum = (u32, Vec<f64>);

/// Singular values of every layer's weight matrix at one epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawSpectra {
    /// Epochs of training.
    pub epoch: usize,
    /// In forward order: name, and of each run the values, largest first.
    pub layers: Vec<(String, Vec<RunSpectrum>)>,
    /// How far each layer of each run is from where it began, in units of the initial weights' norm; where both were recorded.
    pub moved: HashMap<(u32, String), f64>,
}

/// A run whose weights share an ancestor with those of an earlier one, although both drew their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Related {
    /// The later one.
    pub run: u32,
    /// The earlier one.
    pub to: u32,
    /// Corrected for all pairs (Holm).
    pub p: f64,
    /// Pairs are named up to this p-value.
    pub limit: f64,
}

/// Everything that a sweep recorded besides the soft decisions that are judged; empty for soft decisions of others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The experiment's name, or that of a file.
    pub name: String,
    /// BLAKE3 of the resolved experiment.
    pub experiment: Option<String>,
    /// The epoch of the soft decisions that are judged.
    pub epoch: Option<usize>,
    /// In label order; empty where they have none.
    pub class_names: Vec<String>,
    /// What is known of the input, for the report.
    pub facts: Vec<Fact>,
    /// What runs are called, where they have names.
    pub names: Vec<(u32, String)>,
    /// Runs that could not be read, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Runs whose loss was not finite, and at which epoch first.
    pub diverged: Vec<(u32, usize)>,
    /// In order of runs, each once.
    pub related: Vec<Related>,
    /// A digest of each run's last weights, where they were kept.
    pub weights: Vec<(u32, String)>,
    /// Loss, accuracy, learning rate, seconds after each epoch.
    pub training: Vec<RawSeries>,
    /// In order of epochs.
    pub checkpoints: Vec<Checkpoint>,
    /// The trace kernels, in order of epochs; their bands are still empty.
    pub kernels: Vec<KernelCheckpoint>,
    /// Those of other kinds than the trace kernel, kind by kind.
    pub other_kernels: Vec<KernelCheckpoint>,
    /// At the last of `kernels`.
    pub kernel_pairs: Vec<KernelPair>,
    /// In order of epochs.
    pub weight_spectra: Vec<RawSpectra>,
    /// Sentences a reader should know.
    pub notes: Vec<String>,
}

impl Evidence {
    /// What the run of this index is called, if it has a name.
    #[must_use]
    pub fn name_of(&self, run: u32) -> Option<String> {
        self.names.iter().find(|held| held.0 == run).map(|held| held.1.clone())
    }
}
