//! Kernels of a network on a set of probes: which passes are made, and how they fit into memory.

use super::backward::reverse;
use super::budget::Budget;
use super::forward::Recording;
use super::host::HostNetwork;
use super::projection::Signs;
use super::target::{Rows, Target};
use crate::config::KernelKind;
use crate::error::{Error, Result};

/// Bytes of working memory where nobody says otherwise.
pub const DEFAULT_BUDGET: usize = 512 << 20;

/// The kernels of one network on P probes.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// `[P, C]`, from the same forward pass.
    pub logits: Vec<f32>,
    /// Those asked for, `[P, P]` row-major, symmetric, unnormalised.
    pub kernels: Vec<(KernelKind, Vec<f32>)>,
}

/// An estimate of the trace kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Approximation {
    /// `[P, P]`
    pub kernel: Vec<f32>,
    /// Estimated ‖K̂ − K‖ / ‖K̂‖ in the Frobenius norm: the standard error of the mean over the samples.
    pub error: f64,
}

/// Exact kernels (DESIGN section 4) of `network` on probes `[P, channels · height · width]`, all trainable parameters counted,
/// batch norms in evaluation mode. Products are in f32, their sums in f64; the bits do not depend on the number of threads.
///
/// `budget` bounds the bytes of working memory, about: where they are short, fewer outputs are followed at a time, then fewer
/// examples, with passes repeated. The cost is linear in the classes and quadratic in P at most.
///
/// # Errors
/// `Invalid` if the probes are not whole examples, the network gives values that are not finite, it has no dense layer (conjugate
/// kernel only), or the budget is too small; the message says what is needed.
pub fn snapshot(network: &HostNetwork, probes: &[f32], kinds: &[KernelKind], budget: usize) -> Result<Snapshot> {
    let budget = Budget::new(network, budget);
    let classes = network.classes;
    let (kernels, logits) = in_blocks(network, probes, &budget, 1, |recording| {
        let kernel = |kind: &KernelKind| match kind {
            KernelKind::Trace => trace(recording, &identity(classes), &budget),
            KernelKind::Pseudo => trace(recording, &vec![1.0; classes], &budget),
            KernelKind::Conjugate => conjugate(recording),
        };
        kinds.iter().map(kernel).collect()
    })?;
    Ok(Snapshot { logits, kernels: kinds.iter().copied().zip(kernels).collect() })
}

/// The full kernel `[P · C, P · C]`, class innermost: entry (xC + c, x'C + c') is ⟨J^c(x), J^c'(x')⟩. For small P: the cost is
/// quadratic in C too.
///
/// # Errors
/// As for [`snapshot`].
pub fn full(network: &HostNetwork, probes: &[f32], budget: usize) -> Result<Vec<f32>> {
    let budget = Budget::new(network, budget);
    let classes = network.classes;
    let (kernels, _) = in_blocks(network, probes, &budget, classes, |recording| {
        let side = recording.examples * classes;
        let target = Target::Full(vec![0.0; side * side]);
        let limits = budget.limits(recording.examples, classes);
        Ok(vec![reverse(recording, &identity(classes), limits, target).into_values()])
    })?;
    one(kernels)
}

/// The trace kernel `[P, P]` with gradients projected to the dimensions of `signs`, the same for all classes (Engel 2024).
///
/// # Errors
/// As for [`snapshot`], and `Invalid` for 0 dimensions.
pub fn projected(network: &HostNetwork, probes: &[f32], signs: Signs, budget: usize) -> Result<Vec<f32>> {
    let k = signs.dimensions();
    if k == 0 {
        return Err(Error::Invalid("a projection needs at least 1 dimension".into()));
    }
    let budget = Budget::new(network, budget);
    let (kernels, _) = in_blocks(network, probes, &budget, 1, |recording| {
        let examples = recording.examples;
        let mut kernel = Target::Sum(vec![0.0; examples * examples]);
        for combinations in passes(recording, &identity(network.classes), &budget) {
            let outputs = combinations.len() / network.classes;
            let target = Target::Projected { signs, values: vec![0.0; examples * outputs * k] };
            let limits = budget.limits(examples, outputs);
            if let Target::Projected { values, .. } = reverse(recording, combinations, limits, target) {
                kernel.add_rows(&Rows { values: &values, examples, outputs, length: k, offset: 0 });
            }
        }
        Ok(vec![kernel.into_values()])
    })?;
    one(kernels)
}

/// The trace kernel estimated from `samples` reverse passes instead of one for each class: with random signs v,
/// E[⟨Σ_c v_c J^c(x), Σ_c v_c J^c(x')⟩] is the trace kernel (Hutchinson 1990). Worth it where C is far above `samples`.
///
/// # Errors
/// As for [`snapshot`], and `Invalid` for fewer than 2 samples, whose error could not be told.
pub fn approximate(
    network: &HostNetwork,
    probes: &[f32],
    samples: usize,
    seed: u64,
    budget: usize,
) -> Result<Approximation> {
    if samples < 2 {
        return Err(Error::Invalid(format!("{samples} samples tell nothing about the error: use at least 2")));
    }
    let budget = Budget::new(network, budget);
    let classes = network.classes;
    let signs: Vec<f32> = Signs::new(seed, classes).rows(0, samples).iter().map(|v| v.signum()).collect();
    // Sum and sum of squares over the samples.
    let (sums, _) = in_blocks(network, probes, &budget, 1, |recording| {
        let count = recording.examples * recording.examples;
        let (mut sum, mut squares) = (vec![0.0; count], vec![0.0; count]);
        for combinations in passes(recording, &signs, &budget) {
            let outputs = combinations.len() / classes;
            let target = Target::Each(vec![0.0; outputs * count]);
            let limits = budget.limits(recording.examples, outputs);
            let each = reverse(recording, combinations, limits, target).into_values();
            for kernel in each.chunks_exact(count) {
                sum.iter_mut().zip(kernel).for_each(|(s, v)| *s += v);
                squares.iter_mut().zip(kernel).for_each(|(s, v)| *s += v * v);
            }
        }
        Ok(vec![sum, squares])
    })?;
    let n = samples as f64;
    let (kernel, variance): (Vec<f32>, Vec<f64>) = sums[0]
        .iter()
        .zip(&sums[1])
        .map(|(&sum, &squares)| {
            let mean = f64::from(sum) / n;
            (mean as f32, (f64::from(squares) / n - mean * mean).max(0.0) / (n - 1.0))
        })
        .unzip();
    let norm = kernel.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let error = if norm > 0.0 { (variance.iter().sum::<f64>() / norm).sqrt() } else { 0.0 };
    Ok(Approximation { kernel, error })
}

fn identity(classes: usize) -> Vec<f32> {
    (0..classes * classes).map(|i| f32::from(u8::from(i % (classes + 1) == 0))).collect()
}

/// Combinations of the logits `[S, C]`, as many at a time as the budget allows.
fn passes<'c>(recording: &Recording, combinations: &'c [f32], budget: &Budget) -> impl Iterator<Item = &'c [f32]> {
    let classes = recording.logits.len() / recording.examples;
    let outputs = budget.outputs(recording.examples, combinations.len() / classes);
    combinations.chunks(outputs * classes)
}

/// The sum over combinations of the logits `[S, C]` of the kernels of their gradients.
fn trace(recording: &Recording, combinations: &[f32], budget: &Budget) -> Result<Vec<f64>> {
    let target = Target::Sum(vec![0.0; recording.examples * recording.examples]);
    let outputs = combinations.len() / (recording.logits.len() / recording.examples);
    let limits = budget.limits(recording.examples, budget.outputs(recording.examples, outputs));
    let passes = passes(recording, combinations, budget);
    Ok(passes.fold(target, |target, each| reverse(recording, each, limits, target)).into_values())
}

/// The Gram matrix of the last hidden activations.
fn conjugate(recording: &Recording) -> Result<Vec<f64>> {
    let examples = recording.examples;
    let values = recording.features().ok_or_else(|| {
        Error::Invalid("the network ends without a dense layer, so it has no last hidden activations".into())
    })?;
    let mut target = Target::Sum(vec![0.0; examples * examples]);
    target.add_rows(&Rows { values, examples, outputs: 1, length: values.len() / examples, offset: 0 });
    Ok(target.into_values())
}

fn one(kernels: Vec<Vec<f32>>) -> Result<Vec<f32>> {
    kernels.into_iter().next().ok_or_else(|| Error::Unexpected("no kernel was computed".into()))
}

/// Computes symmetric matrices with `each` rows per example from a recording of all probes, or of two blocks of them at a time
/// where all would not fit. Also returns the logits.
fn in_blocks(
    network: &HostNetwork,
    probes: &[f32],
    budget: &Budget,
    each: usize,
    compute: impl Fn(&Recording) -> Result<Vec<Vec<f64>>>,
) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
    let length = network.example_len().max(1);
    let examples = probes.len() / length;
    let at_least = if each == 1 { 1 } else { network.classes };
    let at_once = budget.examples(examples, at_least)?;
    if at_once >= examples {
        let recording = Recording::new(network, probes)?;
        let kernels = compute(&recording)?.into_iter().map(|k| finished(&k)).collect::<Result<_>>()?;
        return Ok((kernels, recording.logits.to_vec()));
    }
    let block = at_once / 2;
    let starts: Vec<usize> = (0..examples).step_by(block).collect();
    let side = examples * each;
    let mut kernels: Vec<Vec<f64>> = Vec::new();
    let mut logits = vec![0.0; examples * network.classes];
    for (index, &first) in starts.iter().enumerate() {
        for &second in &starts[index + 1..] {
            let members: Vec<usize> =
                [first, second].iter().flat_map(|&start| start..(start + block).min(examples)).collect();
            let pixels: Vec<f32> = members.iter().flat_map(|&i| &probes[i * length..][..length]).copied().collect();
            let recording = Recording::new(network, &pixels)?;
            for (row, &i) in recording.logits.chunks_exact(network.classes).zip(&members) {
                logits[i * network.classes..][..network.classes].copy_from_slice(row);
            }
            let parts = compute(&recording)?;
            kernels.resize_with(parts.len(), || vec![0.0; side * side]);
            for (kernel, part) in kernels.iter_mut().zip(&parts) {
                let rows = members.iter().flat_map(|&i| i * each..(i + 1) * each);
                for (row, part) in rows.zip(part.chunks_exact(members.len() * each)) {
                    for (&i, part) in members.iter().zip(part.chunks_exact(each)) {
                        kernel[row * side + i * each..][..each].copy_from_slice(part);
                    }
                }
            }
        }
    }
    Ok((kernels.iter().map(|k| finished(k)).collect::<Result<_>>()?, logits))
}

/// The matrix in f32, exactly symmetric.
fn finished(kernel: &[f64]) -> Result<Vec<f32>> {
    let n = kernel.len().isqrt();
    let mean = |ij: usize| (0.5 * (kernel[ij] + kernel[ij % n * n + ij / n])) as f32;
    let out: Vec<f32> = (0..kernel.len()).map(mean).collect();
    super::matrix::side(&out, "the kernel")?;
    Ok(out)
}
