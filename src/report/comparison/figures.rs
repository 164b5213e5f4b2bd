//! The figures of a comparison: every test at a glance, runs side by side, margins.

use plotters::style::RGBColor;

use super::words;
use crate::analysis::Band;
use crate::analysis::comparison::{Comparison, Finding, Metric, Quantity};
use crate::analysis::numbers::fixed;
use crate::error::Result;
use crate::report::axis::{Axis, span};
use crate::report::canvas::{Align, Canvas, Text, svg};
use crate::report::figures::{Figure, WIDTH};
use crate::report::panel::{Frame, NORMAL, Panel, SMALL, Swatch, ink, legend_columns};
use crate::report::style::{GRID, INK, Look, Mark, PALETTE, SOFT_INK, TYPICAL};

/// Blue and orange, here and in every figure of a comparison.
const BASELINE: Look = Look { colour: PALETTE[1], mark: Mark::Disc, dash: None };
const CANDIDATE: Look = Look { colour: PALETTE[0], mark: Mark::Square, dash: None };
const BETTER: RGBColor = PALETTE[2];
const DIFFERENT: RGBColor = PALETTE[3];

/// All figures, in reading order.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the backend refuses.
pub fn all(found: &Comparison) -> Result<Vec<Figure>> {
    Ok(vec![differences(found)?, runs(found)?, margins(found)?])
}

/// What a finding looks like.
fn look(finding: Finding) -> (RGBColor, Mark, &'static str) {
    match finding {
        Finding::NoChangeFound => (TYPICAL, Mark::Disc, "no change found"),
        Finding::Equivalent => (TYPICAL, Mark::Diamond, "equivalent"),
        Finding::Undecided => (TYPICAL, Mark::Triangle, "undecided"),
        Finding::Better => (BETTER, Mark::Triangle, "better"),
        Finding::Worse => (PALETTE[0], Mark::Square, "worse"),
        Finding::Different => (DIFFERENT, Mark::Diamond, "different"),
    }
}

/// Every difference with its interval, each row on its own scale.
fn differences(found: &Comparison) -> Result<Figure> {
    const ROW: f64 = 26.0;
    const TOP: f64 = 46.0;
    const LEFT: f64 = 258.0;
    const RIGHT: f64 = 548.0;
    let middle = (LEFT + RIGHT) / 2.0;
    let bottom = TOP + ROW * found.shown().len() as f64;
    let title = "Differences and their intervals";
    let svg = svg(WIDTH, (bottom + 52.0) as u32, title, |canvas| {
        let heading =
            |text: &str, x: f64, align| canvas.text(text, (x, TOP - 22.0), Text { bold: true, ..ink(SMALL, align) });
        heading("quantity", LEFT - 14.0, Align::End)?;
        heading("no difference", middle, Align::Middle)?;
        heading("difference and interval", RIGHT + 14.0, Align::Start)?;
        for (place, metric) in found.shown().into_iter().enumerate() {
            let y = TOP + ROW * (place as f64 + 0.5);
            canvas.line(&[(LEFT, y + ROW / 2.0), (RIGHT, y + ROW / 2.0)], GRID, 1.0, 1.0, None)?;
            row(canvas, metric, y, middle, (RIGHT - LEFT) / 2.0 - 6.0)?;
            let name = Text { colour: INK, ..ink(SMALL, Align::End) };
            canvas.text(&words::name(metric.metric), (LEFT - 14.0, y), name)?;
            let p = match metric.p_corrected {
                p if p < 0.001 => "p < 0.001".to_owned(),
                p => format!("p = {}", fixed(p, 3)),
            };
            let text =
                format!("{}  ({}; {p})", words::difference(metric.metric, metric.difference), words::interval(metric));
            canvas.text(&text, (RIGHT + 14.0, y), ink(SMALL, Align::Start))?;
        }
        canvas.line(&[(middle, TOP - 8.0), (middle, bottom)], SOFT_INK, 1.0, 1.2, None)?;
        let mut shown = Vec::new();
        for metric in found.shown() {
            if !shown.contains(&metric.finding) {
                shown.push(metric.finding);
            }
        }
        let rows: Vec<(Swatch, String)> = shown
            .into_iter()
            .map(|finding| {
                let (colour, mark, name) = look(finding);
                (Swatch::Mark(Look { colour, mark, dash: None }), name.to_owned())
            })
            .collect();
        legend_columns(canvas, (LEFT, bottom + 26.0), 118.0, 5, &rows)
    })?;
    let mut caption = "Each row on its own scale, so that only the sides of the line of no difference can be compared: a quantity \
                       counts as different where its interval leaves the line and the corrected p is small. All intervals hold at \
                       once."
        .to_owned();
    if found.metrics.iter().any(|metric| metric.tolerance > 0.0) {
        caption.push_str(" Grey bars on the line are the tolerances.");
    }
    Ok(Figure { file: "differences.svg", svg, title: title.to_owned(), caption })
}

fn row(canvas: &Canvas, metric: &Metric, y: f64, middle: f64, room: f64) -> Result<()> {
    let reach = metric.low.abs().max(metric.high.abs()).max(metric.tolerance);
    let x = |value: f64| if reach > 0.0 { middle + value / reach * room } else { middle };
    let (colour, mark, _) = look(metric.finding);
    if metric.tolerance > 0.0 {
        canvas.rectangle((x(-metric.tolerance), y - 9.0), (x(metric.tolerance), y + 9.0), GRID)?;
    }
    canvas.line(&[(x(metric.low), y), (x(metric.high), y)], colour, 1.0, 2.2, None)?;
    for end in [metric.low, metric.high] {
        canvas.line(&[(x(end), y - 4.0), (x(end), y + 4.0)], colour, 1.0, 1.4, None)?;
    }
    canvas.mark((x(metric.difference), y), mark, 4.5, colour)
}

/// The runs of both sides, one dot each, for the quantities that a run has by itself.
fn runs(found: &Comparison) -> Result<Figure> {
    let wanted = [Quantity::Accuracy, Quantity::Nll, Quantity::Ece, Quantity::ChurnWithin];
    let labels = ["accuracy (%)", "negative log-likelihood (nats)", "ECE (%)", "churn within its side (%)"];
    let shares = [100.0, 1.0, 100.0, 100.0];
    let title = "Runs side by side";
    let svg = svg(WIDTH, 318, title, |canvas| {
        for (place, quantity) in wanted.into_iter().enumerate() {
            let Some(metric) = found.metric(quantity) else { continue };
            let left = 62.0 + 206.0 * place as f64;
            let frame = Frame { left, top: 24.0, right: left + 136.0, bottom: 236.0 };
            let values = || metric.baseline_runs.iter().chain(&metric.candidate_runs).copied();
            let (low, high) = span(values(), 0.08);
            let low = if low < 0.0 && values().all(|value| value >= 0.0) { 0.0 } else { low };
            let sides = vec![(0.5, "baseline".to_owned()), (1.5, "candidate".to_owned())];
            let x = Axis::linear("", 0.0, 2.0, 1, 1.0).with_ticks(sides);
            let panel =
                Panel::new(canvas, frame, "", x, Axis::linear(labels[place], low, high, 5, shares[place]), 48.0)?;
            for (at, look, runs, mean) in [
                (0.5, BASELINE, &metric.baseline_runs, metric.baseline),
                (1.5, CANDIDATE, &metric.candidate_runs, metric.candidate),
            ] {
                for (x, y) in beeswarm(runs, (low, high)) {
                    panel.dot(at + x, y, 2.6, look.colour, 0.6)?;
                }
                let bar = [(at - 0.32, mean), (at + 0.32, mean)];
                panel.curve(bar.into_iter(), Look { colour: INK, ..look }, 1.0, 1.8)?;
            }
        }
        let caption = Text { colour: SOFT_INK, ..ink(NORMAL, Align::Start) };
        canvas.text("a dot is a run, a bar the mean of its side", (62.0, 292.0), caption)
    })?;
    let caption = "Every run once. Where the two clouds overlap like halves of one, retraining explains the difference; the tests \
                   above ask exactly that."
        .to_owned();
    Ok(Figure { file: "sides.svg", svg, title: title.to_owned(), caption })
}

/// Places for dots of nearly equal height beside each other, in order of their values; none further than 0.4 from the middle.
fn beeswarm(values: &[f64], (low, high): (f64, f64)) -> Vec<(f64, f64)> {
    const NEAR: f64 = 0.028;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let height = (high - low).max(f64::MIN_POSITIVE);
    let mut placed: Vec<(f64, f64)> = Vec::new();
    for value in sorted {
        let taken = |x: f64| {
            placed.iter().rev().take(64).any(|&(px, py)| ((value - py) / height).abs() < NEAR && (px - x).abs() < 0.055)
        };
        let mut steps = (0..15).map(|step| f64::from((step + 1) / 2) * 0.057 * if step % 2 == 1 { 1.0 } else { -1.0 });
        let x = steps.find(|&x| !taken(x)).unwrap_or(0.0);
        placed.push((x, value));
    }
    placed
}

/// ECDFs of the margins of both sides, and their difference.
fn margins(found: &Comparison) -> Result<Figure> {
    let margins = &found.margins;
    let title = "Margins of the two sides";
    let (low, high) = span(margins.x.iter().copied(), 0.0);
    let x = || Axis::linear("margin (log-odds of the label)", low, high, 5, 1.0);
    let svg = svg(WIDTH, 372, title, |canvas| {
        let frame = Frame { left: 66.0, top: 40.0, right: 412.0, bottom: 286.0 };
        let y = Axis::linear("share of examples (%)", 0.0, 1.0, 5, 100.0);
        let panel = Panel::new(canvas, frame, "Share with a margin of at most x", x(), y, 48.0)?;
        for (look, band) in [(BASELINE, &margins.baseline), (CANDIDATE, &margins.candidate)] {
            panel.band(&margins.x, band, pale(look.colour), look.colour)?;
        }
        // The bands of the second must not hide the line of the first.
        panel.curve(points(&margins.x, &margins.baseline), BASELINE, 1.0, 1.6)?;

        let frame = Frame { left: 506.0, right: 852.0, ..frame };
        let gap: Vec<f64> = margins
            .candidate
            .median
            .iter()
            .zip(&margins.baseline.median)
            .map(|(after, before)| after.unwrap_or(f64::NAN) - before.unwrap_or(f64::NAN))
            .collect();
        let limits = [found.delta, -found.delta];
        let (bottom, top) = span(gap.iter().copied().chain(limits), 0.12);
        let y = Axis::linear("candidate less baseline (points)", bottom, top, 5, 100.0);
        let panel = Panel::new(canvas, frame, "Difference of the medians", x(), y, 48.0)?;
        panel.limit(0.0, "", false)?;
        panel.limit(found.delta, &format!("noise of the test set: δ = {}", fixed(found.delta, 3)), false)?;
        panel.limit(-found.delta, "", false)?;
        panel.curve(margins.x.iter().copied().zip(gap.iter().copied()), CANDIDATE, 1.0, 1.9)?;
        let rows = [(BASELINE, "baseline"), (CANDIDATE, "candidate")].map(|(look, name)| {
            (Swatch::Band(pale(look.colour), look.colour), format!("{name}: median and 5–95 % of its runs"))
        });
        legend_columns(canvas, (66.0, 348.0), 320.0, 2, &rows)
    })?;
    let caption = "Left: share of test examples with a margin of at most x, over the runs of each side; what lies left of 0 is \
                   decided wrongly. Right: where the candidate has more examples of small margin the line is above 0. A line that \
                   stays within ±δ cannot be told from the noise of the test set by one run alone; many runs tell more, which is \
                   what the tests use."
        .to_owned();
    Ok(Figure { file: "margins.svg", svg, title: title.to_owned(), caption })
}

fn points<'a>(x: &'a [f64], band: &'a Band) -> impl Iterator<Item = (f64, f64)> + 'a {
    x.iter().copied().zip(band.median.iter().map(|value| value.unwrap_or(f64::NAN)))
}

/// The colour as a tint for areas.
fn pale(colour: RGBColor) -> RGBColor {
    let mix = |ink: u8| (f64::from(ink) * 0.35 + 255.0 * 0.65).round() as u8;
    RGBColor(mix(colour.0), mix(colour.1), mix(colour.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_of_one_height_stand_beside_each_other() {
        let placed = beeswarm(&[0.5, 0.5, 0.5, 0.9], (0.0, 1.0));
        let mut across: Vec<f64> = placed.iter().filter(|dot| dot.1 == 0.5).map(|dot| dot.0).collect();
        across.sort_by(f64::total_cmp);
        assert!(across.windows(2).all(|pair| pair[1] - pair[0] > 0.05), "{across:?}");
        assert_eq!(placed.iter().find(|dot| dot.1 == 0.9).map(|dot| dot.0), Some(0.0));
        assert_eq!(beeswarm(&[0.5; 40], (0.0, 1.0)).len(), 40);
    }
}
