//! `harness analyze`: which runs are atypical, from a sweep or from soft decisions that another framework made.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{print, refuse_damaged, say};
use crate::analysis::files::{AnyInput, Foreign, Reading};
use crate::analysis::{Analysis, Evidence, Fact, Settings, analyze, files, tables};
use crate::config::Reference;
use crate::error::{Error, Result};
use crate::record::SweepDir;
use crate::report::{Extras, terminal};
use crate::workflow::analyze::{self as workflow, Changes, is_sweep};
use crate::workflow::pictures;

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
    /// alpha_hat by the letter of the published protocol, whose reference is interpolated through equal margins too
    #[arg(long)]
    pub literal: bool,
    /// End with exit code 0 though complete runs are damaged and were left out
    #[arg(long)]
    pub allow_damaged: bool,
}

/// What `harness analyze` is given.
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
    /// Pictures of the examples for the page: .npy [N, H, W], [N, C, H, W] or [N, H, W, C]
    #[arg(long, value_name = "FILE", requires = "out")]
    images: Option<PathBuf>,
    /// Names of the classes, in label order: cat,dog,… or a text file with one a line
    #[arg(long, value_name = "NAMES")]
    names: Option<String>,
    /// Title of the report; by default the name of the first file
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
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
    print(&if args.json { tables::json(&analysis)? } else { terminal::analysis(&analysis, terminal::width()) })?;
    match (&args.out, swept) {
        (Some(folder), _) => {
            let (extras, remarks) = match swept {
                Some(root) => workflow::extras(root, &analysis)?,
                None => (args.extras(&analysis)?, Vec::new()),
            };
            workflow::write_apart(&analysis, &extras, folder)?;
            remarks.iter().for_each(|remark| say(remark));
        }
        (None, Some(root)) => {
            if let Some(remark) = workflow::write_tables(&SweepDir::new(root), &analysis)? {
                say(&remark);
            }
        }
        (None, None) => {}
    }
    refuse_damaged(&analysis.source.left_out, args.settings.allow_damaged)
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
        Ok(Changes {
            epsilon: self.epsilon,
            bootstraps: self.bootstraps,
            reference,
            clip: self.clip,
            literal: self.literal,
        })
    }
}

impl AnalyzeArgs {
    fn check_for_sweep(&self) -> Result<()> {
        let foreign = [
            (self.inputs.len() > 1, "other files beside it"),
            (self.labels.is_some(), "`--labels`"),
            (self.probabilities, "`--probabilities`"),
            (self.index.is_some(), "`--index`"),
            (self.images.is_some(), "`--images`"),
            (self.names.is_some(), "`--names`"),
            (self.title.is_some(), "`--title`"),
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
        let Foreign { input, names, notes } = files::read(&self.inputs, &reading)?;
        let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.title.clone().or_else(|| self.inputs.first().and_then(stem)).unwrap_or_default();
        let evidence = Evidence { name, names, notes, class_names: self.class_names()?, ..Evidence::default() };
        let settings = self.settings.changes()?.applied(Settings::default());
        let analysis = match input {
            AnyInput::F32(input) => analyze(&input, evidence, settings),
            AnyInput::F64(input) => analyze(&input, evidence, settings),
        }?;
        let named = analysis.source.class_names.len();
        if named != 0 && named != analysis.classes {
            return Err(Error::Invalid(format!(
                "`--names` has {named} names, but the soft decisions are about {} classes",
                analysis.classes
            )));
        }
        Ok(analysis)
    }

    fn class_names(&self) -> Result<Vec<String>> {
        let Some(names) = &self.names else { return Ok(Vec::new()) };
        let path = Path::new(names);
        let list = |text: &str, apart: char| {
            text.split(apart).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        if !path.is_file() {
            return Ok(list(names, ','));
        }
        std::fs::read_to_string(path).map(|text| list(&text, '\n')).map_err(|cause| Error::io("read", path, &cause))
    }

    /// When, how and from which files the report was made, and the pictures that were given.
    fn extras(&self, analysis: &Analysis) -> Result<Extras> {
        let images = self.images.as_ref().map(|path| pictures::of_array(path, analysis)).transpose()?;
        let mut facts = workflow::made();
        facts.push(workflow::machine());
        for path in self.inputs.iter().chain(&self.labels).chain(&self.images) {
            let digest = workflow::digest(path)?;
            facts.push(Fact { name: "file (BLAKE3)".into(), value: format!("{}: {digest}", path.display()) });
        }
        Ok(Extras { images, represented: None, facts })
    }
}
