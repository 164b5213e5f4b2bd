//! Applying an ensemble to new inputs.

use std::path::{Path, PathBuf};

use super::file::{EnsembleFile, read_member};
use super::model::ModelFile;
use crate::arrays;
use crate::config::Backend;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::model::{HostTensor, Network, Plan};
use crate::record::{Tensors, Values};
use crate::stats::Logits;
use crate::stats::ensemble::Ensemble;
use crate::stats::logits::{argmax, softmax_into};
use crate::train::{device, trainer};

/// An ensemble that can be applied.
#[derive(Debug, Clone)]
pub struct Predictor {
    ensemble: EnsembleFile,
    model: ModelFile,
    plan: Plan,
    folder: PathBuf,
}

/// Images, standardised.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// `[N, channels, height, width]`
    pixels: Vec<f32>,
    examples: usize,
}

/// What an ensemble says about N examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// A name for each of the C classes.
    pub classes: Vec<String>,
    /// `[N, C]`, each row sums to 1.
    pub probabilities: Vec<f64>,
    /// The class of the largest probability of each example, `[N]`; ties: the lowest.
    pub decisions: Vec<u32>,
}

impl Predictor {
    /// Opens the ensemble whose `ensemble.json` is at `path`; the weights are read when they are applied.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the file is not an ensemble, it was exported without weights, or its model file does not fit.
    pub fn open(path: &Path) -> Result<Self> {
        let ensemble = EnsembleFile::read(path)?;
        let shown = path.display();
        let (Some(model), false) = (&ensemble.model, ensemble.members.is_empty()) else {
            let why = ensemble.without_weights.as_deref().unwrap_or("it names no model file");
            return Err(Error::Invalid(format!("{shown} holds no weights to predict with: {why}")));
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        ensemble.check_model(&folder)?;
        let model = ModelFile::read(&folder.join(model))?;
        if model.classes.len() != ensemble.classes {
            return Err(Error::Invalid(format!(
                "{shown} is of {} classes, but its model file of {}",
                ensemble.classes,
                model.classes.len()
            )));
        }
        let plan = Plan::new(&model.model, model.input.shape, model.classes.len())?;
        Ok(Self { ensemble, model, plan, folder })
    }

    /// How many networks there are.
    #[must_use]
    pub fn members(&self) -> usize {
        self.ensemble.members.len()
    }

    /// Reads images as the data set's files hold them, and standardises them: `.npy` of any numeric type, of shape
    /// [N, C, H, W], [N, H, W] for one channel, or [N, C·H·W].
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not such an array, holds no image, or holds a value that is not finite.
    pub fn read_inputs(&self, path: &Path) -> Result<Inputs> {
        let (found, mut pixels) = arrays::read_npy_f32(path)?;
        let shown = path.display();
        let [channels, height, width] = self.model.input.shape;
        let length = channels * height * width;
        let examples = match *found.as_slice() {
            [n, c, h, w] if [c, h, w] == self.model.input.shape => n,
            [n, h, w] if channels == 1 && [h, w] == [height, width] => n,
            [n, d] if d == length => n,
            _ => {
                let hint = match *found.as_slice() {
                    [_, h, w, c] if [c, h, w] == self.model.input.shape => {
                        "; its channels come last: save it with .transpose(0, 3, 1, 2)"
                    }
                    [c, h, w] if [c, h, w] == self.model.input.shape => "; save a single image as x[None]",
                    _ => "",
                };
                return Err(Error::Invalid(format!(
                    "{shown} has shape {found:?}, but the ensemble takes [N, {channels}, {height}, {width}]{hint}"
                )));
            }
        };
        if examples == 0 {
            return Err(Error::Invalid(format!("{shown} holds no image; save at least one")));
        }
        if let Some(place) = pixels.iter().position(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!(
                "{shown} holds a value that is not finite (as float32) in image {}; replace it",
                place / length.max(1)
            )));
        }
        let channels = self.model.input.mean.iter().zip(&self.model.input.deviation).cycle();
        for (plane, (mean, deviation)) in pixels.chunks_exact_mut((height * width).max(1)).zip(channels) {
            plane.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) / deviation) as f32);
        }
        Ok(Inputs { pixels, examples })
    }

    /// The mean of the members' predictions, as `ensemble.json` says. One member's network is in memory at a time.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a member's weights are missing or do not fit the model, or its logits are not finite;
    /// [`Error::Corrupt`] if a file has changed.
    pub fn predict(&self, inputs: Inputs) -> Result<Predictions> {
        let Inputs { pixels, examples } = inputs;
        let classes = self.plan.classes;
        let device = device::device(Backend::Flex)?;
        let images = Split { pixels, labels: Vec::new() };
        // Predictions have no labels; the mean does not look at them.
        let labels = vec![0; examples];
        let mut mean = Ensemble::of_examples(self.ensemble.combination, &labels, classes);
        for member in &self.ensemble.members {
            let bytes = read_member(&self.folder, &member.file)?;
            let network = Network::new(&self.plan, tensors(&bytes, &member.file.path)?, &device)?;
            let logits = trainer::logits(&network, &images, self.plan.input.padded(), &device)?;
            let logits = Logits::new(&logits, &labels, classes)?;
            if !logits.is_finite() {
                return Err(Error::Invalid(format!(
                    "run {} gives logits that are not finite on these inputs; are they in the units of the data set's files?",
                    member.run
                )));
            }
            mean.add(&logits)?;
        }
        let mut scaled = mean.logits();
        scaled.iter_mut().for_each(|z| *z /= self.ensemble.temperature);
        let decisions = scaled.chunks_exact(classes).map(|row| argmax(row) as u32).collect();
        let mut probabilities = vec![0.0; scaled.len()];
        for (row, out) in scaled.chunks_exact(classes).zip(probabilities.chunks_exact_mut(classes)) {
            softmax_into(row, out);
        }
        Ok(Predictions { classes: self.model.classes.clone(), probabilities, decisions })
    }
}

fn tensors(bytes: &[u8], name: &str) -> Result<Vec<HostTensor>> {
    let tensors = Tensors::decode(bytes, name)?;
    tensors
        .iter()
        .map(|(tensor, shape, values)| match values {
            Values::F32(values) => Ok(HostTensor::new(tensor, shape, values.clone())),
            _ => {
                Err(Error::Invalid(format!("tensor {tensor} of {name} does not hold f32 numbers; save it as float32")))
            }
        })
        .collect()
}
