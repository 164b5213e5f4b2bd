//! Networks from files and sweeps: their weights, or their soft decisions.

use std::io::Read;
use std::path::{Path, PathBuf};

use burn_store::pytorch::PytorchReader;
use safetensors::tensor::{Dtype, SafeTensors};

use crate::arrays::{self, file};
use crate::error::{Error, Result};
use crate::lineage::{Layer, Weights};
use crate::record::{SweepReader, Tensors, Values};
use crate::stats::logits::softmax_into;
use crate::workflow::analyze::is_sweep;

/// A network in question.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The file's name without its extension, or `sweep:run`.
    pub name: String,
    /// What is known of it.
    pub source: Source,
}

/// What is known of a network.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Its weights.
    Weights(Weights),
    /// Its outputs on common inputs.
    Outputs(Outputs),
}

impl Subject {
    /// Its weights, where they are known.
    #[must_use]
    pub fn weights(&self) -> Option<&Weights> {
        match &self.source {
            Source::Weights(weights) => Some(weights),
            Source::Outputs(_) => None,
        }
    }
}

/// Probabilities of N examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    pub examples: usize,
    pub classes: usize,
    /// `[N, C]`
    probabilities: Vec<f64>,
}

impl Outputs {
    /// Of logits `[N, C]`.
    #[must_use]
    pub fn of(logits: &[f32], classes: usize) -> Self {
        let mut probabilities = vec![0.0; logits.len()];
        let classes = classes.max(1);
        for (row, out) in logits.chunks_exact(classes).zip(probabilities.chunks_exact_mut(classes)) {
            softmax_into(row, out);
        }
        Self { examples: logits.len() / classes, classes, probabilities }
    }

    /// Soft churn: the mean over examples of half the sum of absolute differences of probabilities. None for other shapes.
    #[must_use]
    pub fn churn(&self, other: &Self) -> Option<f64> {
        let alike = (self.examples, self.classes) == (other.examples, other.classes) && self.examples > 0;
        let sum: f64 = self.probabilities.iter().zip(&other.probabilities).map(|(a, b)| (a - b).abs()).sum();
        alike.then(|| 0.5 * sum / self.examples as f64)
    }
}

/// Reads the networks of one argument: a file of weights (`.safetensors`, `.pt`, `.pth`), of logits `[N, C]` (`.npy`), a
/// sweep's directory (every complete run) or one of its runs (`DIR:3`).
///
/// # Errors
/// [`Error::Invalid`] for what cannot be read, and [`Error::Corrupt`] for damaged runs.
pub fn read(argument: &Path) -> Result<Vec<Subject>> {
    if let Some((sweep, run)) = one_run(argument) {
        return of_sweep(&sweep, Some(run));
    }
    if argument.is_dir() {
        return of_sweep(argument, None);
    }
    let name = argument.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = argument.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let source = match extension {
        "npy" => Source::Outputs(outputs(argument)?),
        "safetensors" => Source::Weights(weights(&name, argument, safetensors_file(argument)?)?),
        "pt" | "pth" | "bin" => Source::Weights(weights(&name, argument, pytorch_file(argument)?)?),
        _ => {
            return Err(Error::Invalid(format!(
                "{} is neither weights (.safetensors, .pt, .pth), nor logits (.npy), nor the directory of a sweep",
                argument.display()
            )));
        }
    };
    Ok(vec![Subject { name, source }])
}

/// `DIR:3` where DIR is a sweep.
fn one_run(argument: &Path) -> Option<(PathBuf, usize)> {
    let text = argument.to_str()?;
    let (sweep, run) = text.rsplit_once(':')?;
    let sweep = PathBuf::from(sweep);
    (is_sweep(&sweep)).then_some((sweep, run.parse().ok()?))
}

fn of_sweep(root: &Path, only: Option<usize>) -> Result<Vec<Subject>> {
    let reader = SweepReader::open(root)?;
    let name = reader.manifest().name.clone();
    let mut subjects = Vec::new();
    for run in reader.chosen(only)? {
        let epochs = run.epochs_with(crate::record::layout::WEIGHTS);
        let label = format!("{name}:{}", run.index());
        let Some(&last) = epochs.last() else {
            return Err(Error::Invalid(format!(
                "run {} of {} has no recorded weights: set record.weights = \"last\" and train it again",
                run.index(),
                root.display()
            )));
        };
        let Some(tensors) = run.weights(last)? else { continue };
        let source = Source::Weights(Weights::new(&label, layers(tensors)));
        subjects.push(Subject { name: label, source });
    }
    Ok(subjects)
}

pub(super) fn layers(tensors: Tensors) -> Vec<Layer> {
    let each = tensors.iter().filter_map(|(name, shape, values)| match values {
        Values::F32(values) => Layer::of(name, shape, values.clone()),
        _ => None,
    });
    each.collect()
}

/// A tensor with its name and shape.
type Named = (String, Vec<usize>, Vec<f32>);

fn weights(name: &str, path: &Path, tensors: Vec<Named>) -> Result<Weights> {
    for (tensor, _, values) in &tensors {
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!(
                "tensor `{}` in {} holds {} at position {at}: the network has diverged",
                file::clean(tensor),
                path.display(),
                values[at]
            )));
        }
    }
    let layers: Vec<Layer> =
        tensors.into_iter().filter_map(|(tensor, shape, values)| Layer::of(&tensor, &shape, values)).collect();
    if layers.len() < 2 {
        return Err(Error::Invalid(format!(
            "{} holds {} weight matrices, but it takes two: a hidden layer and the outputs",
            path.display(),
            layers.len()
        )));
    }
    Ok(Weights::new(name, layers))
}

fn safetensors_file(path: &Path) -> Result<Vec<Named>> {
    let place = file::shown(path);
    let mut opened = file::open(path, "a safetensors file")?;
    let mut bytes = Vec::new();
    opened.file.read_to_end(&mut bytes).map_err(|cause| file::broken(&place, &cause))?;
    let parsed = SafeTensors::deserialize(&bytes).map_err(|cause| {
        Error::Invalid(format!("{place} is not a sound safetensors file ({})", file::clean(&cause.to_string())))
    })?;
    let mut tensors = Vec::new();
    for (name, view) in parsed.iter().filter(|(_, view)| view.shape().len() > 1) {
        let values = floats(view.dtype(), view.data()).ok_or_else(|| {
            Error::Invalid(format!(
                "tensor `{}` in {place} is of type {:?}; save it as float32, float16 or bfloat16",
                file::clean(name),
                view.dtype()
            ))
        })?;
        tensors.push((name.to_owned(), view.shape().to_vec(), values));
    }
    Ok(tensors)
}

/// Numbers of a type as `f32`; None for types that are no weights. Integers are quantised weights: their scale does not matter
/// to what is compared.
pub(in crate::workflow) fn floats(kind: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match kind {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::BF16 => bytes.as_chunks::<2>().0.iter().map(|b| bfloat(u16::from_le_bytes(*b))).collect(),
        Dtype::F16 => bytes.as_chunks::<2>().0.iter().map(|b| arrays::half(u16::from_le_bytes(*b))).collect(),
        Dtype::I8 => bytes.iter().map(|b| f32::from(b.cast_signed())).collect(),
        _ => return None,
    })
}

fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn pytorch_file(path: &Path) -> Result<Vec<Named>> {
    let place = file::shown(path);
    let invalid = |cause: String| {
        Error::Invalid(format!(
            "{place} is no PyTorch file of weights that can be read ({}); torch.save(model.state_dict(), …) writes one",
            file::clean(&cause)
        ))
    };
    file::open(path, "a PyTorch file")?;
    let reader = PytorchReader::new(path).map_err(|cause| invalid(cause.to_string()))?;
    let mut tensors = Vec::new();
    let mut held: Vec<_> = reader.into_tensors().into_iter().collect();
    held.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in held {
        let shape = tensor.shape().to_vec();
        let kind = format!("{:?}", tensor.dtype());
        if shape.len() < 2 {
            continue;
        }
        let dtype = match kind.as_str() {
            "F32" => Dtype::F32,
            "F64" => Dtype::F64,
            "F16" => Dtype::F16,
            "BF16" => Dtype::BF16,
            "I8" => Dtype::I8,
            _ => return Err(invalid(format!("tensor `{name}` is of type {kind}, not of floating-point numbers"))),
        };
        let bytes = tensor.read().map_err(|cause| invalid(cause.to_string()))?;
        let values = floats(dtype, &bytes).unwrap_or_default();
        tensors.push((name, shape, values));
    }
    Ok(tensors)
}

fn outputs(path: &Path) -> Result<Outputs> {
    let (shape, logits) = arrays::read_npy_f32(path)?;
    let [examples, classes] = *shape.as_slice() else {
        return Err(Error::Invalid(format!(
            "{} has shape {shape:?}, but soft decisions of one network are of shape [N, C]",
            path.display()
        )));
    };
    if examples == 0 || classes < 2 || logits.iter().any(|v| !v.is_finite()) {
        return Err(Error::Invalid(format!(
            "{} holds no finite logits of at least one example and two classes",
            path.display()
        )));
    }
    Ok(Outputs::of(&logits, classes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_numbers() {
        assert_eq!(floats(Dtype::BF16, &[0x80, 0x3f, 0x00, 0xc0]), Some(vec![1.0, -2.0]));
        assert_eq!(floats(Dtype::F16, &[0x00, 0x3c]), Some(vec![1.0]));
        assert_eq!(floats(Dtype::I8, &[0xff, 0x7f]), Some(vec![-1.0, 127.0]));
        assert_eq!(floats(Dtype::U8, &[1]), None);
    }

    #[test]
    fn churn_by_hand() {
        // Even odds against 3 : 1 is a quarter apart; certainty of either is one apart.
        let even = Outputs::of(&[0.0, 0.0], 2);
        let three = Outputs::of(&[3f32.ln(), 0.0], 2);
        assert!((even.churn(&three).unwrap() - 0.25).abs() < 1e-7);
        assert_eq!(even.churn(&Outputs::of(&[0.0; 3], 3)), None);
    }
}
