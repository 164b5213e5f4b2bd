//! Singular values of the weight matrices over training.

use super::super::axis::{Axis, span};
use super::super::canvas::svg;
use super::super::panel::{Frame, Panel, Swatch, legend};
use super::kernels::{ranks, shades, shown};
use super::{Figure, LEGEND, LEGEND_ROOM, WIDTH};
use crate::analysis::{Analysis, Band};
use crate::error::Result;

/// Layers and checkpoints that are drawn, at most.
const LAYERS: usize = 6;
const EPOCHS: usize = 4;
/// Panels side by side, and the distance from one row of them to the next.
const COLUMNS: usize = 3;
const ROW: f64 = 208.0;

/// The singular values of each layer at the first, the last and some checkpoints between.
///
/// # Errors
/// As [`super::all`].
pub fn draw(analysis: &Analysis) -> Result<Option<Figure>> {
    let Some(last) = analysis.weight_spectra.last() else { return Ok(None) };
    let layers = shown(&last.layers, LAYERS);
    let epochs = shown(&analysis.weight_spectra, EPOCHS);
    let title = "Singular values of the weights";
    let height = 40.0 + ROW * layers.len().div_ceil(COLUMNS) as f64;
    let svg = svg(WIDTH, height as u32, title, |canvas| {
        for (place, layer) in layers.iter().enumerate() {
            let left = 52.0 + 206.0 * (place % COLUMNS) as f64;
            let top = 36.0 + ROW * (place / COLUMNS) as f64;
            let frame = Frame { left, top, right: left + 148.0, bottom: top + 126.0 };
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
            let x = Axis::log("rank", 1.0, count.max(2) as f64);
            let label = if place % COLUMNS == 0 { "singular value" } else { "" };
            let panel = Panel::new(canvas, frame, &layer.layer, x, Axis::linear(label, 0.0, high, 4, 1.0), 36.0)?;
            for (at, band) in bands {
                let (fill, line) = shades(at, epochs.len());
                panel.band(&ranks(band.median.len()), band, fill, line)?;
            }
        }
        let rows: Vec<(Swatch, String)> = epochs
            .iter()
            .enumerate()
            .map(|(at, held)| {
                let (fill, line) = shades(at, epochs.len());
                (Swatch::Band(fill, line), format!("epoch {}", held.epoch))
            })
            .collect();
        legend(canvas, (LEGEND + 10.0, 46.0), LEGEND_ROOM, &rows)
    })?;
    let left_out = last.layers.len() - layers.len();
    let caption = format!(
        "Singular values of the weight matrices ([out, in · k · k] for convolutions), largest first; bands hold 90 % of the \
         typical runs. Values that rise out of the bulk are directions that were learned; a bulk that stays where it was is \
         what is left of the initial weights.{}",
        if left_out > 0 { format!(" {left_out} layers between these are not drawn.") } else { String::new() }
    );
    Ok(Some(Figure { file: "weights.svg", svg, title: title.to_owned(), caption }))
}
