//! The walk through a sweep's directory, which names everything that is not as it was written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::checksum;
use super::super::files::{self, Found, PlainFolders};
use super::super::identity::Expected;
use super::super::index::{self, Wrong};
use super::super::layout::{self, RunDir, SweepDir};
use super::super::manifest::{FileEntry, RunManifest, Status, SweepManifest};
use super::super::nights::{Accepted, NightValues};
use super::super::reader::same_but_for_runs;
use super::super::state::SavedState;
use super::super::wrong::Damage;
use super::{Cure, JOBS, Problem, STRAY};
use crate::error::Result;

const UNFINISHED: &str = "was left by a process that died while it wrote";
const LEFT_OVER: &str = "was left by a process that died as it finished the run";
const NOT_EMPTY: &str = "is a lock and must be empty";

pub(super) struct Walk<'a> {
    pub(super) sweep: &'a SweepDir,
    pub(super) problems: Vec<Problem>,
    /// Complete runs, as their manifests say.
    pub(super) complete: BTreeSet<usize>,
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

    /// Looks at everything, and says how many runs the sweep has, where `sweep.json` can be used.
    pub(super) fn root(&mut self) -> Option<usize> {
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
        runs
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
                self.complete.insert(dir.index());
                if let Some(stranger) = expected.stranger(&manifest, dir.index()) {
                    let what = format!("{stranger}: move the run away, and `harness resume` trains it");
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
                let plain = matches!(files::look(&dir.manifest()), Ok(Found::File(_)));
                let cure = if plain && error.is_corrupt() { Cure::ForgetRun(dir.index()) } else { Cure::None };
                self.add(run, &dir.manifest(), format!("cannot be used: {error}"), cure);
            }
        }
    }

    /// Everything below the run; what cannot be listed is a problem.
    fn below(&mut self, dir: &RunDir) -> Vec<PathBuf> {
        let found = files::walk(dir.root());
        self.read(Some(dir.index()), dir.root(), found).unwrap_or_default()
    }

    fn complete_run(&mut self, dir: &RunDir, manifest: &RunManifest) {
        let run = Some(dir.index());
        let mut folders = PlainFolders::new(dir.root());
        for entry in &manifest.files {
            let path = dir.root().join(&entry.path);
            if let Some(damage) = damage(&mut folders, entry, &path) {
                // Behind a link lies what is not ours to forget, nor is what somebody put into the file's place.
                let ours = !matches!(damage, Damage::Unreadable(_) | Damage::Odd(_));
                let cure = if ours { Cure::ForgetRun(dir.index()) } else { Cure::None };
                self.add(run, &path, damage.to_string(), cure);
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
                    let stranger = file.identity.and_then(|found| expected.stranger_of_state(&found, dir.index()));
                    if let Some(stranger) = stranger {
                        self.add(run, &dir.state(), stranger.to_string(), Cure::ForgetState(dir.index()));
                    }
                    let mut folders = PlainFolders::new(dir.root());
                    for entry in &file.files {
                        let path = dir.root().join(&entry.path);
                        if let Some(damage) = damage(&mut folders, entry, &path) {
                            self.add(run, &path, damage.to_string(), Cure::ForgetState(dir.index()));
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

/// What is wrong with a file that a manifest or a state lists.
fn damage(folders: &mut PlainFolders<'_>, entry: &FileEntry, path: &Path) -> Option<Damage> {
    match folders.check(path) {
        Err(error) => Some(Damage::Unreadable(error)),
        Ok(()) => entry.damage_at(path),
    }
}

fn is_checkpoint_file(dir: &RunDir, path: &Path) -> bool {
    let relative = dir.relative(path).unwrap_or_default();
    let name = layout::parse_checkpoint_file(&relative).map(|(_, name)| name);
    matches!(name, Some(layout::SOFT | layout::KERNEL | layout::SPECTRA | layout::WEIGHTS))
}
