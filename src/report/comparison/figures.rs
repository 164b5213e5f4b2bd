//! The figures of a comparison: every test at a glance, runs side by side, margins. Runs have the keys `baseline-3` and
//! `candidate-3`.

use super::words;
use crate::analysis::Band;
use crate::analysis::comparison::{Comparison, Finding, Quantity};
use crate::analysis::numbers::fixed;
use crate::report::axis::{Axis, span};
use crate::report::figures::{Curve, Dot, Entry, Figure, HALF, Kind, Layer, Look, Mark, Paint, Panel, Row, Swatch};
use crate::report::text::capital;

/// Blue and orange, here and in every figure of a comparison.
const BASELINE: Look = Look::of(Paint::Series(1));
const CANDIDATE: Look = Look::of(Paint::Series(0)).marked(Mark::Square);
const LIMIT: Look = Look::of(Paint::Limit).dashed(5.0, 4.0);

/// All figures, in reading order.
#[must_use]
pub fn all(found: &Comparison) -> Vec<Figure> {
    vec![differences(found), runs(found), margins(found)]
}

/// What a finding looks like.
fn look(finding: Finding) -> (Look, &'static str) {
    match finding {
        Finding::NoChangeFound => (Look::of(Paint::Typical), "no change found"),
        Finding::Equivalent => (Look::of(Paint::Typical).marked(Mark::Diamond), "equivalent"),
        Finding::Undecided => (Look::of(Paint::Typical).marked(Mark::Triangle), "undecided"),
        Finding::Better => (Look::of(Paint::Series(2)).marked(Mark::Triangle), "better"),
        Finding::Worse => (Look::of(Paint::Series(0)).marked(Mark::Square), "worse"),
        Finding::Different => (Look::of(Paint::Series(3)).marked(Mark::Diamond), "different"),
    }
}

/// Every difference with its interval, each row on its own scale.
fn differences(found: &Comparison) -> Figure {
    let row = |metric: &crate::analysis::comparison::Metric| Row {
        name: capital(&words::name(metric.metric)),
        text: format!(
            "{} ({}), p {}",
            words::difference(metric.metric, metric.difference),
            words::interval(metric),
            if metric.p_corrected < 0.001 {
                "< 0.001".to_owned()
            } else {
                format!("= {}", fixed(metric.p_corrected, 3))
            }
        ),
        value: metric.difference,
        low: metric.low,
        high: metric.high,
        tolerance: metric.tolerance,
        look: look(metric.finding).0,
        key: String::new(),
    };
    let mut shown = Vec::new();
    for metric in found.shown() {
        if !shown.contains(&metric.finding) {
            shown.push(metric.finding);
        }
    }
    let legend = shown.into_iter().map(|finding| {
        let (look, name) = look(finding);
        Entry::new(Swatch::Mark(look), name)
    });
    let mut caption =
        "Each row on its own scale, so that only the sides of the line of no difference can be compared. All \
                       intervals hold at once; a quantity counts as different where the corrected p is small."
            .to_owned();
    if found.metrics.iter().any(|metric| metric.tolerance > 0.0) {
        caption.push_str(" Grey bars on the line are the tolerances.");
    }
    let rows = found.shown().into_iter().map(row).collect();
    let panel = Panel { title: "Differences".into(), size: HALF, kind: Kind::Rows(rows) };
    Figure::new("differences", "Differences and their intervals", caption, vec![panel], legend.collect())
}

/// The runs of both sides, one dot each, for the quantities that a run has by itself.
fn runs(found: &Comparison) -> Figure {
    let wanted = [
        (Quantity::Accuracy, "accuracy (%)", 100.0),
        (Quantity::Nll, "negative log-likelihood (nats)", 1.0),
        (Quantity::Ece, "ECE (%)", 100.0),
        (Quantity::ChurnWithin, "churn within its side (%)", 100.0),
    ];
    let panels = wanted.into_iter().filter_map(|(quantity, label, factor)| {
        let metric = found.metric(quantity)?;
        let values = || metric.baseline_runs.iter().chain(&metric.candidate_runs).copied();
        let (low, high) = span(values(), 0.08);
        let low = if low < 0.0 && values().all(|value| value >= 0.0) { 0.0 } else { low };
        let mut layers = Vec::new();
        for (at, name, look, side, runs, mean) in [
            (0.0, "baseline", BASELINE, &found.baseline, &metric.baseline_runs, metric.baseline),
            (1.0, "candidate", CANDIDATE, &found.candidate, &metric.candidate_runs, metric.candidate),
        ] {
            let dots = beeswarm(runs, (low, high)).into_iter().map(|(place, x, y)| {
                let run = side.runs.get(place).map_or_else(|| format!("{place}"), u32::to_string);
                let tip = format!("{name} run {run}: {}", words::value(quantity, y));
                Dot { key: format!("{name}-{run}"), tip, radius: 3.2, opacity: 0.8, ..Dot::new(at + x, y, look) }
            });
            layers.push(Layer::Points(dots.collect()));
            layers.push(curve(vec![(at - 0.32, mean), (at + 0.32, mean)], Look::of(Paint::Ink), 1.8));
        }
        let x = Axis::names("", ["baseline", "candidate"].into_iter().map(str::to_owned), false);
        let y = Axis::linear(label, low, high, 5, factor);
        Some(Panel::chart("", x, y, layers).sized((260.0, 260.0)))
    });
    let caption = "Every run once; a bar is the mean of its side. Where the two clouds overlap like halves of one, retraining explains \
                   the difference; the tests above ask exactly that."
        .to_owned();
    Figure { columns: 4, ..Figure::new("sides", "Runs side by side", caption, panels.collect(), Vec::new()) }
}

/// Places for dots of nearly equal height beside each other, in order of their values, with the place of each value; none further
/// than 0.4 from the middle.
fn beeswarm(values: &[f64], (low, high): (f64, f64)) -> Vec<(usize, f64, f64)> {
    const NEAR: f64 = 0.028;
    let mut sorted: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
    let height = (high - low).max(f64::MIN_POSITIVE);
    let mut placed: Vec<(usize, f64, f64)> = Vec::new();
    for (place, value) in sorted {
        let taken = |x: f64| {
            placed
                .iter()
                .rev()
                .take(64)
                .any(|&(_, px, py)| ((value - py) / height).abs() < NEAR && (px - x).abs() < 0.055)
        };
        let mut steps = (0..15).map(|step| f64::from((step + 1) / 2) * 0.057 * if step % 2 == 1 { 1.0 } else { -1.0 });
        let x = steps.find(|&x| !taken(x)).unwrap_or(0.0);
        placed.push((place, x, value));
    }
    placed
}

/// ECDFs of the margins of both sides, and their difference.
fn margins(found: &Comparison) -> Figure {
    let margins = &found.margins;
    let (low, high) = span(margins.x.iter().copied(), 0.0);
    let x = || Axis::linear("margin (log-odds of the label)", low, high, 5, 1.0);
    let medians = |band: &Band| -> Vec<(f64, f64)> {
        margins.x.iter().copied().zip(band.median.iter().map(|value| value.unwrap_or(f64::NAN))).collect()
    };
    let mut layers: Vec<Layer> = [(BASELINE, &margins.baseline), (CANDIDATE, &margins.candidate)]
        .into_iter()
        .map(|(look, band)| Layer::Band {
            x: margins.x.clone(),
            band: band.clone(),
            fill: look.paint,
            opacity: 0.3,
            line: look.paint,
        })
        .collect();
    // The bands of the second must not hide the line of the first.
    layers.push(curve(medians(&margins.baseline), BASELINE, 1.6));
    let y = Axis::linear("share of examples (%)", 0.0, 1.0, 5, 100.0);
    let left = Panel::chart("Share with a margin of at most x", x(), y, layers);

    let gap: Vec<(f64, f64)> = medians(&margins.candidate)
        .into_iter()
        .zip(medians(&margins.baseline))
        .map(|((x, after), (_, before))| (x, after - before))
        .collect();
    let (bottom, top) = span(gap.iter().map(|point| point.1).chain([found.delta, -found.delta]), 0.12);
    let limit = |at: f64| Layer::Limit { at, upright: false, look: LIMIT };
    let zero = Layer::Limit { at: 0.0, upright: false, look: Look::of(Paint::Soft) };
    let layers = vec![zero, limit(found.delta), limit(-found.delta), curve(gap, CANDIDATE, 1.9)];
    let y = Axis::linear("candidate less baseline (points)", bottom, top, 5, 100.0);
    let right = Panel::chart("Difference of the medians", x(), y, layers);

    let mut legend: Vec<Entry> = [(BASELINE, "baseline"), (CANDIDATE, "candidate")]
        .map(|(look, name)| {
            Entry::new(Swatch::Band(look.paint, 0.3, look.paint), format!("{name}: median and 5–95 % of its runs"))
        })
        .to_vec();
    legend
        .push(Entry::new(Swatch::Line(LIMIT, 1.0), format!("± δ = {}, noise of the test set", fixed(found.delta, 3))));
    let caption = "Left: share of test examples with a margin of at most x, over the runs of each side; what lies left of 0 is \
                   decided wrongly. Right: where the candidate has more examples of small margin the line is above 0. A line that \
                   stays within ±δ cannot be told from the noise of the test set by one run alone; many runs tell more, which is \
                   what the tests use."
        .to_owned();
    Figure::new("margins", "Margins of the two sides", caption, vec![left, right], legend)
}

fn curve(points: Vec<(f64, f64)>, look: Look, width: f64) -> Layer {
    Layer::Curve(Curve { points, key: String::new(), look, width, opacity: 1.0, hidden: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_of_one_height_stand_beside_each_other() {
        let placed = beeswarm(&[0.9, 0.5, 0.5, 0.5], (0.0, 1.0));
        let mut across: Vec<f64> = placed.iter().filter(|dot| dot.2 == 0.5).map(|dot| dot.1).collect();
        across.sort_by(f64::total_cmp);
        assert!(across.windows(2).all(|pair| pair[1] - pair[0] > 0.05), "{across:?}");
        assert_eq!(placed.last(), Some(&(0, 0.0, 0.9)));
        assert_eq!(beeswarm(&[0.5; 40], (0.0, 1.0)).len(), 40);
    }
}
