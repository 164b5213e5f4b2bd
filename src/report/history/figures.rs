//! The figures of a history: evidence with the one rule, and the values of each quantity.

use plotters::style::RGBColor;

use super::words;
use crate::analysis::nights::{Chart, Charted, History, Standing};
use crate::error::Result;
use crate::report::axis::{Axis, span};
use crate::report::canvas::{Canvas, svg};
use crate::report::figures::{Figure, WIDTH};
use crate::report::panel::{Frame, Panel, Swatch, legend_columns};
use crate::report::style::{BAND, LIMIT, Look, Mark, PALETTE, SOFT_INK};
use crate::report::words::capital;

const VALUE: Look = Look { colour: PALETTE[1], mark: Mark::Disc, dash: None };
const AVERAGE: Look = Look { colour: PALETTE[2], mark: Mark::Disc, dash: None };
const ALARM: Look = Look { colour: PALETTE[0], mark: Mark::Diamond, dash: None };
const LIMITS: Look = Look { colour: LIMIT, mark: Mark::Disc, dash: Some((5.0, 4.0)) };
/// Nights of the reference.
const PERIOD: RGBColor = RGBColor(0xF1, 0xF3, 0xF6);
const COLUMNS: usize = 2;
const ROOM: (f64, f64) = (430.0, 236.0);

/// All figures, in reading order.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the backend refuses.
pub fn all(found: &History) -> Result<Vec<Figure>> {
    Ok(vec![evidence(found)?, values(found)?])
}

/// The weighted mean of the evidence over the nights on a scale of powers of ten, with the limit.
fn evidence(found: &History) -> Result<Figure> {
    let title = "Evidence for a change for the worse";
    // Below a tenth nothing is to be seen, and beyond a million nothing more.
    let log = |value: f64| value.clamp(0.1, 1e6).log10();
    let limit = log(found.limit);
    let points: Vec<(f64, f64, bool)> = found
        .sweeps
        .iter()
        .enumerate()
        .filter_map(|(place, night)| Some((place as f64 + 1.0, log(night.evidence?), night.standing == Standing::Red)))
        .collect();
    let svg = svg(WIDTH, 292, title, |canvas| {
        let frame = Frame { left: 70.0, top: 36.0, right: f64::from(WIDTH) - 16.0, bottom: 200.0 };
        let top = points.iter().map(|point| point.1).fold(limit, f64::max) + 0.2;
        let ticks = (-1..=top.floor() as i32).map(|power| (f64::from(power), tick(power))).collect();
        let y = Axis::linear("evidence", -1.1, top, 4, 1.0).with_ticks(ticks);
        let panel = panel(canvas, found, frame, "", y)?;
        let last = found.sweeps.len() as f64;
        panel.curve([(0.5, limit), (last + 0.5, limit)].into_iter(), LIMITS, 1.0, 1.2)?;
        panel.curve(points.iter().map(|point| (point.0, point.1)), VALUE, 0.8, 1.4)?;
        for &(x, y, red) in &points {
            let look = if red { ALARM } else { VALUE };
            panel.mark(x, y, look.mark, if red { 4.6 } else { 3.0 }, look.colour)?;
        }
        let legend = [
            (Swatch::Mark(VALUE), "one night".to_owned()),
            (Swatch::Mark(ALARM), "under alarm".to_owned()),
            (Swatch::Line(LIMITS, 1.2), format!("alarm, {}", found.limit.round())),
        ];
        legend_columns(canvas, (70.0, 256.0), 180.0, 4, &legend)
    })?;
    let caption = "Each night multiplies the evidence by how badly its runs fit those of the accepted nights, and it never falls below what \
                   a fresh start would have. The dashed line is the only rule: beyond it there is an alarm, which stands until the \
                   procedure is back or accepted. Grey: the nights of the reference.";
    Ok(Figure { file: "evidence.svg", svg, title: title.to_owned(), caption: caption.to_owned() })
}

fn tick(power: i32) -> String {
    match power {
        -1 => "0.1".into(),
        0..=3 => 10i64.pow(power.unsigned_abs()).to_string(),
        _ => format!("10{}", crate::analysis::numbers::superscript(power)),
    }
}

/// A panel for each quantity but single classes.
fn values(found: &History) -> Result<Figure> {
    let title = "Values, night by night";
    let legend = [
        (Swatch::Mark(VALUE), "one night"),
        (Swatch::Mark(ALARM), "under alarm"),
        (Swatch::Line(LIMITS, 1.0), "99.7 % of nights"),
        (Swatch::Line(AVERAGE, 1.9), "moving average (EWMA)"),
    ];
    let shown: Vec<&Chart> = found
        .charts
        .iter()
        .filter(|chart| !matches!(chart.metric, Charted::ClassAccuracy(_)))
        .filter(|chart| chart.metric != Charted::Diverged || chart.values.iter().flatten().any(|&value| value > 0.0))
        .collect();
    let rows = shown.len().div_ceil(COLUMNS);
    let bottom = ROOM.1 * rows as f64;
    let svg = svg(WIDTH, (bottom + 34.0) as u32, title, |canvas| {
        for (place, chart) in shown.iter().enumerate() {
            let (left, top) = (ROOM.0 * (place % COLUMNS) as f64, ROOM.1 * (place / COLUMNS) as f64);
            let frame =
                Frame { left: left + 70.0, top: top + 36.0, right: left + ROOM.0 - 16.0, bottom: top + ROOM.1 - 50.0 };
            draw(canvas, found, chart, frame)?;
        }
        let entries: Vec<(Swatch, String)> =
            legend.iter().map(|(swatch, text)| (*swatch, (*text).to_owned())).collect();
        legend_columns(canvas, (70.0, bottom + 10.0), 180.0, 4, &entries)
    })?;
    let caption = "A dot is the mean over the runs of a night; grey are the nights of the reference, and 99.7 % of further nights like them \
                   lie between the dashed lines. Lines and average are pictures: the rule is that of the evidence.";
    Ok(Figure { file: "values.svg", svg, title: title.to_owned(), caption: caption.to_owned() })
}

fn draw(canvas: &Canvas, found: &History, chart: &Chart, frame: Frame) -> Result<()> {
    let known = chart.values.iter().flatten().copied();
    let (mut low, high) = span(known.chain([chart.low, chart.high]), 0.06);
    let never_negative = !matches!(chart.metric, Charted::KernelAlignment);
    if never_negative {
        low = low.max(0.0);
    }
    let y = match chart.metric {
        Charted::KernelAlignment => Axis::linear("alignment", low, high, 4, 1.0),
        Charted::Nll => Axis::linear("nats", low, high, 4, 1.0),
        _ => Axis::linear("%", low, high, 4, 100.0),
    };
    let panel = panel(canvas, found, frame, &words::name(chart.metric), y)?;
    let last = found.sweeps.len() as f64;
    let centre = Look { dash: None, colour: SOFT_INK, ..LIMITS };
    for (at, look) in [(chart.low, LIMITS), (chart.high, LIMITS), (chart.centre, centre)] {
        if at >= low && at <= high {
            panel.curve([(0.5, at), (last + 0.5, at)].into_iter(), look, 0.8, 1.0)?;
        }
    }
    panel.curve(numbered(&chart.ewma), AVERAGE, 1.0, 1.9)?;
    for (x, y) in numbered(&chart.values) {
        // Places are whole numbers from 1.
        let red = found.sweeps.get(x as usize - 1).is_some_and(|night| night.standing == Standing::Red);
        let look = if red { ALARM } else { VALUE };
        panel.mark(x, y, look.mark, if red { 4.6 } else { 3.0 }, look.colour)?;
    }
    Ok(())
}

/// A pair of axes over the nights, with those of the reference shaded.
fn panel<'a, 'b>(canvas: &'a Canvas<'b>, found: &History, frame: Frame, title: &str, y: Axis) -> Result<Panel<'a, 'b>> {
    let last = found.sweeps.len() as f64;
    let at = |place: f64| frame.left + place / last * (frame.right - frame.left);
    for &place in &found.reference {
        canvas.rectangle((at(place as f64), frame.top), (at(place as f64 + 1.0), frame.bottom), PERIOD)?;
    }
    let x = Axis::linear("", 0.5, last + 0.5, 4, 1.0).with_ticks(dates(found));
    let panel = Panel::new(canvas, frame, &capital(title), x, y, 52.0)?;
    if let Some(alarm) = &found.alarm {
        let edge = at(alarm.since as f64);
        canvas.line(&[(edge, frame.top), (edge, frame.bottom)], BAND, 1.0, 1.2, None)?;
    }
    Ok(panel)
}

/// Up to four dates along the nights.
fn dates(found: &History) -> Vec<(f64, String)> {
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
    ticks
}

fn numbered(values: &[Option<f64>]) -> impl Iterator<Item = (f64, f64)> + '_ {
    values.iter().enumerate().filter_map(|(place, value)| Some((place as f64 + 1.0, (*value)?)))
}
