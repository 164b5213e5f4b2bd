//! Control charts: values with their weighted average, steps, cumulative sums; a panel for each quantity. The key of a sweep is
//! its place in the history.

use super::words;
use crate::analysis::history::{Cause, Chart, Charted, CusumPoint, EwmaPoint, History};
use crate::report::axis::{Axis, span};
use crate::report::figures::{Curve, Dot, Entry, Figure, HALF, Layer, Look, Mark, Paint, Panel, Swatch};
use crate::report::text::capital;

const VALUE: Look = Look::of(Paint::Series(1));
const AVERAGE: Look = Look::of(Paint::Series(2));
const SIGNAL: Look = Look::of(Paint::Series(0)).marked(Mark::Diamond);
const LIMITS: Look = Look::of(Paint::Limit).dashed(5.0, 4.0);

/// All figures, in reading order.
#[must_use]
pub fn all(found: &History) -> Vec<Figure> {
    vec![values(found), steps(found), sums(found)]
}

fn values(found: &History) -> Figure {
    let chart = |chart: &Chart| {
        // A share has no limit below 0.
        let low_limit = if chart.values.iter().all(|&value| value >= 0.0) { chart.low.max(0.0) } else { chart.low };
        let averages = chart.ewma.iter().flat_map(|held| [held.value, held.low, held.high]);
        let (low, high) = span(chart.values.iter().copied().chain([low_limit, chart.high]).chain(averages), 0.06);
        let low = if low_limit >= 0.0 { low.max(0.0) } else { low };
        let after = |place: usize| (found.baseline + place + 1) as f64;
        let mut layers = vec![
            period(found),
            limit(low_limit, LIMITS),
            limit(chart.high, LIMITS),
            limit(chart.centre, Look::of(Paint::Soft)),
        ];
        let sides: [fn(&EwmaPoint) -> f64; 2] = [|held| held.low, |held| held.high];
        for side in sides {
            let limits = chart.ewma.iter().enumerate().map(|(place, held)| (after(place), side(held)));
            layers.push(curve(limits.collect(), AVERAGE.dashed(2.0, 2.5), 1.0));
        }
        layers.push(faint(numbered(&chart.values).collect()));
        let averages = chart.ewma.iter().enumerate().map(|(place, held)| (after(place), held.value));
        layers.push(curve(averages.collect(), AVERAGE, 1.9));
        let is_signal = |cause| !matches!(cause, Cause::MovingRange | Cause::Cusum);
        layers.push(dots(found, chart, numbered(&chart.values), is_signal, |value| words::value(chart.metric, value)));
        panel(found, chart, axis(chart.metric, low, high), layers)
    };
    let legend = vec![
        Entry::new(Swatch::Mark(VALUE), "one sweep"),
        Entry::new(Swatch::Line(LIMITS, 1.0), "limits, 3 sigmas"),
        Entry::new(Swatch::Line(AVERAGE, 1.9), "weighted average (EWMA)"),
        Entry::new(Swatch::Line(AVERAGE.dashed(2.0, 2.5), 1.0), "its limits"),
        Entry::new(Swatch::Mark(SIGNAL), "signal"),
    ];
    let caption = "A dot is a sweep, in order of time; the shaded period made the limits. A dot beyond the dashed lines has moved at \
                   once; the green average gathers small shifts and signals beyond its dotted limits. Orange dots are signals by any \
                   rule of single values (Western Electric) or of the average."
        .to_owned();
    Figure::new(
        "values",
        "Values and their weighted averages",
        caption,
        found.charts.iter().map(chart).collect(),
        legend,
    )
}

fn steps(found: &History) -> Figure {
    let chart = |chart: &Chart| {
        let top = span(chart.ranges.iter().copied().chain([chart.range_limit]), 0.08).1;
        let points = || numbered(&chart.ranges).map(|(x, y)| (x + 1.0, y));
        let layers = vec![
            period(found),
            limit(chart.range_limit, LIMITS),
            faint(points().collect()),
            dots(found, chart, points(), |cause| cause == Cause::MovingRange, |step| words::value(chart.metric, step)),
        ];
        panel(found, chart, axis(chart.metric, 0.0, top), layers)
    };
    let legend = vec![
        Entry::new(Swatch::Mark(VALUE), "one step"),
        Entry::new(Swatch::Line(LIMITS, 1.0), "limit"),
        Entry::new(Swatch::Mark(SIGNAL), "signal"),
    ];
    let caption = "How far each sweep lies from the one before it (moving range). A step beyond the dashed line is larger than nights \
                   of the baseline differ."
        .to_owned();
    Figure::new("steps", "Steps between sweeps", caption, found.charts.iter().map(chart).collect(), legend)
}

fn sums(found: &History) -> Figure {
    const DECISION: f64 = 5.0;
    let below = Look::of(Paint::Series(3));
    // A sum may be anything, infinity included, where the baseline has no spread: what matters is that it is beyond.
    let shown = |value: f64| value.min(4.0 * DECISION);
    let chart = |chart: &Chart| {
        let top =
            chart.cusum.iter().flat_map(|held| [shown(held.above), shown(held.below)]).fold(DECISION * 1.2, f64::max);
        let y = Axis::linear("sum (sigmas)", -top * 1.06, top * 1.06, 5, 1.0);
        let start = found.baseline as f64;
        let points = |side: fn(&CusumPoint) -> f64, sign: f64| -> Vec<(f64, f64)> {
            let sums = chart.cusum.iter().enumerate();
            let sums = sums.map(|(place, held)| (start + place as f64 + 1.0, sign * shown(side(held))));
            std::iter::once((start, 0.0)).chain(sums).collect()
        };
        let (above, under) = (points(|held| held.above, 1.0), points(|held| held.below, -1.0));
        let larger = above.iter().zip(&under).skip(1).map(|(a, b)| if a.1 > -b.1 { *a } else { *b });
        let layers = vec![
            period(found),
            limit(DECISION, LIMITS),
            limit(-DECISION, LIMITS),
            curve(above.clone(), VALUE, 1.9),
            curve(under.clone(), below, 1.9),
            Layer::Points(
                larger
                    .filter(|&(x, _)| signals(found, chart, x, |cause| cause == Cause::Cusum))
                    .map(|at| dot(at, true, String::new()))
                    .collect(),
            ),
        ];
        panel(found, chart, y, layers)
    };
    let legend = vec![
        Entry::new(Swatch::Line(VALUE, 1.9), "gathered above"),
        Entry::new(Swatch::Line(below, 1.9), "gathered below"),
        Entry::new(Swatch::Line(LIMITS, 1.0), "limit, 5 sigmas"),
        Entry::new(Swatch::Mark(SIGNAL), "signal"),
    ];
    let caption = "What has gathered above and below the centre since the baseline ended, in sigmas, half a sigma of each sweep being let \
                   pass. A small but lasting shift, which no single dot shows, climbs beyond the dashed line. Sums are drawn up to 20."
        .to_owned();
    Figure::new("sums", "Cumulative sums", caption, found.charts.iter().map(chart).collect(), legend)
}

/// A panel over the sweeps, with dates below.
fn panel(found: &History, chart: &Chart, y: Axis, layers: Vec<Layer>) -> Panel {
    let last = found.sweeps.len() as f64;
    let x = Axis::linear("", 0.5, last + 0.5, 4, 1.0).with_ticks(dates(found));
    Panel::chart(&capital(words::name(chart.metric)), x, y, layers).sized((HALF.0, 236.0))
}

/// The period that made the limits.
fn period(found: &History) -> Layer {
    Layer::Period { from: 0.5, to: found.baseline as f64 + 0.5 }
}

fn limit(at: f64, look: Look) -> Layer {
    Layer::Limit { at, upright: false, look }
}

fn curve(points: Vec<(f64, f64)>, look: Look, width: f64) -> Layer {
    Layer::Curve(Curve { points, key: String::new(), look, width, opacity: 1.0, hidden: false })
}

/// The line that joins the dots.
fn faint(points: Vec<(f64, f64)>) -> Layer {
    Layer::Curve(Curve { points, key: String::new(), look: VALUE, width: 1.0, opacity: 0.35, hidden: false })
}

/// A dot for each sweep; those that signal by one of these causes stand out.
fn dots(
    found: &History,
    chart: &Chart,
    points: impl Iterator<Item = (f64, f64)>,
    of: impl Fn(Cause) -> bool,
    write: impl Fn(f64) -> String,
) -> Layer {
    let dot = |at: (f64, f64)| {
        let place = (at.0 as usize).saturating_sub(1);
        let name = found.sweeps.get(place).map(|sweep| format!("{}: ", words::date(sweep.started))).unwrap_or_default();
        dot(at, signals(found, chart, at.0, &of), format!("{name}{}", write(at.1)))
    };
    Layer::Points(points.map(dot).collect())
}

fn dot(at: (f64, f64), signal: bool, tip: String) -> Dot {
    let (look, radius) = if signal { (SIGNAL, 4.6) } else { (VALUE, 3.2) };
    let key = format!("sweep-{}", at.0);
    Dot { key, tip, radius, ..Dot::new(at.0, at.1, look) }
}

/// Up to four dates along the sweeps.
fn dates(found: &History) -> Vec<(f64, String)> {
    let count = found.sweeps.len();
    let places: Vec<usize> =
        if count <= 4 { (0..count).collect() } else { (0..4).map(|tick| tick * (count - 1) / 3).collect() };
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for place in places {
        let Some(sweep) = found.sweeps.get(place) else { continue };
        let date = words::date(sweep.started);
        // Several sweeps of one day: their number says more than the date once more.
        let text = if ticks.iter().any(|(_, text)| *text == date) { format!("#{}", place + 1) } else { date };
        ticks.push((place as f64 + 1.0, text));
    }
    ticks
}

fn axis(charted: Charted, low: f64, high: f64) -> Axis {
    match charted {
        Charted::KernelAlignment => Axis::linear("alignment", low, high, 4, 1.0),
        _ => Axis::linear("%", low, high, 4, 100.0),
    }
}

fn numbered(values: &[f64]) -> impl Iterator<Item = (f64, f64)> + '_ {
    values.iter().enumerate().map(|(place, &value)| (place as f64 + 1.0, value))
}

/// Whether the chart signals at the sweep number `x`, counted from 1, by one of these causes.
fn signals(found: &History, chart: &Chart, x: f64, of: impl Fn(Cause) -> bool) -> bool {
    found
        .signals
        .iter()
        .any(|signal| signal.metric == chart.metric && signal.sweep as f64 + 1.0 == x && of(signal.cause))
}
