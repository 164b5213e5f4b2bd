//! What the ensembles of many subsets of the runs make of every example, in one pass over the examples: a run's prediction of
//! an example is computed once for all subsets, and subsets that grow out of each other share their sums. Nothing as large as
//! the predictions of an ensemble is held.

use std::collections::HashMap;

use rayon::prelude::*;

use super::ensemble::Combination;
use super::logits::{Logits, Real, check_same};
use crate::error::{Error, Result};

/// Logits of all runs looked at by one task, about.
const TASK: usize = 1 << 16;

/// Subsets of M runs, each once.
#[derive(Debug, Clone, Default)]
pub struct Subsets {
    runs: usize,
    /// Every subset that sums are made of, wanted or on the way to one that is, after the one that it grows out of.
    nodes: Vec<Node>,
    /// The node of each subset, by a bit for each run.
    by_members: HashMap<Vec<u64>, usize>,
    wanted: usize,
}

#[derive(Debug, Clone)]
struct Node {
    /// The run that it has besides those that it grows out of.
    run: usize,
    children: Vec<usize>,
    /// The number of the subset, if it is wanted.
    number: Option<usize>,
}

/// A subset in the order in which sums are made.
struct Step {
    /// Members but one.
    depth: usize,
    run: usize,
    number: Option<usize>,
}

impl Subsets {
    /// No subset of `runs` runs.
    #[must_use]
    pub fn new(runs: usize) -> Self {
        Self { runs, ..Self::default() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wanted
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted == 0
    }

    /// Adds the first runs of `order`, as many as each of `sizes` says, and gives the number of each subset; one that is there
    /// already, in whatever order, has its number.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a run that does not exist or is named twice, and for sizes that are not ascending, begin at 0 or
    /// go beyond `order`.
    pub fn add(&mut self, order: &[usize], sizes: &[usize]) -> Result<Vec<usize>> {
        let sound = sizes.first().is_none_or(|&size| size > 0) && sizes.is_sorted_by(|a, b| a < b);
        if !sound || sizes.last().is_some_and(|&size| size > order.len()) {
            return Err(Error::Invalid(format!("subsets of {sizes:?} cannot be taken from {} runs", order.len())));
        }
        let mut members = vec![0_u64; self.runs.div_ceil(64)];
        let (mut numbers, mut before) = (Vec::with_capacity(sizes.len()), None);
        for (place, &run) in order.iter().take(sizes.last().copied().unwrap_or(0)).enumerate() {
            if run >= self.runs || members[run / 64] >> (run % 64) & 1 == 1 {
                return Err(Error::Invalid(format!("run {run} does not join a subset of the {} runs", self.runs)));
            }
            members[run / 64] |= 1 << (run % 64);
            let node = self.by_members.get(&members).copied().unwrap_or_else(|| {
                let node = self.nodes.len();
                self.nodes.push(Node { run, children: Vec::new(), number: None });
                self.by_members.insert(members.clone(), node);
                if let Some(before) = before {
                    let before: &mut Node = &mut self.nodes[before];
                    before.children.push(node);
                }
                node
            });
            if sizes.binary_search(&(place + 1)).is_ok() {
                numbers.push(*self.nodes[node].number.get_or_insert_with(|| {
                    self.wanted += 1;
                    self.wanted - 1
                }));
            }
            before = Some(node);
        }
        Ok(numbers)
    }

    /// `f(logits, label, values)` of every subset and every example, where `logits` `[C]` are the ensemble's and `values` are
    /// the `width` numbers that it writes: `[N, width]` of each subset.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of runs, or runs of different shape.
    pub fn each<T: Real>(
        &self,
        runs: &[Logits<'_, T>],
        combination: Combination,
        width: usize,
        f: impl Fn(&[f64], usize, &mut [f64]) + Sync,
    ) -> Result<Vec<Vec<f64>>> {
        check_same(runs)?;
        if runs.len() != self.runs {
            return Err(Error::Invalid(format!("subsets of {} runs cannot be taken from {}", self.runs, runs.len())));
        }
        let (examples, classes, labels) = (runs[0].examples(), runs[0].classes(), runs[0].labels());
        let steps = self.steps();
        let depth = steps.iter().map(|step| step.depth + 1).max().unwrap_or(0);
        let block = (TASK / (runs.len() * classes)).clamp(1, examples);
        let blocks: Vec<Vec<f64>> = (0..examples.div_ceil(block))
            .into_par_iter()
            .map_init(
                || (vec![0.0; self.runs * classes], vec![0.0; depth * classes], vec![0.0; classes]),
                |(terms, sums, logits), place| {
                    let range = place * block..examples.min((place + 1) * block);
                    let stride = range.len() * width;
                    let mut found = vec![0.0; self.wanted * stride];
                    for (row, example) in range.enumerate() {
                        for (term, run) in terms.chunks_exact_mut(classes).zip(runs) {
                            combination.term(run.row(example), term);
                        }
                        for step in &steps {
                            let term = &terms[step.run * classes..][..classes];
                            let (before, sum) = sums.split_at_mut(step.depth * classes);
                            let sum = &mut sum[..classes];
                            match before.len().checked_sub(classes) {
                                None => sum.copy_from_slice(term),
                                Some(start) => {
                                    let pairs = before[start..].iter().zip(term);
                                    sum.iter_mut().zip(pairs).for_each(|(sum, (before, term))| *sum = before + term);
                                }
                            }
                            let Some(number) = step.number else { continue };
                            let members = (step.depth + 1) as f64;
                            logits.iter_mut().zip(&*sum).for_each(|(z, &sum)| *z = combination.logit(sum, members));
                            let values = &mut found[number * stride + row * width..][..width];
                            f(logits, labels[example] as usize, values);
                        }
                    }
                    found
                },
            )
            .collect();
        let of = |number: usize| -> Vec<f64> {
            let part = |found: &Vec<f64>| found.len() / self.wanted;
            blocks.iter().flat_map(|found| &found[number * part(found)..][..part(found)]).copied().collect()
        };
        Ok((0..self.wanted).into_par_iter().map(of).collect())
    }

    /// Every subset after the one that it grows out of, with nothing in between but what grows out of that one too.
    fn steps(&self) -> Vec<Step> {
        let mut is_child = vec![false; self.nodes.len()];
        self.nodes.iter().flat_map(|node| &node.children).for_each(|&child| is_child[child] = true);
        let mut open: Vec<(usize, usize)> =
            (0..self.nodes.len()).filter(|&node| !is_child[node]).map(|node| (node, 0)).collect();
        let mut steps = Vec::with_capacity(self.nodes.len());
        while let Some((place, depth)) = open.pop() {
            let Node { run, children, number } = &self.nodes[place];
            steps.push(Step { depth, run: *run, number: *number });
            open.extend(children.iter().map(|&child| (child, depth + 1)));
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ensemble::{mean_prediction, random_orders};
    use super::super::fixtures::close;
    use super::super::rng::Stream;
    use super::*;

    #[test]
    fn a_subset_has_one_number_whatever_the_order() {
        let mut subsets = Subsets::new(70);
        assert!(subsets.is_empty());
        assert_eq!(subsets.add(&[3, 69, 1], &[1, 3]).unwrap(), [0, 1]);
        assert_eq!(subsets.add(&[69, 3, 1, 5], &[2, 3, 4]).unwrap(), [2, 1, 3]);
        assert_eq!(subsets.len(), 4);
        for (order, sizes) in
            [(&[70][..], &[1][..]), (&[1, 1], &[2]), (&[1, 2], &[3]), (&[1, 2], &[2, 1]), (&[1], &[0])]
        {
            assert!(subsets.add(order, sizes).is_err(), "{order:?} {sizes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_subset_is_its_mean_prediction(
            runs in 1usize..7, classes in 2usize..5, examples in 1usize..40, seed in 0u64..1000, logits in prop::bool::ANY,
        ) {
            let mut stream = Stream::new(seed, 0);
            let values: Vec<Vec<f64>> =
                (0..runs).map(|_| (0..examples * classes).map(|_| 8.0 * stream.uniform()).collect()).collect();
            let labels: Vec<u32> = (0..examples).map(|i| (i % classes) as u32).collect();
            let views: Vec<_> = values.iter().map(|z| Logits::new(z, &labels, classes).unwrap()).collect();
            let combination = if logits { Combination::Logits } else { Combination::Probabilities };
            let (mut subsets, mut wanted) = (Subsets::new(runs), Vec::new());
            for order in random_orders(runs, 5, seed) {
                let sizes: Vec<usize> = (1..=runs).filter(|size| !(seed + *size as u64).is_multiple_of(3) || *size == runs).collect();
                let numbers = subsets.add(&order, &sizes).unwrap();
                wanted.extend(sizes.iter().zip(numbers).map(|(&size, number)| (number, order[..size].to_vec())));
            }
            let found = subsets
                .each(&views, combination, classes + 1, |z, y, out| {
                    out[..classes].copy_from_slice(z);
                    out[classes] = y as f64;
                })
                .unwrap();
            prop_assert_eq!(found.len(), subsets.len());
            for (number, members) in wanted {
                let expected = mean_prediction(&views, &members, combination).unwrap();
                prop_assert_eq!(found[number].len(), examples * (classes + 1));
                for ((ours, theirs), &y) in found[number].chunks(classes + 1).zip(expected.chunks(classes)).zip(&labels) {
                    prop_assert!(ours.iter().zip(theirs).all(|(a, b)| close(*a, *b, 1e-12)));
                    prop_assert_eq!(ours[classes], f64::from(y));
                }
            }
            prop_assert!(Subsets::new(runs + 1).each(&views, combination, 1, |_, _, _| ()).is_err());
        }
    }
}
