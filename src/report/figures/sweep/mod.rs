//! The figures of a sweep's report, each drawn from a section of the analysis and absent without it.

mod ensembles;
mod kernels;
mod margins;
mod pairs;
mod reliability;
mod runs;
mod training;
mod weights;

use super::super::style::{Look, Looks, Paint, TYPICAL};
use super::{Curve, Entry, Figure, Layer, Swatch};
use crate::analysis::{Analysis, Band, Curves, FlagKind, Run};

/// What makes a figure where there is something to show.
pub type Make = fn(&Analysis, &Looks) -> Option<Figure>;

/// Every figure in reading order, with its id.
pub const FIGURES: [(&str, Make); 12] = [
    ("runs", runs::runs),
    ("standing", runs::standing),
    ("margins", margins::margins),
    ("learning-curves", training::learning),
    ("disagreement", training::disagreement),
    ("churn", pairs::churn),
    ("reliability", reliability::reliability),
    ("eigenvalues", kernels::eigenvalues),
    ("kernel-training", training::kernel),
    ("cka", pairs::cka),
    (ENSEMBLES, ensembles::ensembles),
    ("weights", weights::weights),
];

/// The figure of the ensembles, which has a section of its own.
pub const ENSEMBLES: &str = "ensembles";

/// Typical runs drawn one by one besides the band, at most; more are seen only while they are picked.
const SINGLE: usize = 24;
/// Flagged runs that a legend names, at most.
const NAMED: usize = 12;
/// Places of a curve, at most, of few and of many runs.
const PLACES: [usize; 2] = [120, 40];
/// Sweeps of more runs are "many".
const MANY: usize = 100;

/// All figures for which there is something to draw.
#[must_use]
pub fn all(analysis: &Analysis) -> Vec<Figure> {
    let looks = Looks::of(analysis);
    FIGURES.iter().filter_map(|(_, make)| make(analysis, &looks)).collect()
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

/// Whether there is no reason to call a run atypical.
fn is_typical(run: &Run) -> bool {
    run.flags.is_empty()
}

/// Whether single typical runs are drawn: few enough to tell apart.
fn draws_single(analysis: &Analysis) -> bool {
    analysis.runs.iter().filter(|run| is_typical(run)).count() <= SINGLE
}

/// Runs that were judged: neither without numbers nor a repetition.
fn judged(analysis: &Analysis) -> impl Iterator<Item = &Run> {
    analysis.runs.iter().filter(|run| run.accuracy.is_some() && !run.has(FlagKind::Duplicate))
}

/// The band of the typical runs in a legend.
fn band_entry() -> Entry {
    Entry::new(Swatch::Band(Paint::Band, 1.0, Paint::Ink), "typical runs (median, 5–95 %)")
}

/// Legend entries of the flagged runs, by line or by mark.
fn flagged_entries(analysis: &Analysis, looks: &Looks, swatch: impl Fn(Look) -> Swatch) -> Vec<Entry> {
    let flagged = || analysis.runs.iter().filter(|run| looks.flagged(run.run).is_some());
    let more = flagged().count().saturating_sub(NAMED);
    let entry =
        |run: &Run| Entry { swatch: swatch(looks.get(run.run)), text: flagged_label(run), key: run.run.to_string() };
    let mut entries: Vec<Entry> = flagged().take(NAMED).map(entry).collect();
    if more > 0 {
        entries.push(Entry::new(swatch(TYPICAL), format!("… and {more} more flagged runs")));
    }
    entries
}

/// Legend of [`curve_layers`].
fn curve_entries(analysis: &Analysis, looks: &Looks) -> Vec<Entry> {
    let mut entries = vec![band_entry()];
    if draws_single(analysis) && analysis.runs.iter().any(is_typical) {
        entries.push(Entry::new(Swatch::Line(TYPICAL, 0.9), "one typical run"));
    }
    entries.extend(flagged_entries(analysis, looks, |look| Swatch::Line(look, 1.9)));
    entries
}

/// Band, single typical runs, median and flagged runs of one set of curves.
fn curve_layers(analysis: &Analysis, looks: &Looks, curves: &Curves) -> Vec<Layer> {
    let kept = places(curves.x.len(), PLACES[usize::from(analysis.runs.len() > MANY)]);
    let pick = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        kept.iter().map(|&place| values.get(place).copied().flatten()).collect()
    };
    let x: Vec<f64> = kept.iter().filter_map(|&place| curves.x.get(place).copied()).collect();
    let band = Band { low: pick(&curves.band.low), median: pick(&curves.band.median), high: pick(&curves.band.high) };
    let points = |y: &[Option<f64>]| -> Vec<(f64, f64)> {
        x.iter().copied().zip(y.iter().map(|y| y.unwrap_or(f64::NAN))).collect()
    };
    let single = draws_single(analysis);
    let mut layers =
        vec![Layer::Band { x: x.clone(), band: band.clone(), fill: Paint::Band, opacity: 0.8, line: Paint::Ink }];
    let by_run = curves.runs.iter().map(|curve| (curve.run, looks.flagged(curve.run), curve));
    let (flagged, typical): (Vec<_>, Vec<_>) = by_run.partition(|(_, look, _)| look.is_some());
    layers.extend(typical.into_iter().map(|(run, _, curve)| {
        Layer::Curve(Curve {
            points: points(&pick(&curve.y)),
            key: run.to_string(),
            look: TYPICAL,
            width: 0.8,
            opacity: 0.6,
            hidden: !single,
        })
    }));
    // Thin under thick would hide the median: once more, on top.
    layers.push(Layer::Curve(line(points(&band.median), "", Look::of(Paint::Ink), 1.6)));
    layers.extend(flagged.into_iter().map(|(run, look, curve)| {
        Layer::Curve(line(points(&pick(&curve.y)), &run.to_string(), look.unwrap_or(TYPICAL), 1.9))
    }));
    layers
}

/// A line that is always seen.
fn line(points: Vec<(f64, f64)>, key: &str, look: Look, width: f64) -> Curve {
    Curve { points, key: key.to_owned(), look, width, opacity: 1.0, hidden: false }
}

/// At most `most` of `count` places at even distances, the last one among them.
fn places(count: usize, most: usize) -> Vec<usize> {
    let every = count.div_ceil(most).max(1);
    let last = count.saturating_sub(1);
    (0..count).filter(|place| (last - place).is_multiple_of(every)).collect()
}

/// Every value of the curves at `from` and later; any run can be picked, so all of them need room.
fn values(curves: &Curves, from: f64) -> impl Iterator<Item = f64> + '_ {
    let at = curves.x.partition_point(|&x| x < from);
    let band = curves.band.low.iter().skip(at).chain(curves.band.high.iter().skip(at));
    band.chain(curves.runs.iter().flat_map(move |curve| curve.y.iter().skip(at))).copied().flatten()
}

/// A dashed line of a limit, and its entry in a legend.
fn limit(at: f64, text: String, dash: (f64, f64)) -> (Layer, Entry) {
    let look = Look { dash: Some(dash), ..Look::of(Paint::Limit) };
    (Layer::Limit { at, upright: false, look }, Entry::new(Swatch::Line(look, 1.0), text))
}
