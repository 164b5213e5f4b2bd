//! The examples on which a run decides as no other does.

use rayon::prelude::*;

use super::measured::Measured;
use super::schema::{Alone, AloneExample};
use crate::stats::logits::{Real, softmax_into};

/// Examples kept for each run.
const KEPT: usize = 24;

/// For each of three runs and more, the examples on which no other run shares its decision, the surest first; ties go
/// to the lower example.
#[must_use]
pub fn alone<T: Real>(found: &Measured<'_, T>, indices: &[u32]) -> Vec<Alone> {
    let (soft, votes) = (found.soft, &found.votes);
    if soft.len() < 3 {
        return Vec::new();
    }
    (0..soft.len())
        .into_par_iter()
        .map(|place| {
            let mut held: Vec<AloneExample> = Vec::new();
            let mut probabilities = vec![0.0; soft[place].classes()];
            for (example, ((logits, label), &decision)) in soft[place].rows().zip(&found.decisions[place]).enumerate() {
                if votes.count(example, decision) == 1 {
                    softmax_into(logits, &mut probabilities);
                    held.push(AloneExample {
                        example,
                        label: label as u32,
                        decision,
                        others: others(votes.on(example), decision),
                        probability: probabilities[decision as usize],
                    });
                }
            }
            let (count, right) = (held.len(), held.iter().filter(|held| held.decision == held.label).count());
            held.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            held.truncate(KEPT);
            Alone { run: indices[place], count, right, examples: held }
        })
        .collect()
}

/// The class of most votes besides that of `own`, which has one; ties go to the lowest class.
fn others(votes: &[(u32, u32)], own: u32) -> u32 {
    let rest = votes.iter().filter(|entry| entry.0 != own);
    rest.fold((0, 0), |best, &entry| if entry.1 > best.1 { entry } else { best }).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Settings;
    use crate::analysis::measured::Effort;
    use crate::stats::Logits;

    #[test]
    fn who_stands_alone_and_how_sure() {
        let labels = [0, 1, 2];
        // Decisions by row: run 0: 0 1 2, run 1: 0 1 1, run 2: 0 2 0; run 2 is surer on example 2.
        let runs: [[f64; 9]; 3] = [
            [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 5.0, 0.0, 0.0],
        ];
        let soft: Vec<Logits<'_, f64>> = runs.iter().map(|run| Logits::new(run, &labels, 3).unwrap()).collect();
        let measure = |soft| Measured::of(soft, &[4, 5, 6], None, &Settings::default(), Effort::Cheap).unwrap();
        let found = alone(&measure(&soft), &[4, 5, 6]);
        assert_eq!(
            found.iter().map(|run| (run.run, run.count, run.right)).collect::<Vec<_>>(),
            [(4, 1, 1), (5, 1, 0), (6, 2, 0)]
        );
        let of_last: Vec<(usize, u32, u32)> =
            found[2].examples.iter().map(|held| (held.example, held.decision, held.others)).collect();
        assert_eq!(of_last, [(2, 0, 1), (1, 2, 1)]);
        assert!((found[2].examples[0].probability - 5f64.exp() / (5f64.exp() + 2.0)).abs() < 1e-12);
        assert!(alone(&measure(&soft[..2]), &[4, 5]).is_empty());
    }
}
