//! Why sets of embeddings cannot be looked at.

use crate::error::{Error, exit};

/// One reason, with what a program needs to tell it apart.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Fewer than two sets.
    #[error("a microscope compares two sets of embeddings or more")]
    OneSet,
    /// A set of too few samples.
    #[error("{name} holds {size} samples, too few to tell anything: give 4 or more")]
    FewSamples {
        /// The set.
        name: String,
        /// Its samples.
        size: usize,
    },
    /// Sets of pairs have different sizes.
    #[error(
        "with `--pairs` row i of every set belongs together, but {first} holds {first_size} samples and {name} {size}"
    )]
    UnequalPairs {
        /// The first set.
        first: String,
        /// Its samples.
        first_size: usize,
        /// Another set.
        name: String,
        /// Its samples.
        size: usize,
    },
    /// A value that is not finite.
    #[error("{name} holds {value} in row {row}, column {column}: embeddings are finite numbers")]
    NotFinite {
        /// The set.
        name: String,
        /// NaN or an infinity.
        value: f32,
        /// Its row within the set.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// Labels of another number than the samples.
    #[error("label {name} is known of {known} samples, but there are {samples}")]
    Labels {
        /// The label.
        name: String,
        /// Samples that it is known of.
        known: usize,
        /// Samples in all.
        samples: usize,
    },
    /// Names of another number than the samples.
    #[error("there are {ids} ids, but {samples} samples")]
    Ids {
        /// Names.
        ids: usize,
        /// Samples in all.
        samples: usize,
    },
    /// An alignment of rows that do not belong together.
    #[error("an alignment needs rows that belong together: say `--pairs`")]
    NoPairs,
    /// An alignment of too few pairs.
    #[error("an alignment takes eight pairs or more, not {0}")]
    FewPairs(usize),
    /// A decomposition that did not converge.
    #[error("{0} did not converge: are the embeddings' numbers very large, or of very different sizes?")]
    NotConverged(&'static str),
}

impl Problem {
    /// As an error that ends the program, with this as its source.
    #[must_use]
    pub fn error(self) -> Error {
        let code = match self {
            Self::NoPairs => exit::USAGE,
            _ => exit::INVALID,
        };
        Error::caused(code, self.to_string(), self)
    }
}
