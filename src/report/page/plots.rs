//! The page's plots: axes, captions, and numbers rounded to what a screen shows.

use serde::Serialize;

use super::super::axis::span;
use super::super::figures::matrix::{self, Cells};
use super::super::figures::plan::{self, Layout, Plan};
use super::super::figures::reliability::{FILLED, corner};
use super::super::figures::{SINGLE, is_void};
use super::super::style::Looks;
use super::data::MANY;
use crate::analysis::numbers::fixed;
use crate::analysis::{Analysis, Band, Curves, Run};

/// Places of a curve, at most, of few and of many runs.
const PLACES: [usize; 2] = [80, 40];
/// Ranks of a spectrum, at most, of few and of many runs.
const RANKS: [usize; 2] = [40, 24];

/// One plot.
#[derive(Debug, Serialize)]
pub struct Plot {
    id: &'static str,
    title: String,
    /// What to see in it.
    caption: String,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Kind {
    Curves {
        x: AxisData,
        y: AxisData,
        at: Vec<f64>,
        band: Band,
        runs: Vec<(u32, Vec<Option<f64>>)>,
        limits: Vec<Limit>,
        /// Ends of the line on which x and y are equal.
        ideal: Option<[f64; 2]>,
    },
    Scatter {
        x: AxisData,
        y: AxisData,
        points: Vec<Point>,
        limits: Vec<Limit>,
    },
    Matrix {
        label: &'static str,
        runs: Vec<u32>,
        /// Row a holds the pairs of a with the later runs.
        values: Vec<Vec<Option<f64>>>,
        /// What the first and the last colour stand for.
        range: (f64, f64),
        factor: f64,
        decimals: usize,
    },
}

#[derive(Debug, Serialize)]
struct AxisData {
    /// What is measured, with its unit.
    label: String,
    range: (f64, f64),
    log: bool,
    /// Values are shown multiplied by this.
    factor: f64,
    /// Whether only whole numbers have ticks.
    whole: bool,
}

#[derive(Debug, Serialize)]
struct Limit {
    y: f64,
    label: String,
}

/// Run, its place, and its interval if one is drawn.
type Point = (u32, f64, f64, Option<f64>, Option<f64>);

/// Every plot for which there is something to draw, in reading order.
#[must_use]
pub fn plots(analysis: &Analysis, looks: &Looks) -> Vec<Plot> {
    let many = usize::from(analysis.runs.len() > MANY);
    let over_epochs = |plan: &Plan| over_epochs(plan, looks, PLACES[many]);
    let mut plots: Vec<Plot> = Vec::new();
    plots.extend(levels(analysis, looks));
    plots.extend(relative_levels(analysis));
    plots.extend(margins(analysis, PLACES[many]));
    plots.extend(trimming(analysis, PLACES[many]));
    plots.extend(pairs(analysis, "churn-matrix", &matrix::CHURN));
    plots.extend(reliability(analysis));
    plots.extend(plan::learning(analysis).iter().map(over_epochs));
    plots.extend(plan::parting(analysis).iter().map(over_epochs));
    plots.extend(spectrum(analysis, RANKS[many]));
    plots.extend(pairs(analysis, "cka-matrix", &matrix::ALIGNMENT));
    plots.extend(plan::kernels(analysis).iter().map(over_epochs));
    plots
}

/// To four significant digits.
#[must_use]
pub fn short(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    let rounded = (value * scale).round() / scale;
    // Beyond the range of powers of ten the number stays as it is.
    if rounded.is_finite() { rounded } else { value }
}

fn axis(label: &str, range: (f64, f64), factor: f64) -> AxisData {
    AxisData { label: label.to_owned(), range, log: false, factor, whole: false }
}

/// From 0 to a little above the largest value.
fn from_zero(values: impl Iterator<Item = f64>) -> (f64, f64) {
    (0.0, values.fold(0.0, f64::max) * 1.06)
}

fn judged(analysis: &Analysis) -> impl Iterator<Item = &Run> {
    analysis.runs.iter().filter(|run| !is_void(run))
}

fn levels(analysis: &Analysis, looks: &Looks) -> Option<Plot> {
    /// A plot of α̂ reaches at least this high, so that noise does not look like a difference.
    const LEAST: f64 = 0.05;
    let few = judged(analysis).count() <= SINGLE;
    let points: Vec<Point> = judged(analysis)
        .filter_map(|run| {
            let interval = |bound: Option<f64>| bound.filter(|_| few || looks.flagged(run.run).is_some()).map(short);
            let at = (short(run.accuracy?), short(run.alpha_hat?));
            Some((run.run, at.0, at.1, interval(run.alpha_hat_low), interval(run.alpha_hat_high)))
        })
        .collect();
    let height = from_zero(points.iter().map(|point| point.4.unwrap_or(point.2)).chain([LEAST]));
    (!points.is_empty()).then(|| Plot {
        id: "levels",
        title: "The same function?".to_owned(),
        caption: "Every run once. α̂ is the share of a run's examples that must be trimmed away before its margins follow \
                  those of the other runs; bars are bootstrap intervals. Runs of equal accuracy can differ in α̂: look for \
                  points high above the others."
            .to_owned(),
        kind: Kind::Scatter {
            x: axis("test accuracy (%)", span(points.iter().map(|point| point.1), 0.06), 100.0),
            y: axis("α̂, published protocol (%)", height, 100.0),
            points,
            limits: Vec::new(),
        },
    })
}

fn relative_levels(analysis: &Analysis) -> Option<Plot> {
    let points: Vec<Point> = judged(analysis)
        .filter_map(|run| Some((run.run, short(run.ks?), short(run.alpha_relative?), None, None)))
        .collect();
    let limit = analysis.settings.flags.alpha;
    (!points.is_empty()).then(|| Plot {
        id: "relative-levels",
        title: "Typical of this ensemble?".to_owned(),
        caption:
            "The same question relative to the spread of this ensemble. A run above the dashed limit whose distance is \
                  an outlier too is flagged alpha."
                .to_owned(),
        kind: Kind::Scatter {
            x: axis("KS distance from the others", from_zero(points.iter().map(|point| point.1)), 1.0),
            y: axis(
                "α relative to the ensemble (%)",
                from_zero(points.iter().map(|point| point.2).chain([limit * 1.1])),
                100.0,
            ),
            points,
            limits: vec![Limit { y: limit, label: format!("limit {} %", fixed(limit * 100.0, 0)) }],
        },
    })
}

fn margins(analysis: &Analysis, places: usize) -> Option<Plot> {
    let curves = analysis.margins.as_ref().filter(|curves| curves.x.len() > 1)?;
    let x = axis("margin (log-odds of the label)", span(curves.x.iter().copied(), 0.0), 1.0);
    let y = axis("share of examples (%)", (0.0, 1.0), 100.0);
    let caption = "Share of test examples with a margin of at most x; what lies left of 0 is decided wrongly. A run whose \
                   curve leaves the band knows something different from its siblings, even at the same accuracy.";
    Some(Plot {
        id: "margins",
        title: "Margins".to_owned(),
        caption: caption.to_owned(),
        kind: of_curves(x, y, curves, places, Vec::new()),
    })
}

fn trimming(analysis: &Analysis, places: usize) -> Option<Plot> {
    let curves = analysis.trimming.as_ref().filter(|curves| curves.x.len() > 1)?;
    let mut limits = vec![Limit { y: analysis.delta, label: "noise of the test set, δ".to_owned() }];
    // Two lines that lie on each other would only hide a label.
    if let Some(y) = analysis.delta_relative.filter(|&relative| relative > analysis.delta * 1.05) {
        limits.push(Limit { y, label: "spread of this ensemble".to_owned() });
    }
    let values = curves.runs.iter().flat_map(|curve| curve.y.iter().copied().flatten());
    let y = from_zero(values.chain(limits.iter().map(|limit| limit.y * 1.08)));
    let x = axis("share trimmed, α (%)", span(curves.x.iter().copied(), 0.0), 100.0);
    let caption = "Distance of each run from the pooled others when the share α of its most deviating examples is trimmed \
                   away. A run's exact α is where its curve first meets the line of δ; a curve that stays above it is \
                   another function.";
    Some(Plot {
        id: "trimming",
        title: "Distance from the other runs".to_owned(),
        caption: caption.to_owned(),
        kind: of_curves(x, axis("distance after trimming, d(α)", y, 1.0), curves, places, limits),
    })
}

fn over_epochs(plan: &Plan, looks: &Looks, places: usize) -> Plot {
    // Any run can be picked, so all of them need room.
    let Layout { x, y, log, factor } = plan.layout(looks, true);
    let x = AxisData { whole: true, ..axis("epoch", x, 1.0) };
    let y = AxisData { log, ..axis(plan.label, y, factor) };
    Plot {
        id: plan.name,
        title: plan.title.to_owned(),
        caption: plan.caption.to_owned(),
        kind: of_curves(x, y, plan.curves, places, Vec::new()),
    }
}

/// At most `places` evenly chosen places of the curves, the last one among them.
fn of_curves(x: AxisData, y: AxisData, curves: &Curves, places: usize, limits: Vec<Limit>) -> Kind {
    let every = curves.x.len().div_ceil(places).max(1);
    let last = curves.x.len().saturating_sub(1);
    let kept: Vec<usize> = (0..curves.x.len()).filter(|place| (last - place).is_multiple_of(every)).collect();
    let pick = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        kept.iter().map(|&place| values.get(place).copied().flatten().map(short)).collect()
    };
    Kind::Curves {
        x,
        y,
        at: kept.iter().filter_map(|&place| curves.x.get(place).copied()).map(short).collect(),
        band: Band { low: pick(&curves.band.low), median: pick(&curves.band.median), high: pick(&curves.band.high) },
        runs: curves.runs.iter().map(|curve| (curve.run, pick(&curve.y))).collect(),
        limits,
        ideal: None,
    }
}

fn reliability(analysis: &Analysis) -> Option<Plot> {
    let table = analysis.reliability.as_ref().filter(|table| !table.bins.is_empty())?;
    let runs = table.runs.iter().map(|run| {
        let value = |&bin: &usize| {
            let filled = run.count.get(bin).is_some_and(|&count| count >= FILLED);
            run.accuracy.get(bin).copied().flatten().filter(|_| filled).map(short)
        };
        (run.run, table.bins.iter().map(value).collect())
    });
    // Any run can be picked, so all of them need room.
    let (left, lowest) = corner(table, |_| true);
    let rounded = |values: &[Option<f64>]| values.iter().map(|value| value.map(short)).collect();
    let Band { low: under, median, high: over } = &table.band;
    Some(Plot {
        id: "reliability",
        title: "How right when how sure".to_owned(),
        caption: format!(
            "Decisions sorted by how sure the run is. Below the dashed line a run is surer than it is right, above it too \
             modest. Bins of fewer than {FILLED} decisions are not drawn."
        ),
        kind: Kind::Curves {
            x: axis("confidence (%)", (left, 1.0), 100.0),
            y: axis("accuracy (%)", (lowest, 1.0), 100.0),
            at: table.confidence.iter().copied().map(short).collect(),
            band: Band { low: rounded(under), median: rounded(median), high: rounded(over) },
            runs: runs.collect(),
            limits: Vec::new(),
            ideal: Some([left, 1.0]),
        },
    })
}

fn spectrum(analysis: &Analysis, places: usize) -> Option<Plot> {
    let last = analysis.kernels.last()?;
    let count = last.probes;
    // Evenly spaced on an axis of powers of ten.
    let rank = |place: usize| (count as f64).powf(place as f64 / (places - 1) as f64).round() as usize;
    let mut ranks: Vec<usize> = (0..places).map(rank).collect();
    ranks.dedup();
    let of_band = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        ranks.iter().map(|&rank| values.get(rank - 1).copied().flatten().map(short)).collect()
    };
    let of_run =
        |values: &[f64]| ranks.iter().map(|&rank| values.get(rank - 1).copied().map(short)).collect::<Vec<_>>();
    let runs: Vec<(u32, Vec<Option<f64>>)> = last.runs.iter().map(|run| (run.run, of_run(&run.eigenvalues))).collect();
    let values = || runs.iter().flat_map(|(_, values)| values.iter().copied().flatten());
    let largest = values().fold(0.0, f64::max);
    // Rounding leaves tiny eigenvalues that have no meaning: eight decades are enough.
    let (low, high) = span(values().filter(|&value| value > largest * 1e-8).map(f64::log10), 0.04);
    Some(Plot {
        id: "eigenvalues",
        title: format!("Eigenvalues of the kernel at epoch {}", last.epoch),
        caption: format!(
            "Of the cosine-normalised trace NTK on {count} probe examples, largest first. A steep curve puts its weight on few \
             directions; a run outside the band has learned another geometry, whatever it decides."
        ),
        kind: Kind::Curves {
            x: AxisData { log: true, ..axis("rank of the eigenvalue", (1.0, count.max(2) as f64), 1.0) },
            y: AxisData { log: true, ..axis("eigenvalue (trNTK)", (10f64.powf(low), 10f64.powf(high)), 1.0) },
            at: ranks.iter().map(|&rank| rank as f64).collect(),
            band: Band {
                low: of_band(&last.eigenvalues.low),
                median: of_band(&last.eigenvalues.median),
                high: of_band(&last.eigenvalues.high),
            },
            runs,
            limits: Vec::new(),
            ideal: None,
        },
    })
}

fn pairs(analysis: &Analysis, id: &'static str, plan: &matrix::Plan) -> Option<Plot> {
    let cells = plan.cells(analysis)?;
    let caption = plan.caption(analysis, &cells);
    let Cells { runs, values: found, range } = cells;
    let mut values: Vec<Vec<Option<f64>>> = (0..runs.len()).map(|row| vec![None; runs.len() - row - 1]).collect();
    for (row, column, value) in found {
        let place = column.checked_sub(row + 1);
        if let Some(cell) = place.and_then(|place| values.get_mut(row)?.get_mut(place)) {
            *cell = Some(short(value));
        }
    }
    let kind = Kind::Matrix { label: plan.label, runs, values, range, factor: plan.factor, decimals: plan.decimals() };
    Some(Plot { id, title: plan.title.to_owned(), caption, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Curve;

    #[test]
    fn numbers_are_cut_to_what_a_screen_shows() {
        assert_eq!(short(0.123_456), 0.1235);
        assert_eq!(short(-98_765.4), -98_770.0);
        assert_eq!((short(0.0), short(1e-320)), (0.0, 1e-320));
        assert_eq!(serde_json::to_string(&short(2.0 / 3.0)).unwrap(), "0.6667");
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_end() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let y: Vec<Option<f64>> = x.iter().copied().map(Some).collect();
        let curves = Curves { x, band: Band::default(), runs: vec![Curve { run: 3, y }] };
        let axes = || axis("", (0.0, 9.0), 1.0);
        let Kind::Curves { at, runs, .. } = of_curves(axes(), axes(), &curves, 4, Vec::new()) else {
            panic!("not curves")
        };
        assert_eq!(at, [0.0, 3.0, 6.0, 9.0]);
        assert_eq!(runs, [(3, vec![Some(0.0), Some(3.0), Some(6.0), Some(9.0)])]);
        let Kind::Curves { at, .. } = of_curves(axes(), axes(), &curves, 20, Vec::new()) else { panic!("not curves") };
        assert_eq!(at.len(), 10);
    }
}
