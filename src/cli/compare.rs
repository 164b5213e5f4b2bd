//! `harness compare`: whether a candidate is still the same procedure as its baseline.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};

use super::print;
use crate::analysis::comparison::{
    Comparison, Finding, Fixed, Quantity, Settings, Subject, Swept, Terms, Tolerances, Verdict, compare,
};
use crate::analysis::files::{self, AnyInput, Foreign, Reading};
use crate::analysis::last::{Last, last};
use crate::analysis::numbers::or_dash;
use crate::analysis::{Input, RunLogits};
use crate::config;
use crate::error::{Error, Result};
use crate::record::SweepReader;
use crate::report::comparison::{self, words};
use crate::stats::logits::Real;
use crate::workflow::analyze::is_sweep;

/// How two sets of runs are compared; shared with `run --against`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Comparison")]
pub struct JudgingArgs {
    /// How large a difference is let pass, in the unit of each quantity: 0.005 for all, nll=0.02 for one; may be repeated
    #[arg(long, value_name = "[NAME=]SIZE")]
    tolerance: Vec<Tolerance>,
    /// Confidence of all tests and intervals together
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// A verdict besides `same` that does not end with exit code 5; may be repeated
    #[arg(long, value_name = "VERDICT")]
    accept: Vec<Accepted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Accepted {
    Better,
    Different,
    Worse,
}

/// One argument of `--tolerance`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tolerance {
    quantity: Option<Quantity>,
    size: f64,
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, number) = text.split_once('=').map_or((None, text), |(name, number)| (Some(name.trim()), number));
        let size: f64 = number.trim().parse().map_err(|_| format!("`{number}` is not a number"))?;
        if !(size >= 0.0 && size.is_finite()) {
            return Err(format!("a tolerance is a size of at least 0, not {size}"));
        }
        let quantity = match name {
            None => None,
            Some(name) => {
                Some(Quantity::ALL.into_iter().find(|quantity| quantity.name() == name).ok_or_else(|| {
                    let names: Vec<&str> = Quantity::ALL.iter().map(|quantity| quantity.name()).collect();
                    format!("there is no quantity `{name}`: choose one of {}", names.join(", "))
                })?)
            }
        };
        Ok(Self { quantity, size })
    }
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What the candidate is held against: a sweep's directory, a file of soft decisions (.npz, .npy, .parquet), or a folder of
    /// such files, one per run
    baseline: PathBuf,
    /// What is judged, of the same kinds
    candidate: PathBuf,
    /// Only these runs of the baseline: 0-9,12
    #[arg(long, value_name = "RUNS")]
    baseline_runs: Option<Selection>,
    /// Only these runs of the candidate
    #[arg(long, value_name = "RUNS")]
    candidate_runs: Option<Selection>,
    /// Epoch that is compared; by default the last, and then both must have recorded the same epochs
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
    /// ε of the trimming levels, for both; by default that of the experiments, which must agree
    #[arg(long, value_name = "ε")]
    epsilon: Option<f64>,
    /// Set margins of at least this size to 0
    #[arg(long, value_name = "SIZE")]
    clip: Option<f64>,
    /// Labels for files that hold none: .npy, or .npz with `labels`
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The files hold probabilities rather than logits
    #[arg(long)]
    probabilities: bool,
    /// Group of an array of four axes [groups, runs, examples, classes]
    #[arg(long, value_name = "G")]
    index: Option<usize>,
    #[command(flatten)]
    judging: JudgingArgs,
    /// Print one JSON object, schema harness.comparison/1, instead of a table
    #[arg(long)]
    json: bool,
    /// Write compare.md, its figures and comparison.json into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Indices of runs, as `0-9,12`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Selection(BTreeSet<u32>);

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        /// No sweep has more runs.
        const MOST: u32 = 1_000_000;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| format!("`{text}` is not the index of a run"));
        let mut chosen = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last || last >= MOST {
                return Err(format!("`{part}` is no range of runs: write 0-9"));
            }
            chosen.extend(first..=last);
        }
        Ok(Self(chosen))
    }
}

/// Compares, prints, writes with `--out`; a difference beyond the tolerance is an error of its own.
///
/// # Errors
/// [`Error::Regression`] when the comparison is red, [`Error::NotComparable`] when the sides are not comparable,
/// [`Error::Invalid`] for input that cannot be read.
pub fn run(args: &CompareArgs) -> Result<()> {
    let found = args.compare()?;
    print(&if args.json { json(&found)? } else { text(&found, std::io::stdout().is_terminal()) })?;
    if let Some(folder) = &args.out {
        write(&found, folder)?;
    }
    red(&found)
}

/// The error that a red comparison ends with.
pub fn red(found: &Comparison) -> Result<()> {
    if !found.red {
        return Ok(());
    }
    let names: Vec<&str> = found.beyond().map(|metric| metric.metric.name()).collect();
    Err(Error::Regression(format!(
        "the candidate is {}: {} beyond the tolerance",
        found.verdict.name(),
        names.join(", ")
    )))
}

/// One JSON object on a line.
pub fn json(found: &Comparison) -> Result<String> {
    let text = serde_json::to_string(found)
        .map_err(|cause| Error::Unexpected(format!("cannot write the comparison as JSON: {cause}")))?;
    Ok(text + "\n")
}

/// `compare.md`, its figures, and `comparison.json`.
pub fn write(found: &Comparison, folder: &Path) -> Result<()> {
    comparison::write(found, folder)?;
    crate::record::files::write(&folder.join("comparison.json"), json(found)?.as_bytes())
}

/// One side as it was read, in the precision of its files.
enum Read {
    F32(Box<Subject<f32>>),
    F64(Box<Subject<f64>>),
}

impl CompareArgs {
    fn compare(&self) -> Result<Comparison> {
        let fixed = Fixed { epoch: self.epoch.is_some(), epsilon: self.epsilon.is_some(), clip: self.clip.is_some() };
        if let Some(clip) = self.clip.filter(|clip| !(*clip > 0.0 && clip.is_finite())) {
            return Err(Error::Usage(format!("`--clip` is {clip}, but margins are clipped at a positive size")));
        }
        let baseline = self.read(&self.baseline, self.baseline_runs.as_ref(), fixed)?;
        let candidate = self.read(&self.candidate, self.candidate_runs.as_ref(), fixed)?;
        match (baseline, candidate) {
            (Read::F32(baseline), Read::F32(candidate)) => self.judge(&baseline, &candidate),
            (baseline, candidate) => self.judge(&wide(baseline)?, &wide(candidate)?),
        }
    }

    fn judge<T: Real>(&self, baseline: &Subject<T>, candidate: &Subject<T>) -> Result<Comparison> {
        // Where both are sweeps they agree, or are refused as not comparable.
        let analysis = [baseline, candidate]
            .into_iter()
            .find_map(|side| side.sweep.as_ref())
            .map(|sweep| &sweep.experiment.analysis);
        let default = config::Analysis::default();
        let analysis = analysis.unwrap_or(&default);
        compare(
            baseline,
            candidate,
            &self.judging.settings(
                self.epsilon.unwrap_or(analysis.epsilon),
                self.clip.or(analysis.clip),
                analysis.seed,
            ),
        )
    }

    fn read(&self, path: &Path, runs: Option<&Selection>, fixed: Fixed) -> Result<Read> {
        if is_sweep(path) {
            return Ok(Read::F32(Box::new(subject(path, self.epoch, runs.map(|runs| &runs.0), fixed)?)));
        }
        if self.epoch.is_some() {
            return Err(Error::Usage(format!("`--epoch` belongs to sweeps, and {} is none", path.display())));
        }
        let reading = Reading {
            labels: self.labels.clone(),
            probabilities: self.probabilities,
            group: self.index,
            // A run that diverged is counted as such.
            diverged: true,
        };
        let paths = if path.is_dir() { files_in(path)? } else { vec![path.to_path_buf()] };
        let Foreign { input, notes } = files::read(&paths, &reading)?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let place = path.display().to_string();
        let notes: Vec<String> = notes.into_iter().map(|note| format!("{place}: {note}")).collect();
        Ok(match input {
            AnyInput::F32(input) => Read::F32(Box::new(foreign(name, place, input, notes, runs)?)),
            AnyInput::F64(input) => Read::F64(Box::new(foreign(name, place, input, notes, runs)?)),
        })
    }
}

impl JudgingArgs {
    pub fn settings(&self, epsilon: f64, clip: Option<f64>, seed: u64) -> Settings {
        let all = self.tolerance.iter().rev().find(|held| held.quantity.is_none()).map_or(0.0, |held| held.size);
        let own = self.tolerance.iter().filter_map(|held| Some((held.quantity?, held.size))).collect();
        let accepted = self.accept.iter().map(|verdict| match verdict {
            Accepted::Better => Verdict::Better,
            Accepted::Different => Verdict::Different,
            Accepted::Worse => Verdict::Worse,
        });
        Settings {
            epsilon,
            clip,
            confidence: self.confidence,
            tolerances: Tolerances { all, own },
            accepted: accepted.collect(),
            seed,
        }
    }
}

/// A sweep as one side of a comparison.
///
/// # Errors
/// As [`SweepReader::open`] and [`last`].
pub fn subject(root: &Path, epoch: Option<usize>, runs: Option<&BTreeSet<u32>>, fixed: Fixed) -> Result<Subject<f32>> {
    let reader = SweepReader::open(root)?;
    let manifest = reader.manifest();
    let experiment = config::from_stored(&manifest.experiment, &reader.dir().manifest())?;
    let Last { epoch, input, weights, kernels, data_digest, left_out, notes } = last(&reader, epoch, runs)?;
    Ok(Subject {
        name: manifest.name.clone(),
        place: root.display().to_string(),
        terms: Terms::of_input(&input).and_sweep(&experiment, epoch, data_digest.as_deref(), fixed),
        input,
        sweep: Some(Swept {
            experiment,
            epoch,
            started: manifest.provenance.started.to_string(),
            weights,
            kernels,
            left_out,
        }),
        notes,
    })
}

fn foreign<T: Real>(
    name: String,
    place: String,
    input: Input<T>,
    notes: Vec<String>,
    runs: Option<&Selection>,
) -> Result<Subject<T>> {
    let input = match runs {
        Some(runs) => input.only(&runs.0)?,
        None => input,
    };
    Ok(Subject { name, place, terms: Terms::of_input(&input), input, sweep: None, notes })
}

/// Files of soft decisions that lie in `folder`, by name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let invalid = |cause: &std::io::Error| Error::Invalid(format!("cannot list {}: {cause}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|cause| invalid(&cause))? {
        let path = entry.map_err(|cause| invalid(&cause))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if path.is_file() && ["npz", "npy", "parquet"].contains(&extension) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::Invalid(format!(
            "{} is no sweep (there is no sweep.json in it) and holds no .npz, .npy or .parquet",
            folder.display()
        )));
    }
    found.sort();
    Ok(found)
}

/// In double precision, where the other side is.
fn wide(read: Read) -> Result<Subject<f64>> {
    match read {
        Read::F64(subject) => Ok(*subject),
        Read::F32(subject) => {
            let Subject { name, place, input, terms, sweep, notes } = *subject;
            let runs = input.runs().iter().map(|run| RunLogits {
                index: run.index,
                logits: run.logits.iter().map(|&logit| f64::from(logit)).collect(),
            });
            let input = Input::new(input.labels().to_vec(), input.classes(), runs.collect())?;
            Ok(Subject { name, place, input, terms, sweep, notes })
        }
    }
}

/// What a person reads: the verdict and its evidence, a table of tests, notes.
#[must_use]
pub fn text(found: &Comparison, terminal: bool) -> String {
    let mut text = format!("{}\n\n", words::headline(found));
    for sentence in words::evidence(found) {
        text.push_str(&format!("- {sentence}\n"));
    }
    text.push('\n');
    for sentence in words::description(found) {
        text.push_str(&format!("{sentence}\n\n"));
    }
    text.push_str(&table(found, terminal));
    for vote in found.votes.examples.iter().take(5) {
        text.push_str(&format!(
            "example {} (label {}): {} of {} % becomes {} of {} %\n",
            vote.example,
            vote.label,
            vote.baseline,
            (vote.baseline_share * 100.0).round(),
            vote.candidate,
            (vote.candidate_share * 100.0).round()
        ));
    }
    if found.votes.examples.len() > 5 {
        text.push_str(&format!("{} more changed votes (`--json` has all)\n", found.votes.examples.len() - 5));
    }
    if !found.changed.is_empty() {
        let keys: Vec<&str> = found.changed.iter().map(|key| key.key.as_str()).collect();
        text.push_str(&format!("the experiments differ in {}\n", keys.join(", ")));
    }
    for note in &found.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

fn table(found: &Comparison, terminal: bool) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header([
        "quantity",
        "baseline",
        "candidate",
        "between",
        "difference",
        "interval",
        "p",
        "corrected",
        "finding",
    ]);
    for metric in &found.metrics {
        let quantity = metric.metric;
        table.add_row([
            quantity.name().to_owned(),
            words::value(quantity, metric.baseline),
            words::value(quantity, metric.candidate),
            or_dash(metric.between, |between| words::value(quantity, between)),
            words::difference(quantity, metric.difference),
            words::interval(metric),
            words::p_value(metric.p),
            words::p_value(metric.p_corrected),
            finding(metric.finding).to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn finding(finding: Finding) -> &'static str {
    match finding {
        Finding::Same => "same",
        Finding::Tolerated => "tolerated",
        Finding::Better => "better",
        Finding::Worse => "worse",
        Finding::Different => "different",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_and_tolerances_are_read() {
        assert_eq!("0-2,7".parse::<Selection>(), Ok(Selection([0, 1, 2, 7].into())));
        for wrong in ["", "3-1", "a", "1-", "0-4000000000", "1,,2"] {
            assert!(wrong.parse::<Selection>().is_err(), "{wrong}");
        }
        assert_eq!("nll=0.02".parse(), Ok(Tolerance { quantity: Some(Quantity::Nll), size: 0.02 }));
        assert_eq!("0.005".parse(), Ok(Tolerance { quantity: None, size: 0.005 }));
        for wrong in ["-1", "nan", "loss=1", "nll=", "nll=inf"] {
            assert!(wrong.parse::<Tolerance>().is_err(), "{wrong}");
        }
        let args = JudgingArgs {
            tolerance: vec!["0.1".parse().unwrap(), "nll=0.5".parse().unwrap(), "0.2".parse().unwrap()],
            confidence: 0.9,
            accept: vec![Accepted::Better],
        };
        let settings = args.settings(0.01, None, 0);
        assert_eq!((settings.tolerances.of(Quantity::Nll), settings.tolerances.of(Quantity::Ece)), (0.5, 0.2));
        assert_eq!(settings.accepted, [Verdict::Better]);
    }
}
