//! Every two runs as a cell of a square.

use super::super::super::axis::span;
use super::super::super::style::Looks;
use super::super::{Figure, Kind, Matrix, Panel};
use crate::analysis::{Analysis, FlagKind, Pair};

/// Runs in one square, at most: more are not told apart on a page.
const SHOWN: usize = 60;

/// Churn of every two runs.
pub fn churn(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    /// The darkest colour stands for at least this share, so that a healthy sweep looks pale.
    const LEAST: f64 = 0.1;
    let caption = "Share of test examples that two runs decide differently; the scale reaches 10 % at least, so that a healthy \
                   sweep looks pale. A dark cross is a run that disagrees with everybody; a pale cell off the diagonal is two \
                   runs that are closer than their siblings, and paper (0 %) two runs that decide alike everywhere.";
    let label = "test examples decided differently (%)";
    let held = of(analysis, looks, |pair| Some(pair.churn), label)?;
    let range = (0.0, span(held.values.iter().map(|cell| cell.2), 0.0).1.max(LEAST));
    let matrix = Matrix { range, factor: 100.0, decimals: 1, ..held };
    Some(figure("churn", "Churn between runs", caption, analysis, matrix))
}

/// Alignment of the kernels of every two runs.
pub fn cka(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    /// The darkest colour stands for at most this alignment.
    const MOST: f64 = 0.9;
    let caption = "How alike the kernels of two runs are at the last checkpoint: 1 (paper) means that both generalise from the \
                   same examples in the same proportions, whatever they decide; the scale begins at 0.9 or below. A dark cross \
                   is a run that learned a different geometry.";
    let held = of(analysis, looks, |pair| pair.cka, "centred kernel alignment (CKA)")?;
    let range = (1.0, span(held.values.iter().map(|cell| cell.2), 0.0).0.min(MOST));
    Some(figure(
        "cka",
        "Alignment of the kernels of two runs",
        caption,
        analysis,
        Matrix { range, decimals: 3, ..held },
    ))
}

/// The cells of a quantity; nothing where no pair has a value.
fn of(analysis: &Analysis, looks: &Looks, value: fn(&Pair) -> Option<f64>, label: &str) -> Option<Matrix> {
    let runs = shown(analysis);
    let place = |run: u32| runs.binary_search(&run).ok();
    let of_pair = |pair: &Pair| Some((place(pair.a)?, place(pair.b)?, value(pair)?));
    let values: Vec<(usize, usize, f64)> = analysis.pairs.iter().filter_map(of_pair).collect();
    (!values.is_empty()).then(|| Matrix {
        keys: runs.iter().map(u32::to_string).collect(),
        looks: runs.iter().map(|&run| looks.flagged(run)).collect(),
        noun: "run",
        values,
        label: label.to_owned(),
        range: (0.0, 1.0),
        factor: 1.0,
        decimals: 1,
    })
}

fn figure(id: &'static str, title: &str, caption: &str, analysis: &Analysis, matrix: Matrix) -> Figure {
    let (all, few) = (finite(analysis).count(), matrix.keys.len());
    let mut caption = caption.to_owned();
    if few < all {
        caption.push_str(&format!(" Of {all} runs, {few} are shown: flagged ones, and others at even distances."));
    }
    if matrix.looks.iter().any(Option::is_some) {
        caption.push_str(" Coloured arrows point at flagged runs.");
    }
    let panel = Panel { title: title.to_owned(), size: (430.0, 500.0), kind: Kind::Matrix(matrix) };
    Figure::new(id, title, caption, vec![panel], Vec::new())
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
