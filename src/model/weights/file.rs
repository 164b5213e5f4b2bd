//! Weights in a file: safetensors, or what `torch.save` wrote.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use burn_store::pytorch::PytorchReader;
use burn_store::pytorch_reader::DType;
use safetensors::tensor::{Dtype, SafeTensors};

use super::names::listed;
use super::{HostTensor, Names};
use crate::arrays::file;
use crate::error::{Error, Result};
use crate::model::Plan;

/// What PyTorch keeps of a batch norm beside what evaluation needs.
const UNUSED: &str = "num_batches_tracked";
/// What training scripts put before all names of a network.
const PREFIXES: [&str; 4] = ["state_dict.", "model_state_dict.", "model.", "module."];

/// The tensors of a file, as f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// What messages call the file.
    place: String,
    /// By their names there.
    tensors: BTreeMap<String, HostTensor>,
    /// BLAKE3 of the whole file, in hexadecimal.
    pub digest: String,
}

/// Reads a safetensors file of f32, f16, bf16 or f64, or a file that `torch.save` wrote of a `state_dict` (zip or legacy). Whole
/// numbers in it are passed over: no layer has any.
///
/// # Errors
/// `Invalid` if the file is not there or is no such file.
pub fn read(path: &Path) -> Result<Given> {
    let place = file::shown(path);
    let mut bytes = Vec::new();
    let mut opened = file::open(path, "a safetensors or PyTorch file")?;
    opened.file.read_to_end(&mut bytes).map_err(|cause| file::broken(&place, &cause))?;
    let digest = blake3::hash(&bytes).to_hex().to_string();
    let tensors = match is_safetensors(&bytes) {
        true => of_safetensors(&bytes, &place)?,
        false => of_pytorch(path, &place)?,
    };
    Ok(Given { tensors: without_prefix(tensors), place, digest })
}

/// BLAKE3 of a file of weights, in hexadecimal.
///
/// # Errors
/// `Invalid` if it cannot be read.
pub fn digest(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut opened = file::open(path, "a safetensors or PyTorch file")?;
    std::io::copy(&mut opened.file, &mut hasher).map_err(|cause| file::broken(&file::shown(path), &cause))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether a length and a JSON object begin the file.
fn is_safetensors(bytes: &[u8]) -> bool {
    matches!(bytes.split_at_checked(8), Some((_, [b'{', ..])))
}

fn of_safetensors(bytes: &[u8], place: &str) -> Result<BTreeMap<String, HostTensor>> {
    let parsed = SafeTensors::deserialize(bytes).map_err(|cause| {
        Error::Invalid(format!(
            "{place} is not a sound safetensors file ({}); write it with safetensors.torch.save_file",
            cause.to_string().escape_debug()
        ))
    })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in parsed.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F64 => DType::F64,
            _ => continue,
        };
        let values = floats(view.data(), kind, u16::from_le_bytes, f32::from_le_bytes, f64::from_le_bytes);
        tensors.insert(name.to_owned(), HostTensor::new(name, view.shape(), values));
    }
    Ok(tensors)
}

fn of_pytorch(path: &Path, place: &str) -> Result<BTreeMap<String, HostTensor>> {
    let invalid = |cause: &dyn std::fmt::Display| {
        Error::Invalid(format!(
            "{place} is neither a safetensors file nor one that torch.save wrote of a state_dict ({})",
            cause.to_string().escape_debug()
        ))
    };
    let reader = PytorchReader::new(path).map_err(|cause| invalid(&cause))?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in reader.into_tensors() {
        if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            continue;
        }
        let bytes = tensor.read().map_err(|cause| invalid(&cause))?;
        let values = floats(&bytes, tensor.dtype(), u16::from_ne_bytes, f32::from_ne_bytes, f64::from_ne_bytes);
        tensors.insert(name.clone(), HostTensor::new(name, tensor.shape(), values));
    }
    if tensors.is_empty() {
        return Err(invalid(&"it holds no tensors of floating-point numbers"));
    }
    Ok(tensors)
}

/// Bytes of one of four types to f32.
fn floats(
    bytes: &[u8],
    kind: DType,
    short: impl Fn([u8; 2]) -> u16,
    single: impl Fn([u8; 4]) -> f32,
    double: impl Fn([u8; 8]) -> f64,
) -> Vec<f32> {
    match kind {
        DType::F64 => bytes.as_chunks::<8>().0.iter().map(|value| double(*value) as f32).collect(),
        DType::F16 => bytes.as_chunks::<2>().0.iter().map(|value| half(short(*value))).collect(),
        // The upper half of an f32.
        DType::BF16 => {
            bytes.as_chunks::<2>().0.iter().map(|value| f32::from_bits(u32::from(short(*value)) << 16)).collect()
        }
        _ => bytes.as_chunks::<4>().0.iter().map(|value| single(*value)).collect(),
    }
}

/// An IEEE 754 binary16 number: one sign bit, 5 of the exponent, 10 of the fraction.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    match exponent {
        // Subnormal: a multiple of 2⁻²⁴.
        0 => f32::from_bits((fraction as f32 * (1.0 / 16_777_216.0)).to_bits() | sign),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Names without what a script put before all of them.
fn without_prefix(mut tensors: BTreeMap<String, HostTensor>) -> BTreeMap<String, HostTensor> {
    while let Some(prefix) = PREFIXES.iter().find(|prefix| tensors.keys().all(|name| name.starts_with(*prefix))) {
        if tensors.is_empty() {
            break;
        }
        tensors = tensors.into_iter().map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
    }
    tensors
}

impl Given {
    /// The plan's tensors out of the file; those of the layer `without`, if one is named, need not be there. Where the file holds a
    /// plain `torch.nn.Sequential` (its layers are numbers), the model's layers are not and `names` are empty, they are taken in
    /// order. Tensors that the model has no place for are refused.
    ///
    /// # Errors
    /// `Invalid` for a tensor that is missing, of another shape than the model needs or not finite, or that has no place.
    pub fn fit(&self, plan: &Plan, names: &Names, without: Option<&str>) -> Result<Vec<HostTensor>> {
        let theirs = || self.tensors.keys().filter(|name| !name.ends_with(UNUSED)).map(String::as_str);
        let exact = plan.named_tensors().iter().all(|(_, name, _)| self.tensors.contains_key(name));
        let numbered = if names.is_empty() && !exact { Names::numbered(plan, theirs()) } else { None };
        let names = numbered.as_ref().unwrap_or(names);
        let mut used = Vec::new();
        let mut fitting = Vec::new();
        for (place, ours, spec) in plan.named_tensors() {
            let name = names.theirs(&ours);
            used.push(name.clone());
            if without.is_some_and(|layer| place.is_within(layer)) {
                continue;
            }
            let Some(tensor) = self.tensors.get(&name) else {
                let meant = if name == ours { String::new() } else { format!(", the model's `{ours}`") };
                return Err(Error::Invalid(format!(
                    "{} holds no tensor `{name}`{meant}; it holds {}: give the names that differ as model.map",
                    self.place,
                    listed(theirs())
                )));
            };
            if tensor.shape != spec.shape {
                return Err(Error::Invalid(format!(
                    "tensor `{name}` in {} has shape {:?}, but layer {} ({}) needs {:?} for inputs of {} and {} classes; check that \
                     weights, model and data belong together, or draw the last layer anew with model.head = \"fresh\"",
                    self.place, tensor.shape, place.name, place.kind, spec.shape, plan.input, plan.classes
                )));
            }
            if let Some(at) = tensor.values.iter().position(|value| !value.is_finite()) {
                return Err(Error::Invalid(format!(
                    "tensor `{name}` in {} holds {} at position {at}: this network has diverged",
                    self.place, tensor.values[at]
                )));
            }
            fitting.push(HostTensor::new(ours, spec.shape, tensor.values.clone()));
        }
        let unused: Vec<&str> = theirs().filter(|name| !used.iter().any(|used| used == name)).collect();
        match unused.is_empty() {
            true => Ok(fitting),
            false => Err(Error::Invalid(format!(
                "{} holds {}, for which the model has no place: describe the whole network, or save it without them",
                self.place,
                listed(unused.into_iter())
            ))),
        }
    }

    /// How many outputs a network of these layers has: those of the last dense layer in the file.
    ///
    /// # Errors
    /// `Invalid` where that layer is not there.
    pub fn classes(&self, outline: &Plan, names: &Names) -> Result<usize> {
        let theirs = || self.tensors.keys().filter(|name| !name.ends_with(UNUSED)).map(String::as_str);
        let numbered = if names.is_empty() { Names::numbered(outline, theirs()) } else { None };
        let head = outline.head().ok_or_else(|| Error::Invalid("the model has no dense layer".into()))?;
        let ours = format!("{}.weight", head.name);
        let exact = self.tensors.get(&names.theirs(&ours));
        let name = numbered.as_ref().map_or_else(|| names.theirs(&ours), |names| names.theirs(&ours));
        match exact.or_else(|| self.tensors.get(&name)).map(|tensor| tensor.shape.as_slice()) {
            Some([classes, _]) if *classes > 0 => Ok(*classes),
            Some(shape) => Err(Error::Invalid(format!(
                "tensor `{name}` in {} has shape {shape:?}, but it is the weight of the outputs, [C, features]",
                self.place
            ))),
            None => Err(Error::Invalid(format!(
                "{} holds no tensor `{name}`, the weight of the outputs; it holds {}: give the names that differ",
                self.place,
                listed(theirs())
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::random::Random;

    #[test]
    fn halves_are_read_as_ieee_says() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65_504.0), (0x0001, 5.960_464_5e-8), (0x03ff, 6.097_555e-5)]
        {
            assert_eq!(half(bits), value);
        }
        assert_eq!(half(0x8000).to_bits(), (-0.0_f32).to_bits());
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }

    fn given(plan: &Plan, rename: impl Fn(&str) -> String) -> Given {
        let drawn = plan.draw(&mut Random::from_parts(1, "weights", 0));
        let tensors = drawn.into_iter().map(|tensor| (rename(&tensor.name), tensor)).collect();
        Given { place: "w.safetensors".into(), tensors, digest: String::new() }
    }

    #[test]
    fn a_head_of_other_classes_need_not_fit() {
        let model = Model::parse("kind = 'mlp', widths = [3]");
        let (four, two) = (Plan::new(&model, [1, 2, 2], 4).unwrap(), Plan::new(&model, [1, 2, 2], 2).unwrap());
        let weights = given(&four, str::to_owned);
        let message = weights.fit(&two, &Names::default(), None).unwrap_err().to_string();
        assert!(
            message.contains("`fc.weight` in w.safetensors has shape [4, 3], but layer fc (dense) needs [2, 3]"),
            "{message}"
        );
        let fitting = weights.fit(&two, &Names::default(), Some("fc")).unwrap();
        assert_eq!(fitting.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["fc1.weight", "fc1.bias"]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let plan = Plan::new(&Model::parse("kind = 'mlp', widths = [3]"), [1, 2, 2], 2).unwrap();
        let good = given(&plan, str::to_owned);
        assert_eq!(
            good.fit(&plan, &Names::default(), None).unwrap(),
            plan.draw(&mut Random::from_parts(1, "weights", 0))
        );
        let numbered = given(&plan, |name| name.replace("fc1", "1").replace("fc", "3"));
        assert!(numbered.fit(&plan, &Names::default(), None).is_ok());
        let refusal = |change: &dyn Fn(&mut BTreeMap<String, HostTensor>)| {
            let mut given = good.clone();
            change(&mut given.tensors);
            given.fit(&plan, &Names::default(), None).unwrap_err().to_string()
        };
        assert!(refusal(&|tensors| drop(tensors.remove("fc.bias"))).contains("holds no tensor `fc.bias`"));
        let nan = refusal(&|tensors| tensors.get_mut("fc.bias").unwrap().values[1] = f32::NAN);
        assert!(nan.contains("`fc.bias` in w.safetensors holds NaN at position 1"));
        let more = refusal(&|tensors| drop(tensors.insert("head.w".into(), HostTensor::new("head.w", [1], vec![0.0]))));
        assert!(more.contains("holds `head.w`, for which the model has no place"));
    }

    #[test]
    fn prefixes_of_scripts_are_taken_off() {
        let plan = Plan::new(&Model::parse("kind = 'mlp', widths = [3]"), [1, 2, 2], 2).unwrap();
        let wrapped = given(&plan, |name| format!("state_dict.module.{name}"));
        assert_eq!(without_prefix(wrapped.tensors), given(&plan, str::to_owned).tensors);
    }

    #[test]
    fn files_that_are_no_weights_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.pt");
        for bytes in [&b""[..], b"12345678{\"a\": ", b"PK\x03\x04 something", b"\x80\x02.", &[255; 100]] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains("w.pt"), "{error}");
        }
        assert!(read(folder.path()).unwrap_err().to_string().contains("is a directory"));
    }
}
