//! Which runs are atypical, with the value, the limit and a sentence for each reason.
//!
//! The flags are one table, [`FlagKind`]; which quantities are judged as outliers says the table of metrics. Limits are
//! computed so that a sweep of healthy runs carries a flag with the probability `flags.false_alarm`.

use serde::{Deserialize, Serialize};

use super::measured::{Effort, Measured, Noise};
use super::metrics::{Better, METRICS, Metric, Run};
use super::numbers::percent;
use super::schema::{Analysis, ClassesRight, RunClasses, Settings};
use crate::config::Flags;
use crate::error::Result;
use crate::stats::Logits;
use crate::stats::descriptive::median;
use crate::stats::logits::Real;
use crate::stats::noise;
use crate::stats::outliers::{FEWEST, LargestScore, QUARTILE, robust_scores, scale, share};

macro_rules! flags {
    ($($kind:ident $name:literal: $meaning:literal, $advice:literal;)*) => {
        /// A reason for which a run is atypical.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FlagKind {
            $(#[doc = $meaning] $kind,)*
        }

        impl FlagKind {
            /// All of them, in the order of glossaries.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// As in JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What it means, as a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }

            /// What to look at first, as a sentence.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(Self::$kind => $advice,)* }
            }
        }
    };
}

flags! {
    Diverged "diverged": "Its loss or its outputs were not finite.",
        "Look at its learning curve: a smaller learning rate or a warm-up usually helps.";
    Duplicate "duplicate": "It repeats another run bit for bit.",
        "Give every run its own seed; a repeated run counts once.";
    Related "related": "Its weights descend from those of another run, although runs draw their own.",
        "Give every run its own seed and its own initial weights; a related run counts once.";
    Alpha "alpha": "How sure it is of the right class is distributed unlike that of the other runs.",
        "Compare the curves of its margins: they show whether it differs as a whole or only in the tail.";
    Accuracy "accuracy": "It gets fewer examples right than the other runs.",
        "Look at the classes and the examples that it alone gets wrong, then at its data and its learning curve.";
    Nll "nll": "Its loss on the test set is larger than that of the other runs.",
        "Look for confident mistakes: wrong labels in training, or training for too long.";
    Ece "ece": "Its probabilities are off by more than those of the other runs.",
        "Look at the reliability curve; a fitted temperature often mends it.";
    Churn "churn": "It decides more examples unlike the other runs than these do among themselves.",
        "Look at the examples on which it stands alone.";
    Kernel "kernel": "Its tangent kernel is unlike those of the other runs.",
        "It learned other features: look at its kernel's spectrum and at the examples on which it stands alone.";
    Class "class": "It gets far fewer examples of one class right than the other runs.",
        "Check that class in this run's training data.";
}

/// A flag of a run: which quantity was over which limit, and in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    pub flag: FlagKind,
    /// The quantity that was judged, in its own unit.
    pub value: f64,
    /// The limit that it passed, in the same unit.
    pub limit: f64,
    /// A sentence without its final stop.
    pub why: String,
}

/// The limits of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Runs that were judged, M.
    pub runs: usize,
    /// Quantities that were judged, Q, the classes together as one.
    pub quantities: usize,
    /// Of the modified z-score: passed by the largest of the scores of M runs and Q quantities of healthy sweeps with the
    /// probability `false_alarm`.
    pub score: f64,
    /// The same for the scores by class.
    pub class_score: f64,
    /// The chance that a sweep of healthy runs is flagged: as asked for, or what the limit that was set comes to.
    pub false_alarm: f64,
}

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

/// The flag of a run that repeats the run called `original`; `what` are its soft decisions or its weights.
#[must_use]
pub fn duplicate(original: &str, what: &str) -> Flag {
    let why = format!("its {what} are bit-equal to those of {original}: the seeds were not independent");
    Flag { flag: FlagKind::Duplicate, value: 1.0, limit: 0.0, why }
}

/// The flag of a run whose weights share an ancestor with those of the run `other`, at the corrected p-value `p`; pairs are named from
/// the p-value `limit` on.
#[must_use]
pub fn related(other: &str, p: f64, limit: f64) -> Flag {
    let p_in_words = if p < 1e-300 { "p < 1e-300".to_owned() } else { format!("p = {p:.0e}") };
    let why = format!("its hidden units keep the numbers of {other}'s ({p_in_words}): the seeds were not independent");
    Flag { flag: FlagKind::Related, value: p, limit, why }
}

/// What is judged besides the values of the runs themselves.
pub struct Ground<'a> {
    pub noise: &'a Noise,
    pub classes: Option<&'a ByClass>,
    pub class_names: &'a [String],
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
            None => {
                let one = share(self.settings.false_alarm, self.quantities);
                Ok(LargestScore::of(runs)?.limit(classes, one))
            }
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
    let even: Vec<f64> = values.iter().map(|&value| (metric.even)(value)).collect();
    let centre = median(&values);
    // The floor in the unit in which healthy runs spread evenly.
    let noise = (metric.noise)(ground.noise);
    let floor = 0.5 * ((metric.even)(centre + noise) - (metric.even)(centre - noise)).abs();
    let scores = robust_scores(&even, floor);
    let bad = |score: f64| match metric.better {
        Better::Higher => score < -limit,
        Better::Lower => score > limit,
        Better::Neither => score.abs() > limit,
    };
    let others: Vec<f64> = values.iter().zip(&scores).filter(|(_, score)| score.abs() <= limit).map(|v| *v.0).collect();
    let usual = usual(&others, centre, metric.write);
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
            let bound = bound(metric, &even, centre, floor, if score > 0.0 { limit } else { -limit });
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

/// The value of `metric` at which the score is `limit`, found by halving, as its even form need not have an inverse at hand.
fn bound(metric: &Metric, even: &[f64], centre: f64, floor: f64, limit: f64) -> f64 {
    let target = median(even) + limit * scale(even, floor) / QUARTILE;
    let (mut near, mut step) = (centre, if limit > 0.0 { 1e-6 } else { -1e-6 });
    let beyond = |value: f64| if limit > 0.0 { (metric.even)(value) >= target } else { (metric.even)(value) <= target };
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

/// The range of the usual values in words.
fn usual(values: &[f64], centre: f64, write: fn(f64) -> String) -> String {
    let low = values.iter().copied().fold(centre, f64::min);
    let high = values.iter().copied().fold(centre, f64::max);
    let (low, high) = (write(low), write(high));
    if low == high { low } else { format!("{low} to {high}") }
}

/// How much of each class each run gets right, and how much that varies by the examples alone.
pub struct ByClass {
    /// Examples of each class, `[C]`.
    examples: Vec<usize>,
    /// Right decisions, `[M][C]`.
    right: Vec<Vec<u32>>,
    /// Standard deviation of a healthy run's share by the examples alone, `[C]`.
    noise: Vec<f64>,
}

impl ByClass {
    /// Counts what the runs of `found` get right.
    #[must_use]
    pub fn of<T: Real>(found: &Measured<'_, T>) -> Option<Self> {
        let first = found.soft.first()?;
        let (labels, classes) = (first.labels(), first.classes());
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
        labels.iter().enumerate().for_each(|(i, &label)| members[label as usize].push(i));
        let right = found
            .decisions
            .iter()
            .map(|row| {
                let mut right = vec![0; classes];
                row.iter()
                    .zip(labels)
                    .filter(|(decision, label)| decision == label)
                    .for_each(|(_, &y)| right[y as usize] += 1);
                right
            })
            .collect();
        let noise = members
            .iter()
            .map(|of_class| {
                let right =
                    |m: usize, k: usize| f64::from(u8::from(found.decisions[m][of_class[k]] == labels[of_class[k]]));
                noise::independent(found.soft.len(), of_class.len(), right).max(1.0 / of_class.len().max(1) as f64)
            })
            .collect();
        Some(Self { examples: members.iter().map(Vec::len).collect(), right, noise })
    }

    /// Number of classes that have examples.
    fn judged(&self) -> usize {
        self.examples.iter().filter(|&&count| count > 0).count()
    }

    fn share(&self, run: usize, class: usize) -> f64 {
        f64::from(self.right[run][class]) / self.examples[class].max(1) as f64
    }

    /// As a table.
    #[must_use]
    pub fn table(&self, indices: &[u32]) -> ClassesRight {
        let row = |(place, &run): (usize, &u32)| RunClasses {
            run,
            accuracy: (0..self.examples.len())
                .map(|class| (self.examples[class] > 0).then(|| self.share(place, class)))
                .collect(),
        };
        ClassesRight { examples: self.examples.clone(), runs: indices.iter().enumerate().map(row).collect() }
    }
}

/// `class`: far fewer examples of one class right. A run gets one such flag, for the class that it misses most.
fn by_class(runs: &mut [&mut Run], classes: &ByClass, limit: f64, names: &[String]) {
    let mut worst: Vec<Option<(f64, Flag, usize)>> = vec![None; runs.len()];
    for class in (0..classes.examples.len()).filter(|&class| classes.examples[class] > 0) {
        let shares: Vec<f64> = (0..runs.len()).map(|run| classes.share(run, class)).collect();
        let scores = robust_scores(&shares, classes.noise[class]);
        if scores.iter().all(|&score| score >= -limit) {
            continue;
        }
        let centre = median(&shares);
        let bound = centre - limit * scale(&shares, classes.noise[class]) / QUARTILE;
        let others: Vec<f64> =
            shares.iter().zip(&scores).filter(|(_, score)| **score >= -limit).map(|v| *v.0).collect();
        let usual = usual(&others, centre, percent);
        for ((held, &share), &score) in worst.iter_mut().zip(&shares).zip(&scores).filter(|(_, score)| **score < -limit)
        {
            let count = held.as_ref().map_or(0, |(_, _, count)| *count) + 1;
            if held.as_ref().is_none_or(|(least, ..)| score < *least) {
                let why = format!(
                    "it gets {} of {} right, where the others get {usual}",
                    percent(share),
                    named(class, names)
                );
                *held = Some((score, Flag { flag: FlagKind::Class, value: share, limit: bound, why }, count));
            } else if let Some((_, _, known)) = held {
                *known = count;
            }
        }
    }
    for (run, held) in runs.iter_mut().zip(worst) {
        if let Some((_, mut flag, count)) = held {
            if count > 1 {
                flag.why.push_str(&format!(", and too little of {} more", super::numbers::count(count - 1, "class")));
            }
            run.flags.push(flag);
        }
    }
}

/// `class 3 (cat)`, or `class 3` where classes have no names.
#[must_use]
pub fn named(class: usize, names: &[String]) -> String {
    match names.get(class) {
        Some(name) if *name != class.to_string() => format!("class {class} ({name})"),
        _ => format!("class {class}"),
    }
}

/// How runs were judged, for a table of facts.
#[must_use]
pub fn limits_in_words(analysis: &Analysis, settings: &Flags) -> String {
    let level = format!("α relative {}", percent(settings.alpha));
    match &analysis.limits {
        None => format!("{level}; fewer than {FEWEST} runs show no outlier, so none was looked for"),
        Some(limits) => {
            let origin = if settings.outlier.is_some() { "as set" } else { "computed" };
            format!(
                "{level}; modified z-score {:.1}, {origin}: a sweep of {} healthy runs is flagged with a probability of {}",
                limits.score,
                limits.runs,
                percent(limits.false_alarm)
            )
        }
    }
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

    #[test]
    fn a_class_that_one_run_misses_is_named() {
        // Eight runs, three classes of 100 examples; run 5 gets nothing of class 1.
        let right =
            |run: usize, class: usize| if (run, class) == (5, 1) { 0 } else { 95 + ((run * 3 + class) % 4) as u32 };
        let classes = ByClass {
            examples: vec![100; 3],
            right: (0..8).map(|run| (0..3).map(|class| right(run, class)).collect()).collect(),
            noise: vec![0.01; 3],
        };
        let mut runs: Vec<Run> = (0..8).map(Run::empty).collect();
        let settings = Flags::default();
        let names = ["cat", "dog", "eel"].map(str::to_owned);
        let ground = Ground { noise: &NOISE, classes: Some(&classes), class_names: &names, settings: &settings };
        let judgement = judge(&mut runs.iter_mut().collect::<Vec<_>>(), &ground).unwrap();
        assert_eq!(flags(&runs), [(5, FlagKind::Class)]);
        assert_eq!(
            runs[5].flags[0].why,
            "it gets 0.00 % of class 1 (dog) right, where the others get 95.00 % to 98.00 %"
        );
        assert!(judgement.limits.unwrap().class_score > 3.0);
        assert_eq!(classes.table(&[10, 11]).runs[1].accuracy[2], Some(0.96));
    }

    #[test]
    fn every_flag_is_in_the_glossary() {
        for kind in FlagKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(kind.meaning().ends_with('.') && kind.advice().ends_with('.'));
        }
    }
}
