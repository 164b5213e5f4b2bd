//! From tests and intervals to findings, the verdict and the decision.

use super::schema::{ClaimFound, Decision, Finding, Metric, Quantity, Verdict};
use crate::analysis::metrics::Better;

/// What one quantity says: `(low, difference, high)` with its simultaneous interval, whether the corrected test found a
/// difference, the tolerance that the user stated, and whether a difference of any size could have been found.
#[must_use]
pub fn finding(
    quantity: Quantity,
    (low, difference, high): (f64, f64, f64),
    found: bool,
    tolerance: Option<f64>,
    can_be_found: bool,
) -> Finding {
    // Sides that are closer to each other than to themselves have runs in common; they do not differ.
    let found = found && !(quantity.is_excess() && difference <= 0.0);
    let directed = match quantity.good() {
        Better::Neither => Finding::Different,
        Better::Higher if difference > 0.0 => Finding::Better,
        Better::Lower if difference < 0.0 => Finding::Better,
        Better::Higher | Better::Lower => Finding::Worse,
    };
    match tolerance {
        Some(size) => {
            let beyond = low > size || (high < -size && !quantity.is_excess());
            let inside = high < size && (low > -size || quantity.is_excess());
            match (found && beyond, inside) {
                (true, _) => directed,
                (false, true) => Finding::Equivalent,
                (false, false) => Finding::Undecided,
            }
        }
        None if found => directed,
        None if can_be_found => Finding::NoChangeFound,
        None => Finding::Undecided,
    }
}

/// All findings together.
#[must_use]
pub fn verdict(metrics: &[Metric]) -> Verdict {
    let any = |finding| metrics.iter().any(|metric| metric.finding == finding);
    let accuracy = metrics.iter().find(|metric| metric.metric == Quantity::Accuracy).map(|metric| metric.finding);
    match (any(Finding::Better), any(Finding::Worse), any(Finding::Different)) {
        (_, true, _) if accuracy != Some(Finding::Better) => Verdict::Worse,
        (true, false, _) => Verdict::Better,
        (_, true, _) | (_, _, true) => Verdict::Different,
        (false, false, false) if any(Finding::Undecided) => Verdict::Undecided,
        (false, false, false) if any(Finding::Equivalent) => Verdict::Equivalent,
        (false, false, false) => Verdict::NoChangeFound,
    }
}

/// Keep or discard: by the claims where there are any, otherwise by the verdict.
#[must_use]
pub fn decision(verdict: Verdict, claims: &[ClaimFound]) -> Decision {
    if claims.is_empty() {
        return match verdict {
            Verdict::Better | Verdict::Equivalent => Decision::Keep,
            Verdict::Worse | Verdict::Different => Decision::Discard,
            Verdict::NoChangeFound | Verdict::Undecided => Decision::Undecided,
        };
    }
    let any = |decision| claims.iter().any(|claim| claim.decision == decision);
    match (any(Decision::Discard), any(Decision::Undecided)) {
        (true, _) => Decision::Discard,
        (false, true) => Decision::Undecided,
        (false, false) => Decision::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_by_interval_test_and_tolerance() {
        let of = |quantity, interval, found, tolerance| finding(quantity, interval, found, tolerance, true);
        use Finding::{Better, Different, Equivalent, NoChangeFound, Undecided, Worse};
        assert_eq!(of(Quantity::Accuracy, (-0.01, 0.01, 0.03), false, None), NoChangeFound);
        assert_eq!(of(Quantity::Accuracy, (0.0, 0.02, 0.03), true, None), Better);
        assert_eq!(of(Quantity::ClassAccuracy(3), (-0.3, -0.2, 0.0), true, None), Worse);
        assert_eq!(of(Quantity::Nll, (0.01, 0.02, 0.03), true, None), Worse);
        assert_eq!(of(Quantity::Nll, (-0.03, -0.02, -0.01), true, None), Better);
        assert_eq!(of(Quantity::MarginsBetween, (0.01, 0.02, 0.03), true, None), Different);
        assert_eq!(
            of(Quantity::MarginsBetween, (-0.03, -0.02, -0.01), true, None),
            NoChangeFound,
            "sides that share runs"
        );
        assert_eq!(of(Quantity::KernelsWithin, (-0.03, -0.02, -0.01), true, None), Different);
        assert_eq!(of(Quantity::Accuracy, (0.01, 0.02, 0.03), true, Some(0.02)), Undecided, "beyond or not?");
        assert_eq!(of(Quantity::Accuracy, (0.03, 0.04, 0.05), true, Some(0.02)), Better);
        assert_eq!(of(Quantity::Accuracy, (0.005, 0.01, 0.015), true, Some(0.02)), Equivalent);
        assert_eq!(of(Quantity::Accuracy, (-0.03, 0.0, 0.01), false, Some(0.02)), Undecided);
        assert_eq!(of(Quantity::ChurnBetween, (-0.5, 0.0, 0.01), false, Some(0.02)), Equivalent);
        assert_eq!(finding(Quantity::Accuracy, (-0.1, 0.0, 0.1), false, None, false), Undecided);
    }

    #[test]
    fn the_verdict_leans_on_accuracy_and_the_decision_on_claims() {
        let metric = |quantity: Quantity, finding| Metric {
            metric: quantity,
            baseline: 0.0,
            candidate: 0.0,
            between: None,
            difference: 0.0,
            low: 0.0,
            high: 0.0,
            p: 1.0,
            p_corrected: 1.0,
            detectable: None,
            good: quantity.good(),
            tolerance: 0.0,
            finding,
            baseline_runs: Vec::new(),
            candidate_runs: Vec::new(),
        };
        let of = |accuracy, nll, margins| {
            verdict(&[
                metric(Quantity::Accuracy, accuracy),
                metric(Quantity::Nll, nll),
                metric(Quantity::MarginsBetween, margins),
            ])
        };
        use Finding::{Better, Different, Equivalent, NoChangeFound, Undecided, Worse};
        assert_eq!(of(Worse, Better, Different), Verdict::Worse);
        assert_eq!(of(NoChangeFound, Worse, Different), Verdict::Worse);
        assert_eq!(of(Better, Worse, NoChangeFound), Verdict::Different);
        assert_eq!(of(Better, NoChangeFound, Different), Verdict::Better);
        assert_eq!(of(NoChangeFound, NoChangeFound, Different), Verdict::Different);
        assert_eq!(of(Equivalent, NoChangeFound, NoChangeFound), Verdict::Equivalent);
        assert_eq!(of(Equivalent, Undecided, NoChangeFound), Verdict::Undecided);
        assert_eq!(of(NoChangeFound, NoChangeFound, NoChangeFound), Verdict::NoChangeFound);
        assert_eq!(decision(Verdict::NoChangeFound, &[]), Decision::Undecided);
        assert_eq!(
            (decision(Verdict::Better, &[]), decision(Verdict::Worse, &[])),
            (Decision::Keep, Decision::Discard)
        );
        let claim = super::super::Claim { metric: Quantity::Accuracy, margin: Some(0.01) };
        let claim = |decision| ClaimFound { claim, p: 0.5, p_against: 0.5, decision };
        assert_eq!(decision(Verdict::Worse, &[claim(Decision::Keep), claim(Decision::Keep)]), Decision::Keep);
        assert_eq!(
            decision(Verdict::Better, &[claim(Decision::Keep), claim(Decision::Undecided)]),
            Decision::Undecided
        );
        assert_eq!(
            decision(Verdict::Better, &[claim(Decision::Discard), claim(Decision::Undecided)]),
            Decision::Discard
        );
    }
}
