//! `harness history`: control charts over the sweeps of many nights.

use std::path::{Path, PathBuf};

use clap::Args;

use super::print;
use crate::analysis::Analysis;
use crate::analysis::comparison::{Fixed, Terms};
use crate::analysis::history::{History, Observed, history};
use crate::config::{self, Experiment};
use crate::error::{Error, Result};
use crate::record::{SweepReader, files};
use crate::report::history::{self as pages, words};
use crate::workflow::analyze::{self, Changes, is_sweep};

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Sweeps of one experiment, or folders that hold such sweeps
    #[arg(required = true, value_name = "DIR")]
    sweeps: Vec<PathBuf>,
    /// The first K sweeps make the limits; by default all but the newest, at most 20
    #[arg(long, value_name = "K")]
    baseline: Option<usize>,
    /// Only a signal of the newest sweep ends with exit code 5
    #[arg(long)]
    latest: bool,
    /// Print one JSON object, schema harness.history/1, instead of text
    #[arg(long)]
    json: bool,
    /// Write history.md, its figures and history.json into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Charts, prints, writes with `--out`; a signal is an error of its own.
///
/// # Errors
/// [`Error::Regression`] when a signal counts, [`Error::NotComparable`] when the sweeps are not comparable, [`Error::Invalid`]
/// for what is no sweep or too few of them.
pub fn run(args: &HistoryArgs) -> Result<()> {
    let mut roots = Vec::new();
    for path in &args.sweeps {
        let found = if is_sweep(path) { vec![path.clone()] } else { sweeps_in(path)? };
        if found.is_empty() {
            return Err(Error::Invalid(format!("{} is no sweep and holds none", path.display())));
        }
        roots.extend(found);
    }
    roots.sort();
    roots.dedup();
    let found = of_sweeps(&roots, args.baseline, args.latest)?;
    print(&if args.json { json(&found)? } else { text(&found) })?;
    if let Some(folder) = &args.out {
        write(&found, folder)?;
    }
    red(&found)
}

/// The error that a history with signals ends with.
pub fn red(found: &History) -> Result<()> {
    if !found.red {
        return Ok(());
    }
    Err(Error::Regression(format!("the procedure has moved: {}", words::headline(found))))
}

/// One JSON object on a line.
pub fn json(found: &History) -> Result<String> {
    let text = serde_json::to_string(found)
        .map_err(|cause| Error::Unexpected(format!("cannot write the history as JSON: {cause}")))?;
    Ok(text + "\n")
}

/// `history.md`, its figures, and `history.json`.
pub fn write(found: &History, folder: &Path) -> Result<()> {
    pages::write(found, folder)?;
    files::write(&folder.join("history.json"), json(found)?.as_bytes())
}

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

/// The history of these sweeps.
///
/// # Errors
/// As [`history`] and [`analyze::of_sweep`].
pub fn of_sweeps(roots: &[PathBuf], baseline: Option<usize>, latest_only: bool) -> Result<History> {
    let mut observed = roots.iter().map(|root| observe(root)).collect::<Result<Vec<_>>>()?;
    observed.sort_by(|a, b| (a.0.sweep.started, &a.0.sweep.place).cmp(&(b.0.sweep.started, &b.0.sweep.place)));
    for place in 1..observed.len() {
        let keys = config::diff(&observed[place - 1].1, &observed[place].1).into_iter().map(|diff| diff.key);
        // A seed of its own for each night is how it should be.
        let keys = keys.filter(|key| !["name", "sweep.seed"].contains(&key.as_str()));
        observed[place].0.sweep.changed = keys.collect();
    }
    history(observed.into_iter().map(|held| held.0).collect(), baseline, latest_only)
}

fn observe(root: &Path) -> Result<(Observed, Experiment)> {
    let reader = SweepReader::open(root)?;
    let manifest = reader.manifest();
    let experiment = config::from_stored(&manifest.experiment, &reader.dir().manifest())?;
    let analysis = analysis(root)?;
    let digest =
        analysis.source.facts.iter().find(|fact| fact.name.starts_with("data (")).map(|fact| fact.value.as_str());
    let epoch = analysis.source.epoch.unwrap_or(experiment.train.epochs);
    let judged = &experiment.analysis;
    let reference = serde_json::to_string(&judged.reference).unwrap_or_default().replace('"', "");
    let kernel = experiment.record.kernel.as_ref();
    let terms = Terms::default()
        .and("test examples N", analysis.examples.to_string())
        .and("classes C", analysis.classes.to_string())
        .and("data.eval_limit", experiment.data.eval_limit.map_or_else(|| "none".into(), |limit| limit.to_string()))
        .and("data.seed", experiment.data.seed.to_string())
        .and("record.kernel.probes", kernel.map_or_else(|| "none".into(), |kernel| kernel.probes.to_string()))
        .and("analysis.reference", reference)
        .and("analysis.bootstraps", judged.bootstraps.to_string())
        .and_sweep(&experiment, epoch, digest, Fixed::default());
    Ok((Observed::new(root.display().to_string(), manifest.provenance.started, &analysis, terms), experiment))
}

/// What is known of a sweep: what `run` left in it, else an analysis of now.
///
/// # Errors
/// As [`analyze::of_sweep`].
pub fn analysis(root: &Path) -> Result<Analysis> {
    match stored(&SweepReader::open(root)?)? {
        Some(analysis) => Ok(analysis),
        None => analyze::of_sweep(root, None, &Changes::default()),
    }
}

/// The analysis that `run` left in the sweep, if it is one of all its runs as they are; a history of a year need not analyse
/// every night again.
fn stored(reader: &SweepReader) -> Result<Option<Analysis>> {
    let path = reader.dir().analysis().join("summary.json");
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
    // What cannot be read is made anew: the runs are what counts.
    let Ok(analysis) = serde_json::from_slice::<Analysis>(&bytes) else { return Ok(None) };
    let manifest = reader.manifest();
    let whole = analysis.schema == crate::analysis::SCHEMA
        && analysis.source.experiment.as_deref() == Some(manifest.hash.as_str())
        && analysis.source.left_out.is_empty()
        && analysis.runs.len() == manifest.runs;
    let experiment = config::from_stored(&manifest.experiment, &reader.dir().manifest())?;
    let as_asked = analysis.settings.analysis == experiment.analysis
        && analysis.source.epoch == experiment.checkpoint_epochs().last().copied();
    Ok((whole && as_asked).then_some(analysis))
}

/// What a person reads.
#[must_use]
pub fn text(found: &History) -> String {
    let mut text = format!("{}\n", words::headline(found));
    for sentence in words::signals(found) {
        text.push_str(&format!("- {sentence}\n"));
    }
    text.push('\n');
    for chart in &found.charts {
        let value = |value: f64| words::value(chart.metric, value);
        text.push_str(&format!(
            "{}: newest {}, centre {}, limits {} to {}\n",
            words::name(chart.metric),
            chart.values.last().map_or_else(String::new, |last| value(*last)),
            value(chart.centre),
            value(chart.low),
            value(chart.high)
        ));
    }
    for note in &found.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}
