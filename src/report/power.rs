//! What the runs of a sweep can show, as people read it: a table and a figure.

use std::path::Path;

use super::axis::Axis;
use super::comparison::words;
use super::document::{Document, Table};
use super::figures::{Curve, Dot, Entry, Figure, HALF, Layer, Look, Mark, Paint, Panel, Swatch};
use super::text::capital;
use super::words::count;
use crate::analysis::Analysis;
use crate::analysis::comparison::Quantity;
use crate::analysis::numbers::{fixed, or_dash};
use crate::analysis::power::{Power, Row, of_analysis};
use crate::error::Result;

const CHANGE: Look = Look::of(Paint::Series(1));
const HERE: Look = Look::of(Paint::Series(0)).marked(Mark::Diamond);

/// Rows that tables and figures show: all but those of classes, of which the one that varies most.
#[must_use]
pub fn shown(found: &Power) -> Vec<&Row> {
    let is_class = |row: &&Row| matches!(row.metric, Quantity::ClassAccuracy(_));
    let widest = found.metrics.iter().filter(is_class).max_by(|a, b| a.std.total_cmp(&b.std));
    found.metrics.iter().filter(|row| !is_class(row)).chain(widest).collect()
}

/// The runs that each change needs, a sentence each.
#[must_use]
pub fn answers(found: &Power) -> Vec<String> {
    let of_row = |row: &Row| -> Vec<String> {
        let sentence = |(change, runs): &(f64, Option<usize>)| {
            let (name, change) = (words::name(row.metric), words::size(row.metric, *change));
            match runs {
                Some(runs) => format!("A change of {name} by {change} needs {} a side.", count(*runs, "run")),
                None => format!("A change of {name} by {change} needs more than 10,000 runs a side."),
            }
        };
        row.needed.iter().map(sentence).collect()
    };
    found.metrics.iter().flat_map(of_row).collect()
}

/// What the table shows, in a sentence or two.
#[must_use]
pub fn explanation(found: &Power) -> String {
    format!(
        "The change that so many runs a side find {} times in ten, with all tests of a comparison together at {} % confidence; from the \
         spread of {}. Of the classes the one that varies most is shown (`--json` has all).",
        fixed(found.power * 10.0, 0),
        fixed(found.confidence * 100.0, 0),
        count(found.runs, "run")
    )
}

/// The last line of a sweep's report: what its runs would have shown.
#[must_use]
pub fn last_line(analysis: &Analysis) -> Option<String> {
    let (runs, accuracy, nll) = of_analysis(analysis)?;
    let without = if runs < analysis.independence.distinct { " without a flag" } else { "" };
    Some(format!(
        "Against as many runs of a changed procedure, these {}{without} would have shown a change of accuracy by {} or of the negative \
         log-likelihood by {} four times in five; `harness power` says what more runs would.",
        count(runs, "run"),
        words::size(Quantity::Accuracy, accuracy),
        words::size(Quantity::Nll, nll)
    ))
}

/// Everything that is said and shown.
#[must_use]
pub fn document(found: &Power) -> Document {
    let here = found.sizes.iter().position(|&size| size == found.runs);
    let of_here = |row: &Row| here.and_then(|place| row.detectable.get(place).copied().flatten());
    let accuracy = found.metrics.iter().find(|row| row.metric == Quantity::Accuracy);
    let headline = match accuracy.and_then(of_here) {
        Some(change) => format!(
            "{} a side find a change of accuracy by {} four times in five.",
            capital(&count(found.runs, "run")),
            words::size(Quantity::Accuracy, change)
        ),
        None => format!("{} a side can find no change.", capital(&count(found.runs, "run"))),
    };
    let mut document =
        Document { title: format!("What runs of {} can show", found.name), headline, ..Document::default() };
    answers(found).into_iter().for_each(|sentence| document.text(sentence));
    document.blocks.push(super::document::Block::Figure(figure(found)));
    let sizes: Vec<String> = found.sizes.iter().map(usize::to_string).collect();
    let heads: Vec<&str> = ["change of", "mean", "sd"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    let rows = shown(found).into_iter().map(|row| {
        let cells = row.detectable.iter().map(|change| or_dash(*change, |change| words::size(row.metric, change)));
        let first = [
            words::name(row.metric).into_owned(),
            words::value(row.metric, row.mean),
            words::size(row.metric, row.std),
        ];
        first.into_iter().chain(cells).collect()
    });
    document.table(Table::new("power", &heads, &[0], rows.collect()));
    document.text(explanation(found));
    document
}

/// The detectable change by runs a side, a panel for each quantity.
fn figure(found: &Power) -> Figure {
    let panels = shown(found).into_iter().map(|row| {
        let points: Vec<(usize, f64)> =
            found.sizes.iter().zip(&row.detectable).filter_map(|(&size, change)| Some((size, (*change)?))).collect();
        // Runs on a scale of powers of two.
        let place = |size: usize| (size as f64).log2();
        let top = points.iter().map(|point| point.1).fold(0.0, f64::max) * 1.08;
        let ticks = points.iter().filter(|point| point.0 != 5).map(|&(size, _)| (place(size), size.to_string()));
        let (first, last) = (points.first().map_or(0.0, |p| place(p.0)), points.last().map_or(1.0, |p| place(p.0)));
        let x = Axis::linear("runs a side", first - 0.2, last + 0.2, 4, 1.0).with_ticks(ticks.collect());
        let share = words::size(row.metric, 0.5).contains("points");
        let y = Axis::linear(
            if share { "points" } else { "change" },
            0.0,
            top.max(f64::MIN_POSITIVE),
            4,
            if share { 100.0 } else { 1.0 },
        );
        let line = points.iter().map(|&(size, change)| (place(size), change)).collect();
        let dots = points.iter().map(|&(size, change)| {
            let look = if size == found.runs { HERE } else { CHANGE };
            let tip = format!("{size} runs a side: {}", words::size(row.metric, change));
            Dot { tip, ..Dot::new(place(size), change, look) }
        });
        let layers = vec![
            Layer::Curve(Curve {
                points: line,
                key: String::new(),
                look: CHANGE,
                width: 1.6,
                opacity: 1.0,
                hidden: false,
            }),
            Layer::Points(dots.collect()),
        ];
        Panel::chart(&capital(&words::name(row.metric)), x, y, layers).sized((HALF.0, 220.0))
    });
    let legend = vec![
        Entry::new(Swatch::Mark(CHANGE), "found four times in five"),
        Entry::new(Swatch::Mark(HERE), "with as many runs as here"),
    ];
    let caption = "The smallest change that a comparison of so many runs a side finds four times in five.".to_owned();
    Figure::new("power", "Detectable change by number of runs", caption, panels.collect(), legend)
}

/// Writes `power.md`, `power.html` and the figure into `folder`; other files there stay.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the file system refuses.
pub fn write(found: &Power, folder: &Path) -> Result<()> {
    super::write_files(&document(found).files("power.md", Some("power.html"))?, folder)
}
