//! Each run as a point: how typical against how accurate, and where it stands in every quantity.

use super::super::super::axis::{Axis, span};
use super::super::super::style::{Look, Looks, Paint, TYPICAL};
use super::super::super::tables::columns;
use super::super::{Dot, Entry, Figure, HALF, Layer, Panel, Swatch};
use super::{SINGLE, flagged_entries, judged, limit};
use crate::analysis::numbers::{fixed, percent};
use crate::analysis::{Analysis, Run};

/// α̂ against accuracy, and `alpha_relative` against the KS distance that it is judged with.
pub fn runs(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    /// A plot of α̂ reaches at least this high, so that noise does not look like a difference.
    const LEAST: f64 = 0.05;
    let few = judged(analysis).count() <= SINGLE;
    let dots = |at: &dyn Fn(&Run) -> Option<(f64, f64)>, words: &dyn Fn(f64, f64) -> String| -> Vec<Dot> {
        ordered(analysis, looks)
            .filter_map(|run| at(run).map(|(x, y)| Dot { tip: words(x, y), ..place(run, (x, y), looks, few) }))
            .collect()
    };
    let mut levels = dots(&|run| Some((run.accuracy?, run.alpha_hat?)), &|x, y| {
        format!("accuracy {}, α̂ {}", percent(x), percent(y))
    });
    let mut relative = dots(&|run| Some((run.ks?, run.alpha_relative?)), &|x, y| {
        format!("KS {}, α relative {}", fixed(x, 3), percent(y))
    });
    if levels.is_empty() || relative.is_empty() {
        return None;
    }
    for dot in &mut levels {
        let run = analysis.runs.iter().find(|run| run.run.to_string() == dot.key);
        dot.interval = run
            .filter(|run| few || looks.flagged(run.run).is_some())
            .and_then(|run| Some((run.alpha_hat_low?, run.alpha_hat_high?)));
    }
    for dot in levels.iter_mut().chain(&mut relative) {
        dot.tip = format!("run {}: {}", dot.key, dot.tip);
    }
    let (low, high) = span(levels.iter().map(|dot| dot.x), 0.08);
    let tops = levels.iter().map(|dot| dot.interval.map_or(dot.y, |interval| interval.1));
    let x = Axis::linear("test accuracy (%)", low, high, 5, 100.0);
    let y = Axis::linear("α̂, published protocol (%)", 0.0, span(tops, 0.08).1.clamp(LEAST, 0.52), 5, 100.0);
    let left = Panel::chart("The same function?", x, y, vec![Layer::Points(levels)]);

    let held = analysis.settings.flags.alpha;
    let text = fixed(held * 100.0, 0);
    let (line, entry) = limit(held, format!("limit {text} %"), (5.0, 4.0));
    let (low, high) = span(relative.iter().map(|dot| dot.x).chain([0.0]), 0.0);
    let top = span(relative.iter().map(|dot| dot.y).chain([held]), 0.12).1;
    let x = Axis::linear("KS distance from the others", low, high * 1.06, 5, 1.0);
    let y = Axis::linear("α relative to the ensemble (%)", 0.0, top.min(1.02), 5, 100.0);
    let right = Panel::chart("Typical of this ensemble?", x, y, vec![line, Layer::Points(relative)]);

    let mut legend = vec![Entry::new(Swatch::Mark(TYPICAL), "typical run"), entry];
    legend.extend(flagged_entries(analysis, looks, Swatch::Mark));
    let caption = format!(
        "Every run once. Left: α̂ is the share of a run's examples that must be trimmed away before its margins follow those \
         of the other runs; bars are bootstrap intervals. Runs of equal accuracy can differ in α̂. Right: the same \
         question asked relative to the spread of this ensemble; a run above the dashed limit of {text} % whose \
         distance is also an outlier is flagged `alpha`."
    );
    Some(Figure::new("runs", "Typical and atypical runs", caption, vec![left, right], legend))
}

/// Every run on a line for each quantity of the table, from the smallest value to the largest.
pub fn standing(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    const ROW: f64 = 28.0;
    let few = judged(analysis).count() <= SINGLE;
    let mut names = Vec::new();
    let mut points: Vec<(usize, Dot)> = Vec::new();
    for metric in columns() {
        let value = metric.of;
        let (low, high) = span(judged(analysis).filter_map(value), 0.0);
        if judged(analysis).filter_map(value).count() < 2 || low >= high {
            continue;
        }
        for run in ordered(analysis, looks) {
            let Some(held) = value(run) else { continue };
            let dot = place(run, ((held - low) / (high - low), 0.0), looks, few);
            let tip = format!("run {}: {} {}", run.run, metric.short, (metric.write)(held));
            points.push((names.len(), Dot { tip, ..dot }));
        }
        let (low, high) = ((metric.write)(low), (metric.write)(high));
        names.push(format!("{} {} to {high}", metric.short, low.trim_end_matches(" %")));
    }
    if names.is_empty() {
        return None;
    }
    let count = names.len();
    let y = Axis::names("", names.into_iter(), true);
    let dots = points.into_iter().map(|(row, dot)| Dot { y: (count - 1 - row) as f64, ..dot }).collect();
    let x = Axis::linear("from the smallest value to the largest", -0.03, 1.03, 1, 1.0).with_ticks(Vec::new());
    let panel = Panel::chart("", x, y, vec![Layer::Points(dots)]).sized((HALF.0, 64.0 + ROW * count as f64));
    let mut legend = vec![Entry::new(Swatch::Mark(TYPICAL), "typical run")];
    legend.extend(flagged_entries(analysis, looks, Swatch::Mark));
    let caption = "Every run on a line for each quantity, between the smallest and the largest value of the runs. A run that \
                   stands apart on several lines differs in more than one way.";
    Some(Figure::new("standing", "Where each run stands", caption.to_owned(), vec![panel], legend))
}

/// Typical runs first, so that flagged ones lie on top.
fn ordered<'a>(analysis: &'a Analysis, looks: &Looks) -> impl Iterator<Item = &'a Run> + use<'a> {
    let (flagged, typical): (Vec<&Run>, Vec<&Run>) = judged(analysis).partition(|run| looks.flagged(run.run).is_some());
    typical.into_iter().chain(flagged)
}

/// A flagged run as its own mark; a typical one as a point, and as one of a cloud where there are many.
fn place(run: &Run, (x, y): (f64, f64), looks: &Looks, few: bool) -> Dot {
    let (look, radius, opacity) = match looks.flagged(run.run) {
        Some(look) => (look, 5.0, 1.0),
        None if few => (Look::of(Paint::Typical), 4.0, 1.0),
        None => (Look::of(Paint::Typical), 2.4, 0.5),
    };
    Dot { key: run.run.to_string(), radius, opacity, ..Dot::new(x, y, look) }
}
