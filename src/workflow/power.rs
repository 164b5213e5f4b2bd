//! From a sweep's directory to what its runs can show.

use std::path::Path;

use super::compare::subject;
use crate::analysis::comparison::{Fixed, Quantity};
use crate::analysis::power::{self, Power};
use crate::error::{Error, Result};

/// The power of comparisons of sweeps like the one in `root` at `epoch`, or at its last; `asked` are changes whose runs are
/// wanted.
///
/// # Errors
/// As [`subject`] and [`power::power`]; [`Error::Corrupt`] where a complete run cannot be relied on.
pub fn of_sweep(root: &Path, epoch: Option<usize>, confidence: f64, asked: &[(Quantity, f64)]) -> Result<Power> {
    let subject = subject(root, epoch, None, Fixed::default())?;
    let left_out = subject.sweep.iter().flat_map(|sweep| &sweep.left_out);
    if let Some(held) = left_out.into_iter().find(|held| held.damaged) {
        return Err(Error::Corrupt(format!("run {}: {}", held.run, held.why)));
    }
    let seed = subject.sweep.as_ref().map_or(0, |sweep| sweep.experiment.analysis.seed);
    power::power(&subject, confidence, asked, seed)
}
