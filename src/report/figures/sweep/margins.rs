//! Distributions of margins, and what trimming does to their distances.

use super::super::super::axis::{Axis, span};
use super::super::super::style::Looks;
use super::super::{Figure, Panel};
use super::{curve_entries, curve_layers, limit, values};
use crate::analysis::Analysis;
use crate::analysis::numbers::fixed;

/// ECDFs of the margins, and d_α over α.
pub fn margins(analysis: &Analysis, looks: &Looks) -> Option<Figure> {
    let margins = analysis.margins.as_ref().filter(|curves| curves.x.len() > 1)?;
    let (low, high) = span(margins.x.iter().copied(), 0.0);
    let y = Axis::linear("share of examples (%)", 0.0, 1.0, 5, 100.0);
    let x = Axis::linear("margin (log-odds of the label)", low, high, 5, 1.0);
    let mut panels = vec![Panel::chart("Margins", x, y, curve_layers(analysis, looks, margins))];
    let mut legend = curve_entries(analysis, looks);
    let mut caption = "Left: share of test examples with a margin of at most x; what lies left of 0 is decided wrongly. A run \
                       whose curve leaves the band is sure and unsure of other examples than its siblings, even where its \
                       accuracy is the same."
        .to_owned();
    if let Some(trimming) = analysis.trimming.as_ref().filter(|curves| curves.x.len() > 1) {
        let mut layers = Vec::new();
        let mut add = |(layer, entry)| {
            layers.push(layer);
            legend.push(entry);
        };
        let noise = format!("δ = {}, noise of the test set", fixed(analysis.delta, 3));
        add(limit(analysis.delta, noise, (5.0, 4.0)));
        // Two lines that lie on each other would say one thing twice.
        let relative = analysis.delta_relative.filter(|&relative| relative > analysis.delta * 1.05);
        if let Some(relative) = relative {
            add(limit(relative, format!("{}, spread of this ensemble", fixed(relative, 3)), (1.5, 2.5)));
        }
        layers.extend(curve_layers(analysis, looks, trimming));
        let limits = [Some(analysis.delta), relative].into_iter().flatten();
        let y = Axis::linear(
            "distance after trimming, d(α)",
            0.0,
            span(values(trimming, 0.0).chain(limits), 0.08).1,
            5,
            1.0,
        );
        let (low, high) = span(trimming.x.iter().copied(), 0.0);
        let x = Axis::linear("share trimmed, α (%)", low, high, 5, 100.0);
        panels.push(Panel::chart("Distance from the other runs", x, y, layers));
        caption.push_str(
            " Right: the distance of each run from the pooled others when the share α of its most deviating examples is \
             trimmed away. α is where a curve first meets the dashed line δ (the same function, up to the noise of a \
             finite test set); where it meets the dotted line of the ensemble's own spread is its relative level.",
        );
    }
    Some(Figure::new("margins", "Distributions of margins", caption, panels, legend))
}
