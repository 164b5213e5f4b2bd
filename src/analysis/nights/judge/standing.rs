//! What the evidence of a night means: alarms, when they end, and the standing of each night.

use super::evidence::{Question, draws};
use super::{BACK, FEWEST, Judging, SOON};
use crate::analysis::nights::quantity::Charted;
use crate::analysis::nights::schema::{Alarm, Signal, Standing};
use crate::stats::descriptive::mean;
use crate::stats::evidence::{Detector, SMALLEST, Tail, smallest_p};

impl Judging<'_> {
    /// Whether a night under alarm is where the reference is again: nearer to it than to the nights of the alarm in the
    /// quantity that raised it, and not to be told from the reference in any.
    pub(super) fn is_back(&self, place: usize, alarm: &Alarm, answers: &[(Question<'_>, [f64; 2])]) -> bool {
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

    pub(super) fn raise(&mut self, place: usize, metric: Option<Charted>, worse: bool) {
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
    pub(super) fn fastest(&self, place: usize) -> Option<usize> {
        // Of each quantity: weight, values in the reference, values of a night, and whether their spread is known from before.
        let counts: Vec<(f64, usize, usize, bool)> = self
            .quantities
            .iter()
            .filter_map(|&(charted, weight)| {
                let of = |other: usize| self.observed[other].of(charted).unwrap_or_default().len();
                let known: Vec<usize> =
                    self.reference.iter().map(|&other| of(other)).filter(|&count| count > 0).collect();
                let by_night = self.by_night.get(&charted).copied().unwrap_or(!charted.is_of_runs());
                let (runs, new) = if by_night { (known.len(), 1) } else { (known.iter().sum(), of(place)) };
                let known = self.spread(charted, by_night, place).is_some();
                (runs > 0 && new > 0).then_some((weight, runs, new, known))
            })
            .collect();
        let mut detectors = vec![Detector::default(); counts.len()];
        (1..=60).find(|nights| {
            let (earlier, mut evidence) = (nights - 1, 0.0);
            for (&(weight, runs, new, known), detector) in counts.iter().zip(&mut detectors) {
                let p = match earlier {
                    0 if known => SMALLEST,
                    _ => smallest_p(runs, earlier * new, new, draws(new, usize::MAX)),
                };
                detector.add(p, self.reference.len() + earlier);
                evidence += weight * detector.evidence();
            }
            evidence >= self.rules.between
        })
    }

    pub(super) fn standing(&self, place: usize, evidence: f64) -> (Standing, String) {
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
        if evidence >= self.rules.watch() {
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
}
