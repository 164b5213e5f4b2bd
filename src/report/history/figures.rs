//! The figures of a history: evidence with the one rule, and the values of each quantity. The key of a night is its place in
//! the history.

use super::words;
use crate::analysis::nights::{Chart, Charted, History, Standing};
use crate::analysis::numbers::superscript;
use crate::report::axis::{Axis, span};
use crate::report::figures::{Curve, Dot, Entry, Figure, HALF, Layer, Look, Mark, Paint, Panel, Swatch};
use crate::report::text::capital;

const VALUE: Look = Look::of(Paint::Series(1));
const AVERAGE: Look = Look::of(Paint::Series(2));
const ALARM: Look = Look::of(Paint::Series(0)).marked(Mark::Diamond);
const LIMITS: Look = Look::of(Paint::Limit).dashed(5.0, 4.0);

/// All figures, in reading order.
#[must_use]
pub fn all(found: &History) -> Vec<Figure> {
    vec![evidence(found), values(found)]
}

/// The weighted mean of the evidence over the nights, on a scale of powers of ten, with the limit.
fn evidence(found: &History) -> Figure {
    // Below a tenth there is nothing to be seen, and beyond a million nothing more.
    let log = |value: f64| value.clamp(0.1, 1e6).log10();
    let points: Vec<Option<f64>> = found.sweeps.iter().map(|night| night.evidence.map(log)).collect();
    let top = points.iter().flatten().copied().fold(log(found.limit), f64::max) + 0.2;
    let ticks = (-1..=top.floor() as i32).map(|power| (f64::from(power), tick(power))).collect();
    let y = Axis::linear("evidence", -1.1, top, 4, 1.0).with_ticks(ticks);
    let write = |place: usize| {
        let evidence = found.sweeps.get(place).and_then(|night| night.evidence);
        evidence.map_or_else(String::new, |held| format!("evidence {}", words::evidence(held)))
    };
    let mut layers = periods(found);
    layers.extend([limit(log(found.limit), LIMITS), curve(numbered(&points).collect(), VALUE, 1.4)]);
    layers.push(dots(found, &points, write));
    let panel = Panel::chart("", dates(found), y, layers).sized((2.0 * HALF.0, 220.0));
    let legend = vec![
        Entry::new(Swatch::Mark(VALUE), "one night"),
        Entry::new(Swatch::Mark(ALARM), "under alarm"),
        Entry::new(Swatch::Line(LIMITS, 1.0), format!("alarm, {}", found.limit.round())),
    ];
    let caption = "Each night multiplies the evidence by how badly its runs fit those of the accepted nights, and it never falls below what \
                   a fresh start would have. The dashed line is the only rule: beyond it there is an alarm, which stands until the \
                   procedure is back or accepted. Shaded: the nights of the reference."
        .to_owned();
    Figure {
        columns: 1,
        ..Figure::new("evidence", "Evidence for a change for the worse", caption, vec![panel], legend)
    }
}

fn tick(power: i32) -> String {
    match power {
        -1 => "0.1".into(),
        0..=3 => 10i64.pow(power.unsigned_abs()).to_string(),
        _ => format!("10{}", superscript(power)),
    }
}

/// A panel for each quantity but single classes.
fn values(found: &History) -> Figure {
    let shown =
        found.charts.iter().filter(|chart| !matches!(chart.metric, Charted::ClassAccuracy(_))).filter(|chart| {
            chart.metric != Charted::Diverged || chart.values.iter().flatten().any(|&value| value > 0.0)
        });
    let legend = vec![
        Entry::new(Swatch::Mark(VALUE), "one night"),
        Entry::new(Swatch::Mark(ALARM), "under alarm"),
        Entry::new(Swatch::Line(LIMITS, 1.0), "99.7 % of nights"),
        Entry::new(Swatch::Line(AVERAGE, 1.9), "weighted average (EWMA)"),
    ];
    let caption = "A dot is the mean over the runs of a night; shaded are the nights of the reference, and 99.7 % of further nights like \
                   them lie between the dashed lines. Lines and average are pictures: the rule is that of the evidence."
        .to_owned();
    Figure::new("values", "Values, night by night", caption, shown.map(|chart| panel(found, chart)).collect(), legend)
}

fn panel(found: &History, chart: &Chart) -> Panel {
    // A share has no limit below 0.
    let shares = !matches!(chart.metric, Charted::KernelAlignment);
    let low_limit = if shares { chart.low.max(0.0) } else { chart.low };
    let (low, high) = span(chart.values.iter().flatten().copied().chain([low_limit, chart.high]), 0.06);
    let low = if shares { low.max(0.0) } else { low };
    let y = match chart.metric {
        Charted::KernelAlignment => Axis::linear("alignment", low, high, 4, 1.0),
        Charted::Nll => Axis::linear("nats", low, high, 4, 1.0),
        _ => Axis::linear("%", low, high, 4, 100.0),
    };
    let write = |place: usize| {
        let value = chart.values.get(place).copied().flatten();
        value.map_or_else(String::new, |value| words::value(chart.metric, value))
    };
    let average: Vec<Option<f64>> = chart.ewma.iter().map(|held| held.map(|held| held.value)).collect();
    let mut layers = periods(found);
    layers.extend([
        limit(low_limit, LIMITS),
        limit(chart.high, LIMITS),
        limit(chart.centre, Look::of(Paint::Soft)),
        curve(numbered(&average).collect(), AVERAGE, 1.9),
        dots(found, &chart.values, write),
    ]);
    Panel::chart(&capital(&words::name(chart.metric)), dates(found), y, layers).sized((HALF.0, 236.0))
}

/// The nights of the reference, those that follow each other as one.
fn periods(found: &History) -> Vec<Layer> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for &place in &found.reference {
        match spans.last_mut() {
            Some((_, end)) if *end == place => *end = place + 1,
            _ => spans.push((place, place + 1)),
        }
    }
    spans.into_iter().map(|(from, to)| Layer::Period { from: from as f64 + 0.5, to: to as f64 + 0.5 }).collect()
}

fn limit(at: f64, look: Look) -> Layer {
    Layer::Limit { at, upright: false, look }
}

fn curve(points: Vec<(f64, f64)>, look: Look, width: f64) -> Layer {
    Layer::Curve(Curve { points, key: String::new(), look, width, opacity: 1.0, hidden: false })
}

/// A dot for each night; those under alarm stand out.
fn dots(found: &History, values: &[Option<f64>], write: impl Fn(usize) -> String) -> Layer {
    let dot = |(place, value): (usize, &Option<f64>)| {
        let night = found.sweeps.get(place)?;
        let (look, radius) = if night.standing == Standing::Red { (ALARM, 4.6) } else { (VALUE, 3.2) };
        let tip = format!("{}, {}: {}", words::date(night.started), night.place, write(place));
        let x = place as f64 + 1.0;
        Some(Dot { key: format!("sweep-{x}"), tip, radius, ..Dot::new(x, (*value)?, look) })
    };
    Layer::Points(values.iter().enumerate().filter_map(dot).collect())
}

/// The nights, with up to four dates.
fn dates(found: &History) -> Axis {
    let count = found.sweeps.len();
    let places: Vec<usize> =
        if count <= 4 { (0..count).collect() } else { (0..4).map(|tick| tick * (count - 1) / 3).collect() };
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for place in places {
        let Some(night) = found.sweeps.get(place) else { continue };
        let date = words::date(night.started);
        // Several nights of one day: their number says more than the date once more.
        let text = if ticks.iter().any(|(_, text)| *text == date) { format!("#{}", place + 1) } else { date };
        ticks.push((place as f64 + 1.0, text));
    }
    Axis::linear("", 0.5, count as f64 + 0.5, 4, 1.0).with_ticks(ticks)
}

fn numbered(values: &[Option<f64>]) -> impl Iterator<Item = (f64, f64)> + '_ {
    values.iter().enumerate().filter_map(|(place, value)| Some((place as f64 + 1.0, (*value)?)))
}
