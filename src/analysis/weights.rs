//! Singular values of the weight matrices of all runs at each checkpoint.

use std::collections::BTreeSet;

use super::curves;
use super::evidence::RawSpectra;
use super::schema::{LayerRun, LayerSpectrum, WeightCheckpoint};
use crate::error::{Error, Result};
use crate::record::{RunReader, layout};

/// The spectra that the runs recorded, in order of epochs; one that cannot be used is left out with a note.
#[must_use]
pub fn read(runs: &[&RunReader], notes: &mut Vec<String>) -> Vec<RawSpectra> {
    let epochs: BTreeSet<usize> = runs.iter().flat_map(|run| run.epochs_with(layout::SPECTRA)).collect();
    let mut all = Vec::with_capacity(epochs.len());
    for epoch in epochs {
        let mut held = RawSpectra { epoch, layers: Vec::new() };
        for run in runs {
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

/// With the bands of the `typical` runs, and each run in two numbers.
#[must_use]
pub fn judged(spectra: Vec<RawSpectra>, typical: &[u32]) -> Vec<WeightCheckpoint> {
    let layer = |(layer, runs): (String, Vec<(u32, Vec<f64>)>)| {
        let rows: Vec<Vec<Option<f64>>> = runs
            .iter()
            .filter(|(run, _)| typical.contains(run))
            .map(|(_, values)| values.iter().copied().map(Some).collect())
            .collect();
        let places = runs.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let in_two_numbers = |(run, values): &(u32, Vec<f64>)| {
            let norm = values.iter().copied().fold(0.0, f64::max);
            let squares: f64 = values.iter().map(|value| value * value).sum();
            // All weights zero: no direction is stronger than another.
            let stable_rank = if norm > 0.0 { squares / (norm * norm) } else { values.len() as f64 };
            LayerRun { run: *run, norm, stable_rank }
        };
        LayerSpectrum {
            singular_values: curves::band(rows.iter().map(Vec::as_slice), places),
            runs: runs.iter().map(in_two_numbers).collect(),
            layer,
        }
    };
    spectra
        .into_iter()
        .map(|held| WeightCheckpoint { epoch: held.epoch, layers: held.layers.into_iter().map(layer).collect() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spectrum_in_two_numbers() {
        let layers =
            vec![("fc".to_owned(), vec![(0, vec![4.0, 2.0, 2.0]), (1, vec![0.0; 3]), (2, vec![6.0, 0.0, 0.0])])];
        let judged = judged(vec![RawSpectra { epoch: 3, layers }], &[0, 2]);
        let layer = &judged[0].layers[0];
        assert_eq!((judged[0].epoch, layer.layer.as_str()), (3, "fc"));
        // 16 + 4 + 4 over 16.
        assert_eq!(layer.runs[0], LayerRun { run: 0, norm: 4.0, stable_rank: 1.5 });
        assert_eq!(layer.runs[1], LayerRun { run: 1, norm: 0.0, stable_rank: 3.0 });
        assert_eq!(layer.runs[2], LayerRun { run: 2, norm: 6.0, stable_rank: 1.0 });
        // The band is of the typical runs.
        assert_eq!(layer.singular_values.median, [Some(5.0), Some(1.0), Some(1.0)]);
    }
}
