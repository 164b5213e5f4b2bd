//! The one error type that reaches a user, and the exit codes of the program.
//!
//! A message is one sentence that says what is wrong, where, and what to do about it. Where a program can do more with the
//! cause than show it, the cause is kept as the error's [`source`](std::error::Error::source): an [`std::io::Error`], or a type
//! of the room that failed, such as the problems of an experiment file.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;

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
    /// Any of these, by its exit code, with a typed cause.
    #[error("{sentence}")]
    Caused {
        /// One of [`exit`].
        code: u8,
        /// What the user reads.
        sentence: String,
        /// Why.
        source: Cause,
    },
}

/// A typed cause that errors can share. Two are equal if they say the same.
#[derive(Debug, Clone)]
pub struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl Cause {
    /// The cause, if it is of this type.
    #[must_use]
    pub fn downcast_ref<T: std::error::Error + 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Cause {}

/// Why a process failed, of the last lines that it wrote: the last one that the runtime did not add to a panic's message.
#[must_use]
pub fn why(lines: &[String]) -> &str {
    let added = |line: &&String| line.starts_with("note: ") || line.as_str() == "stack backtrace:";
    lines.iter().rev().find(|line| !added(line)).map_or("it did not say why", String::as_str)
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
            Self::Caused { code, .. } => *code,
        }
    }

    /// Whether files of a sweep are damaged, or belong to another.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.exit_code() == exit::CORRUPT
    }

    /// An error of the file system at `path`, as a sentence: `cannot {verb} {path}: {cause}`.
    #[must_use]
    pub fn io(verb: &str, path: &Path, cause: &io::Error) -> Self {
        Self::caused(exit::UNEXPECTED, format!("cannot {verb} {}: {cause}", path.display()), again(cause))
    }

    /// An error with an exit code of [`exit`], what the user reads, and why.
    #[must_use]
    pub fn caused(code: u8, sentence: String, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Caused { code, sentence, source: Cause(Arc::new(cause)) }
    }
}

/// The same error once more: errors of the system cannot be copied.
pub(crate) fn again(cause: &io::Error) -> io::Error {
    match cause.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(cause.kind(), cause.to_string()),
    }
}

/// `text` with control characters and those that turn the direction of writing as `\u001b`, which JSON reads as the same
/// text: a name in a file neither moves the cursor nor hides what follows. Line ends and tabs stay.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if odd(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_failed_process_is_quoted_with_its_own_words() {
        let lines = |all: &[&str]| all.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        assert_eq!(why(&lines(&["first", "no space left"])), "no space left");
        let panic = [
            "thread 'main' panicked at x.rs:1:1:",
            "no such layer",
            "stack backtrace:",
            "note: Some details are omitted",
        ];
        assert_eq!(why(&lines(&panic)), "no such layer");
        assert_eq!(why(&lines(&["note: run with"])), "it did not say why");
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(plain("run 1:\tfine, α̂ = 5 %\n"), "run 1:\tfine, α̂ = 5 %\n");
        assert_eq!(plain("\u{1b}]0;title\u{7}"), "\\u001b]0;title\\u0007");
        for odd in ['\u{9b}', '\u{202e}', '\u{2066}', '\u{7f}', '\r'] {
            let json = format!("{{\"name\": \"a{odd}b\"}}");
            let shown = plain(&json).into_owned();
            assert!(!shown.contains(odd), "{shown}");
            let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(value["name"], format!("a{odd}b"));
        }
    }

    #[test]
    fn the_cause_of_an_error_can_be_asked_for() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error::io("write", Path::new("a/b"), &denied);
        assert_eq!(error.to_string(), "cannot write a/b: permission denied");
        assert_eq!(error.exit_code(), exit::UNEXPECTED);
        let Error::Caused { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.downcast_ref::<io::Error>().map(io::Error::kind), Some(io::ErrorKind::PermissionDenied));
        assert!(error.source().is_some());
        assert_eq!(error, error.clone());
    }
}
