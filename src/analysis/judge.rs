//! The analysis itself: scores, distances and flags of each run, pairs, and the summary over runs.

use rayon::prelude::*;

use super::curves::MOST_LISTED;
use super::evidence::{Evidence, RawSeries};
use super::flags::{self, ByClass, Ground, Limits};
use super::independence::{Standing, independence, standings};
use super::input::Input;
use super::measured::{Effort, Measured};
use super::metrics::OfRun;
use super::numbers::{fixed, percent, thousands};
use super::schema::{
    Alone, Analysis, Checkpoint, ClassesRight, Curves, Multiplicity, Pair, PerClass, RashomonCapacity, Reliability,
    Run, SCHEMA, Settings, Source, Spread, Summary, Unflagged,
};
use super::summary::LEVEL;
use super::{alone, curves, kernels, reliability, summary, weights};
use crate::error::Result;
use crate::stats::churn::Votes;
use crate::stats::examples::Outcomes;
use crate::stats::logits::Real;
use crate::stats::rashomon::{self, Rashomon};
use crate::stats::{Logits, Margins, Pairs, alpha, alpha_hat, churn, margins, variance};

/// Margins of at least this size saturate: the authors of Banerjee 2025 set them to 0.
const SATURATED: f64 = 15.0;
/// Runs that ambiguity is rarefied to.
const RAREFIED: usize = 5;
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
        unflagged: findings.unflagged,
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
        limits: findings.limits,
        classes_right: findings.classes_right,
        margins: findings.margins,
        trimming: findings.trimming,
        reliability: findings.reliability,
        alone: findings.alone,
        training: curves::series(evidence.training, typical),
        recorded,
        kernel_training,
        kernels: kernels::banded(evidence.kernels, typical),
        other_kernels: kernels::banded(evidence.other_kernels, typical),
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
    unflagged: Option<Unflagged>,
    limits: Option<Limits>,
    classes_right: Option<ClassesRight>,
    margins: Option<Curves>,
    trimming: Option<Curves>,
    reliability: Option<Reliability>,
    alone: Vec<Alone>,
    notes: Vec<String>,
}

impl Findings {
    fn of<T: Real>(input: &Input<T>, distinct: &[usize], evidence: &Evidence, settings: &Settings) -> Result<Self> {
        let indices: Vec<u32> = distinct.iter().map(|&place| input.runs()[place].index).collect();
        let soft: Vec<Logits<'_, T>> =
            distinct.iter().map(|&place| input.soft(&input.runs()[place])).collect::<Result<_>>()?;
        let measured = Measured::of(&soft, &indices, evidence.kernels.last(), settings, Effort::Everything)?;
        let run = |(place, &index): (usize, &u32)| Run {
            name: evidence.name_of(index),
            ..Run::measured(index, &measured, place)
        };
        let mut found = Self {
            labels: input.labels().to_vec(),
            runs: indices.iter().enumerate().map(run).collect(),
            ..Self::default()
        };
        found.note_saturation(&measured.margins, settings);
        if measured.against.is_some() {
            found.compare(&measured, settings)?;
        } else {
            let note = "A single run has nothing to be compared with: churn, distances and levels need two.";
            found.notes.push(note.to_owned());
        }
        found.flag(&measured, &indices, evidence, settings)?;
        if let Some(against) = &measured.against {
            let rows = Margins::new(&measured.margins, soft.len(), input.examples())?;
            found.margins = Some(curves::margins(&rows, &against.ranking, &indices, &found.typical));
            found.trimming = Some(curves::trimming(&against.ranking, &indices, &found.typical));
        }
        found.alone = alone::alone(&measured, &indices);
        found.reliability = Some(reliability::reliability(&measured.calibration, &indices, &found.typical));
        summary::fill(&mut found.summary, &found.runs, settings)?;
        found.unflagged = unflagged(&found.runs, &measured, settings)?;
        found.decisions = measured.decisions;
        Ok(found)
    }

    /// Says how many of the margins are so large that they count as saturated, or were clipped.
    fn note_saturation(&mut self, values: &[f64], settings: &Settings) {
        if let Some(limit) = settings.analysis.clip {
            // Clipped margins stand at 0.
            let clipped = values.iter().filter(|&&margin| margin == 0.0).count() as f64 / values.len().max(1) as f64;
            let note =
                format!("Margins of at least {} were set to 0 (`clip`): {} of all.", fixed(limit, 0), percent(clipped));
            self.notes.push(note);
            // A jump that the threshold does not swallow.
            let delta = alpha_hat::threshold(self.labels.len(), settings.analysis.epsilon).unwrap_or(f64::INFINITY);
            if settings.analysis.literal && clipped > delta {
                self.notes.push(
                    "α̂ is that of the published protocol by the letter, whose reference is interpolated and cannot have so many equal \
                     margins: it is blind here. The exact α is not, nor is α̂ without `literal`."
                        .to_owned(),
                );
            }
            return;
        }
        let share = margins::share_beyond(values, SATURATED);
        if share > SATURATED_SHARE {
            self.notes.push(format!(
                "{} of all margins are {SATURATED} or more; the published protocol would set them to 0 (`--clip \
                 {SATURATED}`), here they count as they are.",
                percent(share)
            ));
        }
    }

    /// Everything that takes two runs at least.
    fn compare<T: Real>(&mut self, measured: &Measured<'_, T>, settings: &Settings) -> Result<()> {
        let (Some(against), soft) = (&measured.against, measured.soft) else { return Ok(()) };
        let full = against.hats.iter().filter(|hat| hat.at_ceiling > 0.0).count();
        if full > 0 {
            self.notes.push(format!(
                "For {full} of {} runs no level of α̂'s grid sufficed in some bootstraps; these count as 0.50 and read \
                 \"at least 0.50\".",
                against.hats.len()
            ));
        }
        self.delta_relative = Some(against.levels.delta_relative);
        if soft.len() <= MOST_LISTED {
            self.churn = Some(churn::pairwise(&measured.decisions)?);
            self.soft_churn = Some(churn::pairwise_soft(soft)?);
        } else {
            self.notes.push(format!(
                "Pairs of runs are not listed, nor are the curves of typical runs: there are {} runs, and they are up to {}; \
                 churn and distances of each run are over all others as ever.",
                thousands(soft.len()),
                thousands(MOST_LISTED)
            ));
        }
        let multiplicity = churn::multiplicity(&measured.decisions, &measured.votes);
        self.summary.mean_churn = Some(measured.votes.mean_churn());
        self.summary.ambiguity = Some(multiplicity.ambiguity);
        self.summary.discrepancy = Some(multiplicity.discrepancy);
        self.summary.multiplicity = Some(near_equal(measured)?);
        let Rashomon { mean, median, q90, q99, max, .. } = rashomon::rashomon(soft)?;
        self.summary.rashomon = Some(RashomonCapacity { mean, median, q90, q99, max });
        if self.labels.len() > 1 {
            let spread = variance::accuracy_variance(&measured.decisions, &self.labels)?;
            let share = spread.noise_share(LEVEL)?;
            self.summary.std_predicted_independent = Some(spread.std_predicted_independent);
            self.summary.std_distribution = Some(spread.std_distribution);
            self.spread = Some(Spread {
                std_observed: spread.std_observed,
                std_predicted_independent: spread.std_predicted_independent,
                std_distribution: spread.std_distribution,
                noise_share: share.map(|share| share.estimate),
                noise_share_low: share.map(|share| share.low),
                noise_share_high: share.map(|share| share.high),
                independent_p: share.map(|share| share.p),
            });
        }
        if soft.first().is_some_and(|soft| soft.classes() > 2) {
            self.per_class = alpha::one_vs_rest(soft, settings.analysis.epsilon)?
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
    fn flag<T: Real>(
        &mut self,
        measured: &Measured<'_, T>,
        indices: &[u32],
        evidence: &Evidence,
        settings: &Settings,
    ) -> Result<()> {
        let classes = ByClass::of(measured);
        let ground = Ground {
            noise: &measured.noise,
            classes: classes.as_ref(),
            class_names: &evidence.class_names,
            settings: &settings.flags,
        };
        let mut judged: Vec<&mut Run> = self.runs.iter_mut().collect();
        let judgement = flags::judge(&mut judged, &ground)?;
        self.limits = judgement.limits;
        self.notes.extend(judgement.remarks);
        self.classes_right = classes.filter(|_| indices.len() > 1).map(|classes| classes.table(indices));
        for run in &mut self.runs {
            if let Some(&(_, epoch)) = evidence.diverged.iter().find(|(index, _)| *index == run.run) {
                run.flags.insert(0, flags::diverged_loss(epoch));
            }
            if let Some(found) = evidence.related.iter().find(|found| found.run == run.run) {
                let other = evidence.name_of(found.to).unwrap_or_else(|| format!("run {}", found.to));
                run.flags.push(flags::related(&other, found.p, found.limit));
            }
        }
        let unflagged: Vec<u32> = self.runs.iter().filter(|run| !run.is_flagged()).map(|run| run.run).collect();
        self.typical = if unflagged.len() > 1 { unflagged } else { self.runs.iter().map(|run| run.run).collect() };
        Ok(())
    }
}

/// Headline numbers of the runs without a flag, where some have one and some have none.
fn unflagged<T: Real>(runs: &[Run], measured: &Measured<'_, T>, settings: &Settings) -> Result<Option<Unflagged>> {
    let places: Vec<usize> = (0..runs.len()).filter(|&place| !runs[place].is_flagged()).collect();
    if places.is_empty() || places.len() == runs.len() {
        return Ok(None);
    }
    let of = |value: OfRun| {
        let values: Vec<f64> = places.iter().filter_map(|&place| value(&runs[place])).collect();
        summary::estimate(&values, settings)
    };
    let rows: Vec<Vec<u32>> = places.iter().map(|&place| measured.decisions[place].clone()).collect();
    let churn = match rows.len() {
        1 => None,
        _ => Some(summary::estimate_of_pairs(&Votes::of(&rows)?.churn_of_runs(&rows), 0.0)?),
    };
    Ok(Some(Unflagged {
        runs: places.len(),
        accuracy: of(|run| run.accuracy)?,
        nll: of(|run| run.nll)?,
        ece: of(|run| run.ece)?,
        churn,
    }))
}

/// Multiplicity of the runs that nobody could tell apart by their loss, and of a stated number of runs.
fn near_equal<T: Real>(measured: &Measured<'_, T>) -> Result<Multiplicity> {
    let losses = || measured.scores.iter().map(|scores| scores.nll);
    let best =
        losses().enumerate().fold(0, |best, (place, loss)| if loss < measured.scores[best].nll { place } else { best });
    let error = measured.soft.get(best).map_or(0.0, |soft| Outcomes::of(soft).nll_error());
    let limit = measured.scores.get(best).map_or(f64::INFINITY, |scores| scores.nll) + error;
    let near: Vec<Vec<u32>> =
        losses().zip(&measured.decisions).filter(|(loss, _)| *loss <= limit).map(|(_, row)| row.clone()).collect();
    let ambiguity = match near.len() {
        0 | 1 => None,
        _ => Some(churn::multiplicity(&near, &Votes::of(&near)?).ambiguity),
    };
    Ok(Multiplicity {
        near_equal: near.len(),
        ambiguity_near_equal: ambiguity,
        rarefied_to: RAREFIED,
        ambiguity_rarefied: measured.votes.rarefied_ambiguity(RAREFIED),
    })
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
        let name = evidence.name_of(run.index);
        let empty = || Run { name: name.clone(), ..Run::empty(run.index) };
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
                let original = first.called();
                Run { run: run.index, name, flags: vec![flags::duplicate(&original, what)], ..first }
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
    if distinct.len() > MOST_LISTED {
        return Vec::new();
    }
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
    // A bit for each example that a run is wrong on.
    let word = |(decisions, labels): (&[u32], &[u32])| {
        let wrong = decisions.iter().zip(labels).map(|(d, y)| u64::from(d != y));
        wrong.enumerate().fold(0, |bits, (place, wrong)| bits | wrong << place)
    };
    let errors: Vec<Vec<u64>> =
        found.decisions.iter().map(|row| row.chunks(64).zip(found.labels.chunks(64)).map(word).collect()).collect();
    let wrong: Vec<u32> = errors.iter().map(|row| row.iter().map(|bits| bits.count_ones()).sum()).collect();
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
            let (errors, wrong, kernel, positions) = (&errors, &wrong, &kernel, &positions);
            let (a, at) = positions[first];
            positions[first + 1..].iter().map(move |&(b, bt)| {
                let both: u32 = errors[at].iter().zip(&errors[bt]).map(|(a, b)| (a & b).count_ones()).sum();
                let share = |before: usize| f64::from(wrong[before] - both) / found.labels.len() as f64;
                Pair {
                    a,
                    b,
                    churn: value(&found.churn, at, bt),
                    soft_churn: value(&found.soft_churn, at, bt),
                    win: share(at),
                    loss: share(bt),
                    cka: kernel(at, bt),
                }
            })
        })
        .collect()
}

/// The tables of the checkpoints as series over the epochs.
fn recorded(checkpoints: &[Checkpoint]) -> Vec<RawSeries> {
    curves::over_epochs(
        checkpoints.iter().map(|held| (held.epoch, held.runs.as_slice())).collect(),
        |row| row.run,
        &[
            ("accuracy", |row| row.accuracy),
            ("nll", |row| row.nll),
            ("ece", |row| row.ece),
            ("churn", |row| row.churn),
            ("ks", |row| row.ks),
            ("alpha", |row| row.alpha),
        ],
    )
}
