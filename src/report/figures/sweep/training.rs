//! Curves over the epochs: learning, how the runs come to differ, and what becomes of the kernel.

use super::super::super::axis::{Axis, span};
use super::super::super::style::Looks;
use super::super::{Figure, Panel, THIRD};
use super::{curve_entries, curve_layers, values};
use crate::analysis::{Analysis, Curves, Series};

/// How a vertical axis is laid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Height {
    /// By powers of ten.
    Log,
    /// A share in per cent, as far as values go.
    Percent,
    /// The same from 0.
    PercentFromZero,
    FromZero,
    /// As far as values go, the epochs before training included.
    Free,
}

/// One quantity over the epochs.
#[derive(Debug, Clone, Copy)]
struct Naming {
    /// The series' name.
    name: &'static str,
    title: &'static str,
    /// What is measured, with its unit.
    label: &'static str,
    height: Height,
}

const LOSS: Naming = Naming { name: "loss", title: "Training loss", label: "loss (nats)", height: Height::Log };
const ACCURACY: Naming =
    Naming { name: "accuracy", title: "Test accuracy", label: "accuracy (%)", height: Height::Percent };
const TRAINING_ACCURACY: Naming = Naming { title: "Training accuracy", ..ACCURACY };
const CHURN: Naming = Naming {
    name: "churn",
    title: "Disagreement",
    label: "mean churn with the others (%)",
    height: Height::PercentFromZero,
};
const KS: Naming =
    Naming { name: "ks", title: "Distance of margins", label: "KS distance from the others", height: Height::FromZero };
const ALIGNMENT: Naming =
    Naming { name: "alignment", title: "Alignment with labels", label: "centred alignment", height: Height::Free };
const EFFECTIVE_RANK: Naming =
    Naming { name: "effective_rank", title: "Effective rank", label: "(Σλ)² / Σλ²", height: Height::Free };
const MEAN_CKA: Naming = Naming {
    name: "mean_cka",
    title: "Agreement between runs",
    label: "mean CKA with the others",
    height: Height::Free,
};

/// Loss and accuracy over training.
pub fn learning(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    let test = Some(ACCURACY).filter(|naming| find(&analysis.recorded, naming).is_some_and(|held| held.x.len() > 1));
    let panels = [(LOSS, &analysis.training)].into_iter().chain([match test {
        Some(naming) => (naming, &analysis.recorded),
        None => (TRAINING_ACCURACY, &analysis.training),
    }]);
    let panels = panels.filter_map(|(naming, series)| Some(panel(analysis, looks, &naming, find(series, &naming)?)));
    let caption = "How the runs learn. The band holds 90 % of the typical runs, the black line is their median; a healthy \
                   sweep narrows to the right, and a flagged run shows here whether it was late, unstable or different \
                   from the start.";
    figure(analysis, looks, "learning-curves", "Learning curves", caption, panels.collect())
}

/// Churn and distance between runs over training.
pub fn disagreement(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    let caption = "How the runs come to differ during training, at each checkpoint: the share of test examples that a run \
                   decides differently from another run (left), and how far its distribution of margins lies from that \
                   of the others (right). What remains at the last epoch is what retraining changes. What lies before \
                   training is not drawn.";
    let panels = several(analysis, looks, &analysis.recorded, &[CHURN, KS]);
    figure(analysis, looks, "disagreement", "Differences between runs over training", caption, panels)
}

/// Alignment, effective rank and agreement between runs over the epochs.
pub fn kernel(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    let caption = "What training does to the kernel. Alignment with the labels rises as features are learned; the effective \
                   rank counts how many directions carry the kernel; agreement between runs says whether all of them \
                   arrive at the same geometry. A run outside the band generalises differently even where it decides alike.";
    let panels = several(analysis, looks, &analysis.kernel_training, &[ALIGNMENT, EFFECTIVE_RANK, MEAN_CKA]);
    let panels: Vec<Panel> = panels.into_iter().map(|panel| panel.sized(THIRD)).collect();
    let figure = figure(analysis, looks, "kernel-training", "The kernel over training", caption, panels)?;
    Some(Figure { columns: 3, ..figure })
}

fn figure(
    analysis: &Analysis,
    looks: &Looks,
    id: &'static str,
    title: &str,
    caption: &str,
    panels: Vec<Panel>,
) -> Option<Figure> {
    let legend = curve_entries(analysis, looks);
    (!panels.is_empty()).then(|| Figure::new(id, title, caption.to_owned(), panels, legend))
}

/// Those that are there at two epochs and more.
fn several(analysis: &Analysis, looks: &Looks, series: &[Series], namings: &[Naming]) -> Vec<Panel> {
    let found = namings.iter().filter_map(|naming| Some((naming, find(series, naming)?)));
    found
        .filter(|(_, curves)| curves.x.len() > 1)
        .map(|(naming, curves)| panel(analysis, looks, naming, curves))
        .collect()
}

fn find<'a>(series: &'a [Series], naming: &Naming) -> Option<&'a Curves> {
    let found = series.iter().find(|series| series.name == naming.name && !series.curves.x.is_empty())?;
    Some(&found.curves)
}

/// Before training everything is noise, which would leave no room for what follows: where there is enough without it, axes
/// begin after it. Kernels are shown from the start, which is what training changes.
fn panel(analysis: &Analysis, looks: &Looks, naming: &Naming, curves: &Curves) -> Panel {
    let after: Vec<f64> = curves.x.iter().copied().filter(|&epoch| epoch > 0.0).collect();
    let from = match after.as_slice() {
        [first, _, ..] if naming.height != Height::Free => *first,
        _ => f64::NEG_INFINITY,
    };
    let values = || values(curves, from);
    let linear = |low: f64, high: f64, factor: f64| Axis::linear(naming.label, low, high, 5, factor);
    let y = match naming.height {
        Height::Log => {
            let (low, high) = span(values().filter(|&value| value > 0.0).map(f64::log10), 0.04);
            Axis::log(naming.label, 10f64.powf(low), 10f64.powf(high))
        }
        Height::Percent => {
            let (low, high) = span(values(), 0.04);
            linear(low.max(0.0), high.min(1.0), 100.0)
        }
        Height::PercentFromZero => linear(0.0, span(values(), 0.05).1, 100.0),
        Height::FromZero => linear(0.0, span(values(), 0.05).1, 1.0),
        Height::Free => {
            let (low, high) = span(values(), 0.06);
            linear(low, high, 1.0)
        }
    };
    let (first, last) = span(curves.x.iter().copied().filter(|&epoch| epoch >= from), 0.0);
    Panel::chart(naming.title, Axis::whole("epoch", first, last, 6), y, curve_layers(analysis, looks, curves))
}
