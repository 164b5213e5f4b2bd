//! The questions of a night, their p-values, and the evidence that these gather.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{FEWEST, Judging, NIGHT_EFFECT, TOLD};
use crate::analysis::nights::quantity::Charted;
use crate::analysis::nights::schema::Observed;
use crate::error::Result;
use crate::stats::descriptive::mean;
use crate::stats::evidence::{Detector, Scale, Tail, p_of_level, p_of_night_effect, p_of_runs};

/// Values drawn for one p-value, at most.
const DRAWS: usize = 10_000_000;
/// Degrees of freedom without which a spread is not known.
const KNOWN: f64 = 4.0;

/// Evidence of all quantities in one direction.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathered(HashMap<Charted, Detector>);

impl Gathered {
    /// Of one quantity; 1 before it was ever judged.
    pub(super) fn of(&self, charted: Charted) -> f64 {
        self.0.get(&charted).map_or(1.0, Detector::evidence)
    }

    /// Of one quantity, with the nights of the reference before the start that makes it largest.
    fn strongest(&self, charted: Charted) -> Option<(f64, usize)> {
        self.0.get(&charted)?.strongest()
    }

    /// Takes in the p-value of a night that was held against so many nights.
    pub(super) fn add(&mut self, charted: Charted, p: f64, reference: usize) {
        self.0.entry(charted).or_default().add(p, reference);
    }

    /// The weighted mean, and the quantity that carries most of it.
    pub(super) fn mean(&self, weights: &[(Charted, f64)]) -> (f64, Option<Charted>) {
        let parts: Vec<(f64, Charted)> =
            weights.iter().map(|&(charted, weight)| (weight * self.of(charted), charted)).collect();
        // Of equals, as where all p-values are the smallest there are, the one that comes first in tables.
        let top = parts.iter().rev().max_by(|a, b| a.0.total_cmp(&b.0)).map(|held| held.1);
        (parts.iter().map(|part| part.0).sum(), top)
    }
}

/// What is to be computed of one quantity of one night.
pub(super) struct Question<'a> {
    pub charted: Charted,
    pub reference: Vec<&'a [f64]>,
    night: &'a [f64],
    pub by_night: bool,
    /// Of a value, where too few nights were accepted to divide their runs.
    scale: Option<Scale>,
    seed: u64,
}

impl Question<'_> {
    /// For worse and for better.
    fn answer(&self, most: usize) -> Result<[f64; 2]> {
        let values = |nights: &[&[f64]]| -> Vec<f64> {
            if self.by_night { nights.iter().map(|night| mean(night)).collect() } else { nights.concat() }
        };
        let (reference, new) = (values(&self.reference), values(&[self.night]));
        let tail = self.charted.worse();
        let p = |tail| match &self.scale {
            Some(scale) => p_of_level(&reference, &new, scale, tail),
            None => p_of_runs(&reference, &new, tail, draws(new.len(), most), self.seed),
        };
        Ok(match tail {
            Tail::Lower => [p(Tail::Lower)?, p(Tail::Higher)?],
            Tail::Higher => [p(Tail::Higher)?, p(Tail::Lower)?],
            Tail::Either => [p(Tail::Either)?, 1.0],
        })
    }
}

/// Divisions that are drawn for a night of so many values.
pub(super) fn draws(values: usize, most: usize) -> usize {
    (DRAWS / values.max(1)).min(most)
}

impl<'a> Judging<'a> {
    /// What is to be computed of this night.
    pub(super) fn questions(&self, place: usize) -> Result<Vec<Question<'a>>> {
        let mut questions = Vec::new();
        if self.reference.len() < TOLD && !self.vouched {
            return Ok(questions);
        }
        let before = &self.reference[..self.reference.len().min(self.rules.baseline.unwrap_or(usize::MAX))];
        let observed: &'a [Observed] = self.observed;
        for (number, &(charted, _)) in self.quantities.iter().enumerate() {
            let of = |other: usize| observed[other].of(charted).filter(|values| !values.is_empty());
            let reference: Vec<&[f64]> = before.iter().copied().filter_map(of).collect();
            let (Some(night), false) = (of(place), reference.is_empty()) else { continue };
            // Where there is evidence of a change, the nights since then say nothing of how healthy ones differ.
            let suspected = self.gathered.iter().filter_map(|gathered| gathered.strongest(charted));
            let suspected = suspected.filter(|held| held.0 >= self.rules.watch()).map(|held| held.1);
            let settled = &reference[..suspected.min().unwrap_or(usize::MAX).min(reference.len())];
            let by_night = match (charted.is_of_runs(), settled.len() < TOLD) {
                (false, _) => true,
                // One night does not tell: it is as it was before.
                (true, true) => self.by_night.get(&charted).copied().unwrap_or(false),
                (true, false) => p_of_night_effect(settled)? <= NIGHT_EFFECT,
            };
            let seed = self.rules.seed.wrapping_add((place as u64) << 24).wrapping_add(number as u64);
            let scale = self.spread(charted, by_night, place);
            questions.push(Question { charted, reference, night, by_night, scale, seed });
        }
        Ok(questions)
    }

    /// How far a value of this quantity spreads, where the reference is an accepted night or two: the runs within these and within
    /// the night at `place`, together with those within the nights before if they spread no less; where the night is the unit, the
    /// nights before. None where that is not known either, and of single classes, whose few errors are far from normal.
    pub(super) fn spread(&self, charted: Charted, by_night: bool, place: usize) -> Option<Scale> {
        let coarse = matches!(charted, Charted::ClassAccuracy(_) | Charted::Diverged);
        if !self.vouched || self.reference.len() >= FEWEST || coarse {
            return None;
        }
        let values = |&other: &usize| self.observed[other].of(charted).filter(|values| !values.is_empty());
        let known = |scale: &Scale| scale.freedom >= KNOWN && scale.std > 0.0;
        if by_night {
            let means: Vec<f64> = self.before.iter().filter_map(values).map(mean).collect();
            return Scale::within(&[means]).filter(known);
        }
        let mut groups: Vec<Vec<f64>> =
            self.reference.iter().chain([&place]).filter_map(values).map(<[f64]>::to_vec).collect();
        let own = Scale::within(&groups).filter(known)?;
        groups.extend(self.before.iter().filter_map(values).map(<[f64]>::to_vec));
        // A change that was wanted may have widened the spread.
        Scale::within(&groups).filter(|all| all.std >= own.std).or(Some(own))
    }

    pub(super) fn answers(&self, questions: Vec<Question<'a>>, most: usize) -> Result<Vec<(Question<'a>, [f64; 2])>> {
        questions
            .into_par_iter()
            .map(|question| Ok((question.answer(most)?, question)))
            .map(|held: Result<_>| held.map(|(p, q)| (q, p)))
            .collect()
    }
}

/// Half of the weight for the quantities of all examples, half for those of single classes.
pub(super) fn weighted(quantities: &[Charted]) -> Vec<(Charted, f64)> {
    let is_class = |charted: &Charted| matches!(charted, Charted::ClassAccuracy(_));
    let classes = quantities.iter().filter(|held| is_class(held)).count();
    let others = quantities.len() - classes;
    let share = if classes == 0 || others == 0 { 1.0 } else { 0.5 };
    let weight = |held: &Charted| share / if is_class(held) { classes } else { others } as f64;
    quantities.iter().map(|held| (*held, weight(held))).collect()
}
