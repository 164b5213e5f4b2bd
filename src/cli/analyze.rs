//! `harness analyze`: which runs are atypical, from a sweep or from soft decisions that another framework made.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};

use super::print;
use crate::analysis::files::{AnyInput, Foreign, Reading};
use crate::analysis::numbers::{fixed, or_dash, percent, significant};
use crate::analysis::{
    Analysis, Evidence, Fact, Images, Run, Settings, analyze, ensembles, files, images, sweep, tables,
};
use crate::config::{self, Experiment, Reference};
use crate::data::{self, Dataset, Split};
use crate::error::{Error, Result};
use crate::record::{self, SweepDir, SweepReader};
use crate::report::{self, words};

/// Runs in the table of a terminal, at most.
const SHOWN: usize = 40;
/// Bytes of all pictures of a page, at most.
const PICTURES: usize = 600_000;

/// How runs are judged; what is not given stays as in the experiment.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// Chance that a healthy run leaves the band of its reference by itself
    #[arg(long, value_name = "ε")]
    pub epsilon: Option<f64>,
    /// Bootstrap resamples of alpha_hat
    #[arg(long, value_name = "B")]
    pub bootstraps: Option<usize>,
    /// What a run is compared with for alpha_hat
    #[arg(long, value_name = "HOW", value_parser = ["leave-one-out", "split-half"])]
    pub reference: Option<String>,
    /// Set margins of at least this size to 0, as the published protocol does at 15
    #[arg(long, value_name = "SIZE")]
    pub clip: Option<f64>,
}

#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// A sweep's directory, or files of soft decisions: .npz, .npy or .parquet, of one or of all runs
    #[arg(required = true, value_name = "PATH")]
    inputs: Vec<PathBuf>,
    /// Labels for files that hold none: .npy, or .npz with `labels`
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The files hold probabilities rather than logits
    #[arg(long)]
    probabilities: bool,
    /// Group of an array of four axes [groups, runs, examples, classes]
    #[arg(long, value_name = "G")]
    index: Option<usize>,
    /// Flag runs with NaN or infinite logits instead of refusing the files
    #[arg(long)]
    diverged: bool,
    /// Epoch of the sweep that is judged; by default the last that all runs recorded
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print one JSON object, schema harness.analysis/1, instead of a table
    #[arg(long)]
    json: bool,
    /// Write tables and the full report into this folder; those of a sweep go into its directory without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Analyses, prints, and writes tables (and with `--out` the report).
///
/// # Errors
/// [`Error::Invalid`] for input that cannot be analysed, [`Error::Usage`] for options that do not belong together.
pub fn run(args: &AnalyzeArgs) -> Result<()> {
    let swept = args.inputs.iter().find(|path| is_sweep(path));
    let analysis = match swept {
        Some(root) => {
            args.check_for_sweep()?;
            of_sweep(root, args.epoch, &args.settings)?
        }
        None => args.of_files()?,
    };
    print(&if args.json { tables::json(&analysis)? } else { text(&analysis, std::io::stdout().is_terminal()) })?;
    match (&args.out, swept) {
        (Some(folder), _) => {
            tables::write(&analysis, folder)?;
            let images = swept.map_or(Ok(None), |root| pictures(root, &analysis))?;
            report::write(&analysis, images.as_ref(), folder)
        }
        (None, Some(root)) => write_tables(&SweepDir::new(root), &analysis),
        (None, None) => Ok(()),
    }
}

/// Analyses the sweep in the directory `root` at `epoch`, or at the last epoch that all runs recorded.
///
/// # Errors
/// As [`SweepReader::open`], [`sweep::read`] and [`analyze`].
pub fn of_sweep(root: &Path, epoch: Option<usize>, changes: &SettingsArgs) -> Result<Analysis> {
    let reader = SweepReader::open(root)?;
    let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
    let settings =
        changes.applied(Settings { analysis: experiment.analysis.clone(), flags: experiment.flags.clone() })?;
    let known = sweep::Known {
        // Results can be looked at where the data are not.
        class_names: data::facts(&experiment.data).map(|facts| facts.classes).unwrap_or_default(),
        facts: facts(&experiment),
    };
    let probes = |labels: &[u32], classes: usize| probes(&experiment, labels, classes);
    let (input, evidence) = sweep::read(&reader, epoch, known, probes, &settings)?;
    let options = ensembles::Options { seed: settings.analysis.seed, ..ensembles::Options::default() };
    let ensembles = ensembles::ensembles(&input, &evidence, &options, &settings)?;
    Ok(Analysis { ensembles, ..analyze(&input, evidence, settings)? })
}

/// Whether the directory of a sweep lies at `path`.
pub fn is_sweep(path: &Path) -> bool {
    path.is_dir() && SweepDir::new(path).manifest().exists()
}

impl SettingsArgs {
    pub(super) fn applied(&self, mut settings: Settings) -> Result<Settings> {
        let judged = &mut settings.analysis;
        if let Some(epsilon) = self.epsilon {
            judged.epsilon = epsilon;
        }
        if let Some(bootstraps) = self.bootstraps {
            judged.bootstraps = bootstraps;
        }
        if let Some(reference) = &self.reference {
            judged.reference = if reference == "split-half" { Reference::SplitHalf } else { Reference::LeaveOneOut };
        }
        if let Some(clip) = self.clip {
            if !(clip > 0.0 && clip.is_finite()) {
                return Err(Error::Usage(format!("`--clip` is {clip}, but margins are clipped at a positive size")));
            }
            judged.clip = Some(clip);
        }
        Ok(settings)
    }
}

impl AnalyzeArgs {
    fn check_for_sweep(&self) -> Result<()> {
        let foreign = [
            (self.inputs.len() > 1, "other files beside it"),
            (self.labels.is_some(), "`--labels`"),
            (self.probabilities, "`--probabilities`"),
            (self.index.is_some(), "`--index`"),
        ];
        match foreign.iter().find(|(given, _)| *given) {
            Some((_, what)) => Err(Error::Usage(format!("a sweep's directory is analysed alone, without {what}"))),
            None => Ok(()),
        }
    }

    fn of_files(&self) -> Result<Analysis> {
        if self.epoch.is_some() {
            return Err(Error::Usage("`--epoch` belongs to a sweep's directory: files hold one epoch".into()));
        }
        let reading = Reading {
            labels: self.labels.clone(),
            probabilities: self.probabilities,
            group: self.index,
            diverged: self.diverged,
        };
        let Foreign { input, notes } = files::read(&self.inputs, &reading)?;
        let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.inputs.first().and_then(stem).unwrap_or_default();
        let evidence = Evidence { name, notes, ..Evidence::default() };
        let settings = self.settings.applied(Settings::default())?;
        match input {
            AnyInput::F32(input) => analyze(&input, evidence, settings),
            AnyInput::F64(input) => analyze(&input, evidence, settings),
        }
    }
}

/// Which examples of the evaluation set the recorded kernels are of; none where the experiment records no kernels.
fn probes(experiment: &Experiment, labels: &[u32], classes: usize) -> Vec<usize> {
    let Some(kernel) = &experiment.record.kernel else { return Vec::new() };
    let none = || -> Split { Split { pixels: Vec::new(), labels: Vec::new() } };
    // The choice depends on labels and seed alone.
    let outline = Dataset {
        shape: [0; 3],
        classes: vec![String::new(); classes],
        train: none(),
        eval: Split { labels: labels.to_vec(), ..none() },
        digest: String::new(),
    };
    data::probe_set(&outline, kernel.probes, experiment.data.seed)
}

/// The experiment in a few lines.
fn facts(experiment: &Experiment) -> Vec<Fact> {
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    // As in the experiment file, without the quotes of JSON's keys.
    let shown = |value: serde_json::Result<String>| {
        value.unwrap_or_default().replace('"', "").replace(',', ", ").replace(':', ": ")
    };
    let data = match &experiment.data.classes {
        Some(classes) => format!("{}, classes {classes:?}", experiment.data.dataset.name()),
        None => experiment.data.dataset.name().to_owned(),
    };
    let train = &experiment.train;
    vec![
        fact("data", data),
        fact("model", shown(serde_json::to_string(&experiment.model))),
        fact("optimiser", shown(serde_json::to_string(&train.optimizer))),
        fact("schedule", shown(serde_json::to_string(&train.schedule))),
        fact("epochs, batch", format!("{}, {}", train.epochs, train.batch_size)),
        fact("varies between runs", shown(serde_json::to_string(&experiment.sweep.vary))),
        fact("root seed", experiment.sweep.seed.to_string()),
    ]
}

/// What a person reads: findings in words, then a table of runs.
#[must_use]
pub fn text(analysis: &Analysis, terminal: bool) -> String {
    let mut text = format!("{}\n\n", words::headline(analysis));
    for paragraph in words::findings(analysis) {
        text.push_str(&paragraph);
        text.push_str("\n\n");
    }
    text.push_str(&table(analysis, terminal));
    text.push('\n');
    let flagged = analysis.runs.iter().filter(|run| run.is_flagged());
    for (run, flag) in flagged.flat_map(|run| run.flags.iter().map(move |flag| (run.run, flag))).take(SHOWN) {
        text.push_str(&format!("run {run}, {}: {}\n", flag.flag.name(), flag.why));
    }
    for held in &analysis.source.left_out {
        text.push_str(&format!("run {} was left out: {}\n", held.run, held.why));
    }
    for note in &analysis.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

fn table(analysis: &Analysis, terminal: bool) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header(["run", "accuracy", "NLL", "ECE", "churn", "α", "α rel.", "α̂", "KS", "flags"]);
    let keep = |run: &&Run| analysis.runs.len() <= SHOWN || run.is_flagged();
    for run in analysis.runs.iter().filter(keep).take(SHOWN) {
        let flags: Vec<&str> = run.flags.iter().map(|flag| flag.flag.name()).collect();
        table.add_row([
            run.run.to_string(),
            or_dash(run.accuracy, percent),
            or_dash(run.nll, significant),
            or_dash(run.ece, percent),
            or_dash(run.churn, percent),
            or_dash(run.alpha, percent),
            or_dash(run.alpha_relative, percent),
            or_dash(run.alpha_hat, percent),
            or_dash(run.ks, |ks| fixed(ks, 3)),
            flags.join(", "),
        ]);
    }
    for column in table.column_iter_mut().take(9) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let hidden = analysis.runs.len().saturating_sub(table.row_count());
    let more = if hidden > 0 {
        format!("\n{} are not shown (`--json` has all)", words::count(hidden, "more run"))
    } else {
        String::new()
    };
    format!("{table}{more}\n")
}

/// Writes what the analysis of a sweep leaves behind: its tables into the sweep, its report into `folder` or the sweep.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn write(sweep: &record::SweepDir, analysis: &Analysis, folder: Option<&Path>) -> Result<PathBuf> {
    write_tables(sweep, analysis)?;
    let images = pictures(sweep.root(), analysis)?;
    if let Some(folder) = folder {
        report::write(analysis, images.as_ref(), folder)?;
        return Ok(folder.to_path_buf());
    }
    // Only the sweep's own files are there for `verify` to check.
    record::index::make(sweep, &sweep.report(), |folder| report::write(analysis, images.as_ref(), folder))?;
    Ok(sweep.report())
}

fn write_tables(sweep: &SweepDir, analysis: &Analysis) -> Result<()> {
    record::index::make(sweep, &sweep.analysis(), |folder| tables::write(analysis, folder))
}

/// The examples on which runs stand alone as pictures. None where no run does, and, with a word on stderr, where the data
/// are not at hand or are no longer those that the runs saw: the report is written all the same.
fn pictures(root: &Path, analysis: &Analysis) -> Result<Option<Images>> {
    if images::wanted(analysis, 1).is_empty() {
        return Ok(None);
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
            return Ok(Some(Images { shape: found.shape, pixels: found.pixels }));
        }
        Ok(_) => "the data are no longer those that the runs saw".to_owned(),
        Err(error) => error.to_string(),
    };
    super::say(&format!("the page shows no pictures: {missing}"));
    Ok(None)
}
