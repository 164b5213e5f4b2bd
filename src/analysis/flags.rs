//! Which runs are atypical, with the value, the limit and a sentence for each reason.

use super::numbers::{fixed, percent, significant};
use super::schema::{Flag, FlagKind, Run};
use crate::config::Flags;
use crate::stats::descriptive::{mad, median};
use crate::stats::outliers::modified_z_scores;

/// How values of a quantity are written in a sentence.
type Format = fn(f64) -> String;

/// A quantity of which each run has one value, to be judged by its modified z-score.
struct Quantity {
    flag: FlagKind,
    /// Begins the sentence, as in "its accuracy of 93 %".
    name: &'static str,
    of: fn(&Run) -> Option<f64>,
    format: Format,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity { flag: FlagKind::Accuracy, name: "accuracy", of: |run| run.accuracy, format: percent },
    Quantity { flag: FlagKind::Nll, name: "negative log-likelihood", of: |run| run.nll, format: significant },
    Quantity { flag: FlagKind::Ece, name: "calibration error", of: |run| run.ece, format: percent },
    Quantity { flag: FlagKind::Churn, name: "churn against the other runs", of: |run| run.churn, format: percent },
];

/// The flag of a run with non-finite logits.
#[must_use]
pub fn diverged_logits(count: usize) -> Flag {
    let what = if count == 1 {
        "1 of its logits is not finite".to_owned()
    } else {
        format!("{count} of its logits are not finite")
    };
    Flag { flag: FlagKind::Diverged, value: count as f64, limit: 0.0, why: what }
}

/// The flag of a run whose loss was not finite, first at `epoch`.
#[must_use]
pub fn diverged_loss(epoch: usize) -> Flag {
    let why = format!("its loss was not finite at epoch {epoch}");
    Flag { flag: FlagKind::Diverged, value: epoch as f64, limit: 0.0, why }
}

/// The flag of a run that repeats the run `original`; `what` are its soft decisions or its weights.
#[must_use]
pub fn duplicate(original: u32, what: &str) -> Flag {
    let why = format!("its {what} are bit-equal to those of run {original}: the seeds were not independent");
    Flag { flag: FlagKind::Duplicate, value: 1.0, limit: 0.0, why }
}

/// Adds to each of `runs`, which are distinct and finite, the flags of levels and outliers. `kernels` holds the mean
/// alignment of each run's kernel with the others, in the same order, where kernels were recorded.
pub fn judge(runs: &mut [&mut Run], kernels: Option<&[f64]>, limits: &Flags) {
    levels(runs, limits);
    for quantity in &QUANTITIES {
        let values: Option<Vec<f64>> = runs.iter().map(|run| (quantity.of)(run)).collect();
        if let Some(values) = values {
            outliers(runs, &values, limits.outlier, quantity.flag, quantity.name, quantity.format);
        }
    }
    if let Some(values) = kernels.filter(|values| values.len() == runs.len()) {
        let name = "mean kernel alignment with the other runs";
        outliers(runs, values, limits.outlier, FlagKind::Kernel, name, |value| fixed(value, 3));
    }
}

/// `alpha`: large by `alpha_relative` and outlying by KS distance.
fn levels(runs: &mut [&mut Run], limits: &Flags) {
    let distances: Option<Vec<f64>> = runs.iter().map(|run| run.ks).collect();
    let Some(distances) = distances else { return };
    let centre = median(&distances);
    for ((run, &ks), score) in runs.iter_mut().zip(&distances).zip(modified_z_scores(&distances)) {
        let Some(level) = run.alpha_relative else { continue };
        if level > limits.alpha && score > limits.outlier && ks > centre {
            let trimmed = if level >= 1.0 {
                "no trimming makes its margins look like this ensemble's".to_owned()
            } else {
                format!("{} of its margins would have to go before they look like this ensemble's", percent(level))
            };
            let why = format!(
                "{trimmed} (limit {}), and its KS distance from the others, {}, is {} robust deviations above the median, {}",
                percent(limits.alpha),
                fixed(ks, 3),
                deviations(score),
                fixed(centre, 3)
            );
            run.flags.push(Flag { flag: FlagKind::Alpha, value: level, limit: limits.alpha, why });
        }
    }
}

fn outliers(runs: &mut [&mut Run], values: &[f64], limit: f64, flag: FlagKind, name: &str, format: Format) {
    if values.is_empty() {
        return;
    }
    let (centre, room) = (median(values), limit * mad(values) / 0.6745);
    for ((run, &value), score) in runs.iter_mut().zip(values).zip(modified_z_scores(values)) {
        if score > limit {
            let (side, bound) = if value > centre { ("above", centre + room) } else { ("below", centre - room) };
            let why = format!(
                "its {name} of {} is {} robust deviations {side} the median of {} (limit {})",
                format(value),
                deviations(score),
                format(centre),
                fixed(limit, 1)
            );
            run.flags.push(Flag { flag, value, limit: bound, why });
        }
    }
}

/// A modified z-score in words: it is infinite where all other runs agree to the digit.
fn deviations(score: f64) -> String {
    if score.is_finite() { fixed(score, 1) } else { "infinitely many".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(index: u32, accuracy: f64, ks: f64, alpha_relative: f64) -> Run {
        Run { accuracy: Some(accuracy), ks: Some(ks), alpha_relative: Some(alpha_relative), ..Run::empty(index) }
    }

    fn flags(runs: &[Run]) -> Vec<Vec<FlagKind>> {
        runs.iter().map(|run| run.flags.iter().map(|flag| flag.flag).collect()).collect()
    }

    fn judged(mut runs: Vec<Run>, kernels: Option<&[f64]>) -> Vec<Run> {
        judge(&mut runs.iter_mut().collect::<Vec<_>>(), kernels, &Flags::default());
        runs
    }

    #[test]
    fn a_level_is_flagged_only_where_it_is_large_and_outlying() {
        // Distances 1, 2, 3, 4, 10 %: median 3 %, MAD 1 %, so the last has z = 0.6745 * 7 = 4.72.
        let levels = [0.5, 0.0, 0.0, 0.0, 0.2];
        let distances = [0.01, 0.02, 0.03, 0.04, 0.10];
        let runs = (0..5).map(|i| run(i as u32, 0.9, distances[i], levels[i])).collect();
        let judged = judged(runs, None);
        assert_eq!(flags(&judged), [vec![], vec![], vec![], vec![], vec![FlagKind::Alpha]]);
        let flag = &judged[4].flags[0];
        assert_eq!((flag.value, flag.limit), (0.2, 0.1));
        assert_eq!(
            flag.why,
            "20.00 % of its margins would have to go before they look like this ensemble's (limit 10.00 %), and its KS \
             distance from the others, 0.100, is 4.7 robust deviations above the median, 0.030"
        );
    }

    #[test]
    fn an_outlier_carries_its_value_and_the_limit_on_its_side() {
        let accuracies = [0.97, 0.96, 0.98, 0.97, 0.90];
        let runs = (0..5).map(|i| run(i as u32, accuracies[i], 0.1, 0.0)).collect();
        let judged = judged(runs, None);
        let flag = &judged[4].flags[0];
        // Median 0.97, MAD 0.01: limit 0.97 - 3.5 * 0.01 / 0.6745.
        assert_eq!(flag.flag, FlagKind::Accuracy);
        assert_eq!(flag.value, 0.90);
        assert!((flag.limit - (0.97 - 0.035 / 0.6745)).abs() < 1e-12);
        assert_eq!(
            flag.why,
            "its accuracy of 90.00 % is 4.7 robust deviations below the median of 97.00 % (limit 3.5)"
        );
        assert!(judged[..4].iter().all(|run| run.flags.is_empty()));
    }

    #[test]
    fn agreement_to_the_digit_flags_only_who_differs() {
        let runs = [0.9, 0.9, 0.9, 0.91].iter().zip(0..).map(|(&accuracy, i)| run(i, accuracy, 0.1, 0.0)).collect();
        let judged = judged(runs, Some(&[0.5; 4]));
        assert_eq!(flags(&judged), [vec![], vec![], vec![], vec![FlagKind::Accuracy]]);
        assert!(judged[3].flags[0].why.contains("infinitely many"));
        assert_eq!(judged[3].flags[0].limit, 0.9);
    }

    #[test]
    fn kernels_are_judged_where_there_are_any() {
        let runs: Vec<Run> = (0..5).map(|i| run(i, 0.9, 0.1, 0.0)).collect();
        let judged = judged(runs, Some(&[0.90, 0.91, 0.92, 0.91, 0.60]));
        assert_eq!(judged[4].flags[0].flag, FlagKind::Kernel);
        assert!(judged[4].flags[0].why.contains("0.600"));
    }
}
