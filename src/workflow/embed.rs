//! Embeddings by our own networks, so that a sweep is its own microscope; and how alike the representations of runs are.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::Serialize;

use crate::arrays;
use crate::config::{self, Backend, Experiment};
use crate::data::{self, InputScale};
use crate::error::{Error, Result};
use crate::model::tap::{Gradient, Layout, Site, Tap};
use crate::model::{HostTensor, Mode, Network, Plan};
use crate::record::{RunReader, SweepReader, Values, layout};
use crate::stats::representation::{Likeness, Representation};
use crate::stats::rng::Stream;
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

/// Embeddings of N examples by some runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// Indices of the runs.
    pub runs: Vec<usize>,
    /// How many inputs were embedded.
    pub examples: usize,
    /// Numbers of each.
    pub width: usize,
    /// `[runs, examples, width]`
    pub values: Vec<f32>,
    /// Of the evaluation set, `[examples]`; None for other inputs.
    pub labels: Option<Vec<u32>>,
}

/// Examples that go through a network at a time.
const BATCH: usize = 250;
/// Examples that representations are compared on, at most.
const COMPARED: usize = 500;

/// Embeds examples with the networks of the sweep in `root`.
///
/// # Errors
/// [`Error::Invalid`] if weights are not recorded, there is no such layer, or inputs do not fit; [`Error::Corrupt`] for damaged
/// runs.
pub fn embed(root: &Path, what: What) -> Result<Embedded> {
    let reader = SweepReader::open(root)?;
    let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
    let (pixels, shape, classes, labels) = images(&experiment, what.inputs)?;
    let plan = Plan::new(&experiment.model, shape, classes)?;
    let chosen = reader.chosen(what.run)?;
    let device = device::device(Backend::Flex)?;
    let length: usize = shape.iter().product();
    let examples = pixels.len() / length.max(1);
    let (mut values, mut width) = (Vec::new(), 0);
    for run in &chosen {
        let network = Network::new(&plan, weights(run, what.epoch, root)?, &device)?;
        let (of_run, d) = of_network(&network, &pixels, shape, what.layer, &device)?;
        values.extend(of_run);
        width = d;
    }
    Ok(Embedded { runs: chosen.iter().map(|run| run.index()).collect(), examples, width, values, labels })
}

fn weights(run: &RunReader, epoch: Option<usize>, root: &Path) -> Result<Vec<HostTensor>> {
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
    let tensors = run.weights(at.ok_or_else(missing)?)?.ok_or_else(missing)?;
    Ok(tensors
        .iter()
        .filter_map(|(name, shape, values)| match values {
            Values::F32(values) => Some(HostTensor::new(name, shape, values.clone())),
            _ => None,
        })
        .collect())
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
        let mean = |tensor: Tensor<3>, axis: usize| {
            let [n, a, b] = tensor.dims();
            tensor.mean_dim(axis).reshape([n, if axis == 1 { b } else { a }])
        };
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

/// How alike the representations of runs are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alike {
    /// Name and version of the format.
    pub schema: &'static str,
    /// Examples compared.
    pub examples: usize,
    /// Every pair of representations.
    pub pairs: Vec<AlikePair>,
    /// Means over pairs within the first sweep, within the second, and between them: debiased CKA, neighbours, Procrustes.
    pub means: Vec<Means>,
    /// Permutation test of whether pairs between the sweeps are further apart (arccos of the debiased CKA) than pairs within them.
    pub p_between: Option<f64>,
}

/// Two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlikePair {
    /// One of the two.
    pub a: String,
    /// The other.
    pub b: String,
    /// How alike they are.
    #[serde(flatten)]
    pub likeness: Likeness,
}

/// Means over some pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Means {
    /// Which pairs.
    pub of: &'static str,
    /// How many of them.
    pub pairs: usize,
    /// Mean debiased centred kernel alignment.
    pub cka: f64,
    /// Mean share of mutual nearest neighbours.
    pub neighbours: f64,
    /// Mean Procrustes similarity.
    pub procrustes: f64,
}

/// Compares the representations of every two runs of one sweep, or of two sweeps of whatever architectures, on the same examples
/// (500 of them at most, evenly taken).
///
/// # Errors
/// [`Error::NotComparable`] where the sweeps were not judged on the same examples; as [`embed`].
pub fn alike(first: &Path, second: Option<&Path>, what: What, permutations: usize) -> Result<Alike> {
    let mut sides = vec![embed(first, what)?];
    if let Some(second) = second {
        let other = embed(second, what)?;
        if other.labels != sides[0].labels || other.examples != sides[0].examples {
            return Err(Error::NotComparable(format!(
                "{} and {} are not of the same examples: give some with --inputs",
                first.display(),
                second.display()
            )));
        }
        sides.push(other);
    }
    let examples = sides[0].examples;
    let step = examples.div_ceil(COMPARED).max(1);
    let mut names = Vec::new();
    let mut held = Vec::new();
    let count = sides[0].runs.len();
    for (side, label) in sides.iter().zip(["a", "b"]) {
        for (place, run) in side.runs.iter().enumerate() {
            let rows = &side.values[place * side.examples * side.width..][..side.examples * side.width];
            let some: Vec<f32> = rows.chunks_exact(side.width).step_by(step).flatten().copied().collect();
            names.push(if sides.len() > 1 { format!("{label}{run}") } else { run.to_string() });
            held.push(Representation::new(&some, side.width)?);
        }
    }
    let n = held.len();
    let indices: Vec<(usize, usize)> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let pairs: Vec<AlikePair> = indices
        .par_iter()
        .map(|&(a, b)| {
            let likeness = held[a].likeness(&held[b], permutations, (a * n + b) as u64)?;
            Ok(AlikePair { a: names[a].clone(), b: names[b].clone(), likeness })
        })
        .collect::<Result<_>>()?;
    let mean = |of: &'static str, keep: &dyn Fn(usize, usize) -> bool| {
        let kept: Vec<&AlikePair> =
            indices.iter().zip(&pairs).filter(|((a, b), _)| keep(*a, *b)).map(|(_, pair)| pair).collect();
        let over = |value: &dyn Fn(&Likeness) -> f64| {
            kept.iter().map(|pair| value(&pair.likeness)).sum::<f64>() / kept.len() as f64
        };
        (!kept.is_empty()).then(|| Means {
            of,
            pairs: kept.len(),
            cka: over(&|held| held.cka.value),
            neighbours: over(&|held| held.neighbours.value),
            procrustes: over(&|held| held.procrustes.value),
        })
    };
    let means = [
        mean("within the first", &|_, b| b < count),
        mean("within the second", &|a, _| a >= count),
        mean("between", &|a, b| a < count && b >= count),
    ];
    let angle = |a: usize, b: usize| {
        let pair = indices.binary_search(&(a.min(b), a.max(b))).map(|at| &pairs[at]);
        pair.map_or(0.0, |pair| pair.likeness.cka.value.clamp(-1.0, 1.0).acos())
    };
    let p_between = (sides.len() > 1 && n > 2).then(|| further_apart(n, count, &angle));
    Ok(Alike {
        schema: "harness.representations/1",
        examples: examples.div_ceil(step),
        pairs,
        means: means.into_iter().flatten().collect(),
        p_between,
    })
}

/// Permutations of the test between sweeps.
const DIVISIONS: usize = 9999;

/// The share of random divisions of 0..n into sets of the same sizes whose energy statistic (twice the mean distance between the sets, less the mean within each;
/// Székely & Rizzo 2004) is at least that of the first `count` against the others.
fn further_apart(n: usize, count: usize, distance: &dyn Fn(usize, usize) -> f64) -> f64 {
    let statistic = |order: &[usize]| {
        let (a, b) = order.split_at(count);
        let within = |of: &[usize]| {
            let pairs = of.iter().enumerate().flat_map(|(i, &x)| of[..i].iter().map(move |&y| distance(x, y)));
            pairs.sum::<f64>() / (of.len() * of.len().saturating_sub(1) / 2).max(1) as f64
        };
        let between: f64 = a.iter().flat_map(|&x| b.iter().map(move |&y| distance(x, y))).sum();
        2.0 * between / (a.len() * b.len()).max(1) as f64 - within(a) - within(b)
    };
    let identity: Vec<usize> = (0..n).collect();
    let observed = statistic(&identity);
    let above = (0..DIVISIONS)
        .filter(|&permutation| {
            let mut order = identity.clone();
            Stream::new(0, permutation as u64).shuffle(&mut order);
            statistic(&order) >= observed - 1e-9 * observed.abs()
        })
        .count();
    (1 + above) as f64 / (1 + DIVISIONS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_apart_are_told_from_sets_together() {
        // Four points at 0 and four at 5: of the 70 divisions two are as large.
        let place = [0.0f64, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2, 5.3];
        let p = further_apart(8, 4, &|a, b| (place[a] - place[b]).abs());
        assert!((p - 2.0 / 70.0).abs() < 0.008, "{p}");
        let mixed = [0.0f64, 5.0, 0.2, 5.1, 0.1, 5.2, 0.3, 5.3];
        assert!(further_apart(8, 4, &|a, b| (mixed[a] - mixed[b]).abs()) > 0.3);
    }
}
