//! What a sweep recorded at one epoch, without an analysis: what comparisons and predictions start from.

use std::collections::BTreeSet;

use super::input::Input;
use super::kernels::Snapshot;
use super::schema::LeftOut;
use super::sweep::{common_epochs, index, judged_epoch, snapshots, soft_decisions, weights};
use crate::error::{Error, Result};
use crate::kernel::Kind;
use crate::record::SweepReader;

/// Soft decisions and kernels of the complete runs at one epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// Epochs of training at this checkpoint.
    pub epoch: usize,
    /// Soft decisions and labels at that checkpoint.
    pub input: Input,
    /// A digest of each run's weights, where they were kept.
    pub weights: Vec<(u32, String)>,
    /// Trace kernels of the runs that recorded one.
    pub kernels: Vec<Snapshot>,
    /// BLAKE3 of the data that the runs read, where they say so.
    pub data_digest: Option<String>,
    /// Runs that could not be read, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Sentences a reader should know.
    pub notes: Vec<String>,
}

/// Reads the runs `only` (all, if none are named) at `epoch`, or at the last epoch that all of these recorded. Broken runs
/// are named and left out.
///
/// # Errors
/// [`Error::RunsFailed`] when no run can be read; [`Error::Invalid`] when a run is asked for that the sweep lacks, a run was
/// not recorded at `epoch`, or no epoch was recorded by all.
pub fn last(sweep: &SweepReader, epoch: Option<usize>, only: Option<&BTreeSet<u32>>) -> Result<Last> {
    let root = sweep.dir().root().display();
    let wanted = |run: u32| only.is_none_or(|only| only.contains(&run));
    let count = sweep.manifest().runs;
    if let Some(run) = only.and_then(|only| only.iter().find(|&&run| run as usize >= count)) {
        return Err(Error::Invalid(format!("there is no run {run} in {root}: its {count} runs are counted from 0")));
    }
    let (mut runs, broken) = sweep.runs();
    runs.retain(|run| wanted(index(run)));
    let mut left_out: Vec<LeftOut> = broken
        .iter()
        .filter(|held| wanted(held.run as u32))
        .map(|held| LeftOut::new(held.run as u32, &held.why))
        .collect();
    let epoch = judged_epoch(sweep, &runs, &common_epochs(&runs), epoch)?;
    let (input, kept) = soft_decisions(&runs, epoch, &mut left_out)
        .ok_or_else(|| Error::RunsFailed(format!("no run of {root} can be read at epoch {epoch}")))?;
    left_out.sort_by_key(|held| held.run);
    let mut notes = Vec::new();
    Ok(Last {
        epoch,
        input: input?,
        weights: kept.iter().filter_map(|run| Some((index(run), weights(run, epoch)?))).collect(),
        kernels: snapshots(&kept, epoch, Kind::Trace, &mut notes),
        data_digest: kept.first().and_then(|run| run.outcome().provenance.data_digest.clone()),
        left_out,
        notes,
    })
}
