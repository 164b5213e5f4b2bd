//! Each run as a point: how typical against how accurate.

use super::super::axis::{Axis, span};
use super::super::canvas::{Align, svg};
use super::super::panel::{Frame, Panel, SMALL, Swatch, ink, legend};
use super::super::style::{Looks, TYPICAL_LOOK};
use super::{Figure, LEGEND, LEGEND_ROOM, WIDTH, draws_single, flagged_rows, is_void};
use crate::analysis::numbers::fixed;
use crate::analysis::{Analysis, Run};
use crate::error::Result;

/// α̂ against accuracy, and `alpha_relative` against the KS distance that it is judged with.
///
/// # Errors
/// As [`super::all`].
pub fn draw(analysis: &Analysis, looks: &Looks) -> Result<Option<Figure>> {
    let runs: Vec<&Run> = analysis.runs.iter().filter(|run| !is_void(run)).collect();
    let hat = |run: &Run| Some((run.accuracy?, run.alpha_hat?));
    let relative = |run: &Run| Some((run.ks?, run.alpha_relative?));
    if !runs.iter().any(|run| hat(run).is_some() && relative(run).is_some()) {
        return Ok(None);
    }
    let few = draws_single(analysis);
    let title = "Typical and atypical runs";
    let svg = svg(WIDTH, 350, title, |canvas| {
        let frame = Frame { left: 66.0, top: 40.0, right: 320.0, bottom: 296.0 };
        let (low, high) = span(runs.iter().filter_map(|run| run.accuracy), 0.08);
        let with_interval = |run: &Run| few || looks.flagged(run.run).is_some();
        let tops = runs.iter().filter_map(|run| if with_interval(run) { run.alpha_hat_high } else { run.alpha_hat });
        let x = Axis::linear("test accuracy (%)", low, high, 5, 100.0);
        let y = Axis::linear("α̂, published protocol (%)", 0.0, span(tops, 0.08).1.clamp(0.05, 0.52), 5, 100.0);
        let panel = Panel::new(canvas, frame, "The same function?", x, y, 48.0)?;
        for run in order(&runs, looks) {
            let Some((accuracy, level)) = hat(run) else { continue };
            let look = looks.get(run.run);
            if let (true, Some(low), Some(high)) = (with_interval(run), run.alpha_hat_low, run.alpha_hat_high) {
                panel.interval(accuracy, low, high, look.colour)?;
            }
            place(&panel, (accuracy, level), run, looks, few)?;
        }

        let frame = Frame { left: 396.0, right: 646.0, ..frame };
        let limit = analysis.settings.flags.alpha;
        let (low, high) = span(runs.iter().filter_map(|run| run.ks).chain([0.0]), 0.0);
        let top = span(runs.iter().filter_map(|run| run.alpha_relative).chain([limit]), 0.12).1;
        let x = Axis::linear("KS distance from the others", low, high * 1.06, 5, 1.0);
        let y = Axis::linear("α relative to the ensemble (%)", 0.0, top.min(1.02), 5, 100.0);
        let panel = Panel::new(canvas, frame, "Typical of this ensemble?", x, y, 48.0)?;
        for run in order(&runs, looks) {
            let Some((ks, level)) = relative(run) else { continue };
            place(&panel, (ks, level), run, looks, few)?;
        }
        panel.limit(limit, "", false)?;
        let text = format!("limit {} %", fixed(limit * 100.0, 0));
        panel.note(0.0, limit, (6.0, -9.0), &text, ink(SMALL, Align::Start))?;

        let mut rows = vec![(Swatch::Mark(TYPICAL_LOOK), "typical run".to_owned())];
        rows.extend(flagged_rows(analysis, looks, Swatch::Mark));
        legend(canvas, (LEGEND, 50.0), LEGEND_ROOM, &rows)
    })?;
    let limit = fixed(analysis.settings.flags.alpha * 100.0, 0);
    let caption = format!(
        "Every run once. Left: α̂ is the share of a run's examples that must be trimmed away before its margins follow those \
         of the other runs; bars are bootstrap intervals. Runs of equal accuracy can differ in α̂. Right: the same \
         question asked relative to the spread of this ensemble; a run above the dashed limit of {limit} % whose \
         distance is also an outlier is flagged `alpha`."
    );
    Ok(Some(Figure { file: "runs.svg", svg, title: title.to_owned(), caption }))
}

/// Typical runs first, so that flagged ones lie on top.
fn order<'a>(runs: &[&'a Run], looks: &Looks) -> Vec<&'a Run> {
    let mut runs = runs.to_vec();
    runs.sort_by_key(|run| looks.flagged(run.run).is_some());
    runs
}

/// A flagged run as its own mark; a typical one as a point, and as one of a cloud where there are many.
fn place(panel: &Panel, at: (f64, f64), run: &Run, looks: &Looks, few: bool) -> Result<()> {
    match looks.flagged(run.run) {
        Some(look) => panel.mark(at.0, at.1, look.mark, 5.0, look.colour),
        None if few => panel.mark(at.0, at.1, TYPICAL_LOOK.mark, 3.6, TYPICAL_LOOK.colour),
        None => panel.dot(at.0, at.1, 2.2, TYPICAL_LOOK.colour, 0.5),
    }
}
