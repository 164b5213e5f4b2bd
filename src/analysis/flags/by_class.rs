//! How much of each class each run gets right, and the flag of a run that misses one.

use super::judge::usual;
use super::{Flag, FlagKind};
use crate::analysis::measured::Measured;
use crate::analysis::metrics::Run;
use crate::analysis::numbers::{count, percent};
use crate::analysis::schema::{ClassesRight, RunClasses};
use crate::stats::by_class::ClassScores;
use crate::stats::logits::Real;

/// How much of each class each run gets right.
pub struct ByClass {
    /// Examples of each class, `[C]`.
    examples: Vec<usize>,
    /// Right decisions, `[M][C]`.
    right: Vec<Vec<u32>>,
}

impl ByClass {
    /// Counts what the runs of `found` get right.
    #[must_use]
    pub fn of<T: Real>(found: &Measured<'_, T>) -> Option<Self> {
        let first = found.soft.first()?;
        let (labels, classes) = (first.labels(), first.classes());
        let mut examples = vec![0; classes];
        labels.iter().for_each(|&label| examples[label as usize] += 1);
        let right = found.decisions.iter().map(|row| {
            let mut right = vec![0; classes];
            row.iter().zip(labels).filter(|(own, label)| own == label).for_each(|(_, &y)| right[y as usize] += 1);
            right
        });
        Some(Self { right: right.collect(), examples })
    }

    /// Number of classes that have examples.
    pub(super) fn judged(&self) -> usize {
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
pub(super) fn by_class(runs: &mut [&mut Run], classes: &ByClass, limit: f64, names: &[String]) {
    let found = ClassScores::of(&classes.right, &classes.examples);
    for (place, run) in runs.iter_mut().enumerate() {
        let scores = &found.scores[place];
        let missed = (0..scores.len()).filter(|&class| scores[class] < -limit);
        let Some(class) = missed.clone().min_by(|&a, &b| scores[a].total_cmp(&scores[b])) else { continue };
        let others: Vec<f64> = (0..classes.right.len())
            .filter(|&other| found.scores[other][class] >= -limit)
            .map(|other| classes.share(other, class))
            .collect();
        let share = classes.share(place, class);
        let mut why = format!(
            "it gets {} of {} right, where the others get {}",
            percent(share),
            named(class, names),
            usual(&others, percent)
        );
        let more = missed.count() - 1;
        if more > 0 {
            why.push_str(&format!(", and too little of {} more", count(more, "class")));
        }
        run.flags.push(Flag { flag: FlagKind::Class, value: share, limit: found.share_at(class, limit), why });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_one_run_misses_is_named() {
        // Eight runs, three classes of 100 examples; run 5 gets nothing of class 1.
        let right =
            |run: usize, class: usize| if (run, class) == (5, 1) { 0 } else { 95 + ((run * 3 + class) % 4) as u32 };
        let classes = ByClass {
            examples: vec![100; 3],
            right: (0..8).map(|run| (0..3).map(|class| right(run, class)).collect()).collect(),
        };
        let mut runs: Vec<Run> = (0..8).map(Run::empty).collect();
        let names = ["cat", "dog", "eel"].map(str::to_owned);
        by_class(&mut runs.iter_mut().collect::<Vec<_>>(), &classes, 6.0, &names);
        assert!(runs.iter().all(|run| run.is_flagged() == (run.run == 5)) && runs[5].has(FlagKind::Class));
        assert_eq!(
            runs[5].flags[0].why,
            "it gets 0.00 % of class 1 (dog) right, where the others get 95.00 % to 98.00 %"
        );
        let limit = runs[5].flags[0].limit;
        assert!(limit > 0.6 && limit < 0.9, "{limit}");
        assert_eq!(classes.table(&[10, 11]).runs[1].accuracy[2], Some(0.96));
    }
}
