//! From the directories of many nights to their history, to what a new night comes to, and what is kept of old ones.

use std::path::{Path, PathBuf};

use crate::analysis::comparison::{Comparison, Fixed, Terms};
use crate::analysis::last::{Last, last};
use crate::analysis::nights::{
    Acceptance, Charted, History, Night, Observed, Rules, Standing, Values, judge, of_input,
};
use crate::config::{self, Experiment};
use crate::error::{Error, Result};
use crate::record::{Accepted, NightValues, SweepDir, SweepManifest, SweepReader, files, layout};
use crate::report::history as report;

use super::analyze::{is_sweep, probes};
use super::compare;

/// Nights of the reference whose runs a new night is shown beside, at most.
const BESIDE: usize = 5;

/// The sweeps that lie directly in `folder`, by name.
///
/// # Errors
/// [`Error::Invalid`] if it cannot be listed.
pub fn sweeps_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let invalid = |cause: std::io::Error| Error::Invalid(format!("cannot list {}: {cause}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(invalid)? {
        let path = entry.map_err(invalid)?.path();
        if is_sweep(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The history of the sweeps in these directories, each a sweep or a folder of sweeps. What cannot even be dated is named
/// in the notes.
///
/// # Errors
/// [`Error::Invalid`] where there is no sweep; as [`judge`].
pub fn history(paths: &[PathBuf], rules: &Rules) -> Result<History> {
    let mut roots = Vec::new();
    for path in paths {
        let found = if is_sweep(path) { vec![path.clone()] } else { sweeps_in(path)? };
        if found.is_empty() {
            return Err(Error::Invalid(format!("{} is no sweep and holds none", path.display())));
        }
        roots.extend(found);
    }
    roots.sort();
    roots.dedup();
    let (observed, notes) = observe_all(&roots, None);
    finished(observed, notes, rules)
}

/// The history of `root` and every other night of its name in `folder`, with `root` as the newest whatever the clock says.
///
/// # Errors
/// [`Error::Unexpected`] if `root` has lost its manifest; as [`judge`].
pub fn against(root: &Path, folder: &Path, rules: &Rules) -> Result<History> {
    let Some(own) = SweepManifest::read(&SweepDir::new(root))? else {
        return Err(Error::Unexpected(format!("{} has lost its sweep.json", root.display())));
    };
    let same = |one: &Path, other: &Path| match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    };
    let mut roots: Vec<PathBuf> = sweeps_in(folder)?.into_iter().filter(|path| !same(path, root)).collect();
    roots.push(root.to_path_buf());
    let (observed, notes) = observe_all(&roots, Some((root, &own.name)));
    finished(observed, notes, rules)
}

/// Observes every sweep; of `newest` the name says which sweeps are its nights.
fn observe_all(roots: &[PathBuf], newest: Option<(&Path, &str)>) -> (Vec<(Observed, Experiment)>, Vec<String>) {
    let (mut observed, mut notes) = (Vec::new(), Vec::new());
    for root in roots {
        match observe(root) {
            Ok((mut held, experiment)) => {
                if let Some((own, name)) = newest {
                    if held.night.name != name {
                        continue;
                    }
                    held.newest = root == own;
                }
                observed.push((held, experiment));
            }
            Err(error) => notes.push(format!("{} is left out: {error}.", root.display())),
        }
    }
    (observed, notes)
}

fn finished(mut observed: Vec<(Observed, Experiment)>, notes: Vec<String>, rules: &Rules) -> Result<History> {
    observed.sort_by(|(a, _), (b, _)| {
        (a.newest, a.night.started, &a.night.place).cmp(&(b.newest, b.night.started, &b.night.place))
    });
    for place in 1..observed.len() {
        observed[place].0.night.changed = changed(&observed[place - 1].1, &observed[place].1);
    }
    if observed.is_empty() && !notes.is_empty() {
        return Err(Error::Invalid(notes.join(" ")));
    }
    let mut found = judge(observed.into_iter().map(|held| held.0).collect(), rules)?;
    found.notes.splice(0..0, notes);
    Ok(found)
}

/// Keys in which two nights differ, but for the name and the seed, which each night should have of its own.
fn changed(before: &Experiment, after: &Experiment) -> Vec<String> {
    let keys = config::diff(before, after).into_iter().map(|diff| diff.key);
    keys.filter(|key| !["name", "sweep.seed"].contains(&key.as_str())).collect()
}

/// One night as it lies in its directory. Damaged and missing runs are said in the result.
///
/// # Errors
/// As [`SweepReader::open`], and for a stored experiment that cannot be used: such a night cannot be dated or named.
pub fn observe(root: &Path) -> Result<(Observed, Experiment)> {
    let reader = SweepReader::open(root)?;
    let manifest = reader.manifest();
    let experiment = config::from_stored(&manifest.experiment, &reader.dir().manifest())?;
    let accepted = Accepted::read(&reader.dir().accepted())?;
    let mut night = Night {
        name: manifest.name.clone(),
        place: root.display().to_string(),
        started: manifest.provenance.started,
        experiment: Some(manifest.hash.clone()),
        runs: 0,
        planned: manifest.runs,
        changed: Vec::new(),
        origin: Vec::new(),
        accepted: accepted.map(|held| Acceptance { at: held.at, by: held.by, why: held.why }),
        standing: Standing::First,
        evidence: None,
        evidence_better: None,
        reference: 0,
        why: String::new(),
    };
    // Whoever trains the runs of a pruned night again has them back.
    let kept = if reader.dir().runs().exists() { None } else { NightValues::read(&reader.dir().night())? };
    let held = match kept {
        Some(kept) => Ok(kept),
        None => values(&reader, &experiment),
    };
    let held = held.and_then(|held| Ok((metrics(&held)?, held)));
    Ok(match held {
        Ok((values, held)) => {
            night.runs = held.runs;
            night.origin = held.origin;
            let observed = Observed {
                night,
                terms: Terms::of_fields(held.terms),
                values,
                unusable: None,
                incomplete: held.incomplete,
                newest: false,
                digests: held.digests,
            };
            (observed, experiment)
        }
        Err(error) => {
            let unusable = Some(error.to_string());
            let observed = Observed {
                night,
                terms: Terms::default(),
                values: Vec::new(),
                unusable,
                incomplete: None,
                newest: false,
                digests: Vec::new(),
            };
            (observed, experiment)
        }
    })
}

fn metrics(held: &NightValues) -> Result<Vec<Values>> {
    let read = |(name, values): &(String, Vec<f64>)| {
        let metric = Charted::try_from(name.clone()).map_err(Error::Invalid)?;
        Ok(Values { metric, values: values.clone() })
    };
    held.values.iter().map(read).collect()
}

/// The values of a night from its runs.
fn values(reader: &SweepReader, experiment: &Experiment) -> Result<NightValues> {
    let planned = reader.manifest().runs;
    let Last { epoch, input, weights, kernels, left_out, .. } = last(reader, None, None)?;
    let (runs, _) = reader.runs();
    let complete = input.runs().len();
    let of_probes: Vec<u32> = probes(experiment, input.labels(), input.classes())
        .into_iter()
        .filter_map(|probe| input.labels().get(probe).copied())
        .collect();
    let (found, distinct) = of_input(&input, &weights, &kernels, &of_probes)?;
    let fixed = Fixed { epsilon: true, clip: true, ..Fixed::default() };
    let mut terms = Terms::of_input(&input).and_sweep(experiment, epoch, None, fixed);
    if let Some(kernel) = &experiment.record.kernel {
        terms = terms
            .and("record.kernel.probes", kernel.probes.to_string())
            .and("data.seed", experiment.data.seed.to_string());
    }
    let soft = layout::checkpoint_file(epoch, layout::SOFT);
    let mut digests: Vec<String> = runs
        .iter()
        .filter_map(|run| run.files().iter().find(|file| file.path == soft))
        .map(|f| f.blake3.clone())
        .collect();
    digests.sort();
    let origin = runs.first().map(|run| &run.outcome().provenance);
    let mut facts: Vec<(String, String)> = Vec::new();
    if let Some(origin) = origin {
        facts.push(("version".into(), origin.version.clone()));
        facts.extend(origin.git_commit.clone().map(|commit| ("commit".into(), commit)));
        facts.extend(origin.data_digest.clone().map(|digest| ("data (BLAKE3)".into(), digest)));
        facts.push(("machine".into(), format!("{}, {}, {}", origin.host, origin.system, origin.cpu)));
        facts.push(("backend".into(), format!("{}, {}", origin.backend, origin.device)));
    }
    let why = left_out.first().map_or_else(String::new, |held| format!(" (run {}: {})", held.run, held.why));
    Ok(NightValues {
        schema: String::new(),
        runs: distinct,
        terms: terms.fields(),
        origin: facts,
        values: found.into_iter().map(|held| (held.metric.into(), held.values)).collect(),
        digests,
        incomplete: (complete < planned).then(|| format!("{complete} of {planned} runs are complete{why}")),
    })
}

/// What to look at first where the newest night is not as those before it, a sentence each: how it differs from the night
/// before the change in its experiment and in what made it.
///
/// # Errors
/// [`Error::Invalid`] where a stored experiment cannot be read again.
pub fn first_look(found: &History) -> Result<Vec<String>> {
    let Some(since) = found.alarm.map(|alarm| alarm.since) else { return Ok(Vec::new()) };
    let Some(before) = found.reference.iter().copied().rfind(|&place| place < since) else { return Ok(Vec::new()) };
    let (old, new) = (&found.sweeps[before], &found.sweeps[since]);
    let mut sentences = Vec::new();
    let experiment = |night: &Night| observe(Path::new(&night.place)).map(|held| held.1);
    let (one, other) = (experiment(old)?, experiment(new)?);
    let keys: Vec<String> = config::diff(&one, &other)
        .into_iter()
        .filter(|diff| !["name", "sweep.seed"].contains(&diff.key.as_str()))
        .map(|diff| {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "nothing".into());
            format!("`{}` from {} to {}", diff.key, shown(diff.old), shown(diff.new))
        })
        .collect();
    sentences.push(match keys.as_slice() {
        [] => format!("The experiment of {} is that of {}, but for the seed.", new.place, old.place),
        keys => {
            format!("The experiment changed from {} to {}: {}.", old.place, new.place, crate::report::text::list(keys))
        }
    });
    let of = |night: &Night, name: &str| night.origin.iter().find(|held| held.0 == name).map(|held| held.1.clone());
    let changed: Vec<String> = new
        .origin
        .iter()
        .filter(|(name, value)| of(old, name).is_some_and(|before| before != *value))
        .map(|(name, value)| format!("{name} from {} to {value}", of(old, name).unwrap_or_default()))
        .collect();
    sentences.push(match changed.as_slice() {
        [] => "Program, data and machine are the same.".to_owned(),
        changed => format!("What made the runs changed: {}.", crate::report::text::list(changed)),
    });
    Ok(sentences)
}

/// The newest night beside the newest ones of its reference; none where there is no reference with runs on disk.
///
/// # Errors
/// As [`compare::beside`].
pub fn beside(root: &Path, found: &History) -> Result<Option<Comparison>> {
    let places = found.reference.iter().rev().map(|&place| Path::new(&found.sweeps[place].place));
    let reference: Vec<&Path> =
        places.filter(|path| *path != root && SweepDir::new(path).runs().exists()).take(BESIDE).collect();
    if reference.is_empty() {
        return Ok(None);
    }
    let reference: Vec<&Path> = reference.into_iter().rev().collect();
    compare::beside(root, &reference).map(Some)
}

/// `history.md`, its figures, and `history.json`.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn write(found: &History, look: &[String], folder: &Path) -> Result<()> {
    report::write(found, look, folder)?;
    files::write(&folder.join("history.json"), compare::json(found)?.as_bytes())
}

/// Records that a person wants the procedure of the sweep in `root`, or takes that back.
///
/// # Errors
/// As [`SweepReader::open`]; [`Error::Invalid`] for nothing to take back.
pub fn accept(root: &Path, by: String, why: Option<String>, undo: bool) -> Result<()> {
    let reader = SweepReader::open(root)?;
    let path = reader.dir().accepted();
    if !undo {
        return Accepted::new(by, why).write(&path);
    }
    if files::remove(&path)? {
        return Ok(());
    }
    Err(Error::Invalid(format!("{} was not accepted, so there is nothing to take back", root.display())))
}

/// A night whose runs were removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The folder of the night.
    pub root: PathBuf,
    /// Bytes that were freed.
    pub bytes: u64,
}

/// Removes runs, tables and reports of all but the `keep` newest nights of each name in `folder`. What a history needs of them
/// stays (`night.json`), so that no verdict changes. Nights that are not complete are left alone. With `only_say` nothing is
/// removed.
///
/// # Errors
/// Whatever the file system refuses.
pub fn prune(folder: &Path, keep: usize, only_say: bool) -> Result<(Vec<Pruned>, Vec<String>)> {
    let (observed, mut notes) = observe_all(&sweeps_in(folder)?, None);
    let mut names: Vec<&str> = observed.iter().map(|held| held.0.night.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut done = Vec::new();
    for name in names {
        let mut nights: Vec<&(Observed, Experiment)> =
            observed.iter().filter(|held| held.0.night.name == name).collect();
        nights.sort_by_key(|held| held.0.night.started);
        nights.truncate(nights.len().saturating_sub(keep));
        for (held, experiment) in nights {
            let root = Path::new(&held.night.place);
            let sweep = SweepDir::new(root);
            if !sweep.runs().exists() {
                continue;
            }
            if let Some(why) = held.unusable.as_ref().or(held.incomplete.as_ref()) {
                notes.push(format!("{} is left alone: {why}.", root.display()));
                continue;
            }
            let gone = [sweep.runs(), sweep.analysis(), sweep.report(), sweep.slurm()];
            let mut bytes = 0;
            for path in gone.iter().map(|folder| files::walk(folder)).collect::<Result<Vec<_>>>()?.concat() {
                bytes += std::fs::symlink_metadata(&path).map_or(0, |found| found.len());
            }
            if !only_say {
                // What is needed is there before anything goes.
                values(&SweepReader::open(root)?, experiment)?.write(&sweep.night())?;
                for folder in gone {
                    files::remove_folder(&folder)?;
                }
            }
            done.push(Pruned { root: root.to_path_buf(), bytes });
        }
    }
    Ok((done, notes))
}
