//! What fine-tuning changed: layer by layer, and run by run.

use super::document::{Document, Table};
use crate::analysis::Analysis;
use crate::analysis::numbers::{fixed, or_dash, significant};
use crate::analysis::tuning::{TunedLayer, TunedRun};

/// A section where training started from weights of a file.
pub fn section(document: &mut Document, analysis: &Analysis) {
    let Some(tuning) = &analysis.tuning else { return };
    document.heading("What fine-tuning changed");
    let digest = tuning.digest.as_ref().map_or(String::new(), |digest| format!(" (BLAKE3 {digest})"));
    document.text(format!(
        "The runs started from `{}`{digest}. Epoch {} against epoch 0: how far the parameters of each layer moved, and what became \
         of the start's decisions and kernels. Negative flips: examples that the start decided right and the run decides wrong. \
         Alignments (CKA) are those of the conjugate kernel and of the eNTK; 1 is unchanged.",
        tuning.weights, tuning.epoch
    ));
    tuning.notes.iter().for_each(|note| document.text(note.clone()));
    let layers: Vec<Vec<String>> = tuning.layers.iter().map(layer).collect();
    if !layers.is_empty() {
        let heads = ["layer", "‖Δw‖/‖w₀‖, median", "lowest", "highest"];
        document.table(Table::new("tuned-layers", &heads, &[0], layers));
    }
    let heads = ["run", "churn to start, %", "negative flips, %", "features, CKA", "kernel, CKA"];
    document.table(Table::new("tuned-runs", &heads, &[], tuning.runs.iter().map(run).collect()));
}

fn layer(layer: &TunedLayer) -> Vec<String> {
    let mut values: Vec<f64> = layer.change.iter().filter_map(|(_, change)| *change).collect();
    values.sort_by(f64::total_cmp);
    let at = |place: Option<usize>| or_dash(place.and_then(|place| values.get(place).copied()), significant);
    let last = values.len().checked_sub(1);
    vec![layer.layer.clone(), at(last.map(|last| last / 2)), at(Some(0)), at(last)]
}

fn run(run: &TunedRun) -> Vec<String> {
    let share = |value: Option<f64>| or_dash(value, |share| fixed(100.0 * share, 2));
    let alignment = |value: Option<f64>| or_dash(value, |value| fixed(value, 3));
    vec![
        run.run.to_string(),
        share(run.churn),
        share(run.negative_flips),
        alignment(run.features),
        alignment(run.kernel),
    ]
}
