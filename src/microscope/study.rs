//! Everything about sets of embeddings, in one call.

use super::align::{Alignment, align};
use super::bound::differs_at_least;
use super::classifier::{Judged, judged};
use super::cluster::{adjusted_rand, clusters};
use super::components::components;
use super::difference::{Difference, Options, difference};
use super::found::{
    AlignmentFound, ClassifierFound, ClustersFound, Found, HeadFound, PairFound, Places, SetFound, Share, Telling,
    ValueFound,
};
use super::linear::Pca;
use super::problem::Problem;
use super::sets::Sets;
use crate::error::Result;
use crate::stats::permutation::holm;

/// How sets are looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub permutations: usize,
    /// Error level of the verdict and of `differs_at_least`.
    pub epsilon: f64,
    pub seed: u64,
    /// Whether an orthogonal map is fitted; needs pairs.
    pub align: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { permutations: 999, epsilon: 0.05, seed: 0, align: false }
    }
}

/// Components that clusters are looked for in, and that single values of labels are tested on.
const REDUCED: usize = 32;
/// Samples of either set that a value of a label needs.
const FEWEST: usize = 8;
/// Telling samples of either set.
const TELLING: usize = 8;

/// Looks at everything; gives the maps of the alignments too, from the second set on.
///
/// # Errors
/// [`Problem::NoPairs`] for an alignment without pairs; [`Problem::NotConverged`].
pub fn study(sets: &Sets, settings: &Settings) -> Result<(Found, Vec<Alignment>)> {
    if settings.align && !sets.pairs {
        return Err(Problem::NoPairs.error());
    }
    let n = sets.len();
    let mut looked: Vec<Looked> = Vec::new();
    for a in 0..sets.names.len() {
        for b in a + 1..sets.names.len() {
            looked.push(Looked::at(sets, a, b, settings)?);
        }
    }
    let corrected = holm(&looked.iter().map(|held| held.difference.p).collect::<Vec<_>>());
    let clearest = (0..looked.len())
        .min_by(|&x, &y| {
            let key = |i: usize| (corrected[i], -looked[i].judged.accuracy);
            key(x).partial_cmp(&key(y)).unwrap_or(std::cmp::Ordering::Equal)
        })
        .ok_or_else(|| Problem::OneSet.error())?;
    let best = &looked[clearest];
    let found_components = components(sets, settings.seed)?;
    let all: Vec<usize> = (0..n).collect();
    let reduced = Pca::of(&sets.rows, sets.width, REDUCED.min(n / 4).max(1), settings.seed)?;
    let scores = reduced.scores(&sets.rows, &all, false);
    let of = sets.of();
    let clustered = clusters(&scores, reduced.len(), settings.seed);
    let shares = sets
        .labels
        .iter()
        .map(|label| Share { label: label.name.clone(), share: adjusted_rand(&clustered.of, &label.of) });
    let by_label = by_label(sets, best, &scores, reduced.len(), settings)?;
    let alignments = if settings.align { alignments(sets, settings)? } else { Vec::new() };
    let told = alignments.iter().zip(&sets.names[1..]).map(|(found, name)| AlignmentFound {
        from: name.clone(),
        to: sets.names[0].clone(),
        before: found.before,
        after: found.after,
        head: found.head.as_ref().map(|head| HeadFound {
            label: head.label.clone(),
            chance: head.chance,
            on_first: head.on_first,
            before: head.before,
            after: head.after,
        }),
    });
    let pairs: Vec<PairFound> = looked
        .iter()
        .zip(&corrected)
        .map(|(held, &p)| PairFound {
            a: sets.names[held.sets.0].clone(),
            b: sets.names[held.sets.1].clone(),
            p_value: held.difference.p,
            p_corrected: p,
            p_mmd_fuse: held.difference.p_fuse,
            by: held.difference.by,
            classifier: held.classifier(),
            differs_at_least: held.bound,
        })
        .collect();
    let first = sets.sizes[best.sets.0];
    let found = Found {
        schema: "harness.microscope/1",
        sets: sets.names.iter().zip(&sets.sizes).map(|(name, &n)| SetFound { name: name.clone(), n }).collect(),
        verdict: if corrected[clearest] <= settings.epsilon { "different" } else { "no difference found" },
        p_value: corrected[clearest],
        classifier: best.classifier(),
        differs_at_least: best.bound,
        epsilon: settings.epsilon,
        clusters: ClustersFound {
            k: clustered.k,
            silhouette: clustered.silhouette,
            adjusted_rand: adjusted_rand(&clustered.of, &of),
            labels: shares.collect(),
        },
        components: found_components.told,
        pairs,
        by_label,
        telling: telling(sets, best),
        alignments: told.collect(),
        notes: notes(sets, settings),
        places: Places {
            set: of,
            pca: found_components.pca,
            lda: found_components.lda,
            scores: [best.judged.scores[..first].to_vec(), best.judged.scores[first..].to_vec()],
        },
    };
    Ok((found, alignments))
}

fn notes(sets: &Sets, settings: &Settings) -> Vec<String> {
    let mut notes = vec![format!(
        "p: {} permutations{} of nine statistics together (differences and spreads of coordinates and of components, and MMD-FUSE over ten kernels by 256 random features each).",
        settings.permutations,
        if sets.pairs { " within pairs" } else { "" }
    )];
    if sets.width > 640 {
        notes.push("Principal components of these wide embeddings come from a randomised range finder.".into());
    }
    notes.push(
        "Clusters: k-means on the leading 32 components, k from 2 to 10 by the mean silhouette of 1,000 samples."
            .into(),
    );
    notes
}

/// Two sets looked at.
struct Looked {
    sets: (usize, usize),
    difference: Difference,
    judged: Judged,
    bound: f64,
}

impl Looked {
    fn at(sets: &Sets, a: usize, b: usize, settings: &Settings) -> Result<Self> {
        let both;
        let rows: &[f32] = if sets.names.len() == 2 {
            &sets.rows
        } else {
            let of = |set: usize| {
                let range = sets.range(set);
                &sets.rows[range.start * sets.width..range.end * sets.width]
            };
            both = [of(a), of(b)].concat();
            &both
        };
        let (width, first) = (sets.width, sets.sizes[a]);
        let options =
            Options { permutations: settings.permutations, seed: settings.seed, pairs: sets.pairs, kernels: true };
        let difference = difference(rows, width, first, options)?;
        let judged = judged(rows, width, first, sets.pairs, settings.seed)?;
        let side = |of: &[(f64, bool)], second: bool| -> Vec<f64> {
            of.iter().filter(|(_, held)| *held == second).map(|(score, _)| *score).collect()
        };
        let [one, two] = [false, true].map(|second| side(&judged.held_out, second));
        let [first_tuned, second_tuned] = [false, true].map(|second| side(&judged.training, second));
        let bound = differs_at_least(&one, &two, [&first_tuned, &second_tuned], settings.epsilon);
        Ok(Self { sets: (a, b), difference, judged, bound })
    }

    fn classifier(&self) -> ClassifierFound {
        let Judged { accuracy, low, high, e_value, .. } = self.judged;
        ClassifierFound { accuracy, low, high, e_value }
    }

    /// The samples of both sets, as numbered in all, in the order of the scores.
    fn samples(&self, sets: &Sets) -> Vec<usize> {
        sets.range(self.sets.0).chain(sets.range(self.sets.1)).collect()
    }
}

fn by_label(sets: &Sets, best: &Looked, scores: &[f32], r: usize, settings: &Settings) -> Result<Vec<ValueFound>> {
    let samples = best.samples(sets);
    let first = sets.sizes[best.sets.0];
    let mut found = Vec::new();
    for label in &sets.labels {
        for (value, name) in label.values.iter().enumerate() {
            let has = |place: &usize| label.of[samples[*place]] as usize == value;
            let one: Vec<usize> = (0..first).filter(has).collect();
            let two: Vec<usize> = (first..samples.len()).filter(has).collect();
            let paired = sets.pairs && two.iter().map(|place| place - first).eq(one.iter().copied());
            let p = if one.len() >= FEWEST && two.len() >= FEWEST {
                let rows: Vec<f32> = one
                    .iter()
                    .chain(&two)
                    .flat_map(|&place| scores[samples[place] * r..][..r].iter().copied())
                    .collect();
                let options =
                    Options { permutations: settings.permutations, seed: settings.seed, pairs: paired, kernels: false };
                Some(difference(&rows, r, one.len(), options)?.p)
            } else {
                None
            };
            let mean = |places: &[usize]| {
                places.iter().map(|&place| best.judged.scores[place]).sum::<f64>() / places.len().max(1) as f64
            };
            found.push(ValueFound {
                label: label.name.clone(),
                value: name.clone(),
                n: [one.len(), two.len()],
                p_value: p,
                p_corrected: None,
                apart: if one.is_empty() || two.is_empty() { 0.0 } else { mean(&two) - mean(&one) },
            });
        }
    }
    let corrected = holm(&found.iter().map(|held| held.p_value.unwrap_or(f64::NAN)).collect::<Vec<_>>());
    for (held, p) in found.iter_mut().zip(corrected) {
        held.p_corrected = Some(p).filter(|p| !p.is_nan());
    }
    Ok(found)
}

/// Of either set the samples least like the other.
fn telling(sets: &Sets, best: &Looked) -> Vec<Telling> {
    let samples = best.samples(sets);
    let first = sets.sizes[best.sets.0];
    let mut told = Vec::new();
    for second in [false, true] {
        let mut places: Vec<usize> = if second { (first..samples.len()).collect() } else { (0..first).collect() };
        let key = |place: usize| if second { -best.judged.scores[place] } else { best.judged.scores[place] };
        places.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        told.extend(places.into_iter().take(TELLING).map(|place| {
            let sample = samples[place];
            let (set, row) = sets.place(sample);
            let labels = sets.labels.iter().map(|label| label.values[label.of[sample] as usize].clone());
            Telling {
                set: sets.names[set].clone(),
                row,
                id: sets.id(sample),
                score: best.judged.scores[place],
                labels: labels.collect(),
            }
        }));
    }
    told
}

fn alignments(sets: &Sets, settings: &Settings) -> Result<Vec<Alignment>> {
    let rows = |set: usize| {
        let range = sets.range(set);
        &sets.rows[range.start * sets.width..range.end * sets.width]
    };
    let label = sets.labels.first().map(|label| {
        let range = sets.range(0);
        (label.name.as_str(), &label.of[range], label.values.len())
    });
    (1..sets.names.len())
        .map(|set| align((rows(0), sets.width), (rows(set), sets.width), label, settings.seed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sets::Label;
    use super::*;
    use crate::random::Random;

    fn two(shift: f64, n: usize) -> Sets {
        let mut random = Random::from_parts(2, "two", 0);
        let width = 4;
        // Only topic 1 differs.
        let rows = (0..2 * n * width).map(|i| {
            let sample = i / width;
            let differs = sample >= n && sample % 2 == 1 && i % width == 0;
            (random.normal() + if differs { shift } else { 0.0 }) as f32
        });
        let rows: Vec<f32> = rows.collect();
        let topic = Label {
            name: "topic".into(),
            values: vec!["even".into(), "odd".into()],
            of: (0..2 * n as u32).map(|i| i % 2).collect(),
        };
        Sets {
            names: vec!["a".into(), "b".into()],
            sizes: vec![n, n],
            width,
            rows,
            labels: vec![topic],
            ids: Vec::new(),
            pairs: true,
        }
    }

    #[test]
    fn the_topic_that_differs_is_named() {
        let settings = Settings { permutations: 199, align: true, ..Settings::default() };
        let (found, maps) = study(&two(4.0, 200).checked().unwrap(), &settings).unwrap();
        assert_eq!((found.verdict, found.schema), ("different", "harness.microscope/1"));
        // Half of the samples differ, and a normal shift of four deviations shows nearly all of it.
        assert!((0.1..=0.5).contains(&found.differs_at_least), "{}", found.differs_at_least);
        assert!(found.classifier.low > 0.5 && found.classifier.e_value > 20.0);
        let value = |name: &str| found.by_label.iter().find(|held| held.value == name).unwrap();
        assert!(value("odd").p_corrected.unwrap() <= 0.01 && value("even").p_corrected.unwrap() > 0.05);
        assert!(found.telling[8..].iter().all(|held| held.set == "b" && held.row % 2 == 1));
        assert_eq!((found.telling.len(), maps.len()), (16, 1));
        let (nothing, _) = study(&two(0.0, 60), &Settings { align: false, ..settings }).unwrap();
        assert_eq!((nothing.verdict, nothing.differs_at_least), ("no difference found", 0.0));
    }

    #[test]
    fn what_cannot_be_looked_at_is_refused() {
        let mut sets = two(0.0, 10);
        sets.pairs = false;
        assert!(study(&sets, &Settings { align: true, ..Settings::default() }).is_err());
        sets.rows[7] = f32::NAN;
        let error = sets.checked().unwrap_err().to_string();
        assert!(error.contains("a holds NaN in row 1, column 3"), "{error}");
    }
}
