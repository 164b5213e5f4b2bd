//! What the page's script draws: plots with their numbers, rounded to what a screen shows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::figures::matrix::{self, Cells};
use super::super::figures::plan::{self, Layout, Plan};
use super::super::figures::{SINGLE, is_void};
use super::super::style::{Look, Looks, Mark};
use super::base64;
use crate::analysis::numbers::fixed;
use crate::analysis::{Alone, Analysis, Band, Curves, Images, PerClass, Run};

/// Places of a curve, at most.
const PLACES: usize = 64;
/// Ranks of a spectrum, at most.
const RANKS: usize = 40;
/// Examples listed for each run, of few and of many runs.
const LISTED: [usize; 2] = [16, 4];
/// Sweeps of more runs are "many".
const MANY: usize = 100;

/// Everything the script needs.
#[derive(Serialize)]
pub struct Data<'a> {
    /// As in the JSON of the analysis.
    runs: &'a [Run],
    classes: &'a [String],
    looks: BTreeMap<u32, LookData>,
    /// Typical runs drawn one by one, at most.
    single: usize,
    plots: Vec<Plot>,
    per_class: Vec<PerClass>,
    alone: Vec<Alone>,
    images: Option<ImageData>,
}

#[derive(Serialize)]
struct LookData {
    colour: String,
    mark: &'static str,
    dash: Option<String>,
}

#[derive(Serialize)]
struct ImageData {
    channels: usize,
    height: usize,
    width: usize,
    /// Base64 of the bytes.
    pixels: BTreeMap<usize, String>,
}

#[derive(Serialize)]
struct AxisData {
    label: String,
    range: (f64, f64),
    log: bool,
    factor: f64,
    /// Whether only whole numbers have ticks.
    whole: bool,
}

#[derive(Serialize)]
struct Limit {
    y: f64,
    label: String,
}

/// Run, its place, and its interval if it has one.
type Point = (u32, f64, f64, Option<f64>, Option<f64>);

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Plot {
    Curves {
        id: &'static str,
        title: String,
        caption: String,
        x: AxisData,
        y: AxisData,
        at: Vec<f64>,
        band: Band,
        runs: Vec<(u32, Vec<Option<f64>>)>,
        limits: Vec<Limit>,
        /// Places of the line of equal x and y.
        ideal: Option<[f64; 2]>,
    },
    Scatter {
        id: &'static str,
        title: String,
        caption: String,
        x: AxisData,
        y: AxisData,
        points: Vec<Point>,
        limits: Vec<Limit>,
    },
    Matrix {
        id: &'static str,
        title: String,
        caption: String,
        label: &'static str,
        runs: Vec<u32>,
        /// Row a holds the pairs of a with the later runs.
        values: Vec<Vec<Option<f64>>>,
        range: (f64, f64),
        factor: f64,
        light: &'static str,
        dark: &'static str,
    },
}

/// The page's data.
#[must_use]
pub fn data<'a>(analysis: &'a Analysis, looks: &Looks, images: Option<&Images>) -> Data<'a> {
    let listed = LISTED[usize::from(analysis.runs.len() > MANY)];
    let alone: Vec<Alone> = analysis
        .alone
        .iter()
        .map(|held| {
            let mut held = held.clone();
            held.examples.truncate(listed);
            held.examples.iter_mut().for_each(|example| example.probability = short(example.probability));
            held
        })
        .collect();
    let per_class = analysis.per_class.iter().map(|held| PerClass {
        alpha: held.alpha.iter().copied().map(short).collect(),
        ..held.clone()
    });
    Data {
        runs: &analysis.runs,
        classes: &analysis.source.class_names,
        looks: looks.iter().map(|(run, look)| (run, look_data(look))).collect(),
        single: SINGLE,
        plots: plots(analysis, looks),
        per_class: per_class.collect(),
        alone,
        images: images.map(image_data),
    }
}

/// A colour as in a style sheet.
#[must_use]
pub fn colour(look: Look) -> String {
    format!("#{:02x}{:02x}{:02x}", look.colour.0, look.colour.1, look.colour.2)
}

fn look_data(look: Look) -> LookData {
    LookData {
        colour: colour(look),
        mark: match look.mark {
            Mark::Disc => "disc",
            Mark::Square => "square",
            Mark::Triangle => "triangle",
            Mark::Diamond => "diamond",
        },
        dash: look.dash.map(|(stroke, gap)| format!("{stroke} {gap}")),
    }
}

fn image_data(images: &Images) -> ImageData {
    ImageData {
        channels: images.channels,
        height: images.height,
        width: images.width,
        pixels: images.pixels.iter().map(|(&example, bytes)| (example, base64::encode(bytes))).collect(),
    }
}

fn plots(analysis: &Analysis, looks: &Looks) -> Vec<Plot> {
    let mut plots = Vec::new();
    plots.extend(levels(analysis));
    plots.extend(relative_levels(analysis));
    plots.extend(margins(analysis));
    plots.extend(trimming(analysis));
    let captions = |plan: &Plan| match plan.name {
        "loss" => "Mean loss over the training examples as they were met. A flagged run shows here whether it was late or unstable.",
        "accuracy" => "A healthy sweep narrows to the right.",
        "churn" => "Share of test examples that a run decides differently from another run. What remains at the end is what retraining changes.",
        "ks" => "How far a run's distribution of margins lies from that of the others.",
        "alignment" => "Rises as features are learned.",
        "effective_rank" => "How many directions carry the kernel.",
        _ => "Whether all runs arrive at the same geometry: 1 means that they do.",
    };
    let training = plan::learning(analysis).into_iter().chain(plan::parting(analysis));
    plots.extend(training.map(|plan| over_epochs(&plan, looks, captions(&plan))));
    plots.extend(pairs(analysis, "churn", &matrix::CHURN));
    plots.extend(reliability(analysis));
    plots.extend(spectrum(analysis));
    plots.extend(plan::kernels(analysis).iter().map(|plan| over_epochs(plan, looks, captions(plan))));
    plots.extend(pairs(analysis, "cka", &matrix::ALIGNMENT));
    plots
}

fn axis(label: &str, range: (f64, f64), factor: f64) -> AxisData {
    AxisData { label: label.to_owned(), range, log: false, factor, whole: false }
}

/// From 0 to a little above the largest value.
fn from_zero(values: impl Iterator<Item = f64>) -> (f64, f64) {
    (0.0, values.fold(0.0, f64::max) * 1.06)
}

fn around(values: impl Iterator<Item = f64>) -> (f64, f64) {
    super::super::axis::span(values, 0.06)
}

fn judged(analysis: &Analysis) -> impl Iterator<Item = &Run> {
    analysis.runs.iter().filter(|run| !is_void(run))
}

fn levels(analysis: &Analysis) -> Option<Plot> {
    let points: Vec<Point> = judged(analysis)
        .filter_map(|run| {
            Some((
                run.run,
                short(run.accuracy?),
                short(run.alpha_hat?),
                run.alpha_hat_low.map(short),
                run.alpha_hat_high.map(short),
            ))
        })
        .collect();
    (!points.is_empty()).then(|| Plot::Scatter {
        id: "levels",
        title: "The same function?".to_owned(),
        caption: "α̂ against accuracy, every run once, with bootstrap intervals: the share of a run's examples to be trimmed \
                  before its margins follow those of the other runs. Runs of equal accuracy can differ."
            .to_owned(),
        x: axis("test accuracy (%)", around(points.iter().map(|point| point.1)), 100.0),
        y: axis("α̂, published protocol (%)", from_zero(points.iter().map(|point| point.4.unwrap_or(point.2).max(0.04))), 100.0),
        points,
        limits: Vec::new(),
    })
}

fn relative_levels(analysis: &Analysis) -> Option<Plot> {
    let points: Vec<Point> = judged(analysis)
        .filter_map(|run| Some((run.run, short(run.ks?), short(run.alpha_relative?), None, None)))
        .collect();
    let limit = analysis.settings.flags.alpha;
    (!points.is_empty()).then(|| Plot::Scatter {
        id: "relative-levels",
        title: "Typical of this ensemble?".to_owned(),
        caption: "The same question relative to the spread of this ensemble. Above the dashed limit, and outlying in \
                  distance, a run is flagged."
            .to_owned(),
        x: axis("KS distance from the others", from_zero(points.iter().map(|point| point.1)), 1.0),
        y: axis("α relative to the ensemble (%)", from_zero(points.iter().map(|point| point.2).chain([limit * 1.1])), 100.0),
        points,
        limits: vec![Limit { y: limit, label: format!("limit {} %", fixed(limit * 100.0, 0)) }],
    })
}

fn margins(analysis: &Analysis) -> Option<Plot> {
    let curves = analysis.margins.as_ref().filter(|curves| curves.x.len() > 1)?;
    let x = axis("margin (log-odds of the label)", super::super::axis::span(curves.x.iter().copied(), 0.0), 1.0);
    let y = axis("share of examples (%)", (0.0, 1.0), 100.0);
    Some(of_curves("margins", "Margins", "Share of test examples with a margin of at most x; left of 0 they are decided wrongly. A run outside the band knows something different.", x, y, curves))
}

fn trimming(analysis: &Analysis) -> Option<Plot> {
    let curves = analysis.trimming.as_ref().filter(|curves| curves.x.len() > 1)?;
    let limits = [(analysis.delta, "noise of the test set, δ"), (analysis.delta_relative.unwrap_or(0.0), "this ensemble's spread")];
    let limits: Vec<Limit> = limits
        .into_iter()
        .enumerate()
        .filter(|&(place, (value, _))| place == 0 || value > analysis.delta * 1.05)
        .map(|(_, (y, label))| Limit { y, label: label.to_owned() })
        .collect();
    let values = curves.runs.iter().flat_map(|curve| curve.y.iter().copied().flatten());
    let y = axis("distance after trimming, d(α)", from_zero(values.chain(limits.iter().map(|limit| limit.y * 1.08))), 1.0);
    let x = axis("share trimmed, α (%)", super::super::axis::span(curves.x.iter().copied(), 0.0), 100.0);
    let mut plot = of_curves("trimming", "Distance from the other runs", "Distance from the pooled others when the share α of a run's most deviating examples is trimmed away; α is where a curve meets δ.", x, y, curves);
    if let Plot::Curves { limits: held, .. } = &mut plot {
        *held = limits;
    }
    Some(plot)
}

fn over_epochs(plan: &Plan, looks: &Looks, caption: &str) -> Plot {
    // Any run can be picked, so all of them need room.
    let Layout { x, y, log, factor } = plan.layout(looks, true);
    let x = AxisData { whole: true, ..axis("epoch", x, 1.0) };
    let y = AxisData { log, ..axis(plan.label, y, factor) };
    of_curves(plan.name, plan.title, caption, x, y, plan.curves)
}

/// At most [`PLACES`] evenly chosen places of the curves, the last one among them.
fn of_curves(id: &'static str, title: &str, caption: &str, x: AxisData, y: AxisData, curves: &Curves) -> Plot {
    let every = curves.x.len().div_ceil(PLACES).max(1);
    let last = curves.x.len().saturating_sub(1);
    let kept: Vec<usize> = (0..=last).filter(|place| (last - place) % every == 0).collect();
    let pick = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        kept.iter().map(|&place| values.get(place).copied().flatten().map(short)).collect()
    };
    Plot::Curves {
        id,
        title: title.to_owned(),
        caption: caption.to_owned(),
        x,
        y,
        at: kept.iter().filter_map(|&place| curves.x.get(place).copied()).map(short).collect(),
        band: Band { low: pick(&curves.band.low), median: pick(&curves.band.median), high: pick(&curves.band.high) },
        runs: curves.runs.iter().map(|curve| (curve.run, pick(&curve.y))).collect(),
        limits: Vec::new(),
        ideal: None,
    }
}

fn reliability(analysis: &Analysis) -> Option<Plot> {
    let table = analysis.reliability.as_ref().filter(|table| !table.bins.is_empty())?;
    let low = table.edges.first().copied().unwrap_or(0.0);
    let runs = table.runs.iter().map(|run| {
        let value = |&bin: &usize| {
            let filled = run.count.get(bin).is_some_and(|&count| count >= 5);
            run.accuracy.get(bin).copied().flatten().filter(|_| filled).map(short)
        };
        (run.run, table.bins.iter().map(value).collect())
    });
    Some(Plot::Curves {
        id: "reliability",
        title: "How right when how sure".to_owned(),
        caption: "Below the dashed line a run is surer than it is right. Bins of fewer than 5 decisions are left out.".to_owned(),
        x: axis("confidence (%)", (low, 1.0), 100.0),
        y: axis("accuracy (%)", (low, 1.0), 100.0),
        at: table.confidence.iter().copied().map(short).collect(),
        band: table.band.clone(),
        runs: runs.collect(),
        limits: Vec::new(),
        ideal: Some([low, 1.0]),
    })
}

fn spectrum(analysis: &Analysis) -> Option<Plot> {
    let last = analysis.kernels.last()?;
    let count = last.probes;
    // Evenly spaced on the axis of powers of ten.
    let mut ranks: Vec<usize> = (0..RANKS)
        .map(|place| (count as f64).powf(place as f64 / (RANKS - 1) as f64).round() as usize)
        .collect();
    ranks.dedup();
    let pick = |value: &dyn Fn(usize) -> Option<f64>| ranks.iter().map(|&rank| value(rank - 1).map(short)).collect::<Vec<_>>();
    let of_band = |values: &[Option<f64>]| pick(&|place| values.get(place).copied().flatten());
    let band = Band {
        low: of_band(&last.eigenvalues.low),
        median: of_band(&last.eigenvalues.median),
        high: of_band(&last.eigenvalues.high),
    };
    let runs: Vec<(u32, Vec<Option<f64>>)> =
        last.runs.iter().map(|run| (run.run, pick(&|place| run.eigenvalues.get(place).copied()))).collect();
    let values = || runs.iter().flat_map(|(_, values)| values.iter().copied().flatten());
    let largest = values().fold(0.0, f64::max);
    let (low, high) =
        super::super::axis::span(values().filter(|&value| value > largest * 1e-8).map(f64::log10), 0.04);
    Some(Plot::Curves {
        id: "eigenvalues",
        title: format!("Eigenvalues of the kernel at epoch {}", last.epoch),
        caption: format!("Of the cosine-normalised trace NTK on {count} probe examples, largest first. A run outside the band has learned another geometry."),
        x: AxisData { log: true, ..axis("rank of the eigenvalue", (1.0, count.max(2) as f64), 1.0) },
        y: AxisData { log: true, ..axis("eigenvalue (trNTK)", (10f64.powf(low), 10f64.powf(high)), 1.0) },
        at: ranks.iter().map(|&rank| rank as f64).collect(),
        band,
        runs,
        limits: Vec::new(),
        ideal: None,
    })
}

fn pairs(analysis: &Analysis, id: &'static str, plan: &matrix::Plan) -> Option<Plot> {
    let cells = plan.cells(analysis)?;
    let caption = plan.caption(analysis, &cells);
    let Cells { runs, values: found, range } = cells;
    let mut values: Vec<Vec<Option<f64>>> = (0..runs.len()).map(|row| vec![None; runs.len() - row - 1]).collect();
    for (a, b, value) in found {
        if let Some(cell) = values.get_mut(a).and_then(|row| row.get_mut(b.checked_sub(a + 1)?)) {
            *cell = Some(short(value));
        }
    }
    let (light, dark) = matrix::ends();
    Some(Plot::Matrix { id, title: plan.title.to_owned(), caption, label: plan.label, runs, values, range, factor: plan.factor, light, dark })
}

/// To four significant digits.
fn short(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    let rounded = (value * scale).round() / scale;
    // Beyond the range of powers of ten the number stays as it is.
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_to_what_a_screen_shows() {
        assert_eq!(short(0.123_456), 0.1235);
        assert_eq!(short(-98_765.4), -98_770.0);
        assert_eq!((short(0.0), short(1e-320)), (0.0, 1e-320));
        assert_eq!(serde_json::to_string(&short(2.0 / 3.0)).unwrap(), "0.6667");
    }
}
