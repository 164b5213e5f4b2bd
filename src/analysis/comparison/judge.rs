//! From measurements to tests, intervals and the verdict.

use super::margins::margins;
use super::measure::{Chosen, Measured, enough, measure};
use super::schema::{
    ChangedVote, Claim, ClaimFound, Comparison, Decision, Quantity, SCHEMA, Side, Unit, Verdict, Votes,
};
use super::tested::{self, Tested};
use super::verdict::{decision, verdict};
use super::{ChangedKey, Subject, examples};
use crate::analysis::metrics::Better;
use crate::analysis::numbers::{percent, significant};
use crate::config::{self, Augment, Stream};
use crate::error::{Error, Result};
use crate::stats::logits::Real;
use crate::stats::{alpha, power, votes};

/// Divisions that the number of changed votes is held against.
const VOTE_DIVISIONS: usize = 200;

/// How large a difference is let pass, in the unit of each quantity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tolerances {
    /// Of every quantity that has none of its own.
    pub all: Option<f64>,
    /// Changes of single quantities that do not matter, in their units.
    pub own: Vec<(Quantity, f64)>,
}

impl Tolerances {
    /// What the user stated for `quantity`; the last of its own counts.
    #[must_use]
    pub fn of(&self, quantity: Quantity) -> Option<f64> {
        self.own.iter().rev().find(|held| held.0 == quantity).map(|held| held.1).or(self.all)
    }
}

/// How a comparison is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Error level ε.
    pub epsilon: f64,
    /// Margins of at least this size were set to 0, where asked for.
    pub clip: Option<f64>,
    /// Of all tests and intervals together, in (0, 1).
    pub confidence: f64,
    /// Changes that do not matter.
    pub tolerances: Tolerances,
    /// Verdicts that are not red although they are differences.
    pub accepted: Vec<Verdict>,
    /// What the candidate is asked to be; the decision is made by these alone.
    pub claims: Vec<Claim>,
    /// Compare runs of the same index pair by pair.
    pub pairs: bool,
    /// Seed of what is drawn at random.
    pub seed: u64,
}

impl Default for Settings {
    /// At 95 % confidence, without tolerances or claims.
    fn default() -> Self {
        Self {
            epsilon: config::Analysis::default().epsilon,
            clip: None,
            confidence: 0.95,
            tolerances: Tolerances::default(),
            accepted: Vec::new(),
            claims: Vec::new(),
            pairs: false,
            seed: 0,
        }
    }
}

/// Compares two sets of runs; one model a side is compared example by example.
///
/// # Errors
/// [`Error::NotComparable`] when the terms differ, or pairs are asked for and there are none; [`Error::Invalid`] for fewer than
/// two distinct finite runs on one side only or settings out of range; [`Error::Usage`] for claims of what no run has.
pub fn compare<T: Real>(baseline: &Subject<T>, candidate: &Subject<T>, settings: &Settings) -> Result<Comparison> {
    baseline.terms.check(&candidate.terms, &baseline.place, &candidate.place)?;
    if !(settings.confidence > 0.0 && settings.confidence < 1.0) {
        return Err(Error::Invalid(format!("the confidence is {}, but lies between 0 and 1", settings.confidence)));
    }
    let mut chosen = [Chosen::of(baseline), Chosen::of(candidate)];
    if settings.pairs {
        pair(baseline, candidate, &mut chosen)?;
    }
    let single = chosen.iter().all(|chosen| chosen.distinct.len() == 1);
    if !single {
        enough(baseline, &chosen[0])?;
        enough(candidate, &chosen[1])?;
    }
    let shared = shared_streams(baseline, candidate);
    let unit = match (single, shared.is_empty(), settings.pairs) {
        (true, _, _) => Unit::Examples,
        (_, false, _) => Unit::Sweeps,
        (_, _, true) => Unit::Pairs,
        _ => Unit::Runs,
    };
    let measured = measure(baseline, candidate, [&chosen[0], &chosen[1]], settings.clip)?;
    let Tested { mut metrics, level, mut smallest_p } = if single {
        let soft = |side: &Subject<T>, chosen: &Chosen| side.input.runs()[chosen.distinct[0]].clone();
        let (before, after) = (soft(baseline, &chosen[0]), soft(candidate, &chosen[1]));
        examples::tested(&baseline.input.soft(&before)?, &candidate.input.soft(&after)?, settings)?
    } else {
        tested::tested(&measured, unit, settings)?
    };
    let mut claims: Vec<ClaimFound> = if single { Vec::new() } else { tested::claims(&measured, unit, settings)? };
    if single && !settings.claims.is_empty() {
        return Err(Error::Usage(
            "`--better` and `--not-worse` speak of a procedure, and one model a side says nothing of it: give at least four runs a side"
                .into(),
        ));
    }
    if unit == Unit::Sweeps {
        // One draw of what the runs of a side share: no number of runs tells it from a change.
        smallest_p = 1.0;
        metrics.iter_mut().for_each(|metric| {
            metric.finding = super::Finding::Undecided;
            metric.detectable = None;
        });
        claims.iter_mut().for_each(|claim| claim.decision = Decision::Undecided);
    }
    let verdict = verdict(&metrics);
    let decision = decision(verdict, &claims);
    let votes = votes(&measured, baseline, settings)?;
    let sides = [side(baseline, &chosen[0]), side(candidate, &chosen[1])];
    let mut notes = [baseline.notes.clone(), candidate.notes.clone(), measured.notes.clone()].concat();
    notes.extend(caveats(&sides, [baseline, candidate], &measured, settings));
    notes.extend(of_unit(unit, &sides, &shared, smallest_p, settings.confidence));
    let decision_runs = match (decision, unit) {
        (Decision::Undecided, Unit::Runs) => runs_to_decide(&metrics, &claims, level, settings)?,
        _ => None,
    };
    let [before, after] = sides;
    Ok(Comparison {
        schema: SCHEMA.to_owned(),
        verdict,
        red: matches!(verdict, Verdict::Worse | Verdict::Different) && !settings.accepted.contains(&verdict),
        decision,
        decision_runs,
        claims,
        unit,
        smallest_p,
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

/// Keeps the runs of the same index, which must share what they vary.
fn pair<T: Real>(baseline: &Subject<T>, candidate: &Subject<T>, chosen: &mut [Chosen; 2]) -> Result<()> {
    if let (Some(before), Some(after)) = (&baseline.sweep, &candidate.sweep)
        && before.experiment.sweep.seed != after.experiment.sweep.seed
    {
        return Err(Error::NotComparable(format!(
            "runs are paired by seed, but {} draws from the root seed {} and {} from {}: leave `--pair seed` out",
            baseline.place, before.experiment.sweep.seed, candidate.place, after.experiment.sweep.seed
        )));
    }
    let index = |side: &Subject<T>, place: usize| side.input.runs()[place].index;
    let other: Vec<u32> = chosen[1].distinct.iter().map(|&place| index(candidate, place)).collect();
    chosen[0].distinct.retain(|&place| other.contains(&index(baseline, place)));
    let kept: Vec<u32> = chosen[0].distinct.iter().map(|&place| index(baseline, place)).collect();
    chosen[1].distinct.retain(|&place| kept.contains(&index(candidate, place)));
    if kept.len() < 2 {
        return Err(Error::NotComparable(format!(
            "{} and {} have {} runs of the same index that are distinct and finite: pairs need at least two",
            baseline.place,
            candidate.place,
            kept.len()
        )));
    }
    Ok(())
}

/// The streams that the runs of each side share and that differ between the sides.
fn shared_streams<T>(baseline: &Subject<T>, candidate: &Subject<T>) -> Vec<&'static str> {
    let (Some(before), Some(after)) = (&baseline.sweep, &candidate.sweep) else { return Vec::new() };
    let (one, other) = (&before.experiment, &after.experiment);
    let used = |stream: Stream| {
        [one, other].iter().any(|experiment| match stream {
            Stream::Init | Stream::Order => true,
            Stream::Augment => experiment.data.augment != Augment::default(),
            Stream::Dropout => serde_json::to_value(&experiment.model).is_ok_and(|model| has_dropout(&model)),
            _ => false,
        })
    };
    [Stream::Init, Stream::Order, Stream::Augment, Stream::Dropout]
        .into_iter()
        .filter(|stream| !one.sweep.vary.contains(stream) && !other.sweep.vary.contains(stream) && used(*stream))
        .filter(|&stream| one.sweep.stream_seed(stream, 0) != other.sweep.stream_seed(stream, 0))
        .map(Stream::name)
        .collect()
}

/// Whether a network drops anything out, wherever its description says so.
fn has_dropout(model: &serde_json::Value) -> bool {
    use serde_json::Value;
    match model {
        Value::Object(keys) => keys.iter().any(|(key, value)| {
            (key == "dropout" && value.as_f64().is_some_and(|share| share > 0.0)) || has_dropout(value)
        }),
        Value::Array(items) => items.iter().any(has_dropout),
        _ => false,
    }
}

/// What a reader must know of the unit before anything else.
fn of_unit(unit: Unit, sides: &[Side; 2], shared: &[&str], smallest_p: f64, confidence: f64) -> Option<String> {
    let (before, after) = (sides[0].runs.len(), sides[1].runs.len());
    match unit {
        Unit::Sweeps => Some(format!(
            "The runs of each side share one draw of {} and the sides have different ones, so a difference between the sides may be \
             that draw: the sweep is the unit here, and one sweep a side cannot tell. Vary {} (`sweep.vary`), or give both sweeps the \
             same `sweep.seed`.",
            shared.join(" and "),
            if shared.len() == 1 { "it" } else { "them" }
        )),
        Unit::Examples => Some(
            "One model a side: the test examples are the unit, and what is found holds for these two models only. Another training of \
             either procedure might turn it round: train several runs of each to compare procedures."
                .into(),
        ),
        Unit::Runs | Unit::Pairs if smallest_p > 1.0 - confidence => {
            let level = 1.0 - confidence;
            let fewest = if unit == Unit::Pairs {
                format!("{} pairs", (1..64).find(|&n| 2f64.powi(1 - n) <= level).unwrap_or(64))
            } else {
                format!("{} runs a side", power::fewest_runs(level))
            };
            Some(format!(
                "{before} runs against {after} can be divided in so few ways that no difference, however large, has a p-value below \
                 {}: take at least {fewest}.",
                significant(smallest_p)
            ))
        }
        Unit::Runs | Unit::Pairs => None,
    }
}

/// Runs a side that would decide four times in five, if the sides differ by as much as they seem to.
fn runs_to_decide(
    metrics: &[super::Metric],
    claims: &[ClaimFound],
    level: Option<f64>,
    settings: &Settings,
) -> Result<Option<usize>> {
    let strictness = 1.0 - settings.confidence;
    let of = |quantity: Quantity| metrics.iter().find(|metric| metric.metric == quantity);
    let spread = |metric: &super::Metric| {
        let sides = [&metric.baseline_runs, &metric.candidate_runs];
        let squares: f64 =
            sides.iter().map(|side| crate::stats::descriptive::variance(side) * (side.len() as f64 - 1.0)).sum();
        (squares / (sides[0].len() + sides[1].len()).saturating_sub(2).max(1) as f64).sqrt()
    };
    let mut most = Some(0);
    let mut need = |metric: &super::Metric, distance: f64, level: f64| -> Result<()> {
        let wanted = power::runs_needed(distance / spread(metric), level, 1e6)?;
        most = most.zip(wanted).map(|(most, wanted)| most.max(wanted));
        Ok(())
    };
    if claims.is_empty() {
        let Some(metric) = of(Quantity::Accuracy) else { return Ok(None) };
        let tests = level.unwrap_or(strictness / metrics.len() as f64);
        // Towards whichever end of the tolerance is nearer.
        let distance = match settings.tolerances.of(Quantity::Accuracy) {
            Some(size) => (metric.difference.abs() - size).abs(),
            None => metric.difference.abs(),
        };
        need(metric, distance, tests)?;
    }
    for found in claims.iter().filter(|found| found.decision == Decision::Undecided) {
        let Some(metric) = of(found.claim.metric) else { return Ok(None) };
        let sign = if metric.good == Better::Lower { -1.0 } else { 1.0 };
        // A one-sided test at a level is a two-sided one at twice the level.
        need(metric, (sign * metric.difference + found.claim.margin.unwrap_or(0.0)).abs(), 2.0 * strictness)?;
    }
    Ok(most)
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
        && !settings.pairs
    {
        notes.push(format!(
            "Both sweeps draw from the root seed {}, so runs of the same index share their random streams: differences may look \
             smaller than they are. Compare pairs with `--pair seed`, or give each sweep its own seed with `--set sweep.seed=…`.",
            one.experiment.sweep.seed
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
    use super::super::{Finding, Terms};
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

    #[test]
    fn one_process_is_the_same_and_another_is_not() {
        let baseline = subject(1, 8, 1.0);
        let same = compare(&baseline, &subject(2, 8, 1.0), &Settings::default()).unwrap();
        assert_eq!((same.verdict, same.red), (Verdict::NoChangeFound, false), "{:?}", same.metrics);
        assert_eq!((same.decision, same.unit), (Decision::Undecided, Unit::Runs));
        assert_eq!(same.metrics.len(), 12, "nine and three classes; no kernels, nobody diverged");
        let accuracy = same.metric(Quantity::Accuracy).unwrap();
        assert!(accuracy.detectable.unwrap() > accuracy.high - accuracy.difference);
        // Right less often, but less sure of itself too: accuracy gets worse and calibration better.
        let worse = compare(&baseline, &subject(3, 8, 0.4), &Settings::default()).unwrap();
        assert_eq!((worse.verdict, worse.red), (Verdict::Worse, true), "{:?}", worse.metrics);
        assert_eq!(worse.metric(Quantity::Accuracy).unwrap().finding, Finding::Worse);
        assert_eq!(worse.metric(Quantity::Ece).unwrap().finding, Finding::Better);
        assert!(worse.metric(Quantity::Accuracy).unwrap().high <= 0.0 && worse.margins.ks > same.margins.ks);
        let accepted = Settings { accepted: vec![Verdict::Worse], ..Settings::default() };
        assert!(!compare(&baseline, &subject(3, 8, 0.4), &accepted).unwrap().red);
        let order: Vec<_> = worse.metrics.iter().map(|metric| metric.metric.order()).collect();
        assert!(order.is_sorted());
        let text = serde_json::to_string(&worse).unwrap();
        let back = serde_json::from_str::<Comparison>(&text).unwrap();
        let names = |found: &Comparison| found.metrics.iter().map(|metric| metric.metric).collect::<Vec<_>>();
        assert_eq!((names(&back), back.verdict), (names(&worse), worse.verdict));
    }

    #[test]
    fn so_few_runs_decide_nothing_and_five_find_a_lost_class() {
        let three = compare(&subject(1, 3, 1.0), &subject(3, 3, 0.0), &Settings::default()).unwrap();
        assert_eq!((three.verdict, three.red), (Verdict::Undecided, false));
        assert!(three.notes.iter().any(|note| note.contains("at least 4 runs a side")), "{:?}", three.notes);
        let mut lost = subject(2, 5, 2.0);
        let broken = lost.input.runs().iter().map(|run| {
            let mut logits = run.logits.clone();
            logits.iter_mut().skip(2).step_by(3).for_each(|logit| *logit = -9.0);
            RunLogits { index: run.index, logits }
        });
        lost.input = Input::new(lost.input.labels().to_vec(), 3, broken.collect()).unwrap();
        let found = compare(&subject(1, 5, 2.0), &lost, &Settings::default()).unwrap();
        assert_eq!((found.verdict, found.red), (Verdict::Worse, true));
        assert_eq!(found.metric(Quantity::ClassAccuracy(2)).unwrap().finding, Finding::Worse);
    }

    #[test]
    fn a_tolerance_is_kept_or_not_or_cannot_be_told() {
        let of = |size: f64| {
            let tolerances = Tolerances { all: None, own: vec![(Quantity::Accuracy, size)] };
            compare(&subject(1, 8, 1.0), &subject(2, 8, 1.0), &Settings { tolerances, ..Settings::default() }).unwrap()
        };
        assert_eq!((of(0.5).verdict, of(0.5).decision), (Verdict::Equivalent, Decision::Keep));
        assert_eq!((of(0.001).verdict, of(0.001).decision), (Verdict::Undecided, Decision::Undecided));
        assert!(of(0.001).decision_runs.is_none_or(|runs| runs > 8));
    }

    #[test]
    fn claims_decide() {
        let ask = |sure: f64, metric, margin| {
            let claims = vec![Claim { metric, margin }];
            compare(&subject(1, 8, 1.0), &subject(2, 8, sure), &Settings { claims, ..Settings::default() })
        };
        let decided = |sure, metric, margin| ask(sure, metric, margin).unwrap().decision;
        assert_eq!(decided(2.0, Quantity::Accuracy, None), Decision::Keep);
        assert_eq!(decided(0.4, Quantity::Accuracy, None), Decision::Discard);
        assert_eq!(decided(2.0, Quantity::Nll, None), Decision::Keep);
        assert_eq!(decided(1.0, Quantity::Accuracy, None), Decision::Undecided);
        assert_eq!(decided(1.0, Quantity::Accuracy, Some(0.2)), Decision::Keep);
        assert_eq!(decided(0.0, Quantity::Accuracy, Some(0.01)), Decision::Discard);
        assert!(matches!(ask(1.0, Quantity::ChurnBetween, None), Err(Error::Usage(_))));
    }

    #[test]
    fn pairs_see_more_than_strangers() {
        // The same examples are hard for runs of one index, and the candidate is a little worse at each.
        let baseline = subject(1, 8, 1.0);
        let mut candidate = subject(1, 8, 0.97);
        candidate.place = "other".into();
        let strangers = compare(&baseline, &candidate, &Settings::default()).unwrap();
        let pairs = compare(&baseline, &candidate, &Settings { pairs: true, ..Settings::default() }).unwrap();
        assert_eq!((strangers.unit, pairs.unit), (Unit::Runs, Unit::Pairs));
        assert_eq!(strangers.metric(Quantity::Nll).unwrap().finding, Finding::NoChangeFound);
        assert_eq!(pairs.metric(Quantity::Nll).unwrap().finding, Finding::Worse);
        let few = compare(&subject(1, 1, 1.0), &subject(1, 1, 1.0), &Settings { pairs: true, ..Settings::default() });
        assert!(matches!(few, Err(Error::NotComparable(_))));
    }

    #[test]
    fn one_model_a_side_is_compared_example_by_example() {
        let same = compare(&subject(1, 1, 1.0), &subject(2, 1, 1.0), &Settings::default()).unwrap();
        assert_eq!((same.unit, same.verdict), (Unit::Examples, Verdict::NoChangeFound));
        let worse = compare(&subject(1, 1, 2.0), &subject(2, 1, 0.0), &Settings::default()).unwrap();
        assert_eq!(worse.verdict, Verdict::Worse);
        assert!(worse.notes.iter().any(|note| note.contains("these two models only")));
        assert!(compare(&subject(1, 1, 1.0), &subject(2, 4, 1.0), &Settings::default()).is_err());
    }

    #[test]
    fn the_same_networks_are_named_and_diverged_ones_counted() {
        let baseline = subject(1, 8, 1.0);
        let again = compare(&baseline, &baseline, &Settings::default()).unwrap();
        assert_eq!(again.verdict, Verdict::NoChangeFound);
        assert!(again.notes.iter().any(|note| note.starts_with("Every run of the candidate is bit-equal")));
        let mut broken = subject(2, 16, 1.0);
        let runs = broken.input.runs().iter().map(|run| {
            let logits = if run.index < 8 { vec![f64::NAN; EXAMPLES * 3] } else { run.logits.clone() };
            RunLogits { index: run.index, logits }
        });
        broken.input = Input::new(broken.input.labels().to_vec(), 3, runs.collect()).unwrap();
        let found = compare(&subject(4, 16, 1.0), &broken, &Settings::default()).unwrap();
        let diverged = found.metric(Quantity::Diverged).unwrap();
        assert_eq!((diverged.baseline, diverged.candidate, diverged.finding), (0.0, 0.5, Finding::Worse));
        assert_eq!((found.candidate.diverged.len(), found.candidate.runs.len()), (8, 8));
    }
}
