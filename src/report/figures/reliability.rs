//! How sure against how right.

use super::super::axis::{Axis, span};
use super::super::canvas::svg;
use super::super::panel::{Frame, Panel, Swatch, TYPICAL_BAND, legend};
use super::super::style::{BAND, INK, LIMIT, Look, Looks, Mark, TYPICAL};
use super::{Figure, LEGEND, LEGEND_ROOM, TYPICAL_TEXT, WIDTH, flagged_rows};
use crate::analysis::{Analysis, Reliability, RunReliability};
use crate::error::Result;

/// Bins that hold fewer decisions of a run say nothing but noise.
pub const FILLED: u64 = 5;

/// Confidence and accuracy of a run in the bins that say something.
fn filled(run: &RunReliability) -> impl Iterator<Item = (f64, f64)> + '_ {
    let bins = run.confidence.iter().zip(&run.accuracy).zip(&run.count);
    bins.filter(|&(_, &count)| count >= FILLED).filter_map(|((x, y), _)| Some(((*x)?, (*y)?)))
}

/// Where the axes begin so that the band and the `shown` runs have their room, and nothing has more: the lower edge of the
/// lowest bin that is drawn, and the smallest value; few classes and good runs fill only the upper end.
#[must_use]
pub fn corner(table: &Reliability, shown: impl Fn(u32) -> bool) -> (f64, f64) {
    let points: Vec<(f64, f64)> = table.runs.iter().filter(|run| shown(run.run)).flat_map(filled).collect();
    let least = points.iter().map(|point| point.0).chain(table.confidence.iter().copied()).fold(1.0, f64::min);
    let left = table.edges.iter().copied().filter(|&edge| edge <= least).fold(0.0, f64::max);
    let lowest = points.iter().map(|point| point.1).chain(table.band.bounds()).fold(left, f64::min);
    (left, lowest)
}

/// Reliability diagram, and where the decisions lie.
///
/// # Errors
/// As [`super::all`].
pub fn draw(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let Some(table) = analysis.reliability.as_ref().filter(|table| !table.bins.is_empty()) else { return Ok(None) };
    let title = "Reliability";
    let svg = svg(WIDTH, 350, title, |canvas| {
        let frame = Frame { left: 66.0, top: 40.0, right: 320.0, bottom: 296.0 };
        let (left, lowest) = corner(table, |run| looks.flagged(run).is_some());
        let share = |label, low| Axis::linear(label, low, 1.0, 5, 100.0);
        let (x, y) = (share("confidence (%)", left), share("accuracy (%)", lowest));
        let panel = Panel::new(canvas, frame, "How right when how sure", x, y, 48.0)?;
        let ideal = Look { colour: LIMIT, mark: Mark::Disc, dash: Some((5.0, 4.0)) };
        panel.curve([(left, left), (1.0, 1.0)].into_iter(), ideal, 0.75, 1.0)?;
        panel.band(&table.confidence, &table.band, BAND, INK)?;
        for (x, y) in table.confidence.iter().zip(&table.band.median) {
            panel.mark(*x, y.unwrap_or(f64::NAN), Mark::Disc, 3.0, INK)?;
        }
        for run in &table.runs {
            let Some(look) = looks.flagged(run.run) else { continue };
            let points: Vec<(f64, f64)> = filled(run).collect();
            panel.curve(points.iter().copied(), look, 1.0, 1.7)?;
            for (x, y) in points {
                panel.mark(x, y, look.mark, 2.8, look.colour)?;
            }
        }

        let frame = Frame { left: 396.0, right: 646.0, ..frame };
        let least = span(table.share.iter().copied().filter(|&share| share > 0.0), 0.0).0;
        let y = Axis::log("decisions (%)", (least * 50.0).max(1e-3), 100.0);
        let from = table.edges.first().copied().unwrap_or(0.0);
        let panel = Panel::new(canvas, frame, "How often", share("confidence (%)", from), y, 48.0)?;
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
    let caption = format!(
        "Decisions sorted by how sure the run is. Below the dashed line a run is surer than it is right (overconfident), above \
         it too modest; points of fewer than {FILLED} examples are not drawn. Right: how often the typical runs are how sure \
         (a logarithmic scale); bins that few decisions fill are noisy."
    );
    Ok(Some(Figure { file: "reliability.svg", svg, title: title.to_owned(), caption }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Band;

    #[test]
    fn axes_begin_where_something_is_drawn() {
        let run = |run, accuracy: [f64; 4], count: [u64; 4]| RunReliability {
            run,
            count: count.to_vec(),
            confidence: [0.1, 0.3, 0.6, 0.9].map(Some).to_vec(),
            accuracy: accuracy.map(Some).to_vec(),
        };
        let table = Reliability {
            edges: vec![0.0, 0.25, 0.5, 0.75, 1.0],
            share: vec![0.25; 4],
            bins: vec![2, 3],
            confidence: vec![0.6, 0.9],
            band: Band { low: vec![Some(0.55), Some(0.8)], median: vec![], high: vec![Some(0.7), Some(0.9)] },
            runs: vec![run(0, [0.0, 0.0, 0.6, 0.9], [1, 4, 50, 50]), run(1, [0.0, 0.2, 0.4, 0.7], [0, 5, 50, 50])],
        };
        assert_eq!(corner(&table, |_| false), (0.5, 0.5));
        assert_eq!(corner(&table, |run| run == 0), (0.5, 0.5), "bins of fewer decisions do not count");
        assert_eq!(corner(&table, |_| true), (0.25, 0.2));
    }
}
