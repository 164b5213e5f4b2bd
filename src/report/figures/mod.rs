//! The figures of a report, each drawn from a section of the analysis and absent without it.

mod ensembles;
mod kernels;
mod margins;
pub(super) mod matrix;
pub(super) mod plan;
pub(super) mod reliability;
mod runs;
mod training;
mod weights;

use super::canvas::Canvas;
use super::panel::{Panel, Swatch, TYPICAL_BAND, legend};
use super::style::{BAND, INK, Looks, TYPICAL_LOOK};
use crate::analysis::{Analysis, Curves, FlagKind, Run};
use crate::error::Result;

/// Width of every figure in pixels.
pub const WIDTH: u32 = 860;
/// Left end of the legends.
const LEGEND: f64 = 662.0;
/// Width of the legends.
const LEGEND_ROOM: f64 = 194.0;
/// What the band is.
const TYPICAL_TEXT: &str = "typical runs (5–95 %)";
/// Runs drawn one by one besides the band, at most.
pub(super) const SINGLE: usize = 24;
/// Flagged runs that a legend names, at most.
const NAMED: usize = 12;

/// The figure of the ensembles, which has a section of its own.
pub(super) const ENSEMBLES: &str = "ensembles.svg";

/// Every file name that a figure can have.
pub const FILES: [&str; 11] = [
    "runs.svg",
    "margins.svg",
    "learning-curves.svg",
    "parting.svg",
    "churn.svg",
    "reliability.svg",
    "eigenvalues.svg",
    "kernel-training.svg",
    "cka.svg",
    ENSEMBLES,
    "weights.svg",
];

/// One figure of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// File name.
    pub file: &'static str,
    pub svg: String,
    pub title: String,
    /// What to see in it.
    pub caption: String,
}

/// All figures for which there is something to draw, in reading order.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the backend refuses.
pub fn all(analysis: &Analysis) -> Result<Vec<Figure>> {
    let looks = Looks::of(analysis);
    let drawn = [
        runs::draw(analysis, &looks)?,
        margins::draw(analysis, &looks)?,
        training::learning(analysis, &looks)?,
        training::parting(analysis, &looks)?,
        matrix::draw(analysis, &looks, &matrix::CHURN)?,
        reliability::draw(analysis, &looks)?,
        kernels::spectra(analysis, &looks)?,
        kernels::over_training(analysis, &looks)?,
        matrix::draw(analysis, &looks, &matrix::ALIGNMENT)?,
        ensembles::draw(analysis)?,
        weights::draw(analysis)?,
    ];
    Ok(drawn.into_iter().flatten().collect())
}

/// "run 3 (alpha, accuracy, +1)"
fn flagged_label(run: &Run) -> String {
    const NAMED: usize = 2;
    let mut names: Vec<String> = run.flags.iter().take(NAMED).map(|flag| flag.flag.name().to_owned()).collect();
    if run.flags.len() > NAMED {
        names.push(format!("+{}", run.flags.len() - NAMED));
    }
    format!("run {} ({})", run.run, names.join(", "))
}

/// Runs that are drawn in their own colour.
fn flagged<'a>(analysis: &'a Analysis, looks: &'a Looks) -> impl Iterator<Item = &'a Run> {
    analysis.runs.iter().filter(|run| looks.flagged(run.run).is_some())
}

/// Whether there is no reason to call a run atypical.
fn is_typical(run: &Run) -> bool {
    run.flags.is_empty()
}

/// Whether single typical runs are drawn: few enough to tell apart.
pub(super) fn draws_single(analysis: &Analysis) -> bool {
    analysis.runs.iter().filter(|run| is_typical(run)).count() <= SINGLE
}

/// Legend rows of the flagged runs, by line or by mark.
fn flagged_rows(
    analysis: &Analysis,
    looks: &Looks,
    swatch: impl Fn(super::style::Look) -> Swatch,
) -> Vec<(Swatch, String)> {
    let mut rows: Vec<(Swatch, String)> =
        flagged(analysis, looks).map(|run| (swatch(looks.get(run.run)), flagged_label(run))).collect();
    if rows.len() > NAMED {
        let more = rows.len() - NAMED + 1;
        rows.truncate(NAMED - 1);
        rows.push((swatch(TYPICAL_LOOK), format!("… and {more} more flagged runs")));
    }
    rows
}

/// Band, single typical runs and flagged runs of one set of curves.
fn draw_curves(panel: &Panel, curves: &Curves, analysis: &Analysis, looks: &Looks) -> Result<()> {
    panel.band(&curves.x, &curves.band, BAND, INK)?;
    let single = draws_single(analysis);
    let typical = |run: u32| analysis.runs.iter().any(|held| held.run == run && is_typical(held));
    for curve in curves.runs.iter().filter(|curve| single && typical(curve.run)) {
        panel.curve(points(curves, curve), TYPICAL_LOOK, 0.55, 0.8)?;
    }
    // Thin under thick would hide the median: once more, on top.
    let median = super::style::Look { colour: INK, ..TYPICAL_LOOK };
    let middle = curves.band.median.iter().map(|value| value.unwrap_or(f64::NAN));
    panel.curve(curves.x.iter().copied().zip(middle), median, 1.0, 1.6)?;
    for curve in &curves.runs {
        if let Some(look) = looks.flagged(curve.run) {
            panel.curve(points(curves, curve), look, 1.0, 1.9)?;
        }
    }
    Ok(())
}

/// Legend of [`draw_curves`].
fn curve_rows(analysis: &Analysis, looks: &Looks) -> Vec<(Swatch, String)> {
    let mut rows = vec![(TYPICAL_BAND, TYPICAL_TEXT.to_owned())];
    if draws_single(analysis) && analysis.runs.iter().any(is_typical) {
        rows.push((Swatch::Line(TYPICAL_LOOK, 0.9), "one typical run".to_owned()));
    }
    rows.extend(flagged_rows(analysis, looks, |look| Swatch::Line(look, 1.9)));
    rows
}

/// The legend in its place on the right.
fn curve_legend(canvas: &Canvas, analysis: &Analysis, looks: &Looks) -> Result<()> {
    legend(canvas, (LEGEND, 50.0), LEGEND_ROOM, &curve_rows(analysis, looks))
}

fn points<'a>(curves: &'a Curves, curve: &'a crate::analysis::Curve) -> impl Iterator<Item = (f64, f64)> + 'a {
    curves.x.iter().copied().zip(curve.y.iter().map(|y| y.unwrap_or(f64::NAN)))
}

/// Every value that [`draw_curves`] draws at `from` and later.
fn drawn_values<'a>(curves: &'a Curves, looks: &'a Looks, single: bool, from: f64) -> impl Iterator<Item = f64> + 'a {
    let at = curves.x.partition_point(|&x| x < from);
    let band = curves.band.low.iter().skip(at).chain(curves.band.high.iter().skip(at));
    let runs = curves.runs.iter().filter(move |curve| single || looks.flagged(curve.run).is_some());
    band.chain(runs.flat_map(move |curve| curve.y.iter().skip(at))).copied().flatten()
}

/// Whether this run only repeats another, or has no numbers.
pub(super) fn is_void(run: &Run) -> bool {
    run.has(FlagKind::Duplicate) || run.accuracy.is_none()
}
