//! The one error type that reaches a user, and the exit codes of the program.
//!
//! A message is one sentence that says what is wrong, where, and what to do about it.

/// What the process returns to its caller; listed in the README and in `--help`.
pub mod exit {
    /// Everything asked for was done.
    pub const OK: u8 = 0;
    /// Something unexpected: a full disk, a machine that refuses, a defect of ours.
    pub const UNEXPECTED: u8 = 1;
    /// The command line was wrong.
    pub const USAGE: u8 = 2;
    /// The experiment file or the input data was wrong.
    pub const INVALID: u8 = 3;
    /// Some runs of the sweep failed; the others are complete.
    pub const RUNS_FAILED: u8 = 4;
    /// A comparison found a regression.
    pub const REGRESSION: u8 = 5;
    /// Files of a sweep are damaged.
    pub const CORRUPT: u8 = 6;
    /// The two things to compare do not compare.
    pub const NOT_COMPARABLE: u8 = 7;
    /// There is too little evidence for a verdict.
    pub const UNDECIDED: u8 = 8;
    /// Stopped by a signal; what was done is saved and can be resumed.
    pub const INTERRUPTED: u8 = 75;
}

/// An error with the exit code that it ends the program with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The command line was wrong.
    #[error("{0}")]
    Usage(String),
    /// An experiment file or input data was wrong.
    #[error("{0}")]
    Invalid(String),
    /// Some runs failed.
    #[error("{0}")]
    RunsFailed(String),
    /// A comparison found a regression.
    #[error("{0}")]
    Regression(String),
    /// Files of a sweep are damaged.
    #[error("{0}")]
    Corrupt(String),
    /// Two things cannot be compared.
    #[error("{0}")]
    NotComparable(String),
    /// There is too little evidence for a verdict.
    #[error("{0}")]
    Undecided(String),
    /// Stopped by a signal, resumable.
    #[error("{0}")]
    Interrupted(String),
    /// Anything else.
    #[error("{0}")]
    Unexpected(String),
}

/// The result of everything that can fail for a user.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The process exit code, one of [`exit`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Invalid(_) => exit::INVALID,
            Self::RunsFailed(_) => exit::RUNS_FAILED,
            Self::Regression(_) => exit::REGRESSION,
            Self::Corrupt(_) => exit::CORRUPT,
            Self::NotComparable(_) => exit::NOT_COMPARABLE,
            Self::Undecided(_) => exit::UNDECIDED,
            Self::Interrupted(_) => exit::INTERRUPTED,
            Self::Unexpected(_) => exit::UNEXPECTED,
        }
    }

    /// An error of the file system at `path`, as a sentence: `cannot {verb} {path}: {cause}`.
    #[must_use]
    pub fn io(verb: &str, path: &std::path::Path, cause: &std::io::Error) -> Self {
        Self::Unexpected(format!("cannot {verb} {}: {cause}", path.display()))
    }
}
