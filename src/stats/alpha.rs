//! The exact trimming level of every run against the pooled margins of the others.

use rayon::prelude::*;
use serde::Serialize;

use super::descriptive::median;
use super::logits::{Logits, Real, check_same};
use super::margins::{Margins, fill_class_margins, log_sums};
use super::ranking::Ranking;
use crate::error::{Error, Result};

/// How far one run's margins are from those of the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RunLevel {
    /// Kolmogorov–Smirnov distance to the pooled margins of the other runs, in [0, 1].
    pub ks: f64,
    /// Smallest share of the run's margins whose removal brings it within `delta`, in [0, 1].
    pub alpha: f64,
    /// The same within `delta_relative`.
    pub alpha_relative: f64,
}

/// The exact levels of all runs and the thresholds that they are for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Levels {
    /// √(ln(2/ε)/N).
    pub delta: f64,
    /// The larger of `delta` and the median over runs of their KS distance.
    pub delta_relative: f64,
    /// One entry per run, in order.
    pub runs: Vec<RunLevel>,
}

/// The threshold δ = √(ln(2/ε)/N) of the exact level.
///
/// # Errors
/// [`Error::Invalid`] unless 0 < ε < 1.
pub fn threshold(examples: usize, epsilon: f64) -> Result<f64> {
    Ok((confidence(epsilon)? / examples as f64).sqrt())
}

/// ln(2/ε), for 0 < ε < 1.
pub(super) fn confidence(epsilon: f64) -> Result<f64> {
    if epsilon > 0.0 && epsilon < 1.0 {
        Ok((2.0 / epsilon).ln())
    } else {
        Err(Error::Invalid(format!("epsilon is {epsilon}: it must lie between 0 and 1")))
    }
}

/// KS, `alpha` and `alpha_relative` of every run, leave-one-out, both ECDFs as steps (design, section 4).
///
/// # Errors
/// [`Error::Invalid`] unless 0 < ε < 1.
pub fn leave_one_out(ranking: &Ranking, epsilon: f64) -> Result<Levels> {
    let delta = threshold(ranking.examples(), epsilon)?;
    let (ks, alpha): (Vec<f64>, Vec<f64>) = ranking.map(|_, p| (p.ks(), p.level(delta))).into_iter().unzip();
    let delta_relative = delta.max(median(&ks));
    // A level at the larger threshold is no larger, so most need no second look.
    let alpha_relative = ranking.map(|m, p| if alpha[m] == 0.0 { 0.0 } else { p.level(delta_relative) });
    let runs = (0..ranking.runs())
        .map(|m| RunLevel { ks: ks[m], alpha: alpha[m], alpha_relative: alpha_relative[m] })
        .collect();
    Ok(Levels { delta, delta_relative, runs })
}

/// Margins of a class from which on its own work is divided among the threads.
const SHARED_OUT: usize = 1 << 16;
/// Classes whose levels are held at a time before they are divided by run.
const CLASSES: usize = 1 << 12;

/// One run's levels on the one-vs-rest margins of each class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassLevels {
    /// Exact level for each class, `[C]`.
    pub alpha: Vec<f64>,
    /// The class with the largest level; of those that tie the one with the largest KS distance, then the lowest.
    pub worst_class: usize,
    /// KS distance on that class.
    pub worst_ks: f64,
}

/// Exact levels on the one-vs-rest margins of each class, for every run, in order. One large class is ranked at a time.
///
/// # Errors
/// [`Error::Invalid`] for runs of different shape, fewer than two, non-finite logits, or ε outside (0, 1).
pub fn one_vs_rest<T: Real>(runs: &[Logits<'_, T>], epsilon: f64) -> Result<Vec<ClassLevels>> {
    check_same(runs)?;
    let (examples, classes) = (runs[0].examples(), runs[0].classes());
    let sums: Vec<Vec<(f64, f64)>> = runs.par_iter().map(log_sums).collect();
    let delta = threshold(examples, epsilon)?;
    let of_class = |class| {
        let mut margins = vec![0.0; runs.len() * examples];
        let rows = margins.par_chunks_mut(examples).zip(runs.par_iter().zip(&sums));
        rows.for_each(|(row, (run, sums))| fill_class_margins(run, class, sums, row));
        Margins::new(&margins, runs.len(), examples)?;
        // Level and KS distance of each run.
        Ok(Ranking::of(margins, examples)?.map(|_, plateaus| (plateaus.level(delta), plateaus.ks())))
    };
    let mut found: Vec<ClassLevels> = (0..runs.len())
        .map(|_| ClassLevels { alpha: Vec::with_capacity(classes), worst_class: 0, worst_ks: f64::NEG_INFINITY })
        .collect();
    for start in (0..classes).step_by(CLASSES) {
        let block = start..classes.min(start + CLASSES);
        // Large classes have work for every thread; many small ones are shared out.
        let by_class: Vec<Vec<(f64, f64)>> = match runs.len() * examples {
            SHARED_OUT.. => block.map(of_class).collect::<Result<_>>()?,
            _ => block.into_par_iter().map(of_class).collect::<Result<_>>()?,
        };
        for (class, levels) in (start..).zip(by_class) {
            for (found, (alpha, ks)) in found.iter_mut().zip(levels) {
                let worst = found.alpha.get(found.worst_class).copied().unwrap_or(0.0);
                if (alpha, ks) > (worst, found.worst_ks) {
                    (found.worst_class, found.worst_ks) = (class, ks);
                }
                found.alpha.push(alpha);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::{close, ensemble_cases};
    use super::super::margins::label_margins;
    use super::super::rng::Stream;
    use super::*;

    #[test]
    fn the_independent_cases() {
        for case in ensemble_cases() {
            let flat = case.flat();
            let margins: Vec<f64> = flat
                .iter()
                .flat_map(|z| label_margins(&Logits::new(z, &case.labels, case.classes()).unwrap()))
                .collect();
            let margins = Margins::new(&margins, flat.len(), case.labels.len()).unwrap();
            let levels = leave_one_out(&Ranking::new(&margins).unwrap(), case.epsilon).unwrap();
            assert!(close(levels.delta, case.delta, 1e-12));
            assert!(close(levels.delta_relative, case.delta_relative, 1e-9));
            for (ours, theirs) in levels.runs.iter().zip(&case.runs) {
                assert!(close(ours.ks, theirs.ks, 1e-9));
                assert!(close(ours.alpha, theirs.alpha, 1e-9));
                assert!(close(ours.alpha_relative, theirs.alpha_relative, 1e-9));
            }
        }
    }

    fn levels(values: &[f64], runs: usize, epsilon: f64) -> Levels {
        let margins = Margins::new(values, runs, values.len() / runs).unwrap();
        leave_one_out(&Ranking::new(&margins).unwrap(), epsilon).unwrap()
    }

    proptest! {
        #[test]
        fn orders_of_runs_and_examples_do_not_matter(
            values in proptest::collection::vec(-30i32..30, 5 * 40),
            seed in 0u64..1000,
        ) {
            // The last run lies apart, so that levels are not all zero.
            let rows: Vec<Vec<f64>> = values
                .chunks(40)
                .enumerate()
                .map(|(m, row)| row.iter().map(|&v| f64::from(v) + if m == 4 { 20.0 } else { 0.0 }).collect())
                .collect();
            let plain = levels(&rows.concat(), 5, 0.5);
            prop_assert!(plain.runs[4].alpha > 0.0);
            let mut order: Vec<usize> = (0..5).collect();
            let mut stream = Stream::new(seed, 0);
            stream.shuffle(&mut order);
            let mut examples: Vec<usize> = (0..40).collect();
            stream.shuffle(&mut examples);
            let shuffled: Vec<f64> = order.iter().flat_map(|&m| examples.iter().map(|&i| rows[m][i]).collect::<Vec<_>>()).collect();
            let other = levels(&shuffled, 5, 0.5);
            for (place, &m) in order.iter().enumerate() {
                prop_assert_eq!(other.runs[place], plain.runs[m]);
            }
            prop_assert_eq!(other.delta_relative, plain.delta_relative);
        }
    }

    #[test]
    fn a_shifted_run_is_found_and_healthy_runs_are_not() {
        let mut stream = Stream::new(1, 0);
        let mut values: Vec<f64> = (0..6 * 2000).map(|_| stream.uniform()).collect();
        values[3 * 2000..4 * 2000].iter_mut().for_each(|v| *v += 0.2);
        let l = levels(&values, 6, 0.01);
        for (m, run) in l.runs.iter().enumerate() {
            if m == 3 {
                assert!(run.alpha > 0.1 && run.alpha_relative > 0.1, "{run:?}");
            } else {
                // The shifted run is a fifth of their reference.
                assert!(run.alpha < 0.05 && run.alpha_relative < 0.05, "{run:?}");
            }
        }
    }

    #[test]
    fn the_worst_class_is_named() {
        let mut stream = Stream::new(2, 0);
        let labels = vec![0; 400];
        let mut runs: Vec<Vec<f64>> = (0..4).map(|_| (0..400 * 3).map(|_| stream.uniform()).collect()).collect();
        for row in runs[2].chunks_mut(3) {
            row[1] += 0.5;
        }
        let views: Vec<_> = runs.iter().map(|z| Logits::new(z, &labels, 3).unwrap()).collect();
        let classes = one_vs_rest(&views, 0.01).unwrap();
        assert_eq!(classes[2].worst_class, 1);
        assert!(classes[2].alpha[1] > classes[2].alpha[0].max(classes[2].alpha[2]), "{:?}", classes[2]);
        assert!(classes[0].alpha.iter().all(|&a| a < classes[2].alpha[1]));
    }

    #[test]
    fn epsilon_must_be_a_probability() {
        assert!(threshold(100, 0.0).is_err() && threshold(100, 1.0).is_err() && threshold(100, f64::NAN).is_err());
        assert!(close(threshold(10_000, 0.01).unwrap(), 0.023_018, 1e-6));
    }
}
