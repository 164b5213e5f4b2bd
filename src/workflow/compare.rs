//! From directories to the sides of a comparison, and from a comparison to its files.

use std::collections::BTreeSet;
use std::path::Path;

use crate::analysis::comparison::{Comparison, Fixed, Settings, Subject, Swept, Terms, compare};
use crate::analysis::last::{Last, last};
use crate::analysis::numbers::thousands;
use crate::analysis::{Input, RunLogits};
use crate::config;
use crate::error::{Error, Result};
use crate::record::{SweepReader, files};
use crate::report::comparison as report;
use crate::stats::logits::Real;

/// A sweep as one side of a comparison.
///
/// # Errors
/// As [`SweepReader::open`] and [`last`].
pub fn subject(root: &Path, epoch: Option<usize>, runs: Option<&BTreeSet<u32>>, fixed: Fixed) -> Result<Subject<f32>> {
    let reader = SweepReader::open(root)?;
    let manifest = reader.manifest();
    let experiment = config::from_stored(&manifest.experiment, &reader.dir().manifest())?;
    let Last { epoch, input, weights, kernels, data_digest, left_out, notes } = last(&reader, epoch, runs)?;
    Ok(Subject {
        name: manifest.name.clone(),
        place: root.display().to_string(),
        terms: Terms::of_input(&input).and_sweep(&experiment, epoch, data_digest.as_deref(), fixed),
        input,
        sweep: Some(Swept {
            experiment,
            epoch,
            started: manifest.provenance.started.to_string(),
            weights,
            kernels,
            left_out,
        }),
        notes,
    })
}

/// Both sides with the examples that they have in common by their ids, where both come from files with ids that differ.
///
/// # Errors
/// As [`Input::paired`].
pub fn paired<T: Real>(mut baseline: Subject<T>, mut candidate: Subject<T>) -> Result<(Subject<T>, Subject<T>)> {
    let before = [baseline.input.examples(), candidate.input.examples()];
    if let Some((one, other)) = baseline.input.paired(&candidate.input)? {
        for (side, input) in [(&mut baseline, one), (&mut candidate, other)] {
            (side.terms, side.input) = (Terms::of_input(&input), input);
        }
        candidate.notes.push(format!(
            "Examples are paired by their ids: {} are in both, of {} in {} and {} in {}.",
            thousands(candidate.input.examples()),
            thousands(before[0]),
            baseline.place,
            thousands(before[1]),
            candidate.place
        ));
    }
    Ok((baseline, candidate))
}

/// The runs of several sweeps as one side, renumbered in their order; all judged on the same examples. `name` is how the side
/// is called.
///
/// # Errors
/// As [`subject`]; [`Error::Invalid`] for no sweep.
pub fn pooled(roots: &[&Path], name: &str) -> Result<Subject<f32>> {
    let mut sides = roots.iter().map(|root| subject(root, None, None, Fixed::default())).collect::<Result<Vec<_>>>()?;
    let Some(mut pool) = sides.pop() else { return Err(Error::Invalid("there is no sweep to pool".into())) };
    let mut runs: Vec<RunLogits> = Vec::new();
    let (mut weights, mut kernels, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    // The newest is the one that its experiment is shown of.
    let newest = pool.clone();
    for side in sides.into_iter().chain([newest]) {
        for run in side.input.runs() {
            let index = runs.len() as u32;
            if let Some(swept) = &side.sweep {
                weights
                    .extend(swept.weights.iter().find(|held| held.0 == run.index).map(|held| (index, held.1.clone())));
                let kernel = swept.kernels.iter().find(|held| held.run == run.index);
                kernels.extend(kernel.map(|held| crate::analysis::kernels::Snapshot { run: index, ..held.clone() }));
            }
            runs.push(RunLogits { index, logits: run.logits.clone() });
        }
        left_out.extend(side.sweep.map(|swept| swept.left_out).unwrap_or_default());
    }
    pool.input = Input::new(pool.input.labels().to_vec(), pool.input.classes(), runs)?;
    pool.place = name.to_owned();
    if let Some(swept) = &mut pool.sweep {
        (swept.weights, swept.kernels, swept.left_out) = (weights, kernels, left_out);
    }
    Ok(pool)
}

/// The sweep in `root` beside the newest nights of its reference, for what there is to see in single examples, margins and
/// kernels; the verdict of a night is that of its history.
///
/// # Errors
/// As [`pooled`] and [`compare`].
pub fn beside(root: &Path, reference: &[&Path]) -> Result<Comparison> {
    let baseline = pooled(reference, &format!("the {} newest nights of the reference", reference.len()))?;
    let candidate = subject(root, None, None, Fixed::default())?;
    let judged = baseline.sweep.as_ref().map(|sweep| sweep.experiment.analysis.clone()).unwrap_or_default();
    compare(
        &baseline,
        &candidate,
        &Settings { epsilon: judged.epsilon, clip: judged.clip, seed: judged.seed, ..Settings::default() },
    )
}

/// One JSON object on a line.
///
/// # Errors
/// [`Error::Unexpected`] if it cannot be written.
pub fn json(found: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string(found)
        .map_err(|cause| Error::Unexpected(format!("cannot write the result as JSON: {cause}")))?;
    Ok(text + "\n")
}

/// `compare.md`, its figures, and `comparison.json`.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn write(found: &Comparison, folder: &Path) -> Result<()> {
    report::write(found, folder)?;
    files::write(&folder.join("comparison.json"), json(found)?.as_bytes())
}
