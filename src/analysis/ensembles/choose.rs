//! The strategies: each chooses on the selection half alone and is measured on the held-out half alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::super::evidence::Evidence;
use super::super::flags;
use super::super::metrics::Run;
use super::super::schema::{Estimate, Settings};
use super::halves::{Halves, Pool};
use super::{Options, Strategy, StrategyKind};
use crate::error::Result;
use crate::stats::bootstrap::{Bootstrap, Interval};
use crate::stats::ensemble::{self, mean_prediction};
use crate::stats::examples::{Outcome, Outcomes};
use crate::stats::logits::{Real, argmax, softmax_into};
use crate::stats::subsets::Subsets;
use crate::stats::{Logits, temperature};

/// Resamples of an interval over examples.
const RESAMPLES: usize = 2000;
/// Confidence of an interval.
const LEVEL: f64 = 0.95;

/// Runs chosen by one strategy, as places among the distinct runs.
pub struct Pick {
    kind: StrategyKind,
    members: Vec<usize>,
}

/// Scores, distances and flags of each run on the selection half alone. The kernels take no part: their probes lie in both
/// halves.
pub fn judged<T: Real>(
    selection: &[Logits<'_, T>],
    indices: &[u32],
    evidence: &Evidence,
    settings: &Settings,
) -> Result<Vec<Run>> {
    let mut runs = flags::judged(selection, indices, settings)?;
    for run in &mut runs {
        if let Some(&(_, epoch)) = evidence.diverged.iter().find(|(index, _)| *index == run.run) {
            run.flags.push(flags::diverged_loss(epoch));
        }
    }
    Ok(runs)
}

/// All runs in the order in which they join, and how many of them make the negative log-likelihood on the selection half
/// smallest.
pub fn greedy<T: Real>(selection: &[Logits<'_, T>], options: &Options) -> Result<(Vec<usize>, usize)> {
    let steps = ensemble::greedy(selection, selection.len(), options.combination)?;
    let best = (1..steps.len()).fold(0, |best, step| if steps[step].nll < steps[best].nll { step } else { best });
    Ok((steps.into_iter().map(|step| step.run).collect(), best + 1))
}

/// The run nearest to the ensemble of all: of the least mean squared distance of its probabilities from the mean ones.
pub fn nearest<T: Real>(selection: &[Logits<'_, T>]) -> usize {
    let classes = selection.first().map_or(0, Logits::classes);
    let mut distances = vec![0.0f64; selection.len()];
    let mut rows: Vec<_> = selection.iter().map(Logits::rows).collect();
    let mut p = vec![vec![0.0; classes]; selection.len()];
    loop {
        for (row, p) in rows.iter_mut().zip(&mut p) {
            let Some((logits, _)) = row.next() else {
                return (0..selection.len()).min_by(|&a, &b| distances[a].total_cmp(&distances[b])).unwrap_or(0);
            };
            softmax_into(logits, p);
        }
        for class in 0..classes {
            let mean = p.iter().map(|p| p[class]).sum::<f64>() / p.len() as f64;
            distances.iter_mut().zip(&p).for_each(|(held, p)| *held += (p[class] - mean).powi(2));
        }
    }
}

/// What ensembles make of the examples. Many halvings choose few different ensembles: each is computed once, on all examples.
pub struct Predictions<'a, T> {
    pool: &'a Pool<'a, T>,
    options: &'a Options,
    known: Mutex<HashMap<Vec<usize>, Outcomes>>,
}

impl<'a, T: Real> Predictions<'a, T> {
    /// Nothing is computed yet.
    pub fn new(pool: &'a Pool<'a, T>, options: &'a Options) -> Self {
        Self { pool, options, known: Mutex::default() }
    }

    /// What the ensemble of these `members` makes of the held-out half, and the temperature that was fitted to it on the
    /// selection half.
    fn of(&self, members: &[usize], halves: &Halves) -> Result<(Outcomes, Option<f64>)> {
        if self.options.temperature {
            return self.tempered(members, halves);
        }
        let mut sorted = members.to_vec();
        sorted.sort_unstable();
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&sorted) {
            return Ok((found.select(&halves.held_out.examples), None));
        }
        let found = outcomes(&self.pool.all()?, &sorted, self.options)?;
        let selected = found.select(&halves.held_out.examples);
        known().insert(sorted, found);
        Ok((selected, None))
    }

    fn tempered(&self, members: &[usize], halves: &Halves) -> Result<(Outcomes, Option<f64>)> {
        let (selection, held_out) = (self.pool.on(&halves.selection)?, self.pool.on(&halves.held_out)?);
        let fitted = mean_prediction(&selection, members, self.options.combination)?;
        let temperature = fitted_temperature(&wrap(&fitted, &selection)?)?;
        drop(fitted);
        let mean = mean_prediction(&held_out, members, self.options.combination)?;
        let scaled = temperature::scale(&wrap(&mean, &held_out)?, temperature.unwrap_or(1.0));
        Ok((Outcomes::of(&wrap(&scaled, &held_out)?), temperature))
    }

    /// The mean negative log-likelihood of what each strategy chose, on the held-out half.
    pub fn losses(&self, picks: &[Pick], halves: &Halves) -> Result<Vec<(StrategyKind, f64)>> {
        picks.iter().map(|pick| Ok((pick.kind, self.of(&pick.members, halves)?.0.mean_nll()))).collect()
    }

    /// The standard error over examples of the held-out negative log-likelihood of all runs together.
    pub fn error_of_all(&self, halves: &Halves) -> Result<f64> {
        let all: Vec<usize> = (0..self.pool.indices.len()).collect();
        Ok(self.of(&all, halves)?.0.nll_error())
    }

    /// The strategies with their numbers on the held-out half; `runs` are still places among the distinct runs.
    pub fn measured(&self, picks: &[Pick], halves: &Halves, settings: &Settings) -> Result<Vec<Strategy>> {
        let bootstrap = Bootstrap { resamples: RESAMPLES, level: LEVEL, seed: settings.analysis.seed };
        let found = picks.iter().map(|pick| self.of(&pick.members, halves)).collect::<Result<Vec<_>>>()?;
        let all = picks.iter().position(|pick| pick.kind == StrategyKind::All).and_then(|place| found.get(place));
        picks
            .iter()
            .zip(&found)
            .map(|(pick, (outcomes, temperature))| {
                let against = all.filter(|_| pick.kind != StrategyKind::All);
                let against = against.map(|(all, _)| outcomes.nll_difference(all, &bootstrap)).transpose()?;
                Ok(Strategy {
                    name: pick.kind,
                    runs: pick.members.iter().map(|&place| place as u32).collect(),
                    size: pick.members.len(),
                    temperature: *temperature,
                    accuracy: estimate(outcomes.accuracy(&bootstrap)?),
                    nll: estimate(outcomes.nll(&bootstrap)?),
                    ece: estimate(outcomes.ece(&bootstrap)?),
                    nll_against_all: against.map(estimate),
                })
            })
            .collect()
    }
}

/// What one ensemble makes of every example of `runs`.
fn outcomes<T: Real>(runs: &[Logits<'_, T>], members: &[usize], options: &Options) -> Result<Outcomes> {
    let chosen: Vec<Logits<'_, T>> = members.iter().map(|&place| runs[place]).collect();
    let mut subsets = Subsets::new(chosen.len());
    subsets.add(&(0..chosen.len()).collect::<Vec<_>>(), &[chosen.len()])?;
    let found = subsets.each(&chosen, options.combination, OUTCOME, write_outcome)?;
    Ok(read_outcomes(found.first().map_or(&[], Vec::as_slice)))
}

/// Numbers of an outcome.
pub const OUTCOME: usize = 3;

/// The outcome of an ensemble's logits as [`OUTCOME`] numbers.
pub fn write_outcome(logits: &[f64], label: usize, out: &mut [f64]) {
    let Outcome { hit, nll, confidence } = Outcome::of(logits, label);
    out.copy_from_slice(&[f64::from(u8::from(hit)), nll, confidence]);
}

/// What [`write_outcome`] wrote, example after example.
pub fn read_outcomes(values: &[f64]) -> Outcomes {
    let (triples, _) = values.as_chunks::<OUTCOME>();
    triples.iter().map(|&[hit, nll, confidence]| Outcome { hit: hit > 0.0, nll, confidence }).collect()
}

/// What each strategy but `random` chooses, `nearest` being the run of `single`; those that need a number take `size`.
pub fn picks(judged: &[Run], mut greedy: Vec<usize>, nearest: usize, size: usize) -> Vec<Pick> {
    greedy.truncate(size);
    let unflagged: Vec<usize> = (0..judged.len()).filter(|&place| !judged[place].is_flagged()).collect();
    // Sorting keeps the order of those that tie, so the lowest index comes first.
    let first_by = |key: &dyn Fn(&Run) -> (f64, f64)| {
        let mut order: Vec<usize> = (0..judged.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (key(&judged[a]), key(&judged[b]));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        order.truncate(size);
        order.sort_unstable();
        order
    };
    let or_last = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
    [
        (StrategyKind::All, (0..judged.len()).collect()),
        (StrategyKind::Unflagged, unflagged),
        (StrategyKind::BestAccuracy, first_by(&|run| (or_last(run.accuracy.map(|a| -a)), or_last(run.nll)))),
        (StrategyKind::LowestAlpha, first_by(&|run| (or_last(run.alpha), or_last(run.ks)))),
        (StrategyKind::Greedy, greedy),
        (StrategyKind::Single, vec![nearest]),
    ]
    .into_iter()
    .filter(|(_, members): &(_, Vec<usize>)| !members.is_empty())
    .map(|(kind, members)| Pick { kind, members })
    .collect()
}

fn estimate(interval: Interval) -> Estimate {
    Estimate {
        mean: interval.estimate,
        std: None,
        low: Some(interval.low),
        high: Some(interval.high),
        std_low: None,
        std_high: None,
    }
}

/// The temperature that fits best; none where every decision is right, since the colder the better would then go on without
/// end, and the first error elsewhere would cost as much.
pub fn fitted_temperature(logits: &Logits<'_, f64>) -> Result<Option<f64>> {
    let errors = logits.rows().filter(|&(row, y)| argmax(row) != y).count();
    if errors == 0 {
        return Ok(None);
    }
    Ok(Some(temperature::fit(logits)?.temperature))
}

/// Predictions as logits of the examples that `runs` were judged on.
pub fn wrap<'a, T: Real>(values: &'a [f64], runs: &[Logits<'a, T>]) -> Result<Logits<'a, f64>> {
    let (labels, classes) = runs.first().map_or((&[][..], 0), |first| (first.labels(), first.classes()));
    Logits::new(values, labels, classes)
}
