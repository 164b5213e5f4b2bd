//! What a comparison found, in sentences.

use crate::analysis::comparison::{Comparison, Finding, Metric, Quantity, Verdict};
use crate::analysis::numbers::{fixed, percent, significant, thousands};
use crate::report::words::capital;
use crate::report::words::{count, list};

/// How a quantity is called in tables and figures.
#[must_use]
pub fn name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Accuracy => "accuracy",
        Quantity::Nll => "negative log-likelihood (nats)",
        Quantity::Brier => "Brier score",
        Quantity::Ece => "calibration error (ECE)",
        Quantity::Diverged => "diverged runs",
        Quantity::ChurnWithin => "churn within",
        Quantity::SoftChurnWithin => "soft churn within",
        Quantity::KernelsWithin => "kernels within (1 − CKA)",
        Quantity::ChurnBetween => "churn, between over within",
        Quantity::SoftChurnBetween => "soft churn, between over within",
        Quantity::MarginsBetween => "margins (W₁), between over within",
        Quantity::KernelsBetween => "kernels (1 − CKA), between over within",
    }
}

fn is_share(quantity: Quantity) -> bool {
    matches!(
        quantity,
        Quantity::Accuracy
            | Quantity::Ece
            | Quantity::Diverged
            | Quantity::ChurnWithin
            | Quantity::SoftChurnWithin
            | Quantity::ChurnBetween
            | Quantity::SoftChurnBetween
    )
}

/// A value of a quantity: shares in per cent.
#[must_use]
pub fn value(quantity: Quantity, value: f64) -> String {
    if is_share(quantity) { percent(value) } else { significant(value) }
}

/// A difference of a quantity with its sign: shares in percentage points.
#[must_use]
pub fn difference(quantity: Quantity, by: f64) -> String {
    let text = if is_share(quantity) { fixed(by * 100.0, 2) } else { significant(by) };
    if by > 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { format!("+{text}") } else { text }
}

/// The size of a difference with its unit.
fn size(quantity: Quantity, by: f64) -> String {
    if is_share(quantity) { format!("{} points", fixed(by.abs() * 100.0, 2)) } else { significant(by.abs()) }
}

/// The interval of a difference.
#[must_use]
pub fn interval(metric: &Metric) -> String {
    format!("{} to {}", difference(metric.metric, metric.low), difference(metric.metric, metric.high))
}

/// `0.031`; what is below the finest the test can tell is said so.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { fixed(p, 3) }
}

/// `p = 0.031` or `p < 0.001`
fn p_equals(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {}", fixed(p, 3)) }
}

/// The verdict and what it means, in a sentence.
#[must_use]
pub fn headline(found: &Comparison) -> String {
    let what = match found.verdict {
        Verdict::Same => match found.metrics.iter().any(|metric| metric.finding == Finding::Tolerated) {
            true => "what differs stays within the tolerance",
            false => "nothing differs by more than runs of one procedure do",
        },
        Verdict::Better => "this is not the procedure of the baseline any more, and what has a direction got better",
        Verdict::Worse => "this is not the procedure of the baseline any more, and what has a direction got worse",
        Verdict::Different => match found.beyond().any(|metric| metric.finding != Finding::Different) {
            true => "this is not the procedure of the baseline any more: some of it got better and some worse",
            false => {
                "this is not the procedure of the baseline any more, though nothing with a direction got better or worse"
            }
        },
    };
    format!(
        "{}: {what} ({} against {}, {} tests at {} % confidence together).",
        capital(found.verdict.name()),
        count(found.baseline.runs.len(), "run"),
        count(found.candidate.runs.len(), "run"),
        found.metrics.len(),
        fixed(found.confidence * 100.0, 0),
    )
}

/// What the verdict rests on, the most telling first.
#[must_use]
pub fn evidence(found: &Comparison) -> Vec<String> {
    let mut beyond: Vec<&Metric> = found.beyond().collect();
    // Those with a direction first, then the surest.
    beyond.sort_by(|a, b| {
        let undirected = |metric: &Metric| metric.finding == Finding::Different;
        (undirected(a), a.p_corrected).partial_cmp(&(undirected(b), b.p_corrected)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut sentences: Vec<String> = beyond.into_iter().map(sentence).collect();
    let tolerated: Vec<String> = found
        .metrics
        .iter()
        .filter(|metric| metric.finding == Finding::Tolerated)
        .map(|metric| format!("{} ({})", name(metric.metric), interval(metric)))
        .collect();
    if !tolerated.is_empty() {
        sentences.push(format!("It differs, but perhaps by no more than the tolerance, in {}.", list(&tolerated)));
    }
    if found.verdict == Verdict::Same {
        sentences.extend(room(found));
    }
    sentences
}

/// How much could have changed unseen.
fn room(found: &Comparison) -> Option<String> {
    let (accuracy, nll) = (found.metric(Quantity::Accuracy)?, found.metric(Quantity::Nll)?);
    let least = found.metrics.iter().min_by(|a, b| a.p_corrected.total_cmp(&b.p_corrected))?;
    Some(format!(
        "So many runs leave room for a change of accuracy by {} points, and of the negative log-likelihood by {} nats. The test \
         nearest to an alarm is {} (corrected {}).",
        interval(accuracy),
        interval(nll),
        name(least.metric),
        p_equals(least.p_corrected)
    ))
}

/// What one metric that differs says.
#[must_use]
pub fn sentence(metric: &Metric) -> String {
    let quantity = metric.metric;
    let (before, after) = (value(quantity, metric.baseline), value(quantity, metric.candidate));
    let evidence = format!("interval {}, corrected {}", interval(metric), p_equals(metric.p_corrected));
    if let Some(between) = metric.between {
        let between = value(quantity, between);
        let by = size(quantity, metric.difference);
        return match quantity {
            Quantity::ChurnBetween => format!(
                "A run of each side decide {between} of the examples differently, two runs of one side {before} and {after}: {by} more \
                 than retraining explains ({evidence})."
            ),
            Quantity::SoftChurnBetween => format!(
                "Probabilities of a run of each side lie {between} apart (total variation), of two runs of one side {before} and \
                 {after}: {by} more than retraining explains ({evidence})."
            ),
            Quantity::MarginsBetween => format!(
                "Margins of a run of each side lie {between} apart (1-Wasserstein), of two runs of one side {before} and {after}: {by} \
                 more than retraining explains ({evidence})."
            ),
            _ => format!(
                "Kernels of a run of each side lie {between} apart (1 − CKA), of two runs of one side {before} and {after}: the two \
                 sides generalise differently by {by} more than retraining explains ({evidence})."
            ),
        };
    }
    let verb = if metric.difference > 0.0 { "rises" } else { "falls" };
    let subject = match quantity {
        Quantity::Accuracy => "Accuracy",
        Quantity::Nll => "The negative log-likelihood",
        Quantity::Brier => "The Brier score",
        Quantity::Ece => "The calibration error",
        Quantity::Diverged => "The share of runs that diverge",
        Quantity::ChurnWithin => "Churn between two runs of the same side",
        Quantity::SoftChurnWithin => "Soft churn between two runs of the same side",
        _ => "The distance of the kernels of two runs of the same side",
    };
    let by = size(quantity, metric.difference);
    format!("{subject} {verb} from {before} to {after}, by {by} ({evidence}).")
}

/// What else there is to see, whatever the verdict.
#[must_use]
pub fn description(found: &Comparison) -> Vec<String> {
    let margins = &found.margins;
    let mut sentences = vec![format!(
        "The pooled margins of the two sides lie {} apart (KS distance; {} by the 1-Wasserstein distance). The noise of {} test \
         examples is δ = {}: to come within it, {} of the candidate's margins would have to be trimmed, and {} of the baseline's \
         the other way round; to come within the spread of the baseline's own runs ({}), {} and {}.",
        fixed(margins.ks, 3),
        significant(margins.wasserstein),
        thousands(found.examples),
        fixed(found.delta, 3),
        percent(margins.alpha_candidate),
        percent(margins.alpha_baseline),
        fixed(margins.delta_relative, 3),
        percent(margins.alpha_candidate_relative),
        percent(margins.alpha_baseline_relative),
    )];
    if let (Some(within), Some(churn)) = (found.metric(Quantity::ChurnWithin), found.metric(Quantity::ChurnBetween)) {
        sentences.push(format!(
            "Two runs of the baseline decide {} of the examples differently, two of the candidate {}, and a run of each {}.",
            percent(within.baseline),
            percent(within.candidate),
            percent(churn.between.unwrap_or(f64::NAN))
        ));
    }
    if let (Some(kernels), Some(probes)) = (found.metric(Quantity::KernelsBetween), found.kernel_probes) {
        sentences.push(format!(
            "Kernels on {probes} probes are aligned at {} between two runs of the baseline, at {} between two of the candidate and \
             at {} between a run of each (CKA).",
            fixed(1.0 - kernels.baseline, 3),
            fixed(1.0 - kernels.candidate, 3),
            fixed(1.0 - kernels.between.unwrap_or(f64::NAN), 3)
        ));
    }
    let votes = &found.votes;
    sentences.push(format!(
        "The plurality vote changed on {} ({} won, {} lost); when the same runs are divided at random, {} change in the mean, and \
         as many in {} % of the divisions.",
        count(votes.changed, "example"),
        votes.gained,
        votes.lost,
        fixed(votes.expected, 1),
        fixed(votes.p * 100.0, 0)
    ));
    sentences
}
