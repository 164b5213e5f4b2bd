//! Singular values of the weight matrices of all runs at each checkpoint.

use std::collections::{BTreeSet, HashMap};

use super::curves;
use super::evidence::{RawSpectra, RunSpectrum};
use super::schema::{LayerRun, LayerSpectrum, WeightCheckpoint};
use crate::error::{Error, Result};
use crate::record::{RunReader, Values, layout};
use crate::stats::spectra;

/// The spectra that the runs recorded, in order of epochs; one that cannot be used is left out with a note.
#[must_use]
pub fn read(runs: &[&RunReader], notes: &mut Vec<String>) -> Vec<RawSpectra> {
    let epochs: BTreeSet<usize> = runs.iter().flat_map(|run| run.epochs_with(layout::SPECTRA)).collect();
    let mut all = Vec::with_capacity(epochs.len());
    for epoch in epochs {
        let mut held = RawSpectra { epoch, ..RawSpectra::default() };
        for run in runs {
            match moved(run, epoch) {
                Ok(layers) => {
                    held.moved.extend(layers.into_iter().map(|(layer, far)| ((run.index() as u32, layer), far)));
                }
                Err(error) => notes.push(format!(
                    "How far the weights of run {} moved until epoch {epoch} is left out: {error}.",
                    run.index()
                )),
            }
            match of_run(run, epoch, &held) {
                Ok(layers) => {
                    for (layer, values) in layers {
                        match held.layers.iter_mut().find(|(known, _)| *known == layer) {
                            Some((_, runs)) => runs.push((run.index() as u32, values)),
                            None => held.layers.push((layer, vec![(run.index() as u32, values)])),
                        }
                    }
                }
                Err(error) => notes.push(format!(
                    "The singular values of run {} at epoch {epoch} are left out: {error}.",
                    run.index()
                )),
            }
        }
        if !held.layers.is_empty() {
            all.push(held);
        }
    }
    all
}

/// ‖W − W₀‖/‖W₀‖ of every weight matrix of one run; none where its weights at epoch 0 or at this one were not recorded.
fn moved(run: &RunReader, epoch: usize) -> Result<Vec<(String, f64)>> {
    let recorded = run.epochs_with(layout::WEIGHTS);
    if !recorded.contains(&0) || !recorded.contains(&epoch) {
        return Ok(Vec::new());
    }
    let (Some(start), Some(now)) = (run.weights(0)?, run.weights(epoch)?) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (name, shape, values) in now.iter().filter(|held| held.1.len() > 1) {
        let Values::F32(values) = values else { continue };
        let (of_start, before) = start.f32(name)?;
        if of_start != shape {
            return Err(Error::Corrupt(format!("{name} has shape {shape:?}, and {of_start:?} at epoch 0")));
        }
        let norm = |squares: f64| squares.sqrt();
        let apart = values.iter().zip(before).map(|(now, then)| f64::from(now - then).powi(2)).sum();
        let initial: f64 = before.iter().map(|then| f64::from(*then).powi(2)).sum();
        if initial > 0.0 {
            found.push((name.strip_suffix(".weight").unwrap_or(name).to_owned(), norm(apart) / norm(initial)));
        }
    }
    Ok(found)
}

/// The layers of one run in forward order; none where it recorded none.
fn of_run(run: &RunReader, epoch: usize, others: &RawSpectra) -> Result<Vec<(String, Vec<f64>)>> {
    let Some(tensors) = run.spectra(epoch)? else { return Ok(Vec::new()) };
    let order: Vec<String> = serde_json::from_str(tensors.note().unwrap_or_default())
        .map_err(|_| Error::Corrupt("the order of its layers cannot be read".into()))?;
    let layers: Vec<(String, Vec<f64>)> =
        order.into_iter().map(|layer| Ok((layer.clone(), tensors.f64(&layer)?.1.to_vec()))).collect::<Result<_>>()?;
    let sound = |values: &[f64]| !values.is_empty() && values.iter().all(|value| value.is_finite());
    if let Some((layer, _)) = layers.iter().find(|(_, values)| !sound(values)) {
        return Err(Error::Corrupt(format!("those of layer {layer} are none, or not finite")));
    }
    let sizes = |(layer, values): &(String, Vec<f64>)| (layer.clone(), values.len());
    let known = others.layers.iter().filter_map(|(layer, runs)| Some((layer.clone(), runs.first()?.1.len())));
    if !others.layers.is_empty() && !known.eq(layers.iter().map(sizes)) {
        return Err(Error::Corrupt("its layers are others than those of the runs before it".into()));
    }
    Ok(layers)
}

/// With the bands of the `typical` runs, and each run in a few numbers; spectra are in order of epochs.
#[must_use]
pub fn judged(raw: Vec<RawSpectra>, typical: &[u32]) -> Vec<WeightCheckpoint> {
    // The largest singular value of each layer of each run where it was recorded first.
    let mut edges: HashMap<(u32, String), f64> = HashMap::new();
    let mut layer = |(layer, runs): (String, Vec<RunSpectrum>), moved: &HashMap<(u32, String), f64>| {
        let rows: Vec<Vec<Option<f64>>> = runs
            .iter()
            .filter(|(run, _)| typical.contains(run))
            .map(|(_, values)| values.iter().copied().map(Some).collect())
            .collect();
        let places = runs.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let in_numbers = |(run, values): &RunSpectrum| {
            let norm = values.iter().copied().fold(0.0, f64::max);
            let squares: f64 = values.iter().map(|value| value * value).sum();
            // All weights zero: no direction is stronger than another.
            let stable_rank = if norm > 0.0 { squares / (norm * norm) } else { values.len() as f64 };
            let key = (*run, layer.clone());
            let edge = *edges.entry(key.clone()).or_insert(norm);
            let eigenvalues: Vec<f64> = values.iter().map(|value| value * value).collect();
            LayerRun {
                run: *run,
                norm,
                stable_rank,
                risen: Some(spectra::beyond(values, edge)),
                tail_exponent: spectra::tail_exponent(&eigenvalues),
                moved: moved.get(&key).copied(),
            }
        };
        LayerSpectrum {
            singular_values: curves::band(rows.iter().map(Vec::as_slice), places),
            runs: runs.iter().map(in_numbers).collect(),
            layer,
        }
    };
    raw.into_iter()
        .map(|RawSpectra { epoch, layers, moved }| WeightCheckpoint {
            epoch,
            layers: layers.into_iter().map(|held| layer(held, &moved)).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spectrum_in_a_few_numbers() {
        let layers = |values: [Vec<f64>; 3]| vec![("fc".to_owned(), (0..).zip(values).collect::<Vec<RunSpectrum>>())];
        let first = [vec![3.0, 2.0, 1.0], vec![0.0; 3], vec![6.0, 3.0, 0.0]];
        let last = [vec![4.0, 2.0, 2.0], vec![0.0; 3], vec![6.0, 0.0, 0.0]];
        let moved = HashMap::from([((0, "fc".to_owned()), 0.25)]);
        let raw = vec![
            RawSpectra { epoch: 0, layers: layers(first), ..RawSpectra::default() },
            RawSpectra { epoch: 3, layers: layers(last), moved },
        ];
        let judged = judged(raw, &[0, 2]);
        let layer = &judged[1].layers[0];
        assert_eq!((judged[1].epoch, layer.layer.as_str()), (3, "fc"));
        let of = |run: usize| {
            let row = &layer.runs[run];
            (row.norm, row.stable_rank, row.risen, row.moved)
        };
        // 16 + 4 + 4 over 16; 4 is beyond the 3 that it began with.
        assert_eq!(of(0), (4.0, 1.5, Some(1), Some(0.25)));
        assert_eq!(of(1), (0.0, 3.0, Some(0), None));
        assert_eq!(of(2), (6.0, 1.0, Some(0), None));
        assert!(judged[0].layers[0].runs.iter().all(|row| row.risen == Some(0) && row.tail_exponent.is_none()));
        // The band is of the typical runs.
        assert_eq!(layer.singular_values.median, [Some(5.0), Some(1.0), Some(1.0)]);
    }
}
