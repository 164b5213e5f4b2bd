//! What an ensemble of K runs is worth, and what the strategies make of it.

use super::super::super::axis::{Axis, span};
use super::super::super::style::{Look, Looks, Mark, Paint};
use super::super::{Dot, Entry, Figure, Layer, Panel, Swatch};
use super::{ENSEMBLES, limit};
use crate::analysis::numbers::{fixed, percent, significant};
use crate::analysis::{Analysis, Band, EnsembleSize, Ensembles, Estimate, Strategy, StrategyKind};

/// Radius of a mark in pixels.
const RADIUS: f64 = 4.5;
/// Room above and below a curve.
const MARGIN: f64 = 0.06;

/// A quantity of an ensemble.
struct Quantity {
    title: &'static str,
    label: &'static str,
    /// What a value is multiplied by to be shown.
    factor: f64,
    of_size: fn(&EnsembleSize) -> Estimate,
    /// None for what is measured of sizes only.
    of_strategy: Option<fn(&Strategy) -> Estimate>,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity {
        title: "The same as all runs together?",
        label: "α̂ against all runs (%)",
        factor: 100.0,
        of_size: |held| held.alpha_hat,
        of_strategy: None,
    },
    Quantity {
        title: "Accuracy",
        label: "accuracy (%)",
        factor: 100.0,
        of_size: |held| held.accuracy,
        of_strategy: Some(|held| held.accuracy),
    },
    Quantity {
        title: "Negative log-likelihood",
        label: "NLL (nats)",
        factor: 1.0,
        of_size: |held| held.nll,
        of_strategy: Some(|held| held.nll),
    },
    Quantity {
        title: "Calibration error",
        label: "ECE (%)",
        factor: 100.0,
        of_size: |held| held.ece,
        of_strategy: Some(|held| held.ece),
    },
];

/// The size curve in four panels, with each strategy at its own size. A mark is highlighted with every run that it holds.
pub fn ensembles(analysis: &Analysis, _: &Looks) -> Option<Figure> {
    let held = analysis.ensembles.as_ref().filter(|held| held.sizes.len() > 1)?;
    let panels = QUANTITIES.iter().map(|quantity| panel(quantity, held)).collect();
    let size = recommended(held).map(|size| format!("recommended size, {}", size.size));
    let text = fixed(held.limit * 100.0, 0);
    let mut legend = vec![Entry::new(Swatch::Band(Paint::Band, 0.8, Paint::Ink), "any K runs (95 %, mean)")];
    legend.extend(size.map(|text| Entry::new(Swatch::Mark(Look::of(Paint::Ink)), text)));
    legend.push(limit(held.limit, format!("limit of α̂, {text} %"), (5.0, 4.0)).1);
    legend.extend(shown(held).map(|(held, look)| Entry::new(Swatch::Mark(look), held.name.name())));
    let caption = format!(
        "What pooling K runs brings, whichever they are: the line is the mean over random subsets, the band holds 95 % of \
         them. Top left: how much of such an ensemble's margins must be trimmed away before they follow those of the \
         ensemble of all runs; the recommended size is the smallest whose whole band lies under the dashed limit of {text} %. \
         The other panels: quality on the half of the test set that chose nothing, with each way of choosing runs as a \
         mark at its own size (side by side where they choose alike); a mark inside the band is no better than runs taken at random."
    );
    Some(Figure::new(ENSEMBLES, "Ensembles of K runs", caption, panels, legend))
}

fn recommended(held: &Ensembles) -> Option<&EnsembleSize> {
    held.recommended.and_then(|size| held.sizes.iter().find(|held| held.size == size))
}

/// The strategies that choose, each with its look.
fn shown(ensembles: &Ensembles) -> impl Iterator<Item = (&Strategy, Look)> {
    ensembles.strategies.iter().filter_map(|held| {
        let place = StrategyKind::EVERY.iter().position(|&kind| kind == held.name)?;
        let mark = Mark::EVERY[place % Mark::EVERY.len()];
        // The last one is taken at random, which the band shows.
        (place + 1 < StrategyKind::EVERY.len()).then(|| (held, Look::of(Paint::Series(place)).marked(mark)))
    })
}

fn panel(quantity: &Quantity, ensembles: &Ensembles) -> Panel {
    let estimates: Vec<Estimate> = ensembles.sizes.iter().map(quantity.of_size).collect();
    let sizes: Vec<f64> = ensembles.sizes.iter().map(|held| held.size as f64).collect();
    let write = if quantity.factor > 1.0 { percent } else { significant };
    let mut dots: Vec<Dot> = quantity
        .of_strategy
        .map(|of| {
            let dot = |(held, look): (&Strategy, Look)| {
                let value = of(held).mean;
                let key = held.runs.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
                let tip = format!("{} (K = {}): {}", held.name.name(), held.size, write(value));
                Dot { key, tip, radius: RADIUS, ..Dot::new(held.size as f64, value, look) }
            };
            shown(ensembles).map(dot).collect()
        })
        .unwrap_or_default();
    let ends = estimates
        .iter()
        .flat_map(|held| [held.low, held.high].into_iter().flatten())
        .chain(dots.iter().map(|dot| dot.y));
    let is_level = quantity.of_strategy.is_none();
    let y = if is_level {
        let top = span(ends.chain([ensembles.limit]), MARGIN).1;
        Axis::linear(quantity.label, 0.0, top.min(0.52), 5, quantity.factor)
    } else {
        let (low, high) = span(ends, MARGIN);
        Axis::linear(quantity.label, low.max(0.0), high, 5, quantity.factor)
    };
    let (first, last) = span(sizes.iter().copied(), 0.05);
    let band = Band {
        low: estimates.iter().map(|held| held.low).collect(),
        median: estimates.iter().map(|held| Some(held.mean)).collect(),
        high: estimates.iter().map(|held| held.high).collect(),
    };
    let mut layers = vec![Layer::Band { x: sizes, band, fill: Paint::Band, opacity: 0.8, line: Paint::Ink }];
    if is_level {
        layers.push(limit(ensembles.limit, String::new(), (5.0, 4.0)).0);
        if let Some(held) = recommended(ensembles) {
            let level = held.alpha_hat;
            let tip = format!("recommended size {}: α̂ {}", held.size, percent(level.mean));
            let interval = level.low.zip(level.high);
            dots.push(Dot { interval, tip, ..Dot::new(held.size as f64, level.mean, Look::of(Paint::Ink)) });
        }
    }
    // Strategies that choose alike would hide each other: their marks stand side by side. A frame is some 370 pixels wide.
    let step = (last - first) * 2.0 * RADIUS / 370.0;
    let places: Vec<(f64, f64)> = dots.iter().map(|dot| (dot.x, dot.y)).collect();
    for (place, dot) in dots.iter_mut().enumerate() {
        let same = |at: &&(f64, f64)| **at == (dot.x, dot.y);
        let (before, all) = (places[..place].iter().filter(same).count(), places.iter().filter(same).count());
        dot.x = (dot.x + step * (before as f64 - (all - 1) as f64 / 2.0)).clamp(first, last);
    }
    layers.push(Layer::Points(dots));
    Panel::chart(quantity.title, Axis::whole("runs in the ensemble, K", first, last, 8), y, layers)
}
