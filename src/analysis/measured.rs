//! What is measured on the distinct runs of a set, once: the table of metrics reads its values from here.

use rayon::prelude::*;

use super::schema::{KernelCheckpoint, Settings};
use crate::config::Reference;
use crate::error::Result;
use crate::stats::alpha::{self, Levels};
use crate::stats::alpha_hat::{self, AlphaHat, Protocol};
use crate::stats::calibrated::{Calibrated, calibrated};
use crate::stats::calibration::{BINS, Calibration, calibration};
use crate::stats::churn::Votes;
use crate::stats::descriptive::mean;
use crate::stats::logits::Real;
use crate::stats::scores::{Scores, scores};
use crate::stats::{Logits, Margins, Ranking, churn, margins, noise, wasserstein};

/// Measurements of M runs on N examples, all finite and distinct.
pub struct Measured<'a, T> {
    /// `[M]`
    pub soft: &'a [Logits<'a, T>],
    pub scores: Vec<Scores>,
    pub calibration: Vec<Calibration>,
    /// What a calibrated network would score, of each run; empty where only what is cheap was measured.
    pub calibrated: Vec<Calibrated>,
    /// `[M][N]`
    pub decisions: Vec<Vec<u32>>,
    pub votes: Votes,
    /// Label margins `[M, N]`, clipped if so set.
    pub margins: Vec<f64>,
    /// What takes two runs; absent for one.
    pub against: Option<Against>,
    /// Of each run; empty numbers where it has no kernel.
    pub kernels: Vec<KernelOfRun>,
    pub noise: Noise,
}

/// Each run against the others.
pub struct Against {
    pub ranking: Ranking,
    /// Mean churn against the other runs, `[M]`.
    pub churn: Vec<f64>,
    pub levels: Levels,
    /// Empty where only what is cheap was measured.
    pub hats: Vec<AlphaHat>,
    /// Empty where only what is cheap was measured.
    pub wasserstein: Vec<f64>,
    /// At δ_M; empty where only what is cheap was measured.
    pub wasserstein_level: Vec<f64>,
    /// The share of the runs that are at least as far from the others by KS distance, `[M]`.
    pub typicality: Vec<f64>,
}

/// What the last kernel of a run says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelOfRun {
    pub alignment: Option<f64>,
    pub mean_cka: Option<f64>,
}

/// The standard deviation that the examples alone give a quantity between healthy runs; 0 where nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Noise {
    pub accuracy: f64,
    pub nll: f64,
    pub ece: f64,
    pub churn: f64,
    pub ks: f64,
    pub kernel: f64,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Everything,
    /// Without bootstraps and Wasserstein distances: what a choice of runs needs.
    Cheap,
}

impl<'a, T: Real> Measured<'a, T> {
    /// Measures `soft`, the runs `indices`; `kernels` are those of the last checkpoint, if there are any.
    ///
    /// # Errors
    /// [`crate::error::Error::Invalid`] for settings out of range.
    pub fn of(
        soft: &'a [Logits<'a, T>],
        indices: &[u32],
        kernels: Option<&KernelCheckpoint>,
        settings: &Settings,
        effort: Effort,
    ) -> Result<Self> {
        let examples = soft.first().map_or(0, Logits::examples);
        let mut margins = vec![0.0; soft.len() * examples];
        let rows = margins.par_chunks_mut(examples.max(1)).zip(soft);
        rows.for_each(|(row, soft)| row.copy_from_slice(&margins::label_margins(soft)));
        let nll_noise = nll_noise(soft, &margins);
        if let Some(limit) = settings.analysis.clip {
            margins::clip(&mut margins, limit);
        }
        let decisions: Vec<Vec<u32>> = soft.par_iter().map(churn::decisions).collect();
        let of_run = |run: &u32| {
            let held = kernels.and_then(|last| last.runs.iter().find(|held| held.run == *run));
            held.map_or_else(KernelOfRun::default, |held| KernelOfRun {
                alignment: held.alignment,
                mean_cka: held.mean_cka,
            })
        };
        let votes = Votes::of(&decisions)?;
        let mut found = Self {
            soft,
            scores: soft.par_iter().map(scores).collect(),
            calibration: soft.par_iter().map(|soft| calibration(soft, BINS)).collect(),
            calibrated: Vec::new(),
            against: None,
            kernels: indices.iter().map(of_run).collect(),
            noise: Noise { nll: nll_noise, ..Noise::default() },
            decisions,
            votes,
            margins,
        };
        if effort == Effort::Everything {
            let seed = settings.analysis.seed;
            let pairs = soft.par_iter().zip(&found.calibration);
            found.calibrated = pairs.map(|(soft, table)| calibrated(soft, table.ece, seed)).collect();
        }
        if soft.len() > 1 {
            found.against = Some(Against::of(&found, examples, settings, effort)?);
        }
        found.measure_noise();
        Ok(found)
    }

    /// The level of the run at place `run` by the published protocol, where it was measured.
    #[must_use]
    pub fn hat(&self, run: usize) -> Option<&AlphaHat> {
        self.against.as_ref()?.hats.get(run)
    }

    /// Fills the noise that takes all runs.
    fn measure_noise(&mut self) {
        let (runs, examples) = (self.soft.len(), self.soft.first().map_or(0, Logits::examples));
        let labels = self.soft.first().map_or(&[][..], Logits::labels);
        let one = 1.0 / examples.max(1) as f64;
        let right = |m: usize, i: usize| f64::from(u8::from(self.decisions[m][i] == labels[i]));
        self.noise = Noise {
            // What a single example does is never evidence.
            accuracy: noise::independent(runs, examples, right).max(one),
            churn: noise::independent(runs, examples, |m, i| self.votes.churn(i, self.decisions[m][i])).max(one),
            ece: mean(&self.calibration.iter().map(Calibration::noise).collect::<Vec<f64>>()).max(one),
            ks: noise::kolmogorov(runs, examples),
            kernel: 1e-3,
            nll: self.noise.nll,
        };
    }
}

impl Against {
    fn of<T: Real>(found: &Measured<'_, T>, examples: usize, settings: &Settings, effort: Effort) -> Result<Self> {
        let rows = Margins::new(&found.margins, found.decisions.len(), examples)?;
        let ranking = Ranking::new(&rows)?;
        let levels = alpha::leave_one_out(&ranking, settings.analysis.epsilon)?;
        let (hats, wasserstein, wasserstein_level) = match effort {
            Effort::Everything => (
                alpha_hats(&rows, &ranking, settings)?,
                wasserstein::leave_one_out(&ranking),
                wasserstein::levels(&ranking, levels.delta_relative),
            ),
            Effort::Cheap => Default::default(),
        };
        Ok(Self {
            typicality: typicality(&levels),
            churn: found.votes.churn_of_runs(&found.decisions),
            ranking,
            levels,
            hats,
            wasserstein,
            wasserstein_level,
        })
    }
}

/// p_m = #{j : s_j ≥ s_m}/M, s the KS distance of each run from the others: exact if the runs are exchangeable.
fn typicality(levels: &Levels) -> Vec<f64> {
    let runs = &levels.runs;
    let as_far = |own: f64| runs.iter().filter(|other| other.ks >= own).count();
    runs.iter().map(|run| as_far(run.ks) as f64 / runs.len() as f64).collect()
}

/// The noise of the loss, read off the margins `[M, N]`: −log p_y = log(1 + e^−m), m the log-odds of the label.
fn nll_noise<T: Real>(soft: &[Logits<'_, T>], margins: &[f64]) -> f64 {
    let Some(first) = soft.first() else { return 0.0 };
    let (examples, labels) = (first.examples(), first.labels());
    noise::independent(soft.len(), examples, |m, i| {
        // The margin of two classes is that of class 1.
        let sign = if first.classes() == 2 && labels[i] == 0 { -1.0 } else { 1.0 };
        let margin = sign * margins[m * examples + i];
        (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
    })
}

fn alpha_hats(rows: &Margins<'_>, ranking: &Ranking, settings: &Settings) -> Result<Vec<AlphaHat>> {
    let protocol = Protocol {
        epsilon: settings.analysis.epsilon,
        bootstraps: settings.analysis.bootstraps,
        seed: settings.analysis.seed,
        literal: settings.analysis.literal,
    };
    match settings.analysis.reference {
        Reference::LeaveOneOut => alpha_hat::leave_one_out(ranking, &protocol),
        Reference::SplitHalf => {
            let halves = alpha_hat::random_halves(rows.runs(), protocol.seed);
            alpha_hat::split_half(rows, &halves, &protocol)
        }
    }
}
