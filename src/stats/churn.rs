//! How much two runs, or many, decide differently on the same examples.

use rayon::prelude::*;
use serde::Serialize;

use super::logits::{Logits, Real, argmax, check_same, softmax_into};
use super::pairs::Pairs;
use crate::error::{Error, Result};

/// Probabilities looked at together, over all runs: half a megabyte, so that a block's pairs are compared in cache.
const BLOCK: usize = 1 << 16;

/// The class that each example is assigned to, `[N]`: the largest logit, ties to the lowest class.
#[must_use]
pub fn decisions<T: Real>(logits: &Logits<'_, T>) -> Vec<u32> {
    logits.rows().map(|(row, _)| argmax(row) as u32).collect()
}

/// Churn of two runs: the share, in [0, 1], of examples that they decide differently (Milani Fard 2016).
///
/// # Errors
/// [`Error::Invalid`] if the lengths differ or are 0.
pub fn churn(a: &[u32], b: &[u32]) -> Result<f64> {
    check_lengths(a, b)?;
    Ok(share_different(a, b))
}

fn share_different(a: &[u32], b: &[u32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| u64::from(x != y)).sum::<u64>() as f64 / a.len() as f64
}

fn check_lengths(a: &[u32], b: &[u32]) -> Result<()> {
    if a.len() == b.len() && !a.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{} decisions cannot be compared with {}: both must be of the same examples",
        a.len(),
        b.len()
    )))
}

/// Churn from one run to another, by what it does to correctness.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WinLoss {
    /// Share of examples that are wrong before and right after.
    pub win: f64,
    /// Share of examples that are right before and wrong after.
    pub loss: f64,
}

/// Win and loss churn from `before` to `after`, each in [0, 1] (Milani Fard 2016).
///
/// # Errors
/// [`Error::Invalid`] if the lengths differ or are 0.
pub fn win_loss(before: &[u32], after: &[u32], labels: &[u32]) -> Result<WinLoss> {
    check_lengths(before, after)?;
    check_lengths(before, labels)?;
    let (mut win, mut loss) = (0u64, 0u64);
    for ((b, a), y) in before.iter().zip(after).zip(labels) {
        win += u64::from(b != y && a == y);
        loss += u64::from(b == y && a != y);
    }
    let n = labels.len() as f64;
    Ok(WinLoss { win: win as f64 / n, loss: loss as f64 / n })
}

/// Churn of every pair of runs, from the decisions `[N]` of each.
///
/// # Errors
/// [`Error::Invalid`] if there are no runs, or if lengths differ or are 0.
pub fn pairwise(decisions: &[Vec<u32>]) -> Result<Pairs> {
    check_decisions(decisions)?;
    let row = |a: usize| decisions[a + 1..].iter().map(|b| share_different(&decisions[a], b)).collect();
    Ok(Pairs::from_rows((0..decisions.len()).into_par_iter().map(row).collect()))
}

fn check_decisions(decisions: &[Vec<u32>]) -> Result<()> {
    let first = decisions.first().ok_or_else(|| Error::Invalid("there are no runs: at least one is needed".into()))?;
    decisions.iter().try_for_each(|d| check_lengths(first, d))
}

/// Soft churn of every pair of runs: mean over the examples of ½‖p_a − p_b‖₁, in [0, 1].
///
/// Goes through the examples in blocks, so it takes a few megabytes and the result.
///
/// # Errors
/// [`Error::Invalid`] if there are no runs or if their shapes differ.
pub fn pairwise_soft<T: Real>(runs: &[Logits<'_, T>]) -> Result<Pairs> {
    check_same(runs)?;
    let (examples, classes) = (runs[0].examples(), runs[0].classes());
    let per_block = (BLOCK / (runs.len() * classes)).clamp(1, examples);
    let mut sums: Vec<Vec<f64>> = (0..runs.len()).map(|a| vec![0.0; runs.len() - a - 1]).collect();
    let mut block = vec![0.0; runs.len() * per_block * classes];
    for start in (0..examples).step_by(per_block) {
        let width = per_block.min(examples - start) * classes;
        block.par_chunks_mut(width).zip(runs).for_each(|(p, run)| {
            for (i, p) in p.chunks_exact_mut(classes).enumerate() {
                softmax_into(run.row(start + i), p);
            }
        });
        sums.par_iter_mut().enumerate().for_each(|(a, sums)| {
            let p = &block[a * width..][..width];
            let others = block[(a + 1) * width..].chunks_exact(width);
            // In the widest registers of this processor; the order of the sums is the same in all.
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || sums.iter_mut().zip(others).for_each(|(sum, q)| *sum += distance_l1(p, q)),
            );
        });
    }
    let scale = 0.5 / examples as f64;
    sums.iter_mut().flatten().for_each(|v| *v *= scale);
    Ok(Pairs::from_rows(sums))
}

/// Σ|p − q|, in eight interleaved sums so that it runs in vector registers.
#[inline(always)]
fn distance_l1(p: &[f64], q: &[f64]) -> f64 {
    let (p8, p_rest) = p.as_chunks::<8>();
    let (q8, q_rest) = q.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (p, q) in p8.iter().zip(q8) {
        for i in 0..8 {
            sums[i] += (p[i] - q[i]).abs();
        }
    }
    let rest: f64 = p_rest.iter().zip(q_rest).map(|(p, q)| (p - q).abs()).sum();
    sums.iter().sum::<f64>() + rest
}

/// How many of M runs decide for each class, example by example: churn and multiplicity of any number of runs in one pass over
/// their decisions, O(N·M), where looking at every pair would take O(N·M²).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Votes {
    runs: usize,
    /// Where the entries of each example begin, `[N + 1]`.
    starts: Vec<usize>,
    /// Class and number of its votes, only classes that have any, in the order of classes.
    entries: Vec<(u32, u32)>,
}

/// Where the entries of each example of a part end, and the entries.
type Part = (Vec<usize>, Vec<(u32, u32)>);

impl Votes {
    /// Counts the decisions `[N]` of each run.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no runs, or if lengths differ or are 0.
    pub fn of(decisions: &[Vec<u32>]) -> Result<Self> {
        check_decisions(decisions)?;
        let (examples, runs) = (decisions[0].len(), decisions.len());
        let chunk = examples.div_ceil(4 * rayon::current_num_threads()).max(1);
        let parts: Vec<Part> = (0..examples.div_ceil(chunk))
            .into_par_iter()
            .map(|part| {
                let (mut ends, mut entries) = (Vec::with_capacity(chunk), Vec::new());
                let mut votes: Vec<u32> = Vec::with_capacity(runs);
                for i in part * chunk..examples.min((part + 1) * chunk) {
                    votes.clear();
                    votes.extend(decisions.iter().map(|row| row[i]));
                    // Nearly always all runs agree.
                    if votes.iter().all(|&class| class == votes[0]) {
                        entries.push((votes[0], runs as u32));
                    } else {
                        votes.sort_unstable();
                        entries.extend(votes.chunk_by(|a, b| a == b).map(|group| (group[0], group.len() as u32)));
                    }
                    ends.push(entries.len());
                }
                (ends, entries)
            })
            .collect();
        let mut votes = Self { runs, starts: vec![0], entries: Vec::new() };
        for (ends, entries) in parts {
            let before = votes.entries.len();
            votes.starts.extend(ends.into_iter().map(|end| before + end));
            votes.entries.extend(entries);
        }
        Ok(votes)
    }

    /// Number of examples N.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.starts.len() - 1
    }

    /// Class and number of votes of every class that has any on `example`.
    #[must_use]
    pub fn on(&self, example: usize) -> &[(u32, u32)] {
        &self.entries[self.starts[example]..self.starts[example + 1]]
    }

    /// How many runs decide `example` for `class`.
    #[must_use]
    pub fn count(&self, example: usize, class: u32) -> u32 {
        self.on(example).iter().find(|entry| entry.0 == class).map_or(0, |entry| entry.1)
    }

    /// Share of the other runs that decide `example` otherwise than a run that decides for `class`, (M − n)/(M − 1); 0 for a
    /// single run.
    #[must_use]
    pub fn churn(&self, example: usize, class: u32) -> f64 {
        (self.runs - self.count(example, class) as usize) as f64 / self.runs.saturating_sub(1).max(1) as f64
    }

    /// Mean churn of each run against the others, `[M]`.
    #[must_use]
    pub fn churn_of_runs(&self, decisions: &[Vec<u32>]) -> Vec<f64> {
        let departs = |(example, &class): (usize, &u32)| (self.runs - self.count(example, class) as usize) as u64;
        let scale = (self.runs.saturating_sub(1).max(1) * self.examples()) as f64;
        decisions.par_iter().map(|row| row.iter().enumerate().map(departs).sum::<u64>() as f64 / scale).collect()
    }

    /// Mean churn of all pairs: mean over the examples of 1 − Σ_c n_c(n_c − 1)/(M(M − 1)); 0 for a single run.
    #[must_use]
    pub fn mean_churn(&self) -> f64 {
        let pairs = |n: u32| u64::from(n) * u64::from(n.saturating_sub(1));
        let all = pairs(self.runs as u32);
        let differing = |i: usize| all - self.on(i).iter().map(|entry| pairs(entry.1)).sum::<u64>();
        let sum: f64 = (0..self.examples()).map(|i| differing(i) as f64).sum();
        sum / (all.max(1) as f64 * self.examples() as f64)
    }

    /// The class of most votes on `example`; ties go to the lowest class.
    #[must_use]
    pub fn plurality(&self, example: usize) -> u32 {
        self.on(example).iter().fold((0, 0), |best, &entry| if entry.1 > best.1 { entry } else { best }).0
    }

    /// The ambiguity that `chosen` of the M runs, drawn at random, would have in the mean: 1 less the share of examples on
    /// which all drawn runs agree, Σ_c C(n_c, k)/C(M, k). At k = M it is the ambiguity, at k = 2 the mean churn. None where
    /// there are fewer runs, or none are drawn.
    #[must_use]
    pub fn rarefied_ambiguity(&self, chosen: usize) -> Option<f64> {
        if chosen == 0 || chosen > self.runs {
            return None;
        }
        // C(n, k)/C(M, k) = Π_j (n − j)/(M − j).
        let all_of =
            |n: u32| (0..chosen).map(|j| (f64::from(n) - j as f64).max(0.0) / (self.runs - j) as f64).product::<f64>();
        let agree = |i: usize| self.on(i).iter().map(|entry| all_of(entry.1)).sum::<f64>();
        Some(1.0 - (0..self.examples()).map(agree).sum::<f64>() / self.examples() as f64)
    }
}

/// How far the decisions of many runs disagree with their plurality vote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Multiplicity {
    /// The class that most runs choose for each example, `[N]`; ties go to the lowest class.
    pub plurality: Vec<u32>,
    /// Share of examples on which some run differs from the vote, in [0, 1] (Marx 2020, with the vote as baseline).
    pub ambiguity: f64,
    /// Largest share of examples on which one run differs from the vote, in [0, 1].
    pub discrepancy: f64,
}

/// Plurality vote, ambiguity and discrepancy of the decisions `[N]` of each run, whose `votes` were counted.
#[must_use]
pub fn multiplicity(decisions: &[Vec<u32>], votes: &Votes) -> Multiplicity {
    let examples = votes.examples();
    let plurality: Vec<u32> = (0..examples).map(|i| votes.plurality(i)).collect();
    let ambiguous = (0..examples).filter(|&i| votes.on(i).len() > 1).count();
    let discrepancy = decisions.iter().map(|row| share_different(row, &plurality)).fold(0.0, f64::max);
    Multiplicity { ambiguity: ambiguous as f64 / examples as f64, discrepancy, plurality }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::{close, ensemble_cases};
    use super::*;

    #[test]
    fn worked_by_hand() {
        let d = vec![vec![0, 1, 2, 0], vec![0, 1, 1, 1], vec![0, 2, 1, 0]];
        let p = pairwise(&d).unwrap();
        assert_eq!([p.get(0, 1), p.get(0, 2), p.get(1, 2)], [0.5, 0.5, 0.5]);
        let votes = Votes::of(&d).unwrap();
        assert_eq!(votes.churn_of_runs(&d), [0.5, 0.5, 0.5]);
        assert_eq!((votes.mean_churn(), votes.on(2)), (0.5, &[(1, 2), (2, 1)][..]));
        let m = multiplicity(&d, &votes);
        assert_eq!(m.plurality, [0, 1, 1, 0]);
        assert_eq!((m.ambiguity, m.discrepancy), (0.75, 0.25));
        let w = win_loss(&d[0], &d[1], &[1, 1, 1, 0]).unwrap();
        assert_eq!(w, WinLoss { win: 0.25, loss: 0.25 });
    }

    #[test]
    fn a_tied_vote_goes_to_the_lowest_class() {
        let decisions = [vec![3], vec![1]];
        assert_eq!(multiplicity(&decisions, &Votes::of(&decisions).unwrap()).plurality, [1]);
    }

    #[test]
    fn soft_churn_by_hand() {
        let (a, b) = ([0.0f32, 0.0, 50.0, -50.0], [100.0f32, 0.0, -50.0, 50.0]);
        let runs = [&a, &b].map(|z| Logits::new(z.as_slice(), &[0, 0], 2).unwrap());
        assert_eq!(pairwise_soft(&runs).unwrap().get(0, 1), 0.75);
    }

    #[test]
    fn the_independent_cases() {
        for case in ensemble_cases() {
            let flat = case.flat();
            let d: Vec<_> =
                flat.iter().map(|z| decisions(&Logits::new(z, &case.labels, case.classes()).unwrap())).collect();
            for (ours, theirs) in pairwise(&d).unwrap().run_means().iter().zip(&case.runs) {
                assert!(close(*ours, theirs.churn, 1e-9));
            }
            let votes = Votes::of(&d).unwrap();
            assert!(close(multiplicity(&d, &votes).ambiguity, case.ambiguity, 1e-9));
            for (ours, theirs) in votes.churn_of_runs(&d).iter().zip(&case.runs) {
                assert!(close(*ours, theirs.churn, 1e-9));
            }
        }
    }

    #[test]
    fn mismatches_are_refused() {
        assert!(churn(&[0], &[0, 1]).is_err() && churn(&[], &[]).is_err());
        assert!(pairwise(&[]).is_err() && Votes::of(&[vec![0], vec![]]).is_err());
        assert!(win_loss(&[0], &[0], &[0, 1]).is_err());
        assert!(pairwise_soft::<f32>(&[]).is_err());
    }

    proptest! {
        #[test]
        fn counting_votes_equals_looking_at_pairs(
            decisions in proptest::collection::vec(proptest::collection::vec(0u32..5, 23), 2..9),
        ) {
            let (votes, pairs) = (Votes::of(&decisions).unwrap(), pairwise(&decisions).unwrap());
            prop_assert!(close(votes.mean_churn(), pairs.mean(), 1e-12));
            for (a, b) in votes.churn_of_runs(&decisions).iter().zip(pairs.run_means()) {
                prop_assert!(close(*a, b, 1e-12));
            }
            let runs = decisions.len();
            prop_assert!(close(votes.rarefied_ambiguity(2).unwrap(), pairs.mean(), 1e-12));
            let ambiguity = multiplicity(&decisions, &votes).ambiguity;
            prop_assert!(close(votes.rarefied_ambiguity(runs).unwrap(), ambiguity, 1e-12));
            // The mean over all ways to leave one run out.
            let without = (0..runs).map(|out| {
                let rest: Vec<Vec<u32>> = (0..runs).filter(|&m| m != out).map(|m| decisions[m].clone()).collect();
                multiplicity(&rest, &Votes::of(&rest).unwrap()).ambiguity
            });
            prop_assert!(close(votes.rarefied_ambiguity(runs - 1).unwrap(), without.sum::<f64>() / runs as f64, 1e-12));
            prop_assert!(votes.rarefied_ambiguity(runs + 1).is_none() && votes.rarefied_ambiguity(0).is_none());
        }

        #[test]
        fn blocks_do_not_matter_and_constants_cancel(
            z in proptest::collection::vec(-64i32..64, 3 * 70 * 3),
            constant in -64i32..64,
        ) {
            let labels = vec![0; 70];
            let z: Vec<f64> = z.iter().map(|&v| f64::from(v) / 16.0).collect();
            let shifted: Vec<f64> = z.iter().map(|v| v + f64::from(constant) / 16.0).collect();
            let view = |z: &[f64]| -> Vec<f64> {
                let runs: Vec<_> = z.chunks(210).map(|z| Logits::new(z, &labels, 3).unwrap()).collect();
                pairwise_soft(&runs).unwrap().iter().map(|(_, _, v)| v).collect()
            };
            prop_assert_eq!(view(&z), view(&shifted));
            let p: Vec<Vec<f64>> = z.chunks(210).map(|z| z.chunks(3).flat_map(|row| {
                let mut p = vec![0.0; 3];
                softmax_into(row, &mut p);
                p
            }).collect()).collect();
            let mut plain = Vec::new();
            for a in 0..3 {
                for b in a + 1..3 {
                    plain.push(p[a].iter().zip(&p[b]).map(|(x, y)| (x - y).abs()).sum::<f64>() / 140.0);
                }
            }
            prop_assert!(view(&z).iter().zip(&plain).all(|(a, b)| close(*a, *b, 1e-12)));
        }
    }
}
