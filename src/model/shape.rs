//! The shape of what one layer hands to the next.

use std::fmt;

/// One to three axes, as PyTorch has them without the batch: `[features]`, `[tokens, width]` or `[channels, length]`,
/// `[channels, height, width]`.
///
/// A batch of n of them travels as a tensor of four axes, `[n, axes…]`, with axes of length 1 at the end for those that are
/// missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    axes: usize,
    lengths: [usize; 3],
}

impl Shape {
    /// `[features]`
    #[must_use]
    pub fn vector(features: usize) -> Self {
        Self { axes: 1, lengths: [features, 1, 1] }
    }

    /// `[tokens, width]` of sequences, `[channels, length]` of one-dimensional convolutions.
    #[must_use]
    pub fn sequence(first: usize, second: usize) -> Self {
        Self { axes: 2, lengths: [first, second, 1] }
    }

    /// The lengths of its axes.
    #[must_use]
    pub fn axes(&self) -> &[usize] {
        &self.lengths[..self.axes]
    }

    /// The lengths of three axes, 1 for those that are missing.
    #[must_use]
    pub fn padded(&self) -> [usize; 3] {
        self.lengths
    }

    /// How many values there are: the product of the axes, as large as a number can be where it would overflow.
    #[must_use]
    pub fn values(&self) -> usize {
        self.lengths.iter().fold(1, |product, length| product.saturating_mul(*length))
    }

    /// The shape of a tensor that holds n of them.
    #[must_use]
    pub fn batch(&self, n: usize) -> [usize; 4] {
        [n, self.lengths[0], self.lengths[1], self.lengths[2]]
    }
}

/// `[channels, height, width]`
impl From<[usize; 3]> for Shape {
    fn from(lengths: [usize; 3]) -> Self {
        Self { axes: 3, lengths }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<String> = self.axes().iter().map(usize::to_string).collect();
        f.write_str(&lengths.join("x"))
    }
}
