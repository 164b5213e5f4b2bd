//! Batches of images on the host, in order or shuffled, plain or augmented.

use crate::config::Augment;
use crate::data::{Split, augment};
use crate::random::Random;

/// Pixels `[n, channels, height, width]` and labels `[n]` of some examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub pixels: Vec<f32>,
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

/// Gathers the examples `indices` of a split; with `augmentation`, each is changed by draws from the stream.
#[must_use]
pub fn gather(
    split: &Split,
    shape: [usize; 3],
    indices: &[usize],
    augmentation: Option<(&Augment, &mut Random)>,
) -> Batch {
    let length: usize = shape.iter().product();
    let mut pixels = vec![0.0; indices.len() * length];
    let sources = indices.iter().map(|&i| &split.pixels[i * length..(i + 1) * length]);
    match augmentation {
        Some((config, random)) if *config != Augment::default() => {
            for (target, source) in pixels.chunks_exact_mut(length).zip(sources) {
                augment(source, shape, config, random, target);
            }
        }
        _ => pixels.chunks_exact_mut(length).zip(sources).for_each(|(target, source)| target.copy_from_slice(source)),
    }
    Batch { pixels, labels: indices.iter().map(|&i| split.labels[i]).collect() }
}
