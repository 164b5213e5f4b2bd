//! `harness analyze`: which runs are atypical, from a sweep or from soft decisions that another framework made.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};

use super::{print, remark};
use crate::analysis::files::{AnyInput, Foreign, Reading};
use crate::analysis::numbers::{fixed, or_dash, percent, significant};
use crate::analysis::{Analysis, Evidence, Run, Settings, analyze, files, tables};
use crate::config::Reference;
use crate::error::{Error, Result};
use crate::record::SweepDir;
use crate::report::words;
use crate::workflow::analyze::{self as workflow, Changes, is_sweep};

/// Runs in the table of a terminal, at most.
const SHOWN: usize = 40;

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
            workflow::of_sweep(root, args.epoch, &args.settings.changes()?)?
        }
        None => args.of_files()?,
    };
    print(&if args.json { tables::json(&analysis)? } else { text(&analysis, std::io::stdout().is_terminal()) })?;
    match (&args.out, swept) {
        (Some(folder), _) => remark(&workflow::write_apart(&analysis, swept.map(PathBuf::as_path), folder)?),
        (None, Some(root)) => workflow::write_tables(&SweepDir::new(root), &analysis)?,
        (None, None) => {}
    }
    Ok(())
}

impl SettingsArgs {
    /// What the options say, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] where a size is none.
    pub(super) fn changes(&self) -> Result<Changes> {
        if let Some(clip) = self.clip.filter(|clip| !(*clip > 0.0 && clip.is_finite())) {
            return Err(Error::Usage(format!("`--clip` is {clip}, but margins are clipped at a positive size")));
        }
        let reference = self.reference.as_deref().map(|name| match name {
            "split-half" => Reference::SplitHalf,
            _ => Reference::LeaveOneOut,
        });
        Ok(Changes { epsilon: self.epsilon, bootstraps: self.bootstraps, reference, clip: self.clip })
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
        let settings = self.settings.changes()?.applied(Settings::default());
        match input {
            AnyInput::F32(input) => analyze(&input, evidence, settings),
            AnyInput::F64(input) => analyze(&input, evidence, settings),
        }
    }
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
