//! Tables that Markdown and page share: what stands in a cell.

use crate::analysis::numbers::{fixed, or_dash, percent, significant, thousands};
use crate::analysis::{Analysis, Estimate, Run, Summary};
use crate::config::Reference;

/// A column of the table of runs, between the run's index and its flags.
pub struct Column {
    /// As in the JSON; the page sorts by it.
    pub key: &'static str,
    pub name: &'static str,
    /// What it means.
    pub title: &'static str,
    /// The number that is shown.
    pub value: fn(&Analysis, &Run) -> Option<f64>,
    /// What stands in a run's cell.
    pub show: fn(&Analysis, &Run) -> String,
    /// What stands below: over the distinct runs.
    pub estimate: fn(&Summary) -> Option<Estimate>,
    /// How a number of it is written.
    pub format: fn(f64) -> String,
}

/// Distances in the table.
fn distance(value: f64) -> String {
    fixed(value, 3)
}

/// The columns, in order.
pub const COLUMNS: [Column; 10] = [
    Column {
        key: "accuracy",
        name: "accuracy",
        title: "share of right decisions",
        value: |_, run| run.accuracy,
        show: |_, run| or_dash(run.accuracy, percent),
        estimate: |summary| summary.accuracy,
        format: percent,
    },
    Column {
        key: "nll",
        name: "NLL",
        title: "mean negative log-likelihood of the label, nats",
        value: |_, run| run.nll,
        show: |_, run| or_dash(run.nll, significant),
        estimate: |summary| summary.nll,
        format: significant,
    },
    Column {
        key: "ece",
        name: "ECE",
        title: "expected calibration error, 15 equal-width bins",
        value: |_, run| run.ece,
        show: |_, run| or_dash(run.ece, percent),
        estimate: |summary| summary.ece,
        format: percent,
    },
    Column {
        key: "churn",
        name: "churn",
        title: "mean share of examples decided differently from another run",
        value: |_, run| run.churn,
        show: |_, run| or_dash(run.churn, percent),
        estimate: |summary| summary.churn,
        format: percent,
    },
    Column {
        key: "alpha",
        name: "α",
        title: "share of examples to be trimmed, exact, at δ",
        value: |_, run| run.alpha,
        show: |_, run| or_dash(run.alpha, percent),
        estimate: |summary| summary.alpha,
        format: percent,
    },
    Column {
        key: "alpha_relative",
        name: "α relative",
        title: "share of examples to be trimmed, exact, at the ensemble's own spread",
        value: |_, run| run.alpha_relative,
        show: |_, run| or_dash(run.alpha_relative, percent),
        estimate: |summary| summary.alpha_relative,
        format: percent,
    },
    Column {
        key: "alpha_hat",
        name: "α̂",
        title: "share of examples to be trimmed, published bootstrap protocol, with its interval",
        value: |_, run| run.alpha_hat,
        show: |_, run| hat(run),
        estimate: |summary| summary.alpha_hat,
        format: percent,
    },
    Column {
        key: "ks",
        name: "KS",
        title: "Kolmogorov–Smirnov distance of the margins from those of the pooled others",
        value: |_, run| run.ks,
        show: |_, run| or_dash(run.ks, distance),
        estimate: |summary| summary.ks,
        format: distance,
    },
    Column {
        key: "wasserstein",
        name: "W₁",
        title: "1-Wasserstein distance of the margins from those of the pooled others",
        value: |_, run| run.wasserstein,
        show: |_, run| or_dash(run.wasserstein, significant),
        estimate: |summary| summary.wasserstein,
        format: significant,
    },
    Column {
        key: "alone",
        name: "alone on",
        title: "examples on which no other run decides the same",
        value: |analysis, run| analysis.alone.iter().find(|held| held.run == run.run).map(|held| held.count as f64),
        show: |analysis, run| {
            let alone = analysis.alone.iter().find(|held| held.run == run.run);
            alone.map_or_else(|| "–".to_owned(), |held| held.count.to_string())
        },
        estimate: |_| None,
        format: |count| fixed(count, 0),
    },
];

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
