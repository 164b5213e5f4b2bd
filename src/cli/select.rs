//! `harness select`: which runs to put together, how many, and the chosen ones as files to ship.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};

use super::analyze::SettingsArgs;
use super::print;
use crate::analysis::ensembles::{Options, ensembles};
use crate::analysis::files::{self, AnyInput, Foreign, Reading};
use crate::analysis::sweep::{self, Known};
use crate::analysis::{Ensembles, Evidence, Input, LeftOut, Settings, Strategy, StrategyKind};
use crate::config::{self, Experiment};
use crate::ensemble::{self, EnsembleFile, Weights};
use crate::error::{Error, Result};
use crate::record::SweepReader;
use crate::report;
use crate::report::text::list;
use crate::stats::ensemble::{Combination, random_subsets};
use crate::stats::logits::Real;
use crate::workflow::analyze::is_sweep;

/// Halvings of the evaluation set over which the strategies are compared.
const HALVINGS: usize = 20;

#[derive(Debug, Args)]
pub struct SelectArgs {
    /// A sweep's directory, or files of soft decisions: .npz, .npy or .parquet, of one or of all runs
    #[arg(required = true, value_name = "PATH")]
    inputs: Vec<PathBuf>,
    /// Whose choice is taken
    #[arg(long, value_name = "NAME", default_value = "greedy",
        value_parser = ["all", "unflagged", "best-accuracy", "lowest-alpha", "greedy", "single", "random"])]
    strategy: String,
    /// Take the single run nearest to the ensemble of all, as `--strategy single`
    #[arg(long, conflicts_with_all = ["strategy", "size"])]
    single: bool,
    /// Number of runs for the strategies that need one; by default the recommended size
    #[arg(long, value_name = "K")]
    size: Option<usize>,
    /// Divides the evaluation set into the half that chooses and the half that measures; draws random subsets
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Fit a temperature to each ensemble, on the half that chooses
    #[arg(long)]
    temperature: bool,
    /// Average logits instead of probabilities
    #[arg(long)]
    logits: bool,
    /// Epoch of the sweep; by default the last that all runs recorded
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
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
    settings: SettingsArgs,
    /// Print one JSON object, schema harness.ensemble/1, instead of a table
    #[arg(long)]
    json: bool,
    /// Write the chosen ensemble into this folder: ensemble.json, weights, model.toml, a loader for PyTorch
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Chooses, prints, and exports with `--out`.
///
/// # Errors
/// [`Error::Invalid`] for input that ensembles cannot be chosen from, [`Error::Usage`] for options that do not belong
/// together.
pub fn run(args: &SelectArgs) -> Result<()> {
    let swept = args.inputs.iter().find(|path| is_sweep(path));
    let (mut file, weights, left_out) = match swept {
        Some(root) => args.of_sweep(root)?,
        None => (args.of_files()?, Err("soft decisions from elsewhere come without weights".to_owned()), Vec::new()),
    };
    let weights = weights.map_err(|why| file.without_weights = Some(why)).ok();
    let written = match &args.out {
        Some(folder) => ensemble::export(folder, &mut file, weights.as_ref())?,
        None => Vec::new(),
    };
    if args.json {
        print(&file.to_json()?)?;
    } else {
        print(&text(&file, std::io::stdout().is_terminal()))?;
        for path in &written {
            print(&format!("{}\n", path.display()))?;
        }
    }
    if let (Some(_), Some(why)) = (&args.out, &file.without_weights) {
        super::say(&format!("note: the ensemble was written without weights: {why}"));
    }
    super::refuse_damaged(&left_out, args.settings.allow_damaged)
}

impl SelectArgs {
    fn options(&self) -> Options {
        Options {
            combination: if self.logits { Combination::Logits } else { Combination::Probabilities },
            temperature: self.temperature,
            seed: self.seed,
            size: self.size,
            halvings: HALVINGS,
        }
    }

    fn strategy(&self) -> &str {
        if self.single { StrategyKind::Single.name() } else { &self.strategy }
    }

    /// The choice, the weights of the chosen runs or why there are none, and the runs that could not be chosen.
    fn of_sweep(&self, root: &Path) -> Result<(EnsembleFile, std::result::Result<Weights, String>, Vec<LeftOut>)> {
        let foreign = [
            (self.inputs.len() > 1, "other files beside it"),
            (self.labels.is_some(), "`--labels`"),
            (self.probabilities, "`--probabilities`"),
            (self.index.is_some(), "`--index`"),
        ];
        if let Some((_, what)) = foreign.iter().find(|(given, _)| *given) {
            return Err(Error::Usage(format!("ensembles of a sweep are chosen from it alone, without {what}")));
        }
        let reader = SweepReader::open(root)?;
        let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
        let settings = Settings { analysis: experiment.analysis.clone(), flags: experiment.flags.clone() };
        let settings = self.settings.changes()?.applied(settings);
        let (input, evidence) = sweep::decisions(&reader, self.epoch, Known::default())?;
        for held in &evidence.left_out {
            super::say(&format!("left out: run {}: {}", held.run, held.why));
        }
        let file = self.chosen(&input, &evidence, &settings)?;
        // Only an export needs them, and a choice can be looked at where the data are not.
        let weights = match &self.out {
            Some(_) => weights(&reader, &experiment, &file)?,
            None => Err("they are exported with `--out DIR`".to_owned()),
        };
        Ok((file, weights, evidence.left_out))
    }

    fn of_files(&self) -> Result<EnsembleFile> {
        if self.epoch.is_some() {
            return Err(Error::Usage("`--epoch` belongs to a sweep's directory: files hold one epoch".into()));
        }
        let reading = Reading {
            labels: self.labels.clone(),
            probabilities: self.probabilities,
            group: self.index,
            diverged: false,
        };
        let Foreign { input, .. } = files::read(&self.inputs, &reading)?;
        let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let evidence = Evidence { name: self.inputs.first().and_then(stem).unwrap_or_default(), ..Evidence::default() };
        let settings = self.settings.changes()?.applied(Settings::default());
        match input {
            AnyInput::F32(input) => self.chosen(&input, &evidence, &settings),
            AnyInput::F64(input) => self.chosen(&input, &evidence, &settings),
        }
    }

    fn chosen<T: Real>(&self, input: &Input<T>, evidence: &Evidence, settings: &Settings) -> Result<EnsembleFile> {
        let found = ensembles(input, evidence, &self.options(), settings)?.ok_or_else(|| {
            Error::Invalid("an ensemble is chosen from at least two distinct runs on at least four examples".into())
        })?;
        let strategy = self.taken(&found)?;
        Ok(EnsembleFile {
            schema: ensemble::SCHEMA.to_owned(),
            name: evidence.name.clone(),
            experiment: evidence.experiment.clone(),
            epoch: evidence.epoch,
            strategy: self.strategy().to_owned(),
            runs: members(strategy, &found)?,
            classes: input.classes(),
            combination: found.combination,
            temperature: strategy.temperature.unwrap_or(1.0),
            model: None,
            model_file: None,
            members: Vec::new(),
            without_weights: None,
            evidence: Some(found.clone()),
        })
    }

    /// The strategy whose choice is taken.
    fn taken<'a>(&self, found: &'a Ensembles) -> Result<&'a Strategy> {
        let strategy = found.strategies.iter().find(|held| held.name.name() == self.strategy());
        let strategy =
            strategy.ok_or_else(|| Error::Invalid(format!("strategy {} has no run to choose", self.strategy())))?;
        if self.temperature && strategy.name == StrategyKind::Random {
            return Err(Error::Usage(
                "a temperature is fitted to one ensemble, and random stands for many: choose another strategy".into(),
            ));
        }
        Ok(strategy)
    }
}

/// The runs of a strategy; of `random`, the first subset that its seed draws.
fn members(strategy: &Strategy, found: &Ensembles) -> Result<Vec<u32>> {
    if strategy.name != StrategyKind::Random {
        return Ok(strategy.runs.clone());
    }
    let all = found.strategy(StrategyKind::All).map(|all| all.runs.as_slice()).unwrap_or_default();
    let subset = random_subsets(all.len(), strategy.size, 1, found.seed)?.into_iter().flatten();
    Ok(subset.filter_map(|place| all.get(place).copied()).collect())
}

/// The weights of the chosen runs; the inner error says why there are none, where that is no reason to stop.
fn weights(
    reader: &SweepReader,
    experiment: &Experiment,
    file: &EnsembleFile,
) -> Result<std::result::Result<Weights, String>> {
    match Weights::read(reader, experiment, &file.runs, file.epoch.unwrap_or(experiment.train.epochs)) {
        Ok(weights) => Ok(Ok(weights)),
        Err(Error::Invalid(why)) => Ok(Err(why)),
        Err(error) => Err(error),
    }
}

/// What a person reads: findings in words, a table of strategies, and the choice.
fn text(file: &EnsembleFile, terminal: bool) -> String {
    let Some(found) = &file.evidence else { return String::new() };
    let mut text = String::new();
    for paragraph in report::ensembles::paragraphs(found) {
        text.push_str(&format!("{paragraph}\n\n"));
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header(report::ensembles::HEADER);
    for strategy in &found.strategies {
        table.add_row(report::ensembles::row(strategy));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let runs: Vec<String> = file.runs.iter().map(u32::to_string).collect();
    let noun = if runs.len() == 1 { "run" } else { "runs" };
    text.push_str(&format!("{table}\n\nchosen by {}: {noun} {}", file.strategy, list(&runs)));
    if file.temperature != 1.0 {
        text.push_str(&format!(", temperature {:.4}", file.temperature));
    }
    text.push('\n');
    text
}
