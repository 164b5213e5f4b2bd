//! Is everything in a sweep as it was written? Walks the whole directory, names every file that is damaged, missing or
//! not ours, and can make the sweep forget what is broken so that it is made again.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::files;
use super::index;
use super::layout::{self, RunDir, SweepDir};
use super::manifest::{RunManifest, Status, SweepManifest};
use super::nights::{Accepted, NightValues};
use super::run;
use super::state::State;
use crate::error::{Error, Result};

pub(super) const STRAY: &str = "does not belong here: nothing lists it";
const UNFINISHED: &str = "was left by a process that died while it wrote";
const LEFT_OVER: &str = "was left by a process that died as it finished the run";
const NOT_EMPTY: &str = "is a lock and must be empty";

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
    /// Remove the folder of derived files, so that it is made again.
    RemoveDerived,
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

/// Everything that is wrong with the sweep, in order of files.
///
/// # Errors
/// `Invalid` if the directory is not that of a sweep; whatever the file system refuses.
pub fn verify(sweep: &SweepDir) -> Result<Vec<Problem>> {
    let mut walk = Walk { sweep, problems: Vec::new() };
    walk.root()?;
    walk.problems.sort_by(|one, other| (one.run, &one.file).cmp(&(other.run, &other.file)));
    Ok(walk.problems)
}

/// Forgets what is broken, so that `resume` and `analyze` make it again, and says in a sentence each what was done.
///
/// # Errors
/// Whatever the file system refuses.
pub fn repair(sweep: &SweepDir, problems: &[Problem]) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut forgotten = BTreeSet::new();
    for problem in problems {
        let path = sweep.root().join(&problem.file);
        match problem.cure {
            Cure::ForgetRun(run) => {
                if forgotten.insert(run) {
                    let dir = sweep.run(run);
                    // The manifest goes first: without it nobody takes the run for complete.
                    files::remove(&dir.manifest())?;
                    files::remove(&dir.state())?;
                    files::remove_folder(&dir.checkpoints())?;
                    files::remove(&dir.metrics())?;
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
                if let Some(manifest) = SweepManifest::read(&sweep.manifest())? {
                    files::write(&path, manifest.experiment.as_bytes())?;
                    done.push(format!("wrote {} again from sweep.json", problem.file));
                }
            }
            Cure::RemoveDerived => {
                let folder = if path.starts_with(sweep.report()) { sweep.report() } else { sweep.analysis() };
                if files::remove_folder(&folder)? {
                    done.push(format!(
                        "removed {}: `harness analyze` and `harness report` make it again",
                        folder.display()
                    ));
                }
            }
            Cure::None => done.push(format!("left {} alone: it {}", problem.file, problem.what)),
        }
    }
    Ok(done)
}

struct Walk<'a> {
    sweep: &'a SweepDir,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn add(&mut self, run: Option<usize>, path: &Path, what: impl Into<String>, cure: Cure) {
        let file = layout::relative(self.sweep.root(), path).unwrap_or_else(|| path.display().to_string());
        self.problems.push(Problem { run, file, what: what.into(), cure });
    }

    fn root(&mut self) -> Result<()> {
        let sweep = self.sweep;
        let manifest = match SweepManifest::read(&sweep.manifest()) {
            Ok(Some(manifest)) => Some(manifest),
            Ok(None) => {
                let root = sweep.root().display();
                return Err(Error::Invalid(format!(
                    "{root} is not the directory of a sweep: there is no sweep.json in it"
                )));
            }
            Err(error @ (Error::Corrupt(_) | Error::Invalid(_))) => {
                let what = format!("cannot be used ({error}); `harness run` with the same experiment writes it again");
                self.add(None, &sweep.manifest(), what, Cure::None);
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(manifest) = &manifest {
            match files::read_if_there(&sweep.experiment())? {
                None => self.add(None, &sweep.experiment(), "is missing", Cure::RestoreExperiment),
                Some(bytes) if bytes == manifest.experiment.as_bytes() => {}
                Some(_) => {
                    self.add(
                        None,
                        &sweep.experiment(),
                        "differs from the experiment in sweep.json",
                        Cure::RestoreExperiment,
                    );
                }
            }
        }
        let ours = [
            sweep.manifest(),
            sweep.experiment(),
            sweep.accepted(),
            sweep.night(),
            sweep.runs(),
            sweep.analysis(),
            sweep.report(),
            sweep.slurm(),
        ];
        for (path, read) in [
            (sweep.accepted(), Accepted::read(&sweep.accepted()).err()),
            (sweep.night(), NightValues::read(&sweep.night()).err()),
        ] {
            if let Some(cause) = read {
                self.add(None, &path, format!("cannot be used ({cause})"), Cure::None);
            }
        }
        for path in listed(sweep.root())? {
            if path == sweep.lock() {
                self.lock(None, &path)?;
            } else if files::is_temporary(&path) {
                self.add(None, &path, UNFINISHED, Cure::Remove);
            } else if !ours.contains(&path) {
                self.add(None, &path, STRAY, Cure::None);
            }
        }
        for folder in [sweep.analysis(), sweep.report()] {
            for (path, what) in index::complaints(&folder)? {
                self.add(None, &path, what, Cure::RemoveDerived);
            }
        }
        let runs = manifest.map(|manifest| manifest.runs);
        for path in listed(&sweep.runs())? {
            let index = path.file_name().and_then(|name| name.to_str()).and_then(layout::parse_number);
            match index.filter(|index| path.is_dir() && runs.is_none_or(|runs| *index < runs)) {
                Some(index) => self.run(&sweep.run(index))?,
                None => self.add(None, &path, STRAY, Cure::None),
            }
        }
        Ok(())
    }

    fn lock(&mut self, run: Option<usize>, path: &Path) -> Result<()> {
        let found = fs::symlink_metadata(path).map_err(|cause| Error::io("read", path, &cause))?;
        if !found.is_file() || found.len() > 0 {
            self.add(run, path, NOT_EMPTY, if found.is_file() { Cure::Empty } else { Cure::None });
        }
        Ok(())
    }

    fn run(&mut self, dir: &RunDir) -> Result<()> {
        match RunManifest::read(&dir.manifest()) {
            Ok(Some(manifest)) if manifest.run != dir.index() => {
                let what = format!("is the manifest of run {}", manifest.run);
                self.add(Some(dir.index()), &dir.manifest(), what, Cure::ForgetRun(dir.index()));
                Ok(())
            }
            Ok(Some(manifest)) if manifest.status == Status::Complete => self.complete_run(dir, &manifest),
            // Metrics come right before the manifest, and the lease goes right after it.
            Ok(None) if dir.metrics().exists() && !dir.lease().exists() => {
                self.add(Some(dir.index()), &dir.manifest(), "is missing", Cure::ForgetRun(dir.index()));
                Ok(())
            }
            Ok(_) => self.unfinished_run(dir),
            Err(error @ (Error::Corrupt(_) | Error::Invalid(_))) => {
                let cure = if matches!(error, Error::Corrupt(_)) { Cure::ForgetRun(dir.index()) } else { Cure::None };
                self.add(Some(dir.index()), &dir.manifest(), format!("cannot be used: {error}"), cure);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn complete_run(&mut self, dir: &RunDir, manifest: &RunManifest) -> Result<()> {
        let run = Some(dir.index());
        for entry in &manifest.files {
            if let Some(complaint) = run::complaint(dir, entry)? {
                self.add(run, &dir.root().join(&entry.path), complaint, Cure::ForgetRun(dir.index()));
            }
        }
        let expected: BTreeSet<PathBuf> = manifest.files.iter().map(|entry| dir.root().join(&entry.path)).collect();
        let finishing = files::is_locked(&dir.lock());
        for path in files::walk(dir.root())? {
            if path == dir.lock() {
                self.lock(run, &path)?;
            } else if path == dir.state() || path == dir.lease() || dir.is_claim(&path) || files::is_temporary(&path) {
                if !finishing {
                    self.add(run, &path, LEFT_OVER, Cure::Remove);
                }
            } else if path != dir.manifest() && !expected.contains(&path) {
                self.add(run, &path, STRAY, Cure::None);
            }
        }
        Ok(())
    }

    /// Of an unfinished run only what its saved state vouches for can be checked; the rest will be written again.
    fn unfinished_run(&mut self, dir: &RunDir) -> Result<()> {
        let run = Some(dir.index());
        if let Some(bytes) = files::read_if_there(&dir.state())? {
            match State::decode(&bytes, "it") {
                Ok((_, entries)) => {
                    for entry in &entries {
                        if let Some(complaint) = run::complaint(dir, entry)? {
                            self.add(run, &dir.root().join(&entry.path), complaint, Cure::ForgetState(dir.index()));
                        }
                    }
                }
                Err(error) => {
                    self.add(run, &dir.state(), format!("cannot be used: {error}"), Cure::ForgetState(dir.index()));
                }
            }
        }
        let ours = [dir.manifest(), dir.state(), dir.lease(), dir.metrics()];
        for path in files::walk(dir.root())? {
            if path == dir.lock() {
                self.lock(run, &path)?;
            } else if !ours.contains(&path)
                && !files::is_temporary(&path)
                && !dir.is_claim(&path)
                && !is_checkpoint_file(dir, &path)
            {
                self.add(run, &path, STRAY, Cure::None);
            }
        }
        Ok(())
    }
}

fn is_checkpoint_file(dir: &RunDir, path: &Path) -> bool {
    let relative = dir.relative(path).unwrap_or_default();
    let name = layout::parse_checkpoint_file(&relative).map(|(_, name)| name);
    matches!(name, Some(layout::SOFT | layout::KERNEL | layout::SPECTRA | layout::WEIGHTS))
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(files::entries(folder)?.into_iter().map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::super::manifest::SWEEP_SCHEMA;
    use super::super::provenance::{Origin, Provenance};
    use super::super::testing::{fake_run, finish, folder};
    use super::*;

    const EXPERIMENT: &str = "name = \"fake\"\n";
    const RUNS: usize = 3;

    fn finished() -> (tempfile::TempDir, SweepDir) {
        let folder = folder();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        files::create_folder(&sweep.runs()).unwrap();
        let manifest = SweepManifest {
            schema: SWEEP_SCHEMA.into(),
            name: "fake".into(),
            hash: "00".into(),
            runs: RUNS,
            experiment: EXPERIMENT.into(),
            provenance: Provenance::now(Origin::default()),
        };
        manifest.write(&sweep.manifest()).unwrap();
        files::write(&sweep.experiment(), EXPERIMENT.as_bytes()).unwrap();
        files::write(&sweep.lock(), b"").unwrap();
        for run in 0..RUNS {
            finish(&sweep.run(run), 1).unwrap();
            files::write(&sweep.run(run).lock(), b"").unwrap();
        }
        files::create_folder(&sweep.analysis()).unwrap();
        files::write(&sweep.analysis().join("summary.json"), b"{}").unwrap();
        index::write(&sweep.analysis()).unwrap();
        (folder, sweep)
    }

    /// Repairs, trains what is missing, and expects everything to be well.
    fn recover(sweep: &SweepDir, problems: &[Problem]) -> Vec<String> {
        let done = repair(sweep, problems).unwrap();
        for run in 0..RUNS {
            finish(&sweep.run(run), 2).unwrap();
        }
        done
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found_and_repaired() {
        let (_folder, sweep) = finished();
        assert_eq!(verify(&sweep).unwrap(), []);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for round in 0..500 {
            let all: Vec<(PathBuf, Vec<u8>)> = files::walk(sweep.root())
                .unwrap()
                .into_iter()
                .map(|path| (path.clone(), files::read(&path).unwrap()))
                .collect();
            let bits: u64 = all.iter().map(|(_, bytes)| bytes.len() as u64 * 8).sum();
            let mut bit = random.next_u64() % bits;
            let (path, mut bytes) = all
                .into_iter()
                .find(|(_, bytes)| {
                    let size = bytes.len() as u64 * 8;
                    let here = bit < size;
                    bit = if here { bit } else { bit - size };
                    here
                })
                .unwrap();
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            let problems = verify(&sweep).unwrap();
            let name = layout::relative(sweep.root(), &path).unwrap();
            assert!(problems.iter().any(|problem| problem.file == name), "round {round}: {name}: {problems:?}");
            let run = path.strip_prefix(sweep.runs()).ok().and_then(|path| path.components().next());
            let run = run.and_then(|part| layout::parse_number(part.as_os_str().to_str().unwrap()));
            assert!(problems.iter().all(|problem| problem.run == run), "round {round}: {problems:?}");
            // One that is shared by all runs cannot be made again from within.
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            if path == sweep.manifest() {
                fs::write(&path, &bytes).unwrap();
            } else if round % 25 == 0 {
                recover(&sweep, &problems);
                let after = verify(&sweep).unwrap();
                assert_eq!(after, [], "round {round}: {name}");
                if path.starts_with(sweep.runs()) && path.file_name().unwrap() != "run.json" {
                    assert_eq!(files::read(&path).unwrap(), bytes, "{name}");
                }
            } else {
                fs::write(&path, &bytes).unwrap();
            }
        }
    }

    #[test]
    fn missing_truncated_and_stray_files_are_named() {
        let (_folder, sweep) = finished();
        let run = sweep.run(1);
        fs::remove_file(run.checkpoint(2).join(layout::KERNEL)).unwrap();
        fs::write(run.checkpoint(0).join(layout::SOFT), b"PAR1").unwrap();
        fs::write(run.root().join("notes.txt"), b"mine").unwrap();
        fs::write(run.root().join(".state.1-2.tmp"), b"half").unwrap();
        fs::write(run.state(), b"old").unwrap();
        fs::write(run.lock(), b"x").unwrap();
        fs::remove_file(sweep.run(2).manifest()).unwrap();
        fs::write(sweep.experiment(), b"name = \"other\"").unwrap();
        fs::write(sweep.analysis().join("more.json"), b"{}").unwrap();
        fs::create_dir(sweep.runs().join("0003")).unwrap();
        fs::write(sweep.root().join("plan.txt"), b"").unwrap();
        let problems = verify(&sweep).unwrap();
        let text: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let expected = [
            "analysis/more.json does not belong",
            "experiment.toml differs",
            "plan.txt does not belong",
            "runs/0003 does not belong",
            "run 1: runs/0001/.state.1-2.tmp was left",
            "run 1: runs/0001/checkpoints/0000/soft.parquet holds 4 bytes",
            "run 1: runs/0001/checkpoints/0002/kernel.safetensors is missing",
            "run 1: runs/0001/lease.lock is a lock",
            "run 1: runs/0001/notes.txt does not belong",
            "run 1: runs/0001/state was left",
            "run 2: runs/0002/run.json is missing",
        ];
        assert_eq!(text.len(), expected.len(), "{text:#?}");
        for (text, expected) in text.iter().zip(expected) {
            assert!(text.starts_with(expected), "{text} / {expected}");
        }
        recover(&sweep, &problems);
        let left: Vec<String> = verify(&sweep).unwrap().into_iter().map(|problem| problem.file).collect();
        assert_eq!(left, ["plan.txt", "runs/0003", "runs/0001/notes.txt"]);
    }

    #[test]
    fn an_unfinished_run_is_checked_as_far_as_its_state_vouches() {
        let (_folder, sweep) = finished();
        let run = sweep.run(0);
        files::remove_folder(run.root()).unwrap();
        fake_run(&run, 1, &mut |epoch| epoch < 4).unwrap();
        assert_eq!(verify(&sweep).unwrap(), []);
        let soft = run.checkpoint(0).join(layout::SOFT);
        let mut bytes = files::read(&soft).unwrap();
        bytes[9] ^= 4;
        fs::write(&soft, bytes).unwrap();
        let problems = verify(&sweep).unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(recover(&sweep, &problems).len(), 1);
        assert_eq!(verify(&sweep).unwrap(), []);
    }

    #[test]
    fn what_is_no_sweep_is_refused() {
        let folder = folder();
        assert!(matches!(verify(&SweepDir::new(folder.path())), Err(Error::Invalid(_))));
    }
}
