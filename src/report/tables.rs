//! Tables that Markdown and page share: what stands in a cell.

use crate::analysis::metrics::{METRICS, Metric};
use crate::analysis::numbers::{fixed, or_dash, percent, significant, thousands};
use crate::analysis::{Analysis, Run};
use crate::config::Reference;

/// The metrics that are columns of the table of runs, between the run's index and its flags, in order.
pub fn columns() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.column)
}

/// What stands in a run's cell.
#[must_use]
pub fn cell(metric: &Metric, run: &Run) -> String {
    if metric.key == "alpha_hat" { hat(run) } else { or_dash((metric.of)(run), metric.write) }
}

/// α̂ with its interval; a half reads "at least".
fn hat(run: &Run) -> String {
    match (run.alpha_hat, run.alpha_hat_low, run.alpha_hat_high) {
        (Some(level), Some(low), Some(high)) => {
            let sign = if level >= 0.5 { "≥ " } else { "" };
            format!("{sign}{} ({} to {})", percent(level), fixed(low * 100.0, 1), fixed(high * 100.0, 1))
        }
        _ => "–".to_owned(),
    }
}

/// Heads of the table of checkpoints.
pub const CHECKPOINT_COLUMNS: [&str; 8] =
    ["epoch", "accuracy", "std", "NLL", "ECE", "churn", "ambiguity", "CKA of kernels"];

/// Rows of the table of checkpoints, a cell for each of [`CHECKPOINT_COLUMNS`]; none for a single checkpoint.
#[must_use]
pub fn checkpoints(analysis: &Analysis) -> Vec<Vec<String>> {
    if analysis.checkpoints.len() < 2 {
        return Vec::new();
    }
    let row = |held: &crate::analysis::Checkpoint| {
        let kernel = analysis.kernels.iter().find(|kernel| kernel.epoch == held.epoch);
        vec![
            held.epoch.to_string(),
            or_dash(held.accuracy.as_ref().map(|accuracy| accuracy.mean), percent),
            or_dash(held.accuracy.as_ref().and_then(|accuracy| accuracy.std), percent),
            or_dash(held.nll.as_ref().map(|nll| nll.mean), significant),
            or_dash(held.ece.as_ref().map(|ece| ece.mean), percent),
            or_dash(held.mean_churn, percent),
            or_dash(held.ambiguity, percent),
            or_dash(kernel.and_then(|kernel| kernel.mean_cka), |cka| fixed(cka, 3)),
        ]
    };
    analysis.checkpoints.iter().map(row).collect()
}

/// How the runs were made and judged: name and value.
#[must_use]
pub fn facts(analysis: &Analysis) -> Vec<[String; 2]> {
    let settings = &analysis.settings.analysis;
    let mut rows: Vec<[String; 2]> =
        analysis.source.facts.iter().map(|fact| [fact.name.clone(), fact.value.clone()]).collect();
    let mut fact = |name: &str, value: String| rows.push([name.to_owned(), value]);
    if let Some(hash) = &analysis.source.experiment {
        fact("experiment (BLAKE3)", hash.clone());
    }
    if let Some(epoch) = analysis.source.epoch {
        fact("judged at epoch", epoch.to_string());
    }
    fact("test examples N, classes C", format!("{}, {}", thousands(analysis.examples), analysis.classes));
    fact("ε, δ", format!("{}, {}", analysis.epsilon, fixed(analysis.delta, 5)));
    if let Some(relative) = analysis.delta_relative {
        fact("δ relative to the ensemble", fixed(relative, 5));
    }
    let reference = match settings.reference {
        Reference::LeaveOneOut => "all other runs (leave-one-out)",
        Reference::SplitHalf => "the other half of the runs (split-half); exact α leaves one out",
    };
    fact("reference of α̂", reference.to_owned());
    fact("bootstraps of α̂, seed", format!("{}, {}", settings.bootstraps, settings.seed));
    if let Some(clip) = settings.clip {
        fact("margins clipped at", significant(clip));
    }
    let flags = &analysis.settings.flags;
    fact("limits of flags", crate::analysis::flags::limits_in_words(analysis, flags));
    rows
}
