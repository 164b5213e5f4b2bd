//! Curves over the epochs: learning, and how the runs part from each other.

use super::super::axis::{Axis, span};
use super::super::canvas::svg;
use super::super::panel::{Frame, Panel};
use super::super::style::Looks;
use super::{Figure, WIDTH, curve_legend, draw_curves, drawn_values, draws_single, epochs};
use crate::analysis::{Analysis, Curves, Series};
use crate::error::Result;

const HEIGHT: u32 = 330;
const FRAMES: [Frame; 2] = [
    Frame { left: 66.0, top: 40.0, right: 320.0, bottom: 278.0 },
    Frame { left: 396.0, top: 40.0, right: 646.0, bottom: 278.0 },
];

/// Loss and accuracy over training.
///
/// # Errors
/// As [`super::all`].
pub fn learning(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let loss = find(&analysis.training, ("loss", "Training loss", "loss (nats)", Height::Log));
    let test = find(&analysis.recorded, ("accuracy", "Test accuracy", "accuracy (%)", Height::Percent))
        .filter(|plan| plan.curves.x.len() > 1);
    let train = || find(&analysis.training, ("accuracy", "Training accuracy", "accuracy (%)", Height::Percent));
    let panels: Vec<PanelPlan> = loss.into_iter().chain(test.or_else(train)).collect();
    let caption = "How the runs learn. The band holds 90 % of the typical runs, the black line is their median; a healthy \
                   sweep narrows to the right, and a flagged run shows here whether it was late, unstable or different \
                   from the start.";
    draw(analysis, looks, "learning-curves.svg", "Learning curves", caption, &panels)
}

/// Churn and distance between runs over training.
///
/// # Errors
/// As [`super::all`].
pub fn parting(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let panels: Vec<PanelPlan> = [
        ("churn", "Disagreement", "mean churn with the others (%)", Height::PercentFromZero),
        ("ks", "Distance of margins", "KS distance from the others", Height::FromZero),
    ]
    .into_iter()
    .filter_map(|plan| find(&analysis.recorded, plan))
    .filter(|plan| plan.curves.x.len() > 1)
    .collect();
    let caption = "How the runs part and meet during training, at each checkpoint: the share of test examples that a run \
                   decides differently from another run (left), and how far its distribution of margins lies from that \
                   of the others (right). What remains at the last epoch is what retraining changes. What lies before training is not drawn.";
    draw(analysis, looks, "parting.svg", "Differences between runs over training", caption, &panels)
}

/// How the vertical axis is laid.
#[derive(Clone, Copy)]
enum Height {
    Log,
    Percent,
    PercentFromZero,
    FromZero,
}

struct PanelPlan<'a> {
    curves: &'a Curves,
    title: &'static str,
    label: &'static str,
    height: Height,
}

fn find<'a>(
    series: &'a [Series],
    (name, title, label, height): (&str, &'static str, &'static str, Height),
) -> Option<PanelPlan<'a>> {
    let found = series.iter().find(|series| series.name == name && !series.curves.x.is_empty())?;
    Some(PanelPlan { curves: &found.curves, title, label, height })
}

fn draw(
    analysis: &Analysis,
    looks: &Looks,
    file: &'static str,
    title: &str,
    caption: &str,
    panels: &[PanelPlan],
) -> Result<Option<Figure>> {
    if panels.is_empty() {
        return Ok(None);
    }
    let single = draws_single(analysis);
    let svg = svg(WIDTH, HEIGHT, title, |canvas| {
        for (plan, frame) in panels.iter().zip(FRAMES) {
            let from = first_epoch(plan.curves);
            let y = vertical(plan, looks, single, from);
            let panel = Panel::new(canvas, frame, plan.title, epochs(&plan.curves.x, from), y, 48.0)?;
            draw_curves(&panel, plan.curves, analysis, looks)?;
        }
        curve_legend(canvas, analysis, looks)
    })?;
    Ok(Some(Figure { file, svg, title: title.to_owned(), caption: caption.to_owned() }))
}

/// Where the axes begin. Before training everything is noise, which would leave no room for what follows: where there is
/// enough without it, it is left out.
fn first_epoch(curves: &Curves) -> f64 {
    let after: Vec<f64> = curves.x.iter().copied().filter(|&epoch| epoch > 0.0).collect();
    if let [first, _, ..] = after.as_slice() { *first } else { curves.x.first().copied().unwrap_or(0.0) }
}

fn vertical(plan: &PanelPlan, looks: &Looks, single: bool, from: f64) -> Axis {
    let values = || drawn_values(plan.curves, looks, single, from);
    let from_zero = |factor| Axis::linear(plan.label, 0.0, span(values(), 0.05).1, 5, factor);
    match plan.height {
        Height::Log => {
            let (low, high) = span(values().filter(|&value| value > 0.0).map(f64::log10), 0.04);
            Axis::log(plan.label, 10f64.powf(low), 10f64.powf(high))
        }
        Height::Percent => {
            let (low, high) = span(values(), 0.04);
            Axis::linear(plan.label, low.max(0.0), high.min(1.0), 5, 100.0)
        }
        Height::PercentFromZero => from_zero(100.0),
        Height::FromZero => from_zero(1.0),
    }
}
