//! The analysis itself: scores, distances and flags of each run, pairs, and the summary over runs.

use rayon::prelude::*;

use super::evidence::{Evidence, RawSeries};
use super::independence::{Standing, independence, standings};
use super::input::Input;
use super::numbers::{fixed, percent};
use super::schema::{
    Alone, Analysis, Checkpoint, Pair, PerClass, RashomonCapacity, Reliability, Run, SCHEMA, Settings, Source, Spread,
    Summary,
};
use super::summary::{estimate, estimate_of_pairs};
use super::{alone, curves, flags, kernels, reliability, weights};
use crate::config::Reference;
use crate::error::Result;
use crate::stats::alpha_hat::{self, AlphaHat, Protocol};
use crate::stats::calibration::{BINS, Calibration, calibration};
use crate::stats::logits::Real;
use crate::stats::rashomon::{self, Rashomon};
use crate::stats::scores::{Scores, scores};
use crate::stats::{Logits, Margins, Pairs, Ranking, alpha, churn, margins, variance, wasserstein};

/// Margins of at least this size saturate: the authors of Banerjee 2025 set them to 0.
const SATURATED: f64 = 15.0;
/// A larger share of saturated margins is worth a note.
const SATURATED_SHARE: f64 = 0.01;

/// Everything that can be said about the runs of `input`, with what else is known of them.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for settings out of range (ε outside (0, 1), no bootstraps).
pub fn analyze<T: Real>(input: &Input<T>, evidence: Evidence, settings: Settings) -> Result<Analysis> {
    let standings = standings(input, &evidence);
    let distinct: Vec<usize> = (0..standings.len()).filter(|&place| standings[place] == Standing::Distinct).collect();
    let delta = alpha::threshold(input.examples(), settings.analysis.epsilon)?;
    let independence = independence(input, &standings);
    let findings =
        if distinct.is_empty() { Findings::default() } else { Findings::of(input, &distinct, &evidence, &settings)? };
    let runs = all_runs(input, &standings, &distinct, &findings.runs, &evidence);
    let pairs = all_pairs(input, &standings, &distinct, &findings, &evidence);
    let mut notes = evidence.notes;
    notes.extend(findings.notes);
    let typical = &findings.typical;
    let recorded = curves::series(recorded(&evidence.checkpoints), typical);
    let kernel_training = curves::series(kernels::series(&evidence.kernels), typical);
    Ok(Analysis {
        schema: SCHEMA.to_owned(),
        examples: input.examples(),
        classes: input.classes(),
        epsilon: settings.analysis.epsilon,
        delta,
        delta_relative: findings.delta_relative,
        runs,
        pairs,
        summary: findings.summary,
        source: Source {
            name: evidence.name,
            experiment: evidence.experiment,
            epoch: evidence.epoch,
            class_names: evidence.class_names,
            facts: evidence.facts,
            left_out: evidence.left_out,
        },
        settings,
        independence,
        notes,
        per_class: findings.per_class,
        spread: findings.spread,
        margins: findings.margins,
        trimming: findings.trimming,
        reliability: findings.reliability,
        alone: findings.alone,
        training: curves::series(evidence.training, typical),
        recorded,
        kernel_training,
        kernels: kernels::banded(evidence.kernels, typical),
        weight_spectra: weights::judged(evidence.weight_spectra, typical),
        checkpoints: evidence.checkpoints,
        ensembles: None,
        tuning: None,
    })
}

/// What was found about the distinct runs.
#[derive(Default)]
struct Findings {
    /// Of the distinct runs, in order, with their flags.
    runs: Vec<Run>,
    churn: Option<Pairs>,
    soft_churn: Option<Pairs>,
    decisions: Vec<Vec<u32>>,
    labels: Vec<u32>,
    delta_relative: Option<f64>,
    summary: Summary,
    typical: Vec<u32>,
    per_class: Vec<PerClass>,
    spread: Option<Spread>,
    margins: Option<super::schema::Curves>,
    trimming: Option<super::schema::Curves>,
    reliability: Option<Reliability>,
    alone: Vec<Alone>,
    notes: Vec<String>,
}

impl Findings {
    fn of<T: Real>(input: &Input<T>, distinct: &[usize], evidence: &Evidence, settings: &Settings) -> Result<Self> {
        let indices: Vec<u32> = distinct.iter().map(|&place| input.runs()[place].index).collect();
        let soft: Vec<Logits<'_, T>> =
            distinct.iter().map(|&place| input.soft(&input.runs()[place])).collect::<Result<_>>()?;
        let scores: Vec<Scores> = soft.par_iter().map(scores).collect();
        let tables: Vec<Calibration> = soft.par_iter().map(|soft| calibration(soft, BINS)).collect();
        let decisions: Vec<Vec<u32>> = soft.par_iter().map(churn::decisions).collect();
        let mut found = Self { labels: input.labels().to_vec(), ..Self::default() };
        found.runs = indices
            .iter()
            .zip(&scores)
            .zip(&tables)
            .map(|((&index, scores), table)| Run {
                accuracy: Some(scores.accuracy),
                nll: Some(scores.nll),
                brier: Some(scores.brier),
                ece: Some(table.ece),
                ece_adaptive: Some(table.ece_adaptive),
                ece_classwise: Some(table.ece_classwise),
                ..Run::empty(index)
            })
            .collect();
        let values = found.margin_values(&soft, settings);
        if soft.len() > 1 {
            let rows = Margins::new(&values, soft.len(), input.examples())?;
            let ranking = Ranking::new(&rows)?;
            found.compare(&soft, &decisions, &rows, &ranking, settings)?;
            found.flag(evidence, settings);
            found.margins = Some(curves::margins(&rows, &ranking, &indices, &found.typical));
            found.trimming = Some(curves::trimming(&ranking, &indices, &found.typical));
        } else {
            found.flag(evidence, settings);
            found
                .notes
                .push("A single run has nothing to be compared with: churn, distances and levels need two.".into());
        }
        found.alone = alone::alone(&soft, &decisions, &indices);
        found.reliability = Some(reliability::reliability(&tables, &indices, &found.typical));
        found.decisions = decisions;
        found.summarise(settings)?;
        Ok(found)
    }

    /// Margins of all runs, one after the other, clipped if so set.
    fn margin_values<T: Real>(&mut self, soft: &[Logits<'_, T>], settings: &Settings) -> Vec<f64> {
        let rows: Vec<Vec<f64>> = soft.par_iter().map(margins::label_margins).collect();
        let mut values = rows.concat();
        let share = margins::share_beyond(&values, SATURATED);
        if let Some(limit) = settings.analysis.clip {
            let clipped = margins::share_beyond(&values, limit);
            margins::clip(&mut values, limit);
            self.notes.push(format!(
                "Margins of at least {} were set to 0 (`clip`): {} of all.",
                fixed(limit, 0),
                percent(clipped)
            ));
        } else if share > SATURATED_SHARE {
            self.notes.push(format!(
                "{} of all margins are {SATURATED} or more; the published protocol would set them to 0 (`--clip \
                 {SATURATED}`), here they count as they are.",
                percent(share)
            ));
        }
        values
    }

    /// Everything that takes two runs at least.
    fn compare<T: Real>(
        &mut self,
        soft: &[Logits<'_, T>],
        decisions: &[Vec<u32>],
        rows: &Margins<'_>,
        ranking: &Ranking,
        settings: &Settings,
    ) -> Result<()> {
        let epsilon = settings.analysis.epsilon;
        let levels = alpha::leave_one_out(ranking, epsilon)?;
        let hats = alpha_hats(rows, ranking, settings)?;
        let areas = wasserstein::leave_one_out(ranking);
        let churn = churn::pairwise(decisions)?;
        for ((((run, level), hat), area), churn) in
            self.runs.iter_mut().zip(&levels.runs).zip(&hats).zip(areas).zip(churn.run_means())
        {
            run.churn = Some(churn);
            run.ks = Some(level.ks);
            run.alpha = Some(level.alpha);
            run.alpha_relative = Some(level.alpha_relative);
            run.alpha_hat = Some(hat.mean);
            run.alpha_hat_low = Some(hat.low);
            run.alpha_hat_high = Some(hat.high);
            run.wasserstein = Some(area);
        }
        let full = hats.iter().filter(|hat| hat.at_ceiling > 0.0).count();
        if full > 0 {
            self.notes.push(format!(
                "For {full} of {} runs no level of α̂'s grid sufficed in some bootstraps; these count as 0.50 and read \
                 \"at least 0.50\".",
                hats.len()
            ));
        }
        self.delta_relative = Some(levels.delta_relative);
        self.soft_churn = Some(churn::pairwise_soft(soft)?);
        let multiplicity = churn::multiplicity(decisions)?;
        self.summary.mean_churn = Some(churn.mean());
        self.summary.ambiguity = Some(multiplicity.ambiguity);
        self.summary.discrepancy = Some(multiplicity.discrepancy);
        let Rashomon { mean, median, q90, q99, max, .. } = rashomon::rashomon(soft)?;
        self.summary.rashomon = Some(RashomonCapacity { mean, median, q90, q99, max });
        self.summary.churn = Some(estimate_of_pairs(&churn, settings)?);
        if self.labels.len() > 1 {
            let spread = variance::accuracy_variance(decisions, &self.labels)?;
            self.summary.std_predicted_independent = Some(spread.std_predicted_independent);
            self.summary.std_distribution = Some(spread.std_distribution);
            let observed = spread.std_observed * spread.std_observed;
            self.spread = Some(Spread {
                std_observed: spread.std_observed,
                std_predicted_independent: spread.std_predicted_independent,
                std_distribution: spread.std_distribution,
                noise_share: (observed > 0.0).then(|| (1.0 - spread.variance_distribution / observed).clamp(0.0, 1.0)),
            });
        }
        self.churn = Some(churn);
        if soft.first().is_some_and(|soft| soft.classes() > 2) {
            self.per_class = alpha::one_vs_rest(soft, epsilon)?
                .into_iter()
                .zip(&self.runs)
                .map(|(levels, run)| PerClass {
                    run: run.run,
                    worst_alpha: levels.alpha.get(levels.worst_class).copied().unwrap_or(0.0),
                    worst_class: levels.worst_class as u32,
                    worst_ks: levels.worst_ks,
                    alpha: levels.alpha,
                })
                .collect();
        }
        Ok(())
    }

    /// Flags of the distinct runs, and which of them are typical.
    fn flag(&mut self, evidence: &Evidence, settings: &Settings) {
        let kernels: Option<Vec<f64>> = evidence.kernels.last().and_then(|last| {
            let of = |run: u32| last.runs.iter().find(|held| held.run == run)?.mean_cka;
            self.runs.iter().map(|run| of(run.run)).collect()
        });
        let mut judged: Vec<&mut Run> = self.runs.iter_mut().collect();
        flags::judge(&mut judged, kernels.as_deref(), &settings.flags);
        for run in &mut self.runs {
            if let Some(&(_, epoch)) = evidence.diverged.iter().find(|(index, _)| *index == run.run) {
                run.flags.insert(0, flags::diverged_loss(epoch));
            }
        }
        let unflagged: Vec<u32> = self.runs.iter().filter(|run| !run.is_flagged()).map(|run| run.run).collect();
        self.typical = if unflagged.len() > 1 { unflagged } else { self.runs.iter().map(|run| run.run).collect() };
    }

    fn summarise(&mut self, settings: &Settings) -> Result<()> {
        let of = |value: fn(&Run) -> Option<f64>| {
            let values: Option<Vec<f64>> = self.runs.iter().map(value).collect();
            values.map(|values| estimate(&values, settings)).transpose()
        };
        self.summary = Summary {
            accuracy: of(|run| run.accuracy)?,
            nll: of(|run| run.nll)?,
            brier: of(|run| run.brier)?,
            ece: of(|run| run.ece)?,
            ece_adaptive: of(|run| run.ece_adaptive)?,
            ece_classwise: of(|run| run.ece_classwise)?,
            alpha: of(|run| run.alpha)?,
            alpha_relative: of(|run| run.alpha_relative)?,
            alpha_hat: of(|run| run.alpha_hat)?,
            ks: of(|run| run.ks)?,
            wasserstein: of(|run| run.wasserstein)?,
            ..self.summary.clone()
        };
        Ok(())
    }
}

fn alpha_hats(rows: &Margins<'_>, ranking: &Ranking, settings: &Settings) -> Result<Vec<AlphaHat>> {
    let protocol = Protocol {
        epsilon: settings.analysis.epsilon,
        bootstraps: settings.analysis.bootstraps,
        seed: settings.analysis.seed,
    };
    match settings.analysis.reference {
        Reference::LeaveOneOut => alpha_hat::leave_one_out(ranking, &protocol),
        Reference::SplitHalf => {
            let halves = alpha_hat::random_halves(rows.runs(), protocol.seed);
            alpha_hat::split_half(rows, &halves, &protocol)
        }
    }
}

/// Distinct runs as they were found, diverged ones empty, repeated ones with their original's numbers.
fn all_runs<T: Real>(
    input: &Input<T>,
    standings: &[Standing],
    distinct: &[usize],
    found: &[Run],
    evidence: &Evidence,
) -> Vec<Run> {
    let at = |place: usize| distinct.binary_search(&place).ok().and_then(|position| found.get(position));
    let runs = input.runs().iter().zip(standings).enumerate();
    runs.map(|(place, (run, standing))| {
        let empty = || Run::empty(run.index);
        match *standing {
            Standing::Distinct => at(place).cloned().unwrap_or_else(empty),
            Standing::Diverged(count) => {
                let loss = evidence.diverged.iter().find(|(index, _)| *index == run.index);
                let flag =
                    loss.map_or_else(|| flags::diverged_logits(count), |&(_, epoch)| flags::diverged_loss(epoch));
                Run { flags: vec![flag], ..empty() }
            }
            Standing::Repeats { original, weights } => {
                let first = at(original).cloned().unwrap_or_else(empty);
                let what = if weights { "weights" } else { "soft decisions" };
                Run { run: run.index, flags: vec![flags::duplicate(first.run, what)], ..first }
            }
        }
    })
    .collect()
}

/// Every two finite runs; what repeats another run has its original's pairs, and no churn with it.
fn all_pairs<T: Real>(
    input: &Input<T>,
    standings: &[Standing],
    distinct: &[usize],
    found: &Findings,
    evidence: &Evidence,
) -> Vec<Pair> {
    // The position among the distinct runs that each finite run stands at.
    let positions: Vec<(u32, usize)> = standings
        .iter()
        .enumerate()
        .filter_map(|(place, standing)| {
            let original = match *standing {
                Standing::Distinct => place,
                Standing::Repeats { original, .. } => original,
                Standing::Diverged(_) => return None,
            };
            Some((input.runs()[place].index, distinct.binary_search(&original).ok()?))
        })
        .collect();
    let wrong = |position: usize| {
        found.decisions.get(position).into_iter().flat_map(|row| row.iter().zip(&found.labels).map(|(d, y)| d != y))
    };
    let errors: Vec<Vec<bool>> = (0..found.decisions.len()).map(|position| wrong(position).collect()).collect();
    let aligned = kernels::pair_index(&evidence.kernel_pairs);
    let kernel = |a: usize, b: usize| {
        let run = |position: usize| found.runs.get(position).map(|run| run.run);
        if a == b {
            Some(1.0).filter(|_| !aligned.is_empty())
        } else {
            aligned.get(&(run(a.min(b))?, run(a.max(b))?)).copied()
        }
    };
    let value = |pairs: &Option<Pairs>, a: usize, b: usize| match pairs {
        Some(pairs) if a != b => pairs.get(a, b),
        _ => 0.0,
    };
    (0..positions.len())
        .into_par_iter()
        .flat_map_iter(|first| {
            let (errors, kernel, positions) = (&errors, &kernel, &positions);
            let (a, at) = positions[first];
            positions[first + 1..].iter().map(move |&(b, bt)| {
                let share = |before: usize, after: usize| {
                    let turned =
                        errors[before].iter().zip(&errors[after]).filter(|&(&before, &after)| before && !after);
                    turned.count() as f64 / found.labels.len() as f64
                };
                Pair {
                    a,
                    b,
                    churn: value(&found.churn, at, bt),
                    soft_churn: value(&found.soft_churn, at, bt),
                    win: share(at, bt),
                    loss: share(bt, at),
                    cka: kernel(at, bt),
                }
            })
        })
        .collect()
}

/// The tables of the checkpoints as series over the epochs.
fn recorded(checkpoints: &[Checkpoint]) -> Vec<RawSeries> {
    type Value = fn(&super::schema::CheckpointRun) -> Option<f64>;
    const QUANTITIES: [(&str, Value); 6] = [
        ("accuracy", |run| run.accuracy),
        ("nll", |run| run.nll),
        ("ece", |run| run.ece),
        ("churn", |run| run.churn),
        ("ks", |run| run.ks),
        ("alpha", |run| run.alpha),
    ];
    let mut runs: Vec<u32> = checkpoints.iter().flat_map(|held| held.runs.iter().map(|run| run.run)).collect();
    runs.sort_unstable();
    runs.dedup();
    QUANTITIES
        .iter()
        .filter(|_| !checkpoints.is_empty())
        .map(|(name, value)| RawSeries {
            name: (*name).to_owned(),
            x: checkpoints.iter().map(|held| held.epoch as f64).collect(),
            runs: runs
                .iter()
                .map(|&run| {
                    let at = |held: &Checkpoint| held.runs.iter().find(|row| row.run == run).and_then(value);
                    (run, checkpoints.iter().map(at).collect())
                })
                .collect(),
        })
        .collect()
}
