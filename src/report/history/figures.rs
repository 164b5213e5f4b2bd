//! Control charts: values with their weighted average, steps, cumulative sums; a panel for each quantity.

use plotters::style::RGBColor;

use super::words;
use crate::analysis::history::{Cause, Chart, Charted, CusumPoint, EwmaPoint, History};
use crate::error::Result;
use crate::report::axis::{Axis, span};
use crate::report::canvas::{Canvas, svg};
use crate::report::figures::{Figure, WIDTH};
use crate::report::panel::{Frame, Panel, Swatch, legend_columns};
use crate::report::style::{BAND, LIMIT, Look, Mark, PALETTE, SOFT_INK};
use crate::report::words::capital;

const VALUE: Look = Look { colour: PALETTE[1], mark: Mark::Disc, dash: None };
const AVERAGE: Look = Look { colour: PALETTE[2], mark: Mark::Disc, dash: None };
const SIGNAL: Look = Look { colour: PALETTE[0], mark: Mark::Diamond, dash: None };
const LIMITS: Look = Look { colour: LIMIT, mark: Mark::Disc, dash: Some((5.0, 4.0)) };
/// The period that made the limits.
const PERIOD: RGBColor = RGBColor(0xF1, 0xF3, 0xF6);
const COLUMNS: usize = 2;
const ROOM: (f64, f64) = (430.0, 236.0);

/// All figures, in reading order.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the backend refuses.
pub fn all(found: &History) -> Result<Vec<Figure>> {
    Ok(vec![values(found)?, steps(found)?, sums(found)?])
}

fn values(found: &History) -> Result<Figure> {
    let title = "Values and their weighted averages";
    let legend = [
        (Swatch::Mark(VALUE), "one sweep"),
        (Swatch::Line(LIMITS, 1.0), "limits, 3 sigmas"),
        (Swatch::Line(AVERAGE, 1.9), "EWMA"),
        (Swatch::Mark(SIGNAL), "signal"),
    ];
    let svg = grid(found, title, &legend, |canvas, chart, frame| {
        let averages = chart.ewma.iter().flat_map(|held| [held.value, held.low, held.high]);
        let (low, high) = span(chart.values.iter().copied().chain([chart.low, chart.high]).chain(averages), 0.06);
        let panel = panel(canvas, found, frame, words::name(chart.metric), axis(chart.metric, low, high))?;
        let last = found.sweeps.len() as f64;
        for (at, look) in
            [(chart.low, LIMITS), (chart.high, LIMITS), (chart.centre, Look { dash: None, colour: SOFT_INK, ..LIMITS })]
        {
            panel.curve([(0.5, at), (last + 0.5, at)].into_iter(), look, 0.8, 1.0)?;
        }
        let after = |place: usize| (found.baseline + place + 1) as f64;
        let sides: [fn(&EwmaPoint) -> f64; 2] = [|held| held.low, |held| held.high];
        for side in sides {
            let limits = chart.ewma.iter().enumerate().map(|(place, held)| (after(place), side(held)));
            panel.curve(limits, Look { colour: AVERAGE.colour, dash: Some((2.0, 2.5)), ..AVERAGE }, 0.9, 1.0)?;
        }
        panel.curve(numbered(&chart.values), VALUE, 0.35, 1.0)?;
        panel.curve(
            chart.ewma.iter().enumerate().map(|(place, held)| (after(place), held.value)),
            AVERAGE,
            1.0,
            1.9,
        )?;
        for (x, y) in numbered(&chart.values) {
            match signals(found, chart, x, |cause| !matches!(cause, Cause::MovingRange | Cause::Cusum)) {
                true => panel.mark(x, y, SIGNAL.mark, 4.6, SIGNAL.colour)?,
                false => panel.mark(x, y, VALUE.mark, 3.0, VALUE.colour)?,
            }
        }
        Ok(())
    })?;
    let caption = "A dot is a sweep, in order of time; the shaded period made the limits. A dot beyond the dashed lines has moved at \
                   once; the green average gathers small shifts and signals beyond its dotted limits. Orange dots are signals by any \
                   rule of single values (Western Electric) or of the average.";
    Ok(Figure { file: "values.svg", svg, title: title.to_owned(), caption: caption.to_owned() })
}

fn steps(found: &History) -> Result<Figure> {
    let title = "Steps between sweeps";
    let legend =
        [(Swatch::Mark(VALUE), "one step"), (Swatch::Line(LIMITS, 1.0), "limit"), (Swatch::Mark(SIGNAL), "signal")];
    let svg = grid(found, title, &legend, |canvas, chart, frame| {
        let top = span(chart.ranges.iter().copied().chain([chart.range_limit]), 0.08).1;
        let panel = panel(canvas, found, frame, words::name(chart.metric), axis(chart.metric, 0.0, top))?;
        let last = found.sweeps.len() as f64;
        panel.curve([(0.5, chart.range_limit), (last + 0.5, chart.range_limit)].into_iter(), LIMITS, 0.8, 1.0)?;
        let points = || numbered(&chart.ranges).map(|(x, y)| (x + 1.0, y));
        panel.curve(points(), VALUE, 0.35, 1.0)?;
        for (x, y) in points() {
            match signals(found, chart, x, |cause| cause == Cause::MovingRange) {
                true => panel.mark(x, y, SIGNAL.mark, 4.6, SIGNAL.colour)?,
                false => panel.mark(x, y, VALUE.mark, 3.0, VALUE.colour)?,
            }
        }
        Ok(())
    })?;
    let caption = "How far each sweep lies from the one before it (moving range). A step beyond the dashed line is larger than nights \
                   of the baseline differ.";
    Ok(Figure { file: "steps.svg", svg, title: title.to_owned(), caption: caption.to_owned() })
}

fn sums(found: &History) -> Result<Figure> {
    let title = "Cumulative sums";
    let below = Look { colour: PALETTE[3], ..VALUE };
    let legend = [
        (Swatch::Line(VALUE, 1.9), "gathered above"),
        (Swatch::Line(below, 1.9), "gathered below"),
        (Swatch::Line(LIMITS, 1.0), "limit, 5 sigmas"),
        (Swatch::Mark(SIGNAL), "signal"),
    ];
    let svg = grid(found, title, &legend, |canvas, chart, frame| {
        const DECISION: f64 = 5.0;
        // A sum may be anything, infinity included, where the baseline has no spread: what matters is that it is beyond.
        let shown = |value: f64| value.min(4.0 * DECISION);
        let top =
            chart.cusum.iter().flat_map(|held| [shown(held.above), shown(held.below)]).fold(DECISION * 1.2, f64::max);
        let y = Axis::linear("sum (sigmas)", -top * 1.06, top * 1.06, 5, 1.0);
        let panel = panel(canvas, found, frame, words::name(chart.metric), y)?;
        let last = found.sweeps.len() as f64;
        for at in [DECISION, -DECISION] {
            panel.curve([(0.5, at), (last + 0.5, at)].into_iter(), LIMITS, 0.8, 1.0)?;
        }
        let start = found.baseline as f64;
        let points = |side: fn(&CusumPoint) -> f64| {
            let sums =
                chart.cusum.iter().enumerate().map(move |(place, held)| (start + place as f64 + 1.0, side(held)));
            std::iter::once((start, 0.0)).chain(sums)
        };
        panel.curve(points(|held| held.above.min(20.0)), VALUE, 1.0, 1.9)?;
        panel.curve(points(|held| -held.below.min(20.0)), below, 1.0, 1.9)?;
        for (place, held) in chart.cusum.iter().enumerate() {
            let x = start + place as f64 + 1.0;
            if signals(found, chart, x, |cause| cause == Cause::Cusum) {
                let y = if held.above > held.below { shown(held.above) } else { -shown(held.below) };
                panel.mark(x, y, SIGNAL.mark, 4.6, SIGNAL.colour)?;
            }
        }
        Ok(())
    })?;
    let caption = "What has gathered above and below the centre since the baseline ended, in sigmas, half a sigma of each sweep being let \
                   pass. A small but lasting shift, which no single dot shows, climbs beyond the dashed line. Sums are drawn up to 20.";
    Ok(Figure { file: "sums.svg", svg, title: title.to_owned(), caption: caption.to_owned() })
}

/// A sheet with a panel for each chart, and a legend below.
fn grid(
    found: &History,
    title: &str,
    legend: &[(Swatch, &str)],
    draw: impl Fn(&Canvas, &Chart, Frame) -> Result<()>,
) -> Result<String> {
    let rows = found.charts.len().div_ceil(COLUMNS);
    let bottom = ROOM.1 * rows as f64;
    svg(WIDTH, (bottom + 34.0) as u32, title, |canvas| {
        for (place, chart) in found.charts.iter().enumerate() {
            let (left, top) = (ROOM.0 * (place % COLUMNS) as f64, ROOM.1 * (place / COLUMNS) as f64);
            let frame =
                Frame { left: left + 70.0, top: top + 36.0, right: left + ROOM.0 - 16.0, bottom: top + ROOM.1 - 50.0 };
            draw(canvas, chart, frame)?;
        }
        let entries: Vec<(Swatch, String)> =
            legend.iter().map(|(swatch, text)| (*swatch, (*text).to_owned())).collect();
        legend_columns(canvas, (70.0, bottom + 10.0), 180.0, 4, &entries)
    })
}

/// A pair of axes over the sweeps, with the baseline's period shaded.
fn panel<'a, 'b>(canvas: &'a Canvas<'b>, found: &History, frame: Frame, title: &str, y: Axis) -> Result<Panel<'a, 'b>> {
    let last = found.sweeps.len() as f64;
    let share = (found.baseline as f64 / last).min(1.0);
    let edge = frame.left + share * (frame.right - frame.left);
    canvas.rectangle((frame.left, frame.top), (edge, frame.bottom), PERIOD)?;
    let x = Axis::linear("", 0.5, last + 0.5, 4, 1.0).with_ticks(dates(found));
    let panel = Panel::new(canvas, frame, &capital(title), x, y, 52.0)?;
    canvas.line(&[(edge, frame.top), (edge, frame.bottom)], BAND, 1.0, 1.2, None)?;
    Ok(panel)
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
