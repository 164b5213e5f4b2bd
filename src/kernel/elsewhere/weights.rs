//! Weights from a safetensors file, held against the model before any of them is looked at.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::names::{Names, listed};
use crate::arrays::file;
use crate::config::Model;
use crate::error::{Error, Result};
use crate::kernel::HostNetwork;
use crate::model::{HostTensor, Plan};

/// What PyTorch keeps of a batch norm beside what evaluation needs.
const UNUSED: &str = "num_batches_tracked";

/// Reads the weights of `model` for examples `[channels, height, width]` from a safetensors file, f32 and in PyTorch's layouts.
/// The number of outputs is that of the last dense layer. Where the file holds a plain `torch.nn.Sequential` (its layers are
/// numbers) and `names` are empty, these are taken in order.
///
/// # Errors
/// `Invalid`, before any computation, if the file cannot be read, a tensor is missing, of another shape or type than the model
/// needs, not finite, or one that the model has no place for.
pub fn read_network(model: &Model, input: [usize; 3], path: &Path, names: &Names) -> Result<HostNetwork> {
    let place = file::shown(path);
    let mut opened = file::open(path, "a safetensors file")?;
    let mut bytes = Vec::new();
    opened.file.read_to_end(&mut bytes).map_err(|cause| file::broken(&place, &cause))?;
    network(model, input, &bytes, &place, names)
}

fn network(model: &Model, input: [usize; 3], bytes: &[u8], place: &str, names: &Names) -> Result<HostNetwork> {
    let parsed = SafeTensors::deserialize(bytes).map_err(|cause| {
        Error::Invalid(format!(
            "{place} is not a sound safetensors file ({}); write it with safetensors.torch.save_file",
            file::clean(&cause.to_string())
        ))
    })?;
    let theirs: BTreeMap<&str, TensorView> = parsed.iter().filter(|(name, _)| !name.ends_with(UNUSED)).collect();
    let file = File { theirs, place, input };
    // Names do not depend on the number of outputs.
    let outline = Plan::new(model, input, 1)?;
    names.check(&outline)?;
    let numbered = match *names == Names::default() {
        true => Names::numbered(&outline, file.theirs.keys().copied()),
        false => None,
    };
    let names = numbered.as_ref().unwrap_or(names);
    let outputs = file.find("fc.bias", names)?.shape();
    let classes = match *outputs {
        [classes] if classes > 0 => classes,
        _ => {
            return Err(Error::Invalid(format!(
                "tensor `{}` in {place} has shape {outputs:?}, but it is the bias of the outputs, [C]",
                names.theirs("fc.bias")
            )));
        }
    };
    let plan = Plan::new(model, input, classes)?;
    let needed = plan.tensors();
    for (ours, shape) in &needed {
        file.check(ours, shape, names)?;
    }
    let used: Vec<String> = needed.iter().map(|(ours, _)| names.theirs(ours)).collect();
    let unused: Vec<&str> = file.theirs.keys().copied().filter(|name| !used.iter().any(|used| used == name)).collect();
    if !unused.is_empty() {
        return Err(Error::Invalid(format!(
            "{place} holds {}, for which the model has no place: all parameters count for a kernel, so describe the whole network or save it without them",
            listed(unused.into_iter())
        )));
    }
    let weights: Vec<HostTensor> =
        needed.into_iter().map(|(ours, shape)| file.values(ours, shape, names)).collect::<Result<_>>()?;
    HostNetwork::new(&plan, &weights)
}

struct File<'a> {
    theirs: BTreeMap<&'a str, TensorView<'a>>,
    place: &'a str,
    /// Of one example, for messages.
    input: [usize; 3],
}

impl File<'_> {
    fn find(&self, ours: &str, names: &Names) -> Result<&TensorView<'_>> {
        let name = names.theirs(ours);
        self.theirs.get(name.as_str()).ok_or_else(|| {
            let meant = if name == ours { String::new() } else { format!(", the model's `{ours}`") };
            Error::Invalid(format!(
                "{} holds no tensor `{name}`{meant}; it holds {}: give the names that differ with --map",
                self.place,
                listed(self.theirs.keys().copied())
            ))
        })
    }

    fn check(&self, ours: &str, shape: &[usize], names: &Names) -> Result<()> {
        let (view, name) = (self.find(ours, names)?, names.theirs(ours));
        if view.shape() != shape {
            let [channels, height, width] = self.input;
            return Err(Error::Invalid(format!(
                "tensor `{name}` in {} has shape {:?}, but the model needs {shape:?} for inputs of {channels}x{height}x{width}: check that model, weights and inputs belong together",
                self.place,
                view.shape()
            )));
        }
        if view.dtype() != Dtype::F32 {
            return Err(Error::Invalid(format!(
                "tensor `{name}` in {} is of type {:?}, but weights are F32; save them after .float()",
                self.place,
                view.dtype()
            )));
        }
        Ok(())
    }

    fn values(&self, ours: String, shape: Vec<usize>, names: &Names) -> Result<HostTensor> {
        let bytes = self.find(&ours, names)?.data();
        let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(HostTensor::new(ours, shape, values)),
            Some(at) => Err(Error::Invalid(format!(
                "tensor `{}` in {} holds {} at position {at}: this network has diverged and has no kernel",
                names.theirs(&ours),
                self.place,
                values[at]
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::record::{Tensors, Values};

    fn mlp() -> Model {
        Model::parse("kind = 'mlp', widths = [3]")
    }

    fn tensors(model: &Model, input: [usize; 3], rename: impl Fn(&str) -> String) -> Tensors {
        let plan = Plan::new(model, input, 2).unwrap();
        let mut out = Tensors::new();
        for tensor in plan.draw(&mut Random::from_parts(1, "weights", 0)) {
            out.insert(rename(&tensor.name), &tensor.shape, tensor.values).unwrap();
        }
        out
    }

    fn read(model: &Model, input: [usize; 3], tensors: &Tensors, names: &Names) -> Result<HostNetwork> {
        network(model, input, &tensors.encode().unwrap(), "w.safetensors", names)
    }

    #[test]
    fn names_lead_to_the_same_network() {
        let resnet = Model::parse("kind = 'resnet', depth = 8, width = 2");
        let plain = read(&resnet, [3, 6, 6], &tensors(&resnet, [3, 6, 6], str::to_owned), &Names::default()).unwrap();
        assert_eq!((plain.classes(), plain.example_len()), (2, 108));
        let renamed = |name: &str| format!("net.{}", name.replace("blocks.0.c1", "first.conv"));
        let mut foreign = tensors(&resnet, [3, 6, 6], renamed);
        let names = Names::parse("'blocks.0.c1' = 'net.first.conv'\n'*' = 'net'", "names.toml").unwrap();
        foreign.insert("net.b.num_batches_tracked", &[], vec![3_u32]).unwrap();
        assert_eq!(read(&resnet, [3, 6, 6], &foreign, &names).unwrap(), plain);
        // A plain Sequential has numbers.
        let numbered = |name: &str| name.replace("fc1", "1").replace("fc", "3");
        let plain = read(&mlp(), [1, 2, 2], &tensors(&mlp(), [1, 2, 2], str::to_owned), &Names::default()).unwrap();
        let foreign = tensors(&mlp(), [1, 2, 2], numbered);
        assert_eq!(read(&mlp(), [1, 2, 2], &foreign, &Names::default()).unwrap(), plain);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refusal = |tensors: &Tensors, input: [usize; 3]| {
            let error = read(&mlp(), input, tensors, &Names::default()).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
            error.to_string()
        };
        let good = tensors(&mlp(), [1, 2, 2], str::to_owned);
        let with = |name: &str, shape: &[usize], values: Values| {
            let mut changed = good.clone();
            changed.insert(name, shape, values).unwrap();
            changed
        };
        let mut lacking = good.clone();
        lacking.remove("fc1.weight");
        assert!(
            refusal(&lacking, [1, 2, 2])
                .contains("no tensor `fc1.weight`; it holds `fc.bias`, `fc.weight`, `fc1.bias`")
        );
        let message = refusal(&good, [1, 3, 3]);
        assert!(
            message.contains(
                "`fc1.weight` in w.safetensors has shape [3, 4], but the model needs [3, 9] for inputs of 1x3x3"
            ),
            "{message}"
        );
        let wide = with("fc1.bias", &[3], Values::F64(vec![0.0; 3]));
        assert!(refusal(&wide, [1, 2, 2]).contains("`fc1.bias` in w.safetensors is of type F64, but weights are F32"));
        let broken = with("fc1.bias", &[3], Values::F32(vec![0.0, f32::NAN, 0.0]));
        assert!(refusal(&broken, [1, 2, 2]).contains("`fc1.bias` in w.safetensors holds NaN at position 1"));
        let more = with("head.weight", &[1], Values::F32(vec![0.0]));
        assert!(refusal(&more, [1, 2, 2]).contains("holds `head.weight`, for which the model has no place"));
        let scalar = with("fc.bias", &[], Values::F32(vec![0.0]));
        assert!(refusal(&scalar, [1, 2, 2]).contains("the bias of the outputs"));
        let none = with("fc.bias", &[0], Values::F32(Vec::new()));
        assert!(refusal(&none, [1, 2, 2]).contains("the bias of the outputs"));
    }

    #[test]
    fn damaged_files_are_refused() {
        let bytes = tensors(&mlp(), [1, 2, 2], str::to_owned).encode().unwrap();
        for cut in [0, 1, 7, 8, 40, bytes.len() - 1] {
            let error = network(&mlp(), [1, 2, 2], &bytes[..cut], "w.safetensors", &Names::default()).unwrap_err();
            assert!(error.to_string().contains("not a sound safetensors file"), "{cut}: {error}");
        }
    }
}
