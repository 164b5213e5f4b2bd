//! Do networks share an ancestor? From files and sweeps to verdicts, layers, directions and a tree.

mod evidence;
mod read;
mod related;
mod siblings;

pub(super) use read::floats;
pub use read::{Source, Subject, read, read_activations};
pub use related::related;
pub use siblings::Siblings;

use crate::error::{Error, Result};
use crate::lineage::direction::{Direction, direction, rounded_from};
use crate::lineage::found::{EdgeFound, Found, Pair, Verdict};
use crate::lineage::tree::{self, Relations};
use crate::lineage::way::{Passage, descends, pruned_from};
use crate::lineage::{ancestry, permuted};
use crate::stats::permutation::holm;
use evidence::{Judged, judge};

/// What is asked beside the networks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Networks are called related when p is at most this.
    pub level: f64,
    /// Seed of what is drawn: the order in which equally good matchings are tried.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: 0.05, seed: 0 }
    }
}

/// Judges every pair of `subjects`, and with `tree` says who descends from whom.
///
/// # Errors
/// [`Error::NotComparable`] where no two networks have a hidden layer in common (or their soft decisions differ in shape).
pub fn lineage(subjects: &[Subject], siblings: &Siblings, settings: &Settings, tree: bool) -> Result<Found> {
    use rayon::prelude::*;
    let n = subjects.len();
    if n < 2 {
        return Err(Error::Usage("a lineage takes two networks or more, or a sweep with two runs".into()));
    }
    let indices: Vec<(usize, usize)> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let judged: Vec<Judged> = indices
        .par_iter()
        .map(|&(a, b)| judge(&subjects[a], &subjects[b], siblings, settings))
        .collect::<Result<_>>()?;
    let corrected = holm(&judged.iter().map(|held| held.p).collect::<Vec<_>>());
    // What was found of two related networks: distance and direction.
    let details: Vec<Option<Detail>> = indices
        .par_iter()
        .zip(&judged)
        .zip(&corrected)
        .map(|((&(a, b), held), p)| (*p <= settings.level).then(|| detail(&subjects[a], &subjects[b], held)).flatten())
        .collect();
    let pairs: Vec<Pair> = indices
        .iter()
        .zip(judged)
        .zip(corrected.iter().zip(&details))
        .map(|((&(a, b), held), (&p, detail))| {
            pair(&subjects[a].name, &subjects[b].name, held, p, detail.as_ref(), settings)
        })
        .collect();
    let edges = tree.then(|| edges(subjects, &indices, &pairs, &details, settings.level));
    let first =
        pairs.iter().min_by(|x, y| x.p_corrected.total_cmp(&y.p_corrected).then(x.p_value.total_cmp(&y.p_value)));
    let Some(first) = first.cloned() else {
        return Err(Error::Unexpected("no pair of networks was judged".into()));
    };
    Ok(Found {
        schema: "harness.lineage/1",
        verdict: first.verdict,
        p_value: first.p_corrected,
        method: first.method,
        layers: first.layers,
        shared_init: first.shared_init,
        level: settings.level,
        siblings: siblings.count(),
        networks: subjects.iter().map(|subject| subject.name.clone()).collect(),
        pairs,
        edges,
        notes: siblings.notes().to_vec(),
    })
}

/// Of the level, what two networks need to be joined in a tree by their weights: one false join would be a wrong edge, and true relatives are
/// far below.
const JOINED: f64 = 0.02;

/// Of two related networks with weights.
struct Detail {
    distance: f64,
    direction: Option<Direction>,
}

fn detail(a: &Subject, b: &Subject, judged: &Judged) -> Option<Detail> {
    let (a, b) = (a.weights()?, b.weights()?);
    let moved;
    // Where the units were renumbered, the second network is looked at in the order of the first.
    let b = match (&judged.partners, judged.method) {
        (Some(partners), "permuted-units") => {
            moved = permuted::put_in_order(b, partners);
            &moved
        }
        _ => b,
    };
    let distance = ancestry::distance(a, b);
    Some(Detail { distance, direction: direction(a, b) })
}

fn pair(a: &str, b: &str, held: Judged, p: f64, detail: Option<&Detail>, settings: &Settings) -> Pair {
    let verdict = if p <= settings.level {
        Verdict::Related
    } else if held.cannot_tell {
        Verdict::Undecided
    } else {
        Verdict::Unrelated
    };
    let direction = detail.and_then(|detail| detail.direction);
    let shared_init = direction.and_then(|direction| direction.shared_init());
    let apart = shared_init == Some(true);
    let lean = direction.map(|direction| direction.lean);
    let parent = lean.filter(|lean| *lean != 0.0 && !apart).map(|lean| if lean > 0.0 { a } else { b }.to_owned());
    Pair {
        a: a.to_owned(),
        b: b.to_owned(),
        verdict,
        p_value: held.p,
        p_corrected: p,
        method: held.method,
        layers: held.layers,
        permuted: held.permuted,
        outputs: held.outputs,
        distance: detail.map(|detail| detail.distance).filter(|distance| distance.is_finite()),
        shared_init,
        parent,
        direction_by: direction.map(|direction| direction.by.name()),
        lean,
        notes: held.notes,
    }
}

fn edges(
    subjects: &[Subject],
    indices: &[(usize, usize)],
    pairs: &[Pair],
    details: &[Option<Detail>],
    level: f64,
) -> Vec<EdgeFound> {
    let at = |a: usize, b: usize| {
        let wanted = (a.min(b), a.max(b));
        indices.binary_search(&wanted).ok()
    };
    let lean = |a: usize, b: usize| {
        let held =
            at(a, b).and_then(|i| details[i].as_ref()).and_then(|detail| detail.direction).map_or(0.0, |d| d.lean);
        if a < b { held } else { -held }
    };
    let both = |a: usize, b: usize| subjects[a].weights().zip(subjects[b].weights());
    let relations = Relations {
        networks: subjects.len(),
        related: &|a, b| {
            let sure = |pair: &Pair| pair.method != "weights" || pair.p_corrected <= JOINED * level;
            let told = |i: usize| {
                pairs[i].verdict == Verdict::Related && pairs[i].shared_init != Some(true) && sure(&pairs[i])
            };
            // Without weights nothing says who came first.
            at(a, b).is_some_and(|i| told(i) && details[i].is_some())
        },
        distance: &|a, b| at(a, b).and_then(|i| details[i].as_ref()).map_or(f64::INFINITY, |detail| detail.distance),
        lean: &lean,
        gone_through: &|from, through, to| {
            let of = |i: usize| subjects[i].weights();
            let ways = of(from).zip(of(through)).zip(of(to));
            ways.map_or(Passage::Never, |((from, through), to)| descends(from, through, to))
        },
        pruned_from: &|parent, child| both(parent, child).is_some_and(|(parent, child)| pruned_from(parent, child)),
        rounded_from: &|parent, child| both(parent, child).is_some_and(|(parent, child)| rounded_from(parent, child)),
    };
    tree::edges(&relations)
        .into_iter()
        .map(|edge| EdgeFound {
            parent: subjects[edge.parent].name.clone(),
            child: subjects[edge.child].name.clone(),
            p_value: at(edge.parent, edge.child).map_or(1.0, |i| pairs[i].p_corrected),
            clear: edge.clear,
        })
        .collect()
}
