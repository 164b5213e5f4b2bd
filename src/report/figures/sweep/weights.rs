//! Singular values of the weight matrices.

use super::super::super::axis::{Axis, span};
use super::super::super::style::Looks;
use super::super::{Dot, Figure, Layer, Panel, Swatch, THIRD, some};
use super::flagged_entries;
use super::kernels::{stage_entries, staged};
use crate::analysis::numbers::significant;
use crate::analysis::{Analysis, Band, LayerRun};

/// Layers and checkpoints that are drawn, at most.
const LAYERS: usize = 6;
const EPOCHS: usize = 4;

/// The singular values of each layer at the first, the last and some checkpoints between, and of each run the largest one and
/// the stable rank at the last.
pub fn weights(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    let last = analysis.weight_spectra.last()?;
    let layers = some(&last.layers, LAYERS);
    let epochs = some(&analysis.weight_spectra, EPOCHS);
    let mut panels: Vec<Panel> = layers
        .iter()
        .map(|layer| {
            let bands: Vec<(usize, &Band)> = epochs
                .iter()
                .enumerate()
                .filter_map(|(at, held)| {
                    let same = held.layers.iter().find(|other| other.layer == layer.layer)?;
                    Some((at, &same.singular_values))
                })
                .collect();
            let (_, high) = span(bands.iter().flat_map(|(_, band)| band.bounds()).chain([0.0]), 0.06);
            let count = bands.iter().map(|(_, band)| band.median.len()).max().unwrap_or(0);
            let drawn = bands.into_iter().map(|(at, band)| staged(band, at, epochs.len())).collect();
            let x = Axis::log("rank", 1.0, count.max(2) as f64);
            Panel::chart(&layer.layer, x, Axis::linear("singular value", 0.0, high, 4, 1.0), drawn).sized(THIRD)
        })
        .collect();
    type Value = fn(&LayerRun) -> f64;
    let norm: (&str, &str, Value) = ("Runs at the last epoch", "largest singular value", |run| run.norm);
    let rank: (&str, &str, Value) = ("Runs at the last epoch", "stable rank", |run| run.stable_rank);
    for (title, label, value) in [norm, rank] {
        let dots: Vec<Dot> = layers
            .iter()
            .enumerate()
            .flat_map(|(place, layer)| layer.runs.iter().map(move |run| (place, layer, run)))
            .map(|(place, layer, run)| {
                let tip = format!("run {}, {}: {label} {}", run.run, layer.layer, significant(value(run)));
                let look = looks.get(run.run);
                let radius = if looks.flagged(run.run).is_some() { 4.5 } else { 3.2 };
                let y = (layers.len() - 1 - place) as f64;
                Dot { key: run.run.to_string(), tip, radius, opacity: 0.8, ..Dot::new(value(run), y, look) }
            })
            .collect();
        let (low, high) = span(dots.iter().map(|dot| dot.x).chain([0.0]), 0.05);
        let y = Axis::names("", layers.iter().map(|layer| layer.layer.clone()), true);
        panels.push(
            Panel::chart(title, Axis::linear(label, low.max(0.0), high, 4, 1.0), y, vec![Layer::Points(dots)])
                .sized(THIRD),
        );
    }
    let mut legend = stage_entries(epochs.iter().map(|held| held.epoch));
    legend.extend(flagged_entries(analysis, looks, Swatch::Mark));
    let left_out = last.layers.len() - layers.len();
    let caption = format!(
        "Singular values of the weight matrices ([out, in · k · k] for convolutions), largest first; bands hold 90 % of the \
         typical runs. Values that rise out of the bulk are directions that were learned; a bulk that stays where it was is \
         what is left of the initial weights. Points are single runs: the largest singular value, and the stable rank (Σσ² / \
         σ₁²), at the last checkpoint.{}",
        if left_out > 0 { format!(" {left_out} layers between these are not drawn.") } else { String::new() }
    );
    Some(Figure { columns: 3, ..Figure::new("weights", "Singular values of the weights", caption, panels, legend) })
}
