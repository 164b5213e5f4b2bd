//! How sure against how right.

use super::super::axis::{Axis, span};
use super::super::canvas::svg;
use super::super::panel::{Frame, Panel, Swatch, TYPICAL_BAND, legend};
use super::super::style::{BAND, INK, LIMIT, Look, Looks, Mark, TYPICAL};
use super::{Figure, LEGEND, LEGEND_ROOM, TYPICAL_TEXT, WIDTH, flagged_rows};
use crate::analysis::Analysis;
use crate::error::Result;

/// Reliability diagram, and where the decisions lie.
///
/// # Errors
/// As [`super::all`].
pub fn draw(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let Some(table) = analysis.reliability.as_ref().filter(|table| !table.bins.is_empty()) else { return Ok(None) };
    let title = "Reliability";
    let svg = svg(WIDTH, 350, title, |canvas| {
        let frame = Frame { left: 66.0, top: 40.0, right: 320.0, bottom: 296.0 };
        let low = table.edges.first().copied().unwrap_or(0.0);
        let share = |label| Axis::linear(label, low, 1.0, 5, 100.0);
        let panel =
            Panel::new(canvas, frame, "How right when how sure", share("confidence (%)"), share("accuracy (%)"), 48.0)?;
        let ideal = Look { colour: LIMIT, mark: Mark::Disc, dash: Some((5.0, 4.0)) };
        panel.curve([(low, low), (1.0, 1.0)].into_iter(), ideal, 0.75, 1.0)?;
        panel.band(&table.confidence, &table.band, BAND, INK)?;
        for (x, y) in table.confidence.iter().zip(&table.band.median) {
            panel.mark(*x, y.unwrap_or(f64::NAN), Mark::Disc, 3.0, INK)?;
        }
        for run in &table.runs {
            let Some(look) = looks.flagged(run.run) else { continue };
            // Bins of a handful of examples say nothing but noise.
            let points: Vec<(f64, f64)> = run
                .confidence
                .iter()
                .zip(&run.accuracy)
                .zip(&run.count)
                .filter(|&(_, &count)| count >= 5)
                .filter_map(|((x, y), _)| Some(((*x)?, (*y)?)))
                .collect();
            panel.curve(points.iter().copied(), look, 1.0, 1.7)?;
            for (x, y) in points {
                panel.mark(x, y, look.mark, 2.8, look.colour)?;
            }
        }

        let frame = Frame { left: 396.0, right: 646.0, ..frame };
        let least = span(table.share.iter().copied().filter(|&share| share > 0.0), 0.0).0;
        let y = Axis::log("decisions (%)", (least * 50.0).max(1e-3), 100.0);
        let panel = Panel::new(canvas, frame, "How often", share("confidence (%)"), y, 48.0)?;
        for (bin, &height) in table.share.iter().enumerate().filter(|&(_, &height)| height > 0.0) {
            if let (Some(&from), Some(&to)) = (table.edges.get(bin), table.edges.get(bin + 1)) {
                let gap = (to - from) * 0.06;
                panel.cell((from + gap, f64::MIN_POSITIVE), (to - gap, height * 100.0), TYPICAL)?;
            }
        }
        let mut rows = vec![
            (Swatch::Line(ideal, 1.0), "perfectly calibrated".to_owned()),
            (TYPICAL_BAND, TYPICAL_TEXT.to_owned()),
        ];
        rows.extend(flagged_rows(analysis, looks, |look| Swatch::Line(look, 1.7)));
        legend(canvas, (LEGEND, 50.0), LEGEND_ROOM, &rows)
    })?;
    let caption = "Decisions sorted by how sure the run is. Below the dashed line a run is surer than it is right \
                   (overconfident), above it too modest; points of fewer than 5 examples are not drawn. Right: how often the \
                   typical runs are how sure (a logarithmic scale); bins that few decisions fill are noisy."
        .to_owned();
    Ok(Some(Figure { file: "reliability.svg", svg, title: title.to_owned(), caption }))
}
