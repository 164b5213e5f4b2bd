//! Batches of images on the host, in order or shuffled, plain or augmented.

use crate::config::Augment;
use crate::data::{Images, Split, augment};
use crate::ops;
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
pub fn gather<P: Images>(
    split: &Split<P>,
    shape: [usize; 3],
    indices: &[usize],
    augmentation: Option<(&Augment, &mut Random)>,
) -> Batch {
    let length: usize = shape.iter().product();
    let mut pixels = ops::buffer(indices.len() * length);
    let targets = pixels.chunks_exact_mut(length).zip(indices);
    match augmentation {
        Some((config, random)) if *config != Augment::default() => {
            let mut image = vec![0.0; length];
            for (target, &index) in targets {
                split.pixels.write(index, &mut image);
                augment(&image, shape, config, random, target);
            }
        }
        _ => targets.for_each(|(target, &index)| split.pixels.write(index, target)),
    }
    Batch { pixels, labels: indices.iter().map(|&i| split.labels[i]).collect() }
}
