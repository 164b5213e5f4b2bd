//! Ensembles as numbers: the mean prediction of a set of runs, greedy selection, random subsets.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::logits::{Logits, Real, check_same, softmax_into};
use super::rng::Stream;
use crate::error::{Error, Result};

/// Below this a probability counts as this, so that logarithms stay finite.
const TINY: f64 = 1e-300;

/// What the members' predictions are averaged as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combination {
    /// The mean of the probabilities.
    #[default]
    Probabilities,
    /// The mean of the logits.
    Logits,
}

impl Combination {
    /// Writes what a run with the logits `row` `[C]` adds to the sum of an ensemble into `out` `[C]`.
    pub(super) fn term<T: Real>(self, row: &[T], out: &mut [f64]) {
        match self {
            Self::Probabilities => drop(softmax_into(row, out)),
            Self::Logits => out.iter_mut().zip(row).for_each(|(out, &z)| *out = z.into()),
        }
    }

    /// The logit of a class of which the terms of so many members add up to `sum`: the logarithm of the mean probability, of
    /// at least 1e-300, or the mean logit. NaN for no members.
    pub(super) fn logit(self, sum: f64, members: f64) -> f64 {
        match self {
            Self::Probabilities => (sum / members).max(TINY).ln(),
            Self::Logits => sum / members,
        }
    }
}

/// A mean prediction to which members are added one after the other; each subset of a random order costs one addition.
#[derive(Debug, Clone)]
pub struct Ensemble<'a> {
    combination: Combination,
    labels: &'a [u32],
    classes: usize,
    members: usize,
    /// Sums of probabilities or of logits, `[N, C]`.
    sums: Vec<f64>,
}

impl<'a> Ensemble<'a> {
    /// An ensemble of no members for the examples of `like`.
    #[must_use]
    pub fn new<T: Real>(combination: Combination, like: &Logits<'a, T>) -> Self {
        Self::of_examples(combination, like.labels(), like.classes())
    }

    /// An ensemble of no members for examples of these labels `[N]` and so many classes.
    #[must_use]
    pub fn of_examples(combination: Combination, labels: &'a [u32], classes: usize) -> Self {
        Self { combination, labels, classes, members: 0, sums: vec![0.0; labels.len() * classes] }
    }

    /// Adds one run to the mean.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its shape differs.
    pub fn add<T: Real>(&mut self, run: &Logits<'_, T>) -> Result<()> {
        if run.examples() != self.labels.len() || run.classes() != self.classes {
            return Err(Error::Invalid("a run of another shape cannot join an ensemble".into()));
        }
        let mut term = vec![0.0; self.classes];
        for (sums, (z, _)) in self.sums.chunks_exact_mut(self.classes).zip(run.rows()) {
            self.combination.term(z, &mut term);
            sums.iter_mut().zip(&term).for_each(|(sum, term)| *sum += term);
        }
        self.members += 1;
        Ok(())
    }

    /// The ensemble's prediction as logits `[N, C]`: logarithms of mean probabilities (of at least 1e-300) or mean logits. Wrap
    /// them with [`Logits::new`] to score them like a run. NaN for no members.
    #[must_use]
    pub fn logits(&self) -> Vec<f64> {
        let members = self.members as f64;
        self.sums.iter().map(|&sum| self.combination.logit(sum, members)).collect()
    }

    /// The labels that the ensemble is judged by.
    #[must_use]
    pub fn labels(&self) -> &'a [u32] {
        self.labels
    }
}

/// The mean prediction of `members` of `runs` as logits `[N, C]`; see [`Ensemble::logits`].
///
/// # Errors
/// [`Error::Invalid`] for no members, a member that does not exist, or runs of different shape.
pub fn mean_prediction<T: Real>(
    runs: &[Logits<'_, T>],
    members: &[usize],
    combination: Combination,
) -> Result<Vec<f64>> {
    check_same(runs)?;
    if members.is_empty() {
        return Err(Error::Invalid("an ensemble needs at least one member".into()));
    }
    let mut ensemble = Ensemble::new(combination, &runs[0]);
    for &m in members {
        let run =
            runs.get(m).ok_or_else(|| Error::Invalid(format!("run {m} is not one of the {} runs", runs.len())))?;
        ensemble.add(run)?;
    }
    Ok(ensemble.logits())
}

/// One step of greedy selection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Step {
    /// The run that joins.
    pub run: usize,
    /// NLL of the ensemble with it, in nats.
    pub nll: f64,
}

/// Greedy forward selection (Caruana 2004, without replacement as an ensemble is a set): at each step the run joins that makes
/// the ensemble's NLL smallest, the lowest of those that tie; up to `size` steps. The ensemble of K runs is the first K; the best
/// is where the NLL is smallest.
///
/// # Errors
/// [`Error::Invalid`] for no runs, runs of different shape or logits that are not finite.
pub fn greedy<T: Real>(runs: &[Logits<'_, T>], size: usize, combination: Combination) -> Result<Vec<Step>> {
    check_same(runs)?;
    if let Some(m) = runs.iter().position(|run| !run.is_finite()) {
        return Err(Error::Invalid(format!("run {m} has logits that are not finite: leave it out")));
    }
    match combination {
        Combination::Probabilities => {
            let (table, best) = label_probabilities(runs);
            Ok(forward(
                runs.len(),
                size,
                best.len(),
                |m, sums| sums.iter_mut().zip(&table[m]).for_each(|(sum, p)| *sum += p),
                |sums, joining, members| {
                    let each = sums.iter().zip(&table[joining]).zip(&best);
                    each.map(|((s, p), best)| -best - ((s + p) / members).max(TINY).ln()).sum::<f64>()
                        / best.len() as f64
                },
            ))
        }
        Combination::Logits => {
            let (examples, classes) = (runs[0].examples(), runs[0].classes());
            Ok(forward(
                runs.len(),
                size,
                examples * classes,
                |m, sums| {
                    let terms = runs[m].rows().flat_map(|(row, _)| row);
                    sums.iter_mut().zip(terms).for_each(|(sum, &z)| *sum += z.into());
                },
                |sums, joining, members| {
                    let (mut z, mut p) = (vec![0.0; classes], vec![0.0; classes]);
                    let rows = sums.chunks_exact(classes).zip(runs[joining].rows());
                    let nll = rows.map(|(sums, (row, y))| {
                        z.iter_mut().zip(sums).zip(row).for_each(|((z, s), &j)| *z = (s + j.into()) / members);
                        softmax_into(&z, &mut p) - z[y]
                    });
                    nll.sum::<f64>() / examples as f64
                },
            ))
        }
    }
}

/// The probability of the label, of each run on each example, as a share of the largest among the runs, `[M][N]`; and the
/// logarithm of that largest, `[N]`. Shares do not underflow where all runs are wrong.
fn label_probabilities<T: Real>(runs: &[Logits<'_, T>]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut table: Vec<Vec<f64>> = runs
        .par_iter()
        .map(|run| {
            let mut p = vec![0.0; run.classes()];
            run.rows().map(|(z, y)| z[y].into() - softmax_into(z, &mut p)).collect()
        })
        .collect();
    let best: Vec<f64> = (0..runs[0].examples())
        .map(|i| table.iter().map(|logs: &Vec<f64>| logs[i]).fold(f64::NEG_INFINITY, f64::max))
        .collect();
    for logs in &mut table {
        logs.iter_mut().zip(&best).for_each(|(l, best)| *l = (*l - best).exp());
    }
    (table, best)
}

/// Forward selection among `runs`: `add(m, sums)` adds a run to `width` sums, `nll(sums, joining, members)` judges.
fn forward(
    runs: usize,
    size: usize,
    width: usize,
    add: impl Fn(usize, &mut [f64]),
    nll: impl Fn(&[f64], usize, f64) -> f64 + Sync,
) -> Vec<Step> {
    let mut left: Vec<usize> = (0..runs).collect();
    let mut sums = vec![0.0; width];
    let mut steps = Vec::new();
    while steps.len() < size && !left.is_empty() {
        let members = (steps.len() + 1) as f64;
        let scores: Vec<f64> = left.par_iter().map(|&m| nll(&sums, m, members)).collect();
        let best = (1..left.len()).fold(0, |best, i| if scores[i] < scores[best] { i } else { best });
        let run = left.remove(best);
        add(run, &mut sums);
        steps.push(Step { run, nll: scores[best] });
    }
    steps
}

/// `count` random subsets of `size` of `runs` runs, each ascending.
///
/// # Errors
/// [`Error::Invalid`] if `size` is 0 or above `runs`.
pub fn random_subsets(runs: usize, size: usize, count: usize, seed: u64) -> Result<Vec<Vec<usize>>> {
    if size == 0 || size > runs {
        return Err(Error::Invalid(format!("an ensemble of {size} cannot be drawn from {runs} runs")));
    }
    Ok(random_orders(runs, count, seed)
        .into_iter()
        .map(|mut order| {
            order.truncate(size);
            order.sort_unstable();
            order
        })
        .collect())
}

/// `count` random orders of `runs` runs; the first K of each are a random subset of K, for every K at once.
#[must_use]
pub fn random_orders(runs: usize, count: usize, seed: u64) -> Vec<Vec<usize>> {
    (0..count)
        .map(|i| {
            let mut order: Vec<usize> = (0..runs).collect();
            Stream::new(seed, i as u64).shuffle(&mut order);
            order
        })
        .collect()
}

/// Divides the examples into a selection half (true) and a half that numbers are quoted on (false), class by class at random, so
/// that both have the classes alike; the halves differ by at most one example.
#[must_use]
pub fn selection_half(labels: &[u32], seed: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    Stream::new(seed, 0).shuffle(&mut order);
    order.sort_by_key(|&i| labels[i]);
    let mut half = vec![false; labels.len()];
    order.iter().step_by(2).for_each(|&i| half[i] = true);
    half
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::super::logits::argmax;
    use super::super::scores::scores;
    use super::*;

    fn random_runs(runs: usize, labels: &[u32], classes: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut stream = Stream::new(seed, 0);
        (0..runs)
            .map(|_| {
                let skill = 3.0 * stream.uniform();
                let row = |y: &u32| {
                    let noise = (0..classes as u32).map(|c| 4.0 * stream.uniform() + if c == *y { skill } else { 0.0 });
                    noise.collect::<Vec<_>>()
                };
                labels.iter().flat_map(row).collect()
            })
            .collect()
    }

    #[test]
    fn means_by_hand() {
        let (a, b) = ([3f64.ln(), 0.0], [0.0, 0.0]);
        let runs = [&a, &b].map(|z| Logits::new(z.as_slice(), &[0], 2).unwrap());
        let p = mean_prediction(&runs, &[0, 1], Combination::Probabilities).unwrap();
        assert!(close(p[0].exp(), 0.625, 1e-15) && close(p[1].exp(), 0.375, 1e-15));
        let z = mean_prediction(&runs, &[0, 1], Combination::Logits).unwrap();
        assert!(close(z[0], 0.5 * 3f64.ln(), 1e-15) && z[1] == 0.0);
        assert!(mean_prediction(&runs, &[], Combination::Logits).is_err());
        assert!(mean_prediction(&runs, &[2], Combination::Logits).is_err());
    }

    #[test]
    fn an_ensemble_of_one_is_the_run() {
        let z = [5.0f32, -800.0, 900.0, 1.0, 2.0, 3.0];
        let run = Logits::new(&z, &[2, 1], 3).unwrap();
        let labels = [2, 1];
        for combination in [Combination::Probabilities, Combination::Logits] {
            let mean = mean_prediction(&[run], &[0], combination).unwrap();
            let (a, b) = (scores(&run), scores(&Logits::new(&mean, &labels, 3).unwrap()));
            assert!(a.accuracy == b.accuracy && close(a.nll, b.nll, 1e-12) && close(a.brier, b.brier, 1e-12));
            assert_eq!(argmax(&mean[..3]), 2);
        }
    }

    #[test]
    fn greedy_takes_the_best_each_time() {
        let labels: Vec<u32> = (0..60).map(|i| i % 3).collect();
        let runs = random_runs(6, &labels, 3, 1);
        let runs: Vec<_> = runs.iter().map(|z| Logits::new(z, &labels, 3).unwrap()).collect();
        for combination in [Combination::Probabilities, Combination::Logits] {
            let steps = greedy(&runs, 6, combination).unwrap();
            let mut members = Vec::new();
            for step in &steps {
                let nll = |m: usize| {
                    let z = mean_prediction(&runs, &[members.as_slice(), &[m]].concat(), combination).unwrap();
                    scores(&Logits::new(&z, &labels, 3).unwrap()).nll
                };
                let best = (0..6).filter(|m| !members.contains(m)).min_by(|&a, &b| nll(a).total_cmp(&nll(b))).unwrap();
                assert_eq!(step.run, best);
                assert!(close(step.nll, nll(best), 1e-12));
                members.push(step.run);
            }
            assert_eq!(greedy(&runs, 2, combination).unwrap(), steps[..2]);
        }
    }

    #[test]
    fn greedy_survives_certainty_about_the_wrong_class() {
        let (a, b) = ([0.0f32, 5000.0], [0.0f32, 4000.0]);
        let runs = [&a, &b].map(|z| Logits::new(z.as_slice(), &[0], 2).unwrap());
        let steps = greedy(&runs, 2, Combination::Probabilities).unwrap();
        assert_eq!(steps[0], Step { run: 1, nll: 4000.0 });
        assert!(close(steps[1].nll, 4000.0 + 2f64.ln(), 1e-9));
        assert!(greedy(&[Logits::new(&[f32::NAN, 0.0], &[0], 2).unwrap()], 1, Combination::Logits).is_err());
    }

    #[test]
    fn subsets_are_subsets() {
        for subset in random_subsets(9, 4, 50, 1).unwrap() {
            assert!(subset.len() == 4 && subset.windows(2).all(|w| w[0] < w[1]) && subset[3] < 9);
        }
        assert!(random_subsets(3, 4, 1, 1).is_err() && random_subsets(3, 0, 1, 1).is_err());
        assert_ne!(random_orders(20, 2, 1)[0], random_orders(20, 2, 1)[1]);
    }

    #[test]
    fn halves_have_the_classes_alike() {
        let labels: Vec<u32> = (0..101).map(|i| i % 4).collect();
        let half = selection_half(&labels, 3);
        assert_eq!(half.iter().filter(|&&h| h).count(), 51);
        for class in 0..4 {
            let of = |side: bool| labels.iter().zip(&half).filter(|&(&y, &h)| y == class && h == side).count();
            assert!(of(true).abs_diff(of(false)) <= 1);
        }
        assert_ne!(half, selection_half(&labels, 4));
    }
}
