//! Batches of images on the host, in order or shuffled, plain or augmented.

use crate::config::{Augment, Experiment};
use crate::data::{self, Compact, Dataset, Images, Split, augment};
use crate::error::Result;
use crate::model::zoo::Architecture;
use crate::ops;
use crate::random::ByExample;

/// Parts of a data set of more bytes than this stay in their files.
const IN_MEMORY: u64 = 16 << 20;

/// The data of an experiment, in as little memory as does not make training slower: a system call for an image is nothing
/// beside a convolution's work on it, but 2 % of an mlp's, which needs little memory for anything else.
///
/// # Errors
/// As [`data::load`].
pub fn load(experiment: &Experiment) -> Result<Dataset<Compact>> {
    let in_memory = if matches!(experiment.model.architecture, Architecture::Mlp(_)) { u64::MAX } else { IN_MEMORY };
    data::load_compact(&experiment.data, in_memory)
}

/// Pixels `[n, channels, height, width]` and labels `[n]` of some examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[n, channels, height, width]`
    pub pixels: Vec<f32>,
    /// `[n]`
    pub labels: Vec<u32>,
}

impl Batch {
    /// Number of examples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Gathers the examples `indices` of a split; with `augmentation`, each is changed by draws from its place in the stream's batch.
///
/// # Errors
/// Those of reading images that stay in their files.
pub fn gather<P: Images>(
    split: &Split<P>,
    shape: [usize; 3],
    indices: &[usize],
    augmentation: Option<(&Augment, &mut ByExample)>,
) -> Result<Batch> {
    let length: usize = shape.iter().product();
    let mut pixels = ops::buffer(indices.len() * length);
    let targets = pixels.chunks_exact_mut(length).zip(indices);
    match augmentation {
        Some((config, random)) if *config != Augment::default() => {
            let mut image = vec![0.0; length];
            for (place, (target, &index)) in targets.enumerate() {
                split.pixels.write(index, &mut image)?;
                augment(&image, shape, config, random.at(place, 0), target);
            }
        }
        _ => {
            for (target, &index) in targets {
                split.pixels.write(index, target)?;
            }
        }
    }
    Ok(Batch { pixels, labels: indices.iter().map(|&i| split.labels[i]).collect() })
}
