//! What is measured on each run and each pair of runs of the two sides.

use rayon::prelude::*;

use super::Subject;
use super::schema::Quantity;
use crate::analysis::evidence::Evidence;
use crate::analysis::independence::{Standing, standings};
use crate::error::{Error, Result};
use crate::kernel::alignment::Centred;
use crate::stats::calibration::{BINS, calibration};
use crate::stats::duplicates::duplicates;
use crate::stats::logits::Real;
use crate::stats::scores::scores;
use crate::stats::{Logits, Pairs, churn, margins, wasserstein};

/// Runs of one side by how they stand, as places in its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Finite and distinct: those that are compared.
    pub distinct: Vec<usize>,
    pub diverged: Vec<usize>,
    pub duplicates: Vec<usize>,
}

impl Chosen {
    /// The runs of `subject`.
    pub fn of<T: Real>(subject: &Subject<T>) -> Self {
        let weights = subject.sweep.as_ref().map_or_else(Vec::new, |sweep| sweep.weights.clone());
        let standings = standings(&subject.input, &Evidence { weights, ..Evidence::default() });
        let among = |kind: fn(&Standing) -> bool| {
            standings.iter().enumerate().filter(|(_, standing)| kind(standing)).map(|(place, _)| place).collect()
        };
        Self {
            distinct: among(|standing| *standing == Standing::Distinct),
            diverged: among(|standing| matches!(standing, Standing::Diverged(_))),
            duplicates: among(|standing| matches!(standing, Standing::Repeats { .. })),
        }
    }
}

/// A quantity that each run has by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Which quantity.
    pub quantity: Quantity,
    /// One value for each run, those of the baseline first.
    pub of_runs: Vec<f64>,
    /// What one example decided otherwise makes of it; 0 where it is continuous.
    pub step: f64,
}

/// Everything that is measured, the runs of the baseline first.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// How many runs are the baseline's.
    pub first: usize,
    /// A value for each run, and the least step of a value.
    pub runs: Vec<Values>,
    /// 1 for each run that diverged and 0 for each that did not, of both sides; absent where none did.
    pub diverged: Option<(Vec<f64>, Vec<f64>)>,
    /// A distance for each pair, with the quantities that come of it: within the sides, and between over within.
    pub pairs: Vec<(Option<Quantity>, Quantity, Pairs)>,
    /// The margins of each run, ascending.
    pub margins: Vec<Vec<f64>>,
    /// Decided classes, `[M][N]`.
    pub decisions: Vec<Vec<u32>>,
    /// Side of the kernels, where they were compared.
    pub probes: Option<usize>,
    /// How many runs of the candidate are bit-equal to one of the baseline.
    pub shared: usize,
    /// What the reader should know besides, as sentences.
    pub notes: Vec<String>,
}

/// Measures the distinct runs of both sides, whose examples are the same.
///
/// # Errors
/// [`Error::Invalid`] for inputs of different shape.
pub fn measure<T: Real>(
    baseline: &Subject<T>,
    candidate: &Subject<T>,
    chosen: [&Chosen; 2],
    clip: Option<f64>,
) -> Result<Measured> {
    let sides = [(baseline, chosen[0]), (candidate, chosen[1])];
    let soft: Vec<Logits<'_, T>> = sides
        .iter()
        .flat_map(|&(side, chosen)| {
            chosen.distinct.iter().map(move |&place| side.input.soft(&side.input.runs()[place]))
        })
        .collect::<Result<_>>()?;
    let first = chosen[0].distinct.len();
    let values: Vec<[f64; 4]> = soft
        .par_iter()
        .map(|soft| {
            let scores = scores(soft);
            [scores.accuracy, scores.nll, scores.brier, calibration(soft, BINS).ece]
        })
        .collect();
    let examples = baseline.input.examples();
    let mut runs: Vec<Values> = [Quantity::Accuracy, Quantity::Nll, Quantity::Brier, Quantity::Ece]
        .into_iter()
        .enumerate()
        .map(|(place, quantity)| Values {
            quantity,
            of_runs: values.iter().map(|row| row[place]).collect(),
            step: quantity.metric().map_or(0.0, |metric| (metric.resolution)(examples)),
        })
        .collect();
    let margins: Vec<Vec<f64>> = soft
        .par_iter()
        .map(|soft| {
            let mut row = margins::label_margins(soft);
            if let Some(limit) = clip {
                margins::clip(&mut row, limit);
            }
            row.sort_unstable_by(f64::total_cmp);
            row
        })
        .collect();
    let decisions: Vec<Vec<u32>> = soft.par_iter().map(churn::decisions).collect();
    let classes = of_classes(&decisions, baseline.input.labels(), baseline.input.classes());
    // Where all runs agree exactly there is nothing to test.
    runs.extend(classes.into_iter().filter(|held| held.of_runs.iter().any(|&value| value != held.of_runs[0])));
    let mut pairs = vec![
        (Some(Quantity::ChurnWithin), Quantity::ChurnBetween, churn::pairwise(&decisions)?),
        (Some(Quantity::SoftChurnWithin), Quantity::SoftChurnBetween, churn::pairwise_soft(&soft)?),
        // How far the margins of two runs of one side lie apart says little that soft churn does not.
        (None, Quantity::MarginsBetween, wasserstein::pairwise(&margins)?),
    ];
    let mut notes = Vec::new();
    let mut probes = None;
    match kernels(sides)? {
        Kernels::None => {}
        Kernels::Left(why) => notes.push(why),
        Kernels::Distances(distances, side) => {
            pairs.push((Some(Quantity::KernelsWithin), Quantity::KernelsBetween, distances));
            probes = Some(side);
        }
    }
    let diverged = sides.map(|(_, chosen)| {
        [vec![0.0; chosen.distinct.len() + chosen.duplicates.len()], vec![1.0; chosen.diverged.len()]].concat()
    });
    let any = chosen.iter().any(|chosen| !chosen.diverged.is_empty());
    let [before, after] = diverged;
    let bits: Vec<&[T]> = sides
        .iter()
        .flat_map(|&(side, chosen)| chosen.distinct.iter().map(move |&place| &*side.input.runs()[place].logits))
        .collect();
    let shared = duplicates(&bits)[first..].iter().filter(|original| original.is_some()).count();
    Ok(Measured {
        first,
        runs,
        diverged: any.then_some((before, after)),
        pairs,
        margins,
        decisions,
        probes,
        shared,
        notes,
    })
}

/// Measures the runs of one sweep as two halves of it, every second run in either.
///
/// # Errors
/// [`Error::Invalid`] for fewer than four distinct finite runs.
pub fn measured<T: Real>(subject: &Subject<T>) -> Result<Measured> {
    let chosen = Chosen::of(subject);
    let count = chosen.distinct.len();
    if count < 4 {
        return Err(Error::Invalid(format!(
            "{} has {count} distinct finite runs: at least four are needed to tell how much runs differ",
            subject.place
        )));
    }
    let half = |odd: usize| Chosen {
        distinct: chosen.distinct.iter().copied().skip(odd).step_by(2).collect(),
        diverged: Vec::new(),
        duplicates: Vec::new(),
    };
    measure(subject, subject, [&half(0), &half(1)], None)
}

/// The accuracy of each run on each class that has examples; decisions and labels are `[N]`, below `classes`.
pub fn of_classes(decisions: &[Vec<u32>], labels: &[u32], classes: usize) -> Vec<Values> {
    let mut examples = vec![0usize; classes];
    labels.iter().for_each(|&label| examples[label as usize] += 1);
    let hits: Vec<Vec<usize>> = decisions
        .iter()
        .map(|row| {
            let mut hits = vec![0usize; classes];
            row.iter()
                .zip(labels)
                .filter(|(class, label)| class == label)
                .for_each(|(_, &label)| hits[label as usize] += 1);
            hits
        })
        .collect();
    (0..classes)
        .filter(|&class| examples[class] > 0)
        .map(|class| {
            let step = 1.0 / examples[class] as f64;
            Values {
                quantity: Quantity::ClassAccuracy(class as u32),
                of_runs: hits.iter().map(|row| row[class] as f64 * step).collect(),
                step,
            }
        })
        .collect()
}

enum Kernels {
    /// Nobody recorded any.
    None,
    /// They cannot be compared, and why.
    Left(String),
    /// 1 − CKA of every pair, and the number of probes.
    Distances(Pairs, usize),
}

fn kernels<T: Real>(sides: [(&Subject<T>, &Chosen); 2]) -> Result<Kernels> {
    let left = |why: &str| Ok(Kernels::Left(format!("The kernels were not compared: {why}.")));
    let swept = sides.map(|(side, _)| side.sweep.as_ref().filter(|sweep| !sweep.kernels.is_empty()));
    let [before, after] = match swept {
        [Some(before), Some(after)] => [before, after],
        [None, None] => return Ok(Kernels::None),
        _ => return left("only one side recorded any at this epoch"),
    };
    if before.probes() != after.probes() {
        return left("they are of different probes (`record.kernel.probes`, `data.seed`)");
    }
    let mut kernels: Vec<&[f32]> = Vec::new();
    for ((side, chosen), sweep) in sides.into_iter().zip([before, after]) {
        for &place in &chosen.distinct {
            let run = side.input.runs()[place].index;
            match sweep.kernels.iter().find(|held| held.run == run) {
                Some(held) => kernels.push(&held.kernel),
                None => return left(&format!("run {run} of {} lacks its kernel", side.place)),
            }
        }
    }
    let size = kernels.first().map_or(0, |kernel| kernel.len());
    if kernels.iter().any(|kernel| kernel.len() != size) {
        return left("they are of different sizes");
    }
    let centred: Vec<Centred> = kernels.par_iter().map(|kernel| Centred::new(kernel)).collect::<Result<_>>()?;
    // Sizes are equal, so the only failure left is a kernel without spread.
    let distance =
        |a: usize, b: usize| centred[a].alignment(&centred[b]).ok().flatten().map_or(f64::NAN, |cka| 1.0 - cka);
    let pairs = Pairs::from_fn(centred.len(), distance);
    if pairs.iter().any(|pair| pair.2.is_nan()) {
        return left("a kernel is constant");
    }
    Ok(Kernels::Distances(pairs, size.isqrt()))
}

/// Refuses sides that have too few runs to say anything.
///
/// # Errors
/// [`Error::Invalid`] for fewer than two distinct runs.
pub fn enough<T>(subject: &Subject<T>, chosen: &Chosen) -> Result<()> {
    let (found, all) = (chosen.distinct.len(), chosen.distinct.len() + chosen.diverged.len() + chosen.duplicates.len());
    if found >= 2 {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{} has {found} distinct finite run(s) of {all}: differences between sweeps are judged by the spread of their runs, so at \
         least two are needed",
        subject.place
    )))
}
