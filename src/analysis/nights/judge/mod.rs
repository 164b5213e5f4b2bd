//! From observed nights to evidence, alarms and the standing of each night.

//!
//! Start reading at [`judge()`]; `evidence` asks and answers the questions of a night, `standing` says what its evidence means, and
//! `charted` makes the charts.

mod charted;
mod evidence;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use evidence::{Gathered, Question, weighted};

use super::quantity::Charted;
use super::schema::{Alarm, History, Night, Observed, Signal, Standing};
use crate::analysis::comparison::Terms;
use crate::error::{Error, Result};
use crate::stats::evidence::Tail;

/// Nights of the reference without which no night is green, unless a person accepted one.
pub const FEWEST: usize = 3;
/// A night is green only where a large change could have raised an alarm within so many nights in a row.
const SOON: usize = 7;
/// Level at which nights of the reference differ by more than the runs within them, so that the night is the unit.
const NIGHT_EFFECT: f64 = 0.01;
/// Nights of the reference before there is evidence, unless a person accepted one: fewer do not tell what is usual.
const TOLD: usize = 2;
/// Divisions that are enough while an alarm stands.
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

impl Rules {
    /// Evidence that is well on the way to an alarm.
    fn watch(&self) -> f64 {
        self.between.sqrt()
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
    /// The nights that were the reference before somebody accepted another: they still say how far runs spread.
    before: Vec<usize>,
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
            before: Vec::new(),
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
        self.before.extend(self.reference.iter().copied().filter(|&other| other < since));
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
        let most = if self.alarm.is_some_and(|alarm| alarm.worse) { STANDING_DRAWS } else { usize::MAX };
        let answers = self.answers(self.questions(place)?, most)?;
        // A crashed night says too little to end an alarm.
        if let Some(alarm) = self.alarm
            && self.observed[place].incomplete.is_none()
            && self.is_back(place, &alarm, &answers)
        {
            self.alarm = None;
            self.gathered = Default::default();
        }
        for (Question { charted, reference, by_night, .. }, [worse, better]) in &answers {
            self.by_night.insert(*charted, *by_night);
            self.gathered[0].add(*charted, *worse, reference.len());
            if charted.worse() != Tail::Either {
                self.gathered[1].add(*charted, *better, reference.len());
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
