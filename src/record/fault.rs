//! A test hook: makes one operation of the write layer fail, so that a test can walk through every place at which a disk
//! fills up, a rename is refused or the machine loses power.
//!
//! Built with the feature `fault-injection`, the program reads the environment variable `HARNESS_FAULT=KIND:N` (or `KIND:N+`,
//! from the N-th on; the first is 1) once for each process. Without the feature nothing of it is there.
//!
//! | kind | counts | what happens |
//! |---|---|---|
//! | `short` | writes | half of the bytes arrive, then "no space left" |
//! | `space` | folders, creations, writes, syncs | "no space left" |
//! | `rename` | renames | "permission denied" |
//! | `any` | every operation | an input/output error |
//! | `kill` | every operation | the process aborts (within a write: after half of the bytes) |

#[cfg(any(test, feature = "fault-injection"))]
mod planned;

#[cfg(any(test, feature = "fault-injection"))]
pub(super) use planned::check;
#[cfg(test)]
pub(crate) use planned::testing;

/// What the write layer is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Folder,
    Create,
    Write,
    Sync,
    Rename,
    SyncFolder,
    Remove,
}

/// How the operation shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "fault-injection")), allow(dead_code))]
pub(super) enum Verdict {
    Proceed,
    /// Write half of the bytes, then fail for want of space.
    Short,
    /// Write half of the bytes, then abort the process.
    ShortAbort,
}

/// Called before each operation of the write layer: without the feature, every one of them may proceed.
#[cfg(not(any(test, feature = "fault-injection")))]
pub(super) fn check(_operation: Operation) -> std::io::Result<Verdict> {
    Ok(Verdict::Proceed)
}
