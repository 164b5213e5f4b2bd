//! The kernels of all runs at one checkpoint, and how alike they are.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::curves;
use super::evidence::{KernelPair, RawSeries};
use super::schema::{Band, KernelCheckpoint, KernelRun, Settings};
use crate::error::Result;
use crate::kernel::alignment::Centred;
use crate::kernel::spectrum::{Directions, Spectrum, directions, spectrum};
use crate::stats::{Margins, Ranking, Sample, alpha, spectra, wasserstein};

/// The kernel of one run at one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The run's index.
    pub run: u32,
    /// `[P, P]`, row-major, not normalised.
    pub kernel: Vec<f32>,
}

/// A run and its centred kernel at the last checkpoint.
pub type LastKernel = (u32, Centred);

/// Centres the kernels of the last checkpoint, which those of earlier ones are compared with.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for a kernel that is not square or not finite.
pub fn centred(snapshots: &[Snapshot]) -> Result<Vec<LastKernel>> {
    snapshots.par_iter().map(|held| Ok((held.run, Centred::new(&held.kernel)?))).collect()
}

/// What the kernels of the distinct runs say at `epoch`; `labels` are those of the probes, `last` the kernels of the
/// last checkpoint. The alignment of every two runs comes beside.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for a kernel that is not square, not finite or of another size than the others.
pub fn checkpoint(
    epoch: usize,
    snapshots: &[Snapshot],
    labels: &[u32],
    last: &[LastKernel],
    settings: &Settings,
) -> Result<(KernelCheckpoint, Vec<KernelPair>)> {
    let found: Vec<Spectrum> = snapshots.par_iter().map(|held| spectrum(&held.kernel)).collect::<Result<_>>()?;
    let kernels = centred(snapshots)?;
    let of_labels = Centred::of_labels(labels);
    let pairs: Vec<KernelPair> = (0..kernels.len())
        .into_par_iter()
        .map(|first| {
            let (a, kernel) = &kernels[first];
            let later = kernels[first + 1..].iter().filter_map(|(b, other)| {
                let pair = |cka| KernelPair { a: *a, b: *b, cka };
                kernel.alignment(other).map(|cka| cka.map(pair)).transpose()
            });
            later.collect::<Result<Vec<KernelPair>>>()
        })
        .collect::<Result<Vec<_>>>()?
        .concat();
    let mut sums: HashMap<u32, (f64, usize)> = HashMap::new();
    for pair in &pairs {
        for run in [pair.a, pair.b] {
            let entry = sums.entry(run).or_default();
            *entry = (entry.0 + pair.cka, entry.1 + 1);
        }
    }
    let levels = spectral_levels(&found, settings)?;
    let distances = log_distances(&found)?;
    let rows: Vec<&[f64]> = found.iter().map(|held| held.eigenvalues.as_slice()).collect();
    let classes = labels.iter().collect::<HashSet<_>>().len();
    let scores = spectra::top_scores(&rows, classes.max(1));
    let runs: Vec<KernelRun> = kernels
        .iter()
        .zip(&found)
        .enumerate()
        .map(|(place, ((run, kernel), spectrum))| {
            let own = last.iter().find(|(held, _)| held == run);
            Ok(KernelRun {
                run: *run,
                effective_rank: spectrum.effective_rank,
                top_share: spectrum.top_share,
                eigenvalues: spectrum.eigenvalues.clone(),
                alignment: if labels.is_empty() { None } else { kernel.alignment(&of_labels)? },
                mean_cka: sums.get(run).map(|&(sum, count)| sum / count as f64),
                cka_to_last: own.map(|(_, own)| kernel.alignment(own)).transpose()?.flatten(),
                spectrum_ks: levels.get(place).map(|level| level.ks),
                spectrum_alpha: levels.get(place).map(|level| level.alpha),
                spectrum_wasserstein: distances.get(place).copied(),
                top_score: scores.get(place).copied().flatten(),
                risen: None,
                label_cosine: None,
            })
        })
        .collect::<Result<_>>()?;
    let mean_cka = (!pairs.is_empty()).then(|| pairs.iter().map(|pair| pair.cka).sum::<f64>() / pairs.len() as f64);
    let probes = snapshots.first().map_or(0, |held| held.kernel.len().isqrt());
    let kind = "trace".to_owned();
    Ok((KernelCheckpoint { epoch, kind, probes, mean_cka, eigenvalues: Band::default(), runs }, pairs))
}

/// KS distance and exact level of each run's eigenvalues against those of the others; nothing for a single run.
fn spectral_levels(spectra: &[Spectrum], settings: &Settings) -> Result<Vec<alpha::RunLevel>> {
    let Some(first) = spectra.first().filter(|_| spectra.len() > 1) else { return Ok(Vec::new()) };
    let values: Vec<f64> = spectra.iter().flat_map(|held| held.eigenvalues.iter().copied()).collect();
    let rows = Margins::new(&values, spectra.len(), first.eigenvalues.len())?;
    Ok(alpha::leave_one_out(&Ranking::new(&rows)?, settings.analysis.epsilon)?.runs)
}

/// 1-Wasserstein distance of the logarithms of each run's eigenvalues from those of the others; nothing for a single run. What is
/// rounding beside the largest counts as 1e-9 of it.
fn log_distances(spectra: &[Spectrum]) -> Result<Vec<f64>> {
    if spectra.len() < 2 || spectra.iter().any(|held| held.top_share == 0.0) {
        return Ok(Vec::new());
    }
    let logs = |held: &Spectrum| -> Vec<f64> {
        let least = 1e-9 * held.eigenvalues.first().copied().unwrap_or(1.0);
        held.eigenvalues.iter().map(|value| value.max(least).ln()).collect()
    };
    let rows: Vec<Vec<f64>> = spectra.iter().map(logs).collect();
    (0..rows.len())
        .into_par_iter()
        .map(|run| {
            let others = rows.iter().enumerate().filter(|(other, _)| *other != run).flat_map(|(_, row)| row);
            let others = Sample::new(others.copied().collect())?;
            Ok(wasserstein::distance(&others, &Sample::new(rows[run].clone())?))
        })
        .collect()
}

/// The directions of each run's kernel; none where the labels of the probes are not known.
///
/// # Errors
/// [`Error::Invalid`](crate::error::Error::Invalid) where a kernel's eigenvectors cannot be computed.
pub fn of_runs(snapshots: &[Snapshot], labels: &[u32]) -> Result<HashMap<u32, Directions>> {
    if labels.is_empty() {
        return Ok(HashMap::new());
    }
    snapshots.par_iter().map(|held| Ok((held.run, directions(&held.kernel, labels)?))).collect()
}

/// Notes in each table how many directions rose beyond those of the run's first kernel; `found` and the tables are in order of epochs.
pub fn note_risen(checkpoints: &mut [KernelCheckpoint], found: &[HashMap<u32, Directions>]) {
    for (held, of_epoch) in checkpoints.iter_mut().zip(found) {
        for row in &mut held.runs {
            let Some(own) = of_epoch.get(&row.run) else { continue };
            let first = found.iter().find_map(|earlier| earlier.get(&row.run));
            let risen = first.map_or(0, |first| spectra::beyond(&own.eigenvalues, first.eigenvalues[0]));
            let told = &own.cosines[..risen.max(1)];
            row.risen = Some(risen);
            row.label_cosine = Some(told.iter().sum::<f64>() / told.len() as f64);
        }
    }
}

/// With the bands of the eigenvalues of the `typical` runs.
#[must_use]
pub fn banded(mut checkpoints: Vec<KernelCheckpoint>, typical: &[u32]) -> Vec<KernelCheckpoint> {
    for held in &mut checkpoints {
        let rows: Vec<Vec<Option<f64>>> = held
            .runs
            .iter()
            .filter(|run| typical.contains(&run.run))
            .map(|run| run.eigenvalues.iter().copied().map(Some).collect())
            .collect();
        held.eigenvalues = curves::band(rows.iter().map(Vec::as_slice), held.probes);
    }
    checkpoints
}

/// The tables of the checkpoints as series over the epochs.
#[must_use]
pub fn series(checkpoints: &[KernelCheckpoint]) -> Vec<RawSeries> {
    curves::over_epochs(
        checkpoints.iter().map(|held| (held.epoch, held.runs.as_slice())).collect(),
        |row| row.run,
        &[
            ("alignment", |row| row.alignment),
            ("effective_rank", |row| Some(row.effective_rank)),
            ("top_share", |row| Some(row.top_share)),
            ("mean_cka", |row| row.mean_cka),
            ("cka_to_last", |row| row.cka_to_last),
        ],
    )
}

/// The alignment of two runs, the lower index first.
#[must_use]
pub fn pair_index(pairs: &[KernelPair]) -> HashMap<(u32, u32), f64> {
    pairs.iter().map(|pair| ((pair.a.min(pair.b), pair.a.max(pair.b)), pair.cka)).collect()
}
