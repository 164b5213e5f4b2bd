//! Is everything in a sweep as it was written, and is it all there? Walks the whole directory, names every file that is
//! damaged, missing or not ours, goes on past what cannot be read, and can make the sweep forget what is broken so that it
//! is made again. Only what is named and can be made again is ever removed.

mod repair;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeSet;
use std::fmt;

use super::layout::SweepDir;
use crate::error::{Error, Result};

pub use repair::repair;
use walk::Walk;

pub(super) const STRAY: &str = "does not belong here: nothing lists it";
/// The list of jobs of a batch system, in the folder `slurm`.
pub const JOBS: &str = "jobs.json";

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The run that it concerns; none for the sweep itself.
    pub run: Option<usize>,
    /// Relative to the sweep's directory.
    pub file: String,
    /// What is wrong, to be read after the file's name.
    pub what: String,
    cure: Cure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// Forget the run, so that it is trained again.
    ForgetRun(usize),
    /// Forget the saved state, so that the run starts anew.
    ForgetState(usize),
    /// Remove the file, which is ours and needed no more.
    Remove,
    /// Empty the file.
    Empty,
    /// Write it again from `sweep.json`.
    RestoreExperiment,
    /// Make the list of a folder of derived files again.
    MendIndex,
    /// Remove the derived file, which the analysis or the report makes again.
    RemoveDerived,
    /// Train the run again.
    Resume,
    /// Not ours to mend.
    None,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.run {
            Some(run) => write!(formatter, "run {run}: {} {}", self.file, self.what),
            None => write!(formatter, "{} {}", self.file, self.what),
        }
    }
}

/// Which runs of a sweep are complete, as their manifests say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completeness {
    /// How many the sweep has.
    pub runs: usize,
    /// Runs that are complete.
    pub complete: usize,
    /// The others, in order.
    pub missing: Vec<usize>,
}

/// Everything that is wrong with the sweep, in order of files.
///
/// # Errors
/// `Invalid` if the directory is not that of a sweep.
pub fn verify(sweep: &SweepDir) -> Result<Vec<Problem>> {
    look_through(sweep).map(|(problems, _)| problems)
}

/// As [`verify`], with how complete the sweep is; `None` where `sweep.json` cannot be used.
///
/// # Errors
/// As [`verify`].
pub fn look_through(sweep: &SweepDir) -> Result<(Vec<Problem>, Option<Completeness>)> {
    if !sweep.is_there() {
        let root = sweep.root().display();
        return Err(Error::Invalid(format!("{root} is not the directory of a sweep: there is no sweep.json in it")));
    }
    let mut walk = Walk { sweep, problems: Vec::new(), complete: BTreeSet::new() };
    let runs = walk.root();
    walk.problems.sort_by(|one, other| (one.run, &one.file).cmp(&(other.run, &other.file)));
    let completeness = runs.map(|runs| {
        let missing: Vec<usize> = (0..runs).filter(|run| !walk.complete.contains(run)).collect();
        Completeness { runs, complete: runs - missing.len(), missing }
    });
    Ok((walk.problems, completeness))
}
