//! What can be wrong with a file, or with a run that lies in a sweep, as types: the causes that errors carry, each to be read
//! after the name of what it is about.

use crate::error::{Error, exit};

/// Hex digits of a digest that messages show.
const SHOWN: usize = 12;

/// Why a file is not the one that was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// There is none.
    #[error("is missing")]
    Missing,
    /// It has another size.
    #[error("holds {found} bytes where {written} were written")]
    Size {
        /// Bytes that it has.
        found: u64,
        /// Bytes that it had.
        written: u64,
    },
    /// It has the right size and other bytes.
    #[error("does not have the contents that were written: its BLAKE3 digest differs")]
    Contents,
    /// Something else lies there.
    #[error("is {0} where a file was written: it is not opened")]
    Odd(&'static str),
    /// The file system refuses it, or it lies behind a link.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] Error),
}

/// Why a run, or its saved state, is not that of the sweep in which it lies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// It was trained for another experiment.
    #[error("belongs to another experiment ({}, and this sweep trains {})", short(.found), short(.expected))]
    Experiment {
        /// What it says.
        found: String,
        /// What the sweep says.
        expected: String,
    },
    /// It was trained on other data.
    #[error("was trained on other data ({}, and this sweep is of {})", short(.found), short(.expected))]
    Data {
        /// What it says.
        found: String,
        /// What the sweep says.
        expected: String,
    },
    /// It contradicts itself.
    #[error("names two data sets, so that nobody knows which it was trained on")]
    TwoDataSets,
    /// It has another number.
    #[error("is of run {0}")]
    Run(usize),
    /// Its random streams are others than its number gives.
    #[error("was drawn from other random streams")]
    Streams,
    /// A stream that all runs share has another seed.
    #[error("was drawn from another seed: its stream `{0}` is not that of the other runs")]
    Seed(String),
    /// It has other sizes than the other runs.
    #[error(
        "belongs to another experiment: its examples, classes, parameters and epochs are {found:?}, those of the other runs \
         {expected:?}"
    )]
    Sizes {
        /// Examples, classes, parameters and epochs.
        found: [u64; 4],
        /// The same of the other runs.
        expected: [u64; 4],
    },
    /// It was trained for another number of epochs, by a version that did not say for which experiment.
    #[error("was trained for {found} epochs, and this sweep trains {expected}")]
    Epochs {
        /// What it says.
        found: usize,
        /// What the experiment says.
        expected: usize,
    },
    /// A newer version trained it than wrote `sweep.json`.
    #[error("was trained by a newer version of harness than its sweep.json says: that belongs to another sweep")]
    Newer,
    /// An older version trained it, which is not one that the sweep took over.
    #[error("does not say to which experiment it belongs, as runs of an older version of harness do not")]
    Older,
}

impl Damage {
    /// The error of the file called `name`; `then` says what to do, after a semicolon, or nothing.
    #[must_use]
    pub fn of(self, name: impl std::fmt::Display, then: &str) -> Error {
        let then = if then.is_empty() { String::new() } else { format!("; {then}") };
        Error::caused(exit::CORRUPT, format!("{name} {self}{then}"), self)
    }
}

fn short(digest: &str) -> &str {
    digest.get(..SHOWN).unwrap_or(digest)
}
