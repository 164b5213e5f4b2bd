//! How sure against how right.

use super::super::super::axis::{Axis, span};
use super::super::super::style::{Look, Looks, Paint, TYPICAL};
use super::super::{Entry, Figure, Layer, Panel, Swatch};
use super::{band_entry, draws_single, flagged_entries, line};
use crate::analysis::{Analysis, Reliability, RunReliability};

/// Bins that hold fewer decisions of a run say nothing but noise.
const FILLED: u64 = 5;

/// Confidence and accuracy of a run in the bins that say something.
fn filled(run: &RunReliability) -> impl Iterator<Item = (f64, f64)> + '_ {
    let bins = run.confidence.iter().zip(&run.accuracy).zip(&run.count);
    bins.filter(|&(_, &count)| count >= FILLED).filter_map(|((x, y), _)| Some(((*x)?, (*y)?)))
}

/// Where the axes begin so that the band and all runs have their room, and nothing has more: the lower edge of the lowest bin
/// that is drawn, and the smallest value; few classes and good runs fill only the upper end.
fn corner(table: &Reliability) -> (f64, f64) {
    let points: Vec<(f64, f64)> = table.runs.iter().flat_map(filled).collect();
    let least = points.iter().map(|point| point.0).chain(table.confidence.iter().copied()).fold(1.0, f64::min);
    let left = table.edges.iter().copied().filter(|&edge| edge <= least).fold(0.0, f64::max);
    let lowest = points.iter().map(|point| point.1).chain(table.band.bounds()).fold(left, f64::min);
    (left, lowest)
}

/// Reliability diagram, and where the decisions lie.
pub fn reliability(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    let table = analysis.reliability.as_ref().filter(|table| !table.bins.is_empty())?;
    let (left, lowest) = corner(table);
    let share = |label: &str, low: f64| Axis::linear(label, low, 1.0, 5, 100.0);
    let ideal = Look::of(Paint::Limit).dashed(5.0, 4.0);
    let single = draws_single(analysis);
    let (flagged, typical): (Vec<_>, Vec<_>) = table.runs.iter().partition(|run| looks.flagged(run.run).is_some());
    let mut layers = vec![
        Layer::Curve(line(vec![(left, left), (1.0, 1.0)], "", ideal, 1.0)),
        Layer::Band {
            x: table.confidence.clone(),
            band: table.band.clone(),
            fill: Paint::Band,
            opacity: 0.8,
            line: Paint::Ink,
        },
    ];
    for run in typical {
        let thin = line(filled(run).collect(), &run.run.to_string(), TYPICAL, 0.8);
        layers.push(Layer::Curve(super::Curve { hidden: !single, opacity: 0.5, ..thin }));
    }
    for run in flagged {
        layers.push(Layer::Curve(line(filled(run).collect(), &run.run.to_string(), looks.get(run.run), 1.9)));
    }
    let (x, y) = (share("confidence (%)", left), share("accuracy (%)", lowest));
    let diagram = Panel::chart("How right when how sure", x, y, layers);

    let least = span(table.share.iter().copied().filter(|&share| share > 0.0), 0.0).0;
    let y = Axis::log("decisions (%)", (least * 50.0).max(1e-3), 100.0);
    let bars = table.share.iter().zip(table.edges.windows(2)).filter(|(height, _)| **height > 0.0).filter_map(
        |(&height, edges)| {
            let &[from, to] = edges else { return None };
            let gap = (to - from) * 0.06;
            Some((from + gap, to - gap, height * 100.0))
        },
    );
    let bars = Layer::Bars { bars: bars.collect(), paint: Paint::Typical };
    let from = table.edges.first().copied().unwrap_or(0.0);
    let often = Panel::chart("How often", share("confidence (%)", from), y, vec![bars]);

    let mut legend = vec![Entry::new(Swatch::Line(ideal, 1.0), "perfectly calibrated"), band_entry()];
    legend.extend(flagged_entries(analysis, looks, |look| Swatch::Line(look, 1.9)));
    let caption = format!(
        "Decisions sorted by how sure the run is. Below the dashed line a run is surer than it is right (overconfident), above \
         it too modest; points of fewer than {FILLED} examples are not drawn. Right: how often the typical runs are how sure \
         (a logarithmic scale); bins that few decisions fill are noisy."
    );
    Some(Figure::new("reliability", "Reliability", caption, vec![diagram, often], legend))
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
        let table = |runs| Reliability {
            edges: vec![0.0, 0.25, 0.5, 0.75, 1.0],
            share: vec![0.25; 4],
            bins: vec![2, 3],
            confidence: vec![0.6, 0.9],
            band: Band { low: vec![Some(0.55), Some(0.8)], median: vec![], high: vec![Some(0.7), Some(0.9)] },
            runs,
        };
        let first = run(0, [0.0, 0.0, 0.6, 0.9], [1, 4, 50, 50]);
        assert_eq!(corner(&table(Vec::new())), (0.5, 0.5));
        assert_eq!(corner(&table(vec![first.clone()])), (0.5, 0.5), "bins of fewer decisions do not count");
        assert_eq!(corner(&table(vec![first, run(1, [0.0, 0.2, 0.4, 0.7], [0, 5, 50, 50])])), (0.25, 0.2));
    }
}
