//! Curves over the epochs: learning, and how the runs part from each other.

use super::super::canvas::svg;
use super::super::panel::{Frame, Panel};
use super::super::style::Looks;
use super::plan::{self, Plan};
use super::{Figure, WIDTH, curve_legend, draw_curves, draws_single};
use crate::analysis::Analysis;
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
    let caption = "How the runs learn. The band holds 90 % of the typical runs, the black line is their median; a healthy \
                   sweep narrows to the right, and a flagged run shows here whether it was late, unstable or different \
                   from the start.";
    draw(analysis, looks, "learning-curves.svg", "Learning curves", caption, &plan::learning(analysis))
}

/// Churn and distance between runs over training.
///
/// # Errors
/// As [`super::all`].
pub fn parting(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let caption = "How the runs part and meet during training, at each checkpoint: the share of test examples that a run \
                   decides differently from another run (left), and how far its distribution of margins lies from that \
                   of the others (right). What remains at the last epoch is what retraining changes. What lies before \
                   training is not drawn.";
    draw(analysis, looks, "parting.svg", "Differences between runs over training", caption, &plan::parting(analysis))
}

fn draw(
    analysis: &Analysis,
    looks: &Looks,
    file: &'static str,
    title: &str,
    caption: &str,
    plans: &[Plan],
) -> Result<Option<Figure>> {
    if plans.is_empty() {
        return Ok(None);
    }
    let single = draws_single(analysis);
    let svg = svg(WIDTH, HEIGHT, title, |canvas| {
        for (plan, frame) in plans.iter().zip(FRAMES) {
            let (x, y) = plan.axes(looks, single);
            let panel = Panel::new(canvas, frame, plan.title, x, y, 48.0)?;
            draw_curves(&panel, plan.curves, analysis, looks)?;
        }
        curve_legend(canvas, analysis, looks)
    })?;
    Ok(Some(Figure { file, svg, title: title.to_owned(), caption: caption.to_owned() }))
}
