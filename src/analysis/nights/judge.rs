//! From observed nights to evidence, alarms and the standing of each night.

use std::collections::HashMap;

use rayon::prelude::*;

use super::quantity::Charted;
use super::schema::{Alarm, Chart, History, Night, Observed, SCHEMA, Signal, Standing};
use crate::analysis::comparison::Terms;
use crate::error::{Error, Result};
use crate::stats::charts;
use crate::stats::descriptive::mean;
use crate::stats::evidence::{Detector, Tail, factor, p_of_night_effect, p_of_runs, smallest_p};

/// Nights of the reference without which no night is green, unless a person accepted one.
pub const FEWEST: usize = 3;
/// A night is green only where a large change could have raised an alarm within so many nights in a row.
const SOON: usize = 7;
/// Level at which nights of the reference differ by more than the runs within them, so that the night is the unit.
const NIGHT_EFFECT: f64 = 0.01;
/// Nights of the reference before there is evidence, unless a person accepted one: fewer do not tell what is usual.
const TOLD: usize = 2;
/// A night is judged by itself and together with the nights before it, so many in all; with the weight of each. Small changes
/// and nights of few runs need more than one night to show, by which time the changed nights are in the reference.
const BLOCKS: [(usize, f64); 3] = [(1, 0.5), (2, 0.25), (4, 0.25)];
/// Values drawn for one p-value, at most; and the divisions that are enough while an alarm stands.
const DRAWS: usize = 10_000_000;
const STANDING_DRAWS: usize = 20_000;
/// Level at which a night counts as back where the reference is.
const BACK: f64 = 0.05;
/// Weight of the newest value in the moving average.
const AVERAGE: f64 = 0.2;

/// How nights are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Nights between two false alarms, at least, in the mean: 1/`false_alarm`.
    pub between: f64,
    /// The reference is frozen after so many nights.
    pub baseline: Option<usize>,
    /// Of the random divisions.
    pub seed: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { between: 365.0, baseline: None, seed: 0 }
    }
}

/// Puts the nights into order of time and judges each against the accepted nights before it.
///
/// # Errors
/// [`Error::Invalid`] for no nights or rules out of range.
pub fn judge(mut observed: Vec<Observed>, rules: &Rules) -> Result<History> {
    if observed.is_empty() {
        return Err(Error::Invalid("a history needs nights".into()));
    }
    if !(rules.between > 1.0 && rules.between.is_finite()) || rules.baseline == Some(0) {
        return Err(Error::Invalid(
            "a false alarm must be rarer than one in every night, and a frozen reference needs a night".into(),
        ));
    }
    observed
        .sort_by(|a, b| (a.newest, a.night.started, &a.night.place).cmp(&(b.newest, b.night.started, &b.night.place)));
    let mut judging = Judging::new(&observed, rules);
    for place in 0..observed.len() {
        judging.night(place)?;
    }
    judging.history()
}

/// Evidence of all quantities in one direction: of each quantity and length of a block a detector for each way of cutting the
/// nights into blocks.
#[derive(Debug, Clone, Default)]
struct Gathered(HashMap<(Charted, usize), Vec<Detector>>);

impl Gathered {
    /// Of one quantity over all blocks; 1 before it was ever judged.
    fn of(&self, charted: Charted) -> f64 {
        let held = |(length, weight): (usize, f64)| match self.0.get(&(charted, length)) {
            Some(detectors) => weight * detectors.iter().map(|held| held.evidence).sum::<f64>() / length as f64,
            None => weight,
        };
        BLOCKS.into_iter().map(held).sum()
    }

    /// Takes in the p-value of a block of `length` nights before which there were `cut` nights.
    fn add(&mut self, charted: Charted, length: usize, cut: usize, p: f64) {
        let detectors = self.0.entry((charted, length)).or_insert_with(|| vec![Detector::default(); length]);
        detectors[cut % length].add(p);
    }

    /// The weighted mean, and the quantity that carries most of it.
    fn mean(&self, weights: &[(Charted, f64)]) -> (f64, Option<Charted>) {
        let parts: Vec<(f64, Charted)> =
            weights.iter().map(|&(charted, weight)| (weight * self.of(charted), charted)).collect();
        let top = parts.iter().max_by(|a, b| a.0.total_cmp(&b.0)).map(|held| held.1);
        (parts.iter().map(|part| part.0).sum(), top)
    }
}

/// What is to be computed of one quantity and one block of nights.
struct Question<'a> {
    charted: Charted,
    length: usize,
    cut: usize,
    reference: Vec<&'a [f64]>,
    block: Vec<&'a [f64]>,
    by_night: bool,
    seed: u64,
}

impl Question<'_> {
    /// For worse and for better.
    fn answer(&self, most: usize) -> Result<[f64; 2]> {
        let values = |nights: &[&[f64]]| -> Vec<f64> {
            if self.by_night { nights.iter().map(|night| mean(night)).collect() } else { nights.concat() }
        };
        let (reference, new) = (values(&self.reference), values(&self.block));
        let tail = self.charted.worse();
        let p = |tail| p_of_runs(&reference, &new, tail, draws(new.len(), most), self.seed);
        Ok(match tail {
            Tail::Lower => [p(Tail::Lower)?, p(Tail::Higher)?],
            Tail::Higher => [p(Tail::Higher)?, p(Tail::Lower)?],
            Tail::Either => [p(Tail::Either)?, 1.0],
        })
    }
}

/// Divisions that are drawn for a block of so many values.
fn draws(values: usize, most: usize) -> usize {
    (DRAWS / values.max(1)).min(most)
}

struct Judging<'a> {
    observed: &'a [Observed],
    rules: &'a Rules,
    /// With their weights, in the order of tables; those for better are the ones with a better side.
    quantities: Vec<(Charted, f64)>,
    better: Vec<(Charted, f64)>,
    terms: Terms,
    reference: Vec<usize>,
    /// Whether a person accepted a night of the reference.
    vouched: bool,
    alarm: Option<Alarm>,
    gathered: [Gathered; 2],
    nights: Vec<Night>,
    evidence: Vec<HashMap<Charted, f64>>,
    by_night: HashMap<Charted, bool>,
    signals: Vec<Signal>,
    notes: Vec<String>,
    fastest: Option<usize>,
}

impl<'a> Judging<'a> {
    fn new(observed: &'a [Observed], rules: &'a Rules) -> Self {
        let terms = anchor(observed);
        let mut quantities: Vec<Charted> = Vec::new();
        for held in observed.iter().filter(|held| held.terms.differing(&terms).is_empty()) {
            quantities.extend(held.values.iter().map(|values| values.metric));
        }
        quantities.sort_by_key(|charted| charted.order());
        quantities.dedup();
        Self {
            quantities: weighted(&quantities),
            better: weighted(
                &quantities.iter().copied().filter(|held| held.worse() != Tail::Either).collect::<Vec<_>>(),
            ),
            observed,
            rules,
            terms,
            reference: Vec::new(),
            vouched: false,
            alarm: None,
            gathered: Default::default(),
            nights: Vec::new(),
            evidence: Vec::new(),
            by_night: HashMap::new(),
            signals: Vec::new(),
            notes: Vec::new(),
            fastest: None,
        }
    }

    fn night(&mut self, place: usize) -> Result<()> {
        let held = &self.observed[place];
        let mut night = held.night.clone();
        self.evidence.push(HashMap::new());
        if night.accepted.is_some() && held.unusable.is_none() {
            self.accept(place);
            (night.standing, night.why) =
                (Standing::Accepted, "somebody accepted it: the reference begins here".into());
        } else if let Some(why) = self.left_out(place) {
            (night.standing, night.why) = (Standing::LeftOut, why);
        } else if self.reference.is_empty() {
            (night.standing, night.why) = (Standing::First, "there is no night before it to be held against".into());
            self.enter(place);
        } else {
            night.reference = self.reference.len();
            self.judged(place, &mut night)?;
        }
        if night.standing == Standing::First && held.incomplete.is_some() {
            night.why = format!("{}: it is part of no reference", held.incomplete.clone().unwrap_or_default());
        }
        self.nights.push(night);
        Ok(())
    }

    /// Why a night takes no part.
    fn left_out(&self, place: usize) -> Option<String> {
        let held = &self.observed[place];
        if let Some(why) = &held.unusable {
            return Some(why.clone());
        }
        let fields = held.terms.differing(&self.terms);
        if !fields.is_empty() {
            return Some(format!("not comparable with the others: it differs in {}", fields.join("; ")));
        }
        let repeats = |&other: &usize| {
            let digests = &self.observed[other].digests;
            held.digests.iter().any(|digest| digests.binary_search(digest).is_ok())
        };
        let earlier = (0..place).find(repeats)?;
        Some(format!(
            "it repeats runs of {} bit for bit: the same seeds and the same program, which says nothing new; give each night its own \
             `sweep.seed`",
            self.observed[earlier].night.place
        ))
    }

    /// A person wants the procedure of this night: the reference begins with it, and with the nights of the alarm that it ends.
    fn accept(&mut self, place: usize) {
        self.terms = self.observed[place].terms.clone();
        let since = self.alarm.map_or(place, |alarm| alarm.since);
        let kept = |&other: &usize| {
            let held = &self.observed[other];
            let judged = other == place || self.nights[other].standing != Standing::LeftOut;
            judged
                && held.unusable.is_none()
                && held.incomplete.is_none()
                && held.terms.differing(&self.terms).is_empty()
        };
        self.reference = (since..=place).filter(kept).collect();
        self.vouched = true;
        self.alarm = None;
        self.gathered = Default::default();
    }

    fn enter(&mut self, place: usize) {
        if self.observed[place].incomplete.is_none() {
            self.reference.push(place);
        }
    }

    fn judged(&mut self, place: usize, night: &mut Night) -> Result<()> {
        let under_alarm = self.alarm.is_some();
        let most = if self.alarm.is_some_and(|alarm| alarm.worse) { STANDING_DRAWS } else { usize::MAX };
        let alone = self.answers(self.questions(place, &BLOCKS[..1])?, most)?;
        // A crashed night says too little to end an alarm.
        if let Some(alarm) = self.alarm
            && self.observed[place].incomplete.is_none()
            && self.is_back(place, &alarm, &alone)
        {
            self.alarm = None;
            self.gathered = Default::default();
        }
        let mut answers = alone;
        // While an alarm stands there is no reference to be cut into blocks, and a crashed night is in none.
        if !under_alarm && self.observed[place].incomplete.is_none() {
            answers.extend(self.answers(self.questions(place, &BLOCKS[1..])?, usize::MAX)?);
        }
        for (question, [worse, better]) in &answers {
            let Question { charted, length, cut, by_night, .. } = question;
            self.by_night.insert(*charted, *by_night);
            self.gathered[0].add(*charted, *length, *cut, *worse);
            if charted.worse() != Tail::Either {
                self.gathered[1].add(*charted, *length, *cut, *better);
            }
        }
        for &(charted, _) in &self.quantities {
            self.evidence[place].insert(charted, self.gathered[0].of(charted));
        }
        let (worse, top_worse) = self.gathered[0].mean(&self.quantities);
        let (better, top_better) = self.gathered[1].mean(&self.better);
        (night.evidence, night.evidence_better) = (Some(worse), Some(better));
        let is_worse = self.alarm.is_some_and(|alarm| alarm.worse);
        if worse >= self.rules.between && !is_worse {
            self.raise(place, top_worse, true);
        } else if better >= self.rules.between && self.alarm.is_none() {
            self.raise(place, top_better, false);
        }
        self.fastest = self.fastest(place);
        (night.standing, night.why) = self.standing(place, worse);
        if self.alarm.is_none() {
            self.enter(place);
        }
        Ok(())
    }

    /// What is to be computed of this night together with those before it, for blocks of these lengths.
    fn questions(&self, place: usize, blocks: &[(usize, f64)]) -> Result<Vec<Question<'a>>> {
        let mut questions = Vec::new();
        if self.reference.len() < TOLD && !self.vouched {
            return Ok(questions);
        }
        for (number, &(charted, _)) in self.quantities.iter().enumerate() {
            let observed: &'a [Observed] = self.observed;
            let of = |other: usize| observed[other].of(charted).filter(|values| !values.is_empty());
            for &(length, _) in blocks {
                let Some(start) = (self.reference.len() + 1).checked_sub(length) else { continue };
                let (before, block) = self.reference.split_at(start);
                let before = &before[..before.len().min(self.rules.baseline.unwrap_or(usize::MAX))];
                let block: Option<Vec<&[f64]>> = block.iter().copied().chain([place]).map(of).collect();
                let reference: Vec<&[f64]> = before.iter().copied().filter_map(of).collect();
                let (Some(block), false) = (block, reference.is_empty()) else { continue };
                let by_night = match (charted.is_of_runs(), reference.len() < TOLD) {
                    (false, _) => true,
                    // One night does not tell: it is as it was before.
                    (true, true) => self.by_night.get(&charted).copied().unwrap_or(false),
                    (true, false) => p_of_night_effect(&reference)? <= NIGHT_EFFECT,
                };
                let seed =
                    self.rules.seed.wrapping_add((place as u64) << 24).wrapping_add((number * 8 + length) as u64);
                questions.push(Question { charted, length, cut: start, reference, block, by_night, seed });
            }
        }
        Ok(questions)
    }

    fn answers(&self, questions: Vec<Question<'a>>, most: usize) -> Result<Vec<(Question<'a>, [f64; 2])>> {
        questions
            .into_par_iter()
            .map(|question| Ok((question.answer(most)?, question)))
            .map(|held: Result<_>| held.map(|(p, q)| (q, p)))
            .collect()
    }

    /// Whether a night under alarm is where the reference is again: nearer to it than to the nights of the alarm in the
    /// quantity that raised it, and not to be told from the reference in any.
    fn is_back(&self, place: usize, alarm: &Alarm, answers: &[(Question<'_>, [f64; 2])]) -> bool {
        let of = |places: &mut dyn Iterator<Item = usize>| {
            let values: Vec<f64> =
                places.filter_map(|other| self.observed[other].of(alarm.metric)).flatten().copied().collect();
            (!values.is_empty()).then(|| mean(&values))
        };
        let judged = |&other: &usize| self.nights[other].evidence.is_some();
        let (Some(new), Some(reference), Some(moved)) = (
            of(&mut std::iter::once(place)),
            of(&mut self.reference.iter().copied()),
            of(&mut (alarm.since..place).filter(judged)),
        ) else {
            return false;
        };
        let side = usize::from(!alarm.worse);
        let weight = |charted| self.quantities.iter().find(|held| held.0 == charted).map_or(0.0, |held| held.1);
        let same = answers.iter().all(|(question, p)| p[side] > BACK * weight(question.charted));
        (new - reference).abs() < (new - moved).abs() && same
    }

    fn raise(&mut self, place: usize, metric: Option<Charted>, worse: bool) {
        let Some(metric) = metric else { return };
        let evidence = self.gathered[usize::from(!worse)].of(metric);
        let since = self.change(place, metric);
        self.alarm = Some(Alarm { raised: place, since, metric, evidence, worse });
        // What came since the change is no reference any more.
        self.reference.retain(|&other| other < since);
        let mean_of = |places: &[usize]| {
            let values: Vec<f64> =
                places.iter().filter_map(|&other| self.observed[other].of(metric)).flatten().copied().collect();
            mean(&values)
        };
        let (value, centre) = (mean_of(&[place]), mean_of(&self.reference));
        if worse {
            self.signals.push(Signal { sweep: place, metric, cause: "evidence".into(), above: value > centre, value });
        }
    }

    /// The probable night of the change: where the reference and this night, cut in two, differ most in the means of `metric`
    /// (least squares of one step).
    fn change(&self, place: usize, metric: Charted) -> usize {
        let nights: Vec<(usize, f64, f64)> = self
            .reference
            .iter()
            .copied()
            .chain([place])
            .filter_map(|other| {
                let values = self.observed[other].of(metric).filter(|values| !values.is_empty())?;
                Some((other, values.iter().sum::<f64>(), values.len() as f64))
            })
            .collect();
        let total = nights.iter().fold((0.0, 0.0), |(sum, count), night| (sum + night.1, count + night.2));
        let (mut sum, mut count, mut best) = (0.0, 0.0, (f64::NEG_INFINITY, place));
        for pair in nights.windows(2) {
            (sum, count) = (sum + pair[0].1, count + pair[0].2);
            let (after, rest) = (total.0 - sum, total.1 - count);
            let between = count * rest / (count + rest) * (sum / count - after / rest).powi(2);
            if between > best.0 {
                best = (between, pair[1].0);
            }
        }
        best.1
    }

    /// The fewest nights in a row, with as many runs as this one and worse than all before in every quantity, that would raise
    /// an alarm.
    fn fastest(&self, place: usize) -> Option<usize> {
        // Of each quantity: weight, values in the reference, values of a night.
        let counts: Vec<(f64, usize, usize)> = self
            .quantities
            .iter()
            .filter_map(|&(charted, weight)| {
                let of = |other: usize| self.observed[other].of(charted).unwrap_or_default().len();
                let known: Vec<usize> =
                    self.reference.iter().map(|&other| of(other)).filter(|&count| count > 0).collect();
                let by_night = self.by_night.get(&charted).copied().unwrap_or(!charted.is_of_runs());
                let (runs, new) = if by_night { (known.len(), 1) } else { (known.iter().sum(), of(place)) };
                (runs > 0 && new > 0).then_some((weight, runs, new))
            })
            .collect();
        let after = |nights: usize| -> f64 {
            let evidence = |&(weight, runs, new): &(f64, usize, usize)| -> f64 {
                let of_block = |(length, share): (usize, f64)| {
                    let block = length * new;
                    let largest =
                        |number: usize| factor(smallest_p(runs, number * block, block, draws(block, usize::MAX)));
                    share / length as f64 * (0..nights / length).map(largest).product::<f64>()
                };
                weight * BLOCKS.into_iter().map(of_block).sum::<f64>()
            };
            counts.iter().map(evidence).sum()
        };
        (1..=60).find(|&nights| after(nights) >= self.rules.between)
    }

    fn standing(&self, place: usize, evidence: f64) -> (Standing, String) {
        let count = self.reference.len();
        if let Some(alarm) = self.alarm {
            return match (alarm.worse, alarm.raised == place) {
                (true, true) => (Standing::Red, "the alarm is raised".into()),
                (true, false) => (Standing::Red, "the alarm stands: it is not back where the reference is".into()),
                (false, _) => (Standing::Better, "the procedure has moved for the better".into()),
            };
        }
        if count < FEWEST && !self.vouched {
            let why = format!("its reference is {count} of the {FEWEST} nights that a green one needs");
            return (Standing::Undecided, why);
        }
        match self.fastest {
            Some(nights) if nights <= SOON => {}
            _ => {
                let why =
                    "nights and runs are too few: not even a large change could have raised an alarm within a week";
                return (Standing::Undecided, why.into());
            }
        }
        // As far from the reference as runs so few can show, or well on the way to the limit.
        let watch = self.rules.between.sqrt();
        if evidence >= watch {
            return (Standing::Undecided, "there is evidence of a change, not yet enough for an alarm".into());
        }
        if self.fastest != Some(1) && self.is_extreme(place) {
            let why = "it is as far on the bad side as so few runs can be, which is not enough for an alarm";
            return (Standing::Undecided, why.into());
        }
        (Standing::Green, String::new())
    }

    /// Whether every run of the night is worse than every run of the reference in accuracy (or else in the first quantity).
    fn is_extreme(&self, place: usize) -> bool {
        let Some(&(charted, _)) = self.quantities.first() else { return false };
        let Some(new) = self.observed[place].of(charted).filter(|values| !values.is_empty()) else { return false };
        let sign = if charted.worse() == Tail::Lower { 1.0 } else { -1.0 };
        let best = new.iter().map(|value| sign * value).fold(f64::NEG_INFINITY, f64::max);
        let mut reference = self.reference.iter().filter_map(|&other| self.observed[other].of(charted)).flatten();
        reference.all(|value| sign * value > best)
    }

    fn history(mut self) -> Result<History> {
        let charts = self.quantities.clone().iter().map(|&held| self.chart(held)).collect::<Result<Vec<Chart>>>()?;
        if let [.., before, last] = self.observed
            && last.newest
            && last.night.started < before.night.started
        {
            self.notes.push(format!(
                "{} began before {} by the clock, and is judged as the newest all the same.",
                last.night.place, before.night.place
            ));
        }
        for (held, night) in self.observed.iter().zip(&self.nights) {
            if night.standing == Standing::LeftOut {
                self.notes.push(format!("{} is left out: {}.", night.place, night.why));
            } else if let Some(why) = &held.incomplete {
                self.notes.push(format!("{} is in no reference: {why}.", night.place));
            }
        }
        let by_night: Vec<String> = charts
            .iter()
            .filter(|chart| chart.by_night && chart.metric.is_of_runs())
            .map(|chart| chart.metric.name().into_owned())
            .collect();
        if !by_night.is_empty() {
            self.notes.push(format!(
                "Nights differ by more than the runs within a night in {}: there the night is the unit, not the run, and a change takes \
                 longer to show. Something varies from night to night: a seed that all runs share, the machine, the data?",
                by_night.join(", ")
            ));
        }
        Ok(History {
            schema: SCHEMA.to_owned(),
            red: self.nights.last().is_some_and(|night| night.standing == Standing::Red),
            sweeps: self.nights,
            baseline: self.reference.len().min(self.rules.baseline.unwrap_or(usize::MAX)),
            reference: self.reference,
            latest_only: true,
            limit: self.rules.between,
            alarm: self.alarm,
            fastest: self.fastest,
            charts,
            signals: self.signals,
            notes: self.notes,
        })
    }

    fn chart(&self, (metric, weight): (Charted, f64)) -> Result<Chart> {
        let values: Vec<Option<f64>> = self
            .observed
            .iter()
            .zip(&self.nights)
            .map(|(held, night)| {
                let own = held.of(metric).filter(|values| !values.is_empty());
                own.filter(|_| night.standing != Standing::LeftOut).map(mean)
            })
            .collect();
        let of_reference: Vec<f64> = self.reference.iter().filter_map(|&place| values[place]).collect();
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let period = if of_reference.is_empty() { &known } else { &of_reference };
        let limits = if period.is_empty() {
            charts::Limits { centre: 0.0, sigma: 0.0, low: 0.0, high: 0.0 }
        } else {
            charts::limits(period)?
        };
        Ok(Chart {
            metric,
            ewma: charts::ewma(&values, limits.centre, AVERAGE),
            values,
            centre: limits.centre,
            sigma: limits.sigma,
            low: limits.low,
            high: limits.high,
            evidence: self.evidence.iter().map(|held| held.get(&metric).copied()).collect(),
            weight,
            by_night: self.by_night.get(&metric).copied().unwrap_or(!metric.is_of_runs()),
        })
    }
}

/// Half of the weight for the quantities of all examples, half for those of single classes.
fn weighted(quantities: &[Charted]) -> Vec<(Charted, f64)> {
    let is_class = |charted: &Charted| matches!(charted, Charted::ClassAccuracy(_));
    let classes = quantities.iter().filter(|held| is_class(held)).count();
    let others = quantities.len() - classes;
    let share = if classes == 0 || others == 0 { 1.0 } else { 0.5 };
    let weight = |held: &Charted| share / if is_class(held) { classes } else { others } as f64;
    quantities.iter().map(|held| (*held, weight(held))).collect()
}

/// The terms that most nights share; the earlier ones where two are as many.
fn anchor(observed: &[Observed]) -> Terms {
    let usable: Vec<&Observed> = observed.iter().filter(|held| held.unusable.is_none()).collect();
    let count = |held: &&Observed| usable.iter().filter(|other| other.terms.differing(&held.terms).is_empty()).count();
    let mut best: Option<(usize, &Observed)> = None;
    for held in &usable {
        let own = count(held);
        if best.is_none_or(|(most, _)| own > most) {
            best = Some((own, held));
        }
    }
    best.map(|held| held.1.terms.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::quantity::Values;
    use super::super::schema::Acceptance;
    use super::*;
    use crate::stats::rng::Stream;

    fn normal(stream: &mut Stream) -> f64 {
        (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0
    }

    /// A night of `runs` runs whose accuracies have mean `centre` and standard deviation 0.005.
    fn night(number: i64, runs: usize, centre: f64) -> Observed {
        let mut stream = Stream::new(number as u64, 11);
        let accuracy: Vec<f64> = (0..runs).map(|_| centre + 0.005 * normal(&mut stream)).collect();
        let nll: Vec<f64> = accuracy.iter().map(|value| 2.0 - 1.9 * value + 0.002 * normal(&mut stream)).collect();
        Observed {
            night: Night {
                name: "made".into(),
                place: format!("night-{number}"),
                started: jiff::Timestamp::from_second(86_400 * number).unwrap(),
                experiment: None,
                runs,
                planned: runs,
                changed: Vec::new(),
                origin: Vec::new(),
                accepted: None,
                standing: Standing::First,
                evidence: None,
                evidence_better: None,
                reference: 0,
                why: String::new(),
            },
            terms: Terms::default().and("test examples N", "500".into()),
            values: vec![
                Values { metric: Charted::Accuracy, values: accuracy },
                Values { metric: Charted::Nll, values: nll },
            ],
            unusable: None,
            incomplete: None,
            newest: false,
            digests: vec![format!("{number}")],
        }
    }

    fn standings(observed: Vec<Observed>) -> Vec<Standing> {
        judge(observed, &Rules::default()).unwrap().sweeps.into_iter().map(|night| night.standing).collect()
    }

    #[test]
    fn the_alarm_stands_until_the_procedure_is_back() {
        use Standing::{First, Green, Red, Undecided};
        let mut nights: Vec<Observed> = (1..=5).map(|number| night(number, 10, 0.97)).collect();
        nights.extend((6..=8).map(|number| night(number, 10, 0.94)));
        nights.extend((9..=10).map(|number| night(number, 10, 0.97)));
        let found = judge(nights.clone(), &Rules::default()).unwrap();
        let seen: Vec<Standing> = found.sweeps.iter().map(|night| night.standing).collect();
        assert_eq!(seen, [First, Undecided, Undecided, Green, Green, Red, Red, Red, Green, Green]);
        assert_eq!((found.signals.len(), found.signals[0].sweep, found.red), (1, 5, false));
        assert_eq!(found.reference, [0, 1, 2, 3, 4, 8, 9]);
        // Until it is back it is red, with the night of the change named.
        let found = judge(nights[..8].to_vec(), &Rules::default()).unwrap();
        let alarm = found.alarm.unwrap();
        assert!(found.red && alarm.since == 5 && alarm.raised == 5 && alarm.worse);
    }

    #[test]
    fn a_wanted_change_is_green_once_accepted() {
        use Standing::{Accepted, First, Green, Red, Undecided};
        let mut nights: Vec<Observed> = (1..=4).map(|number| night(number, 10, 0.97)).collect();
        nights.extend((5..=8).map(|number| night(number, 10, 0.94)));
        nights[5].night.accepted =
            Some(Acceptance { at: jiff::Timestamp::from_second(0).unwrap(), by: "me".into(), why: None });
        assert_eq!(standings(nights.clone()), [First, Undecided, Undecided, Green, Red, Accepted, Green, Green]);
        nights[5].night.accepted = None;
        assert_eq!(standings(nights)[4..], [Red; 4], "taken back");
    }

    #[test]
    fn odd_crashed_and_repeated_nights_harm_nobody() {
        let mut nights: Vec<Observed> = (1..=5).map(|number| night(number, 10, 0.97)).collect();
        let mut odd = night(6, 10, 0.97);
        odd.terms = Terms::default().and("test examples N", "200".into());
        let mut crashed = night(7, 3, 0.97);
        crashed.incomplete = Some("3 of 10 runs are complete".into());
        let mut damaged = night(8, 0, 0.97);
        damaged.unusable = Some("run 3 is damaged".into());
        let mut repeated = night(9, 10, 0.97);
        repeated.digests = vec!["4".into()];
        nights.extend([odd, crashed, damaged, repeated, night(10, 10, 0.97)]);
        let found = judge(nights.clone(), &Rules::default()).unwrap();
        let seen: Vec<Standing> = found.sweeps.iter().map(|night| night.standing).collect();
        use Standing::{Green, LeftOut};
        assert_eq!(seen[5..], [LeftOut, Green, LeftOut, LeftOut, Green]);
        assert_eq!(found.reference, [0, 1, 2, 3, 4, 9]);
        assert_eq!(found.notes.len(), 4, "{:?}", found.notes);
        assert!(found.notes[0].contains("test examples N (200 against 500)"));
        // The newest of them is not comparable; the odd one first does not leave out the rest.
        assert_eq!(*standings(nights[..6].to_vec()).last().unwrap(), LeftOut);
        nights[5].night.started = jiff::Timestamp::from_second(0).unwrap();
        assert_eq!(standings(nights)[..2], [LeftOut, Standing::First]);
    }

    #[test]
    fn better_is_not_red_and_enters_no_reference() {
        let mut nights: Vec<Observed> = (1..=5).map(|number| night(number, 10, 0.94)).collect();
        nights.extend((6..=7).map(|number| night(number, 10, 0.97)));
        nights.push(night(8, 10, 0.90));
        let found = judge(nights, &Rules::default()).unwrap();
        let seen: Vec<Standing> = found.sweeps.iter().map(|night| night.standing).collect();
        assert_eq!(seen[5..], [Standing::Better, Standing::Better, Standing::Red]);
        assert_eq!(found.reference, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn so_few_runs_are_never_called_green_on_a_collapse() {
        let mut nights: Vec<Observed> = (1..=7).map(|number| night(number, 3, 0.97)).collect();
        nights.extend((8..=12).map(|number| night(number, 3, 0.6)));
        let seen = standings(nights);
        assert_eq!((seen[3], seen[6]), (Standing::Undecided, Standing::Green), "{seen:?}");
        assert_eq!(seen[7], Standing::Undecided, "{seen:?}");
        assert_eq!(*seen.last().unwrap(), Standing::Red, "{seen:?}");
        let two: Vec<Observed> = (1..=6).map(|number| night(number, 1, 0.97)).collect();
        assert!(!standings(two).contains(&Standing::Green), "one run a night can show nothing within a week");
    }

    #[test]
    fn nights_that_vary_by_themselves_are_their_own_unit() {
        let mut stream = Stream::new(5, 5);
        let nights: Vec<Observed> = (1..=20).map(|n| night(n, 10, 0.97 + 0.01 * normal(&mut stream))).collect();
        let found = judge(nights, &Rules::default()).unwrap();
        assert!(found.charts[0].by_night && found.signals.is_empty(), "{:?}", found.signals);
        assert!(found.notes.iter().any(|note| note.contains("the night is the unit")));
    }

    #[test]
    fn a_drift_is_found_and_a_frozen_reference_stays() {
        // A fifth of a night's standard deviation (0.005/√10) every night.
        let nights: Vec<Observed> =
            (1..=60).map(|n| night(n, 10, 0.97 - (n - 20).max(0) as f64 * 0.2 * 0.00158)).collect();
        let found = judge(nights.clone(), &Rules::default()).unwrap();
        assert!(found.red && found.signals[0].sweep < 50, "{:?}", found.signals);
        let frozen = judge(nights, &Rules { baseline: Some(10), ..Rules::default() }).unwrap();
        assert!(frozen.red && frozen.baseline == 10, "{:?}", frozen.signals);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(judge(Vec::new(), &Rules::default()).is_err());
        assert!(judge(vec![night(1, 3, 0.9)], &Rules { between: 1.0, ..Rules::default() }).is_err());
    }
}
