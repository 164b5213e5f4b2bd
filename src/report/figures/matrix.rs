//! Every two runs as a cell of a square.

use plotters::style::RGBColor;

use super::super::axis::{Axis, span};
use super::super::canvas::{Align, Text, svg};
use super::super::panel::{Frame, Panel, SMALL, ink};
use super::super::style::{INK, Looks};
use super::Figure;
use crate::analysis::numbers::fixed;
use crate::analysis::{Analysis, FlagKind, Pair};
use crate::error::Result;

/// Runs in one square, at most: more are not told apart on a page.
const SHOWN: usize = 60;
const WIDTH: u32 = 640;
const HEIGHT: u32 = 560;
/// Stops of a ramp from light to dark, of even steps in lightness.
pub const RAMP: [(u8, u8, u8); 6] = [
    (0xF4, 0xF7, 0xFB),
    (0xCC, 0xDB, 0xEC),
    (0x94, 0xBA, 0xD9),
    (0x55, 0x8F, 0xC1),
    (0x22, 0x62, 0xA0),
    (0x08, 0x30, 0x6B),
];

/// A quantity of every two runs.
pub struct Plan {
    file: &'static str,
    pub title: &'static str,
    /// What the colours mean, with its unit.
    pub label: &'static str,
    /// Values are shown multiplied by this; shares, which are shown in per cent, begin at 0.
    pub factor: f64,
    value: fn(&Pair) -> Option<f64>,
    pub caption: &'static str,
}

/// Churn of every two runs.
pub const CHURN: Plan = Plan {
    file: "churn.svg",
    title: "Churn between runs",
    label: "test examples decided differently (%)",
    factor: 100.0,
    value: |pair| Some(pair.churn),
    caption: "Share of test examples that two runs decide differently. A dark cross is a run that disagrees with everybody; \
              a pale cell off the diagonal is two runs that are closer than their siblings, and the palest (0 %) two runs \
              that decide alike everywhere.",
};

/// Alignment of the kernels of every two runs.
pub const ALIGNMENT: Plan = Plan {
    file: "cka.svg",
    title: "Alignment of the kernels of two runs",
    label: "centred kernel alignment (CKA)",
    factor: 1.0,
    value: |pair| pair.cka,
    caption: "How alike the kernels of two runs are at the last checkpoint: 1 means that both generalise from the same \
              examples in the same proportions, whatever they decide. A pale cross is a run that learned a different \
              geometry.",
};

/// The cells of a square.
pub struct Cells {
    /// Which runs it shows, in order.
    pub runs: Vec<u32>,
    /// Row, column (the larger one) and value.
    pub values: Vec<(usize, usize, f64)>,
    /// What the lightest and the darkest colour stand for.
    pub range: (f64, f64),
}

impl Plan {
    /// What there is to show; nothing where no pair has a value.
    #[must_use]
    pub fn cells(&self, analysis: &Analysis) -> Option<Cells> {
        let runs = shown(analysis);
        let place = |run: u32| runs.binary_search(&run).ok();
        let of_pair = |pair: &Pair| Some((place(pair.a)?, place(pair.b)?, (self.value)(pair)?));
        let values: Vec<(usize, usize, f64)> = analysis.pairs.iter().filter_map(of_pair).collect();
        let (low, high) = span(values.iter().map(|cell| cell.2), 0.0);
        let range = (if self.factor > 1.0 { 0.0 } else { low }, high);
        (!values.is_empty()).then_some(Cells { runs, values, range })
    }

    /// Decimals of a value that stands in its cell.
    #[must_use]
    pub fn decimals(&self) -> usize {
        if self.factor > 1.0 { 1 } else { 2 }
    }

    /// Says of what the cells are a part, if they are.
    #[must_use]
    pub fn caption(&self, analysis: &Analysis, cells: &Cells) -> String {
        let all = finite(analysis).count();
        if cells.runs.len() == all {
            return self.caption.to_owned();
        }
        format!(
            "{} Of {all} runs, {} are shown: flagged ones, and others at even distances.",
            self.caption,
            cells.runs.len()
        )
    }
}

/// The figure of a plan.
///
/// # Errors
/// As [`super::all`].
pub fn draw(analysis: &Analysis, looks: &Looks, plan: &Plan) -> Result<Option<Figure>> {
    let Some(found) = plan.cells(analysis) else { return Ok(None) };
    let Cells { runs: shown, values: cells, range: (low, high) } = &found;
    let count = shown.len() as f64;
    let svg = svg(WIDTH, HEIGHT, plan.title, |canvas| {
        let frame = Frame { left: 66.0, top: 40.0, right: 506.0, bottom: 480.0 };
        let every = shown.len().div_ceil(if shown.last() > Some(&99) { 12 } else { 20 });
        let ticks: Vec<(f64, String)> =
            shown.iter().enumerate().step_by(every).map(|(at, run)| (at as f64 + 0.5, run.to_string())).collect();
        let axis = || Axis::linear("run", 0.0, count, 1, 1.0).with_ticks(ticks.clone());
        // Run 0 above: the square reads like a table.
        let down: Vec<(f64, String)> = ticks.iter().map(|(at, run)| (count - at, run.clone())).collect();
        let panel = Panel::new(canvas, frame, "", axis(), axis().with_ticks(down), 46.0)?;
        let bar_axis = Axis::linear("", *low, *high, 6, plan.factor);
        for &(a, b, value) in cells {
            let colour = ramp(bar_axis.share(value).unwrap_or(0.0));
            for (column, row) in [(a, b), (b, a)] {
                let from = (column as f64, count - row as f64);
                panel.cell(from, (from.0 + 1.0, from.1 - 1.0), colour)?;
            }
        }
        for (at, &run) in shown.iter().enumerate() {
            // A run with itself is no measurement.
            let from = (at as f64, count - at as f64);
            panel.cell(from, (from.0 + 1.0, from.1 - 1.0), RGBColor(0xE2, 0xE2, 0xE2))?;
            if let Some(look) = looks.flagged(run) {
                panel.note(
                    at as f64 + 0.5,
                    count,
                    (0.0, -6.0),
                    "▾",
                    Text { colour: look.colour, ..ink(SMALL, Align::Middle) },
                )?;
                panel.note(
                    count,
                    count - at as f64 - 0.5,
                    (6.0, 0.0),
                    "◂",
                    Text { colour: look.colour, ..ink(SMALL, Align::Start) },
                )?;
            }
        }
        if cells.len() <= 100 {
            for &(a, b, value) in cells {
                let dark = bar_axis.share(value).unwrap_or(0.0) > 0.55;
                let colour = if dark { RGBColor(0xFF, 0xFF, 0xFF) } else { INK };
                let text = fixed(value * plan.factor, plan.decimals());
                for (column, row) in [(a, b), (b, a)] {
                    let at = (column as f64 + 0.5, count - row as f64 - 0.5);
                    panel.note(at.0, at.1, (0.0, 0.0), &text, Text { colour, ..ink(11.0, Align::Middle) })?;
                }
            }
        }
        bar(canvas, &bar_axis, plan.label)
    })?;
    let mut caption = plan.caption(analysis, &found);
    if shown.iter().any(|&run| looks.flagged(run).is_some()) {
        caption.push_str(" Coloured arrows point at flagged runs.");
    }
    Ok(Some(Figure { file: plan.file, svg, title: plan.title.to_owned(), caption }))
}

/// The colours' scale, right of the square.
fn bar(canvas: &super::Canvas, axis: &Axis, label: &str) -> Result<()> {
    const STEPS: usize = 64;
    let frame = Frame { left: 556.0, top: 40.0, right: 572.0, bottom: 480.0 };
    let height = frame.bottom - frame.top;
    let y = |share: f64| frame.bottom - share * height;
    for step in 0..STEPS {
        let share = |step: usize| step as f64 / STEPS as f64;
        let colour = ramp(share(step) + 0.5 / STEPS as f64);
        // Upwards, each over the end of the one before: no seams.
        canvas.rectangle((frame.left, frame.top), (frame.right, y(share(step))), colour)?;
    }
    for (value, text) in axis.ticks() {
        if let Some(share) = axis.share(*value) {
            let y = y(share);
            canvas.line(&[(frame.right, y), (frame.right + 4.0, y)], INK, 1.0, 1.0, None)?;
            canvas.text(text, (frame.right + 8.0, y), ink(SMALL, Align::Start))?;
        }
    }
    let upright = Text { upright: true, ..ink(13.0, Align::Middle) };
    canvas.text(label, (622.0, (frame.top + frame.bottom) / 2.0), upright)
}

fn finite(analysis: &Analysis) -> impl Iterator<Item = u32> {
    analysis.runs.iter().filter(|run| !run.has(FlagKind::Diverged)).map(|run| run.run)
}

/// All runs that did not diverge, or as many as a page shows: the flagged ones first, then others at even distances.
fn shown(analysis: &Analysis) -> Vec<u32> {
    let all: Vec<u32> = finite(analysis).collect();
    if all.len() <= SHOWN {
        return all;
    }
    let (flagged, typical): (Vec<u32>, Vec<u32>) =
        all.iter().partition(|&&run| analysis.runs.iter().any(|held| held.run == run && held.is_flagged()));
    let mut shown: Vec<u32> = flagged.into_iter().take(SHOWN / 2).collect();
    let left = SHOWN - shown.len();
    shown.extend((0..left).filter_map(|place| typical.get(place * typical.len() / left)));
    shown.sort_unstable();
    shown.dedup();
    shown
}

fn ramp(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let lower = (place as usize).min(RAMP.len() - 2);
    let weight = place - lower as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * weight).round() as u8;
    let (from, to) = (RAMP[lower], RAMP[lower + 1]);
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}
