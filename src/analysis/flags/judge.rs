//! From measured runs to their flags.

use super::by_class::{ByClass, by_class};
use super::{Flag, FlagKind, Limits};
use crate::analysis::measured::{Effort, Measured, Noise};
use crate::analysis::metrics::{Better, METRICS, Metric, Run};
use crate::analysis::numbers::percent;
use crate::analysis::schema::Settings;
use crate::config::Flags;
use crate::error::Result;
use crate::stats::descriptive::median;
use crate::stats::logits::Real;
use crate::stats::outliers::{FEWEST, LargestScore, QUARTILE, robust_scores, scale, share};
use crate::stats::{Logits, by_class as stats};

/// What is judged besides the values of the runs themselves.
pub struct Ground<'a> {
    /// How far healthy runs depart.
    pub noise: &'a Noise,
    /// Accuracy on each class, where there are labels.
    pub classes: Option<&'a ByClass>,
    /// Names of the classes, `[C]`.
    pub class_names: &'a [String],
    /// The table `[flags]`.
    pub settings: &'a Flags,
}

/// What a judgement says besides the flags of the runs.
#[derive(Debug, Default, PartialEq)]
pub struct Judgement {
    /// None where there are too few runs to judge outliers.
    pub limits: Option<Limits>,
    /// Sentences: runs that are unusually good.
    pub remarks: Vec<String>,
}

/// Adds to each of `runs`, which are distinct and finite, the flags of outliers.
///
/// # Errors
/// None in practice: limits exist for every number of runs that is judged.
pub fn judge(runs: &mut [&mut Run], ground: &Ground<'_>) -> Result<Judgement> {
    if runs.len() < FEWEST {
        return Ok(Judgement::default());
    }
    // A quantity that too few runs have is not judged; one missing kernel takes no flag from the others.
    let judged: Vec<(&Metric, Vec<usize>)> = METRICS
        .iter()
        .filter(|metric| metric.flag.is_some())
        .map(|metric| {
            let have = (0..runs.len()).filter(|&place| (metric.of)(runs[place]).is_some_and(f64::is_finite)).collect();
            (metric, have)
        })
        .filter(|(_, have): &(_, Vec<usize>)| have.len() >= FEWEST)
        .collect();
    let quantities = judged.len() + usize::from(ground.classes.is_some());
    let scores = Scores { settings: ground.settings, quantities };
    let mut remarks = Vec::new();
    for (metric, have) in &judged {
        let limit = scores.limit(have.len())?;
        outliers(runs, metric, have, limit, ground, &mut remarks);
    }
    let mut class_score = 0.0;
    if let Some(classes) = ground.classes {
        class_score = scores.class_limit(runs.len(), classes.judged())?;
        by_class(runs, classes, class_score, ground.class_names);
    }
    let limits = Limits {
        runs: runs.len(),
        quantities,
        score: scores.limit(runs.len())?,
        class_score,
        false_alarm: scores.false_alarm(runs.len())?,
    };
    Ok(Judgement { limits: Some(limits), remarks })
}

/// Measures and judges the distinct finite runs `soft`, called `indices`, by what is cheap: without kernels, bootstraps and
/// pairs. What a choice of runs and a count of false alarms need.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for settings out of range.
pub fn judged<T: Real>(soft: &[Logits<'_, T>], indices: &[u32], settings: &Settings) -> Result<Vec<Run>> {
    let measured = Measured::of(soft, indices, None, settings, Effort::Cheap)?;
    let run = |(place, &index): (usize, &u32)| Run::measured(index, &measured, place);
    let mut runs: Vec<Run> = indices.iter().enumerate().map(run).collect();
    let classes = ByClass::of(&measured);
    let ground =
        Ground { noise: &measured.noise, classes: classes.as_ref(), class_names: &[], settings: &settings.flags };
    judge(&mut runs.iter_mut().collect::<Vec<_>>(), &ground)?;
    Ok(runs)
}

/// Limits by number of runs.
struct Scores<'a> {
    settings: &'a Flags,
    quantities: usize,
}

impl Scores<'_> {
    fn limit(&self, runs: usize) -> Result<f64> {
        match self.settings.outlier {
            Some(limit) => Ok(limit),
            None => Ok(LargestScore::of(runs)?.limit(self.quantities, self.settings.false_alarm)),
        }
    }

    /// The classes share what one quantity may take.
    fn class_limit(&self, runs: usize, classes: usize) -> Result<f64> {
        match self.settings.outlier {
            Some(limit) => Ok(limit),
            None => stats::limit(runs, classes, share(self.settings.false_alarm, self.quantities)),
        }
    }

    fn false_alarm(&self, runs: usize) -> Result<f64> {
        match self.settings.outlier {
            Some(limit) => {
                let quantities = self.quantities as i32;
                Ok(1.0 - (1.0 - LargestScore::of(runs)?.beyond(limit)).powi(quantities))
            }
            None => Ok(self.settings.false_alarm),
        }
    }
}

fn outliers(
    runs: &mut [&mut Run],
    metric: &Metric,
    have: &[usize],
    limit: f64,
    ground: &Ground<'_>,
    remarks: &mut Vec<String>,
) {
    let Some(flag) = metric.flag else { return };
    let values: Vec<f64> = have.iter().filter_map(|&place| (metric.of)(runs[place])).collect();
    let centre = median(&values);
    let noise = (metric.noise)(ground.noise);
    let even_of = |value: f64| (metric.even)(value, noise);
    let even: Vec<f64> = values.iter().map(|&value| even_of(value)).collect();
    // The floor in the unit in which healthy runs spread evenly, on the bad side.
    let bad_side = if metric.better == Better::Higher { -noise } else { noise };
    let floor = (even_of(centre + bad_side) - even_of(centre)).abs();
    let scores = robust_scores(&even, floor);
    let bad = |score: f64| match metric.better {
        Better::Higher => score < -limit,
        Better::Lower => score > limit,
        Better::Neither => score.abs() > limit,
    };
    let others: Vec<f64> = values.iter().zip(&scores).filter(|(_, score)| score.abs() <= limit).map(|v| *v.0).collect();
    let usual = usual(&others, metric.write);
    for ((&place, &value), &score) in have.iter().zip(&values).zip(&scores) {
        let run = &mut runs[place];
        let number = (metric.write)(value);
        if flag == FlagKind::Alpha {
            // A distance alone flags nobody: the level says whether it matters.
            let Some(level) = run.alpha_relative.filter(|&level| bad(score) && level > ground.settings.alpha) else {
                continue;
            };
            let how = if level >= 1.0 {
                "no choice of its test examples would hide the difference".to_owned()
            } else {
                format!("{} of its test examples would have to be dropped to hide the difference", percent(level))
            };
            let why = format!(
                "how sure it is of the right class differs from the other runs: {how} (limit {}; KS distance {number}, the \
                 others have {usual})",
                percent(ground.settings.alpha)
            );
            run.flags.push(Flag { flag, value: level, limit: ground.settings.alpha, why });
        } else if bad(score) {
            let bound = bound(&even_of, &even, centre, floor, if score > 0.0 { limit } else { -limit });
            let why = format!("its {} is {number}, where the others have {usual}", metric.name);
            run.flags.push(Flag { flag, value, limit: bound, why });
        } else if score.abs() > limit {
            let name = run.called();
            remarks.push(format!(
                "{name} is unusually good: its {} is {number}, where the others have {usual}. That is no flag.",
                metric.name
            ));
        }
    }
}

/// The value at which the score is `limit`, found by halving, as the even form `even_of` need not have an inverse at hand.
fn bound(even_of: &dyn Fn(f64) -> f64, even: &[f64], centre: f64, floor: f64, limit: f64) -> f64 {
    let target = median(even) + limit * scale(even, floor) / QUARTILE;
    let (mut near, mut step) = (centre, if limit > 0.0 { 1e-6 } else { -1e-6 });
    let beyond = |value: f64| if limit > 0.0 { even_of(value) >= target } else { even_of(value) <= target };
    for _ in 0..60 {
        if beyond(near + step) {
            break;
        }
        step *= 2.0;
    }
    for _ in 0..60 {
        step *= 0.5;
        if !beyond(near + step) {
            near += step;
        }
    }
    near + step
}

/// The range of `values`, of which there are some, in words.
pub(super) fn usual(values: &[f64], write: fn(f64) -> String) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = (write(low), write(high));
    if low == high { low } else { format!("{low} to {high}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: Noise = Noise { accuracy: 0.001, nll: 0.001, ece: 0.001, churn: 0.001, ks: 0.001, kernel: 0.001 };

    /// Ten runs of accuracy 96.6 to 97.5 %, nothing else.
    fn healthy() -> Vec<Run> {
        let step = |i: u32| 0.970 + 0.001 * f64::from(i * 7 % 10) - 0.004;
        (0..10)
            .map(|i| Run {
                accuracy: Some(step(i)),
                ks: Some(0.02 + 0.001 * f64::from(i)),
                alpha_relative: Some(0.0),
                ..Run::empty(i)
            })
            .collect()
    }

    fn judged(mut runs: Vec<Run>, settings: &Flags) -> (Vec<Run>, Judgement) {
        let ground = Ground { noise: &NOISE, classes: None, class_names: &[], settings };
        let judgement = judge(&mut runs.iter_mut().collect::<Vec<_>>(), &ground).unwrap();
        (runs, judgement)
    }

    fn flags(runs: &[Run]) -> Vec<(u32, FlagKind)> {
        runs.iter().flat_map(|run| run.flags.iter().map(|flag| (run.run, flag.flag))).collect()
    }

    #[test]
    fn only_the_bad_side_is_flagged() {
        let mut runs = healthy();
        (runs[3].accuracy, runs[7].accuracy) = (Some(0.872), Some(0.999));
        let (runs, judgement) = judged(runs, &Flags::default());
        assert_eq!(flags(&runs), [(3, FlagKind::Accuracy)]);
        let flag = &runs[3].flags[0];
        assert_eq!(flag.why, "its accuracy is 87.20 %, where the others have 96.60 % to 97.40 %");
        assert!((flag.value, flag.limit < 0.966 && flag.limit > 0.94) == (0.872, true), "{flag:?}");
        assert!(judgement.remarks[0].starts_with("run 7 is unusually good"), "{judgement:?}");
        let limits = judgement.limits.unwrap();
        assert_eq!((limits.runs, limits.quantities, limits.false_alarm), (10, 2, 0.05));
    }

    #[test]
    fn five_runs_show_no_outlier() {
        let mut runs = healthy();
        runs.truncate(5);
        runs[0].accuracy = Some(0.1);
        let (runs, judgement) = judged(runs, &Flags::default());
        assert!(flags(&runs).is_empty() && judgement.limits.is_none());
    }

    #[test]
    fn a_limit_that_is_set_is_used_and_its_price_named() {
        let settings = Flags { outlier: Some(3.5), ..Flags::default() };
        let mut runs = healthy();
        runs[3].accuracy = Some(0.955);
        let (found, judgement) = judged(runs.clone(), &settings);
        assert_eq!(flags(&found), [(3, FlagKind::Accuracy)]);
        let limits = judgement.limits.unwrap();
        assert!(limits.score == 3.5 && limits.false_alarm > 0.15 && limits.false_alarm < 0.9, "{limits:?}");
        assert!(flags(&judged(runs, &Flags::default()).0).is_empty(), "two in three healthy sweeps have such a run");
    }

    #[test]
    fn a_level_is_flagged_only_where_it_is_large_and_outlying() {
        let mut runs = healthy();
        (runs[2].alpha_relative, runs[4].ks) = (Some(0.5), Some(0.4));
        assert!(flags(&judged(runs.clone(), &Flags::default()).0).is_empty());
        (runs[4].alpha_relative, runs[5].ks, runs[5].alpha_relative) = (Some(0.2), Some(0.9), Some(1.0));
        let (runs, _) = judged(runs, &Flags::default());
        assert_eq!(flags(&runs), [(4, FlagKind::Alpha), (5, FlagKind::Alpha)]);
        assert_eq!((runs[4].flags[0].value, runs[4].flags[0].limit), (0.2, 0.1));
        assert_eq!(
            runs[4].flags[0].why,
            "how sure it is of the right class differs from the other runs: 20.00 % of its test examples would have to be \
             dropped to hide the difference (limit 10.00 %; KS distance 0.400, the others have 0.020 to 0.029)"
        );
    }

    #[test]
    fn one_missing_kernel_takes_no_flag_from_the_others() {
        let mut runs = healthy();
        for run in &mut runs {
            run.kernel_cka = Some(0.9 + 0.001 * f64::from(run.run));
        }
        (runs[1].kernel_cka, runs[6].kernel_cka) = (None, Some(0.3));
        let (runs, judgement) = judged(runs, &Flags::default());
        assert_eq!(flags(&runs), [(6, FlagKind::Kernel)]);
        let limit = runs[6].flags[0].limit;
        assert!(limit > 0.3 && limit < 0.9, "{limit}");
        assert_eq!(judgement.limits.unwrap().quantities, 3);
    }

    #[test]
    fn the_noise_of_the_examples_is_the_least_scale() {
        let mut runs = healthy();
        runs.iter_mut().for_each(|run| run.accuracy = Some(0.97));
        runs[8].accuracy = Some(0.969);
        assert!(flags(&judged(runs, &Flags::default()).0).is_empty(), "one example more or less");
    }
}
