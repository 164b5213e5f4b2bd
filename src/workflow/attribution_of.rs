//! Two sweeps in the space of training examples: what do their runs decide by? Networks of other architectures share no weights and no
//! units, but each has a kernel surrogate on the same training examples (Engel 2024), and that says which of them a decision rests on.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::embed::weights;
use super::surrogate::{data_of, taken};
use crate::analysis::representations::further_apart;
use crate::config;
use crate::data;
use crate::error::{Error, Result};
use crate::kernel::study::{Examples, Study, study};
use crate::kernel::surrogate::{FitOptions, fidelity};
use crate::kernel::{DEFAULT_BUDGET, Draw, Jacobians, Kind};
use crate::record::{RunReader, SweepReader};
use crate::stats::logits::argmax;

/// The training examples that weigh most in a decision.
const TELLING: usize = 20;

/// How the runs of two sweeps decide, schema `harness.attributions/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attributions {
    /// `harness.attributions/1`
    pub schema: &'static str,
    /// Of the surrogates.
    pub kernel: &'static str,
    /// Training examples that surrogates are fitted on.
    pub train: usize,
    /// Evaluation examples whose decisions are looked at.
    pub test: usize,
    /// Most telling training examples of each decision.
    pub telling: usize,
    /// Every run, the first sweep's before the second's.
    pub runs: Vec<OfRun>,
    /// Pairs of the first sweep.
    pub within_first: Option<Together>,
    /// Pairs of the second sweep.
    pub within_second: Option<Together>,
    /// A run of each.
    pub between: Together,
    /// Permutation test of whether pairs between the sweeps overlap less than pairs within them.
    pub p_between: Option<f64>,
}

/// One run and its own surrogate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfRun {
    /// `a` or `b` and its index.
    pub run: String,
    /// Accuracy of the surrogate less that of the run.
    pub tad: f64,
    /// Kendall's τ_b between their log-odds of the right class.
    pub tau: Option<f64>,
}

/// Means over pairs of runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Together {
    /// How many.
    pub pairs: usize,
    /// Of the 20 most telling training examples of each decision, those in common over those of either (Jaccard).
    pub overlap: f64,
    /// τ_b between the surrogate of the one and the decisions of the other, in both directions: cross-fidelity.
    pub fidelity: f64,
    /// Share of decisions that the surrogate of the one has in common with the other.
    pub agreement: f64,
}

/// A run with its surrogate.
struct Held {
    name: String,
    study: Study,
    /// Of the evaluation examples.
    labels: Vec<u32>,
    /// Of each evaluation example the most telling training examples.
    telling: Vec<BTreeSet<usize>>,
}

/// Fits a surrogate to the trace kernel of every complete run of both sweeps, on the same `examples` training examples, and compares what
/// they decide by on as many evaluation examples.
///
/// # Errors
/// [`Error::NotComparable`] where the sweeps' data differ; [`Error::Invalid`] where weights are not recorded or a sweep has no run.
pub fn attributions(first: &Path, second: &Path, examples: usize) -> Result<Attributions> {
    let (mut digests, mut seed) = (Vec::new(), None);
    let mut held: Vec<Held> = Vec::new();
    let mut count = 0;
    let mut sizes = (0, 0);
    for (side, root) in [("a", first), ("b", second)] {
        let reader = SweepReader::open(root)?;
        let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
        let (runs, _) = reader.runs();
        let one = runs.first().ok_or_else(|| Error::Invalid(format!("{} has no complete run", root.display())))?;
        let data = data_of(&experiment, one)?;
        let plan = experiment.plan(data.shape, data.classes.len())?;
        // The first sweep's, for both.
        let seed = *seed.get_or_insert(experiment.data.seed);
        digests.push(data.digest.clone());
        if digests.iter().any(|digest| *digest != data.digest) {
            return Err(Error::NotComparable(format!(
                "{} and {} were not trained on the same data, so their surrogates have no training examples in common",
                first.display(),
                second.display()
            )));
        }
        let classes = data.classes.len();
        let train = taken(&data, &data.train, &data::subset(&data.train, classes, examples, seed));
        let test = taken(&data, &data.eval, &data::subset(&data.eval, classes, examples, seed));
        sizes = (train.len(), test.len());
        let of_run = |run: &RunReader| -> Result<Held> {
            let network = Jacobians::from_weights(&plan, weights(run, None, root)?.1, DEFAULT_BUDGET)?;
            let study = study(
                &network,
                Examples { pixels: &train.pixels, labels: &train.labels },
                Examples { pixels: &test.pixels, labels: &test.labels },
                Kind::Trace,
                &Draw::default(),
                &FitOptions::default(),
            )?;
            let rows = study.rows.chunks_exact(train.len()).zip(study.surrogate_logits.chunks_exact(classes));
            let telling = rows.map(|(row, logits)| {
                let influences = study.surrogate.attribute(row, argmax(logits), TELLING)?;
                Ok(influences.into_iter().map(|influence| influence.example).collect())
            });
            let telling = telling.collect::<Result<_>>()?;
            Ok(Held { name: format!("{side}{}", run.index()), study, labels: test.labels.clone(), telling })
        };
        held.extend(runs.iter().map(of_run).collect::<Result<Vec<_>>>()?);
        if side == "a" {
            count = held.len();
        }
    }
    compared(&held, count, sizes)
}

fn compared(held: &[Held], count: usize, (train, test): (usize, usize)) -> Result<Attributions> {
    let n = held.len();
    let indices: Vec<(usize, usize)> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let pairs: Vec<[f64; 3]> = indices.par_iter().map(|&(a, b)| together(&held[a], &held[b])).collect::<Result<_>>()?;
    let mean = |keep: &dyn Fn(usize, usize) -> bool| {
        let kept: Vec<&[f64; 3]> =
            indices.iter().zip(&pairs).filter(|((a, b), _)| keep(*a, *b)).map(|(_, pair)| pair).collect();
        let over = |part: usize| kept.iter().map(|pair| pair[part]).sum::<f64>() / kept.len() as f64;
        (!kept.is_empty()).then(|| Together {
            pairs: kept.len(),
            overlap: over(0),
            fidelity: over(1),
            agreement: over(2),
        })
    };
    let distance = |a: usize, b: usize| {
        let at = indices.binary_search(&(a.min(b), a.max(b)));
        at.map_or(0.0, |at| 1.0 - pairs[at][0])
    };
    let between = mean(&|a, b| a < count && b >= count);
    Ok(Attributions {
        schema: "harness.attributions/1",
        kernel: Kind::Trace.name(),
        train,
        test,
        telling: TELLING,
        runs: held
            .iter()
            .map(|held| OfRun { run: held.name.clone(), tad: held.study.fidelity.tad, tau: held.study.fidelity.tau })
            .collect(),
        within_first: mean(&|_, b| b < count),
        within_second: mean(&|a, _| a >= count),
        between: between.ok_or_else(|| Error::Unexpected("no two runs were compared".into()))?,
        p_between: (n > 2).then(|| further_apart(n, count, &distance)),
    })
}

/// Overlap, cross-fidelity and agreement of two runs.
fn together(a: &Held, b: &Held) -> Result<[f64; 3]> {
    let jaccard = |(one, other): (&BTreeSet<usize>, &BTreeSet<usize>)| {
        let shared = one.intersection(other).count();
        shared as f64 / (one.len() + other.len() - shared).max(1) as f64
    };
    let overlap = a.telling.iter().zip(&b.telling).map(jaccard).sum::<f64>() / a.telling.len().max(1) as f64;
    let classes = a.study.surrogate.classes;
    let agree = |surrogate: &[f64], network: &[f64]| {
        let rows = surrogate.chunks_exact(classes).zip(network.chunks_exact(classes));
        let same = rows.filter(|(s, z)| argmax(s) == argmax(z)).count();
        same as f64 / (network.len() / classes).max(1) as f64
    };
    let mut fidelities = [0.0; 2];
    let mut agreements = [0.0; 2];
    for (place, (from, to)) in [(a, b), (b, a)].into_iter().enumerate() {
        let (surrogate, network) = (&from.study.surrogate_logits, &to.study.network_logits);
        fidelities[place] = fidelity(surrogate, network, &from.labels)?.tau.unwrap_or(0.0);
        agreements[place] = agree(surrogate, network);
    }
    Ok([overlap, fidelities.iter().sum::<f64>() / 2.0, agreements.iter().sum::<f64>() / 2.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::surrogate::{Fidelity, Surrogate};

    fn held(telling: [&[usize]; 2], surrogate: [f64; 4], network: [f64; 4]) -> Held {
        let fit =
            Surrogate { weights: vec![], intercepts: vec![], classes: 2, loss: 0.0, gradient_norm: 0.0, iterations: 0 };
        let fidelity =
            Fidelity { network_accuracy: 0.0, surrogate_accuracy: 0.0, tad: 0.0, tau: None, shared_misses: None };
        let (surrogate_logits, network_logits) = (surrogate.to_vec(), network.to_vec());
        let study = Study { surrogate: fit, fidelity, rows: vec![], surrogate_logits, network_logits };
        let telling = telling.map(|some| some.iter().copied().collect()).into();
        Held { name: String::new(), study, labels: vec![0, 1], telling }
    }

    #[test]
    fn by_hand() {
        // Two decisions, the first on the same training examples, the second with one of three in common.
        let a = held([&[0, 1], &[2, 3]], [2.0, 0.0, 0.0, 1.0], [2.0, 0.0, 0.0, 1.0]);
        let b = held([&[0, 1], &[3, 4]], [3.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 2.0]);
        let [overlap, fidelity, agreement] = together(&a, &b).unwrap();
        assert!((overlap - 2.0 / 3.0).abs() < 1e-12);
        // Log-odds of the right class: a's surrogate 2, 1 and b's network −1, 2: the other order. b's surrogate 3, −1 and a's network 2, 1:
        // the same order.
        assert_eq!(fidelity, 0.0);
        // a's surrogate decides 0, 1 and b 1, 1; b's surrogate decides 0, 0 and a 0, 1.
        assert_eq!(agreement, 0.5);
        let found = compared(&[a, b], 1, (5, 2)).unwrap();
        assert_eq!((found.within_first, found.p_between, found.between.pairs), (None, None, 1));
    }
}
