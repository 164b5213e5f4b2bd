//! `harness compare`: whether a candidate is still the same procedure as its baseline.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::compare_by::{self, By};
use super::{print, refuse_damaged};
use crate::analysis::comparison::{
    Claim, Comparison, Decision, Fixed, Quantity, Settings, Subject, Terms, Tolerances, Verdict, compare,
};
use crate::analysis::files::{self, AnyInput, Foreign, Reading};
use crate::analysis::numbers::or_dash;
use crate::analysis::{Input, RunLogits};
use crate::config;
use crate::error::{Error, Result};
use crate::report::comparison::words;
use crate::report::terminal;
use crate::stats::logits::Real;
use crate::workflow::analyze::is_sweep;
use crate::workflow::compare as workflow;

/// How two sets of runs are compared; shared with `run --against`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Comparison")]
pub struct JudgingArgs {
    /// The tolerance that a difference must be shown to keep within, in the unit of each quantity: 0.005 for all, nll=0.02 for
    /// one; may be repeated
    #[arg(long, value_name = "[NAME=]SIZE")]
    tolerance: Vec<Tolerance>,
    /// Confidence of all tests and intervals together
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// A verdict that does not end with exit code 5 although it is a difference; may be repeated
    #[arg(long, value_name = "VERDICT")]
    accept: Vec<Accepted>,
    /// Compare runs of the same index pair by pair: both sides must share their seeds
    #[arg(long, value_name = "HOW", value_enum)]
    pair: Option<Pairing>,
    /// Ask whether the candidate is better in this quantity (accuracy, nll, …): exit code 0 if so, 5 if it is worse, 8 undecided
    #[arg(long, value_name = "NAME")]
    better: Vec<Quantity>,
    /// Ask whether the candidate is not worse by this much, accuracy=0.005 say: exit code 0 if so, 5 if it is, 8 undecided
    #[arg(long, value_name = "NAME=SIZE")]
    not_worse: Vec<Margin>,
}

/// What makes a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pairing {
    /// Runs of the same index, which draw from the same seeds
    Seed,
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
        Ok(Self { quantity: name.map(str::parse).transpose()?, size })
    }
}

/// One argument of `--not-worse`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Margin {
    quantity: Quantity,
    size: f64,
}

impl FromStr for Margin {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let Tolerance { quantity, size } = text.parse()?;
        let quantity = quantity.ok_or_else(|| format!("`{text}` names no quantity: write accuracy={text}"))?;
        Ok(Self { quantity, size })
    }
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The baseline, then each candidate that is judged against it: a sweep's directory, a file of soft decisions (.npz, .npy,
    /// .parquet), or a folder of such files, one per run
    #[arg(required = true, num_args = 2.., value_name = "BASELINE CANDIDATE")]
    sides: Vec<PathBuf>,
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
    /// What is compared: decisions; the representations of two sweeps of any architectures; or the training examples that their runs
    /// decide by, through kernel surrogates
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = By::Decisions)]
    by: By,
    /// With --by attribution: training examples that surrogates are fitted on, and evaluation examples
    #[arg(long, value_name = "N", default_value_t = 200)]
    examples: usize,
    /// Do not end with exit code 6 though complete runs are damaged and were left out
    #[arg(long)]
    allow_damaged: bool,
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

/// Compares, prints, writes with `--out`; what is not fine is an error of its own.
///
/// # Errors
/// [`Error::Corrupt`] when complete runs were left out because they cannot be relied on, whatever the rest say;
/// [`Error::Regression`] when a comparison is red, [`Error::Undecided`] when it is undecided, [`Error::NotComparable`] when the
/// sides are not comparable, [`Error::Invalid`] for input that cannot be read.
pub fn run(args: &CompareArgs) -> Result<()> {
    if let Some(clip) = args.clip.filter(|clip| !(*clip > 0.0 && clip.is_finite())) {
        return Err(Error::Usage(format!("`--clip` is {clip}, but margins are clipped at a positive size")));
    }
    let Some((baseline, candidates)) = args.sides.split_first() else {
        return Err(Error::Usage("a comparison needs a baseline and a candidate".into()));
    };
    if candidates.len() > 1 && args.candidate_runs.is_some() {
        return Err(Error::Usage("`--candidate-runs` belongs to one candidate, and there are several".into()));
    }
    if args.by != By::Decisions {
        if args.out.is_some() {
            return Err(Error::Usage("`--out` writes what decisions were judged by; with `--by` take `--json`".into()));
        }
        return compare_by::run(args.by, &args.sides, args.epoch, args.examples, args.json);
    }
    let found: Vec<Comparison> = candidates
        .iter()
        .map(|candidate| args.compare(baseline, candidate, candidates.len()))
        .collect::<Result<_>>()?;
    let text = match (found.as_slice(), args.json) {
        ([found], true) => workflow::json(found)?,
        (several, true) => workflow::json(&Several { schema: SEVERAL, comparisons: several })?,
        (several, false) => several.iter().map(text).collect::<Vec<_>>().join("\n"),
    };
    print(&text)?;
    if let Some(folder) = &args.out {
        for (place, held) in found.iter().enumerate() {
            let folder = if found.len() > 1 { folder.join((place + 1).to_string()) } else { folder.clone() };
            workflow::write(held, &folder)?;
        }
    }
    for side in found.iter().flat_map(|held| [&held.baseline, &held.candidate]) {
        refuse_damaged(&side.left_out, args.allow_damaged)?;
    }
    // What is worse comes before what is not known.
    let outcomes: Vec<Error> = found.iter().filter_map(|held| outcome(held).err()).collect();
    let worst = outcomes.iter().find(|error| matches!(error, Error::Regression(_))).or(outcomes.first());
    worst.map_or(Ok(()), |error| Err(error.clone()))
}

/// Several candidates against one baseline, as `--json` prints them.
#[derive(serde::Serialize)]
struct Several<'a> {
    schema: &'static str,
    comparisons: &'a [Comparison],
}

const SEVERAL: &str = "harness.comparisons/1";

/// The error that a comparison ends with, unless it is fine.
pub fn outcome(found: &Comparison) -> Result<()> {
    let candidate = &found.candidate.place;
    if !found.claims.is_empty() {
        return match found.decision {
            Decision::Keep => Ok(()),
            Decision::Discard => Err(Error::Regression(format!("{candidate} is not what was asked for"))),
            Decision::Undecided => Err(Error::Undecided(format!(
                "whether {candidate} is what was asked for cannot be told from these runs"
            ))),
        };
    }
    if found.red {
        let names: Vec<String> =
            found.shown().iter().filter(|m| m.finding.is_difference()).map(|m| m.metric.into()).collect();
        return Err(Error::Regression(format!("{candidate} is {}: {}", found.verdict.name(), names.join(", "))));
    }
    if found.verdict == Verdict::Undecided {
        return Err(Error::Undecided(format!("{candidate} is undecided: {}", words::why_undecided(found))));
    }
    Ok(())
}

/// One side as it was read, in the precision of its files.
enum Read {
    F32(Box<Subject<f32>>),
    F64(Box<Subject<f64>>),
}

impl CompareArgs {
    /// One of `tests` comparisons with the same baseline, whose confidence is that of all together.
    fn compare(&self, baseline: &Path, candidate: &Path, tests: usize) -> Result<Comparison> {
        let fixed = Fixed { epoch: self.epoch.is_some(), epsilon: self.epsilon.is_some(), clip: self.clip.is_some() };
        let baseline = self.read(baseline, self.baseline_runs.as_ref(), fixed)?;
        let candidate = self.read(candidate, self.candidate_runs.as_ref(), fixed)?;
        match (baseline, candidate) {
            (Read::F32(baseline), Read::F32(candidate)) => self.judge(*baseline, *candidate, tests),
            (baseline, candidate) => self.judge(wide(baseline)?, wide(candidate)?, tests),
        }
    }

    fn judge<T: Real>(&self, baseline: Subject<T>, candidate: Subject<T>, tests: usize) -> Result<Comparison> {
        let (baseline, candidate) = &workflow::paired(baseline, candidate)?;
        // Where both are sweeps they agree, or are refused as not comparable.
        let analysis = [baseline, candidate]
            .into_iter()
            .find_map(|side| side.sweep.as_ref())
            .map(|sweep| &sweep.experiment.analysis);
        let default = config::Analysis::default();
        let analysis = analysis.unwrap_or(&default);
        let epsilon = self.epsilon.unwrap_or(analysis.epsilon);
        let mut settings = self.judging.settings(epsilon, self.clip.or(analysis.clip), analysis.seed);
        settings.confidence = 1.0 - (1.0 - settings.confidence) / tests as f64;
        compare(baseline, candidate, &settings)
    }

    fn read(&self, path: &Path, runs: Option<&Selection>, fixed: Fixed) -> Result<Read> {
        if is_sweep(path) {
            return Ok(Read::F32(Box::new(workflow::subject(path, self.epoch, runs.map(|runs| &runs.0), fixed)?)));
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
        let Foreign { input, notes, .. } = files::read(&paths, &reading)?;
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
        let all = self.tolerance.iter().rev().find(|held| held.quantity.is_none()).map(|held| held.size);
        let own = self.tolerance.iter().filter_map(|held| Some((held.quantity?, held.size))).collect();
        let accepted = self.accept.iter().map(|verdict| match verdict {
            Accepted::Better => Verdict::Better,
            Accepted::Different => Verdict::Different,
            Accepted::Worse => Verdict::Worse,
        });
        let better = self.better.iter().map(|&metric| Claim { metric, margin: None });
        let not_worse = self.not_worse.iter().map(|held| Claim { metric: held.quantity, margin: Some(held.size) });
        Settings {
            epsilon,
            clip,
            confidence: self.confidence,
            tolerances: Tolerances { all, own },
            accepted: accepted.collect(),
            claims: better.chain(not_worse).collect(),
            pairs: self.pair.is_some(),
            seed,
        }
    }
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
pub fn text(found: &Comparison) -> String {
    let mut text = format!("{}\n\n", words::headline(found));
    for sentence in words::evidence(found) {
        text.push_str(&format!("- {sentence}\n"));
    }
    text.push('\n');
    for sentence in words::description(found) {
        text.push_str(&format!("{sentence}\n\n"));
    }
    text.push_str(&table(found));
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
    terminal::fitted(&text, terminal::width())
}

/// Where there is too little room, what a change would have to be and p are left out: the finding says what they come to.
fn table(found: &Comparison) -> String {
    let heads = ["quantity", "baseline", "candidate", "difference", "interval", "p", "would be found", "finding"];
    let row = |metric: &crate::analysis::comparison::Metric| {
        let quantity = metric.metric;
        vec![
            quantity.name().into_owned(),
            words::value(quantity, metric.baseline),
            words::value(quantity, metric.candidate),
            words::difference(quantity, metric.difference),
            words::interval(metric),
            words::p_value(metric.p_corrected),
            or_dash(metric.detectable, |size| words::size(quantity, size)),
            metric.finding.name().to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = found.shown().into_iter().map(row).collect();
    terminal::table(&heads, &rows, &[0, 7], &[6, 5, 1], terminal::width()) + "\n"
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
            pair: None,
            better: vec![Quantity::Accuracy],
            not_worse: vec!["nll=0.1".parse().unwrap()],
        };
        let settings = args.settings(0.01, None, 0);
        assert_eq!(
            (settings.tolerances.of(Quantity::Nll), settings.tolerances.of(Quantity::Ece)),
            (Some(0.5), Some(0.2))
        );
        assert_eq!(settings.claims[0], Claim { metric: Quantity::Accuracy, margin: None });
        assert_eq!(settings.claims[1], Claim { metric: Quantity::Nll, margin: Some(0.1) });
        assert!("0.1".parse::<Margin>().is_err());
        assert_eq!("accuracy_of_class_8".parse(), Ok(Quantity::ClassAccuracy(8)));
        assert_eq!(settings.accepted, [Verdict::Better]);
    }
}
