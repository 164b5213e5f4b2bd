//! The empirical NTK: its spectrum, and what becomes of it over training.

use plotters::style::RGBColor;

use super::super::axis::{Axis, span};
use super::super::canvas::svg;
use super::super::panel::{Frame, Panel, ROW, Swatch, legend, legend_columns};
use super::super::style::{BAND, INK, Looks};
use super::{
    Figure, LEGEND, LEGEND_ROOM, TYPICAL_TEXT, WIDTH, curve_rows, draw_curves, draws_single, flagged_rows, plan,
};
use crate::analysis::{Analysis, Band};
use crate::error::Result;

/// Checkpoints whose spectra are drawn, at most.
const SPECTRA: usize = 6;

/// Eigenvalues at each checkpoint, and those of the flagged runs at the last.
///
/// # Errors
/// As [`super::all`].
pub fn spectra(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let Some(last) = analysis.kernels.last() else { return Ok(None) };
    let shown = shown(&analysis.kernels, SPECTRA);
    let title = "Eigenvalues of the kernel";
    let svg = svg(WIDTH, 350, title, |canvas| {
        let frames = [
            Frame { left: 66.0, top: 40.0, right: 320.0, bottom: 296.0 },
            Frame { left: 396.0, top: 40.0, right: 646.0, bottom: 296.0 },
        ];
        let x = || Axis::log("rank of the eigenvalue", 1.0, last.probes.max(2) as f64);
        let axis = |bands: &[&Band], runs: &[&[f64]]| {
            let bounds = bands.iter().flat_map(|band| band.bounds());
            let largest = bounds.clone().fold(0.0, f64::max);
            // Rounding leaves tiny eigenvalues that have no meaning: eight decades are enough.
            let values = bounds.chain(runs.iter().flat_map(|run| run.iter().copied()));
            let (low, high) = span(values.filter(|&value| value > largest * 1e-8).map(f64::log10), 0.04);
            Axis::log("eigenvalue (trNTK)", 10f64.powf(low), 10f64.powf(high))
        };
        let bands: Vec<&Band> = shown.iter().map(|kernel| &kernel.eigenvalues).collect();
        let panel = Panel::new(canvas, frames[0], "Over training", x(), axis(&bands, &[]), 48.0)?;
        let mut rows = Vec::new();
        for (place, kernel) in shown.iter().enumerate() {
            let (fill, line) = shades(place, shown.len());
            panel.band(&ranks(kernel.eigenvalues.median.len()), &kernel.eigenvalues, fill, line)?;
            rows.push((Swatch::Band(fill, line), format!("epoch {}", kernel.epoch)));
        }
        let flagged: Vec<(u32, &[f64])> = last
            .runs
            .iter()
            .filter(|run| looks.flagged(run.run).is_some())
            .map(|run| (run.run, run.eigenvalues.as_slice()))
            .collect();
        let spectra: Vec<&[f64]> = flagged.iter().map(|(_, values)| *values).collect();
        let title = format!("Runs at epoch {}", last.epoch);
        let panel = Panel::new(canvas, frames[1], &title, x(), axis(&[&last.eigenvalues], &spectra), 48.0)?;
        panel.band(&ranks(last.eigenvalues.median.len()), &last.eigenvalues, BAND, INK)?;
        for (run, values) in flagged {
            let points = ranks(values.len()).into_iter().zip(values.iter().copied());
            panel.curve(points, looks.get(run), 1.0, 1.9)?;
        }
        legend(canvas, (LEGEND, 50.0), LEGEND_ROOM, &rows)?;
        let mut rows = vec![(super::TYPICAL_BAND, TYPICAL_TEXT.to_owned())];
        rows.extend(flagged_rows(analysis, looks, |look| Swatch::Line(look, 1.9)));
        legend(canvas, (LEGEND, 66.0 + 20.0 * shown.len() as f64), LEGEND_ROOM, &rows)
    })?;
    let caption = format!(
        "Eigenvalues of the cosine-normalised trace NTK on {} probe examples, largest first; bands hold 90 % of the typical \
         runs. A spectrum that steepens over training means that the network puts its weight on few directions. Right: \
         flagged runs that leave the band have learned another geometry.",
        last.probes
    );
    Ok(Some(Figure { file: "eigenvalues.svg", svg, title: title.to_owned(), caption }))
}

/// Alignment, effective rank and agreement between runs over the epochs.
///
/// # Errors
/// As [`super::all`].
pub fn over_training(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let plans = plan::kernels(analysis);
    if plans.is_empty() {
        return Ok(None);
    }
    let single = draws_single(analysis);
    let title = "The kernel over training";
    const COLUMNS: usize = 3;
    let rows = curve_rows(analysis, looks);
    let height = 306.0 + ROW * rows.len().div_ceil(COLUMNS) as f64;
    let svg = svg(WIDTH, height as u32, title, |canvas| {
        for (place, plan) in plans.iter().enumerate() {
            let left = 62.0 + 278.0 * place as f64;
            let frame = Frame { left, top: 40.0, right: left + 206.0, bottom: 248.0 };
            let (x, y) = plan.axes(looks, single);
            let panel = Panel::new(canvas, frame, plan.title, x, y, 46.0)?;
            draw_curves(&panel, plan.curves, analysis, looks)?;
        }
        legend_columns(canvas, (62.0, 312.0), 278.0, COLUMNS, &rows)
    })?;
    let caption = "What training does to the kernel. Alignment with the labels rises as features are learned; the effective \
                   rank counts how many directions carry the kernel; agreement between runs says whether all of them \
                   arrive at the same geometry. A run outside the band generalises differently even where it decides alike."
        .to_owned();
    Ok(Some(Figure { file: "kernel-training.svg", svg, title: title.to_owned(), caption }))
}

pub(super) fn ranks(count: usize) -> Vec<f64> {
    (1..=count).map(|rank| rank as f64).collect()
}

/// First, last and some between: `most` of them, which is above 1.
pub(super) fn shown<T>(all: &[T], most: usize) -> Vec<&T> {
    if all.len() <= most {
        return all.iter().collect();
    }
    (0..most).filter_map(|place| all.get(place * (all.len() - 1) / (most - 1))).collect()
}

/// Fill and line of the `place`-th of `count` checkpoints: pale to dark.
pub(super) fn shades(place: usize, count: usize) -> (RGBColor, RGBColor) {
    const PALE: [f64; 3] = [168.0, 190.0, 220.0];
    const DARK: [f64; 3] = [40.0, 20.0, 90.0];
    let weight = if count < 2 { 1.0 } else { place as f64 / (count - 1) as f64 };
    let mix = |channel: usize, white: f64| {
        let ink = PALE[channel] + (DARK[channel] - PALE[channel]) * weight;
        (ink + (255.0 - ink) * white).round() as u8
    };
    let colour = |white: f64| RGBColor(mix(0, white), mix(1, white), mix(2, white));
    (colour(0.6), colour(0.0))
}
