//! The directory of a sweep: made, found again, or enlarged; never silently changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result, exit};
use crate::record::reader::no_manifest;
use crate::record::{Expected, Provenance, RunManifest, SWEEP_SCHEMA, Status, SweepDir, SweepManifest, files};

/// The one key in which an experiment may differ from that of its sweep.
const RUNS: &str = "sweep.runs";

/// A resolved experiment as a sweep's directory stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    /// BLAKE3 of `toml`, in hex.
    pub hash: String,
    /// BLAKE3 of what determines the bytes of a run, in hex.
    pub training: String,
    /// The resolved experiment as TOML.
    pub toml: String,
    pub runs: usize,
}

/// Why a sweep's directory is not gone on with, to be read after its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another experiment is there.
    #[error("holds another experiment, which differs in {}", .0.join(", "))]
    Differs(Vec<String>),
    /// It has more runs than were asked for.
    #[error("has {there} runs and {wanted} were asked for")]
    MoreRuns { there: usize, wanted: usize },
    /// The data have changed since it was begun.
    #[error("was begun with other data: their digest was {}, and is {} now", short(.known), short(.now))]
    OtherData { known: String, now: String },
    /// Its `experiment.toml` is not the experiment in its `sweep.json`; in which keys, where that can be told.
    #[error("has an experiment.toml that was edited{}", if .0.is_empty() { String::new() } else { format!(" (it differs in {})", .0.join(", ")) })]
    Edited(Vec<String>),
}

impl Refusal {
    fn of(self, sweep: &SweepDir) -> Error {
        let remedy = match &self {
            Self::Differs(_) => "choose another directory with --out, or undo the change",
            Self::MoreRuns { .. } => "a sweep can be enlarged, not shrunk",
            Self::OtherData { .. } => "put the old data back, or begin another sweep with --out",
            Self::Edited(_) => {
                "start another sweep with the changed experiment, or undo the edit with `harness verify --repair`"
            }
        };
        Error::caused(exit::INVALID, format!("{} {self}: {remedy}", sweep.root().display()), self)
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
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

/// Makes the directory of a sweep, or finds it with the same experiment and data; more runs than it had are added, and a
/// `sweep.json` that is lost or damaged is written again from `experiment.toml`.
///
/// `differing` gives the keys in which two experiments, stored as TOML, differ, as `train.epochs`. The digest of the data is
/// that of `provenance`.
///
/// # Errors
/// `Invalid` if the directory holds another experiment (named are the keys that differ), runs of other data, more runs than
/// asked for, something else than a sweep, or a sweep of a newer version of harness; `Corrupt` if parts of it are links;
/// what `differing` and the file system refuse.
pub fn open_or_create(
    sweep: &SweepDir,
    wanted: &Definition,
    provenance: Provenance,
    differing: impl Fn(&str, &str) -> Result<Vec<String>>,
) -> Result<Opened> {
    let root = sweep.root();
    refuse_other_folders(sweep)?;
    sweep.refuse_links()?;
    files::create_folder(root)?;
    let _lock = lock(sweep)?;
    let stored = match SweepManifest::read(sweep) {
        Err(error) if error.is_corrupt() => None,
        read => read?,
    };
    let lost = stored.is_none();
    let found = match stored {
        Some(found) => Some(found),
        None => rebuilt(sweep, &provenance)?,
    };
    let opened = match &found {
        None => Opened::Created,
        Some(found) if found.experiment == wanted.toml => Opened::Found,
        Some(found) => {
            let keys = differing(&found.experiment, &wanted.toml)?;
            let others: Vec<String> = keys.into_iter().filter(|key| *key != RUNS).collect();
            if !others.is_empty() {
                return Err(Refusal::Differs(others).of(sweep));
            }
            if wanted.runs < found.runs {
                return Err(Refusal::MoreRuns { there: found.runs, wanted: wanted.runs }.of(sweep));
            }
            if wanted.runs == found.runs { Opened::Found } else { Opened::Enlarged(found.runs) }
        }
    };
    let mut manifest = match found {
        None => SweepManifest {
            schema: SWEEP_SCHEMA.name(),
            name: wanted.name.clone(),
            hash: wanted.hash.clone(),
            training: Some(wanted.training.clone()),
            older: BTreeMap::new(),
            runs: wanted.runs,
            experiment: wanted.toml.clone(),
            provenance,
        },
        Some(mut found) => {
            SWEEP_SCHEMA.refuse_newer(&found.schema, &sweep.manifest())?;
            let known = found.data().map(str::to_owned).or_else(|| data_of_runs(sweep));
            same_data(sweep, known.as_deref(), provenance.data_digest.as_deref())?;
            let data = known.or(provenance.data_digest);
            if !lost && opened == Opened::Found && found.training.is_some() && found.provenance.data_digest == data {
                return restore_copy(sweep, differing).map(|()| opened);
            }
            found.provenance.data_digest = data;
            found
        }
    };
    if matches!(opened, Opened::Enlarged(_)) {
        manifest.name.clone_from(&wanted.name);
        manifest.hash.clone_from(&wanted.hash);
        manifest.runs = wanted.runs;
        manifest.experiment.clone_from(&wanted.toml);
    }
    manifest.schema = SWEEP_SCHEMA.name();
    if manifest.training.is_none() {
        manifest.older = older_runs(sweep, &manifest);
        manifest.training = Some(wanted.training.clone());
    }
    files::create_folder(&sweep.runs())?;
    manifest.write(sweep)?;
    if opened != Opened::Found {
        files::write(&sweep.experiment(), manifest.experiment.as_bytes())?;
    }
    restore_copy(sweep, differing)?;
    Ok(opened)
}

/// What `sweep.json` said, as far as `experiment.toml` tells it; nothing without one.
fn rebuilt(sweep: &SweepDir, provenance: &Provenance) -> Result<Option<SweepManifest>> {
    let path = sweep.experiment();
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
    let damaged = || {
        Error::Corrupt(format!(
            "{} cannot be understood, and sweep.json is lost or damaged: nothing says what the sweep was",
            path.display()
        ))
    };
    let experiment = String::from_utf8(bytes).map_err(|_| damaged())?;
    let table: toml::Table = experiment.parse().map_err(|_| damaged())?;
    let runs = table.get("sweep").and_then(|sweep| sweep.get("runs")).and_then(toml::Value::as_integer);
    let name = table.get("name").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let runs = runs.and_then(|runs| usize::try_from(runs).ok()).ok_or_else(damaged)?;
    let hash = blake3::hash(experiment.as_bytes()).to_hex().to_string();
    let mut provenance = provenance.clone();
    provenance.data_digest = None;
    Ok(Some(SweepManifest {
        schema: SWEEP_SCHEMA.name(),
        name,
        hash,
        training: None,
        older: BTreeMap::new(),
        runs,
        experiment,
        provenance,
    }))
}

/// The complete runs that do not say what they belong to, by the digest of their manifests; their seeds and epochs are
/// checked against the experiment before a run is trained.
fn older_runs(sweep: &SweepDir, manifest: &SweepManifest) -> BTreeMap<usize, String> {
    let digest = |run: usize| match RunManifest::read(&sweep.run(run)) {
        Ok(Some(found)) if found.status == Status::Complete && found.run == run => found.digest,
        _ => None,
    };
    (0..manifest.runs).filter_map(|run| Some((run, digest(run)?))).collect()
}

/// The digest of the data that the first complete run was trained on, for a sweep that does not say it itself.
fn data_of_runs(sweep: &SweepDir) -> Option<String> {
    let mut expected = Expected::default();
    for run in sweep.indices().ok()? {
        if let Ok(Some(found)) = RunManifest::read(&sweep.run(run))
            && found.status == Status::Complete
            && expected.stranger(&found, run).is_none()
            && expected.data().is_some()
        {
            break;
        }
    }
    expected.data().map(str::to_owned)
}

/// Refuses data of another digest than those that the sweep was begun with.
///
/// # Errors
/// `Invalid` if both digests are known and they differ.
pub fn same_data(sweep: &SweepDir, known: Option<&str>, now: Option<&str>) -> Result<()> {
    match (known, now) {
        (Some(known), Some(now)) if known != now => {
            Err(Refusal::OtherData { known: known.to_owned(), now: now.to_owned() }.of(sweep))
        }
        _ => Ok(()),
    }
}

/// Opens the sweep in `root` to look at it, or to go on with one run of it.
///
/// # Errors
/// `Invalid` if it is no sweep, is one of another version, or its `experiment.toml` was edited; `Corrupt` if `sweep.json`
/// is damaged or lost, or parts of the sweep are links.
pub fn open(root: &Path, differing: impl Fn(&str, &str) -> Result<Vec<String>>) -> Result<(SweepDir, SweepManifest)> {
    let sweep = SweepDir::new(root);
    sweep.refuse_links()?;
    let manifest = SweepManifest::read(&sweep)?.ok_or_else(|| no_manifest(&sweep))?;
    // Nothing is written where nothing is amiss, so that a sweep on a read-only disk can be looked at.
    let same = files::read_if_there(&sweep.experiment())?.as_deref() == Some(manifest.experiment.as_bytes());
    if !same || files::has_temporaries_in(root)? {
        let _lock = lock(&sweep)?;
        restore_copy(&sweep, differing)?;
    }
    Ok((sweep, manifest))
}

/// Makes `experiment.toml` agree with `sweep.json` after a crash between the two; an edit is refused.
fn restore_copy(sweep: &SweepDir, differing: impl Fn(&str, &str) -> Result<Vec<String>>) -> Result<()> {
    files::remove_temporaries_in(sweep.root())?;
    let Some(manifest) = SweepManifest::read(sweep)? else { return Ok(()) };
    let path = sweep.experiment();
    if let Some(copy) = files::read_if_there(&path)? {
        if copy == manifest.experiment.as_bytes() {
            return Ok(());
        }
        let keys = std::str::from_utf8(&copy).ok().and_then(|copy| differing(&manifest.experiment, copy).ok());
        if keys.as_deref() != Some(&[RUNS.to_owned()]) {
            return Err(Refusal::Edited(keys.unwrap_or_default()).of(sweep));
        }
    }
    files::write(&path, manifest.experiment.as_bytes())
}

/// A directory that is there must be a sweep, or empty, or one whose creation was cut short.
fn refuse_other_folders(sweep: &SweepDir) -> Result<()> {
    let root = sweep.root();
    if sweep.is_there() || !root.exists() {
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
fn lock(sweep: &SweepDir) -> Result<File> {
    let file = files::open_lock(&sweep.lock())?;
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
        let hash = blake3::hash(toml.as_bytes()).to_hex().to_string();
        Definition { name: "fake".into(), hash, training: "0f".into(), toml, runs }
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
        let started = SweepManifest::read(&sweep).unwrap().unwrap().provenance.started;
        assert_eq!(open_it(&sweep, &definition(20, 3)).unwrap(), Opened::Enlarged(10));
        let manifest = SweepManifest::read(&sweep).unwrap().unwrap();
        assert_eq!((manifest.runs, manifest.provenance.started), (20, started));
        assert_eq!(files::read(&sweep.experiment()).unwrap(), definition(20, 3).toml.as_bytes());
        let error = open_it(&sweep, &definition(5, 3)).unwrap_err();
        assert_eq!(error, Refusal::MoreRuns { there: 20, wanted: 5 }.of(&sweep));
        assert_eq!(open(sweep.root(), differing).unwrap().1.runs, 20);
        assert_eq!(crate::record::verify(&sweep).unwrap(), []);
    }

    #[test]
    fn a_changed_experiment_is_refused_by_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        open_it(&sweep, &definition(10, 3)).unwrap();
        let error = open_it(&sweep, &definition(12, 4)).unwrap_err();
        assert_eq!(error, Refusal::Differs(vec!["train.epochs".into()]).of(&sweep));
        files::write(&sweep.experiment(), definition(10, 9).toml.as_bytes()).unwrap();
        for error in [open_it(&sweep, &definition(10, 3)).unwrap_err(), open(sweep.root(), differing).unwrap_err()] {
            assert_eq!(error, Refusal::Edited(vec!["train.epochs".into()]).of(&sweep));
            assert_eq!(error.exit_code(), exit::INVALID);
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
    }

    #[test]
    fn a_manifest_that_is_damaged_or_lost_is_written_again_from_the_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        open_it(&sweep, &definition(20, 3)).unwrap();
        files::create_folder(&sweep.analysis()).unwrap();
        for lose in
            [|path: &Path| files::write(path, b"damaged").unwrap(), |path: &Path| std::fs::remove_file(path).unwrap()]
        {
            lose(&sweep.manifest());
            assert!(open(sweep.root(), differing).is_err_and(|error| error.is_corrupt()));
            let refused = |wanted| open_it(&sweep, &wanted).unwrap_err();
            assert_eq!(refused(definition(20, 4)), Refusal::Differs(vec!["train.epochs".into()]).of(&sweep));
            assert_eq!(refused(definition(10, 3)), Refusal::MoreRuns { there: 20, wanted: 10 }.of(&sweep));
            assert_eq!(open_it(&sweep, &definition(20, 3)).unwrap(), Opened::Found);
            assert_eq!(crate::record::verify(&sweep).unwrap(), []);
            let manifest = open(sweep.root(), differing).unwrap().1;
            assert_eq!((manifest.training.as_deref(), manifest.runs), (Some("0f"), 20));
        }
    }

    #[test]
    fn other_data_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        let with = |digest: &str| {
            let origin = Origin { data_digest: Some(digest.into()), ..Origin::default() };
            open_or_create(&sweep, &definition(10, 3), Provenance::now(origin), differing)
        };
        with("aaaa").unwrap();
        assert_eq!(with("aaaa").unwrap(), Opened::Found);
        let error = with("bbbb").unwrap_err();
        assert_eq!(error, Refusal::OtherData { known: "aaaa".into(), now: "bbbb".into() }.of(&sweep));
    }

    #[test]
    fn a_sweep_of_an_older_version_learns_what_it_did_not_say() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        open_it(&sweep, &definition(10, 3)).unwrap();
        let mut old = SweepManifest::read(&sweep).unwrap().unwrap();
        old.schema = "harness.sweep/1".into();
        old.training = None;
        old.write(&sweep).unwrap();
        assert_eq!(open_it(&sweep, &definition(10, 3)).unwrap(), Opened::Found);
        let new = SweepManifest::read(&sweep).unwrap().unwrap();
        assert_eq!((new.training.as_deref(), new.schema.as_str()), (Some("0f"), "harness.sweep/1.1"));
        let newer = SweepManifest { schema: "harness.sweep/1.5".into(), ..new };
        newer.write(&sweep).unwrap();
        assert!(open(sweep.root(), differing).is_ok());
        assert!(matches!(open_it(&sweep, &definition(20, 3)), Err(Error::Invalid(text)) if text.contains("1.5")));
    }

    #[test]
    #[cfg(unix)]
    fn a_sweep_with_linked_parts_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        open_it(&sweep, &definition(10, 3)).unwrap();
        for part in ["runs", "report", "analysis", "slurm", "sweep.lock"] {
            let path = sweep.root().join(part);
            let kept = folder.path().join("kept");
            let there = std::fs::rename(&path, &kept).is_ok();
            std::os::unix::fs::symlink(folder.path(), &path).unwrap();
            assert!(
                matches!(open(sweep.root(), differing), Err(Error::Corrupt(text)) if text.contains("a link")),
                "{part}"
            );
            assert!(matches!(open_it(&sweep, &definition(10, 3)), Err(Error::Corrupt(_))), "{part}");
            std::fs::remove_file(&path).unwrap();
            if there {
                std::fs::rename(&kept, &path).unwrap();
            }
        }
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
