//! Distributions of margins, and what trimming does to their distances.

use super::super::axis::{Axis, span};
use super::super::canvas::svg;
use super::super::panel::{Frame, Panel};
use super::super::style::Looks;
use super::{Figure, WIDTH, curve_legend, draw_curves, drawn_values, draws_single};
use crate::analysis::Analysis;
use crate::analysis::numbers::fixed;
use crate::error::Result;

/// ECDFs of the margins and d_α over α.
///
/// # Errors
/// As [`super::all`].
pub fn draw(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let Some(margins) = analysis.margins.as_ref().filter(|curves| curves.x.len() > 1) else { return Ok(None) };
    let trimming = analysis.trimming.as_ref().filter(|curves| curves.x.len() > 1);
    let svg = svg(WIDTH, 350, "Distributions of margins", |canvas| {
        let frame = Frame { left: 66.0, top: 40.0, right: 320.0, bottom: 296.0 };
        let (low, high) = span(margins.x.iter().copied(), 0.0);
        let y = Axis::linear("share of examples (%)", 0.0, 1.0, 5, 100.0);
        let x = Axis::linear("margin (log-odds of the label)", low, high, 5, 1.0);
        let panel = Panel::new(canvas, frame, "Margins", x, y, 48.0)?;
        draw_curves(&panel, margins, analysis, looks)?;
        if let Some(trimming) = trimming {
            let frame = Frame { left: 396.0, right: 646.0, ..frame };
            let single = draws_single(analysis);
            let limits = [Some(analysis.delta), analysis.delta_relative];
            let values = drawn_values(trimming, looks, single, 0.0).chain(limits.into_iter().flatten());
            let y = Axis::linear("distance after trimming, d(α)", 0.0, span(values, 0.12).1, 5, 1.0);
            let (low, high) = span(trimming.x.iter().copied(), 0.0);
            let x = Axis::linear("share trimmed, α (%)", low, high, 5, 100.0);
            let panel = Panel::new(canvas, frame, "Distance from the other runs", x, y, 48.0)?;
            draw_curves(&panel, trimming, analysis, looks)?;
            let relative = analysis.delta_relative.filter(|&relative| relative > analysis.delta * 1.05);
            // Two labels that would lie on each other go to both sides of their lines.
            let below = relative.is_some_and(|relative| panel.apart(relative, analysis.delta) < 18.0);
            panel.limit(analysis.delta, &format!("noise of the test set: δ = {}", fixed(analysis.delta, 3)), below)?;
            if let Some(relative) = relative {
                panel.limit(relative, &format!("this ensemble's spread: {}", fixed(relative, 3)), false)?;
            }
        }
        curve_legend(canvas, analysis, looks)
    })?;
    let mut caption =
        "Left: share of test examples with a margin of at most x; what lies left of 0 is decided wrongly. A \
                       run whose curve leaves the band knows something different from its siblings even where its \
                       accuracy is the same."
            .to_owned();
    if trimming.is_some() {
        caption.push_str(
            " Right: the distance of each run from the pooled others when the share α of its most deviating examples is \
             trimmed away. α is where a curve first meets the dashed line δ (the same function, up to the noise of a \
             finite test set); where it meets the line of the ensemble's own spread is its relative level.",
        );
    }
    Ok(Some(Figure { file: "margins.svg", svg, title: "Distributions of margins".to_owned(), caption }))
}
