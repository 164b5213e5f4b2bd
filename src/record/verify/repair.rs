//! Making a sweep forget what is broken and can be made again.

use std::collections::BTreeSet;
use std::fs::{self, File};

use super::super::files::{self, Found};
use super::super::layout::{RunDir, SweepDir};
use super::super::manifest::SweepManifest;
use super::super::{index, run};
use super::{Cure, Problem, verify};
use crate::error::Result;

/// Forgets what is broken, so that `resume` and `report` make it again; says in a sentence each what was done, and what is still
/// wrong. Nobody writes the sweep's derived files in the meantime, and a run that is being trained is left alone.
///
/// # Errors
/// `Corrupt` if a folder of the sweep is a link; whatever the file system refuses.
pub fn repair(sweep: &SweepDir) -> Result<(Vec<String>, Vec<Problem>)> {
    let _alone = files::lock_folder(sweep.root());
    // Looked at under the lock: what was unfinished a moment ago may be whole now.
    let problems = verify(sweep)?;
    let mut done = Vec::new();
    let (mut forgotten, mut gone) = (BTreeSet::new(), BTreeSet::new());
    for problem in &problems {
        let path = sweep.root().join(&problem.file);
        if problem.cure != Cure::None
            && let Some(parent) = path.parent()
            && let Err(error) = files::refuse_links(sweep.root(), parent)
        {
            done.push(format!("left {} alone: {error}", problem.file));
            continue;
        }
        let _held = match problem.run.filter(|_| !matches!(problem.cure, Cure::None | Cure::Resume)) {
            None => None,
            Some(run) => match hold(&sweep.run(run)) {
                Ok(held) => held,
                Err(why) => {
                    done.push(format!("left {} alone: {why}", problem.file));
                    continue;
                }
            },
        };
        match problem.cure {
            Cure::ForgetRun(run) => {
                if forgotten.insert(run) {
                    run::forget(&sweep.run(run))?;
                    done.push(format!("forgot run {run}: `harness resume` trains it again"));
                }
            }
            Cure::ForgetState(run) => {
                if files::remove(&sweep.run(run).state())? {
                    done.push(format!("forgot the saved state of run {run}: `harness resume` starts it anew"));
                }
            }
            Cure::Remove => {
                if files::remove(&path)? {
                    done.push(format!("removed {}", problem.file));
                }
            }
            Cure::Empty => {
                files::write(&path, b"")?;
                done.push(format!("emptied {}", problem.file));
            }
            Cure::RestoreExperiment => {
                if let Some(manifest) = SweepManifest::read(sweep)? {
                    files::write(&path, manifest.experiment.as_bytes())?;
                    done.push(format!("wrote {} again from sweep.json", problem.file));
                }
            }
            Cure::MendIndex => {
                let folder = path.parent().unwrap_or(sweep.root());
                index::mend(folder, folder == sweep.analysis())?;
                done.push(format!("made {} again: {}", problem.file, remedy(&problem.file)));
            }
            Cure::RemoveDerived => {
                files::remove(&path)?;
                done.push(format!("removed {}: {}", problem.file, remedy(&problem.file)));
                gone.insert(path);
            }
            Cure::Resume => {
                forgotten.extend(problem.run);
                done.push(format!("{} is to be trained again: `harness resume` does", problem.file));
            }
            Cure::None => done.push(format!("left {} alone: it {}", problem.file, problem.what)),
        }
    }
    for folder in [sweep.analysis(), sweep.report()] {
        if files::look(&folder)? == Found::Folder {
            index::drop_entries(&folder, &gone, &forgotten)?;
        }
    }
    Ok((done, verify(sweep)?))
}

/// What makes a derived file again.
fn remedy(file: &str) -> &'static str {
    let nightly = ["report/compare/", "report/history/", "report/nightly"].iter().any(|part| file.starts_with(part));
    if nightly { "the nightly command that made it makes it again" } else { "`harness report` makes what is missing" }
}

/// Holds the lock of a run, so that nobody begins to train it; `None` where the file system knows no locks or nobody ever
/// trained it.
fn hold(dir: &RunDir) -> std::result::Result<Option<File>, String> {
    if !matches!(files::look(&dir.lock()), Ok(Found::File(_))) {
        return Ok(None);
    }
    let Ok(file) = files::open_lock(&dir.lock()) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Err(format!("run {} is being trained", dir.index())),
        Err(fs::TryLockError::Error(_)) => Ok(None),
    }
}
