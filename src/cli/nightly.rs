//! What `harness run --against` does once the sweep is trained: compare, chart, sum up.

use std::path::{Path, PathBuf};

use clap::Args;

use super::compare::{self, JudgingArgs, subject};
use super::{history, print};
use crate::analysis::comparison::{self, Comparison, Fixed};
use crate::analysis::history::{FEWEST, History};
use crate::error::{Error, Result};
use crate::record::{SweepDir, SweepManifest, files, index};
use crate::report::junit;
use crate::report::nightly::{Missing, Night, paragraph, suites};
use crate::workflow::analyze::is_sweep;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Comparison")]
pub struct NightlyArgs {
    /// Compare with this earlier sweep, or with the newest one in this folder, and chart the folder's sweeps; exit code 5 if
    /// the procedure has moved
    #[arg(long, value_name = "SWEEP|FOLDER")]
    against: Option<PathBuf>,
    /// Write the outcome as JUnit XML, a test for each quantity
    #[arg(long, value_name = "FILE", requires = "against")]
    junit: Option<PathBuf>,
    /// Write the paragraph that sums up the night here as well
    #[arg(long, value_name = "FILE", requires = "against")]
    summary: Option<PathBuf>,
    #[command(flatten)]
    judging: JudgingArgs,
}

impl NightlyArgs {
    /// Whether a comparison is asked for.
    pub fn is_asked(&self) -> bool {
        self.against.is_some()
    }

    /// Refuses what cannot become a comparison, before anything is trained.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is nothing at the place to compare with.
    pub fn check(&self, root: &Path) -> Result<()> {
        let Some(previous) = &self.against else { return Ok(()) };
        // The first night makes the folder itself.
        if previous.is_dir() || root.parent() == Some(previous) {
            return Ok(());
        }
        Err(Error::Invalid(format!("{} is neither a sweep nor a folder of sweeps to compare with", previous.display())))
    }

    /// Judges the sweep in `root` against the earlier ones, writes and prints.
    ///
    /// # Errors
    /// [`Error::Regression`] when it is red, [`Error::NotComparable`] when it cannot be compared with what is there.
    pub fn judge(&self, root: &Path) -> Result<()> {
        let Some(previous) = &self.against else { return Ok(()) };
        let sweep = SweepDir::new(root);
        let earlier = earlier(previous, root)?;
        let (compared, charted) = (self.compare(root, &earlier), chart(root, previous, &earlier));
        let begin = format!("charts begin with sweep {} of a folder, this is number {}", FEWEST + 1, earlier.len() + 1);
        let night = Night {
            analysis: history::analysis(root)?,
            comparison: found(&compared, "there is no earlier sweep of this experiment"),
            history: found(&charted, &begin),
        };
        let folder = sweep.report();
        let text = paragraph(&night);
        index::make(&sweep, &folder, |folder| {
            if let Ok(found) = &night.comparison {
                compare::write(found, &folder.join("compare"))?;
            }
            if let Ok(found) = &night.history {
                history::write(found, &folder.join("history"))?;
            }
            files::create_folder(folder)?;
            files::write(&folder.join("nightly.md"), text.as_bytes())
        })?;
        if let Some(path) = &self.summary {
            files::write(path, text.as_bytes())?;
        }
        if let Some(path) = &self.junit {
            files::write(path, junit::xml(&suites(&night)).as_bytes())?;
        }
        print(&format!("{}\n{text}", folder.join("nightly.md").display()))?;
        // What cannot be compared comes before what differs.
        if let Some(error) = [compared.err(), charted.err()].into_iter().flatten().next() {
            return Err(error);
        }
        night.comparison.as_ref().map_or(Ok(()), compare::red)?;
        night.history.as_ref().map_or(Ok(()), history::red)
    }

    fn compare(&self, root: &Path, earlier: &[PathBuf]) -> Result<Option<Comparison>> {
        let Some(newest) = earlier.last() else { return Ok(None) };
        let baseline = subject(newest, None, None, Fixed::default())?;
        let candidate = subject(root, None, None, Fixed::default())?;
        let judged = baseline.sweep.as_ref().map(|sweep| sweep.experiment.analysis.clone()).unwrap_or_default();
        let settings = self.judging.settings(judged.epsilon, judged.clip, judged.seed);
        comparison::compare(&baseline, &candidate, &settings).map(Some)
    }
}

fn chart(root: &Path, previous: &Path, earlier: &[PathBuf]) -> Result<Option<History>> {
    if is_sweep(previous) || earlier.len() < FEWEST {
        return Ok(None);
    }
    let mut roots = earlier.to_vec();
    roots.push(root.to_path_buf());
    history::of_sweeps(&roots, None, true).map(Some)
}

/// What was found, or the reason why it was not.
fn found<T: Clone>(outcome: &Result<Option<T>>, early: &str) -> std::result::Result<T, Missing> {
    match outcome {
        Ok(Some(found)) => Ok(found.clone()),
        Ok(None) => Err(Missing::Early(early.to_owned())),
        Err(error) => Err(Missing::Failed(error.to_string())),
    }
}

/// Sweeps of the same experiment's name that were begun before the one in `root`, in order of time.
fn earlier(previous: &Path, root: &Path) -> Result<Vec<PathBuf>> {
    if is_sweep(previous) {
        return Ok(vec![previous.to_path_buf()]);
    }
    let manifest = |path: &Path| SweepManifest::read(&SweepDir::new(path).manifest());
    let Some(own) = manifest(root)? else {
        return Err(Error::Unexpected(format!("{} has lost its sweep.json", root.display())));
    };
    let mut found = Vec::new();
    for path in history::sweeps_in(previous)? {
        match manifest(&path) {
            Ok(Some(other)) if other.name == own.name && other.provenance.started < own.provenance.started => {
                found.push((other.provenance.started, path));
            }
            Ok(_) => {}
            Err(error) => anstream::eprintln!("left out: {error}"),
        }
    }
    found.sort();
    Ok(found.into_iter().map(|held| held.1).collect())
}
