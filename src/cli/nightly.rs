//! What `harness run --against` does once the sweep is trained: judge, sum up, write.

use std::path::{Path, PathBuf};

use clap::Args;

use super::compare::{self, JudgingArgs};
use super::history::{self, RulesArgs};
use super::print;
use crate::analysis::Analysis;
use crate::analysis::comparison::{Comparison, Fixed, compare as judge};
use crate::error::{Error, Result};
use crate::record::{SweepDir, files, index};
use crate::report::junit;
use crate::report::nightly::{Judged, paragraph, suites};
use crate::workflow::analyze::{Changes, is_sweep, of_sweep};
use crate::workflow::{compare as workflow, nights};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Nights")]
pub struct NightlyArgs {
    /// Judge the sweep as a night against the nights in this folder (or compare it with this one sweep); exit code 5 if the
    /// procedure has moved, 8 with too little evidence for green
    #[arg(long, value_name = "FOLDER|SWEEP")]
    against: Option<PathBuf>,
    /// Write the outcome as JUnit XML, a test for each quantity; on every exit
    #[arg(long, value_name = "FILE", requires = "against")]
    junit: Option<PathBuf>,
    /// Write the paragraph that sums up the night here as well; on every exit
    #[arg(long, value_name = "FILE", requires = "against")]
    summary: Option<PathBuf>,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    judging: JudgingArgs,
}

impl NightlyArgs {
    /// Whether a judgement is asked for.
    pub fn is_asked(&self) -> bool {
        self.against.is_some()
    }

    /// Writes into the files of the outcome that there is none yet, so that a folder that is missing or full is noticed before
    /// anything is trained, and a job that is killed leaves word.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a file cannot be written.
    pub fn begin(&self) -> Result<()> {
        self.leave("night", None, &Judged::Not("the night is not finished.".into()), None).map_err(|cause| {
            Error::Invalid(format!("{cause}: nothing was trained, since the outcome could not be written"))
        })
    }

    /// Refuses what cannot become a judgement, before anything is trained.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is nothing at the place to judge against.
    pub fn check(&self, root: &Path) -> Result<()> {
        let Some(previous) = &self.against else { return Ok(()) };
        // The first night makes the folder itself.
        if previous.is_dir() || root.parent() == Some(previous) {
            return Ok(());
        }
        Err(Error::Invalid(format!("{} is neither a sweep nor a folder of sweeps to compare with", previous.display())))
    }

    /// Leaves word of a night that ended before it could be judged.
    pub fn failed(&self, name: &str, error: &Error) {
        if let Err(cause) = self.leave(name, None, &Judged::Not(format!("{error}.")), None) {
            super::say(&format!("{cause}"));
        }
    }

    /// Judges the sweep in `root`, writes and prints. What keeps it from being judged is written as well.
    ///
    /// # Errors
    /// As [`history::outcome`] and [`compare::outcome`]; [`Error::NotComparable`] when it cannot be compared with the one sweep
    /// that was named.
    pub fn judge(&self, root: &Path, name: &str) -> Result<()> {
        let Some(previous) = &self.against else { return Ok(()) };
        let judged =
            if is_sweep(previous) { self.against_sweep(root, previous) } else { self.against_folder(root, previous) };
        let (judged, error) = match judged {
            Ok(judged) => (judged, None),
            Err(error) => (Judged::Not(format!("{error}.")), Some(error)),
        };
        let sweep = SweepDir::new(root);
        let analysis = of_sweep(root, None, &Changes::default()).ok();
        let folder = sweep.report();
        let text = paragraph(name, analysis.as_ref(), &judged, Some(&folder.join("report.md")));
        index::make(&sweep, &folder, |folder| {
            files::create_folder(folder)?;
            match &judged {
                Judged::Sweep(found) => workflow::write(found, &folder.join("compare"))?,
                Judged::Nights { history, look, beside } => {
                    nights::write(history, look, &folder.join("history"))?;
                    if let Some(found) = beside {
                        workflow::write(found, &folder.join("compare"))?;
                    }
                }
                Judged::Not(_) => {}
            }
            files::write(&folder.join("nightly.md"), text.as_bytes())
        })?;
        self.leave(name, analysis.as_ref(), &judged, Some(&folder.join("report.md")))?;
        print(&format!("{}\n{text}", folder.join("nightly.md").display()))?;
        if let Some(error) = error {
            return Err(error);
        }
        match &judged {
            Judged::Sweep(found) => compare::outcome(found),
            Judged::Nights { history, .. } => history::outcome(history),
            Judged::Not(_) => Ok(()),
        }
    }

    fn against_sweep(&self, root: &Path, previous: &Path) -> Result<Judged> {
        let baseline = workflow::subject(previous, None, None, Fixed::default())?;
        let candidate = workflow::subject(root, None, None, Fixed::default())?;
        let judged = baseline.sweep.as_ref().map(|sweep| sweep.experiment.analysis.clone()).unwrap_or_default();
        let settings = self.judging.settings(judged.epsilon, judged.clip, judged.seed);
        let found: Comparison = judge(&baseline, &candidate, &settings)?;
        Ok(Judged::Sweep(Box::new(found)))
    }

    fn against_folder(&self, root: &Path, folder: &Path) -> Result<Judged> {
        let history = nights::against(root, folder, &self.rules.rules())?;
        let look = nights::first_look(&history)?;
        // What there is to see besides the verdict must not keep the verdict away.
        let beside = nights::beside(root, &history).unwrap_or_else(|error| {
            super::say(&format!("the night is not shown beside its reference: {error}"));
            None
        });
        Ok(Judged::Nights { history: Box::new(history), look, beside: beside.map(Box::new) })
    }

    /// Writes `--summary` and `--junit`.
    fn leave(&self, name: &str, analysis: Option<&Analysis>, judged: &Judged, report: Option<&Path>) -> Result<()> {
        if let Some(path) = &self.summary {
            files::write(path, paragraph(name, analysis, judged, report).as_bytes())?;
        }
        if let Some(path) = &self.junit {
            files::write(path, junit::xml(&suites(name, judged))?.as_bytes())?;
        }
        Ok(())
    }
}
