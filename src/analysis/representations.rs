//! How alike the representations of runs are, at checkpoints and across sweeps, and which examples some runs place elsewhere than
//! the others do.

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::stats::representation::{Likeness, Representation};
use crate::stats::rng::Stream;

/// Embeddings of N examples by some runs of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// Indices of the runs.
    pub runs: Vec<u32>,
    /// After which epoch each run is looked at.
    pub epochs: Vec<usize>,
    /// How many inputs were embedded.
    pub examples: usize,
    /// Numbers of each.
    pub width: usize,
    /// `[runs, examples, width]`
    pub values: Vec<f32>,
    /// Of the evaluation set, `[examples]`; None for other inputs.
    pub labels: Option<Vec<u32>>,
}

/// Examples that representations are compared on, at most.
pub const COMPARED: usize = 500;

impl Embedded {
    /// Every how many-th example is compared.
    fn step(&self) -> usize {
        self.examples.div_ceil(COMPARED).max(1)
    }

    /// Each run's representation of the examples that are compared.
    fn representations(&self) -> Result<Vec<Representation>> {
        let of_run = |rows: &[f32]| {
            let some: Vec<f32> = rows.chunks_exact(self.width).step_by(self.step()).flatten().copied().collect();
            Representation::new(&some, self.width)
        };
        self.values.chunks_exact((self.examples * self.width).max(1)).map(of_run).collect()
    }
}

/// How alike the representations of runs are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alike {
    /// Name and version of the format.
    pub schema: &'static str,
    /// Examples compared.
    pub examples: usize,
    /// Every pair of representations.
    pub pairs: Vec<AlikePair>,
    /// Means over pairs within the first sweep, within the second, and between them: debiased CKA, neighbours, Procrustes.
    pub means: Vec<Means>,
    /// Permutation test of whether pairs between the sweeps are further apart (arccos of the debiased CKA) than pairs within them.
    pub p_between: Option<f64>,
}

/// Two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlikePair {
    /// One of the two.
    pub a: String,
    /// The other.
    pub b: String,
    /// How alike they are.
    #[serde(flatten)]
    pub likeness: Likeness,
}

/// Means over some pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Means {
    /// Which pairs.
    pub of: &'static str,
    /// How many of them.
    pub pairs: usize,
    /// Mean debiased centred kernel alignment.
    pub cka: f64,
    /// Mean share of mutual nearest neighbours.
    pub neighbours: f64,
    /// Mean Procrustes similarity.
    pub procrustes: f64,
}

impl Means {
    /// None of no pair.
    fn of(of: &'static str, kept: &[&Likeness]) -> Option<Self> {
        let over = |value: fn(&Likeness) -> f64| kept.iter().map(|held| value(held)).sum::<f64>() / kept.len() as f64;
        (!kept.is_empty()).then(|| Self {
            of,
            pairs: kept.len(),
            cka: over(|held| held.cka.value),
            neighbours: over(|held| held.neighbours.value),
            procrustes: over(|held| held.procrustes.value),
        })
    }
}

/// Every pair of 0..n, and how alike its representations are.
fn pairs_of(held: &[Representation], permutations: usize) -> Result<Vec<((usize, usize), Likeness)>> {
    let n = held.len();
    let indices: Vec<(usize, usize)> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let likeness =
        |&(a, b): &(usize, usize)| Ok(((a, b), held[a].likeness(&held[b], permutations, (a * n + b) as u64)?));
    indices.par_iter().map(likeness).collect()
}

/// Compares every two runs of one sweep, or of two sweeps of whatever architectures, on the same examples (500 of them at most,
/// evenly taken).
///
/// # Errors
/// [`Error::NotComparable`] where the sweeps embedded other examples; [`Error::Invalid`] for fewer than 12 examples.
pub fn alike(first: &Embedded, second: Option<&Embedded>, permutations: usize) -> Result<Alike> {
    let same = |other: &Embedded| other.labels == first.labels && other.examples == first.examples;
    if !second.is_none_or(same) {
        return Err(Error::NotComparable(
            "the representations of the two sweeps are not of the same examples: give some with --inputs".into(),
        ));
    }
    let mut names = Vec::new();
    let mut held = Vec::new();
    for (side, label) in std::iter::once(first).chain(second).zip(["a", "b"]) {
        let name = |run: &u32| if second.is_some() { format!("{label}{run}") } else { run.to_string() };
        names.extend(side.runs.iter().map(name));
        held.extend(side.representations()?);
    }
    let (n, count) = (held.len(), first.runs.len());
    let pairs = pairs_of(&held, permutations)?;
    let mean = |of: &'static str, keep: &dyn Fn(usize, usize) -> bool| {
        let kept: Vec<&Likeness> =
            pairs.iter().filter(|((a, b), _)| keep(*a, *b)).map(|(_, likeness)| likeness).collect();
        Means::of(of, &kept)
    };
    let means = [
        mean("within the first", &|_, b| b < count),
        mean("within the second", &|a, _| a >= count),
        mean("between", &|a, b| a < count && b >= count),
    ];
    let angle = |a: usize, b: usize| {
        let pair = pairs.binary_search_by_key(&(a.min(b), a.max(b)), |(indices, _)| *indices).map(|at| &pairs[at].1);
        pair.map_or(0.0, |likeness| likeness.cka.value.clamp(-1.0, 1.0).acos())
    };
    let p_between = (second.is_some() && n > 2).then(|| further_apart(n, count, &angle));
    Ok(Alike {
        schema: "harness.representations/1",
        examples: first.examples.div_ceil(first.step()),
        means: means.into_iter().flatten().collect(),
        p_between,
        pairs: pairs
            .into_iter()
            .map(|((a, b), likeness)| AlikePair { a: names[a].clone(), b: names[b].clone(), likeness })
            .collect(),
    })
}

/// What a report says of the representations of a sweep's runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Represented {
    /// Examples compared.
    pub examples: usize,
    /// Numbers of an embedding.
    pub width: usize,
    /// At each checkpoint, in order.
    pub checkpoints: Vec<Checkpoint>,
    /// At the last checkpoint, the run that is least like the others first.
    pub runs: Vec<RunPlace>,
    /// Which examples flagged runs, and the one that is least like the others, place elsewhere.
    pub elsewhere: Vec<Elsewhere>,
}

/// How alike runs are at one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The epoch; none where runs are looked at after different ones.
    pub epoch: Option<usize>,
    /// Means over all pairs of runs.
    pub means: Means,
    /// Means of the same measures with the examples of one side in a random order: debiased CKA, neighbours, Procrustes.
    pub chance: [f64; 3],
    /// The largest p-value of a pair, of each measure.
    pub p: [f64; 3],
    /// Mean CKA of a run with itself at the last checkpoint.
    pub to_last: Option<f64>,
}

/// A run among the others: means over its pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlace {
    /// Its index.
    pub run: u32,
    /// Means over its pairs.
    pub means: Means,
}

/// An example that a run places elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Elsewhere {
    /// The run.
    pub run: u32,
    /// The example's number in the evaluation set, or among the inputs.
    pub example: usize,
    /// Its label, where labels are known.
    pub label: Option<u32>,
    /// Mean share of its ten nearest examples that the run has in common with another run.
    pub shared: f64,
    /// The same of two of the other runs.
    pub others: f64,
}

/// Examples shown of each run.
const TOLD: usize = 5;
/// Steps of permutations that a report takes, at most: some ten seconds.
const STEPS: f64 = 2e10;

/// Looks at the embeddings of one sweep at one or more checkpoints. `flagged`: the runs whose examples are wanted besides those of the run
/// that is least like the others.
///
/// # Errors
/// [`Error::NotComparable`] where checkpoints embedded other examples or runs; [`Error::Invalid`] for fewer than two runs or 12 examples.
pub fn represented(checkpoints: &[Embedded], flagged: &[u32]) -> Result<Represented> {
    let mut order: Vec<&Embedded> = checkpoints.iter().collect();
    order.sort_by_key(|held| held.epochs.iter().copied().max());
    let Some(&last) = order.last() else {
        return Err(Error::Invalid("a report on representations takes embeddings of one checkpoint or more".into()));
    };
    let same =
        |held: &&Embedded| (held.examples, &held.runs, &held.labels) == (last.examples, &last.runs, &last.labels);
    if !order.iter().all(same) {
        return Err(Error::NotComparable(
            "the files of embeddings are not of the same runs and examples: make them all with `harness embed` of one sweep".into(),
        ));
    }
    let n = last.runs.len();
    if n < 2 {
        return Err(Error::Invalid("embeddings of one run compare with nothing: embed all runs".into()));
    }
    let compared = last.examples.div_ceil(last.step());
    let finals = last.representations()?;
    let mut told = Vec::new();
    let mut at_last = Vec::new();
    for held in &order {
        let cost = (n * n / 2) as f64 * ((compared * compared) as f64 + (held.width as f64).powi(3));
        let permutations = ((STEPS / cost / order.len() as f64) as usize).clamp(19, 99);
        let representations = held.representations()?;
        let pairs = pairs_of(&representations, permutations)?;
        let each: Vec<&Likeness> = pairs.iter().map(|(_, likeness)| likeness).collect();
        let measures = |likeness: &Likeness| {
            [&likeness.cka, &likeness.neighbours, &likeness.procrustes].map(|held| (held.chance, held.p))
        };
        let (mut chance, mut p) = ([0.0; 3], [0.0f64; 3]);
        for likeness in &each {
            for (i, (by_chance, value)) in measures(likeness).into_iter().enumerate() {
                chance[i] += by_chance / each.len() as f64;
                p[i] = p[i].max(value);
            }
        }
        let itself = representations.iter().zip(&finals).map(|(now, then)| now.likeness(then, 0, 0));
        let itself: Vec<f64> = itself.map(|found| Ok(found?.cka.value)).collect::<Result<_>>()?;
        let to_last = (order.len() > 1).then(|| itself.iter().sum::<f64>() / n as f64);
        let epoch = held.epochs.first().copied().filter(|first| held.epochs.iter().all(|epoch| epoch == first));
        told.extend(Means::of("all pairs", &each).map(|means| Checkpoint { epoch, means, chance, p, to_last }));
        at_last = pairs;
    }
    let of_run = |place: usize| {
        let kept: Vec<&Likeness> =
            at_last.iter().filter(|((a, b), _)| *a == place || *b == place).map(|(_, likeness)| likeness).collect();
        Some(RunPlace { run: last.runs[place], means: Means::of("its pairs", &kept)? })
    };
    let mut runs: Vec<RunPlace> = (0..n).filter_map(of_run).collect();
    runs.sort_by(|a, b| a.means.cka.total_cmp(&b.means.cka));
    let mut wanted: Vec<u32> = runs.first().map(|held| held.run).into_iter().chain(flagged.iter().copied()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    // Without a third run there are no two others.
    let places = wanted.iter().filter(|_| n > 2).filter_map(|run| last.runs.iter().position(|held| held == run));
    let elsewhere = places.flat_map(|place| elsewhere(last, &finals, place)).collect();
    Ok(Represented { examples: compared, width: last.width, checkpoints: told, runs, elsewhere })
}

/// The examples whose nearest others the run at `place` shares least with the other runs, next to what these share among each other.
fn elsewhere(held: &Embedded, representations: &[Representation], place: usize) -> Vec<Elsewhere> {
    let n = representations.len();
    let count = held.examples.div_ceil(held.step());
    let (mut own, mut others) = (vec![0.0; count], vec![0.0; count]);
    for a in 0..n {
        for b in a + 1..n {
            let (sums, pairs) =
                if a == place || b == place { (&mut own, n - 1) } else { (&mut others, (n - 1) * (n - 2) / 2) };
            let shares = representations[a].neighbours_shared(&representations[b]);
            sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share / pairs as f64);
        }
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&i, &j| (own[i] - others[i]).total_cmp(&(own[j] - others[j])).then(i.cmp(&j)));
    let told = order.into_iter().take(TOLD).map(|i| Elsewhere {
        run: held.runs[place],
        example: i * held.step(),
        label: held.labels.as_ref().and_then(|labels| labels.get(i * held.step()).copied()),
        shared: own[i],
        others: others[i],
    });
    told.collect()
}

/// Permutations of the test between sweeps.
const DIVISIONS: usize = 9999;

/// The share of random divisions of 0..n into sets of the same sizes whose energy statistic (twice the mean distance between the sets, less the mean within each;
/// Székely & Rizzo 2004) is at least that of the first `count` against the others.
#[must_use]
pub fn further_apart(n: usize, count: usize, distance: &dyn Fn(usize, usize) -> f64) -> f64 {
    let statistic = |order: &[usize]| {
        let (a, b) = order.split_at(count);
        let within = |of: &[usize]| {
            let pairs = of.iter().enumerate().flat_map(|(i, &x)| of[..i].iter().map(move |&y| distance(x, y)));
            pairs.sum::<f64>() / (of.len() * of.len().saturating_sub(1) / 2).max(1) as f64
        };
        let between: f64 = a.iter().flat_map(|&x| b.iter().map(move |&y| distance(x, y))).sum();
        2.0 * between / (a.len() * b.len()).max(1) as f64 - within(a) - within(b)
    };
    let identity: Vec<usize> = (0..n).collect();
    let observed = statistic(&identity);
    let above = (0..DIVISIONS)
        .filter(|&permutation| {
            let mut order = identity.clone();
            Stream::new(0, permutation as u64).shuffle(&mut order);
            statistic(&order) >= observed - 1e-9 * observed.abs()
        })
        .count();
    (1 + above) as f64 / (1 + DIVISIONS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_apart_are_told_from_sets_together() {
        // Four points at 0 and four at 5: of the 70 divisions two are as large.
        let place = [0.0f64, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2, 5.3];
        let p = further_apart(8, 4, &|a, b| (place[a] - place[b]).abs());
        assert!((p - 2.0 / 70.0).abs() < 0.008, "{p}");
        let mixed = [0.0f64, 5.0, 0.2, 5.1, 0.1, 5.2, 0.3, 5.3];
        assert!(further_apart(8, 4, &|a, b| (mixed[a] - mixed[b]).abs()) > 0.3);
    }

    /// Four runs see the same 40 points; run 2 has 5 of them moved far away, to others.
    fn four(moved: bool) -> Embedded {
        let (examples, width) = (40, 3);
        let mut stream = Stream::new(3, 0);
        let points: Vec<f32> = (0..examples * width).map(|_| (stream.uniform() * 10.0) as f32).collect();
        let values = (0..4).flat_map(|run| {
            let mut own: Vec<f32> = points.iter().map(|v| v + (0.2 * stream.uniform()) as f32).collect();
            if moved && run == 2 {
                own[..5 * width].rotate_left(width);
            }
            own
        });
        let values = values.collect();
        Embedded {
            runs: vec![0, 1, 2, 5],
            epochs: vec![3; 4],
            examples,
            width,
            values,
            labels: Some(vec![7; examples]),
        }
    }

    #[test]
    fn what_a_run_places_elsewhere_is_named() {
        let found = represented(&[four(true)], &[]).unwrap();
        assert_eq!((found.runs[0].run, found.examples, found.checkpoints[0].epoch), (2, 40, Some(3)));
        let mut named: Vec<usize> = found.elsewhere.iter().map(|held| held.example).collect();
        named.sort_unstable();
        assert_eq!(named, [0, 1, 2, 3, 4]);
        assert!(found.elsewhere.iter().all(|held| held.run == 2 && held.label == Some(7) && held.shared < held.others));
        let checkpoint = &found.checkpoints[0];
        assert!(checkpoint.p.iter().all(|p| *p <= 0.05) && checkpoint.chance[0].abs() < 0.1, "{checkpoint:?}");
        // A flagged run is told of besides; a run that is not there is not.
        assert_eq!(represented(&[four(true)], &[5, 9]).unwrap().elsewhere.len(), 10);
    }

    #[test]
    fn checkpoints_are_put_in_order_and_must_fit() {
        let (late, mut early) = (four(false), four(true));
        early.epochs = vec![1; 4];
        let found = represented(&[late.clone(), early.clone()], &[]).unwrap();
        let told: Vec<(Option<usize>, f64)> =
            found.checkpoints.iter().map(|held| (held.epoch, held.to_last.unwrap())).collect();
        assert_eq!((told[0].0, told[1].0), (Some(1), Some(3)));
        assert!(told[0].1 < 0.999 && (told[1].1 - 1.0).abs() < 1e-9, "{told:?}");
        early.runs = vec![0, 1, 2, 3];
        assert!(represented(&[late, early], &[]).is_err() && represented(&[], &[]).is_err());
    }
}
