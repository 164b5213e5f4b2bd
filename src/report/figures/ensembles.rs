//! What an ensemble of K runs is worth, and what the strategies make of it.

use plotters::style::RGBColor;

use super::super::axis::{Axis, span};
use super::super::canvas::{Align, svg};
use super::super::panel::{Frame, Panel, SMALL, Swatch, ink, legend};
use super::super::style::{BAND, INK, Look, Mark, PALETTE};
use super::{ENSEMBLES, Figure, LEGEND, LEGEND_ROOM, WIDTH};
use crate::analysis::numbers::fixed;
use crate::analysis::{Analysis, Band, EnsembleSize, Ensembles, Estimate, Strategy, StrategyKind};
use crate::error::Result;

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

/// The size curve in four panels, with each strategy at its own size.
///
/// # Errors
/// As [`super::all`].
pub fn draw(analysis: &Analysis) -> Result<Option<Figure>> {
    let Some(ensembles) = analysis.ensembles.as_ref().filter(|held| held.sizes.len() > 1) else { return Ok(None) };
    let title = "Ensembles of K runs";
    let svg = svg(WIDTH, 640, title, |canvas| {
        for (place, quantity) in QUANTITIES.iter().enumerate() {
            let (left, top) = (66.0 + 330.0 * (place % 2) as f64, 40.0 + 306.0 * (place / 2) as f64);
            let frame = Frame { left, top, right: left + 250.0, bottom: top + 230.0 };
            panel(canvas, frame, quantity, ensembles)?;
        }
        let mut rows = vec![(Swatch::Band(BAND, INK), "any K runs (95 %, mean)".to_owned())];
        rows.extend(shown(ensembles).map(|(held, look)| (Swatch::Mark(look), held.name.name().to_owned())));
        legend(canvas, (LEGEND, 50.0), LEGEND_ROOM, &rows)
    })?;
    let limit = fixed(ensembles.limit * 100.0, 0);
    let caption = format!(
        "What pooling K runs brings, whichever they are: the line is the mean over random subsets, the band holds 95 % of \
         them. Top left: how much of such an ensemble's margins must be trimmed away before they follow those of the \
         ensemble of all runs; the recommended size is the smallest whose whole band lies under the dashed limit of {limit} %. \
         The other panels: quality on the half of the test set that chose nothing, with each way of choosing runs as a \
         mark at its own size (side by side where they choose alike); a mark inside the band is no better than runs taken at random."
    );
    Ok(Some(Figure { file: ENSEMBLES, svg, title: title.to_owned(), caption }))
}

/// The strategies that choose, each with its look.
fn shown(ensembles: &Ensembles) -> impl Iterator<Item = (&Strategy, Look)> {
    const MARKS: [Mark; 5] = [Mark::Disc, Mark::Square, Mark::Triangle, Mark::Diamond, Mark::Disc];
    let looks: Vec<(StrategyKind, RGBColor, Mark)> = StrategyKind::EVERY
        .into_iter()
        .zip(PALETTE)
        .zip(MARKS)
        .map(|((kind, colour), mark)| (kind, colour, mark))
        .collect();
    ensembles.strategies.iter().filter_map(move |held| {
        let &(_, colour, mark) = looks.iter().find(|(kind, _, _)| *kind == held.name)?;
        Some((held, Look { colour, mark, dash: None }))
    })
}

fn panel(
    canvas: &super::super::canvas::Canvas,
    frame: Frame,
    quantity: &Quantity,
    ensembles: &Ensembles,
) -> Result<()> {
    let estimates: Vec<Estimate> = ensembles.sizes.iter().map(quantity.of_size).collect();
    let sizes: Vec<f64> = ensembles.sizes.iter().map(|held| held.size as f64).collect();
    let points: Vec<(f64, f64, Look)> = quantity
        .of_strategy
        .map(|of| shown(ensembles).map(|(held, look)| (held.size as f64, of(held).mean, look)).collect())
        .unwrap_or_default();
    let ends = estimates
        .iter()
        .flat_map(|held| [held.low, held.high].into_iter().flatten())
        .chain(points.iter().map(|point| point.1));
    let is_level = quantity.of_strategy.is_none();
    let y = if is_level {
        let top = span(ends.chain([ensembles.limit]), MARGIN).1;
        Axis::linear(quantity.label, 0.0, top.min(0.52), 5, quantity.factor)
    } else {
        let (low, high) = span(ends, MARGIN);
        Axis::linear(quantity.label, low.max(0.0), high, 5, quantity.factor)
    };
    let (first, last) = span(sizes.iter().copied(), 0.05);
    let panel =
        Panel::new(canvas, frame, quantity.title, Axis::whole("runs in the ensemble, K", first, last, 8), y, 48.0)?;
    let band = Band {
        low: estimates.iter().map(|held| held.low).collect(),
        median: estimates.iter().map(|held| Some(held.mean)).collect(),
        high: estimates.iter().map(|held| held.high).collect(),
    };
    panel.band(&sizes, &band, BAND, INK)?;
    if is_level {
        panel.limit(ensembles.limit, &format!("limit {} %", fixed(ensembles.limit * 100.0, 0)), false)?;
        let found = ensembles.recommended.and_then(|size| ensembles.sizes.iter().find(|held| held.size == size));
        if let Some((held, (low, high))) =
            found.and_then(|held| Some((held, (held.alpha_hat.low?, held.alpha_hat.high?))))
        {
            let at = (held.size as f64, held.alpha_hat.mean);
            panel.interval(at.0, low, high, INK)?;
            panel.mark(at.0, at.1, Mark::Disc, 4.5, INK)?;
            let text = format!("recommended: {}", held.size);
            panel.note(at.0, high, (6.0, -10.0), &text, ink(SMALL, Align::Start))?;
        }
    }
    // Strategies that choose alike would hide each other: their marks stand side by side.
    let step = (last - first) * 2.0 * RADIUS / (frame.right - frame.left);
    for (place, &(x, y, look)) in points.iter().enumerate() {
        let same = |point: &&(f64, f64, Look)| point.0 == x && point.1 == y;
        let (before, all) = (points[..place].iter().filter(same).count(), points.iter().filter(same).count());
        let aside = step * (before as f64 - (all - 1) as f64 / 2.0);
        panel.mark((x + aside).clamp(first, last), y, look.mark, RADIUS, look.colour)?;
    }
    Ok(())
}
