//! Which runs are finite, and which only repeat another.

use std::collections::HashMap;

use super::evidence::Evidence;
use super::input::Input;
use super::schema::Independence;
use crate::stats::duplicates::duplicates;
use crate::stats::logits::Real;

/// What stands in the way of a run's being judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Finite, and the first of its bits.
    Distinct,
    /// So many logits are not finite.
    Diverged(usize),
    /// The same soft decisions, or else weights, as the run at this place.
    Repeats { original: usize, weights: bool },
}

/// The standing of each run, in order.
#[must_use]
pub fn standings<T: Real>(input: &Input<T>, evidence: &Evidence) -> Vec<Standing> {
    let runs = input.runs();
    let infinite: Vec<usize> = runs
        .iter()
        .map(|run| run.logits.iter().filter(|&&logit| !Into::<f64>::into(logit).is_finite()).count())
        .collect();
    let finite: Vec<usize> = (0..runs.len()).filter(|&place| infinite[place] == 0).collect();
    let values: Vec<&[T]> = finite.iter().map(|&place| runs[place].logits.as_slice()).collect();
    let mut standings: Vec<Standing> = infinite.iter().map(|&count| Standing::Diverged(count)).collect();
    let mut weights: HashMap<&str, usize> = HashMap::new();
    for (&place, original) in finite.iter().zip(duplicates(&values)) {
        let digest =
            evidence.weights.iter().find(|(run, _)| *run == runs[place].index).map(|(_, digest)| digest.as_str());
        let same_weights = digest.and_then(|digest| weights.get(digest).copied());
        standings[place] = match (original, same_weights) {
            // The place among the finite runs; a repeated original stands for the first of its own kind.
            (Some(original), _) => Standing::Repeats { original: first(&standings, finite[original]), weights: false },
            (None, Some(original)) => Standing::Repeats { original, weights: true },
            (None, None) => Standing::Distinct,
        };
        if let (Standing::Distinct, Some(digest)) = (standings[place], digest) {
            weights.insert(digest, place);
        }
    }
    standings
}

/// Where the chain of repetitions that `place` belongs to begins.
fn first(standings: &[Standing], place: usize) -> usize {
    match standings[place] {
        Standing::Repeats { original, .. } => original,
        _ => place,
    }
}

/// The same in numbers, with the groups of runs that repeat each other.
#[must_use]
pub fn independence<T: Real>(input: &Input<T>, standings: &[Standing]) -> Independence {
    let index = |place: usize| input.runs()[place].index;
    let groups = (0..standings.len())
        .map(|first| {
            let repeats =
                |standing: &Standing| matches!(standing, Standing::Repeats { original, .. } if *original == first);
            let copies =
                standings.iter().enumerate().filter(|(_, standing)| repeats(standing)).map(|(place, _)| index(place));
            std::iter::once(index(first)).chain(copies).collect::<Vec<u32>>()
        })
        .filter(|group| group.len() > 1)
        .collect();
    Independence {
        runs: standings.len(),
        distinct: standings.iter().filter(|&&standing| standing == Standing::Distinct).count(),
        diverged: standings.iter().filter(|standing| matches!(standing, Standing::Diverged(_))).count(),
        groups,
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::RunLogits;
    use super::*;

    fn input(runs: &[[f32; 2]]) -> Input {
        let runs = runs.iter().zip(0..).map(|(logits, index)| RunLogits { index, logits: logits.to_vec() }).collect();
        Input::new(vec![0], 2, runs).unwrap()
    }

    #[test]
    fn ten_runs_six_distinct() {
        let (a, b, c) = ([0.0, 1.0], [2.0, 1.0], [f32::NAN, f32::INFINITY]);
        let input = input(&[a, b, a, c, a, b, [4.0, 0.0], [5.0, 0.0], [6.0, 0.0], [7.0, 0.0]]);
        let standings = standings(&input, &Evidence::default());
        assert_eq!(standings[4], Standing::Repeats { original: 0, weights: false });
        assert_eq!(standings[3], Standing::Diverged(2));
        let found = independence(&input, &standings);
        assert_eq!((found.runs, found.distinct, found.diverged), (10, 6, 1));
        assert_eq!(found.groups, [vec![0, 2, 4], vec![1, 5]]);
    }

    #[test]
    fn equal_weights_tell_what_soft_decisions_do_not() {
        let input = input(&[[0.0, 1.0], [0.0, 1.5], [0.0, 1.5]]);
        let weights = [(0, "x"), (1, "x"), (2, "y")].map(|(run, digest)| (run, digest.to_owned())).to_vec();
        let standings = standings(&input, &Evidence { weights, ..Evidence::default() });
        assert_eq!(standings[1], Standing::Repeats { original: 0, weights: true });
        // Run 2 has the bits of run 1, which stands for run 0.
        assert_eq!(standings[2], Standing::Repeats { original: 0, weights: false });
    }
}
