//! The spectrum of the empirical NTK.

use super::super::super::axis::{Axis, span};
use super::super::super::style::{Looks, Paint, STAGES, TYPICAL};
use super::super::{Curve, Entry, Figure, Layer, Panel, Swatch, some};
use super::{band_entry, draws_single, flagged_entries, line, places};
use crate::analysis::{Analysis, Band};

/// Ranks drawn of one run, at most.
const RANKS: usize = 60;

/// Eigenvalues at each checkpoint, and those of the runs at the last.
pub fn eigenvalues(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    let last = analysis.kernels.last()?;
    let shown = some(&analysis.kernels, STAGES);
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
    let layers = bands.iter().enumerate().map(|(place, band)| staged(band, place, shown.len())).collect();
    let over = Panel::chart("Over training", x(), axis(&bands, &[]), layers);

    let spectra: Vec<&[f64]> = last.runs.iter().map(|run| run.eigenvalues.as_slice()).collect();
    let band = last.eigenvalues.clone();
    let mut layers =
        vec![Layer::Band { x: ranks(band.median.len()), band, fill: Paint::Band, opacity: 0.8, line: Paint::Ink }];
    let (flagged, typical): (Vec<_>, Vec<_>) = last.runs.iter().partition(|run| looks.flagged(run.run).is_some());
    let single = draws_single(analysis);
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        // Evenly spaced on an axis of powers of ten.
        let count = values.len().max(1) as f64;
        let mut kept: Vec<usize> = places(RANKS, RANKS)
            .into_iter()
            .map(|place| count.powf(place as f64 / (RANKS - 1) as f64).round() as usize)
            .collect();
        kept.dedup();
        kept.into_iter().filter_map(|rank| Some((rank as f64, *values.get(rank - 1)?))).collect()
    };
    for run in typical {
        let thin = line(points(&run.eigenvalues), &run.run.to_string(), TYPICAL, 0.8);
        layers.push(Layer::Curve(Curve { hidden: !single, opacity: 0.5, ..thin }));
    }
    for run in flagged {
        layers.push(Layer::Curve(line(points(&run.eigenvalues), &run.run.to_string(), looks.get(run.run), 1.9)));
    }
    let title = format!("Runs at epoch {}", last.epoch);
    let runs = Panel::chart(&title, x(), axis(&[&last.eigenvalues], &spectra), layers);

    let mut legend = stage_entries(shown.iter().map(|kernel| kernel.epoch));
    legend.push(band_entry());
    legend.extend(flagged_entries(analysis, looks, |look| Swatch::Line(look, 1.9)));
    let caption = format!(
        "Eigenvalues of the cosine-normalised trace NTK on {} probe examples, largest first; bands hold 90 % of the typical \
         runs. A spectrum that steepens over training means that the network puts its weight on few directions. Right: \
         flagged runs that leave the band have learned another geometry.",
        last.probes
    );
    Some(Figure::new("eigenvalues", "Eigenvalues of the kernel", caption, vec![over, runs], legend))
}

/// 1, 2, … as places of a spectrum.
pub fn ranks(count: usize) -> Vec<f64> {
    (1..=count).map(|rank| rank as f64).collect()
}

/// A spectrum's band in the colour of the `place`-th of `count` checkpoints.
pub fn staged(band: &Band, place: usize, count: usize) -> Layer {
    let paint = stage(place, count);
    Layer::Band { x: ranks(band.median.len()), band: band.clone(), fill: paint, opacity: 0.35, line: paint }
}

/// Legend entries of checkpoints, pale to dark.
pub fn stage_entries(epochs: impl ExactSizeIterator<Item = usize>) -> Vec<Entry> {
    let count = epochs.len();
    let entry = |(place, epoch): (usize, usize)| {
        let paint = stage(place, count);
        Entry::new(Swatch::Band(paint, 0.35, paint), format!("epoch {epoch}"))
    };
    epochs.enumerate().map(entry).collect()
}

fn stage(place: usize, count: usize) -> Paint {
    Paint::Stage(if count < 2 { STAGES - 1 } else { place * (STAGES - 1) / (count - 1) })
}
