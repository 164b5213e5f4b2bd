//! Is everything in a sweep as it was written, and is it all there? Walks the whole directory, names every file that is
//! damaged, missing or not ours, goes on past what cannot be read, and can make the sweep forget what is broken so that it
//! is made again. Only what is named and can be made again is ever removed.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::checksum;
use super::files::{self, Found};
use super::identity::Expected;
use super::index::{self, Wrong};
use super::layout::{self, RunDir, SweepDir};
use super::manifest::{RunManifest, Status, SweepManifest};
use super::nights::{Accepted, NightValues};
use super::reader::same_but_for_runs;
use super::run;
use super::state::SavedState;
use crate::error::{Error, Result};

pub(super) const STRAY: &str = "does not belong here: nothing lists it";
const UNFINISHED: &str = "was left by a process that died while it wrote";
const LEFT_OVER: &str = "was left by a process that died as it finished the run";
const NOT_EMPTY: &str = "is a lock and must be empty";
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
    pub complete: usize,
    /// The others, in order.
    pub missing: Vec<usize>,
}

/// Which runs of the sweep are complete; whether their files are as they were written is [`verify`]'s business. `None` where
/// `sweep.json` cannot be used.
#[must_use]
pub fn completeness(sweep: &SweepDir) -> Option<Completeness> {
    let runs = SweepManifest::read(sweep).ok().flatten()?.runs;
    let complete = |run: &usize| matches!(RunManifest::read(&sweep.run(*run)), Ok(Some(manifest)) if manifest.status == Status::Complete);
    let missing: Vec<usize> = (0..runs).filter(|run| !complete(run)).collect();
    Some(Completeness { runs, complete: runs - missing.len(), missing })
}

/// Everything that is wrong with the sweep, in order of files.
///
/// # Errors
/// `Invalid` if the directory is not that of a sweep.
pub fn verify(sweep: &SweepDir) -> Result<Vec<Problem>> {
    if !sweep.is_there() {
        let root = sweep.root().display();
        return Err(Error::Invalid(format!("{root} is not the directory of a sweep: there is no sweep.json in it")));
    }
    let mut walk = Walk { sweep, problems: Vec::new() };
    walk.root();
    walk.problems.sort_by(|one, other| (one.run, &one.file).cmp(&(other.run, &other.file)));
    Ok(walk.problems)
}

/// Forgets what is broken, so that `resume` and `report` make it again, and says in a sentence each what was done. Nobody
/// writes the sweep's derived files in the meantime, and a run that is being trained is left alone.
///
/// # Errors
/// `Corrupt` if a folder of the sweep is a link; whatever the file system refuses.
pub fn repair(sweep: &SweepDir) -> Result<Vec<String>> {
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
    Ok(done)
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

struct Walk<'a> {
    sweep: &'a SweepDir,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn add(&mut self, run: Option<usize>, path: &Path, what: impl Into<String>, cure: Cure) {
        let file = layout::relative(self.sweep.root(), path).unwrap_or_else(|| path.display().to_string());
        self.problems.push(Problem { run, file, what: what.into(), cure });
    }

    /// What was read, or nothing with a problem in its place: one file that cannot be read hides no other.
    fn read<T>(&mut self, run: Option<usize>, path: &Path, found: Result<T>) -> Option<T> {
        found.map_err(|error| self.add(run, path, format!("cannot be read: {error}"), Cure::None)).ok()
    }

    fn root(&mut self) {
        let sweep = self.sweep;
        let manifest = match SweepManifest::read(sweep) {
            Ok(Some(manifest)) => Some(manifest),
            Ok(None) => {
                self.add(
                    None,
                    &sweep.manifest(),
                    "is missing; `--repair` writes it again from experiment.toml",
                    Cure::None,
                );
                None
            }
            Err(error) => {
                let what = format!("cannot be used ({error}); `--repair` writes it again from experiment.toml");
                self.add(None, &sweep.manifest(), what, Cure::None);
                None
            }
        };
        if let Some(manifest) = &manifest {
            let copy = files::read_if_there(&sweep.experiment());
            match self.read(None, &sweep.experiment(), copy) {
                None => {}
                Some(None) => self.add(None, &sweep.experiment(), "is missing", Cure::RestoreExperiment),
                Some(Some(copy)) if copy == manifest.experiment.as_bytes() => {}
                // Whichever of the two belongs to the runs, the other is somebody's: unless it is but the number of runs.
                Some(Some(copy)) => {
                    let mended = same_but_for_runs(manifest.experiment.as_bytes(), &copy) || self.fits(manifest);
                    let cure = if mended { Cure::RestoreExperiment } else { Cure::None };
                    self.add(None, &sweep.experiment(), "differs from the experiment in sweep.json", cure);
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
        for path in self.listed(sweep.root()) {
            if path == sweep.lock() {
                self.lock(None, &path);
            } else if files::is_temporary(&path) {
                self.add(None, &path, UNFINISHED, Cure::Remove);
            } else if !ours.contains(&path) {
                self.add(None, &path, STRAY, Cure::None);
            }
        }
        self.jobs();
        let mut made_from = BTreeSet::new();
        for folder in [sweep.analysis(), sweep.report()] {
            if self.is_folder(&folder) {
                let complaints = index::complaints(&folder);
                for (path, what, wrong) in self.read(None, &folder, complaints).unwrap_or_default() {
                    let cure = match wrong {
                        Wrong::Damaged => Cure::RemoveDerived,
                        Wrong::Index => Cure::MendIndex,
                        Wrong::Stray => Cure::None,
                    };
                    self.add(None, &path, what, cure);
                }
                made_from.extend(index::sources(&folder));
            }
        }
        let mut expected = manifest.as_ref().map(Expected::of).unwrap_or_default();
        let runs = manifest.map(|manifest| manifest.runs);
        if self.is_folder(&sweep.runs()) {
            for path in self.listed(&sweep.runs()) {
                let index = path.file_name().and_then(|name| name.to_str()).and_then(layout::parse_number);
                match index.filter(|index| runs.is_none_or(|runs| *index < runs)) {
                    Some(index) if self.is_folder(&path) => {
                        made_from.remove(&index);
                        self.run(&sweep.run(index), &mut expected);
                    }
                    Some(_) => {}
                    None => self.add(None, &path, STRAY, Cure::None),
                }
            }
        }
        // The runs of a night that was pruned are gone because somebody wanted it.
        if matches!(NightValues::read(&sweep.night()), Ok(Some(_))) {
            made_from.clear();
        }
        for run in made_from {
            let what = "is gone: it was complete when the analysis or the report was made";
            self.add(Some(run), sweep.run(run).root(), what, Cure::Resume);
        }
    }

    /// Whether a complete run says that it was trained for the experiment in `sweep.json`.
    fn fits(&self, manifest: &SweepManifest) -> bool {
        let runs = self.sweep.indices().unwrap_or_default();
        let mut told = runs.into_iter().filter_map(|run| RunManifest::read(&self.sweep.run(run)).ok()??.identity);
        // Where nobody says anything, `sweep.json` with its digest is believed.
        told.next()
            .is_none_or(|identity| manifest.training.as_ref().is_none_or(|training| *training == identity.training))
    }

    /// Whether a folder lies at `path`; anything else there is a problem.
    fn is_folder(&mut self, path: &Path) -> bool {
        let found = files::look(path);
        let what = match self.read(None, path, found) {
            Some(Found::Folder) => return true,
            Some(Found::Nothing) | None => return false,
            Some(Found::File(_)) => "a file",
            Some(Found::Odd(what)) => what,
        };
        self.add(None, path, format!("is {what} where a folder was made: nothing behind it is looked at"), Cure::None);
        false
    }

    fn jobs(&mut self) {
        let folder = self.sweep.slurm();
        if !self.is_folder(&folder) {
            return;
        }
        let path = folder.join(JOBS);
        let bytes = files::read_if_there(&path);
        let Some(Some(bytes)) = self.read(None, &path, bytes) else { return };
        // The first version had no checksum.
        let old = checksum::schema_of(&bytes).is_some_and(|schema| schema == "harness.slurm/1");
        if !old && !checksum::intact(&bytes) {
            self.add(None, &path, "is not as it was written: which jobs are the sweep's is not known", Cure::None);
        }
    }

    fn listed(&mut self, folder: &Path) -> Vec<PathBuf> {
        let found = files::entries(folder);
        let entries = self.read(None, folder, found).unwrap_or_default();
        entries.into_iter().map(|entry| entry.path()).collect()
    }

    fn lock(&mut self, run: Option<usize>, path: &Path) {
        let found = files::look(path);
        match self.read(run, path, found) {
            None | Some(Found::Nothing | Found::File(0)) => {}
            Some(Found::File(_)) => self.add(run, path, NOT_EMPTY, Cure::Empty),
            Some(Found::Folder | Found::Odd(_)) => self.add(run, path, NOT_EMPTY, Cure::None),
        }
    }

    fn run(&mut self, dir: &RunDir, expected: &mut Expected) {
        let run = Some(dir.index());
        match RunManifest::read(dir) {
            Ok(Some(manifest)) if manifest.status == Status::Complete => {
                if let Some(complaint) = expected.complaint(&manifest, dir.index()) {
                    let what = format!("{complaint}: move the run away, and `harness resume` trains it");
                    self.add(run, &dir.manifest(), what, Cure::None);
                }
                self.complete_run(dir, &manifest);
            }
            Ok(Some(manifest)) if manifest.run != dir.index() => {
                self.add(run, &dir.manifest(), format!("is the manifest of run {}", manifest.run), Cure::Remove);
            }
            // Metrics come right before the manifest, and the lease goes right after it.
            Ok(None) if dir.metrics().exists() && !dir.lease().exists() => {
                self.add(run, &dir.manifest(), "is missing", Cure::ForgetRun(dir.index()));
            }
            Ok(_) => self.unfinished_run(dir, expected),
            Err(error) => {
                let cure = match (&error, files::look(&dir.manifest())) {
                    (Error::Corrupt(_), Ok(Found::File(_))) => Cure::ForgetRun(dir.index()),
                    _ => Cure::None,
                };
                self.add(run, &dir.manifest(), format!("cannot be used: {error}"), cure);
            }
        }
    }

    /// Everything below the run; what cannot be listed is a problem.
    fn below(&mut self, dir: &RunDir) -> Vec<PathBuf> {
        let found = files::walk(dir.root());
        self.read(Some(dir.index()), dir.root(), found).unwrap_or_default()
    }

    /// What is wrong with a file that a manifest or a state lists.
    fn complaint(&self, dir: &RunDir, entry: &super::manifest::FileEntry) -> Option<String> {
        let path = dir.root().join(&entry.path);
        match files::refuse_links(&dir.sweep(), &path) {
            Err(error) => Some(format!("cannot be read: {error}")),
            Ok(()) => entry.complaint_at(&path),
        }
    }

    fn complete_run(&mut self, dir: &RunDir, manifest: &RunManifest) {
        let run = Some(dir.index());
        for entry in &manifest.files {
            if let Some(complaint) = self.complaint(dir, entry) {
                let path = dir.root().join(&entry.path);
                // Behind a link lies what is not ours to forget.
                let linked = files::refuse_links(&dir.sweep(), &path).is_err();
                self.add(run, &path, complaint, if linked { Cure::None } else { Cure::ForgetRun(dir.index()) });
            }
        }
        let expected: BTreeSet<PathBuf> = manifest.files.iter().map(|entry| dir.root().join(&entry.path)).collect();
        let finishing = files::is_locked(&dir.lock());
        for path in self.below(dir) {
            if path == dir.lock() {
                self.lock(run, &path);
            } else if path == dir.state() || path == dir.lease() || dir.is_claim(&path) || files::is_temporary(&path) {
                if !finishing {
                    self.add(run, &path, LEFT_OVER, Cure::Remove);
                }
            } else if path != dir.manifest() && !expected.contains(&path) {
                self.add(run, &path, STRAY, Cure::None);
            }
        }
    }

    /// Of an unfinished run only what its saved state lists can be checked; the rest will be written again.
    fn unfinished_run(&mut self, dir: &RunDir, expected: &Expected) {
        let run = Some(dir.index());
        let bytes = files::read_if_there(&dir.state());
        if let Some(Some(bytes)) = self.read(run, &dir.state(), bytes) {
            match SavedState::decode(&bytes, &dir.state()) {
                Ok(file) => {
                    if let Some(complaint) =
                        file.identity.and_then(|found| expected.complaint_of_state(&found, dir.index()))
                    {
                        self.add(run, &dir.state(), complaint, Cure::ForgetState(dir.index()));
                    }
                    for entry in &file.files {
                        if let Some(complaint) = self.complaint(dir, entry) {
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
        for path in self.below(dir) {
            if path == dir.lock() {
                self.lock(run, &path);
            } else if !ours.contains(&path)
                && !files::is_temporary(&path)
                && !dir.is_claim(&path)
                && !is_checkpoint_file(dir, &path)
            {
                self.add(run, &path, STRAY, Cure::None);
            }
        }
    }
}

fn is_checkpoint_file(dir: &RunDir, path: &Path) -> bool {
    let relative = dir.relative(path).unwrap_or_default();
    let name = layout::parse_checkpoint_file(&relative).map(|(_, name)| name);
    matches!(name, Some(layout::SOFT | layout::KERNEL | layout::SPECTRA | layout::WEIGHTS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::super::testing::{fake_run, finish, folder, sweep_manifest};
    use super::*;

    const EXPERIMENT: &str = "name = \"fake\"\n";
    const RUNS: usize = 3;

    fn finished() -> (tempfile::TempDir, SweepDir) {
        let folder = folder();
        let sweep = SweepDir::new(&folder.path().join("fake"));
        files::create_folder(&sweep.runs()).unwrap();
        sweep_manifest(EXPERIMENT, RUNS).write(&sweep).unwrap();
        files::write(&sweep.experiment(), EXPERIMENT.as_bytes()).unwrap();
        files::write(&sweep.lock(), b"").unwrap();
        for run in 0..RUNS {
            finish(&sweep.run(run), 1).unwrap();
            files::write(&sweep.run(run).lock(), b"").unwrap();
        }
        files::create_folder(&sweep.analysis()).unwrap();
        files::write(&sweep.analysis().join("summary.json"), b"{}").unwrap();
        index::write(&sweep, &sweep.analysis(), &BTreeMap::new()).unwrap();
        (folder, sweep)
    }

    /// Repairs, trains what is missing, and expects everything to be well.
    fn recover(sweep: &SweepDir) -> Vec<String> {
        let done = repair(sweep).unwrap();
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
                recover(&sweep);
                let after = verify(&sweep).unwrap();
                if path.file_name().is_some_and(|name| name == "files.json") {
                    // The list of a derived folder is made by the analysis or the report.
                    assert!(after.iter().all(|problem| problem.file == name), "round {round}: {after:?}");
                    fs::write(&path, &bytes).unwrap();
                    continue;
                }
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
        recover(&sweep);
        let left: Vec<String> = verify(&sweep).unwrap().into_iter().map(|problem| problem.file).collect();
        assert_eq!(left, ["analysis/more.json", "plan.txt", "runs/0003", "runs/0001/notes.txt"]);
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
        assert_eq!(recover(&sweep).len(), 1);
        assert_eq!(verify(&sweep).unwrap(), []);
    }

    #[test]
    fn what_is_no_sweep_is_refused() {
        let folder = folder();
        assert!(matches!(verify(&SweepDir::new(folder.path())), Err(Error::Invalid(_))));
    }
}
