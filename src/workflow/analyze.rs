//! From a sweep's directory to its analysis, its tables and its report.

use std::path::{Path, PathBuf};

use crate::analysis::representations::{self, Represented};
use crate::analysis::tuning::{self, StartedFrom};
use crate::analysis::{Analysis, Fact, Images, Settings, VARIES, analyze, ensembles, images, sweep, tables};
use crate::config::{self, Experiment, Reference};
use crate::data::{self, Dataset, Split};
use crate::error::{Error, Result};
use crate::record::{Origin, Provenance, RunReader, SweepDir, SweepReader, files, index};
use crate::report::{self, Extras};

/// Bytes of all pictures of a page, at most.
const PICTURES: usize = 600_000;

/// How a sweep is judged otherwise than its experiment says; what is `None` stays as it is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes {
    /// Chance that a healthy run leaves the band of its reference by itself, in (0, 1).
    pub epsilon: Option<f64>,
    /// Bootstrap resamples of α̂.
    pub bootstraps: Option<usize>,
    /// What a run is compared with for α̂.
    pub reference: Option<Reference>,
    /// Margins of at least this size are set to 0; above 0.
    pub clip: Option<f64>,
    /// α̂ by the letter of the published protocol.
    pub literal: bool,
}

impl Changes {
    /// The settings with these changes.
    #[must_use]
    pub fn applied(&self, mut settings: Settings) -> Settings {
        let judged = &mut settings.analysis;
        judged.epsilon = self.epsilon.unwrap_or(judged.epsilon);
        judged.bootstraps = self.bootstraps.unwrap_or(judged.bootstraps);
        judged.reference = self.reference.unwrap_or(judged.reference);
        judged.clip = self.clip.or(judged.clip);
        judged.literal |= self.literal;
        settings
    }
}

/// What was written, and what could not be.
#[derive(Debug)]
pub struct Written {
    /// The folder of the report.
    pub folder: PathBuf,
    /// What the report lacks, a sentence each.
    pub remarks: Vec<String>,
}

/// Analyses the sweep in the directory `root` at `epoch`, or at the last epoch that all runs recorded.
///
/// # Errors
/// As [`SweepReader::open`], [`sweep::read`] and [`analyze`].
pub fn of_sweep(root: &Path, epoch: Option<usize>, changes: &Changes) -> Result<Analysis> {
    let reader = SweepReader::open(root)?;
    let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
    let settings = changes.applied(Settings { analysis: experiment.analysis.clone(), flags: experiment.flags.clone() });
    let known = sweep::Known {
        // Results can be looked at where the data are not.
        class_names: data::facts(&experiment.data).map(|facts| facts.classes).unwrap_or_default(),
        facts: facts(&experiment),
    };
    let probes = |labels: &[u32], classes: usize| probes(&experiment, labels, classes);
    let (input, mut evidence) = sweep::read(&reader, epoch, known, probes, &settings)?;
    // Where all runs start from the same file they share an ancestor on purpose.
    if experiment.model.start.weights.is_none() {
        evidence.related = super::lineage::related(&reader.runs().0)?;
    }
    let options = ensembles::Options { seed: settings.analysis.seed, ..ensembles::Options::default() };
    let ensembles = ensembles::ensembles(&input, &evidence, &options, &settings)?;
    let start = &experiment.model.start;
    let from = start.weights.as_ref().map(|weights| StartedFrom {
        weights: weights.clone(),
        digest: start.digest.clone(),
        fresh_head: start.draws_head(),
    });
    let tuning = from.zip(evidence.epoch).and_then(|(from, epoch)| tuning::read(&from, &reader, epoch));
    Ok(Analysis { ensembles, tuning, ..analyze(&input, evidence, settings)? })
}

/// What embeddings in `files` say of the runs of an analysis; none without files.
///
/// # Errors
/// As [`super::embed::read`] and [`representations::represented`].
pub fn represented(files: &[PathBuf], analysis: &Analysis) -> Result<Option<Represented>> {
    if files.is_empty() {
        return Ok(None);
    }
    let held: Vec<_> = files.iter().map(|path| super::embed::read(path)).collect::<Result<_>>()?;
    let known = |run: &u32| analysis.runs.iter().any(|held| held.run == *run);
    if let Some(run) = held.iter().flat_map(|held| &held.runs).find(|run| !known(run)) {
        return Err(Error::NotComparable(format!(
            "the embeddings are of a run {run} that this sweep's analysis does not have: embed the same sweep"
        )));
    }
    let flagged: Vec<u32> = analysis.runs.iter().filter(|run| run.is_flagged()).map(|run| run.run).collect();
    representations::represented(&held, &flagged).map(Some)
}

/// Whether the directory of a sweep lies at `path`.
#[must_use]
pub fn is_sweep(path: &Path) -> bool {
    path.is_dir() && SweepDir::new(path).is_there()
}

/// Which examples of the evaluation set the recorded kernels are of; none where the experiment records no kernels.
pub(super) fn probes(experiment: &Experiment, labels: &[u32], classes: usize) -> Vec<usize> {
    let Some(kernel) = &experiment.record.kernel else { return Vec::new() };
    let none = || -> Split { Split { pixels: Vec::new(), labels: Vec::new() } };
    // The choice depends on labels and seed alone.
    let outline = Dataset {
        shape: [0; 3],
        classes: vec![String::new(); classes],
        train: none(),
        eval: Split { labels: labels.to_vec(), ..none() },
        groups: None,
        digest: String::new(),
    };
    data::probe_set(&outline, kernel.probes, experiment.data.seed)
}

/// The experiment in a few lines.
fn facts(experiment: &Experiment) -> Vec<Fact> {
    fn shown(value: impl serde::Serialize) -> String {
        serde_json::to_value(value).map(|value| in_words(&value)).unwrap_or_default()
    }
    let data = match &experiment.data.classes {
        Some(classes) => format!("{}, classes {classes:?}", experiment.data.dataset.name()),
        None => experiment.data.dataset.name().to_owned(),
    };
    let train = &experiment.train;
    vec![
        fact("data", data),
        fact("model", shown(&experiment.model)),
        fact("optimiser", shown(&train.optimizer)),
        fact("schedule", shown(&train.schedule)),
        fact("epochs, batch", format!("{}, {}", train.epochs, train.batch_size)),
        fact(VARIES, shown(&experiment.sweep.vary)),
        fact("root seed", experiment.sweep.seed.to_string()),
    ]
}

/// A part of an experiment in words: its kind, then names and values.
fn in_words(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(held) => if *held { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) if items.is_empty() => "nothing".to_owned(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let kind = map.get("kind").map(in_words);
            let rest = map.iter().filter(|(name, held)| *name != "kind" && !held.is_null());
            let rest = rest.map(|(name, held)| format!("{} {}", name.replace('_', " "), in_words(held)));
            kind.into_iter().chain(rest).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Writes what the analysis of a sweep leaves behind: its tables into the sweep, its report into `folder` or the sweep.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn write(sweep: &SweepDir, analysis: &Analysis, folder: Option<&Path>) -> Result<Written> {
    write_with(sweep, analysis, None, folder)
}

/// The same with what embeddings say of the runs.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn write_with(
    sweep: &SweepDir,
    analysis: &Analysis,
    represented: Option<Represented>,
    folder: Option<&Path>,
) -> Result<Written> {
    // A report that goes elsewhere needs nothing of the sweep's directory but to be read.
    let remark = match folder {
        Some(_) => write_tables(sweep, analysis)?,
        None => index::make(sweep, &sweep.analysis(), |folder| tables::write(analysis, folder)).map(|()| None)?,
    };
    let (extras, mut remarks) = extras(sweep.root(), analysis)?;
    let extras = Extras { represented, ..extras };
    remarks.extend(remark);
    let folder = match folder {
        Some(folder) => {
            report::write(analysis, &extras, folder)?;
            folder.to_path_buf()
        }
        // Only the sweep's own files are there for `verify` to check.
        None => {
            index::make(sweep, &sweep.report(), |folder| report::write(analysis, &extras, folder))?;
            sweep.report()
        }
    };
    Ok(Written { folder, remarks })
}

/// Writes the tables of a sweep's analysis into the sweep; says why not where nothing can be written there, as on a read-only
/// disk or in a colleague's sweep.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn write_tables(sweep: &SweepDir, analysis: &Analysis) -> Result<Option<String>> {
    if !files::can_write(sweep.root()) {
        let root = sweep.root().display();
        return Ok(Some(format!("the tables were not written: {root} cannot be written to")));
    }
    index::make(sweep, &sweep.analysis(), |folder| tables::write(analysis, folder)).map(|()| None)
}

/// Writes tables and report into a folder that belongs to no sweep.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn write_apart(analysis: &Analysis, extras: &Extras, folder: &Path) -> Result<()> {
    tables::write(analysis, folder)?;
    report::write(analysis, extras, folder)
}

/// What the report of a sweep shows besides its analysis, and remarks on what is missing.
///
/// # Errors
/// As [`SweepReader::open`].
pub fn extras(root: &Path, analysis: &Analysis) -> Result<(Extras, Vec<String>)> {
    let (images, remarks) = pictures(root, analysis)?;
    let reader = SweepReader::open(root)?;
    let (runs, _) = reader.runs();
    let mut facts = made();
    facts.extend(trained(&runs));
    let digest = digest(&reader.dir().manifest())?;
    facts.push(fact("sweep", format!("{}, sweep.json (BLAKE3) {digest}", root.display())));
    Ok((Extras { images, represented: None, facts }, remarks))
}

/// When, by which version and by which command a report is made.
#[must_use]
pub fn made() -> Vec<Fact> {
    // https://reproducible-builds.org/specs/source-date-epoch/: whoever wants the same bytes at any time sets it.
    let now = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let now = now.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).unwrap_or_else(jiff::Timestamp::now);
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./=,:+@%".contains(c));
    let quoted = words.map(|word| if plain(&word) { word } else { format!("'{}'", word.replace('\'', "'\\''")) });
    let command: Vec<String> = std::iter::once(program).chain(quoted).collect();
    vec![
        fact(
            "report written",
            format!("{} by harness {}", now.strftime("%Y-%m-%dT%H:%M:%SZ"), env!("CARGO_PKG_VERSION")),
        ),
        fact("command", command.join(" ")),
    ]
}

/// The machine on which this is running.
#[must_use]
pub fn machine() -> Fact {
    let here = Provenance::now(Origin::default());
    fact("machine", format!("{}, {}, {}", here.host, here.system, here.cpu))
}

/// When the runs were trained.
fn trained(runs: &[RunReader]) -> Option<Fact> {
    let provenances = || runs.iter().map(|run| &run.outcome().provenance);
    let begun = provenances().map(|held| held.started).min()?;
    let ended = provenances().filter_map(|held| held.ended).max();
    let date = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Some(fact("runs trained", ended.map_or_else(|| date(begun), |ended| format!("{} to {}", date(begun), date(ended)))))
}

/// BLAKE3 of a file, in hex.
///
/// # Errors
/// [`Error::Unexpected`] if it cannot be read.
pub fn digest(path: &Path) -> Result<String> {
    let hashed = std::fs::File::open(path).and_then(|file| Ok(blake3::Hasher::new().update_reader(file)?.finalize()));
    hashed.map(|hash| hash.to_hex().to_string()).map_err(|cause| Error::io("read", path, &cause))
}

fn fact(name: &str, value: String) -> Fact {
    Fact { name: name.to_owned(), value }
}

/// The examples on which runs stand alone as pictures. None where no run does, and, with a remark, where the data are not at
/// hand or are no longer those that the runs saw: the report is written all the same.
fn pictures(root: &Path, analysis: &Analysis) -> Result<(Option<Images>, Vec<String>)> {
    if images::wanted(analysis, 1).is_empty() {
        return Ok((None, Vec::new()));
    }
    let reader = SweepReader::open(root)?;
    let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
    let (runs, _) = reader.runs();
    let seen = runs.first().and_then(|run| run.outcome().provenance.data_digest.clone());
    let found = data::facts(&experiment.data).and_then(|facts| {
        let size: usize = facts.shape.iter().product();
        data::pictures(&experiment.data, &images::wanted(analysis, PICTURES / size.max(1)))
    });
    let missing = match found {
        Ok(found) if seen.is_none_or(|seen| seen == found.digest) => {
            return Ok((Some(Images { shape: found.shape, pixels: found.pixels }), Vec::new()));
        }
        Ok(_) => "the data are no longer those that the runs saw".to_owned(),
        Err(error) => error.to_string(),
    };
    Ok((None, vec![format!("the page shows no pictures: {missing}")]))
}
