//! Data sets in memory: readers of the published formats, class subsets and limits, standardisation.

/// Labelled images of one shape, pixels as `f32`, row-major `[len, channels, height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// `[len * channels * height * width]`
    pub pixels: Vec<f32>,
    /// `[len]`, each below the number of classes.
    pub labels: Vec<u32>,
}

/// A data set ready for training: standardised per channel by the mean and deviation of the training part.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Channels, height, width of one example.
    pub shape: [usize; 3],
    /// A name for each class, in label order.
    pub classes: Vec<String>,
    pub train: Split,
    pub eval: Split,
    /// BLAKE3 of the bytes that were read, in hex: names the data in provenance.
    pub digest: String,
}

impl Split {
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
