//! The examples on which a run decides as no other does.

use rayon::prelude::*;

use super::schema::{Alone, AloneExample};
use crate::stats::Logits;
use crate::stats::logits::{Real, softmax_into};

/// Examples kept for each run.
const KEPT: usize = 24;

/// For each of three runs and more, the examples on which no other run shares its decision, the surest first; ties go
/// to the lower example. `decisions` are those of `soft`, `[N]` each.
#[must_use]
pub fn alone<T: Real>(soft: &[Logits<'_, T>], decisions: &[Vec<u32>], indices: &[u32]) -> Vec<Alone> {
    let Some(first) = soft.first().filter(|_| soft.len() > 2) else { return Vec::new() };
    let (examples, classes) = (first.examples(), first.classes());
    let mut votes = vec![0u32; examples * classes];
    for row in decisions {
        for (votes, &decision) in votes.chunks_exact_mut(classes).zip(row) {
            votes[decision as usize] += 1;
        }
    }
    (0..soft.len())
        .into_par_iter()
        .map(|place| {
            let mut found: Vec<AloneExample> = Vec::new();
            let mut probabilities = vec![0.0; classes];
            let rows = soft[place].rows().zip(&decisions[place]).zip(votes.chunks_exact(classes)).enumerate();
            for (example, (((logits, label), &decision), votes)) in rows {
                if votes[decision as usize] == 1 {
                    softmax_into(logits, &mut probabilities);
                    found.push(AloneExample {
                        example,
                        label: label as u32,
                        decision,
                        others: others(votes, decision),
                        probability: probabilities[decision as usize],
                    });
                }
            }
            let (count, right) = (found.len(), found.iter().filter(|held| held.decision == held.label).count());
            found.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            found.truncate(KEPT);
            Alone { run: indices[place], count, right, examples: found }
        })
        .collect()
}

/// The class of most votes besides one vote for `own`; ties go to the lowest class.
fn others(votes: &[u32], own: u32) -> u32 {
    let left = |class: usize| votes[class] - u32::from(class == own as usize);
    (1..votes.len()).fold(0, |best, class| if left(class) > left(best) { class } else { best }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::churn;

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
        let decisions: Vec<Vec<u32>> = soft.iter().map(churn::decisions).collect();
        let found = alone(&soft, &decisions, &[4, 5, 6]);
        assert_eq!(
            found.iter().map(|run| (run.run, run.count, run.right)).collect::<Vec<_>>(),
            [(4, 1, 1), (5, 1, 0), (6, 2, 0)]
        );
        let of_last: Vec<(usize, u32, u32)> =
            found[2].examples.iter().map(|held| (held.example, held.decision, held.others)).collect();
        assert_eq!(of_last, [(2, 0, 1), (1, 2, 1)]);
        assert!((found[2].examples[0].probability - 5f64.exp() / (5f64.exp() + 2.0)).abs() < 1e-12);
        assert!(alone(&soft[..2], &decisions[..2], &[4, 5]).is_empty());
    }
}
