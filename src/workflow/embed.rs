//! Embeddings by our own networks, so that a sweep is its own microscope.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use crate::analysis::representations::{self, Alike, COMPARED, Embedded};
use crate::arrays;
use crate::config::{self, Backend, Experiment};
use crate::data::{self, InputScale};
use crate::error::{Error, Result};
use crate::lineage::units::Rows;
use crate::model::tap::{Gradient, Layout, Site, Tap};
use crate::model::{HostTensor, Mode, Network, Plan};
use crate::record::{RunReader, SweepReader, Values, layout};
use crate::train::device;

/// What is embedded, and where in the network it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct What<'a> {
    /// One run; all complete runs without.
    pub run: Option<usize>,
    /// A checkpoint; the last of which the weights are recorded without.
    pub epoch: Option<usize>,
    /// The output of this layer, a mean over positions; without, what the last dense layer reads.
    pub layer: Option<&'a str>,
    /// `.npy` of images in the units of the data set's files; the evaluation set without.
    pub inputs: Option<&'a Path>,
}

/// Examples that go through a network at a time.
const BATCH: usize = 250;
/// Embeds examples with the networks of the sweep in `root`.
///
/// # Errors
/// [`Error::Invalid`] if weights are not recorded, there is no such layer, or inputs do not fit; [`Error::Corrupt`] for damaged
/// runs.
pub fn embed(root: &Path, what: What) -> Result<Embedded> {
    let Ready { networks, pixels, shape, labels, device } = ready(root, what)?;
    let length: usize = shape.iter().product();
    let examples = pixels.len() / length.max(1);
    let (mut values, mut width) = (Vec::new(), 0);
    for held in &networks {
        let (of_run, d) = of_network(&held.network, &pixels, shape, what.layer, &device)?;
        values.extend(of_run);
        width = d;
    }
    let runs = networks.iter().map(|held| held.run as u32).collect();
    let epochs = networks.iter().map(|held| held.epoch).collect();
    Ok(Embedded { runs, epochs, examples, width, values, labels })
}

/// Compares the representations of every two runs of one sweep, or of two sweeps of whatever architectures, on the same examples
/// (500 of them at most, evenly taken).
///
/// # Errors
/// [`Error::NotComparable`] where the sweeps were not judged on the same examples; as [`embed`].
pub fn alike(first: &Path, second: Option<&Path>, what: What, permutations: usize) -> Result<Alike> {
    let one = embed(first, what)?;
    let other = second.map(|second| embed(second, what)).transpose()?;
    representations::alike(&one, other.as_ref(), permutations)
}

/// Reads what [`embed`] wrote as `.npz` with `harness embed SWEEP --out E.npz`.
///
/// # Errors
/// [`Error::Invalid`] for another file, or one whose arrays do not fit together.
pub fn read(path: &Path) -> Result<Embedded> {
    let place = arrays::file::shown(path);
    let odd = |what: &str| {
        Error::Invalid(format!(
            "{place} {what}: give the .npz that `harness embed SWEEP --out E.npz` writes for all runs"
        ))
    };
    let archive = arrays::open_npz(path)?;
    if let Some(missing) = ["embeddings", "runs", "epochs"].into_iter().find(|name| !archive.contains(name)) {
        return Err(odd(&format!("holds no array `{missing}`")));
    }
    let numbers = |name: &str| archive.get(name)?.into_labels(&archive.place(name));
    let (shape, values) = archive.get_f32("embeddings")?;
    let (runs, epochs) = (numbers("runs")?, numbers("epochs")?);
    let labels = archive.contains("labels").then(|| numbers("labels")).transpose()?;
    let [count, examples, width] = *shape.as_slice() else {
        return Err(odd(&format!("holds embeddings of shape {shape:?}, not [runs, N, d]")));
    };
    if runs.len() != count || epochs.len() != count || labels.as_ref().is_some_and(|held| held.len() != examples) {
        return Err(odd("holds another number of runs, epochs or labels than of embeddings"));
    }
    let epochs = epochs.into_iter().map(|epoch| epoch as usize).collect();
    Ok(Embedded { runs, epochs, examples, width, values, labels })
}

/// A run's network after an epoch.
struct Trained {
    run: usize,
    epoch: usize,
    network: Network,
}

/// Networks of a sweep, and what they are run on.
struct Ready {
    /// By run.
    networks: Vec<Trained>,
    /// `[examples, channels, height, width]`
    pixels: Vec<f32>,
    shape: [usize; 3],
    labels: Option<Vec<u32>>,
    device: Device,
}

fn ready(root: &Path, what: What) -> Result<Ready> {
    let reader = SweepReader::open(root)?;
    let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
    let (pixels, shape, classes, labels) = images(&experiment, what.inputs)?;
    let plan = Plan::new(&experiment.model, shape, classes)?;
    let chosen = reader.chosen(what.run)?;
    let device = device::device(Backend::Flex)?;
    let network = |run: &RunReader| {
        let (epoch, weights) = weights(run, what.epoch, root)?;
        Ok(Trained { run: run.index(), epoch, network: Network::new(&plan, weights, &device)? })
    };
    let networks = chosen.iter().map(network).collect::<Result<_>>()?;
    Ok(Ready { networks, pixels, shape, labels, device })
}

/// A run, and of each of its hidden layers the name and what its units do.
pub(super) type Hidden = (usize, Vec<(String, Rows)>);

/// What the hidden units of every run do on the same examples: of each layer with weights but the last its name and `[units, N]`,
/// means over positions, of 500 examples at most (evenly taken).
///
/// # Errors
/// As [`embed`].
pub(super) fn activations(root: &Path, what: What) -> Result<Vec<Hidden>> {
    let Ready { networks, pixels, shape, device, .. } = ready(root, what)?;
    let length: usize = shape.iter().product::<usize>().max(1);
    let step = (pixels.len() / length).div_ceil(COMPARED).max(1);
    let some: Vec<f32> = pixels.chunks_exact(length).step_by(step).flatten().copied().collect();
    let n = some.len() / length;
    let of_run = |held: &Trained| {
        let mut units = Units::default();
        let input = Tensor::from_data(TensorData::new(some.clone(), [n, shape[0], shape[1], shape[2]]), &device);
        let _ = held.network.forward(input, &mut Mode::Tapped(&mut units));
        units.layers.pop();
        let rows = units.layers.into_iter().map(|(name, values)| {
            let values = values.transpose();
            let units = values.dims()[0];
            let values = values.into_data().try_into_vec::<f32>();
            let values = values.map_err(|cause| Error::Unexpected(format!("cannot read activations: {cause:?}")))?;
            Ok((name, Rows { units, length: n, values }))
        });
        Ok((held.run, rows.collect::<Result<_>>()?))
    };
    networks.iter().map(of_run).collect()
}

/// Reads the outputs of every layer with weights.
#[derive(Default)]
struct Units {
    /// `[N, units]`
    layers: Vec<(String, Tensor<2>)>,
}

impl Tap for Units {
    fn see(&mut self, site: Site, output: Tensor<3>, layout: Layout) -> Tensor<3> {
        let weighs = |gradient: &Gradient| matches!(gradient, Gradient::Dense { .. } | Gradient::Conv { .. });
        if site.parts.iter().any(|(_, gradient)| weighs(gradient)) {
            let axis = if layout == Layout::ChannelsFirst { 2 } else { 1 };
            self.layers.push((site.layer.to_owned(), mean(output.clone(), axis)));
        }
        output
    }
}

/// The mean over an axis of `[n, a, b]`.
fn mean(tensor: Tensor<3>, axis: usize) -> Tensor<2> {
    let [n, a, b] = tensor.dims();
    tensor.mean_dim(axis).reshape([n, if axis == 1 { b } else { a }])
}

/// The recorded weights of a run after `epoch`, or the last that there are, and after which epoch they are.
pub(super) fn weights(run: &RunReader, epoch: Option<usize>, root: &Path) -> Result<(usize, Vec<HostTensor>)> {
    let epochs = run.epochs_with(layout::WEIGHTS);
    let at = match epoch {
        None => epochs.last().copied(),
        Some(epoch) => epochs.contains(&epoch).then_some(epoch),
    };
    let missing = || {
        let when = epoch.map_or_else(String::new, |epoch| format!(" after epoch {epoch}"));
        Error::Invalid(format!(
            "run {} of {} has no recorded weights{when}: set record.weights and train it again",
            run.index(),
            root.display()
        ))
    };
    let at = at.ok_or_else(missing)?;
    let tensors = run.weights(at)?.ok_or_else(missing)?;
    let held = tensors.iter().filter_map(|(name, shape, values)| match values {
        Values::F32(values) => Some(HostTensor::new(name, shape, values.clone())),
        _ => None,
    });
    Ok((at, held.collect()))
}

/// Standardised pixels, the shape of an example, the number of classes, and labels where they are known.
type Inputs = (Vec<f32>, [usize; 3], usize, Option<Vec<u32>>);

fn images(experiment: &Experiment, inputs: Option<&Path>) -> Result<Inputs> {
    let Some(path) = inputs else {
        let dataset = data::load(&experiment.data)?;
        return Ok((dataset.eval.pixels, dataset.shape, dataset.classes.len(), Some(dataset.eval.labels)));
    };
    let InputScale { shape, classes, mean, deviation, .. } = data::input_scale(&experiment.data)?;
    let (found, mut pixels) = arrays::read_npy_f32(path)?;
    let [channels, height, width] = shape;
    let fits = match *found.as_slice() {
        [_, c, h, w] => [c, h, w] == shape,
        [_, h, w] => channels == 1 && [h, w] == [height, width],
        [_, d] => d == channels * height * width,
        _ => false,
    };
    if !fits || pixels.is_empty() {
        return Err(Error::Invalid(format!(
            "{} has shape {found:?}, but the networks take [N, {channels}, {height}, {width}] with at least one image",
            path.display()
        )));
    }
    if pixels.iter().any(|value| !value.is_finite()) {
        return Err(Error::Invalid(format!("{} holds a value that is not finite", path.display())));
    }
    let scales = mean.iter().zip(&deviation).cycle();
    for (plane, (mean, deviation)) in pixels.chunks_exact_mut((height * width).max(1)).zip(scales) {
        plane.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) / deviation) as f32);
    }
    Ok((pixels, shape, classes.len(), None))
}

/// Reads the embedding as it passes.
struct Probe<'a> {
    wanted: Option<&'a str>,
    seen: Vec<String>,
    read: Option<Tensor<2>>,
}

impl Tap for Probe<'_> {
    fn see(&mut self, site: Site, output: Tensor<3>, layout: Layout) -> Tensor<3> {
        match self.wanted {
            Some(wanted) if wanted == site.layer => {
                let axis = if layout == Layout::ChannelsFirst { 2 } else { 1 };
                self.read = Some(mean(output.clone(), axis));
            }
            Some(_) => {}
            None => {
                let dense = site.parts.iter().find_map(|(_, gradient)| match gradient {
                    Gradient::Dense { inputs } => Some(inputs.clone()),
                    _ => None,
                });
                if let Some(inputs) = dense {
                    self.read = Some(mean(inputs, 1));
                }
            }
        }
        self.seen.push(site.layer.to_owned());
        output
    }
}

/// `[N, width]` and the width.
fn of_network(
    network: &Network,
    pixels: &[f32],
    shape: [usize; 3],
    layer: Option<&str>,
    device: &Device,
) -> Result<(Vec<f32>, usize)> {
    let length: usize = shape.iter().product();
    let (mut values, mut width) = (Vec::new(), 0);
    for batch in pixels.chunks(BATCH * length.max(1)) {
        let n = batch.len() / length.max(1);
        let mut probe = Probe { wanted: layer, seen: Vec::new(), read: None };
        let input = Tensor::from_data(TensorData::new(batch.to_vec(), [n, shape[0], shape[1], shape[2]]), device);
        let _ = network.forward(input, &mut Mode::Tapped(&mut probe));
        let read = probe.read.ok_or_else(|| {
            Error::Invalid(match layer {
                Some(layer) => {
                    format!("the network has no layer `{layer}` with parameters; it has {}", probe.seen.join(", "))
                }
                None => {
                    "the network has no dense layer whose inputs could be its embedding; name one with --layer".into()
                }
            })
        })?;
        width = read.dims()[1];
        values.extend(
            read.into_data()
                .try_into_vec::<f32>()
                .map_err(|cause| Error::Unexpected(format!("cannot read embeddings from the device: {cause:?}")))?,
        );
    }
    Ok((values, width))
}
