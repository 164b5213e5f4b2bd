//! What curves over the epochs are shown, and how their axes are laid: the same in figures and on the page.

use super::super::axis::{Axis, span};
use super::super::style::Looks;
use super::drawn_values;
use crate::analysis::{Analysis, Curves, Series};

/// How a vertical axis is laid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Height {
    /// By powers of ten.
    Log,
    /// A share in per cent, as far as values go.
    Percent,
    /// The same from 0.
    PercentFromZero,
    FromZero,
    /// As far as values go.
    Free,
}

/// One quantity over the epochs.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The series' name.
    pub name: &'static str,
    pub curves: &'a Curves,
    pub title: &'static str,
    /// What is measured, with its unit.
    pub label: &'static str,
    pub height: Height,
    /// What to see, where the curves stand alone.
    pub caption: &'static str,
}

/// From where to where the axes of a plan go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout {
    pub x: (f64, f64),
    pub y: (f64, f64),
    /// Whether the vertical axis is logarithmic.
    pub log: bool,
    /// Values are shown multiplied by this.
    pub factor: f64,
}

const LOSS: Naming = Naming {
    name: "loss",
    title: "Training loss",
    label: "loss (nats)",
    height: Height::Log,
    caption: "Mean loss over the training examples as they were met. Curves of a healthy sweep fall together; one that falls \
              late or jumps belongs to an unstable run.",
};
const ACCURACY: Naming = Naming {
    name: "accuracy",
    title: "Test accuracy",
    label: "accuracy (%)",
    height: Height::Percent,
    caption: "A healthy sweep narrows to the right; a run that stays below the band has not caught up.",
};
const TRAINING_ACCURACY: Naming = Naming { title: "Training accuracy", ..ACCURACY };
const CHURN: Naming = Naming {
    name: "churn",
    title: "Disagreement",
    label: "mean churn with the others (%)",
    height: Height::PercentFromZero,
    caption: "Share of test examples that a run decides differently from another run. What remains at the last epoch is what \
              retraining changes.",
};
const KS: Naming = Naming {
    name: "ks",
    title: "Distance of margins",
    label: "KS distance from the others",
    height: Height::FromZero,
    caption: "How far a run's distribution of margins lies from that of the others: runs that end together can have gone \
              different ways.",
};
const ALIGNMENT: Naming = Naming {
    name: "alignment",
    title: "Alignment with labels",
    label: "centred alignment",
    height: Height::Free,
    caption: "How far the kernel groups examples as the labels do: it rises as features are learned.",
};
const EFFECTIVE_RANK: Naming = Naming {
    name: "effective_rank",
    title: "Effective rank",
    label: "(Σλ)² / Σλ²",
    height: Height::Free,
    caption: "How many directions carry the kernel: 1 means that all probe examples look alike to the network.",
};
const MEAN_CKA: Naming = Naming {
    name: "mean_cka",
    title: "Agreement between runs",
    label: "mean CKA with the others",
    height: Height::Free,
    caption: "Whether all runs arrive at the same geometry: 1 means that they do. A run below the band generalises \
              differently even where it decides alike.",
};

/// Loss and accuracy.
#[must_use]
pub fn learning(analysis: &Analysis) -> Vec<Plan<'_>> {
    let loss = find(&analysis.training, LOSS);
    let test = find(&analysis.recorded, ACCURACY).filter(|plan| plan.curves.x.len() > 1);
    let train = || find(&analysis.training, TRAINING_ACCURACY);
    loss.into_iter().chain(test.or_else(train)).collect()
}

/// Churn and distance between runs.
#[must_use]
pub fn parting(analysis: &Analysis) -> Vec<Plan<'_>> {
    several(&analysis.recorded, &[CHURN, KS])
}

/// What becomes of the kernel.
#[must_use]
pub fn kernels(analysis: &Analysis) -> Vec<Plan<'_>> {
    several(&analysis.kernel_training, &[ALIGNMENT, EFFECTIVE_RANK, MEAN_CKA])
}

/// A plan without its curves.
#[derive(Debug, Clone, Copy)]
struct Naming {
    name: &'static str,
    title: &'static str,
    label: &'static str,
    height: Height,
    caption: &'static str,
}

/// Those that are there at two epochs and more.
fn several<'a>(series: &'a [Series], namings: &[Naming]) -> Vec<Plan<'a>> {
    let found = namings.iter().filter_map(|&naming| find(series, naming));
    found.filter(|plan| plan.curves.x.len() > 1).collect()
}

fn find(series: &[Series], naming: Naming) -> Option<Plan<'_>> {
    let Naming { name, title, label, height, caption } = naming;
    let found = series.iter().find(|series| series.name == name && !series.curves.x.is_empty())?;
    Some(Plan { name, curves: &found.curves, title, label, height, caption })
}

impl Plan<'_> {
    /// Ranges of band and flagged runs, and of all runs where `single` ones are drawn.
    ///
    /// Before training everything is noise, which would leave no room for what follows: where there is enough without it,
    /// axes begin after it. Kernels are shown from the start, which is what training changes.
    #[must_use]
    pub fn layout(&self, looks: &Looks, single: bool) -> Layout {
        let epochs = || self.curves.x.iter().copied();
        let after: Vec<f64> = epochs().filter(|&epoch| epoch > 0.0).collect();
        let from = match after.as_slice() {
            [first, _, ..] if self.height != Height::Free => *first,
            _ => f64::NEG_INFINITY,
        };
        let values = || drawn_values(self.curves, looks, single, from);
        let y = match self.height {
            Height::Log => {
                let (low, high) = span(values().filter(|&value| value > 0.0).map(f64::log10), 0.04);
                (10f64.powf(low), 10f64.powf(high))
            }
            Height::Percent => {
                let (low, high) = span(values(), 0.04);
                (low.max(0.0), high.min(1.0))
            }
            Height::PercentFromZero | Height::FromZero => (0.0, span(values(), 0.05).1),
            Height::Free => span(values(), 0.06),
        };
        let percent = matches!(self.height, Height::Percent | Height::PercentFromZero);
        Layout {
            x: span(epochs().filter(|&epoch| epoch >= from), 0.0),
            y,
            log: self.height == Height::Log,
            factor: if percent { 100.0 } else { 1.0 },
        }
    }

    /// The axes themselves.
    #[must_use]
    pub fn axes(&self, looks: &Looks, single: bool) -> (Axis, Axis) {
        let Layout { x, y, log, factor } = self.layout(looks, single);
        let up = if log { Axis::log(self.label, y.0, y.1) } else { Axis::linear(self.label, y.0, y.1, 5, factor) };
        (Axis::whole("epoch", x.0, x.1, 6), up)
    }
}
