//! From measurements to tests, intervals and the verdict.

use super::margins::margins;
use super::measure::{Chosen, Measured, enough, measure};
use super::schema::{ChangedVote, Comparison, Finding, Good, Metric, Quantity, SCHEMA, Side, Verdict, Votes};
use super::{ChangedKey, Subject};
use crate::analysis::numbers::percent;
use crate::config;
use crate::error::{Error, Result};
use crate::stats::bootstrap::{Bootstrap, Interval};
use crate::stats::descriptive::mean;
use crate::stats::groups::Groups;
use crate::stats::logits::Real;
use crate::stats::permutation::{Permutation, difference_of_means, holm};
use crate::stats::{alpha, votes};

/// Divisions of a permutation test, and resamples of an interval, for sweeps of ordinary size.
const PERMUTATIONS: usize = 20_000;
const RESAMPLES: usize = 40_000;
/// Divisions that the number of changed votes is held against.
const VOTE_DIVISIONS: usize = 200;
/// Pairs of runs looked at by one permutation test, at most about: 1,000 against 1,000 runs take seconds.
const WORK: usize = 2_000_000_000;

/// How large a difference is let pass, in the unit of each quantity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tolerances {
    /// Of every quantity that has none of its own.
    pub all: f64,
    pub own: Vec<(Quantity, f64)>,
}

impl Tolerances {
    /// What holds for `quantity`; the last of its own counts.
    #[must_use]
    pub fn of(&self, quantity: Quantity) -> f64 {
        self.own.iter().rev().find(|held| held.0 == quantity).map_or(self.all, |held| held.1)
    }
}

/// How a comparison is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub epsilon: f64,
    pub clip: Option<f64>,
    /// Of all tests and intervals together, in (0, 1).
    pub confidence: f64,
    pub tolerances: Tolerances,
    /// Verdicts besides `same` that are not red.
    pub accepted: Vec<Verdict>,
    pub seed: u64,
}

/// Compares two sets of runs.
///
/// # Errors
/// [`Error::NotComparable`] when the terms differ; [`Error::Invalid`] for fewer than two distinct finite runs on a side or
/// settings out of range.
pub fn compare<T: Real>(baseline: &Subject<T>, candidate: &Subject<T>, settings: &Settings) -> Result<Comparison> {
    baseline.terms.check(&candidate.terms, &baseline.place, &candidate.place)?;
    if !(settings.confidence > 0.0 && settings.confidence < 1.0) {
        return Err(Error::Invalid(format!("the confidence is {}, but lies between 0 and 1", settings.confidence)));
    }
    let chosen = [Chosen::of(baseline), Chosen::of(candidate)];
    enough(baseline, &chosen[0])?;
    enough(candidate, &chosen[1])?;
    let measured = measure(baseline, candidate, [&chosen[0], &chosen[1]], settings.clip)?;
    let metrics = tested(&measured, settings)?;
    let verdict = verdict(&metrics);
    let votes = votes(&measured, baseline, settings)?;
    let sides = [side(baseline, &chosen[0]), side(candidate, &chosen[1])];
    let mut notes = [baseline.notes.clone(), candidate.notes.clone(), measured.notes.clone()].concat();
    notes.extend(caveats(&sides, [baseline, candidate], &measured, metrics.len(), settings));
    let [before, after] = sides;
    Ok(Comparison {
        schema: SCHEMA.to_owned(),
        verdict,
        red: verdict != Verdict::Same && !settings.accepted.contains(&verdict),
        baseline: before,
        candidate: after,
        examples: baseline.input.examples(),
        classes: baseline.input.classes(),
        epsilon: settings.epsilon,
        delta: alpha::threshold(baseline.input.examples(), settings.epsilon)?,
        confidence: settings.confidence,
        metrics,
        margins: margins(&measured.margins, measured.first, settings.epsilon)?,
        votes,
        kernel_probes: measured.probes,
        changed: changed(baseline, candidate),
        notes,
    })
}

/// A quantity before its finding: p-values are corrected only when all are known.
struct Tested {
    quantity: Quantity,
    baseline: f64,
    candidate: f64,
    between: Option<f64>,
    interval: Interval,
    test: Permutation,
    /// Of each side's runs.
    runs: [Vec<f64>; 2],
}

fn tested(measured: &Measured, settings: &Settings) -> Result<Vec<Metric>> {
    let within = measured.pairs.iter().filter(|(within, _, _)| within.is_some()).count();
    let count = measured.runs.len() + usize::from(measured.diverged.is_some()) + measured.pairs.len() + within;
    let (runs, seed) = (measured.decisions.len(), settings.seed);
    let bootstrap = Bootstrap { resamples: RESAMPLES, level: 1.0 - (1.0 - settings.confidence) / count as f64, seed };
    let permutations = PERMUTATIONS.min(WORK / (runs * runs)).max(999);
    let of_means = |quantity, before: &[f64], after: &[f64]| -> Result<Tested> {
        Ok(Tested {
            quantity,
            baseline: mean(before),
            candidate: mean(after),
            between: None,
            interval: bootstrap.two_samples(before, after, |a, b| mean(b) - mean(a))?,
            test: difference_of_means(before, after, permutations, seed)?,
            runs: [before.to_vec(), after.to_vec()],
        })
    };
    let mut all = Vec::new();
    for (quantity, values) in &measured.runs {
        let (before, after) = values.split_at(measured.first);
        all.push(of_means(*quantity, before, after)?);
    }
    if let Some((before, after)) = &measured.diverged {
        all.push(of_means(Quantity::Diverged, before, after)?);
    }
    for (within, between, distances) in &measured.pairs {
        let groups = Groups::new(distances, measured.first)?;
        let means = groups.means();
        let tested = |quantity, between, interval, test, runs| Tested {
            quantity,
            baseline: means.within_first,
            candidate: means.within_second,
            between,
            interval,
            test,
            runs,
        };
        if let Some(quantity) = within {
            let test = groups.test_change(permutations, seed)?;
            let mut own = groups.within_of_runs();
            let after = own.split_off(measured.first);
            all.push(tested(*quantity, None, groups.change(&bootstrap)?, test, [own, after]));
        }
        let test = groups.test_excess(permutations, seed)?;
        all.push(tested(*between, Some(means.between), groups.excess(&bootstrap)?, test, [Vec::new(), Vec::new()]));
    }
    let corrected = holm(&all.iter().map(|tested| tested.test.p).collect::<Vec<f64>>());
    let mut metrics: Vec<Metric> = all
        .into_iter()
        .zip(corrected)
        .map(|(tested, p_corrected)| {
            let Interval { estimate, low, high } = tested.interval;
            let [baseline_runs, candidate_runs] = tested.runs;
            let (good, tolerance) = (tested.quantity.good(), settings.tolerances.of(tested.quantity));
            Metric {
                metric: tested.quantity,
                baseline: tested.baseline,
                candidate: tested.candidate,
                between: tested.between,
                difference: estimate,
                low,
                high,
                p: tested.test.p,
                p_corrected,
                good,
                tolerance,
                finding: finding(tested.quantity, (low, high), p_corrected, tolerance, settings.confidence),
                baseline_runs,
                candidate_runs,
            }
        })
        .collect();
    metrics.sort_by_key(|metric| Quantity::ALL.iter().position(|quantity| *quantity == metric.metric));
    Ok(metrics)
}

/// A quantity differs where the corrected test and the simultaneous interval both say so.
fn finding(quantity: Quantity, (low, high): (f64, f64), p: f64, tolerance: f64, confidence: f64) -> Finding {
    // Sides that are closer to each other than to themselves have runs in common; they do not differ.
    let beyond = |by: f64| low > by || (high < -by && !quantity.is_excess());
    if p > 1.0 - confidence || !beyond(0.0) {
        return Finding::Same;
    }
    if !beyond(tolerance) {
        return Finding::Tolerated;
    }
    match quantity.good() {
        Good::Neither => Finding::Different,
        Good::Higher if low > 0.0 => Finding::Better,
        Good::Lower if high < 0.0 => Finding::Better,
        Good::Higher | Good::Lower => Finding::Worse,
    }
}

fn verdict(metrics: &[Metric]) -> Verdict {
    let any = |finding| metrics.iter().any(|metric| metric.finding == finding);
    match (any(Finding::Better), any(Finding::Worse), any(Finding::Different)) {
        (true, false, _) => Verdict::Better,
        (false, true, _) => Verdict::Worse,
        (true, true, _) | (false, false, true) => Verdict::Different,
        (false, false, false) => Verdict::Same,
    }
}

/// How many runs each of two equal sides needs before `tests` corrected tests can find anything at all.
#[must_use]
pub fn fewest_runs(tests: usize, confidence: f64) -> usize {
    let level = (1.0 - confidence) / tests.max(1) as f64;
    // Of the divisions of 2n runs into halves, two look alike to a two-sided test.
    let mut smallest = 1.0;
    (1..64)
        .find(|&n| {
            smallest *= n as f64 / (2.0 * (2.0 * n as f64 - 1.0));
            2.0 * smallest <= level
        })
        .unwrap_or(64)
}

fn votes<T: Real>(measured: &Measured, baseline: &Subject<T>, settings: &Settings) -> Result<Votes> {
    let (labels, classes) = (baseline.input.labels(), baseline.input.classes());
    let found = votes::changes(&measured.decisions, measured.first, classes, VOTE_DIVISIONS, settings.seed)?;
    let mut examples: Vec<ChangedVote> = found
        .changed
        .iter()
        .map(|change| ChangedVote {
            example: change.example,
            label: labels.get(change.example).copied().unwrap_or_default(),
            baseline: change.first,
            candidate: change.second,
            baseline_share: change.first_share,
            candidate_share: change.second_share,
        })
        .collect();
    let sure = |vote: &ChangedVote| vote.baseline_share.min(vote.candidate_share);
    examples.sort_by(|a, b| sure(b).total_cmp(&sure(a)).then(a.example.cmp(&b.example)));
    Ok(Votes {
        changed: examples.len(),
        gained: examples.iter().filter(|vote| vote.candidate == vote.label).count(),
        lost: examples.iter().filter(|vote| vote.baseline == vote.label).count(),
        expected: found.expected,
        p: found.p,
        examples,
    })
}

fn side<T: Real>(subject: &Subject<T>, chosen: &Chosen) -> Side {
    let indices = |places: &[usize]| places.iter().map(|&place| subject.input.runs()[place].index).collect();
    let swept = subject.sweep.as_ref();
    Side {
        name: subject.name.clone(),
        place: subject.place.clone(),
        experiment: swept.map(|sweep| sweep.experiment.hash()),
        epoch: swept.map(|sweep| sweep.epoch),
        started: swept.map(|sweep| sweep.started.clone()),
        runs: indices(&chosen.distinct),
        diverged: indices(&chosen.diverged),
        duplicates: indices(&chosen.duplicates),
        left_out: swept.map_or_else(Vec::new, |sweep| sweep.left_out.clone()),
    }
}

/// Keys in which the experiments differ, but for the name and the number of runs.
fn changed<T>(baseline: &Subject<T>, candidate: &Subject<T>) -> Vec<ChangedKey> {
    let (Some(before), Some(after)) = (&baseline.sweep, &candidate.sweep) else { return Vec::new() };
    let differences = config::diff(&before.experiment, &after.experiment).into_iter();
    differences.filter(|diff| !["name", "sweep.runs"].contains(&diff.key.as_str())).map(ChangedKey::from).collect()
}

/// What a reader should know before trusting the verdict.
fn caveats<T: Real>(
    sides: &[Side; 2],
    subjects: [&Subject<T>; 2],
    measured: &Measured,
    tests: usize,
    settings: &Settings,
) -> Vec<String> {
    let mut notes = Vec::new();
    let (before, after) = (sides[0].runs.len(), sides[1].runs.len());
    if measured.shared > 0 {
        notes.push(if measured.shared == after && before == after {
            "Every run of the candidate is bit-equal to a run of the baseline: the same seeds gave the same networks.".into()
        } else {
            format!(
                "{} of the candidate's {after} runs are bit-equal to runs of the baseline: the sides are not independent, and \
                 differences look smaller than they are.",
                measured.shared
            )
        });
    } else if let [Some(one), Some(other)] = subjects.map(|subject| subject.sweep.as_ref())
        && one.experiment.sweep.seed == other.experiment.sweep.seed
        && one.started != other.started
    {
        notes.push(format!(
            "Both sweeps draw from the root seed {}, so runs of the same index share their random streams: differences may look \
             smaller than they are. Give each sweep its own with `--set sweep.seed=…`.",
            one.experiment.sweep.seed
        ));
    }
    let fewest = fewest_runs(tests, settings.confidence);
    if before.min(after) < fewest {
        notes.push(format!(
            "With {before} and {after} runs, {tests} corrected tests can hardly find anything however different the sides are: take \
             {fewest} runs of each or more."
        ));
    }
    for side in sides {
        if !side.duplicates.is_empty() {
            notes.push(format!(
                "{} of the runs in {} only repeat another run bit for bit and were left out: their seeds were not independent.",
                side.duplicates.len(),
                side.place
            ));
        }
        for held in &side.left_out {
            notes.push(format!("Run {} of {} was left out: {}.", held.run, side.place, held.why));
        }
    }
    if let Some(clip) = settings.clip {
        let beyond = measured.margins.iter().flatten().filter(|margin| **margin == 0.0).count();
        let all: usize = measured.margins.iter().map(Vec::len).sum();
        notes.push(format!(
            "Margins of at least {clip} were set to 0 (`clip`): {} of all are 0.",
            percent(beyond as f64 / all.max(1) as f64)
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::Terms;
    use super::*;
    use crate::analysis::input::{Input, RunLogits};
    use crate::random::Random;

    const EXAMPLES: usize = 120;

    /// Runs that know the label but for noise of the example, of which each run has its own share; `sure` scales the label's
    /// logit.
    fn subject(seed: u64, runs: u32, sure: f64) -> Subject<f64> {
        let labels: Vec<u32> = (0..EXAMPLES as u32).map(|example| example % 3).collect();
        let runs = (0..runs)
            .map(|index| {
                let mut random = Random::from_parts(seed, "run", u64::from(index));
                let mut logits: Vec<f64> = (0..EXAMPLES * 3).map(|_| 2.0 * random.uniform()).collect();
                for (row, &label) in logits.chunks_exact_mut(3).zip(&labels) {
                    row[label as usize] += sure;
                }
                RunLogits { index, logits }
            })
            .collect();
        let input = Input::new(labels, 3, runs).unwrap();
        Subject {
            name: "made".into(),
            place: format!("seed {seed}"),
            terms: Terms::of_input(&input),
            input,
            sweep: None,
            notes: Vec::new(),
        }
    }

    fn settings() -> Settings {
        Settings {
            epsilon: 0.01,
            clip: None,
            confidence: 0.95,
            tolerances: Tolerances::default(),
            accepted: Vec::new(),
            seed: 0,
        }
    }

    #[test]
    fn how_few_runs_can_show_anything() {
        // 2/C(2n, n) against 0.05 of one test, of eleven: 2/70 at n = 4; 2/252 and 2/924 at n = 5 and 6.
        assert_eq!((fewest_runs(1, 0.95), fewest_runs(11, 0.95)), (4, 6));
        assert_eq!(fewest_runs(6, 0.95), 5);
    }

    #[test]
    fn a_finding_needs_both_test_and_interval() {
        let of = |quantity, interval, p, tolerance| finding(quantity, interval, p, tolerance, 0.95);
        assert_eq!(of(Quantity::Accuracy, (0.01, 0.03), 0.2, 0.0), Finding::Same);
        assert_eq!(of(Quantity::Accuracy, (-0.01, 0.03), 0.001, 0.0), Finding::Same);
        assert_eq!(of(Quantity::Accuracy, (0.01, 0.03), 0.001, 0.0), Finding::Better);
        assert_eq!(of(Quantity::Accuracy, (0.01, 0.03), 0.001, 0.02), Finding::Tolerated);
        assert_eq!(of(Quantity::Nll, (0.01, 0.03), 0.001, 0.0), Finding::Worse);
        assert_eq!(of(Quantity::Nll, (-0.03, -0.01), 0.001, 0.0), Finding::Better);
        assert_eq!(of(Quantity::MarginsBetween, (0.01, 0.03), 0.001, 0.0), Finding::Different);
        assert_eq!(of(Quantity::MarginsBetween, (-0.03, -0.01), 0.001, 0.0), Finding::Same, "sides that share runs");
        assert_eq!(of(Quantity::KernelsWithin, (-0.03, -0.01), 0.001, 0.0), Finding::Different);
    }

    #[test]
    fn one_process_is_the_same_and_another_is_not() {
        let baseline = subject(1, 8, 1.0);
        let same = compare(&baseline, &subject(2, 8, 1.0), &settings()).unwrap();
        assert_eq!((same.verdict, same.red), (Verdict::Same, false), "{:?}", same.metrics);
        assert_eq!(same.metrics.len(), 9, "no kernels, nobody diverged");
        // Right less often, but less sure of itself too: accuracy gets worse and calibration better.
        let worse = compare(&baseline, &subject(3, 8, 0.4), &settings()).unwrap();
        assert_eq!((worse.verdict, worse.red), (Verdict::Different, true), "{:?}", worse.metrics);
        assert_eq!(worse.metric(Quantity::Accuracy).unwrap().finding, Finding::Worse);
        assert_eq!(worse.metric(Quantity::Ece).unwrap().finding, Finding::Better);
        assert!(worse.metric(Quantity::Accuracy).unwrap().high < 0.0 && worse.margins.ks > same.margins.ks);
        let accepted = Settings { accepted: vec![Verdict::Different], ..settings() };
        assert!(!compare(&baseline, &subject(3, 8, 0.4), &accepted).unwrap().red);
        let order: Vec<Quantity> = worse.metrics.iter().map(|metric| metric.metric).collect();
        let expected: Vec<Quantity> = Quantity::ALL.into_iter().filter(|quantity| order.contains(quantity)).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn the_same_networks_are_named_and_diverged_ones_counted() {
        let baseline = subject(1, 8, 1.0);
        let again = compare(&baseline, &baseline, &settings()).unwrap();
        assert_eq!(again.verdict, Verdict::Same);
        assert!(again.notes.iter().any(|note| note.starts_with("Every run of the candidate is bit-equal")));
        let mut broken = subject(2, 16, 1.0);
        let runs = broken.input.runs().iter().map(|run| {
            let logits = if run.index < 8 { vec![f64::NAN; EXAMPLES * 3] } else { run.logits.clone() };
            RunLogits { index: run.index, logits }
        });
        broken.input = Input::new(broken.input.labels().to_vec(), 3, runs.collect()).unwrap();
        let found = compare(&subject(4, 16, 1.0), &broken, &settings()).unwrap();
        let diverged = found.metric(Quantity::Diverged).unwrap();
        assert_eq!((diverged.baseline, diverged.candidate, diverged.finding), (0.0, 0.5, Finding::Worse));
        assert_eq!((found.candidate.diverged.len(), found.candidate.runs.len()), (8, 8));
        assert!(compare(&subject(1, 1, 1.0), &baseline, &settings()).unwrap_err().to_string().contains("at least two"));
    }
}
