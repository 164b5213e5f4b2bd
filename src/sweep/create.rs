//! The directory of a sweep: made, found again, or enlarged; never silently changed.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::error::{Error, Result};
use crate::record::manifest::SWEEP_SCHEMA;
use crate::record::{Provenance, SweepDir, SweepManifest, files};

/// The one key in which an experiment may differ from that of its sweep.
const RUNS: &str = "sweep.runs";

/// A resolved experiment as a sweep's directory stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    /// BLAKE3 of the resolved experiment, in hex.
    pub hash: String,
    /// The resolved experiment as TOML.
    pub toml: String,
    pub runs: usize,
}

/// What [`open_or_create`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    Created,
    /// The same experiment was there.
    Found,
    /// It was there with fewer runs: this many.
    Enlarged(usize),
}

/// Makes the directory of a sweep, or finds it with the same experiment; more runs than it had are added.
///
/// `differing` gives the keys in which two experiments, stored as TOML, differ, as `train.epochs`.
///
/// # Errors
/// `Invalid` if the directory holds another experiment (named are the keys that differ), more runs than asked for, or
/// something else than a sweep; what `differing` and the file system refuse.
pub fn open_or_create(
    sweep: &SweepDir,
    wanted: &Definition,
    provenance: Provenance,
    differing: impl Fn(&str, &str) -> Result<Vec<String>>,
) -> Result<Opened> {
    let root = sweep.root();
    refuse_other_folders(sweep)?;
    files::create_folder(root)?;
    let _lock = lock(&sweep.lock())?;
    let found = match SweepManifest::read(&sweep.manifest()) {
        // What is damaged is written again if the copy for people shows that it was the same experiment.
        Err(Error::Corrupt(_))
            if files::read_if_there(&sweep.experiment())?.as_deref() == Some(wanted.toml.as_bytes()) =>
        {
            None
        }
        found => found?,
    };
    let opened = match &found {
        None => Opened::Created,
        Some(found) if found.experiment == wanted.toml => Opened::Found,
        Some(found) => {
            let keys = differing(&found.experiment, &wanted.toml)?;
            let others: Vec<&str> = keys.iter().map(String::as_str).filter(|key| *key != RUNS).collect();
            if !others.is_empty() {
                return Err(Error::Invalid(format!(
                    "{} holds another experiment, which differs in {}: choose another directory with --out, or undo the change",
                    root.display(),
                    others.join(", ")
                )));
            }
            if wanted.runs < found.runs {
                return Err(Error::Invalid(format!(
                    "{} has {} runs and {} were asked for: a sweep can be enlarged, not shrunk",
                    root.display(),
                    found.runs,
                    wanted.runs
                )));
            }
            if wanted.runs == found.runs { Opened::Found } else { Opened::Enlarged(found.runs) }
        }
    };
    if opened != Opened::Found {
        files::create_folder(&sweep.runs())?;
        let manifest = SweepManifest {
            schema: SWEEP_SCHEMA.into(),
            name: wanted.name.clone(),
            hash: wanted.hash.clone(),
            runs: wanted.runs,
            experiment: wanted.toml.clone(),
            provenance: found.map_or(provenance, |found| found.provenance),
        };
        manifest.write(&sweep.manifest())?;
        files::write(&sweep.experiment(), wanted.toml.as_bytes())?;
    }
    restore_copy(sweep, differing)?;
    Ok(opened)
}

/// Opens the sweep in `root` to go on with it.
///
/// # Errors
/// `Invalid` if it is no sweep, is one of another version, or its `experiment.toml` was edited; `Corrupt` if `sweep.json`
/// is damaged.
pub fn open(root: &Path, differing: impl Fn(&str, &str) -> Result<Vec<String>>) -> Result<(SweepDir, SweepManifest)> {
    let sweep = SweepDir::new(root);
    let manifest = SweepManifest::read(&sweep.manifest())?.ok_or_else(|| {
        Error::Invalid(format!("{} is not the directory of a sweep: there is no sweep.json in it", root.display()))
    })?;
    // Nothing is written where nothing is amiss, so that a sweep on a read-only disk can be looked at.
    let same = files::read_if_there(&sweep.experiment())?.as_deref() == Some(manifest.experiment.as_bytes());
    if !same || files::has_temporaries_in(root)? {
        let _lock = lock(&sweep.lock())?;
        restore_copy(&sweep, differing)?;
    }
    Ok((sweep, manifest))
}

/// Makes `experiment.toml` agree with `sweep.json` after a crash between the two; an edit is refused.
fn restore_copy(sweep: &SweepDir, differing: impl Fn(&str, &str) -> Result<Vec<String>>) -> Result<()> {
    files::remove_temporaries_in(sweep.root())?;
    let Some(manifest) = SweepManifest::read(&sweep.manifest())? else { return Ok(()) };
    let path = sweep.experiment();
    if let Some(copy) = files::read_if_there(&path)? {
        if copy == manifest.experiment.as_bytes() {
            return Ok(());
        }
        let keys = std::str::from_utf8(&copy).ok().and_then(|copy| differing(&manifest.experiment, copy).ok());
        if keys.as_deref() != Some(&[RUNS.to_owned()]) {
            return Err(Error::Invalid(format!(
                "{} was edited{}: start another sweep with the changed experiment, or undo the edit with `harness verify --repair`",
                path.display(),
                keys.map_or_else(String::new, |keys| format!(" (it differs in {})", keys.join(", ")))
            )));
        }
    }
    files::write(&path, manifest.experiment.as_bytes())
}

/// A directory that is there must be a sweep, or empty, or one whose creation was cut short.
fn refuse_other_folders(sweep: &SweepDir) -> Result<()> {
    let root = sweep.root();
    if sweep.manifest().exists() || !root.exists() {
        return Ok(());
    }
    let ours = [sweep.lock(), sweep.runs(), sweep.experiment()];
    let listed = std::fs::read_dir(root)
        .map_err(|cause| Error::Invalid(format!("{} cannot be used: {cause}", root.display())))?;
    for entry in listed {
        let path = entry.map_err(|cause| Error::io("list", root, &cause))?.path();
        if !ours.contains(&path) && !files::is_temporary(&path) {
            return Err(Error::Invalid(format!(
                "{} is not empty and not the directory of a sweep: choose another with --out",
                root.display()
            )));
        }
    }
    Ok(())
}

/// Waits for the lock of the sweep's directory; where the file system knows no locks, goes on without.
fn lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|cause| Error::io("open the lock", path, &cause))?;
    // What it guards is idempotent; the lock only spares two creators at one moment from meeting.
    let _ = file.lock();
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Origin;

    fn definition(runs: usize, epochs: usize) -> Definition {
        let toml = format!("name = \"fake\"\n[train]\nepochs = {epochs}\n[sweep]\nruns = {runs}\n");
        Definition { name: "fake".into(), hash: blake3::hash(toml.as_bytes()).to_hex().to_string(), toml, runs }
    }

    /// Compares line by line; enough for what [`definition`] writes.
    fn differing(one: &str, other: &str) -> Result<Vec<String>> {
        let keys = ["name", "", "train.epochs", "", "sweep.runs"];
        let lines = one.lines().zip(other.lines()).zip(keys);
        Ok(lines.filter(|((one, other), _)| one != other).map(|(_, key)| key.to_owned()).collect())
    }

    fn open_it(sweep: &SweepDir, wanted: &Definition) -> Result<Opened> {
        open_or_create(sweep, wanted, Provenance::now(Origin::default()), differing)
    }

    #[test]
    fn a_sweep_is_created_found_and_enlarged() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("deep/fake"));
        assert_eq!(open_it(&sweep, &definition(10, 3)).unwrap(), Opened::Created);
        assert_eq!(open_it(&sweep, &definition(10, 3)).unwrap(), Opened::Found);
        let started = SweepManifest::read(&sweep.manifest()).unwrap().unwrap().provenance.started;
        assert_eq!(open_it(&sweep, &definition(20, 3)).unwrap(), Opened::Enlarged(10));
        let manifest = SweepManifest::read(&sweep.manifest()).unwrap().unwrap();
        assert_eq!((manifest.runs, manifest.provenance.started), (20, started));
        assert_eq!(files::read(&sweep.experiment()).unwrap(), definition(20, 3).toml.as_bytes());
        let error = open_it(&sweep, &definition(5, 3)).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("20 runs")), "{error}");
        assert_eq!(open(sweep.root(), differing).unwrap().1.runs, 20);
        assert_eq!(crate::record::verify(&sweep).unwrap(), []);
    }

    #[test]
    fn a_changed_experiment_is_refused_by_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        open_it(&sweep, &definition(10, 3)).unwrap();
        let error = open_it(&sweep, &definition(12, 4)).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(text) if text.contains("train.epochs") && !text.contains(RUNS)),
            "{error}"
        );
        files::write(&sweep.experiment(), definition(10, 9).toml.as_bytes()).unwrap();
        for error in [open_it(&sweep, &definition(10, 3)).unwrap_err(), open(sweep.root(), differing).unwrap_err()] {
            assert!(matches!(&error, Error::Invalid(text) if text.contains("train.epochs")), "{error}");
        }
    }

    #[test]
    fn a_crash_between_the_two_files_is_made_good() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        open_it(&sweep, &definition(10, 3)).unwrap();
        open_it(&sweep, &definition(20, 3)).unwrap();
        files::write(&sweep.experiment(), definition(10, 3).toml.as_bytes()).unwrap();
        open(sweep.root(), differing).unwrap();
        assert_eq!(files::read(&sweep.experiment()).unwrap(), definition(20, 3).toml.as_bytes());
        std::fs::write(sweep.root().join(".sweep.json.1-0.tmp"), b"half").unwrap();
        assert_eq!(crate::record::verify(&sweep).unwrap().len(), 1);
        open(sweep.root(), differing).unwrap();
        assert_eq!(crate::record::verify(&sweep).unwrap(), []);
        std::fs::remove_file(sweep.experiment()).unwrap();
        assert_eq!(open_it(&sweep, &definition(20, 3)).unwrap(), Opened::Found);
        assert_eq!(crate::record::verify(&sweep).unwrap(), []);
        files::write(&sweep.manifest(), b"damaged").unwrap();
        assert!(matches!(open(sweep.root(), differing), Err(Error::Corrupt(_))));
        assert!(matches!(open_it(&sweep, &definition(10, 3)), Err(Error::Corrupt(_))));
        assert_eq!(open_it(&sweep, &definition(20, 3)).unwrap(), Opened::Created);
    }

    #[test]
    fn other_folders_and_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.txt"), b"mine").unwrap();
        let error = open_it(&SweepDir::new(folder.path()), &definition(1, 1)).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert!(open_it(&SweepDir::new(&folder.path().join("thesis.txt")), &definition(1, 1)).is_err());
        assert!(matches!(open(folder.path(), differing), Err(Error::Invalid(_))));
    }

    #[test]
    fn many_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        let opened: Vec<Opened> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(|| open_it(&sweep, &definition(10, 3)).unwrap())).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(opened.iter().filter(|opened| **opened == Opened::Created).count(), 1, "{opened:?}");
    }
}
