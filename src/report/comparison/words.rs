//! What a comparison found, in sentences.

use std::borrow::Cow;

use crate::analysis::comparison::{Comparison, Decision, Finding, Metric, Quantity, Unit, Verdict};
use crate::analysis::numbers::{fixed, percent, significant, thousands};
use crate::report::text::{capital, list};
use crate::report::words::count;

/// How a quantity is called in tables and figures.
#[must_use]
pub fn name(quantity: Quantity) -> Cow<'static, str> {
    Cow::Borrowed(match quantity {
        Quantity::ClassAccuracy(class) => return Cow::Owned(format!("accuracy on class {class}")),
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
    })
}

/// A value of a quantity: shares in per cent.
#[must_use]
pub fn value(quantity: Quantity, value: f64) -> String {
    if quantity.is_share() { percent(value) } else { significant(value) }
}

/// A difference of a quantity with its sign: shares in percentage points.
#[must_use]
pub fn difference(quantity: Quantity, by: f64) -> String {
    let text = if quantity.is_share() { fixed(by * 100.0, 2) } else { significant(by) };
    if by > 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { format!("+{text}") } else { text }
}

/// The size of a difference with its unit.
#[must_use]
pub fn size(quantity: Quantity, by: f64) -> String {
    if quantity.is_share() { format!("{} points", fixed(by.abs() * 100.0, 2)) } else { significant(by.abs()) }
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

/// The verdict and what it means, in a sentence or two.
#[must_use]
pub fn headline(found: &Comparison) -> String {
    let what = match found.verdict {
        Verdict::Worse | Verdict::Better | Verdict::Different => {
            let shown: Vec<String> = strongest(found).into_iter().take(2).map(short).collect();
            match found.verdict {
                Verdict::Different => format!("Different: {}", list(&shown)),
                verdict => format!("{}: {}", capital(verdict.name()), list(&shown)),
            }
        }
        Verdict::Equivalent => {
            let names: Vec<String> = found
                .shown()
                .iter()
                .filter(|metric| metric.finding == Finding::Equivalent)
                .map(|metric| name(metric.metric).into_owned())
                .collect();
            format!("Equivalent: {} changed by less than the tolerance", list(&names))
        }
        Verdict::NoChangeFound => "No change found".to_owned(),
        Verdict::Undecided => format!("Undecided: {}", why_undecided(found)),
    };
    let units = match found.unit {
        Unit::Examples => format!("one model against one on {} examples", thousands(found.examples)),
        Unit::Pairs => count(found.baseline.runs.len(), "pair of runs").replace("pair of runss", "pairs of runs"),
        _ => format!("{} against {}", count(found.baseline.runs.len(), "run"), found.candidate.runs.len()),
    };
    let end = format!(
        "({units}; {} tests, all together at {} % confidence)",
        found.metrics.len(),
        fixed(found.confidence * 100.0, 0)
    );
    match found.verdict {
        Verdict::NoChangeFound => format!("{what} {end}. {}", would_have_found(found)),
        _ => format!("{what} {end}."),
    }
}

/// Why nothing can be said, a fragment.
#[must_use]
pub fn why_undecided(found: &Comparison) -> String {
    if found.unit == Unit::Sweeps {
        return "the runs of each side share a random draw that the other side lacks".to_owned();
    }
    let level = 1.0 - found.confidence;
    if found.smallest_p > level {
        return format!(
            "no change of any size could have been found by {} against {}",
            count(found.baseline.runs.len(), "run"),
            found.candidate.runs.len()
        );
    }
    let wide: Vec<String> = found
        .metrics
        .iter()
        .filter(|metric| metric.finding == Finding::Undecided)
        .take(3)
        .map(|metric| format!("{} may have changed by {}", name(metric.metric), interval(metric)))
        .collect();
    format!("{}, and the tolerance lies inside that", list(&wide))
}

/// What so many runs would have found.
#[must_use]
pub fn would_have_found(found: &Comparison) -> String {
    let of = |quantity| found.metric(quantity).and_then(|metric| Some(size(quantity, metric.detectable?)));
    let who = match found.unit {
        Unit::Examples => "So many examples".to_owned(),
        Unit::Pairs => format!("{} pairs of runs", found.baseline.runs.len()),
        _ if found.baseline.runs.len() == found.candidate.runs.len() => {
            format!("{} runs a side", found.candidate.runs.len())
        }
        _ => format!("{} runs against {}", found.baseline.runs.len(), found.candidate.runs.len()),
    };
    match (of(Quantity::Accuracy), of(Quantity::Nll)) {
        (Some(accuracy), Some(nll)) => format!(
            "{who} would have found a change of accuracy by {accuracy}, or of the negative log-likelihood by {nll}, four times in five."
        ),
        _ => String::new(),
    }
}

/// What a program that decides by itself reads, in words.
#[must_use]
pub fn decision(found: &Comparison) -> Option<String> {
    let claims: Vec<String> = found
        .claims
        .iter()
        .map(|held| {
            let asked = match held.claim.margin {
                Some(margin) => {
                    format!("{} is not worse by {}", name(held.claim.metric), size(held.claim.metric, margin))
                }
                None => format!("{} is better", name(held.claim.metric)),
            };
            let found = match held.decision {
                Decision::Keep => format!("shown ({})", p_equals(held.p)),
                Decision::Discard => format!("refuted ({})", p_equals(held.p_against)),
                Decision::Undecided => format!("neither shown nor refuted ({})", p_equals(held.p)),
            };
            format!("{asked}: {found}")
        })
        .collect();
    let runs = match (found.decision, found.decision_runs) {
        (Decision::Undecided, Some(runs)) => format!(
            "; about {} a side would decide it, if the sides differ by as much as they seem to",
            count(runs, "run")
        ),
        _ => String::new(),
    };
    if claims.is_empty() && runs.is_empty() {
        return None;
    }
    let asked = if claims.is_empty() { String::new() } else { format!("; {}", claims.join("; ")) };
    Some(format!("Decision: {}{asked}{runs}.", found.decision.name()))
}

/// Differences that were found, the most telling first: those for the worse, then for the better, then without direction; of
/// each the overall numbers before single classes, then the surest.
fn strongest(found: &Comparison) -> Vec<&Metric> {
    let mut beyond: Vec<&Metric> = found.beyond().collect();
    let worse_first = found.verdict != Verdict::Better;
    let key = |metric: &Metric| {
        let kind = match metric.finding {
            Finding::Worse => u8::from(!worse_first),
            Finding::Better => u8::from(worse_first),
            _ => 2,
        };
        let rank = match metric.metric {
            Quantity::Accuracy => 0,
            Quantity::ClassAccuracy(_) => 1,
            _ => 2,
        };
        (kind, rank)
    };
    let ratio = |metric: &Metric| metric.difference.abs() / (metric.high - metric.low).abs().max(f64::MIN_POSITIVE);
    beyond.sort_by(|a, b| key(a).cmp(&key(b)).then(ratio(b).total_cmp(&ratio(a))));
    beyond
}

/// `accuracy falls from 96.67 % to 87.90 %`
fn short(metric: &Metric) -> String {
    let quantity = metric.metric;
    match metric.between {
        Some(between) => format!(
            "{} is {}, of which {} are more than retraining explains",
            match quantity {
                Quantity::ChurnBetween => "churn between the sides",
                Quantity::SoftChurnBetween => "soft churn between the sides",
                Quantity::MarginsBetween => "the distance of the margins of the sides",
                _ => "the distance of the kernels of the sides",
            },
            value(quantity, between),
            size(quantity, metric.difference)
        ),
        None => format!(
            "{} {} from {} to {}",
            name(quantity),
            if metric.difference > 0.0 { "rises" } else { "falls" },
            value(quantity, metric.baseline),
            value(quantity, metric.candidate)
        ),
    }
}

/// What the verdict rests on, the most telling first; of the classes at most five.
#[must_use]
pub fn evidence(found: &Comparison) -> Vec<String> {
    let mut classes = 0;
    let mut sentences: Vec<String> = strongest(found)
        .into_iter()
        .filter(|metric| {
            let is_class = matches!(metric.metric, Quantity::ClassAccuracy(_));
            classes += usize::from(is_class);
            !is_class || classes <= 5
        })
        .map(sentence)
        .collect();
    if classes > 5 {
        sentences.push(format!(
            "{} differ in all (`--json` has them).",
            count(classes, "class").replace("classs", "classes")
        ));
    }
    sentences.extend(decision(found));
    sentences
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
        Quantity::ClassAccuracy(class) => &format!("Accuracy on class {class}"),
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
